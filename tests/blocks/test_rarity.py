from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks import rarity
from blemish.blocks.rarity import PatchStream, RarityStream, Seen, compare_patches, compare_picture, remember_picture


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def seen(seed: int) -> Seen:
    grids = (1 + 0.3 * drawn(4, 4, 5, seed=seed), 1 + 0.3 * drawn(4, 4, 3, seed=seed + 50))
    return Seen(F.normalize(drawn(6, seed=seed), dim=0), torch.tensor(0.5), drawn(4, 4, seed=seed).sigmoid(), grids)


def test_the_highest_similarities_count_as_one_and_the_others_in_proportion() -> None:
    found = rarity.loosen(torch.arange(1.0, 101).view(10, 10), 0.1)
    assert_close(found.flatten(), (torch.arange(1.0, 101) / 90).clamp(max=1))
    assert rarity.loosen(torch.tensor([0.5]), 0.1).tolist() == [1.0]


def test_what_is_like_something_before_makes_room() -> None:
    rows = F.normalize(torch.tensor([[1.0, 0], [0, 1], [1, 0.01], [1, 1]]), dim=1)
    assert rarity.novel_rows(rows, 3).tolist() == [0, 1, 3]
    assert rarity.novel_rows(rows, 9).tolist() == [0, 1, 2, 3]


def test_the_best_share_is_rounded_up() -> None:
    values = drawn(7, 3)
    assert_close(rarity.best_mean(values, 0.3), values.sort(0, descending=True).values[:3].mean(0))


def test_equal_values_are_stretched_to_0() -> None:
    assert rarity.stretch(torch.ones(3)).tolist() == [0.0, 0.0, 0.0]
    assert rarity.stretch(torch.tensor([1.0, 3.0, 2.0])).tolist() == [0.0, 1.0, 0.5]


def test_neighbours_of_the_border_are_the_border_itself() -> None:
    grid = drawn(3, 4, 5)
    rows = [0, 0, 1, 2, 2], [0, 0, 1, 2, 3, 3]
    padded = grid[rows[0]][:, rows[1]]
    expected = torch.stack([padded[y : y + 3, x : x + 3].mean((0, 1)) for y in range(3) for x in range(4)])
    assert_close(rarity.neighbourhoods(grid, 3), F.normalize(expected, dim=-1))
    assert_close(rarity.neighbourhoods(grid, 1), F.normalize(grid.flatten(0, 1), dim=-1))


def test_a_patch_is_rare_that_fits_into_few_pictures() -> None:
    bank, patches = PatchStream(), F.normalize(drawn(6, 5).abs(), dim=1)
    bank.features, bank.fits = F.normalize(drawn(8, 5, seed=1).abs(), dim=1), drawn(4, 8, seed=2).sigmoid()
    found = compare_patches(bank, patches, share=0.5, nearest=2, tail=0.2)
    similarity = patches @ bank.features.T
    near, numbers = similarity.topk(2, dim=1)
    loose = rarity.loosen(near, 0.2)
    for row in range(6):
        given = torch.stack([(loose[row] * fits[numbers[row]]).mean() for fits in bank.fits])
        assert_close(found.given[:, row], given)
        assert_close(found.rarity[row], 1 - given.sort(descending=True).values[:2].mean())
    assert_close(found.present, rarity.loosen(similarity.amax(0), 0.2))


def test_a_stream_keeps_so_much_and_begins_anew_when_it_is_forgotten() -> None:
    stream = RarityStream(2, (1, 3), share=0.3)
    for number in range(5):
        picture = seen(number)
        known = rarity.foreground_with(stream.pictures, picture.text)
        found = compare_picture(stream, picture.grids, known)
        assert (found.map is None) == (number == 0)
        assert found.likeness.shape == (2, min(number, 3))
        remember_picture(stream, picture, found, torch.tensor(float(number)), kept=1.5, back=(2, 3))
        assert_close(stream.pictures.mean, torch.stack([seen(at).text for at in range(number + 1)]).mean(0))
    assert stream.pictures.scores.tolist() == [2.0, 3.0, 4.0]
    assert stream.pictures.count.tolist() == [5.0]
    assert {tuple(bank.fits.shape) for bank in stream.banks} == {(2, 24)}
    stream.forget()
    assert compare_picture(stream, seen(0).grids, seen(0).text).map is None


def test_a_score_is_shared_with_pictures_like_it() -> None:
    stream = RarityStream(1, (1,), share=0.3)
    stream.pictures.embeddings, stream.pictures.scores = torch.tensor([[1.0, 0], [0, 1]]), torch.tensor([4.0, 8.0])
    picture = seen(0)._replace(embedding=torch.tensor([1.0, 0]))
    like = torch.tensor([[1.0, 0.2]])
    found = rarity.share_score(stream.pictures, picture, torch.tensor(2.0), like, every=2)
    assert_close(found, torch.tensor(3.0))
