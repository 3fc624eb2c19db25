"""What methods promise that are trained on other products."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from tests.contract.test_every_encoder import made
from tests.support.learning import learn
from tests.support.quick import SIDE, quick
from tests.support.training import batch, begun, ready
from torch import Tensor, nn

from blemish import catalog, encoders
from blemish.detectors.aa_clip import AACLIP
from blemish.detectors.ada_clip import AdaCLIP
from blemish.detectors.af_clip import AFCLIP
from blemish.detectors.anomaly_clip import AnomalyCLIP
from blemish.detectors.april_gan import APRILGAN
from blemish.detectors.leclip import LECLIP
from blemish.detectors.multi_ads import MultiADS
from blemish.detectors.mvfa import MVFA
from blemish.errors import BadInput
from blemish.training.trainable import Staged
from blemish.types import Batch, Features

METHODS = [name for name, card in catalog.METHODS.items() if card.auxiliary]
every = pytest.mark.parametrize("method", METHODS)


def total(detector: Any, given: Batch) -> float:
    with torch.no_grad():
        return float(torch.stack(list(detector.loss(given).values())).sum())


@every
@pytest.mark.parametrize("encoder", ["embedded", "clip-resnet-pair", "test-tiny"])
def test_a_step_against_the_gradient_lowers_its_loss_on_every_encoder_with_words(method: str, encoder: str) -> None:
    if not catalog.card(method).needs <= made(encoder).can:
        with pytest.raises(BadInput, match="choose one that can, such as ViT-"):
            catalog.method(method)(made(encoder), **quick(method))
        return
    found = catalog.method(method)(made(encoder), **quick(method))
    parameters = {id(each): each for group in found.trained_parameters() for each in group.parameters}
    for each in parameters.values():
        each.requires_grad_(True)
    reached = set[int]()
    for stage in range(max(1, len(found.schedule.stages))):
        if isinstance(found, Staged):
            found.begin(stage)
        before = torch.stack(list(found.loss(batch(1)).values())).sum()
        gradients = torch.autograd.grad(before, list(parameters.values()), allow_unused=True)
        steps = {key: each for key, each in zip(parameters, gradients, strict=True) if each is not None}
        assert all(gradient.abs().sum() > 0 for gradient in steps.values())
        size = torch.stack([gradient.norm() for gradient in steps.values()]).norm()
        with torch.no_grad():
            for key, gradient in steps.items():
                parameters[key] -= 1e-3 * gradient / size
        assert total(found, batch(1)) < float(before.detach())
        reached |= set(steps)
    assert reached == set(parameters)


@every
def test_training_asks_for_masks(method: str) -> None:
    with pytest.raises(BadInput, match="mask"):
        cast(Any, begun(method)).loss(replace(batch(0), masks=None))


@every
def test_the_seed_says_where_training_begins(method: str) -> None:
    one, same, other = (
        total(catalog.method(method)("test-tiny", **quick(method), seed=seed), batch(0)) for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


def test_what_has_stages_says_how_many_and_nothing_else_has() -> None:
    staged = [method for method in METHODS if isinstance(begun(method), Staged)]
    assert staged == [method for method in METHODS if begun(method).schedule.stages]


@pytest.mark.parametrize("method", [name for name in METHODS if catalog.card(name).words])
def test_it_reads_the_name_of_each_picture_or_its_own(method: str) -> None:
    found = catalog.method(method)("test-tiny", product="metal cap", image_size=SIDE)
    own, said, others = (
        total(found, replace(batch(0), products=names))
        for names in (None, ("metal cap",) * 4, ("metal cap", "leather", "metal cap", "leather"))
    )
    assert own == said
    assert own != others


@pytest.mark.parametrize("method", [name for name in METHODS if catalog.card(name).words])
def test_once_trained_it_is_asked_about_another_product_by_its_name(method: str) -> None:
    one = cast(Any, ready(method))
    other = catalog.method(method)("test-tiny", **(quick(method) | {"product": "leather"}))
    other.load_state_dict(cast(nn.Module, one).state_dict())
    images = batch(0).images
    assert not torch.equal(other(images).anomaly_map, one(images).anomaly_map)
    same = catalog.method(method)("test-tiny", **(quick(method) | {"product": "leather"}))
    same.load_state_dict(cast(nn.Module, other).state_dict())
    assert torch.equal(same(images).anomaly_map, other(images).anomaly_map)


def test_april_gan_reads_other_words_for_another_product() -> None:
    assert not torch.equal(APRILGAN("test-tiny", product="leather").texts, APRILGAN("test-tiny").texts)


def test_aa_clip_teaches_its_texts_first_and_leaves_them_then() -> None:
    found = cast(Any, begun("aa-clip"))
    reading = [each.requires_grad_(True) for each in found.reading.parameters()]
    assert "disentangle" in found.loss(batch(0))
    found.begin(1)
    losses = found.loss(batch(0))
    assert set(losses) == {"image", "focal", "dice"}
    assert not any(loss.requires_grad for loss in losses.values())
    before = found.texts.clone()
    with torch.no_grad():
        reading[0].add_(0.1)
    found.train().eval()
    assert not torch.equal(found.texts, before)
    torch.testing.assert_close(found.texts.norm(dim=-1), torch.ones(2))


def test_aa_clip_is_taught_by_the_last_layer_or_by_those_that_are_asked_for() -> None:
    losses = [
        total(AACLIP("test-tiny", anchor_layers=layers, disentangle=0.0, image_size=SIDE), batch(0))
        for layers in (None, (4,), (2,), (2, 4))
    ]
    assert losses[0] == losses[1]
    assert losses[3] == pytest.approx(losses[1] + losses[2], rel=1e-5)
    with pytest.raises(BadInput, match="only layer 5"):
        total(AACLIP(made("embedded"), anchor_layers=(2, 5), image_size=SIDE), batch(0))


def test_april_gan_remembers_good_parts_on_top_of_what_it_was_trained_for() -> None:
    found = copy.deepcopy(cast(APRILGAN, ready("april-gan")))
    images = batch(5).images
    words = found(images)
    learn(found, [batch(6).images[::2]])
    both = found(images)
    assert (both.anomaly_map >= words.anomaly_map).all()
    rise = (both.anomaly_map - words.anomaly_map).flatten(1).amax(1)
    assert rise[1::2].min() > rise[0::2].max()
    expected = (words.image_score + both.anomaly_map.flatten(1).amax(1) / (2 * len(found.taps))) / 2
    torch.testing.assert_close(both.image_score, expected)


def test_ada_clip_has_texts_of_its_own_for_every_picture() -> None:
    found = cast(AdaCLIP, ready("ada-clip"))
    images = batch(5).images[:2]
    texts = found._look(images, ["metal cap", "metal cap"]).texts
    assert not torch.allclose(texts[0], texts[1], atol=1e-5)
    torch.testing.assert_close(found._look(images.flip(0), ["metal cap"] * 2).texts, texts.flip(0))


def test_ada_clip_takes_dice_of_rows_or_of_whole_maps() -> None:
    rows, maps = (AdaCLIP("test-tiny", overlap=way, image_size=SIDE) for way in ("rows", "maps"))
    found, whole = rows.loss(batch(0)), maps.loss(batch(0))
    assert found["dice"] != whole["dice"]
    torch.testing.assert_close(found["focal"], whole["focal"])
    assert found["image"] == whole["image"]


def test_ada_clip_lets_the_most_anomalous_patches_speak_for_the_picture() -> None:
    found, images = copy.deepcopy(cast(AdaCLIP, ready("ada-clip"))), batch(5).images
    mixed = found(images).image_score
    found.fusion = 0.0
    seen = found._look(images, ["metal cap"] * 4)
    found.product = "metal cap"
    expected = torch.stack([(whole @ texts.T / 0.01).softmax(-1)[1] for whole, texts in zip(*seen[::2], strict=True)])
    torch.testing.assert_close(found(images).image_score, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(mixed, expected, rtol=1e-3, atol=1e-6)


def test_af_clip_remembers_good_parts_and_trusts_them_more_than_words() -> None:
    found = copy.deepcopy(cast(AFCLIP, ready("af-clip")))
    images = batch(5).images
    words = found(images)
    learn(found, [batch(6).images[::2]])
    both = found(images)
    near = both.image_score - found.alpha * words.image_score  # the highest distance
    assert near[1::2].min() > near[0::2].max()
    learn(found, [images])
    torch.testing.assert_close(found(images).image_score, found.alpha * words.image_score, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found(images).anomaly_map, found.alpha * words.anomaly_map, rtol=1e-4, atol=1e-5)


def test_mvfa_remembers_what_is_said_of_good_parts() -> None:
    found = copy.deepcopy(cast(MVFA, ready("mvfa")))
    images = batch(5).images
    words = found(images)
    learn(found, [images])
    known = found(images)
    torch.testing.assert_close(known.anomaly_map, words.anomaly_map / 2, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(known.image_score, known.anomaly_map.flatten(1).amax(1))
    learn(found, [batch(6).images[::2]])
    rise = (found(images).anomaly_map - words.anomaly_map / 2).flatten(1).amax(1)
    assert rise[1::2].min() > rise[0::2].max()


def test_af_clip_compares_only_what_has_a_place_in_the_space_of_words() -> None:
    assert AFCLIP(made("embedded")).taps == (5,)
    assert AFCLIP("test-tiny").taps == (1, 2, 3, 4)
    with pytest.raises(BadInput, match=r"only layer 4 of .* is compared with words"):
        AFCLIP(made("clip-resnet-pair"), layers=(2, 4))


def test_anomaly_clip_has_a_second_stream_where_there_are_blocks_and_says_so_where_there_are_none() -> None:
    assert AnomalyCLIP(made("embedded")).last is None
    with pytest.raises(BadInput, match="has no transformer blocks to reach into: choose one that can, such as ViT-"):
        AnomalyCLIP(made("embedded"), last=2)
    maps: list[Tensor] = []
    for last in (0, 2, None, 3):
        found = AnomalyCLIP("test-tiny", last=last, image_size=SIDE)
        found.updates.add()
        maps.append(found(batch(0).images).anomaly_map)
    assert torch.equal(maps[2], maps[3])  # 19 of 24 blocks are 3 of 4
    assert not torch.allclose(maps[0], maps[1], atol=1e-5)
    assert not torch.allclose(maps[1], maps[2], atol=1e-5)


def test_anomaly_clip_reads_its_prompts_when_training_ends_and_not_for_every_picture() -> None:
    found = AnomalyCLIP(encoders.load("test-tiny"), image_size=SIDE)
    before = found.texts.clone()
    with torch.no_grad():
        found.prompts.context.add_(0.1)
    assert torch.equal(found.texts, before)
    found.train().eval()
    assert not torch.equal(found.texts, before)
    assert torch.equal(found.texts, found.prompts(found.encoder))
    torch.testing.assert_close(found.texts.norm(dim=-1), torch.ones(2))


def test_leclip_looks_at_windows_and_without_them_at_the_picture_once() -> None:
    found, images, seen = copy.deepcopy(cast(LECLIP, ready("leclip"))), batch(5).images, list[torch.Size]()
    both, frozen = found(images), found.frozen

    def watch(given: Tensor) -> Features:
        seen.append(given.shape)
        return frozen(given)

    found.frozen = watch  # type: ignore[method-assign, assignment]
    assert torch.equal(found(images).anomaly_map, both.anomaly_map)
    assert seen == [images.shape] * 5
    found.window = None
    alone = found(images)
    assert seen == [images.shape] * 6
    windows = 2 * both.anomaly_map - alone.anomaly_map
    torch.testing.assert_close(both.image_score, (alone.image_score + windows.flatten(1).amax(1)) / 2)
    assert not torch.allclose(windows, alone.anomaly_map, atol=1e-3)


@pytest.mark.parametrize(("window", "stride"), [(0.5, 0.6), (1.2, 0.3), (0.5, 0.0)])
def test_leclip_refuses_windows_that_leave_something_out(window: float, stride: float) -> None:
    with pytest.raises(BadInput, match=f"window={window}, stride={stride}: give shares of the picture's sides"):
        LECLIP("test-tiny", window=window, stride=stride)


def test_multi_ads_compares_unlabelled_pictures_with_each_other() -> None:
    found, images = copy.deepcopy(cast(MultiADS, ready("multi-ads"))), batch(5, 8).images
    words = found(images).anomaly_map
    learn(found, [images])
    assert (found(images).anomaly_map - words).abs().max() < 1e-4  # each place is one of those that are remembered
    found.quantile = 0.0001
    rise = found(images).anomaly_map - words
    assert rise.mean() > 0.01
    learn(found, [batch(6, 8).images])
    assert not torch.allclose(found(images).anomaly_map - words, rise, atol=1e-4)
