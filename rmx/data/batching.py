"""From tokenized groups to batches: what goes into each optimiser step, on which rank.

A run's plan is a pure function of its seed and data, so that a resumed run continues by its step's
number alone. Shape letters as in types.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from rmx.types import GroupBatch, PaddedTokens, TokenizedGroup


@dataclass(frozen=True, slots=True)
class Slot:
    """A group's place in a batch. Fillers keep the ranks in step and count for nothing."""

    index: int
    is_filler: bool = False


MicroBatch = list[Slot]


def pad(groups: Sequence[TokenizedGroup], pad_id: int) -> PaddedTokens:
    """Return the groups' completions as right-padded rows, group after group."""
    rows = [row for group in groups for row in group.rows]
    length = max(len(row) for row in rows)
    input_ids_CT = torch.full((len(rows), length), pad_id, dtype=torch.int64)
    mask_CT = torch.zeros((len(rows), length), dtype=torch.int64)
    for c, row in enumerate(rows):
        input_ids_CT[c, : len(row)] = torch.from_numpy(row.astype(np.int64))
        mask_CT[c, : len(row)] = 1
    prompt_length_C = torch.tensor([n for group in groups for n in group.prompt_lengths])
    return PaddedTokens(input_ids_CT=input_ids_CT, mask_CT=mask_CT, prompt_length_C=prompt_length_C)


def collate(
    groups: Sequence[TokenizedGroup], slots: Sequence[Slot], *, domains: Sequence[str], pad_id: int
) -> GroupBatch:
    """Return one batch of the groups that the slots name, in their order."""
    chosen = [groups[slot.index] for slot in slots]
    first_C = np.cumsum([0] + [len(group.rows) for group in chosen])
    rows: list[tuple[int, int, int, float, float, float, int]] = []
    for g, (slot, group) in enumerate(zip(slots, chosen, strict=True)):
        domain = domains.index(group.domain)
        for c in group.comparisons:
            strength = math.nan if c.strength is None else c.strength
            weight = 0.0 if slot.is_filler else c.weight
            start = int(first_C[g])
            rows.append(
                (g, start + c.chosen, start + c.rejected, c.preference, strength, weight, domain)
            )
    group_P, chosen_P, rejected_P, preference_P, strength_P, weight_P, domain_P = zip(
        *rows, strict=True
    )
    ranks = [r for group in chosen for r in group.ranks or (-1,) * len(group.rows)]
    return GroupBatch(
        tokens=pad(chosen, pad_id),
        group_C=torch.repeat_interleave(torch.tensor([len(group.rows) for group in chosen])),
        group_P=torch.tensor(group_P),
        rank_C=torch.tensor(ranks),
        chosen_P=torch.tensor(chosen_P),
        rejected_P=torch.tensor(rejected_P),
        preference_P=torch.tensor(preference_P, dtype=torch.float32),
        strength_P=torch.tensor(strength_P, dtype=torch.float32),
        weight_P=torch.tensor(weight_P, dtype=torch.float32),
        domain_P=torch.tensor(domain_P),
        index_G=torch.tensor([slot.index for slot in slots]),
    )


def plan_steps(
    num_comparisons_G: Sequence[int], *, comparisons: int, epochs: float, seed: int
) -> list[list[int]]:
    """Return the groups of each optimiser step of the whole run.

    Each epoch is a fresh permutation; the epochs follow one another without a seam, so every step
    but the last holds at least `comparisons` comparisons and the last takes what is left.

    Args:
        num_comparisons_G: how many comparisons each group brings.
        comparisons: the wanted number a step; a group is never divided, so a step may hold more.
        epochs: passes over the data; a fraction is a partial last pass.
    """
    num_groups = len(num_comparisons_G)
    num_visits = round(epochs * num_groups)
    order = np.concatenate(
        [
            np.random.default_rng((seed, epoch)).permutation(num_groups)
            for epoch in range(math.ceil(num_visits / num_groups))
        ]
    )[:num_visits]
    steps: list[list[int]] = [[]]
    filled = 0
    for g in order.tolist():
        if filled >= comparisons:
            steps.append([])
            filled = 0
        steps[-1].append(g)
        filled += num_comparisons_G[g]
    return steps


