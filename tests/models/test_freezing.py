"""Strategies train what they say, no more, and leave the rest without autograd or dropout."""

import pytest
import torch
from torch.testing import assert_close

from rmx.errors import ConfigError
from rmx.models import HeadOnly, LastLayer, LastN, LoRA, NoFreeze

# Tiny models have H = 64, an inner width of 128, 4 heads of 16, 2 of them for keys and values.
GATED_MLP = 3 * 64 * 128
ATTENTION = 2 * 64 * 64 + 2 * 64 * 32  # query and output; key and value
FULL_BLOCK = (  # GPT-2, GPT-NeoX: biases everywhere, two layer norms with bias
    (64 * 192 + 192) + (64 * 64 + 64) + (64 * 128 + 128) + (128 * 64 + 64) + 2 * 2 * 64
)
BLOCK = {
    "llama": ATTENTION + GATED_MLP + 2 * 64,
    "mistral": ATTENTION + GATED_MLP + 2 * 64,
    "qwen3": ATTENTION + GATED_MLP + 2 * 64 + 2 * 16,  # norms of each head's query and key
    "gemma3": ATTENTION + GATED_MLP + 4 * 64 + 2 * 16,  # norms after attention and MLP as well
    "gpt2": FULL_BLOCK,
    "gpt_neox": FULL_BLOCK,
}
NORM = {name: 128 if name.startswith("gpt") else 64 for name in BLOCK}
EMBEDDINGS = {name: 260 * 64 + (2048 * 64 if name == "gpt2" else 0) for name in BLOCK}
HEAD = 64


def rank_1_size(architecture: str) -> int:
    """A rank-1 adapter of an [in, out] map has in + out parameters."""
    if architecture.startswith("gpt"):
        return (64 + 192) + (64 + 64) + (64 + 128) + (128 + 64)
    return 2 * (64 + 64) + 2 * (64 + 32) + 3 * (64 + 128)


def test_no_freeze_trains_everything(architecture, make_model):
    total = EMBEDDINGS[architecture] + 2 * BLOCK[architecture] + NORM[architecture] + HEAD
    report = NoFreeze().apply(make_model(architecture))
    assert (report.num_trainable, report.num_total, report.num_frozen_layers) == (total, total, 0)


def test_last_layer_trains_one_block_final_norm_and_head(architecture, make_model):
    report = LastLayer().apply(make_model(architecture, num_layers=3))
    assert report.num_trainable == BLOCK[architecture] + NORM[architecture] + HEAD
    assert (
        report.num_total
        == report.num_trainable + EMBEDDINGS[architecture] + 2 * BLOCK[architecture]
    )
    assert report.num_frozen_layers == 2


def test_last_n_trains_n_blocks_final_norm_and_head(architecture, make_model):
    report = LastN(n=2).apply(make_model(architecture, num_layers=3))
    assert report.num_trainable == 2 * BLOCK[architecture] + NORM[architecture] + HEAD
    assert report.num_frozen_layers == 1


def test_head_only_trains_the_head(architecture, make_model):
    report = HeadOnly().apply(make_model(architecture))
    assert (report.num_trainable, report.num_frozen_layers) == (HEAD, 2)


def test_lora_trains_adapters_and_head(architecture, make_model):
    report = LoRA(r=3).apply(make_model(architecture))
    adapters = 3 * 2 * rank_1_size(architecture)
    assert report.num_trainable == adapters + HEAD
    assert report.num_total == (
        EMBEDDINGS[architecture] + 2 * BLOCK[architecture] + NORM[architecture] + adapters + HEAD
    )
    assert report.num_frozen_layers == 0


