"""Callbacks of a run, one class a file."""

from rmx.callbacks.early_stopping import EarlyStopping
from rmx.callbacks.keep_checkpoints import KeepCheckpoints
from rmx.callbacks.last_validation import LastValidation
from rmx.callbacks.progress import Progress
from rmx.callbacks.stop_on_signal import Interrupted, StopOnSignal

__all__ = [
    "EarlyStopping",
    "Interrupted",
    "KeepCheckpoints",
    "LastValidation",
    "Progress",
    "StopOnSignal",
]
