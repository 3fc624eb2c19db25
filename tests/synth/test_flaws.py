"""Flaws change a scene where their mask says, for every family, and phrases name them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from blemish.errors import BadInput
from blemish.synth.drawn.flaws.flaws import FLAWS, add_flaw, fits
from blemish.synth.drawn.scene import Mask, Piece, Plane, Scene, Surface
from blemish.synth.drawn.words import BAD, GOOD, SYNONYMS, TEMPLATES, flaw_sentence, photo, with_article, word_list

SIDE, DRAWS = 80, 6
each_family = pytest.mark.parametrize("family", sorted(FLAWS))


def sheet(rng: np.random.Generator, level: float) -> Surface:
    """A plain sheet with a faint texture."""
    texture = rng.normal(0, 0.01, (SIDE, SIDE, 1)) * np.ones(3)
    plane = np.zeros((SIDE, SIDE), np.float32)
    return Surface((level + texture).astype(np.float32), plane, plane + np.float32(0.4))


def flat(rng: np.random.Generator) -> Scene:
    return Scene(sheet(rng, float(rng.uniform(0.2, 0.8))), np.ones((SIDE, SIDE), np.bool_), grain=0.4)


def disc(rng: np.random.Generator) -> Scene:
    """A round part on a ground, with dark bars of different lengths on it."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    part = np.hypot(x, y) < 0.4 * SIDE
    under, behind = sheet(rng, 0.6), sheet(rng, 0.9)
    under.albedo[~part], under.gloss[~part] = behind.albedo[~part], behind.gloss[~part]
    masks = [(np.abs(x - 16 * left) < 3) & (np.abs(y) < high) for left, high in ((-1, 8), (0, 5), (1, 8))]
    surface = under.copy()
    for mask in masks:
        surface.albedo[mask], surface.height[mask] = 0.2, 1.5
    return Scene(surface, part, behind, [Piece("bar", mask, under) for mask in masks], grain=1.0)


def scene_for(family: str, rng: np.random.Generator, number: int) -> Scene:
    plain = FLAWS[family].where in ("any", "surface") and number % 2 == 0
    return flat(rng) if plain else disc(rng)


def change(before: Surface, after: Surface) -> Plane:
    """The largest difference of colour, relief (a pixel counts as 1) or gloss at each pixel."""
    colour = np.abs(after.albedo - before.albedo).max(axis=-1)
    rest = np.maximum(np.abs(after.height - before.height), np.abs(after.gloss - before.gloss))
    largest: Plane = np.maximum(colour, rest)
    return largest


def drawn(family: str, seed: int) -> tuple[Scene, Scene, Mask | None]:
    rng = np.random.default_rng(seed)
    scene = scene_for(family, rng, seed)
    good = scene.copy()
    return good, scene, FLAWS[family].apply(scene, rng)


@each_family
def test_a_flaw_shows_where_its_mask_says(family: str) -> None:
    found = 0
    for seed in range(DRAWS):
        good, scene, mask = drawn(family, seed)
        differs = change(good.surface, scene.surface)
        if mask is None:
            assert differs.max() == 0
            continue
        found += 1
        assert 0 < mask.mean() <= 0.7
        assert differs[mask].max() > 0.03
        assert np.abs(scene.surface.albedo - good.surface.albedo)[~mask].mean() < 0.01
    assert found >= DRAWS // 2


@each_family
def test_what_a_flaw_leaves_is_still_a_surface(family: str) -> None:
    _, scene, _ = drawn(family, 3)
    surface = scene.surface
    assert {plane.dtype for plane in (surface.albedo, surface.height, surface.gloss)} == {np.dtype(np.float32)}
    assert scene.part.dtype == np.bool_
    assert np.isfinite(surface.height).all()
    assert 0 <= surface.albedo.min() <= surface.albedo.max() <= 1
    assert 0 <= surface.gloss.min() <= surface.gloss.max() <= 1


@each_family
def test_the_same_seed_gives_the_same_flaw(family: str) -> None:
    (_, first, mask), (_, second, again) = drawn(family, 5), drawn(family, 5)
    assert np.array_equal(first.surface.albedo, second.surface.albedo)
    assert np.array_equal(first.surface.height, second.surface.height)
    assert (mask is None) == (again is None)


@each_family
def test_nothing_is_drawn_where_nothing_fits(family: str) -> None:
    rng = np.random.default_rng(0)
    scene = flat(rng)
    if FLAWS[family].where in ("part", "pieces"):
        good = scene.copy()
        assert not fits(FLAWS[family], scene)
        assert FLAWS[family].apply(scene, rng) is None
        assert change(good.surface, scene.surface).max() == 0


@pytest.mark.parametrize("make", [flat, disc])
def test_a_family_is_chosen_that_fits(make: Callable[[np.random.Generator], Scene]) -> None:
    names = set()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        name, mask = add_flaw(make(rng), rng)
        assert mask.any()
        names.add(name)
    assert len(names) > 6


def test_a_wanted_family_is_drawn_or_refused() -> None:
    rng = np.random.default_rng(1)
    assert add_flaw(flat(rng), rng, "hole")[0] == "hole"
    with pytest.raises(BadInput, match="no flaw fits"):
        add_flaw(flat(rng), rng, "missing")
    with pytest.raises(BadInput, match="unknown family"):
        add_flaw(flat(rng), rng, "gremlin")


def test_a_missing_piece_is_no_longer_among_the_pieces() -> None:
    rng = np.random.default_rng(2)
    scene = disc(rng)
    add_flaw(scene, rng, "missing")
    assert len(scene.pieces) == 2


def test_a_break_takes_the_part_away() -> None:
    scenes = [drawn("break", seed) for seed in range(1, 12, 2)]
    assert any(scene.part.sum() < 0.95 * good.part.sum() for good, scene, _ in scenes)


def test_words_are_unique_within_a_family_and_synonyms_are_families() -> None:
    assert all(len(set(flaw.words)) == len(flaw.words) for flaw in FLAWS.values())
    assert set(SYNONYMS) | set().union(*SYNONYMS.values()) <= set(FLAWS)
    assert all(frame.count("{}") == 1 for frame in (*GOOD, *BAD, *TEMPLATES))


def test_every_sentence_about_a_flaw_is_in_the_vocabulary() -> None:
    rng, known = np.random.default_rng(4), {*word_list(), "bottle"}
    for family in FLAWS:
        for _ in range(8):
            words = photo(flaw_sentence("bottle", family, rng), rng).replace(",", "").replace(".", "").split()
            assert set(words) <= known


def test_articles() -> None:
    assert [with_article(noun) for noun in ("crack", "oil stain", "scratches", "pitting", "rust")] == [
        "a crack",
        "an oil stain",
        "scratches",
        "pitting",
        "rust",
    ]
