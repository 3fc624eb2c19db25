"""Stone, ceramics, glass and what buildings are made of."""

from __future__ import annotations

import numpy as np

from blemish.synth.drawn.fields import (
    axes_along,
    coordinates,
    fractal_noise,
    grain_noise,
    ridged_noise,
    smooth_noise,
    step,
    voronoi,
    warp,
    white_noise,
)
from blemish.synth.drawn.pigments import between, chance, colour, grey, mix, near, paint, scale, slab, vary
from blemish.synth.drawn.scene import Material, Plane, Surface


def _stone(rng: np.random.Generator) -> np.typing.NDArray[np.float32]:
    """Grey, beige, brown, greenish, nearly black or nearly white."""
    return grey(rng, 0.15, 0.95) if chance(rng, 0.5) else colour(rng, (0.02, 0.4), (0.05, 0.35), (0.3, 0.95))


def glazed_tile(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """One glaze, at times mottled or with joints."""
    waves = smooth_noise(rng, side, side * scale(rng, 0.05, 0.3)) * scale(rng, 0.05, 0.6)
    mottle = fractal_noise(rng, side, side * scale(rng, 0.02, 0.3), octaves=4) * scale(rng, 0.005, 0.12)
    surface = slab(vary(paint(rng), mottle), waves, between(rng, (0.4, 1)))
    return _jointed(rng, surface, grain) if chance(rng, 0.3) else surface


def _jointed(rng: np.random.Generator, surface: Surface, grain: float) -> Surface:
    """The surface cut into tiles by grouted joints."""
    side = len(surface.height)
    pitch, width = side * scale(rng, 0.15, 0.6), side * scale(rng, 0.006, 0.02)
    along, across = axes_along(side, grain)
    u, v = along / pitch + rng.random(), across / (pitch * scale(rng, 0.5, 2)) + rng.random()
    edge = np.minimum(0.5 - np.abs(u % 1 - 0.5), 0.5 - np.abs(v % 1 - 0.5)) * pitch
    tile = step(edge, width * 0.5, width)
    grout = vary(grey(rng, 0.2, 0.9), 0.06 * white_noise(rng, side))
    tone = rng.normal(0, 0.03, (32, 32))[np.floor(v).astype(int) % 32, np.floor(u).astype(int) % 32].astype(np.float32)
    albedo = grout + (vary(surface.albedo, tone) - grout) * tile[..., None]
    return slab(albedo, surface.height + tile * 2, surface.gloss * tile)


def patterned_tile(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """A repeated printed ornament: circles, diamonds, stars, checks."""
    pitch = side * scale(rng, 0.12, 0.7)
    along, across = axes_along(side, grain)
    u, v = np.abs((along / pitch) % 1 - 0.5), np.abs((across / pitch) % 1 - 0.5)
    shapes = (np.hypot(u, v), u + v, np.maximum(u, v), u * v * 4, np.abs(u - v), np.hypot(0.5 - u, 0.5 - v))
    albedo = np.broadcast_to(paint(rng), (side, side, 3))
    for index in rng.choice(len(shapes), int(rng.integers(2, 5)), replace=False).tolist():
        radius, width = between(rng, (0.1, 0.45)), between(rng, (0.02, 0.15))
        ring = chance(rng, 0.6)
        distance = np.abs(shapes[index] - radius) - width if ring else shapes[index] - radius
        albedo = mix(albedo, paint(rng), 1 - step(distance, -0.7 / pitch, 0.7 / pitch))
    waves = smooth_noise(rng, side, side * 0.1) * 0.1
    surface = slab(vary(albedo, 0.02 * fractal_noise(rng, side, side * 0.1)), waves, between(rng, (0.1, 0.9)))
    return _jointed(rng, surface, grain) if chance(rng, 0.4) else surface


def marble(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Clouds crossed by warped veins of two sizes."""
    clouds = fractal_noise(rng, side, side * scale(rng, 0.2, 0.8), octaves=5)
    base, vein = _stone(rng), _stone(rng)
    stretch = between(rng, (1, 3))
    broad = 1 - np.abs(fractal_noise(rng, side, side * 0.6, octaves=5, gain=0.55, stretch=stretch, angle=grain)) * 3
    thin = 1 - np.abs(fractal_noise(rng, side, side * 0.25, octaves=4, stretch=stretch, angle=grain)) * 12
    weight = np.maximum(np.clip(broad, 0, 1) * rng.random(), np.clip(thin, 0, 1) * between(rng, (0.3, 1)))
    weight = weight * between(rng, (0.3, 1))
    albedo = vary(mix(base, vein, weight), scale(rng, 0.02, 0.1) * clouds)
    return slab(albedo, 0.1 * clouds, between(rng, (0.3, 0.95)))


def granite(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Crystals of two to four minerals, fine to coarse."""
    found = voronoi(rng, side, side * scale(rng, 0.01, 0.05), bend=side * 0.006)
    kinds = np.stack([_stone(rng) for _ in range(3)] + [grey(rng, 0.02, 0.3)])
    kinds = kinds.mean(0) + (kinds - kinds.mean(0)) * between(rng, (0.3, 1))
    drift = smooth_noise(rng, side, side * 0.15) * 0.3
    which = np.clip(np.abs(rng.normal(1.2, 1, found.total).astype(np.float32)[found.ids] + drift), 0, 3.49)
    albedo = vary(kinds[np.round(which).astype(int)], 0.07 * fractal_noise(rng, side, side * 0.02, octaves=2))
    return slab(albedo, 0.1 * white_noise(rng, side), between(rng, (0.1, 0.9)))


def terrazzo(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Chips of a few colours and sizes in a plain matrix, ground flat."""
    palette = np.stack([_stone(rng) if chance(rng, 0.7) else paint(rng) for _ in range(5)])
    albedo = vary(_stone(rng), 0.03 * fractal_noise(rng, side, side * 0.03))
    for size in sorted(side * scale(rng, 0.015, 0.12) for _ in range(2)):
        found = voronoi(rng, side, size, jitter=1, bend=size * 0.08)
        margin = rng.uniform(0.02, 0.5, found.total).astype(np.float32)[found.ids] * size
        chip = step(found.edge - margin, 0, 1.2)
        albedo = albedo + (palette[rng.integers(0, 5, found.total)[found.ids]] - albedo) * chip[..., None]
    return slab(albedo, 0.03 * white_noise(rng, side), between(rng, (0.2, 0.9)))


def concrete(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Cloudy cement with sand grain and small air holes."""
    clouds = fractal_noise(rng, side, side * scale(rng, 0.2, 0.9), octaves=5, gain=between(rng, (0.5, 0.75)))
    sand = white_noise(rng, side)
    holes = np.zeros((side, side), np.float32)
    if chance(rng, 0.7):
        found = voronoi(rng, side, side * scale(rng, 0.03, 0.12), jitter=1)
        radius = np.maximum(rng.normal(-1, 1.2, found.total), 0).astype(np.float32)[found.ids] * side * 0.006
        holes = 1 - step(found.distance - radius, -0.8, 0.8)
        holes *= radius > 0
    base = grey(rng, 0.3, 0.8) if chance(rng, 0.7) else colour(rng, (0.06, 0.13), (0.05, 0.2), (0.4, 0.8))
    shade = scale(rng, 0.03, 0.12) * clouds + scale(rng, 0.01, 0.08) * sand - between(rng, (0.2, 0.5)) * holes
    return slab(vary(base, shade), 0.2 * sand * rng.random() + 0.4 * clouds - 2 * holes, 0.05)


def plaster(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Render from smooth and trowelled to coarse roughcast."""
    trowel = fractal_noise(
        rng, side, side * scale(rng, 0.03, 0.3), octaves=4, stretch=between(rng, (1, 5)), angle=grain
    )
    rough = fractal_noise(rng, side, side * scale(rng, 0.012, 0.06), octaves=3, gain=0.7)
    base = grey(rng, 0.6, 0.97) if chance(rng, 0.6) else colour(rng, (0, 1), (0.05, 0.4), (0.5, 0.95))
    share = rng.random()
    relief = share * trowel + (1 - share) * rough
    return slab(vary(base, scale(rng, 0.01, 0.06) * relief), relief * scale(rng, 0.1, 1.5), between(rng, (0, 0.15)))


def asphalt(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Stones of several greys in a black binder."""
    size = side * scale(rng, 0.012, 0.05)
    found = voronoi(rng, side, size, jitter=1, bend=size * 0.15)
    stone = step(found.edge, size * 0.02, size * 0.25)
    bright = np.abs(rng.normal(0, 1, found.total)).astype(np.float32)[found.ids]
    grains = white_noise(rng, side)
    contrast = scale(rng, 0.15, 0.8)
    shade = contrast * (bright - 0.7) * stone - 0.4 * (1 - stone) + 0.08 * grains
    return slab(vary(grey(rng, 0.2, 0.5), shade), stone * (0.5 + 0.5 * bright) * size * 0.25, between(rng, (0, 0.3)))


def brick(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Masonry in running or stack bond, or paving, with mortar."""
    length = side * scale(rng, 0.2, 0.9)
    height = length * between(rng, (0.25, 0.6))
    sway = smooth_noise(rng, side, side * 0.08) * side * 0.003
    along, across = axes_along(side, grain)
    v = (across + sway) / height + rng.random()
    u = (along + sway) / length + (np.floor(v) % 2) * between(rng, (0.3, 0.5)) * chance(rng, 0.9)
    edge = np.minimum((0.5 - np.abs(u % 1 - 0.5)) * length, (0.5 - np.abs(v % 1 - 0.5)) * height)
    rough = fractal_noise(rng, side, side * 0.06, octaves=5, gain=0.7)
    width = height * between(rng, (0.04, 0.12))
    stone = step(edge + rough * width * 0.3, width * 0.6, width * 1.3)
    tone = rng.normal(0, between(rng, (0.03, 0.2)), (64, 64)).astype(np.float32)
    each = tone[np.floor(v).astype(int) % 64, np.floor(u).astype(int) % 64]
    base = colour(rng, (0.0, 0.08), (0.3, 0.65), (0.35, 0.75)) if chance(rng, 0.7) else _stone(rng)
    albedo = mix(grey(rng, 0.3, 0.85), base, stone) * (1 + each * stone + scale(rng, 0.04, 0.15) * rough)[..., None]
    return slab(albedo, stone * width * 0.6 + rough * scale(rng, 0.1, 0.6), 0.03)


def glass_pane(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Clear, tinted or patterned panes before a dark or light ground, with whatever they mirror."""
    base = grey(rng, 0.02, 0.2) if chance(rng, 0.5) else grey(rng, 0.65, 0.95)
    if chance(rng, 0.35):
        base = base * 0.7 + 0.3 * colour(rng, (0.3, 0.6), (0.1, 0.6), (0.3, 0.8))
    behind = smooth_noise(rng, side, side * scale(rng, 0.3, 1)) * scale(rng, 0.01, 0.2)
    along, _ = axes_along(side, grain)
    band = step(np.sin(along / side * between(rng, (1, 8)) + between(rng, (0, 6))), 0.6, 0.9) * between(rng, (0, 0.25))
    waves = smooth_noise(rng, side, side * scale(rng, 0.03, 0.5)) * scale(rng, 0.01, 3) * chance(rng, 0.5)
    albedo = vary(base, behind) + band[..., None] * chance(rng, 0.5)
    return slab(albedo, waves, between(rng, (0.8, 1)))


def frosted_glass(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Etched or sanded glass: milky, soft, finely grained."""
    fine = grain_noise(rng, side, side * scale(rng, 0.004, 0.025))
    behind = smooth_noise(rng, side, side * scale(rng, 0.2, 0.8))
    base = colour(rng, (0.3, 0.65), (0, 0.25), (0.3, 0.95))
    shade = scale(rng, 0.01, 0.05) * fine + scale(rng, 0.02, 0.2) * behind
    return slab(vary(base, shade), fine * scale(rng, 0.1, 0.6), between(rng, (0.2, 0.6)))


def abrasive(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Sandpaper or grip tape: sharp grains in a binder, some of them glittering."""
    size = side * scale(rng, 0.009, 0.03)
    found = voronoi(rng, side, size, jitter=1)
    bright = rng.random(found.total).astype(np.float32)[found.ids]
    grit = step(size * (0.3 + 0.4 * bright) - found.distance, 0, size * 0.3)
    albedo = vary(colour(rng, (0.0, 0.13), (0.0, 0.6), (0.15, 0.7)), between(rng, (0.1, 0.5)) * (grit * bright - 0.25))
    return slab(albedo, grit * size * 0.4, bright * between(rng, (0.1, 0.7)))


def ceramic(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Unglazed or speckled body: stoneware, porcelain, refractory, sintered parts."""
    speckles = step(grain_noise(rng, side, side * scale(rng, 0.004, 0.015)), between(rng, (1.2, 2.2)), 3)
    x, y = coordinates(side)
    rings = np.sin(np.hypot(x - side * rng.uniform(-1, 2), y - side * rng.uniform(-1, 2)) / side * scale(rng, 20, 150))
    body: Plane = warp(rings, rng, 1.0, side * 0.2) * between(rng, (0, 0.03)) * chance(rng, 0.5)
    fine = white_noise(rng, side) * scale(rng, 0.005, 0.04) + ridged_noise(rng, side, side * 0.3) * between(
        rng, (0, 0.05)
    )
    base = _stone(rng)
    albedo = mix(vary(base, body + fine), near(rng, base * 0.5, 0.1), speckles * between(rng, (0, 1)))
    return slab(albedo, body * 6 + fine * 2, between(rng, (0.05, 0.6)))


MINERALS = {
    "glazed_tile": Material(("ceramic tile", "glazed tile", "tile"), glazed_tile, True),
    "patterned_tile": Material(("patterned tile", "decorated tile", "ornamental tile"), patterned_tile, True),
    "marble": Material(("marble", "stone slab", "natural stone"), marble, True),
    "granite": Material(("granite", "stone", "granite tile"), granite),
    "terrazzo": Material(("terrazzo", "stone tile", "tile"), terrazzo),
    "concrete": Material(("concrete", "cement", "concrete wall"), concrete),
    "plaster": Material(("plaster", "wall", "stucco"), plaster, True),
    "asphalt": Material(("asphalt", "road", "pavement"), asphalt),
    "brick": Material(("brick", "brick wall", "paving"), brick, True),
    "glass": Material(("glass", "glass pane", "display glass"), glass_pane, True),
    "frosted_glass": Material(("frosted glass", "etched glass", "opal glass"), frosted_glass),
    "abrasive": Material(("sandpaper", "abrasive", "grinding wheel"), abrasive),
    "ceramic": Material(("ceramic", "stoneware", "porcelain"), ceramic),
}
