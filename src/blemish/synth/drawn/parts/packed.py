"""Things that are packed, eaten or scanned: pills, blisters, candles, cookies, pasta, nuts, organs, foam."""

from __future__ import annotations

import numpy as np

from blemish.synth.drawn.fields import fractal_noise, smooth_noise
from blemish.synth.drawn.glyphs import line, word
from blemish.synth.drawn.outlines import (
    Grid,
    azimuth,
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
    radius,
    ring,
    slot,
    teeth,
)
from blemish.synth.drawn.parts.assembly import Bench, any_colour, bench, coat, jitter, one_of
from blemish.synth.drawn.scene import Part, Scene


def pill(rng: np.random.Generator, side: int) -> Scene:
    """A tablet, round or oblong, with an imprint or a score line, often speckled."""
    on = bench(rng, side)
    round_one = rng.random() < 0.5
    outline = circle(on.at, 0.92) if round_one else ellipse(on.at, 0.95, rng.uniform(0.42, 0.65), rng.uniform(2, 3))
    colour = (
        one_of(rng, (0.88, 0.87, 0.84), (0.85, 0.7, 0.6), (0.8, 0.78, 0.5), (0.6, 0.7, 0.8))
        if rng.random() < 0.8
        else any_colour(rng, low=0.3)
    )
    on.lay(
        outline,
        on.paint(colour, 0.25, 0.02),
        dome(outline, rng.uniform(0.2, 0.9)) * np.float32(0.25) + bevel(outline, 0.06) * np.float32(0.04),
    )
    if rng.random() < 0.4:
        specks = np.clip((on.mottle(1, 0) - 1.7) * 1.5, 0, 1) * fill_outline(outline, on.at.scale)
        on.print_on(specks, on.paint(any_colour(rng), 0.2))
    under = on.layer()
    if rng.random() < 0.4:
        score = overlap(np.abs(on.at.x) - np.float32(0.05), outline + 0.05)
        on.emboss(-bevel(score, 0.05) * np.float32(0.06))
        on.piece("score line", score < 0.01, under)
    for share in line(on.at, word(rng, least=2, most=3 if round_one else 4), rng.uniform(0.4, 0.55)):
        on.emboss(-share * np.float32(0.03))
        on.print_on(share * np.float32(0.4), coat(on.surface.albedo * np.float32(0.6), 0.2))
        on.piece("letter", share > 0.15, under)
    on.material = "tablet"
    return on.done(("pill", "tablet", "medicine"))


def blister(rng: np.random.Generator, side: int) -> Scene:
    """A blister pack: pills under clear domes in foil, each of them a piece."""
    on = bench(rng, side)
    columns, rows = int(rng.integers(2, 5)), int(rng.integers(2, 6))
    pitch = min(1.8 / columns, 1.8 / rows)
    outline = box(on.at, columns * pitch / 2 + 0.05, rows * pitch / 2 + 0.05, 0.08)
    on.lay(
        outline,
        on.sheet("foil") if rng.random() < 0.5 else on.paint(jitter(rng, (0.7, 0.7, 0.72)), 0.7, 0.05),
        bevel(outline, 0.02) * np.float32(0.02),
    )
    places = cells(on.at, lattice(columns, rows, pitch, pitch))
    long = rng.random() < 0.4
    pocket = slot(places.frame, pitch * 0.12, pitch * 0.28) if long else circle(places.frame, pitch * 0.4)
    rim = np.exp(-((pocket / np.float32(pitch * 0.06)) ** 2))
    on.emboss(dome(pocket, pitch * 0.3) * np.float32(0.08))
    shine = coat(np.clip(on.surface.albedo * (1 - 0.35 * rim[..., None]), 0, 1), 0.8)
    on.print_on(fill_outline(pocket - pitch * 0.05, on.at.scale), shine)
    under = on.layer()
    nudge = rng.normal(0, pitch * 0.03, (columns * rows, 2)).astype(np.float32)
    turn = rng.normal(0, 0.15, columns * rows).astype(np.float32)
    inside = cells(on.at, lattice(columns, rows, pitch, pitch) + nudge, turn)
    pills = slot(inside.frame, pitch * 0.12, pitch * 0.2) if long else circle(inside.frame, pitch * 0.3)
    on.lay(
        pills,
        on.paint(any_colour(rng, low=0.3), 0.6, 0.02),
        dome(pills, pitch * 0.25) * np.float32(pitch * 0.25) + 0.02,
        shade=0.5,
    )
    on.pieces_of("pill", pills, inside.number, under, 2.5)
    on.material = "foil"
    return on.done(("blister pack", "tablet blister", "pill pack"))


