"""TIFF files: a strict look at the first page, and its pixels where Pillow reduces, refuses or mistakes them.

Pillow's decoders turn any bytewise compression back into bytes, so such a page is shown to them as a grey 8-bit picture
that is as many times wider as a pixel has bytes; byte order, predictor and sample format are then undone here.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from blemish.errors import BadImage

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIPS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANAR = 273, 274, 277, 278, 279, 284
PREDICTOR, COLOUR_MAP, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES = 317, 320, 322, 323, 324, 325
EXTRA, FORMAT = 338, 339
_COLOURS = {0: 1, 1: 1, 2: 3, 5: 4}  # photometric: white is zero, black is zero, RGB, CMYK
_BYTEWISE = (1, 5, 8, 32773, 32946, 34925, 50000)  # none, LZW, Deflate twice, PackBits, LZMA, Zstandard
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_WAY_OUT = "save it as uncompressed 8- or 16-bit TIFF, or as PNG"


def truncation(path: Path) -> BadImage:
    """The error of a file that ends too early."""
    return BadImage(f"{path}: the file is truncated: copy it again from where it came")


class Page(NamedTuple):
    """The first page of a TIFF file: its integer tags, and what the header says of the rest."""

    tags: dict[int, tuple[int, ...]]
    order: str  # "<" or ">"
    is_last: bool

    def one(self, tag: int, default: int = 0) -> int:
        """The first value of a tag."""
        return self.tags[tag][0] if tag in self.tags else default

    @property
    def colours(self) -> int:
        """Channels that make the colour; 0 where it is neither grey, RGB nor CMYK."""
        return _COLOURS.get(self.one(PHOTOMETRIC, 1), 0)

    @property
    def is_plain(self) -> bool:
        """True if Pillow reads it right: at most 8 unsigned bits a sample, and no channel beside the colours."""
        signed = any(kind in (2, 3) for kind in self.tags.get(FORMAT, ()))
        bits, beside = max(self.tags.get(BITS, (1,))), self.one(SAMPLES, 1) - (self.colours or self.one(SAMPLES, 1))
        return bits <= 8 and not signed and beside == 0


def page(file: BinaryIO, path: Path) -> Page:
    """The first page; BadImage unless its whole directory and every strip or tile lies inside the file."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack(f"{order}H", head[2:4])[0] == 43
    number, entry_count, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    start = struct.unpack_from(f"{order}{number}", head, 8 if big else 4)[0]
    count = struct.unpack(f"{order}{entry_count}", _bytes(file, path, start, struct.calcsize(f"={entry_count}"), size))[
        0
    ]
    start += struct.calcsize(f"={entry_count}")
    body = _bytes(file, path, start, count * entry + struct.calcsize(f"={number}"), size)
    tags = dict(_tag(file, path, body[i * entry : (i + 1) * entry], order, size) for i in range(count))
    following = struct.unpack(f"{order}{number}", body[count * entry :])[0]
    if following >= size:
        raise truncation(path)
    first = Page({tag: values for tag, values in tags.items() if values}, order, following == 0)
    return _checked(first, path, size)


def _bytes(file: BinaryIO, path: Path, start: int, count: int, size: int) -> bytes:
    if start + count > size:
        raise truncation(path)
    file.seek(start)
    return file.read(count)


def _tag(file: BinaryIO, path: Path, entry: bytes, order: str, size: int) -> tuple[int, tuple[int, ...]]:
    tag, kind = struct.unpack_from(f"{order}HH", entry)
    number = "I" if len(entry) == 12 else "Q"
    room = struct.calcsize(f"={number}")
    count = struct.unpack_from(f"{order}{number}", entry, 4)[0]
    length = count * _TYPE_BYTES.get(kind, 1)
    value = entry[4 + room : 4 + room + length]
    if length > room:
        value = _bytes(file, path, struct.unpack(f"{order}{number}", entry[4 + room :])[0], length, size)
    return tag, struct.unpack(f"{order}{count}{_INTEGERS[kind]}", value) if kind in _INTEGERS else ()


def _checked(first: Page, path: Path, size: int) -> Page:
    if not first.one(WIDTH) or not first.one(HEIGHT):
        raise BadImage(f"{path}: the TIFF directory is damaged (no width or height): export the picture again")
    offsets, lengths = _pieces(first)
    if not offsets or len(offsets) != len(lengths):
        raise BadImage(f"{path}: the TIFF directory is damaged (no list of strips or tiles): export the picture again")
    if any(start + length > size for start, length in zip(offsets, lengths, strict=True)):
        raise truncation(path)
    return first


def _pieces(first: Page) -> tuple[tuple[int, ...], tuple[int, ...]]:
    tags = first.tags
    if TILES in tags:
        return tags[TILES], tags.get(TILE_BYTES, ())
    lengths = tags.get(STRIP_BYTES, ())
    return tags.get(STRIPS, ()), lengths


