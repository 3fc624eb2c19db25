"""Writes `tests/parity/methods/dinomaly.safetensors`: what anomalib's Dinomaly computes on random tokens.

Not a test and not imported by one: it needs anomalib. Run `python -m tests.parity.reference.dinomaly` from the root of
the repository in an environment that has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import torch
from anomalib.models.image.dinomaly import torch_model  # type: ignore[import-not-found]
from safetensors.torch import save_file
from tests.parity.reference.arrays import Arrays, generator, outputs_of, prefixed, randomise
from torch import Tensor, nn

FILE = Path(__file__).parents[1] / "methods" / "dinomaly.safetensors"
WIDTH, LAYERS, PATCH, GRID = 32, 4, 8, (5, 8)
NAMES = {
    "bottleneck.0.fc1": "bottleneck.1",
    "bottleneck.0.fc2": "bottleneck.4",
    "attn.qkv": "attention.qkv",
    "attn.proj": "attention.out",
    "mlp.fc1": "mlp.0",
    "mlp.fc2": "mlp.3",
    "decoder.": "blocks.",
}


class Given(nn.Module):
    """An encoder that gives out stored tokens, a class token first, whatever it is shown."""

    num_register_tokens, patch_size = 0, PATCH

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))  # something of a type
        self.layers = list[Tensor]()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {f"blocks.{number}": tokens for number, tokens in enumerate(self.layers)}


def model() -> Any:
    shape = {"embed_dim": WIDTH, "num_heads": 2, "target_layers": list(range(LAYERS))}
    with (
        mock.patch.object(torch_model, "TimmFeatureExtractor", Given),
        mock.patch.dict(torch_model.DINO_ARCHITECTURES, {"tiny": shape}, clear=True),
    ):
        made = torch_model.DinomalyModel(
            "tiny", bottleneck_dropout=0.0, decoder_depth=LAYERS, remove_class_token=True
        )  # fmt: skip
    made.fuse_layer_encoder = made.fuse_layer_decoder = [[0, 1], [2, 3]]
    for part, seed in ((made.bottleneck, 1), (made.decoder, 2)):
        randomise(part, seed=seed)
    return made


def named(name: str) -> str:
    """Our name of one of its parameters."""
    for theirs, ours in NAMES.items():
        name = name.replace(theirs, ours)
    return name


def tokens(count: int, seed: int) -> list[Tensor]:
    rng = generator(seed)
    return [torch.randn(count, 1 + GRID[0] * GRID[1], WIDTH, generator=rng) for _ in range(LAYERS)]


def grids(layers: list[Tensor]) -> Arrays:
    return {f"layer{number}": each[:, 1:].unflatten(1, GRID) for number, each in enumerate(layers, start=1)}


def main() -> None:
    torch.set_num_threads(1)
    made, test, train = model(), tokens(2, 3), tokens(3, 4)
    size = (GRID[0] * PATCH, GRID[1] * PATCH)
    made.eval().encoder.layers = test
    with torch.no_grad(), outputs_of([made.gaussian_blur]) as seen:
        found = made(torch.zeros(2, 3, *size))
    blurred = nn.functional.interpolate(seen[0], size, mode="bilinear")[:, 0]
    made.train().encoder.layers = train
    loss = made(torch.zeros(3, 3, *size), global_step=500)
    loss.backward()
    chosen = {
        named(name): each for name, each in made.named_parameters() if name.startswith(("bottleneck", "decoder"))
    }  # fmt: skip
    arrays = (
        prefixed("test", grids(test) | {"image_score": found.pred_score, "anomaly_map": blurred})
        | prefixed("train", grids(train) | {"loss": loss})
        | prefixed("weights", chosen)
        | prefixed("gradient", {name: each.grad.norm() for name, each in chosen.items() if each.grad is not None})
    )
    save_file({key: value.detach().clone().contiguous() for key, value in arrays.items()}, FILE)


if __name__ == "__main__":
    main()
