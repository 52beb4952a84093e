"""Ranks from ratings, and from comparisons where these determine them."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmx.data.ranking import ranks_from_comparisons, ranks_from_ratings
from rmx.data.rows import compare_all
from rmx.types import TIE, Comparison


def test_equal_ratings_share_a_rank_and_none_is_left_out():
    assert ranks_from_ratings([2.0, 5.0, 2.0, 1.0]) == (1, 0, 1, 2)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=7))
def test_all_comparisons_of_ratings_give_back_their_ranks(ratings):
    assert ranks_from_comparisons(len(ratings), compare_all(ratings)) == ranks_from_ratings(ratings)


@pytest.mark.parametrize(("a", "b", "c"), list(permutations(range(3))))
def test_a_cycle_has_no_ranks(a, b, c):
    cycle = [Comparison(a, b), Comparison(b, c), Comparison(c, a)]
    assert ranks_from_comparisons(3, cycle) is None


def test_ties_that_are_not_transitive_have_no_ranks():
    # 0 = 1 and 1 = 2, yet 0 beats 2.
    comparisons = [Comparison(0, 1, TIE), Comparison(1, 2, TIE), Comparison(0, 2)]
    assert ranks_from_comparisons(3, comparisons) is None


def test_a_missing_comparison_leaves_no_ranks():
    assert ranks_from_comparisons(3, [Comparison(0, 1), Comparison(1, 2)]) is None


def test_judgements_that_disagree_have_no_ranks_and_repeated_ones_do():
    assert ranks_from_comparisons(2, [Comparison(0, 1), Comparison(1, 0)]) is None
    assert ranks_from_comparisons(2, [Comparison(0, 1), Comparison(1, 0, 0.2)]) == (0, 1)
