"""Two gloo processes, unevenly loaded, compute what one does.

Run as a script, this file is one rank: processes started from it need no importable test package.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rmx.metrics import ComparisonMetrics, PredictionCollector
from rmx.metrics.predictions import COLUMNS
from rmx.types import GroupBatch, PaddedTokens

DOMAINS = ("code", "maths", "never_seen", "prose")


def flat(scored) -> dict[str, torch.Tensor]:
    """Tensors that `torch.load(weights_only=True)` takes."""
    reward_C, logit_P, batch = scored
    columns = {key: value for key, value in vars(batch).items() if key != "tokens"}
    return columns | vars(batch.tokens) | {"reward_C": reward_C, "logit_P": logit_P}


def scored_of(columns):
    tokens = {key: columns.pop(key) for key in ("input_ids_CT", "mask_CT", "prompt_length_C")}
    reward_C, logit_P = columns.pop("reward_C"), columns.pop("logit_P")
    return reward_C, logit_P, GroupBatch(tokens=PaddedTokens(**tokens), **columns)


def values_of(batches) -> dict[str, torch.Tensor]:
    metrics, collector = ComparisonMetrics(DOMAINS), PredictionCollector()
    for scored in batches:
        metrics.update(*scored)
        collector.update(*scored)
    predictions = collector.compute()
    columns = {name: torch.from_numpy(getattr(predictions, name)) for name in COLUMNS}
    return metrics.compute() | {f"predictions/{name}": value for name, value in columns.items()}


def run_rank(rank: int, folder: Path) -> None:
    """One process: its batches from a file, its values to another."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    cases = torch.load(folder / f"in{rank}.pt")
    values = {
        name: values_of([scored_of(columns) for columns in batches])
        for name, batches in cases.items()
    }
    torch.save(values, folder / f"out{rank}.pt")
    torch.distributed.destroy_process_group()


def run_two_ranks(cases, folder: Path) -> list[dict[str, dict[str, torch.Tensor]]]:
    """Return each rank's values for each case; a case holds the batches of rank 0 and of rank 1."""
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    for rank in range(2):
        flat_cases = {
            name: [flat(scored) for scored in parts[rank]] for name, parts in cases.items()
        }
        torch.save(flat_cases, folder / f"in{rank}.pt")
    ranks = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, str(rank), str(folder)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in ranks:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    return [torch.load(folder / f"out{rank}.pt") for rank in range(2)]


@pytest.mark.slow
def test_two_processes_compute_what_one_does(groups, split_into, tmp_path):
    cases = {
        "uneven": [split_into(groups[:60], [7]), split_into(groups[60:], [31])],
        "one rank without data": [split_into(groups, [7]), []],
    }
    one = values_of(split_into(groups, [200]))
    for rank_values in run_two_ranks(cases, tmp_path):
        for case, values in rank_values.items():
            assert values.keys() == one.keys()
            for key, value in one.items():
                torch.testing.assert_close(
                    values[key], value, rtol=1e-13, atol=0, equal_nan=True, msg=f"{case}: {key}"
                )


if __name__ == "__main__":
    run_rank(int(sys.argv[1]), Path(sys.argv[2]))
