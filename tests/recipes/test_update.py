from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from tests.support.parts import LEARNERS, METHODS, TEST, frozen, good, mask, part, same, scores, spots
from tests.support.quick import QUICK, SIDE, slow_but
from tests.support.told import Told
from tests.support.training import TRAINED
from torch import Tensor

from blemish import catalog, encoders
from blemish.blocks.memory import MemoryBank
from blemish.calibration.thresholds import calibrate_thresholds
from blemish.encoders.inputs import as_tensor
from blemish.errors import BadImage, BadInput
from blemish.files import sha256_of
from blemish.images import Inspected, Region, Unreadable, View, read, unit
from blemish.inspection import inspect
from blemish.recipes import file as recipe_file
from blemish.recipes import known_defects, provenance, update
from blemish.recipes.calibrate import HoldoutScheme, held_out_scores
from blemish.recipes.detectors import detector
from blemish.recipes.reading import Reading
from blemish.recipes.recipe import Recipe, Taught, load, save, undo
from blemish.types import GOOD, Batch, Detector, Encoder, Geometry, Learner, Prediction

learners = pytest.mark.parametrize("method", LEARNERS)
every = pytest.mark.parametrize("method", sorted(set(METHODS) - set(TRAINED)))
BANKS = sorted(set(LEARNERS) - {"padim", "subspace-ad"})
SUMS = ["padim", "subspace-ad"]
KINDS = {"musc", "padim", "patchcore", "subspace-ad", "tab"}
"""Of each kind of memory one, which is asked what is asked of all in the slow suite."""


def tensors_agree(one: Recipe, other: Recipe) -> bool:
    return one.tensors.keys() == other.tensors.keys() and all(
        torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items()
    )


def rows(recipe: Recipe) -> int:
    return len(recipe.tensors["origin.0"])


def small(recipe: Recipe) -> float:
    """A budget in MiB that the rows it remembers just fill."""
    learner = detector(recipe)
    assert isinstance(learner, Learner)
    return provenance.memory_of(learner, recipe.tensors).bytes / 2**20


@every
def test_a_detector_is_frozen_as_it_is(method: str, tmp_path: Path) -> None:
    found = frozen(method, good(tmp_path, 2) if method in LEARNERS else [])
    words = {"product": "cap"} if "product" in catalog.card(method).words else {}
    again = update.freeze_detector(
        detector(found), method, arguments=QUICK.get(method, {}) | words, taught=found.taught, view=found.view
    )
    assert same(scores(again), scores(found))
    assert again.taught == found.taught


@learners
def test_good_parts_added_change_scores_and_are_known(method: str, tmp_path: Path) -> None:
    before = frozen(method, good(tmp_path, 4))
    after = update.add_good(before, good(tmp_path, 3, first=4))
    assert [each.name for each in after.taught] == [f"good{number}.png" for number in range(7)]
    assert after.parent == before.hash
    assert not same(scores(after), scores(before))


@learners
def test_an_added_part_is_no_anomaly_any_more(method: str, tmp_path: Path) -> None:
    before, odd = frozen(method, good(tmp_path, 4)), part(tmp_path / "odd.png", 5, spot=(30, 6))
    after = update.add_good(before, [odd])
    if catalog.card(method).scores == "set":  # which compares a picture with the others: another one of that part
        odd = part(tmp_path / "again.png", 6, spot=(30, 6))
    image = as_tensor(unit(read(odd)))[None]
    assert scores(after, image).image_score < scores(before, image).image_score


