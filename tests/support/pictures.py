"""Picture files made from raw bytes, for what Pillow cannot write."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def ramp(height: int = 40, width: int = 36, channels: int = 3) -> NDArray[np.uint8]:
    """uint8 (H, W, C) that differs at every pixel, from row to row, and from channel to channel."""
    y, x, c = np.mgrid[:height, :width, :channels]
    return np.asarray(3 * y + 2 * x + 40 * c, np.uint8)


def deep(channels: int, seed: int = 0) -> NDArray[np.uint16]:
    """uint16 (13, 11, C) with both bytes of every sample in use."""
    return np.random.default_rng(seed).integers(0, 65536, (13, 11, channels), dtype=np.uint16)


def chunk(name: bytes, data: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(samples: NDArray[Any], colour_type: int, *chunks: tuple[bytes, bytes], has_pixels: bool = True) -> bytes:
    """A PNG of 8 or 16 bits whose rows are filtered by turns, against the row above and not at all."""
    height, width = samples.shape[:2]
    samples = samples if has_pixels else samples[:1]
    rows = samples.astype(samples.dtype.newbyteorder(">")).reshape(height, -1).view(np.uint8)
    above = np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
    filtered = b"".join(
        b"\0" + row.tobytes() if number % 2 else b"\2" + (row - before).tobytes()
        for number, (row, before) in enumerate(zip(rows, above, strict=True))
    )
    head = struct.pack(">IIBBBBB", width, height, samples.itemsize * 8, colour_type, 0, 0, 0)
    parts = [chunk(b"IHDR", head), *(chunk(*each) for each in chunks), chunk(b"IDAT", zlib.compress(filtered))]
    return b"".join([b"\x89PNG\r\n\x1a\n", *parts, chunk(b"IEND", b"")])


def tiff(samples: NDArray[Any], photometric: int, *, order: str = "<", planar: int = 1, **tags: int) -> bytes:
    """An uncompressed or Deflate TIFF of one strip a plane; `tags` are named t317 and so on."""
    height, width, channels = samples.shape
    kind = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    ordered = samples.astype(samples.dtype.newbyteorder("<" if order == "<" else ">"))
    planes = [ordered[:, :, c].tobytes() for c in range(channels)] if planar == 2 else [ordered.tobytes()]
    strips = [zlib.compress(plane) for plane in planes] if tags.get("t259") == 8 else planes
    bits = samples.itemsize * 8
    fields: dict[int, list[int]] = {256: [width], 257: [height], 258: [bits] * channels, 259: [1], 262: [photometric]}
    fields |= {277: [channels], 278: [height], 284: [planar], 339: [kind] * channels}
    fields |= {int(tag[1:]): [value] for tag, value in tags.items()}
    return page(strips, fields, order)


def page(
    strips: list[bytes], fields: dict[int, list[int]], order: str = "<", *, strip_tags: tuple[int, int] = (273, 279)
) -> bytes:
    """A TIFF file of these strips, or tiles by the other `strip_tags`, and these tags."""
    starts = [8 + sum(map(len, strips[:number])) for number in range(len(strips) + 1)]
    fields = fields | {strip_tags[0]: starts[:-1], strip_tags[1]: [len(strip) for strip in strips]}
    after = starts[-1] + 2 + 12 * len(fields) + 4
    entries, values = struct.pack(f"{order}H", len(fields)), b""
    for tag, numbers in sorted(fields.items()):
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        entries += struct.pack(f"{order}HHI", tag, 4, len(numbers))
        entries += packed if len(packed) == 4 else struct.pack(f"{order}I", after + len(values))
        values += packed if len(packed) > 4 else b""
    head = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, starts[-1])
    return b"".join([head, *strips, entries, bytes(4), values])
