import os
from pathlib import Path

import pytest
import yaml

from rmx.errors import CheckpointError
from rmx.resuming import newest_run, resumed_overrides


def make_run(
    folder: Path, overrides: list[str], *, age_s: int = 0, has_checkpoint: bool = True
) -> Path:
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(parents=True)
    (folder / "overrides.yaml").write_text(yaml.safe_dump(overrides))
    if has_checkpoint:
        (checkpoints / "step-1").mkdir()
    when = 1_000_000_000 - age_s
    os.utime(checkpoints, (when, when))
    return folder


def test_without_resume_the_overrides_stay(tmp_path: Path) -> None:
    assert resumed_overrides(["seed=1"], output_dir=str(tmp_path)) == ["seed=1"]
    assert resumed_overrides(["resume=null"], output_dir=str(tmp_path)) == ["resume=null"]


def test_new_overrides_replace_the_saved_ones(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "runs" / "a", ["loss=mse", "++optim.lr=1", "epochs=2"])
    new = [f"resume={folder}", "optim.lr=2"]
    assert resumed_overrides(new, output_dir="unused") == [
        "loss=mse",
        "epochs=2",
        f"resume='{folder}'",
        "optim.lr=2",
        f"hydra.run.dir='{folder}'",
        "hydra.mode=RUN",
    ]


def test_resuming_what_was_resumed_changes_nothing(tmp_path: Path) -> None:
    # Lightning starts its other processes with the overrides that the first one ended up with.
    folder = make_run(tmp_path / "sweeps" / "a" / "0_loss=bt,lr=1", ["loss=bt"])
    once = resumed_overrides([f"resume={folder}"], output_dir="unused")
    assert resumed_overrides(once, output_dir="unused") == once


def test_last_is_the_run_that_saved_last(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "old", [], age_s=50)
    cell = make_run(tmp_path / "sweeps" / "s" / "0_a", [], age_s=10)
    make_run(tmp_path / "runs" / "empty", [], has_checkpoint=False)
    assert newest_run(tmp_path) == cell
    assert f"resume='{cell}'" in resumed_overrides(["resume=last"], output_dir=str(tmp_path))
    elsewhere = ["resume=last", f"output_dir={tmp_path}"]
    assert f"resume='{cell}'" in resumed_overrides(elsewhere, output_dir="unused")


def test_a_checkpoint_stands_for_its_run(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "runs" / "a", [])
    resumed = resumed_overrides([f"resume={folder}/checkpoints/step-1"], output_dir="unused")
    assert f"resume='{folder}'" in resumed


@pytest.mark.parametrize(
    ("resume", "message"),
    [
        ("last", "no run under .* has a checkpoint"),
        ("nowhere", "there is no such folder"),
        ("empty", "has no checkpoint yet"),
        ("", "not a run's folder"),
    ],
)
def test_what_cannot_be_resumed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resume: str, message: str
) -> None:
    make_run(tmp_path / "empty", [], has_checkpoint=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        resumed_overrides([f"resume={resume or '.'}"], output_dir=str(tmp_path))


@pytest.mark.parametrize(
    "override", ["+hydra.callbacks.x._target_=os.system", "++hydra.sweeper._target_=os.system"]
)
def test_a_run_folder_cannot_name_code_to_run(tmp_path: Path, override: str) -> None:
    folder = make_run(tmp_path / "runs" / "a", ["loss=mse", override])
    with pytest.raises(CheckpointError, match="settings of the run alone"):
        resumed_overrides([f"resume={folder}"], output_dir="unused")


def test_another_choice_of_a_group_replaces_the_settings_within_it(tmp_path: Path) -> None:
    saved = ["hardware=fsdp", "hardware.devices=2", "loss=bt", "loss.centering=0.1"]
    folder = make_run(tmp_path / "runs" / "a", saved)
    found = resumed_overrides([f"resume={folder}", "hardware=cpu"], output_dir="unused")
    assert found[:2] == ["loss=bt", "loss.centering=0.1"]
    assert "hardware=cpu" in found
    assert "hardware.devices=2" not in found
