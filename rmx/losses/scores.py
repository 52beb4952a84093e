"""Squared and hinge losses: on the scores themselves, on the probability and on the margin.

Only Brier makes sigmoid(margin) a probability; the margins of the other two need recalibration
before they are read as one. Shape letters: C completions, P comparisons. `preference_P` is q, the
probability that the chosen one is preferred: 1 strict, ½ a tie.
"""

from __future__ import annotations

from torch import Tensor

from rmx.losses.base import (
    Loss,
    TiePolicy,
    at_least_float32,
    centering_penalty,
    check_number,
    expected_over_preference,
    paired_rewards,
)
from rmx.types import GroupBatch


def score_mse(
    reward_chosen_P: Tensor, reward_rejected_P: Tensor, preference_P: Tensor | float = 1.0
) -> Tensor:
    """Return (reward_chosen - q)^2 + (reward_rejected - (1-q))^2 for each comparison.

    So the chosen one aims at 1, the rejected one at 0, and both sides of a tie at ½. That fixes the
    absolute scale, which makes scores comparable across prompts. For a pair with true probability p
    the optimum is a margin of 2p - 1, within -1 and 1.

    Args:
        reward_chosen_P: float [P].
        reward_rejected_P: float [P].
        preference_P: q in [0, 1], float [P] or one number.
    Returns:
        Squared error, at least float32 [P]; the caller reduces.
    """
    chosen_P, rejected_P = at_least_float32(reward_chosen_P), at_least_float32(reward_rejected_P)
    return (chosen_P - preference_P).square() + (rejected_P - (1 - preference_P)).square()


def brier(margin_P: Tensor, preference_P: Tensor | float = 1.0) -> Tensor:
    """Return (sigmoid(margin) - q)^2 for each comparison.

    A proper score that is bounded by 1, so one wrong label can't dominate; its gradient vanishes
    where the model is confidently wrong, too.

    Args:
        margin_P: reward_chosen - reward_rejected, float [P].
        preference_P: q in [0, 1], float [P] or one number.
    Returns:
        Squared error in [0, 1], at least float32 [P]; the caller reduces.
    Reference: Brier (1950), Monthly Weather Review 78(1).
    """
    return (at_least_float32(margin_P).sigmoid() - preference_P).square()


def hinge(
    margin_P: Tensor, preference_P: Tensor | float = 1.0, *, target_margin: float = 1.0
) -> Tensor:
    """Return q * h(margin) + (1-q) * h(-margin), h(x) = max(0, m - x), for each comparison.

    Nothing is gained beyond a lead of m, and a tie is indifferent to any margin within -m and m.
    Not a proper score: the expected loss is least at a margin of m or -m whatever the probability.

    Args:
        margin_P: reward_chosen - reward_rejected, float [P].
        preference_P: q in [0, 1], float [P] or one number.
        target_margin: m, > 0.
    Returns:
        Loss, at least float32 [P]; the caller reduces.
    Reference: Herbrich, Graepel & Obermayer (2000), Large margin rank boundaries for ordinal
        regression, in Advances in Large Margin Classifiers.
    """
    margin_P = at_least_float32(margin_P)
    return expected_over_preference(
        preference_P,
        (target_margin - margin_P).relu(),
        (target_margin + margin_P).relu(),
    )


class ScoreMSE(Loss):
    """Squared error of both scores against 1 and 0, see `score_mse`.

    `preference_logit` stays the margin, which understates the probability: recalibrate.

    Args:
        ties: soft (auto; both sides aim at ½) or drop.
        centering: weight of (reward_chosen + reward_rejected)², >= 0. It pulls against the scores'
            own targets, whose sum is 1.
    """

    def forward(self, reward_C: Tensor, batch: GroupBatch) -> Tensor:
        chosen_P, rejected_P = paired_rewards(reward_C, batch)
        loss_P = score_mse(chosen_P, rejected_P, batch.preference_P)
        return loss_P + centering_penalty(chosen_P, rejected_P, self.centering)


class Brier(Loss):
    """Squared error of sigmoid(margin), see `brier`.

    Args:
        ties: soft (auto; a tie is q = ½) or drop.
        centering: weight of (reward_chosen + reward_rejected)², >= 0.
    """

    def comparison_loss(self, margin_P: Tensor, batch: GroupBatch) -> Tensor:
        return brier(margin_P, batch.preference_P)


class Hinge(Loss):
    """Hinge on the margin, see `hinge`; not a proper score.

    Args:
        ties: soft (auto; a tie costs only beyond the target margin) or drop.
        centering: weight of (reward_chosen + reward_rejected)², >= 0.
        target_margin: the lead beyond which nothing is gained, > 0.
    """

    def __init__(
        self, *, ties: TiePolicy = "auto", centering: float = 0.0, target_margin: float = 1.0
    ) -> None:
        super().__init__(ties=ties, centering=centering)
        self.target_margin = check_number(
            "target_margin", target_margin, above=0, remedy="1 is usual"
        )

    def comparison_loss(self, margin_P: Tensor, batch: GroupBatch) -> Tensor:
        return hinge(margin_P, batch.preference_P, target_margin=self.target_margin)
