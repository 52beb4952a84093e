"""KeepCheckpoints: when a run saves, what it keeps, and how it goes on from what it saved."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from rmx.checkpoint import (
    Checkpoint,
    checkpoint_path,
    finish_checkpoint,
    list_checkpoints,
    load_optimizer,
    load_trained,
    newest_intact,
    optimizer_tensors,
    read_checkpoint,
    trained_tensors,
    write_tensors,
)
from rmx.errors import CheckpointError, ConfigError
from rmx.module import RewardModule


def is_better(value: float, best: float | None, monitor: str) -> bool:
    """Return whether a monitored value beats the best so far: accuracies rise, the rest falls."""
    if value != value:  # NaN is never the best, unless there is nothing else
        return best is None
    if best is None or best != best:
        return True
    return value > best if monitor.endswith("accuracy") else value < best


class KeepCheckpoints(Callback):
    """Saves after each validation and every `every` steps; keeps the best and the last two.

    The one before the last is the fallback where the last turns out damaged. A checkpoint always
    stands at the end of an optimiser step, after the validation if one was due, so that resuming
    is fast-forwarding to its step.

    Args:
        folder: where the checkpoints lie.
        monitor: the metric that decides which is best.
        every: also save each so many steps; None saves at validations only.
        sharded: each rank writes its rows (FSDP2) instead of rank 0 the whole.
        resume: go on from the newest intact checkpoint.
    """

    def __init__(
        self,
        *,
        folder: str | Path,
        monitor: str = "val/accuracy",
        every: int | None = None,
        sharded: bool = False,
        resume: bool = False,
    ) -> None:
        if every is not None and every < 1:
            raise ConfigError(f"callbacks.checkpoint.every counts optimiser steps, got {every}")
        self.folder = Path(folder)
        self.monitor = monitor
        self.every = every
        self.sharded = sharded
        self.resume = resume
        self.best_step: int | None = None
        self.best_value: float | None = None
        self.saved_step: int | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"best_step": self.best_step, "best_value": self.best_value}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_step = state_dict["best_step"]
        self.best_value = state_dict["best_value"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, RewardModule)
        self._remove_leftovers()
        if self.resume:
            self._restore(self.load_newest(), trainer, pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        step = _num_steps_done(trainer)
        if self.every and step % self.every == 0 and not is_validation_due(trainer):
            self.save(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        value = float(trainer.callback_metrics.get(self.monitor, torch.tensor(float("nan"))))
        if is_better(value, self.best_value, self.monitor):
            self.best_value, self.best_step = value, _num_steps_done(trainer)
        self.save(trainer, pl_module)

    def save(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the present step, unless it is saved already. Every rank must call it."""
        assert isinstance(pl_module, RewardModule)
        step = _num_steps_done(trainer)
        if step == self.saved_step:
            return
        self.saved_step = step
        path = checkpoint_path(self.folder, step)
        temporary = path.with_name(f".{path.name}.partial")
        rank, world = trainer.global_rank, trainer.world_size
        shard = (rank, world) if self.sharded else None
        # Gathering is a collective, so every rank takes part; but only rank 0's whole files stay.
        target = temporary if rank == 0 or shard else self.folder / f".rank-{rank}.partial"
        write_tensors(
            target, "weights", trained_tensors(pl_module.model, pl_module.loss), shard=shard
        )
        state = optimizer_tensors(trainer.optimizers[0]) | _metric_tensors(pl_module.train_metrics)
        write_tensors(target, "optimizer", state, shard=shard)
        trainer.strategy.barrier("checkpoint written")
        if rank == 0:
            finish_checkpoint(temporary, path, self._progress(trainer, pl_module, step))
            self._forget(keep=step)
        elif not shard:
            shutil.rmtree(target)
        trainer.strategy.barrier("checkpoint in place")

    def load_newest(self) -> Checkpoint:
        """Return the newest intact checkpoint, saying which damaged ones were passed over.

        Raises:
            CheckpointError: none is intact.
        """
        path, problems = newest_intact(self.folder)
        if path is None:
            first = f" ({problems[0]})" if problems else ""
            raise CheckpointError(
                f"{self.folder} holds no intact checkpoint{first}; start a run of its own without "
                "resume="
            )
        for problem in problems:
            rank_zero_warn(f"{problem}; falling back to {path.name}")
        return read_checkpoint(path)

    def load_best(self, module: RewardModule) -> int:
        """Load the best checkpoint's weights and return its step.

        Where it is damaged, the newest intact one takes its place, saying so.

        Raises:
            CheckpointError: when no step was saved as the best one, or none is intact.
        """
        if self.best_step is None:
            raise CheckpointError(
                f"{self.folder} holds no best checkpoint: no validation was completed"
            )
        try:
            best = read_checkpoint(checkpoint_path(self.folder, self.best_step), weights_only=True)
        except CheckpointError as error:
            rank_zero_warn(f"the best checkpoint can't be used: {error}")
            best = self.load_newest()
        load_trained(module.model, module.loss, best.weights)
        return best.step

    def _restore(self, checkpoint: Checkpoint, trainer: Trainer, module: RewardModule) -> None:
        load_trained(module.model, module.loss, checkpoint.weights)
        metrics = {k: v for k, v in checkpoint.optimizer.items() if k.startswith("metrics/")}
        moments = {k: v for k, v in checkpoint.optimizer.items() if k not in metrics}
        load_optimizer(trainer.optimizers[0], moments)
        _load_metric_tensors(module.train_metrics, metrics, trainer)
        self.restore_progress(checkpoint, trainer.callbacks, module)  # type: ignore
        self.saved_step = checkpoint.step
        trainer.datamodule.start_step = checkpoint.step  # type: ignore
        fast_forward(trainer, checkpoint.step)
        rank_zero_only(print)(f"resuming after step {checkpoint.step}")

    def restore_progress(
        self, checkpoint: Checkpoint, callbacks: Sequence[Callback], module: RewardModule
    ) -> None:
        """Set the callbacks' states and the module's counters to what the checkpoint says."""
        progress = checkpoint.progress
        for callback in callbacks:
            if callback.state_key in progress["callbacks"]:
                callback.load_state_dict(progress["callbacks"][callback.state_key])
        module.num_skipped = progress["num_skipped"]
        module.num_skipped_in_a_row = progress["num_skipped_in_a_row"]

    def _progress(self, trainer: Trainer, module: RewardModule, step: int) -> dict[str, Any]:
        callbacks = {c.state_key: c.state_dict() for c in trainer.callbacks}  # type: ignore
        return {
            "step": step,
            "is_finished": trainer.should_stop or step >= module.num_steps,
            "num_skipped": module.num_skipped,
            "num_skipped_in_a_row": module.num_skipped_in_a_row,
            "callbacks": {key: state for key, state in callbacks.items() if state},
        }

    @rank_zero_only
    def _remove_leftovers(self) -> None:
        if self.folder.is_dir():
            for path in self.folder.glob(".*.partial"):
                shutil.rmtree(path)

    def _forget(self, keep: int) -> None:
        """Delete all checkpoints but the best, the one just written and the one before it."""
        older = [
            path
            for path in list_checkpoints(self.folder)
            if path != checkpoint_path(self.folder, keep)
        ]
        best = None if self.best_step is None else checkpoint_path(self.folder, self.best_step)
        for path in older[1:]:
            if path != best:
                shutil.rmtree(path)


