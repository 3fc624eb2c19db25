"""The view that good parts, and the time that is allowed, decide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.cli.test_inspect import lines, run

from blemish import encoders
from blemish.errors import BadInput
from blemish.images import WHOLE, Region, View
from blemish.recipes.recipe import load
from blemish.runs import views
from blemish.runs.parts import frame_parts
from blemish.runs.views import Sight, Wish, aspect_of, choose_view, count_tiles, part_size

ENCODER = encoders.load("test-tiny")
PADIM = ["--method", "padim", "--encoder", "test-tiny", "--set", "image_size=32", "--set", "channels=20"]
PADIM += ["--set", "layers=[1,2]"]


def drawn(path: Path, height: int, width: int, seed: int = 0, *, at: tuple[int, int] | None = None) -> Path:
    """Noise; with `at`, a bright part on a plain background instead, whose upper left corner is there."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(30, 38, (height, width, 3)) if at else rng.integers(100, 160, (height, width, 3))
    if at:
        pixels[at[0] : at[0] + height // 3, at[1] : at[1] + width // 4] += 150
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def many(folder: Path, count: int, height: int, width: int) -> list[Path]:
    return [drawn(folder / f"{seed}.png", height, width, seed) for seed in range(count)]


@pytest.mark.parametrize(
    ("size", "aspect"),
    [((100, 100), None), ((100, 174), None), ((100, 175), 1.75), ((300, 100), 0.333), ((10, 1000), 16.0)],
)
def test_parts_that_are_not_square_are_not_stretched_to_one(size: tuple[int, int], aspect: float | None) -> None:
    assert aspect_of(size) == aspect


def test_good_parts_decide_the_shape_unless_it_is_said(tmp_path: Path) -> None:
    good = [*many(tmp_path, 3, 40, 100), drawn(tmp_path / "odd.png", 64, 64)]
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    good.append(tmp_path / "torn.png")
    assert part_size(good) == (40, 100)

    def chosen(wish: Wish, view: View = WHOLE, good: list[Path] = good) -> View:
        return choose_view("padim", ENCODER, good, wish, view=view).view

    assert chosen(Wish()) == View(aspect=2.5)
    assert chosen(Wish(keep_aspect=True)) == View(keep_aspect=True)
    assert chosen(Wish(keep_aspect=False)) == WHOLE
    assert chosen(Wish(), View(tile=32, balance=1.0)) == View(tile=32, balance=1.0)
    assert chosen(Wish(), View(region=Region(0, 0, 40, 40))).aspect is None
    assert chosen(Wish(), good=[]) == WHOLE
    assert choose_view("aa-clip", ENCODER, good, Wish()).view == WHOLE


def timed(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], fixed: float = 0.0) -> list[str]:
    """Time goes by what is computed, 10 ms for the encoder's own side; returns the views that are measured."""
    asked = list[str]()

    def fit(*_: object, view: View, arguments: dict[str, Any], **__: object) -> Sight:
        asked.append(str(found := Sight(view, arguments.get("image_size", ENCODER.image_size))))
        return found

    def seconds(sight: Sight, *_: object, **__: object) -> float:
        return fixed + 0.01 * sight.passes(size, ENCODER.image_size)

    monkeypatch.setattr(views, "fit_detector", fit)
    monkeypatch.setattr(views, "seconds_of", seconds)
    return asked


