"""The prompt and the answers of a row, in each form that TRL's columns take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rmx.data.columns import RowError, messages, shown, text
from rmx.types import Message


def read_prompt(value: Any) -> tuple[Message, ...]:
    """Return the conversation up to the answer: a text is one user message."""
    if isinstance(value, str):
        return (Message("user", text(value, "prompt")),)
    if not isinstance(value, list):
        raise RowError(
            "prompt", f"must be a text or messages, got {shown(value)}", "use [{role, content}, …]"
        )
    return _ends_with_user(messages(value, "prompt"), "prompt")


def read_completion(value: Any, field: str, prompt: tuple[Message, ...]) -> str:
    """Return one answer's text, given as text, as one assistant message, or after its prompt."""
    if isinstance(value, str):
        return text(value, field)
    if not isinstance(value, list):
        raise RowError(
            field, f"must be a text or messages, got {shown(value)}", "use an assistant message"
        )
    turns = messages(value, field)
    if len(turns) > len(prompt) and turns[: len(prompt)] == prompt:
        turns = turns[len(prompt) :]
    if [turn.role for turn in turns] != ["assistant"]:
        raise RowError(
            field,
            f"must be one assistant message after the prompt, got {_roles(turns)}",
            "move the earlier turns to 'prompt'",
        )
    return turns[0].content


def shared_prompt(chosen: Any, rejected: Any) -> tuple[Message, ...]:
    """Return TRL's implicit prompt: all but the last message of both conversations."""
    if isinstance(chosen, str) or isinstance(rejected, str):
        is_transcript = "\n\nHuman:" in str(chosen)
        raise RowError(
            "prompt",
            "is missing beside plain texts"
            + (" (chosen is a transcript with Human: turns)" if is_transcript else ""),
            "give the prompt, or chosen and rejected as lists of {role, content}",
        )
    first, second = messages(chosen, "chosen"), messages(rejected, "rejected")
    if first[:-1] != second[:-1]:
        raise RowError(
            "rejected",
            "departs from 'chosen' before the last message",
            "both must be one conversation up to the answer",
        )
    if len(first) == 1:
        raise RowError("prompt", "is missing, and chosen is only an answer", "give the user's turn")
    return _ends_with_user(first[:-1], "chosen")


def _ends_with_user(turns: tuple[Message, ...], field: str) -> tuple[Message, ...]:
    if turns[-1].role != "user":
        raise RowError(
            field,
            f"the prompt must end with the user's turn, got {_roles(turns)}",
            "drop what follows it",
        )
    return turns


def _roles(turns: Sequence[Message]) -> str:
    return ", ".join(turn.role for turn in turns)
