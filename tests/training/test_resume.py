"""A resumed run equals an uninterrupted one, bit for bit."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback

from rmx.checkpoint import list_checkpoints
from rmx.errors import CheckpointError
from rmx.losses import RaoKupper


class StopAfter(Callback):
    """Breaks a run off after some steps, as a crash would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == self.step:
            raise ConnectionError("planned crash")


def assert_equal(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


@pytest.mark.parametrize("crash_at", [1, 3, 4, 5, 7, 9])
def test_resumed_weights_equal_the_uninterrupted_ones(tiny_run, tmp_path: Path, crash_at: int):
    # Accumulation (several micro-batches a step), dropout, and two passes over the data with the
    # seam between them inside the run.
    options = {"dropout": 0.3, "completions": 6, "every": 1}
    whole = tiny_run(tmp_path / "whole", **options).fit()
    with pytest.raises(ConnectionError):
        tiny_run(tmp_path / "cut", callbacks=(StopAfter(crash_at),), **options).fit()
    resumed = tiny_run(tmp_path / "cut", resume=True, **options).fit()
    assert_equal(whole.weights, resumed.weights)
    assert whole.trainer.callback_metrics.keys() == resumed.trainer.callback_metrics.keys()
    for key, value in whole.trainer.callback_metrics.items():
        assert torch.equal(value, resumed.trainer.callback_metrics[key]), key
    assert whole.trainer.global_step == resumed.trainer.global_step == whole.data.num_steps
    assert whole.checkpoints.best_step == resumed.checkpoints.best_step


@pytest.mark.slow
def test_workers_change_nothing_in_a_resumed_run(tiny_run, tmp_path: Path):
    whole = tiny_run(tmp_path / "whole", num_workers=0).fit()
    with pytest.raises(ConnectionError):
        tiny_run(tmp_path / "cut", num_workers=2, callbacks=(StopAfter(6),)).fit()
    resumed = tiny_run(tmp_path / "cut", num_workers=2, resume=True).fit()
    assert_equal(whole.weights, resumed.weights)


def test_training_metrics_go_on_in_the_middle_of_a_window(tiny_run, tmp_path: Path):
    # Broken off at step 6, between the validations after 4 and 8: steps 5 and 6 must still count
    # in the training accuracy that is logged at 8.
    options = {"every": 1, "max_steps": 8}
    whole = tiny_run(tmp_path / "whole", **options).fit()
    with pytest.raises(ConnectionError):
        tiny_run(tmp_path / "cut", callbacks=(StopAfter(6),), **options).fit()
    resumed = tiny_run(tmp_path / "cut", resume=True, **options).fit()
    for key in ("train/accuracy", "train/nll", "train/count", "train/ece"):
        expected = whole.trainer.callback_metrics[key]
        assert torch.equal(expected, resumed.trainer.callback_metrics[key]), key


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tiny_run, tmp_path: Path, capsys):
    with pytest.raises(ConnectionError):
        tiny_run(every=1, callbacks=(StopAfter(7),)).fit()
    damaged = tmp_path / "checkpoints" / "step-000007" / "weights.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1  # one bit of the last weight
    damaged.write_bytes(content)
    with pytest.warns(UserWarning, match="does not match its digest; falling back to step-000006"):
        resumed = tiny_run(every=1, resume=True).fit()
    assert "resuming after step 6" in capsys.readouterr().out
    whole = tiny_run(tmp_path / "whole", every=1).fit()
    assert_equal(whole.weights, resumed.weights)


def test_a_damaged_best_checkpoint_gives_way_to_the_newest_saying_so(tiny_run, tmp_path: Path):
    run = tiny_run(every=1).fit()
    assert run.checkpoints.best_step is not None
    best = tmp_path / "checkpoints" / f"step-{run.checkpoints.best_step:06d}"
    (best / "weights.safetensors").write_bytes(b"")
    expected = 10 if run.checkpoints.best_step != 10 else 9
    with pytest.warns(UserWarning, match="the best checkpoint can't be used"):
        assert run.checkpoints.load_best(run.module) == expected


def test_resuming_without_an_intact_checkpoint_is_refused(tiny_run, tmp_path: Path):
    (tmp_path / "checkpoints" / "step-000001").mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"no intact checkpoint.*no readable manifest"):
        tiny_run(resume=True).fit()


def test_a_kill_between_a_checkpoints_files_leaves_the_one_before(tiny_run, tmp_path: Path):
    with pytest.raises(ConnectionError):
        tiny_run(every=1, callbacks=(StopAfter(3),)).fit()
    partial = tmp_path / "checkpoints" / ".step-000004.partial"
    partial.mkdir()
    (partial / "weights.safetensors").write_bytes(b"half")
    resumed = tiny_run(every=1, resume=True)
    assert resumed.checkpoints.load_newest().step == 3
    resumed.fit()
    assert not partial.exists()


def test_a_checkpoint_of_another_model_is_refused(tiny_run, tmp_path: Path):
    tiny_run(max_steps=4).fit()
    other = tiny_run(resume=True, loss=RaoKupper())
    with pytest.raises(CheckpointError, match="another model, loss or freeze"):
        other.fit()


def test_best_last_and_the_one_before_are_kept(tiny_run, tmp_path: Path):
    run = tiny_run(every=1, max_steps=10).fit()
    kept = [path.name for path in list_checkpoints(tmp_path / "checkpoints")]
    best = f"step-{run.checkpoints.best_step:06d}"
    assert set(kept) == {"step-000010", "step-000009", best}


def test_the_best_checkpoint_restores_its_rewards(tiny_run):
    seen = {}

    class Remember(Callback):
        def on_validation_end(self, trainer, pl_module):
            if trainer.state.fn == "fit":
                seen[trainer.global_step] = pl_module.predictions["val"].margin.copy()  # type: ignore

    run = tiny_run(callbacks=(Remember(),)).fit()
    best_step = run.checkpoints.load_best(run.module)
    run.module.val_splits = ("val",)
    run.trainer.validate(run.module, dataloaders=[run.data.eval_dataloader("val")], verbose=False)
    assert (run.module.predictions["val"].margin == seen[best_step]).all()
    assert len(seen) == 3
