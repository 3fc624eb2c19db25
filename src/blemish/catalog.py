"""Every method by name: the one table behind `blemish list`, the command line, the docs and the contract tests."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal, NamedTuple

from blemish.errors import BadInput, UnknownName
from blemish.types import Detector, Encoder

Learns = Literal["nothing", "good parts", "nothing or good parts"]


class Card(NamedTuple):
    """Where a method lives, what it learns from, and where it was published."""

    where: str  # "module:Class"
    learns_from: Learns
    needs_text: bool
    paper: str
    essence: str


METHODS = {
    "anomaly-dino": Card(
        "blemish.detectors.anomaly_dino:AnomalyDINO",
        "good parts",
        False,
        "arXiv:2405.14529",
        "nearest patch of a few rotated good parts",
    ),
    "padim": Card(
        "blemish.detectors.padim:PaDiM",
        "good parts",
        False,
        "arXiv:2011.08785",
        "a Gaussian at every place of an aligned part",
    ),
    "patchcore": Card(
        "blemish.detectors.patchcore:PatchCore",
        "good parts",
        False,
        "arXiv:2106.08265",
        "nearest patch in a coreset of many good parts",
    ),
    "subspace-ad": Card(
        "blemish.detectors.subspace_ad:SubspaceAD",
        "good parts",
        False,
        "CVPR 2026",
        "distance to the principal subspace of good patches",
    ),
    "tab": Card(
        "blemish.detectors.tab:TAB",
        "nothing or good parts",
        True,
        "arXiv:2312.09480",
        "every patch against words, those of defects too, and against good parts if any",
    ),
    "winclip": Card(
        "blemish.detectors.winclip:WinCLIP",
        "nothing or good parts",
        True,
        "arXiv:2303.14814",
        "windows against words, and against good parts if there are any",
    ),
}


def card(name: str) -> Card:
    """The method's row; raises UnknownName with the names there are."""
    if name not in METHODS:
        raise UnknownName(f"no method {name!r}: choose from {', '.join(METHODS)}")
    return METHODS[name]


def method(name: str) -> type[Any]:
    """The method's class, imported now."""
    module, _, attribute = card(name).where.partition(":")
    found: type[Any] = getattr(import_module(module), attribute)
    return found


def detector(name: str, encoder: str | Encoder, arguments: Mapping[str, Any]) -> Detector:
    """A detector by name; raises BadInput for an argument that its constructor does not have."""
    made = method(name)
    known = set(inspect.signature(made).parameters)
    if unknown := sorted(set(arguments) - known):
        raise BadInput(f"{name} takes no {', '.join(unknown)}; it takes {', '.join(sorted(known))}")
    found: Detector = made(encoder, **arguments)
    return found
