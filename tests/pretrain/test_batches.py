from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.support.small import LESSONS, SIDE, look, stored, taught, twins
from torch import Tensor
from torch.nn import functional as F

from blemish.errors import BadInput
from blemish.pretrain import pipeline, sentences
from blemish.pretrain.batches import (
    HIDDEN,
    NEAREST,
    Batches,
    draw_numbers,
    framing,
    mirror,
    numbers,
    relight,
    take_rows,
    warp,
)
from blemish.pretrain.course import Batch
from blemish.pretrain.store import Entry, Store
from blemish.pretrain.teachers import TeacherMap, store_features, tensor
from blemish.progress import no_progress
from blemish.synth.drawn.flaws.flaws import FLAWS
from blemish.synth.drawn.words import SYNONYMS


def batches(stores: Sequence[Store], lessons: Sequence[TeacherMap] = LESSONS, *, seed: int = 0) -> Batches:
    return Batches(stores, lessons, pipeline.words_of(stores), seed=seed)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Store]:
    return taught(tmp_path_factory.mktemp("stores"))


def assert_same(one: Batch, other: Batch) -> None:
    for name, value in one._asdict().items():
        same = getattr(other, name)
        if isinstance(value, Tensor):
            assert torch.equal(value, same), name
        elif name == "targets":
            assert all(torch.equal(a, b) for a, b in zip(value, same, strict=True))
        else:
            assert value == same, name


def test_a_step_has_the_same_batch_for_ever(stores: list[Store]) -> None:
    whole, again = batches(stores), batches([Store(stores[0].folder, SIDE)])
    first = whole.draw(3, pairs=4, singles=2)
    whole.draw(9, pairs=4, singles=2)
    assert_same(whole.draw(3, pairs=4, singles=2), first)
    assert_same(again.draw(3, pairs=4, singles=2), first)


def test_another_step_and_another_seed_have_other_batches(stores: list[Store]) -> None:
    first = batches(stores).draw(0, pairs=4, singles=2)
    for other in (
        batches(stores).draw(1, pairs=4, singles=2),
        batches(stores, seed=1).draw(0, pairs=4, singles=2),
    ):
        assert not torch.equal(first.images, other.images)
        assert first.texts != other.texts
        assert first.hidden != other.hidden


def test_a_batch_has_the_shapes_it_states(stores: list[Store]) -> None:
    batch = batches(stores).draw(0, pairs=4, singles=2)
    assert batch.images.shape == (2 * 4 + 2, 3, SIDE, SIDE)
    assert 0 <= float(batch.images.min()) <= float(batch.images.max()) <= 1
    assert batch.masks.shape == (4, SIDE, SIDE)
    assert batch.masks.flatten(1).any(1).all()
    assert [tuple(target.shape) for target in batch.targets] == [(6, 4, 8, 8)] * 2
    assert batch.product.shape == batch.family.shape == batch.other.shape == (4,)
    assert len(batch.texts) == 4 * 4 + len(sentences.FAMILIES)


def test_no_more_is_drawn_than_there_is(stores: list[Store]) -> None:
    batch = batches(stores).draw(0, pairs=99, singles=99)
    assert batch.images.shape[0] == 2 * 6 + 3
    assert len(batch.targets[0]) == 6 + 3


def test_the_numbers_of_a_batch_name_its_products_and_flaws(stores: list[Store]) -> None:
    batch = batches(stores).draw(0, pairs=6, singles=0)
    facts = {(tuple(fact["product"]), fact["family"]) for fact in stores[0].facts if fact["family"] not in ("", "?")}
    kinds = sorted({product for product, _ in facts})
    named = [sentences.FAMILIES[number] for number in batch.family.tolist()]
    assert {(kinds[number], name) for number, name in zip(batch.product.tolist(), named, strict=True)} == facts
    for own, other in zip(batch.family.tolist(), batch.other.tolist(), strict=True):
        name = sentences.FAMILIES[own]
        assert sentences.FAMILIES[other] not in {name, *SYNONYMS.get(name, ())}


def test_sentences_name_the_flaw_and_another_one_and_one_of_every_family(stores: list[Store]) -> None:
    batch = batches(stores).draw(0, pairs=4, singles=0)
    for at, number in enumerate([*batch.family.tolist(), *batch.other.tolist(), *range(len(sentences.FAMILIES))]):
        flaw = FLAWS[sentences.FAMILIES[number]]
        assert any(word in batch.texts[8 + at] for word in (*flaw.words, *flaw.adjectives))


