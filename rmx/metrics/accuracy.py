"""How often the reward model and the annotator agree on which completion is better.

P comparisons, D domains.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rmx.metrics.pairs import is_decided
from rmx.metrics.state import Float64Metric
from rmx.types import TIE, GroupBatch


def pairwise_correct(margin_P: Tensor, preference_P: Tensor) -> Tensor:
    """Return 1 where the margin has the sign of preference - ½, 0 where it has the other, else ½.

    A margin of exactly 0 tells nothing, so it earns what a coin would. A NaN margin gives NaN.
    Ties (preference ½) give ½; the caller leaves them out.

    Args:
        margin_P: reward_chosen - reward_rejected, float [P].
        preference_P: P(chosen preferred), float [P].
    Returns:
        float32 [P].
    """
    margin_P = margin_P.float()
    agreement_P = margin_P.sign() * (preference_P.float() - TIE).sign()
    return ((1 + agreement_P) / 2).where(~margin_P.isnan(), torch.nan)  # sign(NaN) is 0


class PairwiseAccuracy(Float64Metric):
    """Accuracy over comparisons that are no ties, overall and by domain.

    `compute` returns float64 scalars: `accuracy` (the mean over comparisons, NaN for none),
    `accuracy_macro` (the mean over the domains seen), `count` (comparisons behind `accuracy`),
    and `accuracy/DOMAIN`, `count/DOMAIN` for each domain seen. A comparison counts once,
    whatever its weight; weight 0 marks a filler and does not count.

    Args:
        domains: the run's domain names; `batch.domain_P` indexes them.

    Example:
        >>> import torch
        >>> from rmx.metrics import PairwiseAccuracy, pair_batch
        >>> metric = PairwiseAccuracy(["code", "maths"])
        >>> preference_P = torch.tensor([1.0, 1.0, 0.0, 0.5, 1.0])  # the fourth is a tie
        >>> batch = pair_batch(preference_P, domain_P=torch.tensor([0, 0, 0, 0, 1]))
        >>> reward_C = torch.tensor([2.0, 1.0, 0.0, 3.0, 0.0, 1.0, 5.0, 4.0, 1.0, 1.0])
        >>> metric.update(reward_C, batch.margin(reward_C), batch)
        >>> {key: round(value.item(), 4) for key, value in metric.compute().items()}
        {'accuracy': 0.625, 'count': 4.0, 'accuracy/code': 0.6667, 'count/code': 3.0, \
'accuracy/maths': 0.5, 'count/maths': 1.0, 'accuracy_macro': 0.5833}
    """

    higher_is_better = True
    correct_D: Tensor
    count_D: Tensor

    def __init__(self, domains: Sequence[str]) -> None:
        super().__init__()
        self.domains = tuple(domains)
        zeros_D = torch.zeros(len(self.domains), dtype=torch.float64)
        self.add_state("correct_D", zeros_D, dist_reduce_fx="sum")
        self.add_state("count_D", zeros_D.clone(), dist_reduce_fx="sum")

    def update(self, reward_C: Tensor, logit_P: Tensor, batch: GroupBatch) -> None:
        """Add a batch; `logit_P` is not read, as the sign of the margin is what ranks."""
        decided_P = is_decided(batch)
        correct_P = pairwise_correct(batch.margin(reward_C), batch.preference_P)
        correct_P = correct_P.where(decided_P, 0).double()
        self.correct_D = self.correct_D.index_add(0, batch.domain_P, correct_P)
        self.count_D = self.count_D.index_add(0, batch.domain_P, decided_P.double())

    def compute(self) -> dict[str, Tensor]:
        """Return accuracies and counts, overall and for each domain seen."""
        accuracy_D = self.correct_D / self.count_D
        result = {
            "accuracy": self.correct_D.sum() / self.count_D.sum(),
            "count": self.count_D.sum(),
        }
        for place, domain in enumerate(self.domains):
            if self.count_D[place] > 0:
                result[f"accuracy/{domain}"] = accuracy_D[place]
                result[f"count/{domain}"] = self.count_D[place]
        return result | {"accuracy_macro": accuracy_D[self.count_D > 0].mean()}
