"""Turns what Hydra and OmegaConf say about a wrong setting into one line with a suggestion.

A line starts with where the fault was written, the override or else the file: `los=bt: ...` or
`conf/experiment/mine.yaml: ...`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf

from rmx.config.check import SettingError
from rmx.config.names import override_key
from rmx.config.schema import SCHEMAS, config_dir
from rmx.config.signatures import signature_of
from rmx.config.suggestions import did_you_mean
from rmx.errors import ConfigError

OVERLAYS = ("experiment", "sweep")  # groups whose files set other groups' keys


def explain(error: Exception, overrides: Sequence[str], config_name: str) -> ConfigError:
    """Return the line for an exception that Hydra raised while composing."""
    text, cause = str(error), str(error.__cause__ or error)
    in_file = re.match(r"In '([^']+)': ", text)
    where = _shown(config_dir() / f"{in_file[1]}.yaml") if in_file else None
    schema = SCHEMAS[config_name]

    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _no_such_choice(error.missing_cfg_file, error.options or [], overrides)
    if group := re.search(r"Could not override '(\S+)'\. No match", text):
        return _no_such_setting(group[1], where or group[1], schema)
    if group := re.match(r"Multiple values for (\S+)\. ", text):
        given = _find(overrides, group[1]) or group[1]
        return ConfigError(f"{given}: it has a value already; write {given.lstrip('+')}")
    if "Config group override must be" in text:
        return _not_a_name(overrides)
    if "Ambiguous value" in text:
        return ConfigError(
            f"{text.split(chr(39))[1]}: several values make a sweep; add -m to run it"
        )
    if full_key := re.search(r"full_key: (\S+)", cause):
        key = full_key[1]
        given = where or _find(overrides, key) or key
        if key.startswith("hydra"):  # Hydra's own settings have Hydra's own schema
            return ConfigError(f"{given}: {cause.splitlines()[0]}")
        if re.search(r"^Key '.*' (is )?not in", cause, re.MULTILINE):
            return _no_such_setting(key, given, schema)
        return _wrong_type(key, given, schema, cause)
    return ConfigError(" ".join(text.split()))  # a YAML file that can't be read names its line


def locate(
    error: SettingError, overrides: Sequence[str], choices: Mapping[str, Any]
) -> ConfigError:
    """Return the error of `check_config`, behind the file that set its key, if one did."""
    if _find(overrides, error.key):
        return error
    group, _, rest = error.key.partition(".")
    for name, key in [*((overlay, error.key) for overlay in OVERLAYS), (group, rest)]:
        path = config_dir() / name / f"{choices.get(name)}.yaml"
        if path.is_file() and _sets(path, key):
            return ConfigError(f"{_shown(path)}: {error}")
    return error


def _no_such_choice(missing: str, options: Sequence[str], overrides: Sequence[str]) -> ConfigError:
    group, _, choice = missing.rpartition("/")
    given = f"{group}={choice}"
    if (written := _find(overrides, group)) is None or choice not in written:
        overlay = next((p for p in _chosen_overlays(overrides) if choice in p.read_text()), None)
        given = f"{_shown(overlay)}: {given}" if overlay else given
    hint = did_you_mean(choice, options)
    return ConfigError(f"{given}: no such choice{hint}; choices: {', '.join(options)}")


def _no_such_setting(key: str, given: str, schema: type) -> ConfigError:
    """Explain a name that the schema lacks, by the nearest one on its level."""
    prefix, level = "", {f.name: f for f in fields(schema)}
    known = {*level, *(path.name for path in config_dir().iterdir() if path.is_dir()), "hydra"}
    parts = re.split(r"[./@]", key)
    for name in parts:
        if name not in level:
            break
        node = _node(schema, name)
        if node is None:
            break
        prefix, schema = f"{prefix}{name}.", node
        level = {f.name: f for f in fields(schema)}
        known = set(level)
    hint = did_you_mean(name, known)
    if prefix:
        hint = hint.replace("mean '", f"mean '{prefix}")
    hint = hint or _in_a_component(name) or "; --help lists the settings"
    return ConfigError(f"{given}: no such setting {prefix + name!r}{hint}")


def _in_a_component(name: str) -> str:
    """Return a hint where a component has an argument of that name: `lr` is `optim.lr`."""
    for path in sorted(config_dir().glob("*/*.yaml")):
        if path.parent.name not in OVERLAYS and _sets(path, name):
            return f"; did you mean '{path.parent.name}.{name}'?"
    return ""


def _wrong_type(key: str, given: str, schema: type, cause: str) -> ConfigError:
    *parents, name = key.split(".")
    for parent in parents:
        schema = _node(schema, parent) or schema
    annotation = signature_of(f"{schema.__module__}.{schema.__qualname__}").parameters.get(name)
    if _node(schema, name) is not None:
        rule = f"it holds other settings; set them one by one, as {key}.NAME=VALUE"
    else:
        rule = annotation.rule() if annotation else cause.splitlines()[0]
    subject = given if override_key(given) == key else f"{given}: {key}"
    return ConfigError(f"{subject}: {rule}")


def _not_a_name(overrides: Sequence[str]) -> ConfigError:
    """Explain a number or a mapping where the name of a group's choice should be."""
    for override in overrides:
        folder = config_dir() / override_key(override)
        value = override.partition("=")[2]
        if folder.is_dir() and not (folder / f"{value}.yaml").is_file():
            options = sorted(path.stem for path in folder.glob("*.yaml"))
            return ConfigError(f"{override}: no such choice; choices: {', '.join(options)}")
    return ConfigError(f"{' '.join(overrides)}: settings are given as NAME=VALUE")


def _node(schema: type, name: str) -> type | None:
    """Return the dataclass behind a field that holds other settings; None for any other."""
    for spec in fields(schema):
        factory = spec.default_factory
        if spec.name == name and isinstance(factory, type) and is_dataclass(factory):
            return factory
    return None


def _find(overrides: Sequence[str], key: str) -> str | None:
    return next((o for o in reversed(overrides) if override_key(o) == key), None)


def _chosen_overlays(overrides: Sequence[str]) -> list[Path]:
    chosen = [(name, _find(overrides, name)) for name in OVERLAYS]
    paths = [config_dir() / n / f"{o.partition('=')[2]}.yaml" for n, o in chosen if o]
    return [path for path in paths if path.is_file()]


def _sets(path: Path, key: str) -> bool:
    content = OmegaConf.load(path)
    missing = object()
    return isinstance(content, DictConfig) and (
        OmegaConf.select(content, key, default=missing, throw_on_missing=False) is not missing
    )


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
