from __future__ import annotations

import numpy as np
import pytest

from blemish.errors import UnknownName
from blemish.synth.augment import AUGMENTATIONS, make_defect
from blemish.synth.drawn.scene import Colours

every = pytest.mark.parametrize("name", sorted(AUGMENTATIONS))


def picture(seed: int, height: int = 48, width: int = 64) -> Colours:
    """Random colours, smooth over eight pixels."""
    coarse = np.random.default_rng(seed).random((height // 8, width // 8, 3), dtype=np.float32)
    return np.kron(coarse, np.ones((8, 8, 1), np.float32)) * np.float32(0.6) + np.float32(0.2)


@every
def test_it_changes_the_part_where_the_mask_says_and_nowhere_else(name: str) -> None:
    good, other = picture(0), picture(1)
    for seed in range(5):
        flawed, mask = make_defect(name, good, np.random.default_rng(seed), other)
        assert flawed.shape == good.shape
        assert flawed.dtype == np.float32
        assert float(flawed.min()) >= 0
        assert float(flawed.max()) <= 1
        assert mask.shape == good.shape[:2]
        assert 0 < mask.mean() < 0.9
        changed = np.abs(flawed - good).max(axis=2)
        assert float(changed[~mask].max(initial=0)) <= 1 / 100
        assert float(changed[mask].mean()) > 1 / 100
    assert np.array_equal(good, picture(0))


@every
def test_the_same_random_numbers_give_the_same_defect(name: str) -> None:
    one, again, other = (make_defect(name, picture(0), np.random.default_rng(seed), picture(1)) for seed in (3, 3, 4))
    assert np.array_equal(one[0], again[0])
    assert np.array_equal(one[1], again[1])
    assert not np.array_equal(one[0], other[0])


def test_where_nothing_can_be_seen_the_part_stays_good() -> None:
    black = np.zeros((32, 32, 3), np.float32)
    flawed, mask = make_defect("nsa", black, np.random.default_rng(0), black)
    assert not mask.any()
    assert np.array_equal(flawed, black)


def test_a_name_that_is_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownName, match=r"no augmentation 'rust': choose from cutpaste, draem, drawn"):
        make_defect("rust", picture(0), np.random.default_rng(0), picture(1))


def test_of_several_generators_each_is_drawn_at_times() -> None:
    part = np.full((64, 64, 3), 0.5, np.float32)
    for seed in range(6):
        rng, alone = np.random.default_rng(seed), np.random.default_rng(seed)
        chosen = ["cutpaste", "scar"][int(alone.integers(2))]
        found, mask = make_defect("cutpaste+scar", part, rng, part)
        expected, place = make_defect(chosen, part, alone, part)
        assert np.array_equal(found, expected)
        assert np.array_equal(mask, place)
