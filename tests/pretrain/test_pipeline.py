from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.pretrain.test_loop import EVERY, MIXTURE, PLAN, assert_same, images
from tests.pretrain.test_sources import black, photograph
from tests.support.small import LESSONS, SEES, SIDE, stored, student, taught
from tests.support.told import Told
from torch.testing import assert_close

from blemish import encoders
from blemish.encoders.embedded.network import Embedded
from blemish.errors import BadInput
from blemish.pretrain import pipeline
from blemish.pretrain.batches import Batches
from blemish.pretrain.course import PretrainModel, Weights
from blemish.pretrain.loop import Mixture
from blemish.pretrain.norms import without_norms
from blemish.pretrain.pipeline import (
    PRESETS,
    Pictures,
    fill_stores,
    initial_student,
    teacher_maps,
    weights_of,
    words_of,
)
from blemish.pretrain.store import UNKNOWN
from blemish.progress import no_progress
from blemish.training.loop import never


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    for number in range(3):
        photograph(tmp_path / "caps" / f"{number}.png", seed=number)
    photograph(tmp_path / "nuts" / "0.png", seed=7)
    return tmp_path


def asked(parts: Path) -> Pictures:
    named = (("bottle cap", str(parts / "caps")), ("nut", str(parts / "nuts")))
    return Pictures(specimens=0, photos=(str(parts / "caps"),), parts=named, side=SIDE)


def test_good_parts_and_photographs_are_gathered_once(parts: Path) -> None:
    told = Told()
    own, photos = fill_stores(asked(parts), parts / "work", told)
    assert told.advanced == ["drawing flaws on good parts 4"] * 4 + ["reading photographs 0"] * 6
    assert [fact["product"] for fact in own.facts[1::2]] == [["bottle cap"]] * 3 + [["nut"]]
    assert own.groups() == ([(0, 1), (2, 3), (4, 5), (6, 7)], [])
    assert {fact["family"] for fact in photos.facts} == {UNKNOWN}
    before = own.pictures.copy(), photos.pictures.copy()
    again = fill_stores(asked(parts), parts / "work", told)
    assert len(told.advanced) == 10
    for store, kept in zip(again, before, strict=True):
        assert np.array_equal(store.pictures, kept)


def test_only_what_is_asked_for_is_learned_from(parts: Path) -> None:
    fill_stores(asked(parts), parts / "work", no_progress)
    (photos,) = fill_stores(replace(asked(parts), parts=()), parts / "work", no_progress)
    assert photos.folder.name == "photos"
    assert fill_stores(Pictures(specimens=0), parts / "work", no_progress) == []


@pytest.mark.parametrize("change", [{"seed": 1}, {"side": 96}, {"parts": (("nut", "nuts"),)}])
def test_pictures_of_something_else_are_refused(parts: Path, change: dict[str, object]) -> None:
    fill_stores(asked(parts), parts / "work", no_progress)
    with pytest.raises(BadInput, match=r"was made of .* choose another folder"):
        fill_stores(replace(asked(parts), **change), parts / "work", no_progress)  # type: ignore[arg-type]


def test_pictures_that_do_not_state_what_they_were_made_of_are_refused(parts: Path) -> None:
    stored(parts / "work" / "photos", 0, photos=1)
    with pytest.raises(BadInput, match="something that it does not state"):
        fill_stores(asked(parts), parts / "work", no_progress)


def test_good_parts_that_are_all_unusable_are_refused(tmp_path: Path) -> None:
    black(tmp_path / "black.png")
    pictures = Pictures(specimens=0, parts=(("cap", str(tmp_path / "black.png")),), side=SIDE)
    with pytest.raises(BadInput, match=r"no picture for .*parts can be used"):
        fill_stores(pictures, tmp_path / "work", no_progress)


