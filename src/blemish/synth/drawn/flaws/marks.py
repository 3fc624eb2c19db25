"""What flaws do to a scene: find a place, darken, tint, cover, dig, and see which pixels have visibly changed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from blemish.synth.drawn.fields import blur, fractal_noise, smooth_noise
from blemish.synth.drawn.scene import Colours, Mask, Plane, Scene, Surface
from blemish.synth.drawn.strokes import Points, contour, log_uniform, solids

Draw = Callable[[Scene, np.random.Generator], bool | Mask]
VISIBLE_COLOUR, VISIBLE_SHARE, VISIBLE_SLOPE, VISIBLE_GLOSS = 0.012, 0.04, 0.07, 0.1
FEWEST_PIXELS, LARGEST_SHARE, NOTICED = 5, 0.7, 0.8


def trace(draw: Draw) -> Callable[[Scene, np.random.Generator], Mask | None]:
    """A flaw that knows where it shows: the scene as it was is compared with the scene as `draw` left it.

    `draw` returns whether it found a place, or itself says where (what was only moved does not differ everywhere).
    """

    def apply(scene: Scene, rng: np.random.Generator) -> Mask | None:
        before, part, pieces = scene.surface, scene.part, scene.pieces
        scene.surface, scene.part = before.copy(), part.copy()
        drawn = draw(scene, rng)
        np.clip(scene.surface.albedo, 0, 1, out=scene.surface.albedo)
        np.clip(scene.surface.gloss, 0, 1, out=scene.surface.gloss)
        seen = difference(before, scene.surface) if drawn is True else drawn
        mask = None if isinstance(seen, bool) else seen
        sized = mask is not None and FEWEST_PIXELS <= mask.sum() <= LARGEST_SHARE * mask.size
        if mask is None or not sized or (drawn is True and not stands_out(before, scene.surface, mask)):
            scene.surface, scene.part, scene.pieces = before, part, pieces
            return None
        return mask

    return apply


def difference(before: Surface, after: Surface) -> Mask:
    """Where colour, slope or gloss differ by more than an eye would overlook, gaps closed."""
    difference = np.abs(after.albedo - before.albedo)
    colour = np.maximum(np.maximum(difference[..., 0], difference[..., 1]), difference[..., 2])
    seen = colour / (VISIBLE_COLOUR + VISIBLE_SHARE * before.albedo[..., 1])
    seen += np.abs(after.gloss - before.gloss) / VISIBLE_GLOSS
    seen += _relief_seen(after.height - before.height)
    mask: Mask = blur(np.minimum(seen, 2.0), 0.8) > 0.7
    return mask


def stands_out(before: Surface, after: Surface, mask: Mask) -> bool:
    """Whether the change is not lost in the surface's own texture and relief; a wide one may be fainter."""
    window = extent(mask, 4)
    inside = mask[window]
    uneven = float(np.diff(before.height[window], axis=1).std())
    ground = 0.03 + 0.8 * _texture(before.albedo[window][..., 1]) + 0.15 * min(uneven, 1.0)
    colour = _strength((after.albedo[window] - before.albedo[window])[inside]) / ground
    rise = after.height[window] - before.height[window]
    relief = _strength(np.diff(rise, axis=1, append=rise[:, -1:])[inside]) / (0.1 + uneven)
    gloss = _strength((after.gloss[window] - before.gloss[window])[inside])
    wide = min(1.0, float(mask.mean()) / 0.03)
    return bool(colour + relief + gloss > NOTICED * (1 - 0.6 * wide))


def _strength(change: Plane) -> float:
    """Root mean square: a thin line is as strong as its core, though half of its mask is border."""
    return float(np.sqrt(np.square(change).mean()))


def _texture(plane: Plane) -> float:
    """How much a surface varies by itself: what a flaw has to compete with."""
    return float(plane.std()) if plane.size else 0.0


def _relief_seen(rise: Plane) -> Plane:
    """Slopes show as shading; the level floor between them belongs to the flaw, too."""
    highest = float(np.abs(rise).max())
    if highest < 1e-3:
        return np.zeros_like(rise)
    seen: Plane = np.abs(rise)
    seen /= max(0.5 * highest, 0.5)
    down, right = np.abs(np.diff(rise, axis=0)) / VISIBLE_SLOPE, np.abs(np.diff(rise, axis=1)) / VISIBLE_SLOPE
    seen[1:] += down
    seen[:, 1:] += right
    return seen


def spot(scene: Scene, rng: np.random.Generator) -> Points:
    """A random place (x, y) on the part; where it fills the picture mostly not at the very edge."""
    if scene.behind is None and rng.random() < 0.85:
        free: Points = rng.uniform(0.08, 0.92, 2) * scene.part.shape[0]
        return free
    inside = np.flatnonzero(scene.part)
    y, x = divmod(int(inside[rng.integers(len(inside))]), scene.part.shape[1])
    return np.array((x, y), np.float64)


