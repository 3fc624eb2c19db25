"""Pictures whose samples Pillow would shorten or mistake -> RGB, by a white that does not depend on the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile

from blemish.errors import BadImage
from blemish.images import tiff
from blemish.images.transparency import is_transparency
from blemish.notices import notice

_UNSPECIFIED, _MULTIPLIED, _ALPHA = 0, 1, 2  # TIFF extra samples
_NATURAL = {"u1": 255.0, "u2": 65535.0, "f2": 1.0, "f4": 1.0, "f8": 1.0}
_CAMERA_BITS = (8, 10, 12, 14)


def deep_png(picture: PngImageFile, file: BinaryIO, path: Path, white: float | None) -> NDArray[Any]:
    """float32 (3, H, W) of a 16-bit PNG."""
    values = _png_samples(picture, file)
    colours = 3 if values.shape[2] > 2 else 1
    colour = _intensities(values[:, :, :colours], path, white)
    if values.shape[2] > colours and is_transparency(values[:, :, -1], 65535, path):
        colour *= values[:, :, -1:].astype(np.float32) / 65535
    if "transparency" in picture.info:
        shown = (values != np.array(picture.info["transparency"])).any(axis=-1)
        if is_transparency(shown, opaque=True, path=path):
            colour[~shown] = 0
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


def tiff_samples(file: BinaryIO, path: Path, page: tiff.Page, white: float | None) -> NDArray[Any]:
    """(3, H, W) of a TIFF page with 8 to 64 bits a sample: uint8 of 8 unsigned bits, else float32."""
    count, colours = page.one(tiff.SAMPLES, 1), page.colours
    if not colours or not colours <= count <= colours + 1:
        raise BadImage(
            f"{path}: {count} channels of {page.tags.get(tiff.BITS, (1,))[0]} bits (TIFF photometric "
            f"{page.one(tiff.PHOTOMETRIC, 1)}) are not grey, RGB or CMYK with or without alpha: save one page of grey "
            "or RGB"
        )
    values = tiff.samples(file, path, page)
    full = 255.0 if values.dtype == np.uint8 else white
    colour = _intensities(values[:, :, :colours], path, full)
    if page.one(tiff.PHOTOMETRIC, 1) == 0:
        colour = 1 - colour
    if page.one(tiff.PHOTOMETRIC, 1) == 5:
        colour = (1 - colour[:, :, :3]) * (1 - colour[:, :, 3:])
    if count > colours:
        colour = _on_black(colour, values[:, :, -1:], path, page.one(tiff.EXTRA, _UNSPECIFIED), white)
    return _rgb(np.rint(colour * 255).astype(np.uint8) if values.dtype == np.uint8 else colour)


def _on_black(
    colour: NDArray[np.float32], last: NDArray[Any], path: Path, kind: int, white: float | None
) -> NDArray[np.float32]:
    """Colours (H, W, C) as black behind them shows them, by the channel (H, W, 1) that comes last."""
    if kind == _UNSPECIFIED:
        notice("%s: its last channel is not said to be alpha, so it is ignored", path)
    if kind != _ALPHA:  # colours multiplied by alpha are already what black behind them shows
        return colour
    opaque = 2.0 ** (8 * last.itemsize) - 1 if last.dtype.kind == "u" else white
    alpha = _intensities(last, path, opaque)
    return colour * alpha if is_transparency(last, opaque or 1.0, path) else colour


def _intensities(values: NDArray[Any], path: Path, white: float | None) -> NDArray[np.float32]:
    natural = _NATURAL.get(values.dtype.str[1:])
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
    if white is None and values.dtype == np.uint16:
        _say_shallow(int(high), path)
    scaled: NDArray[np.float32] = np.divide(values, np.float32(full), dtype=np.float32, casting="unsafe")
    return scaled


def _say_shallow(high: int, path: Path) -> None:
    """That 16 bits may hold fewer: said, not decided, since a dark picture looks the same."""
    bits = next((bits for bits in _CAMERA_BITS if high < 2**bits), 16)
    if high and bits < 16:
        full = 2**bits - 1
        notice(
            f"%s: no sample is above {full} of 65535, so it is read as dark: if it holds {bits} bits, say that {full} "
            f"is white (--white {full})",
            path,
        )


def _rgb(colour: NDArray[Any]) -> NDArray[Any]:
    wide = np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else colour
    return np.moveaxis(np.ascontiguousarray(wide), 2, 0)
