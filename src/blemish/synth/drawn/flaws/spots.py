"""Flaws that are spots in or on the surface: cavities, bumps, particles, beads, inclusions."""

from __future__ import annotations

import math

import numpy as np

from blemish.synth.drawn.flaws.marks import (
    blob,
    colour_of,
    dug,
    dye,
    emboss,
    foreign,
    grainy,
    heading,
    ledge,
    on_part,
    polish,
    roughen,
    several,
    smear,
    soften,
    span,
    spot,
    tone,
    trace,
    unit_noise,
)
from blemish.synth.drawn.scene import Flaw, Plane, Scene
from blemish.synth.drawn.strokes import Points, contour, ink, log_uniform, solids, spatter, stroke, taper, toward


def _domed(plane: Plane, radius: float) -> Plane:
    """A shape's soft rise from its rim to its middle: [0, 1]."""
    dome: Plane = np.clip(1.5 * soften(plane, max(0.7, radius / 2.5)) - 0.2, 0, 1) * plane
    return dome


def _dent(scene: Scene, rng: np.random.Generator) -> bool:
    for _ in range(several(rng, 4)):
        radius = max(2.5, log_uniform(rng, 0.02, 0.2) * span(scene))
        shape = blob(
            scene, rng, radius, rough=rng.uniform(0.05, 0.35), soft=radius * rng.uniform(0.25, 0.5), aspect=2.5
        )
        depth = radius * rng.uniform(0.2, 0.7) * (1 if rng.random() < 0.15 else -1)
        emboss(scene, shape * depth)
        if rng.random() < 0.3:
            emboss(scene, on_part(scene, ledge(shape, radius / 4)) * abs(depth) * rng.uniform(0.2, 0.8))
        if rng.random() < 0.4:
            tone(scene, rng, shape, low=0.05, high=0.25)
    return True


def _hole(scene: Scene, rng: np.random.Generator) -> bool:
    centre, radius = spot(scene, rng), max(1.5, log_uniform(rng, 0.015, 0.18) * span(scene))
    if rng.random() < 0.35:
        plane = _puncture(scene, rng, centre, radius)
    else:
        plane = blob(scene, rng, radius, centre=centre, rough=rng.uniform(0, 0.35), aspect=1.6)
    lip = on_part(scene, ledge(plane, max(0.8, radius / 6)))
    if rng.random() < 0.6:
        tone(scene, rng, lip, low=0.2, high=0.8, lighter=0.6)
        emboss(scene, lip * rng.uniform(0.5, 2.5))
    if scene.behind is not None and rng.random() < 0.5:
        shown = plane[..., None] * rng.uniform(0.7, 1)
        scene.surface.albedo += shown * (scene.behind.albedo - scene.surface.albedo)
        emboss(scene, -plane * 2)
        return True
    scene.surface.albedo *= 1 - plane[..., None] * np.float32(rng.uniform(0.3, 0.8))
    dug(scene, rng, plane, rng.uniform(1.5, 4))
    return True


def _puncture(scene: Scene, rng: np.random.Generator, centre: Points, radius: float) -> Plane:
    """A hole pierced through: short slits that meet in the middle."""
    turn, lines = rng.uniform(0, 6.3), []
    for _ in range(int(rng.integers(3, 6))):
        turn += rng.uniform(0.8, 2)
        arm = stroke(rng, centre, radius * rng.uniform(0.7, 1.8), turn, wander=0.4)
        lines.append((arm, np.linspace(max(0.8, radius / 2), 0.3, len(arm))))
    return on_part(scene, ink(scene.part.shape[0], lines))


