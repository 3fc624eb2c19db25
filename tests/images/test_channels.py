"""What a header says of colour, palette, depth and alpha, against what the pixels mean."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.support import pictures

from blemish.errors import BadImage
from blemish.images import read
from blemish.notices import gather

RGB, GREY = pictures.ramp(16, 12), pictures.ramp(16, 12, 1)
Saver = Callable[[Path, int], NDArray[np.uint8]]


def found(path: Path) -> tuple[NDArray[Any], list[str]]:
    with gather() as notices:
        image = read(path).transpose(1, 2, 0)
    return image, notices.lines()


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def with_last(colours: NDArray[Any], value: int) -> NDArray[Any]:
    return np.concatenate([colours, np.full_like(colours[:, :, :1], value)], axis=2)


def saved_rgba(name: str) -> Saver:
    def save(folder: Path, alpha: int) -> NDArray[np.uint8]:
        options = {"lossless": True, "exact": True} if name.endswith("webp") else {}
        Image.fromarray(with_last(RGB, alpha)).save(folder / "a", format=name, **options)
        return RGB

    return save


def grey_png(folder: Path, alpha: int) -> NDArray[np.uint8]:
    Image.fromarray(with_last(GREY, alpha), "LA").save(folder / "a", format="png")
    return GREY


def palette_png(folder: Path, alpha: int) -> NDArray[np.uint8]:
    picture = Image.fromarray(GREY[:, :, 0]).convert("P")
    picture.save(folder / "a", format="png", transparency=bytes([alpha]) * 256)
    return GREY


def rgb_tiff(folder: Path, alpha: int) -> NDArray[np.uint8]:
    (folder / "a").write_bytes(pictures.tiff(with_last(RGB, alpha), 2, t338=2))
    return RGB


def white_is_zero_tiff(folder: Path, alpha: int) -> NDArray[np.uint8]:
    (folder / "a").write_bytes(pictures.tiff(with_last(255 - GREY, alpha), 0, t338=2))
    return GREY


def bmp(folder: Path, alpha: int) -> NDArray[np.uint8]:
    """32 bits with a mask for alpha, as cameras write them."""
    rows = with_last(RGB[::-1, :, ::-1], alpha)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    head = struct.pack("<IiiHHIIiiII", 108, 12, 16, 1, 32, 3, rows.nbytes, 2835, 2835, 0, 0) + masks + bytes(52)
    start = 14 + len(head)
    data = b"BM" + struct.pack("<IHHI", start + rows.nbytes, 0, 0, start) + head + rows.tobytes()
    (folder / "a").write_bytes(data)
    return RGB


SAVERS: dict[str, Saver] = {
    "PNG": saved_rgba("png"),
    "TIFF by Pillow": saved_rgba("tiff"),
    "WebP": saved_rgba("webp"),
    "grey PNG": grey_png,
    "palette PNG": palette_png,
    "TIFF": rgb_tiff,
    "TIFF, white is zero": white_is_zero_tiff,
    "BMP of 32 bits": bmp,
}


@pytest.mark.parametrize("alpha", [0, 1, 128, 254, 255])
@pytest.mark.parametrize("kind", SAVERS)
def test_alpha_that_is_the_same_everywhere_is_ignored_and_said(kind: str, alpha: int, tmp_path: Path) -> None:
    expected = SAVERS[kind](tmp_path, alpha)
    image, said = found(tmp_path / "a")
    assert image.dtype == np.uint8
    assert np.array_equal(image, np.broadcast_to(expected, (16, 12, 3)))
    assert len(said) == (alpha != 255)
    assert all(f"alpha is {alpha} everywhere" in line and str(tmp_path / "a") in line for line in said)


@pytest.mark.parametrize(("channels", "colour_type"), [(1, 4), (3, 6)])
@pytest.mark.parametrize("alpha", [0, 1, 65534, 65535])
def test_of_16_bits_too(channels: int, colour_type: int, alpha: int, tmp_path: Path) -> None:
    colours = pictures.deep(channels)
    path = written(tmp_path / "a.png", pictures.png(with_last(colours, alpha), colour_type))
    image, said = found(path)
    assert np.abs(image - colours / 65535).max() < 1e-6
    assert len(said) == (alpha != 65535)
    path = written(tmp_path / "a.tif", pictures.tiff(with_last(colours, alpha), 1 if channels == 1 else 2, t338=2))
    image, said = found(path)
    assert np.abs(image - colours / 65535).max() < 1e-6
    assert len(said) == (alpha != 65535)


def spoil(alpha: NDArray[np.uint8], kind: str) -> None:
    """What bytes that nobody filled on purpose look like."""
    if kind == "zeros and ones":
        alpha[:8] = 1
    elif kind == "noise":
        alpha[:] = np.random.default_rng(0).integers(0, 3, alpha.shape)
    elif kind == "half":
        alpha[:] = np.random.default_rng(0).integers(100, 140, alpha.shape)
    else:
        alpha[3, 5] = 255


@pytest.mark.parametrize("kind", ["zeros and ones", "noise", "half", "one pixel"])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_alpha_that_shows_hardly_a_pixel_as_it_is_is_ignored(name: str, kind: str, tmp_path: Path) -> None:
    large = np.tile(RGB, (4, 4, 1))
    rgba = with_last(large, 0)
    spoil(rgba[:, :, 3], kind)
    options: dict[str, Any] = {"lossless": True, "exact": True} if name == "a.webp" else {}
    Image.fromarray(rgba).save(tmp_path / name, **options)
    image, said = found(tmp_path / name)
    assert np.array_equal(image, large)
    assert "hides nearly all of it" in said[0]


def test_a_small_part_cut_out_of_a_large_picture_stays_cut_out(tmp_path: Path) -> None:
    rgba = with_last(np.tile(RGB, (4, 4, 1)), 0)
    rgba[8:12, 8:12, 3] = 255
    Image.fromarray(rgba).save(tmp_path / "a.png")
    image, said = found(tmp_path / "a.png")
    assert not image[12:].any()
    assert np.array_equal(image[8:12, 8:12], rgba[8:12, 8:12, :3])
    assert said == []


def test_alpha_that_is_a_picture_is_shown_on_black_and_nothing_is_said(tmp_path: Path) -> None:
    rgba = with_last(RGB, 255)
    rgba[:8, :, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "a.png")
    image, said = found(tmp_path / "a.png")
    assert not image[:8].any()
    assert np.array_equal(image[8:], RGB[8:])
    assert said == []


def test_a_colour_that_is_marked_transparent_is_black_unless_nothing_else_is_there(tmp_path: Path) -> None:
    key = struct.pack(">HHH", *map(int, RGB[2, 3]))
    image, _ = found(written(tmp_path / "a.png", pictures.png(RGB, 2, (b"tRNS", key))))
    marked = (RGB[2, 3] == RGB).all(2)
    assert not image[marked].any()
    assert np.array_equal(image[~marked], RGB[~marked])
    flat = np.full((4, 4, 3), 200, np.uint8)
    image, said = found(written(tmp_path / "b.png", pictures.png(flat, 2, (b"tRNS", struct.pack(">HHH", *[200] * 3)))))
    assert np.array_equal(image, flat)
    assert len(said) == 1
    deep = np.full((4, 4, 1), 51400, np.uint16)
    image, said = found(written(tmp_path / "c.png", pictures.png(deep, 0, (b"tRNS", struct.pack(">H", 51400)))))
    assert np.allclose(image, 51400 / 65535)
    assert len(said) == 1


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_transparent_grey_of_few_bits_is_black(bits: int, tmp_path: Path) -> None:
    head = struct.pack(">IIBBBBB", 8, 2, bits, 0, 0, 0, 0)
    rows = b"\0" + b"\xff" * bits + b"\0" + b"\0" * bits  # a white row above a black one
    for key, expected in ((0, [[255] * 8, [0] * 8]), (2**bits - 1, [[0] * 8, [0] * 8])):
        parts = [(b"IHDR", head), (b"tRNS", struct.pack(">H", key)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
        data = b"\x89PNG\r\n\x1a\n" + b"".join(pictures.chunk(*part) for part in parts)
        assert found(written(tmp_path / f"{key}.png", data))[0][:, :, 0].tolist() == expected


@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("last", [0, 77])
@pytest.mark.parametrize(("colours", "photometric"), [(GREY, 1), (255 - GREY, 0), (RGB, 2)])
@pytest.mark.parametrize("tags", [{}, {"t338": 0}])
def test_a_last_channel_that_is_not_said_to_be_alpha_is_ignored_and_said(
    tmp_path: Path, tags: dict[str, int], colours: NDArray[np.uint8], photometric: int, last: int, planar: int
) -> None:
    shown = GREY if colours.shape[2] == 1 else RGB
    flat = with_last(colours, last)
    for samples in (flat, flat.astype(np.uint16) * 257):
        given: dict[str, Any] = {"planar": planar, **tags}
        image, said = found(written(tmp_path / "a.tif", pictures.tiff(samples, photometric, **given)))
        assert np.allclose(image if samples is flat else image * 255, shown, atol=1e-4)
        assert len(said) == 1
        assert "not said to be alpha" in said[0]


@pytest.mark.parametrize(("colours", "photometric"), [(GREY, 1), (RGB, 2)])
@pytest.mark.parametrize("planar", [1, 2])
def test_colours_multiplied_by_alpha_are_taken_as_they_are(
    tmp_path: Path, colours: NDArray[np.uint8], photometric: int, planar: int
) -> None:
    samples = with_last(colours, 0)
    image, said = found(written(tmp_path / "a.tif", pictures.tiff(samples, photometric, planar=planar, t338=1)))
    assert np.array_equal(image, np.broadcast_to(colours, (16, 12, 3)))
    assert said == []


def test_an_8_bit_palette_in_a_tiff_is_not_black(tmp_path: Path) -> None:
    fields = {256: [12], 257: [16], 258: [8], 259: [1], 262: [3], 277: [1], 278: [16], 284: [1]}
    right = fields | {320: [value * 257 for value in range(256)] * 3}
    short = fields | {320: list(range(256)) * 3}
    image, said = found(written(tmp_path / "right.tif", pictures.page([GREY.tobytes()], right)))
    assert np.array_equal(image, np.broadcast_to(GREY, (16, 12, 3)))
    assert said == []
    image, said = found(written(tmp_path / "short.tif", pictures.page([GREY.tobytes()], short)))
    assert np.array_equal(image, np.broadcast_to(GREY, (16, 12, 3)))
    assert "palette holds 8 bits" in said[0]


def test_white_may_be_zero_in_one_bit_and_in_eight(tmp_path: Path) -> None:
    image, _ = found(written(tmp_path / "a.tif", pictures.tiff(255 - GREY, 0)))
    assert np.array_equal(image, np.broadcast_to(GREY, (16, 12, 3)))
    fields = {256: [8], 257: [2], 258: [1], 259: [1], 262: [0], 277: [1], 278: [2], 284: [1]}
    image, _ = found(written(tmp_path / "b.tif", pictures.page([b"\xff\x0f"], fields)))
    assert image[:, :, 0].tolist() == [[0] * 8, [255] * 4 + [0] * 4]


def test_a_black_and_white_bmp_is_what_its_palette_says(tmp_path: Path) -> None:
    Image.new("1", (8, 1), 1).save(tmp_path / "a.bmp")
    data = bytearray((tmp_path / "a.bmp").read_bytes())
    assert found(tmp_path / "a.bmp")[0].min() == 255
    data[54:62] = b"\xff\xff\xff\0\0\0\0\0"  # 0 is white, 1 is black
    assert found(written(tmp_path / "b.bmp", bytes(data)))[0].max() == 0


@pytest.mark.parametrize(("high", "bits"), [(255, 8), (1000, 10), (4095, 12), (16383, 14)])
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bits_that_seem_to_hold_fewer_are_read_as_they_are_and_it_is_said(
    name: str, high: int, bits: int, tmp_path: Path
) -> None:
    samples = (pictures.deep(1) % (high + 1)).astype(np.uint16)
    samples[0, 0] = high
    data = pictures.png(samples, 0) if name == "a.png" else pictures.tiff(samples, 1)
    image, said = found(written(tmp_path / name, data))
    assert image.max() == pytest.approx(high / 65535)
    assert f"--white {2**bits - 1}" in said[0]
    with gather() as notices:
        read(tmp_path / name, white=65535)
    assert notices.lines() == []


@pytest.mark.parametrize("kind", [np.int8, np.int16])
def test_signed_samples_need_a_white(kind: type[np.generic], tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", pictures.tiff(GREY.astype(kind), 1))
    with pytest.raises(BadImage, match="no natural white"):
        read(path)
    assert read(path, white=100).max().item() == pytest.approx(GREY.max() / 100)
    with pytest.raises(BadImage, match="outside 0"):
        read(written(tmp_path / "b.tif", pictures.tiff(GREY.astype(kind) - 5, 1)), white=100)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.5, 255.0])
def test_floats_outside_zero_to_one_are_refused(value: float, tmp_path: Path) -> None:
    samples = np.full((4, 4, 1), 0.5, np.float32)
    samples[1, 2] = value
    with pytest.raises(BadImage, match=r"NaN|outside 0"):
        read(written(tmp_path / "a.tif", pictures.tiff(samples, 1)))


@pytest.mark.parametrize(("samples", "photometric"), [(RGB, 1), (RGB, 8), (np.concatenate([RGB, GREY, GREY], 2), 2)])
def test_channels_of_another_meaning_are_refused_and_not_dropped(
    samples: NDArray[np.uint8], photometric: int, tmp_path: Path
) -> None:
    with pytest.raises(BadImage, match="grey or RGB"):
        read(written(tmp_path / "a.tif", pictures.tiff(samples, photometric)))


def test_planes_that_lie_apart_are_put_together(tmp_path: Path) -> None:
    assert np.array_equal(found(written(tmp_path / "a.tif", pictures.tiff(RGB, 2, planar=2)))[0], RGB)


def test_gamma_and_profiles_change_nothing_in_any_format(tmp_path: Path) -> None:
    gamma = (b"gAMA", struct.pack(">I", 100000))
    assert np.array_equal(found(written(tmp_path / "a.png", pictures.png(RGB, 2, gamma)))[0], RGB)
    for name in ("p.png", "p.tif", "p.webp"):
        options: dict[str, Any] = {"lossless": True} if name.endswith("webp") else {}
        Image.fromarray(RGB).save(tmp_path / name, icc_profile=b"\0" * 128, **options)
        assert np.array_equal(found(tmp_path / name)[0], RGB)


def test_ycck_is_cmyk_by_another_name(tmp_path: Path) -> None:
    """Adobe's mark with transform 2: the first three inks are kept as luminance and colour differences."""
    luminance = Image.new("CMYK", (16, 16), (155, 127, 127, 255))  # kept inverted: Y 100, Cb 128, Cr 128, K 0
    luminance.save(tmp_path / "a.jpg", quality=100)
    data = (tmp_path / "a.jpg").read_bytes()
    at = data.index(b"Adobe") + 11
    path = written(tmp_path / "b.jpg", data[:at] + b"\2" + data[at + 1 :])
    with Image.open(path) as opened:
        inks = np.array(opened)[0, 0]
    expected = np.array([(255 - ink) * (255 - int(inks[3])) / 255 for ink in map(int, inks[:3])])
    assert np.abs(found(path)[0][0, 0] - expected).max() <= 2
    assert np.ptp(inks[:3].astype(int)) <= 2  # a grey: no colour difference is left as ink


def test_a_run_says_each_kind_once(tmp_path: Path) -> None:
    with gather() as notices:
        for number in range(3):
            Image.fromarray(with_last(RGB, 0)).save(tmp_path / f"{number}.png")
            read(tmp_path / f"{number}.png")
            read(tmp_path / f"{number}.png")
    (line,) = notices.lines()
    assert line.startswith(str(tmp_path / "0.png"))
    assert line.endswith("(and 2 more)")