def candles(rng: np.random.Generator, side: int) -> Scene:
    """Tea lights, lids or cylinders from above, counted; a wick or a bore in the middle of each."""
    on = bench(rng, side)
    columns, rows = int(rng.integers(2, 5)), int(rng.integers(1, 5))
    pitch = min(1.9 / columns, 1.9 / rows)
    centres = lattice(columns, rows, pitch, pitch) + rng.normal(0, pitch * 0.03, (columns * rows, 2)).astype(np.float32)
    places = cells(on.at, centres)
    under, size = on.layer(), pitch * rng.uniform(0.38, 0.48)
    cans = circle(places.frame, size)
    cup = on.sheet("polished", "anodised", "foil") if rng.random() < 0.5 else on.paint(any_colour(rng, low=0.2), 0.5)
    on.lay(cans, cup, bevel(cans, size * 0.12) * np.float32(size * 0.2), shade=0.6)
    wax = circle(places.frame, size * rng.uniform(0.82, 0.93))
    colours = np.tile(any_colour(rng, low=0.4, high=0.95), (len(centres), 1)) * rng.uniform(
        0.94, 1.04, (len(centres), 1)
    )
    bowl = radius(places.frame) ** 2 * np.float32(0.3)
    on.lay(wax, on.paint(colours.clip(0, 1).astype(np.float32)[places.number], 0.45, 0.03), bowl - 0.01, shade=0)
    leaning = cells(
        on.at,
        centres + rng.normal(0, size * 0.06, centres.shape).astype(np.float32),
        rng.uniform(0, 6, len(centres)).astype(np.float32),
    )
    wicks = box(leaning.frame, size * 0.16, size * 0.05, size * 0.04)
    on.lay(wicks, on.paint(one_of(rng, (0.85, 0.83, 0.75), (0.1, 0.08, 0.06)), 0.1), 0.08, shade=0.5)
    on.pieces_of("candle", cans, places.number, under, 3.0)
    on.material = "wax"
    return on.done(("candle", "candles", "tea lights"))


def cookie(rng: np.random.Generator, side: int) -> Scene:
    """A cookie: a baked disc, wavy at the edge, with chips, seeds or a stamped pattern of holes."""
    on = bench(rng, side, free=True)
    uneven = fractal_noise(rng, side, side / 4, octaves=3)
    outline = circle(on.at, 0.9) + uneven * np.float32(rng.uniform(0.01, 0.03))
    if rng.random() < 0.3:
        outline = teeth(on.at, int(rng.integers(12, 30)), 0.84, 0.94, 0.5, 0.9) + uneven * np.float32(0.01)
    brown = np.asarray(one_of(rng, (0.72, 0.5, 0.28), (0.8, 0.62, 0.36), (0.4, 0.25, 0.14)), np.float32)
    bake = np.exp(np.minimum(outline, 0) / np.float32(0.12)) * np.float32(0.45) + uneven * np.float32(0.06)
    crumb = fractal_noise(rng, side, side / 16, octaves=4)
    albedo = np.clip(brown * (1 - bake + np.float32(0.07) * crumb)[..., None], 0, 1)
    relief = dome(outline, 0.3) * np.float32(0.15) + crumb * np.float32(0.009)
    on.lay(outline, coat(albedo, 0.15), relief)
    under, count = on.layer(), int(rng.integers(5, 16))
    centres = rng.uniform(-0.62, 0.62, (count, 2)).astype(np.float32)
    places = cells(on.at, centres, rng.uniform(0, 6, count).astype(np.float32))
    size = rng.uniform(0.06, 0.12)
    chips = ellipse(places.frame, size * 1.3, size, 2.5) + on.mottle(0.012, 0.7)
    kind = rng.random()
    if kind < 0.6:
        on.lay(
            chips,
            on.paint(one_of(rng, (0.16, 0.08, 0.05), (0.85, 0.8, 0.7), (0.5, 0.1, 0.1)), 0.35, 0.06),
            relief + dome(chips, size) * np.float32(0.06),
            shade=0.4,
        )
        on.pieces_of("chip", chips, places.number, under, 2.0)
    elif kind < 0.8:
        on.emboss(-bevel(circle(places.frame, 0.04), 0.04) * np.float32(0.06))
        on.pieces_of("hole", circle(places.frame, 0.05), places.number, under)
    on.material = "dough"
    return on.done(("cookie", "biscuit", "food"))


