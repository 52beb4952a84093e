"""Small runs in this process: a random Llama of two layers on synthetic groups, seconds at most."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer

from rmx.callbacks import EarlyStopping, KeepCheckpoints, LastValidation, StopOnSignal
from rmx.data.datamodule import PreferenceData
from rmx.data.rendering import Renderer
from rmx.data.sources import SourceSplits
from rmx.losses import BradleyTerry
from rmx.models import JointEncoder, LinearHead, RewardModel, tiny_backbone
from rmx.models.freezing import NoFreeze
from rmx.module import RewardModule
from rmx.optim import AdamW
from rmx.types import Comparison, Message, PreferenceGroup

WORDS = ["red", "blue", "green", "stone", "river", "paper", "cloud", "small", "round", "early"]


def make_groups(num_groups: int, *, seed: int = 0, domains: tuple[str, ...] = ("a", "b")) -> list:
    """Return groups of 2 to 4 completions of differing lengths, some comparisons tied."""
    rng = np.random.default_rng(seed)
    groups = []
    for g in range(num_groups):
        k = int(rng.integers(2, 5))
        completions = tuple(
            " ".join(rng.choice(WORDS, size=int(rng.integers(1, 9)))) + f" {i}" for i in range(k)
        )
        comparisons = tuple(
            Comparison(i, j, preference=0.5 if rng.random() < 0.1 else 1.0)
            for i in range(k)
            for j in range(i + 1, k)
        )
        groups.append(
            PreferenceGroup(
                id=f"g{seed}-{g}",
                prompt=(Message("user", f"Question {seed} {g}?"),),
                completions=completions,
                comparisons=comparisons,
                domain=domains[g % len(domains)],
            )
        )
    return groups


class SyntheticSource:
    """Groups in memory, with a spillover part of a domain of its own."""

    def __init__(self, num_groups: int = 24) -> None:
        self.num_groups = num_groups

    def load(self) -> SourceSplits:
        return SourceSplits(
            train=make_groups(self.num_groups),
            spillover=make_groups(6, seed=1, domains=("c",)),
        )


class TinyRun:
    """A run of some steps whose parts a test can reach."""

    def __init__(
        self,
        folder: Path,
        *,
        resume: bool = False,
        loss: object | None = None,
        dropout: float = 0.0,
        completions: int = 8,
        comparisons: int = 8,
        num_workers: int = 0,
        every: int | None = None,
        val_every: int = 4,
        max_steps: int | None = 10,
        lr: float = 1e-3,
        patience: int = 100,
        callbacks: tuple[Callback, ...] = (),
    ) -> None:
        torch.manual_seed(0)  # the head's start
        backbone = tiny_backbone()
        head = LinearHead(backbone.hidden_size, dropout=dropout)
        model = RewardModel(backbone, encoder=JointEncoder(), head=head)
        NoFreeze().apply(model)
        self.data = PreferenceData(
            SyntheticSource(),
            val=0.25,
            comparisons=comparisons,
            completions=completions,
            epochs=2,
            max_steps=max_steps,
            num_workers=num_workers,
        )
        self.data.tokenize(Renderer(backbone.tokenizer, max_length=128))
        self.module = RewardModule(
            model,
            BradleyTerry() if loss is None else loss,  # type: ignore[arg-type]
            AdamW(lr=lr),
            default_lr=lr,
            domains=self.data.domains,
            val_splits=self.data.eval_splits,
            num_steps=self.data.num_steps,
        )
        self.checkpoints = KeepCheckpoints(
            folder=folder / "checkpoints", every=every, resume=resume
        )
        self.trainer = Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=1,
            val_check_interval=val_every,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            use_distributed_sampler=False,
            logger=False,
            callbacks=[
                LastValidation(),
                *callbacks,
                EarlyStopping(patience=patience),
                self.checkpoints,
                StopOnSignal(self.checkpoints),
            ],
        )

    def fit(self) -> TinyRun:
        self.trainer.fit(self.module, datamodule=self.data)
        return self

    @property
    def weights(self) -> dict:
        return {k: v.clone() for k, v in self.module.model.state_dict().items()}


@pytest.fixture
def tiny_run(tmp_path: Path) -> Callable[..., TinyRun]:
    """Return a maker of runs whose checkpoints go to this test's folder, or to `folder=`."""

    def make(folder: Path | None = None, **options: object) -> TinyRun:
        return TinyRun(folder or tmp_path, **options)  # type: ignore[arg-type]

    return make
