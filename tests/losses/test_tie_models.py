import math

import pytest
import torch

from rmx.errors import ConfigError
from rmx.losses import (
    BradleyTerry,
    Davidson,
    RaoKupper,
    TiePolicy,
    davidson_log_probs,
    outcome_cross_entropy,
    rao_kupper_log_probs,
)

MODELS = [rao_kupper_log_probs, davidson_log_probs]


@pytest.mark.parametrize("log_probs", MODELS)
@pytest.mark.parametrize("parameter", [0.05, 1.0, 6.0])
def test_three_outcomes_sum_to_1(log_probs, parameter):
    margin_P = torch.linspace(-15, 15, 31, dtype=torch.float64)
    total_P = log_probs(margin_P, parameter).exp().sum(-1)
    torch.testing.assert_close(total_P, torch.ones_like(total_P))


def test_rao_kupper_probabilities_by_hand():
    # eta = log 2, margin = log 3: P(chosen) = 3/(3 + 2) = 3/5, P(rejected) = 1/(1 + 3 * 2) = 1/7
    log_prob_P3 = rao_kupper_log_probs(torch.tensor([math.log(3)]), math.log(2))
    expected = torch.tensor([[3 / 5, 1 - 3 / 5 - 1 / 7, 1 / 7]])
    torch.testing.assert_close(log_prob_P3.exp(), expected)


def test_rao_kupper_tie_is_the_published_product():
    # log P(tie) = log expm1(2 eta) + log sigmoid(margin - eta) + log sigmoid(-margin - eta)
    margin_P, eta = torch.linspace(-6, 6, 13, dtype=torch.float64), 0.7
    expected = (
        math.log(math.expm1(2 * eta))
        + torch.sigmoid(margin_P - eta).log()
        + torch.sigmoid(-margin_P - eta).log()
    )
    torch.testing.assert_close(rao_kupper_log_probs(margin_P, eta)[:, 1], expected)


def test_davidson_probabilities_by_hand():
    # margin = log 4, nu = 3/2: weights 2, 3/2, 1/2 of 4
    log_prob_P3 = davidson_log_probs(torch.tensor([math.log(4)]), 1.5)
    torch.testing.assert_close(log_prob_P3.exp(), torch.tensor([[4 / 8, 3 / 8, 1 / 8]]))


@pytest.mark.parametrize("tie_rate", [0.01, 0.1, 0.6])
def test_model_starts_at_the_configured_tie_rate(tie_rate):
    margin_P = torch.zeros(1)
    for loss in (RaoKupper(initial_tie_rate=tie_rate), Davidson(initial_tie_rate=tie_rate)):
        assert loss.outcome_log_probs(margin_P)[0, 1].exp().item() == pytest.approx(
            tie_rate, rel=1e-5
        )


def test_tie_rate_at_margin_0_is_tanh_of_half_eta_and_nu_over_2_plus_nu():
    zero_P = torch.zeros(1, dtype=torch.float64)
    assert rao_kupper_log_probs(zero_P, 0.8)[0, 1].exp().item() == pytest.approx(math.tanh(0.4))
    assert davidson_log_probs(zero_P, 0.8)[0, 1].exp().item() == pytest.approx(0.8 / 2.8)


@pytest.mark.parametrize(("loss", "name"), [(RaoKupper(), "eta"), (Davidson(), "nu")])
def test_learned_parameter_is_reported_on_its_own_scale(loss, name):
    # tie rate 0.1: eta = 2 atanh(0.1) = log(1.1 / 0.9), nu = 2 * 0.1 / 0.9
    expected = {"eta": math.log(1.1 / 0.9), "nu": 0.2 / 0.9}[name]
    assert loss.learned() == {name: pytest.approx(expected, rel=1e-5)}


@pytest.mark.parametrize("log_probs", MODELS)
def test_expected_loss_is_stationary_at_the_true_margin_and_parameter(log_probs):
    true_P3 = log_probs(torch.tensor([0.9], dtype=torch.float64), 0.6).exp()
    margin_P = torch.tensor([0.9], dtype=torch.float64, requires_grad=True)
    parameter = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    loss = -(true_P3 * log_probs(margin_P, parameter)).sum()
    slopes = torch.autograd.grad(loss, [margin_P, parameter])
    for slope in slopes:
        assert slope.abs().item() < 1e-12


def test_only_a_preference_of_exactly_a_half_is_a_tie():
    log_prob_P3 = torch.tensor([[0.6, 0.3, 0.1]]).log().expand(4, 3)
    loss = outcome_cross_entropy(log_prob_P3, torch.tensor([1.0, 0.5, 0.0, 0.75]))
    mixed = -0.75 * math.log(0.6) - 0.25 * math.log(0.1)
    expected = torch.tensor([-math.log(0.6), -math.log(0.3), -math.log(0.1), mixed])
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("loss", [RaoKupper(initial_tie_rate=0.4), Davidson(initial_tie_rate=0.4)])
def test_preference_logit_is_the_log_odds_of_the_strict_outcomes(loss):
    margin_P = torch.linspace(-4, 4, 9)
    log_chosen_P, _, log_rejected_P = loss.outcome_log_probs(margin_P).unbind(-1)
    torch.testing.assert_close(loss.preference_logit(margin_P), log_chosen_P - log_rejected_P)


@pytest.mark.parametrize("loss_class", [RaoKupper, Davidson])
@pytest.mark.parametrize("tie_rate", [0, 1, -0.2])
def test_tie_rate_out_of_range_is_refused(loss_class, tie_rate):
    with pytest.raises(ConfigError, match=r"initial_tie_rate must be in \(0, 1\)"):
        loss_class(initial_tie_rate=tie_rate)


@pytest.mark.parametrize(
    ("log_probs", "parameter", "drop", "soft"),
    [
        # Near 0, drop fits log P(chosen)/P(rejected), and soft the logit of P(chosen) + P(tie)/2.
        # Rao-Kupper, t = tanh(eta/2): drop has the slope 2 sigmoid(eta) = 1 + t, and soft
        # 4 sigmoid(eta) sigmoid(-eta) = 1 - t², as P(tie) is flat at 0.
        (rao_kupper_log_probs, 2 * math.atanh(0.3), 1.3, 0.91),
        # Davidson, t = nu/(2+nu): drop fits the margin itself, and soft 4 * ½/(2+nu) = 1 - t.
        (davidson_log_probs, 2 * 0.3 / 0.7, 1.0, 0.7),
    ],
)
def test_treating_ties_wrongly_bends_the_slope_by_the_known_factors(
    make_groups, best_margin, log_probs, parameter, drop, soft
):
    true_margin = 1e-3
    probability_P = log_probs(torch.tensor([true_margin], dtype=torch.float64), parameter)[0].exp()
    batch = make_groups([(2, [(0, 1, 1.0), (0, 1, 0.5), (0, 1, 0.0)], [0, 1])])

    def slope(ties: TiePolicy) -> float:
        loss = BradleyTerry(ties=ties)
        margin = best_margin(
            lambda x: (
                probability_P
                * loss.weights(batch)
                * loss(torch.cat([x, torch.zeros_like(x)]), batch)
            )
        )
        return margin / true_margin

    assert slope("drop") == pytest.approx(drop, abs=1e-5)
    assert slope("soft") == pytest.approx(soft, abs=1e-5)
