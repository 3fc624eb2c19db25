"""What a file is by its first bytes, and whether it is all there."""

from __future__ import annotations

import io
import mmap
from pathlib import Path
from typing import BinaryIO, Literal

from blemish.errors import BadImage

Kind = Literal["PNG", "JPEG", "BMP", "TIFF", "WebP"]

_STARTS: dict[bytes, Kind] = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}


def kind(file: BinaryIO, path: Path) -> Kind:
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


def truncated(path: Path) -> BadImage:
    """The error of a file that ends too early."""
    return BadImage(f"{path}: the file is truncated: copy it again from where it came")


def refuse_cut(file: BinaryIO, path: Path, name: Kind) -> None:
    """BadImage for the cut files that decode without complaint; the decoders refuse the others. Left at its start."""
    whole = {"PNG": _is_whole_png, "JPEG": _is_whole_jpeg, "WebP": _is_whole_webp}.get(name)
    if whole is not None and not whole(file):
        raise truncated(path)
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
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        position = 2
        while data[position : position + 2] != b"\xff\xda" and position + 4 <= len(data):
            is_fill = data[position + 1] == 0xFF
            position += 1 if is_fill else 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        return data.find(b"\xff\xd9", position) >= 0


def _is_whole_webp(file: BinaryIO) -> bool:
    """True if the file is as long as its header says."""
    file.seek(4)
    return int.from_bytes(file.read(4), "little") + 8 <= file.seek(0, io.SEEK_END)
