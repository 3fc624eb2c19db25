"""Flaws of a part's shape: chips, breaks, bends, frayed and burred edges."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from blemish.synth.drawn.fields import coordinates
from blemish.synth.drawn.flaws.marks import (
    blob,
    colour_of,
    dug,
    emboss,
    grainy,
    heading,
    ledge,
    on_part,
    polish,
    rim,
    roughen,
    smear,
    soften,
    span,
    tone,
    trace,
)
from blemish.synth.drawn.scene import Flaw, Mask, Plane, Scene, Surface
from blemish.synth.drawn.strokes import Points, contour, ink, log_uniform, solids, stroke, taper, toward

Window = tuple[slice, slice]


def expose(scene: Scene, plane: Plane) -> None:
    """Takes the part away where the plane is 1, so that what lies behind shows."""
    if scene.behind is None:
        return
    bare = plane * scene.part
    surface, behind = scene.surface, scene.behind
    surface.albedo += bare[..., None] * (behind.albedo - surface.albedo)
    surface.height += bare * (behind.height - surface.height)
    surface.gloss += bare * (behind.gloss - surface.gloss)
    scene.part &= plane < 0.5


def _fracture(scene: Scene, rng: np.random.Generator, plane: Plane, size: float) -> None:
    """The face of a break: facets of several shades, rough."""
    side = scene.part.shape[0]
    ys, xs = np.nonzero(plane > 0.3)
    if not len(xs):
        return
    picks = rng.integers(0, len(xs), int(rng.integers(2, 8)))
    facets = [
        contour(rng, np.array((xs[pick], ys[pick]), np.float64), size * rng.uniform(0.3, 1), rough=0.4, jagged=True)
        for pick in picks
    ]
    shades = solids(side, facets, rng.uniform(0.1, 1, len(facets)).tolist()) * plane
    tone(scene, rng, plane * rng.uniform(0.3, 1), low=0.15, high=0.6, lighter=0.5)
    tone(scene, rng, shades, low=0.2, high=0.9, lighter=0.6)
    emboss(scene, plane * grainy(scene, rng, max(4.0, size / 2)) * rng.uniform(0.3, 1.5) - shades * rng.uniform(0, 3))
    polish(scene, shades * rng.uniform(0, 1), 0.9)


def _chip(scene: Scene, rng: np.random.Generator) -> bool:
    side, size = scene.part.shape[0], max(2.0, log_uniform(rng, 0.04, 0.26) * span(scene))
    place = rim(scene, rng)
    if place is None:
        edge = _picture_edge(side, rng)
        bite = solids(side, [contour(rng, edge, size, aspect=rng.uniform(1, 2), angle=rng.uniform(0, 3), jagged=True)])
        dug(scene, rng, bite * rng.uniform(0.3, 1), size * rng.uniform(0.1, 0.4))
        _fracture(scene, rng, bite, size)
        return True
    jagged = bool(rng.random() < 0.5)
    turn = place[1] + math.pi / 2
    shape = contour(rng, place[0], size, aspect=rng.uniform(1, 2.5), angle=turn, rough=0.25, jagged=jagged)
    bite = solids(side, [shape])
    wide = solids(side, [(shape - place[0]) * rng.uniform(1.1, 1.6) + place[0] - toward(place[1], size * 0.2)])
    _fracture(scene, rng, on_part(scene, wide), size)
    if rng.random() < 0.75:
        expose(scene, bite)
    return True


def _picture_edge(side: int, rng: np.random.Generator) -> Points:
    along, far = rng.uniform(0, side), float(side) * rng.integers(2)
    return np.array((along, far) if rng.random() < 0.5 else (far, along))


def _break(scene: Scene, rng: np.random.Generator) -> bool:
    if scene.behind is None or rng.random() < 0.25:
        return _torn(scene, rng)
    side, angle = scene.part.shape[0], rng.uniform(0, 2 * math.pi)
    x, y = coordinates(side)
    depth = x * math.cos(angle) + y * math.sin(angle)
    inside = depth[scene.part]
    cut = float(np.quantile(inside, rng.uniform(0.55, 0.95)))
    crooked = depth + grainy(scene, rng, 0.4 * span(scene)) * rng.uniform(0.01, 0.07) * span(scene)
    crooked = crooked + grainy(scene, rng, 8) * rng.uniform(0.2, 1.5)
    gone = np.clip(crooked - cut + 0.5, 0, 1).astype(np.float32)
    face = np.clip((crooked - cut + span(scene) * rng.uniform(0.01, 0.06)) / 1.5, 0, 1).astype(np.float32)
    _fracture(scene, rng, on_part(scene, face), 0.06 * span(scene))
    expose(scene, gone)
    return True


def _torn(scene: Scene, rng: np.random.Generator) -> bool:
    """Where the upper layer has broken away: an irregular darker area with a rough floor and a sharp edge."""
    angle = heading(scene, rng, along=0.5, across=0.3)
    radius = log_uniform(rng, 0.06, 0.32) * span(scene)
    shape = blob(scene, rng, radius, rough=0.4, soft=radius / 8, aspect=5, angle=angle)
    plane = on_part(
        scene, roughen(shape, grainy(scene, rng, max(4.0, radius)), amount=rng.uniform(0.1, 0.9), edge=0.15)
    )
    floor = np.clip(0.8 + 0.3 * grainy(scene, rng, max(4.0, radius / 3)), 0.1, 1.2)
    tone(scene, rng, plane * floor, low=0.2, high=0.8, lighter=0.15)
    emboss(scene, -plane * floor * rng.uniform(1, 3))
    if rng.random() < 0.5:
        tone(scene, rng, on_part(scene, ledge(plane, 1)), low=0.2, high=0.7, lighter=0.7)
    polish(scene, plane * 0.7, 0.05)
    return True


def _bend(scene: Scene, rng: np.random.Generator) -> bool | Mask:
    """Part of the part is pushed aside; what it leaves shows what lies behind."""
    place = rim(scene, rng)
    if place is None or scene.behind is None:
        return False
    side, radius = scene.part.shape[0], log_uniform(rng, 0.12, 0.6) * span(scene)
    low = np.clip(np.floor(place[0] - 1.6 * radius), 0, side).astype(int)
    high = np.clip(np.ceil(place[0] + 1.6 * radius), 0, side).astype(int)
    window = np.s_[low[1] : high[1], low[0] : high[0]]
    x, y = (plane[window] for plane in coordinates(side))
    near = np.clip(1 - ((x - place[0][0]) ** 2 + (y - place[0][1]) ** 2) / (1.5 * radius) ** 2, 0, 1) ** 2
    inward = place[1] + math.pi * rng.integers(2) + rng.normal(0, 0.5)
    push = toward(inward, radius * rng.uniform(0.25, 0.6))
    from_x = np.clip(np.rint(x - near * push[0]), 0, side - 1).astype(np.intp)
    from_y = np.clip(np.rint(y - near * push[1]), 0, side - 1).astype(np.intp)
    before = scene.part.copy()
    _moved(scene, scene.behind, window, (from_y, from_x))
    bent: Mask = ndimage.binary_dilation(scene.part ^ before)
    bent[window] |= (near > 0.35) & (scene.part[window] | before[window])
    return bent


def _moved(scene: Scene, behind: Surface, window: Window, source: tuple[NDArray[np.intp], NDArray[np.intp]]) -> None:
    """Each pixel of the window shows the part's pixel at `source`, or what lies behind the part."""
    part = scene.part[source]
    touched = part | scene.part[window]
    for old, back in (
        (scene.surface.albedo, behind.albedo),
        (scene.surface.height, behind.height),
        (scene.surface.gloss, behind.gloss),
    ):
        held = part[..., None] if old.ndim == 3 else part
        shown = np.where(held, old[source], back[window])
        old[window] = np.where(touched[..., None] if old.ndim == 3 else touched, shown, old[window])
    scene.part[window] = part


