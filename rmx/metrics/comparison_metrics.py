"""All metrics of a split in one object."""

from __future__ import annotations

from collections.abc import Sequence

from torchmetrics import MetricCollection

from rmx.metrics.accuracy import PairwiseAccuracy
from rmx.metrics.calibration import NUM_BINS, FoldedCalibrationError
from rmx.metrics.rewards import RewardStatistics, SaturatedShare, TieRate
from rmx.metrics.scores import PreferenceBrier, PreferenceNLL


class ComparisonMetrics(MetricCollection):
    """Accuracy, proper scores, calibration and reward statistics over a split's comparisons.

    Call `update(reward_C, logit_P, batch)` a batch at a time, `compute()` at the split's end on
    every rank, then `reset()`. `compute` returns a flat dict of float64 scalars: `accuracy`,
    `accuracy/DOMAIN`, `accuracy_macro`, `count`, `count/DOMAIN`, `nll`, `brier`, `ece`, `mce`,
    `rmsce`, `reward_mean`, `reward_std`, `reward_min`, `reward_max`, `tie_rate`, `saturated`.

    Args:
        domains: the run's domain names; `batch.domain_P` indexes them.
        num_bins: of the calibration errors.
        prefix: put before every key, such as "val/".

    Example:
        >>> import torch
        >>> from rmx.metrics import ComparisonMetrics, pair_batch
        >>> metrics = ComparisonMetrics(["code"], prefix="val/")
        >>> batch = pair_batch(torch.tensor([1.0, 0.5]))
        >>> reward_C = torch.tensor([1.0, 0.0, 0.0, 0.0])
        >>> metrics.update(reward_C, batch.margin(reward_C), batch)
        >>> values = metrics.compute()
        >>> {key: round(values[f"val/{key}"].item(), 4) for key in ("accuracy", "nll", "tie_rate")}
        {'accuracy': 1.0, 'nll': 0.3133, 'tie_rate': 0.5}
    """

    def __init__(
        self, domains: Sequence[str], *, num_bins: int = NUM_BINS, prefix: str | None = None
    ) -> None:
        super().__init__(
            {
                "accuracy": PairwiseAccuracy(domains),
                "nll": PreferenceNLL(),
                "brier": PreferenceBrier(),
                "calibration": FoldedCalibrationError(num_bins),
                "rewards": RewardStatistics(),
                "tie_rate": TieRate(),
                "saturated": SaturatedShare(),
            },
            prefix=prefix,
            compute_groups=False,  # it would merge metrics whose states happen to be equal at first
        )
