"""Signatures read from source are those that Python sees once the class is imported."""

import inspect
from importlib import import_module

import pytest
from omegaconf import OmegaConf

from rmx.config import config_dir
from rmx.config.signatures import signature_of
from rmx.errors import ConfigError


def all_targets() -> list[str]:
    found = set()
    for path in config_dir().glob("*/*.yaml"):
        content = OmegaConf.to_container(OmegaConf.load(path))
        assert isinstance(content, dict), path
        nodes = [content, *(node for node in content.values() if isinstance(node, dict))]
        found |= {node["_target_"] for node in nodes if "_target_" in node}
    return sorted(found)


@pytest.mark.parametrize("target", all_targets())
def test_a_signature_read_is_the_signature_imported(target: str) -> None:
    module, _, name = target.rpartition(".")
    imported = inspect.signature(getattr(import_module(module), name)).parameters
    named = [p.name for p in imported.values() if p.kind is not p.VAR_KEYWORD]
    assert list(signature_of(target).parameters) == named
    assert signature_of(target).takes_any == (len(named) < len(imported))


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.Popen",
        "rmx",
        "rmx.errors",
        "rmx.config.schema._private",
        "rmx.provenance.subprocess.run",  # reached through a module of ours, and not ours
        "rmx.provenance.Path",
        "rmx.losses.TiePolicy",  # neither a class nor a function
        "rmx.../os.system",
        "",
        3,
    ],
)
def test_a_target_outside_the_package_is_refused(target: str) -> None:
    with pytest.raises(ConfigError, match="_target_"):
        signature_of(target)


def test_a_target_misspelt_is_suggested() -> None:
    with pytest.raises(ConfigError, match="did you mean 'BradleyTerry'"):
        signature_of("rmx.losses.BradlyTerry")
