"""Every choice composes and binds to the signatures of its classes, alone and in pairs."""

from itertools import combinations, product

import pytest

from rmx.config import compose_run, config_dir

PAIRED = ("model", "loss", "freeze", "hardware")
OTHERS = ("head", "encoder", "data", "optim", "logger", "callbacks", "experiment", "sweep")
NEEDED = {"data=files": ["data.train=train.jsonl"]}


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (config_dir() / group).glob("*.yaml"))


def covering_rows() -> list[tuple[str, ...]]:
    """Return few rows in which each pair of choices of two groups stands together at least once.

    Every (model, loss) has a row; the two others run diagonally through them, so that each meets
    every model, every loss and each other.
    """
    models, losses, freezes, hardwares = (choices(group) for group in PAIRED)
    return [
        (
            model,
            loss,
            freezes[(i + j) % len(freezes)],
            hardwares[(i + 2 * j) % len(hardwares)],
        )
        for (i, model), (j, loss) in product(enumerate(models), enumerate(losses))
    ]


def test_the_rows_hold_every_pair_of_choices() -> None:
    rows = covering_rows()
    for a, b in combinations(range(len(PAIRED)), 2):
        wanted = set(product(choices(PAIRED[a]), choices(PAIRED[b])))
        assert {(row[a], row[b]) for row in rows} == wanted, (PAIRED[a], PAIRED[b])


@pytest.mark.parametrize("row", covering_rows(), ids=" ".join)
def test_every_pair_binds(row: tuple[str, ...]) -> None:
    compose_run([f"{group}={choice}" for group, choice in zip(PAIRED, row, strict=True)])


@pytest.mark.parametrize(
    "choice", [f"{group}={name}" for group in OTHERS for name in choices(group)]
)
def test_every_other_choice_binds(choice: str) -> None:
    compose_run([choice, *NEEDED.get(choice, [])])


@pytest.mark.parametrize(
    "line",
    [
        "model.path=org/name ties=drop optim.lr=1e-5 val_every=10 hardware=cpu logger=csv",
        "data=files data.train=a.jsonl data.val=b.jsonl data.spillover=c data.on_bad_row=skip",
        "hardware.precision=32",
        "hardware.precision=bf16-true",
        "hardware=ddp hardware.devices=2",
        "callbacks.early_stopping=null",
        "~callbacks.early_stopping",
        "split.spillover=[coding,maths]",
    ],
)
def test_the_documented_words_bind(line: str) -> None:
    compose_run(line.split())
