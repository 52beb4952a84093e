"""Loads a language model without its lm_head, ready to become a reward model."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from rmx.errors import ConfigError, ModelError
from rmx.models.availability import check_backbone, is_local
from rmx.models.smollm2 import HUB_ID, SMOLLM2, convert_smollm2
from rmx.models.tokenizer import fit_embeddings, prepare_tokenizer

DType = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Backbone:
    """A decoder and its tokenizer.

    Attributes:
        model: without lm_head, dropout off, in training mode.
        tokenizer: pads on the right with a token that is not EOS; has a chat template.
        name: hub id, folder or kind, for people.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str

    @property
    def hidden_size(self) -> int:
        return self.model.config.hidden_size


def load_backbone(
    path: str,
    *,
    dtype: DType = "float32",
    attention: str = "sdpa",
    gradient_checkpointing: bool = False,
) -> Backbone:
    """Load a pretrained backbone.

    Args:
        path: "smollm2_135m", a hub id such as "Qwen/Qwen3-0.6B", or a local folder.
        dtype: of the weights.
        attention: transformers' name of an attention implementation.
        gradient_checkpointing: recompute trained layers in the backward pass: less memory, about a
            third more time.

    Raises:
        ModelError: where it can't be had or used, in one line; see `check_backbone`.
    """
    check_backbone(path)
    name = HUB_ID if path == SMOLLM2 else path
    with quiet():
        folder = convert_smollm2() if path == SMOLLM2 else os.path.expanduser(path)
        model, tokenizer = _read(folder, dtype=torch_dtype(dtype), attention=attention)
    return make_backbone(model, tokenizer, name=name, gradient_checkpointing=gradient_checkpointing)


def _read(
    path: str, *, dtype: torch.dtype, attention: str
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": is_local(path)}
    try:
        config = AutoConfig.from_pretrained(path, **options)
        tokenizer = AutoTokenizer.from_pretrained(path, **options)
        model, loading = AutoModel.from_pretrained(
            path,
            config=without_dropout(config),
            dtype=dtype,
            attn_implementation=attention,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(f"model.path={path!r} can't be loaded: {reason}") from error
    if missing := sorted(loading["missing_keys"]):
        raise ModelError(
            f"a backbone must have all its weights, but {path!r} lacks {len(missing)}, "
            f"{missing[0]} first: take the full model (adapters are merged into one first)"
        )
    return model, tokenizer


def make_backbone(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    name: str,
    gradient_checkpointing: bool = False,
) -> Backbone:
    """Return model and tokenizer as a backbone, both changed in place as it needs."""
    if model.config.get_text_config() is not model.config:
        model = model.get_decoder()  # of a multimodal model, only what reads text
    prepare_tokenizer(tokenizer)
    fit_embeddings(model, tokenizer)
    model.config.use_cache = False
    if gradient_checkpointing:
        if not model.supports_gradient_checkpointing:
            raise ConfigError(
                f"{name} has no gradient checkpointing: drop gradient_checkpointing=true"
            )
        # Not reentrant, which drops gradients where a layer's input needs none, as above a frozen
        # trunk. transformers also makes embeddings require gradients, for that other kind's sake:
        # the frozen trunk would keep a graph.
        model.activation_checkpointing_enable({"use_reentrant": False})
        model.disable_input_require_grads()
    return Backbone(model=model.train(), tokenizer=tokenizer, name=name)


def without_dropout(config: PretrainedConfig) -> PretrainedConfig:
    """Return the config with every dropout rate, whatever its name, set to 0.

    With dropout, chosen and rejected would be read by different networks, and a margin of two
    similar texts would be mostly that difference.
    """
    for part in {id(c): c for c in (config, config.get_text_config())}.values():
        for key, value in part.to_dict().items():
            if isinstance(value, float) and ("drop" in key or key.endswith("_pdrop")):
                setattr(part, key, 0.0)
    return config


def torch_dtype(name: str) -> torch.dtype:
    """Return the torch dtype of that name; raise ConfigError where it can't hold weights."""
    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in dtypes:
        raise ConfigError(f"model.dtype must be one of {', '.join(dtypes)}, got {name!r}")
    return dtypes[name]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back transformers' load reports and bars; bars of downloads still show.

    A report would say that the lm_head is not used; what matters in it, missing weights, is raised.
    """
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    hook = logging.set_tqdm_hook(lambda factory, args, kwargs: logging.EmptyTqdm(*args, **kwargs))
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        logging.set_tqdm_hook(hook)
