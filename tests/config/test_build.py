import pytest
import torch
from omegaconf import OmegaConf

from rmx.config import build
from rmx.errors import ConfigError
from rmx.losses import BradleyTerry
from rmx.models import LinearHead
from rmx.optim import AdamW

OPTIM = {"_target_": "rmx.optim.AdamW"}


def test_a_component_becomes_its_object() -> None:
    assert isinstance(build({"_target_": "rmx.losses.BradleyTerry", "ties": "drop"}), BradleyTerry)


def test_values_arrive_in_the_types_of_the_signature() -> None:
    optim = build({**OPTIM, "lr": 1, "betas": [0.5, 0.75]})
    assert isinstance(optim, AdamW)
    assert (type(optim.lr), optim.lr) == (float, 1.0)
    assert optim.betas == (0.5, 0.75)


def test_what_no_config_can_know_is_given_beside_it() -> None:
    head = build({"_target_": "rmx.models.LinearHead", "init": "zero"}, hidden_size=3)
    assert isinstance(head, LinearHead)
    torch.testing.assert_close(head.weight.detach(), torch.zeros(1, 3))


def test_interpolations_are_resolved_from_the_root() -> None:
    cfg = OmegaConf.create({"lr": 0.5, "optim": {**OPTIM, "lr": "${lr}"}})
    assert build(cfg.optim).lr == 0.5


@pytest.mark.parametrize(
    ("component", "more", "message"),
    [
        ({"_target_": "os.getcwd"}, {}, "_target_ must name a public class or function of rmx"),
        ({"lr": 1.0}, {}, "has no _target_"),
        (
            {**OPTIM, "lrr": 1.0},
            {},
            "optim.lrr=1.0: rmx.optim.AdamW takes no 'lrr'; did you mean 'lr'?",
        ),
        ({**OPTIM, "lr": "abc"}, {}, "optim.lr=abc: must be a float or null"),
        ({**OPTIM, "lr": 1.0}, {"lr": 2.0}, "optim.lr=1.0: rmx sets this itself"),
        ({"_target_": "rmx.models.LinearHead"}, {}, "missing a required argument: 'hidden_size'"),
        ({**OPTIM, "lr": {"_target_": "os.getcwd"}}, {}, "optim.lr._target_"),
    ],
)
def test_a_fault_is_told_with_its_place(component: dict, more: dict, message: str) -> None:
    cfg = OmegaConf.create({"optim": component})
    with pytest.raises(ConfigError) as caught:
        build(cfg.optim, **more)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_value_the_class_refuses_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="lr"):
        build({**OPTIM, "lr": -1.0})
