"""What comes of a picture: what a detector finds in its inputs -> one result, at the picture's own size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadImage
from blemish.images.framing import Region, crop, scale
from blemish.images.placing import linear, matching_regions, nearest, place
from blemish.images.seen_places import Places, WorstPlaces, places_of
from blemish.images.streams import Source
from blemish.images.tiling import Mosaic
from blemish.images.view import View
from blemish.types import ArrayPrediction, Geometry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_K = TypeVar("_K")
_T = TypeVar("_T")


class Inspected(NamedTuple):
    """A picture's prediction."""

    source: Source
    picture: NDArray[Any]  # (3, H, W), uint8 or float32 in [0, 1]
    score: float  # raw, higher is more anomalous; of tiles, the highest
    anomaly_map: NDArray[np.float32]  # (H, W); NaN where nothing was inspected
    read_seconds: float  # reading and resizing, in a thread of its own
    seconds: float  # in the detector
    type_scores: NDArray[Any] | None = None  # (K,), of tiles the highest of each; the detector's `types` names them
    type_map: NDArray[np.int16] | None = None  # (H, W), number of the type of each pixel, -1 for none
    places: tuple[Places, ...] = ()  # what a classifier sees: of tiles, of those of the highest scores

    def _repr_html_(self) -> str:
        """The picture and its heat map, coloured by this picture alone, for notebooks."""
        from blemish.images.notebook import heat_of, picture_html

        name, (x, y) = self.source.id, peak_of(self.anomaly_map)
        shown = picture_html(self.picture, name) + picture_html(
            heat_of(self.picture, self.anomaly_map), f"map of {name}"
        )
        return (
            f"<figure>{shown}<figcaption>{escape(name)}: {self.score:.4g}, highest at ({x}, {y})</figcaption></figure>"
        )

    def plot(self) -> Figure:
        """The picture beside its map, a figure of matplotlib."""
        from blemish.images.notebook import plot_map

        return plot_map(self.picture, self.anomaly_map, f"{self.source.id}: {self.score:.4g}")


class Unreadable(NamedTuple):
    """A picture that could not be inspected, and why."""

    id: str  # as of its `Source`
    reason: str


def peak_of(anomaly_map: NDArray[Any]) -> tuple[int, int]:
    """(x, y) of the highest value of a map (H, W) that is not NaN everywhere."""
    y = _highest(np.fmax.reduce(anomaly_map, axis=1))
    return _highest(anomaly_map[y]), y


def _highest(values: NDArray[Any]) -> int:
    return int(np.nan_to_num(values, nan=-np.inf, posinf=np.inf).argmax())


def keep_readable(
    pictures: Iterable[tuple[_K, _T | Unreadable]], unreadable: list[Unreadable] | None
) -> Iterator[tuple[_K, _T]]:
    """Those that can be read; the others are added to `unreadable`, or raised as BadImage without it."""
    for source, found in pictures:
        if not isinstance(found, Unreadable):
            yield source, found
        elif unreadable is None:
            raise BadImage(found.reason)
        else:
            unreadable.append(found)


