"""Heads: pooled features to one reward a completion, in float32 whatever surrounds them.

bf16 keeps 8 bits of mantissa: two rewards near 4 that differ by less than 0.03 tie, and a tie is
neither right nor wrong. So a head leaves autocast, and its parameters are made in float32 whatever
the default dtype (`RewardModel` keeps them so when it is cast).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmx.errors import ConfigError

Init = Literal["normal", "zero"]


class LinearHead(nn.Module):
    """reward = weight · features, without a bias: a constant cancels in every margin.

    Its one parameter `weight`, float32 [1, H], is what Hugging Face calls `score.weight`.

    Args:
        hidden_size: H, the number of features.
        dropout: on the features while training, in [0, 1).
        init: "normal" draws weights with std 1/sqrt(H + 1); "zero" starts all rewards at 0.
    """

    def __init__(self, hidden_size: int, *, dropout: float = 0.0, init: Init = "normal") -> None:
        super().__init__()
        self.weight = _make_weight(hidden_size, init)
        self.dropout = nn.Dropout(_check_dropout(dropout))

    def forward(self, pooled_CF: Tensor) -> Tensor:
        """Return rewards, float32 [C], of features [C, H] of any dtype."""
        with torch.autocast(device_type=pooled_CF.device.type, enabled=False):
            return self.dropout(pooled_CF.float()) @ self.weight[0]


class MLPHead(nn.Module):
    """reward = weight · gelu(W features + b): one hidden layer.

    More room than `LinearHead`, for frozen backbones above all; Hugging Face's reward model format
    can't hold it, so it can't be exported there.

    Args:
        hidden_size: H, the number of features.
        width: of the hidden layer; None for H.
        dropout: on the features and the hidden layer while training, in [0, 1).
        init: of the last weights, as in `LinearHead`.
    """

    def __init__(
        self,
        hidden_size: int,
        *,
        width: int | None = None,
        dropout: float = 0.0,
        init: Init = "normal",
    ) -> None:
        super().__init__()
        width = hidden_size if width is None else width
        if width < 1:
            raise ConfigError(
                f"head.width must be at least 1, got {width}; null takes {hidden_size}"
            )
        self.inner = nn.Linear(hidden_size, width, dtype=torch.float32)
        self.weight = _make_weight(width, init)
        self.dropout = nn.Dropout(_check_dropout(dropout))

    def forward(self, pooled_CF: Tensor) -> Tensor:
        """Return rewards, float32 [C], of features [C, H] of any dtype."""
        with torch.autocast(device_type=pooled_CF.device.type, enabled=False):
            hidden_CF = F.gelu(self.inner(self.dropout(pooled_CF.float())))
            return self.dropout(hidden_CF) @ self.weight[0]


def _make_weight(size: int, init: Init) -> nn.Parameter:
    weight = torch.zeros(1, size, dtype=torch.float32)
    if init == "normal":
        nn.init.normal_(weight, std=1 / math.sqrt(size + 1))
    elif init != "zero":
        raise ConfigError(f'head.init must be "normal" or "zero", got {init!r}')
    return nn.Parameter(weight)


def _check_dropout(dropout: float) -> float:
    if not 0 <= dropout < 1:
        raise ConfigError(f"head.dropout must be in [0, 1), got {dropout}; 0 switches it off")
    return dropout
