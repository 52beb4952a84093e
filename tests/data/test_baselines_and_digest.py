"""Length baselines, tie rates and the data's fingerprint."""

import math
from dataclasses import replace

import pytest

from rmx.data.baselines import (
    longer_wins,
    longer_wins_by_domain,
    lopsided_domains,
    tie_rate,
    tie_warning,
)
from rmx.data.digest import data_digest
from rmx.types import TIE, Comparison


def test_longer_wins_counts_equal_lengths_as_half_and_leaves_ties_out(make_group):
    groups = [
        make_group("longer", "short"),  # right
        make_group("a", "longer"),  # wrong
        make_group("same", "size"),  # half
        make_group("longer", "s", comparisons=(Comparison(0, 1, TIE),)),  # left out
        make_group(
            "s", "longer", comparisons=(Comparison(0, 1, 0.2),)
        ),  # rejected preferred: right
    ]
    assert longer_wins(groups) == (2.5 / 4, 4)
    assert longer_wins(groups).shorter_wins == 1.5 / 4


def test_baselines_are_kept_by_domain(make_group):
    groups = [make_group("longer", "s"), make_group("s", "longer", domain="math")]
    assert longer_wins_by_domain(groups) == {"coding": (1.0, 1), "math": (0.0, 1)}


@pytest.mark.parametrize(
    ("longer", "shorter", "lopsided"),
    [
        (60, 40, False),  # exactly 60 %
        (62, 38, True),
        (38, 62, True),
        (11, 5, False),  # 69 %, but a coin's interval at 16 is 50 % +- 24.5 %
        (12, 4, True),  # 75 %
    ],
)
def test_a_domain_is_lopsided_beyond_60_per_cent_and_chance(make_group, longer, shorter, lopsided):
    groups = [make_group("longer", "s")] * longer + [make_group("s", "longer")] * shorter
    assert list(lopsided_domains(groups)) == ["coding"] * lopsided


def test_nothing_to_count_is_nan(make_group):
    assert math.isnan(longer_wins([]).accuracy)
    assert math.isnan(tie_rate([]))
    assert tie_warning(math.nan) is None


def test_tie_rate_counts_comparisons_not_groups(make_group):
    many = (Comparison(0, 1, TIE), Comparison(0, 2), Comparison(1, 2))
    groups = [make_group("a", "b", "c", comparisons=many), make_group("a", "b")]
    assert tie_rate(groups) == 1 / 4


def test_many_ties_give_a_warning_and_thirty_per_cent_do_not():
    assert tie_warning(0.3) is None
    warning = tie_warning(0.31)
    assert warning is not None
    assert "31% of the comparisons are ties" in warning
    assert "annotation guide may be unclear" in warning


def test_the_digest_is_that_of_canonical_json(make_group):
    import hashlib

    line = (
        '{"comparisons":[{"chosen":0,"preference":1.0,"rejected":1,"strength":null,'
        '"true_preference":null,"weight":1.0}],"completions":["\\u00e4","b"],"domain":"coding",'
        '"id":"g","prompt":[{"content":"question","role":"user"}],"ratings":null,'
        '"source":"unknown"}\n'
    )
    assert data_digest([make_group("ä", "b")]) == hashlib.sha256(line.encode()).hexdigest()


def test_the_digest_sees_each_field_and_the_order(make_group):
    first, second = make_group("a", "b"), make_group("c", "d")
    found = data_digest([first, second])
    assert found == data_digest(iter([first, second]))
    assert found != data_digest([second, first])
    for change in (
        {"id": "h"},
        {"domain": "math"},
        {"ratings": (1.0, 0.0)},
        {"comparisons": (Comparison(0, 1, weight=2.0),)},
    ):
        assert found != data_digest([replace(first, **change), second])


def test_a_number_that_json_lacks_is_refused(make_group):
    with pytest.raises(ValueError, match="not JSON compliant"):
        data_digest([make_group("a", "b", ratings=(float("nan"), 1.0))])
