from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.support import pictures

from blemish.errors import BadImage, BadInput
from blemish.images import Region, crop, fill, place, read, read_region_mask, resize, visible


@st.composite
def regions(draw: st.DrawFn) -> tuple[int, int, Region]:
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return height, width, Region(x, y, draw(st.integers(1, width - x)), draw(st.integers(1, height - y)))


@settings(deadline=None, max_examples=60)
@given(regions())
def test_placing_what_was_cropped_gives_it_back_and_nan_elsewhere(case: tuple[int, int, Region]) -> None:
    height, width, region = case
    whole = torch.arange(height * width, dtype=torch.float32).reshape(height, width)
    placed = place(crop(whole, region), (height, width), region=region)
    inside = ~placed.isnan()
    assert int(inside.sum()) == region.width * region.height
    assert torch.equal(placed[inside], whole[inside])
    assert torch.equal(crop(placed, region), crop(whole, region))


@settings(deadline=None, max_examples=60)
@given(regions(), st.integers(1, 20), st.integers(1, 20), st.floats(-5, 5, width=32))
def test_a_constant_map_stays_constant_at_any_size(
    case: tuple[int, int, Region], rows: int, columns: int, value: float
) -> None:
    height, width, region = case
    placed = place(torch.full((rows, columns), value), (height, width), region=region)
    assert torch.allclose(crop(placed, region), torch.tensor(value), atol=1e-5)


def test_a_small_map_is_stretched_to_the_whole_picture() -> None:
    placed = place(torch.tensor([[0.0, 1.0]]), (2, 4))
    assert placed.tolist() == [[0, 0.25, 0.75, 1]] * 2


def test_outside_the_mask_is_not_inspected() -> None:
    mask = torch.tensor([[True, False], [False, True]])
    placed = place(torch.ones(2, 2), (2, 2), mask=mask)
    assert torch.equal(placed.isnan(), ~mask)


@pytest.mark.parametrize("region", [Region(-1, 0, 2, 2), Region(3, 0, 2, 2), Region(0, 0, 0, 2), Region(0, 3, 1, 2)])
def test_a_region_that_is_not_inside_is_refused(region: Region) -> None:
    with pytest.raises(BadInput, match="does not lie inside a picture of 4 x 4"):
        crop(torch.zeros(3, 4, 4), region)


@pytest.mark.parametrize("scale", [1, 255])
def test_the_fill_is_the_mean_colour_of_the_inspected_pixels(scale: int) -> None:
    mask = torch.tensor([[True, True, False]])
    image = torch.tensor([[[0.2, 0.4, 1]], [[0.0, 0.4, 1]], [[0.8, 1, 0]]])
    image = image if scale == 1 else image.mul(255).round().to(torch.uint8)
    filled = fill(image, mask)
    assert filled.dtype == image.dtype
    assert torch.equal(filled[:, :, :2], image[:, :, :2])
    assert filled[:, 0, 2].tolist() == pytest.approx(
        [0.3 * scale, 0.2 * scale, 0.9 * scale], abs=0.5 if scale > 1 else 1e-6
    )


def test_a_mask_of_another_size_or_without_a_pixel_is_refused() -> None:
    with pytest.raises(BadInput, match="give both one size"):
        fill(torch.zeros(3, 4, 4), torch.ones(4, 5, dtype=torch.bool))
    with pytest.raises(BadInput, match="no pixel to inspect"):
        fill(torch.zeros(3, 4, 4), torch.zeros(4, 4, dtype=torch.bool))
    with pytest.raises(BadInput, match="give both one size"):
        place(torch.zeros(4, 4), (4, 4), mask=torch.ones(4, 5, dtype=torch.bool))


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
    mask = torch.zeros(60, 80, dtype=torch.bool)
    mask[10:30, 10:30] = True
    other = part.with_name("other.png")
    painted = pictures.ramp(60, 80)
    painted[~mask.numpy()] = 255
    Image.fromarray(painted).save(other)
    region = Region(5, 5, 40, 40)
    one, two = (visible(path, read(path), region=region, mask=mask) for path in (part, other))
    assert torch.equal(one, two)


@pytest.mark.parametrize(
    ("region", "mask", "reason"),
    [
        (Region(60, 0, 40, 40), None, "the region 40 x 40 at .60, 0. is not inside it"),
        (None, torch.ones(60, 60, dtype=torch.bool), "the mask is 60 x 60: draw it"),
        (Region(0, 0, 9, 9), torch.arange(80).expand(60, 80) > 40, "nothing to inspect: paint white"),
    ],
)
def test_a_picture_that_does_not_fit_is_a_bad_image(
    part: Path, region: Region | None, mask: torch.Tensor | None, reason: str
) -> None:
    with pytest.raises(BadImage, match=rf"part\.png of 80 x 60.*{reason}"):
        visible(part, read(part), region=region, mask=mask)


@pytest.mark.parametrize("size", [(24, 24), (64, 20), (120, 130), (50, 100)])
def test_resizing_8_bits_is_bicubic_with_antialiasing_as_in_pillow(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (15, 20, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    # Across first, then down: Pillow 13 chooses the order by cost, and with it how it rounds in between.
    across = Image.fromarray(image).resize((size[1], 60), Image.Resampling.BICUBIC)
    expected = np.array(across.resize((size[1], size[0]), Image.Resampling.BICUBIC)).astype(int)
    found = resize(torch.from_numpy(image).permute(2, 0, 1), size)
    difference = np.abs(found.permute(1, 2, 0).mul(255).numpy() - expected)
    assert difference.max() <= 2.001
    assert difference.mean() < 0.1


def test_resizing_floats_keeps_more_than_8_bits_and_stays_in_range() -> None:
    image = torch.linspace(0, 1, 64).expand(3, 48, 64)
    small = resize(image, (24, 32))
    assert (small * 255 - (small * 255).round()).abs().max() > 0.1
    edge = resize((image > 0.5).float(), (24, 31))
    assert edge.min() >= 0
    assert edge.max() <= 1


def test_a_picture_of_the_right_size_is_only_scaled() -> None:
    image = torch.from_numpy(pictures.ramp()).permute(2, 0, 1)
    assert torch.equal(resize(image, (40, 36)), image.float() / 255)


def test_a_mask_of_a_picture_that_lies_on_its_side_is_turned_by_its_own_header_or_refused(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), "grey").save(tmp_path / "part.jpg", exif=exif)
    Image.new("L", (40, 20), 255).save(tmp_path / "same.jpg", exif=exif)
    Image.new("L", (40, 20), 255).save(tmp_path / "lying.png")
    picture = read(tmp_path / "part.jpg")
    assert picture.shape == (3, 40, 20)
    mask = read_region_mask(tmp_path / "same.jpg")
    assert torch.equal(visible("part.jpg", picture, mask=mask), picture)
    with pytest.raises(BadImage, match="20 x 40: the mask is 40 x 20: draw it so, upright as EXIF says"):
        visible("part.jpg", picture, mask=read_region_mask(tmp_path / "lying.png"))
