"""What a run's splits hold, in a few lines, and what in them makes a result mean less."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from rmx.data.baselines import longer_wins, lopsided_domains, tie_rate, tie_warning
from rmx.data.splits import Groups, seen_in_training

NO_DOMAIN = "unknown"  # of groups whose source names none; they may be of different ones


def overview(train: Groups, others: Mapping[str, Groups]) -> str:
    """Return a line a split, one of length baselines far from a half, and warnings.

    Args:
        train: the training split.
        others: the splits it is tested on, by name, such as val and spillover.
    """
    lines = [_split_line(name, groups) for name, groups in {"train": train, **others}.items()]
    lopsided = lopsided_domains(train)
    if lopsided:
        shares = ", ".join(f"{domain} {wins.accuracy:.0%}" for domain, wins in lopsided.items())
        lines.append(f"longer wins by domain (train, outside 40-60%): {shares}")
    found = (
        tie_warning(tie_rate(train)),
        _seen_prompts_warning(train, others),
        _seen_domains_warning(train, others.get("spillover", [])),
    )
    return "\n".join(lines + [f"warning: {warning}" for warning in found if warning])


def _split_line(name: str, groups: Groups) -> str:
    counts = _comparisons_by_domain(groups)
    domains = ", ".join(f"{domain} {count:,}" for domain, count in sorted(counts.items()))
    baseline = longer_wins(groups)
    longer = f", longer wins {baseline.accuracy:.1%} (characters)" if baseline.count else ""
    return (
        f"{name:<10} {counts.total():>6,} comparisons, ties {tie_rate(groups):.0%}{longer}: "
        f"{domains}"
    )


def _seen_prompts_warning(train: Groups, others: Mapping[str, Groups]) -> str | None:
    seen = seen_in_training(train, others)
    if not seen:
        return None
    counts = ", ".join(
        f"{name} ({count.by_turn:,} of {len(others[name]):,} groups, {count.by_prompt:,} by the "
        "whole prompt)"
        for name, count in seen.items()
    )
    return (
        f"train shares first user turns with {counts}; accuracy there may be memory: keep each "
        "prompt on one side"
    )


def _seen_domains_warning(train: Groups, spillover: Groups) -> str | None:
    counts = _comparisons_by_domain(spillover)
    shared = sorted((counts.keys() & {group.domain for group in train}) - {NO_DOMAIN})
    if not shared:
        return None
    share = sum(counts[domain] for domain in shared) / counts.total()
    noun = "domain" if len(shared) == 1 else "domains"
    return (
        f"spillover shares the {noun} {', '.join(shared)} ({share:.0%} of its comparisons) with "
        "training, so it is not unseen"
    )


def _comparisons_by_domain(groups: Groups) -> Counter[str]:
    counts: Counter[str] = Counter()
    for group in groups:
        counts[group.domain] += len(group.comparisons)
    return counts
