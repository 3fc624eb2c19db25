"""Flat parts: plates, brackets, perforated sheets, tiles, welds, patches, labels, rulers, gaskets, key caps."""

from __future__ import annotations

import numpy as np

from blemish.synth.drawn.fields import fractal_noise, smooth_noise
from blemish.synth.drawn.glyphs import line, word
from blemish.synth.drawn.outlines import (
    Frame,
    Numbers,
    barrel,
    bevel,
    blend,
    box,
    cells,
    circle,
    dome,
    fill_outline,
    frame,
    hull,
    lattice,
    overlap,
    polygon,
    ring,
    slot,
    subtract,
    union,
)
from blemish.synth.drawn.parts.assembly import BARE, METAL, Bench, any_colour, bench, coat, one_of
from blemish.synth.drawn.scene import Part, Scene


def bracket(rng: np.random.Generator, side: int) -> Scene:
    """An L, T, U or Z of sheet metal with rounded corners, bends and screw holes."""
    on = bench(rng, side)
    wide = rng.uniform(0.18, 0.3)
    leg = 0.95 - wide
    bars = [box(on.at.at(0.0, -leg), 0.95, wide, 0.08)]
    shape = int(rng.integers(4))
    places = ((-leg,), (0.0,), (-leg, leg), (leg,))[shape]
    bars += [box(on.at.at(place, 0.0), wide, 0.95, 0.08) for place in places]
    if shape == 3:
        bars.append(box(on.at.at(0.0, leg), 0.95, wide, 0.08))
    outline = blend(bars[0], union(*bars[1:]), 0.15)
    sheet = on.sheet(*METAL) if rng.random() < 0.7 else on.paint(any_colour(rng), 0.4)
    bend = np.exp(-(((on.at.y + np.float32(leg - wide * 1.2)) / np.float32(0.03)) ** 2)) * np.float32(
        rng.choice([0, 0.03])
    )
    on.lay(outline, sheet, bevel(outline, 0.03) * np.float32(0.03) - bend)
    corners = [(-leg, -leg), (leg, -leg), (places[0], 0.75), (places[-1], 0.2), (0.0, -leg)]
    _drilled(on, np.array(corners[: int(rng.integers(3, 6))], np.float32), wide * rng.uniform(0.25, 0.5))
    return on.done(("bracket", "metal bracket", "angle bracket"))


def _drilled(on: Bench, centres: Numbers, size: float) -> None:
    """Holes, countersunk at times, each of them a piece."""
    places = cells(on.at, centres)
    if on.rng.random() < 0.3:
        on.emboss(-bevel(circle(places.frame, size * 1.7), size * 0.7) * np.float32(size * 0.3))
    under = on.layer()
    holes = circle(places.frame, size)
    on.cut(holes)
    on.pieces_of("hole", holes, places.number, under)


def plate(rng: np.random.Generator, side: int) -> Scene:
    """A rectangular plate with holes in its corners, a window or slots, sometimes screwed down."""
    on = bench(rng, side)
    wide, high = 0.95, rng.uniform(0.6, 0.95)
    outline = box(on.at, wide, high, rng.uniform(0.02, 0.25))
    sheet = on.sheet(*METAL, "painted_metal", "plastic") if rng.random() < 0.8 else on.paint(any_colour(rng), 0.4)
    on.lay(outline, sheet, bevel(outline, 0.04) * np.float32(0.04))
    kind, under = rng.random(), on.layer()
    if kind < 0.3:
        window = box(on.at, rng.uniform(0.2, 0.5), rng.uniform(0.15, 0.4), 0.05)
        on.cut(window)
    elif kind < 0.65:
        count = int(rng.integers(2, 6))
        places = cells(on.at, lattice(1, count, 0, 1.1 * high / count))
        slots = slot(places.frame, rng.uniform(0.2, 0.5), 0.25 * high / count)
        on.cut(slots)
        on.pieces_of("slot", slots, places.number, under)
    corners = lattice(2, 2, 1.65, 2 * high - 0.3) if rng.random() < 0.7 else lattice(3, 2, 0.8, 2 * high - 0.3)
    if rng.random() < 0.6:
        _drilled(on, corners, rng.uniform(0.05, 0.1))
    else:
        _screwed(on, corners, rng.uniform(0.08, 0.12))
    return on.done(("plate", "metal plate", "cover plate"))


