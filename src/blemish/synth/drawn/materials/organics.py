"""Wood, paper, food and tissue."""

from __future__ import annotations

import numpy as np

from blemish.synth.drawn.fields import (
    axes_along,
    band_noise,
    blur,
    coordinates,
    fractal_noise,
    grain_noise,
    ridged_noise,
    smooth_noise,
    step,
    stretched_noise,
    voronoi,
    white_noise,
)
from blemish.synth.drawn.pigments import Colour, between, chance, colour, grey, mix, near, paint, scale, slab, vary
from blemish.synth.drawn.scene import Material, Plane, Surface


def _timber(rng: np.random.Generator) -> Colour:
    """From birch and pine over oak and cherry to walnut and grey weathered boards."""
    if chance(rng, 0.1):
        return grey(rng, 0.3, 0.7)
    return colour(rng, (0.045, 0.115), (0.2, 0.7), (0.25, 0.95))


def _rings(rng: np.random.Generator, side: int, grain: float) -> tuple[Plane, Plane]:
    """Place within the growth rings, counted across the grain, and where knots are (0 .. 1)."""
    along, across = axes_along(side, grain)
    sway = fractal_noise(
        rng, side, side * between(rng, (0.3, 0.8)), octaves=3, stretch=between(rng, (3, 7)), angle=grain
    )
    depth = across + sway * side * scale(rng, 0.01, 0.15)
    depth = depth + (along / side) ** 2 * side * between(rng, (-0.4, 0.4)) * chance(rng, 0.4)
    knots = np.zeros((side, side), np.float32)
    for _ in range(int(rng.poisson(0.4))):
        u, v = along - between(rng, (-0.4, 0.4)) * side, across - between(rng, (-0.4, 0.4)) * side
        radius = side * scale(rng, 0.015, 0.07)
        far = np.hypot(u / between(rng, (1, 1.6)), v) / radius
        depth = depth + np.sign(v) * radius * 2.5 * np.exp(-np.hypot(u / 3, v) / radius / 1.5)
        depth = np.where(far < 1.3, far * radius * 0.9, depth)
        knots = np.maximum(knots, 1 - step(far, 0.7, 1.4))
    rings: Plane = (depth / (side * scale(rng, 0.015, 0.12))).astype(np.float32)
    return rings, knots