def is_validation_due(trainer: Trainer) -> bool:
    """Return whether a validation follows the step that just ended."""
    step = _num_steps_done(trainer)
    every = trainer.val_check_batch
    return trainer.should_stop or (isinstance(every, int) and step % every == 0)


def fast_forward(trainer: Trainer, step: int) -> None:
    """Set Lightning's progress to "`step` batches trained and, where due, validated".

    Lightning's own record would depend on the hook a checkpoint was written in; every rmx
    checkpoint means the same, so its step says all.
    """
    done = {"ready": step, "started": step, "processed": step, "completed": step}
    epoch = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
    stepped = {"ready": step, "completed": step}
    loop = trainer.fit_loop
    state = loop.state_dict()
    state["epoch_progress"] = {"total": epoch, "current": dict(epoch)}
    state["epoch_loop.batch_progress"] = {
        "total": done,
        "current": dict(done),
        "is_last_batch": False,
    }
    state["epoch_loop.manual_optimization.optim_step_progress"] = {
        "total": stepped,
        "current": dict(stepped),
    }
    state["epoch_loop.state_dict"] = {"_batches_that_stepped": step}
    loop.load_state_dict(state)


def _num_steps_done(trainer: Trainer) -> int:
    # Within on_train_batch_end the batch is processed but not yet counted as completed.
    return trainer.fit_loop.epoch_loop.batch_progress.current.processed  # type: ignore


def _metric_tensors(metric: MetricCollection) -> dict[str, Tensor]:
    """Return a metric's running sums over all ranks as `metrics/PATH/STATE`."""
    tensors = {}
    for path, part in _parts(metric):
        part.sync()
        for name, value in part.metric_state.items():
            if isinstance(value, Tensor) or value:
                tensors[f"metrics/{path}/{name}"] = (
                    value if isinstance(value, Tensor) else torch.cat(list(value))
                )
        part.unsync(should_unsync=part._is_synced)
    return tensors


def _load_metric_tensors(
    metric: MetricCollection, tensors: dict[str, Tensor], trainer: Trainer
) -> None:
    if trainer.global_rank > 0:  # rank 0 carries the sums of all
        return
    for path, part in _parts(metric):
        for name, default in part._defaults.items():
            if (saved := tensors.get(f"metrics/{path}/{name}")) is not None:
                saved = saved.to(trainer.strategy.root_device)
                setattr(part, name, [saved] if isinstance(default, list) else saved)
                part._update_count = 1


def _parts(metric: MetricCollection) -> list[tuple[str, Metric]]:
    return [(path, part) for path, part in metric.named_modules() if isinstance(part, Metric)]
