"""What a station asks about each view: a recipe, loaded and ready.

`Judge` is all that a station knows of it. Only `judge_by_recipe` imports what computes, in the station's process.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadImage, BadRecipe

if TYPE_CHECKING:
    from blemish.calibration.thresholds import Calibration
    from blemish.images.view import View
    from blemish.recipes.recipe import Recipe
    from blemish.runs.decision import Decide
    from blemish.types import ArrayDetector, Detector

Content = bytes | NDArray[Any]
MOST_PACKED, SMALL = 500, 1_000_000
"""Bytes of pixels for each of a file's, which no camera reaches, and pixels up to which any will do."""


class Judgement(NamedTuple):
    """What was found in one view, in plain values."""

    score: float
    verdict: str
    regions: Sequence[Mapping[str, Any]]  # worst first
    types: Sequence[str]
    size: tuple[int, int]  # (width, height)
    seconds: Mapping[str, float]  # by stage
    anomaly_map: NDArray[np.float32] | None = None  # (H, W); NaN where nothing was inspected
    picture: NDArray[Any] | None = None  # (3, H, W), uint8 or float32 in [0, 1]: as it was seen
    colours: tuple[float, float] | None = None  # values of the map that are shown as untinted and as hottest


class Judge(Protocol):
    """A recipe that is ready."""

    hash: str
    good: Sequence[float]  # scores of good parts that the recipe was calibrated with; () where others may be expected

    def judge(self, content: Content, name: str) -> Judgement:
        """Of a file's bytes or an array; raises BadImage, with the name."""


MakeJudge = Callable[[Path, int], Judge]
"""Of a recipe's file, and the most pixels of a view; raises BlemishError."""


def judge_by_recipe(path: Path, max_pixels: int) -> Judge:
    """The detector of a calibrated recipe, by its graph and without torch where it is deployed; raises BadRecipe."""
    from blemish.recipes import recipe as recipes
    from blemish.runs.decision import decision
    from blemish.runs.plan import may_drift

    recipe = recipes.load(path)
    if recipe.calibration is None:
        raise BadRecipe(f"{path} decides nothing: calibrate it first, by `blemish calibrate`")
    detector = _detector_of(recipe)
    decide, good = decision(recipe.calibration, detector), recipe.calibration.good if may_drift(recipe) else ()
    colours = _colours(recipe.calibration)
    return _RecipeJudge(recipe.hash, good, detector, decide, recipe.view, max_pixels, colours)


def _detector_of(recipe: Recipe) -> Detector | ArrayDetector:
    if recipe.deployed is None:
        from blemish.recipes.detectors import detector

        return detector(recipe)
    from blemish.runtime.running import graph_detector

    return graph_detector(recipe)


def _colours(calibration: Calibration) -> tuple[float, float] | None:
    """From what a good part's highest pixel usually is; where a region begins is half way to the hottest."""
    if not calibration.peaks or calibration.pixel is None or not math.isfinite(calibration.pixel):
        return None
    usual = float(np.median(calibration.peaks))
    return (usual, 2 * calibration.pixel - usual) if usual < calibration.pixel else None


class _RecipeJudge:
    def __init__(
        self,
        number: str,
        good: Sequence[float],
        detector: Detector | ArrayDetector,
        decide: Decide,
        view: View,
        max_pixels: int,
        colours: tuple[float, float] | None,
    ) -> None:
        self.hash, self.good, self._detector, self._decide, self._view = number, good, detector, decide, view
        self._max_pixels, self._colours = max_pixels, colours

    def judge(self, content: Content, name: str) -> Judgement:
        from blemish.images.results import Unreadable
        from blemish.images.streams import Source
        from blemish.inspection import inspect

        if isinstance(content, bytes):
            refuse_header(content, name, self._max_pixels)
        [found] = inspect(self._detector, [Source(content, name)], view=self._view, batch_size=1)
        if isinstance(found, Unreadable):
            raise BadImage(found.reason)
        decided = self._decide(found)
        height, width = found.anomaly_map.shape
        said = decided.as_json()
        return Judgement(
            found.score,
            decided.verdict,
            said.get("regions", []),
            decided.types,
            (width, height),
            {"read": found.read_seconds, "detect": found.seconds},
            found.anomaly_map,
            found.picture,
            self._colours,
        )


def refuse_header(content: bytes, name: str, max_pixels: int) -> None:
    """Raises BadImage for a file that is too large once it is decoded, by what its header says."""
    from blemish.images.headers import read_header

    height, width = read_header(name, content=content).size
    _refuse_large(name, height, width, max_pixels)
    if height * width > SMALL and 3 * height * width > MOST_PACKED * len(content):
        raise BadImage(
            f"{name}: {width} x {height} pixels in {len(content)} bytes: no camera packs pictures so tightly"
        )


def array_of(content: bytes, name: str, max_pixels: int) -> NDArray[Any]:
    """The array in the bytes of a .npy file; raises BadImage, before it is made, for one that is too large."""
    file = io.BytesIO(content)
    try:
        major, _ = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, kind = header(file)
        if len(shape) not in (2, 3) or kind.hasobject:
            raise ValueError(f"it is an array of {kind} with shape {list(shape)}")
        _refuse_large(name, shape[0], shape[1], max_pixels)
        file.seek(0)
        found: NDArray[Any] = np.load(file)
    except (ValueError, EOFError, OSError, SyntaxError, MemoryError) as error:
        raise BadImage(
            f"{name} is no picture as .npy ({str(error)[:200]}): send grey or RGB, (H, W) or (H, W, 3)"
        ) from error
    return found


def _refuse_large(name: str, height: int, width: int, max_pixels: int) -> None:
    if height * width > max_pixels:
        millions = f"{height * width / 1e6:.1f} megapixels, above the limit of {max_pixels / 1e6:.1f}"
        raise BadImage(f"{name}: {width} x {height} = {millions}: send smaller pictures, or raise max_megapixels")
