import math

import pytest
import torch

from rmx.metrics import spillover_gap


def test_interval_equals_the_published_example():
    # Newcombe (1998), table II, method 10 on 56/70 - 48/80: 0.0524 to 0.3339
    gap = spillover_gap({"accuracy": 56 / 70, "count": 70}, {"accuracy": 48 / 80, "count": 80})
    assert (gap.gap, gap.low, gap.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert gap.low > 0


def test_intervals_by_prompt_take_the_place_of_wilsons():
    val = {"accuracy": 0.8, "count": 100, "accuracy_low": 0.77, "accuracy_high": 0.84}
    spillover = {"accuracy": 0.7, "count": 100, "accuracy_low": 0.64, "accuracy_high": 0.73}
    gap = spillover_gap(val, spillover)
    # 0.1 - hypot(0.03, 0.03) and 0.1 + hypot(0.04, 0.06)
    assert (gap.low, gap.high) == pytest.approx((0.1 - 0.03 * 2**0.5, 0.1 + 0.0052**0.5))


def test_swapping_the_splits_mirrors_the_gap():
    val, spillover = {"accuracy": 0.9, "count": 50}, {"accuracy": 0.7, "count": 200}
    there, back = spillover_gap(val, spillover), spillover_gap(spillover, val)
    assert (back.gap, back.low, back.high) == pytest.approx((-there.gap, -there.high, -there.low))


def test_tensors_of_a_metric_are_taken():
    values = {"accuracy": torch.tensor(0.5), "count": torch.tensor(10.0)}
    gap = spillover_gap(values, values)
    assert gap.gap == 0
    assert gap.low <= 0 <= gap.high


def test_an_empty_split_has_no_gap():
    gap = spillover_gap({"accuracy": 0.8, "count": 10}, {"accuracy": math.nan, "count": 0})
    assert math.isnan(gap.gap)
    assert math.isnan(gap.low)
