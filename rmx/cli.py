"""What every command shares: its config checked before anything heavy, and errors in one line.

A command is a module whose last lines are

    if __name__ == "__main__":
        run_command(train, config_name="train")

with `train(cfg)` importing what is heavy inside. Nothing here imports torch.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from rmx.cli_help import help_text
from rmx.config import config_dir
from rmx.config.names import cell_name, override_key
from rmx.config.schema import SCHEMAS
from rmx.errors import ConfigError, RmxError, TrainingError
from rmx.resuming import resumed_overrides
from rmx.sweep_table import CELL
from rmx.sweeping import Plan, plan_runs

DATE = re.compile(r"^\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_")  # that run folders start with
FROM_SIGNAL = 128  # exit codes above: the shell's for a signal

Main = Callable[[DictConfig], None]


@dataclass(frozen=True)
class RunContext:
    """Where and as what a command runs.

    Attributes:
        run_dir: its folder, absolute; it exists.
        overrides: what composes its config again: `compose_run(overrides)`.
        run_name: for people; in a sweep, what this run changes.
        group: the sweep's name, or None.
    """

    run_dir: Path
    overrides: list[str]
    run_name: str
    group: str | None


def run_context() -> RunContext:
    """Return the context of the command that is running."""
    hydra_cfg = HydraConfig.get()
    folder = Path(hydra_cfg.runtime.output_dir).resolve()
    overrides = [o for o in hydra_cfg.overrides.task if override_key(o) != "resume"]
    if (folder.parent / "multirun.yaml").is_file():  # a sweep's run, also when it is resumed
        return RunContext(folder, overrides, folder.name, folder.parent.name)
    return RunContext(folder, overrides, DATE.sub("", folder.name), None)


def run_command(main: Main, *, config_name: str) -> None:
    """Run `main` on the config that the command line asks for, once or for each run of a sweep.

    A setting that can't be ends the command with one line on stderr and exit code 2, before `main`
    is called; an RmxError from `main` likewise, with its own code. Others keep their trace.
    """
    try:
        _run(main, config_name)
    except RmxError as error:
        if os.environ.get("LOCAL_RANK", "0") == "0":  # one process tells it for all
            print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(FROM_SIGNAL + 2)


def _run(main: Main, config_name: str) -> None:
    parser = get_args_parser()
    args = parser.parse_intermixed_args()  # settings may stand on both sides of a flag
    _refuse_flags(args)
    if args.help:
        print(help_text(sys.modules[main.__module__].__doc__ or "", config_name))
        return
    if args.hydra_help or args.info or args.shell_completion:
        _hydra_main(lambda cfg: None, config_name)
        return
    overrides = resumed_overrides(args.overrides, output_dir=SCHEMAS[config_name].output_dir)
    plan = plan_runs(overrides, config_name=config_name, multirun=args.multirun)
    if plan.is_sweep and _is_resuming(overrides):
        raise ConfigError(
            "resume= goes on with one run; leave out -m, and resume each run by its PATH"
        )
    # Hydra reads the command line, and Lightning starts its other processes with it.
    flags = [a for a in sys.argv[1:] if a not in args.overrides]
    sys.argv = [sys.argv[0], *flags, *plan.overrides]
    if args.cfg:
        _hydra_main(lambda cfg: None, config_name)
    elif plan.is_sweep:
        _run_sweep(main, config_name, plan)
    else:
        _run_once(main, config_name)


def _run_once(main: Main, config_name: str) -> None:
    """Run Hydra's one job. Its exception is raised here, for Hydra would print half a trace."""
    raised: list[Exception] = []

    def job(cfg: DictConfig) -> None:
        try:
            main(cfg)
        except Exception as error:
            raised.append(error)

    _hydra_main(job, config_name)
    if raised:
        raise raised[0]


def _run_sweep(main: Main, config_name: str, plan: Plan) -> None:
    """Run each cell; one that fails is recorded, and the next one starts."""
    failed: list[str] = []
    started: list[str] = []

    def job(cfg: DictConfig) -> None:
        context = run_context()
        started.append(context.run_name)
        name = cell_name(context.overrides, plan.changed)
        print(f"\n[{len(started)}/{len(plan.cells)}] {name}", flush=True)
        start, error = time.monotonic(), "interrupted"
        try:
            main(cfg)
            error = None
        except RmxError as caught:
            error = str(caught)
            print(f"error: {error}", file=sys.stderr)
            if caught.exit_code > FROM_SIGNAL:  # the sweep was meant, not this run
                sys.exit(caught.exit_code)
        except Exception as caught:
            error = f"{type(caught).__name__}: {caught}"
            traceback.print_exc()
        finally:
            record = {
                "overrides": context.overrides,
                "seconds": round(time.monotonic() - start, 2),
                "error": error,
            }
            (context.run_dir / CELL).write_text(json.dumps(record, indent=1), encoding="utf-8")
        if error:
            failed.append(context.run_name)

    _hydra_main(job, config_name)
    if failed:
        raise TrainingError(f"{len(failed)} of {len(started)} runs failed: {', '.join(failed)}")


def _hydra_main(job: Main, config_name: str) -> None:
    hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=config_name)(job)()


def _refuse_flags(args: argparse.Namespace) -> None:
    """Refuse what would compose another config than the one that is checked."""
    for flag in ("config_path", "config_name", "config_dir", "experimental_rerun"):
        if getattr(args, flag) is not None:
            raise ConfigError(
                f"--{flag.replace('_', '-')}: settings come from {config_dir()}; add a YAML there"
            )
    if args.multirun and args.cfg:
        raise ConfigError("-m and --cfg exclude each other: --cfg shows one config")


def _is_resuming(overrides: Sequence[str]) -> bool:
    return any(override_key(o) == "resume" for o in overrides)
