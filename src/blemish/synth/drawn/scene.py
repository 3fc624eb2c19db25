"""A part under the camera before it is lit: what materials draw, what parts are cut from, and what flaws change.

A flaw changes the scene and not the picture, so light, gloss, blur and noise fall on it as on the rest of the part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]  # (H, W)
Colours = NDArray[np.float32]  # (H, W, 3)
Mask = NDArray[np.bool_]  # (H, W)


@dataclass(slots=True)
class Surface:
    """A sheet of material: reflectance in [0, 1], relief in pixels towards the camera, and how mirror-like it is."""

    albedo: Colours
    height: Plane
    gloss: Plane  # 0 chalk .. 1 polished

    def copy(self) -> Surface:
        """A surface that can be changed without changing this one."""
        return Surface(self.albedo.copy(), self.height.copy(), self.gloss.copy())


@dataclass(slots=True)
class Piece:
    """A countable thing on the part (a screw, a hole, a pin, a printed digit), and what would be there without it."""

    name: str
    mask: Mask
    under: Surface  # of the whole picture's size; only its values within `mask` count


@dataclass(slots=True)
class Scene:
    """What the camera sees (`surface`), where the part is in it, what lies behind the part, and the part's pieces."""

    surface: Surface
    part: Mask
    behind: Surface | None = None  # None: the part fills the picture
    pieces: list[Piece] = field(default_factory=list)
    product: tuple[str, ...] = ()  # names of the part, the usual one first
    material: str = ""
    grain: float = 0.0  # direction of the material's structure, radians; what follows the surface follows it

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), pixels."""
        height, width = self.part.shape
        return height, width

    def copy(self) -> Scene:
        """A scene whose surface can be changed without changing this one; what lies behind is shared."""
        return replace(self, surface=self.surface.copy(), part=self.part.copy(), pieces=list(self.pieces))


class Material(NamedTuple):
    """A material by its names, the usual one first, and how to draw a sheet of it."""

    words: tuple[str, ...]
    draw: Callable[[np.random.Generator, int, float], Surface]  # (rng, side in pixels, grain in radians)
    grained: bool = False  # whether its structure has a direction


class Part(NamedTuple):
    """A manufactured part by its names, and how to put one into a picture."""

    words: tuple[str, ...]
    draw: Callable[[np.random.Generator, int], Scene]


class Flaw(NamedTuple):
    """A family of defects by its words, and how to put one into a scene.

    `apply` changes the scene it is given and returns where (H, W), True on the pixels that no longer show a good part,
    or None where the scene offers no place for such a flaw.
    """

    words: tuple[str, ...]  # nouns, the family's name first: "scratch", "scratches", "score mark"
    apply: Callable[[Scene, np.random.Generator], Mask | None]
    where: str = "any"  # "any", "surface" (the part fills the picture), "part" (it has an outline), "pieces"
    adjectives: tuple[str, ...] = ()  # "scratched"
