"""How much accuracy is lost on domains that training never saw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rmx.metrics.intervals import Interval, wilson


@dataclass(frozen=True)
class SpilloverGap:
    """Validation accuracy - spillover accuracy, with a 95 % interval."""

    gap: float
    low: float
    high: float


def spillover_gap(val: Mapping[str, Any], spillover: Mapping[str, Any]) -> SpilloverGap:
    """Return validation - spillover accuracy; NaN where either has no comparison.

    The interval combines the two accuracies' own (Newcombe's method for independent samples):
    with difference d = p₁ - p₂ and intervals (l₁, u₁), (l₂, u₂),
    low = d - sqrt((p₁ - l₁)² + (u₂ - p₂)²), high = d + sqrt((u₁ - p₁)² + (p₂ - l₂)²).

    Args:
        val, spillover: `accuracy` and `count` of each split, as metrics or results give them.
            `accuracy_low` and `accuracy_high` are taken where both are there (a bootstrap by
            prompt), else Wilson's interval.

    Reference: Newcombe (1998), Statistics in Medicine 17.

    Example:
        >>> gap = spillover_gap({"accuracy": 0.8, "count": 70}, {"accuracy": 0.6, "count": 80})
        >>> round(gap.gap, 4), round(gap.low, 4), round(gap.high, 4)
        (0.2, 0.0524, 0.3339)
    """
    if not (val["count"] and spillover["count"]):
        return SpilloverGap(math.nan, math.nan, math.nan)
    here, there = float(val["accuracy"]), float(spillover["accuracy"])
    (here_low, here_high), (there_low, there_high) = _interval(val), _interval(spillover)
    gap = here - there
    low = gap - math.hypot(here - here_low, there_high - there)
    high = gap + math.hypot(here_high - here, there - there_low)
    return SpilloverGap(gap, low, high)


def _interval(split: Mapping[str, Any]) -> Interval:
    if "accuracy_low" in split and "accuracy_high" in split:
        return float(split["accuracy_low"]), float(split["accuracy_high"])
    count = float(split["count"])
    return wilson(float(split["accuracy"]) * count, count)
