"""What holds for all losses alike, over one instance of each."""

import ast
import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hydra.utils import get_class
from omegaconf import OmegaConf
from torch import Tensor

import rmx.losses
from rmx.config.signatures import signature_of
from rmx.errors import ConfigError
from rmx.losses import (
    BradleyTerry,
    Brier,
    Davidson,
    Hinge,
    KWise,
    Loss,
    MarginBradleyTerry,
    Ordinal,
    PlackettLuce,
    RaoKupper,
    ScaledBradleyTerry,
    ScoreMSE,
)

CONFIGS = sorted((Path(__file__).parents[2] / "conf" / "loss").glob("*.yaml"))
LOSSES: dict[str, Callable[..., Loss]] = {
    "bt": BradleyTerry,
    "bt_smoothed": lambda **options: BradleyTerry(label_smoothing=0.1, **options),
    "bt_noisy": lambda **options: BradleyTerry(noise_rate=0.1, **options),
    "bt_margin": MarginBradleyTerry,
    "bt_scaled": ScaledBradleyTerry,
    "mse": ScoreMSE,
    "brier": Brier,
    "hinge": Hinge,
    "rao_kupper": RaoKupper,
    "davidson": Davidson,
    "ordinal_2": lambda **options: Ordinal(num_levels=2, **options),
    "ordinal_3": lambda **options: Ordinal(num_levels=3, **options),
    "ordinal_7": lambda **options: Ordinal(num_levels=7, **options),
    "plackett_luce": PlackettLuce,
    "kwise": KWise,
}
WITH_TIE_TERM = {"rao_kupper", "davidson", "ordinal_3", "ordinal_7"}
GROUPWISE = {"plackett_luce", "kwise"}

each_loss = pytest.mark.parametrize("name", LOSSES)


@pytest.fixture
def batch(make_groups):
    """A ranking, a tie, a soft pair, and a group that is a filler altogether."""
    return make_groups(
        [
            (3, [(0, 1, 1.0), (1, 2, 1.0), (0, 2, 1.0)], [0, 1, 2]),
            (2, [(0, 1, 0.5)], [0, 0]),
            (2, [(0, 1, 0.3)], [1, 0]),
            (2, [(0, 1, 1.0)], [-1, -1]),
        ],
        strengths=[0.3, 0.9, math.nan, math.nan, 0.5, math.nan],
        weights=[1.0, 1.0, 2.0, 1.0, 0.5, 0.0],
    )


def total(loss: Loss, reward_C: Tensor, batch) -> Tensor:
    """Return the mean as the training loop takes it."""
    weight_N = loss.weights(batch)
    return (weight_N * loss(reward_C, batch)).sum() / weight_N.sum()


@each_loss
def test_loss_and_weights_are_float32_and_one_for_each_element(name, batch):
    loss, num = LOSSES[name](), 4 if name in GROUPWISE else 6
    for value_N in (loss(torch.randn(9, dtype=torch.bfloat16), batch), loss.weights(batch)):
        assert value_N.dtype == torch.float32
        assert value_N.shape == (num,)


@each_loss
def test_autocast_leaves_the_loss_in_float32(name, batch):
    loss, reward_C = LOSSES[name](centering=0.1), torch.randn(9)
    expected = loss(reward_C, batch)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(loss(reward_C, batch), expected, rtol=0, atol=0)


@each_loss
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_loss_and_gradients_are_finite_at_any_margin(name, scale, batch):
    loss = LOSSES[name]()
    for sign in (1, -1):
        reward_C = (sign * scale * torch.linspace(1, -1, 9)).requires_grad_()
        value_N = loss(reward_C, batch)
        value_N.sum().backward()
        assert value_N.isfinite().all()
        assert reward_C.grad is not None
        assert reward_C.grad.isfinite().all()
        for parameter in loss.parameters():
            assert parameter.grad is not None
            assert parameter.grad.isfinite().all()


@each_loss
def test_filler_comparisons_do_not_count(name, batch):
    loss, reward_C = LOSSES[name](centering=0.1), torch.randn(9)
    without = total(loss, reward_C, batch)
    changed_C = reward_C.clone()
    changed_C[7:] = torch.tensor([50.0, -80.0])  # the filler group's rewards
    torch.testing.assert_close(total(loss, changed_C, batch), without)
    filled = replace(
        batch,
        **{
            axis: torch.cat([getattr(batch, axis), torch.tensor([filler])])
            for axis, filler in {
                "group_P": 0,
                "chosen_P": 0,
                "rejected_P": 0,
                "preference_P": 1.0,
                "strength_P": math.nan,
                "weight_P": 0.0,
                "domain_P": 0,
            }.items()
        },
    )
    torch.testing.assert_close(total(loss, reward_C, filled), without)


@each_loss
def test_weights_need_no_rewards_and_follow_the_comparisons(name, batch):
    # a group weighs the mean of its comparisons: (1 + 1 + 2) / 3
    expected = [4 / 3, 1, 0.5, 0] if name in GROUPWISE else [1, 1, 2, 1, 0.5, 0]
    assert LOSSES[name]().weights(batch).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - WITH_TIE_TERM - GROUPWISE))
def test_dropped_ties_weigh_nothing(name, batch):
    assert LOSSES[name](ties="drop").weights(batch).tolist() == [1, 1, 2, 0, 0.5, 0]


@each_loss
def test_auto_models_ties_where_it_can_and_else_makes_them_soft(name):
    assert LOSSES[name](ties="auto").ties == ("model" if name in WITH_TIE_TERM else "soft")


