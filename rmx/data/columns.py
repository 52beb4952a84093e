"""Typed, strict reading of one row's columns. What the columns mean together is in rows.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast, get_args

from rmx.errors import DataError
from rmx.types import Message, Role

ROLES = get_args(Role)
_OTHER_ROLES = {"human": "user", "prompter": "user", "gpt": "assistant", "bot": "assistant"}
_JSON_NAMES = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}


class RowError(DataError):
    """A row that can't be used: which field, why, and what to do. The reader adds file and line."""

    def __init__(self, field: str, reason: str, remedy: str) -> None:
        super().__init__(f"field '{field}': {reason}; {remedy}" if field else f"{reason}; {remedy}")
        self.field = field
        self.reason = reason
        self.remedy = remedy


class Columns:
    """A row that remembers which of its columns were read."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._row = row
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._row

    @property
    def names(self) -> list[str]:
        return sorted(self._row)

    @property
    def unread(self) -> set[str]:
        return set(self._row) - self._read

    def optional(self, name: str) -> Any:
        """Return the column's value, None where it is absent or null."""
        self._read.add(name)
        return self._row.get(name)

    def required(self, name: str) -> Any:
        value = self.optional(name)
        if value is None:
            reason = "is null" if name in self._row else "is missing"
            raise RowError(name, reason, "give it a value or remove the row")
        return value

    def label(self, name: str, default: str) -> str:
        """Return a short text such as a domain or an id; whole numbers are taken as text."""
        value = self.optional(name)
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        label = text(value, name)
        if label != label.strip() or not label.isprintable():
            raise RowError(
                name,
                f"{label!r} has spaces around it or control characters",
                "use a plain one-line name",
            )
        return label

    def flag(self, name: str) -> bool:
        """Return a boolean column, False where it is absent or null."""
        value = self.optional(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise RowError(name, f"must be true or false, got {shown(value)}", "use a JSON boolean")
        return value

    def number(self, name: str) -> float | None:
        value = self.optional(name)
        return None if value is None else number(value, name)


def shown(value: Any) -> str:
    """Return a value as an error shows it: its JSON type, and itself where that is short."""
    kind = next((word for t, word in _JSON_NAMES.items() if isinstance(value, t)), "")
    if not kind:
        return "null" if value is None else str(value)
    start = repr(value)
    return f"{kind} {start}" if len(start) <= 40 else f"{kind} {start[:40]}…"


def number(value: Any, field: str) -> float:
    """Return a finite number as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RowError(field, f"must be a number, got {shown(value)}", "use a JSON number")
    if not math.isfinite(value):
        raise RowError(field, f"must be finite, got {value}", "correct or remove the row")
    return float(value)


def index(value: Any, field: str, size: int) -> int:
    """Return an index into the row's `size` completions."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise RowError(field, f"must be an index, got {shown(value)}", "use a whole number")
    if not 0 <= value < size:
        raise RowError(
            field,
            f"index {value} is outside the row's {size} completions",
            f"count from 0 to {size - 1}",
        )
    return value


def items(value: Any, field: str) -> list[Any]:
    if not isinstance(value, list):
        raise RowError(field, f"must be a list, got {shown(value)}", "use a JSON list")
    return value


def text(value: Any, field: str) -> str:
    """Return a text with something in it that every tokenizer can read."""
    if not isinstance(value, str):
        raise RowError(field, f"must be a string, got {shown(value)}", "use a JSON string")
    if not value.strip():
        raise RowError(field, "is empty", "fill it in or remove the row")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise RowError(
                field,
                f"holds half of a surrogate pair at character {error.start}",
                "replace that \\ud8xx escape by the whole character",
            ) from None
    if "\0" in value:
        raise RowError(
            field, f"holds a NUL at character {value.index(chr(0))}", "remove the character"
        )
    return value


def message(value: Any, field: str) -> Message:
    """Return a checked `{role, content}` object."""
    if not isinstance(value, dict):
        raise RowError(field, f"must be a message, got {shown(value)}", "use {role, content}")
    for name in ("role", "content"):
        if value.get(name) is None:
            raise RowError(
                f"{field}.{name}",
                "is null" if name in value else "is missing",
                "a message is {role, content}",
            )
    extra = sorted(k for k, v in value.items() if k not in ("role", "content") and v is not None)
    if extra:
        raise RowError(
            field,
            f"has {', '.join(map(repr, extra))}, which no model would see",
            "keep role and content only",
        )
    role = value["role"]
    if role not in ROLES:
        other = _OTHER_ROLES.get(role) if isinstance(role, str) else None
        raise RowError(
            f"{field}.role",
            f"must be {', '.join(ROLES)}, got {shown(role)}",
            f"rename it to '{other}'" if other else "rename it or remove the message",
        )
    return Message(cast(Role, role), text(value["content"], f"{field}.content"))


def messages(value: Any, field: str) -> tuple[Message, ...]:
    """Return a checked, non-empty list of messages."""
    turns = items(value, field)
    if not turns:
        raise RowError(field, "has no messages", "fill it in or remove the row")
    return tuple(message(turn, f"{field}[{i}]") for i, turn in enumerate(turns))
