from __future__ import annotations

import torch
from torch.testing import assert_close

from blemish.blocks.mutual import (
    EXACT,
    PictureBank,
    digest,
    distance_to_each,
    lowest_digests,
    lowest_mean,
    mean_of_neighbours,
    standardize,
)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_picture_is_told_from_others_whatever_its_batch() -> None:
    images = drawn(6, 3, 8, 8).sigmoid()
    images[3] = images[1]
    found = digest(images)
    assert torch.equal(found[2:5], digest(images[2:5]))
    assert torch.equal(found[3], found[1])
    assert len({tuple(each) for each in found.tolist()}) == 5
    assert ((found >= 0) & (found < EXACT) & (found == found.round())).all()
    assert not torch.equal(digest(images[:1].flip(-1)), found[:1])


def test_a_bank_knows_its_own_pictures_unless_there_are_no_others() -> None:
    bank, digests = PictureBank(0), torch.tensor([[1.0, 2.0], [1.0, 3.0]])
    bank.hold(digests, drawn(2, 4))
    assert bank.same(torch.tensor([[1.0, 3.0], [2.0, 2.0]])).tolist() == [[False, True], [False, False]]
    bank.hold(digests[:1], drawn(1, 4))
    assert bank.same(digests[:1]).tolist() == [[False]]


def test_a_sample_is_the_same_in_any_order() -> None:
    digests = digest(drawn(9, 3, 8, 8).sigmoid())
    order = torch.tensor([4, 1, 8, 0, 2, 7, 3, 6, 5])
    one, other = digests[lowest_digests(digests, 4)], digests[order][lowest_digests(digests[order], 4)]
    assert sorted(one.tolist()) == sorted(other.tolist()) == sorted(digests.tolist())[:4]


def test_a_picture_is_standardised_as_a_whole() -> None:
    found = standardize(3 + 2 * drawn(2, 4, 4, 5))
    assert_close(found.mean((1, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    assert_close(found.flatten(1).std(1, correction=0), torch.ones(2), atol=1e-4, rtol=0)


def test_distances_are_those_to_the_nearest_patch_of_every_picture() -> None:
    patches, pictures = (torch.nn.functional.normalize(drawn(*shape), dim=-1) for shape in ((2, 3, 4, 5), (3, 2, 2, 5)))
    expected = torch.cdist(patches.view(24, 5), pictures.view(12, 5)).view(2, 3, 4, 3, 4).amin(-1)
    assert_close(distance_to_each(patches, pictures), expected, atol=1e-5, rtol=1e-5)


def test_the_lowest_share_is_taken_of_what_is_not_hidden() -> None:
    distances, hidden = drawn(2, 3, 4, 7), torch.zeros(2, 7, dtype=torch.bool)
    hidden[1, [0, 2]] = True
    found = lowest_mean(distances, hidden, 0.45)
    for number, count in ((0, 3), (1, 2)):
        shown = distances[number][..., ~hidden[number]].sort(-1).values[..., :count].mean(-1)
        assert_close(found[number], shown)
    assert_close(lowest_mean(distances, hidden, 0.01)[0], distances[0].amin(-1))


def test_scores_are_shared_with_the_most_similar_pictures() -> None:
    scores, others = torch.tensor([1.0]), torch.tensor([5.0, 3.0, 7.0])
    similarity = torch.tensor([[0.5, 0.9, -torch.inf]])
    expected = (1 + (1 + 0.9 * 3) / 1.9 + (1 + 0.9 * 3 + 0.5 * 5) / 2.4) / 3
    assert_close(mean_of_neighbours(scores, others, similarity, (1, 2, 3)), torch.tensor([expected]))
    assert mean_of_neighbours(scores, others, similarity, (1,)).tolist() == [1.0]
