"""The table at the end of a sweep: what each run changed, and what it reached."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from rmx.config.names import override_key

CELL = "cell.json"  # overrides, seconds and error of one run, written by cli.py
RESULTS = "results.json"
# (column, split, metric)
COLUMNS = (
    ("val accuracy", "val", "accuracy"),
    ("spillover accuracy", "spillover", "accuracy"),
    ("val NLL", "val", "nll"),
    ("val ECE", "val", "ece"),
)


class SweepTable(Callback):
    """Prints one table over a sweep's runs and writes sweep.json; conf/train.yaml names it."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(config.hydra.sweep.dir)
        rows = read_cells(folder)
        (folder / "sweep.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        print_table(rows, str(folder))


def read_cells(folder: Path) -> list[dict[str, Any]]:
    """Return one record a run: its folder, what it changed, its numbers, and its error if any."""
    paths = sorted(folder.glob(f"*/{CELL}"), key=lambda path: int(path.parent.name.split("_")[0]))
    cells = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    changed = changed_settings([cell["overrides"] for cell in cells])
    rows = []
    for path, cell in zip(paths, cells, strict=True):
        results = path.with_name(RESULTS)
        splits = (
            json.loads(results.read_text(encoding="utf-8"))["splits"] if results.is_file() else {}
        )
        rows.append(
            {
                "folder": path.parent.name,
                "changed": {key: _settings(cell["overrides"]).get(key, "") for key in changed},
                **{name: splits.get(split, {}).get(metric) for name, split, metric in COLUMNS},
                "seconds": cell["seconds"],
                "error": cell["error"],
            }
        )
    return rows


def changed_settings(cells: Sequence[Sequence[str]]) -> list[str]:
    """Return the settings that are not the same in every cell, in the order they are given."""
    settings = [_settings(overrides) for overrides in cells]
    keys = dict.fromkeys(key for cell in settings for key in cell)
    return [key for key in keys if len({cell.get(key) for cell in settings}) > 1]


def print_table(rows: Sequence[dict[str, Any]], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    changed = list(rows[0]["changed"]) if rows else []
    table = Table(title=title, title_justify="left")
    for name in changed or ["run"]:
        table.add_column(name)
    for name, *_ in COLUMNS:
        table.add_column(name, justify="right")
    table.add_column("seconds", justify="right")
    for row in rows:
        first = [row["changed"][key] for key in changed] or [row["folder"]]
        table.add_row(
            *first, *(_number(row[name]) for name, *_ in COLUMNS), f"{row['seconds']:.0f}"
        )
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table)
    for row in rows:
        if row["error"]:
            console.print(f"failed: {row['folder']}: {row['error']}", markup=False, soft_wrap=True)


def _settings(overrides: Sequence[str]) -> dict[str, str]:
    return {override_key(o): o.partition("=")[2] for o in overrides}


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
