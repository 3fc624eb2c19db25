"""Flaws of what is mounted, drilled or printed on a part: missing, extra, out of place, turned, damaged."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blemish.synth.drawn.flaws.marks import blob, span, tone, trace
from blemish.synth.drawn.scene import Flaw, Mask, Piece, Scene, Surface
from blemish.synth.drawn.strokes import toward

Indices = NDArray[np.intp]
TRIES_OF_A_PLACE = 24


def _any_piece(scene: Scene, rng: np.random.Generator) -> Piece | None:
    pieces = [piece for piece in scene.pieces if piece.mask.any()]
    return pieces[int(rng.integers(len(pieces)))] if pieces else None


def _taken(scene: Scene, piece: Piece, mask: Mask) -> None:
    """The part as it looks without the piece."""
    for old, under in (
        (scene.surface.albedo, piece.under.albedo),
        (scene.surface.height, piece.under.height),
        (scene.surface.gloss, piece.under.gloss),
    ):
        old[mask] = under[mask]


def _put(scene: Scene, shown: Surface, piece: Piece, shift: NDArray[np.float64], turn: float) -> bool:
    """Copies a piece from `shown`, turned about its middle and moved; False if it would not lie on the part."""
    target, source = _places(piece.mask, shift, turn, scene.part.shape)
    if not len(target[0]) or scene.part[target].mean() < 0.97:
        return False
    scene.surface.albedo[target] = shown.albedo[source]
    scene.surface.gloss[target] = shown.gloss[source]
    scene.surface.height[target] += shown.height[source] - piece.under.height[source]
    return True


def _places(
    mask: Mask, shift: NDArray[np.float64], turn: float, shape: tuple[int, ...]
) -> tuple[tuple[Indices, Indices], tuple[Indices, Indices]]:
    """Pixels a moved piece covers and the pixels it shows there, each as (rows, columns)."""
    rows, columns = np.nonzero(mask)
    middle = np.array((columns.mean(), rows.mean()))
    radius = int(np.ceil(np.hypot(np.ptp(columns), np.ptp(rows)) / 2)) + 1
    centre = middle + shift
    low = np.maximum(np.floor(centre - radius), 0).astype(int)
    high = np.minimum(np.ceil(centre + radius) + 1, (shape[1], shape[0])).astype(int)
    y, x = np.mgrid[low[1] : max(low[1], high[1]), low[0] : max(low[0], high[0])]
    cos, sin = math.cos(turn), math.sin(turn)
    from_x = np.rint((x - centre[0]) * cos + (y - centre[1]) * sin + middle[0]).astype(np.intp)
    from_y = np.rint((y - centre[1]) * cos - (x - centre[0]) * sin + middle[1]).astype(np.intp)
    held = (from_x >= 0) & (from_x < shape[1]) & (from_y >= 0) & (from_y < shape[0])
    held[held] = mask[from_y[held], from_x[held]]
    return (y[held], x[held]), (from_y[held], from_x[held])


def _missing(scene: Scene, rng: np.random.Generator) -> bool:
    piece = _any_piece(scene, rng)
    if piece is None:
        return False
    _taken(scene, piece, piece.mask)
    scene.pieces = [other for other in scene.pieces if other is not piece]
    return True


def _occupied(scene: Scene) -> Mask:
    every = np.zeros_like(scene.part)
    for piece in scene.pieces:
        every |= piece.mask
    return every


def _extra(scene: Scene, rng: np.random.Generator) -> bool:
    piece = _any_piece(scene, rng)
    if piece is None:
        return False
    shown, occupied = scene.surface.copy(), _occupied(scene)
    for _ in range(TRIES_OF_A_PLACE):
        shift = toward(rng.uniform(0, 2 * math.pi), rng.uniform(0.1, 0.8) * span(scene))
        turn = float(rng.choice((0.0, rng.uniform(0, 2 * math.pi))))
        target, _ = _places(piece.mask, shift, turn, scene.part.shape)
        if len(target[0]) < 0.9 * piece.mask.sum() or occupied[target].any():
            continue
        if _put(scene, shown, piece, shift, turn):
            return True
    return False


def _misplaced(scene: Scene, rng: np.random.Generator) -> bool:
    piece = _any_piece(scene, rng)
    if piece is None:
        return False
    shown = scene.surface.copy()
    size = math.sqrt(float(piece.mask.sum()))
    turn = rng.normal(0, 0.6) if rng.random() < 0.6 else 0.0
    _taken(scene, piece, piece.mask)
    for _ in range(TRIES_OF_A_PLACE):
        shift = toward(rng.uniform(0, 2 * math.pi), size * rng.uniform(0.15, 1.2))
        if _put(scene, shown, piece, shift, turn):
            return True
    return False


def _turned(scene: Scene, rng: np.random.Generator) -> bool:
    piece = _any_piece(scene, rng)
    if piece is None:
        return False
    shown = scene.surface.copy()
    _taken(scene, piece, piece.mask)
    turn = float(rng.choice((math.pi / 2, math.pi, -math.pi / 2, rng.uniform(0.3, 6))))
    return _put(scene, shown, piece, np.zeros(2), turn) and _differs(scene, shown, piece.mask)


def _swapped(scene: Scene, rng: np.random.Generator) -> bool:
    """Another piece stands where this one belongs."""
    if len(scene.pieces) < 2:
        return False
    first, second = rng.permutation(len(scene.pieces))[:2].tolist()
    place, other = scene.pieces[first], scene.pieces[second]
    shown = scene.surface.copy()
    here, there = (np.argwhere(each.mask).mean(axis=0)[::-1] for each in (place, other))
    _taken(scene, place, place.mask)
    return _put(scene, shown, other, here - there, 0.0) and _differs(scene, shown, place.mask)


def _differs(scene: Scene, shown: Surface, mask: Mask) -> bool:
    """Whether what stands in the piece's place looks different: a round hole may be turned and stays the same."""
    change = np.abs(scene.surface.albedo[mask] - shown.albedo[mask]).max(axis=-1)
    return bool((change > 0.07).mean() > 0.12)


