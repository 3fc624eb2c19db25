"""Long parts seen from their side, and soft ones: screws, springs, vials, fuses, capsules, brushes, cables, zippers."""

from __future__ import annotations

import numpy as np

from blemish.synth.drawn.glyphs import line, word
from blemish.synth.drawn.outlines import (
    Cells,
    Frame,
    Grid,
    around,
    barrel,
    bevel,
    blend,
    box,
    cells,
    circle,
    dome,
    ellipse,
    fill_outline,
    hull,
    lattice,
    overlap,
    path,
    slot,
    thread,
    union,
)
from blemish.synth.drawn.parts.assembly import BARE, METAL, Bench, any_colour, bench, coat, jitter, one_of
from blemish.synth.drawn.scene import Part, Scene


def screw(rng: np.random.Generator, side: int) -> Scene:
    """A screw or bolt lying on its side: head, plain shank, thread, and a tip or a flat end."""
    on = bench(rng, side, longish=True)
    size, share = rng.uniform(0.13, 0.22), rng.uniform(0.5, 1.0)
    depth, pitch = size * rng.uniform(0.15, 0.35), rng.uniform(0.06, 0.14)
    start, end = -0.6, rng.uniform(0.75, 1.0)
    pointed = rng.random() < 0.5
    threaded = (end - start) * share
    rod = thread(on.at.at(end - threaded / 2, 0.0), threaded / 2, size, depth, pitch)
    taper = np.clip((on.at.x - np.float32(end - 0.35)) / np.float32(0.35), 0, 1) ** 1.5 * np.float32(size * pointed)
    rod = rod + taper
    shank = box(on.at.at((start + end - threaded) / 2, 0.0), (end - threaded - start) / 2 + 0.01, size - depth / 2)
    body = union(rod, shank)
    head = _screw_head(rng, on.at, size, start)
    sheet = (
        on.sheet(*METAL, "painted_metal")
        if rng.random() < 0.7
        else on.paint(one_of(rng, (0.6, 0.5, 0.25), (0.1, 0.1, 0.1)), 0.6)
    )
    flank = np.cos((on.at.x / np.float32(pitch) + on.at.y / np.float32(4 * size)) * np.float32(2 * np.pi))
    on_thread = fill_outline(rod + 0.02, on.at.scale) * (on.at.x > end - threaded)
    relief = barrel(on.at.y, size) * np.float32(size * 0.8) + flank * on_thread * np.float32(depth * 0.4)
    on.lay(union(body, head), sheet, np.maximum(relief, dome(head, 0.12) * np.float32(size)))
    return on.done(("screw", "bolt", "metal screw"))


def _screw_head(rng: np.random.Generator, at: Frame, size: float, start: float) -> Grid:
    wide, high, kind = size * rng.uniform(1.6, 2.3), rng.uniform(0.14, 0.32), rng.random()
    if kind < 0.35:
        corners = np.array([(start - high, -wide), (start, -size), (start, size), (start - high, wide)], np.float32)
        return hull(at, corners)
    if kind < 0.65:
        return overlap(ellipse(at.at(start, 0.0), high, wide, 2.5), at.x - np.float32(start))
    return box(at.at(start - high / 2, 0.0), high / 2, wide, 0.03)


def spring(rng: np.random.Generator, side: int) -> Scene:
    """A coil spring lying on its side: front windings over back ones, each winding a piece."""
    on = bench(rng, side, longish=True)
    turns, size, wire = int(rng.integers(5, 14)), rng.uniform(0.22, 0.42), rng.uniform(0.025, 0.05)
    pitch = 1.8 / turns
    wire = min(wire, pitch * 0.42)
    sheet = on.sheet(*BARE, "brass", "painted_metal")
    height = np.clip(on.at.y / np.float32(size), -1, 1)
    phase = np.arcsin(height) / np.float32(2 * np.pi)
    ends = np.maximum(np.abs(on.at.y) - np.float32(size + wire * 0.5), np.abs(on.at.x) - np.float32(0.9 + wire))
    for front in (-1, 1):
        under = on.layer()
        turn = on.at.x / np.float32(pitch) - np.float32(front) * phase + np.float32(0.25 * front)
        near = (np.mod(turn + 0.5, 1) - 0.5) * np.float32(pitch)
        slope = np.sqrt(1 + (pitch / (2 * np.pi * size)) ** 2 / np.maximum(1 - height * height, 0.03))
        winding = np.maximum(np.abs(near) / slope.astype(np.float32) - np.float32(wire), ends)
        on.lay(winding, sheet, dome(winding, wire) * np.float32(wire) + np.float32(0.03 * front), shade=0.35)
        if front > 0:
            on.pieces_of("winding", winding, np.floor(turn + 0.5).astype(np.intp), under)
    return on.done(("spring", "coil spring", "metal spring"))