def test_an_encoder_teaches_its_middle_and_its_last_layers() -> None:
    teacher = encoders.load("test-tiny")  # four layers of 8 x 8 patches
    look, lessons = teacher_maps([teacher], SIDE)
    assert [(each.name, each.number, each.stage, each.stride, each.channels) for each in lessons] == [
        (f"test-tiny-{layer}", number, stage, 8, 64) for number, layer in enumerate((2, 3, 4)) for stage in (2, 5)
    ]
    found = look(images())
    assert [tuple(maps.shape) for maps in found] == [(2, 64, 8, 8)] * 3
    assert torch.equal(found[2], teacher(images(), layers=[4]).patches[0].movedim(-1, 1))


def test_teachers_are_shown_whole_patches() -> None:
    ours = student([]).eval()
    ours.sha256 = "0123456789abcdef" * 4
    look, lessons = teacher_maps([encoders.load("test-tiny"), ours], 96)
    assert [(each.name, each.stage, each.stride) for each in lessons[6:]] == [
        ("0123456789abcdef-2", 2, 8), ("0123456789abcdef-2", 5, 8),
        ("0123456789abcdef-3", 3, 16), ("0123456789abcdef-3", 5, 16),
        ("0123456789abcdef-5", 2, 8), ("0123456789abcdef-5", 5, 8),
    ]  # fmt: skip
    odd = torch.rand(1, 3, 90, 90, generator=torch.Generator().manual_seed(0))
    assert [maps.shape[2] for maps in look(odd)] == [12, 12, 12, 12, 6, 12]


def test_without_teachers_there_are_no_lessons() -> None:
    look, lessons = teacher_maps([], SIDE)
    assert lessons == []
    assert look(images()) == []


def test_the_words_of_the_users_own_products_are_learned(tmp_path: Path) -> None:
    words = words_of([stored(tmp_path, 3)])
    assert {"flask", "screw", "scratch", "photo", "leather"} <= set(words)
    assert "flask" not in words_of([])
    assert list(words) == sorted(set(words))


def test_a_beginning_without_a_start_is_random_and_of_the_config_asked_for() -> None:
    model = initial_student(SEES, ["cap", "dent"], None, 0)
    assert model.config == SEES
    assert model.words.vocabulary == ("cap", "dent")


def test_beginning_from_a_start_keeps_what_it_does_and_adds_words() -> None:
    start = initial_student(SEES, ["cap", "dent", "photo"], None, 1).eval()
    model = initial_student(PRESETS["cpu"].config, ["crack", "dent", "zinc"], start, 2).eval()
    assert model.config == SEES
    assert model.words.vocabulary == ("cap", "dent", "photo", "crack", "zinc")
    texts = ["photo of a cap", "dent", "an unheard-of thing"]
    with torch.no_grad():
        assert torch.equal(model.encode_text(texts), start.encode_text(texts))
        assert torch.equal(model(images(), layers=range(1, 6)).image, start(images()).image)
        assert not torch.allclose(model.encode_text(["zinc"]), start.encode_text(["zinc"]), atol=1e-3)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_deeper_model_begins_with_what_the_shallower_one_does_and_can_learn_more() -> None:
    start = initial_student(SEES, ["cap"], None, 1).eval()
    deeper = pipeline.deepen(start, [more + 1 for more in SEES.depths], 2)
    assert len(list(deeper.parameters())) == len(list(start.parameters())) + 4 * 4
    assert_close(deeper(images()).image, start(images()).image)
    deeper(images()).image.sum().backward()
    new = dict(deeper.named_parameters())[f"trunk.stages.0.{SEES.depths[0]}.convolutions.1.weight"]
    assert new.grad is not None
    assert new.grad.abs().max() > 0


def test_a_model_becomes_neither_shallower_nor_one_of_other_stages() -> None:
    start = initial_student(SEES, ["cap"], None, 1)
    for depths in ([0, 0, 0, 0], [9, 9]):
        with pytest.raises(BadInput, match="cannot become"):
            pipeline.deepen(start, depths, 0)