def pasta(rng: np.random.Generator, side: int) -> Scene:
    """Pieces of pasta, beans, cashews or gummies: curved bodies lying side by side."""
    on = bench(rng, side)
    columns, rows = [(1, 1), (2, 2), (2, 1), (3, 3), (3, 2)][int(rng.integers(5))]
    pitch = 1.9 / max(columns, rows)
    count = columns * rows
    centres = lattice(columns, rows, pitch, pitch) + rng.normal(0, pitch * 0.04, (count, 2)).astype(np.float32)
    angles = rng.uniform(-np.pi, np.pi, count) if rng.random() < 0.6 else rng.normal(0, 0.2, count)
    places = cells(on.at, centres, angles.astype(np.float32))
    under = on.layer()
    reach, thick, open_to = pitch * rng.uniform(0.26, 0.34), pitch * rng.uniform(0.12, 0.18), rng.uniform(0.6, 2.2)
    at = places.frame.at(0.0, -reach * 0.4)
    bow = np.clip(np.abs(azimuth(at.turned(np.pi / 2))), 0, open_to)
    heading = np.sign(azimuth(at.turned(np.pi / 2)))
    nearest = reach * np.stack([-np.sin(bow) * heading, np.cos(bow)])
    body = np.hypot(at.x - nearest[0], at.y - nearest[1]).astype(np.float32) - np.float32(thick)
    body = body + on.mottle(thick * 0.08, 0.9)
    colour = one_of(rng, (0.85, 0.66, 0.3), (0.85, 0.78, 0.62), (0.7, 0.2, 0.1), (0.35, 0.5, 0.15), (0.3, 0.12, 0.08))
    ridges = np.sin(radius(at) * np.float32(2 * np.pi / (thick * 0.5))) * np.float32(
        thick * 0.06 * (rng.random() < 0.5)
    )
    on.lay(body, on.paint(colour, 0.4, 0.07), dome(body, thick) * np.float32(thick * 0.9) + ridges, shade=0.55)
    on.pieces_of("piece", body, places.number, under, 2.5)
    on.material = "food"
    return on.done(("macaroni", "pasta", "cashew", "food"))


def hazelnut(rng: np.random.Generator, side: int) -> Scene:
    """A nut, fruit or stone: a round organic body with a pale end and fibres that run to its tip."""
    on = bench(rng, side, free=True)
    body = ellipse(on.at, rng.uniform(0.72, 0.85), 0.88, 2.2) + smooth_noise(rng, side, side / 3) * np.float32(0.02)
    brown = np.asarray(
        one_of(rng, (0.5, 0.28, 0.12), (0.42, 0.2, 0.08), (0.62, 0.42, 0.2), (0.3, 0.42, 0.12), (0.6, 0.12, 0.08)),
        np.float32,
    )
    around_tip = azimuth(on.at.at(0.0, 0.75))
    fibres = np.sin(around_tip * np.float32(rng.uniform(40, 90)) + 2 * fractal_noise(rng, side, side / 3, octaves=4))
    fibres = fibres * np.clip(0.6 + smooth_noise(rng, side, side / 6), 0, 1)
    tone = (
        1
        + np.float32(rng.uniform(0.0, 0.09)) * fibres
        + np.float32(0.1) * fractal_noise(rng, side, side / 5, octaves=4)
    )
    albedo = brown * tone[..., None]
    cap = np.clip(
        (on.at.y - np.float32(rng.uniform(0.3, 0.6)) + smooth_noise(rng, side, side / 8) * np.float32(0.04)) * 8, 0, 1
    )
    albedo += cap[..., None] * np.float32(rng.uniform(0, 1)) * (np.asarray((0.7, 0.58, 0.4), np.float32) - albedo)
    relief = dome(body, 0.85) * np.float32(0.65) + fibres * np.float32(0.002)
    on.lay(body, coat(albedo.clip(0, 1).astype(np.float32), 0.35), relief)
    on.material = "nut"
    return on.done(("hazelnut", "nut", "fruit", "food"))


