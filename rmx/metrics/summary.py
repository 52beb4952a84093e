"""The numbers of one split, each with its interval or floor: what a table or report prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from rmx.metrics.accuracy import pairwise_correct
from rmx.metrics.calibration import NUM_BINS, null_calibration_error, reliability_bins
from rmx.metrics.intervals import accuracy_interval, wilson
from rmx.metrics.predictions import Predictions
from rmx.metrics.scores import preference_brier, preference_nll


@dataclass(frozen=True)
class SplitResult:
    """One split, or one domain of it; ties are left out of everything but the counts of them.

    Attributes:
        accuracy: with `accuracy_low`, `accuracy_high`, its 95 % interval resampled by prompt.
        wilson_low, wilson_high: its interval as if no comparisons shared a prompt.
        accuracy_macro: mean over domains.
        nll, brier: proper scores; a coin has 0.693 nats and 0.25.
        ece, mce: calibration errors of the preferred side.
        ece_null, ece_null_p95: mean and 95th percentile of a perfect model's ECE at these
            confidences: an ECE below the latter shows no miscalibration.
        longer_wins: accuracy of preferring the longer completion, half at equal lengths; of the
            shorter one, 1 - longer_wins. NaN without texts.
        tie_rate: share of ties in all comparisons.
        count, num_ties, num_prompts: comparisons that are no ties, ties, prompts of both.
        domains: the same by domain, for the domains seen.
    """

    accuracy: float
    accuracy_low: float
    accuracy_high: float
    wilson_low: float
    wilson_high: float
    accuracy_macro: float
    nll: float
    brier: float
    ece: float
    mce: float
    ece_null: float
    ece_null_p95: float
    longer_wins: float
    tie_rate: float
    count: int
    num_ties: int
    num_prompts: int
    domains: dict[str, SplitResult] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold: None for a number that is not there."""
        return _without_nan(asdict(self))


def summarise(
    predictions: Predictions,
    domains: Sequence[str] = (),
    *,
    num_bins: int = NUM_BINS,
    num_draws: int = 2000,
    num_null_draws: int = 1000,
    seed: int = 0,
) -> SplitResult:
    """Return the numbers of a split and of each of its domains.

    Args:
        domains: the run's domain names; none gives no results by domain.
        num_draws: of the bootstrap by prompt.
        num_null_draws: of the calibration error's floor.
        seed: of both; equal seeds give equal results.
    """
    options: dict[str, Any] = {
        "num_bins": num_bins,
        "num_draws": num_draws,
        "num_null_draws": num_null_draws,
        "seed": seed,
    }
    by_domain = {
        name: summarise(predictions.take(predictions.domain == place), **options)
        for place, name in enumerate(domains)
        if (predictions.domain == place).any()
    }
    decided = predictions.decided
    margin, logit = torch.from_numpy(decided.margin), torch.from_numpy(decided.logit)
    preference = torch.from_numpy(decided.preference)
    correct = pairwise_correct(margin, preference).double().numpy()
    low, high = accuracy_interval(correct, decided.group, num_draws=num_draws, seed=seed)
    wilson_low, wilson_high = wilson(correct.sum(), len(correct))
    confidence, came_true = decided.folded()
    bins = reliability_bins(confidence, came_true, num_bins)
    null, null_p95 = null_calibration_error(
        confidence, num_bins, num_draws=num_null_draws, seed=seed
    )
    accuracies = [part.accuracy for part in by_domain.values() if part.count]
    length_margin = torch.from_numpy(decided.chosen_length - decided.rejected_length)
    num_ties = len(predictions) - len(decided)
    return SplitResult(
        accuracy=_mean(correct),
        accuracy_low=low,
        accuracy_high=high,
        wilson_low=wilson_low,
        wilson_high=wilson_high,
        accuracy_macro=_mean(np.array(accuracies or correct)),
        nll=_mean(preference_nll(logit, preference).numpy()),
        brier=_mean(preference_brier(logit, preference).numpy()),
        ece=bins.expected_error().item(),
        mce=bins.largest_error().item(),
        ece_null=null,
        ece_null_p95=null_p95,
        longer_wins=_mean(pairwise_correct(length_margin, preference).double().numpy()),
        tie_rate=num_ties / len(predictions) if len(predictions) else math.nan,
        count=len(decided),
        num_ties=num_ties,
        num_prompts=len(np.unique(predictions.group)),
        domains=by_domain,
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
