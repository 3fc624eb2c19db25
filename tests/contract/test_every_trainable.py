"""What every method that is trained by gradients promises."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from tests.support.parts import good, mask, part
from tests.support.quick import slow_but
from tests.support.told import Told
from tests.support.training import TRAINED, batch, begun, ready, ready_and_told, trained
from torch import nn

from blemish import catalog, encoders
from blemish.blocks.closeups import closeup_batch
from blemish.errors import NotFitted
from blemish.examples import BatchSettings, LabelledBatches
from blemish.recipes.fit import TrainedDetector
from blemish.training.features import FeatureCache, FrozenTower
from blemish.training.loop import train
from blemish.training.schedule import Schedule
from blemish.types import GOOD, Batch, Sample

PARITY = Path(__file__).parents[1] / "parity" / "encoders"
ENCODERS = ["embedded", "test-tiny", *map(str, sorted(PARITY.glob("timm_*/*model*.safetensors")))]
every = pytest.mark.parametrize("name", TRAINED)
WORDLESS = [name for name in TRAINED if not catalog.card(name).needs & {"text", "prompts"}]


def pairs() -> list[object]:
    """Each method with each encoder: in the quick suite those that need no words with some, and each encoder with some.

    On the default encoder every method is trained and used by a command, in tests/structure/test_path.py.
    """
    turns = {(name, each) for at, name in enumerate(WORDLESS) for each in ENCODERS[at % 3 :: 3]}
    return [pytest.param(*each, marks=[] if each in turns else pytest.mark.slow) for each in product(TRAINED, ENCODERS)]


def module(detector: TrainedDetector) -> nn.Module:
    return cast(nn.Module, detector)


def parameters(detector: TrainedDetector) -> list[nn.Parameter]:
    return [each for group in detector.trained_parameters() for each in group.parameters]


def encoder_of(detector: TrainedDetector) -> nn.Module:
    return cast(nn.Module, cast(Any, detector).encoder)


def assert_same(one: TrainedDetector, other: TrainedDetector) -> None:
    theirs = module(other).state_dict()
    odd = {name for name, tensor in module(one).state_dict().items() if not torch.equal(tensor, theirs[name])}
    assert odd == set()


@every
def test_the_catalogue_says_that_it_is_trained(name: str) -> None:
    assert hasattr(catalog.method(name), "loss")


def test_no_other_method_has_a_loss() -> None:
    assert [name for name in catalog.METHODS if hasattr(catalog.method(name), "loss")] == TRAINED


@every
def test_it_names_its_parameters_and_a_schedule(name: str) -> None:
    detector = begun(name)
    chosen = parameters(detector)
    assert chosen
    assert len({id(each) for each in chosen}) == len(chosen)
    assert {id(each) for each in chosen} <= {id(each) for each in module(detector).parameters()}
    assert isinstance(detector.schedule, Schedule)


FALL = {"uniadc": 0.95}
"""Its logits are cosines, divided by about 1: no probability comes near 0 or 1, and no loss near 0."""


@every
def test_the_loss_falls(name: str) -> None:
    totals = [losses["total"] for losses in ready_and_told(name)[1].losses]
    assert sum(totals[-8:]) < FALL.get(name, 0.8) * sum(totals[:8])


@every
def test_a_planted_defect_scores_higher_and_shows_where_it_is(name: str) -> None:
    seen, detector = batch(1000), ready(name)
    found = detector(seen.images)
    assert seen.masks is not None
    good, bad = found.image_score[0::2], found.image_score[1::2]
    # APRIL-GAN trains its map; what the words say of the whole picture stays as it is.
    assert name == "april-gan" or bad.min() > good.max()
    assert found.anomaly_map[seen.masks].mean() > found.anomaly_map[~seen.masks].mean()


@every
def test_an_interrupted_training_ends_where_an_uninterrupted_one_does_bit_for_bit(name: str, tmp_path: Path) -> None:
    whole, rest = Told(), Told()
    expected = trained(begun(name), tmp_path / "whole", steps=4, told=whole)
    with pytest.raises(KeyboardInterrupt):
        trained(begun(name), tmp_path / "cut", steps=4, told=Told(3))
    found = trained(begun(name), tmp_path / "cut", steps=4, told=rest)
    assert rest.losses == whole.losses[2:]
    assert_same(found, expected)


@every
def test_the_encoder_stays_as_it_is_and_gets_no_gradient(name: str, tmp_path: Path) -> None:
    detector = begun(name)
    before = copy.deepcopy(encoder_of(detector).state_dict())
    trained(detector, tmp_path, steps=2)
    chosen = {id(each) for each in parameters(detector)}
    assert not [each for each in encoder_of(detector).parameters() if each.grad is not None and id(each) not in chosen]
    assert not encoder_of(detector).training
    for key, tensor in encoder_of(detector).state_dict().items():
        assert torch.equal(tensor, before[key]), key


@every
def test_every_trained_parameter_changes(name: str, tmp_path: Path) -> None:
    detector = begun(name)
    before = [each.detach().clone() for each in parameters(detector)]
    trained(detector, tmp_path, steps=3)
    assert all(not torch.equal(one, other) for one, other in zip(before, parameters(detector), strict=True))


@every
def test_the_same_seed_gives_the_same_weights_and_the_global_random_state_is_left_alone(
    name: str, tmp_path: Path
) -> None:
    before = torch.get_rng_state(), random.getstate(), str(np.random.get_state(legacy=False))
    one = trained(begun(name), tmp_path / "one", steps=2)
    one(batch(7).images)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), str(np.random.get_state(legacy=False))) == before[1:]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(11)
        assert_same(trained(begun(name), tmp_path / "two", steps=2), one)


@every
def test_untrained_it_says_what_to_do(name: str) -> None:
    with pytest.raises(NotFitted, match="blemish train"):
        begun(name)(batch(0).images)


@every
def test_it_trains_on_good_parts_and_made_defects_alike(name: str, tmp_path: Path) -> None:
    """A batch may have no labels at all only where the method makes its own defects."""
    if catalog.card(name).labelled == "required" or catalog.card(name).augmentation:
        pytest.skip("it learns from labelled defects, or from those that are made for it")
    detector = begun(name)
    assert all(loss.isfinite() for loss in _losses(detector, Batch(batch(0).images[::2])).values())


def _losses(detector: TrainedDetector, given: Batch) -> dict[str, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        return dict(detector.loss(given))


FROZEN = [name for name in TRAINED if hasattr(catalog.method(name), "frozen")]


@pytest.mark.parametrize("name", FROZEN)
def test_kept_features_stand_for_the_pictures_and_nothing_else_of_them_is_asked(name: str) -> None:
    detector = begun(name)
    seen = cast(FrozenTower, detector).frozen(batch(0).images)
    assert not any(each.requires_grad for each in (seen.image, *seen.patches))
    unread = torch.full((1,), torch.nan).expand_as(batch(0).images)
    from_near = closeup_batch(batch(0))
    closer = cast(FrozenTower, detector).frozen(from_near.images)
    whole = replace(batch(0), near=from_near)
    unseen = replace(batch(0), images=unread, features=seen, near=replace(from_near, images=unread, features=closer))
    (losses, gradients), (kept, others) = (_with_gradients(begun(name), given) for given in (whole, unseen))
    assert losses == pytest.approx(kept, rel=1e-5)  # of those seen from near only some need be encoded
    assert gradients == pytest.approx(others, rel=1e-5)


def _with_gradients(detector: TrainedDetector, given: Batch) -> tuple[dict[str, float], list[float]]:
    for each in parameters(detector):
        each.requires_grad_()
    losses = _losses(detector, given)
    total = torch.stack(list(losses.values())).sum()
    found = torch.autograd.grad(total, parameters(detector), allow_unused=True)
    plain = {name: float(loss.detach()) for name, loss in losses.items()}
    return plain, [float(each.norm()) if each is not None else 0.0 for each in found]


KEEPING = {"april-gan", "clip-ada", "found-ad", "supersimplenet"}
"""Of those with heads, pictures from near, twins, and statistics one: the quick suite trains these both ways."""


@pytest.mark.parametrize("name", slow_but(KEEPING, FROZEN))
def test_it_trains_alike_with_a_cache_and_without(name: str, tmp_path: Path) -> None:
    samples = [Sample(path, GOOD) for path in good(tmp_path, 4)]
    spots = [(8, 40), (30, 12)]
    for at, spot in enumerate(spots):
        marked = mask(tmp_path / f"mask{at}.png", spot)
        samples.append(Sample(part(tmp_path / f"bad{at}.png", 50 + at, spot=spot), "spot", (marked,)))
    told: list[Told] = []
    for turn in range(3):
        detector = begun(name)
        cache = FeatureCache(tmp_path / "cache", cast(Any, detector), detector.geometry) if turn else None
        closeups: Any = getattr(detector, "closeups", "none")
        settings = BatchSettings(
            batch_size=4, augmentation="cutpaste", pool=3, closeups=closeups, twins=catalog.card(name).twins
        )
        examples = LabelledBatches(samples, detector.geometry, settings, cache)
        told.append(Told())
        schedule = replace(detector.schedule, steps=4, batch_size=4, device="cpu")
        train(detector, examples, schedule, tmp_path / f"run{turn}", watch=told[-1])
        assert bool(examples(0).features) == bool(turn)
        assert bool(examples(0).images.isnan().any()) == bool(turn)
    without, filling, filled = (each.losses for each in told)
    assert filling == filled
    for one, other in zip(without, filled, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


@pytest.mark.parametrize(("name", "encoder"), pairs(), ids=lambda each: Path(each).parent.name or each)
def test_it_trains_and_predicts_on_every_encoder_that_it_can_use(name: str, encoder: str, tmp_path: Path) -> None:
    found = encoders.load(encoder)
    if not catalog.card(name).needs <= found.can:
        pytest.skip("the encoder lacks what the method needs")
    detector = trained(catalog.method(name)(found, image_size=64), tmp_path, steps=1)
    prediction = detector(batch(3).images)
    assert prediction.anomaly_map.shape == (4, 64, 64)
    assert prediction.image_score.isfinite().all()
