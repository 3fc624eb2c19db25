"""Electronics: connectors, transistors, chips, resistors, boards, solder joints."""

from __future__ import annotations

import numpy as np

from blemish.synth.drawn.fields import smooth_noise
from blemish.synth.drawn.glyphs import line, word
from blemish.synth.drawn.outlines import (
    Cells,
    Frame,
    Grid,
    Numbers,
    barrel,
    bevel,
    box,
    cells,
    circle,
    dome,
    ellipse,
    fill_outline,
    frame,
    lattice,
    overlap,
    ring,
    union,
)
from blemish.synth.drawn.parts.assembly import Bench, Rgb, bench, coat, jitter, one_of
from blemish.synth.drawn.scene import Part, Scene

SOLDER_MASKS: tuple[Rgb, ...] = (
    (0.04, 0.25, 0.1),
    (0.04, 0.14, 0.4),
    (0.05, 0.05, 0.05),
    (0.45, 0.06, 0.06),
    (0.5, 0.4, 0.2),
)
TIN: Rgb = (0.72, 0.73, 0.74)


def _board(on: Bench, outline: Grid) -> None:
    """A circuit board: solder mask over traces that run straight and at 45 degrees, vias, silk-screen."""
    colour = one_of(on.rng, *SOLDER_MASKS)
    on.lay(outline, on.paint(colour, 0.45, 0.03), bevel(outline, 0.015) * np.float32(0.02))
    pitch = on.rng.uniform(0.06, 0.16)
    lane = np.floor(smooth_noise(on.rng, on.side, on.side * on.rng.uniform(0.2, 0.5)) * 2)
    way = np.where(np.mod(lane, 2) == 0, on.at.x, np.where(np.mod(lane, 3) == 0, on.at.y, on.at.x + on.at.y))
    traces = np.abs(np.mod(way / np.float32(pitch), 1) - 0.5) * np.float32(pitch) - np.float32(pitch * 0.22)
    inside = fill_outline(outline + 0.02, on.at.scale)
    lighter = coat(np.clip(on.surface.albedo * 1.35 + 0.015, 0, 1), 0.5)
    on.print_on(fill_outline(traces, on.at.scale) * inside, lighter)
    on.emboss(fill_outline(traces, on.at.scale) * inside * np.float32(0.004))
    vias = cells(on.at, on.rng.uniform(-0.9, 0.9, (int(on.rng.integers(3, 14)), 2)).astype(np.float32))
    on.print_on(
        fill_outline(overlap(ring(vias.frame, 0.015, 0.035), outline), on.at.scale),
        on.paint(jitter(on.rng, (0.7, 0.62, 0.4)), 0.7),
    )
    on.material = "circuit board"


def connector(rng: np.random.Generator, side: int) -> Scene:
    """A plastic housing with rows of metal pins or sockets, each of them a piece."""
    on = bench(rng, side)
    columns, rows = int(rng.integers(3, 11)), int(rng.integers(1, 4))
    pitch = min(1.7 / columns, 1.2 / rows)
    wide, high = columns * pitch / 2 + 0.1, rows * pitch / 2 + 0.1
    body = box(on.at, wide, high, 0.04)
    plastic = on.paint(one_of(rng, (0.85, 0.84, 0.78), (0.06, 0.06, 0.06), (0.1, 0.15, 0.5), (0.1, 0.4, 0.15)), 0.35)
    on.lay(body, plastic, bevel(body, 0.03) * np.float32(0.12))
    for place in rng.choice([-0.6, 0.0, 0.6], int(rng.integers(0, 3)), replace=False):
        key = box(on.at.at(float(place) * wide, -high), 0.1, 0.07, 0.02)
        on.lay(key, plastic, 0.1)
    well = box(on.at, wide - 0.05, high - 0.05, 0.03)
    on.print_on(fill_outline(well, on.at.scale), coat(on.surface.albedo * np.float32(0.55), 0.2), 0.02)
    under = on.layer()
    places = cells(on.at, lattice(columns, rows, pitch, pitch))
    size = pitch * rng.uniform(0.18, 0.32)
    pins = box(places.frame, size, size, size * 0.3) if rng.random() < 0.6 else circle(places.frame, size)
    metal = one_of(rng, TIN, (0.75, 0.55, 0.22))
    on.lay(pins, on.paint(metal, 0.8), bevel(pins, size) * np.float32(0.08), shade=0.7)
    on.pieces_of("pin", pins, places.number, under, 2.5)
    on.material = "plastic"
    return on.done(("connector", "pin header", "plug", "pin row"))