def span(scene: Scene) -> float:
    """The part's size: the side of a square of the same area, pixels."""
    return math.sqrt(float(scene.part.sum()))


def rim(scene: Scene, rng: np.random.Generator) -> tuple[Points, float] | None:
    """A random place on the part's outline and the direction out of the part there; None without an outline."""
    if scene.behind is None:
        return None
    edge = np.flatnonzero(scene.part & ~ndimage.binary_erosion(scene.part, border_value=1))
    if not len(edge):
        return None
    y, x = divmod(int(edge[rng.integers(len(edge))]), scene.part.shape[1])
    window = scene.part[max(0, y - 6) : y + 7, max(0, x - 6) : x + 7]
    ys, xs = np.nonzero(window)
    out = np.array((min(x, 6) - xs.mean(), min(y, 6) - ys.mean()))
    return np.array((x, y), np.float64), math.atan2(out[1], out[0])


def heading(scene: Scene, rng: np.random.Generator, *, along: float = 0.4, across: float = 0.15) -> float:
    """A direction, radians: along the grain or across it with the given chances, else free."""
    chance = rng.random()
    if chance < along:
        return scene.grain + rng.normal(0, 0.06)
    if chance < along + across:
        return scene.grain + math.pi / 2 + rng.normal(0, 0.06)
    return float(rng.uniform(0, math.pi))


def several(rng: np.random.Generator, most: int) -> int:
    """How many: one half of the time, up to `most`."""
    return 1 if rng.random() < 0.5 else int(rng.integers(2, most + 1))


def blob(
    scene: Scene,
    rng: np.random.Generator,
    radius: float,
    *,
    centre: Points | None = None,
    rough: float = 0.3,
    soft: float = 0.0,
    aspect: float = 1.5,
    angle: float | None = None,
) -> Plane:
    """An irregular filled shape on the part with an edge `soft` pixels wide, at most `aspect` times as long as wide."""
    place = spot(scene, rng) if centre is None else centre
    turn = heading(scene, rng) if angle is None else angle
    shape = contour(rng, place, radius, aspect=rng.uniform(1, aspect), angle=turn, rough=rough)
    plane = solids(scene.part.shape[0], [shape])
    return on_part(scene, soften(plane, soft) if soft > 0.3 else plane)


