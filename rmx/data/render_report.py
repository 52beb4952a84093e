"""What rendering cut and dropped, by domain."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

TOO_LONG = "the completion is too long"
CONTROL_TOKEN = "the text spells out a control token"
CHANGED = "the chat template changes the completion"
EQUAL_TOKENS = "both sides are the same tokens"
UNCOMPARED = "in no comparison"

ByReason = Counter[tuple[str, str]]  # (reason, domain)


@dataclass(slots=True)
class RenderReport:
    """Counts of one renderer's work so far.

    Attributes:
        max_length: tokens that a row may have.
        num_groups: groups seen, by domain.
        num_comparisons: comparisons seen, by domain.
        cut_prompts: groups whose prompt lost tokens on its left, by domain.
        dropped_completions, dropped_comparisons, dropped_groups: by (reason, domain); a group is
            dropped with its last comparison and counted under that one's reason.
    """

    max_length: int
    num_groups: Counter[str] = field(default_factory=Counter)
    num_comparisons: Counter[str] = field(default_factory=Counter)
    cut_prompts: Counter[str] = field(default_factory=Counter)
    dropped_completions: ByReason = field(default_factory=Counter)
    dropped_comparisons: ByReason = field(default_factory=Counter)
    dropped_groups: ByReason = field(default_factory=Counter)

    def lines(self) -> list[str]:
        """Return short lines to print; none where nothing was cut or dropped."""
        found = []
        if self.cut_prompts:
            found.append(
                f"prompts cut from their left to fit max_length={self.max_length}: "
                f"{self.cut_prompts.total():,} of {self.num_groups.total():,}"
                f" ({_largest(self.cut_prompts)})"
            )
        for reason in sorted({reason for reason, _ in self.dropped_comparisons}):
            counts = _of_reason(self.dropped_comparisons, reason)
            found.append(
                f"comparisons dropped, {reason}: "
                f"{counts.total():,} of {self.num_comparisons.total():,}, with them "
                f"{_of_reason(self.dropped_groups, reason).total():,} of "
                f"{self.num_groups.total():,} groups ({_largest(counts)})"
            )
        return found


def _of_reason(counts: ByReason, reason: str) -> Counter[str]:
    return Counter({domain: n for (why, domain), n in counts.items() if why == reason})


def _largest(counts: Counter[str], limit: int = 6) -> str:
    domains = sorted(counts, key=lambda domain: (-counts[domain], domain))
    named = ", ".join(f"{domain} {counts[domain]:,}" for domain in domains[:limit])
    rest = sum(counts[domain] for domain in domains[limit:])
    return f"{named}, other domains {rest:,}" if rest else named