def _fray(scene: Scene, rng: np.random.Generator) -> bool:
    """A fringe of loose fibres at an edge, or a patch of torn grain."""
    side, place = scene.part.shape[0], rim(scene, rng)
    if place is None or scene.behind is None or rng.random() < 0.25:
        return _torn_grain(scene, rng)
    count, reach = int(rng.integers(8, 45)), log_uniform(rng, 0.03, 0.2) * span(scene)
    length, lines = log_uniform(rng, 0.03, 0.15) * span(scene), []
    for _ in range(count):
        root = place[0] + toward(place[1] + math.pi / 2, rng.normal(0, reach)) - toward(place[1], length / 3)
        turn = place[1] + rng.normal(0, 0.5)
        points = stroke(rng, root, length * rng.uniform(0.4, 1.6), turn, bend=rng.normal(0, 0.8), wander=0.5)
        lines.append((points, taper(rng, len(points), rng.uniform(0.5, 1.8) * side / 224)))
    fringe = ink(side, lines)
    near = np.clip(solids(side, [contour(rng, place[0], 1.2 * reach)]), 0, 1) * scene.part
    colour = colour_of(scene, near) if near.any() else scene.surface.albedo[scene.part].mean(axis=0)
    smear(scene, fringe, (colour * rng.uniform(0.7, 1.3)).astype(np.float32), keep=0.2)
    emboss(scene, fringe * rng.uniform(0.5, 2))
    return True


