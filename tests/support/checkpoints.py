"""Small random checkpoints in other libraries' names."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

PARITY = Path(__file__).parents[1] / "parity" / "encoders"


class Hostile:
    """Unpickling it would run a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 0.2


def timm_vit(*, width: int = 64, depth: int = 2, patch: int = 8, side: int = 4, prefix: int = 1) -> dict[str, Tensor]:
    """timm's names for a ViT of `side` x `side` patches."""
    state = {
        "pos_embed": drawn(1, side * side + prefix, width, seed=1),
        "patch_embed.proj.weight": drawn(width, 3, patch, patch, seed=2),
        "patch_embed.proj.bias": drawn(width, seed=3),
        "norm.weight": 1 + drawn(width, seed=4),
        "norm.bias": drawn(width, seed=5),
    }
    if prefix:
        state["cls_token"] = drawn(1, 1, width, seed=6)
    shapes = {
        "norm1.weight": (width,),
        "norm1.bias": (width,),
        "attn.qkv.weight": (3 * width, width),
        "attn.qkv.bias": (3 * width,),
        "attn.proj.weight": (width, width),
        "attn.proj.bias": (width,),
        "norm2.weight": (width,),
        "norm2.bias": (width,),
        "mlp.fc1.weight": (2 * width, width),
        "mlp.fc1.bias": (2 * width,),
        "mlp.fc2.weight": (width, 2 * width),
        "mlp.fc2.bias": (width,),
    }
    for block in range(depth):
        for number, (name, shape) in enumerate(shapes.items()):
            state[f"blocks.{block}.{name}"] = drawn(*shape, seed=10 + 20 * block + number)
    return state


def saved(state: dict[str, Tensor], path: Path) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return path


def parity_state(layout: str, file: str) -> dict[str, Tensor]:
    """The tensors of a reference checkpoint, to be renamed or damaged."""
    state: dict[str, Tensor] = load_file(PARITY / layout / file)
    return state


def pictures(height: int = 32, width: int = 32, *, count: int = 2) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(7))


def zip_with(path: Path, payload: object, *, scripted: bool) -> Path:
    """A torch-like archive whose description is the pickled payload."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(payload, protocol=2))
        archive.writestr("model/version", "3\n")
        if scripted:
            archive.writestr("model/code/__torch__.py", "raise SystemExit")
    return path
