"""Devices, strategy and precision fit one another, or are refused in one line."""

import pytest
import torch

from rmx import hardware
from rmx.errors import ConfigError
from rmx.hardware import Hardware


@pytest.fixture
def num_gpus(monkeypatch):
    """Return a function that lets this machine show so many GPUs."""

    def show(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return show


@pytest.mark.parametrize(
    ("precision", "loaded", "frozen", "lightning"),
    [
        ("32", "float32", None, "32-true"),
        ("bf16-mixed", "float32", torch.bfloat16, "bf16-mixed"),
        ("bf16-true", "bfloat16", torch.bfloat16, "32-true"),
    ],
)
def test_a_precision_says_how_weights_are_loaded_stored_and_used(
    precision, loaded, frozen, lightning
):
    chosen = Hardware(accelerator="cpu", precision=precision)
    assert (chosen.backbone_dtype, chosen.frozen_dtype) == (loaded, frozen)
    assert chosen.trainer_arguments()["precision"] == lightning


@pytest.mark.parametrize(("is_fast", "precision"), [(True, "bf16-mixed"), (False, "32")])
def test_auto_precision_is_mixed_where_bf16_is_fast(monkeypatch, is_fast, precision):
    monkeypatch.setattr(hardware, "has_fast_bf16", lambda accelerator: is_fast)
    assert Hardware(accelerator="cpu").precision == precision


@pytest.mark.parametrize(
    ("gpus", "options", "expected"),
    [
        (0, {}, ("cpu", 1, "single")),
        (0, {"devices": 2}, ("cpu", 2, "ddp")),
        (1, {"precision": "32"}, ("cuda", 1, "single")),
        (4, {"precision": "32"}, ("cuda", 4, "ddp")),
        (4, {"precision": "32", "strategy": "fsdp"}, ("cuda", 4, "fsdp")),
        (4, {"precision": "32", "strategy": "single"}, ("cuda", 1, "single")),
        (4, {"accelerator": "cpu"}, ("cpu", 1, "single")),
    ],
)
def test_auto_takes_every_gpu_that_the_strategy_can(num_gpus, gpus, options, expected):
    num_gpus(gpus)
    chosen = Hardware(**options)
    assert (chosen.accelerator, chosen.devices, chosen.strategy) == expected


@pytest.mark.parametrize(
    ("gpus", "options", "message"),
    [
        (0, {"accelerator": "cuda"}, "shows none; take hardware=cpu"),
        (0, {"devices": 0}, "hardware.devices must be at least 1, got 0"),
        (2, {"devices": 3}, "hardware.devices must be at most this machine's 2 GPUs, got 3"),
        (0, {"devices": 2, "strategy": "single"}, "can't drive 2 devices; take hardware=ddp"),
        (0, {"strategy": "ddp", "sharded_checkpoint": True}, "needs strategy fsdp, got ddp"),
    ],
)
def test_what_does_not_fit_is_refused(num_gpus, gpus, options, message):
    num_gpus(gpus)
    with pytest.raises(ConfigError, match=message):
        Hardware(**options)
