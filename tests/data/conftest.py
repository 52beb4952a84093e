"""Small tokenizers, made offline: one token a byte, two merges, and a choice of chat templates."""

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from rmx.types import Comparison, Message, PreferenceGroup

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
)
# BOS once a user turn, trimmed answers, EOS after each; refuses what doesn't alternate.
INST = (
    "{% for m in messages %}"
    "{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] | trim + eos_token }}{% endif %}{% endfor %}"
)
PLAIN = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
SPECIAL = ("<|bos|>", "<|eos|>", "<|pad|>", "<|im_start|>", "<|im_end|>")


def build_tokenizer(
    template: str = CHATML, *, bos: str | None = "<|bos|>", pad: str | None = "<|pad|>"
) -> PreTrainedTokenizerFast:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, "ĊĊ", "Ġb"]  # ByteLevel writes a line break as Ċ and a space as Ġ
    backend = Tokenizer(
        models.BPE(
            vocab={token: i for i, token in enumerate(tokens)}, merges=[("Ċ", "Ċ"), ("Ġ", "b")]
        )
    )
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=bos, eos_token="<|eos|>", pad_token=pad
    )
    tokenizer.chat_template = template
    return tokenizer


def build_group(
    *completions: str,
    prompt: str | tuple[Message, ...] = "question",
    comparisons: tuple[Comparison, ...] = (Comparison(0, 1),),
    id: str = "g",
    domain: str = "coding",
    ratings: tuple[float, ...] | None = None,
) -> PreferenceGroup:
    turns = (Message("user", prompt),) if isinstance(prompt, str) else prompt
    return PreferenceGroup(id, turns, completions, comparisons, domain, ratings=ratings)


@pytest.fixture(scope="session")
def make_tokenizer():
    return build_tokenizer


@pytest.fixture(scope="session")
def make_group():
    return build_group


@pytest.fixture(scope="session")
def templates():
    return {"chatml": CHATML, "inst": INST, "plain": PLAIN}
