"""Batches and a minimiser for the losses' tests."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rmx.types import GroupBatch, PaddedTokens

Group = tuple[int, list[tuple[int, int, float]], list[int]]


def group_batch(
    groups: list[Group],
    *,
    strengths: list[float] | None = None,
    weights: list[float] | None = None,
) -> GroupBatch:
    """Return a batch of (number of completions, [(chosen, rejected, preference)], ranks)."""
    group_C, group_P, rank_C, chosen_P, rejected_P, preference_P = [], [], [], [], [], []
    for index, (num_completions, comparisons, ranks) in enumerate(groups):
        first = len(group_C)
        for chosen, rejected, preference in comparisons:
            chosen_P.append(first + chosen)
            rejected_P.append(first + rejected)
            preference_P.append(preference)
        group_C += [index] * num_completions
        group_P += [index] * len(comparisons)
        rank_C += ranks
    num_comparisons = len(group_P)
    one_CT = torch.ones(len(group_C), 1, dtype=torch.int64)
    return GroupBatch(
        tokens=PaddedTokens(one_CT, one_CT, torch.zeros(len(group_C), dtype=torch.int64)),
        group_C=torch.tensor(group_C),
        group_P=torch.tensor(group_P),
        rank_C=torch.tensor(rank_C),
        chosen_P=torch.tensor(chosen_P),
        rejected_P=torch.tensor(rejected_P),
        preference_P=torch.tensor(preference_P, dtype=torch.float32),
        strength_P=torch.tensor(strengths or [torch.nan] * num_comparisons),
        weight_P=torch.tensor(weights or [1.0] * num_comparisons),
        domain_P=torch.zeros(num_comparisons, dtype=torch.int64),
        index_G=torch.arange(len(groups)),
    )


def pair_batch(preferences: list[float], **options: list[float]) -> GroupBatch:
    """Return a batch of groups of two, whose first completion is the chosen one."""
    ranks = {True: [0, 1], False: [1, 0]}
    return group_batch(
        [(2, [(0, 1, q)], [0, 0] if q == 0.5 else ranks[q > 0.5]) for q in preferences], **options
    )


def minimise(expected_loss: Callable[[Tensor], Tensor]) -> float:
    """Return the margin in -20..20 where a loss with one minimum has it, by halving."""
    low, high = -20.0, 20.0
    for _ in range(60):
        margin_P = torch.tensor([(low + high) / 2], dtype=torch.float64, requires_grad=True)
        (slope_P,) = torch.autograd.grad(expected_loss(margin_P).sum(), margin_P)
        low, high = (low, margin_P.item()) if slope_P.item() > 0 else (margin_P.item(), high)
    return (low + high) / 2


@pytest.fixture
def make_groups() -> Callable[..., GroupBatch]:
    return group_batch


@pytest.fixture
def make_pairs() -> Callable[..., GroupBatch]:
    return pair_batch


@pytest.fixture
def best_margin() -> Callable[[Callable[[Tensor], Tensor]], float]:
    return minimise
