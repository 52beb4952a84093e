"""What every test shares: one thread, no network, one seed.

The environment is set before anything imports torch, wandb or a tokenizer, which read it once.
"""

import os
import random

os.environ |= {
    "OMP_NUM_THREADS": "1",  # two cores and several pytest workers: more threads are slower
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "WANDB_MODE": "disabled",
    "WANDB_SILENT": "true",
    "MPLBACKEND": "Agg",
}

import numpy as np
import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
