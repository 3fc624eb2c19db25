"""What a recipe calls defects, on labelled pictures that did not teach it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from blemish.blocks.defect_regions import regions
from blemish.classification.describe import Description, Of, describe
from blemish.classification.namer import Namer
from blemish.classification.names import Names
from blemish.classification.regions import Inside, inside_region, inside_worst, marked_regions
from blemish.classification.seeing import see_regions
from blemish.data.several_types import types_of
from blemish.errors import BadData, BadInput
from blemish.evaluation.types_of_defects import check_names, every_type, labelled_defects, refuse_several
from blemish.evaluation.types_report import TypesReport, measure_names
from blemish.files import sha256_of
from blemish.images import Inspected, Unreadable
from blemish.inspection import inspect
from blemish.notices import amount, gather, notice
from blemish.progress import ShowProgress, no_progress
from blemish.recipes.detectors import detector, misfits
from blemish.recipes.examples_kept import NUMBERS, SEEN, may_name
from blemish.recipes.naming import namer_of
from blemish.recipes.recipe import ENCODER, Recipe
from blemish.runs.decision import decision
from blemish.types import Detector, Encoder, Sample


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

    Labels of types that it does not know are those of unknown defects. Raises BadData where nothing is left.
    """
    recipe, names = trial.recipe, require_names(trial.recipe, trial.of)
    with gather() as notices:
        samples, unreadable = _samples(trial, names), list[Unreadable]()
        several = bool(names.arguments.get("several"))
        if not several:
            refuse_several(samples)
        if names.of == "pictures":
            with misfits(recipe):
                namer, judged = namer_of(names, recipe.tensors, encoders[ENCODER]), None
            found = list(_describe_pictures(trial, namer, samples, watch, unreadable))
        else:
            made = detector(recipe, encoders)
            namer, judged = cast(Namer, getattr(made, "namer", None)), list[bool]()
            found = list(_describe_regions(trial, made, namer, samples, watch, unreadable, judged))
        flags = judged if recipe.calibration and trial.of == "pictures" else None
        measured = measure_names(namer, found, trial.root, several=several, found=flags)
    learned = Counter(names.known[number] for number in recipe.tensors[NUMBERS].tolist()) if _shown(recipe) else {}
    return measured._replace(learned=dict(learned), unreadable=tuple(unreadable), notes=tuple(notices.lines()))


def _shown(recipe: Recipe) -> bool:
    return SEEN in recipe.tensors


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
    trial: RecipeTypes, namer: Namer, samples: Sequence[Sample], watch: ShowProgress, unreadable: list[Unreadable]
) -> Iterator[Description]:
    mirrored = _shown(trial.recipe) and trial.recipe.tensors[SEEN].shape[1] > 1
    advance = watch("naming", len(samples))
    return describe(
        namer.classifier, samples, mirrored=mirrored, batch_size=trial.batch_size, unreadable=unreadable,
        advance=advance,
    )  # fmt: skip


def _describe_regions(
    trial: RecipeTypes,
    made: Detector,
    namer: Namer,
    samples: Sequence[Sample],
    watch: ShowProgress,
    unreadable: list[Unreadable],
    judged: list[bool],
) -> Iterator[Description]:
    """Regions of each picture, as the recipe sees them when it inspects; `judged`: whether it accepted none."""
    advance, decide = watch("naming", len(samples)), decision(trial.recipe.calibration, made)
    results = inspect(made, (each.image for each in samples), view=trial.recipe.view, batch_size=trial.batch_size)
    for sample, result in zip(samples, results, strict=True):
        advance()
        if isinstance(result, Unreadable):
            unreadable.append(result)
            continue
        for inside in _regions(trial, result, sample):
            judged.append(decide(result).verdict != "accept")
            seen = see_regions(namer.classifier, result.picture, result.places, [inside])[0]
            yield Description(sample, seen, inside.box)


def _regions(trial: RecipeTypes, result: Inspected, sample: Sample) -> Iterator[Inside]:
    height, width = result.anomaly_map.shape
    if trial.of == "defects":
        return marked_regions(sample, (height, width))
    by = trial.recipe.calibration
    worst = regions(result.anomaly_map, by.pixel, most=1) if by and by.pixel is not None else []
    inside = inside_region(result.anomaly_map, worst[0], cast(float, by and by.pixel)) if worst else None
    return iter([inside or inside_worst(result.anomaly_map)])
