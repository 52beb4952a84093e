import math

import pytest

from rmx.metrics import overfit_signs, verdict
from rmx.metrics.overfit import NLL_RISE, SPREAD_GROWTH


def history(**columns):
    """One mapping a validation from columns of equal length; `val_nll` becomes `val/nll`."""
    names = [name.replace("_", "/", 1) for name in columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def names_of(entries):
    return [sign.name for sign in overfit_signs(entries)]


HEALTHY = {
    "step": [100, 200, 300, 400],
    "train_accuracy": [0.60, 0.70, 0.76, 0.80],
    "val_accuracy": [0.60, 0.69, 0.75, 0.78],
    "val_nll": [0.66, 0.58, 0.52, 0.49],
    "val_ece": [0.02, 0.03, 0.03, 0.03],
    "val_reward_std": [0.3, 0.9, 1.4, 1.8],
    "spillover_accuracy": [0.58, 0.65, 0.70, 0.73],
}
OVERFIT = HEALTHY | {
    "train_accuracy": [0.60, 0.75, 0.88, 0.97],
    "val_accuracy": [0.60, 0.70, 0.705, 0.70],
    "val_nll": [0.66, 0.58, 0.63, 0.80],
    "val_ece": [0.02, 0.03, 0.09, 0.15],
    "val_reward_std": [0.3, 0.9, 1.4, 2.5],
    "spillover_accuracy": [0.58, 0.63, 0.60, 0.55],
}


def test_a_healthy_run_shows_no_sign():
    signs = overfit_signs(history(**HEALTHY))
    assert signs == []
    assert not verdict(signs).is_overfit


def test_an_overfitted_run_shows_all_signs_with_their_numbers():
    signs = overfit_signs(history(**OVERFIT))
    values = {sign.name: sign.value for sign in signs}
    # all against the plateau, which starts at step 200
    assert values == pytest.approx(
        {
            "train_gap": 0.97 - 0.70,
            "spillover_gap": 0.70 - 0.55,
            "nll_rise": 0.80 - 0.58,
            "ece_rise": 0.15 - 0.03,
            "reward_drift": 2.5 / 0.9,
        }
    )
    assert all(sign.value > sign.threshold for sign in signs)
    text = next(sign.text for sign in signs if sign.name == "nll_rise")
    assert "from 0.580 to 0.800" in text
    assert "since step 200" in text
    assert verdict(signs).is_overfit
    assert "5 signs agree" in verdict(signs).text


@pytest.mark.parametrize("name", ["val_nll", "val_ece", "val_reward_std", "train_accuracy"])
def test_one_sign_alone_is_no_verdict(name):
    still = HEALTHY | {"val_accuracy": [0.60, 0.70, 0.705, 0.70], "val_nll": [0.58] * 4}
    still |= {"train_accuracy": [0.70] * 4, "spillover_accuracy": [0.65] * 4}
    still |= {"val_reward_std": [0.9] * 4}
    assert names_of(history(**still)) == []
    signs = overfit_signs(history(**(still | {name: OVERFIT[name]})))
    assert len(signs) == 1
    assert not verdict(signs).is_overfit
    assert signs[0].name in verdict(signs).text


def test_a_rise_while_accuracy_still_improves_is_no_sign():
    rising = history(val_accuracy=[0.60, 0.65, 0.70], val_nll=[0.60, 0.65, 0.75])
    assert names_of(rising) == []


def test_a_spread_that_grows_while_accuracy_improves_is_learning():
    assert names_of(history(val_accuracy=[0.5, 0.6, 0.7], val_reward_std=[0.1, 1.0, 5.0])) == []


def test_an_nll_that_fell_again_is_no_sign():
    assert names_of(history(val_accuracy=[0.7] * 3, val_nll=[0.60, 0.80, 0.60])) == []


def test_few_comparisons_widen_the_thresholds_of_gaps():
    # at 50 each, the standard error is sqrt(0.8 · 0.2 / 50 + 0.7 · 0.3 / 50) = 0.086
    last = {"train/accuracy": 0.8, "val/accuracy": 0.7}
    assert names_of([last]) == ["train_gap"]
    assert names_of([last | {"train/count": 50, "val/count": 50}]) == []
    assert names_of([last | {"train/count": 5000, "val/count": 5000}]) == ["train_gap"]


def test_absent_and_nan_numbers_give_no_sign():
    assert overfit_signs([]) == []
    assert overfit_signs([{}, {"step": 3}]) == []
    nan = {"val/accuracy": math.nan, "train/accuracy": math.nan, "val/nll": math.nan}
    assert overfit_signs([nan, nan | {"val/reward_std": math.inf}]) == []


def test_thresholds_are_exceeded_not_met():
    at_threshold = history(
        val_accuracy=[0.7, 0.7], val_nll=[0.0, NLL_RISE], val_reward_std=[1.0, SPREAD_GROWTH]
    )
    assert names_of(at_threshold) == []
