"""The simulated annotators: Rao-Kupper's model, strengths, ratings and the Bayes accuracy."""

import math
import random
from statistics import mean

import pytest

from rmx.data.demo import bayes_accuracy
from rmx.data.demo.annotators import TIE_BAND, UTILITY, compare, rate, true_preference
from rmx.types import TIE, Comparison, Message, PreferenceGroup


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def draw(kinds, number=20_000):
    rng = random.Random(0)
    return [compare(kinds, rng)[0] for _ in range(number)]


def test_true_preferences_of_a_pair_sum_to_one():
    for difference in (0.0, 1.5, -3.5, 10.0):
        assert true_preference(difference) + true_preference(-difference) == pytest.approx(1)


def test_true_preference_by_hand():
    # Rao-Kupper: sigmoid(d - eta) : sigmoid(-d - eta); d = 3.5, eta = 1.5 gives sigmoid(2) = 0.8808
    # and sigmoid(-5) = 0.0067, hence 0.8808 / 0.8875 = 0.9925
    assert TIE_BAND == 1.5
    assert true_preference(3.5) == pytest.approx(0.9925, abs=1e-4)


def test_equal_completions_tie_as_often_as_rao_kupper_says():
    # tanh(eta / 2) at no difference; 20,000 draws have a standard error below 0.0036
    ties = mean(c.is_tie for c in draw(["correct", "correct"]))
    assert ties == pytest.approx(math.tanh(TIE_BAND / 2), abs=0.012)


def test_drawn_preferences_follow_the_stated_probabilities():
    difference = UTILITY["off_topic"] - UTILITY["shuffled"]
    draws = draw(["off_topic", "shuffled"])
    assert mean(c.is_tie for c in draws) == pytest.approx(
        1 - sigmoid(difference - TIE_BAND) - sigmoid(-difference - TIE_BAND), abs=0.012
    )
    strict = [c for c in draws if not c.is_tie]
    assert mean(c.chosen == 0 for c in strict) == pytest.approx(
        true_preference(difference), abs=0.01
    )
    stated = {c.true_preference for c in strict if c.chosen == 0}
    assert stated == {true_preference(difference)}


def test_only_strict_comparisons_have_a_strength_and_it_grows_with_the_difference():
    near, far = draw(["wrong", "truncated"]), draw(["correct", "garbled"])
    for c in near + far:
        assert (c.strength is None) == c.is_tie
        assert c.is_tie or c.strength in (1 / 3, 2 / 3, 1)
        assert c.preference == (TIE if c.is_tie else 1.0)
    assert mean(c.strength for c in near if c.strength) < 0.6
    assert mean(c.strength for c in far if c.strength) > 0.95


def test_ratings_are_from_1_to_5_and_follow_utility_with_noise():
    rng = random.Random(0)
    kinds = sorted(UTILITY, key=UTILITY.__getitem__)
    draws = [rate(kinds, rng) for _ in range(500)]
    means = [mean(column) for column in zip(*draws, strict=True)]
    assert means == sorted(means) or means == pytest.approx(sorted(means), abs=0.05)
    assert means[-1] - means[0] > 2.5
    assert all(1 <= rating <= 5 for ratings in draws for rating in ratings)
    assert len({ratings[-2] for ratings in draws}) > 3


def test_bayes_accuracy_is_the_mean_of_the_better_probability_on_strict_comparisons():
    def group(*comparisons):
        return PreferenceGroup("g", (Message("user", "?"),), ("a", "b"), comparisons)

    groups = [
        group(Comparison(0, 1, true_preference=0.9), Comparison(1, 0, true_preference=0.3)),
        group(Comparison(0, 1, preference=TIE, true_preference=0.5)),
    ]
    assert bayes_accuracy(groups) == pytest.approx((0.9 + 0.7) / 2)
