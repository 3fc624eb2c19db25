"""Maps of where a network looked, against plain definitions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from blemish import encoders
from blemish.blocks.explanations import attention_rollout, explain_types, grad_cam, roll_out_places
from blemish.classifiers.nearest import Nearest
from blemish.types import TypedExamples


def test_channels_are_weighed_by_their_mean_gradient() -> None:
    places, slopes = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    found = grad_cam(places, slopes)
    for row in range(2):
        weights = slopes[row].mean((0, 1))
        assert found[row, 1, 2].item() == pytest.approx(max(0.0, float(weights @ places[row, 1, 2])), rel=1e-4)


def test_a_type_is_explained_by_the_places_that_its_score_came_from() -> None:
    class Middle:
        """Two types: the mean of the first channel, and of what the second lacks."""

        def gather(self, places: Tensor, weights: Tensor) -> Tensor:
            return torch.einsum("nhw,nhwc->nc", weights, places) / weights.sum((1, 2))[:, None]

        def __call__(self, seen: Tensor) -> Tensor:
            return torch.stack([seen[:, 0, 0], -seen[:, 0, 1]], 1)

    places = torch.randn(2, 3, 4, 2)
    found = explain_types(Middle(), places)  # type: ignore[arg-type]
    torch.testing.assert_close(found[:, 0], places[..., 0].clamp_min(0) / 12)
    torch.testing.assert_close(found[:, 1], (-places[..., 1]).clamp_min(0) / 12)


def test_every_type_of_a_classifier_has_a_map_of_any_region() -> None:
    classifier = Nearest(encoders.TINY, types=("hole", "stain"), image_size=64)
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    types = torch.eye(2, dtype=torch.bool).repeat(2, 1)
    classifier.fit(TypedExamples(classifier.look(images)[:, None], types))
    places, weights = classifier.places(images[:1]), torch.zeros(1, 8, 8)
    weights[0, :2, :2] = 1
    with torch.no_grad():
        whole, part = explain_types(classifier, places), explain_types(classifier, places, weights)
    assert whole.shape == part.shape == (1, 2, 8, 8)
    assert (whole >= 0).all()
    assert whole.sum() > 0
    assert not torch.allclose(whole, part)


def test_attention_is_rolled_out_over_blocks_with_what_stays() -> None:
    attentions = [torch.randn(2, 3, 5, 5).softmax(-1) for _ in range(3)]
    expected = torch.eye(5).expand(2, 5, 5)
    for each in attentions:
        expected = (0.5 * each.mean(1) + 0.5 * torch.eye(5)) @ expected
    torch.testing.assert_close(attention_rollout(attentions), expected)
    torch.testing.assert_close(attention_rollout(attentions).sum(-1), torch.ones(2, 5))
    torch.testing.assert_close(roll_out_places(attentions, (2, 2)), expected[:, 0, 1:].unflatten(1, (2, 2)))
    patches = [each[:, :, 1:, 1:] for each in attentions]
    torch.testing.assert_close(
        roll_out_places(patches, (2, 2)), attention_rollout(patches).mean(1).unflatten(1, (2, 2))
    )
