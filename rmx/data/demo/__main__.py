"""Prints a few groups of the demo data, and what surface features alone would predict.

python -m rmx.data.demo [number of groups to show]
"""

from __future__ import annotations

import random
import sys

from rmx.data.demo.annotators import bayes_accuracy
from rmx.data.demo.source import DemoSource, LabelledGroup
from rmx.data.demo.surface import FEATURES, greater_wins


def show(group: LabelledGroup) -> None:
    record, kinds = group
    print(f"\n{record.id}\n  {record.prompt[-1].content}")
    assert record.ratings is not None
    for i, (text, kind) in enumerate(zip(record.completions, kinds, strict=True)):
        indented = text.replace("\n", "\n      ")
        print(f"  [{i}] {kind}, rated {record.ratings[i]:.1f}\n      {indented}")
    print("  judged: ", end="")
    print(*(f"{c.chosen}{'=' if c.is_tie else '>'}{c.rejected}" for c in record.comparisons))


def main() -> None:
    train, spillover = DemoSource().labelled()
    for group in random.Random(0).sample(train + spillover, int((sys.argv[1:] or ["3"])[0])):
        show(group)
    domains: dict[str, list] = {}
    for group, _ in train + spillover:
        domains.setdefault(group.domain, []).append(group)
    domains["all"] = [group for groups in domains.values() for group in groups]

    print(f"\n{'':24}", *(f"{name:>11}" for name in domains))
    for title, cell in [
        ("prompts", lambda groups: len(groups)),
        ("completions", lambda groups: sum(len(g.completions) for g in groups)),
        ("comparisons", lambda groups: sum(len(g.comparisons) for g in groups)),
        ("ties, %", lambda groups: f"{100 * tie_rate(groups):.1f}"),
        ("Bayes accuracy, %", lambda groups: f"{100 * bayes_accuracy(groups):.1f}"),
    ]:
        print(f"{title:24}", *(f"{cell(groups):>11}" for groups in domains.values()))
    print("accuracy on strict comparisons, %, of preferring the completion with more of")
    for name, feature in FEATURES.items():
        cells = (f"{100 * greater_wins(groups, feature):11.1f}" for groups in domains.values())
        print(f"  {name:22}", *cells)


def tie_rate(groups: list) -> float:
    comparisons = [c for group in groups for c in group.comparisons]
    return sum(c.is_tie for c in comparisons) / len(comparisons)


if __name__ == "__main__":
    main()
