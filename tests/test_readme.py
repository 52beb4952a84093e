"""What README.md tells a newcomer holds."""

import math
import re
from pathlib import Path

import torch

from rmx.config import config_dir
from rmx.metrics import pair_batch

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_loss_of_your_own_works_as_written():
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names: dict = {"__name__": "rmx.losses.exponential"}
    exec(code, names)
    loss = names["Exponential"]()
    batch = pair_batch(torch.tensor([1.0, 0.5]))
    value_P = loss(torch.tensor([2.0, 1.0, 0.0, 0.0]), batch)
    torch.testing.assert_close(value_P, torch.tensor([math.exp(-1), 1.0]))
    assert loss.weights(batch).tolist() == [1.0, 0.0]  # the tie is left out


def test_the_tree_names_every_module_and_package():
    tree = README[README.index("## Where things are") :]
    for path in (ROOT / "rmx").iterdir():
        if path.suffix == ".py" and path.stem != "__init__":
            assert path.name in tree
        elif (path / "__init__.py").exists():
            assert f"{path.name}/" in tree


def test_every_group_and_choice_is_listed():
    listed = README[README.index("| group |") : README.index("## Your own data")]
    unlisted = {"callbacks", "optim"}  # groups of one choice
    for folder in config_dir().iterdir():
        for choice in folder.glob("*.yaml") if folder.name not in unlisted else ():
            assert f"`{folder.name}=" in listed
            assert choice.stem in listed, (folder.name, choice.stem)


def test_nothing_is_left_to_fill_in():
    assert "@@" not in README
