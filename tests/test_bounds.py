"""Numbers that an argument of a method cannot be are refused by a sentence, on the command line too."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Any

import pytest

from blemish import catalog
from blemish.cli.options import arguments_of
from blemish.errors import BadInput
from blemish.fields import annotations_of


@pytest.mark.parametrize(
    ("method", "arguments", "said"),
    [
        ("iad-clip", {"temperature": 0}, "temperature of iad-clip is above 0, not 0"),
        ("normal-variation", {"normals": 0}, "normals of normal-variation is at least 1, not 0"),
        ("fe-clip", {"rank": 0}, "rank of fe-clip is at least 1, not 0"),
        ("clip-dsa", {"windows": [2]}, "windows of clip-dsa are odd numbers, not 2"),
        ("clip-dsa", {"windows": []}, "windows of clip-dsa is an empty list"),
        ("clip-dsa", {"noise": -1}, "noise of clip-dsa is at least 0, not -1"),
        ("ov-as", {"shots": -1}, "shots of ov-as is at least 0, not -1"),
        ("ov-as", {"shots": 2}, "give their names as vocabulary too"),
        ("ov-iad", {"words": "names"}, "give their names as vocabulary too"),
        ("ov-iad", {"vocabulary": ["a", "a"]}, "'a' is no name of one type"),
        ("ov-iad", {"vocabulary": ["good"]}, "'good' is no name of one type"),
    ],
)
def test_a_number_out_of_bounds_is_refused(method: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        catalog.detector(method, "embedded", arguments)


@pytest.mark.parametrize("method", catalog.METHODS)
def test_what_a_method_has_by_itself_is_allowed(method: str) -> None:
    made: Any = catalog.method(method)
    known = annotations_of(made)
    defaults = {name: each.default for name, each in signature(made).parameters.items() if name in known}
    catalog.require_arguments(
        method, {name: value for name, value in defaults.items() if value not in (None, Parameter.empty)}
    )


def test_switches_may_be_written_as_the_reference_prints_them() -> None:
    found = arguments_of(["frequency=None", "graph=False", "plus=true", "words=names"])
    assert found == {"frequency": None, "graph": False, "plus": True, "words": "names"}
