"""Pages of made-up results, and what is in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.images import Inspected, source_of
from blemish.report import About, GoodParts, Writer
from blemish.runs.decision import Decided
from blemish.types import Sample

KINDS = ("good", "scratch", "dent", "good", "")


class Row(NamedTuple):
    """What a plain computation needs to know of a picture."""

    path: str
    score: float
    label: str


def result(number: int, *, path: str | None = None, side: tuple[int, int] = (48, 64)) -> Inspected:
    """A picture with a bright field, a map that is hot there, and a score that grows with its heat."""
    height, width = side
    rng = np.random.default_rng(number)
    picture = rng.integers(90, 120, (3, height, width), dtype=np.uint8)
    heat = 0.5 * float(rng.gamma(2.0)) + (number % len(KINDS) in (1, 2))
    anomaly_map = np.random.default_rng(number).random((height, width), np.float32) * 0.1
    anomaly_map[8:20, 30:44] += heat
    picture[:, 8:20, 30:44] += 90
    source = source_of(Path(path or f"line/{number:05}.png"))
    return Inspected(source, picture, round(heat, 4), anomaly_map, 0.01, 0.002)


def mask() -> NDArray[np.bool_]:
    marked = np.zeros((48, 64), bool)
    marked[8:20, 30:44] = True
    return marked


def sample(label: str, folder: Path) -> Sample:
    """What is known of a picture: a defect has a mask, which is a file of that folder."""
    if label in ("", "good"):
        return Sample(Path(), label)
    truth = folder / "truth" / "mask.png"
    truth.parent.mkdir(exist_ok=True)
    Image.fromarray(mask()).save(truth)
    return Sample(Path(), label, (truth,))


def labelled(count: int) -> list[tuple[Inspected, str]]:
    """Results with good parts, two types of defects and unknowns among them."""
    return [(result(number), KINDS[number % len(KINDS)]) for number in range(count)]


def written(
    path: Path, results: Sequence[tuple[Inspected, str]], about: About | None = None, *, goods: int = 0, **finish: Any
) -> list[Row]:
    """Write a page; returns its pictures, worst first."""
    with GoodParts() as parts, Writer(path, about or About("steel plate", "patchcore"), goods=parts) as writer:
        for number in range(goods):
            parts.add(f"good/{number}.png", Image.new("RGB", (64, 48), (20 * number, 90, 90)))
        for found, label in results:
            writer.add(Decided(found), sample(label, path.parent))
        writer.finish(**finish)
    rows = [Row(found.source.id, found.score, label) for found, label in results]
    return sorted(rows, key=lambda row: -row.score)


class Page(HTMLParser):
    """The elements of a page, as a browser would take them apart."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.script = self.style = ""
        self._inside = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = (dict(attrs).get("id") or tag) if tag in ("script", "style", "title") else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[self._inside] = self.texts.get(self._inside, "") + data

    @property
    def about(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.texts["about"])
        return found

    @property
    def items(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.texts["items"].splitlines()]
