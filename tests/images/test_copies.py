"""Which files hold the same picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from blemish.images.copies import same_pictures


def picture(seed: int) -> Image.Image:
    """A part with texture, as a camera sees it; each seed's differs by its texture alone."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(90, 160, (12, 16, 3)).astype(np.uint8))
    smooth = np.asarray(coarse.resize((128, 96), Image.Resampling.BICUBIC))
    return Image.fromarray(np.clip(smooth + rng.normal(0, 3, (96, 128, 3)), 0, 255).astype(np.uint8))


@pytest.mark.parametrize(("name", "options"), [("a.bmp", {}), ("a.webp", {"quality": 80}), ("a.jpg", {"quality": 75})])
def test_a_picture_saved_once_more_is_the_same(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    paths = [tmp_path / each for each in ("one.png", name, "other.png")]
    picture(0).save(paths[0])
    picture(0).save(paths[1], **options)
    picture(1).save(paths[2])
    assert same_pictures(paths) == [[0, 1]]


def test_parts_that_differ_by_the_noise_of_a_camera_are_others_and_a_copy_of_one_is_not(tmp_path: Path) -> None:
    design = np.full((96, 128), 90.0)
    design[20:70, 30:100] = 180
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 8, design.shape)
        Image.fromarray((design + noise).astype(np.uint8)).save(tmp_path / f"{number}.png")
    Image.open(tmp_path / "2.png").save(tmp_path / "6.jpg", quality=90)
    paths = [*(tmp_path / f"{number}.png" for number in range(6)), tmp_path / "6.jpg"]
    assert same_pictures(paths[:6]) == []
    assert same_pictures(paths) == [[2, 6]]


def test_a_flaw_drawn_into_it_makes_another_picture(tmp_path: Path) -> None:
    good, flawed = tmp_path / "good.png", tmp_path / "flawed.png"
    picture(0).save(good)
    changed = np.array(picture(0))
    changed[40:41, 48:56] -= 60  # a scratch of 8 pixels
    Image.fromarray(changed).save(flawed)
    assert same_pictures([good, flawed]) == []


def test_of_many_copies_each_is_named_and_what_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    for number in range(6):
        picture(number % 2).save(tmp_path / f"{number}.png")
    (tmp_path / "6.png").write_bytes(b"no picture")
    (tmp_path / "7.png").write_bytes(b"no picture")
    paths = [tmp_path / f"{number}.png" for number in range(8)]
    assert same_pictures(paths) == [[0, 2, 4], [1, 3, 5]]


def test_pictures_of_other_sizes_are_others(tmp_path: Path) -> None:
    picture(0).save(tmp_path / "a.png")
    picture(0).resize((64, 48)).save(tmp_path / "b.png")
    assert same_pictures([tmp_path / "a.png", tmp_path / "b.png"]) == []


def test_a_picture_between_two_others_makes_all_three_one(tmp_path: Path) -> None:
    """The first and the last are each near the second, and too far from each other."""
    grey = np.full((96, 128, 3), 120, np.uint8)
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path, brighter in zip(paths, (0, 6, 3), strict=True):
        changed = grey.copy()
        changed[40:48, 64:72] += brighter
        Image.fromarray(changed).save(path)
    assert same_pictures(paths[:2]) == []
    assert same_pictures(paths) == [[0, 1, 2]]
