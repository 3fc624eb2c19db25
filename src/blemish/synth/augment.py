"""Defects put into good parts while training, by the name of a generator."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np

from blemish.errors import BadInput, UnknownName
from blemish.synth.drawn.materials.materials import MATERIALS
from blemish.synth.drawn.optics import draw_light, illuminate
from blemish.synth.drawn.scene import Colours, Mask
from blemish.synth.drawn.specimens import on_photograph
from blemish.synth.published.cutpaste import cutpaste, cutpaste_scar
from blemish.synth.published.draem import draem
from blemish.synth.published.glass import glass
from blemish.synth.published.nsa import nsa

Augmentation = Callable[[Colours, np.random.Generator, Colours], tuple[Colours, Mask]]
"""(good part, random numbers, another good part of its size) -> (the part with a defect, where it is)."""
TRIES = 10
"""Defects drawn until one can be seen."""


def with_other_part(image: Colours, rng: np.random.Generator, other: Colours) -> tuple[Colours, Mask]:
    """Another good part, its colours changed, in spots of Perlin noise."""
    return draem(image, rng, texture=other, probability=1.0)


def with_texture(image: Colours, rng: np.random.Generator, other: Colours) -> tuple[Colours, Mask]:
    """A drawn material in spots of Perlin noise, as DRAEM does with photographs of textures."""
    return draem(image, rng, texture=texture(rng, image.shape[0], image.shape[1]), probability=1.0)


def with_combined_spots(image: Colours, rng: np.random.Generator, other: Colours) -> tuple[Colours, Mask]:
    """GLASS's local anomalies, a drawn material in one, either or both of two Perlin masks."""
    return glass(image, rng, texture=texture(rng, image.shape[0], image.shape[1]))


def with_drawn_flaw(image: Colours, rng: np.random.Generator, other: Colours) -> tuple[Colours, Mask]:
    """A drawn flaw in the light of the picture; of one that is no square, in a square of its own shorter side."""
    side = min(image.shape[:2])
    top, left = (int(rng.integers(room - side + 1)) for room in image.shape[:2])
    window = np.s_[top : top + side, left : left + side]
    flawed, mask = image.copy(), np.zeros(image.shape[:2], bool)
    with suppress(BadInput):  # too dark for a flaw to be seen
        drawn = on_photograph(np.round(image[window] * 255).astype(np.uint8), rng, ("object",))
        flawed[window] = np.where(drawn.mask[..., None], drawn.flawed / np.float32(255), image[window])
        mask[window] = drawn.mask
    return flawed, mask


def with_changed_piece(image: Colours, rng: np.random.Generator, other: Colours) -> tuple[Colours, Mask]:
    """FoundAD's CutPaste, a piece or a scar alike: larger than in CutPaste's own paper, and the colours far more off.

    Deviation: it is pasted anywhere, not on what a rule for each product of MVTec AD and VisA takes for the part, and
    without the black corners that a scar has in their code once it is turned.
    """
    if rng.random() < 0.5:
        return cutpaste(image, rng, area=(0.02, 0.25), aspect=(0.3, 1 / 0.3), jitter=0.5)
    return cutpaste_scar(image, rng, jitter=0.5)


AUGMENTATIONS: dict[str, Augmentation] = {
    "cutpaste": lambda image, rng, other: cutpaste(image, rng),
    "draem": with_texture,
    "drawn": with_drawn_flaw,
    "foundad": with_changed_piece,
    "glass": with_combined_spots,
    "nsa": lambda image, rng, other: nsa(image, rng, source=other),
    "perlin": with_other_part,
    "scar": lambda image, rng, other: cutpaste_scar(image, rng),
}


def make_defect(name: str, image: Colours, rng: np.random.Generator, other: Colours) -> tuple[Colours, Mask]:
    """The part with a defect, and where it is: nowhere if none can be seen, as on black.

    name: of a generator, or of several, "draem+nsa", one of which is drawn. Raises UnknownName.
    """
    names = generators(name)
    for _ in range(TRIES):
        chosen = names[int(rng.integers(len(names)))] if len(names) > 1 else name
        flawed, mask = AUGMENTATIONS[chosen](image, rng, other)
        if mask.any():
            return flawed, mask
    return image, np.zeros(image.shape[:2], bool)


def generators(name: str) -> list[str]:
    """The names that are joined by "+"; raises UnknownName for one that is none."""
    names = name.split("+")
    if unknown := [each for each in names if each not in AUGMENTATIONS]:
        raise UnknownName(f"no augmentation {unknown[0]!r}: choose from {', '.join(AUGMENTATIONS)}, or join some by +")
    return names


def texture(rng: np.random.Generator, height: int, width: int) -> Colours:
    """A drawn material under a drawn light."""
    material = MATERIALS[str(rng.choice(sorted(MATERIALS)))]
    surface = material.draw(rng, max(height, width), float(rng.uniform(0, np.pi)))
    return np.clip(illuminate(surface, draw_light(rng))[:height, :width], 0, 1).astype(np.float32)
