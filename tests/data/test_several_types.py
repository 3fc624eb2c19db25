"""Pictures of several types."""

from __future__ import annotations

from pathlib import Path

import pytest

from blemish.data.several_types import join_types, spelling_of, types_of
from blemish.types import Sample


@pytest.mark.parametrize(
    ("label", "types"),
    [
        ("crack", ("crack",)),
        ("crack+stain", ("crack", "stain")),
        ("stain; crack;stain;", ("stain", "crack")),
        ("good", ()),
        ("", ()),
    ],
)
def test_a_label_may_name_several_types(label: str, types: tuple[str, ...]) -> None:
    assert types_of(Sample(Path("1.png"), label)) == types


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Bright_Line", "bright line", True),
        ("new\nline", "new line", True),
        ("caf\u00e9", "cafe\u0301", True),
        ("\u0915\u0940", "\u0915\u093e", False),  # Hindi: other vowels, which are marks and no letters
        ("!!!", "???", False),
        ("type 1", "type 2", False),
    ],
)
def test_spellings_of_one_name_are_known(one: str, other: str, same: bool) -> None:
    assert (spelling_of(one) == spelling_of(other)) == same


def test_the_same_picture_under_several_types_is_one_with_all_of_them(tmp_path: Path) -> None:
    bytes_of = {"a.png": b"one", "b.png": b"one", "c.png": b"two", "d.png": b"one", "e.png": b"one"}
    for name, data in bytes_of.items():
        (tmp_path / name).write_bytes(data)
    labels = ["crack", "stain", "hole", "crack", "good"]
    samples = [
        Sample(tmp_path / name, label, (Path(f"{label}.png"),)) for name, label in zip(bytes_of, labels, strict=True)
    ]
    first, other, good = join_types(samples)
    assert first == Sample(tmp_path / "a.png", "crack+stain", (Path("crack.png"), Path("stain.png")))
    assert (other, good) == (samples[2], samples[4])
    assert join_types(samples[2:]) == samples[2:]
