"""Round parts: washers, nuts, gears, bearings, rings, coins, caps, bottle mouths, castings, tubes, buttons."""

from __future__ import annotations

import numpy as np

from blemish.synth.drawn.glyphs import arc, word
from blemish.synth.drawn.outlines import (
    Grid,
    around,
    azimuth,
    bevel,
    box,
    cells,
    circle,
    dome,
    overlap,
    polygon,
    radius,
    ring,
    slot,
    subtract,
    teeth,
    union,
)
from blemish.synth.drawn.parts.assembly import BARE, METAL, Bench, any_colour, bench, coat, jitter, one_of
from blemish.synth.drawn.scene import Part, Scene


def washer(rng: np.random.Generator, side: int) -> Scene:
    """A flat ring of metal, sometimes with a slit, lugs or a chamfer."""
    on = bench(rng, side, free=True)
    hole = rng.uniform(0.35, 0.65)
    outline = ring(on.at, hole, 0.98)
    if rng.random() < 0.25:
        outline = union(
            outline, overlap(teeth(on.at, int(rng.integers(3, 12)), 0.8, 1.05, 0.5, 0.2), -circle(on.at, hole))
        )
    if rng.random() < 0.2:
        outline = subtract(outline, box(on.at.at(0.8, 0.0, 0.3), 0.4, 0.025))
    on.lay(outline, on.sheet(*METAL), bevel(outline, rng.uniform(0.02, 0.12)) * np.float32(0.04))
    return on.done(("washer", "metal ring", "flat washer"))


def hex_nut(rng: np.random.Generator, side: int) -> Scene:
    """A nut from above: chamfered flats and a thread of concentric turns in its hole."""
    on = bench(rng, side, free=True)
    corners = 4 if rng.random() < 0.12 else 6
    body = subtract(polygon(on.at, corners, 0.8), -circle(on.at, 0.9))
    flange = circle(on.at, rng.uniform(0.9, 1.0))
    if rng.random() < 0.25:
        on.lay(flange, on.sheet(*METAL), bevel(flange, 0.1) * np.float32(0.05))
    chamfer = bevel(circle(on.at, 0.88), rng.uniform(0.12, 0.25))
    on.lay(body, on.sheet(*METAL), (bevel(body, 0.05) + chamfer) * np.float32(0.06))
    _threaded_hole(on, rng.uniform(0.38, 0.5))
    return on.done(("hex nut", "nut", "metal nut"))


def _threaded_hole(on: Bench, size: float) -> None:
    """A hole whose wall shows a few turns of thread before it gets dark."""
    under = on.layer()
    distance = circle(on.at, size)
    depth = np.clip(-distance / np.float32(0.14), 0, 1)
    turns = np.float32(0.5) + np.float32(0.5) * np.cos(depth * 3 * 2 * np.pi + azimuth(on.at))
    metal = on.surface.albedo * (np.float32(0.75) * (1 - depth) * (0.35 + 0.65 * turns))[..., None]
    share = np.clip(0.5 - distance * np.float32(on.at.scale), 0, 1)
    wall = coat(metal, 0.5)
    on.print_on(share, wall, -depth * np.float32(0.06))
    on.cut(circle(on.at, size - 0.13))
    on.piece("hole", distance < 0.01, under)


def gear(rng: np.random.Generator, side: int) -> Scene:
    """A spur gear with a bore, a keyway, and often a hub, spokes or lightening holes."""
    on = bench(rng, side, free=True)
    count, depth = int(rng.integers(9, 42)), rng.uniform(0.08, 0.2)
    outline = teeth(on.at, count, 1 - depth, 1.0, rng.uniform(0.4, 0.55), rng.uniform(0.2, 0.6))
    under = on.layer()
    sheet = on.sheet(*METAL) if rng.random() < 0.75 else on.paint(any_colour(rng, low=0.3), 0.3)
    relief = bevel(outline, 0.04) * np.float32(0.05)
    hub = rng.uniform(0.28, 0.45)
    if rng.random() < 0.6:
        relief = relief - bevel(ring(on.at, hub, rng.uniform(0.65, 0.8)), 0.05) * np.float32(0.05)
    on.lay(outline, sheet, relief)
    sector = np.floor(np.mod(azimuth(on.at) * (count / (2 * np.pi)), count)).astype(np.intp)
    tooth = np.maximum(outline, -circle(on.at, 1 - depth * 0.9))
    on.pieces_of("tooth", tooth, sector, under)
    _holes(on, around(int(rng.integers(3, 7)), 0.6, rng.uniform(0, 6)), rng.uniform(0.07, 0.14), rng.random() < 0.4)
    bore = rng.uniform(0.12, 0.22)
    on.cut(union(circle(on.at, bore), box(on.at.at(bore, 0.0), 0.06, 0.04)))
    return on.done(("gear", "cog wheel", "gearwheel"))