def _screwed(on: Bench, centres: Numbers, size: float) -> None:
    """Screw heads with slots or hexagons at all sorts of angles, each of them a piece."""
    places = cells(on.at, centres, on.rng.uniform(0, 6, len(centres)).astype(np.float32))
    under = on.layer()
    heads = circle(places.frame, size)
    on.lay(heads, on.sheet(*BARE), dome(heads, size) * np.float32(size * 0.5))
    bar = box(places.frame, size * 0.75, size * 0.15)
    drive = polygon(places.frame, 6, size * 0.5) if on.rng.random() < 0.4 else bar
    if on.rng.random() < 0.5:
        drive = union(drive, box(places.frame, size * 0.15, size * 0.75))
    on.print_on(fill_outline(drive, on.at.scale), coat(on.surface.albedo * np.float32(0.3), 0.2))
    on.pieces_of("screw", heads, places.number, under, 3.0)


def perforated_sheet(rng: np.random.Generator, side: int) -> Scene:
    """A sheet with a regular field of holes, square or staggered, that fills the picture or most of it."""
    on = bench(rng, side)
    if rng.random() < 0.5:
        on.at = frame(side, 1.6, 0.0, 0.0, rng.normal(0, 0.05))
    pitch = rng.uniform(0.22, 0.5)
    outline = box(on.at, 1.0, 1.0, 0.03)
    on.lay(outline, on.sheet(*METAL, "painted_metal"), bevel(outline, 0.03) * np.float32(0.03))
    under = on.layer()
    stagger = np.float32(0.5 if rng.random() < 0.5 else 0.0)
    row = np.round(on.at.y / np.float32(pitch))
    turn = on.at.x / np.float32(pitch) + stagger * np.mod(row, 2)
    column = np.round(turn)
    place = Frame((turn - column) * np.float32(pitch), on.at.y - row * np.float32(pitch), on.at.scale)
    size, kind = pitch * rng.uniform(0.22, 0.4), rng.random()
    hole = circle(place, size) if kind < 0.6 else box(place, size, size, size * 0.2)
    hole = slot(place, size * 0.4, size * 0.6) if kind > 0.85 else hole
    inside = np.maximum(np.abs(row * np.float32(pitch)), np.abs(column - stagger * np.mod(row, 2)) * np.float32(pitch))
    holes = np.where(inside < 1 - pitch * 0.5, hole, np.float32(1))
    on.cut(holes)
    on.pieces_of("hole", holes, (row * 97 + column).astype(np.intp), under)
    return on.done(("perforated sheet", "perforated plate", "grille", "sieve"))


def tile(rng: np.random.Generator, side: int) -> Scene:
    """A segment of a magnet, or a ceramic tile: a slab with chipped-looking chamfers, at times curved across."""
    on = bench(rng, side)
    wide, high = rng.uniform(0.55, 0.98), 0.95
    outline = box(on.at, wide, high, rng.uniform(0.01, 0.12))
    if rng.random() < 0.3:
        outline = np.maximum(outline, circle(on.at.at(0.0, 2.2), 3.0))
    sheet = on.sheet("ferrite", "ceramic", "concrete", "stone", "tile")
    arch = barrel(on.at.x, 1.2) * np.float32(rng.choice([0.0, 0.2, 0.4]))
    on.lay(outline, sheet, bevel(outline, rng.uniform(0.03, 0.12)) * np.float32(0.05) + arch)
    return on.done(("tile", "magnet segment", "ferrite tile", "ceramic tile"))


def weld(rng: np.random.Generator, side: int) -> Scene:
    """A weld bead of overlapping ripples across two plates, with the heat's colours beside it."""
    on = bench(rng, side, longish=True)
    on.at = frame(side, 0.9, 0.0, rng.normal(0, 0.08), rng.choice([0, np.pi / 2]) + rng.normal(0, 0.06))
    everywhere = np.full((side, side), -1, np.float32)
    on.lay(everywhere, on.sheet("brushed_metal", "hot_rolled", "ground", "galvanised"), shade=0)
    wander = smooth_noise(rng, side, side / 3) * np.float32(0.012)
    across = np.abs(on.at.y + wander)
    heat = np.exp(-(((across - 0.3) / np.float32(rng.uniform(0.06, 0.2))) ** 2)) * np.float32(rng.uniform(0.1, 0.5))
    on.print_on(heat, on.paint(one_of(rng, (0.25, 0.2, 0.35), (0.4, 0.28, 0.12), (0.12, 0.12, 0.12)), 0.4))
    size, pitch = rng.uniform(0.14, 0.24), rng.uniform(0.05, 0.12)
    bead = across - np.float32(size) - fractal_noise(rng, side, side / 8, octaves=3) * np.float32(0.008)
    under = on.layer()
    arcs = np.mod(
        on.at.x / np.float32(pitch) + (on.at.y / np.float32(size)) ** 2 * np.float32(1.2) + on.mottle(0.15), 1
    )
    ripple = (arcs * (1 - arcs) * 4) ** 0.7 * np.float32(pitch * 0.35)
    metal = on.paint(one_of(rng, (0.45, 0.45, 0.46), (0.3, 0.28, 0.27), (0.6, 0.6, 0.62)), 0.6, 0.12)
    on.lay(bead, metal, dome(bead, size) * np.float32(size * rng.uniform(0.3, 0.6)) + ripple)
    on.whole = fill_outline(bead, on.at.scale)
    on.behind = under
    return on.done(("weld", "weld seam", "weld bead", "welding joint"))


