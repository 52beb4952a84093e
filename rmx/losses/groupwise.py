"""Losses over a whole prompt at once: Plackett-Luce on its ranking, the mean of its comparisons.

Shape letters: G groups (prompts), C completions, P comparisons. Both return one loss a group. A
group counts as the mean of its comparisons' weights, so 1 by default however many completions it
has. Comparisons without weight (fillers, and ties under ties=drop) do not enter that mean.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rmx.losses.base import (
    Loss,
    at_least_float32,
    centering_penalty,
    group_mean,
    group_sum,
    group_weights,
    paired_rewards,
)
from rmx.losses.bt import BradleyTerry
from rmx.types import GroupBatch


def plackett_luce(reward_C: Tensor, rank_C: Tensor, group_C: Tensor, num_groups: int) -> Tensor:
    """Return -log P of each group's ranking, drawn from the best down without replacement.

    A completion's term is logsumexp of the rewards of its own and all lower ranks, minus its own
    reward. Ties in rank are Breslow's: every member of a tied level has that same denominator. Two
    completions and no tie give Bradley-Terry; two that tie give twice its loss at q = ½.

    Args:
        reward_C: float [C].
        rank_C: 0 for a group's best, equal for ties, int64 [C].
        group_C: each completion's group, int64 [C].
        num_groups: G.
    Returns:
        Loss in nats, at least float32 [G]; the caller reduces.
    References:
        Luce (1959), Individual Choice Behavior; Plackett (1975), Applied Statistics 24.
        Breslow (1974), Biometrics 30, for the ties.
    """
    reward_C = at_least_float32(reward_C)
    # one C x C mask instead of a sort: C is the completions of one batch, so it stays small
    is_left_CC = (group_C[:, None] == group_C) & (rank_C[:, None] <= rank_C)
    left_CC = reward_C.expand_as(is_left_CC).masked_fill(~is_left_CC, -torch.inf)
    return group_sum(left_CC.logsumexp(dim=-1) - reward_C, group_C, num_groups)


class PlackettLuce(Loss):
    """Log-loss of each prompt's ranking, see `plackett_luce`.

    A group without a full ranking has weight 0, whatever its comparisons weigh.

    Args:
        ties: soft (auto; tied ranks by Breslow's form) or drop (a group with a tied rank, or whose
            comparisons are all ties, has weight 0).
        centering: weight of (reward_chosen + reward_rejected)², the mean over a group's
            comparisons.
    """

    def forward(self, reward_C: Tensor, batch: GroupBatch) -> Tensor:
        loss_G = plackett_luce(reward_C, batch.rank_C, batch.group_C, batch.num_groups)
        penalty_P = centering_penalty(*paired_rewards(reward_C, batch), self.centering)
        return loss_G + group_mean(penalty_P, batch.weight_P, batch)

    def weights(self, batch: GroupBatch) -> Tensor:
        is_left_out_C = batch.rank_C < 0
        if self.ties == "drop":
            is_tied_CC = (batch.group_C[:, None] == batch.group_C) & (
                batch.rank_C[:, None] == batch.rank_C
            )
            is_left_out_C = is_left_out_C | (is_tied_CC.sum(dim=-1) > 1)
        num_left_out_G = group_sum(is_left_out_C.float(), batch.group_C, batch.num_groups)
        return group_weights(super().weights(batch), batch) * (num_left_out_G == 0)


class KWise(BradleyTerry):
    """Mean of the Bradley-Terry losses over all comparisons of a prompt (InstructGPT).

    All K(K-1)/2 comparisons of a prompt are one element of the batch. Spread over batches they
    would show each completion K-1 times an epoch, which overfits within one.

    Args:
        ties: soft (auto; a tie is q = ½) or drop (the mean is over the others; a group of ties
            alone has weight 0).
        centering: weight of (reward_chosen + reward_rejected)², >= 0.
        label_smoothing: in [0, 0.5).
        noise_rate: known rate of flipped labels, in [0, 0.5); excludes label smoothing.
    Reference: Ouyang et al. (2022), section 3.5, https://arxiv.org/abs/2203.02155
    """

    def forward(self, reward_C: Tensor, batch: GroupBatch) -> Tensor:
        return group_mean(super().forward(reward_C, batch), super().weights(batch), batch)

    def weights(self, batch: GroupBatch) -> Tensor:
        return group_weights(super().weights(batch), batch)
