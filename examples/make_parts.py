"""Draw brushed metal plates with a hole, good ones and damaged ones, for trying blemish without a camera.

    python examples/make_parts.py FOLDER

writes FOLDER/good, to show as good parts, and FOLDER/new, to inspect: four good plates and one of each defect.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

SIDE = 256


def plate(rng: np.random.Generator) -> Image.Image:
    """A brushed plate with a bored hole, under light that varies a little from picture to picture."""
    streaks = rng.normal(0, 1, (SIDE, 16)).repeat(SIDE // 16, axis=1) * 5 + rng.normal(0, 3, (SIDE, SIDE))
    slope = np.linspace(-1, 1, SIDE) * rng.uniform(6, 12)
    grey: NDArray[np.float64] = 150 + rng.uniform(-6, 6) + streaks + slope[:, None]
    picture = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((104, 104, 152, 152), fill=(36, 36, 40), outline=(196, 196, 198), width=3)
    return picture.filter(ImageFilter.GaussianBlur(0.7))


def scratched(picture: Image.Image, rng: np.random.Generator) -> None:
    """A bright line across the brushing."""
    x, y = rng.uniform(30, 80, 2)
    ImageDraw.Draw(picture).line((x, y, x + 70, y - 22 + rng.uniform(-8, 8)), fill=(236, 236, 240), width=3)


def stained(picture: Image.Image, rng: np.random.Generator) -> None:
    """A brown, soft-edged spot."""
    x, y = rng.uniform(170, 200, 2)
    spot = Image.new("L", picture.size)
    ImageDraw.Draw(spot).ellipse((x - 18, y - 13, x + 18, y + 13), fill=190)
    picture.paste((96, 62, 30), mask=spot.filter(ImageFilter.GaussianBlur(4)))


def chipped(picture: Image.Image, rng: np.random.Generator) -> None:
    """A bite out of the hole's rim."""
    angle = rng.uniform(0, 2 * np.pi)
    x, y = 128 + 27 * np.cos(angle), 128 + 27 * np.sin(angle)
    ImageDraw.Draw(picture).regular_polygon((x, y, 12), 5, rotation=int(rng.integers(0, 72)), fill=(36, 36, 40))


def main(folder: Path) -> None:
    """Write the pictures; the same ones every time."""
    rng = np.random.default_rng(0)
    for name in ("good", "new"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(16):
        plate(rng).save(folder / "good" / f"{number:02}.png")
    for number in range(4):
        plate(rng).save(folder / "new" / f"good_{number}.png")
    for damage in (scratched, stained, chipped):
        picture = plate(rng)
        damage(picture, rng)
        picture.save(folder / "new" / f"{damage.__name__}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