def _blowhole(scene: Scene, rng: np.random.Generator) -> bool:
    side, centre, reach = scene.part.shape[0], spot(scene, rng), rng.uniform(0.03, 0.3) * span(scene)
    size = max(1.0, log_uniform(rng, 0.007, 0.055) * span(scene))
    count = several(rng, 5)
    places = [centre + rng.normal(0, reach, 2) * (index > 0) for index in range(count)]
    angle, stretch = heading(scene, rng), rng.uniform(1, 2.5)
    shapes = [
        contour(rng, place, size * math.exp(rng.normal(0, 0.3)), aspect=stretch, angle=angle, rough=0.15)
        for place in places
    ]
    plane = on_part(scene, soften(solids(side, shapes), rng.uniform(0.4, 0.4 + size / 4)))
    if rng.random() < 0.4:
        tone(scene, rng, on_part(scene, ledge(plane, size / 2 + 0.5)), low=0.2, high=0.7, lighter=0.6)
    dug(scene, rng, plane * rng.uniform(0.5, 1), size * rng.uniform(0.4, 1))
    return True


def _pitting(scene: Scene, rng: np.random.Generator) -> bool:
    side, shapes = scene.part.shape[0], []
    for _ in range(several(rng, 4)):
        spread = log_uniform(rng, 0.02, 0.22) * span(scene)
        size = max(0.8, log_uniform(rng, 0.004, 0.015) * span(scene))
        dots = spatter(rng, spot(scene, rng), spread, int(rng.integers(4, 45)), size)
        shapes += dots
    plane = on_part(scene, soften(solids(side, shapes, rng.uniform(0.3, 1, len(shapes)).tolist()), 0.4))
    dug(scene, rng, plane, rng.uniform(0.8, 2.5))
    return True


def _bubble(scene: Scene, rng: np.random.Generator) -> bool:
    for _ in range(several(rng, 6)):
        radius = max(2.0, log_uniform(rng, 0.012, 0.1) * span(scene))
        plane = blob(scene, rng, radius, rough=0.05, aspect=1.3)
        emboss(scene, _domed(plane, radius) * radius * rng.uniform(0.3, 0.9))
        edge = soften(plane, max(0.8, radius / 6))
        ring = on_part(scene, 4 * edge * (1 - edge))
        tone(scene, rng, ring, low=0.08, high=0.5, lighter=0.5)
        tone(scene, rng, plane, low=0.05, high=0.25, lighter=0.6)
        polish(scene, plane * rng.uniform(0, 0.7), 0.9)
    return True


