"""Which groups go to validation and which to spillover.

A prompt and its near twins stay on one side: groups with an equal prompt or an equal first user
turn (both normalised) form a cluster, and clusters are never divided. What a split holds depends on
the groups and the seed alone, not on the order of the rows.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import blake2b
from typing import NamedTuple

from rmx.errors import ConfigError, DataError
from rmx.types import PreferenceGroup

Groups = list[PreferenceGroup]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Groups that must stay together.

    Attributes:
        key: the smallest of its normalised prompts; no other cluster has it.
        domain: where most of its comparisons are; it is allotted with that domain's clusters.
        members: indices of its groups.
        size: how many comparisons it holds.
    """

    key: str
    domain: str
    members: tuple[int, ...]
    size: int


def split_by_prompt(
    groups: Sequence[PreferenceGroup], *, fraction: float, seed: int
) -> tuple[Groups, Groups]:
    """Return (train, validation), stratified by domain and divided between prompts.

    In each domain, clusters are taken in a seeded order while that brings validation nearer to
    `fraction` of the domain's comparisons: it ends within half of the largest cluster of it. A
    domain with two clusters or more has at least one on each side; with one, all is in train.

    Args:
        fraction: validation's share of the comparisons, in (0, 1).
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"split.val must be in (0, 1), got {fraction}; e.g. 0.1")
    clusters_of_domain: dict[str, list[Cluster]] = defaultdict(list)
    for cluster in prompt_clusters(groups):
        clusters_of_domain[cluster.domain].append(cluster)
    held = {
        member
        for clusters in clusters_of_domain.values()
        for cluster in _nearest_share(clusters, fraction, seed)
        for member in cluster.members
    }
    train = [group for i, group in enumerate(groups) if i not in held]
    return train, [groups[i] for i in sorted(held)]


def hold_out_domains(
    train: Groups, val: Groups | None, domains: Iterable[str]
) -> tuple[Groups, Groups | None, Groups]:
    """Return (train, validation, held out), the last being all groups of `domains` in both.

    Raises:
        DataError: a domain that no group has, or nothing left to train on or to validate with.
    """
    names = set(domains)
    everywhere = [*train, *(val or [])]
    _refuse_unknown(names, Counter(group.domain for group in everywhere))
    held_out = [group for group in everywhere if group.domain in names]
    train_left = [group for group in train if group.domain not in names]
    if not train_left:
        raise DataError(
            "split.spillover must leave a domain to train on, got all "
            f"{len({group.domain for group in train})}; name fewer"
        )
    if val is None:
        return train_left, None, held_out
    val_left = [group for group in val if group.domain not in names]
    if not val_left:
        raise DataError(
            "split.spillover must leave a domain in data.val, got all "
            f"{len({group.domain for group in val})}; name fewer, or leave data.val out to split "
            "it off train by prompt"
        )
    return train_left, val_left, held_out


class Seen(NamedTuple):
    """Groups whose first user turn stands in training, and those whose whole prompt does."""

    by_turn: int
    by_prompt: int


def seen_in_training(train: Groups, others: Mapping[str, Groups]) -> dict[str, Seen]:
    """Return each other split's groups with a first user turn of `train`'s, as counts.

    Such groups are what `split_by_prompt` would have kept on one side. A split without is left out.
    """
    turns = {first_turn_key(group) for group in train}
    prompts = {prompt_key(group) for group in train}
    counts = {
        name: Seen(
            by_turn=sum(first_turn_key(group) in turns for group in groups),
            by_prompt=sum(prompt_key(group) in prompts for group in groups),
        )
        for name, groups in others.items()
    }
    return {name: seen for name, seen in counts.items() if seen.by_turn}


def _refuse_unknown(names: set[str], counts: Counter[str]) -> None:
    for name in sorted(names - counts.keys()):
        close = get_close_matches(name, counts, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise DataError(
            f"split.spillover must name domains of the data, got '{name}'; "
            f"{hint}It has {', '.join(sorted(counts))}"
        )


def normalise(text: str) -> str:
    """Return the text with case, width and spacing set aside (NFKC, casefold, single spaces)."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def prompt_key(group: PreferenceGroup) -> str:
    """Return the whole conversation, normalised."""
    return "\n".join(f"{turn.role}: {normalise(turn.content)}" for turn in group.prompt)


def first_turn_key(group: PreferenceGroup) -> str:
    """Return the first user turn, normalised. Thousands of conversations can share one."""
    return next(normalise(turn.content) for turn in group.prompt if turn.role == "user")


def prompt_clusters(groups: Sequence[PreferenceGroup]) -> list[Cluster]:
    """Return the groups' clusters: connected by an equal prompt or an equal first user turn."""
    parent = list(range(len(groups)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    first_with: dict[tuple[str, str], int] = {}
    for i, group in enumerate(groups):
        for key in (("prompt", prompt_key(group)), ("turn", first_turn_key(group))):
            parent[root(i)] = root(first_with.setdefault(key, i))
    members: dict[int, list[int]] = defaultdict(list)
    for i in range(len(groups)):
        members[root(i)].append(i)
    return [_cluster(groups, indices) for indices in members.values()]


def _cluster(groups: Sequence[PreferenceGroup], indices: list[int]) -> Cluster:
    sizes: Counter[str] = Counter()
    for i in indices:
        sizes[groups[i].domain] += len(groups[i].comparisons)
    return Cluster(
        key=min(prompt_key(groups[i]) for i in indices),
        domain=min(sizes, key=lambda domain: (-sizes[domain], domain)),
        members=tuple(indices),
        size=sizes.total(),
    )


def _nearest_share(clusters: list[Cluster], fraction: float, seed: int) -> list[Cluster]:
    if len(clusters) == 1:
        return []
    shuffled = sorted(clusters, key=lambda cluster: _shuffle_key(cluster.key, seed))
    target = fraction * sum(cluster.size for cluster in clusters)
    taken: list[Cluster] = []
    held = 0
    for cluster in shuffled:
        if abs(held + cluster.size - target) < abs(held - target):
            taken.append(cluster)
            held += cluster.size
    smallest = min(shuffled, key=lambda cluster: cluster.size)
    if not taken:
        return [smallest]
    if len(taken) == len(shuffled):
        return [cluster for cluster in shuffled if cluster is not smallest]
    return taken


def _shuffle_key(key: str, seed: int) -> bytes:
    return blake2b(f"{seed}\0{key}".encode(), digest_size=16).digest()
