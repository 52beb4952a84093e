"""Plain-text tables: a run's results by split and domain, and a sweep's runs side by side.

Neither torch nor numpy is imported here, so that a sweep's table costs nothing. A number that is
not there is shown as –.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmx.metrics import SplitResult

ABSENT = "–"
SPLIT_NAMES = {"train": "training", "val": "validation", "spillover": "spillover"}

RESULT_HEADER = (
    "",
    "comparisons",
    "prompts",
    "accuracy [95 % interval]",
    "NLL",
    "Brier",
    "ECE (perfect)",
    "ties",
    "longer wins",
)
RESULT_NOTES = (
    "Ties are in no column but their own. Intervals resample prompts. A coin has NLL 0.693 and",
    "Brier 0.250. ECE (perfect): 95 % of perfectly calibrated models have an ECE below the number",
    "in brackets. Longer wins: the accuracy of preferring the longer completion, in characters.",
)
SWEEP_HEADER = (
    "best step",
    "val accuracy [95 %]",
    "val NLL",
    "ECE (perfect)",
    "spillover [95 %]",
    "seconds",
)


def results_table(results: Mapping[str, SplitResult]) -> str:
    """Return the table that a run ends with: splits, their domains indented below, and notes."""
    rows = []
    for split, result in results.items():
        rows.append((SPLIT_NAMES.get(split, split), *_result_cells(result)))
        rows.extend((f"  {name}", *_result_cells(part)) for name, part in result.domains.items())
    return "\n".join([text_table(RESULT_HEADER, rows), "", *RESULT_NOTES])


def sweep_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return one line a run, the highest validation accuracy first, failed runs last.

    Args:
        rows: for each run `changed`, the settings in which the sweep's runs differ, with the same
            keys in each row; what its results.json holds (`splits`, `best_step`), if it got there;
            its `seconds`; and its `error` if it failed.
    """
    changed = tuple(rows[0]["changed"]) if rows else ()

    def place(row: Mapping[str, Any]) -> float:
        accuracy = _split(row, "val").get("accuracy")
        return math.inf if accuracy is None else -accuracy

    cells = []
    for row in sorted(rows, key=place):
        first = tuple(row["changed"][key] for key in changed)
        failed = (f"failed: {row.get('error') or 'no results'}",)
        cells.append((*first, *(_sweep_cells(row) if row.get("splits") else failed)))
    return text_table((*changed, *SWEEP_HEADER), cells, num_left=len(changed))


def text_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, num_left: int = 1) -> str:
    """Return aligned columns with a rule below the header, the first `num_left` to the left.

    A row shorter than the header ends with a text that runs over the columns it lacks.
    """
    rows = [tuple(row) for row in rows]
    num_columns = len(header)
    widths = [len(name) for name in header]
    for row in rows:
        aligned = row if len(row) == num_columns else row[:-1]
        for i, cell in enumerate(aligned):
            widths[i] = max(widths[i], len(cell))

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if i < num_left or len(row) < num_columns else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        return "  ".join(cells).rstrip()

    rule = "─" * (sum(widths) + 2 * (num_columns - 1))
    return "\n".join([line(header), rule, *map(line, rows)])


def _result_cells(result: SplitResult) -> tuple[str, ...]:
    return (
        f"{result.count:,}",
        f"{result.num_prompts:,}",
        _accuracy(result.accuracy, result.accuracy_low, result.accuracy_high),
        _number(result.nll),
        _number(result.brier),
        _ece(result.ece, result.ece_null_p95),
        _percent(result.tie_rate),
        _percent(result.longer_wins),
    )


def _sweep_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    val, step, seconds = _split(row, "val"), row.get("best_step"), row.get("seconds")
    return (
        ABSENT if step is None else f"{step:,}",
        _split_accuracy(val),
        _number(val.get("nll")),
        _ece(val.get("ece"), val.get("ece_null_p95")),
        _split_accuracy(_split(row, "spillover")),
        ABSENT if seconds is None else f"{seconds:,.0f}",
    )


def _split(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return (row.get("splits") or {}).get(name) or {}


def _split_accuracy(split: Mapping[str, Any]) -> str:
    return _accuracy(split.get("accuracy"), split.get("accuracy_low"), split.get("accuracy_high"))


def _accuracy(value: float | None, low: float | None, high: float | None) -> str:
    if math.isnan(_or_nan(value)):
        return ABSENT
    interval = f"[{100 * _or_nan(low):.1f}, {100 * _or_nan(high):.1f}]"
    return f"{_percent(value)} {interval:>13}"  # as wide as [100.0, 100.0], so that rows align


def _ece(value: float | None, perfect: float | None) -> str:
    return ABSENT if math.isnan(_or_nan(value)) else f"{_number(value)} ({_number(perfect)})"


def _number(value: float | None) -> str:
    return ABSENT if math.isnan(_or_nan(value)) else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return ABSENT if math.isnan(_or_nan(value)) else f"{_or_nan(value):.1%}"


def _or_nan(value: float | None) -> float:
    """Return the number, or NaN for the null that JSON holds in its place."""
    return math.nan if value is None else value
