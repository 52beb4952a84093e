"""OverfitMonitor: what it says, when, and that it remembers."""

import io
from types import SimpleNamespace

import pytest
import torch

from rmx.callbacks.overfit_monitor import OverfitMonitor

HEALTHY = {"train/accuracy": 0.82, "val/accuracy": 0.80, "val/nll": 0.45, "val/ece": 0.03}
# The accuracy stands still while NLL and ECE rise, and training is 15 points ahead.
OVERFIT = {"train/accuracy": 0.95, "val/accuracy": 0.80, "val/nll": 0.60, "val/ece": 0.12}


class Recorder:
    def __init__(self):
        self.logged = []

    def log_metrics(self, metrics, step):
        self.logged.append((step, metrics))


@pytest.fixture
def run():
    """What the monitor sees of a run: validate(step, metrics) and what was printed and logged."""
    printed, logger = [], Recorder()
    module = SimpleNamespace(print=printed.append)

    def validate(monitor, step, metrics, **state):
        trainer = SimpleNamespace(
            sanity_checking=state.get("sanity_checking", False),
            state=SimpleNamespace(fn=state.get("fn", "fit")),
            callback_metrics={key: torch.tensor(value) for key, value in metrics.items()},
            global_step=step,
            loggers=[logger],
        )
        monitor.on_validation_end(trainer, module)

    return SimpleNamespace(validate=validate, printed=printed, logged=logger.logged)


def test_a_healthy_run_prints_nothing_and_logs_no_sign(run):
    monitor = OverfitMonitor()
    for step in (10, 20, 30):
        run.validate(monitor, step, HEALTHY)
    assert run.printed == []
    assert run.logged == [(step, {"overfit/num_signs": 0}) for step in (10, 20, 30)]


def test_agreeing_signs_are_printed_once_in_one_line_with_the_evidence(run):
    monitor = OverfitMonitor()
    run.validate(monitor, 10, HEALTHY)
    run.validate(monitor, 20, OVERFIT)
    run.validate(monitor, 30, OVERFIT)
    (line,) = run.printed
    assert "\n" not in line
    assert "step 20" in line
    for evidence in ("95.0%", "val/nll", "0.600", "val/ece", "0.120"):
        assert evidence in line
    assert run.logged[-1] == (30, {"overfit/num_signs": 3})


def test_it_warns_again_after_a_recovery(run):
    monitor = OverfitMonitor()
    for step, metrics in enumerate([HEALTHY, OVERFIT, HEALTHY, OVERFIT]):
        run.validate(monitor, step, metrics)
    assert len(run.printed) == 2


def test_sanity_checks_and_the_last_evaluation_are_no_history(run):
    monitor = OverfitMonitor()
    run.validate(monitor, 0, HEALTHY, sanity_checking=True)
    run.validate(monitor, 9, HEALTHY, fn="validate")
    assert monitor.history == []
    assert run.logged == []


def test_a_resumed_monitor_goes_on_where_it_stopped(run):
    first, resumed = OverfitMonitor(), OverfitMonitor()
    run.validate(first, 10, HEALTHY)
    run.validate(first, 20, OVERFIT)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    run.validate(resumed, 30, OVERFIT)
    assert len(run.printed) == 1, "the same signs need no second line"
    assert [entry["step"] for entry in resumed.history] == [10, 20, 30]
    assert resumed.history[1]["val/nll"] == pytest.approx(0.60)


def test_the_state_is_a_copy(run):
    monitor = OverfitMonitor()
    run.validate(monitor, 10, HEALTHY)
    state = monitor.state_dict()
    run.validate(monitor, 20, HEALTHY)
    assert len(state["history"]) == 1
