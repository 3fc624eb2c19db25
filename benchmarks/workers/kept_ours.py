"""Steps of training with and without kept features, beside the frozen tower alone. argv: method, encoder."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from pictures import defective, texture
from PIL import Image
from timing import report, seconds

from blemish import catalog
from blemish.encoders.clip import CLIP
from blemish.encoders.config import TextConfig, ViTConfig
from blemish.encoders.text import TextTransformer
from blemish.encoders.tokenizer import build_tokenizer
from blemish.encoders.vit import VisionTransformer
from blemish.examples import BatchSettings, LabelledBatches
from blemish.progress import NOTHING, Advance
from blemish.recipes.detectors import precision_of
from blemish.training.features import FeatureCache
from blemish.training.loop import train
from blemish.types import GOOD, Encoder, Sample

COUNT, BATCH = 16, 8
STEPS = {False: 4, True: 24}  # measured, without and with kept features; one more is not


class Clock:
    """The time of each step."""

    def __init__(self) -> None:
        self.times = list[float]()

    def __call__(self, stage: str, total: int, done: int = 0, /) -> Advance:
        """As `ShowProgress` says."""

        def advance(measured: Any = NOTHING, /) -> None:
            self.times.append(time.perf_counter())

        return advance


def encoder(name: str) -> str | Encoder:
    """A name; or a ViT-B-16 of 224 pixels with random weights."""
    if name != "ViT-B-16":
        return name
    torch.manual_seed(0)
    visual = VisionTransformer(ViTConfig(224, 16, 768, 12, heads=12, hidden=3072, output=512, norm_pre=True))
    made = CLIP(visual, TextTransformer(TextConfig(output=512)), build_tokenizer([])).requires_grad_(False).eval()
    made.name = "random"
    for parameter in made.parameters():
        parameter.data.normal_(0, 0.02) if parameter.ndim > 1 else None
    return made


def samples(folder: Path) -> list[Sample]:
    """Half of them with a defect and its mask."""
    random = np.random.default_rng(0)
    found = []
    for number in range(COUNT):
        picture = ((defective if number % 2 else texture)(random, 224) * 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{number}.png")
        mask = np.zeros((224, 224), np.uint8)
        mask[60:100, 60:100] = 255
        Image.fromarray(mask).save(folder / f"mask{number}.png")
        masks = (folder / f"mask{number}.png",) if number % 2 else ()
        found.append(Sample(folder / f"{number}.png", "bar" if masks else GOOD, masks))
    return found


def main(method: str, name: str) -> None:
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as place:
        given = samples(Path(place))
        detector = cast(Any, catalog.method(method)(encoder(name)))
        settings = BatchSettings(BATCH)
        images = LabelledBatches(given, detector.geometry, settings)(0).images
        found["tower"] = seconds(lambda: detector.frozen(images), repeats=4)
        cache = FeatureCache(Path(place) / "seen", detector, detector.geometry)
        for kept in (False, True):
            examples = LabelledBatches(given, detector.geometry, settings, cache if kept else None)
            for number in range(64 if kept else 8):
                examples(number)  # pictures are read, or seen, before it begins
            coarse = "bf16-mixed" if precision_of(detector) == "bfloat16" else "32-true"  # as `blemish train` chooses
            schedule = replace(
                detector.schedule, steps=STEPS[kept] + 1, batch_size=BATCH, device="cpu", precision=coarse
            )
            clock = Clock()
            train(detector, examples, schedule, Path(place) / f"run{kept}", watch=clock)
            found["kept" if kept else "plain"] = np.diff(clock.times).tolist()
    report(**found)


main(*sys.argv[1:])