def divide(
    step: Sequence[int],
    groups: Sequence[TokenizedGroup],
    *,
    completions: int,
    rank: int,
    world: int,
) -> list[MicroBatch]:
    """Return one rank's share of a step as micro-batches of rows of like length.

    Every rank gets the same number of micro-batches, as sharded models need; where the groups don't
    go round, a filler (a group that weighs nothing) takes the place.

    Args:
        completions: at most so many rows a micro-batch; a group is never divided, so one that is
            larger stands alone.
    """
    by_length = sorted(step, key=lambda g: (max(map(len, groups[g].rows)), g))
    shares = [by_length[r::world] for r in range(world)]
    packed = [_pack(share, groups, completions) for share in shares]
    num_micro = max(map(len, packed))
    own = [[Slot(g) for g in micro] for micro in packed[rank]]
    filler = [Slot(by_length[0], is_filler=True)]
    return own + [filler] * (num_micro - len(own))


def _pack(
    share: Sequence[int], groups: Sequence[TokenizedGroup], completions: int
) -> list[list[int]]:
    micros: list[list[int]] = []
    filled = completions
    for g in share:
        size = len(groups[g].rows)
        if filled + size > completions:
            micros.append([])
            filled = 0
        micros[-1].append(g)
        filled += size
    return micros


class StepDataset(Dataset[list[GroupBatch]]):
    """Item i is optimiser step i of the run: this rank's micro-batches, collated."""

    def __init__(
        self,
        groups: Sequence[TokenizedGroup],
        steps: list[list[int]],
        *,
        domains: Sequence[str],
        pad_id: int,
        completions: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.groups = groups
        self.steps = steps
        self.domains = tuple(domains)
        self.pad_id = pad_id
        self.completions = completions
        self.rank = rank
        self.world = world

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, step: int) -> list[GroupBatch]:
        micros = divide(
            self.steps[step],
            self.groups,
            completions=self.completions,
            rank=self.rank,
            world=self.world,
        )
        return [collate(self.groups, m, domains=self.domains, pad_id=self.pad_id) for m in micros]


class FromStep(Sampler[int]):
    """Steps `start`, `start + 1`, …; its length counts those before, as Lightning does."""

    def __init__(self, num_steps: int, start: int = 0) -> None:
        self.num_steps = num_steps
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.num_steps))

    def __len__(self) -> int:
        return self.num_steps


class StepLoader(DataLoader):
    """Loads optimiser steps from `start` on; workers change nothing in what it yields.

    The two state methods are how Lightning knows a loader that can go on where it was.
    """

    def __init__(self, dataset: StepDataset, *, start: int = 0, num_workers: int = 0) -> None:
        super().__init__(
            dataset,
            batch_size=None,
            sampler=FromStep(len(dataset), start),
            num_workers=num_workers,
            # An own generator, so that making the iterator draws nothing from the global one.
            generator=torch.Generator().manual_seed(0),
        )

    def state_dict(self) -> dict[str, int]:
        assert isinstance(self.sampler, FromStep)
        return {"start": self.sampler.start}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        assert isinstance(self.sampler, FromStep)
        self.sampler.start = state_dict["start"]


class EvalDataset(Dataset[GroupBatch]):
    """Every group once, in batches of rows of like length, shared out among the ranks."""

    def __init__(
        self,
        groups: Sequence[TokenizedGroup],
        *,
        domains: Sequence[str],
        pad_id: int,
        completions: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.groups = groups
        self.domains = tuple(domains)
        self.pad_id = pad_id
        self.micros = divide(
            range(len(groups)), groups, completions=completions, rank=rank, world=world
        )

    def __len__(self) -> int:
        return len(self.micros)

    def __getitem__(self, index: int) -> GroupBatch:
        return collate(self.groups, self.micros[index], domains=self.domains, pad_id=self.pad_id)


def eval_loader(dataset: EvalDataset, *, num_workers: int = 0) -> DataLoader:
    return DataLoader(
        dataset,
        batch_size=None,
        shuffle=False,
        num_workers=num_workers,
        generator=torch.Generator().manual_seed(0),
    )
