"""Two processes on this CPU train as one does: metrics within 1e-5, checkpoints that fit both."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from rmx.checkpoint import list_checkpoints, read_checkpoint

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow

TWO = ("hardware.devices=2", "hardware.precision=32", "logger=csv")
# The figures that depend on rewards; the rest (counts, rates) follow from the data alone.
SCORES = ("accuracy", "nll", "brier", "ece", "accuracy_low", "accuracy_high")


def assert_same_results(a: dict, b: dict) -> None:
    assert a["splits"].keys() == b["splits"].keys()
    for split, expected in a["splits"].items():
        for name in SCORES:
            assert b["splits"][split][name] == pytest.approx(expected[name], abs=1e-5), (
                split,
                name,
            )


def assert_same_curves(a: list[dict], b: list[dict]) -> None:
    assert [sorted(row) for row in a] == [sorted(row) for row in b]
    for row, other in zip(a, b, strict=True):
        assert other == pytest.approx(row, abs=1e-5, rel=1e-4)


@pytest.mark.parametrize(
    "hardware",
    [
        ("hardware=ddp",),
        ("hardware=fsdp",),
        ("hardware=fsdp", "hardware.sharded_checkpoint=true"),
    ],
    ids=["ddp", "fsdp", "fsdp-sharded"],
)
def test_two_processes_equal_one(train, hardware):
    one = train("logger=csv", "loss=rao_kupper", output="one")
    two = train(*hardware, *TWO, "loss=rao_kupper", output="two")
    assert one.code == two.code == 0, two.err
    assert two.err == ""
    assert_same_curves(one.metrics(), two.metrics())
    assert_same_results(one.results, two.results)
    paths = [list_checkpoints(done.run_dir / "checkpoints") for done in (one, two)]
    assert [p.name for p in paths[0]] == [p.name for p in paths[1]]
    expected, found = (read_checkpoint(p[0]) for p in paths)
    assert expected.weights.keys() == found.weights.keys()
    for key, value in expected.weights.items():
        # Adam turns a last digit of a near-zero gradient into a difference of this order.
        assert (value - found.weights[key]).abs().max() < 1e-4, key


@pytest.mark.parametrize("resumed_on", [("hardware=fsdp",), ("hardware=cpu", "hardware.devices=1")])
def test_a_killed_sharded_run_goes_on(train, train_command, tmp_path, resumed_on):
    fsdp = (
        "hardware=fsdp",
        *TWO,
        "hardware.sharded_checkpoint=true",
        "+callbacks.checkpoint.every=1",
    )
    third = kill_at_checkpoint(train_command(*fsdp, output="cut"), tmp_path / "cut", "step-000003")
    assert (third / "weights-00001-of-00002.safetensors").exists()
    resumed = train(*resumed_on, "resume=last", output="cut")
    assert resumed.code == 0, resumed.err
    assert "resuming after step" in resumed.out
    whole = train("hardware=cpu", output="whole")
    assert_same_results(whole.results, resumed.results)


def kill_at_checkpoint(command: list[str], output_dir: Path, name: str) -> Path:
    """Start a command, kill it once the checkpoint stands, and return the checkpoint's folder."""
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (found := list(output_dir.glob(f"runs/*/checkpoints/{name}"))):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)  # the second process too
    process.wait()
    return found[0]
