"""Pictures seen whole and in tiles in one pass, and in their own shape."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.cli.test_inspect import lines, run
from tests.support.parts import good, mask, part, spots
from torch import Tensor

from blemish.errors import BadRecipe
from blemish.fitting import balance_scales, fit_detector
from blemish.images import Inspected, Region, View
from blemish.inspection import inspect
from blemish.recipes import file as recipe_file
from blemish.recipes.recipe import content_of, load, save
from blemish.recipes.update import freeze
from blemish.types import Geometry, Prediction

PADIM = {"image_size": 64, "channels": 20, "layers": [1, 2]}
TILES = View(tile=32, overlap=8)


class Brightness:
    """The map is the picture, the score its brightest pixel; it notes what it was given."""

    def __init__(self, side: int = 16, *, keep_aspect: bool = False) -> None:
        self.geometry, self.sizes = Geometry(side, keep_aspect), list[tuple[int, ...]]()

    def __call__(self, images: Tensor) -> Prediction:
        self.sizes.append(tuple(images.shape))
        maps = images.mean(1)
        return Prediction(maps.flatten(1).amax(1), maps)


def picture(path: Path, height: int, width: int, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 200, (height, width), dtype=np.uint8)
    Image.fromarray(np.repeat(pixels[..., None], 3, 2)).save(path)
    return path


def only(detector: Brightness, path: Path, view: View) -> Inspected:
    (found,) = inspect(detector, [path], view=view)
    assert isinstance(found, Inspected)
    return found


@pytest.mark.parametrize("balance", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("region", [None, Region(5, 3, 60, 40)])
def test_score_and_map_are_the_highest_of_the_whole_and_its_tiles(
    tmp_path: Path, balance: float, region: Region | None
) -> None:
    path = picture(tmp_path / "a.png", 50, 90)
    view = replace(TILES, region=region, balance=balance)
    whole, tiles = only(Brightness(), path, View(region)), only(Brightness(), path, replace(view, balance=None))
    both = only(Brightness(), path, view)
    assert both.score == pytest.approx(max(whole.score, balance * tiles.score))
    assert np.array_equal(np.isnan(both.anomaly_map), np.isnan(whole.anomaly_map))
    expected = np.fmax(whole.anomaly_map, np.float32(balance) * tiles.anomaly_map)
    assert np.allclose(both.anomaly_map, expected, equal_nan=True, atol=1e-6)


def test_inputs_of_all_scales_and_pictures_fill_batches_and_neighbours_change_nothing(tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{seed}.png", 48, 64, seed) for seed in range(3)]
    view, detector = replace(TILES, balance=1.5), Brightness()
    together = list(inspect(detector, paths, view=view, batch_size=4))
    assert [size[0] for size in detector.sizes] == [4] * (len(detector.sizes) - 1) + [detector.sizes[-1][0]]
    for path, found in zip(paths, together, strict=True):
        alone = only(Brightness(), path, view)
        assert isinstance(found, Inspected)
        assert alone.score == found.score
        assert np.array_equal(alone.anomaly_map, found.anomaly_map)


def test_a_picture_keeps_its_shape_if_the_view_says_so(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", 40, 120)
    stretched, kept = Brightness(), Brightness()
    only(stretched, path, View())
    found = only(kept, path, View(keep_aspect=True))
    assert stretched.sizes == [(1, 3, 16, 16)]
    assert kept.sizes == [(1, 3, 16, 48)]
    assert found.anomaly_map.shape == (40, 120)
    same = only(Brightness(keep_aspect=True), path, View())
    assert np.array_equal(found.anomaly_map, same.anomaly_map)


def test_scales_are_balanced_by_parts_that_were_not_learned(tmp_path: Path) -> None:
    paths, view = good(tmp_path, 6), replace(TILES, balance=1.0)
    found = balance_scales("padim", "test-tiny", paths, view, arguments=PADIM)
    sums = [0.0, 0.0]
    for learned, held in ((paths[::2], paths[1::2]), (paths[1::2], paths[::2])):
        detector = fit_detector("padim", "test-tiny", good=learned, arguments=PADIM, view=view)
        for at, seen in enumerate((View(), TILES)):
            sums[at] += sum(each.score for each in inspect(detector, held, view=seen) if isinstance(each, Inspected))
    assert found.balance == pytest.approx(sums[0] / sums[1])
    assert found == replace(view, balance=found.balance)
    assert balance_scales("padim", "test-tiny", paths, TILES, arguments=PADIM) == TILES
    for few in ([], paths[:1]):  # by words alone, or with nothing to hold out, the maximum
        assert balance_scales("tab", "test-tiny", few, view).balance == 1.0


def test_a_recipe_keeps_its_scales_and_one_without_is_what_it_was(tmp_path: Path) -> None:
    paths = good(tmp_path / "good", 4)
    made = freeze("padim", "test-tiny", good=paths, arguments=PADIM, view=replace(TILES, balance=1.0, keep_aspect=True))
    save(made, tmp_path / "a.blemish")
    read = load(tmp_path / "a.blemish")
    assert read.view == made.view
    assert read.view.balance not in (None, 1.0)
    assert read.hash == made.hash
    plain = freeze("padim", "test-tiny", good=paths, arguments=PADIM, view=TILES)
    assert set(content_of(plain).header["view"]) == {"region", "mask", "tile", "overlap", "white"}
    for wrong in ({"balance": -1.0}, {"balance": 2.0, "tile": None, "overlap": 0}, {"keep_aspect": 3}, {"aspect": 0}):
        content = content_of(plain)
        header = {**content.header, "view": {**content.header["view"], **wrong}}
        (tmp_path / "b.blemish").write_bytes(recipe_file.encode(content._replace(header=header)))
        with pytest.raises(BadRecipe, match=next(iter(wrong))):
            load(tmp_path / "b.blemish")


def test_commands_see_pictures_whole_and_in_tiles(tmp_path: Path) -> None:
    good(tmp_path / "good", 4)
    part(tmp_path / "new" / "spot.png", 60, spot=(40, 8))
    asked = ["--encoder", "test-tiny", "--method", "padim", "--set", "image_size=64", "--set", "channels=20"]
    asked += ["--set", "layers=[1,2]", "--tile", "32", "--whole", "--keep-aspect"]
    done = run("recipe", "freeze", tmp_path / "a.blemish", "--normal", tmp_path / "good", *asked)
    assert done.exit_code == 0, done.output
    assert "scores of tiles count" in done.stdout
    for name, more in (("by", ["--recipe", tmp_path / "a.blemish"]), ("at", ["--normal", tmp_path / "good", *asked])):
        done = run("inspect", tmp_path / "new", "--out", tmp_path / name, *more)
        assert done.exit_code == 0, done.output
    frozen, once = (lines(tmp_path / name / "results.jsonl")[0]["score"] for name in ("by", "at"))
    assert frozen == pytest.approx(once, rel=1e-5)
    settings = json.loads((tmp_path / "at" / "run.json").read_text(encoding="utf-8"))
    assert settings["settings"]["balance"] == 1.0
    alone = run("inspect", tmp_path / "new", "--whole", "--encoder", "test-tiny", "--out", tmp_path / "c")
    assert "--whole goes with --tile" in alone.stderr
    both = run(
        "inspect", tmp_path / "new", "--recipe", tmp_path / "a.blemish", "--keep-aspect", "--out", tmp_path / "d"
    )
    assert "--recipe has its own --keep-aspect" in both.stderr


def test_defects_are_taught_by_masks_at_all_scales(tmp_path: Path) -> None:
    good(tmp_path / "good", 4)
    spots(tmp_path / "bad", 2)
    for at in range(2):
        mask(tmp_path / "masks" / f"spot{at}_mask.png", (8 + 8 * at, 44 - 8 * at))
    made = freeze(
        "padim",
        "test-tiny",
        good=sorted((tmp_path / "good").iterdir()),
        arguments=PADIM,
        view=replace(TILES, balance=1.0),
    )
    save(made, tmp_path / "a.blemish")
    done = run("teach", tmp_path / "a.blemish", "--defect", "spot", tmp_path / "bad", "--masks", tmp_path / "masks")
    assert done.exit_code == 0, done.output
    assert torch.isfinite(torch.tensor(load(tmp_path / "a.blemish").view.balance))
