"""A picture file of any depth and any channels becomes one RGB tensor, or one BadImage.

What counts as white is a property of the number format or is said by the caller, never taken from the picture: a
stretch to each picture's own range would make the scores of two pictures incomparable. Transparent pixels are shown on
black, CMYK is converted without its ICC profile, EXIF orientation is applied, and of several pages the first is read.
"""

from __future__ import annotations

import io
import logging
import mmap
import struct
import zlib
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import torch
from PIL import Image, ImageChops, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile
from torch import Tensor
from torch.nn.functional import interpolate

from blemish.errors import BadImage, BadInput
from blemish.images import depth, tiff

MAX_PIXELS = 2**27
"""The largest picture read unless the caller says otherwise.

Decoding takes about 10 bytes a pixel of 8-bit RGB (22 with alpha), 30 of 16 bits, 60 of floats.
"""

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""What a picture's name ends with; what is inside decides how it is read."""

Kind = Literal["PNG", "JPEG", "BMP", "TIFF", "WebP"]

_NOTICES = logging.getLogger("blemish.images")
_STARTS: dict[bytes, Kind] = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
# Opened directly, because Image.open judges size by a limit that belongs to the whole process.
_OPENERS: dict[Kind, type[ImageFile.ImageFile]] = {
    "PNG": PngImageFile,
    "JPEG": JpegImageFile,
    "BMP": BmpImageFile,
    "TIFF": TiffImageFile,
    "WebP": WebPImageFile,
}
# What Pillow raises on damaged files; a Warning arrives only where the caller turned warnings into errors.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    struct.error,
    zlib.error,
    Warning,
)
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")


def read(
    path: str | Path, *, content: bytes | None = None, max_pixels: int = MAX_PIXELS, white: float | None = None
) -> Tensor:
    """RGB (3, H, W): uint8 of an 8-bit source, else float32 in [0, 1]; BadImage names file, reason and way out.

    Of a file whose `content` is given, the path is no more than its name.
    `white` is the sample that counts as 1 in a source deeper than 8 bits: 4095 for 12 bits kept in 16. Left out it is
    65535 for 16 bits and 1.0 for floats; signed and 32-bit integers have none and need it. A sample outside [0, white]
    is refused. The tensor is channels last in memory.
    """
    path = Path(path)
    if white is not None and not white > 0:
        raise BadInput(f"white is {white}: it is the sample value of full brightness, above 0")
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise BadInput("PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set, so half pictures would pass: set it to False")
    with _opened(path) if content is None else io.BytesIO(content) as file:
        try:
            return _decoded(file, path, max_pixels, white)
        except Image.DecompressionBombError as error:
            raise BadImage(f"{path}: {error} Cut it into smaller pictures") from error
        except _DAMAGED as error:
            reason = str(error) or type(error).__name__
            raise BadImage(f"{path}: the file is damaged or truncated ({reason}): copy or export it again") from error


def unit(image: Tensor) -> Tensor:
    """float32 in [0, 1] of what `read` returns."""
    return image.float().div_(255) if image.dtype == torch.uint8 else image.float()


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """float32 (3, h, w) in [0, 1]: bicubic with antialiasing; 8-bit pictures stay 8-bit on the way, as in Pillow."""
    if image.shape[-2:] == size:
        return unit(image)
    small = interpolate(image[None], size=size, mode="bicubic", antialias=True, align_corners=False)[0]
    return unit(small).clamp_(0, 1)


def _opened(path: Path) -> BinaryIO:
    if path.is_dir():
        raise BadImage(f"{path} is a folder, not a picture: name a picture in it")
    if not path.exists():
        raise BadImage(f"{path} does not exist: check the name and the folder it is in")
    try:
        return path.open("rb")
    except OSError as error:
        raise BadImage(f"{path} cannot be opened ({error.strerror}): check that this user may read it") from error


def _kind(file: BinaryIO, path: Path) -> Kind:
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
    whole = {"PNG": _is_whole_png, "JPEG": _is_whole_jpeg, "WebP": _is_whole_webp}.get(name)
    if whole is not None and not whole(file):
        raise tiff.truncated(path)
    file.seek(0)


