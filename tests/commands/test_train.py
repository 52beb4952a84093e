"""`python -m rmx.train` as a process: what it leaves, how it ends, what killing it costs."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from rmx.checkpoint import list_checkpoints, read_checkpoint

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def start(command: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        command,
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(pattern: str, folder: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def newest_step(run_dir: Path) -> int:
    return int(list_checkpoints(run_dir / "checkpoints")[0].name.removeprefix("step-"))


def wait_for_a_step_after(step: int, run_dir: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while newest_step(run_dir) <= step:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_leaves_its_folder_and_says_where(train):
    done = train("display=percent", "logger=csv")
    assert done.code == 0, done.err
    assert done.err == ""  # no library's warning
    names = {path.name for path in done.run_dir.iterdir()}
    assert names >= {
        "results.json",
        "rewards.jsonl",
        "config.yaml",
        "overrides.yaml",
        "provenance.json",
        "checkpoints",
        "figures",
    }
    assert f"run folder: {done.run_dir}" in done.out
    rewards = [
        json.loads(line) for line in (done.run_dir / "rewards.jsonl").read_text().splitlines()
    ]
    assert {row["split"] for row in rewards} == {"train", "val", "spillover"}
    assert all(0 < row["percent"] < 100 for row in rewards)
    val = [row for row in rewards if row["split"] == "val"]
    by_reward = sorted(val, key=lambda row: row["reward"])
    assert by_reward == sorted(val, key=lambda row: row["percent"])
    assert done.results["num_steps"] == 6


def test_bad_rows_stop_the_run_or_are_written_down(train, tmp_path):
    bad = tmp_path / "bad.jsonl"
    rows = (tmp_path / "train.jsonl").read_text().splitlines()
    rows.insert(3, '{"prompt": "Hm?", "chosen": "yes", "rejected": 7}')
    bad.write_text("\n".join(rows))
    stopped = train(f"data.train={bad}", output="stopped")
    assert stopped.code == 2
    assert stopped.err.startswith(f"error: {bad}:4: field 'rejected'")
    assert stopped.err.count("\n") == 1
    skipped = train(f"data.train={bad}", "data.on_bad_row=skip", output="skipped")
    assert skipped.code == 0, skipped.err
    (row,) = (skipped.run_dir / "rejected.jsonl").read_text().splitlines()
    assert json.loads(row)["line"] == 4


def test_a_sweep_ends_with_one_table_over_its_runs(train_command, tmp_path):
    command = [*train_command("max_steps=3"), "-m", "loss=bt,mse", "freeze=head_only,last_layer"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    table = done.stdout[done.stdout.rindex("val accuracy") :]
    for loss in ("bt", "mse"):
        for freeze in ("head_only", "last_layer"):
            assert any(line.split()[:2] == [loss, freeze] for line in table.splitlines())
    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    assert len(json.loads((sweep / "sweep.json").read_text())) == 4


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_run_in_order(train_command, tmp_path, signum, code):
    process = start(train_command("max_steps=2000", "epochs=1000", "callbacks.checkpoint.every=1"))
    wait_for("runs/*/checkpoints/step-*", tmp_path / "outputs", process)
    os.kill(process.pid, signum)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == code, out
    (run_dir,) = (tmp_path / "outputs" / "runs").iterdir()
    assert f"python -m rmx.train resume={run_dir}" in out
    assert "Traceback" not in out
    newest = list_checkpoints(run_dir / "checkpoints")[0]
    assert read_checkpoint(newest).step >= 1


def test_ten_kills_at_random_moments_leave_the_result_unchanged(train, train_command, tmp_path):
    # Dropout, accumulation and two worker processes: all that a resumed run could get wrong.
    options = (
        "max_steps=400",
        "epochs=70",
        "val_every=33",
        "patience=100",
        "head.dropout=0.2",
        "batch.micro_completions=6",
        "num_workers=2",
        "callbacks.checkpoint.every=2",
    )
    whole = train(*options, output="whole")
    assert whole.code == 0, whole.err
    moments = random.Random(0)
    output = tmp_path / "killed"
    process = start(train_command(*options, output="killed"))
    wait_for("runs/*/checkpoints/step-*", output, process)  # without one, nothing can be resumed
    (run_dir,) = (output / "runs").iterdir()
    steps = []
    for kill in range(10):
        if kill % 3 == 2:  # while it starts and reads its checkpoint
            time.sleep(moments.uniform(0, 6))
        else:  # while it trains, validates or saves
            wait_for_a_step_after(steps[-1] if steps else 0, run_dir, process)
            time.sleep(moments.uniform(0, 0.7))
        assert process.poll() is None, "killed too late to show anything"
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        steps.append(newest_step(run_dir))
        process = start([sys.executable, "-m", "rmx.train", f"resume={run_dir}"])
    assert len(set(steps)) >= 6, steps
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    expected, found = (
        read_checkpoint(list_checkpoints(folder / "checkpoints")[0])
        for folder in (whole.run_dir, run_dir)
    )
    assert expected.step == found.step == 400
    for key, value in expected.weights.items():
        assert torch.equal(value, found.weights[key]), key
    for key, value in expected.optimizer.items():
        assert torch.equal(value, found.optimizer[key]), key
    assert json.loads((run_dir / "results.json").read_text()) == whole.results
