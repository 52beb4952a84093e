"""What a run was made with: `provenance.json` in its folder, so that it can be redone.

Nothing here names the machine or its user, and no environment variable is written. Neither torch
nor numpy is imported with this module.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import rmx
from rmx.config.secrets import SECRET_NAME, SECRET_VALUE

PACKAGES = (
    "torch",
    "lightning",
    "transformers",
    "torchmetrics",
    "hydra-core",
    "omegaconf",
    "datasets",
    "peft",
    "safetensors",
    "tokenizers",
    "gguf",
    "numpy",
    "wandb",
    "matplotlib",
)
REMOVED = "[removed]"


def collect_provenance(
    *,
    seed: int,
    data_digest: str | None = None,
    argv: Sequence[str] | None = None,
    root: Path | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return a plain record of code, versions, hardware, command line, seed and data.

    Args:
        argv: the command line; this process's own by default. Secrets are taken out and the home
            folder is written as `~`.
        root: the checkout whose git state is recorded; the one rmx lies in by default.
        more: further entries, such as the model's digest.
    """
    return {
        "rmx": rmx.__version__,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "argv": _plain_argv(sys.argv if argv is None else argv),
        "seed": seed,
        "data_digest": data_digest,
        "git": git_state(root or Path(rmx.__file__).resolve().parents[1]),
        "python": platform.python_version(),
        "platform": platform.platform(),  # system, kernel and libc; no host name
        "hardware": _hardware(),
        "packages": {name: _version(name) for name in PACKAGES},
        **strip_secrets(more),
    }


def write_provenance(run_dir: str | Path, record: Mapping[str, Any]) -> Path:
    """Write `provenance.json` in one step and return its path.

    A resumed run keeps its first record and adds this one to the list under `resumed`.
    """
    path = Path(run_dir) / "provenance.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    written = dict(record)
    if path.exists():
        first = json.loads(path.read_text(encoding="utf-8"))
        written = {**first, "resumed": [*first.get("resumed", []), dict(record)]}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)
    return path


def git_state(root: Path) -> dict[str, Any] | None:
    """Return the commit and whether tracked files differ from it; None where there is no git."""
    if not (root / ".git").exists():  # an installed wheel must not report the user's own repository
        return None

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):  # no git, no commit yet, or not our repository
        return None


def strip_secrets(value: Any, name: str = "") -> Any:
    """Return a copy of a plain config in which what looks like a key or a password is replaced.

    A string is replaced whole where its name says so (`hub.token`), and in part where a known form
    of key or a `user:password@` stands in it.
    """
    if isinstance(value, Mapping):
        return {key: strip_secrets(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strip_secrets(item, name) for item in value]
    if not isinstance(value, str) or not value:
        return value
    return REMOVED if SECRET_NAME.search(name) else SECRET_VALUE.sub(REMOVED, value)


def _plain_argv(argv: Sequence[str]) -> list[str]:
    home = str(Path.home())
    plain, previous = [Path(argv[0]).name] if argv else [], ""
    for argument in argv[1:]:
        name, equals, value = argument.partition("=")
        if equals:
            argument = f"{name}={strip_secrets(value, name.lstrip('+-~'))}"
        elif previous.startswith("--"):
            argument = strip_secrets(argument, previous.lstrip("-"))
        else:
            argument = strip_secrets(argument)
        plain.append(argument.replace(home, "~") if len(home) > 1 else argument)
        previous = argument
    return plain


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _hardware() -> dict[str, Any]:
    import torch  # heavy, and only needed here

    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "cpu": _cpu_name(),
        "num_cpus": os.cpu_count(),
        "num_cpus_available": available,
        "num_threads": torch.get_num_threads(),
        "gpus": gpus,
        "num_gpus": len(gpus),
        "cuda": torch.version.cuda,
    }


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()
