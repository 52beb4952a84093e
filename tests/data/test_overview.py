"""The lines that a run begins with, and the warnings among them."""

import pytest

from rmx.data.overview import overview
from rmx.types import TIE, Comparison

TIED = (Comparison(0, 1, TIE),)


@pytest.fixture
def some(make_group):
    """Return `count` groups with prompts of their own; the chosen completion is the longer one."""

    def build(name: str, count: int = 1, *, completions=("longer", "s"), **options):
        return [make_group(*completions, prompt=f"{name} {i}", **options) for i in range(count)]

    return build


def warnings(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("warning:")]


def test_each_split_has_a_line_that_names_the_unit_of_length(some):
    train = some("a", 2) + some("b", 2, completions=("s", "longer"), domain="math")
    val = some("c", 3) + some("d", 1, comparisons=TIED)
    assert overview(train, {"val": val}).splitlines() == [
        "train           4 comparisons, ties 0%, longer wins 50.0% (characters): coding 2, math 2",
        "val             4 comparisons, ties 25%, longer wins 100.0% (characters): coding 4",
    ]


def test_a_split_of_ties_has_no_length_baseline(some):
    line = overview(some("a"), {"val": some("b", comparisons=TIED)}).splitlines()[1]
    assert line == "val             1 comparisons, ties 100%: coding 1"


def test_training_domains_that_length_gives_away_share_a_line(some):
    train = some("a", 30) + some("b", 30, completions=("s", "longer"), domain="math")
    train += some("c", 30, completions=("same", "size"), domain="chat")
    assert overview(train, {}).splitlines()[1:] == [
        "longer wins by domain (train, outside 40-60%): coding 100%, math 0%"
    ]


def test_training_prompts_in_other_splits_are_counted_in_one_line(some):
    others = {
        "val": some("a", 2) + some("b", 3),
        "spillover": some("A ", 1, domain="math") + some("c", 1, domain="math"),
    }
    assert warnings(overview(some("a", 9), others)) == [
        "warning: train shares first user turns with val (2 of 5 groups, 2 by the whole prompt), "
        "spillover (1 of 2 groups, 1 by the whole prompt); accuracy there may be memory: keep each "
        "prompt on one side"
    ]


def test_spillover_of_a_training_domain_is_called_seen(some):
    others = {"val": some("b"), "spillover": some("c", 2) + some("d", 6, domain="math")}
    assert warnings(overview(some("a"), others)) == [
        "warning: spillover shares the domain coding (25% of its comparisons) with training, so "
        "it is not unseen"
    ]


def test_groups_without_a_domain_are_not_called_seen(some):
    others = {"spillover": some("b", domain="unknown")}
    assert warnings(overview(some("a", domain="unknown"), others)) == []


def test_many_ties_in_training_are_a_warning(some):
    train = some("a", 1) + some("b", 1, comparisons=TIED)
    assert "50% of the comparisons are ties" in warnings(overview(train, {}))[0]
