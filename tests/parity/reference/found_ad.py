"""Writes `tests/parity/methods/found_ad.safetensors`: what anomalib's FoundAD computes on random tokens.

Not a test and not imported by one: it needs anomalib. Run `python -m tests.parity.reference.found_ad` from the root of
the repository in an environment that has it.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from anomalib.models.image.foundad import torch_model  # type: ignore[import-not-found]
from safetensors.torch import save_file
from tests.parity.reference.arrays import generator, prefixed, randomise
from torch import Tensor, nn

FILE = Path(__file__).parents[1] / "methods" / "found_ad.safetensors"
WIDTH, PATCH, GRID = 24, 8, (5, 8)


class Given(nn.Module):
    """An encoder that gives out stored tokens, whatever it is shown."""

    embed_dim, patch_size = WIDTH, PATCH

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = SimpleNamespace(num_patches=GRID[0] * GRID[1])
        self.tokens = list[Tensor]()

    def get_intermediate_layers(self, images: Tensor, n: int) -> list[Tensor]:
        return [self.tokens.pop(0)]


def model() -> Any:
    shape = {"embed_dim": WIDTH, "num_heads": 4}
    with (
        mock.patch.object(torch_model, "load_encoder", return_value=Given()),
        mock.patch.dict(torch_model.DINOV2_ARCHITECTURES, {"tiny": shape}, clear=True),
    ):
        made = torch_model.FoundADModel("tiny", pred_depth=3, pred_emb_dim=16, dropout=0.0)
    randomise(made.projector, seed=1)
    made.gaussian_blur = nn.Identity()  # which the authors' code has not
    return made


def tokens(count: int, seed: int) -> Tensor:
    return torch.randn(count, GRID[0] * GRID[1], WIDTH, generator=generator(seed))


def loss_of(made: Any, good: Tensor, seen: Tensor, size: tuple[int, int]) -> Tensor:
    """One step's, on what is seen of pictures whose good parts are given."""
    made.encoder.tokens = [good, seen]
    with mock.patch.object(torch, "rand", return_value=torch.zeros(1)):  # what is flawed is shown
        found: Tensor = made(torch.zeros(len(good), 3, *size), torch.zeros(len(good), 3, *size))
    return found


def main() -> None:
    torch.set_num_threads(1)
    made, test, good, flawed = model(), tokens(2, 3), tokens(3, 4), tokens(3, 5)
    size = (GRID[0] * PATCH, GRID[1] * PATCH)
    made.eval().encoder.tokens = [test]
    with torch.no_grad():
        found = made(torch.zeros(2, 3, *size))
    made.train()
    plain, mended = loss_of(made, good, good, size), loss_of(made, good, flawed, size)
    ((plain + mended) / 2).backward()
    weights = {name: each for name, each in made.projector.named_parameters() if each.requires_grad}
    arrays = {
        "test.tokens": test.unflatten(1, GRID),
        "test.image_score": found.pred_score,
        "test.anomaly_map": found.anomaly_map[:, 0],
        "train.good": good.unflatten(1, GRID),
        "train.flawed": flawed.unflatten(1, GRID),
        "train.loss": torch.stack([plain, mended]),
    }
    arrays |= prefixed("predictor", weights)
    arrays |= prefixed("gradient", {name: each.grad.norm() for name, each in weights.items() if each.grad is not None})
    save_file({key: value.detach().clone().contiguous() for key, value in arrays.items()}, FILE)


if __name__ == "__main__":
    main()
