from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.small import SIDE

from blemish.pretrain import sources
from blemish.pretrain.sources import crop, flawed_photographs, photographs, real_flaws, specimens
from blemish.pretrain.store import UNKNOWN, Entry
from blemish.synth.drawn.flaws.flaws import FLAWS
from blemish.synth.drawn.specimens import specimen
from blemish.types import Sample


def photograph(path: Path, *, seed: int = 0, level: int = 150, height: int = 90, width: int = 120) -> Path:
    """Smooth grey structure about a level."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 12, (height // 6, width // 6, 1)).repeat(6, 0).repeat(6, 1)
    fine = rng.normal(0, 2, (height, width, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(level + coarse + fine, 0, 255).astype(np.uint8)).save(path)
    return path


def black(path: Path) -> Path:
    Image.fromarray(np.zeros((80, 80, 3), np.uint8)).save(path)
    return path


def broken(path: Path) -> Path:
    path.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    return path


def test_several_processes_draw_the_specimens_that_one_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "AHEAD", 16)
    source = specimens(3, 5, SIDE, workers=2)
    for number, (good, flawed) in enumerate(islice(source, 18), start=5):
        wanted = specimen(3, number, SIDE)
        assert np.array_equal(good.picture, wanted.good)
        assert np.array_equal(flawed.picture, wanted.flawed)
        assert np.array_equal(flawed.mask, wanted.mask)
        assert not good.mask.any()
        assert good.family == ""
        assert (good.product, flawed.product, flawed.family) == (wanted.product, wanted.product, wanted.family)
    source.close()  # type: ignore[attr-defined]


def test_flaws_are_drawn_on_photographs_and_unusable_ones_are_left_out(tmp_path: Path) -> None:
    paths = [
        photograph(tmp_path / "a.png", seed=1),
        broken(tmp_path / "b.png"),
        black(tmp_path / "c.png"),
        photograph(tmp_path / "d.png", seed=2),
    ]
    names = [("cap",), ("lid",), ("nut",), ("bolt", "screw")]
    found = list(flawed_photographs(paths, names, 0, SIDE))
    assert [flawed.product for _, flawed in found] == [("cap",), ("bolt", "screw")]
    for good, flawed in found:
        assert good.picture.shape == flawed.picture.shape == (SIDE, SIDE, 3)
        assert flawed.mask.any()
        assert flawed.family in FLAWS
        assert (good.family, good.product) == ("", flawed.product)
        assert not good.mask.any()
        changed = (good.picture != flawed.picture).any(2)
        assert changed[flawed.mask].any()


def test_the_same_seed_draws_the_same_flaws_and_another_seed_others(tmp_path: Path) -> None:
    paths = [photograph(tmp_path / f"{number}.png", seed=number) for number in range(2)]
    first, again, other = (list(flawed_photographs(paths, [("cap",)] * 2, seed, SIDE)) for seed in (0, 0, 1))
    for (_, one), (_, same), (_, different) in zip(first, again, other, strict=True):
        assert np.array_equal(one.picture, same.picture)
        assert np.array_equal(one.mask, same.mask)
        assert not np.array_equal(one.picture, different.picture)


def test_every_photograph_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="longer"):
        list(flawed_photographs([photograph(tmp_path / "a.png")] * 2, [("cap",)], 0, SIDE))


def test_photographs_give_crops_of_which_nothing_is_known(tmp_path: Path) -> None:
    for number in range(5):
        photograph(tmp_path / f"{number}.png", seed=number, level=60 + 30 * number)
    broken(tmp_path / "9.png")
    found = [entry for (entry,) in photographs([str(tmp_path)], 0, SIDE, each=3)]
    assert len(found) == 15
    for entry in found:
        assert entry.picture.shape == (SIDE, SIDE, 3)
        assert (entry.product, entry.family) == ((), UNKNOWN)
        assert not entry.mask.any()
    levels = [level_of(entry) for entry in found]
    assert levels == [levels[at - at % 3] for at in range(15)]  # of one picture after the other
    assert sorted(levels) == sorted([0, 1, 2, 3, 4] * 3)
    again = [entry for (entry,) in photographs([str(tmp_path)], 0, SIDE, each=3)]
    assert all(np.array_equal(one.picture, other.picture) for one, other in zip(found, again, strict=True))
    orders = {tuple(level_of(e) for (e,) in photographs([str(tmp_path)], seed, SIDE, each=1)) for seed in range(3)}
    assert len(orders) > 1


def level_of(entry: Entry) -> int:
    """Which of the pictures it is a part of."""
    return round((float(entry.picture.mean()) - 60) / 30)


def ramp(height: int, width: int) -> np.ndarray:
    """Red grows from left to right, green from top to bottom."""
    red, green = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([red, green, np.zeros_like(red)], 2).astype(np.uint8)


def test_a_crop_is_a_third_to_the_whole_of_the_shorter_side_and_sometimes_mirrored() -> None:
    picture, edges, sides = ramp(120, 240), [], set()
    for seed in range(40):
        found = crop(picture, np.random.default_rng(seed), 32)
        assert found.shape == (32, 32, 3)
        green = found[..., 1].astype(float)
        edges.append((green[-1].mean() - green[0].mean()) / 255 * 32 / 31)
        across = found[..., 0].astype(float)
        sides.add(across[:, 0].mean() < across[:, -1].mean())
    assert 0.3 < min(edges) < 0.45
    assert 0.8 < max(edges) <= 1.02
    assert sides == {True, False}


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 40), (31, 32)])
def test_pictures_smaller_than_a_crop_are_enlarged(height: int, width: int) -> None:
    for seed in range(5):
        assert crop(ramp(height, width), np.random.default_rng(seed), 32).shape == (32, 32, 3)


def labelled(folder: Path, *, good: int) -> list[Sample]:
    """Parts of red 0, of which two have a red flaw at the right, and one more a flaw that nobody has marked."""
    samples = []
    for number in range(good):
        Image.fromarray(ramp(90, 120) * np.array([0, 1, 1], np.uint8)).save(path := folder / f"good-{number}.png")
        samples.append(Sample(path, "good"))
    mask = np.zeros((90, 120), bool)
    mask[60:70, 100:110] = True
    Image.fromarray(mask).save(marks := folder / "mask.png")
    for number in range(3):
        Image.fromarray(np.where(mask[..., None], [255, 0, 0], 90 * np.array([0, 1, 1])).astype(np.uint8)).save(
            path := folder / f"bad-{number}.png"
        )
        samples.append(Sample(path, "nick", (marks,) if number else ()))
    return samples


@pytest.mark.parametrize("good", [0, 2])
def test_a_window_about_a_real_flaw_stands_beside_one_without(tmp_path: Path, good: int) -> None:
    samples, hidden = labelled(tmp_path, good=good), set()
    for seed in range(5):
        found = list(real_flaws(samples, ("cap",), {"nick": "chip"}, seed, SIDE))
        assert len(found) == 2
        for clean, flawed in found:
            assert clean.picture.shape == flawed.picture.shape == (SIDE, SIDE, 3)
            assert (clean.product, flawed.product, clean.family, flawed.family) == (("cap",), ("cap",), "", "chip")
            assert not clean.mask.any()
            assert flawed.mask.any()
            assert not (clean.picture[..., 0] > 99).any()
            assert (flawed.picture[..., 0] > 99)[flawed.mask].mean() > 0.7
            assert ((flawed.picture[..., 0] > 199) & ~flawed.mask).sum() == 0
            hidden.add(int(flawed.mask.sum()))
    assert len(hidden) > 3  # the windows differ


def test_a_flaw_that_fills_its_picture_has_nothing_beside_it(tmp_path: Path) -> None:
    Image.fromarray(ramp(80, 80)).save(path := tmp_path / "bad.png")
    Image.fromarray(np.ones((80, 80), bool)).save(mask := tmp_path / "mask.png")
    assert list(real_flaws([Sample(path, "burn", (mask,))], ("cap",), {"burn": "burn"}, 0, SIDE)) == []