def _holes(on: Bench, centres: Grid, size: float, wanted: bool) -> None:
    """Round holes through a part, each of them a piece."""
    if not wanted:
        return
    under = on.layer()
    places = cells(on.at, centres)
    holes = circle(places.frame, size)
    on.cut(holes)
    on.pieces_of("hole", holes, places.number, under)


def bearing(rng: np.random.Generator, side: int) -> Scene:
    """A ball bearing: two races and a cage of balls, or of rollers, between them."""
    on = bench(rng, side, free=True)
    bore, wall = rng.uniform(0.35, 0.5), rng.uniform(0.1, 0.15)
    for inner, outer in ((bore, bore + wall), (0.98 - wall, 0.98)):
        race = ring(on.at, inner, outer)
        on.lay(race, on.sheet("milled", "ground", "polished"), dome(race, 0.05) * np.float32(0.04))
    gap = ring(on.at, bore + wall, 0.98 - wall)
    middle, room = (bore + 0.98) / 2, (0.98 - bore) / 2 - wall
    on.lay(gap, on.paint(one_of(rng, (0.06, 0.06, 0.06), (0.4, 0.28, 0.1), (0.1, 0.13, 0.1)), 0.3), -0.05, shade=0)
    under = on.layer()
    most = int(2 * np.pi * middle / (2 * room + 0.02))
    places = cells(on.at, around(max(most - int(rng.integers(4)), 5), middle, rng.uniform(0, 6)))
    balls = circle(places.frame, room * 0.94)
    on.lay(balls, on.paint(jitter(rng, (0.72, 0.73, 0.75)), 0.9), dome(balls, room) * np.float32(room * 0.8), shade=0.7)
    on.pieces_of("ball", balls, places.number, under)
    return on.done(("ball bearing", "bearing"))


def rubber_ring(rng: np.random.Generator, side: int) -> Scene:
    """An O-ring: a thin round ring of rubber."""
    on = bench(rng, side, free=True)
    thick = rng.uniform(0.1, 0.3)
    outline = ring(on.at, 0.96 - thick, 0.96)
    dark = one_of(rng, (0.05, 0.05, 0.05), (0.05, 0.05, 0.06), (0.45, 0.13, 0.06), (0.1, 0.3, 0.12), (0.6, 0.6, 0.58))
    sheet = on.sheet("rubber") if rng.random() < 0.5 else on.paint(dark, rng.uniform(0.2, 0.6))
    on.lay(outline, sheet, dome(outline, thick / 2) * np.float32(thick * 0.4))
    on.material = on.material or "rubber"
    return on.done(("O-ring", "rubber ring", "gasket", "seal"))


def coin(rng: np.random.Generator, side: int) -> Scene:
    """A coin or token: a rim, raised lettering around and an emblem in the middle."""
    on = bench(rng, side, free=True)
    outline = circle(on.at, 0.97)
    metal = one_of(rng, (0.7, 0.5, 0.2), (0.7, 0.7, 0.68), (0.6, 0.33, 0.18))
    sheet = on.sheet("brass", "copper", "ground", "sandblasted") if rng.random() < 0.5 else on.paint(metal, 0.6)
    on.material = on.material or "metal"
    relief = bevel(outline, 0.03) - bevel(circle(on.at, rng.uniform(0.82, 0.9)), 0.04) * np.float32(0.6)
    on.lay(outline, sheet, relief * np.float32(0.03))
    if rng.random() < 0.4:
        middle = circle(on.at, rng.uniform(0.5, 0.65))
        on.lay(middle, on.paint(one_of(rng, (0.7, 0.5, 0.2), (0.7, 0.7, 0.68)), 0.6), 0.012, shade=0.15)
    under = on.layer()
    size = rng.uniform(0.14, 0.2)
    for ink in arc(on.at, word(rng, least=5, most=12), size, rng.uniform(0.66, 0.72), rng.uniform(0, 6)):
        on.emboss(ink * np.float32(0.02))
        on.piece("letter", ink > 0.15, under)
    points = int(rng.integers(3, 9))
    emblem = teeth(on.at.turned(rng.uniform(0, 6)), points, rng.uniform(0.12, 0.25), rng.uniform(0.3, 0.45), 0.5, 1.0)
    on.emboss(bevel(emblem, 0.06) * np.float32(0.03))
    return on.done(("coin", "token", "medal"))


