"""Metals: brushed, ground, milled, cast, rolled, coated."""

from __future__ import annotations

import numpy as np

from blemish.synth.drawn.fields import (
    axes_along,
    band_noise,
    fractal_noise,
    grain_noise,
    ridged_noise,
    smooth_noise,
    standard,
    step,
    stretched_noise,
    voronoi,
    warp,
    white_noise,
)
from blemish.synth.drawn.pigments import Colour, between, chance, colour, grey, hsv, mix, paint, scale, slab, vary
from blemish.synth.drawn.scene import Material, Plane, Surface


def _strokes(rng: np.random.Generator, side: int, grain: float) -> Plane:
    """Fine parallel lines from a tool or a belt, of uneven depth; unit deviation."""
    length = scale(rng, 10, 120)
    fine = stretched_noise(rng, side, 1.0, length, grain) + 0.7 * stretched_noise(rng, side, 2.0, length, grain)
    coarse = fractal_noise(rng, side, side * scale(rng, 0.02, 0.15), octaves=5, stretch=scale(rng, 8, 40), angle=grain)
    share = 0.7 * rng.random() ** 2
    return standard((1 - share) * fine + share * coarse)


def _metal(rng: np.random.Generator) -> Colour:
    """Steel, aluminium, titanium or zinc: grey, at times slightly warm or blue."""
    return grey(rng, 0.25, 0.85)


def _brushed(rng: np.random.Generator, side: int, grain: float, base: Colour) -> Surface:
    strokes = _strokes(rng, side, grain)
    contrast = scale(rng, 0.02, 0.2)
    height = strokes * scale(rng, 0.01, 0.15)
    clouds = fractal_noise(rng, side, side * 0.5, octaves=2, stretch=between(rng, (1, 4)), angle=grain)
    return slab(vary(base, contrast * strokes + 0.04 * clouds), height, between(rng, (0.3, 0.8)))


