"""LogFigures: the figures of the best validation so far, as files and as W&B images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger

from rmx.metrics import Predictions, SplitResult, summarise

if TYPE_CHECKING:
    from rmx.module import RewardModule

QUICK = {"num_draws": 300, "num_null_draws": 300}


class LogFigures(Callback):
    """Draws the figures whenever a validation is the best so far, and at a run's last evaluation.

    They are written to `figures/*.png` in the run's folder, each time over the ones before; with
    W&B each is an image too, with its step, since its terminal viewer shows neither tables nor
    histograms. Reads `module.predictions` and `module.domains`.

    Args:
        run_dir: the run's folder.
        monitor: an accuracy is best high, anything else low.
        prompt_ids: from a split's name to the prompt of each of its groups, so that intervals
            resample prompts; None takes each group for a prompt of its own.
    """

    def __init__(
        self,
        *,
        run_dir: str | Path,
        monitor: str = "val/accuracy",
        prompt_ids: Callable[[str], np.ndarray] | None = None,
    ) -> None:
        self.folder = Path(run_dir) / "figures"
        self.monitor = monitor
        self.prompt_ids = prompt_ids
        self.best: float | None = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        if trainer.state.fn == "validate":  # the best checkpoint, loaded again
            self.draw(trainer, pl_module, note="best checkpoint")
        elif self._is_best(trainer):
            self.draw(trainer, pl_module, note=f"step {trainer.global_step}", **QUICK)

    def draw(
        self, trainer: Trainer, pl_module: LightningModule, *, note: str, **draws: int
    ) -> None:
        """Write the figures of the module's predictions, and log them where W&B runs.

        Args:
            note: what the titles add.
            draws: `summarise`'s, where fewer than in the table at the run's end will do.
        """
        from rmx.report.figures import draw_figures  # matplotlib takes half a second to load

        module = cast("RewardModule", pl_module)
        predictions = {
            split: self._by_prompt(split, part)
            for split, part in module.predictions.items()
            if split != "train"
        }
        results: dict[str, SplitResult] = {
            split: summarise(part, module.domains, **draws) for split, part in predictions.items()
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, figure in draw_figures(results, predictions, note).items():
            path = self.folder / f"{name}.png"
            figure.savefig(path, dpi=100)
            for logger in trainer.loggers:
                if isinstance(logger, WandbLogger):
                    logger.log_image(f"figures/{name}", [str(path)], step=trainer.global_step)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    def _is_best(self, trainer: Trainer) -> bool:
        if self.monitor not in trainer.callback_metrics:
            return self.best is None
        value = float(trainer.callback_metrics[self.monitor])
        value = value if self.monitor.endswith("accuracy") else -value
        if self.best is not None and value <= self.best:
            return False
        self.best = value
        return True

    def _by_prompt(self, split: str, part: Predictions) -> Predictions:
        if self.prompt_ids is None:
            return part
        return replace(part, group=self.prompt_ids(split)[part.group])
