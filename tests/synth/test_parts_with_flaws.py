from __future__ import annotations

import numpy as np
import pytest

from blemish.synth.parts_with_flaws import draw_on_part
from blemish.tuning.bench import GENERATORS

GOOD, OTHER = (
    np.random.default_rng(seed).integers(90, 160, (96, 140, 3), dtype=np.uint8) for seed in (0, 1)
)  # fmt: skip


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("size", [0.4, 1.0])
def test_a_flaw_changes_the_picture_where_its_mask_says(generator: str, size: float) -> None:
    found, again = (
        draw_on_part(GOOD, OTHER[:50], np.random.default_rng(3), generator=generator, size=size, contrast=1.0)
        for _ in range(2)
    )
    assert found
    assert again
    flawed, mask = found
    assert (flawed == again[0]).all()
    assert flawed.shape == GOOD.shape
    assert mask.any()
    assert (flawed == GOOD)[~mask].all()
    assert (flawed != GOOD).any(2)[mask].mean() > 0.5
    extent = [np.ptp(np.flatnonzero(mask.any(axis))) + 1 for axis in (0, 1)]
    assert max(extent) <= max(32, size * 96)


def test_less_contrast_changes_less() -> None:
    def change(contrast: float) -> float:
        rng = np.random.default_rng(5)
        found = draw_on_part(GOOD, OTHER, rng, generator="cutpaste", size=1.0, contrast=contrast)
        assert found
        return float(np.abs(found[0].astype(int) - GOOD)[found[1]].mean())

    assert change(0.3) < 0.5 * change(1.0)


def test_flaws_lie_on_the_part() -> None:
    part = np.zeros(GOOD.shape[:2], bool)
    part[20:60, 70:120] = True
    found = [
        draw_on_part(GOOD, OTHER, np.random.default_rng(seed), generator="scar", size=0.5, contrast=1.0, part=part)
        for seed in range(8)
    ]
    masks = [each[1] for each in found if each]
    assert len(masks) > 4
    assert min(part[mask].mean() for mask in masks) >= 0.8


def test_large_pictures_have_large_flaws() -> None:
    large = np.random.default_rng(0).integers(90, 160, (1500, 1000, 3), dtype=np.uint8)
    found = draw_on_part(large, large[::-1], np.random.default_rng(0), generator="cutpaste", size=1.0, contrast=1.0)
    assert found
    assert found[1].sum() > 10_000


def test_where_nothing_can_be_seen_there_is_no_flaw() -> None:
    black = np.zeros((64, 64, 3), np.uint8)
    assert draw_on_part(black, black, np.random.default_rng(0), generator="cutpaste", size=0.5, contrast=0.3) is None
