"""Leather and what is woven, knitted or felted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blemish.synth.drawn.fields import (
    axes_along,
    blur,
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


def _hide(rng: np.random.Generator) -> Colour:
    """Black, brown, tan, beige, grey, blue, red: what leather is dyed."""
    kind = rng.integers(4)
    if kind == 0:
        return grey(rng, 0.06, 0.7)
    if kind == 1:
        return colour(rng, (0.03, 0.1), (0.15, 0.7), (0.2, 0.95))
    if kind == 2:
        return colour(rng, (0.55, 0.68), (0.1, 0.4), (0.2, 0.5))
    return paint(rng)


def _yarn(rng: np.random.Generator) -> Colour:
    return paint(rng) if chance(rng, 0.7) else colour(rng, (0.08, 0.13), (0.1, 0.4), (0.5, 0.9))


def leather(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Pebbled grain: cells with deep creases, pores, and softer undulation beneath."""
    size = side * scale(rng, 0.012, 0.07)
    stretch = between(rng, (1, 1.8))
    found = voronoi(rng, side, size, stretch=stretch, angle=grain, bend=size * between(rng, (0.03, 0.16)))
    width = size * between(rng, (0.12, 0.5))
    pebble = step(blur(found.edge, size * 0.06), 0, width)
    swell = rng.normal(size=found.total).astype(np.float32)[found.ids] * 0.15
    fine = fractal_noise(rng, side, size, octaves=3, gain=0.7)
    height = (pebble * (1 + swell) + 0.15 * fine) * size * scale(rng, 0.02, 0.16)
    height += smooth_noise(rng, side, side * 0.3) * between(rng, (0, 1.5))
    crease = between(rng, (0.0, 0.45))
    albedo = vary(_hide(rng), 0.05 * swell + 0.03 * fine - crease * (1 - pebble))
    return slab(albedo, height, between(rng, (0.1, 0.6)))


