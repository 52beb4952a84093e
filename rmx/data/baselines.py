"""What a set's labels say before any model: who wins by length alone, and how often nobody does."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from rmx.types import TIE, PreferenceGroup

UNCLEAR_TIE_RATE = 0.3
TELLING_LENGTH = 0.1  # from a half: beyond it, length alone says a good deal


class LengthBaseline(NamedTuple):
    """Accuracy of "the longer completion wins" over `count` comparisons; nan where count is 0."""

    accuracy: float
    count: int

    @property
    def shorter_wins(self) -> float:
        return 1.0 - self.accuracy


def longer_wins(groups: Iterable[PreferenceGroup]) -> LengthBaseline:
    """Return how often the longer completion (in characters) is preferred, ties left out.

    Equal lengths count as half right, so "shorter wins" is one minus this.
    """
    return _mean(score for _, score in _longer_scores(groups))


def longer_wins_by_domain(groups: Iterable[PreferenceGroup]) -> dict[str, LengthBaseline]:
    """Return `longer_wins` for each domain that has a strict comparison, sorted by name."""
    scores: dict[str, list[float]] = defaultdict(list)
    for domain, score in _longer_scores(groups):
        scores[domain].append(score)
    return {domain: _mean(scores[domain]) for domain in sorted(scores)}


def lopsided_domains(groups: Iterable[PreferenceGroup]) -> dict[str, LengthBaseline]:
    """Return `longer_wins` of the domains where it is above 60 % or below 40 %.

    A domain so small that a fair coin does that as well (its 95 % interval, 0.98 / sqrt(count)
    about a half) is left out.
    """
    return {
        domain: baseline
        for domain, baseline in longer_wins_by_domain(groups).items()
        if abs(baseline.accuracy - 0.5) > max(TELLING_LENGTH, 0.98 / math.sqrt(baseline.count))
    }


def tie_rate(groups: Iterable[PreferenceGroup]) -> float:
    """Return the share of comparisons that are ties; nan where there are none."""
    return _mean(float(c.is_tie) for group in groups for c in group.comparisons).accuracy


def tie_warning(rate: float) -> str | None:
    """Return advice where ties are more frequent than a clear guide gives, else None."""
    if not rate > UNCLEAR_TIE_RATE:
        return None
    return (
        f"{rate:.0%} of the comparisons are ties, more than {UNCLEAR_TIE_RATE:.0%}: the annotation "
        "guide may be unclear; let two people judge the same pairs, and see what they call a tie"
    )


def _longer_scores(groups: Iterable[PreferenceGroup]) -> Iterable[tuple[str, float]]:
    for group in groups:
        for c in group.comparisons:
            if c.is_tie:
                continue
            extra = len(group.completions[c.chosen]) - len(group.completions[c.rejected])
            if c.preference < TIE:
                extra = -extra
            yield group.domain, 0.5 if extra == 0 else float(extra > 0)


def _mean(scores: Iterable[float]) -> LengthBaseline:
    found = list(scores)
    return LengthBaseline(sum(found) / len(found) if found else float("nan"), len(found))
