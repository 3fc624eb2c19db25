"""What every detector promises, checked on every row of the catalogue."""

from __future__ import annotations

import copy
import inspect
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.support import training
from tests.support.learning import learn
from tests.support.quick import SIDE
from tests.support.training import TRAINED
from torch import Tensor, nn
from torch.testing import assert_close

from blemish import catalog, encoders
from blemish.errors import BadInput, NotFitted
from blemish.images import input_size
from blemish.types import Geometry, Learner, Prediction

LEARNERS = sorted(name for name, card in catalog.METHODS.items() if card.normal != "none" and not card.trained)
NEED_GOOD_PARTS = sorted(
    name
    for name, card in catalog.METHODS.items()
    if (card.normal == "required" or card.scores == "set") and not card.trained
)
NEED_NOTHING = sorted(set(catalog.METHODS) - set(NEED_GOOD_PARTS) - set(TRAINED))

every = pytest.mark.parametrize("name", sorted(catalog.METHODS))
learners = pytest.mark.parametrize("name", LEARNERS)
needy = pytest.mark.parametrize("name", NEED_GOOD_PARTS)
ways = pytest.mark.parametrize(
    ("name", "fitted"),
    [*((name, True) for name in [*LEARNERS, *TRAINED]), *((name, False) for name in NEED_NOTHING)],
    ids=[*(f"{name}-fitted" for name in [*LEARNERS, *TRAINED]), *(f"{name}-as-it-is" for name in NEED_NOTHING)],
)


def pictures(count: int, seed: int, height: int = SIDE, width: int = SIDE) -> Tensor:
    """Grey parts with a bright bar and a little noise: alike, but no two the same."""
    noise = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))
    part = 0.4 + 0.1 * noise
    part[:, :, height // 4 : height // 2, :] += 0.2
    return part


GOOD = [pictures(4, seed) for seed in (1, 2)]
TEST = pictures(3, 9)


def made(name: str) -> Learner:
    return cast(Learner, catalog.method(name)("test-tiny", **training.arguments(name)))


def module(detector: Learner) -> nn.Module:
    assert isinstance(detector, nn.Module)
    return detector


@cache
def ready(name: str, fitted: bool = True) -> Learner:
    """Shared between tests, none of which may change it."""
    if name in TRAINED:
        return cast(Learner, training.ready(name))
    return learn(made(name), GOOD) if fitted else made(name)


def assert_same(one: Prediction, other: Prediction) -> None:
    assert torch.equal(one.image_score, other.image_score)
    assert torch.equal(one.anomaly_map, other.anomaly_map)


@ways
def test_a_prediction_has_a_score_an_image_and_a_map_of_its_size(name: str, fitted: bool) -> None:
    found = ready(name, fitted)(TEST)
    assert isinstance(found, Prediction)
    assert found.image_score.shape == (3,)
    assert found.anomaly_map.shape == (3, SIDE, SIDE)
    for tensor in (found.image_score, found.anomaly_map):
        assert tensor.dtype == torch.float32
        assert tensor.isfinite().all()


@ways
def test_blank_and_extreme_pictures_have_finite_scores(name: str, fitted: bool) -> None:
    blank = torch.stack([torch.full((3, SIDE, SIDE), value) for value in (0.0, 0.5, 1.0)])
    found = ready(name, fitted)(blank)
    assert found.image_score.isfinite().all()
    assert found.anomaly_map.isfinite().all()


@ways
def test_a_picture_scores_the_same_alone_and_in_a_batch(name: str, fitted: bool) -> None:
    detector = ready(name, fitted)
    together = detector(TEST)
    for number in range(len(TEST)):
        alone = detector(TEST[number : number + 1])
        assert_close(alone.image_score, together.image_score[number : number + 1], rtol=1e-4, atol=1e-6)
        assert_close(alone.anomaly_map, together.anomaly_map[number : number + 1], rtol=1e-4, atol=1e-6)


@learners
def test_a_planted_defect_scores_higher_and_shows_where_it_is(name: str) -> None:
    hurt = TEST.clone()
    hurt[:, :, 36:56, 36:56] = 0.0
    clean, bad = ready(name)(TEST), ready(name)(hurt)
    assert (bad.image_score > clean.image_score).all()
    rise = bad.anomaly_map - clean.anomaly_map
    assert (rise[:, 42:50, 42:50].mean((1, 2)) > 0).all()
    assert (bad.anomaly_map[:, 42:50, 42:50].mean((1, 2)) > bad.anomaly_map[:, :12, :12].mean((1, 2))).all()


@learners
def test_good_parts_need_not_be_square(name: str) -> None:
    detector = learn(made(name), [pictures(4, 3, 64, 96)])
    found = detector(pictures(2, 4, 64, 96))
    assert found.anomaly_map.shape == (2, 64, 96)
    assert found.image_score.isfinite().all()


@every
def test_the_geometry_asks_for_pictures_that_the_encoder_takes(name: str) -> None:
    geometry = made(name).geometry
    assert isinstance(geometry, Geometry)
    patch = encoders.load("test-tiny").patch_size
    for size in ((480, 640), (33, 900), (64, 64)):
        assert all(side % patch == 0 for side in input_size(geometry, *size))
    assert input_size(geometry, 300, 300) == (SIDE, SIDE)


@needy
def test_without_good_parts_it_says_so(name: str) -> None:
    with pytest.raises(NotFitted, match=r"fit\(\)"):
        made(name)(TEST)


@learners
def test_fitting_to_nothing_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="no image"):
        learn(made(name), [])


