"""OverfitMonitor: says during training when several signs of overfitting agree."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from rmx.metrics import overfit_signs, verdict

KEPT = (
    "train/accuracy",
    "train/count",
    "val/accuracy",
    "val/count",
    "val/nll",
    "val/ece",
    "val/reward_std",
    "spillover/accuracy",
    "spillover/count",
)


class OverfitMonitor(Callback):
    """Keeps the history of validations, logs `overfit/num_signs`, prints a line on a verdict.

    The line is printed when the signs that agree change, not at every validation.
    """

    def __init__(self) -> None:
        self.history: list[dict[str, float]] = []
        self._reported: list[str] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        metrics = trainer.callback_metrics
        entry = {key: float(metrics[key]) for key in KEPT if key in metrics}
        self.history.append({"step": float(trainer.global_step), **entry})
        found = verdict(overfit_signs(self.history))
        for logger in trainer.loggers:
            logger.log_metrics({"overfit/num_signs": len(found.signs)}, step=trainer.global_step)
        names = [sign.name for sign in found.signs] if found.is_overfit else []
        if names and names != self._reported:
            evidence = "; ".join(sign.text for sign in found.signs)
            pl_module.print(f"warning: step {trainer.global_step}: {found.text}: {evidence}")
        self._reported = names

    def state_dict(self) -> dict[str, Any]:
        return {"history": [dict(entry) for entry in self.history], "reported": [*self._reported]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = [dict(entry) for entry in state_dict["history"]]
        self._reported = [*state_dict["reported"]]
