"""Whether a stated confidence comes true, folded at ½ because a pair has no first or second.

Feeding σ(margin) with target 1 to a binned calibration error reports about 0.41 for a perfect
model: the chosen completion is the first in every row. Fold first: the confidence is that of the
side which the model prefers, in [½, 1], and it is correct where the annotator prefers that side.

P comparisons, B bins. All in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rmx.metrics.pairs import is_decided
from rmx.metrics.state import Float64Metric, joined
from rmx.types import TIE, GroupBatch

NUM_BINS = 15
_CHUNK = 1 << 22  # simulated outcomes held at once: 32 MiB


def folded(logit_P: Tensor, preference_P: Tensor) -> tuple[Tensor, Tensor]:
    """Return the preferred side's confidence and the chance that it is right, float64 [P] each.

    confidence = σ(|logit|); correct = q for a positive logit, 1 - q for a negative one and ½ at 0,
    so a soft preference counts as the probability that it is.
    """
    logit_P = logit_P.double()
    correct_P = TIE + logit_P.sign() * (preference_P.double() - TIE)
    return logit_P.abs().sigmoid(), correct_P


@dataclass(frozen=True)
class ReliabilityBins:
    """A reliability diagram, and the errors read from it.

    Attributes:
        confidence_B, accuracy_B: float64, each bin's means.
        variance_B: float64, sampling variance of each bin's accuracy: s² / n, for strict
            preferences accuracy (1 - accuracy) / (n - 1); 0 in a bin of one.
        count_B: int64, never 0.
    """

    confidence_B: Tensor
    accuracy_B: Tensor
    variance_B: Tensor
    count_B: Tensor

    @property
    def share_B(self) -> Tensor:
        """Each bin's share of the comparisons, float64 [B]."""
        return self.count_B / self.count_B.sum()

    @property
    def gap_B(self) -> Tensor:
        """|accuracy - confidence|, float64 [B]."""
        return (self.accuracy_B - self.confidence_B).abs()

    def expected_error(self) -> Tensor:
        """Return the ECE, Σ share · gap. Not 0 for a perfect model: see `null_calibration_error`.

        Reference: Naeini, Cooper & Hauskrecht (2015), AAAI 29.
        """
        return (self.share_B * self.gap_B).sum() if len(self.count_B) else torch.tensor(torch.nan)

    def largest_error(self) -> Tensor:
        """Return the MCE, the largest bin's gap; read it with `count_B`."""
        return self.gap_B.max() if len(self.count_B) else torch.tensor(torch.nan)

    def debiased_rms_error(self) -> Tensor:
        """Return sqrt(Σ share · (gap² - variance)), 0 where the sum is negative.

        The squared gap exceeds the true one by the variance of the bin's accuracy; without it, a
        perfect model's error is about 0 at any n.
        Reference: Kumar, Liang & Ma (2019), https://arxiv.org/abs/1909.10155
        """
        if not len(self.count_B):
            return torch.tensor(torch.nan)
        return (self.share_B * (self.gap_B.square() - self.variance_B)).sum().clamp(min=0).sqrt()


def equal_mass_bins(confidence_P: Tensor, num_bins: int = NUM_BINS) -> Tensor:
    """Return each comparison's bin, int64 [P], 0 the least confident; equal values share a bin.

    The edges that would split the sorted confidences into equal parts are moved to the nearest
    place between two different values, so there may be fewer bins than `num_bins` and their order
    in the data can't matter.
    """
    _, value_P, count_V = confidence_P.unique(return_inverse=True, return_counts=True)
    end_V = count_V.cumsum(0)  # where each value's run ends in the sorted confidences
    num_pairs = confidence_P.numel()
    ideal = torch.arange(1, num_bins, device=count_V.device) * num_pairs / num_bins
    right = torch.searchsorted(end_V, ideal).clamp(max=len(end_V) - 1)
    left_end = torch.where(right > 0, end_V[right - 1], 0)
    edges = torch.where(ideal - left_end < end_V[right] - ideal, left_end, end_V[right]).unique()
    edges = edges[(edges > 0) & (edges < num_pairs)]
    return torch.searchsorted(edges, end_V - count_V, right=True)[value_P]


