import itertools
import math

import numpy as np
import pytest
import torch
from torch import tensor
from torchmetrics.classification import BinaryCalibrationError

from rmx.metrics import (
    FoldedCalibrationError,
    folded,
    null_calibration_error,
    pair_batch,
    reliability_bins,
)
from rmx.metrics.calibration import equal_mass_bins


def perfect_model(num_pairs: int, *, scale: float = 1.0, seed: int = 0):
    """Logits N(0, scale²) and preferences drawn with the probability that they state."""
    draw = torch.Generator().manual_seed(seed)
    logit_P = scale * torch.randn(num_pairs, generator=draw, dtype=torch.float64)
    preference_P = (torch.rand(num_pairs, generator=draw) < logit_P.sigmoid()).double()
    return logit_P, preference_P


def ece_of(logit_P, preference_P) -> float:
    return reliability_bins(*folded(logit_P, preference_P)).expected_error().item()


def test_folding_by_hand():
    # σ(±ln 3) = 3/4 and 1/4: both are 75 % sure; the second prefers the rejected completion
    logit_P = tensor([math.log(3), -math.log(3), 0.0, -math.log(3)])
    confidence_P, correct_P = folded(logit_P, tensor([1.0, 1.0, 1.0, 0.2]))
    torch.testing.assert_close(confidence_P.float(), tensor([0.75, 0.75, 0.5, 0.75]))
    torch.testing.assert_close(correct_P.float(), tensor([1.0, 0.0, 0.5, 0.8]))


def test_perfect_models_exceed_their_null_band_once_in_twenty():
    num_outside, errors = 0, []
    for seed in range(200):
        logit_P, preference_P = perfect_model(500, seed=seed)
        _, p95 = null_calibration_error(logit_P.abs().sigmoid(), num_draws=200)
        errors.append(ece_of(logit_P, preference_P))
        num_outside += errors[-1] > p95
    assert 3 <= num_outside <= 19  # 10 ± 3 standard deviations of 3.1
    mean, _ = null_calibration_error(perfect_model(500)[0].abs().sigmoid(), num_draws=2000)
    assert np.mean(errors) == pytest.approx(mean, abs=0.003)


def test_unfolded_a_perfect_model_seems_forty_points_off():
    logit_P, preference_P = perfect_model(5000, seed=1)
    _, p95 = null_calibration_error(logit_P.abs().sigmoid(), num_draws=300)
    assert ece_of(logit_P, preference_P) < p95

    # The trap: rows hold the chosen completion first, so every target is 1 and every probability
    # is that of the chosen. Its mean is E[p² + (1-p)²] = 1 - 2 E[p(1-p)], 0.587 for N(0, 1) logits.
    chosen_P = torch.where(preference_P == 1, logit_P, -logit_P).sigmoid()
    unfolded = BinaryCalibrationError(n_bins=15)(chosen_P, torch.ones_like(chosen_P))
    assert unfolded.item() == pytest.approx(0.413, abs=0.01)
    assert unfolded > 10 * p95


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_a_wrong_scale_leaves_the_null_band(factor):
    logit_P, preference_P = perfect_model(2000)
    _, p95 = null_calibration_error((factor * logit_P).abs().sigmoid(), num_draws=300)
    assert ece_of(factor * logit_P, preference_P) > p95


# SCIENCE: "with 15 folded bins, mean / 95th percentile". The table is that of N(0, 1) margins in
# bins of equal width; bins of equal mass split their many low confidences more finely and give
# .044/.059 at n = 1,000. They give the table's numbers for N(0, 1.5²) margins.
FLOORS = [(200, 0.087, 0.118), (1000, 0.040, 0.055), (5000, 0.018, 0.024)]


@pytest.mark.parametrize(("num_pairs", "mean", "p95"), FLOORS)
def test_null_floor_reproduces_the_known_table(num_pairs, mean, p95):
    quantile_P = (torch.arange(num_pairs, dtype=torch.float64) + 0.5) / num_pairs
    confidence_P = (1.5 * torch.special.ndtri(quantile_P)).abs().sigmoid()
    floor = null_calibration_error(confidence_P, num_draws=2000)
    assert floor == pytest.approx((mean, p95), abs=0.005)


def test_null_floor_of_equal_width_bins_is_the_same_table():
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(1000):
        confidence = 1 / (1 + np.exp(-np.abs(rng.normal(size=1000))))
        surplus = (rng.random(1000) < confidence) - confidence
        width_bin = np.minimum((30 * (confidence - 0.5)).astype(int), 14)
        errors.append(np.abs(np.bincount(width_bin, surplus)).sum() / 1000)
    assert np.mean(errors) == pytest.approx(0.040, abs=0.001)
    assert np.quantile(errors, 0.95) == pytest.approx(0.055, abs=0.0015)


def test_null_mean_is_that_of_folded_normals():
    # each bin's surplus is about N(0, Σ c(1-c)), whose absolute mean is sqrt(2/π) of its deviation
    confidence_P = 0.5 + torch.rand(3000, dtype=torch.float64) / 2
    bin_P = equal_mass_bins(confidence_P)
    variance_B = bin_P.bincount(confidence_P * (1 - confidence_P))
    expected = math.sqrt(2 / math.pi) * variance_B.sqrt().sum().item() / 3000
    mean, _ = null_calibration_error(confidence_P, num_draws=4000)
    assert mean == pytest.approx(expected, rel=0.01)


def test_null_floor_is_the_same_for_one_seed_and_in_any_order():
    confidence_P = 0.5 + torch.rand(100) / 2
    floor = null_calibration_error(confidence_P, num_draws=100, seed=3)
    assert floor == null_calibration_error(confidence_P, num_draws=100, seed=3)
    assert floor != null_calibration_error(confidence_P, num_draws=100, seed=4)


