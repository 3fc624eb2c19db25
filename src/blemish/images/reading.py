"""A picture file of any depth and any channels becomes one RGB array, or one BadImage.

What counts as white is a property of the number format or is said by the caller, never taken from the picture: a
stretch to each picture's own range would make the scores of two pictures incomparable. 16 bits of which no sample uses
more than 14 are read as they are, and it is said.

Transparent pixels are shown on black. Alpha that is the same everywhere, or holds only 0 and 1, is no picture of
transparency: it is ignored, and said. So is a last channel of a TIFF that is not said to be alpha, such as infrared.
Colours multiplied by alpha are taken as they are. A palette is looked up, one of 8 bits in a TIFF too.

CMYK is converted without a profile; of JPEGs those with Adobe's mark are stored inverted. ICC profiles and gamma are
ignored in every format, so the same samples give the same picture. EXIF orientation is applied, of several pages the
first is read. LAB, signed samples without `white`, NaN and samples outside [0, white] are refused.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from blemish.errors import BadImage, BadInput
from blemish.images import depth, endings, quirks, tiff
from blemish.images.transparency import is_transparency
from blemish.notices import notice

MAX_PIXELS = 2**27
"""The largest picture read unless the caller says otherwise.

Decoding takes about 10 bytes a pixel of 8-bit RGB (22 with alpha), 30 of 16 bits, 60 of floats.
"""

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""What a picture's name ends with; what is inside decides how it is read."""

Kind = Literal["PNG", "JPEG", "BMP", "TIFF", "WebP"]

_T = TypeVar("_T")
_STARTS: dict[bytes, Kind] = {
    b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP",
    b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF",
}  # fmt: skip
# Opened directly, because Image.open judges size by a limit that belongs to the whole process.
OPENERS: dict[Kind, type[ImageFile.ImageFile]] = {
    "PNG": PngImageFile, "JPEG": JpegImageFile, "BMP": BmpImageFile, "TIFF": TiffImageFile, "WebP": WebPImageFile,
}  # fmt: skip
# What Pillow raises on damaged files; a Warning arrives only where the caller turned warnings into errors.
_DAMAGED = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, struct.error, zlib.error,
    Warning,
)  # fmt: skip
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")


def read(
    path: str | Path, *, content: bytes | None = None, max_pixels: int = MAX_PIXELS, white: float | None = None
) -> NDArray[Any]:
    """RGB (3, H, W): uint8 of an 8-bit source, else float32 in [0, 1]; BadImage names file, reason and way out.

    Of a file whose `content` is given, the path is no more than its name.
    `white` is the sample that counts as 1 in a source deeper than 8 bits: 4095 for 12 bits kept in 16. Left out it is
    65535 for 16 bits and 1.0 for floats; signed and 32-bit integers have none and need it. A sample outside [0, white]
    is refused. Channels lie last in memory, and 8 bits may not be written to.
    """
    path = Path(path)
    if white is not None and not white > 0:
        raise BadInput(f"white is {white}: it is the sample value of full brightness, above 0")
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise BadInput("PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set, so half pictures would pass: set it to False")
    return guard(path, lambda file: _decoded(file, path, max_pixels, white), content)


