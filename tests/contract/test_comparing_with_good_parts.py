"""What AdaptCLIP promises beyond the other methods that are trained on other products."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import cast

import torch
from tests.support.learning import learn
from tests.support.training import batch, begun, ready

from blemish.detectors.adapt_clip import AdaptCLIP


def test_adapt_clip_compares_with_good_parts_on_top_of_what_it_reads() -> None:
    found = copy.deepcopy(cast(AdaptCLIP, ready("adapt-clip")))
    images = batch(5).images
    learn(found, [batch(6).images[::2]])
    both = found(images)
    assert both.image_score[1::2].min() > both.image_score[0::2].max()
    learn(found, [images])  # nothing differs from what is known
    assert found(images).anomaly_map.max() < 1e-2 * both.anomaly_map.max()


def test_adapt_clip_compares_with_another_good_part_of_the_same_product() -> None:
    found, given = copy.deepcopy(cast(AdaptCLIP, ready("adapt-clip"))), batch(0)
    assert set(found.loss(given)) == {"visual", "textual", "comparison"}
    apart = found.loss(replace(given, products=("cap", "lid", "cap", "cap")))  # the second has no other
    assert float(apart["comparison"]) != float(found.loss(given)["comparison"])
    alone = found.loss(replace(given, products=("cap", "lid", "pin", "nut")))
    assert set(alone) == {"visual", "textual"}
    for name in ("visual", "textual"):
        assert float(found.loss(given)[name]) == float(apart[name]) == float(alone[name])


def test_adapt_clip_trains_each_adapter_by_its_own_loss_alone() -> None:
    found = cast(AdaptCLIP, begun("adapt-clip"))
    (group,) = found.trained_parameters()
    for each in group.parameters:
        each.requires_grad_(True)
    named = {name: each for name, each in found.named_parameters() if each.requires_grad}
    reached = {}
    for name, loss in found.loss(batch(0)).items():
        gradients = torch.autograd.grad(loss, [*named.values()], allow_unused=True)
        pairs = zip(named, gradients, strict=True)
        reached[name] = {key.split(".")[0] for key, gradient in pairs if gradient is not None}
    assert reached == {"visual": {"whole", "places"}, "textual": {"prompts"}, "comparison": {"comparison"}}