def _torn_grain(scene: Scene, rng: np.random.Generator) -> bool:
    radius = log_uniform(rng, 0.08, 0.3) * span(scene)
    angle = scene.grain if rng.random() < 0.8 else heading(scene, rng)
    shape = blob(scene, rng, radius, rough=0.15, soft=radius / 10, aspect=4, angle=angle)
    fibres = grainy(scene, rng, max(3.0, rng.uniform(0.02, 0.06) * span(scene)), stretch=rng.uniform(3, 10))
    plane = on_part(scene, roughen(shape, fibres, amount=rng.uniform(0.1, 0.7), edge=0.2))
    tone(scene, rng, plane * np.clip(0.8 + 0.3 * fibres, 0.1, 1.2), low=0.15, high=0.65, lighter=0.3)
    emboss(scene, plane * fibres * rng.uniform(0.3, 1.5))
    polish(scene, plane * 0.8, 0.05)
    return True


def _flash(scene: Scene, rng: np.random.Generator) -> bool:
    """Material that stands out over the outline."""
    place = rim(scene, rng)
    if place is None:
        return False
    side, size = scene.part.shape[0], max(2.0, log_uniform(rng, 0.025, 0.16) * span(scene))
    turn, jagged = place[1] + math.pi / 2, bool(rng.random() < 0.5)
    shape = contour(rng, place[0], size, aspect=rng.uniform(1, 5), angle=turn, rough=0.4, jagged=jagged)
    plane = soften(solids(side, [shape]), 0.5)
    inside = plane * scene.part
    colour = colour_of(scene, inside) * rng.uniform(0.75, 1.25)
    outside = plane * ~scene.part
    smear(scene, outside, colour.astype(np.float32), keep=0.1)
    scene.surface.height += outside * (float(scene.surface.height[scene.part].mean()) - scene.surface.height)
    emboss(scene, plane * grainy(scene, rng, max(4.0, size)) * rng.uniform(0.2, 1))
    scene.part |= plane > 0.5
    return True


SHAPES = {
    "chip": Flaw(("chip", "chips", "chipped edge", "broken edge", "nick"), trace(_chip), "any", ("chipped", "nicked")),
    "break": Flaw(
        ("break", "breakage", "broken part", "rupture", "damage"), trace(_break), "any", ("broken", "damaged")
    ),
    "bend": Flaw(("bend", "deformation", "distortion", "warp"), trace(_bend), "part", ("bent", "deformed", "warped")),
    "fray": Flaw(
        ("fray", "fraying", "frayed edge", "torn fibres", "torn grain"), trace(_fray), "any", ("frayed", "torn")
    ),
    "flash": Flaw(("moulding flash", "edge burr", "excess material", "protrusion"), trace(_flash), "part"),
}
