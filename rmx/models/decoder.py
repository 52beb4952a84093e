"""Finds a backbone's parts by what they are, since each architecture names them differently."""

from __future__ import annotations

from torch import nn

from rmx.errors import ModelError


def find_decoder_layers(model: nn.Module, num_layers: int) -> str:
    """Return the name of the list of decoder layers: the largest one of that length."""
    lists = {
        name: sum(p.numel() for p in module.parameters())
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == num_layers
    }
    if not lists:
        raise ModelError(
            f"rmx needs a decoder whose {num_layers} layers are one list, which "
            f"{type(model).__name__} has not; take another backbone"
        )
    return max(lists, key=lambda name: lists[name])


def find_final_norm(model: nn.Module, layers_name: str) -> str:
    """Return the name of the norm that stands beside the list of decoder layers."""
    parent_name = layers_name.rpartition(".")[0]
    names = [
        f"{parent_name}.{name}" if parent_name else name
        for name, module in model.get_submodule(parent_name).named_children()
        # Some decoders have a second one, which norms the embeddings.
        if "norm" in type(module).__name__.lower() and "embed" not in name
    ]
    if len(names) != 1:
        raise ModelError(
            f"rmx needs a decoder with one norm after its layers; {type(model).__name__} has "
            f"{len(names)}; take another backbone"
        )
    return names[0]
