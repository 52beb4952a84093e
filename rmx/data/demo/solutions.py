"""Worked solutions, and what makes a false one: a slip that the following steps carry on."""

from __future__ import annotations

import random
from collections.abc import Callable
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


def worked_item(rng: random.Random, solve: Callable[[Slip], Solution]) -> Item:
    """Return the question with its solution told in three forms, and one worked with a slip."""
    right = solve((0, 0))
    size = rng.choice([-3, -2, -1, 1, 2, 3])
    slips = [(size, 0), (0, size)]
    short, middle, long = right.forms()
    prompt = rng.choice(QUESTIONS).format(given=right.given, question=right.question)
    return Item(
        prompt,
        tuple(rng.sample([short, middle, long], 3)),
        solve(rng.choice(slips)).forms(),
        long,
    )
