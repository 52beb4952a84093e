"""A conversation → the text that a backbone reads, through its tokenizer's chat template.

The template is rendered to text once and never re-implemented, so that an exported model's own
template gives the same text. Two things are added where it lacks them: an end marker, and BOS (but
not where BOS is EOS, as GPT-2 has it: that would put an end marker at the start of every text).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from rmx.errors import DataError
from rmx.types import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PLACEHOLDER = "RMX-COMPLETION"


@dataclass(frozen=True, slots=True)
class ChatText:
    """A prompt with its K completions as text.

    Attributes:
        prefix: what comes before a completion, the same for all.
        answers: each completion as rendered, with outer whitespace as the template leaves it; None
            where the template changes more than that.
        suffix: what comes after a completion, the end marker in it, the same for all.
    """

    prefix: str
    answers: tuple[str | None, ...]
    suffix: str


class ChatTemplate:
    """Renders prompts with their completions by a tokenizer's chat template."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.eos = str(tokenizer.eos_token or "")
        bos = str(tokenizer.bos_token or "")
        self.bos = "" if bos == self.eos else bos
        special = {t.content for t in tokenizer.added_tokens_decoder.values() if t.special}
        special |= set(tokenizer.all_special_tokens)
        # The longest first, so that of two tokens with one start the whole is found.
        by_length = sorted(special, key=lambda token: (-len(token), token))
        self._control = re.compile("|".join(map(re.escape, by_length)) or r"(?!)")

    def control_tokens(self, text: str) -> list[str]:
        """Return the special tokens that the text spells out, in their order."""
        return self._control.findall(text)

    def render(self, prompt: Sequence[Message], completions: Sequence[str]) -> ChatText:
        """Return the rendered texts.

        Raises:
            DataError: the template refuses such a conversation, or leaves the answer out.
        """
        turns = [{"role": turn.role, "content": turn.content} for turn in prompt]
        frame, *texts = self._apply(turns, [_PLACEHOLDER, *completions])
        prefix, found, suffix = frame.rpartition(_PLACEHOLDER)
        if not found:
            raise DataError(
                "the chat template must render the assistant's answer, got a text without it; "
                "choose a model with a chat template for conversations"
            )
        answers = tuple(
            _between(text, prefix, suffix, completion)
            for text, completion in zip(texts, completions, strict=True)
        )
        if not prefix.startswith(self.bos):
            prefix = self.bos + prefix
        if not self.control_tokens(suffix):
            if not self.eos:
                raise DataError(
                    "a conversation must end with an end marker, got a tokenizer without an EOS "
                    "token and a template without one; set the tokenizer's eos_token"
                )
            suffix += self.eos
        return ChatText(prefix, answers, suffix)

    def _apply(self, turns: list[dict[str, str]], answers: Sequence[str]) -> list[str]:
        conversations = [[*turns, {"role": "assistant", "content": a}] for a in answers]
        try:
            return self.tokenizer.apply_chat_template(conversations, tokenize=False)  # type: ignore
        except TemplateError as error:
            said = " ".join(str(error).split())
            raise DataError(f"{self._refusal(turns)} ({said!r})") from None

    def _refusal(self, turns: list[dict[str, str]]) -> str:
        """Say which property of a refused conversation the template doesn't take."""
        roles = [turn["role"] for turn in turns]
        others = [turn for turn in turns if turn["role"] != "system"]
        if "system" in roles and self._takes(others):
            return (
                "the chat template takes no system message here; move its text into the first user "
                "message or choose another model"
            )
        if any(a["role"] == b["role"] for a, b in pairwise(others)) or (
            others[0]["role"] != "user"
        ):
            return (
                "the chat template takes only turns that alternate, user first, got "
                f"{', '.join(roles)}; join neighbours of one role or choose another model"
            )
        return f"the chat template refuses the turns {', '.join(roles)}; choose another model"

    def _takes(self, turns: list[dict[str, str]]) -> bool:
        conversation = [*turns, {"role": "assistant", "content": _PLACEHOLDER}]
        try:
            self.tokenizer.apply_chat_template(conversation, tokenize=False)
        except TemplateError:
            return False
        return True


def _between(text: str, prefix: str, suffix: str, completion: str) -> str | None:
    """Return the completion as it stands in the rendered text, None if it was changed."""
    if not (text.startswith(prefix) and text.endswith(suffix)):
        return None
    answer = text[len(prefix) : len(text) - len(suffix)]
    return answer if answer.strip() == completion.strip() else None
