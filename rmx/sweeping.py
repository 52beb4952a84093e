"""What a sweep will run: its cells, each composed and checked before the first one starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from rmx.config.compose import compose_checked, parse_overrides
from rmx.errors import ConfigError

BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


@dataclass(frozen=True)
class Plan:
    """What a command line asks for.

    Attributes:
        cells: the overrides of each run; one for a single run.
        changed: the settings that differ between them.
        is_sweep: whether Hydra runs them as a sweep, be it of one.
        overrides: the command line for Hydra.
    """

    cells: list[list[str]]
    changed: list[str]
    is_sweep: bool
    overrides: list[str]


def plan_runs(overrides: Sequence[str], *, config_name: str, multirun: bool) -> Plan:
    """Return what will run, every cell's config composed and checked.

    Args:
        multirun: whether `-m` was given; a `sweep=` overlay asks for the same.
    Raises:
        ConfigError: a cell's config can't be, or its hardware is more than one device.
    """
    parsed = parse_overrides(overrides)
    plain = [o.input_line or "" for o in parsed if not (multirun and o.is_sweep_override())]
    cfg = compose_checked(plain, config_name=config_name)
    if not multirun and cfg.hydra.mode != RunMode.MULTIRUN:
        return Plan([list(overrides)], [], False, list(overrides))
    if cfg.hydra.sweeper._target_ != BASIC_SWEEPER:  # another sweeper chooses its cells as it goes
        return Plan([plain], [], True, list(overrides))

    params = OmegaConf.to_container(cfg.hydra.sweeper.params or OmegaConf.create())
    assert isinstance(params, dict)
    parsed = parse_overrides([f"{key}={value}" for key, value in params.items()]) + parsed
    try:
        cells = BasicSweeper.split_arguments(parsed, max_batch_size=None)[0]
    except HydraException as error:  # interval(0,1) has no end of values
        raise ConfigError(f"this sweep has no list of runs: {error}") from error
    configs = [compose_checked(cell, config_name=config_name) for cell in cells]
    for config in configs:
        _refuse_many_devices(config)
    changed = [o.key_or_group for o in parsed if o.is_sweep_override()]
    fixed = [o.key_or_group for o in parsed if o.key_or_group not in changed]
    return Plan(cells, changed, True, [*overrides, *_cell_overrides(fixed)])


def _cell_overrides(fixed: Sequence[str]) -> list[str]:
    """Return what each cell is told besides: one device, and a folder named for what differs."""
    excluded = ",".join(sorted({*fixed, "hardware.devices"}))
    return [
        "hardware.devices=1",
        f"hydra.job.config.override_dirname.exclude_keys=[{excluded}]",
    ]


def _refuse_many_devices(cfg: DictConfig) -> None:
    hardware = cfg.hardware
    strategy, devices = hardware.get("strategy", "auto"), hardware.get("devices", "auto")
    if strategy in ("ddp", "fsdp") or (isinstance(devices, int) and devices > 1):
        raise ConfigError(
            f"hardware.strategy={strategy} hardware.devices={devices}: a sweep's runs use one "
            "device each; take hardware=gpu or cpu, or start each run as a command of its own"
        )
