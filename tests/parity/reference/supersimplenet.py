"""Writes `tests/parity/methods/supersimplenet.safetensors`: what anomalib's SuperSimpleNet computes on random layers.

Not a test and not imported by one: it needs anomalib. Run `python -m tests.parity.reference.supersimplenet` from the
root of the repository in an environment that has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import torch
from anomalib.models.image.supersimplenet import torch_model  # type: ignore[import-not-found]
from anomalib.models.image.supersimplenet.loss import SSNLoss  # type: ignore[import-not-found]
from safetensors.torch import save_file
from tests.parity.reference.arrays import Arrays, generator, prefixed, randomise
from torch import Tensor, nn

FILE = Path(__file__).parents[1] / "methods" / "supersimplenet.safetensors"
LAYERS = {"layer2": (3, 9, 16), "layer3": (5, 5, 8)}  # channels, rows, columns
IMAGES = (36, 64)


class Given(nn.Module):
    """A backbone that gives out stored layers, whatever it is shown."""

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self.layers = {name: torch.zeros(1, *shape) for name, shape in LAYERS.items()}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return dict(self.layers)


def drawn(count: int, seed: int) -> dict[str, Tensor]:
    rng = generator(seed)
    return {name: torch.randn(count, *shape, generator=rng) for name, shape in LAYERS.items()}


def model(*, stop: bool, adapted: bool) -> Any:
    with mock.patch.object(torch_model, "TimmFeatureExtractor", Given):
        made = torch_model.SupersimplenetModel(stop_grad=stop, adapt_cls_features=adapted)
    randomise(made, seed=4)
    made.anomaly_map_generator = torch_model.AnomalyMapGenerator(sigma=4)  # whose kernel was redrawn with the rest
    return made


def predict(made: Any, layers: dict[str, Tensor]) -> Arrays:
    made.eval().feature_extractor.feature_extractor.layers = layers
    with torch.no_grad():
        found = made(torch.zeros(len(layers["layer2"]), 3, *IMAGES))
        features = made.feature_extractor(torch.zeros(1))
    return {"image_score": found.pred_score, "anomaly_map": found.anomaly_map[:, 0], "features": features}


def step(made: Any, layers: dict[str, Tensor], masks: Tensor | None, labels: Tensor) -> Arrays:
    """One step of training: the noise and the truth that were drawn, the loss, and the norm of each gradient."""
    made.train().feature_extractor.feature_extractor.layers = layers
    noises: list[Tensor] = []
    normal = torch.normal

    def keep(*args: Any, **options: Any) -> Tensor:
        noises.append(normal(*args, **options))
        return noises[-1]

    torch.manual_seed(7)
    with mock.patch.object(torch, "normal", keep):
        grid, score, truth, wanted = made(torch.zeros(len(labels), 3, *IMAGES), masks, labels)
    marked = truth if masks is None else truth * (1 - _twice(made.downsample_mask(masks, *truth.shape[-2:])))
    loss = SSNLoss()(grid, score, truth, wanted)
    made.zero_grad()
    loss.backward()
    norms = {f"gradient.{name}": p.grad.norm() for name, p in made.named_parameters() if p.grad is not None}
    return {"noise": noises[0] * marked, "truth": truth, "labels": wanted, "loss": loss.detach(), **norms}


def _twice(masks: Tensor) -> Tensor:
    return torch.cat([masks, masks])


def main() -> None:
    torch.set_num_threads(1)
    test, train = drawn(2, 1), drawn(2, 2)
    arrays = prefixed("test", test) | prefixed("train", train)
    masks, labels = torch.zeros(2, *IMAGES, dtype=torch.bool), torch.tensor([False, True])
    masks[1, 10:30, 20:44] = True
    arrays |= {"masks": masks, "defective": labels}
    for name, options in {
        "alone": {"stop": True, "adapted": True},
        "labelled": {"stop": False, "adapted": False},
    }.items():
        made = model(**options)
        weights = {key: value.clone() for key, value in made.state_dict().items() if "feature_extractor" not in key}
        arrays |= prefixed(name, predict(made, test)) | prefixed("weights", weights)
        given = (None, torch.zeros(2, dtype=torch.bool)) if name == "alone" else (masks, labels)
        arrays |= prefixed(f"{name}.step", step(made, train, *given))
    save_file({key: value.detach().contiguous() for key, value in arrays.items()}, FILE)


if __name__ == "__main__":
    main()
