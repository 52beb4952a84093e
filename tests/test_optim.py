"""Learning rate's course, parameter groups and clipping."""

import math
import re

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


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["lr", "loss_lr", "weight_decay", "warmup", "gradient_norm"])
def test_what_is_not_finite_is_refused(name, value):
    with pytest.raises(ConfigError, match=rf"optim\.{name} must be .*, got {value}"):
        AdamW(**{name: value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, "optim.lr must be above 0 and finite, got 0.0; null takes the freeze"),
        ({"lr": -1e-4}, "optim.lr must be above 0 and finite, got -0.0001; null takes"),
        ({"loss_lr": 0.0}, "optim.loss_lr must be above 0 and finite, got 0.0; 0.01 suits"),
        ({"weight_decay": -0.1}, "optim.weight_decay must be at least 0 and finite, got -0.1; 0 "),
        ({"betas": (0.9, 1.0)}, "optim.betas must each be in [0, 1), got [0.9, 1.0]; [0.9,0.999]"),
        ({"betas": (-0.1, 0.9)}, "optim.betas must each be in [0, 1), got [-0.1, 0.9]"),
        ({"betas": (math.nan, 0.9)}, "optim.betas must each be in [0, 1), got [nan, 0.9]"),
        ({"warmup": 1.0}, "optim.warmup must be in [0, 1), got 1.0: it is a share of all steps"),
        ({"gradient_norm": 0.0}, "optim.gradient_norm must be above 0 and finite, got 0.0; 1e9"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        AdamW(**options)


def test_the_ends_of_the_ranges_are_allowed():
    optim = AdamW(weight_decay=0.0, betas=(0.0, 0.0), warmup=0.0)
    assert (optim.weight_decay, optim.betas, optim.warmup) == (0.0, (0.0, 0.0), 0.0)
