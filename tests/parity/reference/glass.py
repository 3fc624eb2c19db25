"""Writes `tests/parity/methods/glass.safetensors`: what anomalib's GLASS computes on random layers.

Not a test and not imported by one: it needs anomalib. Run `python -m tests.parity.reference.glass` from the root of the
repository in an environment that has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import torch
from anomalib.models.image.glass import torch_model  # type: ignore[import-not-found]
from safetensors.torch import save_file
from scipy import ndimage
from tests.parity.reference.arrays import Arrays, generator, prefixed, randomise
from torch import Tensor, nn

FILE = Path(__file__).parents[1] / "methods" / "glass.safetensors"
LAYERS = {"layer2": (3, 8, 8), "layer3": (5, 4, 4)}  # channels, rows, columns
WIDTH, HIDDEN, SIDE = 8, 16, 32
NAMES = {
    "projection.layers.0fc": "projection",
    "discriminator.body.block1.0": "judge.hidden",
    "discriminator.body.block1.1": "judge.norm",
    "discriminator.tail.0": "judge.out",
}


class Given(nn.Module):
    """A backbone that gives out stored layers: picture number n is filled with n."""

    def __init__(self, **_: Any) -> None:
        super().__init__()
        rng = generator(1)
        self.layers = {name: torch.randn(6, *shape, generator=rng) for name, shape in LAYERS.items()}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        numbers = images[:, 0, 0, 0].round().long()
        return {name: layer[numbers] for name, layer in self.layers.items()}


class Made(nn.Module):
    """Pictures 3 to 5 as the defects made on 0 to 2, in the masks given."""

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self.masks = torch.zeros(3, 1, SIDE, SIDE)
        self.masks[0, 0, 3:9, 5:20] = 1
        self.masks[1, 0, 20:22, 1:2] = 1
        self.masks[2, 0, 10:31, 10:12] = 1

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images + 3, self.masks


def numbered(first: int, count: int) -> Tensor:
    return torch.arange(first, first + count).float().view(-1, 1, 1, 1).expand(-1, 3, SIDE, SIDE)


def model(*, hypersphere: bool) -> Any:
    dims = {name: {"num_features": shape[0]} for name, shape in LAYERS.items()}
    with (
        mock.patch.object(torch_model, "TimmFeatureExtractor", Given),
        mock.patch.object(torch_model, "PerlinAnomalyGenerator", Made),
        mock.patch.object(torch_model, "dryrun_find_featuremap_dims", return_value=dims),
    ):
        made = torch_model.GlassModel(
            (SIDE, SIDE),
            pretrain_embed_dim=WIDTH,
            target_embed_dim=WIDTH,
            discriminator_hidden=HIDDEN,
            svd=int(hypersphere),
            normalize_mean=[0.0, 0.0, 0.0],
            normalize_std=[1.0, 1.0, 1.0],
        )
    randomise(made.projection, seed=2)
    randomise(made.discriminator, seed=3)
    made.center = 0.3 * torch.randn(LAYERS["layer2"][1] * LAYERS["layer2"][2], WIDTH, generator=generator(4))
    return made


def named(name: str) -> str:
    """Our name of one of its tensors."""
    theirs = next(start for start in NAMES if name.startswith(start))
    return name.replace(theirs, NAMES[theirs])


def predict(made: Any) -> Arrays:
    """The map is blurred as the authors do, by scipy; anomalib's border is another."""
    made.eval()
    patches: list[Tensor] = []
    keep = made.anomaly_segmentor.convert_to_segmentation

    def note(scores: Tensor, device: Any) -> Any:
        patches.append(scores)
        return keep(scores, device=device)

    with torch.no_grad(), mock.patch.object(made.anomaly_segmentor, "convert_to_segmentation", note):
        found = made(numbered(0, 2))
        described, _ = made.generate_embeddings(numbered(0, 2), evaluation=True)
    whole = nn.functional.interpolate(patches[0][:, None], (SIDE, SIDE), mode="bilinear")[:, 0]
    blurred = torch.stack([torch.from_numpy(ndimage.gaussian_filter(each.numpy(), sigma=4)) for each in whole])
    return {"image_score": found.pred_score, "anomaly_map": blurred, "described": described.unflatten(0, (2, 8, 8))}


def step(made: Any) -> Arrays:
    """One step of training: the noise that was drawn, the losses, and the norm of each gradient."""
    noises: list[Tensor] = []
    draw = torch.randn_like

    def keep(tensor: Tensor) -> Tensor:
        noises.append(draw(tensor))
        return noises[-1]

    quantile = torch.quantile

    def fixed(*args: Any, **options: Any) -> Tensor:
        """As a number, as in the authors' code; anomalib lets gradients through the radius."""
        return quantile(*args, **options).detach()

    made.train()
    torch.manual_seed(7)
    with mock.patch.object(torch, "randn_like", keep), mock.patch.object(torch, "quantile", fixed):
        good, moved, _, local, loss = made(numbered(0, 3))
    made.zero_grad()
    loss.backward()
    grid = (3, *LAYERS["layer2"][1:])
    trained = [(name, each) for name, each in made.named_parameters() if name.startswith(("projection", "discr"))]
    norms = {f"gradient.{named(name)}": each.grad.norm() for name, each in trained}
    noise = (made.gaussian_noise_std * noises[0]).unflatten(0, grid)
    return {"noise": noise, "good": good, "global": moved, "local": local, **norms}


def main() -> None:
    torch.set_num_threads(1)
    arrays: Arrays = {}
    for name in ("manifold", "hypersphere"):
        made = model(hypersphere=name == "hypersphere")
        state = {key: value.clone() for key, value in made.state_dict().items() if key.startswith(("proj", "discr"))}
        arrays |= prefixed("weights", {named(key): value for key, value in state.items()})
        arrays |= prefixed("test", predict(made)) | prefixed(name, step(made))
    given = made.forward_modules["feature_aggregator"].layers
    arrays |= prefixed("given", {name: layer.permute(0, 2, 3, 1) for name, layer in given.items()})
    arrays |= {"masks": made.augmentor.masks[:, 0].bool(), "centre": made.center.unflatten(0, LAYERS["layer2"][1:])}
    save_file({key: value.detach().clone().contiguous() for key, value in arrays.items()}, FILE)


if __name__ == "__main__":
    main()
