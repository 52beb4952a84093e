"""Signs of overfitting in a run's history, and a verdict that needs several of them to agree.

No single number shows it: a gap may be a harder domain, a rising NLL may come with better ranking,
a growing reward scale is what learning looks like. Together, and while accuracy stands still, they
do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

History = Sequence[Mapping[str, float]]

# Below 5 points a gap changes no decision; the noise of the two accuracies comes on top.
TRAIN_GAP = 0.05
# Unseen domains are harder for any model, so their gap says something from twice that on.
SPILLOVER_GAP = 0.10
# Accuracy "stands still" within 1 point: the standard error at 2,000 comparisons.
STILL_ACCURACY = 0.01
# 0.02 nats is about the standard error of a mean NLL over 1,000 comparisons.
NLL_RISE = 0.02
# At 1,000 comparisons a perfect model's ECE has its 95th percentile 0.015 above its mean.
ECE_RISE = 0.03
# A scale of 1.5 turns a true 80 % into a stated 89 %.
SPREAD_GROWTH = 1.5
# Signs that must agree before a run is called overfitted.
MIN_SIGNS = 2
_Z = 1.96  # 95 %, two-sided


@dataclass(frozen=True)
class Sign:
    """One piece of evidence.

    Attributes:
        name: train_gap, spillover_gap, nll_rise, ece_rise or reward_drift.
        value: what was seen, in the units of `threshold`, which it exceeds.
        text: one line for people.
    """

    name: str
    value: float
    threshold: float
    text: str


@dataclass(frozen=True)
class Verdict:
    """Whether several signs agree; `text` is one line for people."""

    is_overfit: bool
    signs: tuple[Sign, ...]
    text: str


def overfit_signs(history: History) -> list[Sign]:
    """Return the signs that the last validation shows.

    Args:
        history: one mapping a validation, oldest first, with any of the keys `step`,
            `train/accuracy`, `train/count`, `val/accuracy`, `val/count`, `val/nll`, `val/ece`,
            `val/reward_std`, `spillover/accuracy`, `spillover/count`. A sign whose numbers are
            absent or NaN is not looked for. Counts widen the thresholds of the gaps by the noise.
    """
    if not history:
        return []
    last = history[-1]
    plateau = _plateau(history)
    found = [
        _gap(last, "train", "val", "train_gap", TRAIN_GAP),
        _gap(last, "val", "spillover", "spillover_gap", SPILLOVER_GAP),
        _rise(plateau, "val/nll", "nll_rise", NLL_RISE),
        _rise(plateau, "val/ece", "ece_rise", ECE_RISE),
        _drift(plateau),
    ]
    return [sign for sign in found if sign is not None]


def verdict(signs: Sequence[Sign]) -> Verdict:
    """Return "overfitted" where at least two signs agree."""
    names = ", ".join(sign.name for sign in signs)
    if len(signs) >= MIN_SIGNS:
        text = f"overfitting: {len(signs)} signs agree ({names})"
    elif signs:
        text = f"one sign of overfitting ({names}); it takes {MIN_SIGNS}"
    else:
        text = "no sign of overfitting"
    return Verdict(len(signs) >= MIN_SIGNS, tuple(signs), text)


def _plateau(history: History) -> History:
    """Return the validations since accuracy was first as good as now, within STILL_ACCURACY."""
    now = _get(history[-1], "val/accuracy")
    for place, entry in enumerate(history):
        if _get(entry, "val/accuracy") >= now - STILL_ACCURACY:
            return history[place:]
    return history[-1:]  # no accuracy: nothing can be said about standing still


def _gap(
    last: Mapping[str, float], first: str, second: str, name: str, minimum: float
) -> Sign | None:
    higher, lower = _get(last, f"{first}/accuracy"), _get(last, f"{second}/accuracy")
    noise = _Z * math.hypot(_error(last, first), _error(last, second))
    threshold = max(minimum, noise)
    if not higher - lower > threshold:  # NaN is no sign
        return None
    text = (
        f"{first} accuracy {higher:.1%} is {100 * (higher - lower):.1f} points above "
        f"{second} accuracy {lower:.1%} (threshold {100 * threshold:.1f})"
    )
    return Sign(name, higher - lower, threshold, text)


def _rise(plateau: History, key: str, name: str, threshold: float) -> Sign | None:
    values = [value for entry in plateau if not math.isnan(value := _get(entry, key))]
    now = _get(plateau[-1], key)
    if not values or not now - min(values) > threshold:
        return None
    text = (
        f"{key} rose from {min(values):.3f} to {now:.3f} while val/accuracy stood still"
        f"{_since(plateau)} (threshold {threshold})"
    )
    return Sign(name, now - min(values), threshold, text)


def _drift(plateau: History) -> Sign | None:
    first, now = _get(plateau[0], "val/reward_std"), _get(plateau[-1], "val/reward_std")
    if not (first > 0 and now / first > SPREAD_GROWTH):
        return None
    text = (
        f"rewards drift to extremes: val/reward_std grew from {first:.2f} to {now:.2f} while "
        f"val/accuracy stood still{_since(plateau)} (threshold ×{SPREAD_GROWTH})"
    )
    return Sign("reward_drift", now / first, SPREAD_GROWTH, text)


def _error(entry: Mapping[str, float], split: str) -> float:
    """Return the accuracy's standard error, 0 where the count is not known."""
    accuracy, count = _get(entry, f"{split}/accuracy"), _get(entry, f"{split}/count")
    return math.sqrt(accuracy * (1 - accuracy) / count) if count > 0 else 0.0


def _since(plateau: History) -> str:
    return f" since step {plateau[0]['step']:.0f}" if "step" in plateau[0] else ""


def _get(entry: Mapping[str, float], key: str) -> float:
    return float(entry.get(key, math.nan))
