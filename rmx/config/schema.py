"""The root of every training config: names, types and ranges of what is not a component.

A component (model, loss, ...) is plain YAML with a `_target_`; its schema is the signature of the
class it names (signatures.py). Each setting's comment is also what `--help` shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf


def setting(default: Any, help: str, **limits: Any) -> Any:
    """Return a dataclass field with the line that `--help` prints.

    Args:
        limits: `choices` (a tuple), or inclusive `at_least`, exclusive `above` and `below`.
    """
    metadata = {"help": help, **limits}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class Split:
    """How a source's groups are parted where its own files don't part them."""

    val: float = setting(0.15, "share of prompts held out for validation", above=0, below=1)
    spillover: list[str] = setting([], "domains held out of training altogether")


@dataclass
class Batch:
    """How many comparisons a step sees, and how they are fed to the device."""

    comparisons: int = setting(32, "comparisons an optimiser step, over all devices", at_least=1)
    micro_completions: int = setting(32, "completions a forward pass, on each device", at_least=2)


def component() -> Any:
    """Return a field for one component: a mapping with a `_target_`, from conf/FIELD/NAME.yaml."""
    return field(default_factory=dict, metadata={"component": True})


@dataclass
class RunConfig:
    """Everything `python -m rmx.train` can be told."""

    model: dict[str, Any] = component()
    head: dict[str, Any] = component()
    encoder: dict[str, Any] = component()
    freeze: dict[str, Any] = component()
    loss: dict[str, Any] = component()
    data: dict[str, Any] = component()
    optim: dict[str, Any] = component()
    hardware: dict[str, Any] = component()
    logger: dict[str, Any] = component()
    callbacks: dict[str, Any] = field(default_factory=dict)  # names to components

    split: Split = field(default_factory=Split)
    batch: Batch = field(default_factory=Batch)

    ties: str = setting(
        "auto",
        "auto (by the loss), drop, soft (a tie is a preference of 1/2), model (a tie term)",
        choices=("auto", "drop", "soft", "model"),
    )
    epochs: float = setting(1, "passes over the training data, also part of one", above=0)
    max_steps: int | None = setting(None, "optimiser steps at most; null: all epochs", at_least=1)
    max_length: int = setting(512, "tokens of a prompt and its completion", at_least=16)
    val_every: int = setting(32, "optimiser steps between validations", at_least=1)
    monitor: str = setting(
        "accuracy",
        "accuracy or nll: what stops early and chooses the best",
        choices=("accuracy", "nll"),
    )
    patience: int = setting(3, "validations without gain before the run stops", at_least=1)
    display: str = setting(
        "raw",
        "raw, signed (-1..1) or percent (0..100): also put into rewards.jsonl, for people",
        choices=("raw", "signed", "percent"),
    )
    seed: int = setting(0, "of everything that is drawn at random", at_least=0)
    num_workers: int = setting(0, "processes that prepare batches; 0: the main one", at_least=0)
    resume: str | None = setting(None, "a run's folder, or `last`: go on where it stopped")
    run_name: str | None = setting(None, "null: model, loss and freeze")
    output_dir: str = setting("outputs", "where runs/, sweeps/ and wandb/ are made")


def config_dir() -> Path:
    """Return the absolute folder of the YAML files: a checkout's conf/, or the wheel's copy."""
    package = Path(__file__).resolve().parent.parent
    checkout = package.parent / "conf"
    # A wheel's own copy wins: a stray conf/ may lie beside an installed package.
    return package / "conf" if (package / "conf").is_dir() else checkout


SCHEMAS: dict[str, type] = {"train": RunConfig}  # primary config's name to its schema


def register_schemas() -> None:
    """Tell Hydra which schema each primary config starts from, as `NAME_schema`."""
    for name, schema in SCHEMAS.items():
        node = OmegaConf.structured(schema)
        for key in node:
            if isinstance(node[key], DictConfig) and OmegaConf.get_type(node[key]) is dict:
                # A component takes every argument of its class, listed in its YAML or not.
                OmegaConf.set_struct(node[key], False)
        ConfigStore.instance().store(name=f"{name}_schema", node=node, provider="rmx")
