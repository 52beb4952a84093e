"""What a domain hands over: questions with their right answers and fluent false ones."""

from __future__ import annotations

import re
from dataclasses import dataclass

SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"`*])")


@dataclass(frozen=True)
class Item:
    """One question.

    Attributes:
        prompt: what the user asks.
        correct: equally right answers that differ in length or form; at least one.
        wrong: fluent answers with one thing wrong: a number, an operator, a fact.
        whole: a right answer longer than most of `correct`, to be cut off in the middle.
    """

    prompt: str
    correct: tuple[str, ...]
    wrong: tuple[str, ...]
    whole: str


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, each on one line."""
    return SENTENCE_END.split(" ".join(text.split()))