def identical(number: int) -> list[Entry]:
    """Twins that show the same, so that whatever differs was done to them."""
    good, flawed = twins(number)
    return [good._replace(picture=flawed.picture), flawed]


def test_twins_share_their_light_and_their_mirroring(tmp_path: Path) -> None:
    store = Store(tmp_path, SIDE)
    store.fill([identical(number) for number in range(8)], 16)
    for step in range(3):
        batch = batches([store], ()).draw(step, pairs=8, singles=0)
        assert torch.equal(batch.images[:8], batch.images[8:])


def places(maps: Tensor) -> list[int]:
    """The brightest column of each (N, h, w), and a grid of eight."""
    columns = maps.mean(1)
    return F.adaptive_avg_pool1d(columns, 8).argmax(1).tolist()


def test_masks_and_targets_are_mirrored_along_with_their_pictures(stores: list[Store]) -> None:
    sides = set()
    for step in range(4):
        batch = batches(stores).draw(step, pairs=6, singles=0)
        flawed = batch.images[6:]
        bright = (flawed.mean(1) > flawed.mean((1, 2, 3))[:, None, None] + 0.1).float()
        assert (bright == batch.masks).float().mean() > 0.99
        assert places(bright) == places(batch.masks.float())
        grey = look(flawed)[0][:, :3].mean(1)
        for target in batch.targets:
            for seen, said in zip(grey, target, strict=True):  # some channel of the target follows the brightness
                related = torch.corrcoef(torch.cat([seen.flatten()[None], said.flatten(1)]))[0, 1:]
                assert float(related.abs().max()) > 0.95
        sides |= {column < 4 for column in places(batch.masks.float())}
    assert sides == {True, False}  # drawn left of the middle


def test_light_changes_a_picture_as_a_whole() -> None:
    rng = np.random.default_rng(0)
    images = 0.3 + 0.4 * torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = relight(images, rng, twins=0)
    grey = (found[:, 0] == found[:, 1]).flatten(1).all(1)
    assert 1 <= int(grey.sum()) < 20
    for before, after in zip(images[~grey], found[~grey], strict=True):
        inside = (after > 0) & (after < 1)
        related = torch.corrcoef(torch.stack([before[inside], after[inside]]))[0, 1]
        assert float(related) > 0.999
    gains = found[~grey].flatten(1).std(1) / images[~grey].flatten(1).std(1)
    assert 0.05 < float(gains.log().std()) < 0.3


def test_words_are_hidden_by_chance_and_all_are_of_the_vocabulary(stores: list[Store]) -> None:
    source = batches(stores)
    hidden = [source.draw(step, pairs=1, singles=0).hidden for step in range(10)]
    assert all(each <= set(source.words) for each in hidden)
    assert np.mean([len(each) for each in hidden]) / len(source.words) == pytest.approx(HIDDEN, abs=0.05)
    assert len(set(hidden)) == 10


def test_what_no_teacher_was_asked_about_comes_first_and_has_no_target(tmp_path: Path) -> None:
    (spoken,) = taught(tmp_path, photos=0)
    silent_one = stored(tmp_path / "more", 5)
    batch = batches([silent_one, spoken]).draw(0, pairs=11, singles=4)
    assert batch.images.shape[0] == 22
    assert len(batch.targets[0]) == 6
    grey = look(batch.images[-6:])[0][:, :3].mean(1).flatten(1)
    for seen, said in zip(grey, batch.targets[0].flatten(2), strict=True):
        assert float(torch.corrcoef(torch.cat([seen[None], said]))[0, 1:].abs().max()) > 0.95


def test_pictures_that_only_teachers_speak_about_need_one(tmp_path: Path) -> None:
    photos = stored(tmp_path / "photos", 0, photos=4)
    with pytest.raises(BadInput, match="ask for specimens"):
        batches([photos], ())
    with pytest.raises(BadInput, match="ask for specimens"):
        batches([photos])
    store_features(photos, look, LESSONS, tmp_path / "bases", no_progress)
    batch = batches([photos]).draw(0, pairs=4, singles=3)
    assert batch.images.shape[0] == len(batch.targets[0]) == 3
    assert batch.masks.shape == (0, SIDE, SIDE)


def test_a_store_of_half_a_lesson_is_not_taught(tmp_path: Path) -> None:
    (store,) = taught(tmp_path)
    lessons = (*LESSONS, TeacherMap("other", 0, 3, 16, 2))
    batch = batches([store], lessons).draw(0, pairs=3, singles=3)
    assert batch.targets == ()
    assert batch.images.shape[0] == 6


