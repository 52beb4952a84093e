"""Readable names for runs and their folders, also as OmegaConf resolvers for conf/*.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

MAX_NAME = 120  # most file systems stop at 255 bytes, and other parts are added


def slug(text: str) -> str:
    """Return `text` as one folder name: no slash, no space, nothing a shell would read.

    >>> slug("loss=bt,model.path=a/b c")
    'loss=bt,model.path=a-b-c'
    """
    return re.sub(r"[^A-Za-z0-9_.,=+-]+", "-", text).strip("-.")[:MAX_NAME] or "run"


def run_name(name: str | None, choices: Mapping[str, Any]) -> str:
    """Return the name a user gave, or else the run's model, loss and freeze strategy."""
    return slug(name or "_".join(str(choices[group]) for group in ("model", "loss", "freeze")))


def cell_name(overrides: Sequence[str], changed: Sequence[str]) -> str:
    """Return the overrides of one run of a sweep that differ between its runs."""
    parts = [o for o in overrides if override_key(o) in changed]
    return slug(",".join(part.lstrip("+") for part in parts))


def override_key(override: str) -> str:
    """Return the setting that an override is about: `++optim.lr=3` is about `optim.lr`."""
    return override.partition("=")[0].lstrip("+~").partition("@")[0]


def register_resolvers() -> None:
    OmegaConf.register_new_resolver("rmx.slug", slug, replace=True)
    OmegaConf.register_new_resolver("rmx.run_name", run_name, replace=True)


def shown_path(path: Path) -> str:
    """Return the path as a person types it here: relative where it lies below this folder."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
