"""Progress: one line a validation, and no bar where nobody watches."""

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader

from rmx.callbacks.progress import Progress, num_comparisons, validation_line
from rmx.metrics import pair_batch


class Steps(LightningModule):
    """Six steps of one micro-batch with two comparisons; logs what the line shows."""

    num_steps = 6

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch, batch_idx):
        optimizer = self.optimizers()
        self.manual_backward((self.weight - 1) ** 2)
        optimizer.step()  # type: ignore[union-attr]
        self.log("train/loss", 0.5, batch_size=1)

    def validation_step(self, batch, batch_idx):
        pass

    def on_validation_epoch_end(self):
        self.print("from the module")
        self.log_dict({"train/accuracy": 0.81, "val/accuracy": 0.846, "val/nll": 0.39})

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def loader(num_batches: int) -> DataLoader:
    batches = [[pair_batch(torch.ones(2))] for _ in range(num_batches)]
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


def fit(tmp_path) -> Trainer:
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        callbacks=[Progress()],
        val_check_interval=3,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(Steps(), loader(6), loader(1))
    return trainer


LINES = [f"step {step}/6  train loss 0.500 acc 0.810  val acc 0.846 nll 0.390" for step in (3, 6)]


def test_a_log_file_holds_one_line_a_validation_and_no_bar(tmp_path, capfd):
    trainer = fit(tmp_path)
    trainer.validate(Steps(), loader(1), verbose=False)
    out, err = capfd.readouterr()
    assert [line for line in out.splitlines() if line != "from the module"] == LINES
    assert out.count("from the module") == 3, "what a module prints comes through the bar"
    assert "pairs/s" not in err


def test_a_terminal_shows_steps_loss_and_speed_beside_the_lines(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("rmx.callbacks.progress.REFRESH_S", 0.0)
    fit(tmp_path)
    out, err = capsys.readouterr()
    assert [line for line in out.splitlines() if line.startswith("step")] == LINES
    assert "6/6" in err
    assert "loss 0.500" in err
    assert "pairs/s" in err


def test_other_ranks_print_nothing(capsys):
    progress = Progress()
    progress.disable()
    progress.print("a line")
    assert capsys.readouterr().out == ""


def test_a_validation_without_spillover_leaves_it_out_of_the_line():
    metrics = {"val/accuracy": torch.tensor(0.5), "val/brier": 0.25}
    assert validation_line(5, 150, metrics) == "step   5/150  val acc 0.500"


def test_a_run_without_a_known_end_counts_steps():
    assert validation_line(5, None, {"spillover/accuracy": 0.77}) == "step 5  spillover acc 0.770"


@pytest.mark.parametrize(("batch", "expected"), [("one", 2), ("micros", 5)])
def test_comparisons_of_a_step_are_counted_over_its_micro_batches(batch, expected):
    two, three = pair_batch(torch.ones(2)), pair_batch(torch.ones(3))
    assert num_comparisons(two if batch == "one" else [two, three]) == expected
