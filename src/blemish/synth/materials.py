"""Every material by its name."""

from __future__ import annotations

import numpy as np

from blemish.synth.boards import BOARDS
from blemish.synth.metals import METALS
from blemish.synth.minerals import MINERALS
from blemish.synth.organics import ORGANICS
from blemish.synth.pigments import scale, uneven
from blemish.synth.polymers import POLYMERS
from blemish.synth.scene import Material, Surface
from blemish.synth.textiles import TEXTILES


def _as_found(material: Material) -> Material:
    """The material as real sheets of it are: never quite even."""

    def draw(rng: np.random.Generator, side: int, grain: float) -> Surface:
        return uneven(rng, material.draw(rng, side, grain), scale(rng, 0.005, 0.06))

    return material._replace(draw=draw)


MATERIALS: dict[str, Material] = {
    name: _as_found(material)
    for family in (METALS, TEXTILES, MINERALS, ORGANICS, POLYMERS, BOARDS)
    for name, material in family.items()
}