def bottle_cap(rng: np.random.Generator, side: int) -> Scene:
    """A crown or screw cap from above: a scalloped or knurled edge around a printed lid."""
    on = bench(rng, side, free=True)
    count = int(rng.choice([21, 24, 36, 60, 90]))
    outline = teeth(on.at, count, 0.91, 0.98, 0.5, 0.9)
    lid = circle(on.at, rng.uniform(0.74, 0.85))
    colour = any_colour(rng, low=0.2)
    relief = dome(outline, 0.25) * np.float32(0.1) - bevel(lid, 0.06) * np.float32(rng.uniform(0, 0.03))
    on.lay(outline, on.paint(colour, rng.uniform(0.3, 0.8)), relief)
    disc = circle(on.at, rng.uniform(0.4, 0.7))
    under = on.layer()
    if rng.random() < 0.6:
        on.print_on(np.clip(0.5 - disc * on.at.scale, 0, 1), on.paint(any_colour(rng), 0.4))
        on.piece("emblem", disc < 0.01, under)
    under = on.layer()
    ink = on.paint(one_of(rng, (0.9, 0.9, 0.9), (0.05, 0.05, 0.05), colour[::-1]), 0.4)
    for share in arc(on.at, word(rng, least=4, most=10), 0.22, 0.48, rng.uniform(0, 6)):
        on.print_on(share, ink)
        on.piece("letter", share > 0.15, under)
    on.material = "plastic" if count > 30 else "metal"
    return on.done(("bottle cap", "cap", "crown cork", "lid"))


def bottle_mouth(rng: np.random.Generator, side: int) -> Scene:
    """A bottle from straight above: rings of glass lit from within, and the dark mouth."""
    on = bench(rng, side, free=True)
    tint = one_of(
        rng, (0.06, 0.055, 0.07), (0.12, 0.07, 0.03), (0.05, 0.12, 0.06), (0.3, 0.36, 0.36), (0.5, 0.55, 0.56)
    )
    outer = circle(on.at, 0.98)
    mouth = rng.uniform(0.4, 0.6)
    around_it = azimuth(on.at)
    wander = np.float32(0.012) * np.sin(around_it * int(rng.integers(1, 4)) + np.float32(rng.uniform(0, 6)))
    reach = radius(on.at) + wander
    tone = np.full((side, side), 1, np.float32)
    relief = dome(outer, 0.3) * np.float32(0.12)
    for _ in range(int(rng.integers(5, 11))):
        place, width = rng.uniform(mouth, 0.95), rng.uniform(0.01, 0.07)
        bump = np.exp(-(((reach - np.float32(place)) / np.float32(width)) ** 2))
        uneven = 1 + np.float32(0.4) * np.cos(around_it - np.float32(rng.uniform(0, 6)))
        tone += np.float32(rng.uniform(-0.6, 1.6)) * bump * uneven
        relief = relief + np.float32(rng.uniform(-0.5, 1) * width * 0.6) * bump
    albedo = np.maximum(tone, 0.15)[..., None] * np.asarray(tint, np.float32)
    lip = np.exp(-(((reach - np.float32(rng.uniform(mouth + 0.1, 0.85))) / np.float32(rng.uniform(0.008, 0.02))) ** 2))
    glow = np.asarray(one_of(rng, (0.8, 0.4, 0.2), (0.8, 0.8, 0.8), (0.4, 0.7, 0.5)), np.float32)
    share = lip * np.clip(0.5 + on.mottle(0.3, 0.3) + 0.3 * np.cos(around_it - np.float32(rng.uniform(0, 6))), 0, 1)
    albedo += share[..., None] * (glow - albedo)
    on.lay(outer, coat(albedo.clip(0, 1), 0.75, on.mottle(0.05, 0.2)), relief, shade=0.25)
    hole = circle(on.at, mouth)
    inside = np.clip(reach / np.float32(mouth), 0, 1) ** 2 * np.float32(rng.uniform(0.0, 0.5))
    floor = np.asarray(jitter(rng, (0.03, 0.03, 0.04), 0.01), np.float32) + inside[..., None] * np.asarray(
        tint, np.float32
    )
    on.lay(hole, coat(floor, 0.15), -bevel(hole, 0.1) * np.float32(0.03), shade=0)
    on.material, words = "glass", ("bottle", "bottle mouth", "glass bottle from above", "jar")
    return on.done(words)


