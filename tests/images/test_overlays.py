from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support import pictures

from blemish.errors import BadInput
from blemish.images import colours, overlay, read, save_picture

GREY = np.full((3, 2, 3), 128, np.uint8)


def luminance(colour: NDArray[Any]) -> NDArray[Any]:
    """CIELAB lightness of (3, N) sRGB in [0, 1]."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    lightness: NDArray[Any] = (
        116 * (linear * np.array([[0.2126], [0.7152], [0.0722]], np.float32)).sum(0) ** (1 / 3) - 16
    )
    return lightness


def test_equal_steps_of_the_score_are_equal_steps_of_lightness() -> None:
    lightness = luminance(colours(np.linspace(0, 1, 61, dtype=np.float32)[None])[:, 0])
    steps = np.diff(lightness)
    assert steps.min() > 0
    assert np.allclose(lightness, np.linspace(float(lightness[0]), float(lightness[-1]), 61, dtype=np.float32), atol=2)


def test_at_low_the_picture_is_untouched_and_above_high_nothing_changes_any_more() -> None:
    scores = np.array([[-9.0, 2, 3], [4, 99, 3.5]], np.float32)
    shown = overlay(GREY, scores, 2, 4)
    assert shown.dtype == np.uint8
    assert np.array_equal(shown[:, 0, :2], GREY[:, 0, :2])
    assert np.array_equal(shown[:, 1, 0], shown[:, 1, 1])
    assert not np.array_equal(shown[:, 0, 2], GREY[:, 0, 2])


def test_the_part_stays_visible_under_the_strongest_tint() -> None:
    image = np.array([[[0, 255]]] * 3, np.uint8)
    shown = overlay(image, np.ones((1, 2), np.float32), 0, 1).astype(int)
    assert (shown[:, 0, 1] - shown[:, 0, 0]).min() > 50


def test_what_was_not_inspected_is_dark_grey() -> None:
    image = np.array([[[200]], [[100]], [[0]]], np.uint8)
    shown = overlay(image, np.full((1, 1), np.nan, np.float32), 0, 1)[:, 0, 0].tolist()
    assert shown == [40, 40, 40]


def test_floats_and_bytes_give_the_same_overlay() -> None:
    image = pictures.ramp().transpose(2, 0, 1)
    scores = np.linspace(0, 1, 40 * 36, dtype=np.float32).reshape(40, 36)
    assert np.array_equal(overlay(image, scores, 0, 1), overlay(image.astype(np.float32) / 255, scores, 0, 1))


def test_an_empty_scale_and_a_map_of_another_size_are_refused() -> None:
    with pytest.raises(BadInput, match="low must be below high"):
        overlay(GREY, np.zeros((2, 3), np.float32), 1, 1)
    with pytest.raises(BadInput, match="call place"):
        overlay(GREY, np.zeros((3, 2), np.float32), 0, 1)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.TIF"])
def test_a_saved_picture_reads_back(tmp_path: Path, name: str) -> None:
    image = pictures.ramp().transpose(2, 0, 1)
    save_picture(tmp_path / name, image)
    assert np.array_equal(read(tmp_path / name), image)
    save_picture(tmp_path / name, image.astype(np.float32) / 255)
    assert np.array_equal(read(tmp_path / name), image)


def test_a_picture_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot be written as '\.gif': use one of"):
        save_picture(tmp_path / "a.gif", GREY)
    with pytest.raises(BadInput, match=r"a picture is \(3, H, W\)"):
        save_picture(tmp_path / "a.png", np.zeros((2, 3), np.float32))
