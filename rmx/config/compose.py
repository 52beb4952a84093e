"""Composes a command's config from conf/ and overrides, and checks it; any fault is one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rmx.config.check import SettingError, check_config
from rmx.config.explain import explain, locate
from rmx.config.names import register_resolvers
from rmx.config.schema import SCHEMAS, config_dir, register_schemas
from rmx.config.secrets import refuse_secrets
from rmx.errors import ConfigError

register_schemas()
register_resolvers()


def compose_run(overrides: Sequence[str], *, config_name: str = "train") -> DictConfig:
    """Return the checked config that a command composes from these overrides, without Hydra's node.

    It needs no running command and can be called within one: a run folder keeps its overrides, and
    its config is composed anew from them rather than trusted as it lies there.

    Raises:
        ConfigError: an override, or a YAML file, says what can't be.
    """
    cfg = compose_checked(overrides, config_name=config_name)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg


def compose_checked(overrides: Sequence[str], *, config_name: str) -> DictConfig:
    """Return the checked config with Hydra's node, which tells choices, folders and the mode.

    Raises:
        ConfigError: as `compose_run`.
    """
    for override in parse_overrides(overrides):
        refuse_secrets(override.value(), override.key_or_group)
    try:
        with _own_hydra():
            cfg = hydra.compose(config_name, list(overrides), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
        raise explain(error, overrides, config_name) from error
    _refuse_foreign_targets(OmegaConf.to_container(cfg.hydra, resolve=False))
    try:
        check_config(cfg, SCHEMAS[config_name])
    except SettingError as error:
        raise locate(error, overrides, cfg.hydra.runtime.choices) from error
    return cfg


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Return Hydra's reading of each override.

    Raises:
        ConfigError: one is not of the form NAME=VALUE.
    """
    with _own_hydra():  # `loss=glob(*)` asks for the choices
        parser = OverridesParser.create(GlobalHydra.instance().config_loader())
    parsed = []
    for override in overrides:
        try:
            parsed += parser.parse_overrides([override])
        except HydraException as error:
            raise ConfigError(_misread(override)) from error
    return parsed


def _refuse_foreign_targets(node: object, key: str = "hydra") -> None:
    """Refuse a plugin of Hydra's node that is neither Hydra's nor ours: Hydra would run it."""
    items: Iterable[tuple[object, object]] = ()
    if isinstance(node, Mapping):
        items = node.items()
    elif isinstance(node, list):
        items = enumerate(node)
    for name, value in items:
        if name == "_target_" and not str(value).startswith(("hydra._internal.", "rmx.")):
            raise ConfigError(f"{key}._target_={value}: only Hydra's own and rmx's can run")
        _refuse_foreign_targets(value, f"{key}.{name}")


def _misread(override: str) -> str:
    if "=" not in override:
        return f"{override}: settings are given as NAME=VALUE, such as seed=1"
    name, _, value = override.partition("=")
    quoted = f"{name}='\"{value}\"'"
    return f"{override}: Hydra can't read this value; if it is text, quote it twice: {quoted}"


@contextmanager
def _own_hydra() -> Iterator[None]:
    """Set up Hydra on conf/, beside the command's own Hydra if one is running."""
    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(config_dir()), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().clear()
        if running is not None:
            GlobalHydra.instance().initialize(running)
