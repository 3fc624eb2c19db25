"""What `workshop` does to recipes: other thresholds, teaching, what a new one would say, putting it in place."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from blemish.errors import BadImage, BadInput, require_torch
from blemish.progress import ShowProgress
from blemish.serve.changes import Flip, KeptPart, as_json
from blemish.serve.judge import Content, Judge, array_of, judge_by_recipe
from blemish.serve.records import worst_verdict

if TYPE_CHECKING:
    from blemish.recipes.recipe import Recipe
    from blemish.types import ArrayDetector, Encoder

BATCH = 8
MOST_CHECKED = 8
"""Pictures of each kind by which a graph is compared with what it was made from."""
MOST_ROWS = 400


class Lesson(NamedTuple):
    """What is to be taught, and how the result is calibrated and looked at."""

    recipe: Path  # that is used
    source: Path  # that is taught: the same one, or what it was exported from
    out: Path
    out_source: Path  # of a deployed recipe: its source, taught
    good: tuple[Path, ...]
    defects: Mapping[str, tuple[Path, ...]]  # by type
    held_out: Mapping[Path, str]  # pictures and what they show, by which thresholds are set
    every_picture: bool  # shows a part of its own
    parts: tuple[KeptPart, ...]  # the last ones
    ring: Path
    max_pixels: int


def set_thresholds(recipe: Path, out: Path, accept: float, reject: float, *, watch: ShowProgress) -> dict[str, Any]:
    """The same recipe with other thresholds, in a file of its own."""
    from blemish.calibration.thresholds import with_thresholds
    from blemish.recipes import recipe as recipes
    from blemish.recipes.calibrate import with_calibration

    old = recipes.load(recipe)
    if old.calibration is None:
        raise BadInput(f"{recipe} decides nothing: calibrate it first, by `blemish calibrate`")
    new = with_calibration(old, with_thresholds(old.calibration, accept=accept, reject=reject))
    recipes.save(new, out)
    watch("setting thresholds", 1)()
    return {"new": new.hash}


def teach_recipe(lesson: Lesson, *, watch: ShowProgress) -> dict[str, Any]:
    """Learn, export where the recipe is deployed, calibrate, and judge the last parts anew."""
    from blemish.recipes import recipe as recipes

    live, source = recipes.load(lesson.recipe), recipes.load(lesson.source)
    if source.deployed:
        raise BadInput(f"{lesson.source} is deployed and cannot be taught: name its source under [stations.quality]")
    with require_torch():
        from blemish.devices import device_of_name
        from blemish.recipes.detectors import encoders_of

    found = encoders_of(source, None, device_of_name("auto"))
    taught = _learn(source, found, lesson, watch)
    made, graph = _export(taught, live, lesson, watch) if live.deployed else (taught, None)
    new = recipes.stamp(_calibrate(made, live, found, graph, lesson, watch), live.hash)
    recipes.save(new, lesson.out)
    said = {"source_new": ""}
    if live.deployed:
        taught = recipes.stamp(taught, source.hash)
        recipes.save(taught, lesson.out_source)
        said = {"source_new": taught.hash}
    return {"new": new.hash, **said, **_judge_anew(lesson, watch), **_promise(new)}


def take_recipe(lesson: Lesson, *, watch: ShowProgress) -> dict[str, Any]:
    """A file that came from elsewhere, the lesson's source, as it is; and the last parts judged by it."""
    from blemish.recipes import recipe as recipes

    try:
        new = recipes.load(lesson.source)
        if new.calibration is None:
            raise BadInput("the recipe that came decides nothing: calibrate it first, by `blemish calibrate`")
        recipes.save(new, lesson.out)
    finally:
        lesson.source.unlink(missing_ok=True)
    return {"new": new.hash, **_judge_anew(lesson, watch), **_promise(new)}


def _learn(source: Recipe, found: Mapping[str, Encoder], lesson: Lesson, watch: ShowProgress) -> Recipe:
    from blemish.recipes import update
    from blemish.recipes.reading import Reading

    new, reading = source, Reading(BATCH, watch)
    if lesson.good:
        update.require_pupil(source)
        new = update.add_good(new, lesson.good, encoder=found, reading=reading)
    for kind, paths in lesson.defects.items():
        new = update.add_defects(new, kind, paths, encoder=found, reading=reading)
    return new


