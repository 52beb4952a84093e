"""What each precision promises of a run, from its settings to its weights."""

import json
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from lightning.pytorch.strategies import ModelParallelStrategy
from torch._C._distributed_c10d import HashStore
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

import rmx.module
from rmx.assembly import build_run, build_trainer
from rmx.config import compose_run
from rmx.errors import ConfigError
from rmx.module import RewardModule
from rmx.quiet import quiet_libraries

WORDS = ["red", "blue", "green", "stone", "river", "paper", "cloud", "small"]


@pytest.fixture
def settings(tmp_path):
    """Return the settings of two steps on small files; later ones win."""
    rows = [
        {"prompt": f"Question {i}?", "chosen": f"{WORDS[i % 8]} river", "rejected": WORDS[i % 7]}
        for i in range(24)
    ]
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def with_more(*overrides: str) -> list[str]:
        return ["experiment=smoke", "data=files", f"data.train={file}", "max_steps=2", *overrides]

    return with_more


@pytest.mark.parametrize("freeze", ["last_layer", "lora"])
@pytest.mark.parametrize(
    ("precision", "frozen_dtype"),
    [("32", torch.float32), ("bf16-mixed", torch.bfloat16), ("bf16-true", torch.bfloat16)],
)
def test_trained_weights_are_float32_and_small_steps_move_them(
    settings, tmp_path, precision, frozen_dtype, freeze
):
    quiet_libraries()
    cfg = compose_run(
        settings(
            f"freeze={freeze}", f"hardware.precision={precision}", "optim.lr=1e-5", "val_every=2"
        )
    )
    run = build_run(cfg, tmp_path)
    model = run.module.model
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    rewards = []
    model.register_forward_hook(lambda module, args, reward_C: rewards.append(reward_C.detach()))
    build_trainer(cfg, run, logger=False).fit(run.module, datamodule=run.data)

    for name, p in model.named_parameters():
        assert p.dtype == (torch.float32 if p.requires_grad else frozen_dtype), name
        share_moved = (p != before[name]).float().mean().item()
        # Adam moves a weight by about 1e-5; a bf16 weight near 0.02 is 1e-4 from its neighbour.
        assert share_moved > 0.95 if p.requires_grad else share_moved == 0, (name, share_moved)
    assert rewards
    assert all(r.dtype == torch.float32 and r.isfinite().all() for r in rewards)


@pytest.mark.parametrize("head", ["linear", "mlp"])
@pytest.mark.parametrize("freeze", ["last_layer", "head_only", "lora"])
def test_every_shard_group_has_one_dtype(settings, tmp_path, monkeypatch, freeze, head):
    # Newer torch asks it of trained parameters only, torch 2.6 of all in a group.
    cfg = compose_run(settings(f"freeze={freeze}", f"head={head}", "hardware.precision=bf16-true"))
    module = build_run(cfg, tmp_path).module
    groups = []

    def note_and_shard(part, mesh):
        roots = part if isinstance(part, list) else [part]
        parameters = {p for root in roots for p in root.parameters()}
        groups.append({p.dtype for p in parameters if not isinstance(p, DTensor)})
        return fully_shard(part, mesh=mesh)

    monkeypatch.setattr(rmx.module, "fully_shard", note_and_shard)
    dist.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,), mesh_dim_names=("data_parallel",))
        trainer = SimpleNamespace(strategy=ModelParallelStrategy())
        own = SimpleNamespace(model=module.model, trainer=trainer, device_mesh=mesh)
        RewardModule.configure_model(own)  # type: ignore[arg-type]
    finally:
        dist.destroy_process_group()
    assert groups
    assert all(len(dtypes) == 1 for dtypes in groups), groups
    assert all(isinstance(p, DTensor) for p in module.model.parameters())


def test_bf16_true_needs_something_frozen(settings, tmp_path):
    cfg = compose_run(settings("freeze=none", "hardware.precision=bf16-true"))
    with pytest.raises(
        ConfigError, match=r"trains everything; take hardware\.precision=bf16-mixed"
    ):
        build_run(cfg, tmp_path)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_max_length_beyond_the_backbones_positions_is_refused(settings, tmp_path, architecture):
    cfg = compose_run(settings(f"model.architecture={architecture}", "max_length=2049"))
    with pytest.raises(ConfigError, match=r"max_length must be at most the 2048 positions .* 2049"):
        build_run(cfg, tmp_path)
