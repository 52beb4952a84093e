"""Where a run computes: devices, strategy and precision together, as one choice."""

from __future__ import annotations

from typing import Any, Literal

import torch
from lightning.pytorch.strategies import ModelParallelStrategy, Strategy

from rmx.errors import ConfigError

Precision = Literal["auto", "32", "bf16-mixed", "bf16-true"]


def has_fast_bf16(accelerator: str) -> bool:
    """Return whether bf16 matrix products run in hardware, so that they are faster than float32."""
    if accelerator == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    if accelerator == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return False


class Hardware:
    """Devices, strategy and precision of one run.

    Args:
        accelerator: auto takes a CUDA GPU where there is one.
        devices: how many processes, one a device; auto is 1 on a CPU and every GPU otherwise.
        strategy: single; ddp (each process holds the model); fsdp (FSDP2: each holds a shard).
        precision: of what is not head, margin or loss, which are float32 in any case, as are all
            trained weights: in bf16 an AdamW step of 1e-5 is rounded away.
            32: everything float32.
            bf16-mixed: products in bf16 (autocast); frozen weights are stored in bf16.
            bf16-true: the backbone is loaded in bf16, half the memory; frozen parts compute in
            bf16, trained parts in float32 (no autocast). Needs frozen parts.
            auto: bf16-mixed where bf16 runs in hardware, else 32.
        sharded_checkpoint: fsdp only: each process writes its shard instead of one whole file.
    """

    def __init__(
        self,
        *,
        accelerator: Literal["auto", "cpu", "cuda"] = "auto",
        devices: int | Literal["auto"] = "auto",
        strategy: Literal["auto", "single", "ddp", "fsdp"] = "auto",
        precision: Precision = "auto",
        sharded_checkpoint: bool = False,
    ) -> None:
        has_gpu = torch.cuda.is_available()
        if accelerator == "cuda" and not has_gpu:
            raise ConfigError(
                "hardware wants a CUDA GPU and this machine shows none; take hardware=cpu"
            )
        self.accelerator = ("cuda" if has_gpu else "cpu") if accelerator == "auto" else accelerator
        if devices == "auto":
            many = strategy in ("auto", "ddp", "fsdp") and self.accelerator == "cuda"
            devices = torch.cuda.device_count() if many else 1
        if devices < 1:
            raise ConfigError(f"hardware.devices must be at least 1, got {devices}; take auto")
        num_gpus = torch.cuda.device_count()
        if self.accelerator == "cuda" and devices > num_gpus:
            raise ConfigError(
                f"hardware.devices must be at most this machine's {num_gpus} GPUs, got {devices}; "
                "auto takes them all"
            )
        if strategy == "single" and devices > 1:
            raise ConfigError(
                f"one process can't drive {devices} devices; take hardware=ddp or fsdp"
            )
        if strategy == "auto":
            strategy = "ddp" if devices > 1 else "single"
        if sharded_checkpoint and strategy != "fsdp":
            raise ConfigError(f"hardware.sharded_checkpoint needs strategy fsdp, got {strategy}")
        self.devices = devices
        self.strategy = strategy
        self.sharded_checkpoint = sharded_checkpoint
        if precision == "auto":
            precision = "bf16-mixed" if has_fast_bf16(self.accelerator) else "32"
        self.precision: Literal["32", "bf16-mixed", "bf16-true"] = precision

    def __str__(self) -> str:
        where = "CPU" if self.accelerator == "cpu" else torch.cuda.get_device_name()
        many = f"{self.devices} x {where}, {self.strategy}" if self.devices > 1 else where
        return f"{many}, precision {self.precision}"

    @property
    def frozen_dtype(self) -> torch.dtype | None:
        """The dtype that frozen parameters are stored in; None leaves them as loaded."""
        return None if self.precision == "32" else torch.bfloat16

    @property
    def backbone_dtype(self) -> str:
        """The dtype that the backbone is loaded in."""
        return "bfloat16" if self.precision == "bf16-true" else "float32"

    def trainer_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of `lightning.Trainer` that this choice decides."""
        return {
            "accelerator": "gpu" if self.accelerator == "cuda" else "cpu",
            "devices": self.devices,
            "strategy": self._strategy(),
            # With bf16-true rmx casts what is frozen itself: Lightning would cast all the rest too.
            "precision": "bf16-mixed" if self.precision == "bf16-mixed" else "32-true",
        }

    def _strategy(self) -> str | Strategy:
        if self.strategy == "fsdp":
            return ModelParallelStrategy(data_parallel_size=self.devices, tensor_parallel_size=1)
        return "ddp" if self.strategy == "ddp" else "auto"
