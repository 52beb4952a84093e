import math
from dataclasses import replace

import pytest
import torch
from torch import tensor

from rmx.metrics import RewardStatistics, SaturatedShare, TieRate, pair_batch
from rmx.metrics.rewards import merge_moments, reward_moments


def test_statistics_equal_those_of_all_counted_completions(groups, split_into, results):
    values = results(RewardStatistics(), split_into(groups, [1, 7, 30]))
    counted = [g for g in groups if any(weight > 0 for *_, weight in g.comparisons)]
    reward_C = torch.cat([group.reward_K for group in counted]).double()
    assert len(counted) < len(groups)
    torch.testing.assert_close(values["reward_mean"], reward_C.mean())
    torch.testing.assert_close(values["reward_std"], reward_C.std())
    assert values["reward_min"] == reward_C.min()
    assert values["reward_max"] == reward_C.max()


def test_a_large_offset_does_not_drown_the_spread():
    # a float32 step at 2**20 is 1/8; E[x²] - E[x]² in float32 would be 0 or negative
    reward_C = 2**20 + torch.randint(0, 8, (1000,)) / 8
    metric = RewardStatistics()
    for part in reward_C.split(100):
        metric.update(part, torch.zeros(50), pair_batch(torch.ones(50)))
    expected = (reward_C.double() - 2**20).std()
    torch.testing.assert_close(metric.compute()["reward_std"], expected, rtol=1e-9, atol=0)


def test_merged_moments_are_those_of_the_joined_sample():
    reward_C = 1e6 + 1e-3 * torch.randn(50, dtype=torch.float64)
    parts = torch.stack([reward_moments(part) for part in reward_C.split([0, 20, 1, 29])])
    torch.testing.assert_close(merge_moments(parts), reward_moments(reward_C), rtol=1e-6, atol=0)


def test_nothing_seen_gives_nan():
    metric = RewardStatistics()
    metric.update(torch.ones(2), torch.ones(1), pair_batch(tensor([1.0]), weight_P=tensor([0.0])))
    assert all(value.isnan() for value in metric.compute().values())


def test_a_completion_of_a_group_with_one_live_comparison_counts():
    pairs = pair_batch(tensor([1.0, 1.0]), weight_P=tensor([0.0, 1.0]))
    batch = replace(
        pairs, group_C=torch.zeros(4).long(), group_P=tensor([0, 0]), index_G=tensor([0])
    )
    metric = RewardStatistics()
    metric.update(tensor([1.0, 2.0, 3.0, 4.0]), torch.zeros(2), batch)
    assert metric.compute()["reward_min"] == 1


def test_tie_rate_leaves_fillers_out():
    metric = TieRate()
    weights = tensor([1.0, 1.0, 1.0, 0.0, 0.0])
    batch = pair_batch(tensor([0.5, 1.0, 0.2, 0.5, 0.5]), weight_P=weights)
    metric.update(torch.zeros(10), torch.zeros(5), batch)
    assert metric.compute().item() == pytest.approx(1 / 3)


def test_saturation_starts_above_99_percent_on_either_side():
    metric = SaturatedShare()
    edge = math.log(99)  # σ(ln 99) = 0.99
    logit_P = tensor([edge + 0.01, -edge - 0.01, edge - 0.01, 0.0])
    metric.update(torch.zeros(8), logit_P, pair_batch(tensor([1.0, 1.0, 0.5, 0.0])))
    assert metric.compute() == 0.5
