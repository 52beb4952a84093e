"""Heads are what their formula says, in float32 whatever surrounds them."""

import math

import pytest
import torch
from torch.testing import assert_close

from rmx.errors import ConfigError
from rmx.models import LinearHead, MLPHead


def test_linear_head_is_a_dot_product_without_bias():
    head = LinearHead(3)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0, -2.0, 0.5]]))
    pooled_CF = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [2.0, 0.0, 4.0]])
    assert_close(head(pooled_CF), torch.tensor([-0.5, 0.0, 4.0]))
    assert [name for name, _ in head.named_parameters()] == ["weight"]


def test_mlp_head_is_one_hidden_layer_of_gelu():
    head = MLPHead(1, width=2)
    with torch.no_grad():
        head.inner.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        head.inner.bias.copy_(torch.tensor([0.0, 3.0]))
        head.weight.copy_(torch.tensor([[2.0, 1.0]]))

    def gelu(x: float) -> float:
        return x * 0.5 * (1 + math.erf(x / math.sqrt(2)))

    # features 1: 2 gelu(1) + gelu(3 - 1)
    assert_close(head(torch.ones(1, 1)), torch.tensor([2 * gelu(1) + gelu(2)]))


def test_normal_init_has_the_std_of_one_over_root_h_plus_one():
    weight = LinearHead(9999).weight
    # a sample of n has a relative standard error of 1/sqrt(2n) = 0.7 %; four of them
    assert weight.std().item() == pytest.approx(1 / math.sqrt(10000), rel=0.03)


@pytest.mark.parametrize("make", [LinearHead, MLPHead])
def test_zero_init_starts_every_reward_at_zero(make):
    assert make(8, init="zero")(torch.randn(5, 8)).tolist() == [0.0] * 5


@pytest.mark.parametrize("make", [LinearHead, MLPHead])
def test_head_computes_in_float32_under_autocast(make):
    head, pooled_CF = make(64), torch.randn(5, 64)
    expected_C = head(pooled_CF)
    with torch.autocast("cpu", torch.bfloat16):
        reward_C = head(pooled_CF)
    assert reward_C.dtype == torch.float32
    assert torch.equal(reward_C, expected_C)


@pytest.mark.parametrize("make", [LinearHead, MLPHead])
def test_head_takes_bf16_features_and_tells_near_ones_apart(make):
    pooled_CF = torch.randn(5, 64, dtype=torch.bfloat16)
    reward_C = make(64)(pooled_CF)
    assert reward_C.dtype == torch.float32
    assert not torch.equal(reward_C, reward_C.bfloat16().float())


@pytest.mark.parametrize("make", [LinearHead, MLPHead])
def test_head_is_made_in_float32_whatever_the_default_dtype(make):
    torch.set_default_dtype(torch.bfloat16)
    try:
        head = make(8)
    finally:
        torch.set_default_dtype(torch.float32)
    assert {p.dtype for p in head.parameters()} == {torch.float32}


@pytest.mark.parametrize("make", [LinearHead, MLPHead])
def test_dropout_acts_while_training_only(make):
    head, pooled_CF = make(64, dropout=0.5), torch.randn(5, 64)
    assert not torch.equal(head(pooled_CF), head(pooled_CF))
    head.eval()
    assert torch.equal(head(pooled_CF), head(pooled_CF))


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match=r"dropout must be in \[0, 1\), got 1"):
        LinearHead(8, dropout=1.0)
    with pytest.raises(ConfigError, match="init must be"):
        LinearHead(8, init="ones")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="width must be at least 1, got 0"):
        MLPHead(8, width=0)
