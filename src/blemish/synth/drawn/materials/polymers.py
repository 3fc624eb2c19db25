"""Plastics, rubber, foam and coatings."""

from __future__ import annotations

import numpy as np

from blemish.synth.drawn.fields import (
    axes_along,
    band_noise,
    fractal_noise,
    grain_noise,
    smooth_noise,
    step,
    stretched_noise,
    stripes,
    voronoi,
    white_noise,
)
from blemish.synth.drawn.pigments import between, chance, colour, grey, mix, near, paint, scale, slab, vary
from blemish.synth.drawn.scene import Material, Surface


def rubber(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Black or grey, dull, with bloom, moulding grain or ribs."""
    bloom = np.maximum(fractal_noise(rng, side, side * scale(rng, 0.1, 0.5), octaves=4), 0) * between(rng, (0, 0.3))
    fine = grain_noise(rng, side, side * scale(rng, 0.004, 0.015))
    ribs = stripes(rng, side, side * scale(rng, 0.03, 0.2), grain) * scale(rng, 0.3, 3) * chance(rng, 0.2)
    base = grey(rng, 0.06, 0.35) if chance(rng, 0.8) else paint(rng)
    albedo = vary(base, bloom + scale(rng, 0.02, 0.12) * fine)
    return slab(albedo, fine * scale(rng, 0.05, 0.4) + ribs, between(rng, (0.05, 0.4)))


def matte_plastic(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Plain dull plastic with next to no structure."""
    fine = grain_noise(rng, side, side * scale(rng, 0.004, 0.015))
    flow = fractal_noise(rng, side, side * 0.5, octaves=2, stretch=3, angle=grain)
    shade = scale(rng, 0.003, 0.03) * fine + scale(rng, 0.003, 0.05) * flow
    return slab(vary(paint(rng), shade), fine * scale(rng, 0.02, 0.3), between(rng, (0.1, 0.4)))


def glossy_plastic(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Shiny moulding with slight sink waves."""
    waves = smooth_noise(rng, side, side * scale(rng, 0.1, 0.7)) * side * scale(rng, 0.001, 0.03)
    return slab(vary(paint(rng), 0.01 * waves), waves, between(rng, (0.6, 1)))


def textured_plastic(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Eroded, leather-like, dimpled or ribbed mould texture."""
    size = side * scale(rng, 0.015, 0.07)
    kind = rng.integers(4)
    if kind == 0:
        relief = np.clip(fractal_noise(rng, side, size, octaves=2) * 1.5, -1, 1)
    elif kind == 1:
        found = voronoi(rng, side, size, jitter=between(rng, (0, 0.9)), angle=grain)
        relief = 1 - step(found.distance, size * 0.15, size * 0.5)
    elif kind == 2:
        relief = band_noise(rng, side, size, 0.5)
    else:
        relief = stripes(rng, side, size, grain) * (
            stripes(rng, side, size, grain + np.pi / 2) if chance(rng, 0.5) else 1
        )
    shade = between(rng, (-0.1, 0.1)) * relief + 0.015 * white_noise(rng, side)
    return slab(vary(paint(rng), shade), relief * size * scale(rng, 0.02, 0.2), between(rng, (0.1, 0.7)))


def plastic_film(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Clear or coloured film with wrinkles that catch the light, before some print."""
    wrinkle = fractal_noise(rng, side, side * scale(rng, 0.1, 0.6), octaves=3, stretch=scale(rng, 1, 6), angle=grain)
    base = vary(paint(rng), 0.02 * smooth_noise(rng, side, side * 0.3))
    if chance(rng, 0.4):
        base = mix(base, paint(rng), step(stripes(rng, side, side * scale(rng, 0.1, 0.8), grain), -0.05, 0.05))
    return slab(base, np.abs(wrinkle) * side * scale(rng, 0.002, 0.02), between(rng, (0.7, 1)))


def foam(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Closed-cell beads or fine open foam."""
    size = side * scale(rng, 0.012, 0.1)
    found = voronoi(rng, side, size, jitter=between(rng, (0.5, 0.9)))
    bead = np.minimum(found.edge / (size * 0.3), 1)
    tone = rng.normal(size=found.total).astype(np.float32)[found.ids]
    base = grey(rng, 0.7, 0.97) if chance(rng, 0.5) else paint(rng)
    shade = 0.02 * tone + between(rng, (0.01, 0.15)) * (bead - 1) + 0.02 * white_noise(rng, side)
    return slab(vary(base, shade), bead * size * scale(rng, 0.03, 0.15) + tone * 0.1, between(rng, (0.02, 0.3)))


def varnish(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Clear or pigmented coat with brush or roller marks over something faint."""
    roller = chance(rng, 0.5)
    marks = (
        band_noise(rng, side, side * scale(rng, 0.02, 0.08), 0.6)
        if roller
        else stretched_noise(rng, side, side * scale(rng, 0.01, 0.05), scale(rng, 8, 40), grain)
    )
    clouds = fractal_noise(rng, side, side * scale(rng, 0.1, 0.6))
    base = paint(rng) if chance(rng, 0.6) else colour(rng, (0.05, 0.12), (0.3, 0.8), (0.3, 0.9))
    shade = scale(rng, 0.005, 0.06) * marks + scale(rng, 0.005, 0.08) * clouds
    return slab(vary(base, shade), marks * scale(rng, 0.05, 0.5), between(rng, (0.4, 1)))


def coated_web(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Coated foil or electrode: matte black to grey, faint streaks along the web, maybe bare edges."""
    streaks = stretched_noise(rng, side, side * scale(rng, 0.01, 0.08), scale(rng, 20, 100), grain)
    fine = white_noise(rng, side)
    shade = scale(rng, 0.005, 0.06) * streaks + scale(rng, 0.01, 0.1) * fine
    base = grey(rng, 0.08, 0.5)
    albedo = vary(base, shade)
    _, across = axes_along(side, grain)
    if chance(rng, 0.3):
        bare = step(across, side * between(rng, (0.1, 0.4)), side * 0.42 + 1)
        albedo = mix(albedo, grey(rng, 0.5, 0.85), bare)
    return slab(albedo, fine * 0.1, between(rng, (0.02, 0.3)))


def composite(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Recycled, laminated or chopped-strand sheet: flakes or fibres of near colours in resin."""
    found = voronoi(
        rng, side, side * scale(rng, 0.02, 0.12), jitter=1, stretch=between(rng, (1, 4)), angle=grain, bend=1
    )
    base = paint(rng)
    colours = np.stack([near(rng, base, between(rng, (0.02, 0.2))) for _ in range(6)])
    albedo = colours[rng.integers(0, 6, found.total)[found.ids]]
    waves = smooth_noise(rng, side, side * 0.1)
    return slab(vary(albedo, 0.03 * fractal_noise(rng, side, side * 0.03)), 0.2 * waves, between(rng, (0.1, 0.8)))


POLYMERS = {
    "rubber": Material(("rubber", "rubber sheet", "gasket", "seal"), rubber, True),
    "matte_plastic": Material(("matte plastic", "plastic", "plastic housing"), matte_plastic),
    "glossy_plastic": Material(("glossy plastic", "plastic cover", "acrylic"), glossy_plastic),
    "textured_plastic": Material(("textured plastic", "plastic trim", "plastic panel"), textured_plastic, True),
    "plastic_film": Material(("plastic film", "packaging film", "foil bag"), plastic_film, True),
    "foam": Material(("foam", "polystyrene", "foam board"), foam),
    "varnish": Material(("varnish", "coating", "lacquer"), varnish, True),
    "coated_web": Material(("coated foil", "battery electrode", "coated film"), coated_web, True),
    "composite": Material(("composite", "laminate", "recycled plastic"), composite, True),
}
