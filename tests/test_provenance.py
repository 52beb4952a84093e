"""Provenance: what is recorded, and what never is."""

import getpass
import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import rmx
from rmx.provenance import (
    REMOVED,
    collect_provenance,
    git_state,
    strip_secrets,
    write_provenance,
)


def test_the_record_is_plain_json_and_names_neither_machine_nor_user(monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: "host-of-this-test")
    monkeypatch.setenv("HOME", "/home/someone")
    record = collect_provenance(
        seed=3, data_digest="abc", argv=["/home/someone/rmx/train.py", "x=/home/someone/data"]
    )
    text = json.dumps(record)
    assert record["rmx"] == rmx.__version__
    assert (record["seed"], record["data_digest"]) == (3, "abc")
    assert record["argv"] == ["train.py", "x=~/data"]
    assert record["packages"]["torch"]
    assert record["hardware"]["num_cpus"] >= 1
    assert "host-of-this-test" not in text
    assert "someone" not in text
    if len(getpass.getuser()) > 4:  # `root` can stand in a processor's name
        assert getpass.getuser() not in text


def test_no_environment_variable_is_recorded(monkeypatch):
    monkeypatch.setenv("RMX_TEST_SECRET", "value-of-this-test")
    assert "value-of-this-test" not in json.dumps(collect_provenance(seed=0, argv=["train"]))


@pytest.mark.parametrize(
    ("argument", "kept"),
    [
        ("hub.token=abc", f"hub.token={REMOVED}"),
        ("+logger.api_key=abc", f"+logger.api_key={REMOVED}"),
        ("data.url=https://me:pw@host/x", f"data.url=https://{REMOVED}@host/x"),
        ("note=hf_abcdefghijklmnopqrstuv", f"note={REMOVED}"),
        ("batch.max_tokens=512", "batch.max_tokens=512"),
        ("encoder.pooling=last_token", "encoder.pooling=last_token"),
        ("model.pad_token=</s>", "model.pad_token=</s>"),
    ],
)
def test_secrets_are_taken_out_of_the_command_line(argument, kept):
    assert collect_provenance(seed=0, argv=["train", argument])["argv"] == ["train", kept]


def test_a_secret_after_its_option_is_taken_out():
    argv = collect_provenance(seed=0, argv=["train", "--token", "abc", "loss=bt"])["argv"]
    assert argv == ["train", "--token", REMOVED, "loss=bt"]


def test_secrets_are_found_in_nested_configs_and_the_original_is_left_alone():
    config = {"a": [{"password": "x"}], "seed": 1, "api_key": None, "nested": {"key": "column"}}
    stripped = strip_secrets(config)
    assert stripped == {
        "a": [{"password": REMOVED}],
        "seed": 1,
        "api_key": None,
        "nested": {"key": "column"},
    }
    assert config["a"][0]["password"] == "x"


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True
    )


def test_git_state_tells_commit_and_changes(tmp_path):
    assert git_state(tmp_path) is None
    git(tmp_path, "init")
    assert git_state(tmp_path) is None, "a repository without a commit has none to name"
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "a")
    state = git_state(tmp_path)
    assert state is not None
    assert len(state["commit"]) == 40
    assert state["dirty"] is False
    (tmp_path / "a").write_text("2")
    assert git_state(tmp_path) == {"commit": state["commit"], "dirty": True}


def test_without_git_the_state_is_null(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) is None


def test_a_resume_adds_to_the_first_record(tmp_path):
    write_provenance(tmp_path, {"seed": 0, "started": "a"})
    write_provenance(tmp_path, {"seed": 0, "started": "b"})
    path = write_provenance(tmp_path, {"seed": 0, "started": "c"})
    record = json.loads(path.read_text())
    assert record["started"] == "a"
    assert [later["started"] for later in record["resumed"]] == ["b", "c"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["provenance.json"]


def test_importing_provenance_does_not_import_torch():
    code = "import sys, rmx.provenance; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
