"""The real preference data, where RMX_DATA names its folder."""

import os
from collections import Counter
from pathlib import Path

import pytest

from rmx.data import FilesSource
from rmx.data.baselines import tie_rate
from rmx.data.splits import first_turn_key, prompt_key, split_by_prompt

FOLDER = os.environ.get("RMX_DATA")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER, reason="RMX_DATA doesn't name the folder of real data"),
]


def path(name: str) -> str:
    return str(Path(FOLDER or "") / f"{name}.jsonl.gz")


@pytest.fixture(scope="module")
def splits():
    return FilesSource(
        train=path("train"), val=path("dev"), spillover=path("spillover_hhh"), on_bad_row="stop"
    ).load()


def test_every_pair_is_read(splits):
    assert (len(splits.train), len(splits.val), len(splits.spillover)) == (11393, 1278, 221)
    assert len({group.domain for group in splits.train}) == 18
    assert tie_rate(splits.train) == pytest.approx(1452 / 11393)
    with_strength = sum(group.comparisons[0].strength is not None for group in splits.train)
    assert with_strength == 6694  # margins above 0


def test_dev_shares_no_prompt_with_train(splits):
    assert not {prompt_key(g) for g in splits.train} & {prompt_key(g) for g in splits.val}


def test_rated_files_are_read_whole(splits):
    names = ("rated_dev", "human_ratings_dialogue", "human_ratings_data_to_text")
    groups = FilesSource(train=[path(name) for name in names]).load().train
    assert len(groups) == 88 + 60 + 1095
    # Every group compares each two of its completions.
    for group in groups:
        size = len(group.completions)
        assert len(group.comparisons) == size * (size - 1) // 2


def test_a_split_meets_its_share_in_each_large_domain(splits):
    train, val = split_by_prompt(splits.train, fraction=0.15, seed=0)
    for key in (prompt_key, first_turn_key):
        assert not {key(g) for g in train} & {key(g) for g in val}
    total = Counter(group.domain for group in splits.train)
    held = Counter(group.domain for group in val)
    for domain, count in total.items():
        if count >= 1000:
            assert held[domain] / count == pytest.approx(0.15, abs=0.01)
