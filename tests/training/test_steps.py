"""One optimiser step: what counts in it, what it skips, and that its division changes nothing."""

import pytest
import torch
from lightning.pytorch import Callback
from torch import nn

from rmx.errors import TrainingError
from rmx.losses import BradleyTerry, KWise, RaoKupper


class Gradients(Callback):
    """Keeps the gradients of the last step, as the optimiser meets them."""

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.of = {
            name: p.grad.clone() for name, p in pl_module.named_parameters() if p.grad is not None
        }


@pytest.mark.parametrize("loss", [BradleyTerry, KWise, RaoKupper])
def test_accumulated_equals_one_large_batch(tiny_run, tmp_path, loss):
    # Micro-batches of one group hold 1 to 6 comparisons, so a mean of their means would differ.
    watches = []
    for completions in (1000, 2):
        watch = Gradients()
        folder = tmp_path / str(completions)
        options = {"completions": completions, "max_steps": 1, "callbacks": (watch,)}
        tiny_run(folder, loss=loss(), **options).fit()
        watches.append(watch)
    large, small = (watch.of for watch in watches)
    assert large.keys() == small.keys()
    for name in large:
        torch.testing.assert_close(small[name], large[name], atol=1e-6, rtol=1e-4)


class NanAt(nn.Module):
    """Bradley-Terry whose loss is not a number at the given calls."""

    def __init__(self, steps: set[int]) -> None:
        super().__init__()
        self.inner = BradleyTerry()
        self.steps = steps
        self.calls = 0

    def forward(self, reward_C, batch):
        self.calls += 1
        loss = self.inner(reward_C, batch)
        return loss * float("nan") if self.calls - 1 in self.steps else loss

    def __getattr__(self, name):
        if name in ("weights", "preference_logit", "learned"):
            return getattr(self.inner, name)
        return super().__getattr__(name)


def test_a_nan_step_is_skipped_and_counted(tiny_run):
    run = tiny_run(loss=NanAt({2}), completions=1000, max_steps=5)
    with pytest.warns(UserWarning, match="step 2: loss nan.*skipped"):
        run.fit()
    assert run.module.num_skipped == 1
    assert run.trainer.global_step == 4
    assert all(value.isfinite().all() for value in run.weights.values())


def test_a_skipped_step_leaves_the_weights_alone(tiny_run, tmp_path):
    with pytest.warns(UserWarning, match="skipped"):
        skipped = tiny_run(
            tmp_path / "a", loss=NanAt({2}), completions=1000, max_steps=3, lr=1e-2
        ).fit()
    start = tiny_run(tmp_path / "b", max_steps=3, lr=1e-2)
    one_less = StopBefore(2)
    tiny = tiny_run(tmp_path / "c", completions=1000, max_steps=3, lr=1e-2, callbacks=(one_less,))
    with pytest.raises(ConnectionError):
        tiny.fit()
    for key, value in tiny.module.model.named_parameters():
        assert torch.equal(value, skipped.weights[key]), key
    assert any(not torch.equal(start.weights[k], skipped.weights[k]) for k in start.weights)


class StopBefore(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == self.step:
            raise ConnectionError("planned")


def test_three_nan_steps_in_a_row_end_the_run_with_advice(tiny_run):
    run = tiny_run(loss=NanAt({1, 2, 3}), completions=1000, max_steps=6)
    with (
        pytest.warns(UserWarning, match="skipped"),
        pytest.raises(TrainingError, match=r"3 non-finite steps.*lower optim\.lr"),
    ):
        run.fit()


def test_two_nan_steps_with_a_good_one_between_go_on(tiny_run):
    run = tiny_run(loss=NanAt({1, 2, 4}), completions=1000, max_steps=6)
    with pytest.warns(UserWarning, match="skipped"):
        run.fit()
    assert run.module.num_skipped == 3


def test_learned_loss_parameters_move_and_are_logged(tiny_run):
    loss = RaoKupper()
    before = loss.learned()["eta"]
    run = tiny_run(loss=loss).fit()
    after = loss.learned()["eta"]
    assert abs(after - before) > 1e-3
    assert float(run.trainer.callback_metrics["loss/eta"]) == pytest.approx(after)


def test_the_run_validates_after_its_last_step(tiny_run):
    run = tiny_run(max_steps=5, val_every=4).fit()
    assert run.checkpoints.saved_step == 5
    assert run.trainer.global_step == 5


def test_early_stopping_ends_the_run(tiny_run):
    run = tiny_run(max_steps=10, val_every=1, patience=1, lr=1e-9).fit()
    # Nothing changes at this learning rate: the second validation is no better than the first.
    assert run.trainer.global_step == 2
