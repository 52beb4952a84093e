import json
import math

import numpy as np
import pytest
import torch
from torch import tensor

from rmx.metrics import (
    ComparisonMetrics,
    PredictionCollector,
    null_calibration_error,
    pair_batch,
    spillover_gap,
    summarise,
    wilson,
)
from rmx.metrics.intervals import accuracy_interval


@pytest.fixture(scope="module")
def predictions(groups, split_into, results):
    return results(PredictionCollector(), split_into(groups, [50]))


@pytest.fixture(scope="module")
def summary(predictions, domains):
    return summarise(predictions, domains, num_draws=300, num_null_draws=200)


def test_numbers_equal_those_of_the_metrics(groups, domains, split_into, results, summary):
    values = results(ComparisonMetrics(domains), split_into(groups, [50]))
    for key in ("accuracy", "accuracy_macro", "nll", "brier", "ece", "mce", "tie_rate", "count"):
        assert getattr(summary, key) == pytest.approx(values[key].item(), rel=1e-12), key
    for domain, part in summary.domains.items():
        assert part.accuracy == pytest.approx(values[f"accuracy/{domain}"].item())
        assert part.count == values[f"count/{domain}"]
    assert list(summary.domains) == ["code", "maths", "prose"]


def test_intervals_and_floor_are_those_of_the_comparisons(predictions, summary):
    strict = predictions.decided
    correct = (strict.margin > 0) == (strict.preference > 0.5)
    interval = accuracy_interval(correct, strict.group, num_draws=300)
    assert (summary.accuracy_low, summary.accuracy_high) == interval
    assert (summary.wilson_low, summary.wilson_high) == wilson(correct.sum(), len(correct))
    confidence = 1 / (1 + np.exp(-np.abs(strict.logit)))
    floor = null_calibration_error(torch.from_numpy(confidence), num_draws=200)
    assert (summary.ece_null, summary.ece_null_p95) == pytest.approx(floor)


def test_counts_add_up(predictions, summary):
    assert summary.count + summary.num_ties == len(predictions)
    for key in ("count", "num_ties", "num_prompts"):
        parts = [getattr(part, key) for part in summary.domains.values()]
        assert getattr(summary, key) == sum(parts)


def test_longer_wins_is_the_accuracy_of_length(predictions, summary):
    strict = predictions.decided
    longer = np.sign(strict.chosen_length - strict.rejected_length)
    hits = 0.5 + longer * np.sign(strict.preference - 0.5) / 2
    assert summary.longer_wins == pytest.approx(hits.mean())


def test_json_holds_it_and_the_gap_reads_it_back(summary):
    read = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    assert read["domains"]["code"]["accuracy"] == summary.domains["code"].accuracy
    gap = spillover_gap(read, read["domains"]["code"])
    assert gap.low < gap.gap < gap.high


def test_a_split_of_ties_has_counts_and_no_accuracy(results):
    batch = pair_batch(tensor([0.5, 0.5]))
    predictions = results(PredictionCollector(), [(torch.zeros(4), torch.zeros(2), batch)])
    result = summarise(predictions, ["a"])
    assert (result.count, result.num_ties, result.tie_rate) == (0, 2, 1)
    assert math.isnan(result.accuracy)
    assert math.isnan(result.domains["a"].accuracy_macro)
    assert result.to_dict()["accuracy"] is None
    assert (result.accuracy_low, result.accuracy_high) == (0, 1)


def test_no_rows_give_a_result_too(predictions):
    result = summarise(predictions.take(np.zeros(len(predictions), dtype=bool)), ["a"])
    assert (result.count, result.num_prompts, result.domains) == (0, 0, {})
    json.dumps(result.to_dict(), allow_nan=False)