def patch(rng: np.random.Generator, side: int) -> Scene:
    """A patch of cloth or leather with a hem and a stitched seam, each stitch a piece."""
    on = bench(rng, side)
    outline = box(on.at, 0.95, rng.uniform(0.7, 0.95), rng.uniform(0, 0.2))
    outline += smooth_noise(rng, side, side / 6) * np.float32(0.01)
    on.lay(
        outline,
        on.sheet("fabric", "twill", "denim", "leather", "knit", "felt"),
        bevel(outline, 0.05) * np.float32(0.03),
    )
    under = on.layer()
    inset, pitch = rng.uniform(0.08, 0.2), rng.uniform(0.08, 0.16)
    rows = int(rng.integers(1, 3))
    down = on.at.y - np.float32(rng.uniform(-0.4, 0.4))
    lanes = np.abs(np.abs(down) - np.float32(inset * 0.5 * (rows - 1)))
    step = np.floor(on.at.x / np.float32(pitch))
    place = Frame(on.at.x - (step + np.float32(0.5)) * np.float32(pitch), lanes, on.at.scale)
    thread = overlap(slot(place, pitch * 0.25, rng.uniform(0.018, 0.03)), outline + 0.05)
    on.emboss(
        -np.exp(-((down / np.float32(0.04 + inset * 0.5)) ** 2)) * fill_outline(outline, on.at.scale) * np.float32(0.03)
    )
    on.lay(thread, on.paint(any_colour(rng), 0.3, 0.08), dome(thread, 0.025) * np.float32(0.025), shade=0.5)
    on.pieces_of("stitch", thread, (step * 2 + (down > 0)).astype(np.intp), under)
    return on.done(("fabric patch", "seam", "stitched cloth", "leather patch"))


def label(rng: np.random.Generator, side: int) -> Scene:
    """A printed label: a coloured field, lines of text and a bar code, each letter a piece."""
    on = bench(rng, side)
    wide, high = 0.96, rng.uniform(0.55, 0.96)
    outline = box(on.at, wide, high, rng.uniform(0, 0.12))
    paper = one_of(rng, (0.9, 0.9, 0.88), (0.85, 0.75, 0.2), (0.6, 0.6, 0.6)) if rng.random() < 0.7 else any_colour(rng)
    on.lay(outline, on.paint(paper, rng.uniform(0.05, 0.5), 0.015), 0.012, shade=0.3)
    if rng.random() < 0.6:
        band = overlap(outline + 0.03, on.at.y + np.float32(high * rng.uniform(0.3, 0.6)))
        on.print_on(fill_outline(band, on.at.scale), on.paint(any_colour(rng), 0.2))
    ink = on.paint(one_of(rng, (0.05, 0.05, 0.05), (0.1, 0.1, 0.35), (0.5, 0.05, 0.05)), 0.2)
    rows = int(rng.integers(1, 4))
    size, under = min(1.1 * high / rows, rng.uniform(0.28, 0.5)), on.layer()
    for row in range(rows):
        at = on.at.at(0.0, (row - (rows - 1) / 2) * size * 1.05 - high * 0.2)
        for share in line(at, word(rng, least=4, most=int(2.6 / size)), size):
            on.print_on(share, ink)
            on.piece("letter", share > 0.15, under)
    _bar_code(on, on.at.at(0.0, high * 0.68), wide * 0.8, high * 0.18)
    on.material = "paper"
    return on.done(("label", "printed label", "sticker", "type plate"))