def samples(file: BinaryIO, path: Path, first: Page) -> NDArray[np.generic]:
    """(H, W, S) samples in their own type: unsigned, signed or float of 8 to 64 bits."""
    kind = _kind(path, first)
    count = first.one(SAMPLES, 1)
    offsets, lengths = _pieces(first)
    planes, per_pixel = (count, 1) if first.one(PLANAR, 1) == 2 else (1, count)
    step, rest = divmod(len(offsets), planes)
    if rest:
        raise BadImage(f"{path}: the TIFF directory is damaged (strips do not divide into planes): export it again")
    decoded = []
    for plane in range(planes):
        part = slice(plane * step, (plane + 1) * step)
        pieces = [
            _bytes(file, path, start, length, start + length)
            for start, length in zip(offsets[part], lengths[part], strict=True)
        ]
        decoded.append(_undo(_plane(first, pieces, per_pixel * kind.itemsize), first, kind, per_pixel))
    return decoded[0] if planes == 1 else np.concatenate(decoded, axis=-1)


def _kind(path: Path, first: Page) -> np.dtype[np.generic]:
    bits, formats = set(first.tags[BITS]), set(first.tags.get(FORMAT, (1,)))
    letter = {1: "u", 2: "i", 3: "f"}.get(min(formats), "")
    if len(bits) > 1 or len(formats) > 1 or not letter or not bits <= {8, 16, 32, 64} or first.one(FILL_ORDER, 1) != 1:
        raise BadImage(f"{path}: TIFF samples of {sorted(bits)} bits in this layout are not read: {_WAY_OUT}")
    if first.one(COMPRESSION, 1) not in _BYTEWISE or first.one(PREDICTOR, 1) not in (1, 2, 3):
        compression = first.one(COMPRESSION, 1)
        raise BadImage(f"{path}: TIFF compression {compression} is not read at {min(bits)} bits: {_WAY_OUT}")
    return np.dtype(f"{first.order}{letter}{min(bits) // 8}")


def _plane(first: Page, pieces: Sequence[bytes], pixel: int) -> NDArray[np.uint8]:
    """(H, bytes in a row) of one plane whose pixels have `pixel` bytes; rows of tiles keep their padding."""
    height, block = first.one(HEIGHT), _block(first)
    width = math.ceil(first.one(WIDTH) / block) * block * pixel
    tags = {WIDTH: [width], HEIGHT: [height], BITS: [8], COMPRESSION: [first.one(COMPRESSION, 1)], PHOTOMETRIC: [1]}
    tags |= {SAMPLES: [1], PLANAR: [1], FORMAT: [1]}
    if TILES in first.tags:
        tags |= {TILE_WIDTH: [block * pixel], TILE_HEIGHT: [first.one(TILE_HEIGHT)]}
    else:
        tags |= {ROWS_PER_STRIP: [min(height, first.one(ROWS_PER_STRIP, height))]}
    with TiffImageFile(io.BytesIO(_file(tags, pieces, TILES if TILES in first.tags else STRIPS))) as picture:
        reserve(picture, (width, height))
        return np.array(picture)


def reserve(picture: TiffImageFile, size: tuple[int, int]) -> None:
    """Make room for (width, height) pixels, so that Pillow does not judge them by a limit of the whole process."""
    picture.im = Image.new(picture.mode, size).im


def _block(first: Page) -> int:
    return first.one(TILE_WIDTH) if TILES in first.tags else first.one(WIDTH)


def _file(tags: dict[int, list[int]], pieces: Sequence[bytes], where: int) -> bytes:
    """A little-endian TIFF file of one page made of these strips or tiles."""
    starts = np.cumsum([8] + [len(piece) for piece in pieces]).tolist()
    lengths = STRIP_BYTES if where == STRIPS else TILE_BYTES
    tags = tags | {where: starts[:-1], lengths: [len(piece) for piece in pieces]}
    directory, after, values = starts[-1], starts[-1] + 2 + 12 * len(tags) + 4, b""
    entries = struct.pack("<H", len(tags))
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        field = packed if len(packed) == 4 else struct.pack("<I", after + len(values))
        values += packed if len(packed) > 4 else b""
        entries += struct.pack("<HHI", tag, 4, len(numbers)) + field
    return b"".join([struct.pack("<2sHI", b"II", 42, directory), *pieces, entries, bytes(4), values])


def _undo(rows: NDArray[np.uint8], first: Page, kind: np.dtype[np.generic], per_pixel: int) -> NDArray[np.generic]:
    """Byte order and predictor: (H, bytes) -> (H, W, per_pixel); a predictor starts anew in every tile."""
    height, block = len(rows), _block(first)
    blocks = rows.reshape(height, -1, block * per_pixel * kind.itemsize)
    if first.one(PREDICTOR, 1) == 3:
        sums = blocks.reshape(height, blocks.shape[1], -1, per_pixel).cumsum(axis=2, dtype=np.uint8)
        planes = sums.reshape(height, blocks.shape[1], kind.itemsize, -1)  # most significant bytes of a row first
        values = np.ascontiguousarray(planes.swapaxes(2, 3)).view(kind.newbyteorder(">"))
    elif first.one(PREDICTOR, 1) == 2:
        whole = np.dtype(f"u{kind.itemsize}")
        steps = blocks.view(f"{first.order}u{kind.itemsize}").reshape(height, blocks.shape[1], block, per_pixel)
        values = steps.cumsum(axis=2, dtype=whole).view(kind.newbyteorder("="))
    else:
        values = blocks.view(kind)
    flat = values.reshape(height, -1, per_pixel)[:, : first.one(WIDTH)]
    return flat.astype(kind.newbyteorder("="), copy=False)
