"""What every loss has in common: its interface, tie policies, centring and means over groups.

Shape letters: G groups (prompts), C completions, P comparisons; N is P, or G for group-wise losses.

A loss maps rewards to unreduced losses and says how much each of them counts. It never averages,
because only the caller sees the whole optimiser step: sum(weights * loss) / sum(weights) over all
its micro-batches equals one large batch.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from rmx.errors import ConfigError
from rmx.types import TIE, GroupBatch

TiePolicy = Literal["auto", "drop", "soft", "model"]
TIE_POLICIES = ("drop", "soft", "model")

# Why a policy is refused.
NO_TIE_TERM = "this loss gives a tie no probability"
LEARNS_TIES = "this loss learns how often annotators tie, and would see no tie at all"


class Loss(nn.Module):
    """What the training loop and the metrics ask of a loss, answered for a loss of the margin.

    Such a loss writes `comparison_loss`, and `__init__` if it has options of its own. A loss of
    something else writes `forward`, and a group-wise one `weights` too. A class rather than a
    protocol, since callers need `nn.Module`'s side of it too: parameters, state and devices.

    Args:
        ties: what to do with ties; auto is the first of `tie_policies`.
        centering: weight of (reward_chosen + reward_rejected)², >= 0.
    Attributes:
        tie_policies: the policies that make sense for this loss.
        because: why the others make none, for the error message.
    """

    tie_policies: tuple[str, ...] = ("soft", "drop")
    because: str = NO_TIE_TERM

    def __init__(self, *, ties: TiePolicy = "auto", centering: float = 0.0) -> None:
        super().__init__()
        self.ties = resolve_ties(ties, allowed=self.tie_policies, because=self.because)
        self.centering = check_number(
            "centering", centering, at_least=0, remedy="0 turns it off, 0.01 is usual"
        )

    def comparison_loss(self, margin_P: Tensor, batch: GroupBatch) -> Tensor:
        """Return each comparison's loss without centring, from margins of at least float32, [P]."""
        raise NotImplementedError

    def forward(self, reward_C: Tensor, batch: GroupBatch) -> Tensor:
        """Return the unreduced losses in float32 [N]."""
        chosen_P, rejected_P = paired_rewards(reward_C, batch)
        loss_P = self.comparison_loss(chosen_P - rejected_P, batch)
        return loss_P + centering_penalty(chosen_P, rejected_P, self.centering)

    def weights(self, batch: GroupBatch) -> Tensor:
        """Return how much each loss counts, float32 [N]; 0 for what this loss leaves out."""
        weight_P = batch.weight_P.float()
        return weight_P * (batch.preference_P != TIE) if self.ties == "drop" else weight_P

    def preference_logit(self, margin_P: Tensor) -> Tensor:
        """Return the logit of P(chosen preferred | not a tie), antisymmetric in the margin, [P]."""
        return at_least_float32(margin_P)

    def outcome_log_probs(self, margin_P: Tensor) -> Tensor | None:
        """Return log P of (chosen, tie, rejected), [P, 3]; None where ties have no probability."""
        return None

    def learned(self) -> dict[str, float]:
        """Return the learned parameters by name, on the scale that people read."""
        return {}


def at_least_float32(value: Tensor) -> Tensor:
    """Return bf16 and fp16 as float32, where rewards do not collide; float64 stays as it is."""
    return value.to(torch.promote_types(value.dtype, torch.float32))


def paired_rewards(reward_C: Tensor, batch: GroupBatch) -> tuple[Tensor, Tensor]:
    """Return each comparison's reward_chosen and reward_rejected, at least float32, [P] each."""
    reward_C = at_least_float32(reward_C)
    return reward_C[batch.chosen_P], reward_C[batch.rejected_P]


def centering_penalty(reward_chosen_P: Tensor, reward_rejected_P: Tensor, weight: float) -> Tensor:
    """Return weight * (reward_chosen + reward_rejected)^2 for each comparison, [P].

    A preference says nothing about a constant added to both rewards. This pulls the constant to 0,
    and its derivative in the margin is 0, so it does not bias the preference.

    Reference: Eisenstein et al. (2023), https://arxiv.org/abs/2312.09244
    """
    return weight * (reward_chosen_P + reward_rejected_P).square()


def expected_over_preference(
    preference_P: Tensor | float, chosen_P: Tensor, rejected_P: Tensor
) -> Tensor:
    """Return q * (value if chosen was preferred) + (1-q) * (value if rejected was), [P]."""
    return preference_P * chosen_P + (1 - preference_P) * rejected_P


def group_sum(value_N: Tensor, group_N: Tensor, num_groups: int) -> Tensor:
    """Return the sums of values by group, [G]; 0 for a group without any."""
    return value_N.new_zeros(num_groups).index_add(0, group_N, value_N)


def group_mean(value_P: Tensor, weight_P: Tensor, batch: GroupBatch) -> Tensor:
    """Return each group's weighted mean over its comparisons, [G]; 0 where no weight is left."""
    total_G = group_sum(weight_P * value_P, batch.group_P, batch.num_groups)
    weight_G = group_sum(weight_P, batch.group_P, batch.num_groups)
    return total_G / torch.where(weight_G > 0, weight_G, 1)


def group_weights(weight_P: Tensor, batch: GroupBatch) -> Tensor:
    """Return the mean weight of each group's comparisons that have any, [G]; 0 where none has."""
    num_weighted_G = group_sum((weight_P > 0).to(weight_P), batch.group_P, batch.num_groups)
    return group_sum(weight_P, batch.group_P, batch.num_groups) / num_weighted_G.clamp(min=1)


def resolve_ties(ties: str, *, allowed: tuple[str, ...], because: str) -> str:
    """Return the policy to follow; `auto` is the first of those allowed.

    Raises:
        ConfigError: the policy is unknown, or makes no sense for the loss.
    """
    if ties == "auto":
        return allowed[0]
    if ties not in TIE_POLICIES:
        raise ConfigError(
            f"ties must be auto, drop, soft or model, got {ties!r}; auto fits any loss"
        )
    if ties not in allowed:
        usable = " or ".join(f"ties={name}" for name in ("auto", *allowed))
        raise ConfigError(f"ties={ties} makes no sense here: {because}; use {usable}")
    return ties


def check_number(
    name: str,
    value: float,
    *,
    at_least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
    remedy: str,
) -> float:
    """Return a setting as a float.

    Raises:
        ConfigError: it is no finite number, or out of range.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and at_least <= value < below and value > above:
        return float(value)
    lower = f"[{at_least:g}" if at_least > above else f"({above:g}"
    raise ConfigError(f"{name} must be in {lower}, {below:g}), got {value!r}; {remedy}")
