"""Pictures deeper than 8 bits -> float32 RGB, by a white that does not depend on the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile
from torch import Tensor

from blemish.errors import BadImage
from blemish.images import tiff

_COLOURS = {0: 1, 1: 1, 2: 3, 5: 4}  # TIFF photometric: white is zero, black is zero, RGB, CMYK
_UNUSED, _MULTIPLIED, _ALPHA = 0, 1, 2  # TIFF extra samples


def deep_png(picture: PngImageFile, file: BinaryIO, path: Path, white: float | None) -> Tensor:
    """float32 (3, H, W) of a 16-bit PNG."""
    values = _png_samples(picture, file)
    colours = 3 if values.shape[2] > 2 else 1
    colour = _intensities(values[:, :, :colours], path, white)
    if values.shape[2] > colours:
        colour *= values[:, :, -1:].astype(np.float32) / 65535
    if "transparency" in picture.info:
        colour[(values == np.array(picture.info["transparency"])).all(axis=-1)] = 0
    return _rgb(colour)


def _png_samples(picture: PngImageFile, file: BinaryIO) -> NDArray[Any]:
    """(H, W, S) of 16 bits. Pillow keeps the high byte of colour only, so it decodes twice: "16L" keeps the other."""
    tile, rawmode = picture.tile[0], str(picture.tile[0].args)
    if rawmode == "I;16B":
        return np.array(picture)[:, :, None]
    if rawmode == "LA;16B":
        picture.tile = [tile._replace(args="RGBA")]  # as many bytes a pixel, kept as they are
        return np.array(picture).view(">u2")
    high = np.array(picture).astype(np.uint16) << 8
    file.seek(0)
    with PngImageFile(file) as low:
        low.tile = [tile._replace(args=rawmode.replace("16B", "16L"))]
        both: NDArray[Any] = high | np.array(low)
        return both


def deep_tiff(file: BinaryIO, path: Path, page: tiff.Page, white: float | None) -> Tensor:
    """float32 (3, H, W) of a TIFF page with 16 to 64 bits a sample."""
    count, photometric = page.one(tiff.SAMPLES, 1), page.one(tiff.PHOTOMETRIC, 1)
    colours = _COLOURS.get(photometric, 0)
    if not colours or not colours <= count <= colours + 1:
        raise BadImage(
            f"{path}: {count} channels of {page.tags[tiff.BITS][0]} bits (TIFF photometric {photometric}) "
            "are not grey, RGB or CMYK with or without alpha: save one page of grey or RGB"
        )
    values = tiff.samples(file, path, page)
    colour = _intensities(values[:, :, :colours], path, white)
    if photometric == 0:
        colour = 1 - colour
    if photometric == 5:
        colour = (1 - colour[:, :, :3]) * (1 - colour[:, :, 3:])
    if count > colours and page.one(tiff.EXTRA, _UNUSED) == _ALPHA:
        # Colours multiplied by alpha are already what black behind them shows.
        opaque = 2.0 ** (8 * values.itemsize) - 1 if values.dtype.kind == "u" else white
        colour = colour * _intensities(values[:, :, -1:], path, opaque)
    return _rgb(colour)


def _intensities(values: NDArray[Any], path: Path, white: float | None) -> NDArray[np.float32]:
    natural = {"u2": 65535.0, "f2": 1.0, "f4": 1.0, "f8": 1.0}.get(values.dtype.str[1:])
    full = white if white is not None else natural
    if full is None:
        raise BadImage(f"{path}: {values.dtype.name} samples have no natural white: pass white=, or save it as 16 bits")
    low, high = values.min(), values.max()
    if not np.isfinite(low) or not np.isfinite(high):
        raise BadImage(f"{path} holds NaN or infinite values: replace them before saving the picture")
    if low < 0 or high > full:
        raise BadImage(
            f"{path}: its values reach from {low:g} to {high:g}, outside 0 (black) to {full:g} (white): "
            "pass the sample value of full brightness as white=, or clip it"
        )
    scaled: NDArray[np.float32] = np.divide(values, np.float32(full), dtype=np.float32, casting="unsafe")
    return scaled


def _rgb(colour: NDArray[np.float32]) -> Tensor:
    wide = np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else colour
    return torch.from_numpy(np.ascontiguousarray(wide)).permute(2, 0, 1)
