"""A seeded run of 20 steps, against a committed record: a change that isn't meant to move numbers
leaves it as it is. A meant change re-records it, in a commit of its own:

    RMX_RECORD_GOLDEN=1 python -m pytest tests/training/test_golden.py
"""

import json
import os
from pathlib import Path

import pytest
from lightning.pytorch import Callback

RECORD = Path(__file__).resolve().parents[1] / "golden" / "loss_curve.json"


class Curve(Callback):
    """Keeps each step's loss and gradient norm, and what each validation says."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self.validations: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer, pl_module, *args):
        values = trainer.callback_metrics
        self.steps.append({k: float(values[f"train/{k}"]) for k in ("loss", "grad_norm", "lr")})

    def on_validation_end(self, trainer, pl_module):
        keys = ("val/accuracy", "val/nll", "spillover/accuracy", "train/accuracy")
        self.validations.append({k: float(trainer.callback_metrics[k]) for k in keys})


def test_the_loss_curve_has_not_moved(tiny_run):
    curve = Curve()
    # No dropout: its draws differ between processors.
    tiny_run(comparisons=4, max_steps=20, val_every=5, callbacks=(curve,)).fit()
    found = {"steps": curve.steps, "validations": curve.validations}
    assert len(curve.steps) == 20
    if os.environ.get("RMX_RECORD_GOLDEN"):
        RECORD.write_text(json.dumps(found, indent=1) + "\n")
    expected = json.loads(RECORD.read_text())
    # 2e-5: processors with other vector widths sum in another order.
    for name, rows in expected.items():
        assert len(found[name]) == len(rows)
        for step, (row, now) in enumerate(zip(rows, found[name], strict=True)):
            assert now == pytest.approx(row, abs=2e-5, rel=1e-4), (name, step)
