"""The rules that a rendered conversation keeps, checked on real rows before a run.

No loss curve shows these faults: a doubled BOS, a missing or doubled end marker, padding that can't
be told from EOS, a template that rewrites or loses text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from rmx.data.template import ChatTemplate, ChatText
from rmx.errors import DataError
from rmx.types import PreferenceGroup

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def check_rendering(group: PreferenceGroup, template: ChatTemplate) -> None:
    """Check one group; texts that spell out control tokens are for the renderer to drop.

    Raises:
        DataError: the first rule that is broken.
    """
    tokenizer = template.tokenizer
    if any(template.control_tokens(turn.content) for turn in group.prompt):
        return
    try:
        chat = template.render(group.prompt, group.completions)
        _check_pad(tokenizer)
        _check_prompt(group, chat)
        for completion, answer in zip(group.completions, chat.answers, strict=True):
            if template.control_tokens(completion):
                continue
            if answer is None:
                _fail(
                    "the chat template must render a completion verbatim",
                    f"another text for {completion[:40]!r}",
                    "correct the template, or remove what it rewrites from the data",
                )
            text = chat.prefix + answer + chat.suffix
            ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]  # type: ignore
            _check_special(template, text, ids)
            _check_bos(template, text, ids)
            _check_end(template, chat, ids)
    except DataError as error:
        raise DataError(f"preflight of group {group.id!r}: {error}") from None


def _check_pad(tokenizer: PreTrainedTokenizerBase) -> None:
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        _fail(
            "the pad token must be distinct from EOS",
            f"pad {tokenizer.pad_token!r} and EOS {tokenizer.eos_token!r}",
            "set the tokenizer's pad_token to a token of its own",
        )


def _check_prompt(group: PreferenceGroup, chat: ChatText) -> None:
    # Earlier answers may be changed on purpose: templates leave out their reasoning.
    for turn in group.prompt:
        if turn.role != "assistant" and turn.content.strip() not in chat.prefix:
            _fail(
                f"the chat template must render each {turn.role} message",
                f"a prompt without {turn.content.strip()[:40]!r}",
                f"remove the {turn.role} messages or choose another model",
            )


def _check_special(template: ChatTemplate, text: str, ids: list[int]) -> None:
    tokenizer = template.tokenizer
    written = template.control_tokens(text)
    special = set(tokenizer.convert_tokens_to_ids(written))  # type: ignore[arg-type]
    special |= set(tokenizer.all_special_ids)
    found = tokenizer.convert_ids_to_tokens([token for token in ids if token in special])
    if found != written:
        _fail(
            "a row's special tokens must be those that its text spells out",
            f"{found} for {written}",
            "correct the tokenizer's special tokens and post-processor",
        )


def _check_bos(template: ChatTemplate, text: str, ids: list[int]) -> None:
    bos_id = template.tokenizer.bos_token_id
    num_bos = next((i for i, token in enumerate(ids) if token != bos_id), len(ids))
    if template.bos and num_bos != 1:
        _fail(
            f"a row must begin with exactly one BOS ({template.bos!r})",
            f"{num_bos} in {text[:40]!r}",
            "correct the chat template",
        )


def _check_end(template: ChatTemplate, chat: ChatText, ids: list[int]) -> None:
    # Two different markers are an end of turn and an end of text, as some templates close with.
    markers = template.control_tokens(chat.suffix)
    if len(set(markers)) != len(markers):
        _fail(
            "a completion must be followed by exactly one end marker",
            f"{chat.suffix!r}",
            "correct the chat template",
        )
    if ids[-1] == template.tokenizer.pad_token_id:
        _fail(
            "a row's last token must not be the pad token",
            f"{chat.suffix!r}",
            "set the tokenizer's pad_token to a token of its own",
        )


def _fail(rule: str, value: str, remedy: str) -> NoReturn:
    raise DataError(f"{rule}, got {value}; {remedy}")
