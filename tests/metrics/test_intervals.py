import math

import numpy as np
import pytest

from rmx.metrics import accuracy_interval, cluster_bootstrap_mean, wilson


@pytest.mark.parametrize(("count", "half_points"), [(100, 9.6), (500, 4.4), (2000, 2.2)])
def test_wilson_half_widths_at_50_percent(count, half_points):
    low, high = wilson(count / 2, count)
    assert 100 * (high - low) / 2 == pytest.approx(half_points, abs=0.05)


@pytest.mark.parametrize(("successes", "count"), [(0, 10), (3, 10), (10, 10), (81, 263)])
def test_wilson_ends_solve_the_score_equation(successes, count):
    # by definition both ends p solve |successes/count - p| = z sqrt(p (1 - p) / count)
    for p in wilson(successes, count):
        z = 1.959963984540054
        assert abs(successes / count - p) == pytest.approx(z * math.sqrt(p * (1 - p) / count))


def test_wilson_stays_within_0_and_1_and_says_nothing_of_nothing():
    assert wilson(0, 5)[0] == 0
    assert wilson(5, 5)[1] == 1
    assert wilson(0, 0) == (0, 1)


def test_wilson_widens_with_confidence():
    assert wilson(30, 100, 0.99)[0] < wilson(30, 100, 0.95)[0] < wilson(30, 100, 0.5)[0]


def clustered(rng: np.random.Generator, num_clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Comparisons of a prompt share its difficulty, Beta(3.5, 1.5) with mean 0.7."""
    sizes = rng.integers(1, 8, num_clusters)
    clusters = np.repeat(np.arange(num_clusters), sizes)
    return (rng.random(len(clusters)) < rng.beta(3.5, 1.5, num_clusters)[clusters]) * 1.0, clusters


def coverage(replications: int, *, num_clusters: int, num_draws: int) -> dict[str, float]:
    """Return how often each kind of interval holds the true mean 0.7."""
    rng = np.random.default_rng(3)
    hits = {"accuracy": 0, "percentile": 0, "naive": 0}
    for seed in range(replications):
        values, clusters = clustered(rng, num_clusters)
        intervals = {
            "accuracy": accuracy_interval(values, clusters, num_draws=num_draws, seed=seed),
            "percentile": cluster_bootstrap_mean(values, clusters, num_draws=num_draws, seed=seed),
            "naive": wilson(values.sum(), len(values)),
        }
        for name, (low, high) in intervals.items():
            hits[name] += low <= 0.7 <= high
    return {name: count / replications for name, count in hits.items()}


def test_intervals_by_prompt_cover_where_one_that_ignores_prompts_does_not():
    covered = coverage(500, num_clusters=150, num_draws=300)
    assert 0.93 <= covered["accuracy"] <= 0.97
    assert 0.93 <= covered["percentile"] <= 0.97
    assert covered["naive"] < 0.91


@pytest.mark.slow
@pytest.mark.parametrize("num_clusters", [50, 100, 300])
def test_coverage_over_many_replications(num_clusters):
    covered = coverage(2000, num_clusters=num_clusters, num_draws=400)
    assert 0.935 <= covered["accuracy"] <= 0.965  # the share's own standard error is 0.005
    assert 0.93 <= covered["percentile"] <= 0.96


def test_width_is_that_of_the_ratio_estimators_variance():
    # delta method: var = K/(K-1) Σ (s_k - mean n_k)² / (Σ n_k)²
    values, clusters = clustered(np.random.default_rng(5), 400)
    sums, sizes = np.bincount(clusters, values), np.bincount(clusters)
    deviations = sums - values.mean() * sizes
    error = math.sqrt(400 / 399 * (deviations**2).sum()) / sizes.sum()
    low, high = cluster_bootstrap_mean(values, clusters, num_draws=20_000)
    assert (high - low) / (2 * 1.96) == pytest.approx(error, rel=0.03)


def test_names_and_order_of_clusters_do_not_matter():
    values, clusters = clustered(np.random.default_rng(5), 40)
    order = np.random.default_rng(6).permutation(len(values))
    renamed = 1000 + 7 * clusters
    expected = cluster_bootstrap_mean(values, clusters)
    assert cluster_bootstrap_mean(values[order], renamed[order]) == pytest.approx(expected)


def test_repeating_every_comparison_of_a_prompt_adds_no_information():
    values, clusters = clustered(np.random.default_rng(5), 40)
    once = cluster_bootstrap_mean(values, clusters)
    assert cluster_bootstrap_mean(np.tile(values, 9), np.tile(clusters, 9)) == pytest.approx(once)


def test_degenerate_samples():
    assert all(math.isnan(end) for end in cluster_bootstrap_mean([], []))
    assert cluster_bootstrap_mean([1.0, 0.0], [3, 3]) == (-math.inf, math.inf)
    assert cluster_bootstrap_mean([1.0, 1.0], [0, 1]) == (1, 1)


def test_accuracy_interval_falls_back_to_wilson_over_prompts():
    # 100 % of 6 comparisons of 3 prompts: no variation to resample
    assert accuracy_interval([1.0] * 6, [0, 0, 1, 1, 2, 2]) == wilson(3, 3)
    assert accuracy_interval([1.0, 0.0], [4, 4]) == wilson(0.5, 1)
    assert accuracy_interval([], []) == (0, 1)


def test_accuracy_interval_is_wilsons_where_no_comparisons_share_a_prompt():
    correct = (np.random.default_rng(2).random(2000) < 0.8) * 1.0
    low, high = accuracy_interval(correct, np.arange(2000), num_draws=20_000)
    assert (low, high) == pytest.approx(wilson(correct.sum(), 2000), abs=3e-4)


def test_accuracy_interval_counts_prompts_where_their_comparisons_repeat_one_another():
    correct = (np.random.default_rng(2).random(300) < 0.8) * 1.0
    low, high = accuracy_interval(np.repeat(correct, 5), np.repeat(np.arange(300), 5))
    assert (low, high) == pytest.approx(wilson(correct.sum(), 300), abs=3e-3)


def test_accuracy_interval_stays_within_0_and_1():
    low, high = accuracy_interval([0.0] + [1.0] * 9, np.arange(10))
    assert 0 <= low < 0.9 < high <= 1
