"""Drawn parts on disk, and a quick recipe of every method."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tests.support import training
from tests.support.quick import SIDE, quick
from torch import Tensor

from blemish import catalog
from blemish.recipes import update
from blemish.recipes.detectors import detector
from blemish.recipes.recipe import Recipe
from blemish.types import Prediction

METHODS = sorted(catalog.METHODS)
LEARNERS = sorted(name for name, card in catalog.METHODS.items() if card.normal != "none" and not card.trained)
TEST = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(9))


def part(path: Path, seed: int, *, spot: tuple[int, int] | None = None, side: int = SIDE) -> Path:
    """Grey with a bar and a little noise; with a coloured spot at (x, y) if it has a defect."""
    pixels = np.random.default_rng(seed).integers(110, 140, (side, side, 3), dtype=np.uint8)
    pixels[side // 4 : side // 2] += 50
    if spot:
        pixels[spot[1] : spot[1] + 12, spot[0] : spot[0] + 12] = (210, 60, 40)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def good(folder: Path, count: int, first: int = 0) -> list[Path]:
    return [part(folder / f"good{number}.png", number) for number in range(first, first + count)]


def spots(folder: Path, count: int) -> list[Path]:
    return [part(folder / f"spot{at}.png", 100 + at, spot=(8 + 8 * at, 44 - 8 * at)) for at in range(count)]


def mask(path: Path, spot: tuple[int, int], side: int = SIDE) -> Path:
    pixels = np.zeros((side, side), np.uint8)
    pixels[spot[1] : spot[1] + 12, spot[0] : spot[0] + 12] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def frozen(method: str, paths: list[Path]) -> Recipe:
    """Of a method that is trained, one that was trained on other parts."""
    if method in training.TRAINED:
        return update.freeze_detector(training.ready(method), method, arguments=training.arguments(method))
    return update.freeze(method, "test-tiny", good=paths, arguments=quick(method, "cap"))


def scores(recipe: Recipe, images: Tensor = TEST) -> Prediction:
    with torch.inference_mode():
        return detector(recipe)(images)


def same(one: Prediction, other: Prediction) -> bool:
    return torch.equal(one.image_score, other.image_score) and torch.equal(one.anomaly_map, other.anomaly_map)
