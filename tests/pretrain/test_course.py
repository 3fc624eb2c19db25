from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from tests.support.small import LESSONS, SEES, student, taught
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.errors import BadInput
from blemish.pretrain.batches import Batches
from blemish.pretrain.course import Batch, PretrainModel, Weights, coverage, first_occurrences, pool

AIMS = [each.name for each in fields(Weights)]
EVERY = Weights(1.0, 0.9, 0.8, 0.7, 0.6, 0.5)


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    stores = taught(tmp_path_factory.mktemp("stores"))
    return Batches(stores, LESSONS, student(stores).words.vocabulary).draw(0, pairs=4, singles=2)


def course(weights: Weights = EVERY) -> PretrainModel:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)  # of the heads
        return PretrainModel(student([]), LESSONS, weights).eval()


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_every_aim_has_its_loss(batch: Batch) -> None:
    losses = course().losses(batch)
    assert set(losses) == set(AIMS)
    for loss in losses.values():
        assert loss.shape == ()
        assert float(loss.detach()) > 0


@pytest.mark.parametrize("aim", AIMS)
def test_an_aim_of_weight_0_is_left_out(batch: Batch, aim: str) -> None:
    whole, without = course(), course(replace(EVERY, **{aim: 0.0}))
    losses = whole.losses(batch)
    total, less = (sum(loss.detach() for loss in each.loss(batch).values()) for each in (whole, without))
    assert isinstance(total, Tensor)
    assert set(without.losses(batch)) <= set(losses)
    assert_close(total, sum(getattr(EVERY, name) * loss.detach() for name, loss in losses.items()), check_dtype=False)
    assert_close(total - less, getattr(EVERY, aim) * losses[aim].detach(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("aim", AIMS)
def test_an_aim_alone_moves_the_student(batch: Batch, aim: str) -> None:
    alone = course(Weights(**{name: float(name == aim) for name in AIMS}))
    torch.stack(list(alone.loss(batch).values())).sum().backward()
    gradient = alone.student.trunk.get_parameter("stages.0.0.convolutions.0.weight").grad
    assert gradient is not None
    assert gradient.isfinite().all()
    assert gradient.any()
    words = alone.student.words.pieces.weight.grad
    assert (words is not None and bool(words.any())) == (aim != "distillation")


def test_without_twins_there_is_only_what_teachers_say(batch: Batch) -> None:
    count = len(batch.targets[0])
    alone = batch._replace(images=batch.images[-count:], masks=batch.masks[:0], product=batch.product[:0])
    assert set(course().losses(alone)) == {"distillation"}


def test_without_teachers_there_is_only_what_words_say(batch: Batch) -> None:
    assert "distillation" not in course().losses(batch._replace(targets=()))


def test_a_patch_counts_by_how_much_of_it_is_flawed_three_times_over() -> None:
    masks = torch.zeros(2, 16, 16, dtype=torch.bool)
    masks[0, :8, :8] = True  # the whole patch
    masks[0, 8:, 8] = True  # an eighth of it
    masks[1, 0, :4] = True  # a sixteenth
    assert_close(coverage(masks, (2, 2)), torch.tensor([[[1, 0], [0, 3 / 8]], [[3 / 16, 0], [0, 0]]]))


def test_pooling_is_a_weighted_mean() -> None:
    patches, weights = drawn(2, 3, 4, 5), drawn(2, 4, 5, seed=1).abs()
    wanted = torch.stack([
        sum(weights[n, y, x] * patches[n, :, y, x] for y in range(4) for x in range(5)) / weights[n].sum()
        for n in range(2)
    ])  # fmt: skip
    assert_close(pool(patches, weights), wanted)
    assert not pool(patches, torch.zeros(2, 4, 5)).any()


@pytest.mark.parametrize("numbers", [[2, 0, 2, 1, 0], [0], [5, 5, 5], [3, 9, 1]])
def test_the_first_place_of_each_distinct_number(numbers: list[int]) -> None:
    wanted = [numbers.index(number) for number in sorted(set(numbers))]
    assert first_occurrences(torch.tensor(numbers)).tolist() == wanted


def unit(*shape: int, seed: int = 0) -> Tensor:
    return F.normalize(drawn(*shape, seed=seed), dim=1)


def test_products_choose_among_the_distinct_ones() -> None:
    made, product = course(), torch.tensor([4, 1, 4])
    whole, normal, abnormal = unit(6, 12), unit(3, 12, seed=1), unit(3, 12, seed=2)
    scale, wanted = SEES.scale, 0.0
    for rows, texts in ((whole[:3], normal[[1, 0]]), (whole[3:], abnormal[[1, 0]])):  # 1 comes first, 4 second
        for row, number in zip(rows, (1, 0, 1), strict=True):
            wanted -= float((scale * texts @ row).log_softmax(0)[number]) / 3
    assert float(made.parts_named(whole, normal, abnormal, product)) == pytest.approx(wanted, rel=1e-5)


def test_patches_that_say_where_the_flaw_is_lose_less_than_those_that_do_not() -> None:
    made, words = course(), unit(4, 12)
    normal, abnormal, named, other = (each.expand(2, -1) for each in words[:, None])
    truth = torch.zeros(2, 3, 3)
    truth[:, 1, 1] = 1
    good = words[0][None, :, None, None].expand(2, -1, 3, 3)
    flaw = F.normalize(words[1] + words[2], dim=0)[None, :, None, None]
    bad = torch.where(truth[:, None] > 0, flaw, good)
    right = made.patchwise(torch.cat([good, bad]), truth, normal, abnormal, named, other)
    for wrong in (torch.cat([bad, good]), torch.cat([good, good]), torch.cat([bad, bad])):
        assert made.patchwise(wrong, truth, normal, abnormal, named, other) > right


def test_heads_fit_the_stages_they_learn_from() -> None:
    made = course()
    shapes = [tuple(tensor.shape[:2]) for name, tensor in made.distillation.named_parameters() if "weight" in name]
    assert shapes == [(4, SEES.widths[1]), (4, SEES.neck)]


def test_a_part_that_the_student_does_not_have_is_refused() -> None:
    with pytest.raises(BadInput, match=r"no part 'head': choose from trunk, lateral, .*dense, whole, words"):
        PretrainModel(student([]), LESSONS, EVERY, parts=["dense", "head"])
