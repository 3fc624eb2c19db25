"""What decides about parts, frozen: a detector and all it learned, its view, words, calibration and origin.

A recipe is one `.blemish` file, identified by a hash of its content. It holds no weights of the encoder but their
sha256, so it is of use with that encoder alone.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from blemish import catalog, encoders
from blemish.blocks.exemplars import CachedEncoder
from blemish.blocks.heads import quarters
from blemish.blocks.learned import Learned
from blemish.calibration.thresholds import Calibration
from blemish.classification.names import Names
from blemish.classification.names import from_json as names_from_json
from blemish.classification.with_names import WithNames
from blemish.devices import beside, place_model
from blemish.encoders.inputs import predict
from blemish.errors import BadRecipe, BadWeights, BlemishError, UnknownName
from blemish.fields import Fields, is_count, is_number, is_string, list_of, one_of, or_none, table_of
from blemish.files import write
from blemish.images import WHOLE, Region, View, input_size
from blemish.recipes import file as recipe_file
from blemish.recipes import known_defects
from blemish.recipes.deployed import Deployed, deployed_from_json
from blemish.recipes.file import COPY, Content
from blemish.recipes.naming import may_name, namer_of, require_finder
from blemish.types import GOOD, Detector, Encoder

PACKAGES = ("blemish", "torch")
MASK = "view.mask"
ENCODER = "encoder"
"""The argument for the encoder that every method has."""
STATE = "detector."
"""The prefix of the detector's own tensors; what teaching keeps beside them has other names."""
LARGEST_SIDE, LARGEST_NUMBER = 1 << 13, 1 << 16
"""Pixels of a side, and arguments, that a recipe may ask for: its file could ask for any amount of memory or time."""
UNLIMITED = ("seed", "few")
TAUGHT, SETS = "sha256, name and kind of each picture", "name, good parts, defects and sha256 of each set"
"""What a header's lists hold."""
AGAIN = "use the version of blemish that wrote it, or freeze it again"
MISFITS = (BlemishError, TypeError, ValueError, LookupError, RuntimeError, ArithmeticError, AttributeError)
"""What a method may raise for arguments and tensors that are not its own: a recipe's are whatever its file says."""


@dataclass(frozen=True, slots=True)
class Taught:
    """One picture that taught the recipe."""

    sha256: str  # of the file's bytes
    name: str  # the file's name as it was given
    kind: str = GOOD  # or the defect's type

    @property
    def id(self) -> str:
        """What `forget` is told: the first 12 hex digits of its sha256."""
        return self.sha256[:12]


class TrainingSet(NamedTuple):
    """A data set that gradients came from."""

    name: str
    good: int  # pictures
    defects: int
    sha256: str  # see `recipes.train.set_digest`


class Reference(NamedTuple):
    """An encoder that a recipe is meant for."""

    name: str  # published, or where its file lies
    sha256: str  # of that file; "" when there is none


Place = str | Encoder | Mapping[str, str | Encoder] | None
"""Where a recipe's encoders are: the one that every method has, or several by name; the others are at their own."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A frozen decision; `hash` identifies it, and everything but `source` is part of that."""

    method: str
    arguments: Mapping[str, Any]  # plain JSON values
    encoders: Mapping[str, Reference]  # by the method's arguments that take them, `ENCODER` and perhaps others
    precision: str = "float32"  # of the encoders
    view: View = WHOLE
    tensors: Mapping[str, Tensor] = field(default_factory=dict)  # not to be changed in place
    taught: tuple[Taught, ...] = ()  # in the order of teaching
    trained_on: tuple[TrainingSet, ...] = ()  # before that, perhaps on other products
    calibration: Calibration | None = None
    names: Names | None = None  # of types of defects, see `recipes.naming`
    deployed: Deployed | None = None  # it holds a graph in place of what it learned
    parent: str = ""  # hash of the recipe it was made from
    created: str = ""  # ISO date and time, UTC
    versions: Mapping[str, str] = field(default_factory=dict)
    source: str = "this recipe"  # the file it comes from, for messages

    @property
    def hash(self) -> str:
        """sha256 of the content, 64 hex digits."""
        return recipe_file.digest(content_of(self))

    @property
    def product(self) -> str:
        """What the part is: in the words the method reads, or else by the name of the recipe's file."""
        return str(self.arguments.get("product") or Path(self.source).stem)


