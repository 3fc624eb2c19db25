"""Every material by its name."""

from __future__ import annotations

import numpy as np

from blemish.synth.drawn.materials.boards import BOARDS
from blemish.synth.drawn.materials.metals import METALS
from blemish.synth.drawn.materials.minerals import MINERALS
from blemish.synth.drawn.materials.organics import ORGANICS
from blemish.synth.drawn.materials.polymers import POLYMERS
from blemish.synth.drawn.materials.textiles import TEXTILES
from blemish.synth.drawn.pigments import scale, uneven
from blemish.synth.drawn.scene import Material, Surface


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
