"""A method of one's own in one file, trained on good parts with made defects; nothing has to be registered.

    python examples/own_method.py GOOD PICTURES

learns from the folder GOOD, prints a score for each of PICTURES, and keeps what it saw and learned in own-method/.

    blemish train examples/own_method.py:PatchClassifier GOOD --normal --augment cutpaste --out own.blemish
    blemish --own examples/own_method.py inspect PICTURES --recipe own.blemish

does so from the command line.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from blemish import Batch, Features, Prediction, TrainingSettings, fit, inspect, load_encoder
from blemish.blocks.losses import dice, focal, masks_of
from blemish.blocks.maps import maximum, upsample
from blemish.encoders.capabilities import geometry
from blemish.images import Unreadable, find
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Encoder


class PatchClassifier(nn.Module):
    """One linear map tells patches of made defects from good ones; the encoder stays as it is.

    image_score, anomaly_map: logits, the score the highest of the map.
    """

    def __init__(self, encoder: str | Encoder = "embedded", *, image_size: int | None = None) -> None:
        super().__init__()
        self.encoder = load_encoder(encoder)
        self.geometry = geometry(self.encoder, image_size)
        self.layer = max(1, self.encoder.depth * 3 // 4)
        self.linear = nn.Linear(self.encoder.widths[self.layer - 1], 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.requires_grad_(False).eval()

    @property
    def schedule(self) -> Schedule:
        """How it is trained."""
        return Schedule(steps=100, rate=1e-2, batch_size=8)

    def trained_parameters(self) -> list[ParameterGroup]:
        """What training changes."""
        return [ParameterGroup(list(self.linear.parameters()), decay=1e-2)]

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """What the encoder sees, which may be kept on disk since it never changes."""
        return self.encoder(images, layers=[self.layer])

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Terms by name, whose sum is minimised."""
        seen, truth = batch.features or self.frozen(batch.images), masks_of(batch)
        logits = self._logits(seen, truth.shape[-2:])
        return {"focal": focal(logits, truth), "dice": dice(logits.sigmoid(), truth)}

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction."""
        logits = self._logits(self.frozen(images), images.shape[-2:])
        return Prediction(maximum(logits), logits)

    def _logits(self, seen: Features, size: torch.Size) -> Tensor:
        return upsample(self.linear(seen.patches[0]).squeeze(-1), size)  # (N, H, W)


def learn(detector: PatchClassifier, good: list[Path], folder: Path) -> None:
    """Train in place; what is in the folder already is gone on with."""
    unreadable = list[Unreadable]()
    settings = TrainingSettings(augmentation="cutpaste", pool=32, cache=folder / "seen")
    fit(detector, good, settings, folder=folder, unreadable=unreadable)
    for each in unreadable:
        print(f"not learned from: {each.reason}")


def main(good: str, pictures: str) -> None:
    """From two folders to a score a picture."""
    detector = PatchClassifier()
    learn(detector, find([good]), Path("own-method"))
    for result in inspect(detector, find([pictures])):
        print(result.reason if isinstance(result, Unreadable) else f"{result.score:8.3f} {result.source.id}")


if __name__ == "__main__":
    main(*sys.argv[1:])
