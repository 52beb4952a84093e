"""The errors a user meets. A command prints their message as one line; anything else is a bug.

Each message states the rule, the value received and the remedy.
"""


class RmxError(Exception):
    """Base of everything that ends a command with one clear line instead of a stack trace."""

    exit_code = 2


class ConfigError(RmxError, ValueError):
    """A setting that can't be: an unknown name, a wrong type, a combination without meaning."""


class DataError(RmxError, ValueError):
    """A row or a file that can't be used as it is."""


class ModelError(RmxError, ValueError):
    """A backbone that is absent, gated, or of a kind rmx can't train."""


class CheckpointError(RmxError, RuntimeError):
    """A checkpoint that is damaged, missing or made by another configuration."""


class TrainingError(RmxError, RuntimeError):
    """A run that can't go on, for instance after repeated non-finite losses."""

    exit_code = 1