def soften(plane: Plane, sigma: float) -> Plane:
    """A blur whose cost does not grow with its width: wide ones are made on a smaller plane."""
    factor = int(sigma / 3)
    if factor < 2:
        window, soft = extent(plane, int(3 * sigma) + 1), np.zeros_like(plane)
        if plane[window].size:
            soft[window] = blur(plane[window], sigma)
        return soft
    height, width = plane.shape
    small = Image.fromarray(plane).resize((-(-width // factor), -(-height // factor)), Image.Resampling.BOX)
    wide = Image.fromarray(blur(np.asarray(small), sigma / factor))
    return np.asarray(wide.resize((width, height), Image.Resampling.BICUBIC)).clip(0, 1)


def on_part(scene: Scene, plane: Plane) -> Plane:
    """Nothing outside the part."""
    return plane if scene.behind is None else plane * scene.part


def roughen(plane: Plane, noise: Plane, *, amount: float, edge: float = 0.3) -> Plane:
    """A soft shape whose boundary follows noise: `amount` how far, `edge` how gradual; islands and bays appear."""
    lifted = (plane - 0.5 + amount * noise * (4 * plane * (1 - plane) + 0.15)) / edge + 0.5
    clipped: Plane = np.clip(lifted, 0, 1).astype(np.float32) * (plane > 0.02)
    return clipped


def grainy(scene: Scene, rng: np.random.Generator, wavelength: float, *, stretch: float = 1.0) -> Plane:
    """Fractal noise that may be drawn out along the grain: (H, W), unit deviation."""
    side = scene.part.shape[0]
    return fractal_noise(rng, side, wavelength, octaves=3, stretch=stretch, angle=scene.grain)


def unit_noise(scene: Scene, rng: np.random.Generator, wavelength: float) -> Plane:
    """Smooth noise of one wavelength: (H, W), unit deviation."""
    return smooth_noise(rng, scene.part.shape[0], wavelength)


def extent(plane: NDArray[np.generic], margin: int = 0) -> tuple[slice, slice]:
    """The rows and columns where a plane is not 0: flaws are mostly small, and only there is work to do."""
    rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    top, left = max(0, int(rows[0]) - margin), max(0, int(columns[0]) - margin)
    return slice(top, int(rows[-1]) + margin + 1), slice(left, int(columns[-1]) + margin + 1)


def colour_of(scene: Scene, plane: Plane) -> Colours:
    """Mean colour of the surface under a soft plane: (3,)."""
    window = extent(plane)
    weights = plane[window].astype(np.float32)
    mean: Colours = np.tensordot(weights, scene.surface.albedo[window], axes=2) / (float(weights.sum()) + 1e-6)
    return mean.astype(np.float32)


def tone(
    scene: Scene,
    rng: np.random.Generator,
    plane: Plane,
    *,
    low: float = 0.12,
    high: float = 0.7,
    lighter: float = 0.3,
    hue: float = 0.06,
) -> None:
    """Darkens or lightens relative to the surface, a little off its hue; never so little that it cannot be seen."""
    level = float(colour_of(scene, plane).mean())
    least = 0.05 + 0.4 * _texture(scene.surface.albedo[extent(plane, 2)][..., 1])
    chance = 0.9 if level < 0.1 else 0.08 if level > 0.8 else lighter
    change = log_uniform(rng, low, high)
    tint = (1 + rng.normal(0, hue, 3)).astype(np.float32)
    window = extent(plane)
    albedo, weight = scene.surface.albedo[window], plane[window][..., None].astype(np.float32)
    if rng.random() < chance:
        brighter = min(1.0, 1.5 * level + 0.3)
        strength = min(1.0, max(change, least / (brighter - 0.9 * level)))
        gain = np.float32(strength * (brighter - level))
        albedo += weight * ((np.float32(0.4) + np.float32(0.6 / (level + 1e-3)) * albedo) * (gain * tint))
    else:
        strength = min(0.95, max(change, least / (level + 0.02)))
        albedo *= 1 - weight * np.clip(np.float32(strength) * tint, 0, np.float32(0.97))


def smear(scene: Scene, plane: Plane, colour: Colours, *, keep: float = 0.3) -> None:
    """Paints over, letting a share `keep` of the surface's own texture through."""
    window = extent(plane)
    albedo, weight = scene.surface.albedo[window], plane[window][..., None].astype(np.float32)
    ground = (colour - keep * colour_of(scene, plane)).astype(np.float32)
    albedo += weight * (ground - np.float32(1 - keep) * albedo)


def dye(scene: Scene, plane: Plane, factors: Colours) -> None:
    """Multiplies the colours by `factors` (3,) where the plane is 1."""
    window = extent(plane)
    scene.surface.albedo[window] *= 1 + plane[window][..., None] * (factors - np.float32(1))


def emboss(scene: Scene, plane: Plane) -> None:
    """Adds a relief, pixels towards the camera."""
    scene.surface.height += plane


def polish(scene: Scene, plane: Plane, gloss: float) -> None:
    """Moves the gloss towards a value."""
    window = extent(plane)
    scene.surface.gloss[window] += plane[window] * (gloss - scene.surface.gloss[window])


def dug(scene: Scene, rng: np.random.Generator, plane: Plane, depth: float) -> None:
    """A cavity: dark because light does not reach its floor, matt, with walls that catch the light."""
    dark = colour_of(scene, plane) * rng.uniform(0.05, 0.55)
    smear(scene, plane * rng.uniform(0.7, 1), dark.astype(np.float32), keep=0.2)
    emboss(scene, -depth * plane)
    polish(scene, plane * 0.8, 0.05)


def ledge(plane: Plane, width: float) -> Plane:
    """The raised border just outside a shape: [0, 1]."""
    lip: Plane = np.clip(soften(plane, width) - plane, 0, 1)
    return lip


def foreign(rng: np.random.Generator, ground: Colours) -> Colours:
    """A colour (3,) that stands out from the ground's."""
    drawn = [_matter(rng) for _ in range(4)]
    return next((colour for colour in drawn if np.abs(colour - ground).max() > 0.12), drawn[0])


def _matter(rng: np.random.Generator) -> Colours:
    """Mostly dark, pale or earthy, sometimes vivid."""
    kind = rng.random()
    if kind < 0.55:
        grey = rng.uniform(0.02, 0.25) if kind < 0.32 else rng.uniform(0.6, 0.97)
        return np.clip(grey * (1 + rng.normal(0, 0.08, 3)), 0, 1).astype(np.float32)
    if kind < 0.8:
        earth = np.array((0.45, 0.3, 0.16)) * rng.uniform(0.3, 1.6)
        return np.clip(earth * (1 + rng.normal(0, 0.12, 3)), 0, 1).astype(np.float32)
    return rng.uniform(0.02, 0.95, 3).astype(np.float32)