def _bar_code(on: Bench, at: Frame, half_width: float, half_height: float) -> None:
    if on.rng.random() < 0.4:
        return
    bars = np.repeat(on.rng.integers(0, 2, 60), on.rng.integers(1, 4, 60))[:90]
    place = np.clip((at.x / np.float32(half_width) * 0.5 + 0.5) * 90, 0, 89).astype(np.intp)
    share = fill_outline(box(at, half_width, half_height), at.scale) * bars[place].astype(np.float32)
    on.print_on(share, on.paint((0.05, 0.05, 0.05), 0.2))


def ruler(rng: np.random.Generator, side: int) -> Scene:
    """A ruler or scale: marks of three lengths and digits on a strip, each a piece."""
    on = bench(rng, side)
    high, pitch = rng.uniform(0.28, 0.5), rng.uniform(0.045, 0.09)
    outline = box(on.at, 1.3 if rng.random() < 0.6 else 0.97, high, 0.03)
    sheet = (
        on.sheet("brushed_metal", "plastic", "wood") if rng.random() < 0.6 else on.paint(any_colour(rng, low=0.5), 0.4)
    )
    on.lay(outline, sheet, bevel(outline, 0.02) * np.float32(0.03))
    dark = sheet.albedo.mean() > 0.35
    ink = on.paint((0.04, 0.04, 0.05) if dark else (0.9, 0.9, 0.85), 0.2)
    under = on.layer()
    number = np.round(on.at.x / np.float32(pitch))
    long = np.where(np.mod(number, 10) == 0, 0.5, np.where(np.mod(number, 5) == 0, 0.38, 0.26)) * np.float32(high)
    off, down = on.at.x - number * np.float32(pitch), on.at.y + np.float32(high)
    marks = np.maximum(np.abs(off) - np.float32(pitch * 0.16), np.abs(down - long) - long).astype(np.float32)
    marks = overlap(marks, outline + 0.03)
    on.print_on(fill_outline(marks, on.at.scale), ink)
    on.pieces_of("mark", marks, number.astype(np.intp), under, 0.6)
    first, every = int(rng.integers(0, 30)), pitch * 10
    for step in range(-3, 4):
        if abs(step * every) < 0.9:
            for share in line(on.at.at(step * every, high * 0.45), str(first + step + 3), high * 0.6):
                on.print_on(share, ink)
                on.piece("digit", share > 0.15, under)
    return on.done(("ruler", "scale", "gauge"))


def gasket(rng: np.random.Generator, side: int) -> Scene:
    """A flat seal cut from a sheet: a frame about one to three openings, with lugs that are bored."""
    on = bench(rng, side)
    high, wall = rng.uniform(0.45, 0.85), rng.uniform(0.08, 0.16)
    corner = rng.uniform(0.1, high * 0.9)
    outline = box(on.at, 0.85, high, corner)
    lugs = cells(on.at, lattice(2, 2, 1.7 - 2 * wall, 2 * high - 2 * wall))
    outline = blend(outline, circle(lugs.frame, wall * 1.3), 0.1)
    if rng.random() < 0.5:
        openings = box(on.at, 0.85 - 1.6 * wall, high - 1.6 * wall, max(corner - wall, 0.03))
    else:
        count = int(rng.integers(2, 4))
        row = cells(on.at, lattice(count, 1, 1.5 / count, 0))
        openings = circle(row.frame, min(0.65 / count, high - 1.5 * wall))
    outline = subtract(outline, openings, circle(lugs.frame, wall * 0.55))
    sheet = (
        on.sheet("rubber", "paper", "felt", "copper", "foam") if rng.random() < 0.6 else on.paint(any_colour(rng), 0.2)
    )
    on.lay(outline, sheet, bevel(outline, 0.03) * np.float32(0.03))
    return on.done(("gasket", "seal", "flat gasket"))


