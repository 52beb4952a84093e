"""Two processes on this CPU train as one does: metrics within 1e-5, checkpoints that fit both."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

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


@pytest.mark.parametrize("resumed_on", [("hardware=fsdp", *TWO), ("hardware=cpu",)])
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


def test_a_terminated_run_goes_on(train, train_command, tmp_path):
    settings = (
        "hardware=ddp",
        "hardware.devices=2",
        "hardware.precision=bf16-mixed",
        "freeze=last_layer",
        "max_steps=12",
        "val_every=6",
        "+callbacks.checkpoint.every=1",
    )
    process = start(train_command(*settings, output="cut"))
    first = wait_for_checkpoint(process, tmp_path / "cut", "step-000001")
    process.terminate()  # as a scheduler may: the process that it started, not that one's children
    out, err = process.communicate(timeout=120)
    assert process.returncode == 143, err
    assert f"python -m rmx.train resume={first.parents[1]}\n" in out
    last = list_checkpoints(first.parent)[0]
    assert "step-000001" <= last.name < "step-000012"  # stopped within the run

    resumed = train("resume=last", output="cut")
    assert resumed.code == 0, resumed.err
    assert resumed.err == ""
    assert f"resuming after step {int(last.name.removeprefix('step-'))}\n" in resumed.out
    whole = train(*settings, output="whole")
    assert_same_results(whole.results, resumed.results)


def test_adapters_on_a_bf16_backbone_train_in_shards(train):
    done = train(
        "hardware=fsdp",
        "hardware.devices=2",
        "hardware.precision=bf16-true",
        "freeze=lora",
        "max_steps=3",
    )
    assert done.code == 0, done.err
    assert done.err == ""
    (path, *_) = list_checkpoints(done.run_dir / "checkpoints")
    weights = read_checkpoint(path).weights
    assert {value.dtype for value in weights.values()} == {torch.float32}
    # B starts at zero: what is not zero has been trained.
    assert all(value.any() for name, value in weights.items() if "lora_B" in name)


def kill_at_checkpoint(command: list[str], output_dir: Path, name: str) -> Path:
    """Start a command, kill it once the checkpoint stands, and return the checkpoint's folder."""
    process = start(command)
    found = wait_for_checkpoint(process, output_dir, name)
    os.killpg(process.pid, signal.SIGKILL)  # the second process too
    process.communicate()
    return found


def start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_checkpoint(process: subprocess.Popen[str], output_dir: Path, name: str) -> Path:
    """Wait until the checkpoint of that name stands, and return its folder."""
    deadline = time.monotonic() + 120
    while not (found := list(output_dir.glob(f"runs/*/checkpoints/{name}"))):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found[0]
