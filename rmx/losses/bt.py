"""Bradley-Terry and its variants: the log-loss of a preference as a function of the margin.

P(chosen preferred) = sigmoid(margin). Here live the plain loss, with soft labels, label smoothing
and a known noise rate, the one with a required margin (Llama 2) and the one scaled by strength
(HelpSteer2-Preference). Ties with a probability of their own are in ties.py.

Shape letters: C completions, P comparisons. `preference_P` is q, the probability that the chosen
one is preferred: 1 strict, ½ a tie.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from rmx.errors import ConfigError
from rmx.losses.base import (
    Loss,
    TiePolicy,
    at_least_float32,
    check_number,
    expected_over_preference,
)
from rmx.types import GroupBatch


def bradley_terry(
    margin_P: Tensor,
    preference_P: Tensor | float = 1.0,
    *,
    label_smoothing: float = 0.0,
    noise_rate: float = 0.0,
) -> Tensor:
    """Return -q log P(chosen) - (1-q) log P(rejected) for each comparison.

    Plain: P(chosen) = sigmoid(margin), so the derivative in the margin is sigmoid(margin) - q. This
    is a proper score: its expectation is least where sigmoid(margin) is the true probability p. It
    is the binary cross-entropy with the margin as the logit, too.

    Label smoothing e: q becomes (1-e) q + e (1-q), and the optimum p' = (1-e) p + e (1-p): a bound
    on confidence, which sigmoid(margin) then reports as it is.

    Noise rate e: labels are true ones flipped with a known probability, so
    P(chosen) = (1-e) sigmoid(margin) + e sigmoid(-margin), and sigmoid(margin) is the clean p.

    Args:
        margin_P: reward_chosen - reward_rejected, float [P].
        preference_P: q in [0, 1], float [P] or one number.
        label_smoothing: e in [0, 0.5).
        noise_rate: e in [0, 0.5); not together with label smoothing.
    Returns:
        Loss in nats, at least float32 [P]; the caller reduces.
    References:
        Bradley & Terry (1952), Biometrika 39(3/4).
        Natarajan et al. (2013), NeurIPS 26, and Patrini et al. (2017),
        https://arxiv.org/abs/1609.03683, forward correction, for the noise rate.
    """
    margin_P = at_least_float32(margin_P)
    log_chosen_P, log_rejected_P = logsigmoid(margin_P), logsigmoid(-margin_P)
    if noise_rate > 0:
        keep, flip = math.log1p(-noise_rate), math.log(noise_rate)
        log_chosen_P, log_rejected_P = (
            torch.logaddexp(keep + log_chosen_P, flip + log_rejected_P),
            torch.logaddexp(keep + log_rejected_P, flip + log_chosen_P),
        )
    target_P = (1 - 2 * label_smoothing) * preference_P + label_smoothing
    return -expected_over_preference(target_P, log_chosen_P, log_rejected_P)


def margin_bradley_terry(
    margin_P: Tensor, required_margin_P: Tensor | float, preference_P: Tensor | float = 1.0
) -> Tensor:
    """Return -q log sigmoid(margin - m) - (1-q) log sigmoid(-margin - m) for each comparison.

    The preferred completion has to lead by m. NOT a proper score: for a true probability of 0.7 the
    optimum reports sigmoid(margin) = 0.807 at m = 1, 0.910 at 2 and 0.964 at 3. Recalibrate before
    reading it as a probability.

    Args:
        margin_P: reward_chosen - reward_rejected, float [P].
        required_margin_P: m >= 0, float [P] or one number.
        preference_P: q in [0, 1], float [P] or one number.
    Returns:
        Loss in nats, at least float32 [P]; the caller reduces.
    Reference: Touvron et al. (2023), Llama 2, section 3.2.2, https://arxiv.org/abs/2307.09288
    """
    margin_P = at_least_float32(margin_P)
    return -expected_over_preference(
        preference_P,
        logsigmoid(margin_P - required_margin_P),
        logsigmoid(-margin_P - required_margin_P),
    )


def check_label_noise(label_smoothing: float, noise_rate: float) -> tuple[float, float]:
    """Return both settings.

    Raises:
        ConfigError: one is out of [0, 0.5), or both are set.
    """
    remedy = "0.5 erases the label"
    smoothing = check_number(
        "label_smoothing", label_smoothing, at_least=0, below=0.5, remedy=remedy
    )
    noise = check_number("noise_rate", noise_rate, at_least=0, below=0.5, remedy=remedy)
    if smoothing > 0 and noise > 0:
        raise ConfigError(
            "label_smoothing and noise_rate are two answers to the same noise, "
            f"got {smoothing:g} and {noise:g}; set one of them to 0"
        )
    return smoothing, noise


class BradleyTerry(Loss):
    """The log-loss of sigmoid(margin), see `bradley_terry`.

    Args:
        ties: soft (auto; a tie is q = ½) or drop. Neither is neutral: with a tie rate t at margin 0
            and Rao-Kupper annotators, soft shrinks the slope by 1-t² and drop inflates it by 1+t.
        centering: weight of (reward_chosen + reward_rejected)², >= 0.
        label_smoothing: in [0, 0.5).
        noise_rate: known rate of flipped labels, in [0, 0.5); excludes label smoothing.
    """

    def __init__(
        self,
        *,
        ties: TiePolicy = "auto",
        centering: float = 0.0,
        label_smoothing: float = 0.0,
        noise_rate: float = 0.0,
    ) -> None:
        super().__init__(ties=ties, centering=centering)
        self.label_smoothing, self.noise_rate = check_label_noise(label_smoothing, noise_rate)

    def comparison_loss(self, margin_P: Tensor, batch: GroupBatch) -> Tensor:
        return bradley_terry(
            margin_P,
            batch.preference_P,
            label_smoothing=self.label_smoothing,
            noise_rate=self.noise_rate,
        )


class MarginBradleyTerry(Loss):
    """Bradley-Terry with a required margin, see `margin_bradley_terry`; not a proper score.

    m = margin_scale * strength. Where the strength is unknown m is 0, plain Bradley-Terry: asking
    for a lead that no annotator reported would add confidence out of nothing.

    Args:
        ties: soft (auto; a tie is q = ½) or drop.
        centering: weight of (reward_chosen + reward_rejected)², >= 0.
        margin_scale: m of the strongest preference, >= 0; Llama 2 used 1 and 3.
    """

    def __init__(
        self, *, ties: TiePolicy = "auto", centering: float = 0.0, margin_scale: float = 1.0
    ) -> None:
        super().__init__(ties=ties, centering=centering)
        self.margin_scale = check_number(
            "margin_scale", margin_scale, at_least=0, remedy="1 or 3 is usual, 0 is loss=bt"
        )

    def comparison_loss(self, margin_P: Tensor, batch: GroupBatch) -> Tensor:
        required_P = self.margin_scale * batch.strength_P.nan_to_num(nan=0.0)
        return margin_bradley_terry(margin_P, required_P, batch.preference_P)


class ScaledBradleyTerry(BradleyTerry):
    """Bradley-Terry times the preference's strength: strength * -log sigmoid(margin).

    A reweighting of comparisons, so each one's optimum stays sigmoid(margin) = p as long as
    strength and outcome are independent given the pair. Where the strength is unknown it is 1: the
    comparison counts in full. That holds for ties too, which rarely come with a strength;
    ties=drop leaves them out, as the paper does.

    Args:
        ties: soft (auto; a tie is q = ½) or drop.
        centering: weight of (reward_chosen + reward_rejected)², >= 0; not scaled.
        label_smoothing: in [0, 0.5).
        noise_rate: known rate of flipped labels, in [0, 0.5); excludes label smoothing.
    Reference: Wang et al. (2024), HelpSteer2-Preference, https://arxiv.org/abs/2410.01257
    """

    def comparison_loss(self, margin_P: Tensor, batch: GroupBatch) -> Tensor:
        return batch.strength_P.nan_to_num(nan=1.0) * super().comparison_loss(margin_P, batch)
