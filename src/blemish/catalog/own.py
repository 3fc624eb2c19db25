"""Methods of one's own, which stand in no table: "module:Class", of what was imported already or may be.

A recipe names the class that it needs and holds no code. What it names is never imported for its sake: only what the
program itself imported, what stands in a command as the METHOD, or what `blemish --own` names, or BLEMISH_OWN.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from inspect import signature
from pathlib import Path
from typing import Any

from blemish.catalog.cards import Card
from blemish.errors import BadInput, UnknownName

PLACES = "BLEMISH_OWN"
"""The environment variable: files and modules that may be imported, separated as paths are."""


def import_own(text: str) -> str:
    """The name of a method, "module:Class", whose module is imported now; raises BadInput.

    text: "FILE.py:Class", or "module:Class" of what is installed.
    """
    place, _, found = text.rpartition(":")
    name = f"{_import(place)}:{found}"
    if _find(name) is None:
        raise BadInput(f"{place} has no method {found!r}: a class of torch.nn.Module that takes an `encoder` first")
    return name


def trust(places: Sequence[str]) -> None:
    """They may be imported when a method of theirs is named, by this process and those it starts."""
    os.environ[PLACES] = os.pathsep.join(filter(None, [*places, os.environ.get(PLACES, "")]))


def own_card(name: str) -> Card:
    """What can be said of the class of that name; raises UnknownName where it was not imported and may not be."""
    made = _find(name) or _find_in_places(name)
    if made is None:
        module = name.partition(":")[0]
        raise UnknownName(
            f"{name} is no method of blemish, and a name alone imports nothing: if you trust the code of {module}, "
            f"say where it is, as in `blemish --own {module}.py ...`, or import it in your program"
        )
    return describe(made)


def describe(made: type[Any]) -> Card:
    """What can be said of a class: its attribute `card`, or else what can be seen of it.

    What has a `loss` is trained on good parts, and on defects if there are any; what has `extract` learns good parts.
    """
    where, trained = f"{made.__module__}:{made.__qualname__}", hasattr(made, "loss")
    if isinstance(said := getattr(made, "card", None), Card):
        return said._replace(where=where)
    arguments = signature(made).parameters
    return Card(
        where,
        "",
        (made.__doc__ or made.__name__).partition("\n")[0],
        normal="required" if trained or hasattr(made, "extract") else "none",
        labelled="optional" if trained else "none",
        trained=trained,
        named=trained and "defects" in arguments,
        words=tuple(each for each in ("product", "defects") if each in arguments),
        vocabulary="vocabulary" if "vocabulary" in arguments else "",
    )


def own_name(made: type[Any]) -> str:
    """What a recipe calls it: "module:Class"; the program itself is called as its file is."""
    module = _stem_of_program() if made.__module__ == "__main__" else made.__module__
    return f"{module or made.__module__}:{made.__qualname__}"


def _stem_of_program() -> str:
    """Of its file; "" where it has none, as in a notebook."""
    return Path(getattr(sys.modules["__main__"], "__file__", None) or "").stem


def _find(name: str) -> type[Any] | None:
    """The class, if its module is imported and it looks like a detector: a recipe's file may name anything."""
    from torch import nn

    module, _, attribute = name.partition(":")
    made = getattr(sys.modules.get("__main__" if module == _stem_of_program() else module), attribute, None)
    if not (isinstance(made, type) and issubclass(made, nn.Module)):
        return None
    return made if next(iter(signature(made).parameters), "") == "encoder" else None


def _find_in_places(name: str) -> type[Any] | None:
    module = name.partition(":")[0]
    for place in filter(None, os.environ.get(PLACES, "").split(os.pathsep)):
        if module in (place, Path(place).stem):
            _import(place)
    return _find(name)


def _import(place: str) -> str:
    """The module's name; raises BadInput."""
    try:
        return _import_file(Path(place).resolve(), place) if place.endswith(".py") else import_module(place).__name__
    except BadInput:
        raise
    except Exception as error:  # of another's code, which is told
        raise BadInput(f"{place} cannot be imported: {type(error).__name__}: {error}") from error


def _import_file(path: Path, place: str) -> str:
    name = path.stem
    if not path.is_file():
        raise BadInput(f"there is no file {place}: say where your method is, FILE.py:Class")
    if not name.isidentifier():
        raise BadInput(f"{place} cannot be a module's name: call it something like {name.replace('-', '_')}.py")
    known = sys.modules.get(name) or find_spec(name)
    there = getattr(known, "__file__", None) or getattr(known, "origin", None) or ""
    if known is not None and Path(there).resolve() != path:
        raise BadInput(f"{place} is called as another module is, {there or name}: give it another name")
    if name in sys.modules:
        return name
    spec = spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    sys.modules[name] = module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return name
