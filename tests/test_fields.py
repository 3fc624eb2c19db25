"""What values a parameter takes, by its annotation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pytest

from blemish.errors import BadInput
from blemish.fields import fits_annotation, require_kind

CASES: list[tuple[Any, list[Any], list[Any]]] = [
    (int, [0, -3], [1.5, True, "3", None]),
    (float, [0, 1.5], [True, "1.5", float("nan"), 10**400]),
    (str, ["", "x"], [1, None]),
    (bool, [True, False], [0, "true"]),
    (int | None, [3, None], ["", 1.5]),
    (Literal["a", "b"], ["a"], ["c", 1, ["a"]]),
    (Sequence[int], [[], [1, 2], (3,)], [1, "12", [1, "2"]]),
    (Sequence[int] | None, [None, [1]], [[None]]),
    (Sequence[str] | Mapping[str, str], [["a"], {"a": "b"}], [{"a": 1}, {1: "a"}, "a"]),
    (str | list[Any] | None, ["a", [object()], None], [1]),
    (object, [1, None, "a"], []),
]


@pytest.mark.parametrize(("annotation", "fitting", "others"), CASES, ids=[str(case[0]) for case in CASES])
def test_a_parameter_takes_what_it_is_annotated_with(annotation: Any, fitting: list[Any], others: list[Any]) -> None:
    fits = fits_annotation(annotation)
    assert all(map(fits, fitting))
    assert not any(map(fits, others))


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (int | None, "sigma of padim is a whole number or null, not 'abc'"),
        (Literal["map", "raw"], "sigma of padim is map or raw, not 'abc'"),
        (Sequence[float], "sigma of padim is a list, each a number, such as [0.5, 2], not 'abc'"),
        (Mapping[str, bool], "sigma of padim is a table, each value true or false, not 'abc'"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(annotation: Any, said: str) -> None:
    with pytest.raises(BadInput, match=re.escape(said)):
        require_kind("sigma of padim", "abc", annotation)
