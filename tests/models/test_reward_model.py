"""Rewards do not depend on what surrounds a completion; checkpoints hold what trains."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from rmx.checkpoint import load_trained, trained_tensors
from rmx.errors import CheckpointError, ConfigError
from rmx.models import (
    HeadOnly,
    JointEncoder,
    LastLayer,
    LastN,
    LoRA,
    NoFreeze,
    RewardModel,
    SeparateEncoder,
)

ENCODERS = [
    JointEncoder(),
    JointEncoder(pooling="mean"),
    SeparateEncoder(),
    SeparateEncoder(pooling="mean"),
]
STRATEGIES = [NoFreeze(), LastLayer(), LastN(n=2), HeadOnly(), LoRA(r=2)]


def restore(model: RewardModel, other: RewardModel) -> None:
    """Copy what the other trained, as a resumed run does."""
    no_loss = torch.nn.Module()
    load_trained(model, no_loss, trained_tensors(other, no_loss))


def name_of(value: object) -> str:
    pool = getattr(value, "pool", None)
    return type(value).__name__ + (f"-{pool.__name__}" if pool else "")


@pytest.fixture(params=ENCODERS, ids=name_of)
def encoder(request):
    return request.param


@pytest.fixture(params=STRATEGIES, ids=name_of)
def strategy(request):
    return request.param


@torch.no_grad()
def test_reward_is_the_same_alone_and_in_a_batch(architecture, encoder, make_model, pad, rows):
    model = make_model(architecture, encoder=encoder)
    alone_C = torch.cat([model(pad([row])) for row in rows])
    assert_close(model(pad(rows)), alone_C, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_reward_is_the_same_with_more_padding(architecture, encoder, make_model, pad, rows):
    model = make_model(architecture, encoder=encoder)
    assert_close(model(pad(rows, width=64)), model(pad(rows)), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_reward_follows_its_completion_through_a_batch(
    architecture, encoder, make_model, pad, rows
):
    model = make_model(architecture, encoder=encoder)
    order = [2, 0, 3, 1]
    shuffled_C = model(pad([rows[i] for i in order]))
    assert_close(shuffled_C, model(pad(rows))[order], atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["last_token", "mean"])
def test_padding_on_the_left_gives_the_same_reward(architecture, pooling, make_model, pad, rows):
    model = make_model(architecture, encoder=JointEncoder(pooling=pooling))
    assert_close(model(pad(rows, side="left")), model(pad(rows)), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_padding_may_hold_a_token_that_texts_hold_too(architecture, encoder, make_model, pad, rows):
    model = make_model(architecture, encoder=encoder)
    last_id = rows[1][0][-1]  # row 1 ends with the very token it is padded with
    assert_close(model(pad(rows, pad_id=last_id)), model(pad(rows)), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_reward_depends_on_the_prompt(architecture, encoder, make_model, pad, rows):
    model = make_model(architecture, encoder=encoder)
    ids, length = rows[0]
    other = ([7] * length + list(ids[length:]), length)
    changed = (model(pad([rows[0]])) - model(pad([other]))).abs().item()
    assert changed > 1e-3


def test_only_what_trains_is_in_the_trained_state(architecture, strategy, make_model):
    model = make_model(architecture)
    strategy.apply(model)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert set(model.trained_state_dict()) == trained | {"reward_mean", "reward_std"}
    assert "head.weight" in trained


def test_trained_state_restores_rewards_exactly(architecture, strategy, make_model, pad, rows):
    tokens = pad(rows)
    model = make_model(architecture, head_seed=0)
    strategy.apply(model)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    for _ in range(2):  # LoRA's A only moves once B has left zero
        optimizer.zero_grad()
        model(tokens).square().sum().backward()
        optimizer.step()
    model.set_display_statistics(0.3, 2.0)
    restored = make_model(architecture, head_seed=1)
    strategy.apply(restored)
    before_C = restored(tokens).detach()
    restore(restored, model)
    assert not torch.equal(before_C, model(tokens))
    assert torch.equal(restored(tokens), model(tokens))
    assert torch.equal(restored.display(before_C, "signed"), model.display(before_C, "signed"))


def test_a_checkpoint_of_another_freeze_is_refused(make_model):
    whole, part = make_model(), make_model()
    LastLayer().apply(part)
    with pytest.raises(CheckpointError, match="another model, loss or freeze strategy"):
        restore(part, whole)
    with pytest.raises(CheckpointError, match="another model, loss or freeze strategy"):
        restore(whole, part)


def test_a_checkpoint_of_another_shape_is_refused(make_model):
    small, large = make_model(), make_model(hidden_size=128)
    HeadOnly().apply(small)
    HeadOnly().apply(large)
    with pytest.raises(CheckpointError, match=r"head\.weight is \(1, 128\) in the checkpoint"):
        restore(small, large)


def test_casting_the_model_leaves_head_and_statistics_in_float32(make_model, pad, rows):
    model = make_model()
    weight = model.head.weight.detach().clone()
    model.to(torch.bfloat16)
    assert model.final_norm.weight.dtype == torch.bfloat16
    assert torch.equal(model.head.weight, weight)
    assert model.reward_mean.dtype == model.reward_std.dtype == torch.float32
    assert model(pad(rows)).dtype == torch.float32


def test_signed_display_is_half_way_at_one_standard_deviation(make_model):
    model = make_model()
    model.set_display_statistics(2.0, 4.0)
    # z = (2-2)/4, (6-2)/4, (-6-2)/4 = 0, 1, -2; z / (1 + |z|) = 0, 1/2, -2/3
    reward_C = torch.tensor([2.0, 6.0, -6.0])
    signed_C = model.display(reward_C, "signed")
    assert_close(signed_C, torch.tensor([0.0, 0.5, -2 / 3], dtype=torch.float64))
    percent_C = model.display(reward_C, "percent")
    assert_close(percent_C, torch.tensor([50.0, 75.0, 100 / 6], dtype=torch.float64))
    assert model.display(reward_C, "raw") is reward_C


@pytest.mark.parametrize(("scale", "low", "high"), [("signed", -1, 1), ("percent", 0, 100)])
def test_display_is_bounded_and_keeps_neighbouring_floats_apart(make_model, scale, low, high):
    model = make_model()
    model.set_display_statistics(0.7, 1.3)
    magnitudes = np.logspace(-4, 6, 500, dtype=np.float32)
    rewards = np.concatenate([-magnitudes, magnitudes])
    rewards = np.unique(np.concatenate([rewards, np.nextafter(rewards, np.float32(np.inf))]))
    shown = model.display(torch.from_numpy(rewards), scale)
    assert shown.min() > low
    assert shown.max() < high
    assert (shown.diff() > 0).all()


def test_display_of_equal_rewards_is_the_middle(make_model):
    model = make_model()
    model.set_display_statistics(1.5, 0.0)
    assert model.display(torch.tensor([1.5]), "percent").item() == 50


def test_display_refuses_what_it_does_not_know(make_model):
    with pytest.raises(ConfigError, match="scale must be"):
        make_model().display(torch.zeros(1), "stars")
    with pytest.raises(ConfigError, match="finite"):
        make_model().set_display_statistics(float("nan"), 1.0)