def transistor(rng: np.random.Generator, side: int) -> Scene:
    """A transistor or small package with three legs on a board with holes."""
    on = bench(rng, side)
    ground = box(on.at, 2.0, 2.0)
    colour = one_of(rng, (0.5, 0.32, 0.16), *SOLDER_MASKS)
    on.lay(ground, on.paint(colour, 0.3, 0.05), shade=0, of_part=False)
    holes = Frame(np.mod(on.at.x + 0.15, 0.3) - 0.15, np.mod(on.at.y + 0.15, 0.3) - 0.15, on.at.scale)
    if rng.random() < 0.7:
        on.print_on(fill_outline(circle(holes, 0.09), on.at.scale), on.paint(jitter(rng, (0.6, 0.4, 0.25)), 0.6))
        on.print_on(fill_outline(circle(holes, 0.05), on.at.scale), on.paint((0.03, 0.03, 0.03), 0.1), -0.03)
    on.behind = on.layer()
    count, lean = int(rng.choice([2, 3, 3, 3, 5])), rng.normal(0, 0.05)
    places = cells(on.at.at(0.0, 0.45), lattice(count, 1, 0.3, 0))
    legs = box(Frame(places.frame.x + places.frame.y * np.float32(lean), places.frame.y, on.at.scale), 0.045, 0.5, 0.03)
    on.lay(legs, on.paint(jitter(rng, TIN), 0.8), barrel(places.frame.x, 0.06) * np.float32(0.05), shade=0.6)
    on.pieces_of("leg", legs, places.number, on.behind)
    wide = 0.15 * count + rng.uniform(0.08, 0.2)
    body = box(on.at.at(0.0, -0.35), wide, rng.uniform(0.3, 0.5), 0.04)
    under = on.layer()
    on.lay(
        body, on.paint(jitter(rng, (0.07, 0.07, 0.075), 0.01), 0.35), bevel(body, 0.09) * np.float32(0.14), shade=0.6
    )
    on.piece("body", body < 0.02, under)
    under = on.layer()
    for share in line(on.at.at(0.0, -0.35), word(rng, least=3, most=5), 0.2):
        on.print_on(share, on.paint((0.7, 0.7, 0.7), 0.3))
        on.piece("letter", share > 0.15, under)
    on.material = "plastic"
    return on.done(("transistor", "voltage regulator", "electronic component"))


