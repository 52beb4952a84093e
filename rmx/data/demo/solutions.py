"""Worked solutions, and what makes a false one: a slip that the later steps carry on."""

from __future__ import annotations

import random
from dataclasses import dataclass

from rmx.data.demo.items import Item

QUESTIONS = [
    "{given} {question}",
    "{question} {given}",
    "Please solve this: {given} {question}",
    "{given} {question} Show how you get there.",
]


@dataclass(frozen=True)
class Solution:
    """What is given, what is asked, the steps that lead to the answer, and the bare equations."""

    given: str
    question: str
    steps: tuple[str, ...]
    equations: tuple[str, ...]
    answer: str

    def forms(self) -> tuple[str, ...]:
        """Return the same solution told in three ways, from short to long."""
        steps = " ".join(self.steps)
        return (
            f"{self.answer[0].upper()}{self.answer[1:]}, because {' and '.join(self.equations)}.",
            steps,
            f"{self.given} {steps} The answer is {self.answer}.",
        )


Slip = tuple[int, int]  # how far off the first and the second result are
NO_SLIP = (0, 0)


def draw_slip(rng: random.Random) -> Slip:
    size = rng.choice([-3, -2, -1, 1, 2, 3])
    return rng.choice([(size, 0), (0, size)])


def worked_item(right: Solution, wrong: Solution, rng: random.Random) -> Item:
    """Return the question with both solutions told in three forms."""
    forms = right.forms()
    prompt = rng.choice(QUESTIONS).format(given=right.given, question=right.question)
    return Item(prompt, correct=forms, wrong=wrong.forms(), whole=forms[-1])
