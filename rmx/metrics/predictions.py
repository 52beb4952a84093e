"""Every comparison of a split with what the model said about it, as plain arrays.

Metrics keep sums; intervals by prompt, figures and paired tests need the comparisons themselves.
C completions, P comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from rmx.metrics.calibration import NUM_BINS, ReliabilityBins, folded, reliability_bins
from rmx.metrics.pairs import is_counted
from rmx.metrics.state import Float64Metric, joined
from rmx.types import TIE, GroupBatch


@dataclass
class Predictions:
    """P comparisons, ties included, fillers not; sorted by (group, position).

    Attributes:
        group: int64, the group's place in its split: comparisons with equal ones share a prompt.
        position: int64, the comparison's place within its group.
        domain: int64 index into the run's domain names.
        preference: float64 in [0, 1], ½ a tie.
        strength: float64 in (0, 1], NaN where unknown.
        margin: float64, reward_chosen - reward_rejected.
        logit: float64, of P(chosen preferred | no tie).
        chosen_length, rejected_length: float64, tokens; NaN where the batch had no text.
    """

    group: np.ndarray
    position: np.ndarray
    domain: np.ndarray
    preference: np.ndarray
    strength: np.ndarray
    margin: np.ndarray
    logit: np.ndarray
    chosen_length: np.ndarray
    rejected_length: np.ndarray

    def __len__(self) -> int:
        return len(self.group)

    def take(self, rows: np.ndarray) -> Predictions:
        """Return some comparisons, by a boolean mask or indices."""
        return Predictions(**{name: getattr(self, name)[rows] for name in COLUMNS})

    @property
    def decided(self) -> Predictions:
        """The comparisons that are no ties."""
        return self.take(self.preference != TIE)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return confidence and correctness of the comparisons that are no ties."""
        decided = self.decided
        return folded(torch.from_numpy(decided.logit), torch.from_numpy(decided.preference))

    def reliability(self, num_bins: int = NUM_BINS) -> ReliabilityBins:
        """Return the reliability diagram of the comparisons that are no ties."""
        return reliability_bins(*self.folded(), num_bins)


COLUMNS = tuple(field.name for field in fields(Predictions))
_INTEGERS = ("group", "position", "domain")


class PredictionCollector(Float64Metric):
    """Collects comparisons batch by batch and gathers them from all ranks.

    The rows are sorted, so the result does not depend on batches or on the number of ranks. A
    group's comparisons must lie in one batch, as they do in every `GroupBatch`.

    Example:
        >>> import torch
        >>> from rmx.metrics import PredictionCollector, pair_batch
        >>> collector = PredictionCollector()
        >>> batch = pair_batch(torch.tensor([1.0, 0.5]), index_P=torch.tensor([7, 3]))
        >>> reward_C = torch.tensor([2.0, 0.5, 1.0, 1.0])
        >>> collector.update(reward_C, batch.margin(reward_C), batch)
        >>> predictions = collector.compute()
        >>> predictions.group.tolist(), predictions.margin.tolist()
        ([3, 7], [0.0, 1.5])
    """

    def __init__(self) -> None:
        super().__init__()
        for name in COLUMNS:
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, reward_C: Tensor, logit_P: Tensor, batch: GroupBatch) -> None:
        """Add a batch."""
        length_C = _completion_length(batch)
        columns = {
            "group": batch.index_G[batch.group_P],
            "position": _position_in_group(batch.group_P),
            "domain": batch.domain_P,
            "preference": batch.preference_P,
            "strength": batch.strength_P,
            "margin": batch.margin(reward_C),
            "logit": logit_P,
            "chosen_length": length_C[batch.chosen_P],
            "rejected_length": length_C[batch.rejected_P],
        }
        counted_P = is_counted(batch)
        for name in COLUMNS:
            getattr(self, name).append(columns[name].detach()[counted_P].double())

    def compute(self) -> Predictions:
        """Return all comparisons, on every rank."""
        columns = {name: joined(getattr(self, name)).cpu().numpy() for name in COLUMNS}
        columns |= {name: columns[name].astype(np.int64) for name in _INTEGERS}
        return Predictions(**columns).take(np.lexsort((columns["position"], columns["group"])))


def _position_in_group(group_P: Tensor) -> Tensor:
    """Return how many comparisons of the same group come before each, int64 [P]."""
    is_same_PP = group_P[:, None] == group_P
    return is_same_PP.tril(-1).sum(1)


def _completion_length(batch: GroupBatch) -> Tensor:
    """Return each completion's tokens, float32 [C]; NaN for a row without any token."""
    num_tokens_C = batch.tokens.mask_CT.sum(1)
    length_C = (num_tokens_C - batch.tokens.prompt_length_C).float()
    return length_C.masked_fill(num_tokens_C == 0, float("nan"))
