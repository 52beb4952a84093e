"""Faults in settings: one line, with where it was written and what was probably meant."""

from pathlib import Path

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra

from rmx.config import compose_run, config_dir
from rmx.errors import ConfigError


def fault(*overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        compose_run(overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("los=bt", "los=bt: no such setting 'los'; did you mean 'loss'?"),
        ("sed=3", "sed=3: no such setting 'sed'; did you mean 'seed'?"),
        ("+sed=3", "sed=3: no such setting 'sed'; did you mean 'seed'?"),
        ("los/x=3", "los/x=3: no such setting 'los'; did you mean 'loss'?"),
        (
            "batch.comparison=3",
            "no such setting 'batch.comparison'; did you mean 'batch.comparisons'?",
        ),
        ("lr=3", "lr=3: no such setting 'lr'; did you mean 'optim.lr'?"),
        ("zzz=3", "zzz=3: no such setting 'zzz'; --help lists the settings"),
        ("loss=btt", "loss=btt: no such choice; did you mean 'bt'?; choices: "),
        ("optim=3", "optim=3: no such choice; choices: adamw"),
        ("loss=bt,mse", "loss=bt,mse: several values make a sweep; add -m to run it"),
        ("+loss=mse", "+loss=mse: it has a value already; write loss=mse"),
        ("optim.lr=abc", "optim.lr=abc: must be a float or null"),
        ("optim.lr=true", "must be a float or null"),
        ("optim.bettas=[1,2]", "rmx.optim.AdamW takes no 'bettas'; did you mean 'betas'?"),
        ("+optim.bettas=[1,2]", "rmx.optim.AdamW takes no 'bettas'; did you mean 'betas'?"),
        ("optim._target_=os.system", "_target_ must name a public class or function of rmx"),
        ("callbacks.early_stopping.patiense=3", "did you mean 'patience'?"),
        ("callbacks.mine=3", "callbacks.mine=3: must be a component"),
        ("~loss", "loss: it has no _target_; choose a component by name, loss=NAME"),
        ("~seed", "seed: can't be removed; set it instead"),
        ("epochs=abc", "epochs=abc: must be a float"),
        ("epochs=0", "epochs=0.0: must be above 0"),
        ("max_steps=1.5", "max_steps=1.5: must be an int"),
        ("seed=null", "seed=null: must be an int"),
        ("split.val=1", "split.val=1.0: must be below 1"),
        ("split.spillover=coding", "split.spillover=coding: must be a list"),
        ("batch=3", "batch=3: it holds other settings; set them one by one"),
        ("ties=sof", "ties=sof: must be auto, drop, soft or model; did you mean 'soft'?"),
        ("seed=${nope}", "seed: Interpolation key 'nope' not found"),
        ("epochs", "epochs: settings are given as NAME=VALUE"),
        ("run_name=a=b", "quote it twice: run_name='\"a=b\"'"),
        ("hydra.run.dirr=3", "hydra.run.dirr=3: Key 'dirr' not in 'RunDir'"),
        ("data=files", "data.train: needs a value: data.train=..."),
    ],
)
def test_a_fault_on_the_command_line_is_one_line(override: str, message: str) -> None:
    assert message in fault(override)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("logger.api_key", "x"),
        ("logger.hf_token", "x"),
        ("run_name", "sk-" + "a" * 20),
        ("model.path", "https://me:pass@host/x"),
        ("tags", "[hf_" + "a" * 20 + "]"),
    ],
)
def test_a_secret_is_refused_and_not_repeated(name: str, value: str) -> None:
    message = fault(f"+{name}={value if value[0] == '[' else repr(value)}")
    assert "looks like a key or a password" in message
    assert value.strip("[]") not in message.split(":", 1)[1]


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that writes conf/experiment/mine.yaml into a copy of conf/."""
    copy = tmp_path / "conf"
    for path in config_dir().rglob("*.yaml"):
        target = copy / path.relative_to(config_dir())
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    for module in ("compose", "explain"):
        monkeypatch.setattr(f"rmx.config.{module}.config_dir", lambda: copy)
    monkeypatch.chdir(tmp_path)

    def write(content: dict | str) -> None:
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        (copy / "experiment" / "mine.yaml").write_text("# @package _global_\n" + text)

    return write


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"los": "bt"}, "conf/experiment/mine.yaml: no such setting 'los'; did you mean 'loss'?"),
        (
            {"defaults": [{"override /los": "bt"}]},
            "conf/experiment/mine.yaml: no such setting 'los'; did you mean 'loss'?",
        ),
        (
            {"defaults": [{"override /loss": "btt"}]},
            "conf/experiment/mine.yaml: loss=btt: no such choice; did you mean 'bt'?",
        ),
        ({"epochs": "abc"}, "conf/experiment/mine.yaml: epochs: must be a float"),
        ({"epochs": 0}, "conf/experiment/mine.yaml: epochs=0.0: must be above 0"),
        (
            {"optim": {"lrr": 3}},
            "conf/experiment/mine.yaml: optim.lrr=3: rmx.optim.AdamW takes no 'lrr'",
        ),
        ({"batch": {"size": 3}}, "conf/experiment/mine.yaml: no such setting 'batch.size'"),
        ("epochs: [1", "mine.yaml"),
    ],
)
def test_a_fault_in_an_experiment_names_its_file(experiment, content, message: str) -> None:
    experiment(content)
    assert message in fault("experiment=mine")


def test_a_secret_in_an_experiment_is_refused(experiment) -> None:
    experiment({"logger": {"api_key": "x"}})
    assert "logger.api_key: this looks like a key or a password" in fault("experiment=mine")


def test_an_override_beats_an_experiment(experiment) -> None:
    experiment({"epochs": 7, "seed": 5})
    cfg = compose_run(["experiment=mine", "epochs=3"])
    assert (cfg.epochs, cfg.seed) == (3, 5)


def test_an_argument_need_not_stand_in_the_yaml() -> None:
    assert "betas" not in compose_run([]).optim
    assert compose_run(["optim.betas=[0.5,0.9]"]).optim.betas == [0.5, 0.9]


def test_composing_within_a_command_leaves_its_hydra_alone() -> None:
    before = GlobalHydra.instance().hydra
    compose_run(["seed=1"])
    assert GlobalHydra.instance().hydra is before


def test_hydra_runs_no_plugin_from_elsewhere() -> None:
    with pytest.raises(ConfigError, match=r"hydra\.callbacks\.x\._target_=pathlib\.Path\.touch"):
        compose_run(["+hydra.callbacks.x._target_=pathlib.Path.touch"])