def key_caps(rng: np.random.Generator, side: int) -> Scene:
    """A block of keys, each a dished cap with a letter."""
    on = bench(rng, side)
    columns, rows = int(rng.integers(2, 5)), int(rng.integers(2, 5))
    pitch = 1.9 / max(columns, rows)
    panel = box(on.at, columns * pitch / 2 + 0.05, rows * pitch / 2 + 0.05, 0.05)
    on.lay(panel, on.paint(any_colour(rng, low=0.03, high=0.4), 0.3), bevel(panel, 0.04) * np.float32(0.03))
    under = on.layer()
    colours = np.array([any_colour(rng) for _ in range(2)], np.float32)
    kinds = (rng.random(columns * rows) < 0.15).astype(np.intp)
    places = cells(on.at, lattice(columns, rows, pitch, pitch))
    caps = box(places.frame, pitch * 0.42, pitch * 0.42, pitch * rng.uniform(0.05, 0.35))
    dish = bevel(box(places.frame, pitch * 0.34, pitch * 0.34, pitch * 0.06), pitch * 0.2)
    relief = bevel(caps, pitch * 0.1) * np.float32(0.1) - dish * np.float32(0.03)
    on.lay(caps, on.paint(colours[kinds][places.number], 0.35, 0.03), relief, shade=0.6)
    dark = colours[0].mean() < 0.4
    ink = on.paint((0.9, 0.9, 0.9) if dark else (0.06, 0.06, 0.06), 0.3)
    for x, y in lattice(columns, rows, pitch, pitch):
        for share in line(on.at.at(float(x), float(y)), word(rng, least=1, most=1), pitch * 0.55):
            on.print_on(share, ink)
    on.pieces_of("key", caps, places.number, under)
    on.material = "plastic"
    return on.done(("keyboard", "key caps", "keypad", "buttons"))


def profile(rng: np.random.Generator, side: int) -> Scene:
    """The end of an extruded profile: a square of thin walls and chambers."""
    on = bench(rng, side, free=True)
    wall = rng.uniform(0.08, 0.14)
    shell = subtract(box(on.at, 0.9, 0.9, 0.08), box(on.at, 0.9 - wall, 0.9 - wall, 0.05))
    diagonal = on.at.turned(np.pi / 4)
    along = diagonal if rng.random() < 0.6 else on.at
    webs = union(box(along, 1.15, wall / 2), box(along, wall / 2, 1.15))
    core = ring(on.at, 0.12, rng.uniform(0.22, 0.4)) if rng.random() < 0.7 else box(on.at, 0.3, 0.3, 0.05)
    outline = union(overlap(webs, box(on.at, 0.9, 0.9)), shell, core)
    grooves = [
        box(on.at.turned(turn * np.pi / 2).at(0.9, 0.0), wall * 1.4, rng.uniform(0.12, 0.25))
        for turn in range(int(rng.integers(5)))
    ]
    outline = subtract(outline, *grooves, circle(on.at, 0.13))
    on.lay(outline, on.sheet(*BARE, "anodised"), bevel(outline, 0.02) * np.float32(0.03))
    return on.done(("profile", "aluminium profile", "extrusion"))


def shim(rng: np.random.Generator, side: int) -> Scene:
    """An irregular flat cutting, as stamped or laser-cut sheet is, with a few holes."""
    on = bench(rng, side, free=True)
    count = int(rng.integers(4, 8))
    angles = np.sort(rng.uniform(0, 0.6, count) + np.arange(count)) * (2 * np.pi / count)
    corners = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32) * np.float32(0.95)
    outline = hull(on.at, corners)
    for bite in rng.uniform(0, 2 * np.pi, int(rng.integers(0, 4))):
        outline = subtract(outline, slot(on.at.turned(float(bite)).at(0.9, 0.0), 0.2, rng.uniform(0.06, 0.14)))
    on.lay(outline, on.sheet(*METAL, "rubber", "plastic", "carbon"), bevel(outline, 0.03) * np.float32(0.03))
    _drilled(on, rng.uniform(-0.4, 0.4, (int(rng.integers(1, 4)), 2)).astype(np.float32), rng.uniform(0.06, 0.14))
    return on.done(("stamped part", "shim", "cut sheet", "blank"))


FLAT: dict[str, Part] = {
    "bracket": Part(("bracket", "metal bracket"), bracket),
    "plate": Part(("plate", "cover plate"), plate),
    "perforated": Part(("perforated sheet", "grille"), perforated_sheet),
    "tile": Part(("tile", "magnet segment"), tile),
    "weld": Part(("weld", "weld seam"), weld),
    "patch": Part(("fabric patch", "seam"), patch),
    "label": Part(("label", "sticker"), label),
    "ruler": Part(("ruler", "scale"), ruler),
    "gasket": Part(("gasket", "seal"), gasket),
    "key_caps": Part(("keyboard", "key caps"), key_caps),
    "profile": Part(("profile", "extrusion"), profile),
    "shim": Part(("stamped part", "shim"), shim),
}