def _export(taught: Recipe, live: Recipe, lesson: Lesson, watch: ShowProgress) -> tuple[Recipe, ArrayDetector]:
    """As the one that is used was; refused where the graph scores differently."""
    from blemish.export.deploying import ExportPlan
    from blemish.export.exporting import export_recipe
    from blemish.runtime.running import graph_detector
    from blemish.types import GOOD

    assert live.deployed is not None
    fine = tuple(path for path, kind in lesson.held_out.items() if kind == GOOD)
    shown = (*lesson.good, *(path for paths in lesson.defects.values() for path in paths))
    plan = ExportPlan(
        live.deployed.precision, live.deployed.backend, fine, (*shown[:MOST_CHECKED], *fine[:MOST_CHECKED])
    )
    made = dataclasses.replace(export_recipe(taught, plan, before=live, watch=watch).recipe, source=live.source)
    return made, graph_detector(made)


def _calibrate(
    made: Recipe,
    live: Recipe,
    found: Mapping[str, Encoder],
    graph: ArrayDetector | None,
    lesson: Lesson,
    watch: ShowProgress,
) -> Recipe:
    """To the same goal as before, by parts that taught it nothing."""
    from blemish.calibration.thresholds import goal_of
    from blemish.recipes.calibrate import HoldoutScheme, calibration_of, held_out_scores, with_calibration
    from blemish.recipes.reading import Reading

    assert live.calibration is not None
    way, reading = HoldoutScheme("split", every_picture=lesson.every_picture), Reading(BATCH, watch)
    scores = held_out_scores(made, found, lesson.held_out, way=way, reading=reading, graph=graph)
    return with_calibration(made, calibration_of(scores, goal_of(live.calibration)))


def _promise(recipe: Recipe) -> dict[str, Any]:
    """What a proposal says of its recipe: the thresholds and their promise."""
    from blemish.calibration.guarantees import sentences

    assert recipe.calibration is not None
    thresholds = {name: str(getattr(recipe.calibration, name)) for name in ("accept", "reject")}
    return {**thresholds, "promise": [[each.key, dict(each.values)] for each in sentences(recipe.calibration)]}


def _judge_anew(lesson: Lesson, watch: ShowProgress) -> dict[str, Any]:
    """Which verdicts of the last parts would be others; those without pictures cannot be judged again."""
    judge = judge_by_recipe(lesson.out, lesson.max_pixels)
    kept = [each for each in lesson.parts if each.files]
    advance, flips, examined = watch("judging the last parts anew", len(kept)), list[Flip](), 0
    for each in kept:
        verdict, score = _judge_part(judge, each, lesson)
        advance()
        examined += bool(verdict)
        if verdict and verdict != each.judged:
            flips.append(Flip(each.part, each.judged, verdict, score, each.said))
    return as_json(flips, examined) | {"unseen": len(lesson.parts) - examined}


def _judge_part(judge: Judge, kept: KeptPart, lesson: Lesson) -> tuple[str, float]:
    """Its worst verdict and highest score; "" where a picture is gone or cannot be read."""
    found = []
    for view, file in kept.files.items():
        name = f"part {kept.part}, view {view}"
        try:
            data = (lesson.ring / file).read_bytes()
            content: Content = array_of(data, name, lesson.max_pixels) if file.endswith(".npy") else data
            found.append(judge.judge(content, name))
        except (OSError, BadImage):
            return "", 0.0
    return worst_verdict([each.verdict for each in found]), max((each.score for each in found), default=0.0)


def replace_recipes(pairs: Sequence[tuple[Path, Path]], *, watch: ShowProgress) -> None:
    """Put each new file in the place of the old one, which is kept in its history."""
    from blemish.recipes import recipe as recipes

    advance = watch("putting in place", len(pairs))
    for new, path in pairs:
        recipes.save(recipes.load(new), path)
        advance()


def restore_recipes(pairs: Sequence[tuple[Path, str]], *, watch: ShowProgress) -> None:
    """Put back the exact files of those hashes, or, of "", that these were made from."""
    from blemish.recipes import recipe as recipes

    advance = watch("putting back", len(pairs))
    for path, before in pairs:
        recipes.undo(path, before=before)
        advance()


def compare_recipes(one: Path, other: Path, *, watch: ShowProgress) -> list[tuple[str, str, str]]:
    """In what two recipes differ, as `blemish recipe diff` says it."""
    from blemish.recipes import recipe as recipes
    from blemish.recipes.describe import differences

    found = differences(recipes.load(one), recipes.load(other))[:MOST_ROWS]
    watch("comparing", 1)()
    return found
