"""RewardModule: joins the reward model, the loss and the metrics under Lightning.

One Lightning batch is one optimiser step: a list of micro-batches whose gradients add up to that
of the step's weighted mean over all its comparisons, on all ranks. So every comparison weighs the
same whatever batch it lands in, and a step's end is always a place where a run can stop and resume.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ModelParallelStrategy, ParallelStrategy
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from rmx.errors import TrainingError
from rmx.losses import Loss
from rmx.metrics import (
    ComparisonMetrics,
    CompletionRewards,
    PredictionCollector,
    Predictions,
    RewardCollector,
)
from rmx.models import RewardModel
from rmx.optim import AdamW, grad_norm
from rmx.types import GroupBatch

MAX_SKIPPED = 3  # non-finite steps in a row before the run stops
SPLITS = ("train", "val", "spillover")


class RewardModule(LightningModule):
    """Trains and validates a reward model.

    Args:
        model: texts to rewards.
        loss: rewards to one loss a comparison (or a group).
        optim: builds the optimiser and sets its learning rate.
        default_lr: the freeze strategy's learning rate, for `optim.lr=null`.
        domains: names behind `GroupBatch.domain_P`.
        val_splits: names of the validation loaders, in their order.
        num_steps: optimiser steps of the whole run.
        seed: dropout at a step is drawn from (seed, step, rank) alone, so no generator's state has
            to be saved for a resumed run to go on bit for bit.
    """

    def __init__(
        self,
        model: RewardModel,
        loss: Loss,
        optim: AdamW,
        *,
        default_lr: float,
        domains: Sequence[str],
        val_splits: Sequence[str],
        num_steps: int,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.loss = loss
        self.optim = optim
        self.default_lr = default_lr
        self.domains = tuple(domains)
        self.val_splits = tuple(val_splits)
        self.num_steps = num_steps
        self.seed = seed
        self.num_skipped = 0
        self.num_skipped_in_a_row = 0
        self.predictions: dict[str, Predictions] = {}
        self.rewards: dict[str, CompletionRewards] = {}
        self.train_metrics = ComparisonMetrics(domains)
        # Under "NAME split", since a ModuleDict can't have the key "train", its own method's name.
        self.split_metrics = nn.ModuleDict({_key(s): ComparisonMetrics(domains) for s in SPLITS})
        self.split_predictions = nn.ModuleDict({_key(s): PredictionCollector() for s in SPLITS})
        self.split_rewards = nn.ModuleDict({_key(s): RewardCollector() for s in SPLITS})

    def configure_model(self) -> None:
        """Shard the model under FSDP2: each decoder layer on its own, the rest with the root.

        FSDP2 wants one dtype a group, so where frozen weights are bf16, the float32 ones that train
        beside them (adapters in their layer; norm and head in the root) form a group of their own.
        """
        is_sharded = any(isinstance(p, DTensor) for p in self.model.parameters())
        if is_sharded or not isinstance(self.trainer.strategy, ModelParallelStrategy):
            return
        assert self.device_mesh is not None
        mesh = self.device_mesh["data_parallel"]
        for part in (*self.model.decoder_layers, self.model):
            held = [(m, p) for m in part.modules() for p in m.parameters(recurse=False)]
            left = [(m, p) for m, p in held if not isinstance(p, DTensor)]  # not sharded yet
            if len({p.dtype for _, p in left}) > 1:
                trained = dict.fromkeys(m for m, p in left if p.requires_grad)
                fully_shard(list(trained), mesh=mesh)
            fully_shard(part, mesh=mesh)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optim.build(self.model, self.loss, default_lr=self.default_lr)

    def forward(self, batch: GroupBatch) -> Tensor:
        """Return the reward of each completion, float32 [C]."""
        return self.model(batch.tokens)

    def training_step(self, micros: list[GroupBatch], batch_idx: int) -> None:
        """Take one optimiser step on this rank's micro-batches of it."""
        self._seed_step(batch_idx)
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        self.optim.set_lr(optimizer.optimizer, batch_idx, self.num_steps)
        loss = self._backward(micros)
        trained = [p for p in self.parameters() if p.requires_grad]
        self._sync_loss_gradients()
        norm = grad_norm(trained)
        if self._may_step(loss, norm, batch_idx):
            self.optim.clip(trained, norm)
            optimizer.step()
        optimizer.zero_grad()
        self._log_step(loss, norm, optimizer.optimizer.param_groups[0]["lr"])

    def _backward(self, micros: list[GroupBatch]) -> Tensor:
        """Accumulate the gradient of the step's weighted mean loss and return that loss."""
        weight = sum(
            (self.loss.weights(micro).sum() for micro in micros),
            torch.zeros((), device=self.device),
        )
        # Data parallelism averages over ranks what are parts of one mean, hence times world.
        weight = self._sum_over_ranks(weight).clamp(min=torch.finfo(torch.float32).tiny)
        scale = self.trainer.world_size / weight
        total = torch.zeros((), device=self.device)
        for i, micro in enumerate(micros):
            is_last = i == len(micros) - 1
            with nullcontext() if is_last else self._without_sync():
                reward_C = self(micro)
                loss = (self.loss(reward_C, micro) * self.loss.weights(micro)).sum() * scale
                self.manual_backward(loss)
            total += loss.detach()
            self.train_metrics.update(reward_C.detach(), self._logit(reward_C, micro), micro)
        return self._sum_over_ranks(total) / self.trainer.world_size

    def _may_step(self, loss: Tensor, norm: Tensor, step: int) -> bool:
        """Return whether loss and gradients are finite; both are the same on all ranks."""
        if torch.isfinite(loss) and torch.isfinite(norm):
            self.num_skipped_in_a_row = 0
            return True
        self.num_skipped += 1
        self.num_skipped_in_a_row += 1
        rank_zero_warn(
            f"step {step}: loss {loss.item()}, gradient norm {norm.item()}; the step is skipped"
        )
        if self.num_skipped_in_a_row >= MAX_SKIPPED:
            raise TrainingError(
                f"{MAX_SKIPPED} non-finite steps in a row, the last at step {step}; lower "
                "optim.lr, raise optim.warmup, or take hardware.precision=32"
            )
        return False

    def validation_step(self, batch: GroupBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        split = self.val_splits[dataloader_idx]
        reward_C = self(batch)
        logit_P = self._logit(reward_C, batch)
        self._metrics(split).update(reward_C, logit_P, batch)
        self._predictions(split).update(reward_C, logit_P, batch)
        self._rewards(split).update(reward_C, batch)

    def on_validation_epoch_end(self) -> None:
        """Gather each split's metrics and predictions over all ranks; log them while fitting."""
        metrics: dict[str, Tensor] = {}
        for split in self.val_splits:
            metrics |= {f"{split}/{k}": v for k, v in self._metrics(split).compute().items()}
            self.predictions[split] = self._predictions(split).compute()
            self.rewards[split] = self._rewards(split).compute()
            for collected in (self._metrics, self._predictions, self._rewards):
                collected(split).reset()
        if self.trainer.state.fn != "fit":
            return
        reward_C = self.rewards["val"].reward
        if np.isfinite(reward_C).all():  # what bounded scales refer to; saved with the weights
            self.model.set_display_statistics(reward_C.mean(), reward_C.std())
        metrics |= {f"train/{k}": v for k, v in self.train_metrics.compute().items()}
        self.train_metrics.reset()
        if "spillover/accuracy" in metrics:
            metrics["spillover/gap"] = metrics["val/accuracy"] - metrics["spillover/accuracy"]
        metrics["train/skipped_steps"] = torch.tensor(float(self.num_skipped))
        self._log_all(metrics)

    def _metrics(self, split: str) -> ComparisonMetrics:
        metrics = self.split_metrics[_key(split)]
        assert isinstance(metrics, ComparisonMetrics)
        return metrics

    def _predictions(self, split: str) -> PredictionCollector:
        collector = self.split_predictions[_key(split)]
        assert isinstance(collector, PredictionCollector)
        return collector

    def _rewards(self, split: str) -> RewardCollector:
        collector = self.split_rewards[_key(split)]
        assert isinstance(collector, RewardCollector)
        return collector

    def _logit(self, reward_C: Tensor, batch: GroupBatch) -> Tensor:
        return self.loss.preference_logit(batch.margin(reward_C)).detach()  # type: ignore[operator]

    def _log_step(self, loss: Tensor, norm: Tensor, lr: float) -> None:
        values = {"train/loss": loss, "train/grad_norm": norm, "train/lr": lr}
        values |= {f"loss/{name}": value for name, value in self.loss.learned().items()}
        self._log_all(values)

    def _log_all(self, metrics: Mapping[str, Tensor | float]) -> None:
        # Every value is already one over all ranks, so nothing is left to reduce.
        finite = {k: v for k, v in metrics.items() if not (isinstance(v, Tensor) and v.isnan())}
        self.log_dict(finite, batch_size=1)

    def _seed_step(self, step: int) -> None:
        seed = np.random.SeedSequence((self.seed, step, self.global_rank)).generate_state(1)[0]
        torch.manual_seed(int(seed))

    def _sum_over_ranks(self, value: Tensor) -> Tensor:
        return self.trainer.strategy.reduce(value, reduce_op="sum")  # type: ignore[return-value]

    def _without_sync(self) -> AbstractContextManager:
        strategy = self.trainer.strategy
        return (
            strategy.block_backward_sync()
            if isinstance(strategy, ParallelStrategy)
            else nullcontext()
        )

    def _sync_loss_gradients(self) -> None:
        """Average the gradients of the loss's own parameters, which FSDP2 does not hold."""
        if isinstance(self.trainer.strategy, ModelParallelStrategy):
            for p in self.loss.parameters():
                assert p.grad is not None
                p.grad.copy_(self._sum_over_ranks(p.grad) / self.trainer.world_size)


def _key(split: str) -> str:
    return f"{split} split"
