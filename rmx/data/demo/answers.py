"""The completions of a prompt: right ones, and ones spoilt in a known way.

Each starts from a right answer of random form and keeps what can be kept of its length, digits,
marks and line breaks, so that no surface feature tells right from spoilt.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import cycle

from rmx.data.demo.items import Item

# How often a kind is drawn beside a group's right answer.
WEIGHTS = {
    "correct": 0.5,
    "wrong": 1.8,
    "looping": 0.75,
    "truncated": 0.8,
    "off_topic": 0.8,
    "shuffled": 1.1,
    "garbled": 1.0,
}
MARKS = ".,;:"


def draw_kinds(size: int, rng: random.Random) -> list[str]:
    """Return the kinds of a group's completions: one "correct", the others all different."""
    keys = {kind: rng.random() ** (1 / weight) for kind, weight in WEIGHTS.items()}
    return ["correct", *sorted(keys, key=keys.__getitem__)[-(size - 1) :]]


def write_answer(kind: str, item: Item, donors: Iterator[Item], rng: random.Random) -> str | None:
    """Return a completion of that kind, None if the item allows none."""
    base = rng.choice(item.correct)
    match kind:
        case "correct":
            return base
        case "wrong":
            return rng.choice(item.wrong) if item.wrong else None
        case "off_topic":
            return rng.choice(next(donors).correct)
        case "truncated":
            return truncate(item.whole, rng)
        case "looping":
            return loop(base, rng)
        case "shuffled":
            return shuffle_words(base, rng)
        case "garbled":
            return garble(base, rng.choice(next(donors).correct), rng)
    raise AssertionError(kind)


def _pieces(text: str) -> list[str]:
    """Return words and the white space between them, alternating."""
    return re.split(r"(\s+)", text)


def truncate(text: str, rng: random.Random) -> str:
    """Return the text cut around its middle, at no end of a sentence or line."""
    pieces = _pieces(text)
    words = len(pieces) // 2 + 1
    inside = [
        number
        for number in range(2, words)
        if pieces[2 * number - 1] == " " and pieces[2 * number - 2][-1] not in MARKS
    ]
    target = rng.uniform(0.5, 0.85) * words
    keep = min(inside or [2], key=lambda number: abs(number - target))
    return "".join(pieces[: 2 * keep - 1])


def loop(text: str, rng: random.Random) -> str:
    """Return the text that gets stuck: a few of its words repeat up to about its own length.

    Half of the time it recovers and ends as the text does.
    """
    pieces = _pieces(text)
    window = 2 * rng.randint(2, 4)
    start = rng.randrange(0, max(1, len(pieces) // 3), 2)
    stuck = pieces[start : start + window]
    if len(stuck) % 2:
        stuck.append(" ")
    end = pieces[-2 * rng.randint(1, 4) - 1 :] if rng.random() < 0.5 else []
    room = rng.uniform(0.8, 1.1) * len(text) - len("".join(end))
    looped = pieces[:start] + 3 * stuck
    while len("".join(looped)) < room:
        looped += stuck
    if end:
        return "".join(looped + end)
    return "".join(looped).rstrip().rstrip(MARKS) + ("." if text.endswith(".") else "")


def shuffle_words(text: str, rng: random.Random) -> str:
    """Return the words in random order; white space and closing marks stay in their places."""
    pieces = _pieces(text)
    words = [piece.rstrip(MARKS) for piece in pieces[::2]]
    marks = [piece[len(word) :] for piece, word in zip(pieces[::2], words, strict=True)]
    if words[0].istitle():
        words[0] = words[0].lower()
    rng.shuffle(words)
    pieces[::2] = map("".join, zip(words, marks, strict=True))
    return _with_capital_of(text, "".join(pieces))


def garble(text: str, other: str, rng: random.Random) -> str:
    """Return the text with half of its words taken from another text; marks stay in their places.

    Misspelt words would do too, but cost a tokenizer twice the tokens: length would tell them.
    """
    pieces = _pieces(text)
    words = [word.rstrip(MARKS) for word in other.split()]
    foreign = cycle(rng.sample(words, len(words)))
    places = range(0, len(pieces), 2)
    for place in rng.sample(places, max(2, len(places) // 2)):
        word = pieces[place].rstrip(MARKS)
        pieces[place] = next(foreign) + pieces[place][len(word) :]
    return _with_capital_of(text, "".join(pieces))


def _with_capital_of(text: str, spoilt: str) -> str:
    """Return the spoilt text with a capital in front where the text has one."""
    return spoilt[0].upper() + spoilt[1:] if text[0].isupper() else spoilt
