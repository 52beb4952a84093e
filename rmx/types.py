"""The records that flow through rmx, from a file's row to the batch a model sees.

Shape letters, used across the package: G groups (prompts), C completions, P comparisons (pairs),
T tokens, H hidden, D domains. A trailing `_CT` on a tensor's name gives its axes in order.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Role = Literal["system", "user", "assistant"]
TIE = 0.5  # the preference of a comparison whose annotator saw no difference


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One judgement between two completions of a group.

    Attributes:
        chosen: index of the preferred completion; of either one in a tie.
        rejected: index of the other completion.
        preference: probability that `chosen` is preferred, in [0, 1]; 1 strict, ½ a tie.
        strength: how much better, in (0, 1], 1 the strongest; None where it was not asked.
        weight: how much the comparison counts, >= 0.
        true_preference: P(chosen preferred | no tie) of a simulated annotator; None for people.
    """

    chosen: int
    rejected: int
    preference: float = 1.0
    strength: float | None = None
    weight: float = 1.0
    true_preference: float | None = None

    @property
    def is_tie(self) -> bool:
        return self.preference == TIE


@dataclass(frozen=True, slots=True)
class PreferenceGroup:
    """One prompt, its K >= 2 completions and the comparisons between them.

    Attributes:
        id: stable and unique within its source.
        prompt: the conversation, ending with the user's turn.
        completions: the assistant's K answers.
        comparisons: judgements between them; never empty.
        ratings: one number a completion on its source's own scale, or None.
    """

    id: str
    prompt: tuple[Message, ...]
    completions: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    domain: str = "unknown"
    source: str = "unknown"
    ratings: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class TokenizedGroup:
    """A group as token ids, ready to be laid out in a batch.

    Attributes:
        rows: K int32 arrays: the rendered conversation, prompt and completion, special tokens in.
        prompt_lengths: for each row, how many of its leading tokens belong to the prompt.
        places: each row's place in the group it came from, which may have lost completions.
        ranks: 0 for the best, equal for ties; None where neither comparisons nor ratings give a
            full ranking.
    """

    id: str
    domain: str
    rows: tuple[np.ndarray, ...]
    prompt_lengths: tuple[int, ...]
    comparisons: tuple[Comparison, ...]
    places: tuple[int, ...]
    ranks: tuple[int, ...] | None = None

    @property
    def num_tokens(self) -> int:
        return sum(len(row) for row in self.rows)


class _Movable:
    """Moves every tensor of a dataclass, nested ones included."""

    def to(self, device: torch.device | str, **options):
        moved = {
            f.name: value.to(device, **options)
            for f in fields(self)  # type: ignore[arg-type]
            if isinstance(value := getattr(self, f.name), Tensor | _Movable)
        }
        return replace(self, **moved)  # type: ignore[type-var]


@dataclass(frozen=True)
class PaddedTokens(_Movable):
    """Completions as right-padded rows: the reference layout.

    Attributes:
        input_ids_CT: int64; padding holds the pad token.
        mask_CT: int64, 1 on real tokens, 0 on padding.
        prompt_length_C: int64, how many leading tokens of each row belong to the prompt.
    """

    input_ids_CT: Tensor
    mask_CT: Tensor
    prompt_length_C: Tensor


@dataclass(frozen=True)
class GroupBatch(_Movable):
    """Some groups in one batch; all indices are local to it.

    Attributes:
        tokens: what the model reads.
        group_C, group_P: int64, the group of each completion and of each comparison.
        rank_C: int64, 0 for the group's best, equal for ties, -1 where there is no full ranking.
        chosen_P, rejected_P: int64 indices into the C completions.
        preference_P: float32 in [0, 1].
        strength_P: float32 in (0, 1], NaN where unknown.
        weight_P: float32; 0 marks a filler that no loss and no metric counts.
        domain_P: int64 index into the run's domain names.
        index_G: int64, each group's place in its split; its length is G.
    """

    tokens: PaddedTokens
    group_C: Tensor
    group_P: Tensor
    rank_C: Tensor
    chosen_P: Tensor
    rejected_P: Tensor
    preference_P: Tensor
    strength_P: Tensor
    weight_P: Tensor
    domain_P: Tensor
    index_G: Tensor

    @property
    def num_groups(self) -> int:
        return self.index_G.numel()

    def margin(self, reward_C: Tensor) -> Tensor:
        """Return reward_chosen - reward_rejected, float32 [P]."""
        reward_C = reward_C.float()
        return reward_C[self.chosen_P] - reward_C[self.rejected_P]