def test_a_model_that_always_tosses_a_coin_has_no_error_and_no_floor():
    assert ece_of(torch.zeros(50), torch.ones(50)) == 0
    assert null_calibration_error(torch.full((50,), 0.5)) == (0, 0)


def test_errors_equal_torchmetrics_where_width_and_mass_give_the_same_bins():
    # 15 bins on [½, 1] are the upper 15 of 30 on [0, 1]; midpoints of a grid fill them evenly
    confidence_P = 0.5 + (torch.arange(600, dtype=torch.float64) + 0.5) / 1200
    confidence_P = confidence_P[torch.randperm(600)]
    correct_P = (torch.rand(600) < confidence_P**2).long()
    bins = reliability_bins(confidence_P, correct_P)
    assert bins.count_B.tolist() == [40] * 15
    mean_gap = BinaryCalibrationError(n_bins=30, norm="l1")(confidence_P, correct_P)
    largest_gap = BinaryCalibrationError(n_bins=30, norm="max")(confidence_P, correct_P)
    assert bins.expected_error().item() == pytest.approx(mean_gap.item(), abs=1e-6)
    assert bins.largest_error().item() == pytest.approx(largest_gap.item(), abs=1e-6)


@pytest.mark.parametrize("num_pairs", [1, 7, 15, 100, 1001])
def test_bins_of_distinct_values_equal_brute_force(num_pairs):
    confidence = np.random.default_rng(num_pairs).uniform(0.5, 1, num_pairs)
    correct = np.random.default_rng(1).random(num_pairs) < confidence
    order = np.argsort(confidence)
    # ideal edges k n / 15, each moved to the nearest integer, the lower one of two
    edges = sorted({math.ceil(k * num_pairs / 15 - 0.5) for k in range(16)})
    parts = [order[low:high] for low, high in itertools.pairwise(edges)]
    bins = reliability_bins(torch.from_numpy(confidence), torch.from_numpy(correct))
    assert bins.count_B.tolist() == [len(part) for part in parts]
    np.testing.assert_allclose(bins.confidence_B, [confidence[p].mean() for p in parts])
    np.testing.assert_allclose(bins.accuracy_B, [correct[p].mean() for p in parts])
    gaps = [abs(correct[p].mean() - confidence[p].mean()) for p in parts]
    expected = sum(len(p) * gap for p, gap in zip(parts, gaps, strict=True)) / num_pairs
    assert bins.expected_error().item() == pytest.approx(expected)
    assert bins.largest_error().item() == pytest.approx(max(gaps))


def test_equal_confidences_share_a_bin():
    # ideal edges of three bins over ten: 3⅓ and 6⅔; runs end at 5, 6, 10: the nearest are 5 and 6
    confidence_P = tensor([0.9, 0.6, 0.9, 0.6, 0.9, 0.6, 0.8, 0.6, 0.9, 0.6])
    assert equal_mass_bins(confidence_P, 3).tolist() == [2, 0, 2, 0, 2, 0, 1, 0, 2, 0]


def test_one_confidence_makes_one_bin():
    bins = reliability_bins(torch.full((100,), 0.7), (torch.arange(100) < 60))
    assert bins.count_B.tolist() == [100]
    assert bins.expected_error().item() == pytest.approx(0.1, abs=1e-6)


def test_debiasing_subtracts_the_variance_of_each_bins_accuracy():
    # confidences 0.6 (3 of 4 right) and 0.9 (2 of 4 right): gaps 0.15, 0.4;
    # variances 0.75 · 0.25 / 3 = 0.0625 and 0.5 · 0.5 / 3 = 0.08333
    confidence_P = tensor([0.6] * 4 + [0.9] * 4, dtype=torch.float64)
    bins = reliability_bins(confidence_P, tensor([1, 1, 1, 0, 1, 1, 0, 0]), 2)
    expected = math.sqrt((0.15**2 - 0.0625) / 2 + (0.4**2 - 0.25 / 3) / 2)
    assert bins.debiased_rms_error().item() == pytest.approx(expected)


def test_debiased_square_of_a_perfect_model_averages_to_zero():
    squares, naive = [], []
    for seed in range(200):
        bins = reliability_bins(*folded(*perfect_model(300, seed=seed)))
        squares.append((bins.share_B * (bins.gap_B**2 - bins.variance_B)).sum().item())
        naive.append((bins.share_B * bins.gap_B**2).sum().item())
    error = np.std(squares) / math.sqrt(200)
    assert abs(np.mean(squares)) < 3 * error
    assert np.mean(naive) > 20 * error


def test_a_model_that_states_the_soft_preferences_is_calibrated():
    preference_P = torch.rand(500, dtype=torch.float64)
    assert ece_of(preference_P.logit(), preference_P) == pytest.approx(0, abs=1e-12)


def test_ties_and_fillers_do_not_count():
    metric = FoldedCalibrationError()
    weights = tensor([1.0, 1.0, 0.0])
    batch = pair_batch(tensor([1.0, 0.5, 1.0]), weight_P=weights)
    metric.update(torch.zeros(6), tensor([2.0, 9.0, -9.0]), batch)
    assert metric.compute()["ece"].item() == pytest.approx(1 - tensor(2.0).sigmoid().item())


def test_no_comparison_gives_nan():
    metric = FoldedCalibrationError()
    metric.update(torch.zeros(2), tensor([1.0]), pair_batch(tensor([0.5])))
    assert all(value.isnan() for value in metric.compute().values())
    assert all(math.isnan(value) for value in null_calibration_error(torch.empty(0)))