def _is_whole_png(file: BinaryIO) -> bool:
    """True if its chunks reach the end mark; orientation may be in one of the last."""
    size, position = file.seek(0, io.SEEK_END), 8
    while position + 12 <= size:
        file.seek(position)
        head = file.read(8)
        position += 12 + int.from_bytes(head[:4], "big")
        if head[4:] == b"IEND":
            return position <= size
    return False


def _is_whole_jpeg(file: BinaryIO) -> bool:
    """True if an end mark follows its first scan; a copy broken off and padded with zeros decodes, but has none."""
    with _mapped(file) as data:
        position = 2
        while data[position : position + 2] != b"\xff\xda" and position + 4 <= len(data):
            is_fill = data[position + 1] == 0xFF
            position += 1 if is_fill else 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        return data.find(b"\xff\xd9", position) >= 0


def _mapped(file: BinaryIO) -> AbstractContextManager[bytes | mmap.mmap]:
    if isinstance(file, io.BytesIO):
        return nullcontext(file.getvalue())
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _is_whole_webp(file: BinaryIO) -> bool:
    """True if the file is as long as its header says."""
    file.seek(4)
    return int.from_bytes(file.read(4), "little") + 8 <= file.seek(0, io.SEEK_END)


def _decoded(file: BinaryIO, path: Path, max_pixels: int, white: float | None) -> Tensor:
    kind = _kind(file, path)
    _refuse_cut(file, path, kind)
    if kind == "TIFF":
        return _tiff(file, path, max_pixels, white)
    with _OPENERS[kind](file) as picture:
        _refuse_huge(path, *picture.size, max_pixels)
        if getattr(picture, "n_frames", 1) > 1:
            _say_first(path)
        if isinstance(picture, PngImageFile) and _is_deep(picture):
            image = depth.deep_png(picture, file, path, white)
        else:
            image = _shallow(picture, path)
        return _upright(image, picture.getexif().get(tiff.ORIENTATION, 1))


def _tiff(file: BinaryIO, path: Path, max_pixels: int, white: float | None) -> Tensor:
    page = tiff.page(file, path)
    _refuse_huge(path, page.one(tiff.WIDTH), page.one(tiff.HEIGHT), max_pixels)
    if not page.is_last:
        _say_first(path)
    if page.is_deep:
        return _upright(depth.deep_tiff(file, path, page, white), page.one(tiff.ORIENTATION, 1))
    file.seek(0)
    with TiffImageFile(file) as picture:
        tiff.reserve(picture, (page.one(tiff.WIDTH), page.one(tiff.HEIGHT)))
        image = _shallow(picture, path)
        # Pillow turns it upright while loading and then forgets the tag, so the tag is read last.
        return _upright(image, picture.getexif().get(tiff.ORIENTATION, 1))


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
    _NOTICES.warning("%s holds several pages or frames: only the first is inspected", path)


def _shallow(picture: ImageFile.ImageFile, path: Path) -> Tensor:
    """An 8-bit picture of any mode -> uint8 (3, H, W), channels last in memory, the layout that resizes fastest."""
    picture.load()
    image: Image.Image = picture
    if image.mode not in _MODES:
        raise BadImage(f"{path}: pixels of kind {image.mode} are not read: save it as grey or RGB")
    if image.mode == "CMYK" and isinstance(picture, JpegImageFile) and "adobe" not in picture.info:
        image = ImageChops.invert(image)  # Pillow takes every CMYK JPEG for Adobe's, which are stored inverted
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, (0, 0, 0, 255)), layer)
    colour = image if image.mode == "RGB" else image.convert("RGB")
    return torch.from_numpy(np.array(colour)).permute(2, 0, 1)


def _upright(image: Tensor, orientation: int) -> Tensor:
    """Undo EXIF orientation 1..8: a mirror, half a turn or a quarter turn; other values mean none."""
    if orientation in (5, 6, 7, 8):
        image = image.transpose(-2, -1)
    dims = [axis for axis, flipped in ((-2, (3, 4, 7, 8)), (-1, (2, 3, 6, 7))) if orientation in flipped]
    return image.flip(dims) if dims else image
