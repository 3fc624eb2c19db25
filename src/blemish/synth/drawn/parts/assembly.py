"""Parts are put together here: a background, layers of material on it, holes through them, and their pieces."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from blemish.synth.drawn.fields import smooth_noise
from blemish.synth.drawn.materials.materials import MATERIALS
from blemish.synth.drawn.outlines import Frame, Grid, Value, fill_outline, frame
from blemish.synth.drawn.scene import Mask, Piece, Scene, Surface

Rgb = tuple[float, float, float]
Numbered = NDArray[np.integer]  # (H, W)

BARE = ("brushed_metal", "ground", "milled", "polished", "cast", "sandblasted")
METAL = (*BARE, "brass", "copper", "anodised", "galvanised")
TRAYS = (
    "rubber",
    "fabric",
    "twill",
    "felt",
    "painted",
    "plastic",
    "wood",
    "paper",
    "concrete",
    "foam",
    "brushed_metal",
)


def pose(rng: np.random.Generator, side: int, *, free: bool = False, longish: bool = False) -> Frame:
    """A frame as a fixture would hold a part (usually) or as it may lie (sometimes); `free` parts have no upright."""
    wide = rng.random() < 0.2
    unit = rng.uniform(0.6, 1.1) if wide else rng.uniform(0.72, 0.96)
    unit *= 1.1 if longish else 1.0
    off = rng.normal(0, 0.13 if wide else 0.025, 2).clip(-0.25, 0.25)
    angle = rng.uniform(-np.pi, np.pi)
    if not free and rng.random() < (0.45 if longish else 0.8):
        angle = rng.integers(4) * (np.pi / 2) + rng.normal(0, 0.03)
    return frame(side, float(unit), float(off[0]), float(off[1]), float(angle))


def jitter(rng: np.random.Generator, colour: Rgb, spread: float = 0.04) -> Rgb:
    """A colour near `colour`: lighter or darker by up to a fifth, and each channel off by about `spread`."""
    moved = np.asarray(colour) * rng.uniform(0.8, 1.2) + rng.normal(0, spread, 3)
    red, green, blue = moved.clip(0.01, 0.97)
    return float(red), float(green), float(blue)


def any_colour(rng: np.random.Generator, *, low: float = 0.05, high: float = 0.9) -> Rgb:
    """Any colour, mostly muted: a grey of any depth moved towards a hue."""
    value, depth = rng.uniform(low, high), rng.beta(1.0, 1.6)
    hue = rng.uniform(0, 2 * np.pi) + np.array([0, 2.094, 4.189])
    red, green, blue = (value * (1 - depth * (0.5 - 0.5 * np.cos(hue)))).clip(0.01, 0.97)
    return float(red), float(green), float(blue)


def one_of(rng: np.random.Generator, *colours: Rgb) -> Rgb:
    """One of the given colours, jittered."""
    return jitter(rng, colours[int(rng.integers(len(colours)))])


def coat(colour: Rgb | Grid, gloss: float, mottle: Grid | None = None) -> Surface:
    """A sheet of one colour, or of a colour a pixel (H, W, 3); `mottle` (H, W) lightens where positive."""
    shape = np.shape(mottle) if mottle is not None else np.shape(colour)[:2]
    albedo = np.asarray(colour, np.float32)
    if mottle is not None:
        albedo = np.clip(albedo * (1 + mottle[..., None]), 0, 1)
    height, width = shape
    flat = np.broadcast_to(np.float32(0), (height, width))
    return Surface(
        np.broadcast_to(albedo, (height, width, 3)), flat, np.broadcast_to(np.float32(gloss), (height, width))
    )


class Bench:
    """A scene being put together from the background up."""

    def __init__(self, rng: np.random.Generator, side: int, at: Frame, background: Surface) -> None:
        self.rng, self.side, self.at = rng, side, at
        self.behind = background
        self.surface = background.copy()
        self.whole: Grid = np.zeros((side, side), np.float32)
        self.pieces: list[Piece] = []
        self.material = ""
        self.grain = 0.0
        self.light = rng.normal(0, 1, 2)
        self._fine = smooth_noise(rng, side, 2.0)
        self._broad = smooth_noise(rng, side, side / 4)

    def mottle(self, amount: float = 0.02, broad: float = 0.5) -> Grid:
        """Unevenness of a plain colour: a share of slow change and the rest fine grain; somewhere else at each call."""
        rows, columns = self.rng.integers(0, self.side, 2)
        fine = np.roll(self._fine, (int(rows), int(columns)), (0, 1))
        return np.float32(amount) * (np.float32(1 - broad) * fine + np.float32(broad) * self._broad)

    def paint(self, colour: Rgb | Grid, gloss: float = 0.3, amount: float = 0.03) -> Surface:
        """A plain sheet of this colour, slightly uneven as every real one is."""
        return coat(colour, gloss, self.mottle(amount))

    def sheet(self, *kinds: str) -> Surface:
        """A sheet of one of these materials; the first sheet drawn names the material of the part."""
        sheet, word, grain = material(self.rng, self.side, kinds)
        if not self.material:
            self.material, self.grain = word, grain
        return sheet

    def shadow(self, distance: Grid, depth: float = 0.5, reach: float = 0.06) -> None:
        """Darken what lies around an outline: close to it on all sides, and a little further on one."""
        scale = self.at.scale
        down, across = (self.light * reach * scale * 0.5).clip(-8, 8)
        cast = np.minimum(distance, _moved(distance, round(down), round(across)))
        dark = np.float32(depth) * np.exp(-np.maximum(cast, 0) / np.float32(reach))
        self.surface.albedo *= (1 - dark)[..., None]
        self.surface.gloss *= 1 - dark

    def lay(
        self, distance: Grid, sheet: Surface, height: Value = 0.0, *, shade: float = 0.45, of_part: bool = True
    ) -> Grid:
        """Put a sheet on top within an outline, `height` units up; returns its cover (H, W), 0 to 1."""
        if shade > 0:
            self.shadow(distance, shade)
        share = fill_outline(distance, self.at.scale)
        self.print_on(share, sheet, height)
        if of_part:
            np.maximum(self.whole, share, out=self.whole)
        return share

    def print_on(self, share: Grid, sheet: Surface, height: Value | None = None) -> None:
        """Cover a share of each pixel with a sheet; with `height` None the relief below stays."""
        surface = self.surface
        surface.albedo += share[..., None] * (sheet.albedo - surface.albedo)
        surface.gloss += share * (sheet.gloss - surface.gloss)
        if height is not None:
            raised = sheet.height + np.float32(height) * np.float32(self.at.scale)
            surface.height += share * (raised - surface.height)

    def emboss(self, height: Grid) -> None:
        """Raise (or with negative values sink) what is there, in units."""
        self.surface.height += height.astype(np.float32) * np.float32(self.at.scale)

    def cut(self, distance: Grid, depth: float = 0.05) -> None:
        """Take everything laid so far away within an outline: the background shows, in the shadow of the edge."""
        share = fill_outline(distance, self.at.scale)
        dark = np.float32(0.75) * np.exp(np.minimum(_moved(distance, *self._cast()), 0) / np.float32(0.12))
        albedo = self.behind.albedo * (1 - np.clip(dark, 0, 0.8))[..., None]
        self.print_on(share, Surface(albedo, self.behind.height, self.behind.gloss * (1 - dark)), -depth)
        self.whole *= 1 - share

    def _cast(self) -> tuple[int, int]:
        down, across = (self.light * 0.04 * self.at.scale).clip(-6, 6)
        return round(down), round(across)

    def layer(self) -> Surface:
        """What is there now, kept for the `under` of pieces laid next."""
        return self.surface.copy()

    def piece(self, name: str, mask: Mask, under: Surface) -> None:
        """Name a countable thing; one that has hardly a pixel in the picture is not counted."""
        if np.count_nonzero(mask) >= 6:
            self.pieces.append(Piece(name, mask, under))

    def pieces_of(
        self, name: str, distance: Grid, number: NDArray[np.integer], under: Surface, reach: float = 1.5
    ) -> None:
        """Each numbered cell of an outline, with `reach` pixels around it, is one piece."""
        near = distance * np.float32(self.at.scale) < reach
        for each in np.unique(number[near]):
            self.piece(name, near & (number == each), under)

    def done(self, words: Iterable[str]) -> Scene:
        """The finished scene; a part that leaves hardly anything free is the whole picture, with nothing behind it."""
        surface = self.surface
        np.clip(surface.albedo, 0, 1, out=surface.albedo)
        np.clip(surface.gloss, 0, 1, out=surface.gloss)
        part = self.whole > 0.5
        fills = bool(part.mean() > 0.96)
        part |= fills
        product = tuple(words)
        behind = None if fills else self.behind
        return Scene(surface, part, behind, self.pieces, product, self.material or "plastic", self.grain)


def _moved(plane: Grid, down: int, across: int) -> Grid:
    rows = np.clip(np.arange(plane.shape[0]) - down, 0, plane.shape[0] - 1)
    columns = np.clip(np.arange(plane.shape[1]) - across, 0, plane.shape[1] - 1)
    return plane[rows][:, columns]


def material(rng: np.random.Generator, side: int, kinds: Iterable[str]) -> tuple[Surface, str, float]:
    """A sheet of one of the materials whose names hold one of `kinds` (any material if none does), its word, grain."""
    names = sorted(name for name in MATERIALS if any(kind in name for kind in kinds)) or sorted(MATERIALS)
    chosen = MATERIALS[names[int(rng.integers(len(names)))]]
    grain = float(rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.05)) if rng.random() < 0.6 else rng.uniform(0, np.pi)
    return chosen.draw(rng, side, grain), chosen.words[0], grain


def background(rng: np.random.Generator, side: int, *kinds: str) -> Surface:
    """What a part lies on: usually a plain field, light, dark or coloured, else a sheet of a tray's material."""
    if rng.random() < 0.35 or kinds:
        sheet = material(rng, side, kinds or TRAYS)[0]
        sheet.height *= np.float32(0.6)
        sheet.albedo *= np.float32(rng.uniform(0.5, 1.0))
        return sheet
    kind = rng.random()
    if kind < 0.3:
        colour = jitter(rng, (0.88, 0.88, 0.88), 0.01)
    elif kind < 0.65:
        colour = jitter(rng, (0.05, 0.05, 0.055), 0.01)
    elif kind < 0.85:
        grey = rng.uniform(0.1, 0.7)
        colour = jitter(rng, (grey, grey, grey), 0.015)
    else:
        colour = any_colour(rng)
    rough = np.float32(rng.uniform(0, 0.04)) * smooth_noise(rng, side, rng.uniform(1.5, 6))
    plain = coat(colour, float(rng.uniform(0, 0.4)), rough).copy()
    plain.height += rough * np.float32(rng.uniform(0, 8))
    return plain


def bench(rng: np.random.Generator, side: int, *, free: bool = False, longish: bool = False, on: str = "") -> Bench:
    """A posed frame over a background, `on` a kind of material if one is wanted."""
    at = pose(rng, side, free=free, longish=longish)
    return Bench(rng, side, at, background(rng, side, *((on,) if on else ())))
