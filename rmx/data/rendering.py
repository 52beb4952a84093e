"""Groups → token ids: the chat template, special tokens, and what happens to what is too long.

A text that spells out one of the tokenizer's special tokens (such as "<|im_end|>") would put a
control token where a person wrote letters; such a completion, or a group with such a prompt, is
dropped and counted. The prompt is cut from its left, a completion never.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from rmx.data.preflight import check_rendering
from rmx.data.ranking import ranks_from_comparisons, ranks_from_ratings
from rmx.data.render_report import (
    CHANGED,
    CONTROL_TOKEN,
    EQUAL_TOKENS,
    TOO_LONG,
    UNCOMPARED,
    RenderReport,
)
from rmx.data.template import ChatTemplate
from rmx.errors import DataError, ModelError
from rmx.types import Comparison, PreferenceGroup, TokenizedGroup

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MIN_PROMPT_TOKENS = 16  # of a cut prompt, BOS aside: less tells nothing of what was asked
_GROUPS_AT_ONCE = 256
_SLOW_S = 2.0  # tokenizing that is faster shows no progress bar


@dataclass(frozen=True, slots=True)
class Row:
    """A completion after its prompt: int32 token ids, the first `prompt_length` the prompt's."""

    ids: np.ndarray
    prompt_length: int


