"""Small generated scenes, each made so that one claim can fail: batches of pictures, of which every second is flawed.

The same number gives the same batch, and `test` pictures are of parts that training never shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from blemish.synth.published.nsa import nsa
from blemish.types import GOOD, Batch

SIDE = 96
Picture = NDArray[np.float64]  # (H, W, 3)
Mask = NDArray[np.bool_]
Draw = Callable[[np.random.Generator, bool, bool], tuple[Picture, Mask, str]]
"""(random numbers, whether it is flawed, whether it is of the test) -> the picture, where the flaw is, its type."""


class Scene(NamedTuple):
    """What is drawn, by its name."""

    name: str
    batch: Callable[[int, int, bool], Batch]  # (number, count, test) -> so many pictures, the odd ones flawed
    source: Callable[..., object]  # what draws it


def scene(draw: Draw) -> Scene:
    """Batches of what is drawn, by the name of what draws it."""

    def batch(number: int, count: int, test: bool) -> Batch:
        rng = np.random.default_rng((number, int(test)))
        drawn = [draw(rng, bool(at % 2), test) for at in range(count)]
        images = torch.from_numpy(np.stack([each[0] for each in drawn])).float().clamp(0, 1).permute(0, 3, 1, 2)
        masks = torch.from_numpy(np.stack([each[1] for each in drawn]))
        types = tuple(kind if mask.any() else GOOD for _, mask, kind in drawn)
        return Batch(images.contiguous(), masks, masks.flatten(1).any(1), types)

    return Scene(draw.__name__, batch, draw)


def noise(rng: np.random.Generator, sigma: float, size: float) -> Picture:
    """Blurred noise of a deviation, the same in all colours."""
    found = ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), size)
    return np.repeat((sigma * found / found.std())[..., None], 3, 2)


def blob(rng: np.random.Generator, low: float, high: float, inside: Mask | None = None) -> Mask:
    """An ellipse whose axes are between these, in pixels, its middle inside a mask if there is one."""
    rows, columns = np.nonzero(inside if inside is not None else np.ones((SIDE, SIDE), bool))
    at = int(rng.integers(len(rows)))
    y, x = np.mgrid[:SIDE, :SIDE]
    a, b = rng.uniform(low, high, 2)
    return ((y - rows[at]) / a) ** 2 + ((x - columns[at]) / b) ** 2 <= 1


def plain(rng: np.random.Generator) -> Picture:
    """A grey part with little grain."""
    return 0.5 + noise(rng, 0.03, 1.0)


def darker(picture: Picture, mask: Mask, by: float = 0.25) -> Picture:
    """The same, darker inside the mask."""
    return picture - by * mask[..., None]


FAINT = 0.04
"""Depth of spots where whole pictures are told apart: untrained methods rank about four of five pairs right, on seeds
that no claim has; at four times that depth they rank all of them right, and no claim could fail or hold.
"""
NOWHERE = np.zeros((SIDE, SIDE), bool)


def waves(rng: np.random.Generator, flawed: bool, test: bool) -> tuple[Picture, Mask, str]:
    """Stripes, whose period changes inside a flaw; the mean stays as it is."""
    x = np.arange(SIDE)[None] + rng.uniform(0, 12)
    mask = blob(rng, 14, 22) if flawed else NOWHERE
    period = np.where(mask, 7.0, 12.0)
    return 0.5 + 0.2 * np.sin(2 * np.pi * x / period)[..., None] + noise(rng, 0.02, 0.7), mask, "period"


def two_sizes(rng: np.random.Generator, flawed: bool, test: bool) -> tuple[Picture, Mask, str]:
    """Flaws of one shape at two sizes, two octaves apart."""
    return spots_of_two_sizes(rng, flawed, 0.15)


def two_faint_sizes(rng: np.random.Generator, flawed: bool, test: bool) -> tuple[Picture, Mask, str]:
    """The same, so faint that whole pictures are not told apart at once."""
    return spots_of_two_sizes(rng, flawed, FAINT)


def spots_of_two_sizes(rng: np.random.Generator, flawed: bool, depth: float) -> tuple[Picture, Mask, str]:
    size = rng.choice([4.0, 16.0])
    mask = blob(rng, size, 1.2 * size) if flawed else NOWHERE
    return darker(plain(rng), mask, depth), mask, "spot"


def four_looks(rng: np.random.Generator, flawed: bool, test: bool) -> tuple[Picture, Mask, str]:
    """Good parts in four looks, one of them rare in training and every third of the tested good ones; faint spots."""
    shares = [0.35, 0.3, 0.3, 0.05] if not test else [0.25, 0.2, 0.2, 0.35]
    look = int(rng.choice(4, p=shares))
    y, x = np.mgrid[:SIDE, :SIDE]
    patterns = (0 * x, np.sin(x / 4), np.sin(y / 4), np.sin(x / 4) * np.sin(y / 4))
    picture = plain(rng) + 0.12 * patterns[look][..., None]
    mask = blob(rng, 8, 14) if flawed else NOWHERE
    return darker(picture, mask, FAINT), mask, "spot"


def clutter(rng: np.random.Generator, flawed: bool, test: bool) -> tuple[Picture, Mask, str]:
    """A part on a bench on which dark things lie, that look like its flaws."""
    y, x = np.mgrid[:SIDE, :SIDE]
    part = ((y - SIDE / 2) ** 2 + (x - SIDE / 2) ** 2) < 30**2
    picture = 0.35 + noise(rng, 0.03, 1.0) + 0.3 * part[..., None]
    for _ in range(int(rng.integers(1, 4))):
        picture = darker(picture, blob(rng, 4, 9, ~ndimage.binary_dilation(part, iterations=8)) & ~part, 0.25)
    inner = ndimage.binary_erosion(part, iterations=6)
    mask = blob(rng, 4, 9, inner) & part if flawed else NOWHERE
    return darker(picture, mask, 0.25), mask, "spot"


def two_materials(rng: np.random.Generator, flawed: bool, test: bool) -> tuple[Picture, Mask, str]:
    """A part of a bright smooth and a dark rough material, at a place that differs; in either there are spots."""
    y, x = np.mgrid[:SIDE, :SIDE]
    angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-15, 15)
    rough = (x - SIDE / 2) * np.cos(angle) + (y - SIDE / 2) * np.sin(angle) > offset
    picture = np.where(rough[..., None], 0.3 + noise(rng, 0.08, 1.0), 0.65 + noise(rng, 0.02, 1.0))
    mask = blob(rng, 7, 12) if flawed else NOWHERE
    return darker(picture, mask, 0.18), mask, "spot"


def look_alike(rng: np.random.Generator, flawed: bool, test: bool) -> tuple[Picture, Mask, str]:
    """Small dots that are good, and as dark as the larger spots that are not."""
    picture = plain(rng)
    for _ in range(int(rng.integers(3, 8))):
        picture = darker(picture, blob(rng, 2.0, 3.0), 0.3)
    mask = blob(rng, 8, 13) if flawed else NOWHERE
    return darker(picture, mask, 0.3), mask, "spot"


def many_products(rng: np.random.Generator, flawed: bool, test: bool) -> tuple[Picture, Mask, str]:
    """Many looks and one kind of flaw, a scratch; the tested looks have other colours, periods and directions."""
    low, high = (0.0, 0.5) if not test else (0.5, 1.0)
    hue, turn = rng.uniform(low, high), rng.uniform(low, high) * np.pi
    colour = 0.5 + 0.2 * np.cos(2 * np.pi * (hue + np.array([0, 1 / 3, 2 / 3])))
    y, x = np.mgrid[:SIDE, :SIDE]
    period = 6 + 14 * rng.uniform(low, high)
    stripes = np.sin(2 * np.pi * (x * np.cos(turn) + y * np.sin(turn)) / period)
    picture = colour + 0.06 * stripes[..., None] + noise(rng, 0.03, 1.0)
    mask = scratch(rng, 3.0) if flawed else NOWHERE
    return picture + 0.3 * mask[..., None], mask, "scratch"


def scratch(rng: np.random.Generator, width: float) -> Mask:
    """A straight line of a width, in pixels."""
    y, x = np.mgrid[:SIDE, :SIDE]
    angle, length = rng.uniform(0, np.pi), rng.uniform(25, 45)
    cy, cx = rng.uniform(25, SIDE - 25, 2)
    along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    across = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
    return (np.abs(along) < length / 2) & (np.abs(across) < width / 2)


def fine_edges(rng: np.random.Generator, flawed: bool, test: bool) -> tuple[Picture, Mask, str]:
    """Flaws with sharp and ragged edges, of a colour of their own."""
    ragged = ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 3)
    mask = blob(rng, 14, 22) & (ragged > 0) if flawed else NOWHERE
    return plain(rng) + mask[..., None] * np.array([0.25, -0.1, -0.1]), mask, "stain"


def faint(rng: np.random.Generator, flawed: bool, test: bool) -> tuple[Picture, Mask, str]:
    """Flaws of which some can hardly be seen, on a clouded part."""
    mask = blob(rng, 7, 14) if flawed else NOWHERE
    return darker(plain(rng) + noise(rng, 0.05, 12.0), mask, rng.choice([0.07, 0.25])), mask, "spot"


def grainy(rng: np.random.Generator, flawed: bool, test: bool) -> tuple[Picture, Mask, str]:
    """A part so grainy that single places tell little."""
    mask = blob(rng, 10, 16) if flawed else NOWHERE
    return darker(0.5 + noise(rng, 0.15, 1.0), mask, 0.15), mask, "spot"


def three_types(rng: np.random.Generator, flawed: bool, test: bool) -> tuple[Picture, Mask, str]:
    """Scratches, holes and stains."""
    kind = str(rng.choice(["scratch", "hole", "stain"]))
    mask = mask_of(rng, kind) if flawed else NOWHERE
    return plain(rng) + mask[..., None] * CHANGES[kind], mask, kind


CHANGES = {"scratch": np.full(3, 0.3), "hole": np.full(3, -0.4), "stain": np.array([0.2, -0.05, -0.2])}
"""Of the three colours, inside a flaw of each type."""


def mask_of(rng: np.random.Generator, kind: str) -> Mask:
    """Where a flaw of that type is."""
    return scratch(rng, 4.0) if kind == "scratch" else blob(rng, 8, 14)


LEARNED, HELD_OUT = range(16), range(16, 24)
"""Categories of parts."""
STRENGTH = 0.85
"""Of the changes of texture that are flaws of these parts. The shipped encoder was taught by drawn scratches, holes and
stains, of which training teaches little more; nobody taught it these. Chosen by untrained methods alone, on seeds that
no measurement has (100 and 101): the median image AUROC of eight is .77 at a strength of .7, and .85 at 1.
"""


def categories(rng: np.random.Generator, flawed: bool, test: bool) -> tuple[Picture, Mask, str]:
    """Sixteen categories of parts in training, and eight others when tested, whose texture a flaw changes."""
    return part_of(int(rng.choice(HELD_OUT if test else LEARNED)), rng, flawed)


def part_of(category: int, rng: np.random.Generator, flawed: bool) -> tuple[Picture, Mask, str]:
    """Of a category by its number."""
    own = np.random.default_rng(category)
    colour, angle, period = own.uniform(0.35, 0.65, 3), own.uniform(0, np.pi), own.uniform(6, 20)
    waves = [2 * np.pi * along(turn) / period for turn in (angle, angle + np.pi / 2)]
    first, second = map(np.sin, waves)
    picture = colour + 0.06 * (0 * first, first, first * second, np.sign(first))[category % 4][..., None]
    picture = picture + noise(rng, 0.03, 1.0)
    kind = str(rng.choice(sorted(TEXTURES)))
    if not flawed:
        return picture, NOWHERE, kind
    mask = blob(rng, 8, 14)
    return np.where(mask[..., None], TEXTURES[kind](rng, picture), picture), mask, kind


def along(turn: float) -> NDArray[np.float64]:
    """How far each pixel lies in a direction, in pixels."""
    y, x = np.mgrid[:SIDE, :SIDE]
    found: NDArray[np.float64] = x * np.cos(turn) + y * np.sin(turn)
    return found


def chatter(rng: np.random.Generator, picture: Picture) -> Picture:
    """With fine ripples in any direction, as a tool that trembles leaves them."""
    return picture + 0.1 * STRENGTH * np.sin(2 * np.pi * along(rng.uniform(0, np.pi)) / 4)[..., None]


def roughness(rng: np.random.Generator, picture: Picture) -> Picture:
    """With more grain."""
    return picture + noise(rng, 0.08 * STRENGTH, 0.7)


def smear(rng: np.random.Generator, picture: Picture) -> Picture:
    """Wiped, so that texture and grain are nearly gone."""
    blurred: Picture = ndimage.gaussian_filter(picture, (3, 3, 0))
    return picture + STRENGTH * (blurred - picture)


TEXTURES = {"chatter": chatter, "roughness": roughness, "smear": smear}


def made_flaw(category: int, rng: np.random.Generator, flawed: bool) -> tuple[Picture, Mask, str]:
    """A good part of a category, into which patches of another one are blended where it is to be flawed."""
    good, other = (part_of(category, rng, False)[0].clip(0, 1).astype(np.float32) for _ in range(2))
    made, mask = nsa(good, rng, source=other) if flawed else (good, NOWHERE)
    return made.astype(np.float64), mask, "made"


def held_out() -> Scene:
    """`categories`, all in each batch."""
    return Scene("categories, held out", scene(categories).batch, part_of)


def held_out_in_turn() -> Scene:
    """`categories`, one in each batch of training, as what learns from the parts that it inspects meets them."""
    return _in_turn("categories in turn, held out", LEARNED, part_of)


def at_home() -> Scene:
    """The tested categories in training too, one in each batch, and made flaws: of real ones nothing is known yet."""
    return _in_turn("categories, at home", HELD_OUT, made_flaw)


def _in_turn(
    name: str, learned: range, part: Callable[[int, np.random.Generator, bool], tuple[Picture, Mask, str]]
) -> Scene:
    def batch(number: int, count: int, test: bool) -> Batch:
        if test:
            return scene(categories).batch(number, count, test)
        category = learned[number % len(learned)]
        return scene(lambda rng, flawed, test: part(category, rng, flawed)).batch(number, count, test)

    return Scene(name, batch, part)


def eight_products(rng: np.random.Generator, flawed: bool, test: bool) -> tuple[Picture, Mask, str]:
    """Eight looks, the same ones when tested."""
    return spots_on_products(rng, flawed, 0.2)


def eight_products_faint(rng: np.random.Generator, flawed: bool, test: bool) -> tuple[Picture, Mask, str]:
    """The same, so faint that whole pictures are not told apart at once."""
    return spots_on_products(rng, flawed, FAINT)


def spots_on_products(rng: np.random.Generator, flawed: bool, depth: float) -> tuple[Picture, Mask, str]:
    look = int(rng.integers(8))
    y, x = np.mgrid[:SIDE, :SIDE]
    angle, period = look * np.pi / 8, 6 + 2 * (look % 4)
    stripes = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    mask = blob(rng, 8, 14) if flawed else NOWHERE
    return darker(plain(rng) + (0.04 + 0.02 * (look % 3)) * stripes[..., None], mask, depth), mask, "spot"


def shifted(rng: np.random.Generator, flawed: bool, test: bool) -> tuple[Picture, Mask, str]:
    """A part with a gradient from dark to bright: what is good at one place is a flaw at another."""
    ramp = np.linspace(0.3, 0.7, SIDE)[None, :, None]
    mask = blob(rng, 8, 13) if flawed else NOWHERE
    return ramp + noise(rng, 0.02, 1.0) - 0.15 * mask[..., None], mask, "spot"


def loud_channel(rng: np.random.Generator, flawed: bool, test: bool) -> tuple[Picture, Mask, str]:
    """Brightness varies much between good parts, and all colours with it; a flaw is a small change of one colour."""
    mask = blob(rng, 10, 16) if flawed else NOWHERE
    picture = 0.5 + rng.uniform(-0.2, 0.2) + noise(rng, 0.08, 8.0)
    return picture + mask[..., None] * np.array([0.05, -0.05, 0.0]), mask, "stain"


def wrong_labels(share: float) -> Scene:
    """`eight_products_faint`, of which that share is labelled wrongly in training, with masks that fit the labels."""
    honest = scene(eight_products_faint)

    def batch(number: int, count: int, test: bool) -> Batch:
        found = honest.batch(number, count, test)
        assert found.masks is not None
        if test:
            return found
        rng, masks = np.random.default_rng((number, 7)), found.masks.clone()
        for at in np.flatnonzero(rng.random(count) < share):
            blank = bool(masks[at].any())
            masks[at] = False if blank else torch.from_numpy(blob(rng, 8, 14))
        return Batch(found.images, masks, masks.flatten(1).any(1), found.types)

    return Scene(f"{honest.name}, {share:.0%} of labels wrong", batch, wrong_labels)