def _inclusion(scene: Scene, rng: np.random.Generator) -> bool:
    side = scene.part.shape[0]
    angle = scene.grain if rng.random() < 0.75 else heading(scene, rng)
    length, width = log_uniform(rng, 0.12, 1.0) * span(scene), max(1.8, log_uniform(rng, 0.012, 0.09) * span(scene))
    points = stroke(rng, spot(scene, rng), length, angle, wander=0.1, jag=0.05)
    smear = ink(side, [(points, taper(rng, len(points), width))])
    plane = on_part(scene, roughen(soften(smear, max(0.6, width / 5)), grainy(scene, rng, 2 * width), amount=0.5))
    lumps = grainy(scene, rng, max(3.0, width / 2))
    tone(scene, rng, plane * np.clip(0.75 + 0.35 * lumps, 0.1, 1), low=0.3, high=0.9, lighter=0.12)
    emboss(scene, plane * lumps * rng.uniform(0.3, 1.5))
    polish(scene, plane * rng.uniform(0, 0.8), 0.1)
    if rng.random() < 0.4:
        specks = solids(side, spatter(rng, points[len(points) // 2], length / 4, int(rng.integers(3, 20)), width / 4))
        tone(scene, rng, on_part(scene, specks), low=0.3, high=0.9, lighter=0.1)
    return True


def _contamination(scene: Scene, rng: np.random.Generator) -> bool:
    side = scene.part.shape[0]
    size = max(1.2, log_uniform(rng, 0.008, 0.16) * span(scene))
    centre, shapes = spot(scene, rng), []
    for index in range(several(rng, 8)):
        place = centre + rng.normal(0, 2.5 * size, 2) * (index > 0)
        scale, turn = size * math.exp(rng.normal(-0.3 * (index > 0), 0.4)), rng.uniform(0, 3.2)
        jagged = bool(rng.random() < 0.5)
        rough = rng.uniform(0.1, 0.35)
        shapes.append(contour(rng, place, scale, aspect=rng.uniform(1, 3), angle=turn, rough=rough, jagged=jagged))
    plane = on_part(scene, soften(solids(side, shapes), rng.uniform(0.4, 0.5 + size / 8)))
    lumps = grainy(scene, rng, max(3.0, size))
    colour = foreign(rng, colour_of(scene, plane))
    smear(scene, plane * rng.uniform(0.55, 1), colour, keep=rng.uniform(0, 0.5))
    scene.surface.albedo *= 1 + plane[..., None] * np.clip(0.2 * lumps, -0.5, 0.5)[..., None]
    emboss(scene, _domed(plane, size) * size * rng.uniform(0.1, 0.5) + plane * lumps * rng.uniform(0.1, 0.8))
    polish(scene, plane, rng.uniform(0, 0.6))
    return True


def _spatter(scene: Scene, rng: np.random.Generator) -> bool:
    side, size = scene.part.shape[0], max(1.2, log_uniform(rng, 0.009, 0.06) * span(scene))
    spread, count = log_uniform(rng, 0.06, 0.3) * span(scene), int(rng.integers(1, 22))
    shapes = spatter(rng, spot(scene, rng), spread, count, size)
    plane = on_part(scene, solids(side, shapes))
    metal = rng.uniform(0.3, 0.8) * (1 + rng.normal(0, 0.04, 3))
    smear(scene, plane, metal.astype(np.float32), keep=0.2)
    emboss(scene, _domed(plane, size) * size * rng.uniform(0.5, 1.1))
    polish(scene, plane, rng.uniform(0.4, 1))
    if rng.random() < 0.4:
        tone(scene, rng, on_part(scene, ledge(plane, size)), low=0.2, high=0.7, lighter=0.1)
    return True


def _solder(scene: Scene, rng: np.random.Generator) -> bool:
    side, size = scene.part.shape[0], max(1.8, log_uniform(rng, 0.016, 0.09) * span(scene))
    first, length = spot(scene, rng), size * rng.uniform(2, 7)
    turn = float(rng.choice((0, math.pi / 2))) + rng.normal(0, 0.15)
    points = stroke(rng, first, length, turn, wander=0.3)
    widths = size * (1 + rng.uniform(-0.3, 0.9) * np.cos(np.linspace(0, 2 * np.pi, len(points))))
    plane = on_part(scene, soften(ink(side, [(points, widths)]), 0.5))
    metal = rng.uniform(0.45, 0.85) * (1 + rng.normal(0, 0.03, 3))
    smear(scene, plane, metal.astype(np.float32), keep=0.15)
    emboss(scene, _domed(plane, size / 2) * size * rng.uniform(0.3, 0.8))
    polish(scene, plane, rng.uniform(0.6, 1))
    return True


def _nodule(scene: Scene, rng: np.random.Generator) -> bool:
    radius = max(2.5, log_uniform(rng, 0.03, 0.25) * span(scene))
    soft = radius * rng.uniform(0.15, 0.6)
    shape = blob(scene, rng, radius, rough=rng.uniform(0.05, 0.4), soft=soft, aspect=1.8)
    lumps = np.clip(1 + 0.25 * unit_noise(scene, rng, max(4.0, radius)), 0.3, 1.3)
    if rng.random() < 0.35:
        dye(scene, shape * lumps, np.array((1.0, rng.uniform(0.5, 0.9), rng.uniform(0.5, 0.9)), np.float32))
    tone(scene, rng, shape * lumps, low=0.12, high=0.7, lighter=0.5)
    emboss(scene, shape * radius * rng.uniform(0, 0.4))
    return True


def _burr(scene: Scene, rng: np.random.Generator) -> bool:
    side, length = scene.part.shape[0], log_uniform(rng, 0.08, 0.6) * span(scene)
    points = stroke(rng, spot(scene, rng), length, heading(scene, rng), bend=rng.normal(0, 0.3), jag=0.25)
    width = max(0.8, log_uniform(rng, 0.009, 0.04) * span(scene))
    spikes = taper(rng, len(points), width) * rng.uniform(0.3, 1.6, len(points))
    plane = on_part(scene, ink(side, [(points, spikes)]))
    emboss(scene, soften(plane, 0.6) * rng.uniform(1.5, 4))
    tone(scene, rng, plane, low=0.15, high=0.7, lighter=0.85)
    step = np.rint(toward(rng.uniform(0, 6.3), width)).astype(int)
    shadow = np.clip(np.roll(plane, tuple(step), axis=(0, 1)) - plane, 0, 1)
    tone(scene, rng, on_part(scene, shadow), low=0.15, high=0.6, lighter=0)
    polish(scene, plane, 0.9)
    return True


def _roller_mark(scene: Scene, rng: np.random.Generator) -> bool:
    side, size = scene.part.shape[0], max(1.5, log_uniform(rng, 0.012, 0.07) * span(scene))
    pitch = size * rng.uniform(2.5, 6)
    angle = scene.grain if rng.random() < 0.7 else heading(scene, rng)
    first = spot(scene, rng) - toward(angle, pitch * rng.uniform(0, 3))
    stamp = contour(
        rng, np.zeros(2), size, aspect=rng.uniform(1, 3), angle=rng.uniform(0, 3), rough=rng.uniform(0.1, 0.4)
    )
    count = int(rng.integers(3, 9))
    shapes = [stamp + first + toward(angle, pitch * index) + rng.normal(0, 0.04 * size, 2) for index in range(count)]
    worn = np.clip(0.8 + 0.3 * unit_noise(scene, rng, max(4.0, size)), 0.2, 1)
    plane = on_part(scene, soften(solids(side, shapes), rng.uniform(0.4, 0.5 + size / 5))) * worn
    emboss(scene, plane * rng.choice((-1, 1)) * rng.uniform(0.5, 2))
    if rng.random() < 0.7:
        tone(scene, rng, plane, low=0.1, high=0.5, lighter=0.4)
    return True


SPOTS = {
    "dent": Flaw(("dent", "dents", "ding", "bump", "impact mark", "depression"), trace(_dent), "any", ("dented",)),
    "hole": Flaw(
        ("hole", "holes", "puncture", "perforation", "pinhole"), trace(_hole), "any", ("punctured", "perforated")
    ),
    "blowhole": Flaw(
        ("blowhole", "blowholes", "pore", "pores", "gas hole", "porosity", "cavity"),
        trace(_blowhole),
        "any",
        ("porous",),
    ),
    "pitting": Flaw(("pitting", "pit", "pits", "pitted surface", "pockmarks"), trace(_pitting), "any", ("pitted",)),
    "bubble": Flaw(("bubble", "bubbles", "blister", "blisters", "air bubble"), trace(_bubble), "any", ("blistered",)),
    "inclusion": Flaw(("inclusion", "inclusions", "slag inclusion", "slag", "impurity"), trace(_inclusion)),
    "contamination": Flaw(
        ("contamination", "foreign particle", "foreign object", "dirt", "debris", "foreign body", "dust"),
        trace(_contamination),
        "any",
        ("contaminated", "dirty"),
    ),
    "spatter": Flaw(("weld spatter", "spatter", "solder balls", "metal splash", "droplets"), trace(_spatter)),
    "solder": Flaw(("solder bridge", "excess solder", "solder blob", "short circuit"), trace(_solder)),
    "nodule": Flaw(("nodule", "lesion", "lump", "tumour", "growth", "nodules"), trace(_nodule)),
    "burr": Flaw(("burr", "burrs", "flash", "sharp edge", "sliver"), trace(_burr), "any", ("burred",)),
    "roller mark": Flaw(
        ("roller mark", "roll mark", "imprint", "indentation marks", "repeated marks", "roll printing"),
        trace(_roller_mark),
    ),
}