class Renderer:
    """Turns groups into token ids for one tokenizer.

    Args:
        tokenizer: a fast one (it must give character offsets) with a chat template.
        max_length: tokens that a prompt and its completion may have together.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, max_length: int) -> None:
        if not tokenizer.is_fast:
            raise ModelError(
                f"the tokenizer must be a fast one, got {type(tokenizer).__name__}; convert it to "
                "a tokenizer.json"
            )
        self.tokenizer = tokenizer
        bos_id = tokenizer.bos_token_id
        self._bos_id = bos_id if isinstance(bos_id, int) else None
        self.max_length = max_length
        self.template = ChatTemplate(tokenizer)
        self.report = RenderReport(max_length)

    @property
    def pad_id(self) -> int:
        pad_id = self.tokenizer.pad_token_id
        assert isinstance(pad_id, int), "load_backbone gives every tokenizer a pad token"
        return pad_id

    def tokenize(self, group: PreferenceGroup) -> TokenizedGroup | None:
        """Return the group as token ids; None where nothing of it is left, counted in `report`."""
        return self.tokenize_all([group]).get(0)

    def tokenize_all(self, groups: Sequence[PreferenceGroup]) -> dict[int, TokenizedGroup]:
        """Return the groups as token ids, by their place in `groups`; dropped ones are missing.

        Raises:
            DataError: the chat template refuses a conversation.
        """
        found: dict[int, TokenizedGroup] = {}
        place = count()
        remaining = iter(tqdm(groups, "tokenizing", leave=False, delay=_SLOW_S, disable=None))
        while some := list(islice(remaining, _GROUPS_AT_ONCE)):
            for group, rows, lost in self._rows(some):
                tokenized = self._assemble(group, rows, lost)
                i = next(place)
                if tokenized is not None:
                    found[i] = tokenized
        return found

    def preflight(self, groups: Iterable[PreferenceGroup], *, num_each: int = 3) -> None:
        """Check the rendering of the first groups of each domain, before any work is done on all.

        Raises:
            DataError: the rule of preflight.py that is broken, its value and a remedy.
        """
        seen: Counter[str] = Counter()
        for group in groups:
            seen[group.domain] += 1
            if seen[group.domain] <= num_each:
                check_rendering(group, self.template)

    def _rows(
        self, groups: list[PreferenceGroup]
    ) -> Iterator[tuple[PreferenceGroup, dict[int, Row], dict[int, str]]]:
        """Yield each group with its usable completions' rows, and why the others are lost."""
        texts: list[str] = []
        prompt_chars: list[int] = []
        plans: list[tuple[PreferenceGroup, list[int], dict[int, str]]] = []
        for group in groups:
            usable, lost = self._texts(group)
            texts += [prefix + rest for prefix, rest in usable.values()]
            prompt_chars += [len(prefix) for prefix, _ in usable.values()]
            plans.append((group, list(usable), lost))
        rows = iter(self._encode(texts, prompt_chars))
        for group, usable, lost in plans:
            yield group, {k: next(rows) for k in usable}, lost

    def _texts(self, group: PreferenceGroup) -> tuple[dict[int, tuple[str, str]], dict[int, str]]:
        """Return (text before a completion, the rest) of the usable ones; why others are lost."""
        if any(self.template.control_tokens(turn.content) for turn in group.prompt):
            return {}, dict.fromkeys(range(len(group.completions)), CONTROL_TOKEN)
        try:
            chat = self.template.render(group.prompt, group.completions)
        except DataError as error:
            raise DataError(f"group {group.id!r}: {error}") from None
        usable, lost = {}, {}
        for k, answer in enumerate(chat.answers):
            if self.template.control_tokens(group.completions[k]):
                lost[k] = CONTROL_TOKEN
            elif answer is None:
                lost[k] = CHANGED
            else:
                usable[k] = (chat.prefix, answer + chat.suffix)
        return usable, lost

    def _encode(self, texts: list[str], prompt_chars: list[int]) -> list[Row]:
        if not texts:
            return []
        encoded = self.tokenizer(
            texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        return [
            Row(np.array(ids, dtype=np.int32), num_prompt_tokens(offsets, chars))
            for ids, offsets, chars in zip(
                encoded["input_ids"], encoded["offset_mapping"], prompt_chars, strict=True
            )
        ]

    def _assemble(
        self, group: PreferenceGroup, rows: dict[int, Row], lost: dict[int, str]
    ) -> TokenizedGroup | None:
        """Return what is left of a group after cutting; count what isn't."""
        report, domain = self.report, group.domain
        report.num_groups[domain] += 1
        report.num_comparisons[domain] += len(group.comparisons)
        fitting, num_cut = cut_prompt(rows, self.max_length, bos_id=self._bos_id)
        lost |= dict.fromkeys(rows.keys() - fitting.keys(), TOO_LONG)
        kept: list[Comparison] = []
        reason = UNCOMPARED
        for c in group.comparisons:
            if c.chosen in lost or c.rejected in lost:
                reason = lost.get(c.chosen) or lost[c.rejected]
            elif np.array_equal(fitting[c.chosen].ids, fitting[c.rejected].ids):
                reason = EQUAL_TOKENS
            else:
                kept.append(c)
                continue
            report.dropped_comparisons[reason, domain] += 1
        compared = sorted({k for c in kept for k in (c.chosen, c.rejected)})
        for k in set(range(len(group.completions))) - set(compared):
            report.dropped_completions[lost.get(k, reason if not kept else UNCOMPARED), domain] += 1
        if not kept:
            report.dropped_groups[reason, domain] += 1
            return None
        if num_cut:
            report.cut_prompts[domain] += 1
        return self._tokenized(group, {k: fitting[k] for k in compared}, kept)

    @staticmethod
    def _tokenized(
        group: PreferenceGroup, rows: dict[int, Row], comparisons: list[Comparison]
    ) -> TokenizedGroup:
        """Return the group with its completions renumbered in the order of `rows`."""
        place = {k: i for i, k in enumerate(rows)}
        renumbered = tuple(
            replace(c, chosen=place[c.chosen], rejected=place[c.rejected]) for c in comparisons
        )
        ranks = ranks_from_comparisons(len(rows), renumbered)
        if ranks is None and group.ratings is not None:
            ranks = ranks_from_ratings([group.ratings[k] for k in rows])
        return TokenizedGroup(
            id=group.id,
            domain=group.domain,
            rows=tuple(row.ids for row in rows.values()),
            prompt_lengths=tuple(row.prompt_length for row in rows.values()),
            comparisons=renumbered,
            places=tuple(rows),
            ranks=ranks,
        )


def num_prompt_tokens(offsets: Sequence[tuple[int, int]], prompt_chars: int) -> int:
    """Return how many leading tokens end within the first `prompt_chars` characters.

    A token that straddles the boundary holds some of the completion and belongs to it.
    """
    return next((t for t, (_, end) in enumerate(offsets) if end > prompt_chars), len(offsets))


def cut_prompt(
    rows: dict[int, Row], max_length: int, *, bos_id: int | None
) -> tuple[dict[int, Row], int]:
    """Return the rows that fit, their prompts cut alike, and how many tokens were cut.

    The prompt loses tokens after BOS, as many for all completions as the longest of them needs. A
    completion that leaves less than MIN_PROMPT_TOKENS of the prompt (or all of a shorter one) is
    left out first, so that it costs the others no prompt.
    """
    num_bos = int(any(row.ids[0] == bos_id for row in rows.values()))
    fitting = {
        k: row
        for k, row in rows.items()
        if len(row.ids) - max(0, row.prompt_length - num_bos - MIN_PROMPT_TOKENS) <= max_length
    }
    num_cut = max((len(row.ids) - max_length for row in fitting.values()), default=0)
    if num_cut <= 0:
        return fitting, 0
    cut = slice(num_bos, num_bos + num_cut)
    return {
        k: Row(np.delete(row.ids, cut), row.prompt_length - num_cut) for k, row in fitting.items()
    }, num_cut
