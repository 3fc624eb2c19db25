"""The page of how well types are named: the worst first, with what in each picture spoke for which type."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from blemish.classification.explain import explain_picture
from blemish.data.masks import read_ground_truth
from blemish.data.several_types import types_of
from blemish.evaluation.types_by_recipe import RecipeTypes
from blemish.evaluation.types_of_defects import TypesTrial
from blemish.evaluation.types_report import Outcome, TypesReport
from blemish.images import Unreadable, read_source
from blemish.inspection import read_each
from blemish.progress import ShowProgress, no_progress
from blemish.report import pictures
from blemish.report.items import About, Encoded, Item
from blemish.report.runs import identity
from blemish.report.writer import Writer
from blemish.types import Classifier


def write_types(writer: Writer, report: TypesReport, *, watch: ShowProgress = no_progress) -> None:
    """Put every defect that was named on a page of `about_types`, and write it; pictures are read again."""
    advance, classifier = watch("explaining", len(report.outcomes)), report.classifier
    assert classifier, "what a graph named has no page"
    originals = read_each((each.sample.image for each in report.outcomes), read_source, advance=advance)
    for outcome, (_, picture) in zip(report.outcomes, originals, strict=True):
        if isinstance(picture, Unreadable):
            writer.add(picture)
        else:
            writer.put(_item(writer, classifier, outcome, picture))
    for bad in report.unreadable:
        writer.add(bad)
    writer.finish(measures=_measures(report))


def _measures(report: TypesReport) -> dict[str, Any]:
    """As `evaluation.Report.as_json` has the names of defects."""
    found, error = report.as_json(), report.calibration_error
    return {
        "naming": found | {"calibration_error": None if error is None else {"value": error}},
        "notes": report.notes,
    }


def _item(writer: Writer, classifier: Classifier, outcome: Outcome, picture: NDArray[Any]) -> Item:
    named, image, size = outcome.named, pictures.shrink(picture), (picture.shape[-2], picture.shape[-1])
    maps = explain_picture(classifier, picture, outcome.box)
    likeliest = [name for name, _ in named.ranks]
    wanted = {*likeliest, *types_of(outcome.sample)} if len(maps) > 1 else {*maps}
    shown = {name: each for name, each in maps.items() if name in wanted}
    heat = next((shown[name] for name in (*likeliest, *shown) if name in shown), None)
    box = {"box": outcome.box._asdict()} if outcome.box else {}
    score, mask = 1 - outcome.right, outcome.sample.masks
    truth = read_ground_truth(mask, outcome.sample.image, size=size) if mask else None
    is_large = writer.selection.wants(score, is_defect=True)
    return Item(
        path=str(outcome.sample.image),
        score=score,
        size=size[::-1],
        label=outcome.sample.label,
        type=outcome.named.type,
        mistake="misnamed" if outcome.is_wrong else "",
        regions=[named.as_json() | box],
        small=Encoded(pictures.small(image), *(pictures.heat(heat, pictures.HEAT_SMALL) if heat is not None else ())),
        large=pictures.encode_large(image, heat, truth, shown) if is_large else None,
    )


def about_types(trial: TypesTrial, note: str = "") -> About:
    """What is measured, and what it learns from."""
    settings = {
        "data": str(trial.root),
        "of": trial.of,
        "product": trial.product,
        "shots": trial.shots,
        "held out": trial.hold_out,
        "seed": trial.seed,
        "arguments": dict(trial.arguments),
    }
    return About(trial.part, trial.classifier, trial.encoder_name, settings, note=note, task="types")


def about_types_of_recipe(trial: RecipeTypes, classifier: str, note: str = "") -> About:
    """A recipe whose names are measured."""
    recipe = trial.recipe
    encoders = ", ".join(each.name for each in recipe.encoders.values())
    settings = {"data": str(trial.root), "of": trial.of, "method": recipe.method}
    known = identity(recipe)
    named = {key: value for key, value in known.items() if key not in ("taught", "calibration")}
    return About(
        trial.root.resolve().name, classifier, encoders, settings, taught=known["taught"], recipe=named, note=note,
        task="types",
    )  # fmt: skip
