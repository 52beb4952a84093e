import pytest
import torch
from torch import tensor

from rmx.metrics import PairwiseAccuracy, pair_batch, pairwise_correct


def accuracy_of(metric, margins, preferences, **columns):
    batch = pair_batch(tensor(preferences), **columns)
    reward_C = torch.stack([tensor(margins), torch.zeros(len(margins))], 1).flatten()
    metric.update(reward_C, batch.margin(reward_C), batch)
    return {key: value.item() for key, value in metric.compute().items()}


def test_correct_is_the_agreement_of_signs_and_half_at_a_margin_of_zero():
    margin_P = tensor([2.0, -2.0, 0.0, 2.0, -2.0, 1e-30])
    preference_P = tensor([1.0, 1.0, 1.0, 0.3, 0.0, 0.6])
    assert pairwise_correct(margin_P, preference_P).tolist() == [1, 0, 0.5, 0, 1, 1]


def test_ties_and_fillers_do_not_count():
    values = accuracy_of(
        PairwiseAccuracy(["a"]),
        [1.0, 1.0, -1.0, -1.0],
        [1.0, 0.5, 0.5, 1.0],
        weight_P=tensor([1.0, 1.0, 1.0, 0.0]),
    )
    assert values == {
        "accuracy": 1,
        "count": 1,
        "accuracy/a": 1,
        "count/a": 1,
        "accuracy_macro": 1,
    }


def test_a_weight_other_than_zero_counts_as_one_comparison():
    weights = tensor([7.0, 0.1])
    values = accuracy_of(PairwiseAccuracy(["a"]), [1.0, -1.0], [1.0, 1.0], weight_P=weights)
    assert (values["accuracy"], values["count"]) == (0.5, 2)


def test_domains_keep_their_own_sums_and_unseen_ones_are_left_out():
    values = accuracy_of(
        PairwiseAccuracy(["a", "b", "c"]),
        [1.0, 1.0, 1.0, -1.0],
        [1.0] * 4,
        domain_P=tensor([0, 0, 0, 2]),
    )
    # 3 of 4 are right; the two domains' accuracies are 1 and 0
    assert values == {
        "accuracy": 0.75,
        "count": 4,
        "accuracy/a": 1,
        "count/a": 3,
        "accuracy/c": 0,
        "count/c": 1,
        "accuracy_macro": 0.5,
    }


def test_a_mean_of_batch_means_would_be_another_number():
    metric = PairwiseAccuracy(["a"])
    accuracy_of(metric, [1.0], [1.0])  # alone in its batch: 100 %
    values = accuracy_of(metric, [-1.0, -1.0, -1.0], [1.0, 1.0, 1.0])  # 0 %
    assert values["accuracy"] == 0.25  # the mean of the batches' means would be 0.5


def test_no_comparison_gives_nan():
    values = accuracy_of(PairwiseAccuracy(["a"]), [1.0], [0.5])
    assert values["count"] == 0
    assert torch.tensor([values["accuracy"], values["accuracy_macro"]]).isnan().all()


def test_a_nan_reward_is_not_silently_right_or_wrong():
    values = accuracy_of(PairwiseAccuracy(["a"]), [float("nan"), 1.0], [1.0, 1.0])
    assert torch.tensor(values["accuracy"]).isnan()


def test_bf16_rewards_are_subtracted_in_float32():
    # 256 - 0.75 is 255.25 in float32, and 255 in bf16 (8 bits); the sign is what must survive
    reward_C = tensor([256.0, 255.0, 1.0, 1.0078125], dtype=torch.bfloat16)
    metric = PairwiseAccuracy(["a"])
    batch = pair_batch(tensor([1.0, 0.0]))
    metric.update(reward_C, batch.margin(reward_C), batch)
    assert metric.compute()["accuracy"] == 1


def test_counts_survive_a_model_that_is_moved_to_bf16():
    # a bf16 count stops at 256: 256 + 1 rounds to 256
    metric = PairwiseAccuracy(["a"])
    module = torch.nn.ModuleDict({"metric": metric}).to(torch.bfloat16)
    for _ in range(3):
        values = accuracy_of(module["metric"], [1.0] * 101, [1.0] * 101)
    assert values["count"] == 303
    assert metric.count_D.dtype == torch.float64


def test_an_unknown_domain_is_refused():
    with pytest.raises((IndexError, RuntimeError)):
        accuracy_of(PairwiseAccuracy(["a"]), [1.0], [1.0], domain_P=tensor([1]))
