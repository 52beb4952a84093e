"""LastValidation: a run ends with a validation, whatever `val_every` is."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class LastValidation(Callback):
    """Asks Lightning to stop after the run's last step, which makes it validate first."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx + 1 >= pl_module.num_steps:  # type: ignore[operator]
            trainer.should_stop = True
