"""Where the letter of a file is not what its writer meant, or Pillow not what the letter says."""

from __future__ import annotations

from pathlib import Path

from PIL import ImageFile, ImagePalette
from PIL.TiffImagePlugin import TiffImageFile

from blemish.images import tiff
from blemish.notices import notice


def mend_palette(picture: TiffImageFile, page: tiff.Page, path: Path) -> None:
    """Some programs write a palette of 8 bits where TIFF has 16: by the letter, all of it would be black."""
    colours = page.tags.get(tiff.COLOUR_MAP, ())
    if 0 < max(colours, default=0) < 256:
        notice("%s: its palette holds 8 bits where TIFF has 16, and is read so", path)
        picture.palette = ImagePalette.raw("RGB;L", bytes(colours))


def widen_key(picture: ImageFile.ImageFile) -> None:
    """Pillow widens a grey PNG's samples of 2 and 4 bits to 8, and not the one that marks what is transparent."""
    mode = str(picture.tile[0].args) if picture.tile else ""
    if mode in ("L;2", "L;4"):
        picture.info["transparency"] *= 255 // (2 ** int(mode[2:]) - 1)
