"""What a reward model's comparisons say about it. Sums over comparisons, never means of batches.

Every metric takes `update(reward_C, logit_P, batch)`, leaves out fillers (weight 0), keeps float64
states and gives the same value for any split into batches and ranks.
"""

from rmx.metrics.accuracy import PairwiseAccuracy, pairwise_correct
from rmx.metrics.calibration import (
    FoldedCalibrationError,
    ReliabilityBins,
    folded,
    null_calibration_error,
    reliability_bins,
)
from rmx.metrics.comparison_metrics import ComparisonMetrics
from rmx.metrics.completions import CompletionRewards, RewardCollector
from rmx.metrics.intervals import accuracy_interval, cluster_bootstrap_mean, wilson
from rmx.metrics.overfit import Sign, Verdict, overfit_signs, verdict
from rmx.metrics.pairs import pair_batch
from rmx.metrics.predictions import PredictionCollector, Predictions
from rmx.metrics.rewards import RewardStatistics, SaturatedShare, TieRate
from rmx.metrics.scores import PreferenceBrier, PreferenceNLL, preference_brier, preference_nll
from rmx.metrics.spillover import SpilloverGap, spillover_gap
from rmx.metrics.summary import SplitResult, summarise

__all__ = [
    "ComparisonMetrics",
    "CompletionRewards",
    "FoldedCalibrationError",
    "PairwiseAccuracy",
    "PredictionCollector",
    "Predictions",
    "PreferenceBrier",
    "PreferenceNLL",
    "ReliabilityBins",
    "RewardCollector",
    "RewardStatistics",
    "SaturatedShare",
    "Sign",
    "SpilloverGap",
    "SplitResult",
    "TieRate",
    "Verdict",
    "accuracy_interval",
    "cluster_bootstrap_mean",
    "folded",
    "null_calibration_error",
    "overfit_signs",
    "pair_batch",
    "pairwise_correct",
    "preference_brier",
    "preference_nll",
    "reliability_bins",
    "spillover_gap",
    "summarise",
    "verdict",
    "wilson",
]
