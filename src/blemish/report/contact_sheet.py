"""Many small pictures on one sheet, to be looked at together."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from blemish.images import Region, unit

SIDE, GAP, COLUMNS, MOST = 160, 6, 6, 48
"""Pixels of a small picture and between two, small pictures in a row and on a sheet at most."""
MARGIN = 0.5
"""What is shown round a region, as a share of its longer side on each side."""
EDGE = (255, 80, 0)


def close_up(picture: NDArray[Any], box: Region) -> Image.Image:
    """A square of a picture (3, H, W) round a region, which has a frame."""
    height, width = picture.shape[-2:]
    half = max(box.width, box.height) * (0.5 + MARGIN) + 4
    x, y = box.x + box.width / 2, box.y + box.height / 2
    left, top = max(0, round(x - half)), max(0, round(y - half))
    right, bottom = min(width, round(x + half)), min(height, round(y + half))
    pixels = np.rint(np.clip(unit(picture[:, top:bottom, left:right]), 0, 1) * 255).astype(np.uint8)
    shown = Image.fromarray(np.ascontiguousarray(np.moveaxis(pixels, 0, 2)))
    scale = SIDE / max(shown.size)
    shown = shown.resize((max(1, round(shown.width * scale)), max(1, round(shown.height * scale))))
    corners = [box.x - left, box.y - top, box.x + box.width - left, box.y + box.height - top]
    ImageDraw.Draw(shown).rectangle([each * scale for each in corners], outline=EDGE, width=2)
    sheet = Image.new("RGB", (SIDE, SIDE), (24, 24, 24))
    sheet.paste(shown, ((SIDE - shown.width) // 2, (SIDE - shown.height) // 2))
    return sheet


def save_sheet(path: Path, pictures: Iterable[Image.Image]) -> None:
    """Write the first `MOST` of them side by side."""
    shown = [each for _, each in zip(range(MOST), pictures, strict=False)]
    rows, columns = -(-len(shown) // COLUMNS), min(COLUMNS, len(shown))
    sheet = Image.new("RGB", (columns * (SIDE + GAP) + GAP, rows * (SIDE + GAP) + GAP), (250, 250, 250))
    for number, each in enumerate(shown):
        sheet.paste(each, (GAP + number % COLUMNS * (SIDE + GAP), GAP + number // COLUMNS * (SIDE + GAP)))
    sheet.save(path)
