"""Callbacks of a run, one class a file."""

from rmx.callbacks.early_stopping import EarlyStopping
from rmx.callbacks.figures import LogFigures
from rmx.callbacks.keep_checkpoints import KeepCheckpoints
from rmx.callbacks.last_validation import LastValidation
from rmx.callbacks.overfit_monitor import OverfitMonitor
from rmx.callbacks.progress import Progress
from rmx.callbacks.stop_on_signal import Interrupted, StopOnSignal, ending_in_order

__all__ = [
    "EarlyStopping",
    "Interrupted",
    "KeepCheckpoints",
    "LastValidation",
    "LogFigures",
    "OverfitMonitor",
    "Progress",
    "StopOnSignal",
    "ending_in_order",
]
