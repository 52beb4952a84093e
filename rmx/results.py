"""The end of a run: every split scored with the best checkpoint, as a table and results.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer

from rmx.assembly import Run
from rmx.callbacks import OverfitMonitor
from rmx.data.datamodule import SPILLOVER, TRAIN, VAL
from rmx.metrics import (
    SpilloverGap,
    SplitResult,
    overfit_signs,
    spillover_gap,
    summarise,
    verdict,
)
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
        gap: validation - spillover accuracy, None without spillover.
        overfit: the verdict over the run's validations, in words.
    """

    splits: dict[str, SplitResult]
    best_step: int
    num_steps: int
    num_skipped: int
    train_sample: int | None
    reward_mean: float
    reward_std: float
    gap: SpilloverGap | None
    overfit: str

    def to_dict(self) -> dict[str, Any]:
        splits = {name: result.to_dict() for name, result in self.splits.items()}
        return {**vars(self), "splits": splits, "gap": self.gap and vars(self.gap)}


def evaluate_best(trainer: Trainer, run: Run) -> Results:
    """Load the best checkpoint and score the splits with it; of training, a sample of groups."""
    best_step = run.checkpoints.load_best(run.module)
    splits = tuple(run.data.tokenized)
    run.module.val_splits = splits
    run.data.trainer = trainer
    loaders = [run.data.eval_dataloader(split) for split in splits]
    trainer.validate(run.module, dataloaders=loaders, verbose=False)
    val = run.module.rewards[VAL].reward
    num_scored = len(run.data.evaluated_groups(TRAIN))
    summaries = {split: _summarise(run, split) for split in splits}
    return Results(
        splits=summaries,
        best_step=best_step,
        num_steps=run.data.num_steps,
        num_skipped=run.module.num_skipped,
        train_sample=num_scored if num_scored < len(run.data.tokenized[TRAIN]) else None,
        reward_mean=val.mean(),
        reward_std=val.std(),
        gap=_gap(summaries),
        overfit=verdict(overfit_signs(_history(run))).text,
    )


def _gap(splits: dict[str, SplitResult]) -> SpilloverGap | None:
    if SPILLOVER not in splits:
        return None
    return spillover_gap(vars(splits[VAL]), vars(splits[SPILLOVER]))


def _history(run: Run) -> list[dict[str, float]]:
    monitors = [callback for callback in run.callbacks if isinstance(callback, OverfitMonitor)]
    return monitors[0].history if monitors else []


def _summarise(run: Run, split: str) -> SplitResult:
    predictions = run.module.predictions[split]
    # Length is what a reader sees of it: the tokens that predictions count depend on the model.
    chosen_length, rejected_length = run.data.comparison_chars(split).T.astype(float)
    assert len(chosen_length) == len(predictions)
    by_prompt = replace(
        predictions,
        group=run.data.prompt_ids(split)[predictions.group],
        chosen_length=chosen_length,
        rejected_length=rejected_length,
    )
    return summarise(by_prompt, run.data.domains)


def keep_results(
    results: Results, run: Run, trainer: Trainer, run_dir: Path, *, scale: Scale
) -> None:
    """Write results.json and rewards.jsonl and tell the loggers, on rank 0."""
    if not trainer.is_global_zero:
        return
    (run_dir / RESULTS).write_text(json.dumps(results.to_dict(), indent=1), encoding="utf-8")
    with (run_dir / REWARDS).open("w", encoding="utf-8") as file:
        for row in reward_rows(run, scale):
            file.write(json.dumps(row) + "\n")
    for logger in trainer.loggers:
        logger.log_metrics(flat_metrics(results), step=trainer.global_step)


def reward_rows(run: Run, scale: Scale) -> Iterator[dict[str, Any]]:
    """Yield a row for each scored completion.

    `split`, the group's `id`, the completion's place in it, the raw `reward`, and with another
    scale than raw the bounded number that people read, under the scale's name.
    """
    for split, rewards in run.module.rewards.items():
        groups = run.data.evaluated_groups(split)
        shown = run.module.model.display(torch.from_numpy(rewards.reward), scale).tolist()
        columns = zip(rewards.group, rewards.place, rewards.reward, shown, strict=True)
        for g, place, reward, bounded in columns:
            row = {"split": split, "id": groups[g].id, "completion": groups[g].places[place]}
            yield row | {"reward": reward} | ({} if scale == "raw" else {scale: bounded})


def describe_results(results: Results) -> str:
    """Return the table and the lines under it."""
    lines = [results_table(results.splits)]
    if results.gap is not None:
        low, high = 100 * results.gap.low, 100 * results.gap.high
        lines.append(
            f"Validation - spillover accuracy: {100 * results.gap.gap:+.1f} points "
            f"[{low:+.1f}, {high:+.1f}]."
        )
    lines.append(f"{results.overfit[0].upper()}{results.overfit[1:]}.")
    if results.train_sample:
        lines.append(f"Training is a sample of {results.train_sample:,} of its groups.")
    if results.num_skipped:
        lines.append(f"{results.num_skipped} steps were skipped for a non-finite loss or gradient.")
    lines.append(f"Scored with the best checkpoint, of step {results.best_step}.")
    return "\n".join(lines)


def flat_metrics(results: Results) -> dict[str, float]:
    """Return the final accuracies and scores as `best/SPLIT/METRIC`, for loggers."""
    shown = ("accuracy", "nll", "brier", "ece")
    flat = {
        f"best/{split}/{name}": getattr(result, name)
        for split, result in results.splits.items()
        for name in shown
    }
    return {key: value for key, value in flat.items() if np.isfinite(value)}
