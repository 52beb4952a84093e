"""Figures: what they show is what the numbers say, whatever the data looks like."""

import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rmx.metrics import Predictions, summarise
from rmx.report.figures import (
    accuracy_bars,
    draw_figures,
    margin_histogram,
    null_band,
    reliability_diagram,
)


def predictions(margin, preference=None, domain=None) -> Predictions:
    margin = np.asarray(margin, dtype=float)
    place, nan = np.arange(len(margin)), np.full(len(margin), np.nan)
    preference = np.ones(len(margin)) if preference is None else np.asarray(preference, float)
    domain = 0 * place if domain is None else np.asarray(domain)
    return Predictions(place, 0 * place, domain, preference, nan, margin, margin, nan, nan)


def texts(figure: Figure) -> str:
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    for axes in figure.axes:
        found += [axes.get_title(), axes.get_xlabel()]
        found += [label.get_text() for label in axes.get_yticklabels()]
        legend = axes.get_legend()
        found += [entry.get_text() for entry in legend.get_texts()] if legend else []
    return "\n".join(found)


def overflow(figure: Figure) -> list[str]:
    """The texts that leave the canvas."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    outside = []
    for axes in figure.axes:
        top, bottom = sorted(axes.get_ylim())
        # A shared axis has ticks, and no labels of its own.
        ticks = zip(axes.get_yticks(), axes.get_yticklabels(), strict=False)
        shown = [label for place, label in ticks if top <= place <= bottom]
        for text in [*axes.texts, axes.title, axes.xaxis.label, *shown]:
            box = text.get_window_extent()
            if box.width and not (box.x0 >= 0 and box.x1 <= width and 0 <= box.y0 <= height):
                outside.append(text.get_text())
    return outside


CASES = {
    "one right": predictions([1.0]),
    "nothing": predictions([]),
    "ties only": predictions([1.0, -2.0], preference=[0.5, 0.5]),
    "all margins zero": predictions(np.zeros(40)),
    "an outlier": predictions([*np.linspace(-1, 2, 200), 1e4]),
    "many domains": predictions(np.linspace(-1, 2, 180), domain=np.arange(180) % 18),
}
DOMAINS = [f"{i}_a_rather_long_domain_name_{i}" for i in range(18)]


@pytest.mark.parametrize("name", CASES)
def test_every_shape_of_data_gives_figures_without_clipped_text(name):
    part = CASES[name]
    result = summarise(part, DOMAINS, num_draws=20, num_null_draws=20)
    splits = ["val", "spillover"] if name != "nothing" else ["val"]
    figures = draw_figures(dict.fromkeys(splits, result), dict.fromkeys(splits, part), "step 1")
    assert set(figures) == {"accuracy", "reliability", "margins"}
    for figure in figures.values():
        assert "(step 1)" in figure.get_suptitle()
        assert overflow(figure) == []


def test_accuracy_bars_tell_accuracy_count_and_interval_of_each_domain():
    # 3 of 4 right in code, 1 of 2 in law.
    part = predictions([1, 1, 1, -1, 1, -1], domain=[0, 0, 0, 0, 1, 1])
    result = summarise(part, ["code", "law"])
    figure = accuracy_bars({"val": result})
    widths = [bar.get_width() for bar in figure.axes[0].patches]  # type: ignore[attr-defined]
    assert widths == pytest.approx([4 / 6, 0.75, 0.5])
    shown = texts(figure)
    assert all(text in shown for text in ("validation", "code", "law", "75.0%", "66.7%"))
    line = figure.axes[0].collections[0].get_segments()[0]  # type: ignore[attr-defined]
    assert line[:, 0].tolist() == [result.accuracy_low, result.accuracy_high]


def test_spillover_is_told_apart_without_colour():
    result = summarise(predictions([1.0, -1.0]), num_draws=20, num_null_draws=20)
    figure = accuracy_bars({"val": result, "spillover": result})
    assert [bar.get_hatch() for bar in figure.axes[0].patches] == [None, "///"]


def test_training_comparisons_are_in_no_figure():
    part = predictions([1.0, -1.0])
    both = {"train": part, "val": part}
    results = {split: summarise(part, num_draws=20, num_null_draws=20) for split in both}
    for figure in draw_figures(results, both).values():
        assert len(figure.axes) == 1
        assert "training" not in texts(figure)


def test_reliability_points_are_the_bins():
    part = predictions(np.linspace(-1, 3, 300))
    figure = reliability_diagram({"val": summarise(part)}, {"val": part})
    bins = part.reliability()
    points = figure.axes[0].lines[1]
    np.testing.assert_array_equal(points.get_xdata(), bins.confidence_B)
    np.testing.assert_array_equal(points.get_ydata(), bins.accuracy_B)
    assert "n = 300 in 15 bins of 20" in figure.axes[0].get_title()


def test_null_band_has_the_binomial_quantiles():
    # Binomial(5, 0.5): P(0) = 1/32 = .0313 and P(<=4) = .9688, so .025 and .975 fall on 0 and 5.
    # Binomial(10, 0.9): P(<=6) = .0128, P(<=7) = .0702, P(<=9) = .6513, so on 7 and 10.
    # Binomial(6, 0.5): P(0) = 1/64 = .0156, P(<=1) = .1094 and by symmetry, so on 1 and 5.
    low, high = null_band([0.5, 0.9, 0.5], [5, 10, 6])
    assert low.tolist() == [0.0, 0.7, 1 / 6]
    assert high.tolist() == [1.0, 1.0, 5 / 6]


def test_null_band_covers_what_a_perfect_model_does():
    generator = np.random.default_rng(0)
    (low,), (high,) = null_band([0.8], [50])
    seen = generator.binomial(50, 0.8, size=20_000) / 50
    assert 0.95 <= ((seen >= low) & (seen <= high)).mean() <= 0.98  # discrete, so at least 95 %


def test_margins_are_counted_by_side():
    # right: 1, 2 and a rejected completion rightly below; wrong: -1; undecided: 0; a tie.
    part = predictions([1, 2, -3, -1, 0, 4], preference=[1, 1, 0, 1, 1, 0.5])
    shown = texts(margin_histogram({"val": part}))
    for text in ("right, n = 3", "wrong, n = 1", "undecided (margin 0), n = 1", "tie, n = 1"):
        assert text in shown


def test_an_extreme_margin_goes_into_the_last_bin_and_is_told():
    part = predictions([*np.linspace(0.1, 1, 500), 1000.0])
    axes = margin_histogram({"val": part}).axes[0]
    assert axes.get_xlim()[1] < 2
    assert "holds 1 above" in axes.get_xlabel()
    heights = [bar.get_height() for bar in axes.patches]  # type: ignore[attr-defined]
    assert sum(heights) == 501


def test_drawing_leaves_pyplot_alone():
    accuracy_bars({"val": summarise(predictions([1.0]), num_draws=5, num_null_draws=5)})
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
