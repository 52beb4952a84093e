"""Checkpoints: only what is trained, written atomically, checked by digest, free of pickle.

    checkpoints/step-000050/
        weights.safetensors      trained parameters of model and loss
        optimizer.safetensors    the optimiser's moments, by the parameter's place
        progress.json            step, counters and callbacks' states
        manifest.json            sha256 of each file; written last

Under FSDP2 with sharded checkpoints each rank writes `weights-RANK-of-WORLD.safetensors` with its
rows of every sharded tensor; they can be read back by any number of ranks. What is frozen is not
saved: it comes from the backbone again. Gathering and spreading of live tensors is done here too,
when to save is the KeepCheckpoints callback's affair.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from rmx.errors import CheckpointError

FORMAT = 1
MANIFEST = "manifest.json"
PROGRESS = "progress.json"
_NAME = re.compile(r"^step-(\d{6,})$")


@dataclass(frozen=True)
class Checkpoint:
    """What one checkpoint folder holds; tensors are whole and on the CPU."""

    step: int
    progress: dict[str, Any]
    weights: dict[str, Tensor] = field(repr=False)
    optimizer: dict[str, Tensor] = field(repr=False)


def checkpoint_path(folder: Path, step: int) -> Path:
    return folder / f"step-{step:06d}"


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the complete checkpoints below `folder`, the newest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if _NAME.match(path.name) and path.is_dir()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")), reverse=True)


def write_tensors(
    folder: Path, name: str, tensors: Mapping[str, Tensor], *, shard: tuple[int, int] | None
) -> None:
    """Write tensors under `name`, whole, or this rank's rows of them with `shard=(rank, world)`.

    Whole writing gathers sharded tensors: every rank must call it, only rank 0's folder counts.
    """
    if shard is None:
        whole = {key: _whole(value) for key, value in tensors.items()}
        _save(folder / f"{name}.safetensors", whole)
        return
    rank, world = shard
    local = {
        key: value.to_local() if isinstance(value, DTensor) else value
        for key, value in tensors.items()
        if isinstance(value, DTensor) or rank == 0
    }
    _save(folder / f"{name}-{rank:05d}-of-{world:05d}.safetensors", local)


def read_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    """Return whole tensors written by `write_tensors`; shards are joined along their first axis."""
    whole = folder / f"{name}.safetensors"
    if whole.exists():
        return _load(whole)
    parts = [_load(path) for path in sorted(folder.glob(f"{name}-*-of-*.safetensors"))]
    if not parts:
        raise CheckpointError(f"{folder} holds no {name}")
    keys = dict.fromkeys(key for part in parts for key in part)
    return {
        key: found[0] if len(found) == 1 else torch.cat(found)
        for key in keys
        if (found := [part[key] for part in parts if key in part])
    }


def finish_checkpoint(temporary: Path, path: Path, progress: Mapping[str, Any]) -> None:
    """Add progress and manifest to a folder whose tensors are written, then move it in place."""
    (temporary / PROGRESS).write_text(json.dumps(progress, indent=1))
    files = {file.name: _digest(file) for file in sorted(temporary.iterdir())}
    (temporary / MANIFEST).write_text(json.dumps({"format": FORMAT, "files": files}, indent=1))
    for file in temporary.iterdir():
        _sync(file)
    if path.exists():  # a damaged or superseded one from before a resume
        shutil.rmtree(path)
    os.replace(temporary, path)
    _sync(path.parent)


def read_checkpoint(path: Path, *, weights_only: bool = False) -> Checkpoint:
    """Return a checkpoint after comparing every file with its digest.

    Raises:
        CheckpointError: when a file is missing, changed or unreadable.
    """
    verify_checkpoint(path)
    try:
        progress = json.loads((path / PROGRESS).read_text())
        weights = read_tensors(path, "weights")
        optimizer = {} if weights_only else read_tensors(path, "optimizer")
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"checkpoint {path} can't be read: {error}") from error
    return Checkpoint(
        step=int(progress["step"]), progress=progress, weights=weights, optimizer=optimizer
    )


def verify_checkpoint(path: Path) -> None:
    """Raise CheckpointError unless every file of the manifest is there with its digest."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        wanted = dict(manifest["files"])
        version = manifest["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"checkpoint {path} has no readable manifest: {error}") from error
    if version != FORMAT:
        raise CheckpointError(f"checkpoint {path} has format {version}, this rmx reads {FORMAT}")
    for name, digest in wanted.items():
        file = path / Path(name).name
        if not file.is_file():
            raise CheckpointError(f"checkpoint {path} lacks {name}")
        if _digest(file) != digest:
            raise CheckpointError(f"checkpoint {path}: {name} does not match its digest")


def newest_intact(folder: Path) -> tuple[Path | None, list[str]]:
    """Return the newest checkpoint whose digests hold, and what was wrong with newer ones."""
    problems = []
    for path in list_checkpoints(folder):
        try:
            verify_checkpoint(path)
        except CheckpointError as error:
            problems.append(str(error))
            continue
        return path, problems
    return None, problems


def trained_tensors(model: nn.Module, loss: nn.Module) -> dict[str, Tensor]:
    """Return live trained tensors under `model.` and `loss.`; sharded ones as DTensor."""
    weights = {f"model.{k}": v for k, v in model.trained_state_dict().items()}  # type: ignore[operator]
    return weights | {f"loss.{k}": v for k, v in loss.state_dict().items()}


def load_trained(model: nn.Module, loss: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy saved tensors into model and loss; both must want exactly what is there.

    Raises:
        CheckpointError: when names or shapes differ, so the checkpoint is of another configuration.
    """
    live = trained_tensors(model, loss)
    missing, extra = sorted(live.keys() - weights.keys()), sorted(weights.keys() - live.keys())
    if missing or extra:
        raise CheckpointError(
            "the checkpoint is of another model, loss or freeze strategy: it lacks "
            f"{missing[:3]} and has {extra[:3]} too many; resume with the run's own configuration"
        )
    with torch.no_grad():
        for key, tensor in live.items():
            if tensor.shape != weights[key].shape:
                raise CheckpointError(
                    f"{key} is {tuple(weights[key].shape)} in the checkpoint and "
                    f"{tuple(tensor.shape)} in the model; resume with the run's own configuration"
                )
            tensor.copy_(_like(weights[key], tensor))


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's state as `PLACE/NAME`, the place counted over its parameter groups."""
    return {
        f"{i}/{name}": value
        for i, p in enumerate(_parameters(optimizer))
        for name, value in sorted(optimizer.state[p].items())
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Set the optimiser's state from what `optimizer_tensors` named."""
    parameters = _parameters(optimizer)
    for key, tensor in tensors.items():
        place, name = key.split("/")
        p = parameters[int(place)]
        # Adam's step counter is a scalar on the CPU; the moments have their parameter's layout.
        optimizer.state[p][name] = (
            _like(tensor, p) if tensor.shape == p.shape and p.ndim else tensor.clone()
        )


def _parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _whole(value: Tensor) -> Tensor:
    return value.full_tensor() if isinstance(value, DTensor) else value


def _like(value: Tensor, target: Tensor) -> Tensor:
    """Return `value` with the device and sharding of `target`; the dtype stays."""
    value = value.to(target.device)
    if isinstance(target, DTensor):
        return distribute_tensor(value, target.device_mesh, target.placements)
    return value.clone()


def _save(path: Path, tensors: Mapping[str, Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}, path
    )


def _load(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt", device="cpu") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
