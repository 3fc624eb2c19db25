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
    assert rarity.novel_rows(rows, 3, first=3).tolist() == [0, 1, 2]


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
    stream = RarityStream(2, (1, 3), share=0.3, kept=1.5, back=(2, 3))
    for number in range(5):
        picture = seen(number)
        known = rarity.foreground_with(stream.pictures, picture.text)
        found = compare_picture(stream, picture.grids, known)
        assert (found.map is None) == (number == 0)
        assert found.likeness.shape == (2, min(number, 3))
        remember_picture(stream, picture, found, torch.tensor(float(number)))
        assert_close(stream.pictures.mean, torch.stack([seen(at).text for at in range(number + 1)]).mean(0))
    assert stream.scored.scores.tolist() == [2.0, 3.0, 4.0]
    assert stream.pictures.count.tolist() == [5.0]
    assert {tuple(bank.fits.shape) for bank in stream.banks} == {(2, 24)}
    stream.forget()
    assert compare_picture(stream, seen(0).grids, seen(0).text).map is None


def begun(*good: int, kept: float = 1.5) -> RarityStream:
    """A stream that begins with those pictures."""
    stream = RarityStream(2, (1, 3), share=0.3, kept=kept, back=(9, 9))
    stream.hold(*rarity.stack_pictures([seen(number) for number in good]))
    return stream


def follow(stream: RarityStream, number: int) -> rarity.Rarity:
    picture = seen(number)
    found = compare_picture(stream, picture.grids, rarity.foreground_with(stream.pictures, picture.text))
    remember_picture(stream, picture, found, torch.tensor(float(number)))
    return found


def test_good_parts_are_the_first_pictures_and_share_no_scores() -> None:
    stream = begun(1, 2)
    assert stream.fitted
    assert_close(stream.pictures.mean, (seen(1).text + seen(2).text) / 2)
    assert stream.pictures.count.tolist() == [2.0]
    found = follow(stream, 3)
    assert found.likeness.shape == (2, 0)
    assert follow(stream, 4).likeness.shape == (2, 1)
    assert stream.scored.scores.tolist() == [3.0, 4.0]
    assert stream.pictures.get_buffer("parts0").shape == (4, 5)


def test_the_first_picture_behind_good_parts_is_as_rare_as_it_is_unlike_them() -> None:
    stream, picture = begun(1, 2, kept=9), seen(3)
    known = rarity.foreground_with(stream.pictures, picture.text)
    found = compare_picture(stream, picture.grids, known)
    unlike = []
    for at, size in ((at, size) for size in (1, 3) for at in (0, 1)):
        good = torch.cat([rarity.neighbourhoods(seen(number).grids[at], size) for number in (1, 2)])
        nearest = (rarity.neighbourhoods(picture.grids[at], size) @ good.T).amax(1)
        unlike.append(1 - rarity.loosen(nearest, 0.01))
    parts = []
    for at, grid in enumerate(picture.grids):
        own, theirs = rarity.foreground_mean(grid, known), stream.pictures.get_buffer(f"parts{at}")
        parts.append(1 - (theirs @ own).max())
    expected = torch.stack(unlike).mean(0).view(4, 4) + torch.stack(parts).mean() * (1 + rarity.stretch(known))
    assert found.map is not None
    assert_close(found.map, expected)


def test_good_parts_weigh_an_eighth_of_their_number_and_the_others_the_share_that_they_are() -> None:
    stream, plain = begun(1, 2), begun(1, 2)
    for number in (3, 4):
        follow(stream, number)
        follow(plain, number)
    plain.good.forget()
    for bank in plain.banks:
        bank.good = torch.zeros(1)
    picture = seen(5)
    known = rarity.foreground_with(stream.pictures, picture.text)
    among = compare_picture(plain, picture.grids, known)
    found = compare_picture(stream, picture.grids, known)
    rare = torch.stack([each.rarity for each in among.compared]).mean(0)
    unlike = torch.stack([each.unlike for each in found.compared if each.unlike is not None]).mean(0)
    like = among.likeness
    whole = (1 - rarity.best_mean(like.T, 0.3)).mean(), (1 - like[:, :2].amax(1)).mean()
    expected = (2 / 4 * rare + 2 / 8 * unlike) / (3 / 4)
    picture_rarity = (2 / 4 * whole[0] + 2 / 8 * whole[1]) / (3 / 4)
    assert found.map is not None
    assert_close(found.map, expected.view(4, 4) + picture_rarity * (1 + rarity.stretch(known)))


def test_a_quarter_of_the_patches_of_good_parts_stays_whatever_follows() -> None:
    stream = begun(1, 2)
    for number in range(3, 30):
        follow(stream, number)
    kept = [int(bank.good) for bank in stream.banks]
    assert all(0 < each <= 24 for each in kept)
    before = [bank.features[: int(bank.good)].clone() for bank in stream.banks]
    small = [each <= 2 * 16 // 4 for each in kept]
    follow(stream, 30)
    assert any(small)
    for bank, rows, few in zip(stream.banks, before, small, strict=True):
        assert torch.equal(bank.features[: len(rows)], rows) or not few


def test_what_a_stream_begins_with_depends_on_its_good_parts_alone() -> None:
    stream, other = begun(1, 2, 3), begun(4)
    follow(other, 5)
    other.hold(*(each[:] for each in stream.recall()))
    state = stream.state_dict()
    assert all(torch.equal(each, state[name]) for name, each in other.state_dict().items())
    other.hold(*(each[:0] for each in stream.recall()))
    assert not other.fitted
    assert all(each.numel() == 0 for each in other.state_dict().values())


def test_a_score_is_shared_with_pictures_like_it() -> None:
    stream = RarityStream(1, (1,), share=0.3)
    stream.scored.embeddings, stream.scored.scores = torch.tensor([[1.0, 0], [0, 1]]), torch.tensor([4.0, 8.0])
    picture = seen(0)._replace(embedding=torch.tensor([1.0, 0]))
    like = torch.tensor([[1.0, 0.2]])
    found = rarity.share_score(stream.scored, picture, torch.tensor(2.0), like, every=2)
    assert_close(found, torch.tensor(3.0))
