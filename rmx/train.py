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
    from rmx.assembly import build_logger, build_run, build_trainer, say
    from rmx.callbacks import Interrupted, ending_in_order
    from rmx.checkpoint import list_checkpoints
    from rmx.loggers import finish_logger, where_to_look
    from rmx.quiet import quiet_libraries
    from rmx.record import check_resumed, record_run
    from rmx.results import describe_results, evaluate_best, keep_results

    quiet_libraries()
    context = run_context()
    check_resumed(cfg, context.run_dir)
    with ending_in_order():
        run = build_run(cfg, context.run_dir)
        record_run(cfg, run.data, context.run_dir, context.overrides)
        logger = build_logger(cfg, context.run_dir, context.run_name, context.group)
        trainer = build_trainer(cfg, run, logger)
        has_failed = True
        try:
            fit(trainer, run)
            results = evaluate_best(trainer, run)
            keep_results(results, run, trainer, context.run_dir, scale=cfg.display)
            has_failed = False
        except Interrupted:
            if list_checkpoints(run.checkpoints.folder):
                say(f"go on with: python -m rmx.train resume={shown_path(context.run_dir)}")
            raise
        finally:
            finish_logger(logger, failed=has_failed)
    say(f"\n{describe_results(results)}\n\nrun folder: {shown_path(context.run_dir)}")
    say(f"next: {where_to_look(logger) or 'python -m rmx.train --help'}")


def fit(trainer: Trainer, run: Run) -> None:
    """Train from the start or from the newest checkpoint; nothing to do where that is the end."""
    newest = run.checkpoints.load_newest() if run.checkpoints.resume else None
    if newest is not None and newest.progress["is_finished"]:
        run.checkpoints.restore_progress(newest, run.callbacks, run.module)
        return
    trainer.fit(run.module, datamodule=run.data)


if __name__ == "__main__":
    run_command(train, config_name="train")
