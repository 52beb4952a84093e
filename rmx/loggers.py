"""Where a run's scalars and figures go: W&B (offline without a login), a CSV file, or nowhere.

Each function is a `logger=` choice and returns what Lightning's Trainer takes as `logger`. All
W&B runs of a project share one folder, so that `wandb leet outputs/wandb` lists and compares them.
"""

from __future__ import annotations

import hashlib
import netrc
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import which
from typing import Any, Literal
from urllib.parse import urlsplit

from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger

from rmx.config.names import shown_path
from rmx.errors import ConfigError
from rmx.provenance import strip_secrets


def wandb_logger(
    *,
    run_dir: str | Path,
    run_name: str,
    group: str | None = None,
    config: Mapping[str, Any] | None = None,
    project: str = "rmx",
    offline: bool | None = None,
    dir: str | Path = "outputs",
    tags: Sequence[str] = (),
) -> WandbLogger:
    """Return a W&B logger; the run itself starts at the first thing logged, on rank 0 only.

    Args:
        run_dir: the run's folder; its name gives the run's id, so a resumed run keeps it.
        run_name: what people read in lists of runs: the changed overrides.
        group: the sweep's name; None for a single run.
        config: the composed config as plain values; what looks like a secret is taken out.
        offline: None takes WANDB_MODE where it is set, else offline unless there is a login.
        dir: W&B makes its `wandb` folder in this one.
    Raises:
        ConfigError: offline is False, and nobody is logged in.
    """
    from wandb import Settings

    if offline is False and not has_wandb_login():
        raise ConfigError(
            "logger.offline=false needs a W&B login, and there is none: run `wandb login`, "
            "set WANDB_API_KEY, or leave logger.offline=null"
        )
    mode = _wandb_mode(offline)
    settings = Settings(
        console="wrap",  # leet shows what was printed; `redirect` would hide that stdout is a tty
        disable_code=True,
        disable_git=True,
        save_code=False,
        show_info=False,
        show_warnings=mode == "online",
        silent=mode != "online",
        x_disable_meta=True,  # command line, host and user: provenance.json has what is needed
        x_save_requirements=False,
    )
    Path(dir).mkdir(parents=True, exist_ok=True)
    logger = WandbLogger(
        name=run_name,
        project=project,
        save_dir=dir,
        id=run_id(run_dir, group),
        group=group,
        tags=list(tags),
        config=strip_secrets(config or {}),
        mode=mode,  # not `offline=`, which would write WANDB_MODE into the environment
        resume="allow" if mode == "online" else None,  # W&B can't look up an offline run
        settings=settings,
    )
    logger._wandb_init.pop("anonymous", None)  # Lightning passes None, and W&B warns of any value
    return logger


def csv_logger(
    *,
    run_dir: str | Path,
    run_name: str | None = None,
    group: str | None = None,
    config: Mapping[str, Any] | None = None,
    flush_every: int = 10,
) -> CSVLogger:
    """Return a logger that writes `csv/version_N/metrics.csv` in the run folder.

    N is 0, and one more at each resume, since Lightning's writer would delete the earlier rows.

    Args:
        run_name, group, config: taken as every logger takes them; the run folder has them already.
        flush_every: steps between writes; what a crash can lose.
    """
    return CSVLogger(save_dir=run_dir, name="csv", flush_logs_every_n_steps=flush_every)


def no_logger(
    *,
    run_dir: str | Path,
    run_name: str | None = None,
    group: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> Literal[False]:
    """Return False, by which Lightning logs nothing; None would mean its default logger."""
    return False


def finish_logger(logger: Logger | bool | None, *, failed: bool) -> None:
    """Close the run, marked as failed or not. Call it in a `finally`; harmless where no run is."""
    if not isinstance(logger, Logger):
        return
    logger.finalize("failed" if failed else "success")
    if isinstance(logger, WandbLogger):
        import wandb

        if wandb.run is not None:
            wandb.run.finish(exit_code=int(failed))


def where_to_look(logger: Logger | bool | None) -> str:
    """Return what to type or open to see a run's curves; an empty string where none are kept."""
    if isinstance(logger, WandbLogger):
        run = logger._experiment
        if run is None or run.offline or run.disabled:
            # beside this Python where its environment is not the shell's
            wandb = "wandb" if which("wandb") else shown_path(Path(sys.executable).parent / "wandb")
            return f"{wandb} leet {shown_path(Path(logger.save_dir or '.') / 'wandb')}"
        return str(run.url)
    if isinstance(logger, CSVLogger):
        return shown_path(Path(logger.log_dir) / "metrics.csv")
    return ""


def run_id(run_dir: str | Path, group: str | None = None) -> str:
    """Return the run folder's name and its sweep's as an id that is safe in file names.

    What tells runs apart comes first and the time last: viewers cut a long name on its right.

    >>> run_id("outputs/runs/2026-01-02_03-04-05_bt lr=1e-4")
    'bt-lr-1e-4-2026-01-02_03-04-05'
    >>> run_id("outputs/sweeps/2026-01-02_03-04-05/0_loss=bt", "2026-01-02_03-04-05")
    '0_loss-bt-2026-01-02_03-04-05'
    """
    name = Path(run_dir).resolve().name
    name = re.sub(r"^(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)_(.+)$", r"\2-\1", name)
    full = f"{name}-{group}" if group else name
    slug = re.sub(r"[^A-Za-z0-9_.-]+", "-", full).strip("-.") or "run"
    if len(slug) <= 100:
        return slug
    digest = hashlib.sha256(full.encode()).hexdigest()[:8]  # the cut must not make two runs one
    return f"{slug[:90]}-{digest}"


def has_wandb_login() -> bool:
    """Return whether a W&B key is at hand, by the environment or a netrc file; asks no server."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).netloc
    named = os.environ.get("NETRC")
    for path in [Path(named)] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]:
        try:
            if netrc.netrc(path).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


def _wandb_mode(offline: bool | None) -> Literal["online", "offline", "disabled"]:
    if offline is None:
        asked = os.environ.get("WANDB_MODE", "").lower()
        if asked == "disabled":
            return "disabled"
        offline = asked in ("offline", "dryrun") or not has_wandb_login()
    return "offline" if offline else "online"
