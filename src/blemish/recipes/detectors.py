"""A recipe -> the detector that it froze, and what of a detector a recipe keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from typing import Any, cast

import torch
from torch import Tensor, nn

from blemish import catalog, encoders
from blemish.blocks.exemplars import CachedEncoder
from blemish.blocks.heads import quarters
from blemish.blocks.learned import Learned
from blemish.classification.with_names import WithNames
from blemish.devices import beside, place_model
from blemish.encoders.inputs import predict
from blemish.errors import BadRecipe, BadWeights, BlemishError, UnknownName
from blemish.images import View, input_size
from blemish.inspection import shape_in_view
from blemish.recipes import known_defects
from blemish.recipes.examples_kept import may_name
from blemish.recipes.naming import namer_of
from blemish.recipes.recipe import ENCODER, STATE, Place, Recipe, Reference, require_finder, require_lessons
from blemish.types import Detector, Encoder

LARGEST_SIDE, LARGEST_NUMBER = 1 << 13, 1 << 16
"""Pixels of a side, and arguments, that a recipe may ask for: its file could ask for any amount of memory or time."""
UNLIMITED = ("seed", "few")
AGAIN = "use the version of blemish that wrote it, or freeze it again"
MISFITS = (BlemishError, TypeError, ValueError, LookupError, RuntimeError, ArithmeticError, AttributeError)
"""What a method may raise for arguments and tensors that are not its own: a recipe's are whatever its file says."""


def detector(recipe: Recipe, encoder: Place = None) -> Detector:
    """Ready to inspect; `encoder` says where its encoder is if not at its own name.

    Raises BadRecipe for an encoder with another sha256, and for tensors or arguments that do not fit the method.
    """
    found = encoders_of(recipe, encoder)
    shown, named = known_defects.ROWS in recipe.tensors, recipe.names is not None and may_name(recipe.names)
    if not shown and not named:
        return bare_detector(recipe, found)
    once = CachedEncoder(found[ENCODER], kept=quarters(found[ENCODER].depth) if named else ())
    made = bare_detector(recipe, found | {ENCODER: once})
    if recipe.names is not None and named:
        with misfits(recipe):
            namer = namer_of(recipe.names, recipe.tensors, once)
            made = beside(WithNames(made, once, namer.classifier, namer), once)
    if not shown:
        return made
    kinds = {known_defects.number(each.id): each.kind for each in recipe.taught}
    with misfits(recipe):
        raised = beside(known_defects.with_known_defects(made, once, recipe.tensors, kinds), once)
        _try(raised, recipe.view)
    return raised


def encoders_of(recipe: Recipe, encoder: Place = None, device: torch.device | None = None) -> dict[str, Encoder]:
    """The recipe's encoders, from another place if one is given; raises BadRecipe when one is not the same.

    `device` moves them; left out they stay where they are loaded, on the processor.
    """
    places = encoder if isinstance(encoder, Mapping) else {ENCODER: encoder} if encoder else {}
    found = {name: _encoder(recipe, meant, places.get(name, meant.name)) for name, meant in recipe.encoders.items()}
    return {name: place_model(each, device) if device else each for name, each in found.items()}


def _encoder(recipe: Recipe, meant: Reference, place: str | Encoder) -> Encoder:
    try:
        found = encoders.load(place, precision=cast(Any, recipe.precision))
    except (BadWeights, UnknownName, OSError, ValueError) as error:  # the last two of names that no file can have
        reason = str(error)[:500]
        raise BadRecipe(f"{recipe.source} needs its encoder: {reason}. Or say where it is: --encoder PATH") from error
    if found.sha256 != meant.sha256 or (not found.sha256 and found.name != meant.name):
        raise BadRecipe(
            f"{recipe.source} is meant for the encoder {meant.name} ({meant.sha256[:12] or 'no sha256'}), and "
            f"{found.name} is another ({found.sha256[:12] or 'no sha256'}): give the right file by --encoder PATH, or "
            "freeze a new recipe"
        )
    return found


def bare_detector(recipe: Recipe, found: Mapping[str, Encoder]) -> Detector:
    """The method's own detector as it was frozen, without what shown defects add."""
    require_finder(recipe.method, recipe.source)
    require_lessons(recipe)
    _require_code(recipe)
    with misfits(recipe):
        _refuse_absurd({name: value for name, value in recipe.arguments.items() if name not in UNLIMITED})
        made = fresh_detector(recipe, found)
        _fill(cast(nn.Module, made).eval(), recipe)
        _try(made, recipe.view)
    return made


def _require_code(recipe: Recipe) -> None:
    """Raises BadRecipe for a method of one's own whose code was not let in, see `catalog.own`."""
    try:
        catalog.card(recipe.method) if ":" in recipe.method else None
    except UnknownName as error:
        raise BadRecipe(f"{recipe.source}: {error}") from error


