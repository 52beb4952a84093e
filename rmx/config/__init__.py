"""Configs: the schema, composing and checking a run's config, and building its components.

Nothing here imports torch, so that a wrong setting is told in a second, before a model is loaded.
"""

from rmx.config.build import build
from rmx.config.check import check_config
from rmx.config.compose import compose_run
from rmx.config.schema import RunConfig, config_dir

__all__ = ["RunConfig", "build", "check_config", "compose_run", "config_dir"]