def vial(rng: np.random.Generator, side: int) -> Scene:
    """A glass vial or ampoule standing: neck, cap or tip, and a liquid up to a level."""
    on = bench(rng, side)
    wide, neck = rng.uniform(0.28, 0.45), rng.uniform(0.12, 0.2)
    body = box(on.at.at(0.0, 0.2), wide, 0.75, 0.1)
    outline = blend(body, box(on.at.at(0.0, -0.7), neck, 0.25, 0.03), 0.2)
    edge = np.exp(-np.maximum(-outline, 0) / np.float32(0.05))
    clear = on.surface.albedo * np.asarray(
        one_of(rng, (0.85, 0.9, 0.9), (0.5, 0.28, 0.1), (0.6, 0.8, 0.65)), np.float32
    )
    glass = coat(np.clip(clear * (1 - 0.7 * edge[..., None]), 0, 1), 0.9)
    on.lay(outline, glass, barrel(on.at.x, wide) * dome(outline, 0.15) * np.float32(wide * 0.5), shade=0.3)
    under = on.layer()
    level = rng.uniform(-0.35, 0.5)
    liquid = overlap(outline + 0.04, np.float32(level) - on.at.y)
    tint = np.asarray(any_colour(rng, low=0.2), np.float32)
    on.print_on(
        fill_outline(liquid, on.at.scale) * np.float32(rng.uniform(0.4, 0.95)),
        coat(np.broadcast_to(tint, (side, side, 3)), 0.8),
    )
    meniscus = np.exp(-(((on.at.y - np.float32(level)) / np.float32(0.015)) ** 2)) * fill_outline(
        outline + 0.04, on.at.scale
    )
    on.print_on(np.float32(0.6) * meniscus, on.paint((0.9, 0.9, 0.9), 0.9))
    on.piece("liquid", liquid < 0, under)
    under = on.layer()
    cap = box(on.at.at(0.0, -0.85), neck * rng.uniform(1.2, 1.7), 0.13, 0.03)
    ribs = np.float32(0.012) * np.sin(on.at.x * np.float32(60))
    on.lay(
        cap,
        on.paint(any_colour(rng), 0.5) if rng.random() < 0.6 else on.sheet("anodised", "brushed_metal"),
        barrel(on.at.x, neck * 1.7) * np.float32(0.15) + ribs,
    )
    on.piece("cap", cap < 0.02, under)
    on.material = "glass"
    return on.done(("vial", "glass vial", "ampoule", "bottle"))


def fuse(rng: np.random.Generator, side: int) -> Scene:
    """A glass fuse: metal caps at both ends and a wire between them."""
    on = bench(rng, side, longish=True)
    size, cap = rng.uniform(0.2, 0.3), rng.uniform(0.2, 0.3)
    tube = box(on.at, 0.9, size * 0.94, 0.03)
    edge = np.exp(-np.maximum(-tube, 0) / np.float32(0.05))
    glass = coat(np.clip(on.surface.albedo * 0.85 + 0.08 - 0.35 * edge[..., None] * on.surface.albedo, 0, 1), 0.95)
    on.lay(tube, glass, barrel(on.at.y, size) * np.float32(size * 0.5), shade=0.3)
    under = on.layer()
    bends = np.stack([np.linspace(-0.8, 0.8, 7), rng.normal(0, 0.03, 7)], axis=1).astype(np.float32)
    wire = path(on.at, bends) - np.float32(rng.uniform(0.012, 0.03))
    on.print_on(fill_outline(wire, on.at.scale), on.paint(jitter(rng, (0.5, 0.48, 0.45)), 0.7))
    on.piece("wire", wire < 0.02, under)
    under = on.layer()
    metal = on.sheet("polished", "brass", "ground")
    for place in (-1, 1):
        end = box(on.at.at(place * (0.95 - cap / 2), 0.0), cap / 2, size, 0.04)
        on.lay(end, metal, barrel(on.at.y, size) * np.float32(size * 0.7) + bevel(end, 0.04) * np.float32(0.02))
        on.piece("cap", end < 0.02, under)
    return on.done(("fuse", "glass fuse"))


def capsule(rng: np.random.Generator, side: int) -> Scene:
    """A medicine capsule in two colours with an imprint."""
    on = bench(rng, side, longish=True)
    size = rng.uniform(0.28, 0.36)
    body, lid = (
        slot(on.at, 0.92 - size, size * 0.95),
        overlap(slot(on.at, 0.95 - size, size), -on.at.x - np.float32(rng.uniform(-0.1, 0.2))),
    )
    relief = dome(union(body, lid), size) * np.float32(size * 0.9)
    on.lay(body, on.paint(any_colour(rng, low=0.3), 0.75, 0.02), relief)
    on.lay(lid, on.paint(any_colour(rng, low=0.1), 0.75, 0.02), relief + 0.015, shade=0.25)
    under = on.layer()
    ink = on.paint(one_of(rng, (0.9, 0.9, 0.9), (0.05, 0.05, 0.05), (0.3, 0.05, 0.05)), 0.4)
    for place in (-0.45, 0.42):
        for share in line(on.at.at(place, 0.0), word(rng, least=2, most=4), 0.24):
            on.print_on(share, ink)
            on.piece("letter", share > 0.15, under)
    on.material = "gelatine"
    return on.done(("capsule", "pill", "medicine capsule"))


