"""What a run folder keeps of how it was made, and that a resumed run is still the same one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from rmx.data.datamodule import PreferenceData
from rmx.data.sources import write_rejected
from rmx.errors import CheckpointError
from rmx.provenance import collect_provenance, strip_secrets, write_provenance
from rmx.resuming import OVERRIDES

CONFIG = "config.yaml"
PROVENANCE = "provenance.json"
# What a resumed run may change: it moves neither the plan of its steps nor what they mean.
FREE = ("hardware", "logger", "resume", "run_name", "output_dir", "display", "num_workers")


def check_resumed(cfg: DictConfig, run_dir: Path) -> None:
    """Refuse to go on with other settings than the run began with; a new run has none yet.

    Raises:
        CheckpointError: names the first setting that differs.
    """
    if not cfg.resume or not (run_dir / CONFIG).is_file():
        return
    began = dict(_flat(OmegaConf.to_container(OmegaConf.load(run_dir / CONFIG))))
    now = dict(_flat(_plain(cfg)))
    for key in began.keys() & now.keys():
        if began[key] != now[key] and key.split(".")[0] not in FREE:
            raise CheckpointError(
                f"{key} is {json.dumps(now[key])}, and this run began with "
                f"{json.dumps(began[key])}; leave it out, or start a run of its own without resume="
            )


@rank_zero_only
def record_run(cfg: DictConfig, data: PreferenceData, run_dir: Path, overrides: list[str]) -> None:
    """Write what composes a run again and what it was made with, before it trains.

    A resumed run keeps its first config and overrides, and adds itself to the provenance.

    Raises:
        CheckpointError: the run is resumed on other data than it began with.
    """
    digest = data.digest()
    if cfg.resume and (run_dir / PROVENANCE).is_file():
        began_with = json.loads((run_dir / PROVENANCE).read_text())["data_digest"]
        if began_with != digest:
            raise CheckpointError(
                f"the data is not what this run began with (digest {digest[:12]}, was "
                f"{began_with[:12]}); restore it, or start a run of its own without resume="
            )
    if not (run_dir / CONFIG).is_file():
        _write_whole(run_dir / OVERRIDES, OmegaConf.to_yaml(OmegaConf.create(overrides)))
        _write_whole(run_dir / CONFIG, OmegaConf.to_yaml(OmegaConf.create(_plain(cfg))))
    write_provenance(run_dir, collect_provenance(seed=cfg.seed, data_digest=digest))
    if data.rejected:
        write_rejected(run_dir / "rejected.jsonl", data.rejected)


def _plain(cfg: DictConfig) -> Any:
    return strip_secrets(OmegaConf.to_container(cfg, resolve=True))


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _flat(part, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
