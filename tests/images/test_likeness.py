from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from blemish.images import area, scale
from blemish.images.fingerprint import CERTAIN, MORE_THAN_HALF, fingerprint, likeness, same_part_threshold, same_parts

Pixels = NDArray[np.float64]


def texture(seed: int, *, side: int = 160, grain: float = 3.0) -> Pixels:
    """A surface of a part, as no other has it: grey levels around 120."""
    grains = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(side + 40, side + 40)), grain)
    surface: Pixels = 120 + 25 * grains / grains.std()
    return surface


def design(side: int = 160) -> Pixels:
    """What all parts of a product share: a dark plate with a ring and two bars."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    radius = np.hypot(x, y)
    plate: Pixels = (
        -60.0 * (radius < 0.4) + 80 * (np.abs(radius - 0.25) < 0.03) + 50 * (np.abs(np.abs(x) - 0.45) < 0.02)
    )
    return plate


def shot(
    pixels: Pixels, seed: int, *, shift: tuple[int, int] = (0, 0), gain: float = 1.0, noise: float = 2.0
) -> NDArray[Any]:
    """A picture of the part: moved, brighter or darker, with the noise of a camera."""
    y, x = 20 + shift[0], 20 + shift[1]
    side = pixels.shape[0] - 40
    seen = gain * pixels[y : y + side, x : x + side]
    noisy = seen + np.random.default_rng(seed).normal(0, noise, (3, side, side))
    return noisy.clip(0, 255).round().astype(np.uint8)


def encoded(picture: NDArray[Any], quality: int) -> NDArray[Any]:
    file = BytesIO()
    Image.fromarray(picture.transpose(1, 2, 0)).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file)).transpose(2, 0, 1)


def parts(pictures: Sequence[NDArray[Any]], digests: Sequence[str] = ()) -> list[list[int]]:
    return same_parts([fingerprint(each) for each in pictures], digests or [str(n) for n in range(len(pictures))])


def test_a_burst_is_one_part() -> None:
    part = texture(0)
    burst = [shot(part, seed, shift=(seed % 2, -seed), gain=1 - 0.03 * seed) for seed in range(6)]
    assert parts(burst) == [[0, 1, 2, 3, 4, 5]]


@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_distinct_textures_are_distinct_parts(count: int) -> None:
    bar = np.pad(design() > 60, 20)
    for shared in (0, 40 * bar):
        pictures = [shot(texture(seed) + shared, seed) for seed in range(count)]
        assert parts(pictures) == [[number] for number in range(count)]


def test_bursts_are_found_among_other_parts() -> None:
    pictures = [
        shot(texture(number // 3), number, shift=(number % 3, 2), gain=0.8 + 0.1 * (number % 3)) for number in range(9)
    ]
    pictures += [shot(texture(100 + seed), 100 + seed) for seed in range(5)]
    assert parts(pictures) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9], [10], [11], [12], [13]]


@pytest.mark.parametrize("quality", [60, 90])
def test_a_copy_encoded_anew_is_the_same_part(quality: int) -> None:
    originals = [shot(texture(seed), seed) for seed in range(5)]
    assert parts([*originals, encoded(originals[2], quality)])[2] == [2, 5]


def test_a_copy_of_another_size_is_the_same_part() -> None:
    originals = [shot(texture(seed), seed) for seed in range(5)]
    high, wide = (side // 2 for side in originals[1].shape[1:])
    half = np.rint(scale(originals[1], (high, wide), area)).astype(np.uint8)
    assert parts([*originals, half])[1] == [1, 5]


def test_parts_of_one_design_in_one_place_are_distinct() -> None:
    ring = np.pad(design(), 20)
    pictures = [shot(ring + 0.4 * texture(seed), seed) for seed in range(12)]
    prints = [fingerprint(each) for each in pictures]
    assert float(likeness(prints[0], np.stack(prints[1:])).min()) > 0.3  # they do look alike
    assert parts(pictures) == [[number] for number in range(12)]
    again = shot(ring + 0.4 * texture(3), 99, gain=0.9)
    assert parts([*pictures, again])[3] == [3, 12]


def test_noise_alone_is_alike_to_nothing() -> None:
    noise = [np.random.default_rng(n).integers(110, 140, (3, 64, 64), dtype=np.uint8) for n in range(12)]
    assert parts(noise) == [[number] for number in range(12)]


def test_equal_files_are_the_same_part_even_without_structure() -> None:
    black = np.zeros((3, 64, 64), np.uint8)
    assert parts([black, black, black], ["a", "b", "a"]) == [[0, 2], [1]]


def test_likeness_is_one_for_the_same_picture_and_bears_a_shift() -> None:
    part = texture(0)
    one, moved, far = (fingerprint(shot(part, 0, shift=(0, x), noise=0)) for x in (0, 8, 20))
    found = likeness(one, np.stack([one, moved, far]))
    assert float(found[0]) == pytest.approx(1, abs=1e-5)
    assert float(found[1]) > 0.7
    assert float(likeness(one, fingerprint(shot(texture(1), 0))[None])[0]) < 0.35


def test_the_bar_lies_between_half_and_certain() -> None:
    chance = np.random.default_rng(0).standard_normal(400).astype(np.float32)
    assert same_part_threshold(np.zeros((0,), np.float32)) == CERTAIN
    assert same_part_threshold(0.15 + 0.02 * chance[:200]) == pytest.approx(MORE_THAN_HALF, abs=0.06)
    assert same_part_threshold(0.8 + 0.1 * chance[200:]) == CERTAIN


def test_no_pictures_are_no_parts() -> None:
    assert parts([]) == []
