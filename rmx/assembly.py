"""From a checked config to the objects of a run; the only reader of the config beside the commands.

What is cheap to refuse is built first: a loss without meaning or a bad row ends the run before a
model is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from rmx.callbacks import KeepCheckpoints, LastValidation, Progress, StopOnSignal
from rmx.config import build
from rmx.data.datamodule import PreferenceData
from rmx.data.rendering import Renderer
from rmx.errors import ConfigError
from rmx.hardware import Hardware
from rmx.models import RewardModel, check_backbone
from rmx.models.freezing import FreezeReport
from rmx.module import RewardModule


@dataclass
class Run:
    """One training run, ready to start."""

    data: PreferenceData
    renderer: Renderer
    module: RewardModule
    hardware: Hardware
    checkpoints: KeepCheckpoints
    callbacks: list[Callback]
    freeze_report: FreezeReport


def build_data(cfg: DictConfig) -> PreferenceData:
    """Return the data module, its groups not yet read."""
    return PreferenceData(
        build(cfg.data),
        val=cfg.split.val,
        spillover=cfg.split.spillover,
        comparisons=cfg.batch.comparisons,
        completions=cfg.batch.micro_completions,
        epochs=cfg.epochs,
        max_steps=cfg.max_steps,
        num_workers=cfg.num_workers,
        seed=cfg.seed,
    )


@rank_zero_only
def say(text: str) -> None:
    """Print on one process of all."""
    if text:
        print(text, flush=True)


def build_run(cfg: DictConfig, run_dir: Path) -> Run:
    """Build everything of a run but its trainer and logger, telling what was read and loaded."""
    seed_everything(cfg.seed, workers=True, verbose=False)
    hardware, loss, optim, freeze = (
        build(cfg[part]) for part in ("hardware", "loss", "optim", "freeze")
    )
    if "path" in cfg.model:
        check_backbone(cfg.model.path)
    data = build_data(cfg)
    data.load()
    say(data.describe())

    backbone = build(cfg.model, dtype=hardware.backbone_dtype)
    num_positions = getattr(backbone.model.config, "max_position_embeddings", None)
    if num_positions is not None and cfg.max_length > num_positions:
        raise ConfigError(
            f"max_length must be at most the {num_positions} positions of {backbone.name}, got "
            f"{cfg.max_length}; take max_length={num_positions}"
        )
    encoder = build(cfg.encoder)
    head = build(cfg.head, hidden_size=encoder.output_size(backbone.hidden_size))
    model = RewardModel(backbone, encoder=encoder, head=head)
    freeze_report = freeze.apply(model, frozen_dtype=hardware.frozen_dtype)
    if hardware.precision == "bf16-true" and freeze_report.num_trainable == freeze_report.num_total:
        raise ConfigError(
            "hardware.precision=bf16-true needs frozen parts to store in bf16, and this freeze "
            "trains everything; take hardware.precision=bf16-mixed"
        )
    say(f"{backbone.name} on {hardware}: {freeze_report}")

    renderer = Renderer(backbone.tokenizer, max_length=cfg.max_length)
    data.tokenize(renderer)
    for line in renderer.report.lines():
        say(line)
    module = RewardModule(
        model,
        loss,
        optim,
        default_lr=freeze.default_lr,
        domains=data.domains,
        val_splits=data.eval_splits,
        num_steps=data.num_steps,
        seed=cfg.seed,
    )
    checkpoints, callbacks = _build_callbacks(cfg, run_dir, hardware, data)
    return Run(data, renderer, module, hardware, checkpoints, callbacks, freeze_report)


def build_logger(cfg: DictConfig, run_dir: Path, run_name: str, group: str | None) -> Logger | bool:
    """Return the run's logger; W&B shows its settings beside its curves."""
    plain = OmegaConf.to_container(cfg, resolve=True)
    return build(cfg.logger, run_dir=run_dir, run_name=run_name, group=group, config=plain)


def build_trainer(cfg: DictConfig, run: Run, logger: Logger | bool) -> Trainer:
    """Return the trainer of a run. The whole run is one Lightning epoch, so that `val_every` and
    progress count optimiser steps alone."""
    return Trainer(
        **run.hardware.trainer_arguments(),
        logger=logger,
        callbacks=run.callbacks,
        max_epochs=1,
        val_check_interval=cfg.val_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _build_callbacks(
    cfg: DictConfig, run_dir: Path, hardware: Hardware, data: PreferenceData
) -> tuple[KeepCheckpoints, list[Callback]]:
    """Return the callbacks in the order they must act: what decides to stop, then what saves."""
    more: dict[str, dict[str, Any]] = {
        "checkpoint": {
            "folder": run_dir / "checkpoints",
            "monitor": f"val/{cfg.monitor}",
            "sharded": hardware.sharded_checkpoint,
            "resume": bool(cfg.resume),
        },
        "figures": {
            "run_dir": run_dir,
            "monitor": f"val/{cfg.monitor}",
            "prompt_ids": data.prompt_ids,
        },
    }
    named = {
        name: build(component, **more.get(name, {}))
        for name, component in cfg.callbacks.items()
        if component is not None
    }
    checkpoints = named.pop("checkpoint", None)
    if checkpoints is None:
        raise ConfigError(
            "callbacks.checkpoint=null: a run needs its checkpoints to resume and to find its best "
            "step; leave it out"
        )
    return checkpoints, [
        LastValidation(),
        Progress(),
        *named.values(),
        checkpoints,
        StopOnSignal(checkpoints),
    ]
