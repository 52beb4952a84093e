"""Intervals for shares and means: Wilson's where comparisons are independent, else by cluster."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

Interval = tuple[float, float]
_CHUNK = 1 << 22  # resampled clusters held at once: 32 MiB


def wilson(successes: float, count: float, confidence: float = 0.95) -> Interval:
    """Return the score interval of a share; (0, 1) for count 0, which says nothing.

    For independent outcomes. `successes` may hold halves (a margin of exactly 0).

    Reference: Wilson (1927), JASA 22.

    Example:
        >>> low, high = wilson(50, 100)
        >>> round(low, 4), round(high, 4)
        (0.4038, 0.5962)
    """
    if count == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, extra = successes / count, z * z / count
    centre = (share + extra / 2) / (1 + extra)
    half = z * math.sqrt(share * (1 - share) / count + extra / (4 * count)) / (1 + extra)
    return max(0.0, centre - half), min(1.0, centre + half)


def cluster_bootstrap_mean(
    values: ArrayLike,
    clusters: ArrayLike,
    *,
    num_draws: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Return a percentile interval of the mean, resampling whole clusters (ratio of sums).

    Values of one cluster may depend on one another; clusters may not. Deviations are widened by
    sqrt(K / (K - 1)) for K clusters, the bootstrap's own shortfall; trust it from K of about 30.
    Degenerate cases: no value gives (nan, nan); one cluster shows no variation between clusters, so
    (-inf, inf); equal means in all clusters give a width of 0 (`accuracy_interval` handles both).

    Args:
        values: float [N].
        clusters: an integer a value, [N]; equal for values of one cluster.

    Reference: Davison & Hinkley (1997), Bootstrap Methods and their Application, section 3.8.

    Example:
        >>> low, high = cluster_bootstrap_mean([1, 1, 0, 1, 0, 0, 1, 1], [0, 0, 1, 1, 2, 2, 3, 3])
        >>> round(low, 3), round(high, 3)
        (0.192, 1.058)
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        return math.nan, math.nan
    _, cluster_N, size_K = np.unique(clusters, return_inverse=True, return_counts=True)
    sum_K = np.bincount(cluster_N, weights=values)
    num_clusters = len(size_K)
    if num_clusters == 1:
        return -math.inf, math.inf
    generator = np.random.default_rng(seed)
    means = []
    rows = max(1, _CHUNK // num_clusters)
    for start in range(0, num_draws, rows):
        shape = (min(rows, num_draws - start), num_clusters)
        drawn = generator.integers(num_clusters, size=shape)
        means.append(sum_K[drawn].sum(1) / size_K[drawn].sum(1))
    mean = values.mean()
    widening = math.sqrt(num_clusters / (num_clusters - 1))
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(mean + widening * (np.concatenate(means) - mean), tails)
    return float(low), float(high)


def accuracy_interval(
    correct: ArrayLike,
    clusters: ArrayLike,
    *,
    num_draws: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Return an interval of an accuracy whose comparisons share prompts (the clusters).

    The cluster bootstrap, within [0, 1]. Where it can't see any variation (one prompt, or the same
    accuracy in all, such as 100 %), Wilson's with each prompt counted once: the worst case, in
    which the comparisons of a prompt repeat one another. (0, 1) for no comparison.

    Args:
        correct: in [0, 1], float [N].
        clusters: the prompt of each comparison, integer [N].
    """
    correct = np.asarray(correct, dtype=np.float64)
    if not len(correct):
        return 0.0, 1.0
    low, high = cluster_bootstrap_mean(
        correct, clusters, num_draws=num_draws, seed=seed, confidence=confidence
    )
    if math.isinf(low) or low == high:
        num_clusters = len(np.unique(clusters))
        return wilson(correct.mean() * num_clusters, num_clusters, confidence)
    return max(0.0, low), min(1.0, high)
