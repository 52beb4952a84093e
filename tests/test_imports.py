"""Who may import whom, read from the source: downward only."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "rmx"

# From the bottom up. A part imports itself and parts of lower rows; those of one row, never each
# other: only `module` joins model, loss and metrics. A new part takes the lowest row it can.
ROWS = [
    {"errors", "types"},
    {"config"},
    {"losses", "models", "data", "metrics", "optim", "hardware", "provenance", "quiet"},
    {"checkpoint", "loggers", "resuming", "sweeping", "cli_help"},
    {"module", "report"},
    {"callbacks", "sweep_table"},
    {"assembly", "record"},
    {"results"},
    {"cli"},
    {"train"},
]
ROW_OF = {part: row for row, parts in enumerate(ROWS) for part in parts}


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_parts(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute, for grep's sake"
            names = [node.module] if node.module != "rmx" else [f"rmx.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            parts = (name or "").split(".")
            if parts[0] == "rmx" and len(parts) > 1 and not parts[1].startswith("_"):
                yield parts[1], node.lineno


def files_of(part: str) -> list[Path]:
    return [path for path in sorted(ROOT.rglob("*.py")) if part_of(path) == part]


def parts() -> list[str]:
    return sorted({part_of(path) for path in ROOT.rglob("*.py")} - {"__init__"})


@pytest.mark.parametrize("part", parts())
def test_imports_point_downward(part: str) -> None:
    assert part in ROW_OF, f"rmx.{part} is new: give it a row in {Path(__file__).name}"
    for path in files_of(part):
        for other, line in imported_parts(path):
            is_lower = ROW_OF[other] < ROW_OF[part]
            assert other == part or is_lower, (
                f"{path}:{line}: rmx.{part} must not import rmx.{other}"
            )


def test_a_command_starts_without_torch() -> None:
    code = "import sys, rmx.cli, rmx.train; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT.parent).returncode == 0
