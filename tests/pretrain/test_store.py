from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support.small import PRODUCTS, SIDE, photographs, several, stored, twins

from blemish.errors import BadInput, CannotWrite
from blemish.pretrain.store import UNKNOWN, Entry, Store


def assert_same(one: Store, other: Store) -> None:
    assert one.facts == other.facts
    assert np.array_equal(one.pictures, other.pictures)
    assert np.array_equal(one.masks, other.masks)


def cut_off(count: int) -> Iterator[list[Entry]]:
    """Twins, and then Ctrl-C."""
    yield from several(count)
    raise KeyboardInterrupt


def test_what_was_filled_in_is_read_again(tmp_path: Path) -> None:
    store = stored(tmp_path, 3, photos=1)
    again = Store(tmp_path, SIDE)
    assert len(store) == len(again) == 7
    assert_same(again, store)
    for number in range(3):
        for at, entry in enumerate(twins(number), start=2 * number):
            assert np.array_equal(again.pictures[at], entry.picture)
            assert np.array_equal(again.masks[at], entry.mask)
    assert again.facts[3] == {"product": list(PRODUCTS[1]), "family": "dent", "group": 2}
    assert again.facts[6]["family"] == UNKNOWN


def test_twins_are_told_from_single_pictures(tmp_path: Path) -> None:
    assert stored(tmp_path, 2, photos=2).groups() == ([(0, 1), (2, 3)], [4, 5])


def test_an_interrupted_fill_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path / "cut", SIDE).fill(cut_off(2), 8)
    store = Store(tmp_path / "cut", SIDE)
    assert len(store) == 4
    store.fill((twins(number) for number in range(2, 4)), 8)
    assert_same(store, stored(tmp_path / "whole", 4))
    assert_same(Store(tmp_path / "cut", SIDE), store)


def test_an_interruption_before_the_first_picture_loses_nothing(tmp_path: Path) -> None:
    before = stored(tmp_path, 2)
    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path, SIDE).fill(cut_off(0), 8)
    assert_same(Store(tmp_path, SIDE), before)


def test_a_line_that_was_cut_off_is_written_again(tmp_path: Path) -> None:
    whole = stored(tmp_path / "whole", 3)
    stored(tmp_path / "cut", 3)
    facts = tmp_path / "cut" / "facts.jsonl"
    lines = facts.read_text(encoding="utf-8").splitlines(keepends=True)
    facts.write_text("".join(lines[:4]) + lines[4][:20], encoding="utf-8")
    store = Store(tmp_path / "cut", SIDE)
    assert len(store) == 4
    store.fill([twins(2)], 6)
    assert_same(store, whole)
    assert [json.loads(line) for line in facts.read_text(encoding="utf-8").splitlines()] == whole.facts


def test_twins_that_do_not_both_fit_are_left_out(tmp_path: Path) -> None:
    store = Store(tmp_path, SIDE)
    store.fill(several(5), 5)
    assert len(store) == 4
    store.fill(several(5), 4)
    assert len(store) == 4


def test_a_store_grows_and_keeps_what_it_has(tmp_path: Path) -> None:
    store = stored(tmp_path / "grown", 2)
    before = store.pictures.copy(), store.masks.copy()
    store.fill((twins(number) for number in range(2, 5)), 10)
    assert len(store) == 10
    assert np.array_equal(store.pictures[:4], before[0])
    assert np.array_equal(store.masks[:4], before[1])
    assert_same(store, stored(tmp_path / "whole", 5))
    assert not list((tmp_path / "grown").glob("*.part"))


def test_pictures_of_another_side_are_refused(tmp_path: Path) -> None:
    stored(tmp_path, 1)
    other = Store(tmp_path, 2 * SIDE)
    for use in (lambda: other.pictures, lambda: other.masks, lambda: other.fill(several(2, 2 * SIDE), 4)):
        with pytest.raises(BadInput, match=r"npy holds pictures of \(64, 64(, 3)?\).*choose another folder"):
            use()
    assert len(Store(tmp_path, SIDE)) == 2


def test_features_count_once_all_pictures_have_them(tmp_path: Path) -> None:
    store = stored(tmp_path, 2)
    assert not store.has("grey")
    assert store.known("grey") == 0
    np.save(tmp_path / "grey.npy", np.zeros((4, 3, 2, 2), np.float16))
    assert store.has("grey")
    assert store.features("grey").shape == (4, 3, 2, 2)
    store.fill(photographs(1), 5)
    assert not store.has("grey")
    assert store.known("grey") == 4


def test_all_that_will_be_written_has_room_on_the_disk_before(tmp_path: Path) -> None:
    store = Store(tmp_path, SIDE)
    with pytest.raises(KeyboardInterrupt):
        store.fill(cut_off(0), 40)
    for name in ("pictures", "masks"):
        found = (tmp_path / f"{name}.npy").stat()
        assert 512 * found.st_blocks >= found.st_size > 40 * SIDE**2


@pytest.mark.parametrize("before", [0, 2])
def test_a_full_disk_is_told_before_anything_is_drawn_and_what_is_there_stays(
    before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(tmp_path, before)
    with monkeypatch.context() as patch:

        def refuse(descriptor: int, start: int, size: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(os, "posix_fallocate", refuse)
        with pytest.raises(CannotWrite, match=r"\(the disk is full\): make room, and run the same command again"):
            Store(tmp_path, SIDE).fill(cut_off(0), 40)
    assert not list(tmp_path.glob("*.part"))
    store = Store(tmp_path, SIDE)
    assert len(store) == 2 * before
    store.fill((twins(number) for number in range(before, 3)), 6)
    assert_same(store, stored(tmp_path / "whole", 3))


def test_an_empty_store_has_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path, SIDE)
    assert len(store) == 0
    assert store.groups() == ([], [])
    assert not store.has("grey")
