"""Random weights, pictures and token ids; what a model's layers put out; and how all of it is written down."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

ROOT = Path(__file__).parents[1] / "encoders"
Stats = tuple[Sequence[float], Sequence[float]]
CLIP: Stats = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
IMAGENET: Stats = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF: Stats = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
SIDE, PATCH = 48, 8
OTHER_SIZES = {"larger": (48, 64), "smaller": (40, 24)}
RESIZES: dict[str, dict[str, Any]] = {
    "bicubic_antialias": {"mode": "bicubic", "antialias": True},
    "bicubic": {"mode": "bicubic", "antialias": False},
    "bilinear": {"mode": "bilinear", "antialias": False},
}
Arrays = dict[str, Tensor]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(name: str, tensor: Tensor, rng: torch.Generator) -> Tensor:
    """Values that leave nothing at 0 or 1: norms around 1, biases and tokens around 0, matrices by their fan-in."""
    noise = torch.randn(tensor.shape, generator=rng)
    if name.endswith("running_var"):
        return 0.5 + torch.rand(tensor.shape, generator=rng)
    if name.endswith(("gamma", "lambda1")):
        return 0.5 + 0.2 * noise
    if tensor.ndim == 1 and name.endswith("weight"):
        return 1 + 0.2 * noise
    if tensor.ndim < 2:
        return 0.3 * noise
    if tensor.ndim < 4 and any(word in name for word in ("embed", "token", "class")):
        return 0.5 * noise
    fan_in = tensor.shape[0] if name.endswith("proj") or name == "text_projection" else tensor[0].numel()
    return noise * (1.4 / math.sqrt(fan_in))


def randomise(model: Any, *, seed: int) -> Any:
    """The model in evaluation mode, every floating tensor of its state redrawn in the order of the names."""
    rng = generator(seed)
    with torch.no_grad():
        for name, tensor in sorted(model.state_dict().items()):
            if name.endswith("logit_scale"):
                tensor.fill_(2.5)
            elif tensor.is_floating_point():
                tensor.copy_(draw(name, tensor, rng))
    return model.eval()


def pictures(seed: int, height: int = SIDE, width: int = SIDE, *, count: int = 2) -> Tensor:
    """Random pictures in [0, 1] that are exactly k / 255, so that they are stored as bytes."""
    pixels = torch.randint(0, 256, (count, 3, height, width), generator=generator(seed))
    return pixels / 255


def sentences_as_ids(vocabulary: int, context: int, *, seed: int) -> Tensor:
    """Five sequences of ids: start, 0 to context - 2 random words, end (the highest id), zeros."""
    rng = generator(seed)
    rows = torch.zeros(5, context, dtype=torch.long)
    for row, words in zip(rows, (0, 1, 4, context - 5, context - 2), strict=True):
        row[0] = vocabulary - 2
        row[1 : 1 + words] = torch.randint(1, vocabulary - 2, (words,), generator=rng)
        row[1 + words] = vocabulary - 1
    return rows


@contextmanager
def outputs_of(modules: Sequence[Any]) -> Iterator[list[Tensor]]:
    """Collects what each module returned, in the order of the calls."""
    seen: list[Tensor] = []

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        seen.append((output[0] if isinstance(output, tuple) else output).detach().clone())

    hooks = [module.register_forward_hook(keep) for module in modules]
    yield seen
    for hook in hooks:
        hook.remove()


def as_grid(tokens: Tensor, images: Tensor) -> Tensor:
    """The last h * w tokens of a sequence, class and register tokens left out: (N, L, C) -> (N, h, w, C)."""
    high, wide = images.shape[-2] // PATCH, images.shape[-1] // PATCH
    return tokens[:, -high * wide :].reshape(len(tokens), high, wide, -1)


def normalised(images: Tensor, stats: Stats) -> Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in stats)
    return (images - mean) / std


def per_layer(seen: Sequence[Tensor], images: Tensor) -> Arrays:
    """Raw output of block k as `patches.k` (N, h, w, C) and its class token as `class.k` (N, C)."""
    arrays = {f"patches.{k}": as_grid(tokens, images) for k, tokens in enumerate(seen, 1)}
    return arrays | {f"class.{k}": tokens[:, 0] for k, tokens in enumerate(seen, 1)}


def prefixed(prefix: str, arrays: Mapping[str, Tensor]) -> Arrays:
    return {f"{prefix}.{name}": tensor for name, tensor in arrays.items()}


def write(folder: Path, arrays: Mapping[str, Tensor], stats: Stats) -> None:
    """Pictures go in as bytes: a reader divides every `images` by 255."""
    named = dict(arrays) | {"mean": torch.tensor(stats[0]), "std": torch.tensor(stats[1])}
    stored = {key: (value * 255).round().byte() if key.endswith("images") else value for key, value in named.items()}
    save_file(
        {key: value.detach().clone().contiguous() for key, value in stored.items()}, folder / "expected.safetensors"
    )


def fresh(name: str) -> Path:
    folder = ROOT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def resized_table(table: Tensor, grid: tuple[int, int], how: Mapping[str, Any]) -> Tensor:
    """A square table of patch positions (side * side, C) resized to (h * w, C)."""
    side = round(len(table) ** 0.5)
    square = table.T.reshape(1, -1, side, side)
    return nn.functional.interpolate(square, size=grid, align_corners=False, **how).flatten(2)[0].T
