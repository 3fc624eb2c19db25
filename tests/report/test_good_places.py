"""What is said of the same place of a good part is what both pictures have there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.pages import Page, result

from blemish.blocks.defect_regions import regions
from blemish.report import About, GoodParts, Writer
from blemish.report.good_places import compare_places
from blemish.runs.decision import Decided, TypedRegion

BOX = {"x": 20, "y": 10, "width": 20, "height": 10}


def grey(level: int, spread: int = 0, *, size: tuple[int, int] = (80, 60)) -> Image.Image:
    pixels = np.full(size[::-1], level, np.uint8)
    pixels[::2] += np.uint8(spread)
    pixels[1::2] -= np.uint8(spread)
    return Image.fromarray(pixels).convert("RGB")


@pytest.mark.parametrize(
    ("part", "good", "said"),
    [
        (grey(92), grey(141), "a good part is brighter (grey 141, not 92) here"),
        (grey(141, 31), grey(141, 8), "a good part is smoother (greys spread by 8, not 31) here"),
        (
            grey(150, 2),
            grey(100, 20),
            "a good part is darker (grey 100, not 150) and rougher (greys spread by 20, not 2) here",
        ),
        (grey(100, 9), grey(105, 8), ""),
        (grey(100), grey(101, 1), ""),
        (grey(92), grey(141, size=(60, 60)), ""),
        (grey(92), grey(141, size=(160, 120)), "a good part is brighter (grey 141, not 92) here"),
    ],
)
def test_brightness_and_texture_are_compared(part: Image.Image, good: Image.Image, said: str) -> None:
    assert compare_places(part, good, BOX, (80, 60)) == said


def test_only_the_place_itself_is_compared_however_small_and_near_the_edge_it_is() -> None:
    part, box = grey(100), {"x": 79, "y": 59, "width": 1, "height": 1}
    pixels = np.array(part)
    pixels[57:, 77:] = 10
    assert compare_places(Image.fromarray(pixels), part, box, (80, 60)) == (
        "a good part is brighter (grey 100, not 10) here"
    )
    assert compare_places(Image.fromarray(pixels), part, BOX, (80, 60)) == ""


def test_the_page_says_it_of_the_good_part_that_it_shows(tmp_path: Path) -> None:
    found = result(1)  # a bright field where it is hot
    typed = tuple(TypedRegion(each, "dent") for each in regions(found.anomaly_map, 0.3))
    with GoodParts() as goods, Writer(tmp_path / "page.html", About("part"), goods=goods) as writer:
        goods.add("good.png", Image.new("RGB", (64, 48), (60, 60, 60)))
        writer.add(Decided(found, "reject", typed))
        writer.finish()
    (item,) = Page(tmp_path / "page.html").items
    assert item["regions"][0]["compared"].startswith("a good part is darker (grey 6")
