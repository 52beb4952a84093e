"""A fingerprint of the data that a run saw, to tell whether two runs saw the same."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from hashlib import sha256

from rmx.types import PreferenceGroup


def data_digest(groups: Iterable[PreferenceGroup]) -> str:
    """Return the SHA-256 of the groups in their order, as canonical JSON, one a line."""
    found = sha256()
    for group in groups:
        line = json.dumps(asdict(group), sort_keys=True, separators=(",", ":"), allow_nan=False)
        found.update(line.encode("ascii") + b"\n")
    return found.hexdigest()
