"""Surface features, and how well each alone would predict the preferences: the shortcuts."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence

from rmx.types import PreferenceGroup

FEATURES: dict[str, Callable[[str], float]] = {
    "length": len,
    "words": lambda text: len(text.split()),
    "mean word length": lambda text: sum(map(len, text.split())) / len(text.split()),
    "lines": lambda text: text.count("\n"),
    "digits": lambda text: sum(c.isdigit() for c in text),
    "punctuation": lambda text: sum(c in string.punctuation for c in text),
    "uppercase": lambda text: sum(c.isupper() for c in text),
    "non-ascii": lambda text: sum(not c.isascii() for c in text),
    "unique words": lambda text: len(set(text.split())) / len(text.split()),
    "ends with a full stop": lambda text: text.endswith("."),
    "starts with a capital": lambda text: text[:1].isupper(),
}


def greater_wins(groups: Sequence[PreferenceGroup], feature: Callable[[str], float]) -> float:
    """Return the accuracy of preferring the greater value on strict comparisons, equals half."""
    scores = []
    for group in groups:
        values = [feature(text) for text in group.completions]
        for c in group.comparisons:
            if not c.is_tie:
                margin = values[c.chosen] - values[c.rejected]
                scores.append(0.5 if margin == 0 else float(margin > 0))
    return sum(scores) / len(scores)
