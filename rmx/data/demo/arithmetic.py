"""Word problems of two steps."""

from __future__ import annotations

import operator
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rmx.data.demo.items import Item
from rmx.data.demo.solutions import NO_SLIP, Slip, Solution, draw_slip, worked_item

NAMES = "Amara Ben Chen Dina Elif Farid Greta Hugo Ines Jonas Keiko Lena Marco Nadia Omar Priya"
OPERATIONS = {"+": operator.add, "-": operator.sub, "x": operator.mul}
MISTAKEN = {"+": "-", "-": "+", "x": "+", "~": "+"}


@dataclass(frozen=True)
class Story:
    """A word problem of two steps: p = a first b, then r = p second c."""

    given: str
    question: str
    first: str
    second: str
    unit: str
    operations: str  # "x-" multiplies, then subtracts
    ranges: tuple[range, range, range]


SMALL, TENS, HUNDREDS = range(2, 13), range(15, 60), range(120, 480)
STORIES = [
    Story(
        "{name} buys {a} notebooks at {b} dollars each and pays with {c} dollars.",
        "How much change does {name} get?",
        "The notebooks cost {e1} dollars.",
        "The change is {e2} dollars.",
        "dollars",
        "x~",
        (SMALL, SMALL, range(150, 301, 10)),
    ),
    Story(
        "A library has {a} shelves with {b} books on each, and {c} books are out on loan.",
        "How many books are in the library now?",
        "The shelves hold {e1} books when full.",
        "Without the loans there are {e2} books.",
        "books",
        "x-",
        (TENS, SMALL, SMALL),
    ),
    Story(
        "There are {a} people on a bus. At the next stop {b} get off and {c} get on.",
        "How many people are on the bus then?",
        "After some have left there are {e1} people.",
        "With the new ones there are {e2} people.",
        "people",
        "-+",
        (TENS, SMALL, SMALL),
    ),
    Story(
        "{name} puts {a} coins into a jar every week for {b} weeks. The jar held {c} at first.",
        "How many coins are in the jar at the end?",
        "{name} adds {e1} coins.",
        "Together with the first coins that makes {e2}.",
        "coins",
        "x+",
        (TENS, SMALL, TENS),
    ),
    Story(
        "A train covers {a} kilometres an hour for {b} hours, then another {c} kilometres.",
        "How far does it go in all?",
        "In the first part it covers {e1} kilometres.",
        "The whole way is {e2} kilometres.",
        "kilometres",
        "x+",
        (range(101, 190), SMALL, TENS),
    ),
    Story(
        "{name} is {a} years old, and {other} is {b} years older.",
        "How old will {other} be in {c} years?",
        "{other} is {e1} years old today.",
        "In {c} years {other} will be {e2}.",
        "years old",
        "++",
        (TENS, SMALL, SMALL),
    ),
    Story(
        "A field is {a} metres long and {b} metres wide, and gets a fence of {c} wires.",
        "How much wire do one long and one short side take?",
        "The two sides measure {e1} metres.",
        "For {c} wires that is {e2} metres of wire.",
        "metres",
        "+x",
        (TENS, TENS, SMALL),
    ),
    Story(
        "{name} earns {a} euros an hour, works {b} hours and spends {c} euros on lunch.",
        "How much is left of the pay?",
        "The pay is {e1} euros.",
        "After lunch there are {e2} euros left.",
        "euros",
        "x-",
        (TENS, SMALL, SMALL),
    ),
    Story(
        "A baker makes {a} rolls in the morning and sells {b}. After noon {c} more are baked.",
        "How many rolls are there in the evening?",
        "At noon there are {e1} rolls.",
        "In the evening there are {e2} rolls.",
        "rolls",
        "-+",
        (HUNDREDS, TENS, TENS),
    ),
    Story(
        "A school has {a} girls and {b} boys. {c} of the pupils come by bicycle.",
        "How many pupils come another way?",
        "There are {e1} pupils.",
        "{e2} of them come another way.",
        "pupils",
        "+-",
        (HUNDREDS, HUNDREDS, TENS),
    ),
]


def arithmetic(rng: random.Random) -> Iterator[Item]:
    """Yield word problems of two steps, without end."""
    while True:
        story = rng.choice(STORIES)
        numbers = [rng.choice(choices) for choices in story.ranges]
        people = dict(zip(("name", "other"), rng.sample(NAMES.split(), 2), strict=True))
        right = _solve(story, numbers, people)
        wrong = right
        while wrong.answer == right.answer or "-" in wrong.answer:  # no sign gives it away
            mistake = rng.choice([_slip, _misread, _confuse])
            wrong = mistake(story, numbers, people, rng)
        yield worked_item(right, wrong, rng)


def _slip(story: Story, numbers, people, rng: random.Random) -> Solution:
    """Return a solution with a wrong result in one step."""
    return _solve(story, numbers, people, slip=draw_slip(rng))


def _misread(story: Story, numbers, people, rng: random.Random) -> Solution:
    """Return the right solution of other numbers."""
    read = list(numbers)
    read[rng.randrange(3)] += rng.choice([-2, -1, 1, 2, 10])
    return _solve(story, read, people)


def _confuse(story: Story, numbers, people, rng: random.Random) -> Solution:
    """Return a solution with the wrong operation in its second step."""
    first, second = story.operations
    return _solve(replace(story, operations=first + MISTAKEN[second]), numbers, people)


def _solve(story: Story, numbers, people, *, slip: Slip = NO_SLIP) -> Solution:
    """Return the solution, its two results off by `slip`."""
    a, b, c = numbers
    first, second = story.operations
    p = OPERATIONS[first](a, b) + slip[0]
    if second == "~":  # what is paid minus what it costs
        r, e2 = c - p + slip[1], f"{c} - {p}"
    else:
        r, e2 = OPERATIONS[second](p, c) + slip[1], f"{p} {second} {c}"
    words = people | {"a": a, "b": b, "c": c}
    equations = f"{a} {first} {b} = {p}", f"{e2} = {r}"
    words |= {"e1": equations[0], "e2": equations[1]}
    steps = story.first.format(**words), story.second.format(**words)
    given, question = story.given.format(**words), story.question.format(**words)
    return Solution(given, question, steps, equations, f"{r} {story.unit}")
