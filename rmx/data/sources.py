"""Where preference groups come from: the source protocol, and files of JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from rmx.types import PreferenceGroup


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that was refused, and why; `text` holds its first 500 characters."""

    file: str
    line: int
    field: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class SourceSplits:
    """What a source holds.

    Attributes:
        val: None where the source has no validation part: it is then split off train by prompt.
        spillover: None where the source has none: whole domains may then be held out of train.
        rejected: the rows that were skipped.
    """

    train: list[PreferenceGroup]
    val: list[PreferenceGroup] | None = None
    spillover: list[PreferenceGroup] | None = None
    rejected: list[RejectedRow] = field(default_factory=list)


class Source(Protocol):
    """Anything that can be read into groups."""

    def load(self) -> SourceSplits: ...


class FilesSource:
    """Preference groups from JSONL files (placeholder until the row checks land)."""

    def __init__(self, *, train: str) -> None:
        self.train = train

    def load(self) -> SourceSplits:
        raise NotImplementedError


def write_rejected(path: str | Path, rows: Iterable[RejectedRow]) -> None:
    """Write one JSON object a refused row."""
    with Path(path).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(row)) + "\n" for row in rows)
