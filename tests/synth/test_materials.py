from __future__ import annotations

import numpy as np
import pytest

from blemish.synth.drawn.fields import (
    coordinates,
    fractal_noise,
    grain_noise,
    smooth_noise,
    stretched_noise,
    voronoi,
    warp,
)
from blemish.synth.drawn.materials.materials import MATERIALS
from blemish.synth.drawn.scene import Surface

SIDE = 64


def drawn(name: str, seed: int, side: int = SIDE) -> Surface:
    return MATERIALS[name].draw(np.random.default_rng(seed), side, 0.4)


@pytest.mark.parametrize("name", sorted(MATERIALS))
def test_a_material_is_a_sheet_in_range(name: str) -> None:
    for seed in range(3):
        surface = drawn(name, seed)
        assert surface.albedo.shape == (SIDE, SIDE, 3)
        assert surface.height.shape == surface.gloss.shape == (SIDE, SIDE)
        for plane in (surface.albedo, surface.height, surface.gloss):
            assert plane.dtype == np.float32
            assert np.isfinite(plane).all()
        for plane in (surface.albedo, surface.gloss):
            assert plane.min() >= 0
            assert plane.max() <= 1


@pytest.mark.parametrize("name", sorted(MATERIALS))
def test_a_seed_says_what_is_drawn(name: str) -> None:
    before = np.random.get_state()[1].copy()  # type: ignore[index]
    first, again, other = drawn(name, 5), drawn(name, 5), drawn(name, 6)
    assert np.array_equal(first.albedo, again.albedo)
    assert np.array_equal(first.height, again.height)
    assert not np.array_equal(first.albedo, other.albedo)
    assert np.array_equal(before, np.random.get_state()[1])  # type: ignore[index]


def test_a_sheet_can_be_changed_in_place() -> None:
    for name in MATERIALS:
        surface = drawn(name, 1, 32)
        for plane in (surface.albedo, surface.height, surface.gloss):
            plane[:] = 0


def test_the_materials_are_many_and_named() -> None:
    assert len(MATERIALS) >= 36
    assert all(material.words for material in MATERIALS.values())
    firsts = [material.words[0] for material in MATERIALS.values()]
    assert len(set(firsts)) == len(firsts)


@pytest.mark.parametrize("angle", [0.0, 0.7, np.pi / 2, 3.0])
def test_noise_covers_the_picture_in_every_direction(angle: float) -> None:
    noise = stretched_noise(np.random.default_rng(0), SIDE, 3.0, 6.0, angle)
    assert noise.shape == (SIDE, SIDE)
    for corner in (noise[:8, :8], noise[:8, -8:], noise[-8:, :8], noise[-8:, -8:]):
        assert corner.std() > 0.1


def test_noise_has_about_unit_deviation() -> None:
    rng = np.random.default_rng(0)
    for noise in (smooth_noise(rng, 256, 6), fractal_noise(rng, 256, 12), grain_noise(rng, 256, 3)):
        assert abs(noise.mean()) < 0.3
        assert 0.7 < noise.std() < 1.3


def test_stretched_noise_changes_slowly_along_its_angle() -> None:
    noise = stretched_noise(np.random.default_rng(0), 128, 3.0, 10.0, np.pi / 2)
    assert np.abs(np.diff(noise, axis=0)).mean() < 0.4 * np.abs(np.diff(noise, axis=1)).mean()


def test_cells_of_squares_are_squares() -> None:
    found = voronoi(np.random.default_rng(0), SIDE, 8.0, jitter=0.0)
    assert found.edge.min() >= 0
    assert found.edge.max() <= 4.01
    assert found.distance.max() <= 4.01 * 2**0.5
    assert found.ids.min() >= 0
    assert found.ids.max() < found.total
    assert 64 <= len(np.unique(found.ids)) <= 100


def test_warping_moves_what_is_there() -> None:
    x, _ = coordinates(SIDE)
    moved = warp(x, np.random.default_rng(0), 2.0, 16.0)
    assert 0.5 < np.abs(moved - x).mean() < 5
