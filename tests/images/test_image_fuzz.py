"""Thousands of spoiled pictures: each is a picture or a BadImage, and nothing else happens."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support import pictures
from tests.support.fuzzing import harmless, spoiled

from blemish.errors import BadImage
from blemish.images import read


def encoded(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pictures.ramp()).save(buffer, kind, **options)
    return buffer.getvalue()


KINDS: dict[str, Callable[[], bytes]] = {
    "PNG": lambda: encoded("PNG"),
    "16-bit PNG": lambda: pictures.png(pictures.deep(3), 2),
    "JPEG": lambda: encoded("JPEG"),
    "progressive JPEG": lambda: encoded("JPEG", progressive=True),
    "BMP": lambda: encoded("BMP"),
    "TIFF": lambda: encoded("TIFF"),
    "LZW TIFF": lambda: encoded("TIFF", compression="tiff_lzw"),
    "deep TIFF": lambda: pictures.tiff(pictures.deep(3), 2),
    "deep deflated TIFF": lambda: pictures.tiff(pictures.deep(3), 2, t259=8),
    "WebP": lambda: encoded("WebP"),
    "lossless WebP": lambda: encoded("WebP", lossless=True),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # about what is odd in a file that it reads all the same
def test_spoiled_pictures_are_pictures_or_refused(kind: str, count: int, tmp_path: Path) -> None:
    random, path, whole, refused = np.random.default_rng(len(kind)), tmp_path / "spoiled", KINDS[kind](), 0
    for _ in range(count):
        path.write_bytes(spoiled(whole, random))
        with harmless():
            try:
                found, reason = read(path, max_pixels=1 << 20), str(path)
            except BadImage as error:
                found, reason = np.zeros((3, 1, 1), np.float32), str(error)
                refused += 1
        assert str(path) in reason
        assert (found.ndim, len(found)) == (3, 3)
        assert found.dtype in (np.uint8, np.float32)
    assert refused > 0.1 * count
