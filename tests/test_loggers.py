"""Loggers: what lands in the W&B folder, and what must not."""

import csv
import os
import subprocess
import sys

import pytest
from lightning.pytorch.loggers import CSVLogger, WandbLogger

from rmx.errors import ConfigError
from rmx.loggers import (
    csv_logger,
    finish_logger,
    has_wandb_login,
    no_logger,
    run_id,
    wandb_logger,
    where_to_look,
)

CONFIG = {"loss": {"_target_": "rmx.losses.BradleyTerry"}, "hub": {"token": "do-not-log-me"}}


@pytest.fixture
def no_login(monkeypatch, tmp_path):
    """A user without any W&B setting, so that neither tests nor their machine meddle."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    return monkeypatch


@pytest.fixture
def no_service():
    """Stop W&B's background process, which it names in the environment, after the test."""
    yield
    import wandb

    wandb.teardown()
    os.environ.pop("WANDB_SERVICE", None)


def wandb_options(tmp_path, **more):
    return {"run_dir": tmp_path / "runs" / "bt", "run_name": "loss=bt", "dir": tmp_path, **more}


def test_an_offline_run_lands_in_the_shared_folder_and_prints_nothing(
    tmp_path, no_login, no_service, capfd
):
    import wandb

    before = dict(os.environ)
    logger = wandb_logger(**wandb_options(tmp_path, group="losses", config=CONFIG))
    logger.log_metrics({"val/accuracy": 0.75}, step=10)
    added = set(os.environ) - set(before) - {"WANDB_SERVICE"}
    assert where_to_look(logger).endswith(f"wandb leet {tmp_path}/wandb")
    finish_logger(logger, failed=False)
    wandb.teardown()  # its process writes the end of the file after `finish`

    (folder,) = (tmp_path / "wandb").glob("offline-run-*-bt-losses")
    record = (folder / "run-bt-losses.wandb").read_bytes()
    assert all(text in record for text in (b"losses", b"loss=bt", b"BradleyTerry", b"val/accuracy"))
    assert b"do-not-log-me" not in record
    assert not list(folder.rglob("*metadata*"))
    assert not list(folder.rglob("*.py"))
    assert not added, "a mode left in the environment would change the sweep's next run"
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_failed_run_is_marked_and_the_next_one_of_a_sweep_starts_clean(
    tmp_path, no_login, no_service
):
    import wandb

    first = wandb_logger(**wandb_options(tmp_path))
    experiment = first.experiment
    finish_logger(first, failed=True)
    assert experiment._exit_code == 1
    assert wandb.run is None
    second = wandb_logger(**wandb_options(tmp_path, run_dir=tmp_path / "runs" / "mse"))
    assert second.experiment.id == "mse"
    finish_logger(second, failed=False)
    assert second.experiment._exit_code == 0


def test_offline_without_a_login_and_online_with_one(tmp_path, no_login):
    def mode(**more):
        return wandb_logger(**wandb_options(tmp_path, **more))._wandb_init["mode"]

    assert mode() == "offline"
    no_login.setenv("WANDB_API_KEY", "k" * 40)
    assert mode() == "online"
    assert mode(offline=True) == "offline"
    no_login.setenv("WANDB_MODE", "offline")
    assert mode() == "offline"


def test_a_netrc_entry_is_a_login(tmp_path, no_login):
    assert not has_wandb_login()
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password k\n")
    assert has_wandb_login()


def test_online_without_a_login_is_refused_with_the_remedy(tmp_path, no_login):
    with pytest.raises(ConfigError, match="wandb login"):
        wandb_logger(**wandb_options(tmp_path, offline=False))


def test_a_resumed_run_keeps_its_id_and_runs_of_two_sweeps_have_their_own(tmp_path):
    assert run_id(tmp_path / "0_loss=bt", "a") == run_id(tmp_path / "0_loss=bt", "a")
    assert run_id(tmp_path / "0_loss=bt", "a") == "0_loss-bt-a"
    assert run_id(tmp_path / "0_loss=bt", "b") == "0_loss-bt-b"


def test_the_time_comes_last_in_a_run_id():
    assert run_id("2026-01-02_03-04-05_tiny-bt") == "tiny-bt-2026-01-02_03-04-05"


def test_long_run_ids_are_cut_without_meeting():
    one, other = run_id("x" * 200 + "1"), run_id("x" * 200 + "2")
    assert len(one) <= 100
    assert one != other


def test_run_ids_hold_only_characters_safe_in_file_names():
    assert run_id("a b:c;d,e#f?g'h=[1,2]") == "a-b-c-d-e-f-g-h-1-2"


def test_csv_keeps_the_rows_of_before_a_resume(tmp_path):
    for value in (1.0, 2.0):
        logger = csv_logger(run_dir=tmp_path, run_name="x")
        assert isinstance(logger, CSVLogger)
        logger.log_metrics({"val/nll": value}, step=1)
        finish_logger(logger, failed=False)
    rows = []
    for path in sorted(tmp_path.glob("csv/*/metrics.csv")):
        with path.open() as lines:
            rows += list(csv.DictReader(lines))
    assert [row["val/nll"] for row in rows] == ["1.0", "2.0"]


def test_no_logger_is_false_and_can_be_finished(tmp_path):
    assert no_logger(run_dir=tmp_path) is False
    finish_logger(no_logger(run_dir=tmp_path), failed=True)
    assert where_to_look(False) == ""


def test_finishing_a_run_that_never_started_starts_none(tmp_path, no_login):
    logger = wandb_logger(**wandb_options(tmp_path))
    assert isinstance(logger, WandbLogger)
    finish_logger(logger, failed=True)
    assert not (tmp_path / "wandb").exists()


@pytest.mark.slow
def test_other_ranks_log_nothing(tmp_path, no_login):
    code = (
        "from rmx.loggers import wandb_logger\n"
        f"logger = wandb_logger(run_dir='a', run_name='a', dir={str(tmp_path)!r})\n"
        "logger.log_metrics({'x': 1.0}, step=1)\n"
        "logger.log_image('y', [])\n"
    )
    no_login.setenv("LOCAL_RANK", "1")
    no_login.setenv("RANK", "1")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert not (tmp_path / "wandb").exists()
