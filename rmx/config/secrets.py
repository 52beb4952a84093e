"""What a key or a password looks like. Settings are kept in clear, so none may be one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rmx.errors import ConfigError

# `pad_token`, `max_tokens` and `prompt_key` are no secrets, so a bare ending isn't enough.
SECRET_NAME = re.compile(
    r"(^|[_.-])(api_?key|access_?key(_?id)?|private_?key|secret(_?key)?|passw(or)?d|passphrase"
    r"|credentials?|authorization|(auth|access|api|bearer|hf|hub|wandb|github)_?token)$|(^|\.)token$",
    re.IGNORECASE,
)
SECRET_VALUE = re.compile(
    r"\b(hf|gh[pousr]|github_pat|wandb_v1)_\w{16,}|\bsk-[\w-]{16,}|\bAKIA[0-9A-Z]{16}\b"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+"
)


def refuse_secrets(value: Any, key: str = "") -> None:
    """Raise a ConfigError, which does not repeat the value, where there is a key or a password."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            refuse_secrets(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for item in value:
            refuse_secrets(item, key)
    elif value is not None and (
        SECRET_NAME.search(key) or (isinstance(value, str) and SECRET_VALUE.search(value))
    ):
        raise ConfigError(
            f"{key}: this looks like a key or a password, and settings are kept in clear in run "
            "folders and logs; set it in the environment instead (WANDB_API_KEY, HF_TOKEN)"
        )