@dataclass(slots=True)
class Begun:
    """A picture some of whose inputs may still be on their way.

    Where the whole and its tiles are seen, score and map are the highest of both. Scores of tiles count `view.balance`
    times, since what is usual at one scale is odd at the other: as much as makes good parts that were not learned score
    alike at both, see `fitting.balance_scales`; 1 where there are none.
    """

    source: Source
    picture: NDArray[Any]
    boxes: Sequence[Region]  # of its inputs, in pixels of what is inspected
    read_seconds: float
    view: View
    geometry: Geometry
    left: int  # inputs of which nothing is known yet
    score: float = -np.inf
    seconds: float = 0.0
    type_scores: NDArray[Any] | None = None
    maps: tuple[NDArray[Any], NDArray[Any] | None] | None = None  # of the one input, where there are no tiles
    mosaic: Mosaic | None = None
    places: WorstPlaces | None = None

    def add(self, found: ArrayPrediction, seconds: float) -> None:
        """What was found in the next tile."""
        score = float(found.image_score) * self._weight
        self.score = score if score != score else max(self.score, score)
        self.seconds += seconds
        if found.type_scores is not None:
            before = self.type_scores
            self.type_scores = found.type_scores if before is None else np.maximum(before, found.type_scores)
        if self._is_whole:
            self.maps = found.anomaly_map, found.type_map
        else:
            assert self.view.tile
            self._add_tile(found, (self.view.tile, self.view.tile))
        if found.places is not None:
            self._keep(score, found.places)
        self.left -= 1

    def _add_tile(self, found: ArrayPrediction, side: tuple[int, int]) -> None:
        self.mosaic = self.mosaic or Mosaic(self.part)
        found = found._replace(anomaly_map=found.anomaly_map * self._weight) if self._weight != 1 else found
        scores = found.anomaly_map if found.anomaly_map.shape == side else scale(found.anomaly_map, side, linear)
        self.mosaic.add(scores, self.box, None if found.type_map is None else _numbers(found.type_map, side))

    def _keep(self, score: float, grid: NDArray[Any]) -> None:
        """What a classifier sees of the tile."""
        self.places, (x, y) = self.places or WorstPlaces(), self.corner
        if self._is_whole:
            self.places.add(score, places_of(grid, self.geometry, self.part, self.corner))
        else:
            self.places.add(score, Places(self.box._replace(x=self.box.x + x, y=self.box.y + y), grid))

    @property
    def _is_whole(self) -> bool:
        """Whether the next input is of the whole region."""
        return self.view.tile is None or (self.view.balance is not None and self.left == len(self.boxes))

    @property
    def _weight(self) -> float:
        """By which the scores of the next input count."""
        return 1.0 if self._is_whole else self.view.balance or 1.0

    @property
    def part(self) -> tuple[int, int]:
        """Height and width of what is inspected of the picture."""
        last = self.boxes[-1]
        return last.y + last.height, last.x + last.width

    @property
    def box(self) -> Region:
        """The next tile."""
        return self.boxes[-self.left]

    @property
    def corner(self) -> tuple[int, int]:
        """Where in the picture its part begins: x, y."""
        return (self.view.region.x, self.view.region.y) if self.view.region else (0, 0)

    def result(self) -> Inspected:
        """All inputs together; what was kept of them meanwhile is given up, so this is asked for once."""
        anomaly_map, types = self._place()
        self.mosaic = self.maps = None
        return Inspected(
            self.source, self.picture, self.score, anomaly_map,
            self.read_seconds, self.seconds, self.type_scores, types,
            self.places.ordered() if self.places else (),
        )  # fmt: skip

    def _place(self) -> tuple[NDArray[np.float32], NDArray[np.int16] | None]:
        """The map of the whole picture, and that of types if there is one."""
        height, width = self.picture.shape[-2:]
        scores, kinds, target = self._joined()
        whole = place(scores, (height, width), region=target, mask=self.view.mask)
        if kinds is None:
            return whole, None
        types = np.full((height, width), -1, np.int16)
        crop(types, target)[:] = _numbers(kinds, (target.height, target.width))
        types[np.isnan(whole)] = -1
        return whole, types

    def _joined(self) -> tuple[NDArray[Any], NDArray[Any] | None, Region]:
        """One map, of types too if there are any, and where in the picture it lies."""
        (height, width), (x, y) = self.part, self.corner
        if self.mosaic is not None:
            tiles, kinds = self.mosaic.joined()
            if self.maps:
                np.fmax(tiles, self._spread(height, width), out=tiles)
            return tiles, kinds, Region(x, y, width, height)
        assert self.maps
        (scores, kinds), (inside, shown) = self.maps, matching_regions(self.geometry, height, width)
        if self.geometry.pad:
            scores, kinds = crop(scores, inside), None if kinds is None else crop(kinds, inside)
        return scores, kinds, shown._replace(x=shown.x + x, y=shown.y + y)

    def _spread(self, height: int, width: int) -> NDArray[np.float32]:
        """The map of the whole at the size of what is inspected; NaN where it is not seen."""
        assert self.maps
        inside, shown = matching_regions(self.geometry, height, width)
        scores = crop(self.maps[0], inside) if self.geometry.pad else self.maps[0]
        return place(scores, (height, width), region=shown)


def _numbers(kinds: NDArray[Any], size: tuple[int, int]) -> NDArray[np.int16]:
    """A map of types (h, w) at another size: each pixel that of the nearest."""
    return np.asarray(nearest(kinds, size), np.int16)
