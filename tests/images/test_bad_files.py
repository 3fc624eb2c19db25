from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile
from tests.support import pictures

from blemish.errors import BadImage, BadInput
from blemish.images import read


def encoded(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pictures.ramp()).save(buffer, kind, **options)
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG that says it has 20,000 x 20,000 pixels, in a few bytes."""
    return pictures.png(np.broadcast_to(np.uint8(0), (20_000, 20_000, 1)), 0, has_pixels=False)


def with_value(value: float) -> bytes:
    samples = np.full((4, 4, 1), 0.5, np.float32)
    samples[1, 2] = value
    return pictures.tiff(samples, 1)


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is empty.*copy it again"),
    "text": (lambda: b"this is no picture, just words", "not a PNG, JPEG.*convert it to PNG"),
    "one byte": (lambda: b"\xff", "not a PNG"),
    "another format": (lambda: encoded("GIF"), "not a PNG.*convert it"),
    "bomb": (bomb, "400.0 megapixels, above the limit of 134.2.*max_pixels"),
    "NaN": (lambda: with_value(np.nan), "NaN or infinite.*replace"),
    "infinite": (lambda: with_value(np.inf), "NaN or infinite.*replace"),
    "above white": (lambda: with_value(255), "from 0.5 to 255, outside 0.*white="),
    "negative": (lambda: with_value(-0.5), "from -0.5 to 0.5, outside 0.*clip"),
    "five channels": (lambda: pictures.tiff(pictures.deep(5), 2), "5 channels of 16 bits.*save one page"),
    "two deep greys": (lambda: pictures.tiff(pictures.deep(3), 1), "3 channels of 16 bits.*save one page"),
    "32-bit integers": (lambda: pictures.tiff(pictures.deep(1).astype("u4"), 1), "no natural white: pass white="),
    "signed integers": (lambda: pictures.tiff(np.zeros((4, 4, 1), "i2"), 1), "no natural white: pass white="),
    "Lab": (lambda: pictures.tiff(pictures.ramp(), 8), "kind LAB are not read: save it as grey or RGB"),
    "seven 8-bit channels": (lambda: pictures.tiff(pictures.ramp(channels=7), 1), "7 channels of 8 bits"),
    "deep JPEG in TIFF": (lambda: pictures.tiff(pictures.deep(3), 2, t259=7), "compression 7 is not read at 16 bits"),
    "12 bits": (lambda: pictures.tiff(pictures.deep(1), 1, t258=12), r"samples of \[12\] bits.*save it as"),
    "reversed bits": (lambda: pictures.tiff(pictures.deep(1), 1, t266=2), "in this layout are not read"),
    "no width": (lambda: pictures.tiff(pictures.ramp(), 2, t256=0), "no width or height"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_error_that_names_it_the_reason_and_the_way_out(tmp_path: Path, name: str) -> None:
    data, reason = BAD[name]
    path = tmp_path / "part 7.png"
    path.write_bytes(data())
    with pytest.raises(BadImage, match=reason) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_folder_is_not_a_picture(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="is a folder, not a picture: name a picture in it"):
        read(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match=r"gone\.png does not exist: check the name"):
        read(tmp_path / "gone.png")


def test_a_limit_of_pixels_can_be_lowered(tmp_path: Path) -> None:
    Image.fromarray(pictures.ramp()).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png", max_pixels=40 * 36).shape == (3, 40, 36)
    with pytest.raises(BadImage, match=r"36 x 40 = 0\.0 megapixels, above the limit"):
        read(tmp_path / "a.png", max_pixels=40 * 36 - 1)


def test_a_large_tiff_is_not_judged_by_the_limit_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    (tmp_path / "deep.tif").write_bytes(pictures.tiff(pictures.deep(3), 2))
    for number, kind in enumerate(("TIFF", "PNG", "JPEG", "BMP")):
        (tmp_path / f"{number}").write_bytes(encoded(kind))
    assert {tuple(read(path).shape) for path in tmp_path.iterdir()} == {(3, 40, 36), (3, 13, 11)}


WHOLE: dict[str, Callable[[], bytes]] = {
    "png": lambda: encoded("PNG"),
    "16-bit png": lambda: pictures.png(pictures.deep(3), 2),
    "jpeg": lambda: encoded("JPEG"),
    "progressive jpeg": lambda: encoded("JPEG", progressive=True),
    "bmp": lambda: encoded("BMP"),
    "tiff": lambda: encoded("TIFF"),
    "lzw tiff": lambda: encoded("TIFF", compression="tiff_lzw"),
    "jpeg tiff": lambda: encoded("TIFF", compression="jpeg"),
    "deep tiff": lambda: pictures.tiff(pictures.deep(3), 2),
    "deep deflate tiff": lambda: pictures.tiff(pictures.deep(3), 2, t259=8),
    "webp": lambda: encoded("WebP"),
    "lossless webp": lambda: encoded("WebP", lossless=True),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, name: str) -> None:
    data, path = WHOLE[name](), tmp_path / "a"
    path.write_bytes(data)
    read(path)
    last = range(len(data) - 40, len(data))
    for length in [*range(0, len(data), max(1, len(data) // 60)), *last]:
        path.write_bytes(data[:length])
        with pytest.raises(BadImage, match=r"truncated|empty|not a PNG"):
            read(path)


@pytest.mark.parametrize("name", ["png", "16-bit png", "jpeg", "progressive jpeg", "lzw tiff", "lossless webp"])
def test_a_copy_broken_off_and_padded_with_zeros_is_refused(tmp_path: Path, name: str) -> None:
    data, path = WHOLE[name](), tmp_path / "a"
    for length in range(20, len(data) - 20, len(data) // 20):
        path.write_bytes(data[:length] + bytes(len(data) - length))
        with pytest.raises(BadImage):
            read(path)


@pytest.mark.parametrize("name", WHOLE)
def test_damage_anywhere_is_a_bad_image_or_a_picture_but_no_other_error(tmp_path: Path, name: str) -> None:
    data, path, random = WHOLE[name](), tmp_path / "a", np.random.default_rng(0)
    outcomes = set()
    for _ in range(150):
        damaged = bytearray(data)
        damaged[random.integers(min(len(data), 400))] ^= int(random.integers(1, 256))
        path.write_bytes(damaged)
        try:
            outcomes.add(read(path, max_pixels=10**6).shape[0])
        except BadImage:
            outcomes.add(0)
    assert outcomes <= {0, 3}
    assert 0 in outcomes


def test_a_process_that_accepts_half_pictures_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(BadInput, match=r"LOAD_TRUNCATED_IMAGES is set.*set it to False"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("white", [0.0, -1.0, float("nan")])
def test_white_must_be_above_black(tmp_path: Path, white: float) -> None:
    with pytest.raises(BadInput, match="above 0"):
        read(tmp_path / "a.png", white=white)


def test_trailing_bytes_after_a_jpeg_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG") + b"\xff\xda camera notes")
    (tmp_path / "b.jpg").write_bytes(encoded("JPEG"))
    assert np.array_equal(read(tmp_path / "a.jpg"), read(tmp_path / "b.jpg"))
