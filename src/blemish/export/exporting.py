"""From a recipe to a deployed one that was compared with it: nothing is handed on that scores differently."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from blemish.calibration.thresholds import Goal
from blemish.errors import BadInput
from blemish.export.check import (
    Parity,
    cases_of,
    compare,
    draw_pictures,
    require_as_near,
    require_parity,
)
from blemish.export.deploying import (
    ExportPlan,
    Graphs,
    arrays_of_inputs,
    deployed_recipe,
    graph_bytes,
    graphs_of,
    require_graph,
    size_for,
)
from blemish.export.lessons import learned_of, may_renew, renew_graph
from blemish.export.quantizing import MOST_INPUTS, quantize
from blemish.export.tracing import Deployable, Traced
from blemish.files import sha256_of
from blemish.images import input_size
from blemish.inspection import shape_in_view
from blemish.progress import ShowProgress, no_progress
from blemish.recipes import detectors
from blemish.recipes.calibrate import HoldoutScheme, calibration_of, held_out_scores
from blemish.recipes.deployed import Deployed
from blemish.recipes.reading import Reading
from blemish.recipes.recipe import Place, Recipe
from blemish.runtime.graph import import_backend
from blemish.runtime.running import graph_detector
from blemish.types import GOOD, ArrayDetector, Encoder

MOST_TILES = 8
"""Of the worst picture, whose tensors are compared one by one where something differs."""


class Exported(NamedTuple):
    """A deployed recipe, and what the check found."""

    recipe: Recipe
    parity: Parity
    note: str  # why it gives no verdicts, if it gives none; or nothing


def export_recipe(
    recipe: Recipe,
    plan: ExportPlan,
    *,
    encoder: Place = None,
    before: Recipe | None = None,
    watch: ShowProgress = no_progress,
) -> Exported:
    """The recipe as a graph; raises BadInput, and nothing is kept, where it cannot be one or scores differently.

    Raises MissingExtra, before anything is made, where what is to run the graph is not installed.

    before: the recipe deployed before it was taught more; its graph is taken, with what was learned since, if it does.
    """
    require_graph(recipe)
    if plan.precision == "bfloat16" and plan.backend != "openvino":
        raise BadInput("onnxruntime computes no bfloat16 on a processor: add --backend openvino")
    if plan.precision == "int8" and not plan.good:
        raise BadInput("int8 finds the ranges of values by good parts: give some by --good")
    import_backend(plan.backend, f"the graph of {recipe.source}")
    found = detectors.encoders_of(dataclasses.replace(recipe, precision="float32"), encoder)
    geometry = detectors.bare_detector(dataclasses.replace(recipe, precision="float32"), found).geometry
    size = size_for(recipe, geometry, plan.check or plan.good)
    if before and (renewed := _renewed(recipe, before, plan, found, size, watch)):
        return renewed
    graphs = graphs_of(recipe, found, size, watch)
    return _compared(recipe, graphs, plan, _reduced(recipe, graphs, plan, watch), watch)


def _renewed(
    recipe: Recipe,
    before: Recipe,
    plan: ExportPlan,
    found: Mapping[str, Encoder],
    size: tuple[int, int],
    watch: ShowProgress,
) -> Exported | None:
    """By the graph of before; None where that is another one, has not all that was learned by name, or differs."""
    deployed = before.deployed
    if deployed is None or not may_renew(recipe, before, plan) or deployed.size != size:
        return None
    model = renew_graph(graph_bytes(before), learned_of(recipe))
    if model is None:
        return None
    advance = watch("renewing the graph", 1)
    detector = detectors.detector(dataclasses.replace(recipe, precision="float32"), found)
    graphs = Graphs(detector, Traced(None, None, deployed.outputs), size)
    advance()
    try:
        return _compared(recipe, graphs, plan, model, watch, deployed.check)
    except BadInput:  # a new one may agree
        return None


def _compared(
    recipe: Recipe,
    graphs: Graphs,
    plan: ExportPlan,
    model: bytes | None,
    watch: ShowProgress,
    before: Mapping[str, float | None] | None = None,
) -> Exported:
    """Raises BadInput where it differs. model: instead of the traced one; before: what the check of its graph found."""
    made = deployed_recipe(recipe, graphs, plan, model)
    deployed, geometry = _deployed_of(made), graphs.detector.geometry
    graph = graph_detector(dataclasses.replace(made, source=recipe.source))
    made, note = _calibrated(recipe, made, graph, plan, watch)
    with _pictures(recipe, plan, graphs) as shown:
        cases = cases_of(recipe.view, shown, graphs.size, drawn=not plan.check)
        advance = watch("comparing", sum(len(each) for _, each in cases))
        parity = compare(
            graphs.detector, graph, cases, size=graphs.size, calibration=recipe.calibration, labelled=bool(plan.check),
            advance=advance,
        )  # fmt: skip
        if before is None:
            worst = [parity.worst] if parity.worst else shown[:1]
            require_parity(parity, graphs.traced, deployed, arrays_of_inputs(worst, geometry, recipe.view, MOST_TILES))
        else:
            require_as_near(parity, deployed, before)
    return Exported(dataclasses.replace(made, deployed=with_check(deployed, parity)), parity, note)


def with_check(deployed: Deployed, parity: Parity) -> Deployed:
    """What the check found, in the header."""
    return dataclasses.replace(deployed, check=parity.as_json())


def _deployed_of(recipe: Recipe) -> Deployed:
    assert recipe.deployed is not None, "it was made with a graph"
    return recipe.deployed


def _reduced(recipe: Recipe, graphs: Graphs, plan: ExportPlan, watch: ShowProgress) -> bytes | None:
    """The model in int8, where that is asked for; in bfloat16 it is computed as it is."""
    if plan.precision != "int8":
        return None
    advance = watch("finding ranges", 2)
    inputs = arrays_of_inputs(plan.good, graphs.detector.geometry, recipe.view, MOST_INPUTS)
    advance()
    model = quantize(graphs.traced.model, Deployable(graphs.detector), inputs, plan.backend)
    advance()
    return model


def _calibrated(
    recipe: Recipe, made: Recipe, graph: ArrayDetector, plan: ExportPlan, watch: ShowProgress
) -> tuple[Recipe, str]:
    """With thresholds for the scores of the graph, where these are not the recipe's; and why there are none."""
    if made.calibration is not None or recipe.calibration is None:
        return made, "" if made.calibration else "the recipe is not calibrated"
    before = recipe.calibration
    asks = Goal(**before.goal)
    if before.defects or asks.escape is not None or asks.cost_ratio is not None:
        return made, "its thresholds counted defects too: calibrate it by `blemish calibrate`"
    taught = {each.sha256 for each in recipe.taught}
    fresh = [path for path in plan.good if sha256_of(path) not in taught]
    if not fresh:
        why = "" if recipe.precision == "float32" else f", as the recipe computes in {recipe.precision}"
        return made, f"its scores are others now{why}: give good parts that taught nothing by --good, or calibrate it"
    kinds, way, reading = dict.fromkeys(fresh, GOOD), HoldoutScheme("split"), Reading(watch=watch)
    found = held_out_scores(made, None, kinds, way=way, reading=reading, graph=graph)
    return dataclasses.replace(made, calibration=calibration_of(found, asks)), ""


@contextmanager
def _pictures(recipe: Recipe, plan: ExportPlan, graphs: Graphs) -> Iterator[Sequence[Path]]:
    if plan.check:
        yield plan.check
        return
    geometry = shape_in_view(graphs.detector.geometry, recipe.view)
    shaped = geometry.keep_aspect and recipe.view.tile is None and input_size(geometry, *graphs.size) == graphs.size
    with TemporaryDirectory() as folder:
        yield draw_pictures(Path(folder), recipe.view, graphs.size if shaped else None)
