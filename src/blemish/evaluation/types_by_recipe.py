"""What a recipe calls defects, on labelled pictures that did not teach it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from blemish import catalog
from blemish.blocks.defect_regions import regions
from blemish.classification.names import Names
from blemish.classification.regions import Inside, inside_region, inside_worst, marked_regions
from blemish.data.several_types import types_of
from blemish.errors import BadData, BadInput
from blemish.evaluation.labelled_types import check_names, every_type, labelled_defects, refuse_several
from blemish.evaluation.types_report import NamedDefect, Terms, TypesReport, measure_defects, measure_names
from blemish.files import sha256_of
from blemish.images import Inspected, Unreadable
from blemish.inspection import inspect
from blemish.notices import amount, gather, notice
from blemish.progress import ShowProgress, no_progress
from blemish.recipes.examples_kept import NUMBERS, SEEN, may_name
from blemish.recipes.recipe import ENCODER, Recipe
from blemish.recipes.tensors import arrays_of
from blemish.runs.decision import decision
from blemish.types import ArrayDetector, Detector, Encoder, Sample

if TYPE_CHECKING:
    from blemish.classification.describe import Description, Of
    from blemish.classification.namer import Namer


@dataclass(frozen=True, slots=True)
class RecipeTypes:
    """A recipe that names, and the pictures that it is measured on."""

    recipe: Recipe
    root: Path
    layout: str | None = None
    category: str | None = None
    of: Of = "pictures"  # where the recipe finds defects: the worst of each picture, or all that masks mark
    batch_size: int = 8


def require_names(recipe: Recipe, of: Of = "pictures") -> Names:
    """What it names by; raises BadInput for a recipe that cannot tell types apart, or not those of that."""
    names = recipe.names
    if names is None:
        raise BadInput(
            f"{recipe.source} names no types of defects: teach it some by `blemish teach {recipe.source} --examples "
            "DIR`, or measure how well it finds defects without --task types"
        )
    if not may_name(names):
        raise BadInput(f"{recipe.source} knows one type, {names.known[0]}: teach it a second to tell it from")
    if names.of == "pictures" and of == "defects":
        raise BadInput(f"{recipe.source} names whole pictures, not what masks mark in them: leave out --of defects")
    return names


def measure_recipe_names(
    trial: RecipeTypes, encoders: Mapping[str, Encoder], *, watch: ShowProgress = no_progress
) -> TypesReport:
    """Name what is labelled by what the recipe has learned; pictures that taught it are left out.

    encoders: those of the recipe; none of one that is deployed, which needs no torch either. Labels of types that it
    does not know are those of unknown defects. Raises BadData where nothing is left.
    """
    recipe, names = trial.recipe, require_names(trial.recipe, trial.of)
    measure = _measure_regions_by_graph if recipe.deployed else _measure_pictures
    measure = measure if recipe.deployed or names.of == "pictures" else _measure_regions
    with gather() as notices:
        samples, reading = _samples(trial, names), _Reading(watch, [])
        if not _several(names):
            refuse_several(samples, recipe.source)
        measured = measure(trial, names, encoders, samples, reading)
    learned = Counter(names.known[number] for number in _numbers(recipe))
    return measured._replace(learned=dict(learned), unreadable=tuple(reading.unreadable), notes=tuple(notices.lines()))


class _Reading(NamedTuple):
    watch: ShowProgress
    unreadable: list[Unreadable]


def _several(names: Names) -> bool:
    return bool(names.arguments.get("several"))


def _numbers(recipe: Recipe) -> list[int]:
    """Of the type of each example that taught it."""
    arrays = arrays_of(recipe.tensors)
    return [int(number) for number in arrays[NUMBERS]] if SEEN in arrays else []


def _measure_pictures(
    trial: RecipeTypes, names: Names, encoders: Mapping[str, Encoder], samples: Sequence[Sample], reading: _Reading
) -> TypesReport:
    from blemish.recipes.detectors import misfits
    from blemish.recipes.naming import namer_of

    with misfits(trial.recipe):
        namer = namer_of(names, trial.recipe.tensors, encoders[ENCODER])
    found = list(_describe_pictures(trial, namer, samples, reading))
    together = catalog.classifier_card(names.classifier).scores == "set"
    return measure_names(namer, found, trial.root, several=_several(names), together=together)


def _measure_regions(
    trial: RecipeTypes, names: Names, encoders: Mapping[str, Encoder], samples: Sequence[Sample], reading: _Reading
) -> TypesReport:
    from blemish.classification.describe import Description
    from blemish.classification.seeing import see_regions
    from blemish.recipes.detectors import detector

    made = detector(trial.recipe, encoders)
    namer, found, refused = cast("Namer", getattr(made, "namer", None)), list[Description](), list[bool]()
    for sample, result, inside, is_refused in _regions(trial, made, samples, reading):
        seen = see_regions(namer.classifier, result.picture, result.places, [inside])[0]
        found.append(Description(sample, seen, inside.box))
        refused.append(is_refused)
    return measure_names(namer, found, trial.root, several=_several(names), found=_flags(trial, refused))


def _measure_regions_by_graph(
    trial: RecipeTypes, names: Names, encoders: Mapping[str, Encoder], samples: Sequence[Sample], reading: _Reading
) -> TypesReport:
    from blemish.runtime.running import graph_detector

    made = graph_detector(trial.recipe)
    assert made.namer, "what names has its graph"
    named, refused, order = list[NamedDefect](), list[bool](), names.arguments.get("order", ())
    for sample, result, inside, is_refused in _regions(trial, made, samples, reading):
        named.append(NamedDefect(sample, inside.box, *made.namer.name(result.places, inside)))
        refused.append(is_refused)
    terms = Terms(names.known, names.sureness, tuple(each for each in order if each in names.known))
    return measure_defects(terms, named, trial.root, several=_several(names), found=_flags(trial, refused))


def _flags(trial: RecipeTypes, refused: Sequence[bool]) -> Sequence[bool] | None:
    """Whether a calibrated recipe did not accept the picture of each."""
    return refused if trial.recipe.calibration and trial.of == "pictures" else None


def _samples(trial: RecipeTypes, names: Names) -> list[Sample]:
    """Labelled defects that did not teach the recipe."""
    every = labelled_defects(trial.root, layout=trial.layout, category=trial.category)
    if not every:
        raise BadData(f"{trial.root} has no picture with a type of defect: give a folder of pictures for each")
    check_names(dict.fromkeys([*names.known, *every_type(every)]))
    taught = {each.sha256 for each in trial.recipe.taught}
    left = [each for each in every if not each.image.is_file() or sha256_of(each.image) not in taught]
    if not left:
        raise BadData(f"all defects in {trial.root} taught {trial.recipe.source}: measure it on others")
    if gone := len(every) - len(left):
        notice("%s taught the recipe, left out", amount(gone, "picture"))
    if not any({*types_of(each)} & {*names.known} for each in left):
        raise BadData(
            f"no picture left in {trial.root} is of a type that {trial.recipe.source} knows: it knows "
            f"{', '.join(names.known)}, and there is {', '.join(every_type(left))}"
        )
    return left


def _describe_pictures(
    trial: RecipeTypes, namer: Namer, samples: Sequence[Sample], reading: _Reading
) -> Iterator[Description]:
    from blemish.classification.describe import describe

    shown = arrays_of(trial.recipe.tensors).get(SEEN)
    mirrored = shown is not None and shown.shape[1] > 1
    advance = reading.watch("naming", len(samples))
    return describe(
        namer.classifier, samples, mirrored=mirrored, batch_size=trial.batch_size, unreadable=reading.unreadable,
        advance=advance,
    )  # fmt: skip


def _regions(
    trial: RecipeTypes, made: Detector | ArrayDetector, samples: Sequence[Sample], reading: _Reading
) -> Iterator[tuple[Sample, Inspected, Inside, bool]]:
    """Regions of each picture, as the recipe sees them when it inspects, and whether it did not accept that."""
    advance, decide = reading.watch("naming", len(samples)), decision(trial.recipe.calibration, made)
    results = inspect(made, (each.image for each in samples), view=trial.recipe.view, batch_size=trial.batch_size)
    for sample, result in zip(samples, results, strict=True):
        advance()
        if isinstance(result, Unreadable):
            reading.unreadable.append(result)
            continue
        is_refused = decide(result).verdict != "accept"
        for inside in _regions_of(trial, result, sample):
            yield sample, result, inside, is_refused


def _regions_of(trial: RecipeTypes, result: Inspected, sample: Sample) -> Iterator[Inside]:
    height, width = result.anomaly_map.shape
    if trial.of == "defects":
        return marked_regions(sample, (height, width))
    by = trial.recipe.calibration
    worst = regions(result.anomaly_map, by.pixel, most=1) if by and by.pixel is not None else []
    inside = inside_region(result.anomaly_map, worst[0]) if worst else None
    return iter([inside or inside_worst(result.anomaly_map)])
