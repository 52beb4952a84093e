"""Reading files of JSON lines, plain or gzipped, so that every fault has its file and line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rmx.data.columns import RowError
from rmx.errors import DataError

SUFFIXES = (".jsonl", ".jsonl.gz")
_SLOW_S = 2.0  # a file that is read faster shows no progress bar


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that was refused, and why; `text` holds its first 500 characters."""

    file: str
    line: int
    field: str
    reason: str
    text: str

    @classmethod
    def of(cls, file: Path, line: int, error: RowError, raw: bytes) -> RejectedRow:
        # 500 characters are at most 2,000 bytes of UTF-8.
        start = raw[:2000].decode("utf-8", errors="replace")[:500]
        return cls(str(file), line, error.field, f"{error.reason}; {error.remedy}", start)


def write_rejected(path: str | Path, rows: Iterable[RejectedRow]) -> None:
    """Write one JSON object a refused row."""
    with Path(path).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(row)) + "\n" for row in rows)


class RowsOfFile:
    """A file's lines as (number from 1, bytes without the line's end), blank ones left out."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        number = 0
        size = self.path.stat().st_size
        bar = tqdm(
            total=size,
            desc=f"reading {self.path.name}",
            unit="B",
            unit_scale=True,
            leave=False,
            delay=_SLOW_S,
            disable=None,
        )
        with self.path.open("rb") as packed, bar:
            is_gzip = self.path.name.endswith(".gz")
            lines = gzip.GzipFile(fileobj=packed) if is_gzip else packed
            try:
                for number, line in enumerate(lines, start=1):
                    bar.update(packed.tell() - bar.n)
                    if number == 1:
                        line = line.removeprefix(b"\xef\xbb\xbf")
                    if line := line.strip():
                        yield number, line
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise DataError(
                    f"{self.path}:{number + 1}: not a whole gzip file ({error}); copy it again"
                ) from None

    @staticmethod
    def parse(line: bytes) -> Any:
        """Return the line's JSON value.

        Raises:
            RowError: broken UTF-8 or JSON, or a name that stands twice in one object.
        """
        try:
            return json.loads(line.decode("utf-8"), object_pairs_hook=_unique_names)
        except RowError:
            raise
        except UnicodeDecodeError as error:
            byte = line[error.start]
            raise RowError(
                "", f"not UTF-8: byte 0x{byte:02x} at {error.start}", "save the file as UTF-8"
            ) from None
        except json.JSONDecodeError as error:
            remedy = "write one JSON object a line, each whole"
            if line.startswith(b"["):
                remedy = "the file looks like one JSON list: " + remedy
            raise RowError("", f"not JSON: {error.msg} at column {error.colno}", remedy) from None
        except (ValueError, RecursionError) as error:
            raise RowError("", f"not JSON that can be read: {error}", "correct the row") from None


def find_file(path: str, *, setting: str) -> Path:
    """Return the path of a file that exists and has a known suffix.

    Raises:
        DataError: saying what is there instead.
    """
    found = Path(path).expanduser()
    if found.is_dir():
        raise DataError(f"{setting} must be a file, got the folder {found}; it has {_among(found)}")
    if not found.exists():
        folder = found.parent
        while not folder.is_dir():
            folder = folder.parent
        close = get_close_matches(found.name, [p.name for p in folder.iterdir()], n=1)
        if folder != found.parent:
            hint = f"there is no folder {found.parent}"
        elif close:
            hint = f"did you mean {folder / close[0]}?"
        else:
            hint = f"{folder} has {_among(folder)}"
        raise DataError(f"{setting} must name an existing file, got {found}; {hint}")
    if not found.name.endswith(SUFFIXES):
        raise DataError(f"{setting} must end with {' or '.join(SUFFIXES)}, got {found}; convert it")
    return found


def _among(folder: Path) -> str:
    names = sorted(p.name for p in folder.iterdir() if p.name.endswith(SUFFIXES))
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (", ".join(names[:5]) + more) or f"no {' or '.join(SUFFIXES)} file"


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RowError(twice, "stands twice in one object", "keep one of the two")
    return found
