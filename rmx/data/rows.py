"""One JSON object → one PreferenceGroup, strictly: a row is understood or refused with a reason.

A row's columns tell its form:

| columns | form |
|---|---|
| `chosen`, `rejected`, optional `prompt` | a pair: TRL's preference columns, as texts or messages |
| `completions`, `ratings` | rated: each two completions are compared, equal ratings are ties |
| `completions`, `ranking` | ranked: 0 or 1 for the best, equal ranks are ties |
| `completions`, `comparisons` | judged: a list of {chosen, rejected, …} with indices |

A pair and an entry of `comparisons` may have `tie`, `preference` (0–1), `strength` (in a pair also
named `margin`) and `weight`. Every row may have `domain`, `source` and `id`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import combinations
from typing import Any

from rmx.data.columns import Columns, RowError, index, items, number, shown
from rmx.data.conversations import read_completion, read_prompt, shared_prompt
from rmx.types import TIE, Comparison, PreferenceGroup

_JUDGEMENT = frozenset({"chosen", "rejected", "tie", "preference", "strength", "weight"})
_MANY = frozenset({"completions", "ratings", "ranking", "comparisons"})
COLUMNS = _JUDGEMENT | _MANY | {"prompt", "margin", "domain", "source", "id"}


class RowReader:
    """Reads rows of one file; remembers the columns that it had no use for.

    Args:
        strength_scale: the largest `margin` or `strength` on the file's scale; they are divided
            by it.
        rating_range: best minus worst possible rating; a rated comparison's strength is its gap in
            ratings over this. None: ratings only order the completions.
    """

    def __init__(self, *, strength_scale: float = 1.0, rating_range: float | None = None) -> None:
        self.strength_scale = strength_scale
        self.rating_range = rating_range
        self.unread: set[str] = set()

    def read(self, row: Any, *, default_id: str) -> PreferenceGroup:
        """Return the row's group.

        Raises:
            RowError: naming the field, the reason and the remedy.
        """
        if not isinstance(row, dict):
            raise RowError("", f"a row must be a JSON object, got {shown(row)}", "use {…} a line")
        columns = Columns(row)
        if "completions" in row and ("chosen" in row or "rejected" in row):
            raise RowError(
                "completions",
                "stands beside 'chosen' or 'rejected'",
                "keep one form: a pair, or completions with ratings, ranking or comparisons",
            )
        if "completions" in row:
            prompt, completions, comparisons, ratings = self._many(columns)
        elif "chosen" in row or "rejected" in row:
            prompt, completions, comparisons = self._pair(columns)
            ratings = None
        else:
            raise RowError(
                "chosen",
                f"is missing among {', '.join(columns.names) or 'no columns'}",
                "a row needs chosen and rejected, or completions with ratings, ranking or "
                "comparisons",
            )
        group = PreferenceGroup(
            id=columns.label("id", default_id),
            prompt=prompt,
            completions=completions,
            comparisons=comparisons,
            domain=columns.label("domain", "unknown"),
            source=columns.label("source", "unknown"),
            ratings=ratings,
        )
        self.unread |= columns.unread
        return group

    def _pair(self, columns: Columns):
        chosen, rejected = columns.required("chosen"), columns.required("rejected")
        given = columns.optional("prompt")
        prompt = shared_prompt(chosen, rejected) if given is None else read_prompt(given)
        completions = (
            read_completion(chosen, "chosen", prompt),
            read_completion(rejected, "rejected", prompt),
        )
        if "margin" in columns and "strength" in columns:
            raise RowError("margin", "stands beside 'strength'", "keep one of the two")
        name = "strength" if "strength" in columns else "margin"
        comparison = self._judgement(columns, 0, 1, name, completions)
        return prompt, completions, (comparison,)

    def _many(self, columns: Columns):
        prompt = read_prompt(columns.required("prompt"))
        completions = tuple(
            read_completion(value, f"completions[{i}]", prompt)
            for i, value in enumerate(items(columns.required("completions"), "completions"))
        )
        if len(completions) < 2:
            raise RowError(
                "completions",
                f"must be at least 2, got {len(completions)}",
                "a single completion has nothing to be compared with: remove the row",
            )
        ratings = _numbers(columns, "ratings", len(completions))
        ranking = _numbers(columns, "ranking", len(completions))
        judged = columns.optional("comparisons")
        if ranking is not None and (judged is not None or ratings is not None):
            other = "comparisons" if judged is not None else "ratings"
            raise RowError("ranking", f"stands beside '{other}'", "keep one of the two")
        if judged is not None:
            comparisons = self._judged(items(judged, "comparisons"), completions)
        elif ratings is not None:
            comparisons = self._rated(ratings)
        elif ranking is not None:
            comparisons = compare_all([-rank for rank in ranking])
        else:
            raise RowError(
                "ratings", "is missing", "completions need ratings, ranking or comparisons"
            )
        return prompt, completions, comparisons, ratings

    def _judged(self, entries: list[Any], completions: Sequence[str]) -> tuple[Comparison, ...]:
        if not entries:
            raise RowError("comparisons", "is empty", "fill it in or remove the row")
        comparisons = []
        for i, entry in enumerate(entries):
            field = f"comparisons[{i}]"
            if not isinstance(entry, dict):
                raise RowError(field, f"must be an object, got {shown(entry)}", "use {chosen, …}")
            columns = Columns(entry)
            try:
                chosen = index(columns.required("chosen"), "chosen", len(completions))
                rejected = index(columns.required("rejected"), "rejected", len(completions))
                if chosen == rejected:
                    raise RowError("rejected", "equals 'chosen'", "compare two completions")
                comparison = self._judgement(columns, chosen, rejected, "strength", completions)
            except RowError as error:
                raise RowError(f"{field}.{error.field}", error.reason, error.remedy) from None
            for name in sorted(columns.unread):
                raise RowError(f"{field}.{name}", "is unknown", suggest(name, _JUDGEMENT))
            comparisons.append(comparison)
        return tuple(comparisons)

    def _rated(self, ratings: Sequence[float]) -> tuple[Comparison, ...]:
        if self.rating_range is None:
            return compare_all(ratings)
        gap = max(ratings) - min(ratings)
        if gap > self.rating_range:
            raise RowError(
                "ratings",
                f"differ by {gap:g}, more than data.rating_range={self.rating_range:g}",
                "set it to the best minus the worst possible rating",
            )
        return compare_all(ratings, strength_per_unit=1 / self.rating_range)

    def _judgement(
        self, columns: Columns, chosen: int, rejected: int, strength_name: str, texts: Sequence[str]
    ) -> Comparison:
        preference = _preference(columns)
        strength = self._strength(columns, strength_name, is_tie=preference == TIE)
        weight = columns.number("weight")
        if weight is not None and weight <= 0:
            raise RowError("weight", f"must be > 0, got {weight:g}", "remove what shall not count")
        if preference != TIE and texts[chosen] == texts[rejected]:
            raise RowError(
                "rejected", "equals the chosen text", "mark it as a tie or remove the row"
            )
        return Comparison(chosen, rejected, preference, strength, 1.0 if weight is None else weight)

    def _strength(self, columns: Columns, name: str, *, is_tie: bool) -> float | None:
        given = columns.number(name)
        if given is None:
            return None
        if given < 0:
            raise RowError(name, f"must be >= 0, got {given:g}", "swap chosen and rejected")
        if given == 0:
            return None  # no difference was measured; the label alone says which is better
        if is_tie:
            raise RowError(name, f"is {given:g} for a tie", "set it to 0 or null, or unset the tie")
        if given > self.strength_scale:
            raise RowError(
                name,
                f"must be at most {self.strength_scale:g}, got {given:g}",
                f"set data.strength_scale to the scale's largest {name}",
            )
        return given / self.strength_scale


def compare_all(
    scores: Sequence[float], *, strength_per_unit: float | None = None
) -> tuple[Comparison, ...]:
    """Return a comparison of each two completions, the higher score chosen, equal ones a tie."""
    comparisons = []
    for a, b in combinations(range(len(scores)), 2):
        if scores[a] == scores[b]:
            comparisons.append(Comparison(a, b, TIE))
            continue
        chosen, rejected = (a, b) if scores[a] > scores[b] else (b, a)
        gap = scores[chosen] - scores[rejected]
        strength = None if strength_per_unit is None else min(gap * strength_per_unit, 1.0)
        comparisons.append(Comparison(chosen, rejected, strength=strength))
    return tuple(comparisons)


def suggest(name: str, known: frozenset[str] | Mapping[str, Any]) -> str:
    """Return the remedy for a name that isn't one of the known."""
    close = get_close_matches(name, sorted(known), n=1)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(sorted(known))}"


def _preference(columns: Columns) -> float:
    is_tie = columns.flag("tie")
    preference = columns.number("preference")
    if preference is None:
        return TIE if is_tie else 1.0
    if not 0 <= preference <= 1:
        raise RowError(
            "preference",
            f"must be in [0, 1], got {preference:g}",
            "it is the probability that chosen is preferred",
        )
    if is_tie and preference != TIE:
        raise RowError("preference", f"is {preference:g} for a tie", "set it to 0.5 or null")
    return preference


def _numbers(columns: Columns, name: str, size: int) -> tuple[float, ...] | None:
    value = columns.optional(name)
    if value is None:
        return None
    values = tuple(number(v, f"{name}[{i}]") for i, v in enumerate(items(value, name)))
    if len(values) != size:
        raise RowError(name, f"has {len(values)} for {size} completions", "give one a completion")
    return values
