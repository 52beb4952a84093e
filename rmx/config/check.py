"""Checks a composed config before anything heavy: names, types, ranges, and every component.

Hydra lets `+typo=1` and a typo in an overlay pass; here the plain values are held against the
schema once more, and each component against the signature of what its `_target_` names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rmx.config.annotations import MismatchError, one_of
from rmx.config.schema import RunConfig
from rmx.config.secrets import refuse_secrets
from rmx.config.signatures import signature_of
from rmx.config.suggestions import did_you_mean
from rmx.errors import ConfigError

TARGET = "_target_"


class SettingError(ConfigError):
    """One setting that can't be; `key` is its dotted name."""

    def __init__(self, key: str, rule: str, value: Any = None) -> None:
        shown = key if value is None else f"{key}={value}"
        super().__init__(f"{shown}: {rule}")
        self.key = key


def check_config(cfg: DictConfig, schema: type = RunConfig) -> None:
    """Check every setting of a composed config; imports and builds nothing.

    Raises:
        ConfigError: one line: the setting, what it must be and the name that was probably meant.
    """
    plain = plain_config(cfg)
    refuse_secrets(plain)
    _check_node(plain, schema, "")


def plain_config(cfg: DictConfig) -> dict[str, Any]:
    """Return the config as plain values, interpolations resolved, Hydra's own node left out."""
    cfg = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    try:
        plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=False)
    except OmegaConfBaseException as error:
        rule = str(error).splitlines()[0]
        raise SettingError(str(error.full_key or "an interpolation"), rule) from error
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _check_node(plain: Mapping[str, Any], schema: type, prefix: str) -> None:
    known = {f.name: f for f in fields(schema)}
    annotations = signature_of(f"{schema.__module__}.{schema.__qualname__}").parameters
    for name in plain.keys() - known.keys():
        rule = f"no such setting {name!r}{did_you_mean(name, known)}"
        raise SettingError(prefix + name, rule, plain[name])
    # Components last: what a class refuses is the likelier to come from a plain setting's fault.
    for name, spec in sorted(known.items(), key=lambda item: _holds_components(item[1])):
        key = prefix + name
        if name not in plain:
            raise SettingError(key, "can't be removed; set it instead")
        value = plain[name]
        default = _default(spec)
        if is_dataclass(default):
            if not isinstance(value, Mapping):
                raise SettingError(
                    key, f"set what is in it, such as {key}.{_first(default)}", value
                )
            _check_node(value, type(default), f"{key}.")
        elif spec.metadata.get("component"):
            check_component(value, key)
        elif _holds_components(spec):
            for part, item in _mapping(value, key).items():
                if item is not None:  # null leaves it out
                    check_component(item, f"{key}.{part}")
        else:
            annotation = annotations[name]
            assert annotation is not None
            try:
                _check_limits(key, annotation.fit(value), spec)
            except MismatchError as mismatch:
                raise SettingError(key, str(mismatch), value) from mismatch


def check_component(component: Any, key: str) -> None:
    """Check that the component's `_target_` exists and takes its keys, as far as types tell.

    What the caller of `build` adds is not here, so a missing argument is only found there, except
    where a YAML says `???`.
    """
    component = _mapping(component, key)
    if TARGET not in component:
        name = key.split(".")[0]
        raise SettingError(key, f"it has no {TARGET}; choose a component by name, {name}=NAME")
    target = component[TARGET]
    try:
        signature = signature_of(target)
    except ConfigError as error:
        raise SettingError(f"{key}.{TARGET}", str(error)) from error
    for name, value in component.items():
        if name == TARGET:
            continue
        path = f"{key}.{name}"
        if name not in signature.parameters and not signature.takes_any:
            hint = did_you_mean(name, signature.parameters) or _list_of(signature.parameters)
            raise SettingError(path, f"{target} takes no {name!r}{hint}", value)
        if value == "???":
            raise SettingError(path, f"needs a value: {path}=...")
        annotation = signature.parameters.get(name)
        try:
            if isinstance(value, Mapping) and TARGET in value:
                check_component(value, path)
            elif annotation is not None:
                annotation.fit(value)
        except MismatchError as mismatch:
            raise SettingError(path, str(mismatch), value) from mismatch


def _check_limits(key: str, value: Any, spec: Field[Any]) -> None:
    limits = spec.metadata
    if value is None:
        return
    if "choices" in limits and value not in limits["choices"]:
        hint = did_you_mean(str(value), limits["choices"])
        raise SettingError(key, f"must be {one_of(limits['choices'])}{hint}", value)
    if "at_least" in limits and value < limits["at_least"]:
        raise SettingError(key, f"must be at least {limits['at_least']}", value)
    if "above" in limits and value <= limits["above"]:
        raise SettingError(key, f"must be above {limits['above']}", value)
    if "below" in limits and value >= limits["below"]:
        raise SettingError(key, f"must be below {limits['below']}", value)


def _holds_components(spec: Field[Any]) -> bool:
    return spec.default_factory is dict


def _default(spec: Field[Any]) -> Any:
    return spec.default_factory() if callable(spec.default_factory) else spec.default


def _first(node: Any) -> str:
    return fields(node)[0].name


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SettingError(key, "must be a component: choose one by name", value)
    return value


def _list_of(names: Mapping[str, Any]) -> str:
    return f"; it takes {', '.join(names)}" if names else "; it takes nothing"
