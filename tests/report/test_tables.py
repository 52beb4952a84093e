"""Tables: what a person reads at the end of a run or a sweep."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from rmx.metrics import Predictions, SplitResult, summarise
from rmx.report.tables import ABSENT, results_table, sweep_table, text_table

FIELDS = SplitResult.__dataclass_fields__


def result(domains=None, **known) -> SplitResult:
    """A result whose numbers are absent unless given."""
    values = {name: 0 if name.startswith(("count", "num")) else math.nan for name in FIELDS}
    return SplitResult(**{**values, "domains": domains or {}, **known})  # type: ignore[arg-type]


def half_right(num_pairs: int) -> Predictions:
    """Margins that alternate between right and wrong, each pair a prompt of its own."""
    place, nan = np.arange(num_pairs), np.full(num_pairs, np.nan)
    margin = np.where(place % 2 == 0, 1.0, -1.0)
    ones = np.ones(num_pairs)
    return Predictions(place, place, 0 * place, ones, nan, margin, margin, nan, nan)


def cells(line: str) -> list[str]:
    return line.replace(", ", ",").replace(" (", "(").split()


def test_a_row_holds_the_numbers_of_its_split():
    known = result(
        count=1234,
        num_prompts=410,
        accuracy=0.8462,
        accuracy_low=0.827,
        accuracy_high=0.8654,
        nll=0.3911,
        brier=0.1204,
        ece=0.0402,
        ece_null_p95=0.0551,
        tie_rate=0.125,
        longer_wins=0.502,
    )
    line = results_table({"val": known}).splitlines()[2]
    expected = "validation 1,234 410 84.6% [82.7,86.5] 0.391 0.120 0.040(0.055) 12.5% 50.2%"
    assert " ".join(cells(line)) == expected


def test_domains_are_indented_below_their_split_and_splits_keep_their_order():
    results = {
        "train": result({"code": result(), "maths": result()}),
        "spillover": result({"law": result()}),
    }
    lines = results_table(results).splitlines()
    names = [line[:12].rstrip() for line in lines[2:7]]
    assert names == ["training", "  code", "  maths", "spillover", "  law"]


def test_what_is_not_there_is_a_dash_and_never_nan():
    text = results_table({"val": result()})
    assert "nan" not in text.lower()
    assert text.splitlines()[2].split() == ["validation", "0", "0", *6 * [ABSENT]]


def test_a_summary_fits_the_table_and_columns_line_up():
    text = results_table({"val": summarise(half_right(200), ["code"])})
    header, rule, *rows = text.splitlines()[:4]
    assert len({len(header), len(rule), *(len(row) for row in rows)}) == 1
    assert len(header) <= 120
    assert "50.0%" in rows[0]


def sweep_row(loss: str, accuracy: float | None, **more):
    splits = {"val": {"accuracy": accuracy, "accuracy_low": 0.5, "accuracy_high": 1.0}}
    return {"changed": {"loss": loss}, "splits": splits, "best_step": 50, **more}


def test_a_sweep_shows_the_best_run_first_and_failures_last_with_their_reason():
    rows = [
        {"changed": {"loss": "hinge"}, "error": "DataError: no rows"},
        sweep_row("bt", 0.7),
        sweep_row("mse", 0.8),
        {"changed": {"loss": "brier"}},
        sweep_row("kwise", None),
    ]
    lines = sweep_table(rows).splitlines()[2:]
    assert [line.split()[0] for line in lines[:2]] == ["mse", "bt"]
    assert "failed: DataError: no rows" in lines[2]
    assert "failed: no results" in lines[3]
    assert lines[4].split() == ["kwise", "50", *5 * [ABSENT]]


def test_a_sweeps_row_reads_what_results_json_holds():
    written = json.loads(json.dumps({"val": summarise(half_right(200)).to_dict()}))
    line = sweep_table([{"changed": {}, "splits": written, "best_step": 7}]).splitlines()[2]
    assert cells(line)[:2] == ["7", "50.0%"]
    assert ABSENT in line, "there was no spillover"


def test_an_empty_sweep_is_a_header():
    assert len(sweep_table([]).splitlines()) == 2


def test_a_long_text_at_the_end_of_a_short_row_widens_no_column():
    table = text_table(("a", "b", "c"), [("x", "1", "2"), ("y", "a long explanation")])
    assert table.splitlines() == ["a  b  c", "───────", "x  1  2", "y  a long explanation"]


@pytest.mark.slow
def test_importing_tables_imports_neither_torch_nor_numpy():
    code = (
        "import sys, rmx.report.tables; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