def chip(rng: np.random.Generator, side: int) -> Scene:
    """An integrated circuit on a board: a black body, legs on two or four sides, a mark at pin one, print."""
    on = bench(rng, side)
    _board(on, box(on.at, 2.0, 2.0))
    on.behind = on.layer()
    on.whole = np.zeros_like(on.whole)
    count, four = int(rng.integers(4, 11)), rng.random() < 0.5
    half = rng.uniform(0.5, 0.62)
    pitch = 2 * half / (count + 0.5)
    sides = lattice(count, 2, pitch, 2 * half + 0.2)
    quarter = sides[:, ::-1] if four else sides[:0]
    angles = np.repeat([0.0, np.pi / 2], [len(sides), len(quarter)]).astype(np.float32)
    places = cells(on.at, np.concatenate([sides, quarter]), angles)
    legs = box(places.frame, pitch * 0.25, 0.15, 0.01)
    on.lay(legs, on.paint(jitter(rng, TIN), 0.85), barrel(places.frame.y, 0.2) * np.float32(0.06), shade=0.5)
    on.pieces_of("leg", legs, places.number, on.behind, 2.0)
    body = box(on.at, half, half, 0.02)
    on.lay(body, on.paint(jitter(rng, (0.06, 0.06, 0.065), 0.01), 0.3, 0.06), bevel(body, 0.04) * np.float32(0.08))
    dot = circle(on.at.at(-half * 0.75, -half * 0.75), 0.05)
    on.emboss(-bevel(dot, 0.03) * np.float32(0.02))
    under, ink = on.layer(), on.paint((0.62, 0.62, 0.6), 0.3)
    for row in range(int(rng.integers(1, 4))):
        for share in line(on.at.at(0.0, -0.15 + 0.22 * row), word(rng, least=3, most=6), 0.2):
            on.print_on(share, ink)
            on.piece("letter", share > 0.15, under)
    return on.done(("chip", "integrated circuit", "microchip", "IC package"))


def resistors(rng: np.random.Generator, side: int) -> Scene:
    """A row of wire-ended resistors with colour bands, each of them a piece."""
    on = bench(rng, side)
    count = int(rng.integers(2, 7))
    pitch = 1.8 / count
    size = min(pitch * rng.uniform(0.26, 0.38), 0.26)
    angles = rng.normal(0, 0.03, count).astype(np.float32)
    places = cells(on.at, lattice(1, count, 0, pitch) + rng.normal(0, 0.012, (count, 2)).astype(np.float32), angles)
    under, at = on.layer(), places.frame
    wires = box(at, 0.97, 0.025)
    on.lay(wires, on.paint(jitter(rng, TIN), 0.8), barrel(at.y, 0.03) * np.float32(0.03))
    bulge = size * (0.8 + 0.2 * (np.abs(at.x) > 0.28))
    body = ellipse(at, 0.5, bulge, 5)
    on.lay(
        body,
        on.paint(one_of(rng, (0.75, 0.62, 0.42), (0.2, 0.5, 0.6), (0.5, 0.6, 0.45), (0.3, 0.3, 0.3)), 0.5),
        barrel(at.y, size) * np.float32(size * 0.7),
    )
    _bands(on, at, places, body)
    on.pieces_of("resistor", union(wires, body), places.number, under, 3.0)
    on.material = "ceramic"
    return on.done(("resistor", "resistors", "resistor row"))


def _bands(on: Bench, at: Frame, places: Cells, body: Grid) -> None:
    """Four colour rings; the same code on all of them as in a lot, or a different code on each."""
    codes = np.array(
        [
            (0.05, 0.05, 0.05),
            (0.35, 0.18, 0.08),
            (0.6, 0.06, 0.06),
            (0.75, 0.35, 0.05),
            (0.8, 0.72, 0.1),
            (0.1, 0.4, 0.15),
            (0.1, 0.15, 0.5),
            (0.4, 0.4, 0.4),
        ],
        np.float32,
    )
    count = int(places.number.max()) + 1
    chosen = (
        on.rng.integers(0, 8, (count, 4))
        if on.rng.random() < 0.3
        else np.tile(on.rng.integers(0, 8, (1, 4)), (count, 1))
    )
    band = np.clip(np.floor((at.x + 0.4) / np.float32(0.2)), 0, 3).astype(np.intp)
    off = np.abs(at.x + 0.4 - (band + 0.5) * np.float32(0.2)) - np.float32(0.045)
    on.print_on(
        fill_outline(overlap(off.astype(np.float32), body), on.at.scale),
        on.paint(codes[chosen[places.number, band]], 0.5),
    )


