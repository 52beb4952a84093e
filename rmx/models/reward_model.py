"""RewardModel: backbone, encoder and head joined, from padded tokens to rewards."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from rmx.errors import ConfigError
from rmx.models.backbone import Backbone
from rmx.models.decoder import find_decoder_layers, find_final_norm
from rmx.types import PaddedTokens

Scale = Literal["raw", "signed", "percent"]
DISPLAY_BUFFERS = ("reward_mean", "reward_std")


class RewardModel(nn.Module):
    """Scores completions.

    A freeze strategy (rmx.models.freezing) decides which parameters train; all do until one is
    applied. Frozen modules stay in eval mode whatever `train()` says, and where the whole backbone
    is frozen it runs without autograd.

    Args:
        backbone: from `load_backbone` or `tiny_backbone`.
        encoder: (backbone model, tokens) to features [C, F].
        head: features [C, F] to rewards [C]; its parameters stay float32 through any `.to(dtype)`.
    """

    reward_mean: Tensor
    reward_std: Tensor

    def __init__(self, backbone: Backbone, *, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone.model
        self.encoder = encoder
        self.head = head
        self.register_buffer("reward_mean", torch.tensor(0.0, dtype=torch.float32))
        self.register_buffer("reward_std", torch.tensor(1.0, dtype=torch.float32))
        # Names, not modules: a module held twice would appear twice in the state dict.
        num_layers = backbone.model.config.num_hidden_layers
        self._layers_name = find_decoder_layers(self.backbone, num_layers)
        self._final_norm_name = find_final_norm(self.backbone, self._layers_name)

    @property
    def decoder_layers(self) -> nn.ModuleList:
        """The backbone's decoder layers, lowest first."""
        layers = self.backbone.get_submodule(self._layers_name)
        assert isinstance(layers, nn.ModuleList)
        return layers

    @property
    def final_norm(self) -> nn.Module:
        """The norm after the last decoder layer."""
        return self.backbone.get_submodule(self._final_norm_name)

    def forward(self, tokens: PaddedTokens) -> Tensor:
        """Return the reward of each completion, float32 [C]."""
        is_trained = any(p.requires_grad for p in self.backbone.parameters())
        with torch.set_grad_enabled(is_trained and torch.is_grad_enabled()):
            pooled_CF = self.encoder(self.backbone, tokens)
        return self.head(pooled_CF)

    def train(self, mode: bool = True) -> RewardModel:
        """Set training mode everywhere but in frozen modules, which stay in eval mode."""
        super().train(mode)
        _set_frozen_to_eval(self.backbone)
        return self

    def trained_names(self) -> list[str]:
        """Return the state dict keys of what training changes: parameters, head, statistics."""
        trains = {name for name, p in self.named_parameters() if p.requires_grad}
        return [
            key
            for key in self.state_dict(keep_vars=True)
            if key in trains or key.startswith("head.") or key in DISPLAY_BUFFERS
        ]

    def trained_state_dict(self) -> dict[str, Tensor]:
        """Return what training changes: with the backbone it came from, the whole model.

        rmx.checkpoint saves it and copies it back, sharded or not.
        """
        state = self.state_dict()
        return {name: state[name] for name in self.trained_names()}

    def set_display_statistics(self, mean: float, std: float) -> None:
        """Set the mean and standard deviation of rewards that `display` places others by."""
        if not (math.isfinite(mean) and math.isfinite(std) and std >= 0):
            raise ConfigError(f"display needs a finite mean and a std >= 0, got {mean} and {std}")
        self.reward_mean.fill_(mean)
        # Where all rewards are equal, as a zero head's are, any positive scale will do.
        self.reward_std.fill_(std if std > 0 else 1.0)

    def display(self, reward_C: Tensor, scale: Scale = "raw") -> Tensor:
        """Return rewards on a bounded scale for people, float64 [C]; "raw" changes nothing.

        With z = (reward - mean) / std: signed = z / (1 + |z|), in (-1, 1), and
        percent = 50 (1 + signed), in (0, 100): the average reward shows as 50, one standard
        deviation above it as 75, two as 83. Unlike tanh or a sigmoid, which are flat beyond a few
        standard deviations, this keeps far-off rewards apart too; float64, so that they stay so.
        """
        if scale == "raw":
            return reward_C
        z_C = (reward_C.double() - self.reward_mean.double()) / self.reward_std.double()
        signed_C = z_C / (1 + z_C.abs())
        if scale == "signed":
            return signed_C
        if scale == "percent":
            return 50 * (1 + signed_C)
        raise ConfigError(f'scale must be "raw", "signed" or "percent", got {scale!r}')

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> RewardModel:
        """Move or cast; of a cast, head and statistics take the device and stay float32."""

        def move(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        if recurse:
            self.backbone._apply(fn)
            self.encoder._apply(move)
            self.head._apply(move)
        return super()._apply(move, recurse=False)


def _set_frozen_to_eval(module: nn.Module) -> None:
    trains = [p.requires_grad for p in module.parameters()]
    if trains and not any(trains):
        module.eval()
        return
    for child in module.children():
        _set_frozen_to_eval(child)
