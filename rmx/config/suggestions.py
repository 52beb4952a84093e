"""What a wrong name was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the nearest of `known`, or "" where none is near.

    >>> did_you_mean("los", ["loss", "model"])
    "; did you mean 'loss'?"
    """
    known = list(known)
    folded = {other.lower().replace("-", "_"): other for other in known}
    name = name.lower().replace("-", "_")
    near = get_close_matches(name, folded, n=1, cutoff=0.6)
    if not near and len(name) >= 2:
        near = [other for other in folded if other.startswith(name)][:1]
    return f"; did you mean '{folded[near[0]]}'?" if near else ""
