from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tests.support import pictures
from torch.nn.functional import interpolate

from blemish.errors import BadImage, BadInput
from blemish.images import (
    Region,
    area,
    crop,
    fill,
    linear,
    nearest,
    place,
    read,
    read_region_mask,
    resize,
    scale,
    visible,
)
from blemish.images.framing import Kernel


@st.composite
def regions(draw: st.DrawFn) -> tuple[int, int, Region]:
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return height, width, Region(x, y, draw(st.integers(1, width - x)), draw(st.integers(1, height - y)))


@settings(deadline=None, max_examples=60)
@given(regions())
def test_placing_what_was_cropped_gives_it_back_and_nan_elsewhere(case: tuple[int, int, Region]) -> None:
    height, width, region = case
    whole = np.arange(height * width, dtype=np.float32).reshape(height, width)
    placed = place(crop(whole, region), (height, width), region=region)
    inside = ~np.isnan(placed)
    assert int(inside.sum()) == region.width * region.height
    assert np.array_equal(placed[inside], whole[inside])
    assert np.array_equal(crop(placed, region), crop(whole, region))


@settings(deadline=None, max_examples=60)
@given(regions(), st.integers(1, 20), st.integers(1, 20), st.floats(-5, 5, width=32))
def test_a_constant_map_stays_constant_at_any_size(
    case: tuple[int, int, Region], rows: int, columns: int, value: float
) -> None:
    height, width, region = case
    placed = place(np.full((rows, columns), value, np.float32), (height, width), region=region)
    assert np.allclose(crop(placed, region), np.array(value), atol=1e-5)


def test_a_small_map_is_stretched_to_the_whole_picture() -> None:
    placed = place(np.array([[0.0, 1.0]], np.float32), (2, 4))
    assert placed.tolist() == [[0, 0.25, 0.75, 1]] * 2


def test_outside_the_mask_is_not_inspected() -> None:
    mask = np.array([[True, False], [False, True]])
    placed = place(np.ones((2, 2), np.float32), (2, 2), mask=mask)
    assert np.array_equal(np.isnan(placed), ~mask)


@pytest.mark.parametrize("region", [Region(-1, 0, 2, 2), Region(3, 0, 2, 2), Region(0, 0, 0, 2), Region(0, 3, 1, 2)])
def test_a_region_that_is_not_inside_is_refused(region: Region) -> None:
    with pytest.raises(BadInput, match="does not lie inside a picture of 4 x 4"):
        crop(np.zeros((3, 4, 4), np.float32), region)


@pytest.mark.parametrize("scale", [1, 255])
def test_the_fill_is_the_mean_colour_of_the_inspected_pixels(scale: int) -> None:
    mask = np.array([[True, True, False]])
    image = np.array([[[0.2, 0.4, 1]], [[0.0, 0.4, 1]], [[0.8, 1, 0]]], np.float32)
    image = image if scale == 1 else (image * 255).round().astype(np.uint8)
    filled = fill(image, mask)
    assert filled.dtype == image.dtype
    assert np.array_equal(filled[:, :, :2], image[:, :, :2])
    assert filled[:, 0, 2].tolist() == pytest.approx(
        [0.3 * scale, 0.2 * scale, 0.9 * scale], abs=0.5 if scale > 1 else 1e-6
    )


def test_a_mask_of_another_size_or_without_a_pixel_is_refused() -> None:
    with pytest.raises(BadInput, match="give both one size"):
        fill(np.zeros((3, 4, 4), np.float32), np.ones((4, 5), np.bool_))
    with pytest.raises(BadInput, match="no pixel to inspect"):
        fill(np.zeros((3, 4, 4), np.float32), np.zeros((4, 4), np.bool_))
    with pytest.raises(BadInput, match="give both one size"):
        place(np.zeros((4, 4), np.float32), (4, 4), mask=np.ones((4, 5), np.bool_))


def test_a_mask_file_is_true_where_it_is_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 100, 200, 255]], np.uint8)).save(tmp_path / "mask.png")
    assert read_region_mask(tmp_path / "mask.png").tolist() == [[False, False, True, True]]


def test_a_black_mask_file_is_refused(tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "mask.png")
    with pytest.raises(BadImage, match=r"mask\.png is black everywhere.*paint white"):
        read_region_mask(tmp_path / "mask.png")


@pytest.fixture
def part(tmp_path: Path) -> Path:
    Image.fromarray(pictures.ramp(60, 80)).save(tmp_path / "part.png")
    return tmp_path / "part.png"


def test_what_the_mask_leaves_out_does_not_reach_the_detector(part: Path) -> None:
    mask = np.zeros((60, 80), np.bool_)
    mask[10:30, 10:30] = True
    other = part.with_name("other.png")
    painted = pictures.ramp(60, 80)
    painted[~mask] = 255
    Image.fromarray(painted).save(other)
    region = Region(5, 5, 40, 40)
    one, two = (visible(path, read(path), region=region, mask=mask) for path in (part, other))
    assert np.array_equal(one, two)