def casting(rng: np.random.Generator, side: int) -> Scene:
    """A cast disc such as a pump's impeller or cover: hub, vanes or ribs, bore and bolt holes."""
    on = bench(rng, side, free=True)
    outline = circle(on.at, 0.98)
    sheet = on.sheet("cast", "sandblasted", "milled", "painted_metal")
    on.lay(outline, sheet, dome(outline, 0.08) * np.float32(0.08))
    step = circle(on.at, rng.uniform(0.7, 0.9))
    relief = bevel(step, 0.08) * np.float32(rng.choice([-1, 1]) * rng.uniform(0.02, 0.06))
    count, bend = int(rng.integers(3, 8)), rng.uniform(-1.5, 1.5)
    spiral = on.at.turned(rng.uniform(0, 6))
    phase = np.mod(azimuth(spiral) * count / (2 * np.pi) + radius(on.at) * np.float32(bend * count / 6), 1) - 0.5
    vane = np.abs(phase) * radius(on.at) * np.float32(2 * np.pi / count) - np.float32(rng.uniform(0.04, 0.1))
    if rng.random() < 0.7:
        relief = relief + bevel(overlap(vane, ring(on.at, 0.25, 0.8)), 0.05) * np.float32(0.06)
    hub = circle(on.at, rng.uniform(0.25, 0.38))
    on.emboss(relief * np.clip(0.5 - outline * on.at.scale, 0, 1) + bevel(hub, 0.06) * np.float32(0.06))
    _holes(
        on, around(int(rng.integers(3, 9)), rng.uniform(0.75, 0.85), 0.2), rng.uniform(0.04, 0.07), rng.random() < 0.6
    )
    _holes(on, np.zeros((1, 2), np.float32), rng.uniform(0.08, 0.18), rng.random() < 0.85)
    return on.done(("casting", "impeller", "cast disc", "pump cover"))


def tube_end(rng: np.random.Generator, side: int) -> Scene:
    """The cut end of a tube, or of several coaxial ones, seen along the axis."""
    on = bench(rng, side, free=True)
    outer, wall = 0.97, rng.uniform(0.06, 0.2)
    for _ in range(int(rng.integers(1, 3))):
        wallring = ring(on.at, outer - wall, outer)
        sheet = on.sheet(*BARE, "copper", "plastic") if rng.random() < 0.7 else on.paint(any_colour(rng), 0.3)
        on.lay(wallring, sheet, bevel(wallring, 0.04) * np.float32(0.06))
        bore = circle(on.at, outer - wall)
        depth = np.clip(-bore / np.float32(outer - wall), 0, 1)
        dark = on.surface.albedo.mean((0, 1)) * (np.float32(0.55) * (1 - depth) ** 2)[..., None]
        on.lay(bore, coat(np.clip(dark, 0, 1), 0.3), -0.05, shade=0)
        outer, wall = outer - wall - rng.uniform(0.08, 0.2), rng.uniform(0.06, 0.15)
    return on.done(("tube end", "pipe end", "tube"))


