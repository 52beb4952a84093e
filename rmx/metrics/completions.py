"""Every completion of a split with its reward, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rmx.metrics.pairs import is_counted_completion
from rmx.metrics.state import Float64Metric, joined
from rmx.types import GroupBatch


@dataclass
class CompletionRewards:
    """C completions, fillers left out; sorted by (group, place).

    Attributes:
        group: int64, the group's place in its split.
        place: int64, the completion's place in its tokenized group.
        reward: float64.
    """

    group: np.ndarray
    place: np.ndarray
    reward: np.ndarray

    def __len__(self) -> int:
        return len(self.group)


class RewardCollector(Float64Metric):
    """Collects rewards batch by batch and gathers them from all ranks.

    Example:
        >>> import torch
        >>> from rmx.metrics import RewardCollector, pair_batch
        >>> collector = RewardCollector()
        >>> batch = pair_batch(torch.tensor([1.0, 1.0]), index_P=torch.tensor([7, 3]))
        >>> collector.update(torch.tensor([2.0, 0.5, 1.0, 1.5]), batch)
        >>> rewards = collector.compute()
        >>> rewards.group.tolist(), rewards.place.tolist(), rewards.reward.tolist()
        ([3, 3, 7, 7], [0, 1, 0, 1], [1.0, 1.5, 2.0, 0.5])
    """

    def __init__(self) -> None:
        super().__init__()
        for name in ("group", "place", "reward"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, reward_C: Tensor, batch: GroupBatch) -> None:
        """Add a batch."""
        place_C = _place_in_group(batch.group_C)
        counted_C = is_counted_completion(batch)
        self.group.append(batch.index_G[batch.group_C][counted_C].double())  # type: ignore[operator]
        self.place.append(place_C[counted_C].double())  # type: ignore[operator]
        self.reward.append(reward_C.detach()[counted_C].double())  # type: ignore[operator]

    def compute(self) -> CompletionRewards:
        """Return all completions, on every rank."""
        group, place, reward = (
            joined(getattr(self, name)).cpu().numpy() for name in ("group", "place", "reward")
        )
        order = np.lexsort((place, group))
        return CompletionRewards(
            group[order].astype(np.int64), place[order].astype(np.int64), reward[order]
        )


def _place_in_group(group_C: Tensor) -> Tensor:
    """Return how many completions of the same group come before each, int64 [C]."""
    is_same_CC = group_C[:, None] == group_C
    return torch.tril(is_same_CC, -1).sum(1)
