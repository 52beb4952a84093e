"""The LightningDataModule: a source's groups, split by prompt and domain, tokenized and batched."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from rmx.data.batching import EvalDataset, StepDataset, StepLoader, eval_loader, plan_steps
from rmx.data.digest import data_digest
from rmx.data.overview import overview
from rmx.data.rendering import Renderer
from rmx.data.sources import RejectedRow, Source
from rmx.data.splits import hold_out_domains, prompt_key, split_by_prompt
from rmx.errors import ConfigError, DataError
from rmx.types import PreferenceGroup, TokenizedGroup

TRAIN, VAL, SPILLOVER = "train", "val", "spillover"


class PreferenceData(LightningDataModule):
    """Train, validation and spillover groups of one run.

    `load` reads and splits; `tokenize` needs a tokenizer and comes after it, so that a bad row ends
    the run before a model is loaded.

    Args:
        source: where the groups come from; its own validation set wins over splitting.
        val: share of the training domains' comparisons held out for validation, by prompt.
        spillover: domains that neither training nor validation sees.
        comparisons: comparisons in an optimiser step.
        completions: completions in one forward pass.
        epochs: passes over the training groups; a fraction is a partial last pass.
        max_steps: stop planning after so many optimiser steps; None for all.
        train_sample: prompts of the training set that the final table scores.
    """

    def __init__(
        self,
        source: Source,
        *,
        val: float = 0.15,
        spillover: Sequence[str] = (),
        comparisons: int = 32,
        completions: int = 16,
        epochs: float = 1,
        max_steps: int | None = None,
        train_sample: int = 100,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if comparisons < 1 or completions < 2:
            raise ConfigError(
                "a step needs at least 1 comparison and a forward pass 2 completions, got "
                f"batch.comparisons={comparisons} and batch.completions={completions}"
            )
        if not 0 < epochs < math.inf or (max_steps is not None and max_steps < 1):
            raise ConfigError(
                f"a run needs at least one step, got epochs={epochs} and max_steps={max_steps}"
            )
        self.source = source
        self.val = val
        self.spillover = tuple(spillover)
        self.comparisons = comparisons
        self.completions = completions
        self.epochs = epochs
        self.max_steps = max_steps
        self.train_sample = train_sample
        self.num_workers = num_workers
        self.seed = seed
        self.start_step = 0  # a resumed run sets it before training begins
        self.groups: dict[str, list[PreferenceGroup]] = {}
        self.tokenized: dict[str, list[TokenizedGroup]] = {}
        self.origins: dict[str, list[int]] = {}  # of each tokenized group, its place in `groups`
        self.domains: tuple[str, ...] = ()
        self.rejected: list[RejectedRow] = []
        self.pad_id = 0
        self.steps: list[list[int]] = []

    def load(self) -> None:
        """Read the source and split it.

        Raises:
            DataError: on a bad row, or a split that would be left empty.
        """
        if self.groups:
            return
        splits = self.source.load()
        train, val, spillover = splits.train, splits.val, splits.spillover
        if self.spillover:
            train, val, held_out = hold_out_domains(train, val, self.spillover)
            spillover = held_out + (spillover or [])
        if val is None:
            train, val = split_by_prompt(train, fraction=self.val, seed=self.seed)
        self.groups = {TRAIN: train, VAL: val} | ({SPILLOVER: spillover} if spillover else {})
        self.rejected = splits.rejected
        self.domains = tuple(sorted({g.domain for groups in self.groups.values() for g in groups}))
        for split in (TRAIN, VAL):
            if not self.groups[split]:
                raise DataError(
                    f"the {split} split has no groups; give more rows or another share than "
                    f"split.val={self.val}"
                )

    def tokenize(self, renderer: Renderer) -> None:
        """Check the rendering on real rows, tokenize every split and plan the run's steps.

        Raises:
            DataError: a split without a group that fits, or a validation of ties alone.
        """
        self.load()
        self.pad_id = renderer.pad_id
        renderer.preflight(self.groups[TRAIN])
        for split, groups in self.groups.items():
            found = renderer.tokenize_all(groups)
            if not found:
                raise DataError(f"no {split} group fits max_length={renderer.max_length}; raise it")
            self.tokenized[split] = list(found.values())
            self.origins[split] = list(found)
        self._refuse_ties_alone()
        self.steps = self._plan()

    def _refuse_ties_alone(self) -> None:
        compared = [c for group in self.tokenized[VAL] for c in group.comparisons]
        if all(c.is_tie for c in compared):
            raise DataError(
                "validation must hold a comparison that is no tie, for there is no accuracy "
                f"without, got ties alone ({len(compared)}); raise split.val or give other rows"
            )

    def _plan(self) -> list[list[int]]:
        sizes = [len(group.comparisons) for group in self.tokenized[TRAIN]]
        if round(self.epochs * len(sizes)) < 1:
            raise ConfigError(
                f"a run needs at least one training prompt, got epochs={self.epochs} of "
                f"{len(sizes)}; raise it"
            )
        steps = plan_steps(sizes, comparisons=self.comparisons, epochs=self.epochs, seed=self.seed)
        return steps[: self.max_steps]

    @property
    def num_steps(self) -> int:
        """Optimiser steps of the whole run."""
        return len(self.steps)

    @property
    def eval_splits(self) -> tuple[str, ...]:
        """The splits that validation runs over, in the order of its loaders."""
        return tuple(split for split in (VAL, SPILLOVER) if split in self.tokenized)

    def describe(self) -> str:
        """Return a few lines on the splits: sizes, baselines and warnings (overview.py)."""
        others = {split: groups for split, groups in self.groups.items() if split != TRAIN}
        return overview(self.groups[TRAIN], others)

    def digest(self) -> str:
        """Return the fingerprint of all splits together."""
        return data_digest(group for groups in self.groups.values() for group in groups)

    def prompt_ids(self, split: str) -> np.ndarray:
        """Return each evaluated group's prompt as a number, int64 [G]; equal prompts share it.

        Rows of one prompt may be groups of their own; intervals must resample them together.
        """
        # Not by id: the groups of a split may come from several parts that share ids.
        origins, groups = self.origins[split], self.groups[split]
        keys = [prompt_key(groups[origins[i]]) for i in self._evaluated(split)]
        return np.unique(keys, return_inverse=True)[1]

    def comparison_chars(self, split: str) -> np.ndarray:
        """Return the characters of each evaluated comparison's two completions, int64 [P, 2].

        In the order of the groups and of the comparisons within each, chosen before rejected.
        """
        rows = []
        for i in self._evaluated(split):
            tokenized = self.tokenized[split][i]
            texts = self.groups[split][self.origins[split][i]].completions
            chars = [len(texts[place]) for place in tokenized.places]
            rows += [(chars[c.chosen], chars[c.rejected]) for c in tokenized.comparisons]
        return np.array(rows)

    def train_dataloader(self) -> DataLoader:
        dataset = StepDataset(
            self.tokenized[TRAIN],
            self.steps,
            completions=self.completions,
            **self._batch_arguments(),
        )
        return StepLoader(dataset, start=self.start_step, num_workers=self.num_workers)

    def val_dataloader(self) -> list[DataLoader]:
        return [self.eval_dataloader(split) for split in self.eval_splits]

    def eval_dataloader(self, split: str) -> DataLoader:
        """Return a split's groups, each once; of the training set, a fixed sample of prompts."""
        dataset = EvalDataset(
            self.evaluated_groups(split),
            completions=2 * self.completions,
            **self._batch_arguments(),
        )
        return eval_loader(dataset)

    def evaluated_groups(self, split: str) -> list[TokenizedGroup]:
        return [self.tokenized[split][i] for i in self._evaluated(split)]

    def _evaluated(self, split: str) -> Sequence[int]:
        every = range(len(self.tokenized[split]))
        if split == TRAIN and len(every) > self.train_sample:
            return random.Random(self.seed).sample(every, self.train_sample)
        return every

    def _batch_arguments(self) -> dict:
        trainer = self.trainer
        return {
            "domains": self.domains,
            "pad_id": self.pad_id,
            "rank": trainer.global_rank if trainer else 0,
            "world": trainer.world_size if trainer else 1,
        }
