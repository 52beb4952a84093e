from dataclasses import replace

import pytest
import torch
from torch import tensor

from rmx.metrics import ComparisonMetrics, pair_batch

EXPECTED_KEYS = {
    *("accuracy", "accuracy_macro", "count", "nll", "brier", "ece", "mce", "rmsce"),
    *("reward_mean", "reward_std", "reward_min", "reward_max", "tie_rate", "saturated"),
    *(f"{key}/{domain}" for key in ("accuracy", "count") for domain in ("code", "maths", "prose")),
}


def test_keys_are_flat_and_only_of_domains_seen(groups, domains, split_into, results):
    values = results(ComparisonMetrics(domains, prefix="val/"), split_into(groups, [50]))
    assert set(values) == {f"val/{key}" for key in EXPECTED_KEYS}
    assert all(value.ndim == 0 and value.dtype == torch.float64 for value in values.values())


def test_values_equal_brute_force_over_a_list_of_comparisons(groups, domains, split_into, results):
    values = results(ComparisonMetrics(domains), split_into(groups, [13]))
    rows = [
        ((group.reward_K[i] - group.reward_K[j]).item(), preference, domains[group.domain])
        for group in groups
        for i, j, preference, weight in group.comparisons
        if weight > 0
    ]
    decided = [row for row in rows if row[1] != 0.5]
    right = [(margin > 0) == (preference > 0.5) for margin, preference, _ in decided]
    prose = [hit for hit, row in zip(right, decided, strict=True) if row[2] == "prose"]
    assert values["count"] == len(decided)
    assert values["accuracy"].item() == pytest.approx(sum(right) / len(right))
    assert values["count/prose"] == len(prose)
    assert values["accuracy/prose"].item() == pytest.approx(sum(prose) / len(prose))
    assert values["tie_rate"].item() == pytest.approx(1 - len(decided) / len(rows))
    # the logit is 1.5 times the margin
    stated = tensor([1.5 * margin for margin, *_ in decided], dtype=torch.float64).sigmoid()
    truth = tensor([preference for _, preference, _ in decided], dtype=torch.float64)
    nll = torch.nn.functional.binary_cross_entropy(stated, truth)
    assert values["nll"].item() == pytest.approx(nll.item(), rel=1e-6)
    assert values["brier"].item() == pytest.approx((stated - truth).square().mean().item())
    sure = [max(p, 1 - p) > 0.99 for p in tensor([1.5 * row[0] for row in rows]).sigmoid()]
    assert values["saturated"].item() == pytest.approx(sum(sure) / len(rows))


@pytest.mark.parametrize("sizes", [[1], [2, 61, 5], [199, 1]])
def test_any_split_into_batches_gives_the_same_values(groups, domains, split_into, results, sizes):
    whole = results(ComparisonMetrics(domains), split_into(groups, [200]))
    parts = results(ComparisonMetrics(domains), split_into(groups, sizes))
    assert parts.keys() == whole.keys()
    for key, value in whole.items():
        # sums of counts and halves are exact; other float64 sums round by their order
        is_exact = key.startswith(("accuracy", "count", "tie", "sat", "reward_min", "reward_max"))
        tolerance = 0 if is_exact or key in ("ece", "mce", "rmsce") else 1e-13
        torch.testing.assert_close(parts[key], value, rtol=tolerance, atol=0, msg=key)


def test_a_mean_of_batch_values_would_be_another_number(groups, domains, split_into, results):
    batches = split_into(groups, [1, 50])
    whole = results(ComparisonMetrics(domains), batches)
    apart = [results(ComparisonMetrics(domains), [batch]) for batch in batches]
    for key in ("accuracy", "nll", "brier", "ece", "reward_mean", "reward_std", "tie_rate"):
        mean = torch.stack([values[key] for values in apart]).nanmean()
        assert abs(mean - whole[key]) > 1e-3, key


