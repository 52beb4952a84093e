"""The built-in preference data: from questions to annotated groups."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice

from rmx.data.demo.annotators import compare, rate
from rmx.data.demo.answers import draw_kinds, write_answer
from rmx.data.demo.arithmetic import arithmetic
from rmx.data.demo.dates import calendar
from rmx.data.demo.items import Item
from rmx.data.demo.python_texts import code, docstrings, modules, reference
from rmx.data.sources import SourceSplits
from rmx.errors import ConfigError
from rmx.types import Message, PreferenceGroup

TRAIN_DOMAINS = {
    "arithmetic": arithmetic,
    "code": code,
    "docstrings": docstrings,
    "reference": reference,
}
SPILLOVER_DOMAINS = {"calendar": calendar, "modules": modules}
DOMAINS = TRAIN_DOMAINS | SPILLOVER_DOMAINS
# Where a domain's off-topic answers come from, itself first. Prose in answer to a calculation would
# be told by its lack of digits alone, and nothing of a spillover domain may get into training.
OFF_TOPIC = {
    "arithmetic": ("arithmetic",),
    "calendar": ("calendar", "arithmetic"),
    "code": ("code", "docstrings"),
    "docstrings": ("docstrings", "code"),
    "reference": ("reference", "docstrings", "code"),
    "modules": ("modules", "docstrings", "code"),
}
GROUP_SIZES = (2, 3, 4, 4, 4, 4, 4, 4)  # K, drawn evenly
MOST_ITEMS = 1500  # the calculations would never end
LabelledGroup = tuple[PreferenceGroup, tuple[str, ...]]


class DemoSource:
    """Real texts that ship with Python and worked calculations, judged by simulated annotators.

    Args:
        seed: of everything drawn.
        num_groups: prompts of each training domain.
        num_spillover_groups: prompts of each domain that training never sees.
    """

    def __init__(self, *, seed: int = 0, num_groups: int = 110, num_spillover_groups: int = 50):
        self.seed = seed
        self.num_groups = num_groups
        self.num_spillover_groups = num_spillover_groups

    def load(self) -> SourceSplits:
        train, spillover = self.labelled()
        return SourceSplits(train=[g for g, _ in train], spillover=[g for g, _ in spillover])

    def labelled(self) -> tuple[list[LabelledGroup], list[LabelledGroup]]:
        """Return training and spillover groups with the kinds of their completions.

        A kind says how a completion was made; no model may see it.
        """
        wanted = dict.fromkeys(TRAIN_DOMAINS, self.num_groups)
        wanted |= dict.fromkeys(SPILLOVER_DOMAINS, self.num_spillover_groups)
        items = {name: self._items(name) for name in wanted}
        for name, number in wanted.items():
            if not 0 < number < len(items[name]):
                raise ConfigError(
                    f"the demo needs 1 to {len(items[name]) - 1} groups of {name}, got {number}; "
                    "set data.num_groups and data.num_spillover_groups within that"
                )
        # off-topic answers come from questions that are not asked, so that no text is in two groups
        spare = {name: cycle(items[name][number:]) for name, number in wanted.items()}
        groups = {
            name: [self._group(name, index, items[name][index], spare) for index in range(number)]
            for name, number in wanted.items()
        }
        return (
            [group for name in TRAIN_DOMAINS for group in groups[name]],
            [group for name in SPILLOVER_DOMAINS for group in groups[name]],
        )

    def _items(self, domain: str) -> list[Item]:
        rng = random.Random(f"{self.seed} {domain}")
        unique: list[Item] = []
        seen: set[str] = set()
        for item in islice(DOMAINS[domain](rng), MOST_ITEMS):
            texts = {item.prompt, *item.correct}
            if not texts & seen:
                unique.append(item)
                seen |= texts
        rng.shuffle(unique)
        return unique

    def _group(
        self, domain: str, index: int, item: Item, spare: Mapping[str, Iterator[Item]]
    ) -> LabelledGroup:
        rng = random.Random(f"{self.seed} {domain} {index}")
        donors = _donors(OFF_TOPIC[domain], spare, rng)
        size = rng.choice(GROUP_SIZES)
        answers: dict[str, str] = {}  # text -> kind
        while len(answers) < size:
            for kind in draw_kinds(size, rng):
                text = write_answer(kind, item, donors, rng)
                if text and len(answers) < size:
                    answers.setdefault(text, kind)
        pairs = list(answers.items())
        rng.shuffle(pairs)
        texts, kinds = zip(*pairs, strict=True)
        group = PreferenceGroup(
            id=f"demo/{domain}/{index}",
            prompt=(Message("user", item.prompt),),
            completions=texts,
            comparisons=compare(kinds, rng),
            domain=domain,
            source="demo",
            ratings=rate(kinds, rng),
        )
        return group, kinds


def _donors(
    domains: Sequence[str], spare: Mapping[str, Iterator[Item]], rng: random.Random
) -> Iterator[Item]:
    """Yield questions whose answers are off topic, half of them of the first domain."""
    own, *others = domains
    while True:
        yield next(spare[rng.choice(others) if others and rng.random() < 0.5 else own])