def test_only_our_own_encoder_can_be_trained_on() -> None:
    ours = student([])
    assert pipeline.trainable(ours) is ours
    with pytest.raises(BadInput, match="test-tiny cannot be trained on: start from 'embedded'"):
        pipeline.trainable(encoders.load("test-tiny"))


def test_stated_weights_replace_the_usual_ones() -> None:
    assert weights_of([]) == Weights()
    assert weights_of([("tab", "1"), ("types", "0")]) == replace(Weights(), tab=1.0, types=0.0)


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        (("colour", "1"), "no aim 'colour': choose from distillation, patches, products, tab, types, whole"),
        (("tab", "much"), "must be a number"),
        (("tab", "-1"), "the weight of tab is -1.0: it must be 0 or more"),
        (("tab", "nan"), "the weight of tab is nan"),
        (("tab", "inf"), "the weight of tab is inf"),
    ],
)
def test_an_aim_that_does_not_exist_and_a_weight_that_is_none_are_refused(stated: tuple[str, str], reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        weights_of([stated])


def test_nothing_to_learn_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing to learn from"):
        pipeline.pretrain([], [], student([]), PLAN, MIXTURE, EVERY, tmp_path, watch=Told(), stop=lambda: True)


def test_going_on_begins_with_what_has_been_learned(tmp_path: Path) -> None:
    stores = taught(tmp_path)
    start, plan = student(stores), replace(PLAN, steps=1)
    aims = replace(EVERY, distillation=0.0, tab=0.0)  # whose heads begin anew
    course = PretrainModel(start, LESSONS, aims)
    batch = Batches(stores, LESSONS, start.words.vocabulary).draw(0, pairs=6, singles=3)
    with torch.no_grad():
        learned = float(torch.stack(list(course.loss(batch).values())).sum())
    off = {}
    for goes_on in (True, False):
        told, copy, folder = Told(), initial_student(SEES, (), start, 0), tmp_path / str(goes_on)
        mixture = Mixture(pairs=6, singles=3)
        pipeline.pretrain(stores, LESSONS, copy, plan, mixture, aims, folder, watch=told, stop=never, goes_on=goes_on)
        off[goes_on] = abs(told.totals[0] - learned)
    assert off[True] < 0.2 * off[False]


def test_going_on_out_of_time_changes_nothing(tmp_path: Path) -> None:
    stores, start = taught(tmp_path), student([], seed=3).eval()
    copy = initial_student(SEES, (), start, 0)
    found, done = pipeline.pretrain(
        stores, LESSONS, copy, PLAN, MIXTURE, EVERY, tmp_path / "run", watch=Told(), stop=lambda: True, goes_on=True
    )
    assert not done
    assert without_norms(found) is found
    with torch.no_grad():
        assert_close(found(images()).image, start(images()).image, rtol=1e-3, atol=1e-3)
    assert found.words.vocabulary == start.words.vocabulary


def test_the_same_seed_trains_the_same_student(tmp_path: Path) -> None:
    stores, found = taught(tmp_path), list[Embedded]()
    for global_seed in (1, 2):  # which is of no account
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(global_seed)
            folder, begun = tmp_path / str(global_seed), student(stores)
            model, _ = pipeline.pretrain(stores, LESSONS, begun, PLAN, MIXTURE, EVERY, folder, watch=Told(), stop=never)
        found.append(model)
    assert_same(*found)


def test_parts_of_a_student_are_trained_and_the_others_stay_to_the_bit(tmp_path: Path) -> None:
    stores, start = taught(tmp_path), student([], seed=3).eval()
    copy = initial_student(SEES, (), start, 0)
    aims, parts = replace(EVERY, distillation=0.0), ("dense", "words")
    found, done = pipeline.pretrain(
        stores, [], copy, PLAN, MIXTURE, aims, tmp_path / "run", watch=Told(), stop=never, goes_on=True, parts=parts
    )
    assert done
    before = start.state_dict()
    changed = {name for name, tensor in found.state_dict().items() if not torch.equal(tensor, before[name])}
    assert {name.partition(".")[0] for name in changed} == set(parts)
