from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shutil import copy

import pytest
import torch
from PIL import Image
from tests.parts import LEARNERS, QUICK, good
from torch import Tensor

from blemish import encoders, learning
from blemish.errors import BadImage, BadInput
from blemish.holding_out import Part, cross, drawn_folds, held_out, highest, parts_of, scored, split
from blemish.images import Region
from blemish.inspection import Inspected, Unreadable, View, inspect
from blemish.teaching import Reading
from blemish.types import Detector, Geometry, Prediction

TINY = encoders.load("test-tiny")


class Brightness:
    """The score is the mean of the picture plus what it was told."""

    geometry = Geometry(16)

    def __init__(self, more: float = 0.0) -> None:
        self.more = more

    def __call__(self, images: Tensor) -> Prediction:
        return Prediction(images.mean((1, 2, 3)) + self.more, images.amax(1))


def grey(path: Path, level: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 20), (level, level, level)).save(path)
    return path


def test_distinct_pictures_are_parts_of_their_own_and_copies_are_not(tmp_path: Path) -> None:
    paths = good(tmp_path, 6)
    assert parts_of(paths) == [(path,) for path in paths]
    again = Path(copy(paths[2], tmp_path / "again.png"))
    encoded = tmp_path / "encoded.jpg"
    with Image.open(paths[4]) as picture:
        picture.save(encoded, quality=92)
    found = parts_of([*paths, again, encoded])
    assert (found[2], found[4], len(found)) == ((paths[2], again), (paths[4], encoded), 6)
    apart = parts_of([*paths, again, encoded], every_picture=True)
    assert (apart[2], apart[4], len(apart)) == ((paths[2], again), (paths[4],), 7)


def test_parts_are_told_apart_by_what_is_inspected_of_them(tmp_path: Path) -> None:
    paths = good(tmp_path, 3)
    with Image.open(paths[0]) as below, Image.open(paths[1]) as above:
        whole = below.copy()
        whole.paste(above.crop((0, 0, 64, 32)), (0, 0))
    whole.save(tmp_path / "halves.png")
    paths.append(tmp_path / "halves.png")
    assert parts_of(paths, view=View(region=Region(0, 0, 64, 32)))[1] == (paths[1], paths[3])
    assert parts_of(paths, view=View(region=Region(0, 32, 64, 32)))[0] == (paths[0], paths[3])


def test_unreadable_pictures_are_listed_or_raised(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    paths, unreadable = [*good(tmp_path, 2), broken], list[Unreadable]()
    assert len(parts_of(paths, reading=Reading(unreadable=unreadable))) == 2
    assert scored(Brightness(), [broken], reading=Reading(unreadable=unreadable)) == {}
    assert [bad.path for bad in unreadable] == [broken, broken]
    with pytest.raises(BadImage, match="broken"):
        parts_of(paths)
    with pytest.raises(BadImage, match="broken"):
        scored(Brightness(), [broken])


def test_a_part_has_the_highest_score_of_its_pictures(tmp_path: Path) -> None:
    dark, bright, gone = grey(tmp_path / "dark.png", 51), grey(tmp_path / "bright.png", 204), tmp_path / "gone.png"
    results = scored(Brightness(), [dark, bright])
    found = highest((dark, bright, gone), results)
    assert found is not None
    assert (found.picture, found.size) == (bright, (20, 20))
    assert (found.score, found.peak) == pytest.approx((0.8, 0.8))
    assert highest((gone,), results) is None


def test_folds_are_of_one_size_and_hold_each_part_at_most_once() -> None:
    assert drawn_folds(4, None, 0) == [[0], [1], [2], [3]]
    found = drawn_folds(11, 3, 0)
    assert [len(fold) for fold in found] == [3, 3, 3]
    assert len({number for fold in found for number in fold}) == 9
    assert found == drawn_folds(11, 3, 0) != drawn_folds(11, 3, 1)
    for count, folds in ((1, None), (3, 4), (3, 1), (0, None)):
        with pytest.raises(BadInput, match="cannot be left out"):
            drawn_folds(count, folds, 0)


def test_each_part_is_scored_by_a_detector_without_its_fold(tmp_path: Path) -> None:
    parts: list[Part] = [
        (grey(tmp_path / f"{n}.png", 10 * n), grey(tmp_path / f"{n}b.png", 10 * n + 5)) for n in range(5)
    ]
    left_out: list[list[Part]] = []

    def refit(out: Sequence[Part]) -> Detector:
        left_out.append(list(out))
        return Brightness(len(left_out))

    steps: list[str] = []
    reading = Reading(watch=lambda stage, total: lambda: steps.append(f"{stage} of {total}"))
    found = cross(refit, parts, folds=2, seed=1, reading=reading)
    assert (found.scheme, found.fold, found.learned) == ("cross", 2, tuple(parts))
    assert sorted(part for out in left_out for part in out) == sorted(found.parts)
    assert len(found.parts) == 4
    for shown, each in zip(found.parts, found.scored, strict=True):
        number = next(at for at, out in enumerate(left_out, start=1) if shown in out)
        assert each.picture == shown[1]
        assert each.score == pytest.approx(number + (10 * parts.index(shown) + 5) / 255, abs=1e-4)
    assert steps == ["inspecting parts left out of 8"] * 8


def test_split_scores_by_the_detector_itself(tmp_path: Path) -> None:
    parts = [(grey(tmp_path / f"{n}.png", 10 * n),) for n in range(3)]
    found = split(Brightness(), parts[1:], learned=parts[:1])
    assert [each.score for each in found.scored] == pytest.approx([10 / 255, 20 / 255], abs=1e-4)
    assert (found.scheme, found.fold, found.learned) == ("split", 1, (parts[0],))


@pytest.mark.parametrize("method", LEARNERS)
def test_every_method_is_held_out_by_its_name(method: str, tmp_path: Path) -> None:
    """Its scores are those of a detector that was fitted without the part."""
    paths = good(tmp_path, 5)
    crossed = held_out(method, TINY, paths, folds=2, seed=3, arguments=QUICK.get(method))
    assert (len(crossed.scored), len(crossed.learned)) == (4, 5)
    fold = {paths[number] for number in drawn_folds(5, 2, 3)[0]}
    fitted = learning.ready(method, TINY, good=[p for p in paths if p not in fold], arguments=QUICK.get(method))
    alone = {each.path: each.score for each in inspect(fitted, sorted(fold)) if isinstance(each, Inspected)}
    found = {each.picture: each.score for each in crossed.scored if each.picture in fold}
    assert found == pytest.approx(alone, rel=1e-4, abs=1e-6)
    assert len(found) == 2
    halved = held_out(method, TINY, paths, scheme="split", learn=0.4, arguments=QUICK.get(method))
    assert (len(halved.learned), len(halved.scored)) == (2, 3)
    assert not set(halved.learned) & set(halved.parts)


def test_a_method_that_needs_no_parts_calibrates_with_all_of_them(tmp_path: Path) -> None:
    found = held_out("winclip", TINY, good(tmp_path, 3), scheme="split", learn=0)
    assert (len(found.scored), found.learned) == (3, ())


@pytest.mark.parametrize("learn", [0.9, 1.0, -0.1])
def test_a_split_leaves_parts_to_calibrate_with(learn: float, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="leaves none"):
        held_out("patchcore", TINY, good(tmp_path, 2), scheme="split", learn=learn)


def test_nothing_global_is_drawn(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    held_out("patchcore", TINY, good(tmp_path, 3), folds=3, arguments=QUICK["patchcore"])
    assert torch.equal(state, torch.get_rng_state())