def fresh_detector(recipe: Recipe, found: Mapping[str, Encoder]) -> Detector:
    """The method as it is before it has learned anything."""
    others = {name: each for name, each in found.items() if name != ENCODER}
    return catalog.detector(recipe.method, found[ENCODER], {**recipe.arguments, **others})


@contextmanager
def misfits(recipe: Recipe) -> Iterator[None]:
    """Raises BadRecipe for whatever a method makes of arguments and tensors that are not its own."""
    try:
        yield
    except MISFITS as error:
        reason = str(error).partition("\n")[0][:200]
        raise BadRecipe(
            f"{recipe.source} does not fit {recipe.method} as this blemish has it ({reason}): {AGAIN}"
        ) from error


def encoders_in(made: Detector) -> dict[str, Encoder]:
    """The encoders that a detector was made with, by the names of its arguments."""
    found = {name: getattr(made, name, None) for name in signature(type(made)).parameters}
    return {name: each for name, each in found.items() if isinstance(each, Encoder)}


def precision_of(made: Detector) -> str:
    """The number format of its encoders, asked for or chosen by `load`: "bfloat16" where any tensor is; "float32"."""
    modules = [each for each in encoders_in(made).values() if isinstance(each, nn.Module)]
    halved = any(each.dtype == torch.bfloat16 for module in modules for each in module.parameters())
    return "bfloat16" if halved else "float32"


def state_of(made: Detector) -> dict[str, Tensor]:
    """The tensors of a detector without those of its encoders."""
    state, others = cast(nn.Module, made).state_dict(), tuple(f"{name}." for name in encoders_in(made))
    return {name: tensor for name, tensor in state.items() if not name.startswith(others)}


def has_parameters(made: Detector) -> bool:
    """Whether a detector has parameters of its own, which were trained."""
    trained = {name for name, _ in cast(nn.Module, made).named_parameters()}
    return not trained.isdisjoint(state_of(made))


def _fill(made: nn.Module, recipe: Recipe) -> None:
    """Load what was learned; raises ValueError for tensors of another name, type or shape."""
    state = {name.removeprefix(STATE): tensor for name, tensor in recipe.tensors.items() if name.startswith(STATE)}
    own = state_of(cast(Detector, made))
    if odd := set(state) ^ set(own):
        raise ValueError(f"its tensors differ by {min(odd)}")
    grown = {f"{prefix}.{name}" for prefix, module in _memories(made) for name, _ in module.named_buffers()}
    for name, tensor in own.items():
        if tensor.dtype != state[name].dtype or (name not in grown and tensor.shape != state[name].shape):
            raise ValueError(f"{name} is {state[name].dtype} {list(state[name].shape)}")
    made.load_state_dict(state, strict=False)
    if odd := {f"{prefix}.{name}" for prefix, module in _memories(made) for name in _misfits(module)}:
        raise ValueError(f"{min(odd)} is {list(state[min(odd)].shape)}")


def _memories(made: nn.Module) -> list[tuple[str, Learned]]:
    return [(name, module) for name, module in made.named_modules() if isinstance(module, Learned)]


def _misfits(module: Learned) -> list[str]:
    """Names of tensors that do not have the axes of their layout; where one is empty all must be."""
    tensors = dict(module.named_buffers(recurse=False))
    if not any(tensor.numel() for tensor in tensors.values()):
        return []
    found, sizes = [], dict[str, int]()
    for name, axes in module.layout.items():
        shape = tensors[name].shape
        pairs = list(zip(axes, shape, strict=False))
        fits = len(shape) == len(axes) and all(sizes.setdefault(a, n) == n for a, n in pairs)
        if not shape.numel() or (axes and not fits):
            found.append(name)
    return found


def _refuse_absurd(value: Any) -> None:
    if isinstance(value, int | float) and not abs(value) <= LARGEST_NUMBER:
        raise ValueError(f"an argument of {str(value)[:20]}")
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_absurd(each)


def _try(made: Detector, view: View) -> None:
    """Look at a small blank picture, or where that is too small for the method, at one of the size that it sees.

    Not at that where pictures keep their shape, which is not known here.
    """
    shape = shape_in_view(made.geometry, view)
    small, whole = 8 * shape.multiple, input_size(shape if view.tile is None else made.geometry, 1, 1)
    if max(whole) > LARGEST_SIDE:
        raise ValueError(f"pictures of {whole[0]} x {whole[1]}")
    try:
        predict(made, torch.full((1, 3, small, small), 0.5))
    except MISFITS:
        if not view.keep_aspect:
            predict(made, torch.full((1, 3, *whole), 0.5))
