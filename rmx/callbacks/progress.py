"""Progress: a bar in a terminal, and one line a validation wherever the output goes.

step 50/150  train loss 0.412 acc 0.810  val acc 0.846 nll 0.390 ece 0.040  spillover acc 0.770
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

SHOWN = {  # split -> its metrics in the line, with the names they are printed under
    "train": {"loss": "loss", "accuracy": "acc"},
    "val": {"accuracy": "acc", "nll": "nll", "ece": "ece"},
    "spillover": {"accuracy": "acc"},
}
REFRESH_S = 0.5  # reading the loss waits for the device, so not at every step


class Progress(ProgressBar):
    """Shows steps, loss and pairs a second in a terminal; prints a line after each validation.

    Where stderr is no terminal there is no bar, so that a log file holds only the lines.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_enabled = True  # Lightning's `module.print` reads it
        self._bar: tqdm | None = None
        self._step = 0
        self._num_pairs = 0
        self._train_s = 0.0
        self._batch_started = 0.0
        self._refreshed = 0.0

    def enable(self) -> None:
        self.is_enabled = True

    def disable(self) -> None:
        self.is_enabled = False

    def print(self, *args: Any, **kwargs: Any) -> None:
        if self.is_enabled:
            tqdm.write(" ".join(map(str, args)), file=sys.stdout)
            sys.stdout.flush()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._step = trainer.global_step
        self._bar = self._new_bar("training", num_steps(trainer, pl_module), self._step)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._batch_started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.perf_counter()
        self._step = batch_idx + 1  # a run is one epoch, so this counts skipped steps too
        self._train_s += now - self._batch_started
        self._num_pairs += num_comparisons(batch) * trainer.world_size
        if self._bar is None or self._bar.disable or now - self._refreshed < REFRESH_S:
            return
        self._refreshed = now
        self._bar.n = self._step
        loss = trainer.callback_metrics.get("train/loss")
        shown = f"loss {float(loss):.3f}, " if loss is not None else ""
        self._bar.set_postfix_str(f"{shown}{self._num_pairs / self._train_s:.1f} pairs/s")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self._close()  # else the message starts in the middle of the bar's line

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        if self._bar is None:  # trainer.validate
            self._bar = self._new_bar("evaluating", int(sum(trainer.num_val_batches)), 0)
        else:
            self._bar.n = self._step
            self._bar.set_description_str("validating")

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self._bar is not None and trainer.state.fn == "validate":
            self._bar.update()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        if trainer.state.fn == "validate":  # the table of results follows
            self._close()
            return
        if self._bar is not None:
            self._bar.set_description_str("training")
        total = num_steps(trainer, pl_module)
        self.print(validation_line(self._step, total, trainer.callback_metrics))

    def _new_bar(self, description: str, total: int | None, initial: int) -> tqdm:
        return tqdm(
            desc=description,
            total=total,
            initial=initial,
            disable=not (self.is_enabled and sys.stderr.isatty()),
            leave=False,
            dynamic_ncols=True,
            mininterval=REFRESH_S,
            bar_format="{desc} {n_fmt}/{total_fmt} {bar:20} {elapsed}<{remaining}{postfix}",
        )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def validation_line(step: int, total: int | None, metrics: Mapping[str, Any]) -> str:
    """Return one line with the metrics of SHOWN that are there.

    >>> validation_line(5, 10, {"val/accuracy": 0.5, "val/nll": 0.693})
    'step  5/10  val acc 0.500 nll 0.693'
    """
    width = len(str(total or step))
    parts = [f"step {step:>{width}}/{total}" if total else f"step {step}"]
    for split, names in SHOWN.items():
        values = [
            f"{label} {float(metrics[f'{split}/{name}']):.3f}"
            for name, label in names.items()
            if f"{split}/{name}" in metrics
        ]
        if values:
            parts.append(f"{split} {' '.join(values)}")
    return "  ".join(parts)


def num_steps(trainer: Trainer, pl_module: LightningModule) -> int | None:
    """Return the run's optimiser steps; never asks Lightning to estimate, which breaks resuming."""
    total = getattr(pl_module, "num_steps", None) or trainer.max_steps
    return total if total > 0 else None


def num_comparisons(batch: Any) -> int:
    """Return the comparisons in a step's batch or list of micro-batches, fillers included."""
    batches = batch if isinstance(batch, Sequence) else [batch]
    return sum(micro.chosen_P.numel() for micro in batches)  # no device read, unlike the weights
