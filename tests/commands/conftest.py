"""The commands as users start them: processes of their own, on small files."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
WORDS = ["red", "blue", "green", "stone", "river", "paper", "cloud", "small", "round", "early"]


@dataclass
class Finished:
    """One command's end."""

    code: int
    out: str
    err: str
    output_dir: Path

    @property
    def run_dir(self) -> Path:
        (folder,) = (self.output_dir / "runs").iterdir()
        return folder

    @property
    def results(self) -> dict:
        return json.loads((self.run_dir / "results.json").read_text())

    def metrics(self) -> list[dict[str, float]]:
        """Return the CSV logger's rows, empty cells left out."""
        (file,) = self.run_dir.glob("csv/version_0/metrics.csv")
        with file.open() as rows:
            return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(rows)]


def write_rows(path: Path, num_groups: int, *, domains: tuple[str, ...], seed: int) -> None:
    """Write K-wise rows whose better completions say "river" more often than chance."""
    rng = np.random.default_rng(seed)
    with path.open("w") as file:
        for g in range(num_groups):
            k = int(rng.integers(2, 5))
            completions = [
                " ".join(rng.choice(WORDS, size=int(rng.integers(1, 9)))) + f" {i}"
                for i in range(k)
            ]
            comparisons = [
                {"chosen": i, "rejected": j, "preference": 0.5 if rng.random() < 0.1 else 1.0}
                for i in range(k)
                for j in range(i + 1, k)
            ]
            row = {
                "id": f"{seed}-{g}",
                "prompt": f"Question {seed} {g}?",
                "completions": completions,
                "comparisons": comparisons,
                "domain": domains[g % len(domains)],
            }
            file.write(json.dumps(row) + "\n")


@pytest.fixture
def train_command(tmp_path: Path) -> Callable[..., list[str]]:
    """Return the command line of a small run on the CPU; `output` names its folder."""
    write_rows(tmp_path / "train.jsonl", 30, domains=("a", "b"), seed=0)
    write_rows(tmp_path / "spillover.jsonl", 6, domains=("c",), seed=1)

    def command(*overrides: str, output: str = "outputs") -> list[str]:
        return [
            sys.executable,
            "-m",
            "rmx.train",
            "experiment=smoke",
            "data=files",
            f"data.train={tmp_path}/train.jsonl",
            f"data.spillover={tmp_path}/spillover.jsonl",
            f"output_dir={tmp_path}/{output}",
            *overrides,
        ]

    return command


@pytest.fixture
def train(train_command: Callable[..., list[str]], tmp_path: Path) -> Callable[..., Finished]:
    """Return a function that runs training to its end and returns what it printed and wrote."""

    def run(*overrides: str, output: str = "outputs") -> Finished:
        done = subprocess.run(
            train_command(*overrides, output=output),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        return Finished(done.returncode, done.stdout, done.stderr, tmp_path / output)

    return run