def _damaged(scene: Scene, rng: np.random.Generator) -> bool:
    """A bite is taken out of a piece, or it has lost its colour."""
    piece = _any_piece(scene, rng)
    if piece is None:
        return False
    size, rows, columns = math.sqrt(float(piece.mask.sum())), *np.nonzero(piece.mask)
    at = int(rng.integers(len(rows)))
    centre = np.array((columns[at], rows[at]), np.float64)
    lost = blob(scene, rng, max(1.5, size * rng.uniform(0.2, 0.7)), centre=centre, rough=0.35)
    if rng.random() < 0.6:
        _taken(scene, piece, piece.mask & (lost > 0.5))
        return True
    tone(scene, rng, lost * piece.mask, low=0.25, high=0.9, lighter=0.5)
    return True


PIECE_FLAWS = {
    "missing": Flaw(
        ("missing part", "missing component", "missing piece", "absent part", "omission"),
        trace(_missing),
        "pieces",
        ("incomplete",),
    ),
    "extra": Flaw(("extra part", "additional part", "surplus part", "duplicate"), trace(_extra), "pieces"),
    "misplaced": Flaw(
        ("misplaced part", "misalignment", "shifted part", "wrong position", "offset"),
        trace(_misplaced),
        "pieces",
        ("misplaced", "misaligned"),
    ),
    "turned": Flaw(
        ("rotated part", "wrong orientation", "flipped part", "reversed part"),
        trace(_turned),
        "pieces",
        ("rotated", "flipped"),
    ),
    "swapped": Flaw(("swapped parts", "wrong part", "mixed-up parts", "wrong component"), trace(_swapped), "pieces"),
    "damaged piece": Flaw(
        ("damaged part", "damaged component", "broken component", "incomplete print"), trace(_damaged), "pieces"
    ),
}
