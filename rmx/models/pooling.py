"""Pooling: the hidden states of a row to one vector, by the attention mask alone.

Never by "the rightmost token that isn't padding": where the pad token also occurs in the text, that
reads another position than the one that was trained.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from rmx.errors import ConfigError

Pooling = Literal["last_token", "mean"]
Pool = Callable[[Tensor, Tensor, Tensor], Tensor]


def positions(mask_CT: Tensor) -> Tensor:
    """Return each real token's place in its text, int64 [C, T]; 0 on padding, on either side."""
    return (mask_CT.cumsum(-1) - 1).clamp(min=0)


def pool_last_token(hidden_CTH: Tensor, mask_CT: Tensor, prompt_length_C: Tensor) -> Tensor:
    """Return the hidden state of each row's last real token, float32 [C, H]."""
    place_T = torch.arange(mask_CT.shape[1], device=mask_CT.device)
    last_C = (mask_CT * place_T).argmax(-1)
    rows_C = torch.arange(len(mask_CT), device=mask_CT.device)
    return hidden_CTH[rows_C, last_C].float()


def pool_mean(hidden_CTH: Tensor, mask_CT: Tensor, prompt_length_C: Tensor) -> Tensor:
    """Return the mean hidden state over each row's tokens after the prompt, float32 [C, H]."""
    is_completion_CT = mask_CT.bool() & (positions(mask_CT) >= prompt_length_C[:, None])
    # A masked sum, not a product with 0: padding may hold anything, NaN included.
    kept_CTH = hidden_CTH.float().masked_fill(~is_completion_CT[..., None], 0.0)
    return kept_CTH.sum(1) / is_completion_CT.sum(1, keepdim=True).clamp(min=1)


POOLS: dict[str, Pool] = {"last_token": pool_last_token, "mean": pool_mean}


def get_pool(name: str) -> Pool:
    """Return the pooling function of that name; raise ConfigError where there is none."""
    if name not in POOLS:
        raise ConfigError(f"encoder.pooling must be one of {', '.join(POOLS)}, got {name!r}")
    return POOLS[name]
