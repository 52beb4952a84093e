"""Splits share no prompt, don't depend on the order of rows, and meet the wanted share."""

import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmx.data.splits import (
    first_turn_key,
    hold_out_domains,
    normalise,
    prompt_clusters,
    prompt_key,
    seen_in_training,
    split_by_prompt,
)
from rmx.errors import ConfigError, DataError
from rmx.types import Comparison, Message, PreferenceGroup


def group(id, prompt, *, domain="a", first=None, num_comparisons=1):
    turns = () if first is None else (Message("user", first), Message("assistant", "ok"))
    return PreferenceGroup(
        id,
        (*turns, Message("user", prompt)),
        ("x", "y"),
        (Comparison(0, 1),) * num_comparisons,
        domain,
    )


# Few distinct prompts and first turns, so that clusters are large, chained and cross domains.
a_group = st.builds(
    dict,
    prompt=st.sampled_from(["p", " P ", "q", "r", "s", "t", "u", "v"]),
    first=st.sampled_from([None, "hello", "HELLO", "hi", "hey", "p"]),
    domain=st.sampled_from("abc"),
    num_comparisons=st.integers(1, 9),
)
some_groups = st.lists(a_group, min_size=1, max_size=40).map(
    lambda rows: [group(str(i), **row) for i, row in enumerate(rows)]
)


@given(groups=some_groups, fraction=st.floats(0.05, 0.95), seed=st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_no_prompt_and_no_first_turn_is_on_both_sides(groups, fraction, seed):
    train, val = split_by_prompt(groups, fraction=fraction, seed=seed)
    assert Counter(g.id for g in train + val) == Counter(g.id for g in groups)
    for key in (prompt_key, first_turn_key):
        assert not {key(g) for g in train} & {key(g) for g in val}


@given(groups=some_groups, shuffle=st.randoms(use_true_random=False), seed=st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_the_order_of_rows_changes_nothing(groups, shuffle, seed):
    shuffled = shuffle.sample(groups, len(groups))
    _, val = split_by_prompt(groups, fraction=0.3, seed=seed)
    _, val_of_shuffled = split_by_prompt(shuffled, fraction=0.3, seed=seed)
    assert {g.id for g in val} == {g.id for g in val_of_shuffled}


@given(groups=some_groups, fraction=st.floats(0.05, 0.95), seed=st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_each_domains_share_is_met_within_its_largest_cluster(groups, fraction, seed):
    _, val = split_by_prompt(groups, fraction=fraction, seed=seed)
    held = {g.id for g in val}
    clusters_of_domain = defaultdict(list)
    for cluster in prompt_clusters(groups):
        clusters_of_domain[cluster.domain].append(cluster)
    for clusters in clusters_of_domain.values():
        in_val = [c for c in clusters if groups[c.members[0]].id in held]
        size, largest = sum(c.size for c in clusters), max(c.size for c in clusters)
        assert abs(sum(c.size for c in in_val) - fraction * size) <= largest
        if len(clusters) > 1:
            assert 0 < len(in_val) < len(clusters)
        else:
            assert not in_val


def test_prompts_with_hundreds_of_comparisons_are_fitted_as_well_as_can_be():
    # 20 prompts of 100 and 40 of 1: 10 % of 2,040 is 204; two large ones and a few small reach it.
    groups = [group(f"L{i}", f"large {i}", num_comparisons=100) for i in range(20)]
    groups += [group(f"s{i}", f"small {i}") for i in range(40)]
    for seed in range(20):
        _, val = split_by_prompt(groups, fraction=0.1, seed=seed)
        assert abs(sum(len(g.comparisons) for g in val) - 204) <= 50  # half of the largest


def test_another_seed_is_another_split_of_the_same_size():
    groups = [group(str(i), f"prompt {i}") for i in range(200)]
    splits = [split_by_prompt(groups, fraction=0.2, seed=seed)[1] for seed in (0, 1)]
    assert [len(val) for val in splits] == [40, 40]
    assert {g.id for g in splits[0]} != {g.id for g in splits[1]}


def test_both_sides_keep_the_order_of_the_rows():
    groups = [group(str(i), f"prompt {i}") for i in range(50)]
    random.Random(0).shuffle(groups)
    place = {g.id: i for i, g in enumerate(groups)}
    for side in split_by_prompt(groups, fraction=0.3, seed=0):
        assert [place[g.id] for g in side] == sorted(place[g.id] for g in side)


def test_prompts_that_differ_in_case_width_or_spacing_are_one():
    assert normalise(" Straße\n\tABC\u00a0 ") == normalise("STRASSE ａｂｃ") == "strasse abc"


def test_groups_are_chained_through_prompts_and_first_turns():
    # 0 and 1 share a first turn; 1 and 2 a whole prompt; 3 stands alone.
    groups = [
        group("0", "q", first="hello"),
        group("1", "r", first="hello"),
        group("2", "R ", first="Hello"),
        group("3", "q", first="hi"),
    ]
    assert sorted(c.members for c in prompt_clusters(groups)) == [(0, 1, 2), (3,)]


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_a_share_outside_of_0_and_1_is_refused(fraction):
    with pytest.raises(ConfigError, match=r"split.val must be in \(0, 1\)"):
        split_by_prompt([], fraction=fraction, seed=0)


def test_domains_are_held_out_whole():
    groups = [group(str(i), f"p{i}", domain="abc"[i % 3]) for i in range(9)]
    kept, val, held_out = hold_out_domains(groups, None, ["b"])
    assert {g.domain for g in kept} == {"a", "c"}
    assert val is None
    assert [g.id for g in held_out] == ["1", "4", "7"]


def test_domains_are_held_out_of_validation_too():
    train = [group(str(i), f"p{i}", domain="ab"[i % 2]) for i in range(4)]
    val = [group(f"v{i}", f"q{i}", domain="abc"[i % 3]) for i in range(6)]
    kept, val_left, held_out = hold_out_domains(train, val, ["b", "c"])
    assert [g.id for g in kept] == ["0", "2"]
    assert [g.id for g in val_left or ()] == ["v0", "v3"]
    assert [g.id for g in held_out] == ["1", "3", "v1", "v2", "v4", "v5"]


def test_holding_out_every_domain_of_validation_is_refused():
    train = [group("0", "p", domain="a"), group("1", "q", domain="b")]
    with pytest.raises(DataError, match=r"must leave a domain in data.val, got all 1; name fewer"):
        hold_out_domains(train, [group("2", "r", domain="b")], ["b"])


def test_an_unknown_domain_is_refused_with_a_suggestion():
    groups = [group("0", "p", domain="coding"), group("1", "q", domain="math")]
    with pytest.raises(DataError, match=r"got 'codign'; did you mean 'coding'\?.*coding, math"):
        hold_out_domains(groups, None, ["codign"])


def test_holding_out_every_domain_is_refused():
    with pytest.raises(DataError, match="must leave a domain to train on"):
        hold_out_domains([group("0", "p")], None, ["a"])


def test_groups_seen_in_training_are_counted_by_first_turn_and_by_prompt():
    train = [group("0", "q", first="hello"), group("1", "r")]
    val = [
        group("2", "other", first="HELLO "),  # the first turn alone
        group("3", "R"),  # the whole prompt
        group("4", "hello"),  # its only turn is another's first one
        group("5", "q"),  # a later turn alone is another conversation
    ]
    others = {"val": val, "spillover": [group("6", "s")]}
    assert seen_in_training(train, others) == {"val": (3, 1)}
