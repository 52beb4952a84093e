"""The end of a run: every split scored with the best checkpoint, as a table and results.json."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer

from rmx.assembly import Run
from rmx.data.datamodule import TRAIN, VAL
from rmx.metrics import SplitResult, summarise
from rmx.models.reward_model import Scale
from rmx.report.tables import results_table

RESULTS = "results.json"
REWARDS = "rewards.jsonl"


@dataclass(frozen=True)
class Results:
    """What a run reached.

    Attributes:
        splits: the numbers of each split, at the best checkpoint.
        best_step: the optimiser step of that checkpoint.
        num_steps: the planned steps; fewer were taken where the run stopped early.
        num_skipped: steps left out for a non-finite loss or gradient.
        train_sample: how many groups of the training set were scored, None for all.
        reward_mean, reward_std: of the validation completions: what bounded scales refer to.
    """

    splits: dict[str, SplitResult]
    best_step: int
    num_steps: int
    num_skipped: int
    train_sample: int | None
    reward_mean: float
    reward_std: float

    def to_dict(self) -> dict[str, Any]:
        splits = {name: result.to_dict() for name, result in self.splits.items()}
        return {**vars(self), "splits": splits}


def evaluate_best(trainer: Trainer, run: Run) -> Results:
    """Load the best checkpoint and score the splits with it; of training, a sample of groups."""
    best_step = run.checkpoints.load_best(run.module)
    splits = tuple(run.data.tokenized)
    run.module.val_splits = splits
    run.data.trainer = trainer
    loaders = [run.data.eval_dataloader(split) for split in splits]
    trainer.validate(run.module, dataloaders=loaders, verbose=False)
    val = run.module.rewards[VAL].reward
    run.module.model.set_display_statistics(val.mean(), val.std())
    num_scored = len(run.data.evaluated_groups(TRAIN))
    return Results(
        splits={split: _summarise(run, split) for split in splits},
        best_step=best_step,
        num_steps=run.data.num_steps,
        num_skipped=run.module.num_skipped,
        train_sample=num_scored if num_scored < len(run.data.tokenized[TRAIN]) else None,
        reward_mean=val.mean(),
        reward_std=val.std(),
    )


def _summarise(run: Run, split: str) -> SplitResult:
    predictions = run.module.predictions[split]
    by_prompt = replace(predictions, group=run.data.prompt_ids(split)[predictions.group])
    return summarise(by_prompt, run.data.domains)


def describe_results(results: Results) -> str:
    """Return the table and the lines under it."""
    lines = [results_table(results.splits)]
    if results.train_sample:
        lines.append(f"Training is a sample of {results.train_sample:,} of its prompts.")
    if results.num_skipped:
        lines.append(f"{results.num_skipped} steps were skipped for a non-finite loss or gradient.")
    lines.append(f"Scored with the best checkpoint, of step {results.best_step}.")
    return "\n".join(lines)


def write_results(run_dir: Path, results: Results) -> None:
    """Write results.json: `splits` by name, each with its `domains`, and the run's counts."""
    (run_dir / RESULTS).write_text(json.dumps(results.to_dict(), indent=1), encoding="utf-8")


def write_rewards(run_dir: Path, run: Run, scale: Scale) -> None:
    """Write rewards.jsonl: a line for each scored completion.

    `split`, the group's `id`, the completion's place in it, the raw `reward`, and with another
    scale than raw the bounded number that people read, under the scale's name.
    """
    with (run_dir / REWARDS).open("w", encoding="utf-8") as file:
        for split, rewards in run.module.rewards.items():
            groups = run.data.evaluated_groups(split)
            shown = run.module.model.display(torch.from_numpy(rewards.reward), scale).tolist()
            columns = zip(rewards.group, rewards.place, rewards.reward, shown, strict=True)
            for g, place, reward, bounded in columns:
                row = {"split": split, "id": groups[g].id, "completion": groups[g].places[place]}
                row["reward"] = reward
                row |= {} if scale == "raw" else {scale: bounded}
                file.write(json.dumps(row) + "\n")


def flat_metrics(results: Results) -> dict[str, float]:
    """Return the final accuracies and scores as `best/SPLIT/METRIC`, for loggers."""
    shown = ("accuracy", "nll", "brier", "ece")
    flat = {
        f"best/{split}/{name}": getattr(result, name)
        for split, result in results.splits.items()
        for name in shown
    }
    return {key: value for key, value in flat.items() if np.isfinite(value)}