def board(rng: np.random.Generator, side: int) -> Scene:
    """A populated circuit board: chips, capacitors, resistors, electrolytic cans, mounting holes."""
    on = bench(rng, side)
    if rng.random() < 0.4:
        on.at = frame(side, 1.2, 0.0, 0.0, float(rng.integers(4) * np.pi / 2 + rng.normal(0, 0.02)))
    outline = box(on.at, 0.97, rng.uniform(0.7, 0.97), 0.04)
    _board(on, outline)
    under = on.layer()
    columns, rows = int(rng.integers(4, 6)), int(rng.integers(3, 6))
    centres = lattice(columns, rows, 1.7 / columns, 1.4 / rows)
    centres = centres[rng.random(len(centres)) < 0.85] + rng.normal(0, 0.02, 2).astype(np.float32)
    places = cells(on.at, centres, rng.choice([0, np.pi / 2], len(centres)).astype(np.float32))
    kinds = rng.choice(4, len(centres), p=[0.3, 0.3, 0.2, 0.2])
    room = min(1.7 / columns, 1.4 / rows) / 2
    kind, at = kinds[places.number], places.frame
    caps = overlap(box(at, room * 0.62, room * 0.4, 0.01), np.where(kind <= 1, np.float32(-1), np.float32(1)))
    on.lay(caps, on.paint(jitter(rng, TIN), 0.8), bevel(caps, 0.04) * np.float32(0.03), shade=0.5)
    middle = np.maximum(caps, np.abs(at.x) - np.float32(room * 0.4))
    tones = np.array([(0.06, 0.06, 0.06), (0.55, 0.42, 0.28)], np.float32)
    on.lay(middle, on.paint(tones[np.minimum(kind, 1)], 0.35), bevel(caps, 0.04) * np.float32(0.035), shade=0)
    legs = Frame(np.mod(at.x, np.float32(room * 0.3)) - np.float32(room * 0.15), at.y, on.at.scale)
    is_chip = np.where(kind == 2, np.float32(-1), np.float32(1))
    pins = overlap(box(legs, room * 0.07, room * 0.85), np.abs(at.x) - np.float32(room * 0.75), is_chip)
    on.lay(pins, on.paint(jitter(rng, TIN), 0.8), 0.02, shade=0.3)
    body = overlap(box(at, room * 0.8, room * 0.62, 0.01), is_chip)
    on.lay(body, on.paint((0.06, 0.06, 0.065), 0.3), bevel(body, 0.03) * np.float32(0.06), shade=0.5)
    cans = overlap(circle(at, room * 0.8), np.where(kind == 3, np.float32(-1), np.float32(1)))
    can = on.paint(one_of(rng, TIN, (0.1, 0.12, 0.3), (0.65, 0.5, 0.1)), 0.6)
    on.lay(cans, can, bevel(cans, 0.05) * np.float32(0.12), shade=0.6)
    on.print_on(
        fill_outline(overlap(cans, at.x + np.float32(room * 0.4)), on.at.scale), on.paint((0.05, 0.05, 0.05), 0.4)
    )
    on.pieces_of("component", union(caps, pins, body, cans), places.number, under, 2.5)
    _silk(on, centres, room)
    return on.done(("circuit board", "PCB", "printed circuit board", "electronic assembly"))