@each_loss
def test_tie_policy_without_meaning_is_refused(name):
    refused = ("drop", "soft") if name in WITH_TIE_TERM else ("model",)
    for ties in refused:
        with pytest.raises(ConfigError, match=f"ties={ties} makes no sense here: this loss .* use"):
            LOSSES[name](ties=ties)
    with pytest.raises(ConfigError, match="ties must be auto, drop, soft or model, got 'half'"):
        LOSSES[name](ties="half")


@each_loss
def test_swapping_chosen_and_rejected_changes_nothing(name, batch):
    loss, reward_C = LOSSES[name](centering=0.1), 3 * torch.randn(9)
    swapped = replace(
        batch,
        chosen_P=batch.rejected_P,
        rejected_P=batch.chosen_P,
        preference_P=1 - batch.preference_P,
    )
    torch.testing.assert_close(loss(reward_C, swapped), loss(reward_C, batch))


@each_loss
def test_preference_logit_is_antisymmetric_and_rises_with_the_margin(name):
    loss, margin_P = LOSSES[name](), torch.linspace(-6, 6, 13)
    logit_P = loss.preference_logit(margin_P)
    torch.testing.assert_close(logit_P, -loss.preference_logit(-margin_P))
    assert (logit_P.diff() > 0).all()
    assert loss.preference_logit(margin_P.bfloat16()).dtype == torch.float32


@each_loss
def test_outcomes_are_given_where_ties_have_a_probability(name):
    margin_P = torch.linspace(-6, 6, 13)
    log_prob_P3 = LOSSES[name]().outcome_log_probs(margin_P)
    assert (log_prob_P3 is not None) == (name in WITH_TIE_TERM)
    if log_prob_P3 is not None:
        torch.testing.assert_close(log_prob_P3.exp().sum(-1), torch.ones(13))
        mirrored_P3 = LOSSES[name]().outcome_log_probs(-margin_P)
        assert mirrored_P3 is not None
        torch.testing.assert_close(log_prob_P3, mirrored_P3.flip(-1))


@each_loss
def test_gradients_match_finite_differences(name, batch):
    loss = LOSSES[name](centering=0.1).double()
    names = [key for key, _ in loss.named_parameters()]

    def value_N(reward_C: Tensor, *parameters: Tensor) -> Tensor:
        state = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(loss, state, (reward_C, batch))

    inputs = [torch.randn(9, dtype=torch.float64), *loss.parameters()]
    assert torch.autograd.gradcheck(value_N, [x.detach().requires_grad_() for x in inputs])


@each_loss
def test_centring_adds_its_penalty_and_no_slope_to_the_margin(name, batch):
    weight, reward_C = 0.05, torch.randn(9, dtype=torch.float64, requires_grad=True)
    plain, centred = LOSSES[name]().double(), LOSSES[name](centering=weight).double()
    penalty_N = centred(reward_C, batch) - plain(reward_C, batch)
    if name not in GROUPWISE:
        expected = weight * (reward_C[batch.chosen_P] + reward_C[batch.rejected_P]).square()
        torch.testing.assert_close(penalty_N, expected)
    # the last but one is the same pair for both kinds; +chosen and -rejected move its margin alone
    (slope_C,) = torch.autograd.grad(penalty_N[-2], reward_C)
    chosen, rejected = slope_C[batch.chosen_P[-2]].item(), slope_C[batch.rejected_P[-2]].item()
    assert chosen == pytest.approx(rejected, abs=1e-12)
    assert chosen != 0


@each_loss
def test_negative_centring_is_refused(name):
    with pytest.raises(
        ConfigError, match=r"centering must be in \[0, inf\), got -1; 0 turns it off"
    ):
        LOSSES[name](centering=-1)


@each_loss
def test_learned_parameters_get_gradients_and_survive_a_round_trip(name, batch):
    loss, copy = LOSSES[name](), LOSSES[name]()
    total(loss, torch.randn(9, requires_grad=True), batch).backward()
    for parameter in loss.parameters():
        assert parameter.dim() == 1  # FSDP2 can't shard a scalar
        assert parameter.grad is not None
        assert (parameter.grad != 0).all()
        parameter.data -= 0.5 * parameter.grad
    assert bool(loss.learned()) == (name in WITH_TIE_TERM)
    if loss.learned():
        assert copy.learned() != loss.learned()
    copy.load_state_dict(loss.state_dict())
    assert copy.learned() == loss.learned()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_builds_its_loss_and_only_says_what_the_class_takes(path):
    config = OmegaConf.create({"ties": "auto", "loss": OmegaConf.load(path)})
    options = OmegaConf.to_container(config.loss, resolve=True)
    assert isinstance(options, dict)
    loss_class = get_class(options.pop("_target_"))
    assert loss_class in vars(rmx.losses).values()
    assert set(options) <= set(inspect.signature(loss_class).parameters)
    loss = loss_class(**{str(key): value for key, value in options.items()})
    assert loss.ties in ("soft", "model")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_checks_read_the_same_options_from_source_as_the_class_takes(path):
    target = OmegaConf.create({"loss": OmegaConf.load(path)}).loss["_target_"]
    read = signature_of(target)
    assert not read.takes_any
    assert set(read.parameters) == set(inspect.signature(get_class(target)).parameters)
    assert {"ties", "centering"} <= set(read.parameters)


def test_every_promised_loss_has_a_config():
    promised = "bt bt_margin bt_scaled brier classification davidson hinge kwise mse ordinal"
    assert [path.stem for path in CONFIGS] == sorted(
        [*promised.split(), "plackett_luce", "rao_kupper"]
    )


def test_losses_import_no_other_family():
    for path in Path(rmx.losses.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (module := node.module or "").startswith("rmx"):
                assert module in ("rmx.types", "rmx.errors") or module.startswith("rmx.losses")