def toothbrush(rng: np.random.Generator, side: int) -> Scene:
    """The head of a brush from above: tufts of bristles in rows on a plastic head."""
    on = bench(rng, side)
    wide, high = rng.uniform(0.36, 0.5), 0.95
    head = ellipse(on.at, wide, high, rng.uniform(2.3, 4))
    on.lay(
        union(head, box(on.at.at(0.0, 1.2), wide * 0.4, 0.6)),
        on.paint(any_colour(rng, low=0.3), 0.6),
        dome(head, 0.2) * np.float32(0.1),
    )
    columns, rows = int(rng.integers(3, 6)), int(rng.integers(7, 12))
    centres = lattice(columns, rows, 1.65 * wide / columns, 1.72 * high / rows)
    inside = (np.abs(centres / [wide, high]) ** 2.5).sum(1) < 0.8
    centres = centres[inside] + rng.normal(0, 0.008, (int(inside.sum()), 2)).astype(np.float32)
    places = cells(on.at, centres)
    size = min(1.65 * wide / columns, 1.72 * high / rows) * rng.uniform(0.4, 0.52)
    under = on.layer()
    fray = np.float32(0.25 * size) * on.mottle(1, 0)
    tufts = circle(places.frame, size) + np.clip(fray, -0.2 * size, 0.2 * size)
    colours = np.array([any_colour(rng, low=0.5, high=1.0) for _ in range(3)], np.float32)
    pattern = (np.abs(centres[:, 1]) > rng.uniform(0.1, 0.9)).astype(np.intp) + (np.abs(centres[:, 0]) > wide * 0.4)
    albedo = colours[pattern % 3][places.number] * (1 + np.float32(0.14) * on.mottle(1, 0)[..., None])
    on.lay(tufts, coat(np.clip(albedo, 0, 1), 0.2), dome(tufts, size) * np.float32(0.06) + fray, shade=0.6)
    on.pieces_of("tuft", tufts, places.number, under)
    on.material = "plastic"
    return on.done(("toothbrush", "brush", "toothbrush head"))


def cable(rng: np.random.Generator, side: int) -> Scene:
    """The cross-section of a cable: insulated wires of several strands in a jacket."""
    on = bench(rng, side, free=True)
    outline = circle(on.at, 0.97)
    jacket = one_of(rng, (0.75, 0.75, 0.73), (0.08, 0.08, 0.08), (0.45, 0.45, 0.45), (0.7, 0.35, 0.1))
    on.lay(outline, on.paint(jacket, 0.25, 0.05), bevel(outline, 0.04) * np.float32(0.05))
    count = int(rng.choice([2, 3, 3, 3, 4, 5]))
    size = 0.93 * np.sin(np.pi / count) / (1 + np.sin(np.pi / count)) * rng.uniform(0.88, 0.98)
    centres = around(count, 0.9 - size, rng.normal(0, 0.1))
    places = cells(on.at, centres)
    under = on.layer()
    wires = circle(places.frame, size)
    palette = (
        (0.1, 0.35, 0.12),
        (0.1, 0.15, 0.5),
        (0.35, 0.2, 0.1),
        (0.6, 0.6, 0.58),
        (0.65, 0.12, 0.1),
        (0.7, 0.6, 0.1),
    )
    first = int(rng.integers(6))
    colours = np.array([jitter(rng, palette[(first + number) % 6]) for number in range(count)], np.float32)
    on.lay(wires, on.paint(colours[places.number], 0.3, 0.04), bevel(wires, 0.04) * np.float32(0.03), shade=0.6)
    _strands(on, places, size * rng.uniform(0.55, 0.72))
    on.pieces_of("wire", wires, places.number, under)
    on.material = "cable"
    return on.done(("cable", "cable cross-section", "wires"))


