import math

import pytest
import torch
from torch import tensor

from rmx.metrics import (
    PreferenceBrier,
    PreferenceNLL,
    pair_batch,
    preference_brier,
    preference_nll,
)


def test_nll_is_the_cross_entropy_of_the_logit():
    logit_P, preference_P = 3 * torch.randn(100).double(), torch.rand(100).double()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logit_P, preference_P, reduction="none"
    )
    torch.testing.assert_close(preference_nll(logit_P, preference_P), expected)


def test_nll_of_a_huge_wrong_logit_is_finite():
    # softplus(1e4) = 1e4, while log(sigmoid(-1e4)) is -inf in float32
    assert preference_nll(tensor([-1e4, 1e4]), tensor([1.0, 1.0])).tolist() == [1e4, 0]


@pytest.mark.parametrize("score", [preference_nll, preference_brier])
def test_a_comparisons_score_does_not_depend_on_its_place_in_the_batch(score):
    logit_P = torch.randn(33)
    alone = torch.cat([score(logit, torch.ones(1)) for logit in logit_P.split(1)])
    torch.testing.assert_close(score(logit_P, torch.ones(33)), alone, rtol=1e-14, atol=0)


def test_brier_by_hand():
    # σ(ln 3) = 3/4: (3/4 - 1)² = 1/16, (3/4 - 1/4)² = 1/4
    brier_P = preference_brier(tensor([math.log(3)] * 2), tensor([1.0, 0.25]))
    torch.testing.assert_close(brier_P.float(), tensor([1 / 16, 1 / 4]))


@pytest.mark.parametrize(
    ("metric", "coin"), [(PreferenceNLL, math.log(2)), (PreferenceBrier, 0.25)]
)
def test_a_coin_scores_the_known_null(metric, coin):
    metric = metric()
    batch = pair_batch(tensor([1.0, 0.0, 1.0]))
    metric.update(torch.zeros(6), torch.zeros(3), batch)
    assert metric.compute().item() == pytest.approx(coin, abs=1e-7)


@pytest.mark.parametrize("metric", [PreferenceNLL, PreferenceBrier])
def test_ties_and_fillers_do_not_count(metric):
    alone, among_others = metric(), metric()
    alone.update(torch.zeros(2), tensor([0.3]), pair_batch(tensor([1.0])))
    batch = pair_batch(tensor([1.0, 0.5, 1.0]), weight_P=tensor([1.0, 1.0, 0.0]))
    among_others.update(torch.zeros(6), tensor([0.3, 5.0, float("nan")]), batch)
    assert among_others.compute() == alone.compute()


@pytest.mark.parametrize("score", [preference_nll, preference_brier])
@pytest.mark.parametrize("truth", [0.6, 0.9])
def test_scores_are_proper(score, truth):
    # over a grid of stated probabilities, the expected score is lowest at the true one
    stated = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    expected = truth * score(stated.logit(), torch.ones(19)) + (1 - truth) * score(
        stated.logit(), torch.zeros(19)
    )
    assert stated[expected.argmin()].item() == pytest.approx(truth)


@pytest.mark.parametrize("metric", [PreferenceNLL, PreferenceBrier])
def test_no_comparison_gives_nan(metric):
    metric = metric()
    metric.update(torch.zeros(2), tensor([0.3]), pair_batch(tensor([0.5])))
    assert metric.compute().isnan()
