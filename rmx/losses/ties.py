"""Rao-Kupper and Davidson: Bradley-Terry models that give a tie a probability of its own.

Dropping ties or calling them ½ bends the margin's scale (SCIENCE.md's ties table; BradleyTerry's
docstring has the factors). These learn one parameter instead, how often annotators tie at margin 0.

Shape letters: C completions, P comparisons; an axis of length 3 is (chosen, tie, rejected).

The learned parameters are on the scale of a logit and need a learning rate to match
(1e-2, say): at a whole model's 1e-5 they would not leave their initial value.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from rmx.losses.base import (
    LEARNS_TIES,
    Loss,
    TiePolicy,
    at_least_float32,
    check_number,
    expected_over_preference,
)
from rmx.types import TIE, GroupBatch


def rao_kupper_log_probs(margin_P: Tensor, eta: Tensor | float) -> Tensor:
    """Return log P of (chosen, tie, rejected) in the Rao-Kupper model.

    P(chosen) = sigmoid(margin - eta), P(rejected) = sigmoid(-margin - eta), and the rest is
    P(tie) = (1 - e^(-2 eta)) sigmoid(eta - margin) sigmoid(eta + margin), which is tanh(eta / 2) at
    margin 0: a preference is voiced only where it exceeds the threshold eta.

    Args:
        margin_P: reward_chosen - reward_rejected, float [P].
        eta: threshold > 0, one number.
    Returns:
        Log-probabilities, at least float32 [P, 3], which sum to 1 as probabilities.
    Reference: Rao & Kupper (1967), Journal of the American Statistical Association 62.
    """
    margin_P = at_least_float32(margin_P)
    eta = torch.as_tensor(eta, dtype=margin_P.dtype, device=margin_P.device)
    log_tie_P = (
        logsigmoid(eta - margin_P) + logsigmoid(eta + margin_P) + torch.log(-torch.expm1(-2 * eta))
    )
    return torch.stack([logsigmoid(margin_P - eta), log_tie_P, logsigmoid(-margin_P - eta)], dim=-1)


def rao_kupper_logit(margin_P: Tensor, eta: Tensor | float) -> Tensor:
    """Return log P(chosen) - log P(rejected) in the Rao-Kupper model, steeper than the margin, [P].

    Its slope is 2 sigmoid(eta) at margin 0, which is 1 plus the tie rate, and 1 far from it.
    """
    margin_P = at_least_float32(margin_P)
    return logsigmoid(margin_P - eta) - logsigmoid(-margin_P - eta)


def davidson_log_probs(margin_P: Tensor, nu: Tensor | float) -> Tensor:
    """Return log P of (chosen, tie, rejected) in Davidson's model.

    The softmax over (margin/2, log nu, -margin/2): the odds of chosen to rejected stay e^margin,
    and a tie at margin 0 has probability nu / (2 + nu).

    Args:
        margin_P: reward_chosen - reward_rejected, float [P].
        nu: tie propensity > 0, one number.
    Returns:
        Log-probabilities, at least float32 [P, 3], which sum to 1 as probabilities.
    Reference: Davidson (1970), Journal of the American Statistical Association 65.
    """
    half_P = at_least_float32(margin_P) / 2
    log_nu = torch.as_tensor(nu, dtype=half_P.dtype, device=half_P.device).log()
    return torch.stack([half_P, log_nu.expand_as(half_P), -half_P], dim=-1).log_softmax(dim=-1)


def outcome_cross_entropy(log_prob_P3: Tensor, preference_P: Tensor) -> Tensor:
    """Return -log P(tie) where q is ½, else -q log P(chosen) - (1-q) log P(rejected).

    Exactly ½ is the only tie. Any other q between 0 and 1 is uncertainty about which completion was
    preferred, not a statement that neither was: it mixes the two strict outcomes.

    Args:
        log_prob_P3: log P of (chosen, tie, rejected), float [P, 3].
        preference_P: q in [0, 1], float [P].
    Returns:
        Loss in nats [P]; the caller reduces.
    """
    log_chosen_P, log_tie_P, log_rejected_P = log_prob_P3.unbind(dim=-1)
    log_strict_P = expected_over_preference(preference_P, log_chosen_P, log_rejected_P)
    return -torch.where(preference_P == TIE, log_tie_P, log_strict_P)


def inverse_softplus(value: float) -> float:
    """Return x such that softplus(x) is the value, > 0."""
    return value + math.log(-math.expm1(-value))


def check_tie_rate(value: float) -> float:
    """Return the tie rate at margin 0 to start from, in (0, 1)."""
    remedy = "take the share of ties in the data, or 0.1"
    return check_number("initial_tie_rate", value, above=0, below=1, remedy=remedy)


class RaoKupper(Loss):
    """Log-loss of chosen, tie and rejected with a learned threshold, see `rao_kupper_log_probs`.

    Args:
        ties: model (auto); drop and soft are refused, since eta would then fall to 0.
        centering: weight of (reward_chosen + reward_rejected)², >= 0.
        initial_tie_rate: probability of a tie at margin 0 to start from, in (0, 1).
    """

    tie_policies = ("model",)
    because = LEARNS_TIES

    def __init__(
        self, *, ties: TiePolicy = "auto", centering: float = 0.0, initial_tie_rate: float = 0.1
    ) -> None:
        super().__init__(ties=ties, centering=centering)
        # tanh(eta / 2) is the tie rate at margin 0
        eta = 2 * math.atanh(check_tie_rate(initial_tie_rate))
        # one element, not a scalar: FSDP2 can't shard a tensor without axes
        self.rho = nn.Parameter(torch.tensor([inverse_softplus(eta)]))

    def eta(self) -> Tensor:
        """Return the threshold softplus(rho) > 0, [1]."""
        return softplus(at_least_float32(self.rho))

    def comparison_loss(self, margin_P: Tensor, batch: GroupBatch) -> Tensor:
        return outcome_cross_entropy(self.outcome_log_probs(margin_P), batch.preference_P)

    def preference_logit(self, margin_P: Tensor) -> Tensor:
        return rao_kupper_logit(margin_P, self.eta())

    def outcome_log_probs(self, margin_P: Tensor) -> Tensor:
        return rao_kupper_log_probs(margin_P, self.eta())

    def learned(self) -> dict[str, float]:
        return {"eta": self.eta().item()}


class Davidson(Loss):
    """Log-loss of chosen, tie and rejected with a learned propensity, see `davidson_log_probs`.

    `preference_logit` is the margin: a tie takes from both sides in proportion.

    Args:
        ties: model (auto); drop and soft are refused, since nu would then fall to 0.
        centering: weight of (reward_chosen + reward_rejected)², >= 0.
        initial_tie_rate: probability of a tie at margin 0 to start from, in (0, 1).
    """

    tie_policies = ("model",)
    because = LEARNS_TIES

    def __init__(
        self, *, ties: TiePolicy = "auto", centering: float = 0.0, initial_tie_rate: float = 0.1
    ) -> None:
        super().__init__(ties=ties, centering=centering)
        tie_rate = check_tie_rate(initial_tie_rate)
        # nu / (2 + nu) is the tie rate at margin 0; one element for FSDP2, as in RaoKupper
        self.log_nu = nn.Parameter(torch.tensor([math.log(2 * tie_rate / (1 - tie_rate))]))

    def nu(self) -> Tensor:
        """Return the tie propensity exp(log_nu) > 0, [1]."""
        return at_least_float32(self.log_nu).exp()

    def comparison_loss(self, margin_P: Tensor, batch: GroupBatch) -> Tensor:
        return outcome_cross_entropy(self.outcome_log_probs(margin_P), batch.preference_P)

    def outcome_log_probs(self, margin_P: Tensor) -> Tensor:
        return davidson_log_probs(margin_P, self.nu())

    def learned(self) -> dict[str, float]:
        return {"nu": self.nu().item()}
