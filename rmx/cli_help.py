"""The text of `--help`: groups from conf/'s folders, settings from the schema."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from inspect import cleandoc
from typing import Any

from omegaconf import OmegaConf

from rmx.config.schema import SCHEMAS, config_dir

WAYS = """\
  NAME=VALUE ...         settings; a component's own too: loss=bt loss.label_smoothing=0.1
  -m NAME=A,B ...        a sweep: one run for each combination, and a table at the end
  --cfg job NAME=VALUE   print the config and stop"""


def help_text(about: str, config_name: str) -> str:
    """Return what `--help` prints.

    Args:
        about: the command's module docstring.
    """
    schema = SCHEMAS[config_name]
    settings = list(_settings(schema))
    width = max(len(name) for name, _ in settings) + 2
    lines = [cleandoc(about), "", "usage:", WAYS, "", "groups, the default first:"]
    lines += [f"  {group:<12} {', '.join(names)}" for group, names in _groups(config_name)]
    lines += ["", "settings, with their defaults:"]
    lines += [f"  {name:<{width}} {text}" for name, text in settings]
    lines += ["", f"A component's own settings are in {config_dir()}/GROUP/CHOICE.yaml."]
    return "\n".join(lines)


def _groups(config_name: str) -> Iterator[tuple[str, list[str]]]:
    primary = OmegaConf.load(config_dir() / f"{config_name}.yaml")
    for entry in primary.defaults:
        if isinstance(entry, str):
            continue
        (group, default), *_ = entry.items()
        folder = config_dir() / str(group)
        if folder.is_dir():
            others = sorted(path.stem for path in folder.glob("*.yaml") if path.stem != default)
            yield str(group), [default or "(none)", *others]


def _settings(schema: type, prefix: str = "") -> Iterator[tuple[str, str]]:
    for spec in fields(schema):
        factory: Any = spec.default_factory
        if "help" in spec.metadata:
            default = factory() if callable(factory) else spec.default
            shown = "null" if default is None else default
            yield f"{prefix}{spec.name}={shown}", spec.metadata["help"]
        elif isinstance(factory, type) and factory is not dict:
            yield from _settings(factory, f"{prefix}{spec.name}.")