def turn(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo EXIF orientation 1..8 of (..., H, W): a mirror, half a turn or a quarter turn; other values mean none."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(-2, -1)
    axes = tuple(axis for axis, flipped in ((-2, (3, 4, 7, 8)), (-1, (2, 3, 6, 7))) if orientation in flipped)
    return np.flip(image, axes).copy("K") if axes else image


def unit(image: NDArray[Any]) -> NDArray[np.float32]:
    """float32 in [0, 1] of what `read` returns."""
    if image.dtype != np.uint8:
        return image.astype(np.float32, copy=False)
    return np.asarray(np.divide(image, np.float32(255), dtype=np.float32))


def _opened(path: Path) -> BinaryIO:
    if path.is_dir():
        raise BadImage(f"{path} is a folder, not a picture: name a picture in it")
    if not path.exists():
        raise BadImage(f"{path} does not exist: check the name and the folder it is in")
    try:
        return path.open("rb")
    except OSError as error:
        raise BadImage(f"{path} cannot be opened ({error.strerror}): check that this user may read it") from error


def guard(path: Path, function: Callable[[BinaryIO], _T], content: bytes | None = None) -> _T:
    """The function of the open file, or of its content; BadImage for one that cannot be opened or is damaged."""
    with _opened(path) if content is None else io.BytesIO(content) as file:
        try:
            return function(file)
        except Image.DecompressionBombError as error:
            raise BadImage(f"{path}: {error} Cut it into smaller pictures") from error
        except _DAMAGED as error:
            reason = str(error) or type(error).__name__
            raise BadImage(f"{path}: the file is damaged or truncated ({reason}): copy or export it again") from error


def kind_of(file: BinaryIO, path: Path) -> Kind:
    """The format, whatever the file is called; the file is left at its start."""
    head = file.read(16)
    file.seek(0)
    if not head:
        raise BadImage(f"{path} is empty: copy it again from where it came")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    for start, name in _STARTS.items():
        if head.startswith(start):
            return name
    raise BadImage(f"{path} is not a PNG, JPEG, BMP, TIFF or WebP picture, whatever its name says: convert it to PNG")


def _refuse_cut(file: BinaryIO, path: Path, name: Kind) -> None:
    """BadImage for the cut files that decode without complaint; the decoders refuse the others. Left at its start."""
    whole = {"PNG": _is_whole_png, "JPEG": endings.is_whole_jpeg, "WebP": endings.is_whole_webp}.get(name)
    if whole is not None and not whole(file):
        raise tiff.truncation(path)
    file.seek(0)


def _is_whole_png(file: BinaryIO) -> bool:
    """True if its chunks reach the end mark; orientation may be in one of the last."""
    return any(
        name == b"IEND" and end <= size for size in [file.seek(0, io.SEEK_END)] for name, end in png_chunks(file)
    )


def png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The name of each chunk, and where it ends."""
    position, name = 8, b""
    while name != b"IEND":
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return
        position, name = position + 12 + int.from_bytes(head[:4], "big"), head[4:]
        yield name, position


def _decoded(file: BinaryIO, path: Path, max_pixels: int, white: float | None) -> NDArray[Any]:
    kind = kind_of(file, path)
    _refuse_cut(file, path, kind)
    if kind == "TIFF":
        return _tiff(file, path, max_pixels, white)
    with OPENERS[kind](file) as picture:
        _refuse_huge(path, *picture.size, max_pixels)
        if getattr(picture, "n_frames", 1) > 1:
            _say_first(path)
        if isinstance(picture, PngImageFile) and _is_deep(picture):
            image = depth.deep_png(picture, file, path, white)
        else:
            image = _shallow(picture, path)
        return turn(image, picture.getexif().get(tiff.ORIENTATION, 1))


def _tiff(file: BinaryIO, path: Path, max_pixels: int, white: float | None) -> NDArray[Any]:
    page = tiff.page(file, path)
    _refuse_huge(path, page.one(tiff.WIDTH), page.one(tiff.HEIGHT), max_pixels)
    if not page.is_last:
        _say_first(path)
    if not page.is_plain:
        return turn(depth.tiff_samples(file, path, page, white), page.one(tiff.ORIENTATION, 1))
    file.seek(0)
    with TiffImageFile(file) as picture:
        tiff.reserve(picture, (page.one(tiff.WIDTH), page.one(tiff.HEIGHT)))
        if picture.mode == "P":
            quirks.mend_palette(picture, page, path)
        image = _shallow(picture, path)
        # Pillow turns it upright while loading and then forgets the tag, so the tag is read last.
        return turn(image, picture.getexif().get(tiff.ORIENTATION, 1))


def _is_deep(picture: PngImageFile) -> bool:
    """True if its samples have 16 bits; asked before it is loaded."""
    return bool(picture.tile) and str(picture.tile[0].args).endswith(";16B")


def _refuse_huge(path: Path, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise BadImage(
            f"{path}: {width} x {height} = {width * height / 1e6:.1f} megapixels, above the limit of "
            f"{max_pixels / 1e6:.1f}: cut it into smaller pictures, or raise max_pixels if there is memory for it"
        )


def _say_first(path: Path) -> None:
    notice("%s holds several pages or frames: only the first is inspected", path)


def _shallow(picture: ImageFile.ImageFile, path: Path) -> NDArray[np.uint8]:
    """An 8-bit picture of any mode -> uint8 (3, H, W), channels last in memory, the layout that resizes fastest."""
    if isinstance(picture.info.get("transparency"), int):
        quirks.widen_key(picture)
    picture.load()
    image: Image.Image = picture
    if image.mode not in _MODES:
        raise BadImage(f"{path}: pixels of kind {image.mode} are not read: save it as grey or RGB")
    if image.mode == "CMYK" and isinstance(picture, JpegImageFile) and "adobe" not in picture.info:
        image = ImageChops.invert(image)  # Pillow takes every CMYK JPEG for Adobe's, which are stored inverted
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        shown = is_transparency(np.asarray(layer.getchannel("A")), 255, path)
        image = Image.alpha_composite(Image.new("RGBA", layer.size, (0, 0, 0, 255)), layer) if shown else layer
    colour = image if image.mode == "RGB" else image.convert("RGB")
    return np.moveaxis(np.asarray(colour), 2, 0)
