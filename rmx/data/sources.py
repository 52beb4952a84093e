"""Where preference groups come from: the source protocol, and files of JSON lines."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Protocol

from rmx.data.columns import RowError
from rmx.data.jsonl import RejectedRow, RowsOfFile, find_file, write_rejected
from rmx.data.rows import COLUMNS, RowReader
from rmx.errors import ConfigError, DataError
from rmx.types import PreferenceGroup

__all__ = ["FilesSource", "RejectedRow", "Source", "SourceSplits", "write_rejected"]

log = logging.getLogger(__name__)

Paths = str | Path | Sequence[str | Path]


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
    """Preference groups from .jsonl and .jsonl.gz files; the rows' forms are in rows.py.

    Args:
        train, val, spillover: a path or several; a part that is None is absent.
        on_bad_row: "stop" raises at the first bad row, "skip" leaves it out and collects it.
        strength_scale: the largest `margin` on the files' scale; margins are divided by it.
        rating_range: best minus worst possible rating; None: ratings give an order, no strength.
    """

    def __init__(
        self,
        *,
        train: Paths,
        val: Paths | None = None,
        spillover: Paths | None = None,
        on_bad_row: Literal["stop", "skip"] = "stop",
        strength_scale: float = 1.0,
        rating_range: float | None = None,
    ) -> None:
        if on_bad_row not in ("stop", "skip"):
            raise ConfigError(f"data.on_bad_row must be stop or skip, got {on_bad_row!r}")
        for name, value in (("strength_scale", strength_scale), ("rating_range", rating_range)):
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(
                    f"data.{name} must be > 0, got {value}; give the largest value of the scale"
                )
        self.paths = {
            name: None if given is None else _as_list(given)
            for name, given in (("train", train), ("val", val), ("spillover", spillover))
        }
        self.on_bad_row = on_bad_row
        self.strength_scale = strength_scale
        self.rating_range = rating_range

    def load(self) -> SourceSplits:
        """Read every file.

        Raises:
            DataError: a file that is missing or damaged, a bad row where these stop the run, a part
                without a single usable row.
        """
        files = {
            part: None if paths is None else [find_file(p, setting=f"data.{part}") for p in paths]
            for part, paths in self.paths.items()
        }
        _refuse_shared_files(files)
        rejected: list[RejectedRow] = []
        parts = {
            part: None if found is None else self._read_part(part, found, rejected)
            for part, found in files.items()
        }
        train = parts["train"]
        if train is None:
            raise ConfigError("data.train must name a file, got null; e.g. data.train=pairs.jsonl")
        return SourceSplits(train, parts["val"], parts["spillover"], rejected)

    def _read_part(
        self, part: str, files: list[Path], rejected: list[RejectedRow]
    ) -> list[PreferenceGroup]:
        groups: list[PreferenceGroup] = []
        place_of_id: dict[str, str] = {}
        before = len(rejected)
        for file in files:
            reader = RowReader(strength_scale=self.strength_scale, rating_range=self.rating_range)
            rows = RowsOfFile(file)
            for line, raw in rows:
                place = f"{file}:{line}"
                try:
                    group = reader.read(rows.parse(raw), default_id=f"{file.name}:{line}")
                    if group.id in place_of_id:
                        raise RowError(
                            "id",
                            f"{group.id!r} is already at {place_of_id[group.id]}",
                            "give each row its own id",
                        )
                except RowError as error:
                    if self.on_bad_row == "stop":
                        raise DataError(f"{place}: {error}") from None
                    rejected.append(RejectedRow.of(file, line, error, raw))
                    continue
                place_of_id[group.id] = place
                groups.append(group)
            _say_unread(file, reader.unread)
        _say_rejected(part, rejected[before:], num_good=len(groups))
        if not groups:
            first = f"; the first: {rejected[before].reason}" if rejected[before:] else ""
            raise DataError(
                f"data.{part} has no usable row in {', '.join(map(str, files))}"
                f" ({len(rejected) - before} refused{first}); check that it is the right file"
            )
        return groups


def _as_list(paths: Paths) -> list[str]:
    return [str(paths)] if isinstance(paths, str | Path) else [str(path) for path in paths]


def _refuse_shared_files(files: dict[str, list[Path] | None]) -> None:
    part_of_file: dict[Path, str] = {}
    for part, paths in files.items():
        for path in paths or ():
            other = part_of_file.setdefault(path.resolve(), part)
            if other != part:
                raise ConfigError(
                    f"data.{part} and data.{other} must not share a file, got {path} in both; "
                    "leave data.val out to split it off train by prompt"
                )


def _say_unread(file: Path, unread: set[str]) -> None:
    if not unread:
        return
    known = {name: get_close_matches(name, COLUMNS, n=1, cutoff=0.85) for name in sorted(unread)}
    names = [f"{n} (did you mean '{close[0]}'?)" if close else n for n, close in known.items()]
    log.warning("%s: columns that rmx makes no use of: %s", file, ", ".join(names))


def _say_rejected(part: str, rejected: list[RejectedRow], *, num_good: int) -> None:
    if not rejected:
        return
    counts = Counter(row.field or "row" for row in rejected).most_common()
    log.warning(
        "data.%s: %d of %d rows refused (%s)",
        part,
        len(rejected),
        len(rejected) + num_good,
        ", ".join(f"{name}: {count}" for name, count in counts),
    )