def stamp(recipe: Recipe, parent: str = "") -> Recipe:
    """The recipe as made now from that parent by the packages that are installed."""
    versions = {name: version(name) for name in PACKAGES}
    created = datetime.now(tz=UTC).isoformat(timespec="seconds")
    return dataclasses.replace(recipe, parent=parent, created=created, versions=versions)


def save(recipe: Recipe, path: str | Path, *, old: str | Path | None = None) -> None:
    """Write the file at once; a version that it replaces is kept under its hash in `recipe_file.history`.

    `old` is the file that the recipe was made from if that is another: it is kept there too, for `update.undo`.
    """
    path, folder = Path(path), recipe_file.history(Path(path))
    for former in {path, Path(old or path)}:
        if former.exists():
            recipe_file.keep(former, recipe_file.hash_of(former), folder)
    recipe_file.inherit(recipe_file.history(Path(old or path)), folder)
    write(path, recipe_file.encode(content_of(recipe)))


def load(path: str | Path) -> Recipe:
    """The recipe of a file, bit for bit what was saved; raises BadRecipe with the reason and the way out."""
    return _recipe(recipe_file.read(Path(path)), Path(path))


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
        _try(raised)
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
    if recipe.deployed:
        raise BadRecipe(f"{recipe.source} is deployed and learns nothing: use the recipe it was exported from")
    with misfits(recipe):
        _refuse_absurd({name: value for name, value in recipe.arguments.items() if name not in UNLIMITED})
        made = fresh_detector(recipe, found)
        _fill(cast(nn.Module, made).eval(), recipe)
        _try(made)
    return made


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


def _try(made: Detector) -> None:
    """Look at a small blank picture, or where that is too small for the method, at one of its own size."""
    small, whole = 8 * made.geometry.multiple, input_size(made.geometry, 1, 1)
    if max(whole) > LARGEST_SIDE:
        raise ValueError(f"pictures of {whole[0]} x {whole[1]}")
    try:
        predict(made, torch.full((1, 3, small, small), 0.5))
    except MISFITS:
        predict(made, torch.full((1, 3, *whole), 0.5))


def content_of(recipe: Recipe) -> Content:
    """All of it that a file holds, and that decides its hash."""
    view, mask = recipe.view, recipe.view.mask
    header = {each.name: getattr(recipe, each.name) for each in dataclasses.fields(recipe)}
    del header["tensors"], header["source"]
    header |= {
        "view": {
            "region": list(view.region) if view.region else None,
            "mask": None if mask is None else list(mask.shape),
            "tile": view.tile,
            "overlap": view.overlap,
            "white": view.white,
            **view.scales,
        },
        "encoders": {name: each._asdict() for name, each in recipe.encoders.items()},
        "taught": [[each.sha256, each.name, each.kind] for each in recipe.taught],
        "trained_on": [list(each) for each in recipe.trained_on],
        "calibration": recipe.calibration and recipe.calibration.as_json(),
    }
    del header["names"], header["deployed"]  # a recipe without them has the hash it always had
    header |= {name: each.as_json() for name in ("names", "deployed") if (each := getattr(recipe, name))}
    packed = {} if mask is None else {MASK: torch.from_numpy(np.packbits(mask))}
    return Content(header, {**recipe.tensors, **packed})


