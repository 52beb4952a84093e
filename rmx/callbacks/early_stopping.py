"""EarlyStopping: ends a run whose monitored metric has stopped getting better."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.callbacks import EarlyStopping as LightningEarlyStopping

from rmx.errors import ConfigError


class EarlyStopping(LightningEarlyStopping):
    """Lightning's, with the direction taken from the metric's name and a state of plain numbers.

    Args:
        monitor: an accuracy must rise; a loss or an error must fall.
        patience: validations without gain before the run ends.
    """

    def __init__(self, *, monitor: str = "val/accuracy", patience: int = 3) -> None:
        if patience < 1:
            raise ConfigError(
                f"patience counts validations without gain, at least 1, got {patience}"
            )
        mode = "max" if monitor.endswith("accuracy") else "min"
        # Not strict: a validation whose rewards are NaN has no such metric, and is no gain.
        super().__init__(monitor=monitor, patience=patience, mode=mode, strict=False)

    def state_dict(self) -> dict[str, Any]:
        return {
            "wait_count": self.wait_count,
            "stopped_epoch": self.stopped_epoch,
            "best_score": float(self.best_score),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.wait_count = state_dict["wait_count"]
        self.stopped_epoch = state_dict["stopped_epoch"]
        self.best_score = torch.tensor(state_dict["best_score"])