def smooth_leather(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Nappa or coated hide: nearly plain, with pores, hair-fine creases or a suede grain."""
    wrinkle = 1 - step(
        np.abs(fractal_noise(rng, side, side * scale(rng, 0.03, 0.2), octaves=3)), 0, between(rng, (0.1, 0.4))
    )
    pores = step(white_noise(rng, side), 2.6, 3.5)
    fine = grain_noise(rng, side, side * scale(rng, 0.004, 0.015))
    crease = scale(rng, 0.005, 0.06)
    albedo = vary(_hide(rng), scale(rng, 0.005, 0.08) * fine - crease * wrinkle - 0.3 * rng.random() * pores)
    height = scale(rng, 0.02, 0.5) * fine - crease * 4 * wrinkle - pores
    return slab(albedo, height, between(rng, (0.1, 0.5)))


def suede(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Napped leather or velvet: short fibres brushed into light and dark patches."""
    nap = fractal_noise(rng, side, side * scale(rng, 0.05, 0.4), octaves=3)
    fibres = 0.7 * stretched_noise(rng, side, 1.3, between(rng, (1, 4)), grain) + 0.7 * grain_noise(rng, side, 2)
    albedo = vary(_hide(rng), scale(rng, 0.02, 0.15) * nap + scale(rng, 0.03, 0.15) * fibres)
    return slab(albedo, fibres * scale(rng, 0.05, 0.4), between(rng, (0, 0.15)))


def synthetic_leather(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Embossed vinyl: an even, shallow, repeating grain with a plastic sheen."""
    size = side * scale(rng, 0.015, 0.06)
    found = voronoi(
        rng, side, size, jitter=between(rng, (0.4, 0.8)), stretch=between(rng, (1, 2.2)), angle=grain, bend=size * 0.15
    )
    relief = np.minimum(found.edge / (size * 0.25), 1)
    relief = blur(relief, size * 0.08)
    albedo = vary(_hide(rng), between(rng, (0, 0.25)) * (relief - 1))
    return slab(albedo, relief * size * scale(rng, 0.03, 0.15), between(rng, (0.35, 0.8)))


def _woven(
    rng: np.random.Generator, side: int, grain: float, over: NDArray[np.bool_], yarns: tuple[Colour, Colour]
) -> Surface:
    """Threads by a weaving pattern (rows, columns), True where the warp lies on top."""
    pitch = side * scale(rng, 0.011, 0.05)
    sway = smooth_noise(rng, side, side * 0.4) * pitch * between(rng, (0, 0.6)) ** 2
    along, across = axes_along(side, grain)
    u = (across + sway) / pitch + 0.12 * smooth_noise(rng, side, pitch * 3)
    v = (along + sway[::-1]) / (pitch * between(rng, (0.8, 1.25))) + 0.12 * smooth_noise(rng, side, pitch * 3)
    column, row = np.floor(u).astype(int), np.floor(v).astype(int)
    across_u, across_v = np.abs(u - column - 0.5) * 2, np.abs(v - row - 0.5) * 2
    on_top = over[row % over.shape[0], column % over.shape[1]]
    thread = np.where(on_top, across_u, across_v)
    bow = np.where(on_top, across_v, across_u)
    profile = np.sqrt(np.maximum(1 - thread**2 * between(rng, (0.7, 1)), 0)) * (1 - between(rng, (0.1, 0.5)) * bow**2)
    tones = rng.normal(0, between(rng, (0.01, 0.1)), (2, 997)).astype(np.float32)
    each = np.where(on_top, tones[0][column % 997], tones[1][row % 997])
    fibre = fractal_noise(rng, side, pitch * 0.4, octaves=2, gain=0.8)
    albedo = mix(yarns[1], yarns[0], on_top.astype(np.float32))
    shade = each + between(rng, (0.02, 0.12)) * fibre + between(rng, (0.1, 0.6)) * (profile - 0.8)
    return slab(albedo * (1 + shade)[..., None], profile * pitch * between(rng, (0.08, 0.35)), between(rng, (0, 0.3)))


def woven_fabric(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Plain weave or basket weave, one or two colours."""
    first = _yarn(rng)
    second = near(rng, first, 0.06) if chance(rng, 0.7) else _yarn(rng)
    size = int(rng.choice([1, 1, 1, 2]))
    index = np.arange(2 * size) // size
    return _woven(rng, side, grain, (index[:, None] + index) % 2 == 0, (first, second))


def twill(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Diagonal ribs: each thread passes over two or three and under one or two; herringbone at times."""
    over, repeat = [(2, 4), (2, 3), (3, 4), (4, 5)][rng.integers(4)]
    index = np.arange(repeat * 4)
    shift = np.abs(index - repeat * 2) if chance(rng, 0.2) else index
    first = _yarn(rng)
    second = near(rng, first, 0.08) if chance(rng, 0.5) else _yarn(rng)
    return _woven(rng, side, grain, (shift[:, None] + index) % repeat < over, (first, second))


def denim(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Blue or black twill with a pale weft and worn patches."""
    index = np.arange(12)
    warp = colour(rng, (0.57, 0.66), (0.25, 0.7), (0.2, 0.6)) if chance(rng, 0.85) else grey(rng, 0.1, 0.3)
    surface = _woven(rng, side, grain, (index[:, None] + index) % 3 < 2, (warp, grey(rng, 0.55, 0.85)))
    slubs = stretched_noise(rng, side, side * 0.01, 20, grain) * 0.06
    worn = between(rng, (0, 0.15)) * fractal_noise(rng, side, side * 0.4)
    surface.albedo = np.clip(vary(surface.albedo, slubs + worn), 0, 1)
    return surface


def carbon_fibre(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Black tows in a twill under clear resin: each direction shines differently."""
    index = np.arange(8)
    bright = grey(rng, 0.15, 0.4)
    surface = _woven(rng, side, grain, (index[:, None] + index) % 4 < 2, (bright, bright * between(rng, (0.3, 0.7))))
    surface.gloss[:] = between(rng, (0.4, 0.9))
    surface.height *= 0.2
    return surface


def knit(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Stockinette: columns of V-shaped stitches, or ribs."""
    pitch = side * scale(rng, 0.025, 0.1)
    across, along = axes_along(side, grain)
    bend = smooth_noise(rng, side, side * 0.3) * pitch * 0.3
    u = (across + bend) / pitch
    half = np.abs(u % 1 - 0.5) * 2
    v = (along + bend) / (pitch * between(rng, (0.6, 1))) + half * between(rng, (0.5, 1))
    leg = np.abs(np.sin(np.pi * half)) ** 0.5
    loop = np.abs(np.sin(np.pi * v)) ** 0.6
    rib = np.cos(2 * np.pi * u / int(rng.integers(2, 6))) * chance(rng, 0.3)
    relief = leg * loop + 0.4 * rib
    fuzz = fractal_noise(rng, side, side * 0.015, octaves=2)
    yarn = _yarn(rng)
    albedo = vary(yarn, between(rng, (0.2, 0.6)) * (leg * loop - 0.7) + between(rng, (0.02, 0.1)) * fuzz)
    return slab(albedo, relief * pitch * 0.2 + fuzz * 0.2, 0.05)


def felt(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Matted fibres in every direction: felt, fleece, filter, insulation."""
    size = side * scale(rng, 0.02, 0.06)
    angles = rng.uniform(0, np.pi, 3).tolist()
    layers = [ridged_noise(rng, side, size, octaves=3, stretch=between(rng, (1.5, 4)), angle=angle) for angle in angles]
    fibres = np.maximum.reduce(layers) + 0.3 * white_noise(rng, side)
    clumps = fractal_noise(rng, side, side * scale(rng, 0.03, 0.2), octaves=3)
    first = _yarn(rng)
    second = near(rng, first, 0.12)
    albedo = mix(first, second, step(layers[0] + 0.2 * clumps, 0.6, 1.2))
    shade = scale(rng, 0.05, 0.4) * (fibres - 0.8) + 0.04 * clumps
    return slab(albedo * (1 + shade)[..., None], fibres * scale(rng, 0.2, 1.2) + 0.5 * clumps, 0.03)


def carpet(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Looped or cut pile in one to three mottled colours."""
    size = side * scale(rng, 0.02, 0.07)
    found = voronoi(rng, side, size, jitter=between(rng, (0.3, 0.9)), angle=grain, bend=size * 0.2)
    tuft = np.exp(-((found.distance / (size * 0.5)) ** 2))
    base = _yarn(rng)
    colours = np.stack([near(rng, base, between(rng, (0.03, 0.2))) for _ in range(4)])
    which = rng.integers(0, 4, found.total)[found.ids]
    fuzz = white_noise(rng, side)
    albedo = vary(colours[which], between(rng, (0.3, 0.8)) * (tuft - 0.6) + 0.06 * fuzz)
    return slab(albedo, tuft * size * between(rng, (0.1, 0.3)) + 0.15 * fuzz, 0.02)


def mesh(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Wire cloth, perforated sheet, filter or honeycomb: a regular net before a dark or light ground."""
    pitch = side * scale(rng, 0.03, 0.14)
    along, across = axes_along(side, grain)
    u, v = along / pitch, across / pitch
    if chance(rng, 0.4):
        v = v / 0.866
        u = u + 0.5 * (np.floor(v) % 2)
    hole: Plane = (
        np.hypot(u % 1 - 0.5, v % 1 - 0.5) if chance(rng, 0.5) else np.maximum(abs(u % 1 - 0.5), abs(v % 1 - 0.5))
    )
    size = between(rng, (0.25, 0.42))
    solid = step(hole, size - 0.5 / pitch, size + 0.8 / pitch)
    wire = np.clip((hole - size) / (0.5 - size), 0, 1)
    wave = np.cos(2 * np.pi * u) * np.cos(2 * np.pi * v) * 0.3 * chance(rng, 0.5)
    front = vary(paint(rng), 0.06 * fractal_noise(rng, side, side * 0.05))
    back = vary(
        grey(rng, 0.02, 0.15) if chance(rng, 0.7) else grey(rng, 0.7, 1), 0.03 * smooth_noise(rng, side, side * 0.2)
    )
    relief = solid * (0.5 + 0.5 * np.sqrt(wire) + wave) * pitch * between(rng, (0.1, 0.3))
    return slab(back + (front - back) * solid[..., None], relief, solid * between(rng, (0.1, 0.8)))


TEXTILES = {
    "leather": Material(("leather", "pebbled leather", "leather cover"), leather, True),
    "smooth_leather": Material(("smooth leather", "leather", "nappa leather"), smooth_leather),
    "suede": Material(("suede", "velvet", "nubuck"), suede, True),
    "synthetic_leather": Material(("synthetic leather", "artificial leather", "vinyl"), synthetic_leather, True),
    "woven_fabric": Material(("woven fabric", "fabric", "cloth", "textile", "canvas"), woven_fabric, True),
    "twill": Material(("twill fabric", "fabric", "textile"), twill, True),
    "denim": Material(("denim", "jeans fabric"), denim, True),
    "carbon_fibre": Material(("carbon fibre", "carbon composite", "carbon fiber"), carbon_fibre, True),
    "knit": Material(("knitted fabric", "knitwear", "jersey"), knit, True),
    "felt": Material(("felt", "nonwoven fabric", "fleece"), felt),
    "carpet": Material(("carpet", "rug", "pile"), carpet, True),
    "mesh": Material(("mesh", "grid", "wire mesh", "perforated sheet"), mesh, True),
}