def _recipe(content: Content, path: Path) -> Recipe:
    """The inverse of `content_of`."""
    tensors = dict(content.tensors)
    if any(tensor.is_floating_point() and not tensor.isfinite().all() for tensor in tensors.values()):
        raise BadRecipe(f"{path} has tensors with NaN or infinite values: {COPY}")
    known = [each.name for each in dataclasses.fields(Recipe) if each.name not in ("tensors", "source")]
    read = Fields(path, "", content.header, BadRecipe, COPY).only(*known, needed={*known} - {"names", "deployed"})
    names, deployed = content.header.get("names"), content.header.get("deployed")
    read.inner("encoders", content.header["encoders"]).only(*content.header["encoders"], needed=(ENCODER,))
    encoders = read.one("encoders", {}, table_of(_is_reference), "encoders with name and sha256")
    calibration = content.header["calibration"]
    return Recipe(
        method=read.one("method", "", is_string, "a method's name"),
        arguments=read.one("arguments", {}, lambda each: isinstance(each, dict), "a table"),
        encoders={name: Reference(**each) for name, each in encoders.items()},
        precision=read.one("precision", "", one_of(("float32", "bfloat16")), "float32 or bfloat16"),
        view=_view(read.inner("view", content.header["view"]), tensors.pop(MASK, None)),
        tensors=tensors,
        taught=tuple(Taught(*each) for each in read.one("taught", [], list_of(_is_taught), TAUGHT)),
        trained_on=tuple(TrainingSet(*each) for each in read.one("trained_on", [], list_of(_is_set), SETS)),
        calibration=None if calibration is None else Calibration.from_json(calibration, file=path),
        names=None if names is None else names_from_json(read.inner("names", names)),
        deployed=None if deployed is None else deployed_from_json(read.inner("deployed", deployed)),
        parent=read.one("parent", "", is_string, "a hash"),
        created=read.one("created", "", is_string, "a date"),
        versions=read.one("versions", {}, table_of(is_string), "packages and their versions"),
        source=str(path),
    )


def _view(read: Fields, packed: Tensor | None) -> View:
    names = ("region", "mask", "tile", "overlap", "white")
    read.only(*names, "balance", "keep_aspect", needed=names)
    region = read.one("region", None, or_none(_is_region), "x, y, width and height")
    tile = read.one("tile", None, or_none(lambda side: _is_size(side) and side >= 16), "16 pixels or more")
    fits = (lambda size: _is_size(size) and size < tile) if tile else _is_size
    overlap = read.one("overlap", 0, fits, "fewer pixels than a tile has")
    white = read.one("white", None, or_none(lambda value: is_number(value) and value > 0), "a positive number")
    size = read.one("mask", None, or_none(list_of(_is_size, 2)), "height and width")
    if (size is None) != (packed is None):
        raise read.refused("mask", "its size and its pixels are not both there")
    mask = None if packed is None else _mask(packed, read, *size)
    of_tiles = or_none(lambda value: bool(tile) and is_number(value) and value > 0)
    balance = read.one("balance", None, of_tiles, "a positive number, of tiles")
    kept = read.one("keep_aspect", False, lambda value: isinstance(value, bool), "true or false")
    return View(Region(*region) if region else None, mask, tile, overlap, white, balance, kept)


def _mask(packed: Tensor, read: Fields, height: int, width: int) -> NDArray[np.bool_]:
    fits = height * width > 0 and packed.numel() == -(-height * width // 8)
    if not fits or packed.dtype != torch.uint8 or packed.ndim != 1:
        raise read.refused("mask", f"its pixels are not {height} x {width}")
    return np.unpackbits(packed.numpy(), count=height * width).reshape(height, width).astype(bool)


def _is_size(value: Any) -> bool:
    return is_count(value) and bool(value < 1 << 31)


def _is_region(value: Any) -> bool:
    return list_of(_is_size, 4)(value) and min(value[2:]) > 0


def _is_reference(value: Any) -> bool:
    return table_of(is_string)(value) and set(value) == set(Reference._fields)


def _is_taught(value: Any) -> bool:
    return list_of(is_string, 3)(value) and bool(re.fullmatch("[0-9a-f]{64}", value[0]) and value[2])


def _is_set(value: Any) -> bool:
    fits = isinstance(value, list) and len(value) == 4
    return fits and is_string(value[0]) and all(map(_is_size, value[1:3])) and is_string(value[3])
