"""What a page says of a trial and of a recipe that are measured."""

from __future__ import annotations

from dataclasses import replace

from blemish.evaluation.evaluate import Trial, training_samples
from blemish.evaluation.protocol import SCALED, Protocol
from blemish.recipes.recipe import Recipe
from blemish.report.items import About
from blemish.report.runs import about_run, identity
from blemish.types import GOOD


def about_trial(trial: Trial, note: str = "") -> About:
    """What is measured, and what it learns from."""
    good = [sample.image for sample in training_samples(trial)]
    return About(
        title=trial.part,
        method=trial.method,
        encoder=trial.encoder if isinstance(trial.encoder, str) else trial.encoder.name,
        settings={
            "data": str(trial.root),
            "product": trial.product,
            "good parts": len(good),
            "seed": trial.seed,
            "arguments": dict(trial.arguments),
            "tile": trial.view.tile,
        },
        taught=[{"name": str(each), "kind": GOOD} for each in good],
        note=note,
    )


def about_recipe(recipe: Recipe, note: str = "", *, protocol: Protocol = "standard") -> About:
    """A recipe that is measured; published scores are not those of its thresholds."""
    view, encoders = recipe.view, ", ".join(each.name for each in recipe.encoders.values())
    settings = {"product": recipe.product, "method": recipe.method, "encoder": encoders, "protocol": protocol}
    about = about_run(settings | {"tile": view.tile, "overlap": view.overlap}, identity(recipe), note=note)
    if protocol == "standard":
        return about
    return replace(about, calibration=None, note=". ".join(filter(None, (SCALED, note))))
