from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blemish.data.masks import is_empty, read_ground_truth
from blemish.errors import BadImage

TRUTH = np.zeros((4, 6), dtype=bool)
TRUTH[1:3, 2:5] = True


def saved(image: Image.Image, path: Path) -> Path:
    image.save(path)
    return path


@pytest.mark.parametrize("value", [1, 7, 255])
def test_any_non_zero_value_is_defect(value: int, tmp_path: Path) -> None:
    path = saved(Image.fromarray((TRUTH * value).astype(np.uint8)), tmp_path / "m.png")
    np.testing.assert_array_equal(read_ground_truth(path), TRUTH)


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGB", "RGBA"])
def test_every_mode_is_read(mode: str, tmp_path: Path) -> None:
    path = saved(Image.fromarray((TRUTH * 255).astype(np.uint8)).convert(mode), tmp_path / "m.png")
    np.testing.assert_array_equal(read_ground_truth(path), TRUTH)


def test_sixteen_bits_are_read(tmp_path: Path) -> None:
    path = saved(Image.fromarray((TRUTH * 300).astype(np.uint16)), tmp_path / "m.png")
    np.testing.assert_array_equal(read_ground_truth(path), TRUTH)


def test_faint_pixels_of_a_jpeg_are_not_defect(tmp_path: Path) -> None:
    truth = np.zeros((32, 32), dtype=np.uint8)
    truth[5:20, 7:21] = 255
    path = saved(Image.fromarray(truth), tmp_path / "m.jpg")
    with Image.open(path) as decoded:
        assert ((np.asarray(decoded) > 0) != (truth > 0)).any()
    np.testing.assert_array_equal(read_ground_truth(path), truth > 0)


def test_a_mask_is_resized_only_when_asked_and_stays_boolean(tmp_path: Path) -> None:
    path = saved(Image.fromarray((TRUTH * 255).astype(np.uint8)), tmp_path / "m.png")
    doubled = read_ground_truth(path, size=(8, 12))
    assert doubled.dtype == np.bool_
    np.testing.assert_array_equal(doubled, TRUTH.repeat(2, axis=0).repeat(2, axis=1))


def test_an_empty_mask_is_told_from_one_that_marks_something(tmp_path: Path) -> None:
    assert is_empty(saved(Image.new("L", (3, 3)), tmp_path / "empty.bmp"))
    assert not is_empty(saved(Image.new("L", (3, 3), 1), tmp_path / "full.bmp"))


def test_a_mask_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(b"nothing")
    with pytest.raises(BadImage, match=r"m\.png"):
        read_ground_truth(tmp_path / "m.png")
    with pytest.raises(BadImage, match=r"gone\.png"):
        read_ground_truth(tmp_path / "gone.png")
