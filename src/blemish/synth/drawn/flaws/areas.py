"""Flaws that are areas: stains, rust, wear, coatings, prints, uneven treatment."""

from __future__ import annotations

import math

import numpy as np

from blemish.synth.drawn.fields import axes_along
from blemish.synth.drawn.flaws.marks import (
    blob,
    colour_of,
    dug,
    dye,
    emboss,
    grainy,
    heading,
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
from blemish.synth.drawn.scene import Colours, Flaw, Plane, Scene
from blemish.synth.drawn.strokes import contour, ink, log_uniform, solids, spatter, stroke, toward


def _hue(rng: np.random.Generator, amount: float) -> Colours:
    """Factors on red, green and blue that shift a colour without changing how bright it is."""
    factors = np.exp(rng.normal(0, amount, 3))
    hue: Colours = (factors / factors.mean()).astype(np.float32)
    return hue


def _ring(plane: Plane) -> Plane:
    """The boundary zone of a soft shape: [0, 1]."""
    ring: Plane = 4 * plane * (1 - plane)
    return ring


def _area(
    scene: Scene, rng: np.random.Generator, low: float, high: float, *, amount: float = 0.5, aspect: float = 2.5
) -> Plane:
    """A place with a noisy edge, its radius `low` to `high` of the part's size."""
    radius = max(2.0, log_uniform(rng, low, high) * span(scene))
    shape = blob(scene, rng, radius, rough=rng.uniform(0.1, 0.5), soft=radius * rng.uniform(0.1, 0.4), aspect=aspect)
    noise = grainy(scene, rng, max(4.0, radius * rng.uniform(0.5, 1.5)))
    return on_part(scene, roughen(shape, noise, amount=amount * rng.uniform(0, 1), edge=log_uniform(rng, 0.08, 1)))


def _stain(scene: Scene, rng: np.random.Generator) -> bool:
    hue = _hue(rng, rng.choice((0.02, 0.08, 0.2)))
    for _ in range(several(rng, 4)):
        plane = _area(scene, rng, 0.02, 0.25)
        cloudy = plane * np.clip(0.85 + 0.2 * unit_noise(scene, rng, 0.15 * span(scene)), 0.2, 1)
        tone(scene, rng, cloudy, low=0.08, high=0.6, lighter=0.2)
        dye(scene, cloudy, hue)
        if rng.random() < 0.4:
            edge = _ring(soften(plane, max(0.8, 0.006 * span(scene))))
            tone(scene, rng, edge, low=0.1, high=0.5, lighter=0.1)
    polish(scene, cloudy * rng.uniform(0, 0.6), rng.uniform(0, 1))
    return True


def _oil(scene: Scene, rng: np.random.Generator) -> bool:
    for _ in range(several(rng, 4)):
        plane = _area(scene, rng, 0.03, 0.3, amount=0.2)
        polish(scene, plane * rng.uniform(0.5, 1), 1.0)
        scene.surface.albedo *= 1 - plane[..., None] * np.float32(log_uniform(rng, 0.1, 0.5))
        dye(scene, plane, _hue(rng, 0.06))
        emboss(scene, plane * rng.uniform(0, 0.6))
    return True


def _water(scene: Scene, rng: np.random.Generator) -> bool:
    for _ in range(several(rng, 6)):
        radius = max(2.0, log_uniform(rng, 0.02, 0.2) * span(scene))
        plane = blob(scene, rng, radius, rough=rng.uniform(0.03, 0.25), soft=max(0.8, radius * rng.uniform(0.05, 0.2)))
        patchy = np.clip(0.7 + 0.4 * unit_noise(scene, rng, radius), 0, 1)
        tone(scene, rng, _ring(plane) * patchy, low=0.18, high=0.7, lighter=0.6)
        tone(scene, rng, plane * 0.6, low=0.1, high=0.3, lighter=0.5)
        polish(scene, plane * rng.uniform(0, 0.8), float(rng.integers(2)))
    return True


def _rust(scene: Scene, rng: np.random.Generator) -> bool:
    for _ in range(several(rng, 3)):
        plane = _area(scene, rng, 0.03, 0.25, amount=1.2)
        fine = grainy(scene, rng, max(4.0, 0.05 * span(scene)))
        colour = np.array((0.45, 0.27, 0.16)) * rng.uniform(0.5, 1.4) * np.exp(rng.normal(0, 0.12, 3))
        weight = np.clip(plane * (0.75 + 0.35 * fine), 0, 1) * np.float32(rng.uniform(0.4, 1))
        smear(scene, weight, colour.astype(np.float32), keep=0.4)
        scene.surface.albedo *= 1 + plane[..., None] * np.clip(0.22 * fine, -0.6, 0.6)[..., None]
        emboss(scene, plane * fine * rng.uniform(0.05, 0.5))
        polish(scene, plane, 0.02)
    if rng.random() < 0.4:
        specks = spatter(rng, spot(scene, rng), 0.15 * span(scene), int(rng.integers(5, 40)), 0.008 * span(scene))
        smear(scene, on_part(scene, solids(scene.part.shape[0], specks)), colour.astype(np.float32), keep=0.3)
    return True


def _corrosion(scene: Scene, rng: np.random.Generator) -> bool:
    plane = _area(scene, rng, 0.04, 0.35, amount=1.3)
    fine = grainy(scene, rng, max(4.0, log_uniform(rng, 0.03, 0.12) * span(scene)))
    kinds = ((0.75, 0.75, 0.72), (0.25, 0.42, 0.36), (0.12, 0.11, 0.1))
    colour = np.array(kinds[int(rng.integers(3))]) * rng.uniform(0.7, 1.3)
    smear(scene, np.clip(plane * (0.6 + 0.5 * fine), 0, 1), colour.astype(np.float32), keep=0.5)
    emboss(scene, plane * fine * rng.uniform(0.1, 0.8))
    polish(scene, plane, 0.02)
    return True


def _discoloration(scene: Scene, rng: np.random.Generator) -> bool:
    radius = log_uniform(rng, 0.06, 0.35) * span(scene)
    plane = blob(scene, rng, radius, soft=radius * rng.uniform(0.2, 0.5), aspect=3)
    plane = plane * np.clip(0.9 + 0.25 * unit_noise(scene, rng, radius), 0.2, 1)
    dye(scene, plane, _hue(rng, rng.uniform(0.03, 0.22)))
    tone(scene, rng, plane, low=0.06, high=0.4, lighter=0.4)
    return True


def _burn(scene: Scene, rng: np.random.Generator) -> bool:
    plane = _area(scene, rng, 0.03, 0.25, amount=0.6)
    halo = on_part(scene, soften(plane, rng.uniform(0.01, 0.06) * span(scene)))
    dye(scene, halo, np.array((rng.uniform(0.6, 0.9), rng.uniform(0.4, 0.7), rng.uniform(0.2, 0.5)), np.float32))
    char = np.clip(plane * (0.8 + 0.4 * grainy(scene, rng, max(4.0, 0.05 * span(scene)))), 0, 1)
    scene.surface.albedo *= 1 - char[..., None] * np.float32(rng.uniform(0.3, 0.92))
    polish(scene, plane, 0.05)
    return True


def _half(scene: Scene, rng: np.random.Generator) -> Plane:
    """A band or half of the picture, its borders straight, hard or gradual."""
    side = scene.part.shape[0]
    angle = scene.grain + (0 if rng.random() < 0.5 else math.pi / 2) + rng.normal(0, 0.04)
    _, across = axes_along(side, angle)
    across = across + unit_noise(scene, rng, 0.4 * side) * rng.uniform(0, 0.05) * side
    soft = log_uniform(rng, 0.006, 0.25) * side
    first = rng.uniform(-0.35, 0.35) * side
    width = rng.uniform(0.12, 0.6) * side
    band: Plane = np.clip((across - first) / soft + 0.5, 0, 1) * np.clip((first + width - across) / soft + 0.5, 0, 1)
    return on_part(scene, band.astype(np.float32))


def _uneven(scene: Scene, rng: np.random.Generator) -> bool:
    plane = _half(scene, rng)
    if rng.random() < 0.5:
        plane = plane * _half(scene, rng)
    elif rng.random() < 0.4:
        plane = blob(scene, rng, rng.uniform(0.15, 0.4) * span(scene), soft=rng.uniform(0.03, 0.12) * span(scene))
    streaks = grainy(scene, rng, max(3.0, rng.uniform(0.02, 0.08) * span(scene)), stretch=rng.uniform(1, 12))
    tone(scene, rng, plane * np.clip(0.8 + 0.25 * streaks, 0, 1), low=0.08, high=0.5, lighter=0.45, hue=0.02)
    emboss(scene, plane * streaks * rng.uniform(0, 0.5))
    polish(scene, plane * rng.uniform(0, 0.8), rng.uniform(0, 1))
    return True


def _color_spot(scene: Scene, rng: np.random.Generator) -> bool:
    hue = _hue(rng, rng.uniform(0.2, 0.9))
    for _ in range(several(rng, 4)):
        plane = _area(scene, rng, 0.02, 0.14, amount=0.4)
        level = float(colour_of(scene, plane).mean())
        smear(scene, plane * rng.uniform(0.35, 1), np.clip(hue * (0.6 * level + 0.15), 0, 1), keep=0.7)
    return True


def _mould(scene: Scene, rng: np.random.Generator) -> bool:
    side, size = scene.part.shape[0], max(1.2, log_uniform(rng, 0.008, 0.04) * span(scene))
    spread = log_uniform(rng, 0.04, 0.2) * span(scene)
    shapes = spatter(rng, spot(scene, rng), spread, int(rng.integers(5, 40)), size)
    plane = soften(solids(side, shapes), size / 2)
    fuzz = grainy(scene, rng, max(3.0, size))
    plane = on_part(scene, np.clip(plane * (1 + 0.4 * fuzz), 0, 1))
    kinds = ((0.2, 0.26, 0.17), (0.08, 0.08, 0.07), (0.75, 0.77, 0.74), (0.3, 0.38, 0.4))
    colour = np.array(kinds[int(rng.integers(4))]) * rng.uniform(0.7, 1.2)
    smear(scene, plane * rng.uniform(0.5, 1), colour.astype(np.float32), keep=0.3)
    emboss(scene, plane * fuzz * rng.uniform(0, 0.8))
    polish(scene, plane, 0.0)
    return True


def _faded(scene: Scene, rng: np.random.Generator) -> bool:
    radius = log_uniform(rng, 0.1, 0.38) * span(scene)
    plane = blob(scene, rng, radius, soft=radius * rng.uniform(0.1, 0.45), aspect=3)
    mean = colour_of(scene, plane)
    pale = (mean.mean() + (mean - mean.mean()) * rng.uniform(0, 0.6)) * 0.6 + rng.uniform(0.25, 0.4)
    strength = plane * np.clip(0.9 + 0.2 * unit_noise(scene, rng, radius), 0, 1) * log_uniform(rng, 0.3, 0.9)
    smear(scene, strength, pale.astype(np.float32), keep=rng.uniform(0.1, 0.6))
    return True


def _glue(scene: Scene, rng: np.random.Generator) -> bool:
    side = scene.part.shape[0]
    plane = _area(scene, rng, 0.02, 0.15, amount=0.3)
    if rng.random() < 0.5:
        length, width = log_uniform(rng, 0.1, 0.7) * span(scene), max(1.0, log_uniform(rng, 0.006, 0.03) * span(scene))
        points = stroke(rng, spot(scene, rng), length, rng.uniform(0, 6.3), bend=rng.normal(0, 1), wander=0.8)
        string = ink(side, [(points, width * rng.uniform(0.5, 1.6, len(points)))])
        plane = np.maximum(plane, on_part(scene, soften(string, 0.7)))
    body = soften(plane, max(0.8, 0.01 * span(scene)))
    milky = np.array((1, rng.uniform(0.85, 1), rng.uniform(0.55, 1)), np.float32) * rng.uniform(0.5, 0.95)
    smear(scene, plane * rng.uniform(0.1, 0.7), milky.astype(np.float32), keep=0.8)
    emboss(scene, on_part(scene, body) * rng.uniform(1.5, 5))
    polish(scene, plane, rng.uniform(0.6, 1))
    return True


def _patch(scene: Scene, rng: np.random.Generator) -> bool:
    side = scene.part.shape[0]
    for _ in range(several(rng, 5)):
        size = max(2.0, log_uniform(rng, 0.03, 0.25) * span(scene))
        shape = contour(rng, spot(scene, rng), size, aspect=rng.uniform(1, 3), angle=scene.grain, rough=0.4)
        plane = roughen(soften(solids(side, [shape]), 1.5), grainy(scene, rng, max(4.0, size / 2)), amount=0.4)
        tone(scene, rng, on_part(scene, plane), low=0.1, high=0.6, lighter=0.45)
    return True


def _scale(scene: Scene, rng: np.random.Generator) -> bool:
    radius = log_uniform(rng, 0.1, 0.5) * span(scene)
    within = blob(scene, rng, radius, soft=radius * 0.4, aspect=3, angle=scene.grain)
    flakes = grainy(scene, rng, max(4.0, log_uniform(rng, 0.03, 0.12) * span(scene)), stretch=rng.uniform(1, 4))
    share = rng.uniform(-0.2, 1.2)
    plane = np.clip((flakes - share) * 5, 0, 1) * np.clip(within * 2 - 0.3 + 0.3 * flakes, 0, 1)
    plane = on_part(scene, plane.astype(np.float32))
    tone(scene, rng, plane, low=0.25, high=0.85, lighter=0.1)
    emboss(scene, plane * rng.uniform(-0.8, 0.8))
    polish(scene, plane * 0.7, 0.05)
    return True


def _peeling(scene: Scene, rng: np.random.Generator) -> bool:
    plane = _area(scene, rng, 0.03, 0.25, amount=1.0)
    plane = np.clip((plane - 0.5) * 4 + 0.5, 0, 1)
    old = colour_of(scene, plane)
    base = old * rng.uniform(0.3, 0.7) if old.mean() > 0.35 else old * 0.6 + rng.uniform(0.2, 0.45)
    under = base * np.exp(rng.normal(0, 0.12, 3))
    bare = 1 + 0.12 * grainy(scene, rng, max(4.0, 0.06 * span(scene)))
    smear(scene, plane, under.astype(np.float32), keep=0.15)
    scene.surface.albedo *= 1 + plane[..., None] * (bare - 1)[..., None]
    emboss(scene, -plane * rng.uniform(0.5, 2))
    curl = on_part(scene, np.clip(soften(plane, 1.5) - plane, 0, 1))
    emboss(scene, curl * rng.uniform(0, 4))
    tone(scene, rng, curl, low=0.1, high=0.5, lighter=0.6)
    polish(scene, plane * 0.7, 0.2)
    return True


def _print_fault(scene: Scene, rng: np.random.Generator) -> bool:
    """What is printed is dragged along; on bare ground a trace of ink is dragged."""
    plane = blob(scene, rng, log_uniform(rng, 0.06, 0.3) * span(scene), soft=2.0, aspect=2.5)
    angle, reach = heading(scene, rng), rng.uniform(0.02, 0.08) * span(scene)
    smeared = np.zeros_like(scene.surface.albedo)
    for share in np.linspace(0, 1, 6):
        step = np.rint(toward(angle, reach * float(share))).astype(int)
        smeared += np.roll(scene.surface.albedo, (int(step[1]), int(step[0])), axis=(0, 1)) / 6
    scene.surface.albedo += plane[..., None] * (smeared - scene.surface.albedo)
    streaks = np.clip(grainy(scene, rng, max(3.0, 0.02 * span(scene)), stretch=8) + rng.uniform(-0.5, 0.5), 0, 1)
    tone(scene, rng, plane * streaks, low=0.2, high=0.8, lighter=0.4)
    return True


def _flake(scene: Scene, rng: np.random.Generator) -> bool:
    """A shell-shaped spall: facets of different brightness in a jagged hollow."""
    side, centre = scene.part.shape[0], spot(scene, rng)
    radius = max(2.0, log_uniform(rng, 0.02, 0.15) * span(scene))
    whole = contour(rng, centre, radius, aspect=rng.uniform(1, 2), angle=rng.uniform(0, 3), rough=0.3, jagged=True)
    places = centre + rng.normal(0, radius / 2, (int(rng.integers(2, 7)), 2))
    facets = [contour(rng, place, radius * rng.uniform(0.3, 0.8), rough=0.35, jagged=True) for place in places]
    levels = rng.uniform(0.2, 1, len(facets) + 1).tolist()
    inside = on_part(scene, solids(side, [whole]))
    depth = solids(side, [whole, *facets], levels) * inside
    dug(scene, rng, inside * rng.uniform(0.1, 0.6), 0.5)
    tone(scene, rng, depth, low=0.2, high=0.9, lighter=0.5)
    emboss(scene, -soften(depth, 0.6) * radius * rng.uniform(0.1, 0.4))
    polish(scene, inside * rng.uniform(0, 1), 0.9)
    return True


AREAS = {
    "stain": Flaw(
        ("stain", "stains", "spot", "smudge", "blotch", "mark"), trace(_stain), "any", ("stained", "smudged")
    ),
    "oil": Flaw(("oil stain", "oil", "grease", "oil spot", "grease mark"), trace(_oil), "any", ("oily", "greasy")),
    "water mark": Flaw(("water mark", "water spot", "water stain", "drying marks", "droplet"), trace(_water)),
    "rust": Flaw(("rust", "rust spots", "red rust", "oxidation"), trace(_rust), "any", ("rusty", "rusted")),
    "corrosion": Flaw(
        ("corrosion", "corroded area", "tarnish", "oxide"), trace(_corrosion), "any", ("corroded", "oxidized")
    ),
    "discoloration": Flaw(
        ("discoloration", "discolouration", "color deviation", "shade variation"),
        trace(_discoloration),
        "any",
        ("discolored",),
    ),
    "burn": Flaw(
        ("burn mark", "burn", "scorch mark", "heat mark", "charring"), trace(_burn), "any", ("burnt", "scorched")
    ),
    "uneven": Flaw(
        ("uneven surface", "unevenness", "uneven coating", "uneven grinding", "shading", "waviness"),
        trace(_uneven),
        "any",
        ("uneven",),
    ),
    "color spot": Flaw(("color spot", "colour spot", "paint spot", "ink spot", "color"), trace(_color_spot)),
    "mould": Flaw(("mould", "mold", "fungus", "mildew", "rot"), trace(_mould), "any", ("mouldy", "rotten")),
    "faded": Flaw(("fading", "faded area", "bleaching", "pale area"), trace(_faded), "any", ("faded", "bleached")),
    "glue": Flaw(("glue", "glue residue", "adhesive", "residue", "glue strip"), trace(_glue), "any", ("sticky",)),
    "patch": Flaw(("patch", "patches", "blotches", "mottling"), trace(_patch), "any", ("patchy", "blotchy")),
    "scale": Flaw(
        ("scale", "rolled-in scale", "oxide scale", "mill scale", "flakes"), trace(_scale), "any", ("scaly",)
    ),
    "peeling": Flaw(
        ("peeling", "delamination", "peeling paint", "flaking", "coating loss"),
        trace(_peeling),
        "any",
        ("peeling", "flaked"),
    ),
    "print fault": Flaw(
        ("print defect", "misprint", "smeared print", "smear", "print fault"),
        trace(_print_fault),
        "any",
        ("misprinted", "smeared"),
    ),
    "spall": Flaw(("spall", "spalling", "flaked edge", "chipped surface", "shell"), trace(_flake), "any", ("chipped",)),
}
