"""The end of a sweep: one table over its runs, and sweep.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from rmx.config.names import override_key
from rmx.report.tables import sweep_table

CELL = "cell.json"  # overrides, seconds and error of one run, written by cli.py
RESULTS = "results.json"


class SweepTable(Callback):
    """Prints one table over a sweep's runs and writes sweep.json; conf/train.yaml names it."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(config.hydra.sweep.dir)
        rows = read_cells(folder)
        (folder / "sweep.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        print(f"\n{sweep_table(rows)}\n\nsweep folder: {folder}")


def read_cells(folder: Path) -> list[dict[str, Any]]:
    """Return one record a run: its folder, what it changed, its numbers, and its error if any."""
    paths = sorted(folder.glob(f"*/{CELL}"), key=lambda path: int(path.parent.name.split("_")[0]))
    cells = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    changed = changed_settings([cell["overrides"] for cell in cells])
    rows = []
    for path, cell in zip(paths, cells, strict=True):
        file = path.with_name(RESULTS)
        results = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        settings = _settings(cell["overrides"])
        rows.append(
            {
                "folder": path.parent.name,
                "changed": {key: settings.get(key, "") for key in changed},
                "splits": results.get("splits"),
                "best_step": results.get("best_step"),
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


def _settings(overrides: Sequence[str]) -> dict[str, str]:
    return {override_key(o): o.partition("=")[2] for o in overrides}
