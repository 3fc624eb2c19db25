"""The run that the options of `blemish inspect` ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from blemish.cli.options import DetectorOptions, arguments_of, refuse_frozen, view_of

if TYPE_CHECKING:
    from blemish.runs.plan import InspectionRun


def plan_by_method(
    chosen: DetectorOptions,
    product: str,
    pictures: list[Path],
    normal: tuple[str, ...],
    region: tuple[int, int, int, int] | None,
    mask: str | None,
    scale: float | None,
) -> InspectionRun:
    """By a method and an encoder, the default ones where none is named."""
    from blemish.fitting import default_method
    from blemish.images import find
    from blemish.runs.plan import by_method

    if scale is not None:
        raise click.UsageError("--scale goes with --recipe, whose calibration says where a defect begins")
    good = find(normal) if normal else []
    encoder = chosen.load_encoder()
    return by_method(
        chosen.method or default_method(encoder, good=bool(good)),
        encoder,
        precision=chosen.precision,
        product=product,
        good=good,
        pictures=pictures,
        arguments=arguments_of(chosen.arguments),
        view=view_of(chosen, region, mask),
        mask=mask,
        batch_size=chosen.batch_size,
    )


def plan_by_recipe(recipe: Path, chosen: DetectorOptions, scale: float | None) -> InspectionRun:
    """Everything as it was frozen."""
    from blemish.devices import device_of_name
    from blemish.runs.plan import by_recipe

    refuse_frozen("normal", "region", "mask")
    return by_recipe(recipe, encoder=chosen.encoder, device=device_of_name(chosen.device), scale=scale)
