"""Whether a compressed file reaches its end: broken off, it may still decode without complaint."""

from __future__ import annotations

import io
import mmap
from contextlib import AbstractContextManager, nullcontext
from typing import BinaryIO


def is_whole_jpeg(file: BinaryIO) -> bool:
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


def is_whole_webp(file: BinaryIO) -> bool:
    """True if the file is as long as its header says."""
    file.seek(4)
    return int.from_bytes(file.read(4), "little") + 8 <= file.seek(0, io.SEEK_END)
