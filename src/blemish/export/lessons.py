"""What a recipe learned, by name in its graph: one that was taught more needs no new graph, but other numbers in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from blemish.blocks.memory import ROWS_IN_GRAPH
from blemish.export.tracing import Model, Traced, arrays_of
from blemish.recipes import known_defects
from blemish.recipes.recipe import STATE, Recipe
from blemish.runtime.graph import open_model
from blemish.types import Detector

if TYPE_CHECKING:
    from blemish.export.deploying import ExportPlan

LESSON, TURNED = "lesson ", " turned"
"""The name of what was learned begins so in a graph, and ends so where it is the transpose."""
NEAR, SCALED = 1e-4, 0.75
"""How near a graph with other numbers must come to the detector with them, and by what the numbers are multiplied."""


def learned_of(recipe: Recipe) -> dict[str, Tensor]:
    """What the recipe's method learned, by its names."""
    return {name.removeprefix(STATE): each for name, each in recipe.tensors.items() if name.startswith(STATE)}


def is_plain(recipe: Recipe) -> bool:
    """Whether it was shown no defects: all that it learned is its method's."""
    return recipe.names is None and known_defects.ROWS not in recipe.tensors


def may_renew(recipe: Recipe, before: Recipe, plan: ExportPlan) -> bool:
    """Whether a recipe differs from the deployed one in what its method learned of good parts alone."""
    deployed = before.deployed
    same = [(getattr(recipe, name), getattr(before, name)) for name in ("method", "arguments", "encoders", "names")]
    is_alike = is_plain(recipe) and recipe.precision == "float32" and all(one == other for one, other in same)
    return is_alike and deployed is not None and (deployed.precision, deployed.backend) == plan[:2]


def name_lessons(traced: Traced, detector: Detector, learned: Mapping[str, Tensor], size: tuple[int, int]) -> Traced:
    """With names for the tensors that are what was learned, if the graph can be given other ones.

    The exporter may have computed with them already, or kept how many rows there are; so that is tried, with fewer and
    other rows. Where it fails the graph stays as it was, and is made anew when the recipe is taught more.
    """
    from onnx import numpy_helper

    wanted = {name: each.detach().cpu().numpy() for name, each in learned.items() if each.numel()}
    model = type(traced.model).FromString(traced.model.SerializeToString())
    names = {each.name: _lesson_of(numpy_helper.to_array(each), wanted) for each in model.graph.initializer}
    _rename(model, {name: lesson for name, lesson in names.items() if lesson})
    named = traced._replace(model=model)
    return named if _is_renewable(named, detector, learned, size) else traced


def renew_graph(model: bytes, learned: Mapping[str, Tensor]) -> bytes | None:
    """The same graph with what was learned since; None where it has not all of it by name, or other axes."""
    import onnx
    from onnx import numpy_helper

    found = onnx.load_from_string(model)
    wanted = {name: each.detach().cpu().numpy() for name, each in learned.items() if each.numel()}
    left = set(wanted)
    for each in found.graph.initializer:
        if not each.name.startswith(LESSON):
            continue
        name = each.name.removeprefix(LESSON).removesuffix(TURNED)
        if name not in wanted:
            return None
        old, is_turned = numpy_helper.to_array(each), each.name.endswith(TURNED)
        if not _fits(wanted[name], old.T if is_turned else old):
            return None
        new = wanted[name].T if is_turned else wanted[name]
        each.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(new), each.name))
        left.discard(name)
    del found.graph.value_info[:]  # shapes of before
    return None if left else bytes(found.SerializeToString())


def _is_renewable(traced: Traced, detector: Detector, learned: Mapping[str, Tensor], size: tuple[int, int]) -> bool:
    """Whether graph and detector agree when both have other numbers, and three quarters of the rows."""
    other = {name: (SCALED * each if each.is_floating_point() else each) for name, each in learned.items()}
    other = {name: each[: -(-3 * len(each) // 4)] if each.ndim else each for name, each in other.items()}
    model = renew_graph(traced.model.SerializeToString(), other)
    if model is None:
        return False
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    owner = cast(nn.Module, detector)
    try:
        owner.load_state_dict(other, strict=False)
        with torch.no_grad():
            expected = [each.numpy() for each in detector(images) if each is not None]
        given = open_model(model, "onnxruntime", "float32", "the renewed graph").run(arrays_of({"images": images}))
    except Exception:  # whatever either makes of other numbers
        return False
    finally:
        owner.load_state_dict(dict(learned), strict=False)
    return all(_is_near(one, two) for one, two in zip(expected, given, strict=True))


def _is_near(one: NDArray[np.generic], other: NDArray[np.generic]) -> bool:
    largest = float(np.abs(one).max()) if one.size else 0.0
    return one.shape == other.shape and np.allclose(one, other, rtol=NEAR, atol=NEAR * largest)


def _fits(new: NDArray[np.generic], old: NDArray[np.generic]) -> bool:
    """The first axis alone, that of the rows, may be longer, up to what the graph compares at once, or shorter."""
    if (new.dtype, new.ndim, new.shape[1:]) != (old.dtype, old.ndim, old.shape[1:]):
        return False
    return new.shape == old.shape or max(len(new), len(old)) <= ROWS_IN_GRAPH


def _lesson_of(values: NDArray[np.generic], learned: Mapping[str, NDArray[np.generic]]) -> str:
    for name, each in learned.items():
        if values.dtype == each.dtype and np.array_equal(values, each):
            return LESSON + name
        if values.dtype == each.dtype and each.ndim == 2 and np.array_equal(values, each.T):
            return LESSON + name + TURNED
    return ""


def _rename(model: Model, names: Mapping[str, str]) -> None:
    once = dict[str, object]()
    for each in model.graph.initializer:
        each.name = names.get(each.name, each.name)
        once.setdefault(each.name, each)
    kept = [type(model.graph.initializer[0])() for _ in once]
    for copy, each in zip(kept, once.values(), strict=True):
        copy.CopyFrom(each)
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    for node in model.graph.node:
        for at, name in enumerate(node.input):
            node.input[at] = names.get(name, name)