def button(rng: np.random.Generator, side: int) -> Scene:
    """A button with a rim and two or four holes."""
    on = bench(rng, side, free=True)
    outline = circle(on.at, 0.95) if rng.random() < 0.8 else polygon(on.at, int(rng.integers(4, 9)), 0.85)
    sheet = on.sheet("plastic", "wood", "brass") if rng.random() < 0.4 else on.paint(any_colour(rng), 0.5, 0.06)
    rim = bevel(circle(on.at, rng.uniform(0.65, 0.8)), 0.12)
    on.lay(outline, sheet, dome(outline, 0.15) * np.float32(0.1) - rim * np.float32(0.06))
    count = int(rng.choice([2, 3, 4, 4]))
    _holes(on, around(count, rng.uniform(0.2, 0.28), rng.uniform(0, 6)), rng.uniform(0.07, 0.11), True)
    return on.done(("button", "sewing button"))


def retaining_ring(rng: np.random.Generator, side: int) -> Scene:
    """A circlip: an open ring whose two ends are eyes."""
    on = bench(rng, side, free=True)
    thick, gap = rng.uniform(0.09, 0.18), rng.uniform(0.12, 0.5)
    open_ring = subtract(ring(on.at, 0.9 - thick, 0.9), overlap(np.abs(azimuth(on.at)) - np.float32(gap), -on.at.x))
    ends = [on.at.turned(angle).at(0.9 - thick, 0.0) for angle in (gap, -gap)]
    eyes = union(*(circle(end, thick * 0.95) for end in ends))
    outline = union(open_ring, eyes)
    on.lay(outline, on.sheet(*BARE, "painted_metal"), bevel(outline, 0.04) * np.float32(0.04))
    under = on.layer()
    for end in ends:
        eye = circle(end, thick * 0.4)
        on.cut(eye)
        on.piece("hole", eye < 0.01, under)
    return on.done(("retaining ring", "circlip", "snap ring"))


def screw_head(rng: np.random.Generator, side: int) -> Scene:
    """A screw's head from above with its drive: slot, cross, hexagon or star."""
    on = bench(rng, side, free=True)
    if rng.random() < 0.4:
        around_head = circle(on.at, 0.99)
        on.lay(around_head, on.sheet(*METAL), bevel(around_head, 0.05) * np.float32(0.04))
    head = circle(on.at, rng.uniform(0.75, 0.85))
    on.lay(head, on.sheet(*METAL, "painted_metal"), dome(head, rng.uniform(0.1, 0.8)) * np.float32(0.15))
    under = on.layer()
    kind, size = rng.random(), rng.uniform(0.3, 0.42)
    cross = union(slot(on.at, size, 0.07), slot(on.at.turned(np.pi / 2), size, 0.07), circle(on.at, 0.16))
    drive = (
        cross if kind < 0.4 else polygon(on.at, 6, size) if kind < 0.65 else teeth(on.at, 6, size * 0.8, size, 0.5, 1.0)
    )
    drive = box(on.at, 0.9, 0.07) if kind > 0.85 else drive
    drive = overlap(drive, head)
    dark = coat(on.surface.albedo * np.float32(0.35), 0.3)
    on.print_on(np.clip(0.5 - drive * on.at.scale, 0, 1), dark, 0.02)
    on.piece("drive", drive < 0.015, under)
    return on.done(("screw head", "screw from above", "bolt head"))


TURNED: dict[str, Part] = {
    "washer": Part(("washer", "metal ring"), washer),
    "hex_nut": Part(("hex nut", "nut"), hex_nut),
    "gear": Part(("gear", "cog wheel"), gear),
    "bearing": Part(("ball bearing", "bearing"), bearing),
    "rubber_ring": Part(("O-ring", "rubber ring", "gasket"), rubber_ring),
    "coin": Part(("coin", "token"), coin),
    "bottle_cap": Part(("bottle cap", "cap", "lid"), bottle_cap),
    "bottle_mouth": Part(("bottle", "bottle mouth"), bottle_mouth),
    "casting": Part(("casting", "impeller"), casting),
    "tube_end": Part(("tube end", "pipe end"), tube_end),
    "button": Part(("button",), button),
    "retaining_ring": Part(("retaining ring", "circlip"), retaining_ring),
    "screw_head": Part(("screw head", "bolt head"), screw_head),
}
