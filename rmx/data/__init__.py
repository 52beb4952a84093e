"""Preference data: sources, row checks, splits, rendering to tokens, batches.

Nothing here imports transformers or rmx.models; the renderer is handed a tokenizer.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from rmx.data.sources import FilesSource, RejectedRow, Source, SourceSplits, write_rejected

if TYPE_CHECKING:
    from rmx.data.demo import DemoSource

__all__ = [
    "DemoSource",
    "FilesSource",
    "RejectedRow",
    "Source",
    "SourceSplits",
    "write_rejected",
]


def __getattr__(name: str):
    # The demo's texts take a moment to import and only the demo needs them.
    if name == "DemoSource":
        return import_module("rmx.data.demo").DemoSource
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