def test_the_finest_view_is_taken_that_a_picture_has_time_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = ENCODER.image_size
    size = (7 * own, 7 * own)
    good = many(tmp_path, 2, *size)
    asked = timed(monkeypatch, size)

    def chosen(seconds: float) -> tuple[int | None, int | None]:
        found = choose_view("padim", ENCODER, good, Wish(allowed=seconds))
        assert f"of {1000 * seconds:g} allowed" in found.said[-1]
        return found.view.tile, found.arguments.get("image_size")

    assert chosen(0.011) == (None, None)
    assert chosen(0.041) == (None, 2 * own)
    third, sixth = (-(-7 * own // share) for share in (3, 6))
    assert chosen(0.011 + 0.01 * count_tiles(size, third)) == (third, None)
    assert chosen(99) == (sixth, None)  # finer ones would show no more than there is
    asked.clear()
    with pytest.raises(
        BadInput, match=f"may take 5 ms, and padim takes 10 even when it is seen whole at {own} px: allow"
    ):
        choose_view("padim", ENCODER, good, Wish(allowed=0.005))
    assert len(asked) == 1
    with pytest.raises(BadInput, match="--budget-ms chooses a view by good parts"):
        choose_view("padim", ENCODER, [], Wish(allowed=1))


def test_a_view_that_takes_longer_than_it_seemed_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (4 * ENCODER.image_size,) * 2
    good = many(tmp_path, 2, *size)
    asked = timed(monkeypatch, size)
    monkeypatch.setattr(views, "seconds_of", lambda sight, *_, **__: 0.01 if sight.view == WHOLE else 9.0)
    assert choose_view("padim", ENCODER, good, Wish(allowed=1.0)).view == WHOLE
    assert len(asked) == len(set(asked)) > 2


def test_small_pictures_are_seen_at_no_larger_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (ENCODER.image_size, ENCODER.image_size)
    asked = timed(monkeypatch, size)
    assert choose_view("padim", ENCODER, many(tmp_path, 2, *size), Wish(allowed=9.0)).view == WHOLE
    assert len(asked) == 1


def test_the_rectangle_of_all_good_parts_is_kept_where_it_is_sure(tmp_path: Path) -> None:
    good = [drawn(tmp_path / f"{n}.png", 90, 120, n, at=(20 + n, 30 + 2 * n)) for n in range(4)]
    view, said = frame_parts(good, WHOLE)
    assert view.region is not None
    x, y, width, height = view.region
    assert 22 <= x < 30
    assert 13 <= y < 20
    assert 36 + 30 < x + width <= 36 + 30 + 8
    assert 23 + 30 < y + height <= 23 + 30 + 8
    assert f"only the region {view.region} is inspected" in said
    unsure = [*good, drawn(tmp_path / "noise.png", 90, 120, 9)]
    for found, why in (
        (unsure, "of 5 good parts 1 are not told"),
        ([*good, drawn(tmp_path / "b.png", 50, 50)], "sizes"),
    ):
        view, said = frame_parts(found, WHOLE)
        assert view == WHOLE
        assert "the background is not left out" in said
        assert why in said
    with pytest.raises(BadInput, match="--part-only finds the region itself"):
        frame_parts(good, View(region=Region(0, 0, 9, 9)))


def test_commands_keep_the_shape_of_good_parts_and_a_recipe_holds_it(tmp_path: Path) -> None:
    many(tmp_path / "good", 4, 32, 80)
    long = drawn(tmp_path / "new" / "long.png", 32, 80, 9)
    drawn(tmp_path / "new" / "square.png", 64, 64, 8)
    done = run("recipe", "freeze", tmp_path / "a.blemish", "--normal", tmp_path / "good", *PADIM)
    assert done.exit_code == 0, done.output
    assert "2.5 times as wide as high" in done.stdout
    assert load(tmp_path / "a.blemish").view.aspect == 2.5
    for name, pictures, more in (
        ("by", tmp_path / "new", ["--recipe", tmp_path / "a.blemish"]),
        ("alone", long, ["--recipe", tmp_path / "a.blemish"]),
        ("at", tmp_path / "new", ["--normal", tmp_path / "good", *PADIM]),
        ("square", tmp_path / "new", ["--normal", tmp_path / "good", *PADIM, "--stretch"]),
    ):
        done = run("inspect", pictures, "--out", tmp_path / name, "--no-overlays", *more)
        assert done.exit_code == 0, done.output
    score = {name: lines(tmp_path / name / "results.jsonl")[0]["score"] for name in ("by", "alone", "at", "square")}
    assert score["by"] == pytest.approx(score["alone"], rel=1e-5)
    assert score["by"] == pytest.approx(score["at"], rel=1e-5)
    assert score["by"] != pytest.approx(score["square"], rel=1e-3)
    settings = json.loads((tmp_path / "at" / "run.json").read_text(encoding="utf-8"))["settings"]
    assert settings["aspect"] == 2.5


def test_a_budget_and_a_plain_background_are_options_of_commands(tmp_path: Path) -> None:
    for seed in range(4):
        drawn(tmp_path / "good" / f"{seed}.png", 90, 120, seed, at=(20, 30))
    asked = ["--normal", tmp_path / "good", *PADIM[:-6]]
    done = run("recipe", "freeze", tmp_path / "a.blemish", *asked, "--part-only", "--budget-ms", 60000)
    assert done.exit_code == 0, done.output
    view = load(tmp_path / "a.blemish").view
    assert view.region is not None
    assert "view: only the region" in done.stderr
    assert "of 60000 allowed" in done.stderr
    for more, said in (
        (["--budget-ms", 9, "--tile", 32], "--budget-ms chooses --tile itself"),
        (["--budget-ms", 9, "--set", "image_size=32"], "--budget-ms chooses image_size itself"),
        (["--budget-ms", 9, "--resume"], "go on with --recipe"),
        (["--recipe", tmp_path / "a.blemish", "--part-only"], "--recipe has its own --part-only"),
    ):
        normal = [] if "--recipe" in more else ["--normal", tmp_path / "good", "--encoder", "test-tiny"]
        done = run("inspect", tmp_path / "good", "--out", tmp_path / "o", *normal, *more)
        assert done.exit_code == 2, done.output
        assert said in done.stderr
    done = run("inspect", tmp_path / "good", "--out", tmp_path / "o", *asked, "--budget-ms", 0.001)
    assert done.exit_code == 1
    assert "a picture may take 0.001 ms, and padim takes" in done.stderr