def _silk(on: Bench, centres: Numbers, room: float) -> None:
    """Reference designators beside a few of the components."""
    ink = on.paint((0.85, 0.85, 0.82), 0.2)
    for x, y in centres[:: max(len(centres) // 4, 1)]:
        for share in line(on.at.at(float(x), float(y) - room * 1.15), word(on.rng, least=2, most=3), room * 0.7):
            on.print_on(share * 0.8, ink)


def solder(rng: np.random.Generator, side: int) -> Scene:
    """Solder joints in a row or grid: shiny cones about cut wires, each of them a piece."""
    on = bench(rng, side)
    outline = box(on.at, 2.0, 2.0) if rng.random() < 0.6 else box(on.at, 0.97, 0.8, 0.03)
    _board(on, outline)
    columns, rows = int(rng.integers(3, 8)), int(rng.integers(1, 4))
    pitch = min(1.8 / columns, 1.5 / rows)
    places = cells(on.at, lattice(columns, rows, pitch, pitch))
    size = pitch * rng.uniform(0.32, 0.42)
    pads = (
        box(places.frame, size * 1.1, size * 1.1, size * 0.4)
        if rng.random() < 0.4
        else circle(places.frame, size * 1.1)
    )
    on.lay(pads, on.paint(jitter(rng, (0.72, 0.52, 0.25)), 0.6), 0.006, shade=0.2)
    under = on.layer()
    blobs = circle(places.frame, size * rng.uniform(0.85, 1.0)) + on.mottle(0.01, 0.7)
    slope = np.clip(-blobs / np.float32(size), 0, 1)
    on.lay(
        blobs,
        on.paint(jitter(rng, (0.66, 0.67, 0.69), 0.01), 0.95, 0.06),
        slope**1.5 * np.float32(size * 0.8),
        shade=0.4,
    )
    wires = circle(places.frame, size * rng.uniform(0.18, 0.28))
    on.lay(
        wires,
        on.paint(jitter(rng, TIN), 0.7),
        bevel(wires, 0.02) * np.float32(0.03) + np.float32(size * 0.8),
        shade=0.3,
    )
    on.pieces_of("solder joint", blobs, places.number, under, 2.0)
    return on.done(("solder joint", "solder joints", "soldered pins", "circuit board"))


def sockets(rng: np.random.Generator, side: int) -> Scene:
    """A terminal block: screws above wire openings in a plastic housing."""
    on = bench(rng, side)
    count = int(rng.integers(2, 7))
    pitch = 1.8 / count
    body = box(on.at, 0.95, min(pitch * 1.2, 0.85), 0.03)
    plastic = on.paint(one_of(rng, (0.1, 0.4, 0.15), (0.1, 0.2, 0.5), (0.5, 0.5, 0.5), (0.75, 0.35, 0.05)), 0.35)
    walls = np.exp(-((np.mod(on.at.x / np.float32(pitch) + count / 2, 1) - 0.5) ** 2) * 40)
    on.lay(body, plastic, bevel(body, 0.05) * np.float32(0.1) - walls.astype(np.float32) * np.float32(0.03))
    high = min(pitch * 0.5, 0.35)
    under = on.layer()
    ways = cells(on.at.at(0.0, high), lattice(count, 1, pitch, 0))
    openings = box(ways.frame, pitch * 0.32, high * 0.6, 0.02)
    on.lay(openings, on.paint((0.03, 0.03, 0.03), 0.2), -0.04, shade=0)
    on.pieces_of("opening", openings, ways.number, under)
    under = on.layer()
    tops = cells(on.at.at(0.0, -high), lattice(count, 1, pitch, 0), rng.uniform(0, 6, count).astype(np.float32))
    size = min(pitch * 0.34, high * 0.8)
    heads = circle(tops.frame, size)
    on.lay(heads, on.paint(jitter(rng, TIN), 0.75), dome(heads, size) * np.float32(size * 0.3), shade=0.6)
    on.print_on(fill_outline(box(tops.frame, size * 0.85, size * 0.16), on.at.scale), on.paint((0.1, 0.1, 0.1), 0.2))
    on.pieces_of("screw", heads, tops.number, under, 2.5)
    on.material = "plastic"
    return on.done(("terminal block", "connector", "screw terminal"))


ELECTRIC: dict[str, Part] = {
    "connector": Part(("connector", "pin header"), connector),
    "transistor": Part(("transistor",), transistor),
    "chip": Part(("chip", "integrated circuit"), chip),
    "resistors": Part(("resistor", "resistors"), resistors),
    "board": Part(("circuit board", "PCB"), board),
    "solder": Part(("solder joint", "solder joints"), solder),
    "sockets": Part(("terminal block",), sockets),
}
