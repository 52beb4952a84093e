"""Each rule of the preflight refuses the fault that it is there for."""

import pytest

from rmx.data.rendering import Renderer
from rmx.errors import DataError
from rmx.types import Message


def preflight(tokenizer, *groups):
    Renderer(tokenizer, max_length=200).preflight(groups)


@pytest.mark.parametrize(
    ("name", "bos"),
    [
        ("chatml", "<|bos|>"),
        ("chatml", None),
        ("inst", "<|bos|>"),  # this template writes BOS itself
        ("plain", "<|bos|>"),
        ("plain", None),
    ],
)
def test_sound_templates_pass(make_tokenizer, make_group, templates, name, bos):
    preflight(make_tokenizer(templates[name], bos=bos), make_group("yes", "no"))


def test_a_bos_that_opens_every_turn_passes(make_tokenizer, make_group):
    preflight(make_tokenizer(bos="<|im_start|>"), make_group("yes", "no"))


def test_a_doubled_bos_is_refused(make_tokenizer, make_group, templates):
    tokenizer = make_tokenizer("{{ bos_token + bos_token }}" + templates["chatml"])
    with pytest.raises(DataError, match=r"exactly one BOS .*, got 2"):
        preflight(tokenizer, make_group("yes", "no"))


def test_a_doubled_end_marker_is_refused(make_tokenizer, make_group, templates):
    template = templates["chatml"].replace("<|im_end|>", "<|im_end|><|im_end|>")
    with pytest.raises(DataError, match="exactly one end marker"):
        preflight(make_tokenizer(template), make_group("yes", "no"))


@pytest.mark.parametrize("pad", ["<|eos|>", None])
def test_padding_with_eos_or_nothing_is_refused(make_tokenizer, make_group, pad):
    with pytest.raises(DataError, match="pad token must be distinct from EOS"):
        preflight(make_tokenizer(pad=pad), make_group("yes", "no"))


def test_padding_with_the_templates_last_token_is_refused(make_tokenizer, make_group, templates):
    template = templates["chatml"].replace("<|im_end|>\n", "<|im_end|>")
    tokenizer = make_tokenizer(template, pad="<|im_end|>")
    with pytest.raises(DataError, match="last token must not be the pad token"):
        preflight(tokenizer, make_group("yes", "no"))


def test_a_rewritten_completion_is_refused(make_tokenizer, make_group, templates):
    template = templates["chatml"].replace("m['content']", "m['content'] | upper")
    with pytest.raises(DataError, match="render a completion verbatim"):
        preflight(make_tokenizer(template), make_group("yes", "no", prompt="QUESTION"))


def test_a_system_message_left_out_in_silence_is_refused(make_tokenizer, make_group, templates):
    template = templates["chatml"].replace("in messages", "in messages if m['role'] != 'system'")
    prompt = (Message("system", "be brief"), Message("user", "hello"))
    with pytest.raises(DataError, match="must render each system message"):
        preflight(make_tokenizer(template), make_group("yes", "no", prompt=prompt))


def test_a_template_without_the_answer_is_refused(make_tokenizer, make_group, templates):
    template = templates["chatml"].replace("in messages", "in messages if m['role'] == 'user'")
    with pytest.raises(DataError, match="must render the assistant's answer"):
        preflight(make_tokenizer(template), make_group("yes", "no"))


def test_a_tokenizer_that_splits_special_tokens_is_refused(make_tokenizer, make_group):
    tokenizer = make_tokenizer()
    tokenizer.split_special_tokens = True
    with pytest.raises(DataError, match="special tokens must be those that its text spells out"):
        preflight(tokenizer, make_group("yes", "no"))


def test_each_domain_is_looked_at_but_only_its_first_rows(make_tokenizer, make_group, templates):
    template = templates["chatml"].replace("m['content']", "m['content'].replace('!', '.')")
    sound = [make_group("yes", "no") for _ in range(3)]
    preflight(make_tokenizer(template), *sound, make_group("yes!", "no"))
    with pytest.raises(DataError, match="preflight of group 'late'"):
        preflight(make_tokenizer(template), *sound, make_group("yes!", "no", domain="x", id="late"))


def test_rows_with_control_tokens_are_left_to_the_renderer(make_tokenizer, make_group):
    preflight(
        make_tokenizer(), make_group("yes", "<|eos|>"), make_group("a", "b", prompt="<|pad|>")
    )