@pytest.mark.parametrize(
    ("region", "mask", "reason"),
    [
        (Region(60, 0, 40, 40), None, "the region 40 x 40 at .60, 0. is not inside it"),
        (None, np.ones((60, 60), np.bool_), "the mask is 60 x 60: draw it"),
        (Region(0, 0, 9, 9), np.broadcast_to(np.arange(80) > 40, (60, 80)), "nothing to inspect: paint white"),
    ],
)
def test_a_picture_that_does_not_fit_is_a_bad_image(
    part: Path, region: Region | None, mask: NDArray[Any] | None, reason: str
) -> None:
    with pytest.raises(BadImage, match=rf"part\.png of 80 x 60.*{reason}"):
        visible(part, read(part), region=region, mask=mask)


SIZES = [(24, 24), (64, 20), (120, 130), (50, 100), (1, 1), (60, 7), (61, 81)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("last", [True, False], ids=["channels last", "channels first"])
def test_resizing_is_bicubic_with_antialiasing_as_in_torch_and_nearly_as_in_pillow(
    size: tuple[int, int], *, last: bool
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (15, 20, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    picture = image.transpose(2, 0, 1) if last else np.ascontiguousarray(image.transpose(2, 0, 1))
    floats = torch.from_numpy(np.ascontiguousarray(picture)).float() / 255
    expected = interpolate(floats[None], size=size, mode="bicubic", antialias=True, align_corners=False)[0]
    found = resize(picture, size)
    assert found.dtype == np.float32
    assert np.abs(found - expected.clamp(0, 1).numpy()).max() < 1e-5
    assert np.abs(resize(floats.numpy(), size) - found).max() < 1e-5
    bytewise = np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC))
    assert np.abs(found.transpose(1, 2, 0) * 255 - bytewise).mean() < 0.5  # it clips and rounds in between


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("kernel", "mode"), [(linear, "bilinear"), (area, "area")])
def test_maps_are_scaled_as_by_torch(size: tuple[int, int], kernel: Kernel, mode: str) -> None:
    image = np.random.default_rng(0).random((60, 80), np.float32)
    options = {"align_corners": False} if mode == "bilinear" else {}
    expected = interpolate(torch.from_numpy(image)[None, None], size=size, mode=mode, **options)[0, 0].numpy()
    assert np.abs(scale(image, size, kernel) - expected).max() < 1e-5
    room = np.full((size[0] + 2, size[1] + 2), -1, np.float32)
    scale(image, size, kernel, out=room[1:-1, 1:-1])
    assert np.abs(room[1:-1, 1:-1] - expected).max() < 1e-5
    assert (room[0] == -1).all()
    assert (room[:, -1] == -1).all()


@pytest.mark.parametrize("size", SIZES)
def test_numbers_of_types_are_those_of_the_nearest_as_by_torch(size: tuple[int, int]) -> None:
    kinds = np.random.default_rng(0).integers(0, 9, (60, 80))
    expected = interpolate(torch.from_numpy(kinds)[None, None].float(), size, mode="nearest-exact")[0, 0]
    assert np.array_equal(nearest(kinds, size), expected.numpy())


def test_resizing_floats_keeps_more_than_8_bits_and_stays_in_range() -> None:
    image = np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32), (3, 48, 64))
    small = resize(image, (24, 32))
    assert np.abs(small * 255 - (small * 255).round()).max() > 0.1
    edge = resize((image > 0.5).astype(np.float32), (24, 31))
    assert edge.min() >= 0
    assert edge.max() <= 1


def test_a_picture_of_the_right_size_is_only_scaled() -> None:
    image = pictures.ramp().transpose(2, 0, 1)
    assert np.array_equal(resize(image, (40, 36)), image.astype(np.float32) / 255)


def test_a_mask_of_a_picture_that_lies_on_its_side_is_turned_by_its_own_header_or_refused(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), "grey").save(tmp_path / "part.jpg", exif=exif)
    Image.new("L", (40, 20), 255).save(tmp_path / "same.jpg", exif=exif)
    Image.new("L", (40, 20), 255).save(tmp_path / "lying.png")
    picture = read(tmp_path / "part.jpg")
    assert picture.shape == (3, 40, 20)
    mask = read_region_mask(tmp_path / "same.jpg")
    assert np.array_equal(visible("part.jpg", picture, mask=mask), picture)
    with pytest.raises(BadImage, match="20 x 40: the mask is 40 x 20: draw it so, upright as EXIF says"):
        visible("part.jpg", picture, mask=read_region_mask(tmp_path / "lying.png"))
