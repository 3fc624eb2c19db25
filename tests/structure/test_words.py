"""Names: public functions are verbs or nouns, and no public name stands in two modules of one rank."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.structure.source import FILES, each_of, name, parsed
from tests.structure.test_arrows import RANK, own_room

IRREGULAR = set(
    """taught shown made drawn lit known kept told written held chosen found given seen said built lost bent broken torn
    begun done met sent got put left without within above below apart among""".split()  # noqa: SIM905
)
NOUNS_AND_VERBS = set(
    """bearing binding casting coating embed feed finding fitting framing heading mapping need reading ring seed setting
    speed spring string thing timing training warning""".split()  # noqa: SIM905
)
"""Words that look like participles and are none where they end a name."""
A_LAYOUT_PROVIDES = {"matches", "categories", "samples", "LOOKED_FOR", "SPLITS"}
MEASURES = {"auroc", "average_precision", "f1_max"}
"""Of images and of pixels: the module's name says which, and both are called by it."""
A_FORMAT_PROVIDES = {"read", "write", "CANNOT_HOLD", "LOOKED_FOR", "NAME"}
SHARED = {"data": A_LAYOUT_PROVIDES, "formats": A_FORMAT_PROVIDES, "metrics": MEASURES}

each_file = each_of(FILES)


def participle(function: str) -> bool:
    """Whether a name ends as a participle does: an adjective before a noun is none, nor is what follows `is`."""
    *before, last = function.split("_")
    if last in NOUNS_AND_VERBS or (before and before[0] in ("is", "has", "with")):
        return False
    return last.endswith(("ed", "ing")) or last in IRREGULAR


@pytest.mark.parametrize(
    ("function", "expected"),
    [("projected", True), ("blurred", True), ("shown", True), ("held_out", False), ("watching", True)],
)
def test_participles_are_told_from_verbs_and_nouns(function: str, expected: bool) -> None:
    assert participle(function) == expected
    assert not any(map(participle, ("project", "painted_metal", "spring", "rubber_ring", "is_scripted", "read")))


@each_file
def test_public_functions_are_verbs_or_nouns(file: Path) -> None:
    functions = [node.name for node in parsed(file).body if isinstance(node, ast.FunctionDef)]
    public = {each for each in functions if not each.startswith("_")}
    assert {each for each in public if participle(each)} == set()


def test_no_public_name_stands_in_two_modules_of_one_rank() -> None:
    places = defaultdict(list)
    for file in FILES:
        for public in _public(file):
            if public not in SHARED.get(own_room(file), set()):
                places[RANK[own_room(file)], public].append(name(file))
    assert {public: files for (_, public), files in places.items() if len(files) > 1} == {}


def _public(file: Path) -> Iterator[str]:
    """Names that a module makes at its top: functions, classes and values."""
    for node in parsed(file).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found = [node.name]
        elif isinstance(node, ast.Assign):
            found = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found = [node.target.id]
        else:
            found = []
        yield from (each for each in found if not each.startswith("_"))
