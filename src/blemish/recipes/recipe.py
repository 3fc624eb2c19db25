"""What decides about parts, frozen: a detector and all it learned, its view, words, calibration and origin.

A recipe is one `.blemish` file, identified by a hash of its content. It holds no weights of the encoder but their
sha256, so it is of use with that encoder alone.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blemish.calibration.thresholds import Calibration
from blemish.classification.names import Names
from blemish.classification.names import from_json as names_from_json
from blemish.errors import BadInput, BadRecipe
from blemish.fields import Fields, is_count, is_number, is_string, list_of, one_of, or_none, table_of
from blemish.files import write
from blemish.images import WHOLE, Region, View
from blemish.recipes import file as recipe_file
from blemish.recipes.deployed import Deployed, deployed_from_json
from blemish.recipes.file import COPY, Content
from blemish.recipes.tensors import StoredTensors, arrays_of, is_finite
from blemish.types import GOOD, Encoder

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

PACKAGES = ("blemish", "torch")
MASK = "view.mask"
ENCODER = "encoder"
"""The argument for the encoder that every method has."""
STATE = "detector."
"""The prefix of the detector's own tensors; what teaching keeps beside them has other names."""
TAUGHT, SETS = "sha256, name and kind of each picture", "name, good parts, defects and sha256 of each set"
"""What a header's lists hold."""


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
    sha256: str  # see `set_digest`


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

    def _repr_html_(self) -> str:
        """What it is and how it decides, for notebooks."""
        from blemish.images.notebook import table_html

        by = self.calibration
        rows = [
            ("method", self.method),
            ("encoders", ", ".join(each.name for each in self.encoders.values())),
            ("product", self.product),
            ("taught", f"{sum(each.kind == GOOD for each in self.taught)} good, "
             f"{sum(each.kind != GOOD for each in self.taught)} defects"),
            ("accept below", f"{by.accept:.4g}" if by else "not calibrated"),
            ("reject from", f"{by.reject:.4g}" if by else "not calibrated"),
            ("types", ", ".join(self.names.known) if self.names else ""),
            ("made", self.created),
        ]  # fmt: skip
        return table_html(("recipe", self.hash[:12]), [row for row in rows if row[1]], self.source)

    def plot(self) -> Figure:
        """The held-out scores that it was calibrated by, and its thresholds; a figure of matplotlib.

        Raises BadInput for a recipe that is not calibrated.
        """
        from blemish.images.notebook import plot_thresholds

        if self.calibration is None:
            raise BadInput(f"{self.source} is not calibrated and has no scores to show: `blemish calibrate` it")
        shown = {GOOD: self.calibration.good, **self.calibration.defects}
        ends = {"accept": self.calibration.accept, "reject": self.calibration.reject}
        return plot_thresholds(shown, {name: value for name, value in ends.items() if np.isfinite(value)})


def stamp(recipe: Recipe, parent: str = "") -> Recipe:
    """The recipe as made now from that parent by the packages that are installed."""
    versions = {name: found for name in PACKAGES if (found := _version(name))}
    created = datetime.now(tz=UTC).isoformat(timespec="seconds")
    return dataclasses.replace(recipe, parent=parent, created=created, versions=versions)


def _version(package: str) -> str:
    """That is installed; "" if it is not."""
    from importlib.metadata import PackageNotFoundError, version  # which imports 40 modules that inspecting needs not

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def save(recipe: Recipe, path: str | Path, *, old: str | Path | None = None) -> None:
    """Write the file at once; a version that it replaces is kept under its hash in `recipe_file.history`.

    `old` is the file that the recipe was made from if that is another: it is kept there too, for `undo`.
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


def undo(path: str | Path, *, before: str = "") -> Recipe:
    """Put the exact file back that this one was made from; what is undone is kept as well, under its hash.

    before: the hash of the one that this one replaced, where it was not made from it.
    """
    path = Path(path)
    recipe = load(path)
    wanted = before or recipe.parent
    if not wanted:
        raise BadInput(f"{path} was not made from another recipe: there is nothing to undo")
    former = recipe_file.history(path) / f"{wanted}.blemish"
    if not former.exists():
        raise BadInput(f"{path} was made from {wanted[:12]}, and {former} is gone: look for it in a backup")
    found = load(former)
    if found.hash != wanted:
        raise BadInput(f"{former} is not the recipe that {path} was made from: look for it in a backup")
    recipe_file.keep(path, recipe.hash, recipe_file.history(path))
    write(path, former.read_bytes())
    return dataclasses.replace(found, source=str(path))


def require_lessons(recipe: Recipe) -> None:
    """Raise BadRecipe for a deployed recipe, whose graph can be taught nothing."""
    if recipe.deployed:
        raise BadRecipe(f"{recipe.source} is deployed and learns nothing: use the recipe it was exported from")


def require_finder(method: str, source: str) -> None:
    """Raise BadRecipe for a recipe without a method, which only names whole pictures."""
    if not method:
        raise BadRecipe(f"{source} names whole pictures and finds no defect: use it by `blemish classify`")


def set_digest(pictures: Iterable[tuple[str, str]]) -> str:
    """sha256 of a set's sorted lines "SHA256 LABEL": the sum of each picture's file, and its label."""
    return sha256("\n".join(sorted(f"{digest} {label}" for digest, label in pictures)).encode()).hexdigest()


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
    packed = {} if mask is None else {MASK: np.packbits(mask)}
    return Content(header, arrays_of(recipe.tensors) | packed)


def _recipe(content: Content, path: Path) -> Recipe:
    """The inverse of `content_of`."""
    arrays = dict(content.tensors)
    if not all(map(is_finite, arrays.values())):
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
        view=_view(read.inner("view", content.header["view"]), arrays.pop(MASK, None)),
        tensors=StoredTensors(arrays),
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


def _view(read: Fields, packed: NDArray[Any] | None) -> View:
    names = ("region", "mask", "tile", "overlap", "white")
    read.only(*names, "balance", "keep_aspect", "aspect", needed=names)
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
    aspect = read.one("aspect", None, or_none(lambda value: is_number(value) and value > 0), "a positive number")
    return View(Region(*region) if region else None, mask, tile, overlap, white, balance, kept, aspect)


def _mask(packed: NDArray[Any], read: Fields, height: int, width: int) -> NDArray[np.bool_]:
    fits = height * width > 0 and packed.size == -(-height * width // 8)
    if not fits or packed.dtype != np.uint8 or packed.ndim != 1:
        raise read.refused("mask", f"its pixels are not {height} x {width}")
    return np.unpackbits(packed, count=height * width).reshape(height, width).astype(bool)


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
