import math
from itertools import pairwise

import pytest
import torch

from rmx.errors import ConfigError
from rmx.losses import (
    BradleyTerry,
    Ordinal,
    RaoKupper,
    bradley_terry,
    ordinal,
    ordinal_log_probs,
    rao_kupper_log_probs,
)
from rmx.losses.graded import strength_grade

CUTS = torch.tensor([0.3, 1.1], dtype=torch.float64)
NAN = math.nan


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_levels_are_differences_of_the_cumulative_logit():
    cut_B = torch.tensor([-1.1, -0.3, 0.3, 1.1], dtype=torch.float64)
    margin_P = torch.linspace(-5, 5, 11, dtype=torch.float64)
    below_PB = torch.sigmoid(cut_B - margin_P[:, None])
    bounded = torch.cat([torch.zeros(11, 1), below_PB, torch.ones(11, 1)], dim=-1)
    prob_PK = ordinal_log_probs(margin_P, cut_B).exp()
    torch.testing.assert_close(prob_PK, bounded.diff(dim=-1))
    torch.testing.assert_close(prob_PK.sum(-1), torch.ones(11, dtype=torch.float64))


def test_one_cut_point_at_0_is_bradley_terry():
    margin_P = torch.linspace(-9, 9, 19)
    log_prob_P2 = ordinal_log_probs(margin_P, torch.zeros(1))
    torch.testing.assert_close(log_prob_P2[:, 1], -bradley_terry(margin_P))
    torch.testing.assert_close(log_prob_P2[:, 0], -bradley_terry(margin_P, 0.0))


def test_two_levels_are_bradley_terry(make_pairs):
    batch, reward_C = make_pairs([1.0, 0.5, 0.2], strengths=[0.2, NAN, 1.0]), torch.randn(6)
    loss = Ordinal(num_levels=2)
    torch.testing.assert_close(loss(reward_C, batch), BradleyTerry()(reward_C, batch))
    assert list(loss.parameters()) == []


def test_three_levels_are_rao_kupper(make_pairs):
    batch, reward_C = make_pairs([1.0, 0.5, 0.2], strengths=[0.2, NAN, 1.0]), 3 * torch.randn(6)
    ordinal_loss, rao_kupper = (
        Ordinal(num_levels=3, initial_tie_rate=0.3),
        RaoKupper(initial_tie_rate=0.3),
    )
    torch.testing.assert_close(ordinal_loss(reward_C, batch), rao_kupper(reward_C, batch))
    assert ordinal_loss.learned()["cut_1"] == pytest.approx(rao_kupper.learned()["eta"])
    margin_P = torch.linspace(-3, 3, 7)
    torch.testing.assert_close(
        ordinal_loss.preference_logit(margin_P), rao_kupper.preference_logit(margin_P)
    )


def test_strengths_fall_into_equal_bins_and_unknown_ones_into_none():
    strength_P = torch.tensor([0.01, 1 / 3, 0.34, 0.67, 0.7, 1.0, NAN])
    assert strength_grade(strength_P, 1).tolist() == [1, 1, 1, 1, 1, 1, 0]
    assert strength_grade(strength_P, 2).tolist() == [1, 1, 1, 2, 2, 2, 0]
    # .34 and .67 are one and two thirds as people round them
    assert strength_grade(strength_P, 3).tolist() == [1, 1, 1, 2, 3, 3, 0]


def test_grade_picks_the_level_on_the_preferred_side():
    margin_P = torch.full((5,), 0.4, dtype=torch.float64)
    preference_P = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.5])
    strength_P = torch.tensor([1.0, 0.5, 0.5, 1.0, NAN])
    probability_P = (-ordinal(margin_P, preference_P, strength_P, CUTS)).exp()
    # at margin 0.4: P(y <= k) = sigmoid(c_k - 0.4) for c = -1.1, -0.3, 0.3, 1.1
    cumulative = [sigmoid(-1.5), sigmoid(-0.7), sigmoid(-0.1), sigmoid(0.7)]
    much_worse, worse, tie, better, much_better = (
        high - low for low, high in zip([0, *cumulative], [*cumulative, 1], strict=True)
    )
    expected = torch.tensor([much_better, better, worse, much_worse, tie], dtype=torch.float64)
    torch.testing.assert_close(probability_P, expected)


def test_unknown_strength_sums_over_its_side():
    margin_P = torch.linspace(-3, 3, 7, dtype=torch.float64)
    prob_PK = ordinal_log_probs(margin_P, torch.cat([-CUTS.flip(0), CUTS])).exp()
    unknown_P = torch.full((7,), NAN)
    for preference, levels in ((1.0, [3, 4]), (0.0, [0, 1])):
        loss_P = ordinal(margin_P, torch.full((7,), preference), unknown_P, CUTS)
        torch.testing.assert_close((-loss_P).exp(), prob_PK[:, levels].sum(-1))


def test_soft_preference_mixes_the_two_sides_and_never_the_middle():
    margin_P, strength_P = torch.tensor([0.4], dtype=torch.float64), torch.tensor([1.0])
    chosen, rejected, soft = (
        ordinal(margin_P, torch.tensor([q]), strength_P, CUTS) for q in (1.0, 0.0, 0.25)
    )
    torch.testing.assert_close(soft, 0.25 * chosen + 0.75 * rejected)


@pytest.mark.parametrize("num_levels", [3, 5, 7])
def test_grades_of_a_side_start_equally_likely(num_levels):
    loss = Ordinal(num_levels=num_levels, initial_tie_rate=0.2)
    cut_S = loss.cut_points().detach()
    prob_K = ordinal_log_probs(torch.zeros(1), torch.cat([-cut_S.flip(0), cut_S])).exp()[0]
    num_grades = (num_levels - 1) // 2
    expected = torch.full((num_levels,), 0.4 / num_grades)
    expected[num_grades] = 0.2
    torch.testing.assert_close(prob_K, expected)


def test_cut_points_stay_positive_and_ordered_whatever_the_parameters():
    loss = Ordinal(num_levels=7)
    with torch.no_grad():
        loss.raw_step_S.copy_(torch.tensor([-5.0, 3.0, -9.0]))
    cuts = [0.0, *loss.learned().values()]
    assert all(low < high for low, high in pairwise(cuts))


def test_level_that_nobody_uses_leaves_gradients_finite(make_pairs):
    batch = make_pairs([1.0, 0.0, 1.0], strengths=[1.0, 1.0, NAN])
    loss = Ordinal(num_levels=7)
    with torch.no_grad():
        loss.raw_step_S.copy_(torch.tensor([2.0, -40.0, 1.0]))  # softplus(-40) = 4e-18
    value_P = loss(torch.randn(6), batch)
    value_P.sum().backward()
    assert value_P.isfinite().all()
    assert loss.raw_step_S.grad is not None
    assert loss.raw_step_S.grad.isfinite().all()


def test_outcomes_are_the_sides_and_the_middle():
    loss = Ordinal(num_levels=5)
    margin_P, first_cut = torch.linspace(-3, 3, 7), loss.learned()["cut_1"]
    torch.testing.assert_close(
        loss.outcome_log_probs(margin_P), rao_kupper_log_probs(margin_P, first_cut)
    )
    assert Ordinal(num_levels=2).outcome_log_probs(margin_P) is None


@pytest.mark.parametrize("num_levels", [1, 4, 9])
def test_number_of_levels_outside_the_list_is_refused(num_levels):
    with pytest.raises(ConfigError, match=rf"num_levels must be 2, 3, 5 or 7, got {num_levels}"):
        Ordinal(num_levels=num_levels)
