"""A resumed run is the run that began: same settings, same data, its first files kept."""

import pytest
from omegaconf import DictConfig, OmegaConf

from rmx.errors import CheckpointError
from rmx.record import CONFIG, check_resumed, record_run

BEGAN = {
    "optim": {"_target_": "rmx.optim.AdamW", "lr": None},
    "hardware": {"devices": 2},
    "epochs": 2,
    "seed": 0,
    "resume": None,
}


class Data:
    def __init__(self, digest: str = "a" * 64) -> None:
        self.rejected: list = []
        self._digest = digest

    def digest(self) -> str:
        return self._digest


def begin(folder) -> None:
    record_run(OmegaConf.create(BEGAN), Data(), folder, ["seed=0"])  # type: ignore[arg-type]


def resumed(**changes) -> DictConfig:
    merged = OmegaConf.merge(OmegaConf.create({**BEGAN, "resume": "here"}), changes)
    assert isinstance(merged, DictConfig)
    return merged


def test_the_same_settings_go_on(tmp_path):
    begin(tmp_path)
    check_resumed(resumed(), tmp_path)


def test_hardware_may_change(tmp_path):
    begin(tmp_path)
    check_resumed(resumed(hardware={"devices": 1}), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optim": {"lr": 0.1}}, r"optim\.lr is 0\.1, and this run began with null"),
        ({"epochs": 3}, "epochs is 3, and this run began with 2"),
    ],
)
def test_other_settings_are_refused_by_name(tmp_path, change, message):
    begin(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        check_resumed(resumed(**change), tmp_path)


def test_a_refused_or_accepted_resume_leaves_the_first_config(tmp_path):
    begin(tmp_path)
    first = (tmp_path / CONFIG).read_text()
    cfg = resumed(hardware={"devices": 1})
    record_run(cfg, Data(), tmp_path, ["hardware.devices=1"])  # type: ignore[arg-type]
    assert (tmp_path / CONFIG).read_text() == first
    assert (tmp_path / "overrides.yaml").read_text() == "- seed=0\n"


def test_other_data_are_refused(tmp_path):
    begin(tmp_path)
    with pytest.raises(CheckpointError, match="the data is not what this run began with"):
        record_run(resumed(), Data("b" * 64), tmp_path, [])  # type: ignore[arg-type]
