"""Every part: a scene in range, with an outline, and pieces that can be taken away."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from blemish.synth.drawn.outlines import (
    around,
    bevel,
    blend,
    box,
    cells,
    circle,
    dome,
    fill_outline,
    frame,
    lattice,
    overlap,
    path,
    polygon,
    ring,
    slot,
    subtract,
    union,
)
from blemish.synth.drawn.parts.parts import PARTS
from blemish.synth.drawn.scene import Scene, Surface

SIDE = 64
SEEDS = range(3)
each_part = pytest.mark.parametrize("name", PARTS)


@cache
def drawn(name: str, seed: int) -> Scene:
    return PARTS[name].draw(np.random.default_rng(seed), SIDE)


def planes(surface: Surface) -> tuple[np.ndarray, ...]:
    return surface.albedo, surface.height, surface.gloss


def test_there_are_many_parts_and_each_has_a_name() -> None:
    assert len(PARTS) >= 25
    assert all(part.words and all(part.words) for part in PARTS.values())


@each_part
def test_a_scene_has_the_shapes_and_ranges_of_a_surface(name: str) -> None:
    for scene in (drawn(name, seed) for seed in SEEDS):
        for surface in (scene.surface, *([scene.behind] if scene.behind else [])):
            assert surface.albedo.shape == (SIDE, SIDE, 3)
            assert surface.height.shape == surface.gloss.shape == (SIDE, SIDE)
            assert {plane.dtype for plane in planes(surface)} == {np.dtype(np.float32)}
            assert all(np.isfinite(plane).all() for plane in planes(surface))
        assert 0 <= scene.surface.albedo.min() <= scene.surface.albedo.max() <= 1
        assert 0 <= scene.surface.gloss.min() <= scene.surface.gloss.max() <= 1


@each_part
def test_a_part_covers_some_of_the_picture(name: str) -> None:
    for scene in (drawn(name, seed) for seed in SEEDS):
        assert scene.part.shape == (SIDE, SIDE)
        assert scene.part.dtype == np.bool_
        assert scene.behind is None or 0.03 < scene.part.mean() < 0.97
        assert scene.product
        assert scene.material


@each_part
def test_the_same_seed_draws_the_same_part(name: str) -> None:
    again = PARTS[name].draw(np.random.default_rng(0), SIDE)
    assert np.array_equal(again.part, drawn(name, 0).part)
    for one, other in zip(planes(again.surface), planes(drawn(name, 0).surface), strict=True):
        assert np.array_equal(one, other)


@each_part
def test_another_seed_draws_another_picture(name: str) -> None:
    assert np.abs(drawn(name, 0).surface.albedo - drawn(name, 1).surface.albedo).mean() > 0.002


@each_part
def test_taking_a_piece_away_changes_the_picture_there(name: str) -> None:
    for seed in SEEDS:
        scene = drawn(name, seed)
        for piece in scene.pieces:
            assert piece.mask.shape == (SIDE, SIDE)
            assert piece.mask.dtype == np.bool_
            assert piece.mask.any()
            assert piece.name
            pairs = zip(planes(scene.surface), planes(piece.under), strict=True)
            assert max(np.abs(one - other)[piece.mask].max() for one, other in pairs) > 1e-3


def test_pieces_laid_together_share_what_lies_under_them() -> None:
    """A copy each would cost a megabyte a piece at the sides that are trained with."""
    for name in PARTS:
        pieces = drawn(name, 0).pieces
        assert len({id(piece.under) for piece in pieces}) <= 4


def test_distances_are_distances() -> None:
    at = frame(SIDE, 1.0)
    middle = SIDE // 2
    step = 2 / SIDE
    assert circle(at, 0.5)[middle, middle] == pytest.approx(-0.5, abs=step)
    assert box(at, 0.5, 0.25)[middle, middle] == pytest.approx(-0.25, abs=step)
    assert ring(at, 0.5, 0.7)[middle, middle] == pytest.approx(0.5, abs=step)
    assert slot(at, 0.3, 0.2)[middle, middle] == pytest.approx(-0.2, abs=step)
    assert polygon(at, 6, 0.5)[middle, middle] == pytest.approx(-0.5, abs=step)
    line = path(at, np.array([(-0.5, 0.25), (0.5, 0.25)], np.float32))
    assert line[middle, middle] == pytest.approx(0.25, abs=step)


def test_a_turned_and_moved_frame_keeps_areas() -> None:
    areas = [
        fill_outline(box(frame(SIDE, 0.8, 0.05, -0.03, angle), 0.6, 0.4), frame(SIDE, 0.8).scale).sum()
        for angle in (0.0, 0.4, 1.2)
    ]
    assert areas == pytest.approx([areas[0]] * 3, rel=0.02)


def test_sets_of_outlines() -> None:
    at = frame(SIDE, 1.0)
    one, other = circle(at.at(-0.2, 0.0), 0.4), circle(at.at(0.2, 0.0), 0.4)
    inside_one, inside_other = one < 0, other < 0
    assert np.array_equal(union(one, other) < 0, inside_one | inside_other)
    assert np.array_equal(overlap(one, other) < 0, inside_one & inside_other)
    assert not (subtract(one, other) < 0)[inside_other].any()
    assert ((blend(one, other, 0.2) < 0) >= (inside_one | inside_other)).all()


def test_profiles_rise_from_the_edge_inwards() -> None:
    distance = np.linspace(0.2, -0.5, 30, dtype=np.float32)
    for rise in (bevel(distance, 0.3), dome(distance, 0.3)):
        assert rise[0] == 0
        assert rise[-1] == 1
        assert (np.diff(rise) >= 0).all()


def test_cells_count_from_the_nearest_centre() -> None:
    at = frame(SIDE, 1.0)
    places = cells(at, lattice(2, 2, 1.0, 1.0))
    assert sorted(np.unique(places.number)) == [0, 1, 2, 3]
    assert places.number[0, 0] == 0
    assert places.number[-1, -1] == 3
    assert np.hypot(places.frame.x, places.frame.y).max() < 0.75
    assert around(4, 0.5).shape == (4, 2)
