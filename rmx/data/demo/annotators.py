"""Simulated annotators: from the kinds of two completions to a preference, a strength, ratings.

An annotator perceives `utility(a) - utility(b)` plus logistic noise, and calls a tie whatever lies
within TIE_BAND of zero. So P(a preferred) = sigmoid(difference - TIE_BAND), P(b preferred) =
sigmoid(-difference - TIE_BAND): Rao & Kupper's model (1967) with eta = TIE_BAND.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

from rmx.types import TIE, Comparison, PreferenceGroup

TIE_BAND = 1.5  # eta; two equal completions tie with probability tanh(eta / 2) = 0.64
UTILITY = {  # in logits
    "correct": 12.0,
    "wrong": 8.0,  # one thing wrong, all else right
    "truncated": 5.0,
    "off_topic": 5.0,
    "looping": 2.5,
    "shuffled": 0.0,
    "garbled": 0.0,
}
SLIGHT, CLEAR = 4.0, 8.0  # perceived differences from which a preference is stronger
NUM_RATERS = 3


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def true_preference(difference: float) -> float:
    """Return P(first preferred | no tie) for a difference in utility."""
    first, second = sigmoid(difference - TIE_BAND), sigmoid(-difference - TIE_BAND)
    return first / (first + second)


def compare(kinds: Sequence[str], rng: random.Random) -> tuple[Comparison, ...]:
    """Return a judgement of every pair of completions."""
    comparisons = []
    for a, b in itertools.combinations(range(len(kinds)), 2):
        uniform = rng.random()
        noise = math.log(uniform / (1 - uniform))
        perceived = UTILITY[kinds[a]] - UTILITY[kinds[b]] + noise
        chosen, rejected = (a, b) if perceived > 0 else (b, a)
        is_tie = abs(perceived) < TIE_BAND
        strength = (1 + (abs(perceived) > SLIGHT) + (abs(perceived) > CLEAR)) / 3
        comparisons.append(
            Comparison(
                chosen,
                rejected,
                preference=TIE if is_tie else 1.0,
                strength=None if is_tie else strength,
                true_preference=true_preference(UTILITY[kinds[chosen]] - UTILITY[kinds[rejected]]),
            )
        )
    return tuple(comparisons)


def rate(kinds: Sequence[str], rng: random.Random) -> tuple[float, ...]:
    """Return each completion's mean rating by three raters, from 1 to 5."""
    best = max(UTILITY.values())

    def rating(kind: str) -> int:
        return min(5, max(1, round(1 + 4 * UTILITY[kind] / best + rng.gauss(0, 0.6))))

    return tuple(sum(rating(kind) for _ in range(NUM_RATERS)) / NUM_RATERS for kind in kinds)


def bayes_accuracy(groups: Sequence[PreferenceGroup]) -> float:
    """Return the accuracy of who knows the utilities, on strict comparisons."""
    best = [
        max(comparison.true_preference, 1 - comparison.true_preference)
        for group in groups
        for comparison in group.comparisons
        if not comparison.is_tie and comparison.true_preference is not None
    ]
    return sum(best) / len(best)
