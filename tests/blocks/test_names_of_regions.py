"""Regions against sentences, and what each place is called."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from blemish.blocks.pixelwise import Regions, TypeHead, name_regions


def test_a_region_becomes_a_unit_vector_compared_by_the_learned_temperature() -> None:
    head = TypeHead(3, 5, width=4)
    regions, whole = torch.randn(2, 2, 3), torch.randn(2, 3)
    meant = head(regions, whole)
    by_hand = head.outer(F.relu(head.inner(torch.cat([regions[0, 1], whole[0]]))))
    torch.testing.assert_close(meant[0, 1], by_hand / by_hand.norm())
    texts = F.normalize(torch.randn(3, 5), dim=-1)
    torch.testing.assert_close(head.logits(meant, texts), meant @ texts.T / 0.07)


def test_the_temperature_stays_between_its_bounds() -> None:
    head, one = TypeHead(1, 2), torch.tensor([[1.0, 0.0]])
    with torch.no_grad():
        head.temperature.fill_(-20.0)
        assert abs(float(head.logits(one, one)) - 100) < 1e-3
        head.temperature.fill_(20.0)
        assert abs(float(head.logits(one, one)) - 2) < 1e-5


def test_another_embedding_is_fused_by_a_weight_that_begins_as_nothing() -> None:
    regions, whole, seen = torch.randn(1, 2, 3), torch.randn(1, 3), 7 * torch.randn(1, 5)
    head = TypeHead(3, 5, fused=True)
    alone = head(regions, whole)
    torch.testing.assert_close(head(regions, whole, seen), alone)
    assert head.gate is not None
    with torch.no_grad():
        head.gate.fill_(1e6)
    torch.testing.assert_close(head(regions, whole, seen)[0, 1], F.normalize(seen, dim=-1)[0], atol=1e-4, rtol=0)


def test_places_have_the_type_of_their_region_and_others_that_of_the_first() -> None:
    members = torch.zeros(1, 2, 2, 3)
    members[0, 0, 0, 0], members[0, 1, 1, 2] = 0.9, 0.6
    probability = torch.tensor([[[0.1, 0.3, 0.6], [0.1, 0.2, 0.7], [0.1, 0.8, 0.1]]])
    scores, kinds = name_regions(Regions(members, torch.zeros(1, 3, 4)), probability, 0.5, (4, 6))
    assert scores.tolist() == [torch.tensor([0.3, 0.6]).tolist()]
    assert kinds.shape == (1, 4, 6)
    assert kinds[0, 0, 0] == 1
    assert kinds[0, 3, 5] == 0
    assert kinds[0, 0, 5] == 1


def test_what_is_not_sure_or_rather_good_is_unknown() -> None:
    regions = Regions(torch.ones(1, 1, 1, 1), torch.zeros(1, 2, 4))
    for row, sure, number in (
        ([0.1, 0.45, 0.45], 0.5, -1),
        ([0.1, 0.45, 0.45], 0.4, 0),
        ([0.5, 0.1, 0.4], 0.3, -1),
        ([0.2, 0.1, 0.7], 0.5, 1),
    ):
        assert name_regions(regions, torch.tensor([[row, row]]), sure, (1, 1))[1].item() == number
