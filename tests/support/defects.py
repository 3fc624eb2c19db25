"""Drawn parts with defects of three types, on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

TYPES = ("bright line", "dark spot", "red patch")
SIDE = 64


def draw_part(folder: Path, name: str, kind: str, seed: int) -> Path:
    """A part with a defect of that type, or with none ("good"), and its mask in masks/ beside the folder."""
    generator = np.random.default_rng(seed)
    image, mask = generator.normal(128, 6, (SIDE, SIDE, 3)), np.zeros((SIDE, SIDE), np.uint8)
    (x, y), side, strength = generator.integers(8, 40, 2), int(generator.integers(8, 20)), generator.integers(0, 60)
    if kind == "bright line":
        place = slice(y, y + side // 3), slice(6, 58)
        mask[place], image[place] = 255, 255 - strength
    elif kind == "dark spot":
        place = slice(y, y + side), slice(x, x + side)
        mask[place], image[place] = 255, strength
    elif kind == "red patch":
        place = slice(y, y + side), slice(x, x + side)
        mask[place], image[place] = 255, (255 - strength, strength, strength)
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"{name}.png")
    masks = folder.parent.parent / "masks" / folder.name
    masks.mkdir(parents=True, exist_ok=True)
    if kind != "good":
        Image.fromarray(mask).save(masks / f"{name}.png")
    return folder / f"{name}.png"


def draw_defects(root: Path, count: int, *, first: int = 0, kinds: tuple[str, ...] = TYPES) -> Path:
    """`count` pictures of each type in images/TYPE, and their masks in masks/TYPE."""
    for number, kind in enumerate(kinds):
        for each in range(first, first + count):
            draw_part(root / "images" / kind, f"{kind[:3]}{each}", kind, 1000 * number + each)
    return root


def draw_good(root: Path, count: int) -> Path:
    """`count` good parts in one folder."""
    for each in range(count):
        draw_part(root / "images" / "good", f"good{each}", "good", 9000 + each)
    return root / "images" / "good"
