"""Learning rate's course, parameter groups and clipping."""

import math

import pytest
import torch
from torch import nn

from rmx.errors import ConfigError
from rmx.optim import AdamW, grad_norm, lr_factor


def test_linear_warmup_then_linear_decay():
    # 10 steps, 20 % warm-up: 1/3, 2/3, then 1 falling by 1/8 a step.
    factors = [lr_factor(s, 10, warmup=0.2, decay="linear") for s in range(10)]
    expected = [1 / 3, 2 / 3] + [1 - k / 8 for k in range(8)]
    assert factors == pytest.approx(expected)


def test_cosine_decay_is_halfway_at_half():
    assert lr_factor(0, 8, warmup=0, decay="cosine") == 1
    assert lr_factor(4, 8, warmup=0, decay="cosine") == pytest.approx(0.5)
    assert lr_factor(6, 8, warmup=0, decay="cosine") == pytest.approx(
        (1 + math.cos(0.75 * math.pi)) / 2
    )


def test_no_step_has_a_zero_learning_rate():
    for n in (1, 2, 7, 100):
        assert all(lr_factor(s, n, warmup=0.06, decay="linear") > 0 for s in range(n))


def test_weight_decay_is_for_matrices_and_the_loss_has_its_own_rate():
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    model[0].requires_grad_(True)
    loss = nn.ParameterList([nn.Parameter(torch.tensor(0.5))])
    optimizer = AdamW(weight_decay=0.1, loss_lr=0.02).build(model, loss, default_lr=3e-4)
    groups = optimizer.param_groups
    assert [len(g["params"]) for g in groups] == [1, 3, 1]  # weight; bias, gain, shift; loss
    assert [g["weight_decay"] for g in groups] == [0.1, 0.0, 0.0]
    assert [g["lr"] for g in groups] == [3e-4, 3e-4, 0.02]


def test_frozen_parameters_are_left_out():
    model = nn.Linear(3, 4)
    model.bias.requires_grad_(False)
    optimizer = AdamW().build(model, nn.ParameterList(), default_lr=1e-4)
    assert [p is model.weight for g in optimizer.param_groups for p in g["params"]] == [True]


def test_clipping_scales_to_the_given_norm():
    model = nn.Linear(2, 1, bias=False)
    model.weight.grad = torch.tensor([[3.0, 4.0]])
    norm = grad_norm(model.parameters())
    assert norm.item() == 5.0
    AdamW(gradient_norm=1.0).clip(list(model.parameters()), norm)
    torch.testing.assert_close(model.weight.grad, torch.tensor([[0.6, 0.8]]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, r"optim\.lr must be above 0"),
        ({"warmup": 1.0}, r"optim\.warmup"),
        ({"gradient_norm": 0.0}, r"optim\.gradient_norm"),
        ({"weight_decay": -0.1}, r"optim\.weight_decay"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        AdamW(**options)
