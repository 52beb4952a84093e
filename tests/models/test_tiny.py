"""Tiny backbones are reproducible, offline, and shaped like the real ones."""

import pytest
import torch

from rmx.errors import ConfigError
from rmx.models import tiny_backbone
from rmx.models.tiny import byte_tokenizer


def test_the_same_seed_gives_the_same_weights(architecture):
    first, second = (tiny_backbone(architecture, seed=3).model for _ in range(2))
    other = tiny_backbone(architecture, seed=4).model
    pairs = list(zip(first.parameters(), second.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert not all(torch.equal(a, c) for a, _, c in pairs)


def test_global_random_state_is_neither_read_nor_changed(architecture):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    model = tiny_backbone(architecture).model
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(8)
    again = tiny_backbone(architecture).model
    assert all(map(torch.equal, model.parameters(), again.parameters()))


def test_shape_is_what_was_asked_for(architecture):
    backbone = tiny_backbone(architecture, hidden_size=32, num_layers=3, num_heads=2)
    assert backbone.hidden_size == 32
    assert backbone.model.config.num_hidden_layers == 3
    assert backbone.model.get_input_embeddings().weight.shape == (260, 32)
    assert backbone.name == f"tiny-{architecture}"


def test_backbone_has_no_dropout(architecture):
    model = tiny_backbone(architecture).model
    input_ids = torch.arange(4, 30)[None]
    assert model.training
    first, second = (model(input_ids=input_ids).last_hidden_state for _ in range(2))
    assert torch.equal(first, second)
    assert all(m.p == 0 for m in model.modules() if isinstance(m, torch.nn.Dropout))


@pytest.mark.parametrize("text", ["plain", "  spaces\n\ttabs ", "Ünïcödé 漢字 🙂", "<|im_end|>x"])
def test_tokenizer_returns_what_it_was_given(text):
    tokenizer = byte_tokenizer()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text


def test_tokenizer_has_one_token_a_byte():
    tokenizer = byte_tokenizer()
    assert len(tokenizer) == 256 + 4
    assert len(tokenizer("Ü 🙂", add_special_tokens=False)["input_ids"]) == len("Ü 🙂".encode())


def test_special_tokens_are_distinct():
    tokenizer = byte_tokenizer()
    assert tokenizer.bos_token_id != tokenizer.eos_token_id
    assert tokenizer.pad_token_id not in (tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert tokenizer.padding_side == "right"


def test_chat_template_renders_one_bos_and_a_prefix_for_the_prompt():
    tokenizer = byte_tokenizer()
    user, assistant = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}
    prompt = tokenizer.apply_chat_template([user], tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template([user, assistant], tokenize=False)
    assert prompt == "<|bos|><|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert whole == f"{prompt}Yo<|im_end|>\n"


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match=r"one of llama, mistral, .* got 'bert'"):
        tiny_backbone("bert")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"multiple of 2 \* num_heads = 8, got 60"):
        tiny_backbone(hidden_size=60)