def brushed_metal(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Belt-brushed sheet."""
    return _brushed(rng, side, grain, _metal(rng))


def copper(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Red metal, from pink to brown, drawn, polished or slightly tarnished."""
    surface = _brushed(rng, side, grain, colour(rng, (0.02, 0.07), (0.35, 0.7), (0.4, 0.9)))
    tarnish = step(fractal_noise(rng, side, side * scale(rng, 0.1, 0.5)), 0, 2) * between(rng, (0, 0.3))
    surface.albedo = mix(surface.albedo, colour(rng, (0.0, 0.1), (0.3, 0.6), (0.2, 0.4)), tarnish)
    return surface


def brass(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Yellow metal: brass, bronze, gilding."""
    return _brushed(rng, side, grain, colour(rng, (0.1, 0.15), (0.3, 0.7), (0.4, 0.95)))


def anodised_aluminium(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Dyed oxide over faint lines or fine blasting."""
    base = paint(rng) if chance(rng, 0.6) else _metal(rng)
    texture = _strokes(rng, side, grain) if chance(rng, 0.5) else white_noise(rng, side)
    return slab(vary(base, scale(rng, 0.01, 0.06) * texture), texture * 0.1, between(rng, (0.3, 0.6)))


def ground_metal(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Coarse scratches of a grinding wheel in one to three nearly equal directions."""
    base = _metal(rng)
    count = int(rng.integers(1, 4))
    spread = between(rng, (0.03, 0.5))
    passes = [_strokes(rng, side, grain + float(rng.normal(0, spread))) for _ in range(count)]
    strokes = np.minimum.reduce(passes) if chance(rng, 0.3) else sum(passes[1:], start=passes[0]) / count**0.5
    return slab(
        vary(base, scale(rng, 0.04, 0.25) * strokes), strokes * scale(rng, 0.02, 0.25), between(rng, (0.2, 0.7))
    )


def milled_metal(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Overlapping arcs of a face mill, or the rings of a lathe."""
    along, across = axes_along(side, grain)
    radius = side * scale(rng, 0.3, 3)
    pitch = side * scale(rng, 0.012, 0.08)
    if chance(rng, 0.3):
        phase = np.hypot(along - between(rng, (-0.6, 0.6)) * side, across - between(rng, (-0.6, 0.6)) * side) / pitch
    else:
        phase = (along + np.sqrt(np.maximum(radius**2 - across**2, radius**2 * 0.01))) / pitch
    phase = phase + 0.15 * smooth_noise(rng, side, side * 0.3)
    tooth = rng.normal(size=int(phase.max() - phase.min()) + 3).astype(np.float32)
    each = tooth[(phase - phase.min()).astype(int)]
    groove = np.abs(phase % 1 - 0.5) * 2
    relief = groove**2 + 0.5 * each
    albedo = vary(_metal(rng), scale(rng, 0.02, 0.15) * (each + groove) + 0.03 * white_noise(rng, side))
    return slab(albedo, relief * pitch * scale(rng, 0.02, 0.12), between(rng, (0.3, 0.8)))


def polished_metal(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """A mirror with slight waves and hairlines."""
    waves = smooth_noise(rng, side, side * scale(rng, 0.2, 0.8)) * side * scale(rng, 0.002, 0.02)
    lines = _strokes(rng, side, grain) * scale(rng, 0.003, 0.05)
    return slab(vary(_metal(rng), lines), waves + lines, between(rng, (0.7, 1)))


def cast_metal(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Rough skin of sand or die casting."""
    rough = fractal_noise(rng, side, side * scale(rng, 0.015, 0.12), octaves=5, gain=between(rng, (0.5, 0.85)))
    dark = step(-rough, 0.8, 2.5)
    albedo = vary(grey(rng, 0.15, 0.65), scale(rng, 0.03, 0.2) * rough - 0.2 * dark)
    return slab(albedo, rough * scale(rng, 0.2, 1.2), between(rng, (0.1, 0.5)))


def hot_rolled_steel(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Grey low-contrast strip with faint streaks, scale clouds and grain."""
    tone = between(rng, (0.02, 0.09))
    clouds = fractal_noise(rng, side, side * scale(rng, 0.1, 0.6), octaves=4, stretch=scale(rng, 1, 6), angle=grain)
    streaks = stretched_noise(rng, side, side * scale(rng, 0.008, 0.05), scale(rng, 8, 60), grain)
    fine = grain_noise(rng, side, side * scale(rng, 0.004, 0.015))
    mottle = tone * (0.7 * clouds + 0.5 * rng.random() * streaks + 0.5 * fine)
    scales = step(fractal_noise(rng, side, side * scale(rng, 0.02, 0.1), octaves=3, stretch=2, angle=grain), 1.6, 3)
    mottle -= scales * between(rng, (0, 0.25)) * chance(rng, 0.4)
    return slab(vary(grey(rng, 0.3, 0.65), mottle), fine * scale(rng, 0.03, 0.3), between(rng, (0.05, 0.35)))


def galvanised_steel(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Zinc crystals (spangle), each with its own brightness and feathering."""
    found = voronoi(
        rng,
        side,
        side * scale(rng, 0.03, 0.25),
        stretch=between(rng, (1, 1.6)),
        angle=grain,
        bend=side * between(rng, (0.008, 0.025)),
    )
    tone = rng.normal(size=found.total).astype(np.float32)[found.ids]
    feather = fractal_noise(rng, side, side * 0.03, octaves=3)
    border = 1 - step(found.edge, 0, side * 0.01)
    change = scale(rng, 0.03, 0.18) * (tone + 0.4 * feather) + between(rng, (-0.06, 0.06)) * border
    return slab(vary(grey(rng, 0.45, 0.8), change), 0.1 * feather, 0.35 + 0.12 * tone)


def painted_metal(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Spray or powder paint with orange peel, at times metallic flakes."""
    peel = band_noise(rng, side, side * scale(rng, 0.015, 0.08), 0.5)
    flakes = white_noise(rng, side) * between(rng, (0.03, 0.15)) * chance(rng, 0.3)
    albedo = vary(paint(rng), flakes + 0.01 * peel)
    return slab(albedo, peel * scale(rng, 0.03, 0.3), between(rng, (0.2, 0.9)))


def ferrite(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Dark grey sintered block, ground one way, with a broad sheen and stains from handling."""
    _, across = axes_along(side, grain)
    broad = fractal_noise(rng, side, side * scale(rng, 0.3, 1.0), octaves=2, stretch=between(rng, (1, 4)), angle=grain)
    lines = _strokes(rng, side, grain)
    bright = np.maximum(stretched_noise(rng, side, 1.2, scale(rng, 20, 80), grain) - 1.2, 0)
    stains = 1 - step(np.abs(fractal_noise(rng, side, side * 0.35, octaves=2)), 0, between(rng, (0.05, 0.4)))
    curve = np.cos(across / side * between(rng, (0, 4)) + between(rng, (-1, 1))) * between(rng, (0, 0.5))
    sheen = between(rng, (0.1, 0.4)) * broad + curve + scale(rng, 0.02, 0.15) * lines + between(rng, (0, 0.4)) * bright
    sheen += between(rng, (-0.1, 0.05)) * stains + between(rng, (0.02, 0.12)) * white_noise(rng, side)
    return slab(vary(grey(rng, 0.1, 0.5), sheen), lines * scale(rng, 0.005, 0.08), between(rng, (0.05, 0.4)))


def sandblasted_metal(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Even matte grain from blasting or tumbling."""
    fine = grain_noise(rng, side, side * scale(rng, 0.004, 0.018))
    albedo = vary(_metal(rng), scale(rng, 0.02, 0.12) * fine)
    return slab(albedo, fine * scale(rng, 0.05, 0.4), between(rng, (0.15, 0.5)))


def knurled_metal(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Crossed grooves that leave diamonds, or one set that leaves ribs."""
    pitch = side * scale(rng, 0.03, 0.12)
    angle = between(rng, (0.35, 0.8))
    first = np.abs(axes_along(side, grain + angle)[1] / pitch % 1 - 0.5) * 2
    second = np.abs(axes_along(side, grain - angle)[1] / pitch % 1 - 0.5) * 2
    height = np.minimum(first, second) if chance(rng, 0.8) else first
    height = np.minimum(height, between(rng, (0.4, 1.0)))
    dirt = step(-height, -0.4, 0) * between(rng, (0, 0.5))
    albedo = vary(_metal(rng), 0.06 * fractal_noise(rng, side, side * 0.05) - dirt)
    return slab(albedo, height * pitch * between(rng, (0.15, 0.45)), between(rng, (0.3, 0.8)))


def tread_plate(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Lens-shaped bumps in alternating directions on rolled plate."""
    pitch = side * scale(rng, 0.12, 0.35)
    along, across = axes_along(side, grain)
    column, row = np.floor(along / pitch), np.floor(across / pitch)
    u, v = along / pitch - column - 0.5, across / pitch - row - 0.5
    upright = ((column + row) % 2) > 0
    long, short = np.where(upright, u, v), np.where(upright, v, u)
    bump = step(1 - (long / 0.45) ** 2 - np.abs(short) / between(rng, (0.1, 0.18)), 0, 0.6)
    rough = fractal_noise(rng, side, side * 0.03)
    albedo = vary(_metal(rng), 0.05 * rough + between(rng, (-0.05, 0.3)) * bump)
    return slab(albedo, bump * pitch * between(rng, (0.04, 0.12)) + 0.15 * rough, between(rng, (0.3, 0.7)))


def rusted_steel(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Weathering steel or scale: layers of brown, orange and black."""
    layers = fractal_noise(rng, side, side * scale(rng, 0.05, 0.5), octaves=5, gain=0.65)
    spots = fractal_noise(rng, side, side * 0.03, octaves=3)
    deep, light = colour(rng, (0.0, 0.06), (0.3, 0.7), (0.15, 0.4)), colour(rng, (0.04, 0.09), (0.4, 0.8), (0.4, 0.7))
    albedo = mix(deep, light, step(layers + 0.4 * spots, -1.5, 1.5))
    if chance(rng, 0.2):
        bare = step(fractal_noise(rng, side, side * 0.4), 0.2, 0.7)[..., None]
        albedo = albedo * (1 - bare) + grey(rng, 0.3, 0.6) * bare
    return slab(albedo, (layers + spots) * scale(rng, 0.1, 0.8), 0.1)


def foil(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Crumpled or embossed thin foil: facets that mirror differently."""
    creases = ridged_noise(rng, side, side * scale(rng, 0.1, 0.5), octaves=2)
    found = voronoi(rng, side, side * scale(rng, 0.08, 0.3), bend=side * 0.02)
    tilt = rng.normal(size=(2, found.total)).astype(np.float32)[:, found.ids]
    x, y = axes_along(side, 0)
    facets = warp((tilt[0] * x + tilt[1] * y) * 0.02, rng, 2.0, side * 0.1)
    base = _metal(rng) if chance(rng, 0.7) else hsv(0.12, 0.4, 0.8)
    shade = scale(rng, 0.05, 0.3) * (tilt[0] + creases)
    return slab(vary(base, shade), creases * side * scale(rng, 0.003, 0.02) + 0.1 * facets, between(rng, (0.6, 1)))


METALS = {
    "brushed_metal": Material(("brushed metal", "brushed steel plate", "brushed aluminium sheet"), brushed_metal, True),
    "copper": Material(("copper", "copper sheet", "copper plate"), copper, True),
    "brass": Material(("brass", "brass plate", "bronze"), brass, True),
    "anodised_aluminium": Material(
        ("anodised aluminium", "aluminium housing", "anodized panel"), anodised_aluminium, True
    ),
    "ground_metal": Material(("ground metal", "ground steel", "machined surface"), ground_metal, True),
    "milled_metal": Material(("milled metal", "machined part", "turned metal"), milled_metal, True),
    "polished_metal": Material(("polished metal", "chrome", "stainless steel"), polished_metal, True),
    "cast_metal": Material(("cast metal", "casting", "cast iron"), cast_metal),
    "hot_rolled_steel": Material(
        ("steel strip", "hot-rolled steel", "steel sheet", "steel surface"), hot_rolled_steel, True
    ),
    "galvanised_steel": Material(("galvanised steel", "zinc sheet", "galvanized sheet"), galvanised_steel),
    "painted_metal": Material(("painted metal", "painted panel", "car paint", "powder coating"), painted_metal),
    "ferrite": Material(("magnetic tile", "ferrite", "magnet"), ferrite, True),
    "sandblasted_metal": Material(("sandblasted metal", "blasted steel", "matte metal"), sandblasted_metal),
    "knurled_metal": Material(("knurled metal", "knurled grip", "knurling"), knurled_metal, True),
    "tread_plate": Material(("tread plate", "checker plate", "metal floor"), tread_plate, True),
    "rusted_steel": Material(("weathering steel", "oxidised steel", "rusty plate"), rusted_steel),
    "foil": Material(("foil", "aluminium foil", "metal film"), foil),
}
