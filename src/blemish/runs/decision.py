"""A picture's result by a recipe's calibration: verdict, and the regions of the map that belong to a defect."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from torch import Tensor

from blemish.blocks.defect_regions import DefectRegion, regions
from blemish.calibration.thresholds import Calibration
from blemish.inspection import Inspected
from blemish.recipes.known_defects import types_in
from blemish.recipes.recipe import Recipe
from blemish.types import Detector


def decide(recipe: Recipe, detector: Detector, *, scale: float | None = None) -> Callable[[Inspected], dict[str, Any]]:
    """What a line of results says beside the score; nothing by a recipe that is not calibrated.

    scale: millimetres a pixel, for areas. The last answer is remembered: a record and a page ask about the same result.
    """
    calibration, number = recipe.calibration, recipe.hash

    @functools.lru_cache(maxsize=1)
    def found(result: Inspected) -> dict[str, Any]:
        if calibration is None:
            return {}
        return {
            "verdict": calibration.verdict(result.score),
            "recipe": number,
            "regions": _regions(result, recipe, calibration, detector, scale),
        }

    return found


def _regions(
    result: Inspected, recipe: Recipe, calibration: Calibration, detector: Detector, scale: float | None
) -> list[dict[str, Any]]:
    if calibration.pixel is None:
        return []
    found = regions(result.anomaly_map, calibration.pixel, scale=scale)
    points = [_highest(result.anomaly_map, region) for region in found]
    types = types_in(detector, result.path, recipe.view, points)
    return [region.as_json(kind) for region, kind in zip(found, types, strict=True)]


def _highest(anomaly_map: Tensor, region: DefectRegion) -> tuple[int, int]:
    """A pixel (x, y) where the region has its score."""
    x, y, width, height = region.box
    at = int((anomaly_map[y : y + height, x : x + width] == region.score).flatten().int().argmax())
    return x + at % width, y + at // width
