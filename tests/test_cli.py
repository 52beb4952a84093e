"""Commands as people type them: exit codes, and what is said where."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A command that records its runs instead of training; it fails as asked by the seed.
COMMAND = '''
"""Pretend to train."""
import json, sys
from rmx.cli import run_command, run_context
from rmx.errors import DataError

def pretend(cfg):
    assert "torch" not in sys.modules
    context = run_context()
    print("RUN", json.dumps([context.run_name, context.group, context.overrides, cfg.resume]))
    if cfg.seed == 2: raise DataError("row 3 is bad")
    if cfg.seed == 3: raise RuntimeError("a bug")
    if cfg.seed == 4: raise KeyboardInterrupt
    accuracy = {"accuracy": 0.5 + cfg.seed / 100, "nll": 0.6, "ece": 0.1}
    (context.run_dir / "results.json").write_text(json.dumps({"splits": {"val": accuracy}}))
    (context.run_dir / "overrides.yaml").write_text(json.dumps(context.overrides))
    (context.run_dir / "checkpoints" / "step-1").mkdir(parents=True, exist_ok=True)

if __name__ == "__main__":
    run_command(pretend, config_name="train")
'''


@pytest.fixture
def command(tmp_path: Path):
    (tmp_path / "pretend.py").write_text(COMMAND)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "pretend.py", *arguments],
            cwd=tmp_path,
            env={"PATH": "", "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
            capture_output=True,
            text=True,
        )

    return run


def runs(result: subprocess.CompletedProcess[str]) -> list:
    lines = result.stdout.splitlines()
    return [json.loads(line.removeprefix("RUN ")) for line in lines if line.startswith("RUN ")]


@pytest.mark.parametrize("typo", ["los=bt", "+sed=3", "loss=btt", "optim.lr=abc"])
def test_a_typo_ends_in_one_line_and_exit_code_2(command, typo: str) -> None:
    start = time.monotonic()
    result = command(typo)
    assert time.monotonic() - start < 10  # 1 s on an idle machine; torch alone would take longer
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert "did you mean" in line or "must be" in line


def test_a_run_gets_a_readable_folder(command, tmp_path: Path) -> None:
    result = command("experiment=smoke", "loss=mse")
    assert (result.returncode, result.stderr) == (0, "")
    assert runs(result) == [["tiny_mse_none", None, ["experiment=smoke", "loss=mse"], None]]
    (folder,) = (tmp_path / "outputs" / "runs").iterdir()
    assert folder.name.endswith("_tiny_mse_none")
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoints",
        "overrides.yaml",
        "results.json",
    ]


def test_errors_for_users_are_one_line_and_bugs_are_whole_traces(command) -> None:
    for_users = command("seed=2")
    assert (for_users.returncode, for_users.stderr) == (2, "error: row 3 is bad\n")
    bug = command("seed=3")
    assert bug.returncode == 1
    assert "in pretend" in bug.stderr
    assert bug.stderr.endswith("RuntimeError: a bug\n")
    assert command("seed=4").returncode == 130


def test_resume_last_composes_the_run_again(command, tmp_path: Path) -> None:
    command("loss=mse", "seed=1")
    result = command("resume=last", "epochs=3")
    (folder,) = (tmp_path / "outputs" / "runs").iterdir()
    assert runs(result) == [
        ["smollm2_135m_mse_last_layer", None, ["loss=mse", "seed=1", "epochs=3"], str(folder)]
    ]
    assert command("resume=last", "-m").returncode == 2


def test_a_sweep_goes_on_after_a_failure_and_ends_with_a_table(command, tmp_path: Path) -> None:
    result = command("-m", "seed=1,2,3,5", "loss=mse", "data=files", "data.train=a/b.jsonl")
    assert result.returncode == 1
    assert "error: 2 of 4 runs failed: 1_seed=2, 2_seed=3" in result.stderr
    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    names = ["0_seed=1", "1_seed=2", "2_seed=3", "3_seed=5"]
    assert [(name, group) for name, group, *_ in runs(result)] == [(n, sweep.name) for n in names]
    rows = json.loads((sweep / "sweep.json").read_text())
    assert [row["changed"] for row in rows] == [{"seed": str(seed)} for seed in (1, 2, 3, 5)]
    reached = [row["splits"] and row["splits"]["val"]["accuracy"] for row in rows]
    assert reached == [0.51, None, None, 0.55]
    assert [row["error"] for row in rows] == [None, "row 3 is bad", "RuntimeError: a bug", None]
    assert "val accuracy" in result.stdout
    assert result.stdout.index("55.0%") < result.stdout.index("51.0%")  # the best run first
    assert "2     failed: row 3 is bad" in result.stdout


def test_a_sweep_checks_every_run_before_the_first(command) -> None:
    result = command("-m", "loss=bt,btt")
    assert (result.returncode, result.stdout) == (2, "")
    assert "loss=btt: no such choice" in result.stderr


def test_a_run_of_a_sweep_can_be_resumed(command) -> None:
    command("sweep=losses")
    result = command("resume=last")
    ((name, group, overrides, _),) = runs(result)
    assert name == "5_loss=davidson"
    assert group is not None
    assert "loss=davidson" in overrides


@pytest.mark.parametrize("hardware", ["hardware=ddp", "hardware=fsdp", "hardware.devices=2"])
def test_a_sweep_over_several_devices_is_refused(command, hardware: str) -> None:
    result = command("-m", "seed=1,2", hardware)
    assert result.returncode == 2
    assert "a sweep's runs use one device each" in result.stderr


def test_the_processes_that_lightning_starts_pass(command, tmp_path: Path) -> None:
    # lightning.fabric's subprocess launcher appends these to the first process's own arguments.
    more = [f'hydra.run.dir="{tmp_path}/x"', "hydra.job.name=train_ddp_process_1"]
    result = command("loss=mse", *more, "hydra.output_subdir=null")
    assert result.returncode == 0
    assert (tmp_path / "x" / "results.json").is_file()


def test_help_lists_groups_and_settings_without_composing(command) -> None:
    result = command("--help")
    assert result.returncode == 0
    for expected in ("Pretend to train.", "loss         bt, ", "val_every=32", "-m NAME=A,B"):
        assert expected in result.stdout


def test_the_config_is_printed_and_nothing_runs(command) -> None:
    result = command("model=mistral7b", "loss=bt", "--cfg", "job", "freeze=last_layer")
    assert result.returncode == 0
    assert "rmx.losses.BradleyTerry" in result.stdout
    assert not runs(result)


def test_another_config_folder_is_refused(command) -> None:
    result = command("--config-dir", "/somewhere")
    assert result.returncode == 2
    assert "--config-dir: settings come from" in result.stderr
