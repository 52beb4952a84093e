"""Graded preferences ("slightly better", "much better") as a cumulative logit model.

An annotator's answer is one of K ordered levels, from "rejected is much better" (0) to "chosen is
much better" (K-1); where K is odd, the middle one is a tie. P(level <= k) = sigmoid(c_k - margin).
K = 2 is Bradley-Terry and K = 3 Rao-Kupper with eta = c_1.

Shape letters: C completions, P comparisons, K levels, S = (K-1)/2 grades a side, B = K-1 cuts.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from rmx.errors import ConfigError
from rmx.losses.base import (
    LEARNS_TIES,
    Loss,
    TiePolicy,
    at_least_float32,
    expected_over_preference,
)
from rmx.losses.bt import bradley_terry
from rmx.losses.ties import check_tie_rate, inverse_softplus, rao_kupper_log_probs, rao_kupper_logit
from rmx.types import TIE, GroupBatch

BIN_SLACK = 0.05  # of a bin, so that a strength written as .67 is still two thirds
MIN_WIDTH = 1e-6  # a level that nobody uses narrows until float32 calls its cut-points equal


def ordinal_log_probs(margin_P: Tensor, cut_B: Tensor) -> Tensor:
    """Return log P of each level, from the lowest to the highest.

    P(level <= k) = sigmoid(c_k - margin). A level between the cut-points a < b has the probability
    sigmoid(b - margin) sigmoid(margin - a) (1 - e^(a-b)), a product, so no difference of two
    numbers near 1 is taken.

    Args:
        margin_P: reward_chosen - reward_rejected, float [P].
        cut_B: strictly increasing cut-points, float [K-1].
    Returns:
        Log-probabilities, at least float32 [P, K], which sum to 1 as probabilities.
    Reference: McCullagh (1980), Journal of the Royal Statistical Society B 42.
    """
    offset_PB = cut_B - at_least_float32(margin_P)[:, None]
    zero_P1 = offset_PB.new_zeros(len(offset_PB), 1)
    log_below_PK = torch.cat([logsigmoid(offset_PB), zero_P1], dim=-1)
    log_above_PK = torch.cat([zero_P1, logsigmoid(-offset_PB)], dim=-1)
    zero_1 = cut_B.new_zeros(1)
    width_B = cut_B.diff().clamp_min(MIN_WIDTH)
    log_width_K = torch.cat([zero_1, torch.log(-torch.expm1(-width_B)), zero_1])
    return log_below_PK + log_above_PK + log_width_K


def strength_grade(strength_P: Tensor, num_grades: int) -> Tensor:
    """Return each strength's grade in 1..S, 0 where it is unknown, int64 [P].

    Equal bins: grade g holds the strengths in ((g-1)/S, g/S].
    """
    grade_P = torch.ceil(strength_P * num_grades - BIN_SLACK).clamp(1, num_grades)
    return grade_P.nan_to_num(nan=0.0).long()


def ordinal(margin_P: Tensor, preference_P: Tensor, strength_P: Tensor, cut_S: Tensor) -> Tensor:
    """Return -log P of each comparison's level, for an odd number of levels.

    A tie (q exactly ½) is the middle level. Otherwise the strength's grade g gives the level: g
    above the middle with probability q, g below it with 1-q. Where the strength is unknown, so is
    the grade; then it is -log P(any level on that side), sigmoid(margin - c_1), and not a guess.

    Args:
        margin_P: reward_chosen - reward_rejected, float [P].
        preference_P: q in [0, 1], float [P].
        strength_P: in (0, 1], NaN where unknown, float [P].
        cut_S: the positive cut-points, increasing; their negatives are the others. Float [S].
    Returns:
        Loss in nats, at least float32 [P]; the caller reduces.
    Reference: McCullagh (1980), Journal of the Royal Statistical Society B 42.
    """
    margin_P = at_least_float32(margin_P)
    num_grades = len(cut_S)
    log_prob_PK = ordinal_log_probs(margin_P, torch.cat([-cut_S.flip(0), cut_S]))
    grade_P = strength_grade(strength_P, num_grades)
    sides = []
    for sign in (1, -1):
        log_level_P = log_prob_PK.gather(1, (num_grades + sign * grade_P)[:, None]).squeeze(1)
        log_side_P = logsigmoid(sign * margin_P - cut_S[0])
        sides.append(torch.where(grade_P > 0, log_level_P, log_side_P))
    log_strict_P = expected_over_preference(preference_P, *sides)
    return -torch.where(preference_P == TIE, log_prob_PK[:, num_grades], log_strict_P)


class Ordinal(Loss):
    """Log-loss of graded preferences with learned, antisymmetric cut-points, see `ordinal`.

    The cut-points stay positive and in order as a cumulative sum of softplus. They start where
    every grade of a side is equally likely at margin 0.

    Args:
        ties: model (auto) for 3 levels and more, which have a middle; soft (auto) or drop for 2.
        centering: weight of (reward_chosen + reward_rejected)², >= 0.
        num_levels: 2, 3, 5 or 7; strengths are sorted into (num_levels - 1) / 2 equal bins a side.
        initial_tie_rate: probability of the middle level at margin 0 to start from, in (0, 1);
            without effect for 2 levels.
    """

    def __init__(
        self,
        *,
        ties: TiePolicy = "auto",
        centering: float = 0.0,
        num_levels: int = 5,
        initial_tie_rate: float = 0.1,
    ) -> None:
        if num_levels not in (2, 3, 5, 7):
            raise ConfigError(
                f"num_levels must be 2, 3, 5 or 7, got {num_levels!r}; "
                "5 is a tie and two grades a side"
            )
        self.has_ties = num_levels > 2
        if self.has_ties:  # the base class checks `ties` against these
            self.tie_policies, self.because = ("model",), LEARNS_TIES
        super().__init__(ties=ties, centering=centering)
        if self.has_ties:
            cuts = initial_cut_points((num_levels - 1) // 2, initial_tie_rate)
            steps = [cut - lower for lower, cut in pairwise([0.0, *cuts])]
            self.raw_step_S = nn.Parameter(torch.tensor([inverse_softplus(step) for step in steps]))

    def cut_points(self) -> Tensor:
        """Return the positive cut-points in increasing order, [S]; with 2 levels there are none."""
        return softplus(at_least_float32(self.raw_step_S)).cumsum(0)

    def comparison_loss(self, margin_P: Tensor, batch: GroupBatch) -> Tensor:
        if not self.has_ties:
            return bradley_terry(margin_P, batch.preference_P)
        return ordinal(margin_P, batch.preference_P, batch.strength_P, self.cut_points())

    def preference_logit(self, margin_P: Tensor) -> Tensor:
        """Return log P(above the middle) - log P(below it), [P]."""
        if not self.has_ties:
            return at_least_float32(margin_P)
        return rao_kupper_logit(margin_P, self.cut_points()[0])

    def outcome_log_probs(self, margin_P: Tensor) -> Tensor | None:
        """Return log P of (above the middle, middle, below it), [P, 3]; None for 2 levels."""
        return rao_kupper_log_probs(margin_P, self.cut_points()[0]) if self.has_ties else None

    def learned(self) -> dict[str, float]:
        if not self.has_ties:
            return {}
        return {f"cut_{i}": cut for i, cut in enumerate(self.cut_points().tolist(), start=1)}


def initial_cut_points(num_grades: int, tie_rate: float) -> list[float]:
    """Return cut-points that make the S grades of a side equally likely at margin 0.

    Above c_i lie the grades i..S, which are (S - i + 1)/S of the side's (1 - tie_rate)/2.
    """
    side = (1 - check_tie_rate(tie_rate)) / 2
    above = [side * (num_grades - i) / num_grades for i in range(num_grades)]
    return [math.log((1 - share) / share) for share in above]
