"""`resume=PATH` and `resume=last`, handled before Hydra composes anything.

A run folder keeps the overrides it was started with; going on means composing the same config
again, with what is new on the command line, into the same folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import OmegaConf

from rmx.config.names import override_key
from rmx.errors import CheckpointError

CHECKPOINTS = "checkpoints"
OVERRIDES = "overrides.yaml"  # a plain list, written when a run starts


def resumed_overrides(overrides: Sequence[str], *, output_dir: str) -> list[str]:
    """Return the overrides of the run that `resume=` names, with the new ones in place of the old.

    Without `resume=` they come back unchanged; with it, the result holds an absolute `resume=` and
    can be given here again, as the processes of a distributed run do.

    Args:
        output_dir: where `resume=last` looks, unless an override says otherwise.
    Raises:
        CheckpointError: there is no such run, or it has no checkpoint yet.
    """
    given = {override_key(o): o for o in overrides}
    asked = _value(given.get("resume", ""))
    if asked in ("", "null"):
        return list(overrides)
    if asked == "last":
        folder = newest_run(Path(_value(given.get("output_dir", "")) or output_dir))
    else:
        folder = _run_folder(Path(asked))
    saved = OmegaConf.to_container(OmegaConf.load(folder / OVERRIDES))
    if not isinstance(saved, list) or not all(isinstance(o, str) for o in saved):
        raise CheckpointError(f"{folder / OVERRIDES} must be a list of overrides; restore the file")
    if hydra := [o for o in saved if override_key(o).startswith("hydra")]:
        raise CheckpointError(  # they could name code to run
            f"{folder / OVERRIDES} must hold settings of the run alone, got {hydra[0]!r}; remove it"
        )
    given["resume"] = f"resume={_quoted(folder)}"
    given["hydra.run.dir"] = f"hydra.run.dir={_quoted(folder)}"
    given["hydra.mode"] = "hydra.mode=RUN"  # one run, though it may have started in a sweep
    return [o for o in saved if not _is_replaced(override_key(o), given)] + list(given.values())


def _is_replaced(key: str, given: Mapping[str, str]) -> bool:
    """Return whether the setting is given anew, itself or within another choice of its group."""
    return key in given or any(key.startswith(f"{new}.") for new in given)


def newest_run(output_dir: Path) -> Path:
    """Return the folder of the run that saved a checkpoint last.

    Raises:
        CheckpointError: no run has one.
    """
    folders = [*output_dir.glob("runs/*"), *output_dir.glob("sweeps/*/*")]
    resumable = [folder for folder in folders if _has_checkpoint(folder)]
    if not resumable:
        raise CheckpointError(
            f"resume=last: no run under {output_dir}/ has a checkpoint; "
            "start without resume=, or give resume=PATH"
        )
    return max(resumable, key=lambda folder: (folder / CHECKPOINTS).stat().st_mtime_ns).resolve()


def _run_folder(path: Path) -> Path:
    """Return the run folder that the path is, or lies in."""
    path = path.expanduser().resolve()
    if not path.exists():
        raise CheckpointError(
            f"resume={path}: there is no such folder; resume=last takes the newest"
        )
    for folder in (path, *path.parents):
        if (folder / OVERRIDES).is_file():
            if not _has_checkpoint(folder):
                raise CheckpointError(f"resume={folder}: it has no checkpoint yet; start it anew")
            return folder
    raise CheckpointError(
        f"resume={path}: not a run's folder, for it has no {OVERRIDES}; "
        "give one under runs/ or sweeps/, or resume=last"
    )


def _has_checkpoint(folder: Path) -> bool:
    checkpoints = folder / CHECKPOINTS
    has_any = checkpoints.is_dir() and any(
        not p.name.startswith(".") for p in checkpoints.iterdir()
    )
    return has_any and (folder / OVERRIDES).is_file()


def _value(override: str) -> str:
    return override.partition("=")[2].strip("'\"")


def _quoted(path: Path) -> str:
    """Return the path as Hydra's grammar reads it whole: a sweep's folders have `=` and `,`."""
    return "'" + str(path).replace("\\", "\\\\").replace("'", "\\'") + "'"
