"""Encoders: padded rows through the backbone to one feature vector a completion.

Shape letters: C completions, U distinct prompts, T tokens, H hidden, F features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmx.models.pooling import Pooling, get_pool, positions
from rmx.types import PaddedTokens

FILL = -1  # marks padding in id matrices, since the pad token may also occur in a text


class JointEncoder(nn.Module):
    """Reads prompt and completion as one text, so that the completion attends to the prompt.

    Args:
        pooling: "last_token", or "mean" over the completion's tokens.
    """

    def __init__(self, *, pooling: Pooling = "last_token") -> None:
        super().__init__()
        self.pool = get_pool(pooling)

    def output_size(self, hidden_size: int) -> int:
        """Return F, the number of features a completion has."""
        return hidden_size

    def forward(self, backbone: nn.Module, tokens: PaddedTokens) -> Tensor:
        """Return the features of each completion, float32 [C, H]."""
        hidden_CTH = _run(backbone, tokens.input_ids_CT, tokens.mask_CT)
        return self.pool(hidden_CTH, tokens.mask_CT, tokens.prompt_length_C)


class SeparateEncoder(nn.Module):
    """Reads prompt and completion as two texts, to compare with `JointEncoder`.

    Features are [completion, norm(prompt) * completion]. A linear head on [completion, prompt]
    would give every completion of a prompt the same prompt term, which cancels in the margin;
    the product lets the prompt decide which traits of a completion count. The prompt is scaled to
    a root mean square of 1, so both halves of the features have the completion's scale.

    A distinct prompt is read once, however many completions it has.

    Args:
        pooling: "last_token" or "mean", over the prompt and over the completion.
    """

    def __init__(self, *, pooling: Pooling = "last_token") -> None:
        super().__init__()
        self.pool = get_pool(pooling)

    def output_size(self, hidden_size: int) -> int:
        """Return F, the number of features a completion has."""
        return 2 * hidden_size

    def forward(self, backbone: nn.Module, tokens: PaddedTokens) -> Tensor:
        """Return the features of each completion, float32 [C, 2H]."""
        prompt_UT, of_prompt_C, completion_CT = split_tokens(tokens)
        prompt_CH = self._encode(backbone, prompt_UT)[of_prompt_C]
        completion_CH = self._encode(backbone, completion_CT)
        gate_CH = F.rms_norm(prompt_CH, prompt_CH.shape[-1:])
        return torch.cat([completion_CH, gate_CH * completion_CH], dim=-1)

    def _encode(self, backbone: nn.Module, ids_CT: Tensor) -> Tensor:
        mask_CT = (ids_CT != FILL).long()
        hidden_CTH = _run(backbone, ids_CT.clamp(min=0), mask_CT)
        return self.pool(hidden_CTH, mask_CT, mask_CT.new_zeros(len(mask_CT)))


def split_tokens(tokens: PaddedTokens) -> tuple[Tensor, Tensor, Tensor]:
    """Return the distinct prompts [U, T], each completion's prompt [C] and the completions [C, T].

    Ids are right-padded with `FILL`.
    """
    ids_CT, length_C = tokens.input_ids_CT, tokens.mask_CT.sum(-1)
    place_T = torch.arange(ids_CT.shape[1], device=ids_CT.device)
    is_prompt_CT = place_T < tokens.prompt_length_C[:, None]
    prompt_CT = ids_CT.masked_fill(~is_prompt_CT, FILL)
    prompt_UT, of_prompt_C = prompt_CT.unique(dim=0, return_inverse=True)
    # Completions move to the left edge, so that their positions start at 0.
    source_CT = place_T + tokens.prompt_length_C[:, None]
    completion_CT = ids_CT.gather(1, source_CT.clamp(max=ids_CT.shape[1] - 1))
    completion_CT = completion_CT.masked_fill(source_CT >= length_C[:, None], FILL)
    return _trim(prompt_UT), of_prompt_C, _trim(completion_CT)


def _trim(ids_CT: Tensor) -> Tensor:
    """Return the rows without the columns that are padding in all of them."""
    return ids_CT[:, : int((ids_CT != FILL).sum(-1).max())]


def _run(backbone: nn.Module, ids_CT: Tensor, mask_CT: Tensor) -> Tensor:
    """Return the backbone's last hidden states [C, T, H].

    Position ids come from the mask, so that padding on the left gives the same rewards.
    """
    output = backbone(input_ids=ids_CT, attention_mask=mask_CT, position_ids=positions(mask_CT))
    return output.last_hidden_state
