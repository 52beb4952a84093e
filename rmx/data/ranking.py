"""Ranks of a group's completions, where its ratings or comparisons determine them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from rmx.types import TIE, Comparison


def ranks_from_ratings(ratings: Sequence[float]) -> tuple[int, ...]:
    """Return 0 for the best rating, 1 for the next lower, …; equal ratings share a rank."""
    order = sorted(set(ratings), reverse=True)
    return tuple(order.index(rating) for rating in ratings)


def ranks_from_comparisons(
    num_completions: int, comparisons: Sequence[Comparison]
) -> tuple[int, ...] | None:
    """Return the ranks that the comparisons determine, None where they don't.

    They do where each two completions are compared, no two judgements of them disagree, and the
    outcomes are transitive, ties included (a weak order).
    """
    outcome: dict[tuple[int, int], int] = {}
    for c in comparisons:
        sign = (c.preference > TIE) - (c.preference < TIE)
        for pair, value in (((c.chosen, c.rejected), sign), ((c.rejected, c.chosen), -sign)):
            if outcome.setdefault(pair, value) != value:
                return None
    if len(outcome) != num_completions * (num_completions - 1):
        return None
    # In a weak order, how many completions one beats determines its place.
    num_beaten = [
        sum(outcome[a, b] > 0 for b in range(num_completions) if b != a)
        for a in range(num_completions)
    ]
    for a, b in combinations(range(num_completions), 2):
        by_count = (num_beaten[a] > num_beaten[b]) - (num_beaten[a] < num_beaten[b])
        if by_count != outcome[a, b]:
            return None
    return ranks_from_ratings(num_beaten)