@learners
def test_one_good_part_is_enough(name: str) -> None:
    found = learn(made(name), [GOOD[0][:1]])(TEST)
    assert found.image_score.isfinite().all()
    assert found.anomaly_map.isfinite().all()


@learners
def test_fit_reads_an_iterator_once_and_returns_the_detector(name: str) -> None:
    taken = []

    def once() -> Iterator[Tensor]:
        for number, batch in enumerate(GOOD):
            taken.append(number)
            yield batch

    detector = made(name)
    assert learn(detector, once()) is detector
    assert taken == [0, 1]
    assert_same(detector(TEST), ready(name)(TEST))


@learners
def test_fitting_again_forgets_the_first_time(name: str) -> None:
    again = learn(learn(made(name), [pictures(2, 30).flip(2)]), GOOD)
    assert_same(again(TEST), ready(name)(TEST))


@learners
def test_the_same_seed_gives_the_same_result(name: str) -> None:
    assert_same(learn(made(name), GOOD)(TEST), ready(name)(TEST))


@ways
def test_a_fresh_instance_takes_over_the_state_bit_for_bit(name: str, fitted: bool, tmp_path: Path) -> None:
    detector = ready(name, fitted)
    state = module(detector).state_dict()
    save_file(state, tmp_path / "state.safetensors")
    for tensors in (state, load_file(tmp_path / "state.safetensors")):
        fresh = made(name)
        module(fresh).load_state_dict(tensors)
        assert_same(fresh(TEST), detector(TEST))


@learners
def test_a_state_replaces_what_another_fit_has_learn(name: str) -> None:
    other = learn(made(name), [pictures(2, 30)])
    module(other).load_state_dict(module(ready(name)).state_dict())
    assert_same(other(TEST), ready(name)(TEST))


@ways
def test_a_copy_is_independent_of_its_original(name: str, fitted: bool) -> None:
    detector = ready(name, fitted)
    before, twin = detector(TEST), copy.deepcopy(detector)
    assert_same(twin(TEST), before)
    if name not in TRAINED:
        learn(twin, [pictures(2, 30).flip(2)])
    for tensor in module(twin).state_dict().values():
        tensor.zero_()
    assert_same(detector(TEST), before)


@learners
def test_pictures_and_the_global_random_state_are_left_alone(name: str) -> None:
    good, test = [batch.clone() for batch in GOOD], TEST.clone()
    before = torch.get_rng_state(), random.getstate(), np.random.get_state(legacy=False)
    learn(made(name), good)(test)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    after = np.random.get_state(legacy=False)
    assert str(after) == str(before[2])
    assert all(torch.equal(one, other) for one, other in zip(good, GOOD, strict=True))
    assert torch.equal(test, TEST)


@ways
def test_nothing_is_kept_for_a_gradient(name: str, fitted: bool) -> None:
    detector = ready(name, fitted)
    assert torch.is_grad_enabled()
    assert not any(tensor.requires_grad for tensor in detector(TEST) if tensor is not None)
    assert not any(tensor.requires_grad for tensor in module(detector).state_dict().values())


@every
def test_every_argument_is_an_option_with_a_default_and_is_kept_unchanged(name: str) -> None:
    detector = made(name)
    encoder, *options = inspect.signature(catalog.method(name)).parameters.values()
    assert encoder.name == "encoder"
    assert encoder.kind is encoder.POSITIONAL_OR_KEYWORD
    assert encoder.default == encoders.DEFAULT
    for option in options:
        assert option.kind is option.KEYWORD_ONLY, option.name
        assert option.default is not option.empty, option.name
        given = training.arguments(name).get(option.name, option.default)
        assert getattr(detector, option.name) is given, option.name


@every
def test_an_encoder_may_be_given_itself(name: str) -> None:
    encoder = encoders.load("test-tiny")
    detector = catalog.method(name)(encoder, **training.arguments(name))
    assert detector.encoder is encoder
