"""Four domains from the texts of CPython: code, docstrings, reference, modules."""

from __future__ import annotations

import random
import re
import textwrap
from collections.abc import Iterator

from rmx.data.demo.falsehoods import mutate_code, swap_facts
from rmx.data.demo.items import Item, sentences
from rmx.data.demo.stdlib import library, reference_paragraphs

ANSWER_CHARS = range(45, 220)
PROMPT_CHARS = range(20, 200)
# doctests, definition lists, tables, markup, examples that follow a colon
NOT_PROSE = re.compile(r">>>|::|--|==| = |  +\S|:\Z|^[-*#+|]|\n\s+\S|^\S+:$", re.M)


def code(rng: random.Random) -> Iterator[Item]:
    """Yield functions to be written from their signature and the first line of their docstring."""
    for function in library()[1]:
        summary = sentences(function.docstring.split("\n\n")[0])[0]
        body = function.body
        if len(body) not in ANSWER_CHARS or "\n" not in body or not summary.endswith("."):
            continue
        whole = f"{function.signature}\n{textwrap.indent(body, '    ')}"
        mutated = mutate_code(mutate_code(whole, rng) or whole, rng)
        mutated_body = textwrap.dedent((mutated or "").partition("\n")[2]).strip("\n")
        if not mutated or mutated_body == body:  # nothing, or only a default
            continue
        name, args = function.signature.removeprefix("def ").removesuffix(":").split("(", 1)
        question = rng.choice(
            [
                "Complete the Python function `def {name}({args}:` {summary}",
                "Fill in this function: `def {name}({args}:` {summary}",
                "{summary} How would you implement it as `{name}({args}`?",
                "How does `{name}({args}` work inside? {summary} Show the code.",
            ]
        )
        prompt = question.format(name=name, args=args, summary=summary)
        if len(prompt) in PROMPT_CHARS:
            yield Item(prompt, (body, whole), (mutated_body, mutated), whole)


def docstrings(rng: random.Random) -> Iterator[Item]:
    """Yield questions about what a function does, answered by its docstring."""
    for function in library()[1]:
        args = function.signature.split("(", 1)[1].removesuffix(":")
        question = rng.choice(
            [
                "What does `{name}` do in Python?",
                "Explain `{name}({args}`.",
                "What happens when I call `{name}({args}`?",
                "I came across `{name}` in some code. What is it for?",
                "In one or two sentences, describe Python's `{name}`.",
            ]
        )
        yield from _prose(question.format(name=function.name, args=args), function.docstring, rng)


def modules(rng: random.Random) -> Iterator[Item]:
    """Yield questions about what a module is for, answered by its docstring."""
    for name, docstring in library()[0].items():
        question = rng.choice(
            [
                "What is Python's `{name}` module for?",
                "When would I import `{name}`?",
                "Introduce the `{name}` module of the standard library.",
                "What will I find in `{name}`?",
            ]
        )
        yield from _prose(question.format(name=name), docstring, rng)


def reference(rng: random.Random) -> Iterator[Item]:
    """Yield paragraphs of the language reference to be continued from their first sentence."""
    for topic, paragraph in reference_paragraphs():
        opening, *rest = sentences(paragraph)
        question = rng.choice(
            [
                'How does the Python reference go on after "{opening}"?',
                'Continue this paragraph on {topic} in Python: "{opening}"',
                "{opening} What else should I know about this?",
                'The Python documentation says: "{opening}" Please explain further.',
            ]
        )
        yield from _prose(question.format(topic=topic, opening=opening), " ".join(rest), rng)


def _prose(prompt: str, text: str, rng: random.Random) -> Iterator[Item]:
    """Yield an item from a text's leading sentences, if it is clean prose of a fitting length."""
    parts: list[str] = []
    for paragraph in text.split("\n\n"):
        if NOT_PROSE.search(paragraph):
            break
        # a headline needs a full stop once the line break after it is gone
        parts += sentences(paragraph.strip().rstrip(".") + ".")
    heads = [" ".join(parts[:n]) for n in range(1, len(parts) + 1)]
    correct = [head for head in heads if len(head) in ANSWER_CHARS]
    if not correct or len(prompt) not in PROMPT_CHARS or not correct[0][0].isupper():
        return
    correct = correct if len(correct) < 2 else [correct[0], rng.choice(correct[1:])]
    wrong = [false for answer in correct if (false := swap_facts(answer, rng))]
    yield Item(prompt, tuple(correct), tuple(wrong), heads[-1][: ANSWER_CHARS.stop])
