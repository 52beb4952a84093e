"""Freeze strategies: which parameters train, and the learning rate that suits them.

Learning rates rise as less of the pretrained model moves. Moving all of it, published reward models
use 5e-6 to 5e-5 (8B: 3e-6 good, 2e-5 worse); heads and LoRA adapters, which start from nothing,
take 1e-4 and above.

`apply(model, frozen_dtype=torch.bfloat16)` stores the frozen parameters in bf16 and the trained
ones in float32: half the memory, and no cast of every frozen weight at each forward pass under
autocast, while small updates still reach the trained weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from rmx.errors import ConfigError
from rmx.models.lora import inject_lora
from rmx.models.reward_model import RewardModel

UNITS = ((10**9, "B"), (10**6, "M"), (10**3, "K"))


@dataclass(frozen=True)
class FreezeReport:
    """What a strategy left to train.

    Attributes:
        num_frozen_layers: how many decoder layers, counted from the bottom, hold nothing that
            trains, embeddings included: what a cache of the trunk's output may cover.
        trained: the trained parts, in words.
    """

    num_trainable: int
    num_total: int
    num_frozen_layers: int
    num_layers: int
    trained: str

    def __str__(self) -> str:
        share = 100 * self.num_trainable / self.num_total
        digits = f"{share:.0f}" if share >= 10 else f"{share:.2g}"
        return (
            f"trains {_short(self.num_trainable)} of {_short(self.num_total)} parameters "
            f"({digits} %): {self.trained}; "
            f"{self.num_frozen_layers} of {self.num_layers} layers frozen"
        )


class FreezeStrategy(Protocol):
    """Decides what trains.

    Attributes:
        default_lr: the learning rate where the user gives none.
    """

    default_lr: float

    def apply(self, model: RewardModel, frozen_dtype: torch.dtype | None = None) -> FreezeReport:
        """Freeze in place and report; before an optimiser or a wrapper sees the model.

        Args:
            frozen_dtype: stores frozen parameters in it and trained ones in float32; None leaves
                dtypes as they are.
        """
        ...


class NoFreeze:
    """Trains everything; 1e-5 is the middle of what whole models take."""

    default_lr = 1e-5

    def apply(self, model: RewardModel, frozen_dtype: torch.dtype | None = None) -> FreezeReport:
        model.requires_grad_(True)
        return _finish(model, "everything", frozen_dtype)


class LastLayer:
    """Trains the last decoder block, the final norm and the head.

    5e-4: one block near the output has no lower layers to upset, so it takes far more than a whole
    model. SmolLM2-135M on the demo (two epochs, five splits) was within two points in validation
    from 2e-4 to 1e-3. Models of billions of parameters take less: start at 1e-4.
    """

    default_lr = 5e-4

    def apply(self, model: RewardModel, frozen_dtype: torch.dtype | None = None) -> FreezeReport:
        _train_only(model, [model.decoder_layers[-1], model.final_norm])
        return _finish(model, "last decoder block, final norm, head", frozen_dtype)


class LastN:
    """Trains the last `n` decoder blocks, the final norm and the head.

    5e-5: between one block and the whole model (1e-5), at the upper end of what whole models take,
    since the lower layers hold still.

    Args:
        n: 1 to the number of decoder layers; with all of them, embeddings still stay frozen.
    """

    default_lr = 5e-5

    def __init__(self, *, n: int = 4) -> None:
        if n < 1:
            raise ConfigError(f"freeze.n must be at least 1, got {n}; freeze=head_only trains none")
        self.n = n

    def apply(self, model: RewardModel, frozen_dtype: torch.dtype | None = None) -> FreezeReport:
        layers = model.decoder_layers
        if self.n > len(layers):
            raise ConfigError(
                f"freeze.n must be at most the backbone's {len(layers)} layers, got {self.n}; "
                "freeze=none trains everything"
            )
        _train_only(model, [*layers[-self.n :], model.final_norm])
        blocks = "last decoder block" if self.n == 1 else f"last {self.n} decoder blocks"
        return _finish(model, f"{blocks}, final norm, head", frozen_dtype)


class HeadOnly:
    """Trains the head alone, on features that never change.

    1e-3: a convex problem (for a linear head) from a random start; nothing pretrained can be hurt.
    """

    default_lr = 1e-3

    def apply(self, model: RewardModel, frozen_dtype: torch.dtype | None = None) -> FreezeReport:
        _train_only(model, [])
        return _finish(model, "head", frozen_dtype)


class LoRA:
    """Trains low-rank adapters on the linear maps of all decoder layers, and the head.

    1e-4: adapters start at zero effect and have few parameters, so they take ten times what the
    whole model takes.

    Reference: Hu et al. (2021), https://arxiv.org/abs/2106.09685

    Args:
        r: rank of the adapters, >= 1.
        alpha: their output is scaled by alpha / r.
        dropout: on the adapters' input while training, in [0, 1).
        target_modules: names (or ends of names) of linear maps, such as [q_proj, v_proj]; None for
            all of them in the decoder layers.
    """

    default_lr = 1e-4

    def __init__(
        self,
        *,
        r: int = 16,
        alpha: float = 32.0,
        dropout: float = 0.0,
        target_modules: list[str] | None = None,
    ) -> None:
        if r < 1:
            raise ConfigError(f"freeze.r must be at least 1, got {r}; 8 to 64 is usual")
        if not 0 <= dropout < 1:
            raise ConfigError(f"freeze.dropout must be in [0, 1), got {dropout}")
        self.r = r
        self.alpha = alpha
        self.dropout = dropout
        self.target_modules = None if target_modules is None else list(target_modules)

    def apply(self, model: RewardModel, frozen_dtype: torch.dtype | None = None) -> FreezeReport:
        _train_only(model, [])
        num_adapted = inject_lora(
            model.decoder_layers,
            r=self.r,
            alpha=self.alpha,
            dropout=self.dropout,
            target_modules=self.target_modules,
        )
        return _finish(model, f"rank-{self.r} adapters on {num_adapted} maps, head", frozen_dtype)


def _train_only(model: RewardModel, modules: Iterable[nn.Module]) -> None:
    model.requires_grad_(False)
    for module in (*modules, model.head):
        module.requires_grad_(True)


def _finish(model: RewardModel, trained: str, frozen_dtype: torch.dtype | None) -> FreezeReport:
    num_frozen_layers = _count_frozen_layers(model)
    if frozen_dtype is not None:
        _split_dtypes(model, frozen_dtype, num_frozen_layers)
    model.train(model.training)  # puts what was just frozen in eval mode
    parameters = list(model.parameters())
    return FreezeReport(
        num_trainable=sum(p.numel() for p in parameters if p.requires_grad),
        num_total=sum(p.numel() for p in parameters),
        num_frozen_layers=num_frozen_layers,
        num_layers=len(model.decoder_layers),
        trained=trained,
    )


def _count_frozen_layers(model: RewardModel) -> int:
    layers = model.decoder_layers
    above = {id(p) for p in (*layers.parameters(), *model.final_norm.parameters())}
    below = [p for p in model.backbone.parameters() if id(p) not in above]
    if any(p.requires_grad for p in below):
        return 0
    for i, layer in enumerate(layers):
        if any(p.requires_grad for p in layer.parameters()):
            return i
    return len(layers)


def _split_dtypes(model: RewardModel, frozen_dtype: torch.dtype, num_frozen_layers: int) -> None:
    # Parameters only: a rotary embedding's frequencies, a buffer, lose their meaning in bf16.
    for p in model.parameters():
        p.data = p.data.to(torch.float32 if p.requires_grad else frozen_dtype)
    for layer in model.decoder_layers[num_frozen_layers:]:
        # Not where only its adapters train: a frozen map takes what it is stored in.
        if all(p.requires_grad for p in layer.parameters()):
            layer.register_forward_pre_hook(_to_float32, with_kwargs=True)
        break


def _to_float32(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Cast the hidden states that enter the first trained layer: its residual stream is float32."""
    if args:
        return (args[0].float(), *args[1:]), kwargs
    return args, {**kwargs, "hidden_states": kwargs["hidden_states"].float()}


def _short(count: int) -> str:
    """Return 134515008 as "134.5 M"."""
    if count < 10_000:
        return f"{count:,}"
    size, unit = next(unit for unit in UNITS if count >= unit[0])
    return f"{count / size:.1f} {unit}"
