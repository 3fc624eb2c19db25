"""A recipe -> the same as a graph: what can be one, of which size, and what of the recipe stays beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from blemish import catalog
from blemish.errors import BadInput, BadRecipe
from blemish.export.lessons import is_plain, learned_of, name_lessons
from blemish.export.tracing import Model, Traced, trace, trace_detector
from blemish.images import Unreadable, View, input_size
from blemish.inspection import shape_in_view, stream
from blemish.progress import ShowProgress, no_progress
from blemish.recipes import detectors
from blemish.recipes.deployed import GRAPH, NAMER, Backend, Deployed, Precision
from blemish.recipes.examples_kept import LEARNED, may_name
from blemish.recipes.recipe import Place, Recipe, require_finder, stamp
from blemish.runtime.onnx_bytes import align
from blemish.types import Classifier, Detector, Geometry, Reader

KEPT = "names."
"""The tensors of a recipe that stay beside a graph begin so: the examples that defects are compared with in words."""
REGIONS = 2
"""Regions in the example by which a classifier is traced."""


class ExportPlan(NamedTuple):
    """What is asked for."""

    precision: Precision = "float32"
    backend: Backend = "onnxruntime"
    good: tuple[Path, ...] = ()  # parts that taught nothing: int8 is calibrated by them, and thresholds again
    check: tuple[Path, ...] = ()  # pictures to compare by; drawn ones where there are none


class Graphs(NamedTuple):
    """A recipe's detector, the graph that was made from it, and that of its classifier."""

    detector: Detector
    traced: Traced
    size: tuple[int, int]
    namer: Model | None = None
    words: tuple[str, ...] = ()  # that the classifier chooses from


def require_graph(recipe: Recipe) -> None:
    """Raise BadInput, with the reason and the way out, for a recipe that no graph can be made of."""
    if recipe.deployed:
        raise BadInput(f"{recipe.source} is deployed already: export the recipe that it was made from")
    require_finder(recipe.method, recipe.source)
    names = recipe.names if recipe.names and may_name(recipe.names) else None
    for name, card, given in (
        (recipe.method, catalog.card(recipe.method), recipe.arguments),
        *([(names.classifier, catalog.classifier_card(names.classifier), names.arguments)] if names else []),
    ):
        able = any(f"{key}={value}" in card.graph_with for key, value in given.items())
        if card.no_graph and not able:
            other = f"set {' or '.join(card.graph_with)} when it is trained" if card.graph_with else "choose another"
            raise BadInput(f"{recipe.source}: {name} cannot be exported, since {card.no_graph}: {other}")


def graphs_of(recipe: Recipe, encoder: Place, size: tuple[int, int], watch: ShowProgress = no_progress) -> Graphs:
    """In float32, whatever the recipe's own precision."""
    advance = watch("making the graph", 3)
    plain = dataclasses.replace(recipe, precision="float32")
    detector = detectors.detector(plain, encoder)
    advance()
    try:
        traced = trace_detector(detector, size)
        if is_plain(recipe):
            traced = name_lessons(traced, detector, learned_of(recipe), size)
        advance()
        namer = getattr(detector, "namer", None)
        named = None if namer is None else trace_namer(namer.classifier, detector, size)
        words = tuple(getattr(namer and namer.classifier, "sayings", ()))
        advance()
    except BadInput as error:
        raise BadInput(f"{recipe.source}: {recipe.method} cannot be exported, {error}") from error
    return Graphs(detector, traced, size, named, words)


class Naming(nn.Module):
    """A classifier on what it sees of regions."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, places: Tensor, share: Tensor) -> tuple[Tensor, ...]:
        """(R, h, w, C), (R, h, w) -> seen (R, D), logits (R, K), and the words that a `types.Reader` chooses, (R,)."""
        seen = self.classifier.gather(places, share)
        logits = self.classifier(seen[:, None])
        if not isinstance(self.classifier, Reader):
            return seen, logits
        return seen, logits, self.classifier.choose_words(seen[:, None], logits.argmax(1))


def trace_namer(classifier: Classifier, detector: Detector, size: tuple[int, int]) -> Model:
    """Of the classifier beside a detector."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        places = detector(torch.rand(REGIONS, 3, *size, generator=generator)).places
    assert places is not None, "a detector with names sees places"
    share = torch.rand(*places.shape[:3], generator=generator)
    outputs = ["seen", "logits", *(["words"] if isinstance(classifier, Reader) else [])]
    return trace(Naming(classifier), {"places": places[..., :-1].clone(), "share": share}, outputs).model