@pytest.mark.parametrize(
    ("strategy", "line"),
    [
        (
            NoFreeze(),
            "trains 127.7 K of 127.7 K parameters (100 %): everything; 0 of 3 layers frozen",
        ),
        (
            LastLayer(),
            "trains 37.1 K of 127.7 K parameters (29 %): last decoder block, final norm, head; "
            "2 of 3 layers frozen",
        ),
        (
            LastN(n=2),
            "trains 74.1 K of 127.7 K parameters (58 %): last 2 decoder blocks, final norm, head; "
            "1 of 3 layers frozen",
        ),
        (HeadOnly(), "trains 64 of 127.7 K parameters (0.05 %): head; 3 of 3 layers frozen"),
        (
            LoRA(r=1, target_modules=["q_proj"]),
            "trains 448 of 128.1 K parameters (0.35 %): rank-1 adapters on 3 maps, head; "
            "0 of 3 layers frozen",
        ),
    ],
)
def test_report_is_one_readable_line(strategy, line, make_model):
    # 16640 + 3 * 36992 + 64 + 64 = 127744 parameters; three rank-1 adapters of q_proj add 3 * 128
    assert str(strategy.apply(make_model(num_layers=3))) == line


def test_only_trained_parameters_get_gradients(architecture, make_model, pad, rows):
    for strategy in (NoFreeze(), LastLayer(), HeadOnly(), LoRA(r=2)):
        model = make_model(architecture)
        strategy.apply(model)
        model(pad(rows)).square().sum().backward()
        for name, p in model.named_parameters():
            assert (p.grad is not None) == p.requires_grad, name


@pytest.mark.parametrize("checkpointing", [False, True])
def test_no_graph_is_kept_for_the_frozen_trunk(architecture, checkpointing, make_model, pad, rows):
    model = make_model(architecture, num_layers=3, gradient_checkpointing=checkpointing)
    LastLayer().apply(model)
    has_graph = []

    def note(module, args, output):
        hidden_CTH = output[0] if isinstance(output, tuple) else output
        has_graph.append(hidden_CTH.requires_grad)

    for layer in model.decoder_layers:
        layer.register_forward_hook(note)
    model(pad(rows))
    assert has_graph == [False, False, True]


def test_head_only_runs_the_backbone_without_autograd(make_model, pad, rows):
    model = make_model()
    HeadOnly().apply(model)
    modes = []
    model.backbone.register_forward_hook(lambda *_: modes.append(torch.is_grad_enabled()))
    reward_C = model(pad(rows))
    assert modes == [False]
    assert reward_C.requires_grad


def test_frozen_modules_stay_in_eval_mode(architecture, make_model):
    model = make_model(architecture, num_layers=3)
    LastLayer().apply(model)
    model.train()
    lower, last = model.decoder_layers[:2], model.decoder_layers[2]
    assert not any(module.training for layer in lower for module in layer.modules())
    assert not model.backbone.get_input_embeddings().training
    assert all(module.training for module in (last, model.final_norm, model.head))
    model.eval()
    assert not any(module.training for module in model.modules())


def test_lora_dropout_is_on_while_training(make_model):
    model = make_model()
    LoRA(r=2, dropout=0.5).apply(model)
    dropouts = [m for m in model.modules() if isinstance(m, torch.nn.Dropout) and m.p == 0.5]
    assert dropouts
    assert all(m.training for m in dropouts)


def test_last_n_of_all_layers_leaves_embeddings_frozen(make_model):
    model = make_model()
    report = LastN(n=2).apply(model)
    assert report.num_frozen_layers == 0
    assert not model.backbone.get_input_embeddings().weight.requires_grad


@pytest.mark.parametrize("n", [0, -1])
def test_last_n_below_one_is_refused(n):
    with pytest.raises(ConfigError, match=f"at least 1, got {n}; freeze=head_only"):
        LastN(n=n)


def test_last_n_above_the_number_of_layers_is_refused(make_model):
    with pytest.raises(ConfigError, match="at most the backbone's 2 layers, got 3; freeze=none"):
        LastN(n=3).apply(make_model())


def test_applying_another_strategy_replaces_the_first(make_model):
    model = make_model()
    HeadOnly().apply(model)
    assert LastLayer().apply(model) == LastLayer().apply(make_model())
    assert NoFreeze().apply(model) == NoFreeze().apply(make_model())
    assert model.decoder_layers[0].training


