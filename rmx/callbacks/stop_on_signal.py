"""StopOnSignal: SIGTERM and Ctrl-C end a run at the next optimiser step, with everything saved."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only

from rmx.callbacks.keep_checkpoints import KeepCheckpoints, is_validation_due
from rmx.errors import RmxError

CAUGHT = (signal.SIGINT, signal.SIGTERM)


class Interrupted(RmxError):
    """A run that a signal ended in order; its exit code is the shell's for that signal."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.exit_code = 128 + signum


def end_now(signum: int, frame: FrameType | None) -> None:
    """Raise Interrupted, as a signal's handler."""
    raise Interrupted(signum)


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Let SIGTERM and Ctrl-C raise Interrupted, so that what must be closed is closed."""
    previous = {signum: signal.signal(signum, end_now) for signum in CAUGHT}
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


class StopOnSignal(Callback):
    """Waits for the end of the step (and of its validation), saves and raises Interrupted.

    A second Ctrl-C ends the run at once; its last checkpoint stays. In the evaluation that follows
    training there is nothing to save, so the first signal ends it.
    """

    def __init__(self, checkpoints: KeepCheckpoints) -> None:
        self.checkpoints = checkpoints
        self.received = 0

    # Lightning sets handlers of its own when it starts, and takes ours away again at its end.
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for signum in CAUGHT:
            signal.signal(signum, self._note)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "validate":
            for signum in CAUGHT:
                signal.signal(signum, end_now)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        if not is_validation_due(trainer):
            self._stop_if_asked(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit":
            self._stop_if_asked(trainer, pl_module)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.received and signum == signal.SIGINT:
            raise Interrupted(signum)
        self.received = signum
        rank_zero_only(print)(
            f"{signal.Signals(signum).name}: stopping after this step; Ctrl-C again to stop at once"
        )

    def _stop_if_asked(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # A signal may reach one rank only; all must stop at the same step.
        received = trainer.strategy.reduce_boolean_decision(bool(self.received), all=False)
        if received:
            self.checkpoints.save(trainer, pl_module)
            raise Interrupted(self.received or signal.SIGTERM)
