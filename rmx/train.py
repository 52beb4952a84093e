"""Train a reward model: `python -m rmx.train model=smollm2_135m loss=bt freeze=last_layer`.

Reads and splits the data, trains with validation, stops early, scores every split with the best
checkpoint, and leaves a run folder. `-m` with lists of values runs a sweep: `-m loss=bt,mse`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import DictConfig

from rmx.cli import run_command, run_context
from rmx.config.names import shown_path

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

    from rmx.assembly import Run


def train(cfg: DictConfig) -> None:
    """Run one training job, from a checked config to a run folder."""
    from rmx.assembly import build_logger, build_run, build_trainer, record_run, say
    from rmx.callbacks import Interrupted
    from rmx.loggers import finish_logger, where_to_look
    from rmx.quiet import quiet_libraries
    from rmx.results import (
        describe_results,
        evaluate_best,
        flat_metrics,
        write_results,
        write_rewards,
    )

    quiet_libraries()
    context = run_context()
    run = build_run(cfg, context.run_dir)
    record_run(cfg, run, context.run_dir, context.overrides)
    logger = build_logger(cfg, context.run_dir, context.run_name, context.group)
    trainer = build_trainer(cfg, run, logger)
    has_failed = True
    try:
        fit(trainer, run)
        results = evaluate_best(trainer, run)
        if trainer.is_global_zero:
            write_results(context.run_dir, results)
            write_rewards(context.run_dir, run, cfg.display)
            for one in trainer.loggers:
                one.log_metrics(flat_metrics(results), step=trainer.global_step)
        say(f"\n{describe_results(results)}\n")
        has_failed = False
    except Interrupted:
        say(f"go on with: python -m rmx.train resume={shown_path(context.run_dir)}")
        raise
    finally:
        finish_logger(logger, failed=has_failed)
    say(f"run folder: {shown_path(context.run_dir)}")
    say(f"next: {where_to_look(logger) or 'python -m rmx.train --help'}")


def fit(trainer: Trainer, run: Run) -> None:
    """Train from the start or from the newest checkpoint; nothing to do where that is the end."""
    newest = run.checkpoints.load_newest() if run.checkpoints.resume else None
    if newest is not None and newest.progress["is_finished"]:
        run.checkpoints.load_state_dict(newest.progress["callbacks"][run.checkpoints.state_key])
        return
    trainer.fit(run.module, datamodule=run.data)


if __name__ == "__main__":
    run_command(train, config_name="train")