@pytest.mark.parametrize("method", ["anomaly-dino", "tab", "winclip"])
def test_a_bank_taught_in_lots_is_the_bank_taught_at_once(method: str, tmp_path: Path) -> None:
    """As long as there is room."""
    arguments = QUICK[method]
    once = update.freeze(method, "test-tiny", good=good(tmp_path, 6), arguments=arguments)
    lots = update.freeze(method, "test-tiny", good=good(tmp_path, 2), arguments=arguments)
    for first in (2, 4):
        lots = update.add_good(lots, good(tmp_path, 2, first=first))
    found, expected = scores(lots), scores(once)
    torch.testing.assert_close(found.image_score, expected.image_score, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.anomaly_map, expected.anomaly_map, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", SUMS)
def test_sums_taught_in_lots_are_those_taught_at_once(method: str, tmp_path: Path) -> None:
    arguments = QUICK[method]
    once = update.freeze(method, "test-tiny", good=good(tmp_path, 6), arguments=arguments)
    lots = update.freeze(method, "test-tiny", good=good(tmp_path, 2), arguments=arguments)
    lots = update.add_good(lots, good(tmp_path, 4, first=2))
    torch.testing.assert_close(scores(lots).anomaly_map, scores(once).anomaly_map, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", slow_but(KINDS, LEARNERS))
def test_forgetting_what_came_last_restores_every_bit(method: str, tmp_path: Path) -> None:
    first = frozen(method, good(tmp_path, 3))
    second = update.add_good(first, good(tmp_path, 2, first=3))
    third = update.add_defects(second, "spot", spots(tmp_path, 2))
    back = update.forget(third, [each.id for each in third.taught if each.kind == "spot"])
    assert tensors_agree(back, second)
    assert same(scores(back), scores(second))
    back = update.forget(back, [each.sha256 for each in second.taught[3:]])
    assert tensors_agree(back, first)
    assert same(scores(back), scores(first))
    assert back.taught == first.taught


@pytest.mark.parametrize("method", slow_but(KINDS, LEARNERS))
def test_what_came_last_may_be_forgotten_one_by_one(method: str, tmp_path: Path) -> None:
    first = frozen(method, good(tmp_path, 3))
    back = update.add_good(first, good(tmp_path, 3, first=3))
    for each in (back.taught[4], back.taught[3], back.taught[5]):
        back = update.forget(back, [each.id])
    assert tensors_agree(back, first)


@pytest.mark.parametrize("method", slow_but(KINDS, LEARNERS))
def test_forgetting_an_earlier_part_leaves_what_there_would_be_without_it(method: str, tmp_path: Path) -> None:
    """Of parts taught one after the other, in any order: a coreset keeps what the others brought."""
    first = frozen(method, good(tmp_path, 3))
    one, two = good(tmp_path, 2, first=3)
    without = update.add_good(first, [two])
    both = update.add_good(update.add_good(first, [one]), [two])
    back = update.forget(both, [both.taught[3].id])
    assert same(scores(back), scores(without))


@pytest.mark.parametrize("method", ["anomaly-dino", "tab", "winclip"])
def test_a_part_of_the_first_lot_can_be_forgotten_too(method: str, tmp_path: Path) -> None:
    arguments = QUICK[method]
    paths = good(tmp_path, 3)
    found = update.freeze(method, "test-tiny", good=paths, arguments=arguments)
    back = update.forget(found, [found.taught[1].id])
    expected = scores(update.freeze(method, "test-tiny", good=[paths[0], paths[2]], arguments=arguments))
    torch.testing.assert_close(scores(back).anomaly_map, expected.anomaly_map, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", slow_but(KINDS, BANKS))
def test_a_full_bank_stays_in_its_budget_and_gives_back_what_made_room(method: str, tmp_path: Path) -> None:
    first = frozen(method, good(tmp_path, 4))
    budget = small(first)
    lot = good(tmp_path, 4, first=4)
    second = update.add_good(first, lot, budget=budget)
    assert small(second) <= budget
    assert {each.id for each in second.taught} >= {each.id for each in first.taught}
    assert not same(scores(second), scores(first))
    third = update.add_good(second, good(tmp_path, 3, first=8), budget=budget)
    assert small(third) <= budget
    back = update.forget(third, [each.id for each in third.taught[8:]])
    assert same(scores(back), scores(second))
    back = update.forget(second, [each.id for each in second.taught[4:]])
    assert tensors_agree(back, first)
    # Nothing is lost on the way through a file.
    save(second, tmp_path / "a.blemish")
    again = update.forget(load(tmp_path / "a.blemish"), [each.id for each in second.taught[4:]])
    assert tensors_agree(again, first)


@pytest.mark.parametrize("method", slow_but(KINDS, BANKS))
def test_what_made_room_comes_back_beside_what_came_later(method: str, tmp_path: Path) -> None:
    """Forgotten out of turn, the rows that had gone are there again, and those of the later part stay."""
    first = frozen(method, good(tmp_path, 4))
    second = update.add_good(first, good(tmp_path, 3, first=4), budget=small(first))
    third = update.add_good(second, good(tmp_path, 1, first=9), budget=10 * small(first))
    back = update.forget(third, [each.id for each in second.taught[4:]])
    assert not set(back.tensors) & {"radii", "evicted.pictures"}
    last = known_defects.number(back.taught[-1].id)
    kept = back.tensors["origin.0"][:, 0] != last
    assert torch.equal(back.tensors["origin.0"][kept], first.tensors["origin.0"])


@pytest.mark.parametrize("method", SUMS)
def test_merging_changes_no_bit_and_cannot_be_taken_back(method: str, tmp_path: Path) -> None:
    first = frozen(method, good(tmp_path, 20))
    lot = good(tmp_path, 3, first=20)
    roomy = update.add_good(first, lot)
    tight = update.add_good(first, lot, budget=small(first) / 4)
    assert rows(roomy) == 23
    assert rows(tight) == (7 if method == "padim" else 5)  # grids are merged 16 at a time
    assert same(scores(tight), scores(roomy))
    back = update.forget(tight, [each.id for each in tight.taught[20:]])
    assert same(scores(back), scores(first))
    with pytest.raises(BadInput, match="merged to save memory"):
        update.forget(tight, [tight.taught[0].id])
    again = update.add_good(tight, good(tmp_path, 2, first=30), budget=small(first) / 4)
    assert same(scores(again), scores(update.add_good(roomy, good(tmp_path, 2, first=30))))


def test_words_that_were_taught_good_parts_can_forget_them_all(tmp_path: Path) -> None:
    for method in ("tab", "winclip"):
        words = frozen(method, [])
        taught = update.add_good(words, good(tmp_path, 2))
        assert not same(scores(taught), scores(words))
        back = update.forget(taught, [each.id for each in taught.taught])
        assert same(scores(back), scores(words))


@pytest.mark.parametrize("method", ["padim", "patchcore"])
def test_the_last_good_part_cannot_be_forgotten(method: str, tmp_path: Path) -> None:
    found = frozen(method, good(tmp_path, 2))
    with pytest.raises(BadInput, match="know no good part at all"):
        update.forget(found, [each.id for each in found.taught])


def test_the_first_parts_decide_whether_all_are_turned(tmp_path: Path) -> None:
    arguments = {"image_size": SIDE, "turns": 4, "few": 4}
    few = update.freeze("anomaly-dino", "test-tiny", good=good(tmp_path, 3), arguments=arguments)
    assert rows(few) == 3 * 4 * 64
    more = update.add_good(few, good(tmp_path, 2, first=3))
    assert rows(more) == 5 * 4 * 64
    many = update.freeze("anomaly-dino", "test-tiny", good=good(tmp_path, 5), arguments=arguments)
    assert rows(many) == 5 * 64
    less = update.forget(many, [many.taught[0].id])
    assert rows(update.add_good(less, good(tmp_path, 1))) == 5 * 64


def test_a_recipe_that_knows_nothing_decides_anew(tmp_path: Path) -> None:
    arguments = {"image_size": SIDE, "few": 2}
    words = update.freeze("tab", "test-tiny", arguments=arguments)
    many = update.add_good(words, good(tmp_path, 3))
    assert rows(many) == 3 * 64
    back = update.forget(many, [each.id for each in many.taught])
    assert rows(update.add_good(back, good(tmp_path, 2))) == 2 * 4 * 64


# Shown defects


@every
def test_a_shown_defect_raises_what_resembles_it_and_lowers_nothing(method: str, tmp_path: Path) -> None:
    before = frozen(method, good(tmp_path, 4) if method in LEARNERS else [])
    after = update.add_defects(before, "spot", spots(tmp_path, 2), masks=masks(tmp_path))
    other = as_tensor(unit(read(part(tmp_path / "other.png", 77, spot=(40, 40)))))[None]
    fine = as_tensor(unit(read(part(tmp_path / "fine.png", 78))))[None]
    images = torch.cat([other, fine, TEST])
    old, new = scores(before, images), scores(after, images)
    assert (new.image_score >= old.image_score).all()
    assert (new.anomaly_map >= old.anomaly_map).all()
    rise = new.anomaly_map - old.anomaly_map
    assert rise[0, 42:50, 42:50].mean() > 4 * rise[1].mean()
    assert rise[0, 42:50, 42:50].mean() > rise[0, :16].mean()
    assert new.image_score[0] > old.image_score[0]


def masks(folder: Path) -> dict[Path, Path]:
    return {
        folder / f"spot{at}.png": mask(folder / "masks" / f"spot{at}.png", (8 + 8 * at, 44 - 8 * at)) for at in range(2)
    }


@every
def test_a_tensor_that_is_filled_anew_is_looked_at_anew(method: str, tmp_path: Path) -> None:
    recipe = frozen(method, good(tmp_path, 2) if method in LEARNERS else [])
    ready = detector(update.add_defects(recipe, "spot", spots(tmp_path, 1)))
    images = TEST.clone()
    with torch.inference_mode():
        first = ready(images)
    images.copy_(TEST.flip(0))
    with torch.inference_mode():
        second, expected = ready(images), ready(TEST.flip(0))
    assert same(second, expected)
    assert not same(second, first)


def test_without_shown_defects_there_is_nothing_around_the_detector(tmp_path: Path) -> None:
    found = frozen("patchcore", good(tmp_path, 3))
    assert not isinstance(detector(found), known_defects.WithKnownDefects)
    taught = update.add_defects(found, "spot", spots(tmp_path, 1))
    assert isinstance(detector(taught), known_defects.WithKnownDefects)
    assert not isinstance(detector(update.forget(taught, [taught.taught[-1].id])), known_defects.WithKnownDefects)


def test_masks_say_which_patches_are_of_the_defect(tmp_path: Path) -> None:
    found = frozen("patchcore", good(tmp_path, 3))
    taught = update.add_defects(found, "spot", spots(tmp_path, 2), masks=masks(tmp_path))
    # The first spot, 12 px at (8, 44), covers one patch of 8 px by two thirds and three by half of that or less.
    assert 2 <= len(taught.tensors["shown.rows"]) <= 18
    assert set(taught.tensors["shown.of"].tolist()) == {known_defects.number(each.id) for each in taught.taught[-2:]}
    guessed = update.add_defects(found, "spot", spots(tmp_path, 2))
    assert len(guessed.tensors["shown.rows"]) == 6


def test_types_have_names_at_their_places(tmp_path: Path) -> None:
    found = frozen("patchcore", good(tmp_path, 4))
    found = update.add_defects(found, "spot", spots(tmp_path, 2), masks=masks(tmp_path))
    dark = part(tmp_path / "dark.png", 200)
    blot(dark, (40, 36), value=0)
    found = update.add_defects(found, "hole", [dark], masks={dark: mask(tmp_path / "m.png", (40, 36))})
    both = part(tmp_path / "both.png", 201, spot=(8, 40))
    blot(both, (44, 40), value=0)
    ready = detector(found)
    assert types_in(ready, both, View(), [(14, 46), (50, 46), (60, 4)]) == ["spot", "hole", None]
    cut = View(Region(4, 4, 60, 60), None, 32, 8)
    tiled = types_in(detector(dataclasses.replace(found, view=cut)), both, cut, [(14, 46), (50, 46), (1, 1)])
    assert tiled == ["spot", "hole", None]
    (plain,) = inspect(detector(frozen("patchcore", good(tmp_path, 2))), [both])
    assert isinstance(plain, Inspected)
    assert plain.type_map is None


def types_in(made: Detector, picture: Path, view: View, points: list[tuple[int, int]]) -> list[str | None]:
    (found,) = inspect(made, [picture], view=view)
    assert isinstance(found, Inspected)
    assert found.type_map is not None
    assert found.type_map.shape == found.anomaly_map.shape
    numbers, names = [int(found.type_map[y, x]) for x, y in points], cast(Any, made).types
    return [names[number] if number >= 0 else None for number in numbers]


def blot(path: Path, corner: tuple[int, int], *, value: int) -> None:
    from PIL import Image

    picture = Image.open(path).convert("RGB")
    picture.paste((value, value, value), (*corner, corner[0] + 12, corner[1] + 12))
    picture.save(path)


def test_defects_are_learned_through_region_mask_and_tiles(tmp_path: Path) -> None:
    inside = np.ones((SIDE, SIDE), bool)
    inside[:, :4] = False
    view = View(Region(2, 2, 60, 60), inside, 32, 8)
    before = update.freeze("patchcore", "test-tiny", good=good(tmp_path, 3), arguments=QUICK["patchcore"], view=view)
    after = update.add_defects(before, "spot", spots(tmp_path, 2), masks=masks(tmp_path))
    test = part(tmp_path / "test.png", 300, spot=(36, 30))
    old, new = (next(inspect(detector(each), [test], view=view)) for each in (before, after))
    assert not isinstance(old, Unreadable)
    assert not isinstance(new, Unreadable)
    assert new.score > old.score
    rise = np.nan_to_num(new.anomaly_map - old.anomaly_map)
    assert rise[34:40, 38:46].mean() > 4 * rise[:20].mean()


def test_a_mask_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    found, (spot,) = frozen("patchcore", good(tmp_path, 2)), spots(tmp_path, 1)
    small, empty = mask(tmp_path / "small.png", (3, 3), side=32), mask(tmp_path / "empty.png", (90, 90))
    with pytest.raises(BadImage, match=r"small\.png is no mask for .*spot0\.png"):
        update.add_defects(found, "spot", [spot], masks={spot: small})
    with pytest.raises(BadImage, match=r"empty\.png marks nothing"):
        update.add_defects(found, "spot", [spot], masks={spot: empty})


@pytest.mark.parametrize("kind", ["", " ", "good"])
def test_a_defect_needs_a_name(kind: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no type of defect"):
        update.add_defects(frozen("winclip", []), kind, spots(tmp_path, 1))


def test_what_is_good_cannot_be_a_defect_until_it_is_forgotten(tmp_path: Path) -> None:
    paths, bad = good(tmp_path, 3), spots(tmp_path, 1)
    found = frozen("patchcore", paths)
    with pytest.raises(BadInput, match=f"known as good, by the id {found.taught[0].id}: forget it first"):
        update.add_defects(found, "spot", paths[:1])
    taught = update.add_defects(found, "spot", bad)
    with pytest.raises(BadInput, match="known as spot"):
        update.add_good(taught, bad)
    with pytest.raises(BadInput, match="known as spot"):
        update.add_defects(taught, "dent", bad)


def test_what_is_known_already_is_passed_over(tmp_path: Path) -> None:
    paths = good(tmp_path, 4)
    found = frozen("patchcore", paths[:3])
    with pytest.raises(BadInput, match="nothing new to teach"):
        update.add_good(found, paths[:2])
    assert len(update.add_good(found, paths).taught) == 4
    bad = spots(tmp_path, 2)
    taught = update.add_defects(found, "spot", bad[:1])
    with pytest.raises(BadInput, match="nothing new to teach"):
        update.add_defects(taught, "spot", bad[:1])
    assert len(update.add_defects(taught, "spot", bad).taught) == 5


def test_an_id_that_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="123456789abc has taught"):
        update.forget(frozen("patchcore", good(tmp_path, 2)), ["123456789abc"])


def test_what_cannot_be_read_is_raised_or_listed(tmp_path: Path) -> None:
    paths = good(tmp_path, 3)
    paths[1].write_bytes(b"no picture")
    with pytest.raises(BadImage, match=r"good1\.png"):
        frozen("patchcore", paths)
    unreadable: list[Unreadable] = []
    reading = Reading(unreadable=unreadable)
    found = update.freeze("patchcore", "test-tiny", good=paths, arguments=QUICK["patchcore"], reading=reading)
    assert [each.name for each in found.taught] == ["good0.png", "good2.png"]
    assert [each.id for each in unreadable] == [str(paths[1])]


def test_the_old_recipe_is_left_as_it_was(tmp_path: Path) -> None:
    found = frozen("patchcore", good(tmp_path, 3))
    before = found.hash
    taught = update.add_defects(update.add_good(found, good(tmp_path, 1, first=3)), "spot", spots(tmp_path, 1))
    update.forget(taught, [taught.taught[0].id])
    assert found.hash == before


def test_a_calibration_does_not_outlive_what_it_was_made_for(tmp_path: Path) -> None:
    found = frozen("patchcore", good(tmp_path, 3))
    found = dataclasses.replace(found, calibration=calibrate_thresholds([1.0, 2.0], scheme="split"))
    assert update.add_good(found, good(tmp_path, 1, first=3)).calibration is None
    assert update.add_defects(found, "spot", spots(tmp_path, 1)).calibration is None
    assert update.forget(found, [found.taught[0].id]).calibration is None


def test_undo_restores_the_exact_former_file_step_by_step(tmp_path: Path) -> None:
    path = tmp_path / "line.blemish"
    steps = [frozen("patchcore", good(tmp_path, 3))]
    steps.append(update.add_good(steps[-1], good(tmp_path, 1, first=3)))
    steps.append(update.add_defects(steps[-1], "spot", spots(tmp_path, 1)))
    files = []
    for each in steps:
        save(each, path)
        files.append(path.read_bytes())
    for expected, recipe in ((files[1], steps[1]), (files[0], steps[0])):
        assert undo(path).hash == recipe.hash
        assert path.read_bytes() == expected
    with pytest.raises(BadInput, match="nothing to undo"):
        undo(path)
    # What was undone is still there.
    assert (recipe_file.history(path) / f"{steps[2].hash}.blemish").read_bytes() == files[2]


def test_undo_says_when_the_former_file_is_gone_or_another(tmp_path: Path) -> None:
    path = tmp_path / "line.blemish"
    first = frozen("patchcore", good(tmp_path, 3))
    save(first, path)
    save(update.add_good(first, good(tmp_path, 1, first=3)), path)
    former = recipe_file.history(path) / f"{first.hash}.blemish"
    save(frozen("winclip", []), tmp_path / "other.blemish")
    former.unlink()
    former.write_bytes((tmp_path / "other.blemish").read_bytes())
    with pytest.raises(BadInput, match="is not the recipe"):
        undo(path)
    former.unlink()
    with pytest.raises(BadInput, match="is gone"):
        undo(path)


class Trained(torch.nn.Module):
    """Normalised pixels against a learned colour, with the statistics of what it was trained on."""

    def __init__(self, encoder: str | Encoder) -> None:
        super().__init__()
        self.encoder = encoders.load(encoder)
        self.geometry = Geometry(SIDE)
        self.norm = torch.nn.BatchNorm2d(3)
        self.colour = torch.nn.Parameter(torch.zeros(3))

    def trained_parameters(self) -> Iterable[torch.nn.Parameter]:
        return [self.colour, *self.norm.parameters()]

    def loss(self, batch: Batch) -> Mapping[str, Tensor]:
        return {"colour": self(batch.images).anomaly_map.mean()}

    def forward(self, images: Tensor) -> Prediction:
        maps = (self.norm(images) - self.colour[:, None, None]).square().sum(1)
        return Prediction(maps.flatten(1).amax(1), maps)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Trained:
    """After one step."""
    card = catalog.Card(f"{__name__}:Trained", "", "", normal="required", trained=True)
    monkeypatch.setitem(catalog.METHODS, "trained", card)
    detector = Trained("test-tiny")
    torch.autograd.backward(detector.loss(Batch(TEST))["colour"])
    torch.optim.SGD(detector.trained_parameters(), 0.1).step()
    return detector.eval()


def test_a_trained_detector_is_frozen_with_its_parameters_and_statistics(trained: Trained, tmp_path: Path) -> None:
    picture = Taught("ab" * 32, "a.png")
    save(update.freeze_detector(trained, "trained", arguments={}, taught=[picture]), tmp_path / "a.blemish")
    found = load(tmp_path / "a.blemish")
    assert found.taught == (picture,)
    assert {"detector.colour", "detector.norm.running_var", "detector.norm.num_batches_tracked"} <= found.tensors.keys()
    with torch.inference_mode():
        assert same(scores(found), trained(TEST))


def test_a_trained_detector_is_not_taught(trained: Trained, tmp_path: Path) -> None:
    found = update.freeze_detector(trained, "trained", arguments={}, taught=[Taught("ab" * 32, "a.png")])
    again = dataclasses.replace(found, taught=(*found.taught, Taught("cd" * 32, "b.png")))
    said = r"trained is trained, not taught: train it again .*patchcore, rad.*; or train one .*april-gan.*"
    said += r"\. Defects, .* `blemish teach --defect`"
    with pytest.raises(BadInput, match=said):
        update.add_good(found, good(tmp_path, 1))
    with pytest.raises(BadInput, match="not taught"):
        update.forget(again, ["cd" * 32])
    with pytest.raises(BadInput, match="trained is trained first: `blemish train trained"):
        update.freeze("trained", "test-tiny", good=good(tmp_path, 1))


class TrainedWithMemory(Trained):
    """It remembers good parts as well."""

    def __init__(self, encoder: str | Encoder) -> None:
        super().__init__(encoder)
        self.bank = MemoryBank("euclidean")

    def extract(self, batch: Batch) -> tuple[tuple[Tensor, ...], ...]:
        return ((batch.images.mean((2, 3)),),)

    def forward(self, images: Tensor) -> Prediction:
        found = super().forward(images)
        apart = self.bank.distance(images.mean((2, 3))) if self.bank.fitted else 0
        return found._replace(image_score=found.image_score + apart)


def test_what_was_trained_cannot_be_forgotten_and_what_was_remembered_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = catalog.Card(f"{__name__}:TrainedWithMemory", "", "", normal="optional", auxiliary=True)
    monkeypatch.setitem(catalog.METHODS, "trained", card)
    one, two, three = good(tmp_path, 3)
    taught = [Taught(sha256_of(one), one.name), Taught("ef" * 32, "spot.png", "spot")]
    first = update.freeze_detector(TrainedWithMemory("test-tiny").eval(), "trained", arguments={}, taught=taught)
    more = update.add_good(first, [one, two, three])  # the first has taught it already
    assert [each.name for each in more.taught[2:]] == [two.name, three.name]
    assert same(scores(update.forget(more, [each.id for each in more.taught[2:]])), scores(first))
    for each in taught:
        with pytest.raises(BadInput, match=r"trained"):
            update.forget(more, [each.id])
    with pytest.raises(BadInput, match="or trained: calibrate by others"):
        held_out_scores(more, None, dict.fromkeys((one, two), GOOD), way=HoldoutScheme("cross"))


def test_names_of_defects_are_for_methods_that_read_them() -> None:
    with pytest.raises(BadInput, match="winclip takes no defects"):
        update.freeze("winclip", "test-tiny", arguments={"defects": ["scratch"]})


def test_progress_is_told(tmp_path: Path) -> None:
    told = Told()
    reading = Reading(watch=told)
    found = update.freeze(
        "patchcore", "test-tiny", good=good(tmp_path, 2), arguments=QUICK["patchcore"], reading=reading
    )
    update.add_defects(found, "spot", spots(tmp_path, 1), reading=reading)
    assert told.advanced == ["learning from good parts 2"] * 2 + ["looking at spot 1"]
