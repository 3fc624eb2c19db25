"""A deployed recipe, ready to inspect pictures: from file to verdict without torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from blemish.classification.names import DefectType
from blemish.errors import BadInput, BadRecipe
from blemish.images import Source, Unreadable
from blemish.inspection import inspect
from blemish.progress import ShowProgress
from blemish.recipes.deployed import GRAPH, NAMER, Deployed
from blemish.recipes.examples_kept import shown_examples
from blemish.recipes.file import COPY
from blemish.recipes.recipe import Recipe
from blemish.recipes.recipe import load as load_recipe
from blemish.recipes.tensors import arrays_of
from blemish.runs.decision import Decided, decision
from blemish.runs.plan import InspectionRun, ReadyDetector, settings_of
from blemish.runtime.graph import GraphDetector, GraphNamer
from blemish.runtime.memory import give_back_memory
from blemish.runtime.naming import DeployedNamer
from blemish.types import ArrayPrediction


@dataclass(frozen=True, slots=True)
class Inspector:
    """A deployed recipe and the detector in its graph."""

    recipe: Recipe
    detector: DeployedDetector

    def inspect(
        self, pictures: Iterable[str | Path | Source], *, batch_size: int = 8, scale: float | None = None
    ) -> Iterator[Decided | Unreadable]:
        """What is decided about each picture, in their order; `scale` is millimetres a pixel, for areas."""
        decide = decision(self.recipe.calibration, self.detector, scale=scale)
        paths = (Path(each) if isinstance(each, str) else each for each in pictures)
        for found in inspect(self.detector, paths, view=self.recipe.view, batch_size=batch_size):
            yield found if isinstance(found, Unreadable) else decide(found)


class DeployedDetector:
    """The graph of a recipe, see `types.ArrayDetector`, and the classifier that names what it finds if there is one."""

    def __init__(self, graph: GraphDetector, namer: DeployedNamer | None) -> None:
        self._graph, self.namer = graph, namer
        self.geometry, self.types, self.type_prompts = graph.geometry, graph.types, graph.type_prompts

    def predict_arrays(self, images: NDArray[Any]) -> ArrayPrediction:
        """As of the graph."""
        return self._graph.predict_arrays(images)


def load(path: str | Path, *, threads: int = 0) -> Inspector:
    """The deployed recipe of a file; raises BadRecipe, or MissingExtra for a backend that is not installed.

    threads: how many the graph may use; 0: as many as there are.
    """
    recipe = load_recipe(path)
    return Inspector(recipe, graph_detector(recipe, threads=threads))


def graph_detector(recipe: Recipe, *, threads: int = 0) -> DeployedDetector:
    """Ready to inspect; raises BadRecipe for a recipe that is not deployed, or whose graph is not what it says."""
    deployed = recipe.deployed
    if deployed is None:
        raise BadRecipe(f"{recipe.source} holds no graph to run without torch: export it by `blemish export`")
    graph = GraphDetector(_graph(recipe, GRAPH), deployed, recipe.source, threads=threads)
    namer = _namer(recipe, deployed, threads)
    give_back_memory()
    return DeployedDetector(graph, namer)


def by_graph(
    recipe: Recipe, *, scale: float | None = None, defects: Sequence[DefectType] = (), threads: int = 0
) -> InspectionRun:
    """The run of `blemish inspect` by a deployed recipe; raises BadInput for defects that its graph does not name."""
    if defects:
        raise BadInput(f"{recipe.source} is deployed: name defects in the recipe that it was exported from")
    encoder = "; ".join(f"{each.name} {each.sha256}".strip() for each in recipe.encoders.values())
    settings = settings_of(recipe.method, recipe.arguments, encoder, recipe.precision, recipe.product, recipe.view)
    settings |= {"normal": [], "set": [], "mask": None, "recipe": recipe.hash, "scale": scale}

    def make(watch: ShowProgress, unreadable: list[Unreadable], *, suggest: bool) -> ReadyDetector:
        return ReadyDetector(graph_detector(recipe, threads=threads), view=recipe.view)

    return InspectionRun(settings, recipe.view, None, make, recipe)


def _namer(recipe: Recipe, deployed: Deployed, threads: int) -> DeployedNamer | None:
    arrays = arrays_of(recipe.tensors)
    if NAMER not in arrays or recipe.names is None:
        return None
    try:
        shown = shown_examples(arrays)
    except (ValueError, KeyError) as error:
        raise BadRecipe(f"{recipe.source} has examples of defects that do not fit ({error}): {COPY}") from error
    graph = GraphNamer(_graph(recipe, NAMER), deployed, recipe.source, threads=threads)
    return DeployedNamer(graph, recipe.names, shown)


def _graph(recipe: Recipe, name: str) -> memoryview:
    found = arrays_of(recipe.tensors).get(name)
    if found is None:
        raise BadRecipe(f"{recipe.source} says that it is deployed and holds no graph: {COPY}")
    return found.data
