import numpy as np
import torch
from torch import tensor

from rmx.metrics import ComparisonMetrics, PredictionCollector, pair_batch
from rmx.metrics.predictions import COLUMNS


def test_rows_are_those_of_the_groups_without_fillers(groups, split_into, results):
    predictions = results(PredictionCollector(), split_into(groups, [9]))
    expected = [
        (
            group.index,
            position,
            group.domain,
            preference,
            (group.reward_K[i] - group.reward_K[j]).item(),
            group.length_K[i].item(),
            group.length_K[j].item(),
        )
        for group in groups
        for position, (i, j, preference, weight) in enumerate(group.comparisons)
        if weight > 0
    ]
    names = ("group", "position", "domain", "preference", "margin")
    columns = [getattr(predictions, name).tolist() for name in names]
    columns += [predictions.chosen_length.tolist(), predictions.rejected_length.tolist()]
    assert list(zip(*columns, strict=True)) == expected
    np.testing.assert_allclose(predictions.logit, 1.5 * predictions.margin, rtol=1e-6)
    assert np.isnan(predictions.strength).all()


def test_order_and_batches_do_not_matter(groups, split_into, results):
    shuffled = [groups[place] for place in torch.randperm(len(groups)).tolist()]
    one = results(PredictionCollector(), split_into(groups, [200]))
    other = results(PredictionCollector(), split_into(shuffled, [1, 20, 3]))
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_types_are_plain(groups, split_into, results):
    predictions = results(PredictionCollector(), split_into(groups, [200]))
    for name in COLUMNS:
        is_place = name in ("group", "position", "domain")
        assert getattr(predictions, name).dtype == (np.int64 if is_place else np.float64)


def test_lengths_are_unknown_without_texts(results):
    batch = pair_batch(tensor([1.0]))
    predictions = results(PredictionCollector(), [(torch.zeros(2), torch.zeros(1), batch)])
    assert np.isnan(predictions.chosen_length).all()


def test_nothing_seen_gives_no_rows(results):
    batch = pair_batch(tensor([1.0]), weight_P=tensor([0.0]))
    predictions = results(PredictionCollector(), [(torch.zeros(2), torch.zeros(1), batch)])
    assert len(predictions) == 0


def test_reliability_is_that_of_the_metric(groups, domains, split_into, results):
    predictions = results(PredictionCollector(), split_into(groups, [50]))
    values = results(ComparisonMetrics(domains), split_into(groups, [50]))
    assert predictions.reliability().expected_error() == values["ece"]
