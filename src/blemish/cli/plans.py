"""The run that the options of `blemish inspect` ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from blemish.cli.console import show_progress
from blemish.cli.options import DetectorOptions, choose_detector, refuse_frozen, settle_view
from blemish.errors import BadInput

if TYPE_CHECKING:
    from blemish.runs.plan import InspectionRun

SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


def plan_by_method(
    chosen: DetectorOptions,
    product: str,
    pictures: list[Path],
    normal: tuple[str, ...],
    region: tuple[int, int, int, int] | None,
    mask: str | None,
    scale: float | None,
    drift: float | None,
    defects: str | None = None,
) -> InspectionRun:
    """By a method and an encoder, the default ones where none is named."""
    from blemish.classification.names import defect_types
    from blemish.images import find
    from blemish.runs.methods import by_method

    if scale is not None and not normal:
        raise click.UsageError(
            "--scale is for areas and lengths of regions, and words alone mark none: show good parts by --normal, or "
            "use a calibrated --recipe"
        )
    if drift is not None:
        raise click.UsageError("--drift goes with --recipe, whose calibration says which scores are to be expected")
    types = () if defects is None else defect_types(defects, product=product)
    good = find(normal) if normal else []
    asked = choose_detector(chosen, good=bool(good), region=region, mask=mask)
    with show_progress() as watch:
        asked = settle_view(chosen, asked, good, product=product, watch=watch)
    return by_method(
        asked.method,
        asked.encoder,
        precision=chosen.precision,
        product=product,
        good=good,
        pictures=pictures,
        arguments=asked.arguments,
        view=asked.view,
        mask=mask,
        batch_size=chosen.batch_size,
        scale=scale,
        defects=types,
    )


def plan_by_recipe(
    recipe: Path, chosen: DetectorOptions, scale: float | None, drift: float | None, defects: str | None = None
) -> InspectionRun:
    """Everything as it was frozen, and these defects named."""
    from blemish.batch.work import plan_of_recipe
    from blemish.classification.names import defect_types
    from blemish.recipes.recipe import load
    from blemish.runs.plan import may_drift

    refuse_frozen("normal", "region", "mask")
    found = load(recipe)
    if found.deployed:
        refuse_frozen("encoder", "device")
    if scale is not None and (found.calibration is None or found.calibration.pixel is None):
        raise BadInput(f"{recipe} marks no region whose area --scale could give: calibrate it first")
    if drift is not None and not may_drift(found):
        raise BadInput(f"{recipe} does not say which scores are to be expected: calibrate it with --scheme split")
    types = () if defects is None else defect_types(defects, product=found.product)
    return plan_of_recipe(found, encoder=chosen.encoder, device=chosen.device, scale=scale, defects=types)
