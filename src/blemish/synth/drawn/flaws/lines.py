"""Flaws that are lines: scratches, cracks, cuts, wrinkles, threads."""

from __future__ import annotations

import math

import numpy as np

from blemish.synth.drawn.fields import coordinates
from blemish.synth.drawn.flaws.marks import (
    blob,
    colour_of,
    dug,
    emboss,
    foreign,
    grainy,
    heading,
    ledge,
    on_part,
    polish,
    rim,
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
from blemish.synth.drawn.strokes import (
    Line,
    crack_tree,
    ink,
    log_uniform,
    move_to,
    network,
    spindle,
    stroke,
    taper,
    toward,
)


def _thin(scene: Scene, rng: np.random.Generator, low: float, high: float) -> float:
    """A line's width in pixels at side 224, scaled to the scene."""
    return max(0.35, log_uniform(rng, low, high) * scene.size[0] / 224)


def _scratches(scene: Scene, rng: np.random.Generator) -> list[Line]:
    angle, free = heading(scene, rng), rng.random() < 0.3
    bend, gaps = rng.normal(0, 0.3), float(rng.choice((0.0, 0.3, 0.5)))
    middle, lines = spot(scene, rng), []
    for _ in range(several(rng, 7)):
        turn = rng.uniform(0, math.pi) if free else angle + rng.normal(0, 0.08)
        length = log_uniform(rng, 0.05, 0.9) * span(scene)
        points = stroke(rng, middle, length, turn, bend=bend, wander=rng.uniform(0, 0.25), jag=0.02)
        lines.append((move_to(points, middle), taper(rng, len(points), _thin(scene, rng, 0.5, 3), gaps=gaps)))
        middle = middle + rng.normal(0, 0.12, 2) * span(scene)
    return lines


def _scratch(scene: Scene, rng: np.random.Generator) -> bool:
    plane = on_part(scene, ink(scene.part.shape[0], _scratches(scene, rng)))
    tone(scene, rng, plane, low=0.12, high=0.9, lighter=0.6)
    emboss(scene, -plane * rng.uniform(0.1, 1.2))
    if rng.random() < 0.4:
        emboss(scene, ledge(plane, 1.0) * rng.uniform(0.2, 0.8))
    polish(scene, plane * rng.uniform(0, 0.6), float(rng.integers(2)))
    return True


def _crack(scene: Scene, rng: np.random.Generator) -> bool:
    place = rim(scene, rng) if rng.random() < 0.5 else None
    angle = heading(scene, rng, along=0.3, across=0.2)
    start, angle = (place[0], place[1] + math.pi + rng.normal(0, 0.5)) if place else (spot(scene, rng), angle)
    length, jag = log_uniform(rng, 0.1, 1.1) * span(scene), rng.uniform(0.15, 0.6)
    width = _thin(scene, rng, 0.6, 3.5)
    lines = crack_tree(rng, start, length, angle, width, jag=jag, depth=int(rng.integers(0, 3)))
    if not place and rng.random() < 0.6:
        lines += crack_tree(rng, start, length * rng.uniform(0.2, 0.9), angle + math.pi, width, jag=jag, depth=1)
    plane = on_part(scene, ink(scene.part.shape[0], lines))
    if rng.random() < 0.25:
        tone(scene, rng, plane, low=0.3, high=0.9, lighter=0.8)
        emboss(scene, -plane)
        return True
    dug(scene, rng, plane * rng.uniform(0.35, 1), rng.uniform(0.5, 2))
    if rng.random() < 0.3:
        tone(scene, rng, ledge(plane, 1.5), low=0.2, high=0.6, lighter=0.8)
    return True


def _crazing(scene: Scene, rng: np.random.Generator) -> bool:
    centre, radius = spot(scene, rng), log_uniform(rng, 0.12, 0.5) * span(scene)
    lines = network(rng, centre, radius, int(log_uniform(rng, 12, 90)), _thin(scene, rng, 0.4, 1.4))
    within = blob(scene, rng, radius, centre=centre, soft=radius / 6)
    plane = on_part(scene, ink(scene.part.shape[0], lines)) * np.clip(2 * within, 0, 1)
    tone(scene, rng, plane, low=0.25, high=0.9, lighter=0.3)
    emboss(scene, -plane * rng.uniform(0.1, 0.8))
    return True


def _cut(scene: Scene, rng: np.random.Generator) -> bool:
    angle, lines = heading(scene, rng, along=0.15, across=0.15), []
    for _ in range(several(rng, 3)):
        length = log_uniform(rng, 0.06, 0.6) * span(scene)
        turn = angle + rng.normal(0, 0.25)
        place = spot(scene, rng)
        points = move_to(stroke(rng, place, length, turn, bend=rng.normal(0, 0.25), wander=0.05), place)
        lines.append((points, spindle(len(points), min(length / 6, _thin(scene, rng, 1, 7)))))
    plane = on_part(scene, ink(scene.part.shape[0], lines))
    lip = on_part(scene, ledge(plane, rng.uniform(1, 2.5)))
    tone(scene, rng, lip, low=0.2, high=0.7, lighter=0.6)
    emboss(scene, lip * rng.uniform(0.5, 3))
    dug(scene, rng, plane, rng.uniform(1, 3))
    return True


def _gouge(scene: Scene, rng: np.random.Generator) -> bool:
    length = log_uniform(rng, 0.05, 0.5) * span(scene)
    place, turn = spot(scene, rng), heading(scene, rng)
    points = move_to(stroke(rng, place, length, turn, bend=rng.normal(0, 0.3), wander=0.15, jag=0.05), place)
    widths = taper(rng, len(points), max(1.5, min(length / 3, _thin(scene, rng, 2, 10))))
    plane = on_part(scene, soften(ink(scene.part.shape[0], [(points, widths)]), 0.6))
    tone(scene, rng, plane, low=0.12, high=0.6, lighter=0.5)
    scored = 1 + 0.4 * grainy(scene, rng, 4)
    emboss(scene, -plane * scored * np.float32(rng.uniform(1, 4)))
    emboss(scene, on_part(scene, ledge(plane, 2)) * rng.uniform(0.5, 3))
    polish(scene, plane * rng.uniform(0, 0.7), float(rng.integers(2)))
    return True


def _laid(scene: Scene, rng: np.random.Generator, plane: Plane, thickness: float) -> None:
    """Something thin of a foreign colour that lies on the surface and throws a shadow."""
    step = toward(rng.uniform(0, 2 * math.pi), max(1.0, thickness))
    shadow = np.roll(soften(plane, 0.8 + thickness / 3), tuple(np.rint(step).astype(int)), axis=(0, 1))
    scene.surface.albedo *= 1 - on_part(scene, shadow)[..., None] * np.float32(rng.uniform(0, 0.45))
    colour = foreign(rng, colour_of(scene, plane))
    smear(scene, plane, colour, keep=0.0)
    emboss(scene, soften(plane, 0.7) * thickness)
    polish(scene, plane, 0.2)


def _fibre(scene: Scene, rng: np.random.Generator) -> bool:
    lines = []
    for _ in range(several(rng, 3)):
        length, place = log_uniform(rng, 0.12, 0.9) * span(scene), spot(scene, rng)
        turn, bend = rng.uniform(0, 2 * math.pi), rng.normal(0, 2.2)
        points = move_to(stroke(rng, place, length, turn, bend=bend, wander=rng.uniform(0.1, 1.5)), place)
        lines.append((points, np.full(len(points), _thin(scene, rng, 0.6, 2.2))))
    _laid(scene, rng, on_part(scene, ink(scene.part.shape[0], lines)), 0.6)
    return True


def _thread(scene: Scene, rng: np.random.Generator) -> bool:
    length, width = log_uniform(rng, 0.2, 1.2) * span(scene), _thin(scene, rng, 1.2, 5)
    place, turn = spot(scene, rng), rng.uniform(0, 2 * math.pi)
    points = move_to(stroke(rng, place, length, turn, bend=rng.normal(0, 1.5), wander=1.2), place)
    lines = [(points, np.full(len(points), width))]
    if rng.random() < 0.3:
        ends = [points[-1], points[-1] + rng.normal(0, width, 2)]
        loose = [stroke(rng, end, length / 6, rng.uniform(0, 6.3), wander=1.0) for end in ends]
        lines += [(end, np.full(len(end), width / 3)) for end in loose]
    plane = on_part(scene, ink(scene.part.shape[0], lines))
    _laid(scene, rng, plane, width / 2)
    twist = 1 + 0.3 * unit_noise(scene, rng, max(2.0, width))
    scene.surface.albedo *= 1 + plane[..., None] * np.clip(twist - 1, -0.6, 0.6)[..., None]
    return True


def _wrinkle(scene: Scene, rng: np.random.Generator) -> bool:
    angle, side = heading(scene, rng, along=0.3, across=0.3), scene.part.shape[0]
    middle, count = spot(scene, rng), int(rng.integers(1, 7))
    step, lines = toward(angle + math.pi / 2, _thin(scene, rng, 5, 16)), []
    for index in range(count):
        length = log_uniform(rng, 0.15, 0.9) * span(scene)
        points = stroke(rng, middle, length, angle + rng.normal(0, 0.12), bend=rng.normal(0, 0.5), wander=0.6, jag=0.15)
        place = middle + step * (index - count / 2) + rng.normal(0, 2, 2)
        lines.append((move_to(points, place), taper(rng, len(points), _thin(scene, rng, 1.2, 5))))
    plane = ink(side, lines)
    ridge = on_part(scene, soften(plane, _thin(scene, rng, 0.6, 2)))
    emboss(scene, ridge * rng.choice((-1, 1)) * log_uniform(rng, 1, 4))
    if rng.random() < 0.7:
        tone(scene, rng, ridge, low=0.08, high=0.4, lighter=0.4)
    return True


def _fold(scene: Scene, rng: np.random.Generator) -> bool:
    angle, side = heading(scene, rng, along=0.3, across=0.3), scene.part.shape[0]
    middle = spot(scene, rng)
    length = rng.uniform(0.4, 1.5) * span(scene)
    line = move_to(stroke(rng, middle, length, angle, bend=rng.normal(0, 0.12), wander=0.05), middle)
    crease = on_part(scene, ink(side, [(line, taper(rng, len(line), _thin(scene, rng, 0.8, 2.5)))]))
    x, y = coordinates(side)
    across = (y - middle[1]) * math.cos(angle) - (x - middle[0]) * math.sin(angle)
    along = (x - middle[0]) * math.cos(angle) + (y - middle[1]) * math.sin(angle)
    within = np.clip(2 - 4 * np.abs(along) / length, 0, 1)
    wide = _thin(scene, rng, 3, 14)
    roof = np.exp(-np.abs(across) / wide) * within * wide * rng.uniform(0.3, 0.9) * rng.choice((-1, 1))
    emboss(scene, on_part(scene, roof.astype(np.float32)))
    tone(scene, rng, crease, low=0.25, high=0.85, lighter=0.5)
    return True


def _swirl(scene: Scene, rng: np.random.Generator) -> bool:
    centre, reach = spot(scene, rng), log_uniform(rng, 0.12, 0.5) * span(scene)
    sweep, first, lines = rng.uniform(1, 5), rng.uniform(0, 6.3), []
    for radius in rng.uniform(0.15, 1, int(rng.integers(12, 45))) * reach:
        turn = np.linspace(0, sweep * rng.uniform(0.4, 1), 32) + first + rng.normal(0, 0.3)
        arc = centre + radius * np.stack([np.cos(turn), np.sin(turn)], axis=-1) + rng.normal(0, 0.02 * reach, 2)
        lines.append((arc, taper(rng, 32, _thin(scene, rng, 0.4, 1.2))))
    plane = on_part(scene, ink(scene.part.shape[0], lines))
    tone(scene, rng, plane, low=0.2, high=0.7, lighter=0.7)
    emboss(scene, -plane * rng.uniform(0, 0.6))
    return True


def _abrasion(scene: Scene, rng: np.random.Generator) -> bool:
    centre, radius = spot(scene, rng), log_uniform(rng, 0.05, 0.35) * span(scene)
    angle, lines = heading(scene, rng), []
    within = blob(scene, rng, radius, centre=centre, soft=radius / 4, aspect=4, angle=angle)
    for _ in range(int(rng.integers(12, 45))):
        place = centre + rng.normal(0, 0.6 * radius, 2)
        points = stroke(rng, place, radius * rng.uniform(0.3, 2), angle + rng.normal(0, 0.1), wander=0.1)
        lines.append((move_to(points, place), taper(rng, len(points), _thin(scene, rng, 0.4, 1.8), gaps=0.2)))
    plane = on_part(scene, ink(scene.part.shape[0], lines)) * within
    worn = within * np.clip(0.5 + 0.4 * grainy(scene, rng, 6, stretch=3), 0, 1)
    tone(scene, rng, np.maximum(plane, worn * rng.uniform(0, 0.8)), low=0.2, high=0.8, lighter=0.65)
    polish(scene, within * rng.uniform(0, 0.8), float(rng.integers(2)))
    emboss(scene, -plane * rng.uniform(0, 0.6))
    return True


LINES = {
    "scratch": Flaw(
        ("scratch", "scratches", "score mark", "scuff", "surface scratch", "line"),
        trace(_scratch),
        "any",
        ("scratched",),
    ),
    "crack": Flaw(("crack", "cracks", "fracture", "fissure", "split"), trace(_crack), "any", ("cracked", "fractured")),
    "crazing": Flaw(
        ("crazing", "hairline cracks", "craze cracks", "network of cracks"), trace(_crazing), "any", ("crazed",)
    ),
    "cut": Flaw(("cut", "cuts", "slit", "tear", "incision"), trace(_cut), "any", ("cut", "torn")),
    "gouge": Flaw(("gouge", "gouges", "groove", "deep scratch", "furrow"), trace(_gouge), "any", ("gouged",)),
    "fibre": Flaw(
        ("fibre", "fiber", "hair", "fibres", "lint", "foreign fibre"), trace(_fibre), "any", ("contaminated",)
    ),
    "thread": Flaw(("thread", "threads", "loose thread", "yarn", "string"), trace(_thread)),
    "wrinkle": Flaw(("wrinkle", "wrinkles", "crease", "pucker"), trace(_wrinkle), "any", ("wrinkled", "creased")),
    "fold": Flaw(("fold", "folds", "kink", "crease line", "lap"), trace(_fold), "any", ("folded", "creased")),
    "swirl": Flaw(("swirl marks", "swirl", "polishing marks", "buffing marks", "grinding marks"), trace(_swirl)),
    "abrasion": Flaw(
        ("abrasion", "rub mark", "abrasions", "scuff marks", "chafing", "wear"),
        trace(_abrasion),
        "any",
        ("scuffed", "worn"),
    ),
}
