"""Groups of several completions with ties, soft preferences and fillers, in any batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from rmx.types import GroupBatch, PaddedTokens

DOMAINS = ("code", "maths", "never_seen", "prose")
Scored = tuple[Tensor, Tensor, GroupBatch]  # reward_C, logit_P and what they belong to


@dataclass
class Group:
    index: int
    domain: int
    reward_K: Tensor
    length_K: Tensor
    comparisons: list[tuple[int, int, float, float]]  # chosen, rejected, preference, weight


def random_groups(num_groups: int, *, seed: int = 0) -> list[Group]:
    """Groups of 2 to 4 completions, a tenth of them fillers, all four kinds of preference."""
    draw = torch.Generator().manual_seed(seed)

    def integer(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=draw))

    groups = []
    for index in range(num_groups):
        size = integer(2, 5)
        weight = 0.0 if integer(0, 10) == 0 else 1.0
        pairs = [(i, j) for i in range(size) for j in range(size) if i < j][: integer(1, 4)]
        comparisons = [(i, j, (1.0, 0.0, 0.5, 0.75)[integer(0, 4)], weight) for i, j in pairs]
        reward_K = 2 * torch.randn(size, generator=draw)
        length_K = torch.randint(1, 9, (size,), generator=draw)
        groups.append(Group(index, (0, 1, 3)[integer(0, 3)], reward_K, length_K, comparisons))
    return groups


def collate(groups: Sequence[Group]) -> Scored:
    """One batch. The logit is 1.5 times the margin, so that mixing them up shows."""
    size_G = torch.tensor([len(group.reward_K) for group in groups])
    start_G = (size_G.cumsum(0) - size_G).tolist()
    rows = [
        (place, start + i, start + j, preference, weight, group.domain)
        for place, (group, start) in enumerate(zip(groups, start_G, strict=True))
        for i, j, preference, weight in group.comparisons
    ]
    group_P, chosen_P, rejected_P, preference_P, weight_P, domain_P = map(
        torch.tensor, zip(*rows, strict=True)
    )
    reward_C = torch.cat([group.reward_K for group in groups])
    length_C = torch.cat([group.length_K for group in groups])
    mask_CT = (torch.arange(12) < length_C[:, None] + 3).long()  # a prompt of three tokens
    batch = GroupBatch(
        tokens=PaddedTokens(mask_CT, mask_CT, torch.full_like(length_C, 3)),
        group_C=torch.arange(len(groups)).repeat_interleave(size_G),
        group_P=group_P,
        rank_C=torch.full((len(reward_C),), -1),
        chosen_P=chosen_P,
        rejected_P=rejected_P,
        preference_P=preference_P.float(),
        strength_P=torch.full((len(group_P),), float("nan")),
        weight_P=weight_P.float(),
        domain_P=domain_P,
        index_G=torch.tensor([group.index for group in groups]),
    )
    return reward_C, 1.5 * batch.margin(reward_C), batch


def in_batches(groups: Sequence[Group], sizes: Sequence[int]) -> list[Scored]:
    """Batches of `sizes` groups in turn, the last one repeated."""
    batches, start = [], 0
    while start < len(groups):
        size = sizes[min(len(batches), len(sizes) - 1)]
        batches.append(collate(groups[start : start + size]))
        start += size
    return batches


def results_of(metric, batches: Sequence[Scored]):
    """What a metric computes from batches."""
    for scored in batches:
        metric.update(*scored)
    return metric.compute()


@pytest.fixture(scope="session")
def domains() -> tuple[str, ...]:
    return DOMAINS


@pytest.fixture(scope="session")
def groups() -> list[Group]:
    return random_groups(200)


@pytest.fixture(scope="session")
def split_into() -> Callable[[Sequence[Group], Sequence[int]], list[Scored]]:
    return in_batches


@pytest.fixture(scope="session")
def results() -> Callable:
    return results_of
