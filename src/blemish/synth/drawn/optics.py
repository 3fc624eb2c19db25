"""Light on a surface and the camera that photographs it.

A light and a camera are drawn once, as values, with the seeds of their noise: two scenes that differ in a flaw are lit
and photographed alike to the last grain. Reflectances and pictures are both in display space, where 0.5 is
a middle grey.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from blemish.synth.drawn.fields import blur, coordinates, smooth_noise
from blemish.synth.drawn.pigments import between, chance, scale
from blemish.synth.drawn.scene import Colours, Plane, Surface

Triple = tuple[float, float, float]
KINDS = ("ring", "directional", "dark field", "dome", "coaxial")
CHANCES = (0.22, 0.3, 0.1, 0.28, 0.1)
ENVIRONMENT = 48  # pixels of the square of blurred surroundings that polished things mirror


@dataclass(frozen=True, slots=True)
class Light:
    """Where light comes from and how strongly it shades, shines and mirrors; lengths in picture sides."""

    kind: str
    azimuth: float  # radians, where the lamp stands
    elevation: float  # radians above the surface
    ambient: float  # share of light from everywhere
    distance: float  # of the lamp; the nearer, the more uneven
    colour: Triple
    shine: float  # strength of highlights
    mirror: float  # strength of mirrored surroundings
    occlusion: float  # how dark hollows are
    spot: float  # how much darker the rim of the lit spot is
    centre: tuple[float, float]  # of the spot, 0 .. 1
    glare: float  # strength of blobs of stray light
    seed: int


@dataclass(frozen=True, slots=True)
class Camera:
    """What happens between the light and the file; blurs in pixels of a 224 pixel picture."""

    exposure: float
    balance: Triple
    contrast: float
    gamma: float
    vignette: float
    defocus: float
    motion: float
    direction: float  # of the motion, radians
    shot: float  # noise that grows with light
    read: float  # noise that is always there
    sharpening: float
    quality: int  # of the JPEG, 100: not compressed
    monochrome: bool
    seed: int


def draw_light(rng: np.random.Generator) -> Light:
    """A lamp as inspection stations have them: ring, side light, dark field, dome or coaxial."""
    kind = KINDS[rng.choice(len(KINDS), p=CHANCES)]
    elevation, ambient, shine = {
        "ring": (between(rng, (0.9, 1.4)), between(rng, (0.4, 0.7)), between(rng, (0.1, 0.6))),
        "directional": (between(rng, (0.4, 1.1)), between(rng, (0.1, 0.5)), between(rng, (0.2, 1.0))),
        "dark field": (between(rng, (0.12, 0.35)), between(rng, (0.05, 0.25)), between(rng, (0.3, 1.0))),
        "dome": (between(rng, (0.7, 1.4)), between(rng, (0.65, 0.9)), between(rng, (0.0, 0.3))),
        "coaxial": (between(rng, (1.35, 1.55)), between(rng, (0.2, 0.5)), between(rng, (0.3, 0.9))),
    }[kind]
    warmth = rng.normal(0, 0.035) if chance(rng, 0.6) else 0.0
    return Light(
        kind=kind,
        azimuth=between(rng, (0, 2 * np.pi)),
        elevation=elevation,
        ambient=ambient,
        distance=scale(rng, 1.2, 8.0),
        colour=(1 + warmth, 1.0, 1 - warmth),
        shine=shine,
        mirror=between(rng, (0.0, 0.8)),
        occlusion=between(rng, (0.1, 0.8)),
        spot=between(rng, (0.1, 0.7)) if chance(rng, 0.3) else 0.0,
        centre=(between(rng, (0.1, 0.9)), between(rng, (0.1, 0.9))),
        glare=between(rng, (0.05, 0.4)) if chance(rng, 0.15) else 0.0,
        seed=int(rng.integers(2**31)),
    )


def draw_camera(rng: np.random.Generator) -> Camera:
    """A camera from good to poor, two in five of them monochrome."""
    tint = rng.normal(0, 0.025, 2) if chance(rng, 0.6) else np.zeros(2)
    return Camera(
        exposure=float(np.exp(rng.normal(0, 0.2))),
        balance=(1 + float(tint[0]), 1.0, 1 + float(tint[1])),
        contrast=float(np.exp(rng.normal(0.05, 0.2))),
        gamma=float(np.exp(rng.normal(0, 0.15))),
        vignette=between(rng, (0.0, 0.5)) if chance(rng, 0.4) else 0.0,
        defocus=scale(rng, 0.3, 1.6) if chance(rng, 0.7) else 0.0,
        motion=between(rng, (1.0, 4.0)) if chance(rng, 0.08) else 0.0,
        direction=between(rng, (0, np.pi)),
        shot=scale(rng, 0.002, 0.03),
        read=scale(rng, 0.001, 0.015),
        sharpening=between(rng, (0.2, 1.5)) if chance(rng, 0.3) else 0.0,
        quality=int(rng.integers(45, 98)) if chance(rng, 0.6) else 100,
        monochrome=chance(rng, 0.4),
        seed=int(rng.integers(2**31)),
    )


def illuminate(surface: Surface, light: Light) -> Colours:
    """Light that leaves the surface, (H, W, 3): a flat sheet far from the lamp shows its albedo."""
    normal = _normals(surface.height)
    towards, fading = _lamp(light, len(surface.height))
    diffuse = _diffuse(normal, towards, light) * _occlusion(surface.height, light) * fading * _spot(light, fading.shape)
    shine = surface.gloss * light.shine * _highlight(normal, towards, surface.gloss) * fading
    colour = np.asarray(light.colour, np.float32)
    tinted = surface.albedo * np.float32(0.6) + np.float32(0.4)  # metals colour their highlights, plastics do not
    light_off = surface.albedo * diffuse[..., None] + tinted * shine[..., None]
    seen: Colours = light_off * colour
    if light.mirror > 0.05 and float(surface.gloss.max()) > 0.25:
        seen *= (1 + light.mirror * surface.gloss**2 * _mirrored(normal, light))[..., None]
    if light.glare:
        seen += _glare(light, len(surface.height))[..., None] * (0.3 + 0.7 * surface.gloss)[..., None]
    return np.maximum(seen, 0).astype(np.float32)


def meter(camera: Camera, colours: Colours) -> Camera:
    """The camera with its exposure set for this light, most of the way to a middle grey as an operator would."""
    bright = 0.5 * float(colours.mean()) + 0.5 * float(np.percentile(colours[::4, ::4], 90))
    return replace(camera, exposure=camera.exposure * (0.55 / max(bright, 0.02)) ** 0.5)


def photograph(colours: Colours, camera: Camera) -> NDArray[np.uint8]:
    """The camera's picture of the light, (H, W, 3)."""
    light = colours * np.asarray(camera.balance, np.float32)
    if camera.monochrome:
        light = (light @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    light = light * (camera.exposure * _vignette(camera, len(light)))[..., None]
    light = _moved(blur(light, camera.defocus * len(light) / 224), camera)
    rng = np.random.default_rng(camera.seed)
    deviation = np.sqrt(camera.read**2 + camera.shot**2 * np.maximum(light, 0) * 4)
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    light = (light + deviation * noise).astype(np.float32)
    if camera.sharpening:
        light = light + camera.sharpening * (light - blur(light, 1.0))
    light = _developed(light, camera)
    pixels = np.round(np.broadcast_to(light, colours.shape) * 255).astype(np.uint8)
    return pixels if camera.quality >= 100 else _compressed(pixels, camera)


def _places(side: int, zero: float) -> tuple[Plane, Plane]:
    """x and y in picture sides, counted from a share `zero` of the side."""
    x, y = coordinates(side)
    pixel = np.float32(1 / side)
    return x * pixel - np.float32(zero), y * pixel - np.float32(zero)


def _normals(height: Plane) -> tuple[Plane, Plane, Plane]:
    slope_y, slope_x = np.gradient(height)
    length: Plane = 1 / np.sqrt(slope_x**2 + slope_y**2 + 1)
    return -slope_x * length, -slope_y * length, length


def _lamp(light: Light, side: int) -> tuple[tuple[Plane, Plane, Plane], Plane]:
    """Direction to the lamp from each pixel, and how its light fades with distance (1 in the middle)."""
    x, y = _places(side, 0.5)
    flat = math.cos(light.elevation) * light.distance
    away_x = math.cos(light.azimuth) * flat - x
    away_y = math.sin(light.azimuth) * flat - y
    up = max(math.sin(light.elevation) * light.distance, 0.05)
    length: Plane = np.sqrt(away_x**2 + away_y**2 + up**2)
    fading: Plane = np.minimum(light.distance / length, 3**0.5)
    height: Plane = up / length
    return (away_x / length, away_y / length, height), fading


def _diffuse(normal: tuple[Plane, Plane, Plane], towards: tuple[Plane, Plane, Plane], light: Light) -> Plane:
    """Lambert's law; one on a flat sheet, except in a dark field, where a flat sheet stays dark."""
    lambert = np.maximum(normal[0] * towards[0] + normal[1] * towards[1] + normal[2] * towards[2], 0)
    if light.kind == "ring":
        lambert = 0.5 * lambert + 0.5 * normal[2] ** 2
    if light.kind == "coaxial":
        lambert = normal[2] ** 4
    full = max(math.sin(light.elevation), 0.35 if light.kind == "dark field" else 0.3)
    direct = np.minimum(lambert / full, 2.5)
    diffuse: Plane = light.ambient + (1 - light.ambient) * direct
    return diffuse


def _highlight(normal: tuple[Plane, Plane, Plane], towards: tuple[Plane, Plane, Plane], gloss: Plane) -> Plane:
    """Blinn-Phong with the viewer straight above: sharper the glossier."""
    up = towards[2] + 1
    length = np.sqrt(towards[0] ** 2 + towards[1] ** 2 + up**2)
    cosine = (normal[0] * towards[0] + normal[1] * towards[1] + normal[2] * up) / length
    lobe: Plane = np.exp(np.exp2(2 + 6 * gloss) * np.log(np.clip(cosine, 1e-3, 1)))
    return lobe


def _occlusion(height: Plane, light: Light) -> Plane:
    """Less light where the surface lies below its surroundings."""
    hollow = np.maximum(blur(height, len(height) * 0.012) - height, 0)
    shaded: Plane = 1 / (1 + light.occlusion * hollow)
    return shaded


def _spot(light: Light, shape: tuple[int, ...]) -> Plane:
    x, y = _places(shape[0], 0.0)
    far = (x - light.centre[0]) ** 2 + (y - light.centre[1]) ** 2
    return 1 - np.float32(light.spot) * np.minimum(far, np.float32(1))


def _mirrored(normal: tuple[Plane, Plane, Plane], light: Light) -> Plane:
    """The blurred surroundings in a mirror, about -1 .. 1: shifted by half the mirror's slope."""
    side = len(normal[2])
    rng = np.random.default_rng(light.seed)
    surroundings = np.clip(smooth_noise(rng, ENVIRONMENT, ENVIRONMENT * between(rng, (0.12, 0.5))), -1.5, 1.5)
    x, y = coordinates(side)
    room = ENVIRONMENT / side * 0.5
    places = [y * room + (0.25 + normal[1] * 0.6) * ENVIRONMENT, x * room + (0.25 + normal[0] * 0.6) * ENVIRONMENT]
    seen: Plane = ndimage.map_coordinates(surroundings, places, order=1, mode="mirror")
    return seen


def _glare(light: Light, side: int) -> Plane:
    """One to three soft blobs, as lamps mirrored in a lens or a shiny sheet."""
    rng = np.random.default_rng(light.seed + 1)
    x, y = _places(side, 0.0)
    blobs = np.zeros((side, side), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        angle, wide = between(rng, (0, math.pi)), scale(rng, 0.03, 0.25)
        away_x, away_y = x - rng.random(), y - rng.random()
        along = (away_x * math.cos(angle) + away_y * math.sin(angle)) / scale(rng, 1, 4)
        across = away_y * math.cos(angle) - away_x * math.sin(angle)
        blobs += np.exp(-(along**2 + across**2) / wide**2)
    return blobs * np.float32(light.glare)


def _vignette(camera: Camera, side: int) -> Plane:
    x, y = _places(side, 0.5)
    return 1 - camera.vignette * (x**2 + y**2) * 1.5


def _moved(light: Colours, camera: Camera) -> Colours:
    """Mean of the picture along the way that it moved during the exposure."""
    steps = round(camera.motion * len(light) / 224)
    if steps < 1:
        return light
    ways = np.arange(-steps, steps + 1) / 2
    rows, columns = np.round(ways * np.sin(camera.direction)), np.round(ways * np.cos(camera.direction))
    wide = np.pad(light, ((steps, steps), (steps, steps), (0, 0)), mode="edge")
    high, broad = light.shape[:2]
    tops, lefts = (rows + steps).astype(int).tolist(), (columns + steps).astype(int).tolist()
    views = [wide[top : top + high, left : left + broad] for top, left in zip(tops, lefts, strict=True)]
    return (sum(views[1:], start=views[0]) / len(views)).astype(np.float32)


def _developed(light: Colours, camera: Camera) -> Colours:
    """Contrast about the middle grey, a soft shoulder instead of a hard clip, gamma."""
    light = (light - 0.45) * camera.contrast + 0.45
    bright = 1 - 0.15 * np.exp(np.minimum((0.85 - light) / 0.15, 0))
    light = np.where(light > 0.85, bright, light)
    developed: Colours = np.clip(light, 0, 1) ** np.float32(camera.gamma)
    return developed


def _compressed(pixels: NDArray[np.uint8], camera: Camera) -> NDArray[np.uint8]:
    file = io.BytesIO()
    picture = Image.fromarray(pixels[..., 0] if camera.monochrome else pixels)
    picture.save(file, "JPEG", quality=camera.quality)
    return np.array(Image.open(file).convert("RGB"))
