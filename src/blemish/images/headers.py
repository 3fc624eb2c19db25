"""What a picture file says of itself, without its pixels."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, NamedTuple

from blemish.images import tiff
from blemish.images.reading import OPENERS, guard, kind_of, png_chunks


class Header(NamedTuple):
    """How the pixels are stored."""

    size: tuple[int, int]  # (height, width)
    orientation: int  # EXIF, 1 to 8
    is_lossy: bool  # colours next to an edge may have changed

    @property
    def upright(self) -> tuple[int, int]:
        """(height, width) of what `read` returns."""
        return self.size[::-1] if self.is_turned else self.size

    @property
    def is_turned(self) -> bool:
        """True if the picture lies on its side."""
        return self.orientation in (5, 6, 7, 8)


def read_header(path: str | Path, *, content: bytes | None = None) -> Header:
    """Size and orientation; path, content and BadImage as of `read`."""
    path = Path(path)
    return guard(path, lambda file: _header(file, path), content)


def _header(file: BinaryIO, path: Path) -> Header:
    kind = kind_of(file, path)
    if kind == "TIFF":
        page = tiff.page(file, path)
        return Header((page.one(tiff.HEIGHT), page.one(tiff.WIDTH)), page.one(tiff.ORIENTATION, 1), is_lossy=False)
    lossy = kind == "JPEG" or (kind == "WebP" and b"VP8L" not in file.read(64))
    # Pillow decodes a PNG to look for its orientation, which may be in a chunk behind the pixels.
    told = kind != "PNG" or any(name in (b"eXIf", b"tEXt", b"zTXt", b"iTXt") for name, _ in png_chunks(file))
    file.seek(0)
    with OPENERS[kind](file) as picture:
        orientation = picture.getexif().get(tiff.ORIENTATION, 1) if told else 1
        return Header((picture.height, picture.width), orientation, lossy)
