"""LogFigures: which validations are drawn, and where the drawings go."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import WandbLogger

from rmx.callbacks.figures import LogFigures
from rmx.metrics import Predictions

NAMES = {"accuracy.png", "reliability.png", "margins.png"}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class FakeWandb(WandbLogger):
    def __init__(self):
        self.images = []

    def log_image(self, key, images, step=None, **kwargs):
        self.images.append((key, images, step))


def predictions(num_pairs: int = 12) -> Predictions:
    place, nan = np.arange(num_pairs), np.full(num_pairs, np.nan)
    margin = np.linspace(-1, 2, num_pairs)
    return Predictions(
        place, 0 * place, 0 * place, np.ones(num_pairs), nan, margin, margin, nan, nan
    )


def end_validation(callback, step, accuracy=0.8, *, fn="fit", loggers=(), **more):
    """Let a validation end with one split of twelve comparisons."""
    trainer = SimpleNamespace(
        sanity_checking=False,
        is_global_zero=True,
        state=SimpleNamespace(fn=fn),
        callback_metrics={"val/accuracy": torch.tensor(accuracy), "val/nll": 1 - accuracy},
        global_step=step,
        loggers=list(loggers),
    )
    trainer.__dict__.update(more)
    splits = {"train": predictions(), "val": predictions()}
    module = SimpleNamespace(predictions=splits, domains=("code",))
    callback.on_validation_end(trainer, module)


@pytest.fixture
def drawn(monkeypatch):
    """The notes of what would have been drawn."""
    notes = []
    monkeypatch.setattr(LogFigures, "draw", lambda *_, note, **__: notes.append(note))
    return notes


def test_only_a_better_validation_is_drawn_and_the_last_evaluation_always(tmp_path, drawn):
    callback = LogFigures(run_dir=tmp_path)
    for step, accuracy in ((10, 0.6), (20, 0.8), (30, 0.7), (40, 0.8)):
        end_validation(callback, step, accuracy)
    end_validation(callback, 40, 0.1, fn="validate")
    assert drawn == ["step 10", "step 20", "best checkpoint"]


def test_a_loss_is_better_when_lower(tmp_path, drawn):
    callback = LogFigures(run_dir=tmp_path, monitor="val/nll")
    end_validation(callback, 10, accuracy=0.8)
    end_validation(callback, 20, accuracy=0.7)  # its NLL is higher
    assert drawn == ["step 10"]


def test_sanity_checks_and_other_ranks_draw_nothing(tmp_path, drawn):
    callback = LogFigures(run_dir=tmp_path)
    end_validation(callback, 0, sanity_checking=True)
    end_validation(callback, 0, is_global_zero=False)
    assert drawn == []


def test_a_resumed_run_remembers_the_best(tmp_path, drawn):
    first, resumed = LogFigures(run_dir=tmp_path), LogFigures(run_dir=tmp_path)
    end_validation(first, 10, 0.8)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    end_validation(resumed, 20, 0.7)
    assert drawn == ["step 10"]


def test_figures_are_files_and_images_of_the_same_step(tmp_path):
    callback, logger = LogFigures(run_dir=tmp_path), FakeWandb()
    end_validation(callback, 25, loggers=[logger])
    folder = tmp_path / "figures"
    assert {path.name for path in folder.iterdir()} == NAMES
    assert all(path.read_bytes().startswith(PNG_SIGNATURE) for path in folder.iterdir())
    assert {key for key, _, _ in logger.images} == {f"figures/{name[:-4]}" for name in NAMES}
    assert {step for _, _, step in logger.images} == {25}


def test_intervals_resample_prompts_not_groups(tmp_path, monkeypatch):
    seen = {}

    def draw_figures(results, predictions, note):
        seen.update(predictions)
        assert list(results["val"].domains) == ["code"]
        return {}

    monkeypatch.setattr("rmx.report.figures.draw_figures", draw_figures)
    prompt_of_group = np.arange(12) // 4
    callback = LogFigures(run_dir=tmp_path, prompt_ids=lambda split: prompt_of_group)
    end_validation(callback, 5)
    assert list(seen) == ["val"]
    assert seen["val"].group.tolist() == prompt_of_group.tolist()
