"""LoRA adapters by peft, injected in place."""

from __future__ import annotations

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from rmx.errors import ConfigError


def inject_lora(
    layers: nn.ModuleList,
    *,
    r: int,
    alpha: float,
    dropout: float,
    target_modules: list[str] | None = None,
) -> int:
    """Put float32 adapters on linear maps of the decoder layers; return how many.

    Args:
        target_modules: names or ends of names of linear maps; None for all.

    Raises:
        ConfigError: where a target names no linear map.
    """
    from peft import LoraConfig, inject_adapter_in_model  # a second to import, and few need it

    linears = {n: m for n, m in layers.named_modules() if isinstance(m, nn.Linear | Conv1D)}
    for target in target_modules or []:
        if not any(f".{name}".endswith(f".{target}") for name in linears):
            known = sorted({name.rpartition(".")[-1] for name in linears})
            raise ConfigError(
                f"freeze.target_modules must name linear maps of the decoder layers, got "
                f"{target!r}; they are {', '.join(known)}"
            )
    config = LoraConfig(
        r=r,
        lora_alpha=alpha,  # type: ignore[arg-type]  # peft divides by r; a fraction is fine
        lora_dropout=dropout,
        target_modules=target_modules or list(linears),
        fan_in_fan_out=any(isinstance(m, Conv1D) for m in linears.values()),  # GPT-2's layout
    )
    inject_adapter_in_model(config, layers)
    # peft makes adapters in their map's dtype; in bf16, small updates would round to nothing.
    adapters = [p for p in layers.parameters() if p.requires_grad]
    for p in adapters:
        p.data = p.data.to(torch.float32)
    return len(adapters) // 2  # each has an A and a B
