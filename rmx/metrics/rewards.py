"""The rewards themselves: where they lie, how often nothing was decided, how sure the model is.

C completions, P comparisons.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmx.metrics.pairs import is_counted, is_counted_completion
from rmx.metrics.state import Float64Metric
from rmx.types import TIE, GroupBatch

SATURATED_LOGIT = math.log(99)  # σ = 0.99: once wrong in a hundred; people agree far less often


def reward_moments(reward_C: Tensor) -> Tensor:
    """Return count, mean and sum of squared deviations of the rewards, float64 [3]."""
    reward_C = reward_C.double()
    mean = reward_C.sum() / max(1, len(reward_C))
    count = torch.full_like(mean, len(reward_C))
    return torch.stack([count, mean, (reward_C - mean).square().sum()])


def merge_moments(moments_R3: Tensor) -> Tensor:
    """Return the moments of R samples taken together, float64 [3], from each one's own.

    Stable where sums of squares are not: rewards of 1e6 ± 1e-3 keep their spread.
    Reference: Chan, Golub & LeVeque (1983), The American Statistician 37.
    """
    count_R, mean_R, squares_R = moments_R3.unbind(1)
    count = count_R.sum()
    mean = (count_R * mean_R).sum() / count.clamp(min=1)
    squares = (squares_R + count_R * (mean_R - mean).square()).sum()
    return torch.stack([count, mean, squares])


class RewardStatistics(Float64Metric):
    """Mean, standard deviation (n - 1) and extremes of the rewards over completions.

    A completion counts once, however many comparisons it is in, and not at all where every
    comparison of its group is a filler. `compute` returns float64 scalars `reward_mean`,
    `reward_std`, `reward_min`, `reward_max`.

    Example:
        >>> import torch
        >>> from rmx.metrics import RewardStatistics, pair_batch
        >>> metric = RewardStatistics()
        >>> batch = pair_batch(torch.tensor([1.0, 0.5, 1.0]), weight_P=torch.tensor([1, 1, 0]))
        >>> metric.update(torch.tensor([1.0, 2.0, 3.0, 6.0, 99.0, 99.0]), torch.zeros(3), batch)
        >>> {key: round(value.item(), 4) for key, value in metric.compute().items()}
        {'reward_mean': 3.0, 'reward_std': 2.1602, 'reward_min': 1.0, 'reward_max': 6.0}
    """

    moments: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self) -> None:
        super().__init__()
        infinity = torch.tensor(math.inf, dtype=torch.float64)
        self.add_state("moments", torch.zeros(3, dtype=torch.float64), dist_reduce_fx=merge_moments)
        self.add_state("lowest", infinity, dist_reduce_fx="min")
        self.add_state("highest", -infinity, dist_reduce_fx="max")

    def update(self, reward_C: Tensor, logit_P: Tensor, batch: GroupBatch) -> None:
        """Add a batch; `logit_P` is not read."""
        reward_C = reward_C[is_counted_completion(batch)].double()
        self.moments = merge_moments(torch.stack([self.moments, reward_moments(reward_C)]))
        self.lowest = torch.cat([self.lowest[None], reward_C]).min()
        self.highest = torch.cat([self.highest[None], reward_C]).max()

    def compute(self) -> dict[str, Tensor]:
        """Return the four statistics, NaN for no completion."""
        count, mean, squares = self.moments
        is_empty = count == 0
        statistics = {
            "reward_mean": mean,
            "reward_std": (squares / (count - 1).clamp(min=1)).sqrt(),
            "reward_min": self.lowest,
            "reward_max": self.highest,
        }
        return {key: value.masked_fill(is_empty, math.nan) for key, value in statistics.items()}


class TieRate(Float64Metric):
    """Share of the comparisons in which the annotator saw no difference.

    Example:
        >>> import torch
        >>> from rmx.metrics import TieRate, pair_batch
        >>> metric = TieRate()
        >>> batch = pair_batch(torch.tensor([1.0, 0.5, 0.0, 1.0]))
        >>> metric.update(torch.zeros(8), torch.zeros(4), batch)
        >>> metric.compute().item()
        0.25
    """

    num_ties: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("num_ties", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, reward_C: Tensor, logit_P: Tensor, batch: GroupBatch) -> None:
        """Add a batch; neither rewards nor logits are read."""
        counted_P = is_counted(batch)
        self.num_ties += (counted_P & (batch.preference_P == TIE)).sum()
        self.count += counted_P.sum()

    def compute(self) -> Tensor:
        """Return ties / comparisons, NaN for none."""
        return self.num_ties / self.count


class SaturatedShare(Float64Metric):
    """Share of the comparisons, ties included, about which the model is more than 99 % sure.

    Example:
        >>> import torch
        >>> from rmx.metrics import SaturatedShare, pair_batch
        >>> metric = SaturatedShare()
        >>> batch = pair_batch(torch.tensor([1.0, 0.5]))
        >>> metric.update(torch.zeros(4), torch.tensor([-4.6, 4.5]), batch)  # 99.01 % and 98.9 %
        >>> metric.compute().item()
        0.5
    """

    num_saturated: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("num_saturated", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, reward_C: Tensor, logit_P: Tensor, batch: GroupBatch) -> None:
        """Add a batch; `reward_C` is not read."""
        counted_P = is_counted(batch)
        self.num_saturated += (counted_P & (logit_P.float().abs() > SATURATED_LOGIT)).sum()
        self.count += counted_P.sum()

    def compute(self) -> Tensor:
        """Return saturated / comparisons, NaN for none."""
        return self.num_saturated / self.count
