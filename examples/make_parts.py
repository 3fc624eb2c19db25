"""Draw gears as a camera over a line sees them, good ones and flawed ones, for trying blemish without a camera.

    python examples/make_parts.py FOLDER

writes FOLDER/good, to show as good parts, and FOLDER/new, to inspect: four good gears and one of each flaw. The gears
are of one design; position, light and the camera's noise vary a little from picture to picture.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from blemish.synth.drawn.flaws.flaws import FLAWS
from blemish.synth.drawn.optics import Camera, Light, illuminate, meter, photograph
from blemish.synth.drawn.parts.parts import PARTS
from blemish.synth.drawn.scene import Scene

SIDE, MARGIN = 256, 3
GEAR = 0  # the seed of the design
SEEDS = {"crack": 19, "cut": 3, "rust": 10, "chip": 7, "thread": 0, "missing": 3}
LIGHT = Light("dome", 2.2, 1.0, 0.6, 6.0, (1.0, 1.0, 1.0), 0.3, 0.2, 0.4, 0.0, (0.5, 0.5), 0.0, 1)
CAMERA = Camera(1.0, (1.0, 1.0, 1.0), 1.1, 1.0, 0.1, 0.4, 0.0, 0.0, 0.006, 0.003, 0.0, 100, False, 1)


def gear() -> Scene:
    """The design, as it should be."""
    return PARTS["gear"].draw(np.random.default_rng(GEAR), SIDE + 2 * MARGIN)


def picture(scene: Scene, rng: np.random.Generator) -> Image.Image:
    """A photograph of it: lamp and exposure differ a little, and it lies as it comes."""
    light = replace(LIGHT, azimuth=LIGHT.azimuth + rng.normal(0, 0.05), seed=int(rng.integers(2**31)))
    seen = illuminate(scene.surface, light)
    camera = replace(CAMERA, exposure=CAMERA.exposure * rng.uniform(0.97, 1.03), seed=int(rng.integers(2**31)))
    pixels = photograph(seen, meter(camera, seen))
    lying = Image.fromarray(pixels).rotate(
        rng.uniform(0, 360), Image.Resampling.BICUBIC, fillcolor=tuple(pixels[2, 2].tolist())
    )
    x, y = (int(at) for at in rng.integers(0, 2 * MARGIN + 1, 2))
    return lying.crop((x, y, x + SIDE, y + SIDE))


def flawed(name: str) -> Scene:
    """The design with a flaw of that family."""
    scene = gear()
    FLAWS[name].apply(scene, np.random.default_rng(SEEDS[name]))
    return scene


def main(folder: Path) -> None:
    """Write the pictures; the same ones every time."""
    rng = np.random.default_rng(0)
    for name in ("good", "new"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(16):
        picture(gear(), rng).save(folder / "good" / f"{number:02}.png")
    for number in range(4):
        picture(gear(), rng).save(folder / "new" / f"good_{number}.png")
    for name in SEEDS:
        picture(flawed(name), rng).save(folder / "new" / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
