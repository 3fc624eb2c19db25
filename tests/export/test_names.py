"""Recipes that name defects, as graphs: what a classifier sees of places, and what it calls regions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.support.exports import IN_ONE_PROCESS
from tests.support.parts import frozen, good, mask, spots
from tests.support.quick import QUICK_CLASSIFIERS, SIDE

from blemish import catalog, encoders
from blemish.classification.names import DefectType, defect_types
from blemish.errors import BadInput
from blemish.export.deploying import ExportPlan, Naming, graph_bytes, require_graph
from blemish.export.exporting import export_recipe
from blemish.export.tracing import trace
from blemish.images import Inspected
from blemish.inspection import inspect
from blemish.recipes import update
from blemish.recipes.deployed import NAMER, Deployed
from blemish.recipes.detectors import detector, encoders_of
from blemish.recipes.recipe import Recipe
from blemish.recipes.types_taught import name_types
from blemish.runtime.graph import GraphDetector, GraphNamer
from blemish.types import Geometry, Reader, TypedExamples

pytestmark = IN_ONE_PROCESS
ABLE = [name for name, card in catalog.CLASSIFIERS.items() if not card.no_graph]


@pytest.mark.slow  # of the quick suite a recipe has the graph of `words`
@pytest.mark.parametrize("name", ABLE)
def test_a_classifier_as_a_graph_gives_the_same_logits(name: str) -> None:
    made = catalog.classifier(
        name, encoders.load("test-tiny"), ["hole", "scratch", "stain"], QUICK_CLASSIFIERS.get(name, {})
    )
    generator = torch.Generator().manual_seed(0)
    places = made.places(torch.rand(6, 3, SIDE, SIDE, generator=generator))
    share = torch.rand(*places.shape[:3], generator=generator)
    seen = made.gather(places, share)
    other = seen + 0.01 * torch.randn(seen.shape, generator=generator)
    made.fit(TypedExamples(torch.stack([seen, other], 1), torch.eye(3).bool().repeat(2, 1)))
    sayings = tuple(getattr(made, "sayings", ()))
    outputs = ["seen", "logits", *(["words"] if sayings else [])]
    found = trace(Naming(made), {"places": places[:2], "share": share[:2]}, outputs).model
    deployed = Deployed(Geometry(SIDE), (SIDE, SIDE), ("image_score", "anomaly_map"), words=sayings)
    given = GraphNamer(found.SerializeToString(), deployed)(places.numpy(), share.numpy())
    with torch.no_grad():
        expected = made(seen[:, None])
    np.testing.assert_allclose(given[0], seen.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(given[1], expected.numpy(), rtol=1e-3, atol=5e-3 * float(expected.abs().max()))
    if isinstance(made, Reader):
        assert given[2] == made.choose_words(seen[:, None], expected.argmax(1)).tolist()


def test_a_recipe_that_names_by_words_has_places_and_a_graph_for_them(tmp_path: Path) -> None:
    recipe = name_types(frozen("patchcore", good(tmp_path / "taught", 4)), defect_types("spot, hole"))
    paths = spots(tmp_path / "spots", 2)
    done = export_recipe(recipe, ExportPlan(check=tuple(paths)))
    found = done.recipe
    assert found.deployed is not None
    assert done.parity.types == 0
    assert found.deployed.outputs == ("image_score", "anomaly_map", "places")
    assert set(found.tensors) == {"graph.model", "graph.names"}
    GraphNamer(graph_bytes(found, NAMER), found.deployed)
    graph = GraphDetector(graph_bytes(found), found.deployed)
    for one, other in zip(inspect(detector(recipe), paths), inspect(graph, paths), strict=True):
        assert isinstance(one, Inspected)
        assert isinstance(other, Inspected)
        np.testing.assert_allclose(other.places[0].grid, one.places[0].grid, rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = tmp_path_factory.mktemp("shown")
    plain, paths = frozen("padim", good(folder / "taught", 3)), spots(folder / "spots", 2)
    masks = {path: mask(folder / "masks" / path.name, (8 + 8 * at, 44 - 8 * at)) for at, path in enumerate(paths)}
    return update.add_defects(plain, "spot", paths, masks=masks, encoder=encoders_of(plain))


@pytest.mark.slow
def test_a_recipe_that_was_shown_defects_marks_their_type(shown: Recipe, tmp_path: Path) -> None:
    paths = spots(tmp_path, 4)
    found = export_recipe(shown, ExportPlan(check=tuple(paths))).recipe
    assert found.deployed is not None
    assert (found.deployed.types, found.deployed.outputs[-1]) == (("spot",), "type_map")
    graph = GraphDetector(graph_bytes(found), found.deployed)
    kinds = set[int]()
    for one, other in zip(inspect(detector(shown), paths), inspect(graph, paths), strict=True):
        assert isinstance(one, Inspected)
        assert isinstance(other, Inspected)
        assert one.type_map is not None
        assert other.type_map is not None
        assert np.array_equal(other.type_map, one.type_map)
        kinds |= set(np.unique(one.type_map).tolist())
    assert kinds == {-1, 0}


def test_classifiers_without_a_graph_say_why(shown: Recipe) -> None:
    unable = {name: card for name, card in catalog.CLASSIFIERS.items() if card.no_graph}
    assert set(unable) == {"gedt-opt", "mvrec"}
    assert shown.names is not None
    types = (DefectType("hole"), DefectType("spot"))
    for name, card in unable.items():
        names = dataclasses.replace(shown.names, classifier=name, types=types)
        with pytest.raises(BadInput, match=f"{name} cannot be exported, since {card.no_graph}"):
            require_graph(dataclasses.replace(shown, names=names))