def test_a_store_that_has_grown_since_is_not_taught(tmp_path: Path) -> None:
    (store,) = taught(tmp_path, photos=0)
    assert batches([store]).taught == {0}
    store.fill([twins(6)], 14)
    grown = batches([store])
    assert grown.taught == set()
    assert grown.draw(0, pairs=7, singles=0).targets == ()
    store_features(store, look, LESSONS, tmp_path / "bases", no_progress)
    assert len(batches([store]).draw(0, pairs=7, singles=0).targets[0]) == 7


def test_mirrored_exchanges_left_and_right_where_it_is_told() -> None:
    x = torch.arange(12.0).view(2, 2, 3)
    found = mirror(x, torch.tensor([True, False]))
    assert found[0].tolist() == [[2, 1, 0], [5, 4, 3]]
    assert torch.equal(found[1], x[1])


def test_twins_get_one_draw_and_all_others_their_own() -> None:
    assert draw_numbers(7, twins=2).tolist() == [0, 1, 0, 1, 2, 3, 4]
    assert draw_numbers(3, twins=0).tolist() == [0, 1, 2]


def test_rows_are_picked_from_several_arrays() -> None:
    first, second = np.arange(6).reshape(3, 2), 10 + np.arange(4).reshape(2, 2)
    assert take_rows([first, second], [(1, 1), (0, 2), (1, 0)]).tolist() == [[12, 13], [4, 5], [10, 11]]
    assert take_rows([first, second], []).shape == (0, 2)


def test_families_are_numbered_by_their_order() -> None:
    assert numbers(["scratch", "dent"]).tolist() == [sentences.FAMILIES.index(each) for each in ("scratch", "dent")]
    assert numbers([]).shape == (0,)


def test_pictures_are_those_of_the_store(stores: list[Store]) -> None:
    """Up to light and mirroring: each flawed picture follows one of the store's, or its mirror image."""
    batch, known = batches(stores).draw(1, pairs=3, singles=0), tensor(stores[0].pictures).flatten(1)
    mirror = tensor(stores[0].pictures).flip(-1).flatten(1)
    for image in batch.images:
        if torch.equal(image[0], image[1]):
            continue  # made grey
        related = torch.corrcoef(torch.cat([image.flatten()[None], known, mirror]))[0, 1:]
        assert float(related.max()) > 0.99


def spots(count: int) -> Tensor:
    """(count, SIDE, SIDE), a flaw of four pixels each, also in corners."""
    masks = torch.zeros(count, SIDE, SIDE, dtype=torch.bool)
    for number, mask in enumerate(masks):
        top, left = (number * 7) % (SIDE - 1), (number * 11) % (SIDE - 1)
        mask[top : top + 2, left : left + 2] = True
    masks[0] = False
    masks[0, :2, :2] = True
    return masks


def test_another_frame_lies_in_the_picture_and_keeps_some_of_the_flaw() -> None:
    masks = spots(40)
    frames = framing(masks, np.random.default_rng(0))
    reach = frames[:, :, :2].abs().sum(2)
    assert float((reach + frames[:, :, 2].abs()).max()) <= 1 + 1e-5
    assert float(reach.min()) >= NEAREST - 1e-5
    assert float(reach.max()) > 0.9
    assert len(frames[:, :, :2].sign().unique(dim=0)) == 4  # quarters of a turn
    seen = warp(masks, frames)
    assert seen.dtype == torch.bool
    assert seen.flatten(1).any(1).all()


def test_a_flaw_is_where_it_was_in_the_other_frame() -> None:
    masks = torch.zeros(12, SIDE, SIDE, dtype=torch.bool)
    masks[:, 3:13, 5:15] = True
    pictures = masks[:, None].float().expand(-1, 3, -1, -1)
    frames = framing(masks, np.random.default_rng(1))
    assert torch.equal(warp(pictures, frames)[:, 0] > 0.5, warp(masks, frames))


def test_the_whole_frame_is_the_picture() -> None:
    pictures = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    frames = torch.eye(2, 3).expand(2, -1, -1)
    torch.testing.assert_close(warp(pictures, frames), pictures)
    assert not len(warp(pictures[:0], frames[:0]))


def test_twins_no_teacher_saw_are_seen_in_other_frames_and_their_masks_too(tmp_path: Path) -> None:
    batch = batches([stored(tmp_path)], ()).draw(0, pairs=6, singles=0)
    differ = (batch.images[6:] - batch.images[:6]).abs().amax(1)
    flaws = differ > differ.amax((1, 2), keepdim=True) / 2
    assert (flaws == batch.masks).float().mean() > 0.99
    assert len(set(batch.masks.sum((1, 2)).tolist())) == 6  # 192 pixels each in the store