@torch.no_grad()
def test_lora_changes_no_reward_before_training(architecture, make_model, pad, rows):
    plain, adapted = make_model(architecture), make_model(architecture)
    LoRA(r=2).apply(adapted)
    assert_close(adapted(pad(rows)), plain(pad(rows)), atol=1e-6, rtol=1e-6)


def test_lora_on_named_maps_only(make_model):
    model = make_model()
    LoRA(r=2, target_modules=["q_proj", "1.mlp.up_proj"]).apply(model)
    adapted = {
        name.split(".lora_A")[0] for name, p in model.named_parameters() if ".lora_A" in name
    }
    assert adapted == {
        "backbone.layers.0.self_attn.q_proj",
        "backbone.layers.1.self_attn.q_proj",
        "backbone.layers.1.mlp.up_proj",
    }


def test_lora_refuses_a_name_that_is_no_map(make_model):
    with pytest.raises(ConfigError, match="got 'qproj'; they are down_proj, gate_proj"):
        LoRA(target_modules=["qproj"]).apply(make_model())


def test_lora_adapters_are_float32_on_a_bf16_backbone(make_model):
    model = make_model(dtype="bfloat16")
    LoRA(r=2).apply(model)
    dtypes = {p.requires_grad: p.dtype for p in model.backbone.parameters()}
    assert dtypes == {True: torch.float32, False: torch.bfloat16}


def gradients(model, tokens) -> dict[str, torch.Tensor]:
    model(tokens).square().sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("strategy", [NoFreeze(), LastLayer(), LoRA(r=2)])
def test_gradient_checkpointing_changes_no_gradient(architecture, strategy, make_model, pad, rows):
    models = [
        make_model(architecture, num_layers=3, gradient_checkpointing=checkpointing)
        for checkpointing in (False, True)
    ]
    for model in models:
        torch.manual_seed(0)  # LoRA draws its A
        strategy.apply(model)
    plain, checkpointed = (gradients(model, pad(rows)) for model in models)
    assert plain.keys() == checkpointed.keys()
    assert_close(checkpointed, plain, atol=1e-6, rtol=1e-5)


def test_gradient_checkpointing_recomputes_trained_layers_only(make_model, pad, rows):
    model = make_model(num_layers=3, gradient_checkpointing=True)
    LastLayer().apply(model)
    calls = [0, 0, 0]
    for i, layer in enumerate(model.decoder_layers):
        layer.mlp.register_forward_pre_hook(lambda *_, i=i: calls.__setitem__(i, calls[i] + 1))
    model(pad(rows)).sum().backward()
    assert calls == [1, 1, 2]


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("strategy", [LastLayer(), LastN(n=3), HeadOnly(), LoRA(r=2)])
def test_frozen_parameters_may_be_bf16_while_trained_ones_are_float32(
    architecture, strategy, autocast, make_model, pad, rows
):
    exact, mixed = make_model(architecture, num_layers=3), make_model(architecture, num_layers=3)
    strategy.apply(exact)
    strategy.apply(mixed, frozen_dtype=torch.bfloat16)
    for name, p in mixed.named_parameters():
        assert p.dtype == (torch.float32 if p.requires_grad else torch.bfloat16), name
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        reward_C = mixed(pad(rows))
    reward_C.square().sum().backward()
    assert reward_C.dtype == torch.float32
    # Rewards of size 1 from weights with 8 bits of mantissa, through 3 layers.
    assert_close(reward_C, exact(pad(rows)), atol=5e-2, rtol=5e-2)


def test_hidden_states_enter_the_trained_layers_as_float32(make_model, pad, rows):
    model = make_model(num_layers=3)
    LastLayer().apply(model, frozen_dtype=torch.bfloat16)
    dtypes = []
    for layer in model.decoder_layers:
        layer.input_layernorm.register_forward_pre_hook(
            lambda module, args: dtypes.append(args[0].dtype)
        )
    model(pad(rows))
    assert dtypes == [torch.bfloat16, torch.bfloat16, torch.float32]
