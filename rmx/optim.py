"""Parameter groups and the learning rate's course. Stepping and clipping live in module.py."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from rmx.errors import ConfigError


def lr_factor(
    step: int, num_steps: int, *, warmup: float, decay: Literal["linear", "cosine"]
) -> float:
    """Return the share of the peak learning rate at `step`, in (0, 1].

    Linear warm-up reaches 1 after `warmup * num_steps` steps; linear or cosine decay would reach 0
    one step after the last. A pure function of the step, so a resumed run needs no scheduler state.

    Args:
        step: 0 for the run's first optimiser step.
        num_steps: the optimiser steps of the whole run.
        warmup: share of all steps, in [0, 1).
    """
    num_warmup = round(warmup * num_steps)
    if step < num_warmup:
        return (step + 1) / (num_warmup + 1)
    progress = (step - num_warmup) / max(1, num_steps - num_warmup)
    if decay == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    return 1 - progress


def grad_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Return the L2 norm over all gradients, a float32 scalar; sharded gradients count whole."""
    squares = [p.grad.detach().float().square().sum() for p in parameters if p.grad is not None]
    if not squares:
        return torch.zeros(())
    # A sharded parameter's sum is a DTensor whose shards must be added up across ranks.
    whole = [s.full_tensor() if hasattr(s, "full_tensor") else s for s in squares]  # type: ignore[operator]
    return torch.stack(whole).sum().sqrt()


class AdamW:
    """AdamW with warm-up and decay, weight decay on matrices only, and gradient clipping.

    Biases, norms' gains and a loss's learned scalars have no scale to shrink: decay is for weights
    that multiply (Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101).

    Args:
        lr: peak learning rate, above 0; None takes the freeze strategy's.
        loss_lr: above 0; for a loss's learned scalars (tie width, cut-points): Adam moves a
            parameter by about its learning rate a step, and these must travel about 1 in a run of
            some hundreds.
        weight_decay: at least 0.
        betas: decay rates of the two moments, each in [0, 1).
        warmup: share of all steps, in [0, 1).
        gradient_norm: above 0; gradients are scaled down to this L2 norm.

    Raises:
        ConfigError: for a value out of its range; NaN and infinity are in none.
    """

    def __init__(
        self,
        *,
        lr: float | None = None,
        loss_lr: float = 0.01,
        weight_decay: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.999),
        warmup: float = 0.06,
        decay: Literal["linear", "cosine"] = "linear",
        gradient_norm: float = 1.0,
    ) -> None:
        inf = math.inf  # the comparisons below are false for NaN too
        if lr is not None and not 0 < lr < inf:
            raise ConfigError(
                f"optim.lr must be above 0 and finite, got {lr}; null takes the freeze strategy's"
            )
        if not 0 < loss_lr < inf:
            raise ConfigError(
                f"optim.loss_lr must be above 0 and finite, got {loss_lr}; 0.01 suits most losses"
            )
        if not 0 <= weight_decay < inf:
            raise ConfigError(
                f"optim.weight_decay must be at least 0 and finite, got {weight_decay}; "
                "0 switches it off"
            )
        if not all(0 <= beta < 1 for beta in betas):
            raise ConfigError(
                f"optim.betas must each be in [0, 1), got {list(betas)}; [0.9,0.999] is usual"
            )
        if not 0 <= warmup < 1:
            raise ConfigError(
                f"optim.warmup must be in [0, 1), got {warmup}: it is a share of all steps, "
                "not a number of them"
            )
        if not 0 < gradient_norm < inf:
            raise ConfigError(
                f"optim.gradient_norm must be above 0 and finite, got {gradient_norm}; "
                "1e9 clips nothing"
            )
        self.lr = lr
        self.loss_lr = loss_lr
        self.weight_decay = weight_decay
        self.betas = (float(betas[0]), float(betas[1]))
        self.warmup = warmup
        self.decay: Literal["linear", "cosine"] = decay
        self.gradient_norm = gradient_norm

    def build(self, model: nn.Module, loss: nn.Module, *, default_lr: float) -> torch.optim.AdamW:
        """Return the optimiser over what is trained in both; each group keeps its `peak_lr`."""
        trained = [p for p in model.parameters() if p.requires_grad]
        lr = default_lr if self.lr is None else self.lr
        groups = [
            {
                "params": [p for p in trained if p.ndim >= 2],
                "lr": lr,
                "weight_decay": self.weight_decay,
            },
            {"params": [p for p in trained if p.ndim < 2], "lr": lr, "weight_decay": 0.0},
            {"params": list(loss.parameters()), "lr": self.loss_lr, "weight_decay": 0.0},
        ]
        groups = [{**group, "peak_lr": group["lr"]} for group in groups if group["params"]]
        return torch.optim.AdamW(groups, lr=lr, betas=self.betas)

    def set_lr(self, optimizer: torch.optim.Optimizer, step: int, num_steps: int) -> None:
        factor = lr_factor(step, num_steps, warmup=self.warmup, decay=self.decay)
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor

    def clip(self, parameters: list[nn.Parameter], norm: Tensor) -> None:
        """Scale the gradients in place so that `norm`, theirs, becomes at most `gradient_norm`."""
        if norm > self.gradient_norm:
            scale = float(self.gradient_norm / norm)
            for p in parameters:
                if p.grad is not None:
                    p.grad.mul_(scale)