def wood(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """A sawn or planed board: rings, fibres, pores, now and then a knot."""
    rings, knots = _rings(rng, side, grain)
    widths = rng.normal(0, 0.25, 512).astype(np.float32)
    phase = (rings + widths[np.floor(rings).astype(int) % 512] * 0.5) % 1
    late = step(phase, between(rng, (0.1, 0.6)), 0.93) * (1 - step(phase, 0.94, 1.0))
    fibres = stretched_noise(rng, side, side * 0.006, scale(rng, 10, 50), grain)
    streaks = stretched_noise(rng, side, side * scale(rng, 0.02, 0.1), 12, grain)
    pores = step(stretched_noise(rng, side, side * 0.006, scale(rng, 4, 15), grain), 1.5, 2.5) * between(rng, (0, 0.4))
    base = _timber(rng)
    dark = base * np.array([0.75, 0.62, 0.5], np.float32) * between(rng, (0.8, 1.1))
    albedo = mix(base, dark, np.clip(late * between(rng, (0.1, 0.9)) + knots * 0.6, 0, 1))
    shade = scale(rng, 0.015, 0.08) * fibres + scale(rng, 0.02, 0.1) * streaks - pores - 0.25 * knots
    relief = 0.3 * late + 0.1 * fibres - 2 * pores
    return slab(albedo * (1 + shade)[..., None], relief * scale(rng, 0.1, 1), between(rng, (0.03, 0.5)))


def planks(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Boards side by side, each of its own tone: parquet, decking, laminate."""
    surface = wood(rng, side, grain)
    along, across = axes_along(side, grain)
    width, length = side * scale(rng, 0.12, 0.5), side * scale(rng, 0.6, 3)
    v = across / width + rng.random()
    row = np.floor(v).astype(int)
    u = along / length + rng.random(64)[row % 64]
    column = np.floor(u).astype(int)
    tone = rng.normal(0, scale(rng, 0.02, 0.2), (64, 64))[row % 64, column % 64].astype(np.float32)
    edge = np.minimum((0.5 - np.abs(v % 1 - 0.5)) * width, (0.5 - np.abs(u % 1 - 0.5)) * length)
    board = step(edge, 0.4, side * between(rng, (0.006, 0.02)))
    albedo = vary(surface.albedo, tone) * (1 - between(rng, (0.3, 0.8)) * (1 - board))[..., None]
    return slab(albedo, surface.height + board * between(rng, (0.3, 2)), surface.gloss)


def plywood(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Rotary-cut veneer with wild figure, or chips pressed into a board."""
    if chance(rng, 0.5):
        figure = fractal_noise(rng, side, side * 0.5, octaves=3, stretch=between(rng, (2, 5)), angle=grain)
        bands = step(np.abs((figure * scale(rng, 2, 8)) % 1 - 0.5), 0.05, 0.5)
        fibres = stretched_noise(rng, side, side * 0.006, 20, grain)
        return slab(vary(_timber(rng), scale(rng, 0.03, 0.15) * bands + 0.04 * fibres), 0.1 * fibres, 0.1)
    size = side * scale(rng, 0.015, 0.1)
    found = voronoi(rng, side, size, stretch=between(rng, (1.5, 3)), angle=grain, bend=size * 0.3)
    tone = rng.normal(size=found.total).astype(np.float32)[found.ids]
    fibres = stretched_noise(rng, side, side * 0.008, 8, grain)
    shade = scale(rng, 0.05, 0.2) * tone + 0.05 * fibres - 0.15 * (1 - step(found.edge, 0, size * 0.08))
    return slab(vary(_timber(rng), shade), tone * 0.4, 0.08)


def cork(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Pressed granules with dark specks."""
    size = side * scale(rng, 0.02, 0.09)
    found = voronoi(rng, side, size, bend=size * 0.25)
    tone = rng.normal(size=found.total).astype(np.float32)[found.ids]
    specks = step(fractal_noise(rng, side, size * 0.5, octaves=2), between(rng, (1.2, 2)), 2.4)
    fine = fractal_noise(rng, side, side * 0.02, octaves=2)
    shade = scale(rng, 0.04, 0.2) * tone + 0.05 * fine - 0.5 * specks - 0.2 * (1 - step(found.edge, 0, size * 0.12))
    return slab(vary(colour(rng, (0.06, 0.1), (0.3, 0.6), (0.45, 0.85)), shade), tone * 0.3 - specks, 0.05)


def paper(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """From smooth print stock to rough fibrous sheets, at times ruled."""
    clouds = fractal_noise(rng, side, side * scale(rng, 0.02, 0.2), octaves=4, gain=0.7)
    fibres = step(ridged_noise(rng, side, side * 0.08), 0.9, 1) * between(rng, (0, 0.12)) * chance(rng, 0.5)
    base = grey(rng, 0.7, 0.98) if chance(rng, 0.6) else colour(rng, (0, 1), (0.05, 0.5), (0.5, 0.95))
    _, across = axes_along(side, grain)
    rule = 1 - step(np.abs(across / (side * scale(rng, 0.05, 0.2)) % 1 - 0.5), 0.01, 0.05)
    albedo = vary(base, scale(rng, 0.004, 0.04) * clouds - fibres)
    albedo = mix(albedo, paint(rng), rule * between(rng, (0.3, 0.9)) * chance(rng, 0.15))
    return slab(albedo, clouds * scale(rng, 0.02, 0.5), between(rng, (0, 0.3)))


def cardboard(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Brown or grey board with fibres and the shadow of its flutes."""
    fibres = 0.6 * fractal_noise(rng, side, side * 0.02, octaves=4, gain=0.9, stretch=2, angle=grain) + grain_noise(
        rng, side, 1.5
    )
    clouds = fractal_noise(rng, side, side * 0.2, octaves=4)
    _, across = axes_along(side, grain)
    flute = np.cos(across / (side * scale(rng, 0.02, 0.1)) * 2 * np.pi) * between(rng, (0, 1)) * chance(rng, 0.6)
    base = colour(rng, (0.06, 0.1), (0.15, 0.5), (0.45, 0.8)) if chance(rng, 0.8) else grey(rng, 0.4, 0.9)
    specks = step(white_noise(rng, side), 2.3, 3.2) * between(rng, (0, 0.35))
    shade = scale(rng, 0.01, 0.05) * fibres + 0.03 * clouds + 0.03 * flute - specks
    return slab(vary(base, shade), fibres * 0.2 + flute * scale(rng, 0.1, 1), 0.05)


def tissue(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Moist mucosa or skin-like tissue: red to pale, with vessels and soft folds."""
    folds = smooth_noise(rng, side, side * scale(rng, 0.15, 0.6)) * side * scale(rng, 0.004, 0.04)
    base = colour(rng, (-0.03, 0.06), (0.25, 0.65), (0.4, 0.9))
    vessels = ridged_noise(rng, side, side * scale(rng, 0.12, 0.4), octaves=4)
    vessels = step(vessels, between(rng, (0.75, 0.92)), 1) * between(rng, (0, 0.5))
    mottle = fractal_noise(rng, side, side * scale(rng, 0.05, 0.3))
    albedo = mix(vary(base, scale(rng, 0.02, 0.1) * mottle), base * np.array([0.7, 0.3, 0.35], np.float32), vessels)
    fine = fractal_noise(rng, side, side * 0.02, octaves=2) * between(rng, (0, 0.2))
    return slab(albedo, folds + fine, between(rng, (0.2, 0.8)))


def skin(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Skin relief of any complexion: fine crossing lines, pores and pigment."""
    size = side * scale(rng, 0.02, 0.06)
    found = voronoi(rng, side, size, stretch=between(rng, (1, 1.8)), angle=grain, bend=size * 0.2)
    line = 1 - step(found.edge, 0, size * 0.25)
    mottle = fractal_noise(rng, side, side * scale(rng, 0.05, 0.4), octaves=4)
    base = colour(rng, (0.02, 0.08), (0.25, 0.6), (0.25, 0.95))
    albedo = vary(base, scale(rng, 0.01, 0.07) * mottle - between(rng, (0, 0.1)) * line)
    return slab(
        albedo, -line * scale(rng, 0.1, 0.8) + smooth_noise(rng, side, side * 0.4) * 2, between(rng, (0.1, 0.5))
    )


def grey_scan(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Ultrasound, X-ray or tomography: grey layers or organs under speckle."""
    x, y = coordinates(side)
    layers = fractal_noise(rng, side, side * scale(rng, 0.05, 0.4), octaves=3, stretch=scale(rng, 1, 8), angle=grain)
    depth = (y if chance(rng, 0.6) else x) / side
    bodies = step(smooth_noise(rng, side, side * scale(rng, 0.2, 0.6)), -0.4, between(rng, (0, 1)))
    bright = np.exp(scale(rng, 0.1, 0.6) * layers) * (0.3 + 0.7 * bodies) * np.exp(-depth * between(rng, (-0.5, 1.2)))
    speckle = np.hypot(white_noise(rng, side), white_noise(rng, side)) * np.float32(0.8)
    speckle = blur(speckle, between(rng, (0.3, 1.2)))
    share = between(rng, (0.0, 1.0)) * chance(rng, 0.7)
    shade = bright * (1 - share + share * speckle) * between(rng, (0.15, 0.6))
    return slab(np.repeat(shade[..., None], 3, 2), np.zeros((side, side)), 0.0)


def biscuit(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Baked dough: browned bumps, crumbs, docking holes, maybe chips or seeds."""
    bumps = fractal_noise(rng, side, side * scale(rng, 0.04, 0.2), octaves=5, gain=0.65)
    base = colour(rng, (0.07, 0.12), (0.3, 0.7), (0.5, 0.95))
    brown = base * np.array([0.65, 0.5, 0.35], np.float32)
    albedo = mix(base, brown, step(bumps, between(rng, (-1.5, 0)), 2) * between(rng, (0.2, 1)))
    found = voronoi(rng, side, side * scale(rng, 0.06, 0.2), jitter=between(rng, (0, 1)), angle=grain)
    hole = 1 - step(found.distance, side * 0.006, side * scale(rng, 0.014, 0.03))
    hole *= rng.choice([0, 1, 0], found.total).astype(np.float32)[found.ids] if chance(rng, 0.5) else 1
    topping = chance(rng, 0.4)
    dark = near(rng, brown * 0.4, 0.2) if topping else brown * 0.6
    albedo = mix(albedo, dark, hole * chance(rng, 0.6))
    relief = bumps * scale(rng, 0.3, 1.5) + hole * (2 if topping else -2)
    return slab(vary(albedo, 0.03 * white_noise(rng, side)), relief, between(rng, (0, 0.25)))


def pill_coating(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Pressed powder or film coat: plain or speckled, nearly flat."""
    base = paint(rng) if chance(rng, 0.6) else grey(rng, 0.75, 0.97)
    specks = step(grain_noise(rng, side, side * scale(rng, 0.004, 0.015)), between(rng, (1.3, 2.3)), 3)
    peel = band_noise(rng, side, side * scale(rng, 0.02, 0.08), 0.6)
    albedo = mix(vary(base, 0.01 * peel), paint(rng), specks * between(rng, (0, 0.9)) * chance(rng, 0.5))
    return slab(albedo, peel * scale(rng, 0.02, 0.4), between(rng, (0.05, 0.7)))


def crumb(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Porous inside: bread, sponge, foam, pumice; open cells of many sizes."""
    size = side * scale(rng, 0.02, 0.09)
    base = colour(rng, (0.05, 0.16), (0.05, 0.6), (0.3, 0.95)) if chance(rng, 0.7) else paint(rng)
    depth = np.zeros((side, side), np.float32)
    for each in (size, size * 0.45):
        found = voronoi(rng, side, each, jitter=1, stretch=between(rng, (1, 1.6)), angle=grain, bend=each * 0.15)
        radius = rng.uniform(0.1, 0.5, found.total).astype(np.float32)[found.ids] * each
        depth = np.maximum(depth, np.sqrt(np.maximum(1 - (found.distance / radius) ** 2, 0)) * radius / size)
    fine = fractal_noise(rng, side, side * 0.03, octaves=3)
    albedo = vary(base, 0.04 * fine - between(rng, (0.2, 1.2)) * depth)
    return slab(albedo, -depth * size * 0.5 + 0.2 * fine, 0.03)


ORGANICS = {
    "wood": Material(("wood", "wooden board", "timber"), wood, True),
    "planks": Material(("planks", "parquet", "wooden floor", "laminate"), planks, True),
    "plywood": Material(("plywood", "veneer", "chipboard"), plywood, True),
    "cork": Material(("cork", "cork board"), cork),
    "paper": Material(("paper", "sheet of paper", "label stock"), paper, True),
    "cardboard": Material(("cardboard", "packaging", "box"), cardboard, True),
    "tissue": Material(("tissue", "mucosa", "endoscopy"), tissue),
    "skin": Material(("skin", "hide"), skin, True),
    "grey_scan": Material(("ultrasound scan", "X-ray", "scan"), grey_scan, True),
    "biscuit": Material(("biscuit", "cookie", "cracker"), biscuit),
    "pill_coating": Material(("pill coating", "tablet", "capsule"), pill_coating),
    "crumb": Material(("sponge", "bread", "foam"), crumb, True),
}