def _strands(on: Bench, places: Cells, size: float) -> None:
    """Fine copper strands, packed like a honeycomb, in the core of each wire."""
    thick = size / on.rng.uniform(3.0, 5.5)
    rows = np.round(places.frame.y / np.float32(thick * 1.75))
    across = places.frame.x / np.float32(thick * 2) + np.mod(rows, 2) * np.float32(0.5)
    column = np.round(across)
    at = Frame((across - column) * np.float32(thick * 2), places.frame.y - rows * np.float32(thick * 1.75), on.at.scale)
    strand = circle(at, thick)
    inside = (column - np.mod(rows, 2) * 0.5) * (thick * 2)
    core = overlap(strand, np.hypot(inside, rows * thick * 1.75).astype(np.float32) - np.float32(size - thick))
    dark = on.paint((0.12, 0.06, 0.03), 0.2)
    on.lay(circle(places.frame, size), dark, -0.02, shade=0)
    metal = one_of(on.rng, (0.75, 0.4, 0.2), (0.7, 0.66, 0.6), (0.62, 0.3, 0.14))
    tone = 1 + np.float32(0.35) * np.sin(rows * 12.9 + column * 78.2 + places.number)
    albedo = np.clip(np.asarray(metal, np.float32) * tone[..., None], 0, 1).astype(np.float32)
    on.lay(core, coat(albedo, 0.7), dome(core, thick) * np.float32(thick), shade=0)


def zipper(rng: np.random.Generator, side: int) -> Scene:
    """A closed zipper: teeth that interlock between two tapes of cloth."""
    on = bench(rng, side, on="cloth" if rng.random() < 0.4 else "")
    wide, pitch, half = rng.uniform(0.12, 0.22), rng.uniform(0.1, 0.2), rng.uniform(0.55, 0.9)
    tape = box(on.at, half, 1.6)
    fabric = on.sheet("fabric", "twill", "denim")
    on.lay(tape, fabric, bevel(tape, 0.02) * np.float32(0.02))
    seam = np.abs(np.abs(on.at.x) - np.float32(wide * 1.7)) - np.float32(0.015)
    on.emboss(-fill_outline(seam, on.at.scale) * np.float32(0.015))
    under = on.layer()
    sided = np.where(on.at.x > 0, np.float32(1), np.float32(0))
    turn = on.at.y / np.float32(pitch) + np.float32(0.5) * sided
    row = np.floor(turn)
    places = Frame(np.abs(on.at.x) - np.float32(wide * 0.42), (turn - row - 0.5) * np.float32(pitch), on.at.scale)
    links = overlap(box(places, wide * 0.55, pitch * rng.uniform(0.3, 0.42), pitch * 0.14), np.abs(on.at.y) - 1.6)
    colour = one_of(rng, (0.7, 0.68, 0.65), (0.7, 0.5, 0.2), (0.08, 0.08, 0.08), (0.5, 0.3, 0.15))
    on.lay(links, on.paint(colour, 0.7), dome(links, pitch * 0.3) * np.float32(pitch * 0.4), shade=0.6)
    on.pieces_of("tooth", links, (row * 2 + sided).astype(np.intp), under)
    return on.done(("zipper", "zip fastener"))


def pencil(rng: np.random.Generator, side: int) -> Scene:
    """A cone-pointed rod in sections of different stuff, as pencils, probes and plugs are."""
    on = bench(rng, side, longish=True)
    size = rng.uniform(0.12, 0.24)
    body = box(on.at.at(-0.2, 0.0), 0.75, size, 0.02)
    tip = hull(on.at, np.array([(0.5, -size), (0.98, -0.02), (0.98, 0.02), (0.5, size)], np.float32))
    slim = np.maximum(size - np.maximum(on.at.x - np.float32(0.5), 0) * np.float32(size / 0.49), 0.01)
    relief = barrel(on.at.y / slim, 1.0) * slim * np.float32(0.7)
    on.lay(tip, on.sheet("wood", "brass", "ground"), relief)
    on.lay(body, on.paint(any_colour(rng), 0.6), relief)
    under = on.layer()
    bands = on.sheet("brass", "ground", "rubber")
    for place in rng.uniform(-0.85, 0.3, int(rng.integers(1, 4))):
        band = box(on.at.at(float(place), 0.0), rng.uniform(0.03, 0.09), size + 0.01)
        on.lay(band, bands, relief + 0.01, shade=0.2)
        on.piece("band", band < 0.01, under)
    for share in line(on.at.at(0.1, 0.0), word(rng, least=3, most=6), size * 1.2):
        on.print_on(share, on.paint((0.85, 0.8, 0.6), 0.6))
    return on.done(("pencil", "probe", "rod"))


LONG: dict[str, Part] = {
    "screw": Part(("screw", "bolt"), screw),
    "spring": Part(("spring", "coil spring"), spring),
    "vial": Part(("vial", "ampoule"), vial),
    "fuse": Part(("fuse", "glass fuse"), fuse),
    "capsule": Part(("capsule",), capsule),
    "toothbrush": Part(("toothbrush", "brush"), toothbrush),
    "cable": Part(("cable", "wires"), cable),
    "zipper": Part(("zipper",), zipper),
    "pencil": Part(("pencil", "rod"), pencil),
}