def test_swapping_chosen_and_rejected_changes_nothing(groups, domains, split_into, results):
    swapped = [
        (
            reward_C,
            -logit_P,
            replace(
                batch,
                chosen_P=batch.rejected_P,
                rejected_P=batch.chosen_P,
                preference_P=1 - batch.preference_P,
            ),
        )
        for reward_C, logit_P, batch in split_into(groups, [17])
    ]
    before = results(ComparisonMetrics(domains), split_into(groups, [17]))
    after = results(ComparisonMetrics(domains), swapped)
    for key, value in before.items():
        torch.testing.assert_close(after[key], value, rtol=1e-6, atol=0, msg=key)


def test_adding_a_constant_to_all_rewards_moves_only_the_rewards_statistics(
    groups, domains, split_into, results
):
    moved = [(reward_C.double() + 8, *rest) for reward_C, *rest in split_into(groups, [40])]
    before = results(ComparisonMetrics(domains), split_into(groups, [40]))
    after = results(ComparisonMetrics(domains), moved)
    assert after.pop("reward_mean").item() == pytest.approx(before["reward_mean"].item() + 8)
    assert after.pop("reward_std").item() == pytest.approx(before["reward_std"].item())
    after = {key: value for key, value in after.items() if not key.startswith("reward")}
    assert after == {key: before[key] for key in after}


def test_fillers_change_nothing(groups, domains, split_into, results):
    live = [g for g in groups if any(weight > 0 for *_, weight in g.comparisons)]
    assert len(live) < len(groups)
    with_fillers = results(ComparisonMetrics(domains), split_into(groups, [200]))
    without = results(ComparisonMetrics(domains), split_into(live, [200]))
    for key, value in without.items():
        torch.testing.assert_close(with_fillers[key], value, rtol=1e-13, atol=0, msg=key)


def test_bf16_rewards_give_the_values_of_their_float32_copies(groups, domains, split_into, results):
    def in_dtype(dtype):
        batches = []
        for reward_C, _, batch in split_into(groups, [30]):
            reward_C = reward_C.to(torch.bfloat16).to(dtype)
            batches.append((reward_C, batch.margin(reward_C), batch))
        return results(ComparisonMetrics(domains), batches)

    assert in_dtype(torch.bfloat16) == in_dtype(torch.float32)


def test_states_stay_float64_inside_a_module_that_is_cast(groups, domains, split_into, results):
    # Lightning casts the whole module for precision=bf16-true
    module = torch.nn.ModuleDict({"metrics": ComparisonMetrics(domains)})
    cast = results(module.to(torch.bfloat16)["metrics"], split_into(groups, [30]))
    assert cast == results(ComparisonMetrics(domains), split_into(groups, [30]))


def test_metrics_whose_states_are_equal_at_first_stay_apart():
    # torchmetrics would merge NLL and Brier after a first batch of ties, where both sums are 0
    metrics = ComparisonMetrics(["a"])
    for preference in (0.5, 1.0):
        metrics.update(torch.zeros(2), torch.zeros(1), pair_batch(tensor([preference])))
    values = metrics.compute()
    assert values["brier"].item() == pytest.approx(0.25)
    assert values["nll"].item() == pytest.approx(0.6931, abs=1e-4)


def test_reset_forgets_everything(groups, domains, split_into, results):
    metrics = ComparisonMetrics(domains)
    results(metrics, split_into(groups[:90], [30]))
    metrics.reset()
    again = results(metrics, split_into(groups[90:], [30]))
    assert again == results(ComparisonMetrics(domains), split_into(groups[90:], [30]))


def test_compute_in_the_middle_does_not_disturb_the_sums(groups, domains, split_into, results):
    metrics = ComparisonMetrics(domains)
    results(metrics, split_into(groups[:90], [30]))
    whole = results(metrics, split_into(groups[90:], [30]))
    batches = [*split_into(groups[:90], [30]), *split_into(groups[90:], [30])]
    assert whole == results(ComparisonMetrics(domains), batches)


def test_rewards_that_need_gradients_leave_no_graph_behind():
    reward_C = torch.randn(4, requires_grad=True)
    metrics = ComparisonMetrics(["a"])
    batch = pair_batch(tensor([1.0, 0.0]))
    metrics.update(reward_C, batch.margin(reward_C), batch)
    assert not any(value.requires_grad for value in metrics.compute().values())
