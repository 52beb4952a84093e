import math

import pytest
import torch

from rmx.errors import ConfigError
from rmx.losses import Hinge, ScoreMSE, brier, hinge, score_mse


def test_scores_aim_at_1_and_0_and_at_a_half_each_in_a_tie(make_pairs):
    batch = make_pairs([1.0, 0.5, 0.0, 0.75])
    at_target = torch.tensor([1.0, 0.0, 0.5, 0.5, 0.0, 1.0, 0.75, 0.25])
    torch.testing.assert_close(ScoreMSE()(at_target, batch), torch.zeros(4))
    # (2 - 1)^2 + (3 - 0)^2 = 10; (2 - ½)^2 + (3 - ½)^2 = 8.5; (2 - 0)^2 + (3 - 1)^2 = 8;
    # (2 - ¾)^2 + (3 - ¼)^2 = 9.125
    loss = ScoreMSE()(torch.tensor([2.0, 3.0] * 4), batch)
    torch.testing.assert_close(loss, torch.tensor([10.0, 8.5, 8.0, 9.125]))


def test_score_margin_at_the_optimum_is_2p_minus_1(best_margin):
    p = 0.8
    margin = best_margin(
        lambda x: (
            p * score_mse(0.5 + x / 2, 0.5 - x / 2, 1.0)
            + (1 - p) * score_mse(0.5 + x / 2, 0.5 - x / 2, 0.0)
        )
    )
    assert margin == pytest.approx(2 * p - 1, abs=1e-9)


def test_brier_is_the_squared_error_of_the_probability():
    # sigmoid(log 3) = 3/4
    loss = brier(torch.full((3,), math.log(3)), torch.tensor([1.0, 0.5, 0.0]))
    torch.testing.assert_close(loss, torch.tensor([1 / 16, 1 / 16, 9 / 16]))


def test_brier_recovers_the_true_probability(best_margin):
    margin = best_margin(lambda x: 0.7 * brier(x, 1.0) + 0.3 * brier(x, 0.0))
    assert 1 / (1 + math.exp(-margin)) == pytest.approx(0.7, abs=1e-6)


def test_hinge_is_what_the_margin_lacks():
    margin_P = torch.tensor([2.5, 0.5, -1.0])
    torch.testing.assert_close(hinge(margin_P, target_margin=2.0), torch.tensor([0.0, 1.5, 3.0]))


def test_hinge_tie_is_flat_within_the_target_margin():
    # ½ (2 - x) + ½ (2 + x) = 2 for |x| <= 2; beyond, ½ (2 + |x|)
    margin_P = torch.tensor([-2.0, -1.0, 0.0, 2.0, 4.0])
    loss = hinge(margin_P, 0.5, target_margin=2.0)
    torch.testing.assert_close(loss, torch.tensor([2.0, 2.0, 2.0, 2.0, 3.0]))


@pytest.mark.parametrize("p", [0.6, 0.9])
def test_hinge_optimum_does_not_depend_on_the_probability(best_margin, p):
    margin = best_margin(lambda x: hinge(x, p, target_margin=1.5))
    assert margin == pytest.approx(1.5, abs=1e-6)


def test_target_margin_of_0_is_refused():
    with pytest.raises(ConfigError, match=r"target_margin must be in \(0, inf\), got 0"):
        Hinge(target_margin=0)
