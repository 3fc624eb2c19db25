"""Graphs that tests share: tracing takes seconds, and what has learned the same has one graph."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from blemish.export import exporting
from blemish.export.deploying import Graphs, graphs_of
from blemish.progress import ShowProgress, no_progress
from blemish.recipes.recipe import Place, Recipe
from blemish.recipes.tensors import arrays_of

IN_ONE_PROCESS = pytest.mark.xdist_group("exports")
"""Of tests that make graphs: a graph, and the exporter itself, takes seconds to come."""
_MADE: dict[str, Graphs] = {}


def share_graphs() -> None:
    """What `export_recipe` traces is kept, by all that decides it, for as long as tests run."""
    pytest.MonkeyPatch().setattr(exporting, "graphs_of", shared_graphs)


def shared_graphs(recipe: Recipe, encoder: Place, size: tuple[int, int], watch: ShowProgress = no_progress) -> Graphs:
    """As `graphs_of`."""
    key = _key(recipe, size)
    if key not in _MADE:
        _MADE[key] = graphs_of(recipe, encoder, size, watch)
    return _MADE[key]


def _key(recipe: Recipe, size: tuple[int, int]) -> str:
    """Of what a recipe's graph is made of, for pictures of that size: neither its view nor its thresholds."""
    said = (recipe.method, recipe.arguments, recipe.names and recipe.names.as_json(), recipe.encoders, size)
    found = sha256(json.dumps(said, sort_keys=True).encode())
    for name, array in sorted(arrays_of(recipe.tensors).items()):
        found.update(f"\0{name}\0".encode() + array.tobytes())
    return found.hexdigest()
