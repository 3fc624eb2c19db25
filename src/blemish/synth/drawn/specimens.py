"""Twins: a drawn surface or part as it should be, the same one with a flaw, the flaw's mask and the words for both."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from blemish.errors import BadInput
from blemish.synth.drawn.flaws.flaws import add_flaw, check_family
from blemish.synth.drawn.materials.materials import MATERIALS
from blemish.synth.drawn.optics import draw_camera, draw_light, illuminate, meter, photograph
from blemish.synth.drawn.parts.parts import PARTS
from blemish.synth.drawn.scene import Mask, Scene, Surface

Picture = NDArray[np.uint8]  # (H, W, 3)
SURFACES = 0.55
"""Share of specimens whose material fills the picture."""
VISIBLE = 5
"""Grey levels, of 255, by which a flaw must change a pixel to count there."""
SMALLEST = 8
"""Pixels of a flaw that can be seen; fewer, and another flaw is drawn."""


class Specimen(NamedTuple):
    """Equal pictures but for the flaw: same part, light, camera and noise."""

    good: Picture
    flawed: Picture
    mask: Mask
    product: tuple[str, ...]  # the usual name first
    family: str  # of the flaw, a key of FLAWS


def specimen(seed: int, number: int, side: int, *, family: str | None = None) -> Specimen:
    """The specimen of that number: the same on every machine and in every process; `family` asks for a kind of flaw."""
    check_family(family)
    rng = np.random.default_rng((seed, number))
    for _ in range(20):
        scene = draw_scene(rng, side)
        light = draw_light(rng)
        seen = illuminate(scene.surface, light)
        camera = meter(draw_camera(rng), seen)
        good = photograph(seen, camera)
        for _ in range(3):
            broken = scene.copy()
            try:
                name, mask = add_flaw(broken, rng, family)
            except BadInput:  # this scene has no place for that family
                break
            flawed = photograph(illuminate(broken.surface, light), camera)
            shown = visible(good, flawed, mask)
            if shown.sum() >= SMALLEST:
                return Specimen(good, flawed, shown, scene.product, name)
    raise BadInput(f"no scene was found in which a flaw of family {family!r} can be seen")


def on_photograph(picture: Picture, rng: np.random.Generator, product: tuple[str, ...]) -> Specimen:
    """A drawn flaw on a square photograph of a good surface: how the flaw changes the light is drawn, the rest is real.

    Raises BadInput where no flaw can be seen, as on a picture that is black.
    """
    albedo = np.clip(picture / 255, 0.02, 1).astype(np.float32)
    side = len(picture)
    relief = (rng.uniform(0, 2) * ndimage.gaussian_filter(albedo.mean(2), 1)).astype(np.float32)  # dark is deep, mostly
    sheet = Surface(albedo, relief, np.full((side, side), rng.uniform(0, 0.6), np.float32))
    scene = Scene(sheet, np.ones((side, side), bool), product=product, grain=float(rng.uniform(0, np.pi)))
    light = draw_light(rng)
    before = illuminate(sheet, light)
    for _ in range(6):
        broken = scene.copy()
        name, mask = add_flaw(broken, rng)
        ratio = (illuminate(broken.surface, light) + 0.02) / (before + 0.02)
        flawed = np.clip(picture * ratio, 0, 255).astype(np.uint8)
        flawed = np.where(mask[..., None], flawed, picture)
        if (seen := visible(picture, flawed, mask)).sum() >= SMALLEST:
            return Specimen(picture, flawed, seen, product, name)
    raise BadInput("no flaw can be seen on this photograph")


def draw_scene(rng: np.random.Generator, side: int) -> Scene:
    """A material that fills the picture, or a part."""
    if rng.random() < SURFACES:
        name = str(rng.choice(sorted(MATERIALS)))
        grain = float(rng.uniform(0, np.pi))
        surface = MATERIALS[name].draw(rng, side, grain)
        return Scene(surface, np.ones((side, side), bool), product=MATERIALS[name].words, material=name, grain=grain)
    return PARTS[str(rng.choice(sorted(PARTS)))].draw(rng, side)


def visible(good: Picture, flawed: Picture, mask: Mask) -> Mask:
    """The mask where the pictures differ, its gaps of a pixel or two closed."""
    difference = np.abs(good.astype(np.int16) - flawed).max(2)
    changed = ndimage.uniform_filter(difference.astype(np.float32), 3) > VISIBLE
    found: Mask = mask & ndimage.binary_dilation(changed, iterations=2)
    return found
