"""What a recipe learned, by name in its graph: one that was taught more needs no new graph, but other numbers in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from blemish.blocks.learned import Learned
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
SURE = 16
"""Numbers of a tensor that no other has by chance."""
UNNAMED = "blemish lessons"
"""In a graph's metadata: the hash of what was learned that it has not by name, and that must be the same."""
UNREAD = "blemish lessons unread"
"""There too: the names, in lines, of what was learned that no graph has, since no prediction reads it."""
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

    The exporter may have computed with them already, or kept how many rows there are; so that is tried, with other rows
    and more of them. Where it fails the graph stays as it was, and is made anew when the recipe is taught more.
    """
    from onnx import numpy_helper

    wanted = _arrays(learned)
    model = type(traced.model).FromString(traced.model.SerializeToString())
    names = {each.name: _lesson_of(numpy_helper.to_array(each), wanted) for each in model.graph.initializer}
    _rename(model, {name: lesson for name, lesson in names.items() if lesson})
    found = {_name_of(lesson) for lesson in names.values() if lesson}
    unread = _unread(detector)
    if unread:
        model.metadata_props.add(key=UNREAD, value="\n".join(sorted(unread)))
    if left := {name: each for name, each in wanted.items() if name not in found | unread}:
        model.metadata_props.add(key=UNNAMED, value=_digest(left))
    named = traced._replace(model=model)
    chosen = {name: each for name, each in learned.items() if name in found}
    agrees = chosen and any(_agrees(named, detector, learned, chosen, size, share) for share in (4, 0))
    return named if agrees else traced


def renew_graph(model: bytes, learned: Mapping[str, Tensor]) -> bytes | None:
    """The same graph with what was learned since; None where that has other axes, or is not all there by name."""
    import onnx
    from onnx import numpy_helper

    found, wanted = onnx.load_from_string(model), _arrays(learned)
    said = {each.key: each.value for each in found.metadata_props}
    left = {name: each for name, each in wanted.items() if name not in said.get(UNREAD, "").split("\n")}
    for each in found.graph.initializer:
        if not each.name.startswith(LESSON):
            continue
        name, is_turned = _name_of(each.name), each.name.endswith(TURNED)
        old = numpy_helper.to_array(each)
        if name not in wanted or not _fits(wanted[name], old.T if is_turned else old):
            return None
        new = wanted[name].T if is_turned else wanted[name]
        each.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(new), each.name))
        left.pop(name, None)
    fixed = said.get(UNNAMED, "")
    del found.graph.value_info[:]  # shapes of before
    return None if (_digest(left) if left else "") != fixed else bytes(found.SerializeToString())


def _arrays(learned: Mapping[str, Tensor]) -> dict[str, NDArray[np.generic]]:
    return {name: each.detach().cpu().numpy() for name, each in learned.items() if each.numel()}


def _name_of(lesson: str) -> str:
    return lesson.removeprefix(LESSON).removesuffix(TURNED)


def _digest(tensors: Mapping[str, NDArray[np.generic]]) -> str:
    total = sha256()
    for name, each in sorted(tensors.items()):
        total.update(f"{name} {each.dtype} {each.shape}\0".encode() + each.tobytes())
    return total.hexdigest()


def _agrees(
    traced: Traced,
    detector: Detector,
    learned: Mapping[str, Tensor],
    chosen: Mapping[str, Tensor],
    size: tuple[int, int],
    share: int,
) -> bool:
    """Whether graph and detector do with other numbers, and, of a share, one row more in so many, put first."""
    other = {name: _vary(each, share * (name not in _of_one_length(detector))) for name, each in chosen.items()}
    model = renew_graph(traced.model.SerializeToString(), {**learned, **other})
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
        owner.load_state_dict(dict(chosen), strict=False)
    return all(_is_near(one, two) for one, two in zip(expected, given, strict=True))


def _unread(detector: Detector) -> set[str]:
    return {name for name, block in _learned_blocks(detector) if name.rpartition(".")[2] in block.unread}


def _of_one_length(detector: Detector) -> set[str]:
    """Names of what has no axis of rows."""
    axes = {name: block.layout[name.rpartition(".")[2]] for name, block in _learned_blocks(detector)}
    return {name for name, known in axes.items() if known and known[0] != "M"}


def _learned_blocks(detector: Detector) -> Iterator[tuple[str, Learned]]:
    """Each learned tensor's name in the detector, and its block."""
    for owner, block in cast(nn.Module, detector).named_modules():
        if isinstance(block, Learned):
            yield from ((f"{owner}.{name}".removeprefix("."), block) for name in block.layout)


def _vary(tensor: Tensor, share: int) -> Tensor:
    room = _blocks(len(tensor)) * ROWS_IN_GRAPH - len(tensor)
    more = min(len(tensor) // share, room) if share else 0
    found = torch.cat([tensor[:more], tensor])
    return SCALED * found if found.is_floating_point() else found


def _blocks(rows: int) -> int:
    """In which a graph compares so many."""
    return -(-rows // ROWS_IN_GRAPH)


def _is_near(one: NDArray[np.generic], other: NDArray[np.generic]) -> bool:
    largest = float(np.abs(one).max()) if one.size else 0.0
    return one.shape == other.shape and np.allclose(one, other, rtol=NEAR, atol=NEAR * largest)


def _fits(new: NDArray[np.generic], old: NDArray[np.generic]) -> bool:
    """The first axis alone, that of the rows, may be longer or shorter, in as many blocks as the graph compares."""
    if (new.dtype, new.ndim, new.shape[1:]) != (old.dtype, old.ndim, old.shape[1:]):
        return False
    return new.shape == old.shape or _blocks(len(new)) == _blocks(len(old))


def _lesson_of(values: NDArray[np.generic], learned: Mapping[str, NDArray[np.generic]]) -> str:
    for name, each in learned.items():
        if each.size < SURE:
            continue
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