def reliability_bins(
    confidence_P: Tensor, correct_P: Tensor, num_bins: int = NUM_BINS
) -> ReliabilityBins:
    """Return means and counts of equal-mass bins, least confident first; empty for P = 0.

    Args:
        confidence_P: in [½, 1], float [P].
        correct_P: in [0, 1], float [P].
    """
    # Sorted sums do not depend on the order, and so on the number of ranks.
    confidence_P, order_P = confidence_P.double().sort(stable=True)
    correct_P = correct_P.double()[order_P]
    if not len(confidence_P):
        return ReliabilityBins(confidence_P, confidence_P, confidence_P, order_P)
    count_B = equal_mass_bins(confidence_P, num_bins).bincount()
    bin_P = torch.arange(len(count_B), device=count_B.device).repeat_interleave(count_B)

    def mean_B(value_P: Tensor) -> Tensor:
        return value_P.new_zeros(len(count_B)).index_add(0, bin_P, value_P) / count_B

    accuracy_B = mean_B(correct_P)
    spread_B = mean_B((correct_P - accuracy_B[bin_P]).square())
    variance_B = spread_B / (count_B - 1).clamp(min=1)
    return ReliabilityBins(mean_B(confidence_P), accuracy_B, variance_B, count_B)


def null_calibration_error(
    confidence_P: Tensor, num_bins: int = NUM_BINS, *, num_draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return mean and 95th percentile of the ECE that a perfect model has with these confidences.

    Outcomes are drawn as strict preferences: correct with probability `confidence`. Soft
    preferences vary less, so for them the floor lies too high.

    Args:
        confidence_P: in [½, 1], float [P]; NaN and NaN are returned for P = 0.
    """
    if not confidence_P.numel():
        return float("nan"), float("nan")
    confidence_P = confidence_P.double().cpu()
    bin_P = equal_mass_bins(confidence_P, num_bins)
    sum_B = bin_P.bincount(confidence_P)
    generator = torch.Generator().manual_seed(seed)
    errors = []
    rows = max(1, _CHUNK // len(confidence_P))
    for start in range(0, num_draws, rows):
        shape = (min(rows, num_draws - start), len(confidence_P))
        drawn = torch.rand(shape, generator=generator, dtype=torch.float64) < confidence_P
        drawn = drawn.double().where(confidence_P > TIE, TIE)  # a coin's side counts as half
        correct_B = drawn.new_zeros(shape[0], len(sum_B)).index_add(1, bin_P, drawn)
        errors.append((correct_B - sum_B).abs().sum(1) / len(confidence_P))
    error = torch.cat(errors)
    return error.mean().item(), error.quantile(0.95).item()


class FoldedCalibrationError(Float64Metric):
    """Calibration errors of the preferred side, in equal-mass bins, ties left out.

    `compute` returns float64 scalars: `ece` (mean gap), `mce` (largest gap) and `rmsce`
    (root-mean-square gap without its sampling bias). All NaN for no comparison.

    Example:
        >>> import torch
        >>> from rmx.metrics import FoldedCalibrationError, pair_batch
        >>> metric = FoldedCalibrationError(num_bins=2)
        >>> batch = pair_batch(torch.tensor([1.0, 1.0, 0.0, 1.0]))
        >>> logit_P = torch.tensor([0.8, 0.8, 0.6, 0.4]).logit()  # right, right, wrong, wrong
        >>> metric.update(torch.zeros(8), logit_P, batch)
        >>> {key: round(value.item(), 4) for key, value in metric.compute().items()}
        {'ece': 0.4, 'mce': 0.6, 'rmsce': 0.4472}
    """

    higher_is_better = False
    confidence: list[Tensor]
    correct: list[Tensor]

    def __init__(self, num_bins: int = NUM_BINS) -> None:
        super().__init__()
        self.num_bins = num_bins
        self.add_state("confidence", [], dist_reduce_fx="cat")
        self.add_state("correct", [], dist_reduce_fx="cat")

    def update(self, reward_C: Tensor, logit_P: Tensor, batch: GroupBatch) -> None:
        """Add a batch; `reward_C` is not read."""
        decided_P = is_decided(batch)
        confidence_P, correct_P = folded(logit_P, batch.preference_P)
        self.confidence.append(confidence_P[decided_P])
        self.correct.append(correct_P[decided_P])

    def compute(self) -> dict[str, Tensor]:
        """Return the three errors over all comparisons."""
        bins = reliability_bins(joined(self.confidence), joined(self.correct), self.num_bins)
        return {
            "ece": bins.expected_error(),
            "mce": bins.largest_error(),
            "rmsce": bins.debiased_rms_error(),
        }
