"""Batches for training: what is in them, in which order, and what is made on good parts."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.support.parts import good, mask, part

from blemish.errors import BadData, BadInput
from blemish.examples import BatchSettings, LabelledBatches, prepare_example, read_examples
from blemish.images import Unreadable
from blemish.progress import no_progress
from blemish.types import GOOD, Geometry, Sample

SHAPE = Geometry(32)
CHOICE = BatchSettings(batch_size=4)


def normals(folder: Path, count: int = 6) -> list[Sample]:
    return [Sample(path, GOOD) for path in good(folder, count)]


def defects(folder: Path, count: int = 3) -> list[Sample]:
    spots = [(8 + 8 * at, 40 - 8 * at) for at in range(count)]
    return [
        Sample(part(folder / f"bad{at}.png", 50 + at, spot=spot), "spot", (mask(folder / f"mask{at}.png", spot),))
        for at, spot in enumerate(spots)
    ]


def test_a_mask_is_resized_with_its_picture(tmp_path: Path) -> None:
    (sample, *_) = defects(tmp_path)
    picture, truth = prepare_example(sample, SHAPE)
    assert picture.shape == (3, 32, 32)
    assert picture.dtype == torch.uint8
    inside = picture[0].float() - picture[2].float()  # the spot is orange, all else is grey
    assert float(inside[truth].mean()) > 100
    assert float(inside[~truth].abs().max()) < 100
    rows, columns = truth.nonzero().unbind(1)
    assert (int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())) == (20, 25, 4, 9)


def test_a_mask_is_cut_as_its_picture_is(tmp_path: Path) -> None:
    (sample, *_) = defects(tmp_path)
    picture, truth = prepare_example(sample, Geometry(64, crop=48))
    assert picture.shape[-2:] == truth.shape == (48, 48)
    rows, columns = truth.nonzero().unbind(1)
    assert (int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())) == (32, 43, 0, 11)


def test_batches_come_again_bit_for_bit_and_differ_by_number_and_seed(tmp_path: Path) -> None:
    samples = [*normals(tmp_path), *defects(tmp_path)]
    one, again = (LabelledBatches(samples, SHAPE, CHOICE) for _ in range(2))
    other = LabelledBatches(samples, SHAPE, replace(CHOICE, seed=1))
    for number in (5, 0, 2):
        assert torch.equal(one(number).images, again(number).images)
        assert one(number).names == again(number).names
    assert not torch.equal(one(0).images, one(1).images)
    assert one(0).names != other(0).names


def test_every_good_part_is_seen_before_one_is_seen_again(tmp_path: Path) -> None:
    examples = LabelledBatches(normals(tmp_path, 6), SHAPE, BatchSettings(batch_size=4))
    seen = [name for number in range(3) for name in examples(number).names]
    assert len(set(seen[:6])) == len(set(seen[6:])) == 6
    assert seen[:6] != seen[6:]


def test_half_of_a_batch_are_defects_with_their_masks_labels_and_types(tmp_path: Path) -> None:
    batch = LabelledBatches([*normals(tmp_path), *defects(tmp_path)], SHAPE, CHOICE)(0)
    assert batch.types == (GOOD, GOOD, "spot", "spot")
    assert batch.labels is not None
    assert batch.masks is not None
    assert batch.labels.tolist() == [False, False, True, True]
    assert batch.masks.flatten(1).any(1).tolist() == [False, False, True, True]
    assert batch.images.shape == (4, 3, 32, 32)
    marked = batch.images[:, 0] - batch.images[:, 2]
    assert float(marked[batch.masks].mean()) > 0.4  # mirrored or not, the mask lies on the spot


def test_good_parts_alone_have_no_defects(tmp_path: Path) -> None:
    batch = LabelledBatches(normals(tmp_path), SHAPE, CHOICE)(0)
    assert batch.labels is not None
    assert batch.masks is not None
    assert not batch.labels.any()
    assert not batch.masks.any()
    assert batch.types == (GOOD,) * 4


def test_defects_are_made_on_good_parts(tmp_path: Path) -> None:
    examples = LabelledBatches(normals(tmp_path), SHAPE, replace(CHOICE, augmentation="cutpaste"))
    batch = examples(3)
    assert batch.labels is not None
    assert batch.masks is not None
    assert batch.labels.tolist() == [False, False, True, True]
    assert batch.types == (GOOD, GOOD, "", "")
    for image, truth, name in zip(batch.images[2:], batch.masks[2:], batch.names[2:], strict=True):
        plain = prepare_example(Sample(Path(name), GOOD), SHAPE)[0] / 255
        changed = (image - plain).abs().amax(0) > 0
        assert truth.any()
        assert not (changed & ~truth).any()
    assert torch.equal(batch.images, examples(3).images)


def test_made_and_real_defects_mix(tmp_path: Path) -> None:
    examples = LabelledBatches(
        [*normals(tmp_path), *defects(tmp_path)], SHAPE, replace(CHOICE, augmentation="cutpaste")
    )
    types = [each for number in range(8) for each in (examples(number).types or ())]
    assert {GOOD, "spot", ""} == set(types)


def test_what_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    samples, unreadable = normals(tmp_path, 3), list[Unreadable]()
    samples[1].image.write_bytes(b"no picture")
    found = read_examples(samples, SHAPE, CHOICE, watch=no_progress, unreadable=unreadable)
    assert [each.image.name for each in found.good] == ["good0.png", "good2.png"]
    assert [Path(each.id).name for each in unreadable] == ["good1.png"]


def test_pictures_of_different_shapes_are_refused(tmp_path: Path) -> None:
    samples = normals(tmp_path, 2)
    Image.new("RGB", (64, 32)).save(samples[0].image)
    with pytest.raises(BadInput, match=r"pictures of 32 x 32 and 64 x 32 cannot be trained on together"):
        LabelledBatches(samples, Geometry(32, keep_aspect=True), CHOICE)(0)


def test_without_good_parts_there_is_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="no good part to train on"):
        LabelledBatches(defects(tmp_path), SHAPE, CHOICE)


def test_a_batch_says_whose_masks_are_known(tmp_path: Path) -> None:
    marked = LabelledBatches([*normals(tmp_path), *defects(tmp_path)], SHAPE, CHOICE)(0)
    assert marked.known is None
    unmarked = [replace(sample, masks=()) for sample in defects(tmp_path, 2)]
    batch = LabelledBatches([*normals(tmp_path), *unmarked], SHAPE, CHOICE)(0)
    assert batch.known is not None
    assert batch.labels is not None
    assert batch.known.tolist() == [True, True, False, False]
    assert batch.labels.tolist() == [False, False, True, True]


def test_a_defect_with_an_empty_mask_is_somewhere(tmp_path: Path) -> None:
    (sample,) = defects(tmp_path, 1)
    Image.new("L", (64, 64)).save(sample.masks[0])
    batch = LabelledBatches([*normals(tmp_path), sample], SHAPE, CHOICE)(0)
    assert batch.known is not None
    assert batch.known.tolist() == [True, True, False, False]


def test_types_are_drawn_equally_often_where_that_is_asked_for(tmp_path: Path) -> None:
    many, rare = defects(tmp_path, 3), replace(defects(tmp_path, 1)[0], label="rare")
    samples = [*normals(tmp_path), *many, *many, *many, rare]
    shares = []
    for even in (False, True):
        examples = LabelledBatches(samples, SHAPE, replace(CHOICE, even=even))
        types = [each for number in range(40) for each in (examples(number).types or ()) if each != GOOD]
        shares.append(types.count("rare") / len(types))
    assert shares[0] < 0.25 < 0.35 < shares[1] < 0.65


def test_each_product_is_drawn_equally_often_however_few_of_its_parts_there_are(tmp_path: Path) -> None:
    many = [replace(each, category="tile") for each in [*normals(tmp_path / "tile", 6), *defects(tmp_path / "tile", 3)]]
    few = [replace(each, category="cap") for each in [*normals(tmp_path / "cap", 2), *defects(tmp_path / "cap", 1)]]
    counts = {}
    for balanced in (True, False):
        examples = LabelledBatches([*many, *few], SHAPE, replace(CHOICE, balanced=balanced))
        drawn = [examples.sample(each.number) for number in range(24) for each in examples.draw(number)]
        counts[balanced] = [
            sum(each.category == "cap" for each in drawn if each.is_anomalous == bad) for bad in (False, True)
        ]
    assert counts[True][0] == 24  # of 48 good parts
    assert 14 < counts[True][1] < 34
    assert counts[False][0] == 12
    assert counts[False][1] < 20


@pytest.mark.parametrize("augmentation", [None, "perlin"])
def test_a_batch_is_of_one_product_where_that_is_asked_for(tmp_path: Path, augmentation: str | None) -> None:
    many = [replace(each, category="tile") for each in [*normals(tmp_path / "tile", 6), *defects(tmp_path / "tile", 3)]]
    few = [replace(each, category="cap") for each in normals(tmp_path / "cap", 2)]
    choice = replace(CHOICE, together=True, augmentation=augmentation)
    examples = LabelledBatches([*few, *many], SHAPE, choice)
    batches = [[examples.sample(each.number) for each in examples.draw(number)] for number in range(12)]
    assert [{each.category for each in batch[:2]} for batch in batches] == [{"cap"}, {"tile"}] * 6
    assert all(each.category == "tile" for batch in batches[1::2] for each in batch)
    # Caps have no defects but those that are made, and the others' teach as well.
    bad = {each.is_anomalous or each.category == "cap" for batch in batches[0::2] for each in batch[2:]}
    assert bad == {True}
    for start in (1, 7):  # every good part before one comes again
        assert len({each.image for batch in batches[start : start + 6 : 2] for each in batch[:2]}) == 6


@pytest.mark.parametrize("pool", [None, 5])
def test_a_good_part_and_its_twin_differ_by_the_defect_alone(tmp_path: Path, pool: int | None) -> None:
    samples = [*normals(tmp_path, 3), *defects(tmp_path)]
    settings = BatchSettings(batch_size=6, augmentation="foundad", twins=True, pool=pool)
    examples = LabelledBatches(samples, SHAPE, settings)
    kinds = set()
    for number in range(8):
        found = examples(number)
        assert found.twins is not None
        assert found.twins.tolist() == [0, 1, 2, 0, 1, 2]
        assert found.labels is not None
        assert found.labels.tolist() == [False] * 3 + [True] * 3
        assert found.masks is not None
        apart = (found.images - found.images[found.twins]).abs().amax(1) > 0
        assert not (apart & ~found.masks).any()
        assert (apart & found.masks)[3:].flatten(1).any(1).all()
        assert found.names[:3] == found.names[3:]
        kinds |= {picture.numpy().tobytes() for picture in found.images[:3]}
    assert 2 < len(kinds) <= 5 if pool else len(kinds) > 5


def test_without_made_defects_there_are_no_twins_but_good_parts(tmp_path: Path) -> None:
    found = LabelledBatches([*normals(tmp_path, 3), *defects(tmp_path)], SHAPE, BatchSettings(4, twins=True))(0)
    assert found.twins is not None
    assert found.twins.tolist() == [0, 1, 2, 3]
    assert found.labels is not None
    assert not found.labels.any()


def test_a_million_pictures_take_little_more_than_their_list() -> None:
    samples = [Sample(Path("part.png"), GOOD)] * 1_000_000
    tracemalloc.start()
    LabelledBatches(samples, SHAPE, CHOICE).draw(0)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 120e6  # bytes
