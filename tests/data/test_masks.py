from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from blemish.data.masks import check_fit, is_empty, read_ground_truth
from blemish.errors import BadImage
from blemish.images import read

ORIENTATION = 274
TRUTH = np.zeros((4, 6), dtype=bool)
TRUTH[1:3, 2:5] = True


def saved(image: Image.Image, path: Path) -> Path:
    image.save(path)
    return path


def mask(path: Path, truth: NDArray[np.bool_] = TRUTH) -> Path:
    return saved(Image.fromarray((truth * 255).astype(np.uint8)), path)


def part(path: Path, width: int, height: int, orientation: int = 1) -> Path:
    """A picture whose stored pixels are `width` x `height`."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.new("RGB", (width, height), "grey").save(path, exif=exif)
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return part(tmp_path / "picture.png", 6, 4)


@pytest.mark.parametrize("value", [1, 7, 255])
def test_any_non_zero_value_is_defect(value: int, tmp_path: Path, picture: Path) -> None:
    path = saved(Image.fromarray((TRUTH * value).astype(np.uint8)), tmp_path / "m.png")
    np.testing.assert_array_equal(read_ground_truth((path,), picture), TRUTH)


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGB", "RGBA"])
def test_every_mode_is_read(mode: str, tmp_path: Path, picture: Path) -> None:
    path = saved(Image.fromarray((TRUTH * 255).astype(np.uint8)).convert(mode), tmp_path / "m.png")
    np.testing.assert_array_equal(read_ground_truth((path,), picture), TRUTH)


@pytest.mark.parametrize(("name", "kind"), [("m.png", np.uint16), ("m.tif", np.int32), ("m.tif", np.float32)])
def test_deep_masks_are_read(name: str, kind: type[np.generic], tmp_path: Path, picture: Path) -> None:
    path = saved(Image.fromarray((TRUTH * 300).astype(kind)), tmp_path / name)
    np.testing.assert_array_equal(read_ground_truth((path,), picture), TRUTH)


def test_what_is_transparent_is_not_defect(tmp_path: Path, picture: Path) -> None:
    pixels = np.full((4, 6, 4), 255, np.uint8)
    pixels[..., 3] = TRUTH * 255
    path = saved(Image.fromarray(pixels), tmp_path / "m.png")
    np.testing.assert_array_equal(read_ground_truth((path,), picture), TRUTH)


def test_faint_pixels_of_a_jpeg_are_not_defect(tmp_path: Path) -> None:
    truth = np.zeros((32, 32), dtype=np.uint8)
    truth[5:20, 7:21] = 255
    path = saved(Image.fromarray(truth), tmp_path / "m.jpg")
    with Image.open(path) as decoded:
        assert ((np.asarray(decoded) > 0) != (truth > 0)).any()
    np.testing.assert_array_equal(read_ground_truth((path,), part(tmp_path / "p.png", 32, 32)), truth > 0)


def test_several_masks_are_joined(tmp_path: Path, picture: Path) -> None:
    left, right = (TRUTH & (np.arange(6) == column) for column in (2, 4))
    masks = (mask(tmp_path / "0.png", left), mask(tmp_path / "1.png", right))
    np.testing.assert_array_equal(read_ground_truth(masks, picture), left | right)
    assert not read_ground_truth((), picture).any()


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_drawn_on_the_stored_pixels_is_turned_with_its_picture(orientation: int, tmp_path: Path) -> None:
    stored = np.repeat((TRUTH * 255).astype(np.uint8)[..., None], 3, axis=2)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(stored).save(tmp_path / "p.png", exif=exif)
    upright = read(tmp_path / "p.png")[0] > 0
    assert upright.shape == (6, 4)
    np.testing.assert_array_equal(read_ground_truth((mask(tmp_path / "m.png"),), tmp_path / "p.png"), upright)
    np.testing.assert_array_equal(read_ground_truth((mask(tmp_path / "u.png", upright),), tmp_path / "p.png"), upright)


@pytest.mark.parametrize(
    ("size", "stored", "orientation"),
    [
        ((96, 128), (128, 96), 1),
        ((96, 128), (128, 96), 3),
        ((200, 40), (128, 96), 1),
        ((200, 40), (96, 128), 6),
        ((64, 48), (128, 96), 1),
        ((127, 96), (128, 96), 1),
    ],
)
def test_a_mask_that_does_not_fit_is_refused_by_name(
    size: tuple[int, int], stored: tuple[int, int], orientation: int, tmp_path: Path
) -> None:
    path = mask(tmp_path / "m.png", np.ones(size[::-1], bool))
    picture = part(tmp_path / "p.png", *stored, orientation)
    for read_or_check in (lambda: read_ground_truth((path,), picture), lambda: check_fit([((path,), picture)])):
        with pytest.raises(BadImage, match=rf"m\.png is no mask for .*p\.png: it is {size[0]} x {size[1]}, the"):
            read_or_check()


def test_a_picture_that_is_broken_is_no_fault_of_its_mask(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"nothing")
    check_fit([((mask(tmp_path / "m.png"),), tmp_path / "p.png")])


def test_an_empty_mask_is_told_from_one_that_marks_something(tmp_path: Path) -> None:
    assert is_empty(saved(Image.new("L", (3, 3)), tmp_path / "empty.bmp"))
    assert not is_empty(saved(Image.new("L", (3, 3), 1), tmp_path / "full.bmp"))


def test_a_mask_that_cannot_be_read_is_named(tmp_path: Path, picture: Path) -> None:
    (tmp_path / "m.png").write_bytes(b"nothing")
    for name in ("m", "gone"):
        with pytest.raises(BadImage, match=rf"{name}\.png"):
            read_ground_truth((tmp_path / f"{name}.png",), picture)
        with pytest.raises(BadImage, match=rf"{name}\.png"):
            check_fit([((tmp_path / f"{name}.png",), picture)])
