"""Every family of flaws, and the choice of one that a scene can carry."""

from __future__ import annotations

import numpy as np

from blemish.errors import BadInput
from blemish.synth.drawn.flaws.areas import AREAS
from blemish.synth.drawn.flaws.lines import LINES
from blemish.synth.drawn.flaws.pieces import PIECE_FLAWS
from blemish.synth.drawn.flaws.shape import SHAPES
from blemish.synth.drawn.flaws.spots import SPOTS
from blemish.synth.drawn.scene import Flaw, Mask, Scene

FLAWS: dict[str, Flaw] = {**LINES, **SPOTS, **AREAS, **SHAPES, **PIECE_FLAWS}
TRIES_OF_A_FAMILY = 4  # of one family, before it is given up for this scene


def fits(flaw: Flaw, scene: Scene) -> bool:
    """Whether a scene has what the flaw needs; even then a draw may find no place."""
    if flaw.where == "pieces":
        return bool(scene.pieces)
    if flaw.where == "part":
        return scene.behind is not None
    return flaw.where == "any" or scene.behind is None


def check_family(family: str | None) -> None:
    """Raises BadInput, with all there are, for a family that does not exist; None is any family."""
    if family is not None and family not in FLAWS:
        raise BadInput(f"unknown family of flaws {family!r}: choose one of {', '.join(sorted(FLAWS))}")


def add_flaw(scene: Scene, rng: np.random.Generator, family: str | None = None) -> tuple[str, Mask]:
    """Puts a flaw of the family, or of a random one that fits, into the scene: the family's key in FLAWS, and where."""
    check_family(family)
    fitting = [name for name in FLAWS if fits(FLAWS[name], scene)]
    names = [str(name) for name in rng.permutation(fitting)] if family is None else [family]
    for name in names:
        for _ in range(TRIES_OF_A_FAMILY):
            mask = FLAWS[name].apply(scene, rng)
            if mask is not None:
                return name, mask
    raise BadInput(f"no flaw fits: the scene offers no place for {family or 'any family'}; draw another scene")
