import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from rmx.errors import ConfigError
from rmx.losses import (
    BradleyTerry,
    MarginBradleyTerry,
    ScaledBradleyTerry,
    bradley_terry,
    margin_bradley_terry,
)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_loss_is_minus_log_sigmoid_of_the_margin():
    # sigmoid(0) = 1/2, and sigmoid(log 3) = 3/(3+1), sigmoid(-log 3) = 1/4
    margin_P = torch.tensor([0.0, math.log(3), -math.log(3)])
    expected = torch.tensor([math.log(2), math.log(4 / 3), math.log(4)])
    torch.testing.assert_close(bradley_terry(margin_P), expected)


def test_soft_label_mixes_both_outcomes():
    # q = 3/4 at sigmoid = 3/4: the entropy of (3/4, 1/4)
    loss = bradley_terry(torch.tensor([math.log(3)]), torch.tensor([0.75]))
    assert loss.item() == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25), abs=1e-6)


def test_loss_is_binary_cross_entropy_with_the_margin_as_logit():
    margin_P, preference_P = 5 * torch.randn(100), torch.rand(100)
    expected = binary_cross_entropy_with_logits(margin_P, preference_P, reduction="none")
    torch.testing.assert_close(bradley_terry(margin_P, preference_P), expected)


def test_derivative_in_the_margin_is_sigmoid_minus_preference():
    margin_P = torch.linspace(-8, 8, 17, dtype=torch.float64, requires_grad=True)
    preference_P = torch.rand(17, dtype=torch.float64)
    (slope_P,) = torch.autograd.grad(bradley_terry(margin_P, preference_P).sum(), margin_P)
    torch.testing.assert_close(slope_P, margin_P.detach().sigmoid() - preference_P)


@pytest.mark.parametrize("p", [0.5, 0.7, 0.95])
def test_proper_score_recovers_the_true_probability(best_margin, p):
    # strict labels drawn with probability p, or the soft label p itself
    strict = best_margin(lambda x: p * bradley_terry(x, 1.0) + (1 - p) * bradley_terry(x, 0.0))
    soft = best_margin(lambda x: bradley_terry(x, p))
    assert sigmoid(strict) == pytest.approx(p, abs=1e-6)
    assert sigmoid(soft) == pytest.approx(p, abs=1e-6)


def test_label_smoothing_recovers_the_smoothed_probability(best_margin):
    p, e = 0.9, 0.2
    margin = best_margin(
        lambda x: (
            p * bradley_terry(x, 1.0, label_smoothing=e)
            + (1 - p) * bradley_terry(x, 0.0, label_smoothing=e)
        )
    )
    # (1 - e) p + e (1 - p) = 0.72 + 0.02
    assert sigmoid(margin) == pytest.approx(0.74, abs=1e-6)


def test_noise_rate_recovers_the_clean_probability_from_flipped_labels(best_margin):
    p, e = 0.9, 0.2
    seen = (1 - e) * p + e * (1 - p)  # how often the chosen one is seen to win
    margin = best_margin(
        lambda x: (
            seen * bradley_terry(x, 1.0, noise_rate=e)
            + (1 - seen) * bradley_terry(x, 0.0, noise_rate=e)
        )
    )
    assert sigmoid(margin) == pytest.approx(p, abs=1e-6)


def test_noise_rate_bounds_the_loss_of_a_wrong_label():
    # sigmoid(-1e4) = 0, so P(chosen) = e
    loss = bradley_terry(torch.tensor([-1e4]), noise_rate=0.1)
    assert loss.item() == pytest.approx(-math.log(0.1), abs=1e-6)


def test_label_smoothing_and_noise_rate_together_are_refused():
    with pytest.raises(ConfigError, match=r"got 0\.1 and 0\.2; set one of them to 0"):
        BradleyTerry(label_smoothing=0.1, noise_rate=0.2)


@pytest.mark.parametrize("name", ["label_smoothing", "noise_rate"])
@pytest.mark.parametrize("value", [-0.1, 0.5, math.nan, "much", True])
def test_label_noise_out_of_range_is_refused(name, value):
    with pytest.raises(ConfigError, match=rf"{name} must be in \[0, 0\.5\)"):
        BradleyTerry(**{name: value})


@pytest.mark.parametrize(("m", "reported"), [(1, 0.807), (2, 0.910), (3, 0.964)])
def test_margin_loss_overstates_a_probability_of_0_7(best_margin, m, reported):
    # SCIENCE.md's figures. The optimum solves p sigmoid(m - x) = (1 - p) sigmoid(x + m).
    margin = best_margin(
        lambda x: 0.7 * margin_bradley_terry(x, m) + 0.3 * margin_bradley_terry(x, m, 0.0)
    )
    assert sigmoid(margin) == pytest.approx(reported, abs=5e-4)
    assert 0.7 * sigmoid(m - margin) == pytest.approx(0.3 * sigmoid(margin + m), abs=1e-9)


def test_margin_loss_moves_the_sigmoid_by_scale_times_strength(make_pairs):
    batch = make_pairs([1.0, 0.0], strengths=[0.5, 0.5])
    loss = MarginBradleyTerry(margin_scale=2.0)(torch.tensor([3.0, 0.0, 3.0, 0.0]), batch)
    # m = 2 * 0.5 = 1 on the preferred side: softplus(-(3 - 1)) and softplus(-(-3 - 1))
    expected = torch.tensor([math.log1p(math.exp(-2)), math.log1p(math.exp(4))])
    torch.testing.assert_close(loss, expected)


def test_margin_loss_without_a_strength_is_bradley_terry(make_pairs):
    batch, reward_C = make_pairs([1.0, 0.5, 0.2]), torch.randn(6)
    torch.testing.assert_close(
        MarginBradleyTerry()(reward_C, batch), BradleyTerry()(reward_C, batch)
    )


def test_scaled_loss_is_strength_times_bradley_terry_and_1_where_unknown(make_pairs):
    batch = make_pairs([1.0, 1.0, 0.3], strengths=[0.25, math.nan, 1.0])
    reward_C = torch.randn(6)
    expected = torch.tensor([0.25, 1.0, 1.0]) * BradleyTerry()(reward_C, batch)
    torch.testing.assert_close(ScaledBradleyTerry()(reward_C, batch), expected)


def test_negative_margin_scale_is_refused():
    with pytest.raises(ConfigError, match=r"margin_scale must be in \[0, inf\), got -1"):
        MarginBradleyTerry(margin_scale=-1)
