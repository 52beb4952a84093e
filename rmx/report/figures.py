"""Figures of a validation: accuracy by domain, reliability, margins. Each returns a Figure.

Drawn with matplotlib's object API: no pyplot, so no window, no global state and nothing to close.
Colours are Okabe and Ito's, told apart by people with any colour vision; nothing is said by colour
alone. P comparisons, B bins.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import lgamma
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike, NDArray

from rmx.metrics import Predictions, SplitResult
from rmx.types import TIE

BLUE, ORANGE, VERMILION, SKY, GREY = "#0072B2", "#E69F00", "#D55E00", "#56B4E9", "#767676"
CHANCE = 0.5
SPLIT_NAMES = {"train": "training", "val": "validation", "spillover": "spillover"}
NUM_MARGIN_BINS = 30
RIGHT_PT = (48, 112)  # where the two columns beside the bars end, in points from the axes


def draw_figures(
    results: Mapping[str, SplitResult], predictions: Mapping[str, Predictions], note: str = ""
) -> dict[str, Figure]:
    """Return every figure of a validation by name; training comparisons are left out of them.

    Args:
        results, predictions: by split.
        note: what the titles add, such as the step.
    """
    shown = [split for split in results if split != "train"]
    results = {split: results[split] for split in shown}
    predictions = {split: predictions[split] for split in shown}
    return {
        "accuracy": accuracy_bars(results, note),
        "reliability": reliability_diagram(results, predictions, note),
        "margins": margin_histogram(predictions, note),
    }


def accuracy_bars(results: Mapping[str, SplitResult], note: str = "") -> Figure:
    """Return horizontal bars of accuracy, a block a split: the whole split, then its domains.

    Spillover is hatched. A split or domain without strict comparisons says so, without a bar.
    """
    num_rows = sum(2 + len(result.domains) for result in results.values())
    figure = Figure(figsize=(8, 1.3 + 0.27 * num_rows), layout="constrained")
    axes = figure.add_subplot()
    ticks, labels, bold, y = [], [], [], 0.0
    for split, result in results.items():
        rows = {SPLIT_NAMES.get(split, split): result, **result.domains}
        for i, (name, row) in enumerate(rows.items()):
            _draw_bar(axes, y, row, is_spillover=split == "spillover", is_whole=i == 0)
            ticks.append(y)
            labels.append(_shortened(name))
            bold.append(i == 0)
            y += 1
        y += 1
    axes.set_yticks(ticks, labels)
    for label, is_bold in zip(axes.get_yticklabels(), bold, strict=True):
        label.set_fontweight("bold" if is_bold else "normal")
    axes.set_ylim(max(y - 1.3, 0.7), -0.7)
    axes.axvline(CHANCE, color="black", linewidth=1, linestyle="--", zorder=3)
    above: dict[str, Any] = {"textcoords": "offset points", "va": "bottom", "fontsize": 9}
    axes.annotate("chance", (CHANCE, 1), (0, 2), axes.get_xaxis_transform(), ha="center", **above)
    axes.annotate("comparisons", (1, 1), (RIGHT_PT[1], 2), "axes fraction", ha="right", **above)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("accuracy, ties left out; line: 95 % interval")
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(_title("Accuracy by domain", note))
    return figure


def reliability_diagram(
    results: Mapping[str, SplitResult], predictions: Mapping[str, Predictions], note: str = ""
) -> Figure:
    """Return a panel a split: accuracy against confidence, with the spread of a perfect model.

    Folded: the confidence is that of the side which the model prefers, so it starts at 50 %. The
    grey strokes are where 95 % of a perfectly calibrated model's bins of that size would lie.
    """
    figure, panels = _panels(len(results), height=4.6, share_y=True)
    lowest = CHANCE
    for axes, (split, result) in zip(panels, results.items(), strict=False):
        bins = predictions[split].reliability()
        confidence_B, accuracy_B = bins.confidence_B.numpy(), bins.accuracy_B.numpy()
        count_B = bins.count_B.numpy()
        low_B, high_B = null_band(confidence_B, count_B)
        lowest = min([lowest, *accuracy_B, *low_B])
        axes.plot([0.5, 1], [0.5, 1], "k--", linewidth=1, zorder=2.5, label="calibrated")
        axes.vlines(
            confidence_B, low_B, high_B, color="#C4C4C4", linewidth=5, label="perfect model, 95 %"
        )
        axes.plot(
            confidence_B, accuracy_B, "o", color=BLUE, markersize=5, zorder=3, label="this model"
        )
        name = SPLIT_NAMES.get(split, split)
        axes.set_title(f"{name}: {_bins_text(count_B)}\n{_ece_text(result)}", fontsize=10)
        axes.set_xlabel("confidence in the preferred side")
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set_xlim(0.48, 1.02)
    panels[0].set_ylabel("accuracy of the preferred side")
    panels[0].yaxis.set_major_formatter(PercentFormatter(1))
    panels[0].set_ylim(lowest - 0.03, 1.02)
    if results:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9)
    figure.suptitle(_title("Reliability: below the line is overconfident", note))
    return figure


def margin_histogram(predictions: Mapping[str, Predictions], note: str = "") -> Figure:
    """Return a panel a split: |margin| of right and wrong comparisons, stacked, and of ties.

    A tie has no side, so its margin's sign means nothing; hence the absolute value for all.
    """
    figure, panels = _panels(len(predictions), height=4.2)
    for axes, (split, part) in zip(panels, predictions.items(), strict=False):
        _draw_margins(axes, part.margin, part.preference)
        axes.set_title(f"{SPLIT_NAMES.get(split, split)}: n = {len(part):,}", fontsize=10)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("comparisons in each bin")
    figure.suptitle(_title("Margins: how far apart the model puts two completions", note))
    return figure


def null_band(
    confidence_B: ArrayLike, count_B: ArrayLike, share: float = 0.95
) -> tuple[NDArray, NDArray]:
    """Return the accuracies between which a perfectly calibrated model's bins lie.

    Quantiles of Binomial(n, confidence) / n at (1 ∓ share) / 2. Confidences differ within a bin,
    so its true spread is a little smaller.
    """
    low, high = [], []
    for confidence, count in zip(np.atleast_1d(confidence_B), np.atleast_1d(count_B), strict=True):
        cumulative = np.cumsum(_binomial(int(count), float(confidence)))
        low.append(np.searchsorted(cumulative, (1 - share) / 2) / count)
        high.append(min(np.searchsorted(cumulative, (1 + share) / 2), count) / count)
    return np.array(low), np.array(high)


def _binomial(count: int, chance: float) -> NDArray:
    """Return P(k successes) for k = 0..count; in logarithms, as n! overflows."""
    chance = min(max(chance, 1e-12), 1 - 1e-12)
    k = np.arange(count + 1)
    log_factorial = np.array([lgamma(i + 1) for i in range(count + 1)])
    log_choose = log_factorial[-1] - log_factorial - log_factorial[::-1]
    return np.exp(log_choose + k * np.log(chance) + (count - k) * np.log1p(-chance))


def _panels(count: int, *, height: float, share_y: bool = False) -> tuple[Figure, list[Axes]]:
    count = max(1, count)
    figure = Figure(figsize=(1.6 + 4 * count, height), layout="constrained")
    return figure, list(figure.subplots(1, count, sharey=share_y, squeeze=False)[0])


def _draw_bar(
    axes: Axes, y: float, row: SplitResult, *, is_spillover: bool, is_whole: bool
) -> None:
    if not row.count:
        axes.text(0.01, y, "ties only" if row.num_ties else "nothing", va="center", fontsize=9)
        return
    axes.barh(
        y,
        row.accuracy,
        height=0.75,
        color=ORANGE if is_spillover else BLUE,
        alpha=1.0 if is_whole else 0.55,
        hatch="///" if is_spillover else None,
        edgecolor="white",
        linewidth=0,
    )
    axes.hlines(y, row.accuracy_low, row.accuracy_high, color="black", linewidth=1.5, zorder=4)
    weight = "bold" if is_whole else "normal"
    for right_pt, text in zip(RIGHT_PT, (f"{row.accuracy:.1%}", f"{row.count:,}"), strict=True):
        axes.annotate(
            text,
            (1, y),
            (right_pt, 0),
            axes.get_yaxis_transform(),
            "offset points",
            ha="right",
            va="center",
            fontsize=9,
            fontweight=weight,
        )


def _draw_margins(axes: Axes, margin_P: NDArray, preference_P: NDArray) -> None:
    distance_P = np.abs(margin_P)
    sign_P = np.sign(margin_P) * np.sign(preference_P - TIE)
    is_tie_P = preference_P == TIE
    top = _top_margin(distance_P)
    edges = np.linspace(0, top, NUM_MARGIN_BINS + 1)
    parts = {
        "wrong": (distance_P[sign_P < 0], VERMILION, "///"),
        "undecided (margin 0)": (distance_P[(sign_P == 0) & ~is_tie_P], GREY, None),
        "right": (distance_P[sign_P > 0], SKY, None),
    }
    bottom = np.zeros(NUM_MARGIN_BINS)
    for name, (values, colour, hatch) in parts.items():
        height, _ = np.histogram(np.minimum(values, top), edges)
        if len(values):
            label = f"{name}, n = {len(values):,}"
            style: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": "white"}
            axes.bar(
                edges[:-1], height, top / NUM_MARGIN_BINS, bottom, align="edge", linewidth=0,
                label=label, **style,
            )  # fmt: skip
        bottom += height
    if is_tie_P.any():
        height, _ = np.histogram(np.minimum(distance_P[is_tie_P], top), edges)
        label = f"tie, n = {is_tie_P.sum():,}"
        axes.stairs(height, edges, color="black", linewidth=1.8, label=label)
    num_beyond = int((distance_P > top).sum())
    beyond = f"\n(the last bin holds {num_beyond} above {top:.3g} too)" if num_beyond else ""
    axes.set_xlabel(f"|reward chosen − reward rejected|{beyond}")
    axes.set_xlim(0, top)
    if len(margin_P):
        axes.legend(fontsize=9)


def _top_margin(distance_P: NDArray) -> float:
    """Return where the last bin ends, so that a few extreme margins don't squeeze the others."""
    if not len(distance_P) or not distance_P.max() > 0:
        return 1.0
    return float(min(distance_P.max(), 1.5 * np.quantile(distance_P, 0.99) or distance_P.max()))


def _bins_text(count_B: NDArray) -> str:
    if not len(count_B):
        return "no strict comparison"
    sizes = (
        f"{count_B.min()}" if count_B.min() == count_B.max() else f"{count_B.min()}–{count_B.max()}"
    )
    bins = "1 bin" if len(count_B) == 1 else f"{len(count_B)} bins of {sizes}"
    return f"n = {count_B.sum():,} in {bins}"


def _ece_text(result: SplitResult) -> str:
    if not result.count:
        return ""
    return f"ECE {result.ece:.3f} (perfect model: below {result.ece_null_p95:.3f} in 95 %)"


def _title(text: str, note: str) -> str:
    return f"{text} ({note})" if note else text


def _shortened(label: str, length: int = 28) -> str:
    return label if len(label) <= length else f"{label[: length - 1]}…"
