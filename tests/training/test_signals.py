"""SIGTERM and Ctrl-C end a run in order."""

import os
import signal

import pytest
import torch
from lightning.pytorch import Callback

from rmx.callbacks import Interrupted, ending_in_order
from rmx.checkpoint import list_checkpoints


class SignalAt(Callback):
    def __init__(self, step: int, signum: int) -> None:
        self.step = step
        self.signum = signum

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == self.step:
            os.kill(os.getpid(), self.signum)


class SignalWhenValidating(Callback):
    def on_validation_batch_start(self, trainer, pl_module, batch, batch_idx, dataloader_idx=0):
        if trainer.state.fn == "validate":
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_ends_the_last_evaluation_at_once(tiny_run):
    run = tiny_run(max_steps=2, callbacks=(SignalWhenValidating(),)).fit()
    run.module.val_splits = ("val",)
    with pytest.raises(Interrupted) as caught:
        run.trainer.validate(run.module, dataloaders=[run.data.eval_dataloader("val")])
    assert caught.value.exit_code == 143


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("step", [1, 3])  # 3: the step that a validation follows
def test_a_signal_saves_and_the_resumed_run_equals_the_whole(
    tiny_run, tmp_path, signum, code, step
):
    handlers = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(Interrupted) as caught:
        tiny_run(tmp_path / "cut", max_steps=6, callbacks=(SignalAt(step, signum),)).fit()
    assert caught.value.exit_code == code
    assert list_checkpoints(tmp_path / "cut" / "checkpoints")[0].name == f"step-{step + 1:06d}"
    assert [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)] == handlers

    resumed = tiny_run(tmp_path / "cut", max_steps=6, resume=True).fit()
    whole = tiny_run(tmp_path / "whole", max_steps=6).fit()
    for key, value in whole.weights.items():
        assert torch.equal(value, resumed.weights[key]), key


def test_a_second_ctrl_c_ends_the_run_within_the_step(tiny_run, tmp_path):
    class Twice(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if batch_idx == 2:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted) as caught:
        tiny_run(every=1, callbacks=(Twice(),)).fit()
    assert caught.value.exit_code == 130
    assert list_checkpoints(tmp_path / "checkpoints")[0].name == "step-000002"


def test_outside_of_training_a_signal_ends_in_order_and_its_handlers_go():
    before = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(Interrupted) as caught, ending_in_order():
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.exit_code == 143
    assert [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)] == before
