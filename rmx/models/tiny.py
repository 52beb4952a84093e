"""A random backbone of any architecture in milliseconds, for tests and trials of the pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import (
    AutoModel,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from rmx.errors import ConfigError
from rmx.models.backbone import Backbone, DType, make_backbone, torch_dtype, without_dropout

Architecture = Literal["llama", "mistral", "qwen3", "gemma3", "gpt2", "gpt_neox"]

PAD, BOS, START, END = "<|pad|>", "<|bos|>", "<|im_start|>", "<|im_end|>"
MAX_POSITIONS = 2048
WINDOW = 16  # of sliding attention: short, so that tests reach its edge
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def tiny_backbone(
    architecture: Architecture = "llama",
    *,
    hidden_size: int = 64,
    num_layers: int = 2,
    num_heads: int = 4,
    dtype: DType = "float32",
    attention: str = "sdpa",
    gradient_checkpointing: bool = False,
    seed: int = 0,
) -> Backbone:
    """Return a random decoder with a byte tokenizer; the same for the same arguments.

    Args:
        architecture: "llama", "mistral", "qwen3", "gemma3", "gpt2" or "gpt_neox".
        hidden_size: a multiple of 2 * num_heads.
        seed: of the weights; no other random state is read or changed.
    """
    if architecture not in CONFIGS:
        raise ConfigError(
            f"model.architecture must be one of {', '.join(CONFIGS)}, got {architecture!r}"
        )
    if hidden_size % (2 * num_heads):
        raise ConfigError(
            f"model.hidden_size must be a multiple of 2 * num_heads = {2 * num_heads}, "
            f"got {hidden_size}"
        )
    tokenizer = byte_tokenizer()
    config = CONFIGS[architecture](
        hidden_size,
        num_layers,
        num_heads,
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        max_position_embeddings=MAX_POSITIONS,
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = AutoModel.from_config(
            without_dropout(config), dtype=torch_dtype(dtype), attn_implementation=attention
        )
    return make_backbone(
        model,
        tokenizer,
        name=f"tiny-{architecture}",
        gradient_checkpointing=gradient_checkpointing,
    )


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer with one token a UTF-8 byte, four special tokens and a chat template."""
    specials = (PAD, BOS, START, END)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: i for i, token in enumerate((*specials, *alphabet))}
    tokenizer = Tokenizer(BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in specials])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=END,
        pad_token=PAD,
        chat_template=CHAT_TEMPLATE,
        model_max_length=MAX_POSITIONS,
    )


def _grouped(
    kind: Callable[..., PretrainedConfig], **fixed: Any
) -> Callable[..., PretrainedConfig]:
    """Return a maker of configs of Llama's kind: gated MLP, two query heads a key head."""

    def make(hidden_size: int, num_layers: int, num_heads: int, **more: Any) -> PretrainedConfig:
        return kind(
            hidden_size=hidden_size,
            intermediate_size=2 * hidden_size,
            num_hidden_layers=num_layers,
            num_attention_heads=num_heads,
            num_key_value_heads=max(1, num_heads // 2),
            head_dim=hidden_size // num_heads,
            **fixed,
            **more,
        )

    return make


def _gpt_neox(hidden_size: int, num_layers: int, num_heads: int, **more: Any) -> PretrainedConfig:
    return GPTNeoXConfig(
        hidden_size=hidden_size,
        intermediate_size=2 * hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        **more,
    )


def _gpt2(hidden_size: int, num_layers: int, num_heads: int, **more: Any) -> PretrainedConfig:
    return GPT2Config(
        n_embd=hidden_size,
        n_inner=2 * hidden_size,
        n_layer=num_layers,
        n_head=num_heads,
        **more,
    )


CONFIGS: dict[str, Callable[..., PretrainedConfig]] = {
    "llama": _grouped(LlamaConfig),
    "mistral": _grouped(MistralConfig, sliding_window=WINDOW),
    "qwen3": _grouped(Qwen3Config),
    "gemma3": _grouped(Gemma3TextConfig, sliding_window=WINDOW),
    "gpt2": _gpt2,
    "gpt_neox": _gpt_neox,
}
