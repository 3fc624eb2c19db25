"""What MultiADS promises beyond the other methods that are trained on other products."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from tests.support.learning import learn
from tests.support.quick import SIDE, quick
from tests.support.training import batch, ready

from blemish.detectors.multi_ads import MultiADS
from blemish.training.loop import train
from blemish.types import Batch


def two_types(number: int) -> Batch:
    """Of the defects half are holes and half are red: stains."""
    plain = batch(number)
    assert plain.masks is not None
    images = plain.images.clone()
    images[3] = torch.where(plain.masks[3], torch.eye(3)[0].view(3, 1, 1), images[3])
    return replace(plain, images=images, types=("good", "hole", "good", "stain"))


def test_multi_ads_tells_the_types_it_was_told_where_they_are(tmp_path: Path) -> None:
    found = MultiADS("test-tiny", defects=("hole", "stain"), image_size=SIDE)
    train(found, two_types, replace(found.schedule, steps=60, rate=1e-2, device="cpu"), tmp_path)
    seen = two_types(500)
    prediction = found(seen.images)
    assert found.types == ("hole", "stain")
    assert prediction.type_scores is not None
    assert prediction.type_map is not None
    assert seen.masks is not None
    assert prediction.type_scores.argmax(1)[1::2].tolist() == [0, 1]
    for picture, number in ((1, 0), (3, 1)):
        kinds = prediction.type_map[picture][seen.masks[picture]]
        assert (kinds == number).float().mean() > 0.8
    assert (prediction.type_map[0::2] == -1).float().mean() > 0.9


def test_multi_ads_is_asked_about_other_types_than_those_it_was_trained_on() -> None:
    trained = cast(MultiADS, ready("multi-ads"))
    other = MultiADS("test-tiny", **(quick("multi-ads") | {"plausible": {"dirt": "brown dirt", "tear": "tear"}}))
    other.load_state_dict(trained.state_dict())
    found = other(batch(0).images)
    assert other.types == ("dirt", "tear")
    assert found.type_scores is not None
    assert found.type_scores.shape == (4, 2)
    unnamed = MultiADS("test-tiny", **(quick("multi-ads") | {"defects": ()}))
    unnamed.load_state_dict(trained.state_dict())
    assert unnamed(batch(0).images).type_scores is None


def test_multi_ads_learns_of_defects_without_a_type_that_they_are_of_any() -> None:
    found = MultiADS("test-tiny", **quick("multi-ads"))
    named, unnamed = batch(0), replace(batch(0), types=None)
    assert float(found.loss(named)["focal"]) > float(found.loss(unnamed)["focal"])
    assert found.loss(named)["dice"] == found.loss(unnamed)["dice"]


def test_multi_ads_remembers_good_parts_on_top_of_what_it_was_trained_for() -> None:
    found = copy.deepcopy(cast(MultiADS, ready("multi-ads")))
    images = batch(5).images
    words = found(images)
    learn(found, [batch(6).images[::2]])
    both = found(images)
    assert (both.anomaly_map >= words.anomaly_map).all()
    rise = (both.anomaly_map - words.anomaly_map).flatten(1).amax(1)
    assert rise[1::2].min() > rise[0::2].max()
    assert words.type_map is not None
    assert both.type_map is not None
    assert torch.equal(both.type_map, words.type_map)
