"""A plan (TOML) -> the trials it asks for.

What is wrong with a plan is refused before anything is measured, by one error that names the key and the way out.
"""

from __future__ import annotations

import inspect
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from blemish import catalog, data
from blemish.benchmark.references import known_data
from blemish.data.rows import read_text
from blemish.devices import AUTO, device_of_name
from blemish.encoders import DEFAULT, TINY, Precision
from blemish.encoders.checkpoints.names import is_published
from blemish.errors import BadData, BadInput, BlemishError
from blemish.evaluation.evaluate import Trial
from blemish.fields import Fields, is_count, is_plain, is_share, is_text, list_of, one_of, table_of
from blemish.recipes.recipe import ENCODER, Recipe, load, require_finder

ALL = "all"
"""How plans and tables write the shots that are the whole training split."""
EXAMPLE = "examples/benchmark.toml"
ENCODERS = 'names or paths, such as ["embedded"]'


@dataclass(frozen=True, slots=True)
class Method:
    """A method, or a classifier, with its arguments and the encoders it is measured with, as the plan writes them."""

    name: str
    arguments: Mapping[str, Any]
    encoders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Frozen:
    """A recipe, which is measured as it is."""

    file: str  # as the plan writes it
    recipe: Recipe
    encoder: str  # where its encoder lies


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set, and what of it is measured."""

    name: str
    root: Path
    layout: str | None  # None: detected
    categories: tuple[str | None, ...]  # each is learned on its own; (None,) where there are none
    products: Mapping[str | None, str]  # the words of a category, where the plan gives them
    published: str  # the name by which references know it; "" for none


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a benchmark measures: the cross product of all of these."""

    methods: tuple[Method, ...]
    data: tuple[DataSet, ...]
    shots: tuple[int | None, ...]  # None: the whole training split
    seeds: tuple[int, ...]
    precision: Precision
    alpha: float  # share of good parts that a threshold may reject
    device: str
    folder: Path  # where paths in the plan start
    recipes: tuple[Frozen, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """One trial of a plan."""

    data: str
    published: str
    encoder: str  # as the plan writes it; the trial's own may be an absolute path
    precision: Precision
    alpha: float
    trial: Trial
    device: str = AUTO
    recipe: Path | None = None  # what is measured instead of a method that learns first

    def asked(self) -> dict[str, Any]:
        """What the plan says of this trial, in plain values; words only where the method reads them."""
        view = self.trial.view
        return (
            {
                "data": self.data,
                "category": self.trial.category,
                "method": self.trial.method,
                "arguments": dict(self.trial.arguments),
                "encoder": self.encoder,
                "precision": self.precision,
                "product": self.trial.part if "product" in catalog.card_of(self.trial.method).words else None,
                "shots": ALL if self.trial.shots is None else self.trial.shots,
                "seed": self.trial.seed,
                "alpha": self.alpha,
            }
            | ({"tile": view.tile, "overlap": view.overlap} if view.tile else {})
            | view.scales
        )


def read(path: Path) -> Plan:
    """The plan in a file; raises BadInput."""
    keys = ("methods", "classifiers", "recipes", "data", "encoders", "shots", "seeds", "precision", "alpha", "device")
    whole = _read_toml(path).only(*keys)
    others = {"classifiers", "recipes"} & {*whole.values}
    whole.only(*keys, needed=("data",) if others else ("methods", "data"))
    encoders = whole.listed("encoders", (DEFAULT,), is_text, ENCODERS)
    shots = whole.listed("shots", (ALL,), lambda k: k == ALL or is_count(k), f'numbers and "{ALL}": [0, 4, "{ALL}"]')
    plan = Plan(
        tuple(_method(section, encoders) for key in _kinds(whole) for section in whole.tables(key)),
        tuple(_data(section, path.parent) for section in whole.tables("data")),
        tuple(None if k == ALL else k for k in shots),
        whole.listed("seeds", (0,), is_count, "whole numbers from 0 on, such as [0, 1, 2]"),
        whole.one("precision", "float32", one_of(get_args(Precision)), f"one of {', '.join(get_args(Precision))}"),
        whole.one("alpha", 0.05, is_share, "a share of good parts between 0 and 1, such as 0.05"),
        _device(whole),
        path.parent,
        tuple(_frozen(each, path.parent) for each in (whole.tables("recipes") if "recipes" in whole.values else ())),
    )
    _refuse_twins(whole, "data", [{each.name} for each in plan.data])
    _refuse_twins(whole, "recipes", [{each.recipe.hash} for each in plan.recipes])
    for key in _kinds(whole):
        own = [each for each in plan.methods if (each.name in catalog.CLASSIFIERS) == (key == "classifiers")]
        _refuse_twins(whole, key, [{(m.name, json.dumps(m.arguments), e) for e in m.encoders} for m in own])
        for number, method in enumerate(own):
            if not any(_fits(method, k) for k in plan.shots):
                learns = catalog.card_of(method.name).learns_from
                said = f"{key}[{number}], {method.name}, learns from {learns}: add shots that suit"
                raise whole.refused("shots", said)
    return plan


def _kinds(whole: Fields) -> list[str]:
    """The lists of what is measured that the plan has."""
    return [key for key in ("methods", "classifiers") if key in whole.values]


def trials(plan: Plan) -> list[PlannedTrial]:
    """The cross product: a trial for each category of each data set, shots, method, encoder and seed.

    A method that learns from good parts, or a classifier from examples, is left out where there are 0 shots. Where no
    draw decides what is learned, of methods with 0 shots and with all, the first seed stands for the others; of
    classifiers a seed also decides which pictures test. A recipe learns nothing, whatever the shots.
    """
    frozen = [
        _frozen_trial(plan, each, category, found)
        for each in plan.data
        for category in each.categories
        for found in plan.recipes
    ]
    return frozen + [
        _planned(plan, each, category, k, method, encoder, seed)
        for each in plan.data
        for category in each.categories
        for k in plan.shots
        for method in plan.methods
        if _fits(method, k)
        for encoder in method.encoders
        for seed in (plan.seeds if _is_drawn(method, k) else plan.seeds[:1])
    ]


def omissions(plan: Plan) -> list[str]:
    """What a full cross product holds and `trials` does not, in words."""
    return [
        f"{method.name} is not measured with {ALL if k is None else k} shots: "
        f"it learns from {catalog.card_of(method.name).learns_from}"
        for method in plan.methods
        for k in plan.shots
        if not _fits(method, k)
    ]


def _planned(
    plan: Plan, each: DataSet, category: str | None, k: int | None, method: Method, encoder: str, seed: int
) -> PlannedTrial:
    trial = Trial(
        each.root,
        each.layout,
        category,
        method.name,
        _located(encoder, plan.folder),
        shots=k,
        seed=seed,
        product=each.products.get(category),
        arguments=method.arguments,
    )
    return PlannedTrial(each.name, each.published, encoder, plan.precision, plan.alpha, trial, plan.device)


def _frozen_trial(plan: Plan, each: DataSet, category: str | None, found: Frozen) -> PlannedTrial:
    recipe, path = found.recipe, Path(found.recipe.source)
    trial = Trial(
        each.root, each.layout, category, recipe.method, found.encoder, shots=0, seed=plan.seeds[0],
        product=recipe.product, arguments={"recipe": found.file}, view=recipe.view,
    )  # fmt: skip
    precision = cast(Precision, recipe.precision)
    return PlannedTrial(each.name, each.published, found.encoder, precision, plan.alpha, trial, plan.device, path)


def _located(encoder: str, folder: Path) -> str:
    """A path starts at the plan; a name of the table stays a name."""
    path = folder / Path(encoder).expanduser()
    is_name = encoder in (DEFAULT, TINY) or is_published(encoder)
    return str(path.resolve()) if not is_name and path.exists() else encoder


def _is_drawn(method: Method, k: int | None) -> bool:
    return bool(k) or method.name in catalog.CLASSIFIERS


def _fits(method: Method, k: int | None) -> bool:
    card = catalog.card_of(method.name)
    shown = card.labelled if card.task == "classify" else card.normal
    return {"none": k == 0, "required": k != 0}.get(shown, True)


def _read_toml(path: Path) -> Fields:
    """The whole of a file in any usual encoding."""
    try:
        text = read_text(path)
        if not text.strip():
            raise BadInput(f"{path} is not TOML (it is empty): {EXAMPLE} shows a plan")
        return Fields(path, "", tomllib.loads(text))
    except BadData as error:
        raise BadInput(f"{error}; {EXAMPLE} shows a plan") from error
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not TOML ({error}): correct it, {EXAMPLE} shows a plan") from error


def _device(whole: Fields) -> str:
    name: str = whole.one("device", AUTO, is_text, "auto, cpu, cuda, cuda:1 or mps")
    try:
        device_of_name(name)
    except BlemishError as error:
        raise whole.refused("device", str(error)) from error
    return name


def _method(section: Fields, encoders: tuple[str, ...]) -> Method:
    section.only("name", "arguments", "encoders", needed=("name",))
    known = catalog.CLASSIFIERS if "classifiers" in section.path else catalog.METHODS
    for kind, there in (("methods", catalog.METHODS), ("classifiers", catalog.CLASSIFIERS)):
        if there is not known and is_text(asked := section.values.get("name")) and asked in there:
            raise section.refused("name", f"{asked} is one of the {kind}: put it under [[{kind}]]")
    own = known is catalog.METHODS and ":" in str(section.values.get("name"))  # one's own, see `blemish --own`
    name = section.one("name", "", is_text if own else one_of(known), f"one of {', '.join(known)}")
    if known is catalog.METHODS and catalog.card(name).trained:
        way = "see `blemish train`, and give its recipe under [[recipes]]"
        raise section.refused("name", f"{name} is trained first: {way}; a benchmark trains nothing")
    arguments = section.one("arguments", {}, _is_table, "a table of plain values, such as { neighbours = 9 }")
    takes = set(inspect.signature(catalog.class_of(catalog.card_of(name))).parameters) - {"encoder", "product", "types"}
    section.inner("arguments", arguments).only(*takes)
    return Method(name, arguments, section.listed("encoders", encoders, is_text, ENCODERS))


def _frozen(section: Fields, folder: Path) -> Frozen:
    """A recipe of the plan; raises BadInput for one that is not there, or that finds no defect."""
    section.only("file", "encoder", needed=("file",))
    file = section.one("file", "", is_text, "a recipe, from the plan on")
    try:
        recipe = load((folder / Path(file).expanduser()).resolve())
        require_finder(recipe.method, file)
    except BlemishError as error:
        raise section.refused("file", str(error)) from error
    if recipe.deployed:
        raise section.refused("file", "it is deployed: give the recipe it was exported from")
    encoder = section.one("encoder", recipe.encoders[ENCODER].name, is_text, "where the recipe's encoder lies")
    return Frozen(file, recipe, _located(encoder, folder))


def _data(section: Fields, folder: Path) -> DataSet:
    section.only("root", "name", "layout", "categories", "product", "published", needed=("root",))
    root = folder / Path(section.one("root", "", is_text, "the path of a data set, from the plan on")).expanduser()
    layout = section.one("layout", None, one_of(data.LAYOUTS), f"one of {', '.join(data.LAYOUTS)}")
    try:
        found: list[str] = data.categories(root, layout=layout)
    except BlemishError as error:
        raise section.refused("root", str(error)) from error
    if "categories" in section.values and not found:
        raise section.refused("categories", "this data set has none: leave the key out")
    categories = section.listed("categories", tuple(found) or (None,), one_of(found), f"some of {', '.join(found)}")
    return DataSet(
        section.one("name", root.resolve().name, is_text, "a name to call it by"),
        root,
        layout,
        categories,
        _products(section, categories),
        section.one("published", "", one_of(known_data()), f"one of {', '.join(known_data())}, or leave it out"),
    )


def _products(section: Fields, categories: Sequence[str | None]) -> dict[str | None, str]:
    wanted = 'words for the part, or a table such as { pcb1 = "printed circuit board" }'
    product = section.one("product", {}, lambda value: is_text(value) or isinstance(value, dict), wanted)
    if not isinstance(product, dict):
        return dict.fromkeys(categories, product)
    inner = section.inner("product", product).only(*(name for name in categories if name))
    return {name: inner.one(name, "", is_text, "words for the part") for name in product}


def _is_table(value: Any) -> bool:
    """Fits tables of what JSON can hold, so no dates."""
    return table_of(lambda each: is_plain(each) or list_of(is_plain)(each))(value)


def _refuse_twins(whole: Fields, key: str, found: Sequence[set[Any]]) -> None:
    for number, each in enumerate(found):
        for other, before in enumerate(found[:number]):
            if each & before:
                said = f"measures the same as {key}[{other}]: leave one out, or tell them apart"
                raise whole.refused(f"{key}[{number}]", said)