def scan(rng: np.random.Generator, side: int) -> Scene:
    """A radiograph or a slice of a body: soft bright shapes, nested and mirrored, in the dark."""
    at = frame(side, rng.uniform(0.85, 1.0), 0.0, rng.normal(0, 0.02), rng.normal(0, 0.08))
    on = Bench(rng, side, at, coat((0.02, 0.02, 0.02), 0.0, np.zeros((side, side), np.float32)).copy())
    warp = smooth_noise(rng, side, side / 3) * np.float32(0.03)
    outline = ellipse(at, rng.uniform(0.7, 0.92), rng.uniform(0.75, 0.95), rng.uniform(2, 2.8)) + warp
    tone = np.float32(0.3) + bevel(outline, 0.1) * np.float32(rng.uniform(-0.15, 0.15))
    shell = np.exp(-(((outline + np.float32(0.08)) / np.float32(rng.uniform(0.02, 0.05))) ** 2))
    tone = tone + shell * np.float32(rng.uniform(0, 0.5))
    mirrored = at._replace(x=np.abs(at.x))
    pairs = rng.uniform([0.1, -0.6, -0.35, 0.06, 0.1], [0.45, 0.6, 0.35, 0.28, 0.4], (int(rng.integers(2, 6)), 5))
    for x, y, depth, wide, high in pairs.tolist():
        organ = ellipse(mirrored.at(x, y, rng.uniform(-0.6, 0.6)), wide, high) + warp
        tone = tone + bevel(organ, rng.uniform(0.04, 0.15)) * np.float32(depth)
    if rng.random() < 0.4:
        ribs = np.sin((at.y + np.float32(0.5) * np.abs(at.x)) * np.float32(rng.uniform(15, 25))) ** 4
        tone = tone + ribs * bevel(outline + 0.1, 0.2) * np.float32(0.15)
    tone = tone + fractal_noise(rng, side, side / 10, octaves=4) * np.float32(0.03)
    tint = jitter(rng, (0.9, 0.9, 0.9), 0.01) if rng.random() < 0.9 else jitter(rng, (0.7, 0.8, 0.95))
    on.lay(
        outline, coat(np.clip(tone[..., None] * np.asarray(tint, np.float32), 0, 1).astype(np.float32), 0.0), shade=0
    )
    on.material = "tissue"
    return on.done(("scan", "radiograph", "X-ray image", "medical image"))


def tray(rng: np.random.Generator, side: int) -> Scene:
    """A kit in a tray with pockets: a different small part in each, all of them counted."""
    on = bench(rng, side)
    columns, rows = int(rng.integers(2, 4)), int(rng.integers(2, 4))
    outline = box(on.at, 0.97, 0.97, 0.06)
    on.lay(outline, on.paint(any_colour(rng, low=0.04, high=0.6), 0.25), bevel(outline, 0.04) * np.float32(0.1))
    pitch = np.array([1.86 / columns, 1.86 / rows], np.float32)
    places = cells(on.at, lattice(columns, rows, *pitch))
    pockets = box(places.frame, float(pitch[0]) * 0.44, float(pitch[1]) * 0.44, 0.05)
    on.print_on(fill_outline(pockets, on.at.scale), coat(on.surface.albedo * np.float32(0.75), 0.2), 0.02)
    under, size = on.layer(), float(pitch.min()) * 0.36
    count = columns * rows
    turns = rng.uniform(0, 6, count) if rng.random() < 0.5 else np.zeros(count)
    inside = cells(
        on.at,
        lattice(columns, rows, *pitch) + rng.normal(0, 0.015, (count, 2)).astype(np.float32),
        turns.astype(np.float32),
    )
    at = inside.frame
    shapes = (
        circle(at, size),
        ring(at, size * 0.5, size),
        box(at, size * 0.8, size * 0.6, 0.03),
        slot(at, size * 0.6, size * 0.3),
    )
    kind = np.resize(rng.permutation(4)[: int(rng.integers(1, 5))], count)[inside.number]
    parts: Grid = np.choose(kind, shapes)
    colours = np.array([any_colour(rng, low=0.15) for _ in range(4)], np.float32)
    gloss = float(rng.uniform(0.2, 0.8))
    on.lay(parts, on.paint(colours[kind], gloss), dome(parts, size * 0.4) * np.float32(size * 0.4), shade=0.6)
    on.pieces_of("part", parts, inside.number, under, 3.0)
    on.material = "plastic"
    return on.done(("kit", "tray of parts", "assortment"))


PACKED: dict[str, Part] = {
    "pill": Part(("pill", "tablet"), pill),
    "blister": Part(("blister pack",), blister),
    "candles": Part(("candle", "candles"), candles),
    "cookie": Part(("cookie", "biscuit"), cookie),
    "pasta": Part(("macaroni", "pasta"), pasta),
    "hazelnut": Part(("hazelnut", "nut"), hazelnut),
    "scan": Part(("scan", "radiograph"), scan),
    "tray": Part(("kit", "tray of parts"), tray),
}
