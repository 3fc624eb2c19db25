from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.support import pictures

from blemish.errors import BadImage, BadInput
from blemish.images import decode, find, keyed_batches, read


def numbered() -> Iterator[Path]:
    return (Path(str(number)) for number in count())


def decoders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("blemish-decode")]


def test_results_come_in_order_whichever_is_ready_first() -> None:
    def slow_first(path: Path) -> int:
        time.sleep(0.02 if int(path.name) % 4 == 0 else 0)
        return int(path.name)

    results = list(decode(islice(numbered(), 30), slow_first, threads=4))
    assert results == [(Path(str(number)), number) for number in range(30)]


def test_a_bad_file_is_yielded_and_the_others_go_on(tmp_path: Path) -> None:
    Image.fromarray(pictures.ramp()).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("words")
    (_, first), (path, second), (_, third) = decode([tmp_path / "a.png", tmp_path / "b.png", tmp_path / "a.png"], read)
    assert isinstance(second, BadImage)
    assert path == tmp_path / "b.png"
    assert isinstance(first, np.ndarray)
    assert isinstance(third, np.ndarray)


def test_any_other_error_is_raised_and_the_threads_end() -> None:
    def broken(path: Path) -> int:
        return 1 // (int(path.name) - 3)

    results = decode(numbered(), broken, threads=2)
    with pytest.raises(ZeroDivisionError):
        list(results)
    assert not decoders()


def test_endless_paths_are_taken_only_a_little_ahead() -> None:
    taken = 0

    def counted() -> Iterator[Path]:
        nonlocal taken
        for path in numbered():
            taken += 1
            yield path

    results = decode(counted(), str, threads=2, ahead=5)
    assert taken == 0
    for number in range(50):
        next(results)
        assert taken <= number + 1 + 5
    results.close()  # type: ignore[attr-defined]


def test_closing_early_ends_the_threads() -> None:
    results = decode(numbered(), str, threads=3)
    next(results)
    assert decoders()
    results.close()  # type: ignore[attr-defined]
    assert not decoders()


def test_threads_work_at_the_same_time() -> None:
    barrier = threading.Barrier(3, timeout=10)
    assert len(list(decode(islice(numbered(), 3), lambda path: barrier.wait(), threads=3))) == 3


def test_one_item_needs_no_thread() -> None:
    here = threading.current_thread()
    assert list(decode([1], lambda item: threading.current_thread())) == [(1, here)]
    assert here not in dict(decode([1, 2], lambda item: threading.current_thread())).values()


@pytest.mark.parametrize(("threads", "ahead"), [(0, 1), (1, 0)])
def test_no_threads_or_no_look_ahead_is_refused(threads: int, ahead: int) -> None:
    with pytest.raises(BadInput, match="at least 1"):
        decode([], str, threads=threads, ahead=ahead)


def test_batches_hold_consecutive_pictures_of_one_shape() -> None:
    images = [np.full((3, 2, width), number / 9, np.float32) for number, width in enumerate([4, 4, 4, 5, 5, 4])]
    found = [batch for _, batch in keyed_batches(((None, image) for image in images), 2)]
    assert [tuple(batch.shape) for batch in found] == [(2, 3, 2, 4), (1, 3, 2, 4), (2, 3, 2, 5), (1, 3, 2, 4)]
    assert [float(image[0, 0, 0]) for batch in found for image in batch] == pytest.approx([n / 9 for n in range(6)])


def test_a_full_batch_does_not_wait_for_the_next_picture() -> None:
    taken = []

    def images() -> Iterator[tuple[int, NDArray[Any]]]:
        for number in count():
            taken.append(number)
            yield number, np.zeros((3, 2, 2), np.float32)

    keys, batch = next(keyed_batches(images(), 3))
    assert (keys, len(batch), taken) == ([0, 1, 2], 3, [0, 1, 2])


def test_batches_of_none_are_refused() -> None:
    with pytest.raises(BadInput, match="at least 1"):
        keyed_batches([], 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b/2.PNG", "b/1.jpg", "a.tif", "notes.txt", ".hidden.png", ".cache/x.png", "b/.x.png", "z.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_is_its_pictures_sorted_without_hidden_ones(folder: Path) -> None:
    assert [str(path.relative_to(folder)) for path in find([folder])] == ["a.tif", "b/1.jpg", "b/2.PNG", "z.webp"]


def test_a_named_file_is_kept_and_each_comes_once_in_the_order_named(folder: Path) -> None:
    found = find([folder / "z.webp", folder / "notes.txt", folder / ".hidden.png", str(folder)])
    assert [path.name for path in found] == ["z.webp", "notes.txt", ".hidden.png", "a.tif", "1.jpg", "2.PNG"]


def test_a_glob_is_expanded(folder: Path) -> None:
    assert [path.name for path in find([folder / "**" / "*.*g"])] == ["1.jpg"]
    assert [path.name for path in find([str(folder / "[a-b]*")])] == ["a.tif"]


def test_a_name_with_brackets_is_a_file_before_it_is_a_glob(folder: Path) -> None:
    (folder / "part[1].png").touch()
    assert find([folder / "part[1].png"]) == [folder / "part[1].png"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("gone.png", "does not exist"), ("*.bmp", "matches no picture"), (".cache/empty", "no picture")],
)
def test_a_name_that_leads_nowhere_is_a_bad_image(folder: Path, name: str, reason: str) -> None:
    os.mkdir(folder / ".cache" / "empty")
    with pytest.raises(BadImage, match=reason) as caught:
        find([folder / name])
    assert name in str(caught.value)
