"""The one place where a config becomes an object."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rmx.config.check import TARGET, check_component
from rmx.config.signatures import signature_of
from rmx.errors import ConfigError, RmxError


def build(component: Mapping[str, Any] | DictConfig, /, **more: Any) -> Any:
    """Return what the component's `_target_` makes of its keys and of `more`.

    Only public classes and functions that are defined in rmx are ever called, nested components
    included: a config is data, wherever it came from.

    Args:
        component: a mapping with a `_target_`.
        more: arguments that no config can give, such as a model's size.
    Raises:
        ConfigError: the target is not allowed, an argument is unknown, missing or given twice, or
            the class refuses a value (its ValueError, with the component's name before it).
    """
    key = "component"
    if isinstance(component, DictConfig):
        key = str(component._get_full_key("")) or key
        plain = OmegaConf.to_container(component, resolve=True)
    else:
        plain = component
    assert isinstance(plain, Mapping)
    return _build(plain, key, more)


def _build(component: Mapping[str, Any], key: str, more: Mapping[str, Any]) -> Any:
    check_component(component, key)
    target = component[TARGET]
    for name in more.keys() & component.keys():
        raise ConfigError(f"{key}.{name}={component[name]}: rmx sets this itself; leave it out")
    arguments = {
        name: _argument(value, target, name, f"{key}.{name}")
        for name, value in component.items()
        if name != TARGET
    }
    module, _, name = target.rpartition(".")
    made = getattr(import_module(module), name)
    # The name was found in our source; this holds against a module that rebinds it when it runs.
    assert made.__module__.split(".")[0] == __name__.split(".")[0], made
    try:
        inspect.signature(made).bind(**arguments, **more)
    except TypeError as error:
        raise ConfigError(f"{key} ({target}): {error}") from error
    try:
        return made(**arguments, **more)
    except RmxError:
        raise
    except ValueError as error:
        raise ConfigError(f"{key} ({target}): {error}") from error


def _argument(value: Any, target: str, name: str, key: str) -> Any:
    if isinstance(value, Mapping) and TARGET in value:
        return _build(value, key, {})
    annotation = signature_of(target).parameters.get(name)
    return value if annotation is None else annotation.fit(value)
