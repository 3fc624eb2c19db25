"""Wafers, cells, circuit boards, displays and print."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from blemish.synth.drawn.fields import (
    axes_along,
    coordinates,
    fractal_noise,
    smooth_noise,
    step,
    stretched_noise,
    voronoi,
    white_noise,
)
from blemish.synth.drawn.pigments import between, chance, colour, grey, hsv, mix, near, paint, scale, slab, vary
from blemish.synth.drawn.scene import Material, Plane, Surface

Pen = ImageDraw.ImageDraw


def _canvas(side: int) -> tuple[Image.Image, Pen]:
    """A black drawing of twice the size, so that edges become soft when it is reduced."""
    image = Image.new("L", (2 * side, 2 * side))
    return image, ImageDraw.Draw(image)


def _plane(image: Image.Image) -> Plane:
    """What was drawn, 0 .. 1, at the picture's own size."""
    return np.asarray(image.reduce(2), np.float32) / np.float32(255)


def _lines(distance: Plane, width: float) -> Plane:
    """1 on lines of a width about distance zero, softened by a pixel."""
    return 1 - step(np.abs(distance), width / 2 - 0.5, width / 2 + 0.5)


def silicon_wafer(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """A grid of equal dies with blocks and lines, saw streets between, and thin-film colours."""
    high, wide = (side * scale(rng, 0.08, 0.5) for _ in range(2))
    tilt = float(rng.normal(0, 0.03)) if chance(rng, 0.5) else 0.0
    along, across = axes_along(side, tilt)
    u, v = (along / wide + rng.random()) % 1, (across / high + rng.random()) % 1
    size = int(rng.integers(48, 96))
    die = rng.normal(0, 0.12) * np.ones((size, size), np.float32)
    for _ in range(int(rng.integers(3, 18))):
        left, top = (rng.random(2) * size).astype(int).tolist()
        block = die[top : top + int(rng.integers(2, size // 2)), left : left + int(rng.integers(2, size // 2))]
        block += np.float32(rng.normal(0, 0.25))
        block[:: int(rng.integers(2, 5))] += np.float32(rng.normal(0, 0.1) * chance(rng, 0.5))
    pattern = die[(v * size).astype(int), (u * size).astype(int)]
    width = between(rng, (0.015, 0.06))
    street = 1 - step(np.minimum(0.5 - abs(u - 0.5), 0.5 - abs(v - 0.5)), width / 2, width)
    film = between(rng, (0, 0.08)) * smooth_noise(rng, side, side * 0.8)
    hue, strength, value = rng.random(), between(rng, (0, 0.5)) * chance(rng, 0.6), between(rng, (0.3, 0.75))
    tints = np.stack([hsv(hue + shift, strength, value) for shift in np.linspace(-0.2, 0.2, 64)])
    tint = tints[np.clip((pattern + film + 0.5) * 64, 0, 63).astype(int)]
    albedo = mix(vary(tint, scale(rng, 0.2, 1) * pattern), grey(rng, 0.2, 0.8), street)
    return slab(albedo, pattern * 0.4 - street * 0.4, between(rng, (0.4, 0.9)))


def solar_cell(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Silicon crystals or one crystal under fingers and busbars, blue, black, or grey as luminescence shows it."""
    angle = float(rng.choice([0.0, np.pi / 2]))
    along, across = axes_along(side, angle)
    base = colour(rng, (0.55, 0.67), (0.2, 0.7), (0.15, 0.5)) if chance(rng, 0.6) else grey(rng, 0.15, 0.6)
    shade = 0.05 * smooth_noise(rng, side, side * 0.5) + scale(rng, 0.01, 0.05) * white_noise(rng, side)
    if chance(rng, 0.7):
        found = voronoi(
            rng, side, side * scale(rng, 0.04, 0.25), jitter=1, stretch=between(rng, (1, 2)), bend=side * 0.012
        )
        shade += rng.normal(0, scale(rng, 0.04, 0.3), found.total).astype(np.float32)[found.ids]
        dark = step(fractal_noise(rng, side, side * 0.2, octaves=4), 0.3, 2) * between(rng, (0, 0.5))
        shade -= dark * chance(rng, 0.5)
    albedo = vary(base, shade)
    pitch = side * scale(rng, 0.015, 0.08)
    finger = _lines((across / pitch % 1 - 0.5) * pitch, between(rng, (0.6, 1.4))) * between(rng, (0, 0.8))
    bar_pitch = side * scale(rng, 0.25, 1.2)
    bar = _lines(((along / bar_pitch + rng.random()) % 1 - 0.5) * bar_pitch, side * scale(rng, 0.008, 0.04))
    silver = grey(rng, 0.6, 0.95) if chance(rng, 0.75) else grey(rng, 0.03, 0.15)
    albedo = mix(mix(albedo, silver, finger), silver, bar)
    return slab(albedo, finger * 0.3 + bar, 0.3 + 0.3 * bar)


def _mask_colour(rng: np.random.Generator) -> np.typing.NDArray[np.float32]:
    """Solder resist: mostly green, also blue, red, black, white."""
    kind = rng.random()
    if kind < 0.55:
        return colour(rng, (0.3, 0.45), (0.4, 0.9), (0.15, 0.55))
    if kind < 0.75:
        return colour(rng, (0.55, 0.66), (0.5, 0.9), (0.2, 0.5))
    return colour(rng, (0, 0.03), (0.6, 0.9), (0.3, 0.6)) if kind < 0.83 else grey(rng, 0.05, 0.9)


def _metal_finish(rng: np.random.Generator) -> np.typing.NDArray[np.float32]:
    """Gold, tin or bare copper."""
    return [
        colour(rng, (0.11, 0.14), (0.35, 0.6), (0.7, 0.95)),
        grey(rng, 0.6, 0.9),
        colour(rng, (0.05, 0.08), (0.4, 0.6), (0.6, 0.9)),
    ][rng.integers(3)]


def _route(rng: np.random.Generator, start: tuple[float, float], cell: float, legs: int) -> list[tuple[float, float]]:
    """A trace on a grid: straight legs that turn by 45 degrees."""
    heading, (x, y) = int(rng.integers(8)), start
    points = [start]
    for _ in range(legs):
        length = cell * int(rng.integers(1, 8))
        x, y = (
            x + length * np.sign(round(np.cos(heading * np.pi / 4), 3)),
            y + length * np.sign(round(np.sin(heading * np.pi / 4), 3)),
        )
        points.append((float(x), float(y)))
        heading += int(rng.choice([-1, 1]))
    return points


def _traces(rng: np.random.Generator, side: int, cell: float) -> Plane:
    """Bundles of parallel traces."""
    image, pen = _canvas(side)
    width = max(1, int(cell * between(rng, (0.3, 0.6))))
    for _ in range(int(rng.integers(4, 16))):
        start = tuple((np.round(rng.random(2) * 2 * side / cell) * cell).tolist())
        route = _route(rng, (start[0], start[1]), cell, int(rng.integers(2, 6)))
        shift = cell * np.array([1.0, 0.0] if chance(rng, 0.5) else [0.0, 1.0])
        for lane in range(int(rng.integers(1, 6))):
            pen.line(
                [(x + lane * shift[0], y + lane * shift[1]) for x, y in route], fill=255, width=width, joint="curve"
            )
    return _plane(image)


def _pads(rng: np.random.Generator, side: int, cell: float) -> tuple[Plane, Plane]:
    """Rows of pads and rings, and the holes in them."""
    (image, pen), (drilled, drill) = _canvas(side), _canvas(side)
    for _ in range(int(rng.integers(2, 9))):
        x, y = (np.round(rng.random(2) * 2 * side / cell) * cell).tolist()
        across, through, pitch = chance(rng, 0.5), chance(rng, 0.4), cell * int(rng.integers(2, 5))
        wide, high = pitch * between(rng, (0.25, 0.4)), pitch * between(rng, (0.25, 0.9))
        for index in range(int(rng.integers(1, 10))):
            u, v = (x + index * pitch, y) if across else (x, y + index * pitch)
            half = (wide, wide) if through else (wide, high) if across else (high, wide)
            shape = pen.ellipse if through else pen.rectangle
            shape((u - half[0], v - half[1], u + half[0], v + half[1]), fill=255)
            if through:
                drill.ellipse((u - wide / 2, v - wide / 2, u + wide / 2, v + wide / 2), fill=255)
    return _plane(image), _plane(drilled)


def circuit_board(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Resist over copper traces, pads, drilled vias and silkscreen marks."""
    cell = 2 * side * scale(rng, 0.012, 0.04)
    resist = _mask_colour(rng)
    traces, (pads, holes) = _traces(rng, side, cell), _pads(rng, side, cell)
    albedo = vary(resist, 0.02 * fractal_noise(rng, side, side * 0.1))
    albedo = mix(albedo, np.clip(resist * between(rng, (1.15, 1.7)) + 0.03, 0, 1), traces)
    image, pen = _canvas(side)
    for _ in range(int(rng.integers(0, 6))):
        x, y, w, h = (rng.random(4) * [2 * side, 2 * side, side * 0.4, side * 0.3]).tolist()
        pen.rectangle((x, y, x + w, y + h), outline=255, width=max(2, side // 90))
        pen.text((x + 2, y + h + 1), f"{'RCUDQ'[rng.integers(5)]}{rng.integers(1, 99)}", fill=255)
    albedo = mix(albedo, grey(rng, 0.75, 0.95), _plane(image) * (1 - pads))
    albedo = mix(mix(albedo, _metal_finish(rng), pads), grey(rng, 0.02, 0.1), holes)
    gloss = between(rng, (0.2, 0.6)) + 0.3 * pads
    return slab(albedo, 0.6 * traces + 0.6 * pads - 2 * holes, gloss)


def solder_pads(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """An array of pads, bumps, balls or paste deposits on a board."""
    pitch = side * scale(rng, 0.06, 0.25)
    along, across = axes_along(side, float(rng.choice([0.0, np.pi / 4])))
    wide = pitch * between(rng, (0.7, 1.6))
    u, v = ((along / wide + rng.random()) % 1 - 0.5) * wide, ((across / pitch + rng.random()) % 1 - 0.5) * pitch
    half = (wide * between(rng, (0.2, 0.38)), pitch * between(rng, (0.2, 0.38)))
    round_pad = chance(rng, 0.5)
    wobble = fractal_noise(rng, side, side * 0.03, octaves=2) * pitch * between(rng, (0, 0.015))
    inside = half[1] - np.hypot(u, v) if round_pad else np.minimum(half[0] - np.abs(u), half[1] - np.abs(v))
    inside = inside + wobble
    pad = step(inside, -0.6, 0.8)
    dome = np.sqrt(np.clip(inside / half[1], 0, 1)) * half[1] * between(rng, (0.05, 0.8))
    paste = fractal_noise(rng, side, side * 0.015, octaves=2) * chance(rng, 0.5)
    albedo = mix(vary(_mask_colour(rng), 0.03 * white_noise(rng, side)), _metal_finish(rng), pad)
    albedo = albedo * (1 + 0.1 * paste * pad)[..., None]
    return slab(albedo, dome + 0.3 * paste * pad, 0.25 + between(rng, (0, 0.6)) * pad)


def display_panel(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Pixels of a screen or a colour filter: stripes of red, green and blue, or a dark uniform matrix."""
    pitch = side * scale(rng, 0.02, 0.1)
    along, across = axes_along(side, float(rng.normal(0, 0.02)))
    u, v = along / pitch, across / pitch
    third = np.floor(u * 3).astype(int) % 3
    primaries = np.eye(3, dtype=np.float32)[rng.permutation(3)] * between(rng, (0.3, 0.9)) + 0.05
    if chance(rng, 0.5):
        primaries = primaries * 0 + paint(rng)
    gap = np.minimum(0.5 - np.abs(u * 3 % 1 - 0.5), 1.5 - 3 * np.abs(v % 1 - 0.5))
    lit = step(gap, 0.05, between(rng, (0.15, 0.4)))
    mura = between(rng, (0.0, 0.1)) * fractal_noise(rng, side, side * 0.5)
    albedo = vary(mix(grey(rng, 0.02, 0.15), primaries[third], lit), mura)
    return slab(albedo, lit * 0.2, between(rng, (0.3, 0.9)))


def printed_label(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Print on stock: bands, blocks, lines of text, a bar code."""
    base = paint(rng)
    albedo = vary(base, 0.01 * fractal_noise(rng, side, side * 0.05))
    for _ in range(int(rng.integers(1, 5))):
        image, pen = _canvas(side)
        x, y, w = (rng.random(3) * 2 * side).tolist()
        kind = rng.integers(4)
        if kind == 0:
            pen.rectangle((x - w / 2, y - w / 4, x + w / 2, y + w / 4), fill=255)
        elif kind == 1:
            pen.ellipse((x - w / 4, y - w / 4, x + w / 4, y + w / 4), fill=255)
        elif kind == 2:
            edges = np.cumsum(rng.integers(2, 9, 60)).tolist()
            for left, right in zip(edges[::2], edges[1::2], strict=True):
                pen.rectangle((x / 2 + left, y / 2, x / 2 + right, y / 2 + side * 0.3), fill=255)
        else:
            words = "\n".join("".join(rng.choice(list("ABCDEFGHKLMNPRSTUXYZ0123456789 .-"), 24)) for _ in range(5))
            pen.multiline_text((x / 2, y / 2), words, fill=255, font_size=max(8, side * scale(rng, 0.04, 0.2)))
        albedo = mix(albedo, near(rng, paint(rng), 0.02), _plane(image) * between(rng, (0.6, 1)))
    fibre = fractal_noise(rng, side, side * 0.01, octaves=2)
    return slab(vary(albedo, 0.015 * fibre), 0.1 * fibre, between(rng, (0.05, 0.7)))


def optical_disc(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Concentric grooves with diffraction colours: discs, platters, lenses, turned faces."""
    x, y = coordinates(side)
    away_x, away_y = x - side * between(rng, (-0.2, 1.2)), y - side * between(rng, (-0.2, 1.2))
    radius, angle = np.hypot(away_x, away_y) / side, np.arctan2(away_y, away_x)
    table = rng.normal(size=512).astype(np.float32)
    groove = np.interp(radius * scale(rng, 40, 150), np.arange(512), table, period=512).astype(np.float32)
    fan = np.cos(2 * (angle - between(rng, (0, 6)))) ** int(rng.choice([1, 2, 4]))
    hue = colour(rng, (0, 1), (0, 0.4), (0.3, 0.8))
    rainbow = np.stack([np.cos(6 * radius + 3 * fan + shift) for shift in (0, 2, 4)], -1) * between(rng, (0, 0.15))
    albedo = vary(hue, scale(rng, 0.02, 0.1) * groove + between(rng, (0.05, 0.4)) * fan) + rainbow * chance(rng, 0.4)
    return slab(albedo, groove * 0.1, between(rng, (0.4, 0.9)))


def woven_substrate(rng: np.random.Generator, side: int, grain: float) -> Surface:
    """Bare laminate or gold-plated sheet: glass weave that shows through resin."""
    pitch = side * scale(rng, 0.01, 0.05)
    along, across = axes_along(side, grain)
    weave = np.cos(along / pitch * 2 * np.pi) * np.cos(across / pitch * 2 * np.pi)
    lines = stretched_noise(rng, side, side * 0.01, 10, grain)
    base = _mask_colour(rng) if chance(rng, 0.5) else _metal_finish(rng)
    return slab(vary(base, scale(rng, 0.01, 0.12) * weave + 0.02 * lines), weave * 0.2, between(rng, (0.2, 0.7)))


BOARDS = {
    "silicon_wafer": Material(("silicon wafer", "wafer", "semiconductor wafer", "chip"), silicon_wafer),
    "solar_cell": Material(("solar cell", "polysilicon solar cell", "photovoltaic module"), solar_cell),
    "circuit_board": Material(("printed circuit board", "PCB", "circuit board"), circuit_board),
    "solder_pads": Material(("solder pads", "solder paste", "ball grid array"), solder_pads),
    "display_panel": Material(("display panel", "screen", "LCD panel"), display_panel),
    "printed_label": Material(("printed label", "print", "packaging"), printed_label),
    "optical_disc": Material(("optical disc", "disc", "lens"), optical_disc),
    "woven_substrate": Material(("circuit board laminate", "substrate", "gold plating"), woven_substrate, True),
}
