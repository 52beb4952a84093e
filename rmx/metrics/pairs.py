"""Which comparisons and completions count, and batches of pairs without text."""

from __future__ import annotations

import torch
from torch import Tensor

from rmx.types import TIE, GroupBatch, PaddedTokens


def is_counted(batch: GroupBatch) -> Tensor:
    """Return True for each comparison that is no filler, bool [P]."""
    return batch.weight_P > 0


def is_decided(batch: GroupBatch) -> Tensor:
    """Return True for each counted comparison that is not a tie, bool [P]."""
    return is_counted(batch) & (batch.preference_P != TIE)


def is_counted_completion(batch: GroupBatch) -> Tensor:
    """Return True for each completion of a group with at least one counted comparison, bool [C]."""
    counted_P = is_counted(batch).long()
    counted_G = counted_P.new_zeros(batch.num_groups).index_add(0, batch.group_P, counted_P)
    return counted_G[batch.group_C] > 0


def pair_batch(
    preference_P: Tensor,
    *,
    domain_P: Tensor | None = None,
    weight_P: Tensor | None = None,
    index_P: Tensor | None = None,
) -> GroupBatch:
    """Return P groups of two completions without text, for rewards that were computed elsewhere.

    Completion 2p is comparison p's chosen one, 2p + 1 its rejected one.

    Args:
        preference_P: in [0, 1]; 1 strict, ½ a tie.
        domain_P: int64; all 0 if left out.
        weight_P: all 1 if left out; 0 marks a filler.
        index_P: each group's place in its split; 0..P-1 if left out.
    """
    num_pairs = preference_P.numel()
    place_P = torch.arange(num_pairs)
    no_tokens = torch.zeros(2 * num_pairs, 0, dtype=torch.int64)
    return GroupBatch(
        tokens=PaddedTokens(no_tokens, no_tokens, torch.zeros(2 * num_pairs, dtype=torch.int64)),
        group_C=place_P.repeat_interleave(2),
        group_P=place_P,
        rank_C=torch.full((2 * num_pairs,), -1),
        chosen_P=2 * place_P,
        rejected_P=2 * place_P + 1,
        preference_P=preference_P.float(),
        strength_P=torch.full((num_pairs,), float("nan")),
        weight_P=torch.ones(num_pairs) if weight_P is None else weight_P.float(),
        domain_P=torch.zeros_like(place_P) if domain_P is None else domain_P,
        index_G=place_P if index_P is None else index_P,
    )