def deployed_recipe(recipe: Recipe, graphs: Graphs, plan: ExportPlan, model: bytes | None = None) -> Recipe:
    """The recipe with graphs in place of what it learned; model: instead of the traced one, of a lower precision."""
    named = recipe.names is not None and graphs.namer is not None
    deployed = Deployed(
        geometry=graphs.detector.geometry,
        size=graphs.size,
        outputs=graphs.traced.outputs,
        types=() if named else tuple(getattr(graphs.detector, "types", ())),
        prompts=dict(getattr(graphs.detector, "type_prompts", {})),
        words=graphs.words,
        precision=plan.precision,
        backend=plan.backend,
    )
    kept = {name: each for name, each in recipe.tensors.items() if name.startswith(KEPT) and not is_learned(name)}
    kept[GRAPH] = tensor_of(model or graphs.traced.model.SerializeToString())
    if graphs.namer is not None:
        kept[NAMER] = tensor_of(graphs.namer.SerializeToString())
    same = plan.precision == recipe.precision == "float32"  # two ways of computing bfloat16 round differently
    calibration = recipe.calibration if same else None
    found = dataclasses.replace(recipe, tensors=kept, deployed=deployed, calibration=calibration)
    return stamp(found, recipe.hash)


def is_learned(name: str) -> bool:
    """Whether a tensor is in the graph of the classifier."""
    return name.startswith(LEARNED)


def tensor_of(data: bytes) -> Tensor:
    """A model as a recipe's file keeps it: uint8 (B,)."""
    return torch.frombuffer(bytearray(align(data)), dtype=torch.uint8)


def size_for(recipe: Recipe, geometry: Geometry, pictures: Sequence[Path]) -> tuple[int, int]:
    """(height, width) of the inputs of a graph, which has one size; raises BadInput where the pictures have several.

    A geometry that stretches pictures, or fills them up, to a square, and tiles, have a size. One that keeps their
    shape has that of the pictures, which must be given then.
    """
    geometry = shape_in_view(geometry, recipe.view)
    if recipe.view.tile is not None and recipe.view.balance is None:
        geometry = dataclasses.replace(geometry, keep_aspect=False, aspect=1.0)
    if not geometry.keep_aspect and (recipe.view.tile is None or geometry.aspect == 1):
        return input_size(geometry, geometry.side, geometry.side)
    if recipe.view.region is not None and recipe.view.tile is None:
        return input_size(geometry, recipe.view.region.height, recipe.view.region.width)
    if recipe.view.mask is not None and recipe.view.tile is None:
        return input_size(geometry, *recipe.view.mask.shape[:2])
    found = {tuple(each.shape[-2:]) for each in inputs_of(pictures, geometry, recipe.view)}
    if len(found) != 1:
        shapes = ", ".join(sorted(f"{width} x {height}" for height, width in found)) or "none are known"
        raise BadInput(
            f"{recipe.source}: {recipe.method} keeps the shape of pictures, and a graph has one ({shapes}): give "
            "pictures of one shape by --check, or freeze the recipe with --tile"
        )
    height, width = found.pop()
    return height, width


def inputs_of(pictures: Iterable[Path], geometry: Geometry, view: View) -> Iterable[Any]:
    """What a detector of that geometry is given of each picture, tile by tile; raises BadRecipe for no picture."""
    for source, found in stream(pictures, geometry, view=view):
        if isinstance(found, Unreadable):
            raise BadInput(f"{source.id} cannot be read ({found.reason}): leave it out")
        yield from found.inputs


def arrays_of_inputs(pictures: Iterable[Path], geometry: Geometry, view: View, most: int) -> list[NDArray[np.float32]]:
    """The first so many inputs, each (1, 3, h, w)."""
    found: list[NDArray[np.float32]] = []
    for each in inputs_of(pictures, geometry, view):
        found.append(np.asarray(each, np.float32)[None])
        if len(found) == most:
            break
    return found


def graph_bytes(recipe: Recipe, name: str = GRAPH) -> bytes:
    """One of a deployed recipe's graphs; raises BadRecipe where it has none."""
    if name not in recipe.tensors:
        raise BadRecipe(f"{recipe.source} holds no graph: export it by `blemish export`")
    return bytes(recipe.tensors[name].numpy().tobytes())


def plain_model(recipe: Recipe, header: Mapping[str, Any], model: bytes) -> bytes:
    """The graph for programs of others: with the recipe's header in its metadata, under `recipes.file.KEY`."""
    import json

    import onnx

    from blemish.recipes.file import KEY

    found = onnx.load_from_string(model)
    entry = found.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps({**header, "hash": recipe.hash}, sort_keys=True)
    return bytes(found.SerializeToString())
