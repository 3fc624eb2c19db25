from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.support.pictures import ramp

from blemish.errors import BadImage, BadInput
from blemish.images import Source, find, read, read_source, source_of

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WebP")


@pytest.mark.parametrize("form", FORMATS)
def test_bytes_are_the_file(tmp_path: Path, form: str) -> None:
    path, memory = tmp_path / "a", io.BytesIO()
    Image.fromarray(ramp()).save(memory, form)
    path.write_bytes(memory.getvalue())
    found = read_source(Source(memory.getvalue(), "camera 1"))
    assert np.array_equal(found, read(path))
    with pytest.raises(BadImage, match="camera 1"):
        read_source(Source(memory.getvalue()[:-40], "camera 1"))


@pytest.mark.parametrize("shape", ["HWC of numpy", "CHW of torch"])
def test_an_array_is_its_pixels(shape: str) -> None:
    pixels = ramp()
    content = pixels if shape == "HWC of numpy" else torch.from_numpy(pixels).permute(2, 0, 1)
    found = read_source(Source(content, "frame"))
    assert found.dtype == np.uint8
    assert np.array_equal(found.transpose(1, 2, 0), pixels)
    pixels[:] = 0
    assert found.any()


def test_grey_deep_and_float_arrays_are_rgb_in_one_range() -> None:
    deep = np.full((4, 5), 4095, np.uint16)
    assert np.array_equal(read_source(Source(deep, "a"), white=4095), np.ones((3, 4, 5)))
    assert float(read_source(Source(deep, "a")).max()) == pytest.approx(4095 / 65535)
    assert np.array_equal(read_source(Source(np.full((4, 5, 1), 0.5), "a")), np.full((3, 4, 5), 0.5))


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((4, 5, 2)), r"an array of \[2, 4, 5\]"),
        (np.zeros((0, 5, 3)), "an array of"),
        (np.zeros((4, 5, 3), np.int32), "of int32: give uint8"),
        (np.zeros((4, 5, 3), np.uint32), "of uint32: give uint8"),
        (np.full((4, 5, 3), np.nan), "outside 0 to 1"),
        (np.full((4, 5, 3), 7.0), "outside 0 to 1"),
        (torch.zeros(4, 5, 3), "channels first"),
    ],
)
def test_an_array_that_is_no_picture_is_refused_by_its_name(array: object, reason: str) -> None:
    with pytest.raises(BadImage, match=f"^line 3 .*{reason}"):
        read_source(Source(array, "line 3"))  # type: ignore[arg-type]


def test_white_is_above_zero() -> None:
    with pytest.raises(BadInput, match="above 0"):
        read_source(Source(np.zeros((4, 5)), "a"), white=-1)


def test_a_path_is_called_what_it_was_given_as() -> None:
    assert source_of(Path("a/b.png")) == Source(Path("a/b.png"), "a/b.png")
    assert source_of(Source(b"", "x")).id == "x"


def test_what_exists_is_no_glob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a[/x].png", "lot[b]/1.png", "lotb/2.png", "lot[b].png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert find(["a["]) == [Path("a[/x].png")]
    assert find(["a[/x].png"]) == [Path("a[/x].png")]
    assert find(["a[/*.png"]) == [Path("a[/x].png")]
    assert find(["lot[b]/*.png"]) == [Path("lot[b]/1.png")]
    assert find([tmp_path / "lot[b]" / "[0-9].png"]) == [tmp_path / "lot[b]/1.png"]
    assert find(["lot[b].png"]) == [Path("lot[b].png")]
    assert find(["lot[a-c]/*"]) == [Path("lotb/2.png")]


def test_a_picture_counts_once_however_it_is_spelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "a.png").touch()
    (tmp_path / "link").symlink_to("many")
    monkeypatch.chdir(tmp_path)
    assert find(["./many", "many/", tmp_path / "many", "link", "many/*.png"]) == [Path("many/a.png")]


def test_a_path_may_be_a_string_and_what_is_none_is_refused_by_name(tmp_path: Path) -> None:
    assert source_of("a/b.png") == Source(Path("a/b.png"), "a/b.png")
    with pytest.raises(BadInput, match="7 is no picture: give a path"):
        source_of(7)  # type: ignore[arg-type]
