from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.support import pictures

from blemish.images import read, unit

ORIENTATION = 274
OPTIONS: dict[str, dict[str, Any]] = {
    "a.webp": {"lossless": True},
    "a.jpg": {"quality": 100},
    "lzw.tif": {"compression": "tiff_lzw"},
}
TURNED: list[Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = [
    lambda a: a,
    np.fliplr,
    lambda a: np.rot90(a, 2),
    np.flipud,
    lambda a: a.swapaxes(0, 1),
    lambda a: np.rot90(a, -1),
    lambda a: np.rot90(a.swapaxes(0, 1), 2),
    np.rot90,
]


def pixels(path: Path, *, white: float | None = None) -> NDArray[Any]:
    return read(path, white=white).transpose(1, 2, 0)


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.TIFF", "a.webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_formats_give_the_very_pixels(tmp_path: Path, name: str, channels: int) -> None:
    image = pictures.ramp(channels=channels).squeeze()
    Image.fromarray(image).save(tmp_path / name, **OPTIONS.get(name, {}))
    found = read(tmp_path / name)
    assert found.dtype == np.uint8
    assert np.array_equal(found.transpose(1, 2, 0), np.broadcast_to(image.reshape(40, 36, channels), (40, 36, 3)))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_a_compressed_tiff_gives_the_very_pixels(tmp_path: Path, compression: str) -> None:
    Image.fromarray(pictures.ramp()).save(tmp_path / "a.tif", compression=compression)
    assert np.array_equal(pixels(tmp_path / "a.tif"), pictures.ramp())


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_is_close_to_its_original(tmp_path: Path, progressive: bool) -> None:
    image = pictures.ramp(channels=1).squeeze() // 2
    Image.fromarray(image).save(tmp_path / "a.jpg", quality=95, progressive=progressive)
    assert np.abs(pixels(tmp_path / "a.jpg").astype(int) - image[:, :, None]).max() <= 6


def test_the_content_decides_whatever_the_name_says(tmp_path: Path) -> None:
    Image.fromarray(pictures.ramp()).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert np.array_equal(pixels(tmp_path / "a.jpg"), pictures.ramp())


def test_a_black_and_white_picture_is_0_and_255(tmp_path: Path) -> None:
    Image.fromarray(pictures.ramp(channels=1).squeeze() > 60).save(tmp_path / "a.png")
    assert set(np.unique(pixels(tmp_path / "a.png")).tolist()) == {0, 255}


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "L").convert("P")
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.save(tmp_path / "a.png")
    assert pixels(tmp_path / "a.png").tolist() == [[[10, 20, 30], [200, 100, 50]], [[200, 100, 50], [10, 20, 30]]]


def test_a_transparent_palette_entry_is_black(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1]], np.uint8), "L").convert("P")
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.save(tmp_path / "a.png", transparency=1)
    assert pixels(tmp_path / "a.png").tolist() == [[[10, 20, 30], [0, 0, 0]]]


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_transparent_pixels_show_black_behind_them(tmp_path: Path, name: str) -> None:
    image = np.full((4, 4, 4), 200, np.uint8)
    image[:, :2, 3], image[:, 2:, 3] = 128, 255
    Image.fromarray(image).save(tmp_path / name, **OPTIONS.get(name, {}))
    found = pixels(tmp_path / name)
    assert np.abs(found[:, :2].astype(int) - 100).max() <= 1
    assert (found[:, 2:] == 200).all()


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_grey_with_alpha_shows_black_behind_it(tmp_path: Path, name: str) -> None:
    Image.fromarray(np.array([[[200, 255], [200, 0]]], np.uint8), "LA").save(tmp_path / name)
    assert pixels(tmp_path / name).tolist() == [[[200] * 3, [0] * 3]]


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_cmyk_ink_darkens(tmp_path: Path, name: str) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / name)  # magenta and yellow ink: red
    assert np.abs(pixels(tmp_path / name).astype(int) - [255, 0, 0]).max() <= 3


