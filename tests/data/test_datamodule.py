"""From a source to splits, steps and prompts; the batches themselves are in test_batching.py."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from rmx.data.datamodule import PreferenceData
from rmx.data.rendering import Renderer
from rmx.data.sources import SourceSplits
from rmx.errors import ConfigError, DataError
from rmx.types import TIE, Comparison, PreferenceGroup

Groups = list[PreferenceGroup]
TIED = (Comparison(0, 1, TIE),)


@dataclass
class MemorySource:
    """Groups that are in memory already."""

    train: Groups
    val: Groups | None = None
    spillover: Groups | None = None

    def load(self) -> SourceSplits:
        return SourceSplits(self.train, self.val, self.spillover)


@pytest.fixture
def some(make_group):
    """Return groups with the given prompts; their ids are the prompts unless given."""

    def build(*prompts: str, ids: Sequence[str] = (), **options) -> Groups:
        names = zip(prompts, ids or prompts, strict=True)
        return [make_group("yes", "no", prompt=prompt, id=id, **options) for prompt, id in names]

    return build


@pytest.fixture
def renderer(make_tokenizer) -> Renderer:
    return Renderer(make_tokenizer(), max_length=200)


def ids(groups) -> list[str]:
    return [group.id for group in groups]


def test_a_held_out_domain_leaves_a_given_validation_part_too(some):
    source = MemorySource(
        train=some("a", "b") + some("c", domain="math"),
        val=some("d") + some("e", domain="math"),
        spillover=some("f", domain="law"),
    )
    data = PreferenceData(source, spillover=["math"])
    data.load()
    assert {split: ids(groups) for split, groups in data.groups.items()} == {
        "train": ["a", "b"],
        "val": ["d"],
        "spillover": ["c", "e", "f"],
    }


def test_a_domain_that_only_validation_has_can_be_held_out(some):
    source = MemorySource(train=some("a"), val=some("b") + some("c", domain="math"))
    data = PreferenceData(source, spillover=["math"])
    data.load()
    assert ids(data.groups["spillover"]) == ["c"]


def test_describe_warns_of_prompts_on_two_sides(some):
    data = PreferenceData(MemorySource(train=some("a", "b"), val=some("B", "c")))
    data.load()
    assert "\nwarning: train shares first user turns with val (1 of 2" in data.describe()


def test_describe_warns_of_nothing_where_rmx_made_the_splits(some):
    groups = some(*"abcdefgh") + some(*"ijkl", domain="math")
    data = PreferenceData(MemorySource(train=groups), val=0.3, spillover=["math"])
    data.load()
    assert "warning" not in data.describe()


def test_equal_ids_in_a_split_keep_their_own_prompts(some, renderer):
    # Held-out groups and a spillover file number their rows alike.
    held_out = some("p", "q", ids=["0", "1"], domain="math")
    given = some("q", "r", ids=["0", "1"], domain="law")
    source = MemorySource(train=some("a") + held_out, val=some("b"), spillover=given)
    data = PreferenceData(source, spillover=["math"])
    data.tokenize(renderer)
    # p, q, q, r as numbers in the order of the alphabet
    assert data.prompt_ids("spillover").tolist() == [0, 1, 1, 2]


def test_prompts_follow_groups_past_those_that_rendering_drops(some, renderer):
    source = MemorySource(train=some("a"), val=some("z", "y<|eos|>", "x", "z", ids=list("0123")))
    data = PreferenceData(source)
    data.tokenize(renderer)
    assert ids(data.tokenized["val"]) == ["0", "2", "3"]
    assert data.prompt_ids("val").tolist() == [1, 0, 1]


def test_prompts_follow_the_sample_of_training(some, renderer):
    prompts = [f"prompt {i:02}" for i in range(40)]
    source = MemorySource(train=some(*prompts), val=some("b"))
    data = PreferenceData(source, train_sample=7)
    data.tokenize(renderer)
    sample = ids(data.evaluated_groups("train"))
    assert len(set(sample)) == 7
    # Zero-padded prompts are ids too, so a prompt's number is its place in the sorted sample.
    expected = [sorted(sample).index(id) for id in sample]
    assert np.array_equal(data.prompt_ids("train"), expected)


def test_a_validation_of_ties_alone_is_refused(some, renderer):
    source = MemorySource(train=some("a", "b"), val=some("c", "d", comparisons=TIED))
    with pytest.raises(
        DataError, match=r"a comparison that is no tie.*got ties alone \(2\); raise"
    ):
        PreferenceData(source).tokenize(renderer)


def test_a_validation_left_with_ties_by_rendering_is_refused(some, renderer):
    val = some("c", comparisons=TIED) + some("d<|eos|>")
    source = MemorySource(train=some("a", "b"), val=val)
    with pytest.raises(DataError, match=r"got ties alone \(1\)"):
        PreferenceData(source).tokenize(renderer)
    PreferenceData(MemorySource(some("a"), some("c", comparisons=TIED) + some("d"))).tokenize(
        renderer
    )


def test_a_fraction_of_an_epoch_is_a_part_of_the_groups(some, renderer):
    source = MemorySource(train=some(*"abcdefgh"), val=some("z"))
    data = PreferenceData(source, epochs=1.5, comparisons=1)
    data.tokenize(renderer)
    visited = [g for step in data.steps for g in step]
    assert sorted(visited[:8]) == list(range(8))
    assert len(visited) == 12
    assert len(set(visited[8:])) == 4


def test_epochs_too_few_for_one_group_are_refused(some, renderer):
    data = PreferenceData(MemorySource(train=some("a", "b"), val=some("c")), epochs=0.01)
    with pytest.raises(ConfigError, match=r"epochs=0.01 of 2; raise it"):
        data.tokenize(renderer)


@pytest.mark.parametrize("epochs", [0, -1, math.nan, math.inf])
def test_epochs_without_an_end_or_a_beginning_are_refused(some, epochs):
    with pytest.raises(ConfigError, match="a run needs at least one step, got epochs="):
        PreferenceData(MemorySource(train=some("a")), epochs=epochs)


def test_characters_follow_the_comparisons_that_are_left(some, renderer):
    data = PreferenceData(MemorySource(train=some("a", "b"), val=some("c")))
    data.tokenize(renderer)
    # "yes" against "no", the chosen one first
    assert data.comparison_chars("val").tolist() == [[3, 2]]
    assert data.comparison_chars("train").tolist() == [[3, 2], [3, 2]]
