"""Proper scores of the preference probability: they need no bins and reward honest confidence.

P comparisons. Ties are left out: the logit speaks of the comparisons that an annotator decided.
A soft preference is scored as it is, so its best value is the preference's own entropy or
variance, not 0.

In float64: vectorised float32 exponentials round by an element's place in the tensor, so a mean
would depend on how comparisons were batched.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from rmx.metrics.pairs import is_decided
from rmx.metrics.state import Float64Metric
from rmx.types import GroupBatch


def preference_nll(logit_P: Tensor, preference_P: Tensor) -> Tensor:
    """Return -q log σ(logit) - (1 - q) log σ(-logit) in nats; a coin scores ln 2 = 0.6931.

    Args:
        logit_P: logit of P(chosen preferred), float [P].
        preference_P: q, float [P].
    Returns:
        float64 [P].
    """
    logit_P, preference_P = logit_P.double(), preference_P.double()
    return preference_P * softplus(-logit_P) + (1 - preference_P) * softplus(logit_P)


def preference_brier(logit_P: Tensor, preference_P: Tensor) -> Tensor:
    """Return (σ(logit) - q)², float64 [P]; a coin scores 0.25 on strict preferences.

    Reference: Brier (1950), Monthly Weather Review 78.
    """
    return (logit_P.double().sigmoid() - preference_P.double()).square()


class PreferenceNLL(Float64Metric):
    """Mean negative log-likelihood of the preferences in nats, over comparisons, ties left out.

    Example:
        >>> import torch
        >>> from rmx.metrics import PreferenceNLL, pair_batch
        >>> metric = PreferenceNLL()
        >>> batch = pair_batch(torch.tensor([1.0, 0.0]))
        >>> reward_C = torch.tensor([0.0, 0.0, 1.0, 0.0])  # a coin, then σ(1) on the wrong side
        >>> metric.update(reward_C, batch.margin(reward_C), batch)
        >>> round(metric.compute().item(), 4)  # (ln 2 + ln(1 + e)) / 2
        1.0032
    """

    higher_is_better = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, reward_C: Tensor, logit_P: Tensor, batch: GroupBatch) -> None:
        """Add a batch; `reward_C` is not read."""
        decided_P = is_decided(batch)
        self.total += preference_nll(logit_P, batch.preference_P).where(decided_P, 0).sum()
        self.count += decided_P.sum()

    def compute(self) -> Tensor:
        """Return the mean over comparisons, NaN for none."""
        return self.total / self.count


class PreferenceBrier(Float64Metric):
    """Mean squared error of P(chosen preferred), over comparisons, ties left out.

    Example:
        >>> import torch
        >>> from rmx.metrics import PreferenceBrier, pair_batch
        >>> metric = PreferenceBrier()
        >>> batch = pair_batch(torch.tensor([1.0, 0.0]))
        >>> reward_C = torch.tensor([0.0, 0.0, 1.0, 0.0])
        >>> metric.update(reward_C, batch.margin(reward_C), batch)
        >>> round(metric.compute().item(), 4)  # (0.5² + 0.7311²) / 2
        0.3922
    """

    higher_is_better = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, reward_C: Tensor, logit_P: Tensor, batch: GroupBatch) -> None:
        """Add a batch; `reward_C` is not read."""
        decided_P = is_decided(batch)
        self.total += preference_brier(logit_P, batch.preference_P).where(decided_P, 0).sum()
        self.count += decided_P.sum()

    def compute(self) -> Tensor:
        """Return the mean over comparisons, NaN for none."""
        return self.total / self.count
