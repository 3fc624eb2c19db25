from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blemish.synth.drawn.optics import (
    CHANCES,
    KINDS,
    Camera,
    Light,
    draw_camera,
    draw_light,
    illuminate,
    meter,
    photograph,
)
from blemish.synth.drawn.scene import Surface

SIDE = 64


def flat(grey: float = 0.5) -> Surface:
    plane = np.zeros((SIDE, SIDE), np.float32)
    return Surface(np.full((SIDE, SIDE, 3), grey, np.float32), plane, plane.copy())


def drawn(seed: int) -> tuple[Light, Camera]:
    rng = np.random.default_rng(seed)
    return draw_light(rng), draw_camera(rng)


@pytest.mark.parametrize("seed", range(20))
def test_any_light_and_camera_take_a_picture(seed: int) -> None:
    light, camera = drawn(seed)
    rough = flat()
    rough.height[:] = np.random.default_rng(seed).normal(size=(SIDE, SIDE))
    rough.gloss[:] = 0.8
    colours = illuminate(rough, light)
    assert colours.dtype == np.float32
    assert np.isfinite(colours).all()
    assert colours.min() >= 0
    picture = photograph(colours, camera)
    assert picture.shape == (SIDE, SIDE, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, photograph(illuminate(rough, light), camera))


def test_a_change_stays_where_it_is_but_for_blur() -> None:
    for seed in range(10):
        light, camera = drawn(seed)
        camera = replace(camera, quality=100, motion=0.0)
        first, second = flat(), flat()
        second.albedo[30:34, 30:34] = 0.1
        changed = photograph(illuminate(first, light), camera) != photograph(illuminate(second, light), camera)
        assert not changed[:16].any()
        assert not changed[:, 48:].any()


def test_a_monochrome_camera_sees_no_colour() -> None:
    surface = flat()
    surface.albedo[..., 0] = 0.9
    light, camera = drawn(0)
    for quality in (60, 100):
        picture = photograph(illuminate(surface, light), replace(camera, monochrome=True, quality=quality))
        assert np.array_equal(picture[..., 0], picture[..., 2])


def test_a_slope_towards_the_lamp_is_brighter() -> None:
    light = replace(drawn(0)[0], kind="directional", azimuth=0.0, elevation=0.6, ambient=0.2, distance=8.0, glare=0.0)
    towards, away = flat(), flat()
    towards.height[:] = -0.3 * np.arange(SIDE)
    away.height[:] = 0.3 * np.arange(SIDE)
    assert illuminate(towards, light).mean() > 1.5 * illuminate(away, light).mean()


def test_an_operator_opens_the_lens_for_dark_parts() -> None:
    light, camera = drawn(0)
    assert meter(camera, illuminate(flat(0.05), light)).exposure > meter(camera, illuminate(flat(0.9), light)).exposure


def test_every_kind_of_light_is_drawn() -> None:
    assert sum(CHANCES) == pytest.approx(1)
    assert {drawn(seed)[0].kind for seed in range(100)} == set(KINDS)
