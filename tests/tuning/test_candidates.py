from __future__ import annotations

import pytest

from blemish import encoders
from blemish.catalog.own import own_name
from blemish.detectors.patchcore import PatchCore
from blemish.errors import BadInput, UnknownName
from blemish.runs.views import tile_sides
from blemish.tuning.candidates import Candidate, candidates, check_methods
from blemish.types import Encoder

EMBEDDED = {"embedded": encoders.load("embedded")}


@pytest.mark.parametrize(
    ("size", "sides"),
    [
        ((900, 900), [450, 300]),
        ((500, 1260), [500, 250]),  # of a long part the shorter side comes first; thirds would be too many
        ((128, 128), [64]),
        ((60, 60), []),
        ((200, 20000), []),
    ],
)
def test_tiles_suit_the_pictures(size: tuple[int, int], sides: list[int]) -> None:
    assert tile_sides(size) == sides == tile_sides(size[::-1])


def test_the_default_comes_first_and_all_differ() -> None:
    found = candidates(EMBEDDED, (500, 500), product="gear")
    assert found[0] == Candidate("tab", "embedded", {"product": "gear"})
    assert len({str(each) for each in found}) == len(found)
    methods = {each.method for each in found}
    assert methods == {"tab", "patchcore", "padim", "rad", "subspace-ad", "anomaly-dino", "winclip"}
    assert {each.arguments.get("product") for each in found if each.method == "padim"} == {None}


def test_larger_inputs_are_tried_where_pictures_are_larger() -> None:
    small, large = (candidates(EMBEDDED, (side, side)) for side in (224, 500))
    assert "tab on embedded, whole at 448 px" not in map(str, small)
    assert "tab on embedded, whole at 448 px" in map(str, large)
    assert "rad on embedded, whole at 224 px" in map(str, small)


def test_methods_are_chosen_from_those_that_are_named() -> None:
    found = candidates(EMBEDDED, (100, 100), methods=["padim"])
    assert {each.method for each in found} == {"padim"}
    with pytest.raises(BadInput, match=r"glass learns from good parts.*leave it out"):
        check_methods(["glass"])
    with pytest.raises(UnknownName):
        check_methods(["padimm"])


class Own(PatchCore):
    """Of one's own, and of one size."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)


def test_a_method_of_ones_own_is_a_candidate() -> None:
    name = own_name(Own)
    check_methods([name])
    found = candidates(EMBEDDED, (500, 500), methods=[name, "padim"])
    assert {each.method for each in found} == {name, "padim"}
    assert {each.arguments.get("image_size") for each in found if each.method == name} == {None}


def test_quick_candidates_come_before_slow_ones_and_variants_last() -> None:
    found = [str(each) for each in candidates(EMBEDDED, (500, 1260), methods=["tab", "patchcore"])]
    order = ["tab on embedded, whole, shape kept", "tab on embedded, whole", "patchcore on embedded, whole"]
    order += [
        "tab on embedded, tiles of 500 px",
        "tab on embedded, tiles of 250 px",
        "tab on embedded, whole, trust 1.0",
    ]
    assert [each for each in found if each in order] == order
