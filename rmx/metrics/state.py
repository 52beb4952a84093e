"""What every metric's state shares: float64 whatever the model's dtype, and ranks without data."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


class Float64Metric(Metric):
    """A torchmetrics Metric whose states change device but never dtype.

    torchmetrics shields states from `.bfloat16()`, yet not from `.to(torch.bfloat16)`, which
    Lightning calls for `precision=bf16-true`: a bf16 count stops growing at 256.
    """

    full_state_update = False
    is_differentiable = False

    @property
    def dtype(self) -> torch.dtype:
        """torchmetrics gathers an empty tensor of this dtype from a rank that saw no data."""
        return torch.float64

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state=""):
        def move(tensor: Tensor) -> Tensor:
            return tensor.to(fn(tensor.new_empty(0)).device)

        return super()._apply(move, exclude_state)


def joined(state: list[Tensor] | Tensor) -> Tensor:
    """Return a `cat` state as one float64 [N], N = 0 included."""
    return dim_zero_cat(state) if len(state) else torch.empty(0, dtype=torch.float64)