def test_a_cmyk_jpeg_without_the_adobe_mark_is_not_inverted(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "adobe.jpg")  # stored as 255 - ink
    data = (tmp_path / "adobe.jpg").read_bytes()
    start = data.index(b"\xff\xee")
    plain = written(tmp_path / "plain.jpg", data[:start] + data[start + 16 :])
    assert np.abs(pixels(plain).astype(int) - [0, 0, 0]).max() <= 3  # the same samples as ink: cyan and black


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp", "lzw.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path: Path, name: str, orientation: int) -> None:
    image = np.zeros((32, 48, 3), np.uint8)
    image[:16, :16], image[16:, :16] = 255, 128
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(image).save(tmp_path / name, exif=exif, **OPTIONS.get(name, {}))
    expected = TURNED[orientation - 1](image).astype(int)
    found = pixels(tmp_path / name)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 2


@pytest.mark.parametrize(("channels", "colour_type"), [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_a_16_bit_png_keeps_all_its_bits(tmp_path: Path, channels: int, colour_type: int) -> None:
    samples = pictures.deep(channels)
    found = pixels(written(tmp_path / "a.png", pictures.png(samples, colour_type)))
    colour = samples[:, :, : 3 if channels > 2 else 1] / 65535
    expected = colour * samples[:, :, -1:] / 65535 if channels in (2, 4) else colour
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-6


@pytest.mark.parametrize(("channels", "colour_type"), [(1, 0), (3, 2)])
def test_the_transparent_colour_of_a_16_bit_png_is_black(tmp_path: Path, channels: int, colour_type: int) -> None:
    samples = pictures.deep(channels)
    key = samples[5, 5].astype(">u2").tobytes()
    found = pixels(written(tmp_path / "a.png", pictures.png(samples, colour_type, (b"tRNS", key))))
    assert (found[5, 5] == 0).all()
    assert np.abs(found[0] - samples[0] / 65535).max() < 1e-6


def test_a_16_bit_png_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    samples = pictures.deep(3)
    path = written(tmp_path / "a.png", pictures.png(samples, 2, (b"eXIf", exif.tobytes()[6:])))
    assert np.abs(pixels(path) - np.rot90(samples, -1) / 65535).max() < 1e-6


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize(
    ("kind", "white"),
    [("u2", None), ("u2", 65535), ("f4", None), ("f8", 1), ("f2", None), ("i2", 32767), ("u4", 2**32 - 1)],
)
def test_a_deep_rgb_tiff_keeps_its_values(
    tmp_path: Path, order: str, planar: int, compression: int, kind: str, white: float | None
) -> None:
    full = white or (65535 if kind == "u2" else 1)
    samples = (pictures.deep(3) / 65535 * full).astype(kind)
    path = written(tmp_path / "a.tif", pictures.tiff(samples, 2, order=order, planar=planar, t259=compression))
    assert np.abs(pixels(path, white=white) - samples.astype(float) / full).max() < 1e-6


def test_grey_deep_tiffs_are_read_whichever_end_is_white(tmp_path: Path) -> None:
    samples = pictures.deep(1)
    dark = written(tmp_path / "dark.tif", pictures.tiff(samples, 1))
    light = written(tmp_path / "light.tif", pictures.tiff(samples, 0))
    assert np.abs(pixels(dark) - samples / 65535).max() < 1e-6
    assert np.abs(pixels(light) - (1 - samples / 65535)).max() < 1e-6


@pytest.mark.parametrize(("kind", "is_multiplied"), [(0, False), (1, False), (2, True)])
def test_deep_tiff_alpha_multiplies_unless_it_is_unused_or_already_did(
    tmp_path: Path, kind: int, is_multiplied: bool
) -> None:
    samples = pictures.deep(4)
    path = written(tmp_path / "a.tif", pictures.tiff(samples, 2, t338=kind))
    expected = samples[:, :, :3] / 65535 * (samples[:, :, 3:] / 65535 if is_multiplied else 1)
    assert np.abs(pixels(path) - expected).max() < 1e-6


def test_deep_cmyk_ink_darkens(tmp_path: Path) -> None:
    samples = np.zeros((3, 3, 4), np.uint16)
    samples[..., 1:3] = 65535
    assert pixels(written(tmp_path / "a.tif", pictures.tiff(samples, 5)))[0, 0].tolist() == [1, 0, 0]


def test_a_deep_tiff_is_turned_upright(tmp_path: Path) -> None:
    samples = pictures.deep(3)
    path = written(tmp_path / "a.tif", pictures.tiff(samples, 2, t274=6))
    assert np.abs(pixels(path) - np.rot90(samples, -1) / 65535).max() < 1e-6


@pytest.mark.parametrize("order", ["<", ">"])
def test_horizontal_differencing_of_a_deep_tiff_is_undone(tmp_path: Path, order: str) -> None:
    samples = pictures.deep(3)
    steps = samples.copy()
    steps[:, 1:] -= samples[:, :-1]
    path = written(tmp_path / "a.tif", pictures.tiff(steps, 2, order=order, t259=8, t317=2))
    assert np.abs(pixels(path) - samples / 65535).max() < 1e-6


def test_the_floating_point_predictor_is_undone(tmp_path: Path) -> None:
    samples = (pictures.deep(3) / 65535).astype(np.float32)
    planes = samples.astype(">f4").reshape(13, -1, 1).view(np.uint8).swapaxes(1, 2).reshape(13, -1)
    steps = planes.copy()
    steps[:, 3:] -= planes[:, :-3]
    path = written(tmp_path / "a.tif", pictures.tiff(steps.view("<f4").reshape(13, 11, 3), 2, t259=8, t317=3))
    assert np.array_equal(pixels(path), samples)


def test_tiles_of_a_deep_tiff_are_put_together_without_their_padding(tmp_path: Path) -> None:
    samples = pictures.deep(3)  # 13 x 11 in tiles of 16 x 16 is one; of a doubled picture, four
    double = np.tile(samples, (2, 2, 1))
    padded = np.pad(double, ((0, 6), (0, 10), (0, 0)))
    strips = [padded[y : y + 16, x : x + 16].tobytes() for y in (0, 16) for x in (0, 16)]
    fields = {256: [22], 257: [26], 258: [16] * 3, 259: [1], 262: [2], 277: [3], 284: [1], 322: [16], 323: [16]}
    path = written(tmp_path / "a.tif", pictures.page(strips, fields, strip_tags=(324, 325)))
    assert np.abs(pixels(path) - double / 65535).max() < 1e-6


def test_white_says_what_full_brightness_is(tmp_path: Path) -> None:
    samples = pictures.deep(1) >> 4
    path = written(tmp_path / "a.png", pictures.png(samples, 0))
    assert np.abs(pixels(path, white=4095) - samples / 4095).max() < 1e-6


def test_a_dark_deep_picture_is_not_stretched(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", pictures.tiff(np.full((4, 4, 1), 0.01, np.float32), 1))
    assert np.allclose(pixels(path), 0.01)


def test_of_several_pages_the_first_is_read_and_that_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = (Image.fromarray(image) for image in (pictures.ramp(), 255 - pictures.ramp()))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    with caplog.at_level(logging.WARNING, logger="blemish.images"):
        found = pixels(tmp_path / "a.tif")
    assert np.array_equal(found, pictures.ramp())
    assert len(caplog.messages) == 1
    assert "a.tif holds several pages" in caplog.messages[0]


def test_one_page_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Image.fromarray(pictures.ramp()).save(tmp_path / "a.tif")
    read(tmp_path / "a.tif")
    assert not caplog.messages


def test_unit_maps_white_to_one_in_both_kinds_of_picture() -> None:
    assert unit(np.array([0, 51, 255], np.uint8)).tolist() == pytest.approx([0, 0.2, 1])
    assert unit(np.array([0.25], np.float32)).tolist() == [0.25]
