"""Plans and batches: every comparison once an epoch, and every rank with as many forward passes."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rmx.data.batching import (
    EvalDataset,
    FromStep,
    Slot,
    StepDataset,
    StepLoader,
    collate,
    divide,
    plan_steps,
)
from rmx.types import Comparison, TokenizedGroup


def group(name: str, lengths: list[int], *, domain: str = "a", ranks=None) -> TokenizedGroup:
    comparisons = tuple(
        Comparison(i, j, strength=0.5 if j == 1 else None)
        for i in range(len(lengths))
        for j in range(i + 1, len(lengths))
    )
    rows = tuple(np.arange(1, n + 1, dtype=np.int32) for n in lengths)
    ones, places = tuple(1 for _ in lengths), tuple(range(len(lengths)))
    return TokenizedGroup(name, domain, rows, ones, comparisons, places, ranks)


sizes = st.lists(st.integers(1, 7), min_size=1, max_size=40)


@given(sizes, st.integers(1, 20), st.integers(1, 3), st.integers(0, 5))
def test_each_epoch_visits_every_group_once(num_comparisons, comparisons, epochs, seed):
    steps = plan_steps(num_comparisons, comparisons=comparisons, epochs=epochs, seed=seed)
    order = [g for step in steps for g in step]
    num = len(num_comparisons)
    for epoch in range(epochs):
        assert sorted(order[epoch * num : (epoch + 1) * num]) == list(range(num))


@given(sizes, st.integers(1, 20))
def test_every_step_but_the_last_is_full_and_no_fuller_than_one_group_more(
    num_comparisons, comparisons
):
    steps = plan_steps(num_comparisons, comparisons=comparisons, epochs=2, seed=0)
    for step in steps[:-1]:
        held = [num_comparisons[g] for g in step]
        assert sum(held) >= comparisons
        assert sum(held[:-1]) < comparisons


def test_another_seed_gives_another_order():
    plans = [plan_steps([1] * 50, comparisons=5, epochs=1, seed=s) for s in (0, 0, 1)]
    assert plans[0] == plans[1] != plans[2]


@given(
    st.lists(st.lists(st.integers(2, 30), min_size=2, max_size=4), min_size=1, max_size=25),
    st.integers(1, 4),
    st.integers(2, 9),
)
def test_ranks_share_a_step_without_loss_or_doubling(lengths, world, completions):
    groups = [group(str(i), row) for i, row in enumerate(lengths)]
    shares = [
        divide(range(len(groups)), groups, completions=completions, rank=r, world=world)
        for r in range(world)
    ]
    assert len({len(share) for share in shares}) == 1  # sharded models need equal counts
    real = Counter(
        slot.index for share in shares for micro in share for slot in micro if not slot.is_filler
    )
    assert real == Counter(range(len(groups)))
    for share in shares:
        for micro in share:
            rows = sum(len(groups[slot.index].rows) for slot in micro)
            assert rows <= completions or len(micro) == 1


def test_collate_indexes_completions_across_groups():
    groups = [group("x", [3, 2], ranks=(0, 1)), group("y", [4, 2, 5], domain="b")]
    batch = collate(groups, [Slot(1), Slot(0)], domains=("a", "b"), pad_id=9)
    # Group y comes first: completions 0-2, comparisons 01, 02, 12; then x: completions 3-4.
    assert batch.chosen_P.tolist() == [0, 0, 1, 3]
    assert batch.rejected_P.tolist() == [1, 2, 2, 4]
    assert batch.group_P.tolist() == [0, 0, 0, 1]
    assert batch.group_C.tolist() == [0, 0, 0, 1, 1]
    assert batch.domain_P.tolist() == [1, 1, 1, 0]
    assert batch.rank_C.tolist() == [-1, -1, -1, 0, 1]
    assert batch.index_G.tolist() == [1, 0]
    assert batch.num_groups == 2
    assert batch.tokens.input_ids_CT[1].tolist() == [1, 2, 9, 9, 9]
    assert batch.tokens.mask_CT.sum(1).tolist() == [4, 2, 5, 3, 2]
    assert batch.strength_P.isnan().tolist() == [False, True, True, False]


def test_a_filler_weighs_nothing():
    batch = collate([group("x", [3, 2])], [Slot(0, is_filler=True)], domains=("a",), pad_id=0)
    assert batch.weight_P.tolist() == [0.0]


def test_a_resumed_loader_goes_on_and_counts_the_steps_before():
    groups = [group(str(i), [2, 3]) for i in range(6)]
    steps = plan_steps([1] * 6, comparisons=2, epochs=1, seed=0)
    dataset = StepDataset(groups, steps, domains=("a",), pad_id=0, completions=4)
    whole = [step[0].index_G.tolist() for step in StepLoader(dataset)]
    loader = StepLoader(dataset, start=1)
    assert [step[0].index_G.tolist() for step in loader] == whole[1:]
    assert len(loader) == len(FromStep(3, start=1)) == 3


def test_making_a_loader_draws_nothing_from_the_global_generator():
    groups = [group(str(i), [2, 3]) for i in range(4)]
    dataset = StepDataset(groups, [[0, 1], [2, 3]], domains=("a",), pad_id=0, completions=4)
    before = torch.get_rng_state()
    list(StepLoader(dataset))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("world", [1, 2, 3])
def test_evaluation_sees_every_group_once_over_all_ranks(world):
    groups = [group(str(i), [2 + i, 3]) for i in range(7)]
    seen = Counter()
    for rank in range(world):
        dataset = EvalDataset(
            groups, domains=("a",), pad_id=0, completions=4, rank=rank, world=world
        )
        for batch in (dataset[i] for i in range(len(dataset))):
            seen.update(batch.index_G[batch.group_P[batch.weight_P > 0]].tolist())
    assert seen == Counter({i: 1 for i in range(7)})
