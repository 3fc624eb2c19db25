"""Results one by one, then one HTML file: memory holds a few numbers a picture, the rest waits on disk."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.data.masks import read_ground_truth
from blemish.files import alone_at, guard_write
from blemish.images import Unreadable, colours, peak_of
from blemish.metrics.pixel import Curves
from blemish.report import html, pictures
from blemish.report.decision import start
from blemish.report.good_places import compare_places
from blemish.report.items import About, Encoded, Item, outlines, types_on_tile
from blemish.report.selection import Selection
from blemish.report.similar_parts import GoodParts
from blemish.report.spool import Spool
from blemish.runs.decision import Decided, TypedRegion
from blemish.types import GOOD, Sample
from blemish.version import VERSION

BLOCK = 100
"""Pictures that the page reads at once."""
COMPARED = 3
"""Regions of a picture, the worst, whose place is compared with that of a good part."""
LISTED = 500
"""Unreadable files named; the others are counted."""
AGAIN = "make room, and write the page again"
SHADES = 7
"""Colours between which those of a map are mixed: as many as `images.colours` has anchors."""


class Writer:
    """Takes results as they come; `finish` writes the page."""

    def __init__(self, path: Path, about: About, *, goods: GoodParts | None = None) -> None:
        self.path, self.about, self.goods = path, about, goods
        self.unreadable: list[Unreadable] = []  # the first of them
        self.unreadable_count = 0
        self.selection = Selection()
        self._scores, self._kinds = array("d"), bytearray()  # kinds: 0 unknown, 1 good, 2 defect
        self._middles, self._peaks = array("f"), array("f")
        self._nearest = array("l")
        self._facts, self._smalls, self._larges = Spool(), Spool(), Spool()
        self._large_of: dict[int, int] = {}
        self._unfinished = path.with_name(path.name + ".part")

    def __enter__(self) -> Self:
        """Begin the file, so that one that cannot be written is refused before the work; raises CannotWrite."""
        with ExitStack() as stack:
            stack.enter_context(alone_at(self.path))
            with guard_write(self.path, "name another file"):
                self._unfinished.touch()
            stack.callback(self._unfinished.unlink, missing_ok=True)
            for spool in (self._facts, self._smalls, self._larges):
                stack.enter_context(spool)
            self._files = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def add(self, found: Decided | Unreadable, sample: Sample | None = None) -> None:
        """Take one result, and what is known about the picture."""
        if isinstance(found, Unreadable):
            self._leave_out(found)
            return
        with guard_write(self.path, AGAIN):
            self.put(self._item(found, sample))

    def _item(self, found: Decided, sample: Sample | None) -> Item:
        result, label = found.result, sample.label if sample else ""
        is_large = self.selection.wants(result.score, is_defect=label not in ("", GOOD))
        image = pictures.grey_out(result.picture, result.anomaly_map)
        height, width = result.anomaly_map.shape
        mask = read_ground_truth(sample.masks, sample.image, size=(height, width)) if sample and sample.masks else None
        typed = found.regions or (found.suggested.regions if found.suggested else ())
        maps = _maps(found, typed) if is_large else {}
        nearest = self.goods.nearest(image) if self.goods else None
        regions = [each.as_json() for each in typed]
        return Item(
            path=result.source.id,
            score=result.score,
            size=(width, height),
            label=label,
            type=types_on_tile(found.types, regions),
            verdict=found.verdict,
            area=None if mask is None else float(mask.sum()),
            seconds=round(result.seconds, 6),
            peak=peak_of(result.anomaly_map),
            regions=self.compare_regions(regions, image, nearest, (width, height)),
            nearest=nearest,
            small=Encoded(pictures.small(image), *pictures.heat(result.anomaly_map, pictures.HEAT_SMALL)),
            large=pictures.encode_large(image, result.anomaly_map, mask, maps) if is_large else None,
        )

    def compare_regions(
        self, regions: Sequence[Mapping[str, Any]], image: Image.Image, nearest: int | None, size: tuple[int, int]
    ) -> list[Mapping[str, Any]]:
        """Regions of a picture of that size; the first say what the most similar good part is like there."""
        if not self.goods or nearest is None or not regions:
            return list(regions)
        good = self.goods.picture(nearest)
        said = [compare_places(image, good, each["box"], size) for each in regions[:COMPARED]]
        first = [{**each, "compared": words} if words else each for each, words in zip(regions, said, strict=False)]
        return [*first, *regions[COMPARED:]]

    def put(self, item: Item) -> None:
        """Take an item that has been encoded; one whose score is not finite is listed as unreadable."""
        if not math.isfinite(item.score):
            reason = f"{item.path}: its score is {item.score}: such a picture cannot be ranked"
            self._leave_out(Unreadable(item.path, reason))
            return
        number = self._facts.add(html.plain_json(item.as_json()).encode("ascii"))
        self._smalls.add(
            f"{html.base64_text(item.small.picture)} {html.base64_text(item.small.overlay)}".encode("ascii")
        )
        self._scores.append(item.score)
        self._kinds.append(2 if item.is_defect else int(item.label == GOOD))
        self._nearest.append(-1 if item.nearest is None else item.nearest)
        if item.small.heat:
            self._middles.append(item.small.heat[1])
            self._peaks.append(item.small.heat[2])
        if item.large is not None:
            self._large_of[number] = self._larges.add(_large(item.large, item).encode("ascii"))
        self.selection.offer(number, item.score, is_defect=item.is_defect)

    def finish(self, *, measures: Mapping[str, Any] | None = None, curves: Curves | None = None) -> None:
        """Write the page: `measures` are metrics as `evaluation.Report.as_json` gives them."""
        head, tail = html.head_and_tail(self.about.title)
        with guard_write(self.path, AGAIN):
            with self._unfinished.open("w", encoding="utf-8", newline="\n") as file:
                file.write(head)
                file.writelines(self._blocks(self._summary(measures, curves)))
                file.write(tail)
            self._unfinished.replace(self.path)

    def _leave_out(self, bad: Unreadable) -> None:
        self.unreadable_count += 1
        if len(self.unreadable) < LISTED:
            self.unreadable.append(bad)

    def _blocks(self, summary: dict[str, Any]) -> Iterator[str]:
        """The data, worst first."""
        order = np.argsort(-np.asarray(self._scores), kind="stable").tolist()
        yield html.data_block("about", _finite(summary))
        yield from html.text_block("items", (self._facts[number].decode("ascii") for number in order))
        for first in range(0, len(order), BLOCK):
            lines = (self._smalls[number].decode("ascii") for number in order[first : first + BLOCK])
            yield from html.text_block(f"small-{first // BLOCK}", lines)
        chosen = self.selection.numbers() & set(self._large_of)
        for place, number in enumerate(order):
            if number in chosen:
                yield from html.text_block(f"large-{place}", [self._larges[self._large_of[number]].decode("ascii")])
        if self.goods:
            yield from _good_blocks(self.goods, set(self._nearest) - {-1}, {self._nearest[number] for number in chosen})

    def _summary(self, measures: Mapping[str, Any] | None, curves: Curves | None) -> dict[str, Any]:
        kinds, about = np.frombuffer(bytes(self._kinds), np.uint8), self.about
        return {
            **asdict(about),
            "settings": html.readable(about.settings),
            "version": VERSION,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "count": len(self._scores),
            "start": start(self._scores, kinds == 2, kinds == 1, about.calibration, about.suggested)._asdict(),
            "scale": _scale(self._middles, self._peaks),
            "colours": np.rint(colours(np.linspace(0, 1, SHADES)[None])[:, 0].T * 255).astype(int).tolist(),
            "unreadable": [{"path": bad.id, "error": bad.reason} for bad in self.unreadable],
            "unreadable_count": self.unreadable_count,
            "stored": {
                "block": BLOCK,
                "small": pictures.SMALL,
                "large": pictures.LARGE,
                "highest": self.selection.highest,
                "missed": self.selection.missed if 2 in self._kinds else 0,
                "kept": len(self.selection.numbers() & set(self._large_of)),
            },
            "measures": measures,
            "curves": curves and {name: np.round(values, 5).tolist() for name, values in curves._asdict().items()},
        }


def _scale(middles: Sequence[float], peaks: Sequence[float]) -> tuple[float, float]:
    """Scores shown as untinted and as hottest: what half of each map stays below, and what 1 map in 20 exceeds."""
    if not len(peaks):
        return 0.0, 1.0
    low, high = float(np.median(middles)), float(np.quantile(peaks, 0.95))
    return low, max(high, low + 1e-6 * max(1.0, abs(low)))


def _maps(found: Decided, regions: Sequence[TypedRegion]) -> dict[str, NDArray[Any]]:
    """The map of each type: of the regions that a classifier called so, else of the pixels that the detector did."""
    own = found.result.anomaly_map
    return pictures.map_regions(own, regions) or pictures.split_map(own, found.result.type_map, found.known)


def _large(large: Encoded, item: Item) -> str:
    parts = {name: html.base64_text(getattr(large, name)) for name in ("picture", "overlay", "truth")}
    maps = [each._asdict() | {"overlay": html.base64_text(each.overlay)} for each in large.maps]
    return html.plain_json(parts | {"heat": large.heat, "outlines": outlines(item), "maps": maps})


def _good_blocks(goods: GoodParts, named: Iterable[int], enlarged: set[int]) -> Iterator[str]:
    """The good parts that something looks like."""
    for number in sorted(named):
        small, large = goods.encoded(number)
        parts = {"name": goods.names[number], "small": html.base64_text(small)}
        parts |= {"large": html.base64_text(large)} if number in enlarged else {}
        yield from html.text_block(f"good-{number}", [html.plain_json(parts)])


def _finite(values: dict[str, Any]) -> Any:
    """Without nan and infinity, which JSON does not know."""
    return json.loads(json.dumps(values), parse_constant=lambda _: None)
