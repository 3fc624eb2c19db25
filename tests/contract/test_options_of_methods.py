"""What single arguments of a method change, by plain definitions."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import pytest
import torch
from tests.contract.test_every_detector import GOOD, TEST
from tests.support.learning import learn
from tests.support.quick import SIDE
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from blemish import encoders
from blemish.blocks.foreground import foreground
from blemish.blocks.near_rows import read_nearest
from blemish.blocks.patches import pool_neighbours
from blemish.blocks.prompts import DEFECTS, defect_prototypes, prototypes
from blemish.blocks.rotation import rotate
from blemish.blocks.whitening import WhitenedBank
from blemish.detectors.anomaly_dino import AnomalyDINO
from blemish.detectors.padim import PaDiM
from blemish.detectors.patchcore import PatchCore
from blemish.detectors.rad import RAD
from blemish.detectors.subspace_ad import SubspaceAD
from blemish.detectors.supersimplenet import SuperSimpleNet
from blemish.detectors.tab import TAB
from blemish.detectors.winclip import WinCLIP
from blemish.encoders.tiny import VISION
from blemish.encoders.vit import VisionTransformer
from blemish.errors import BadInput, UnknownName
from blemish.synth.published.feature_noise import Noise
from blemish.types import Batch, Features, TextEncoder

TINY = "test-tiny"


def patchcore(*, neighbours: int = 1, squared: bool = True) -> PatchCore:
    return learn(PatchCore(TINY, neighbours=neighbours, squared=squared, width=32, sigma=0), GOOD)


def test_patchcore_keeps_the_share_of_patches_asked_for() -> None:
    for ratio in (0.01, 0.25, 1.0):
        detector = learn(PatchCore(TINY, ratio=ratio, width=8), GOOD)
        assert len(detector.bank.rows) == max(1, round(8 * 64 * ratio))


def test_patchcore_squares_scores_and_maps_or_leaves_them() -> None:
    squared, plain = patchcore()(TEST), patchcore(squared=False)(TEST)
    assert_close(squared.image_score, plain.image_score**2)
    # Not so between the centres of patches, where the square of the mean is less than the mean of squares.
    assert (squared.anomaly_map >= plain.anomaly_map**2 - 1e-5).all()


@pytest.mark.parametrize("neighbours", [2, 5])
def test_patchcore_discounts_its_score_by_equation_7(neighbours: int) -> None:
    detector = patchcore(neighbours=neighbours, squared=False)
    rows = detector.bank.rows.double()
    found = detector(TEST).image_score
    for number, grid in enumerate(detector._patches(TEST).flatten(1, 2).double()):
        distances = torch.cdist(grid, rows)
        worst = int(distances.amin(1).argmax())
        nearest = int(distances[worst].argmin())
        around = torch.cdist(rows[nearest : nearest + 1], rows)[0].topk(neighbours, largest=False).indices
        total = sum(math.exp(float(distances[worst, row])) for row in around)
        score = float(distances[worst, nearest])
        assert float(found[number]) == pytest.approx((1 - math.exp(score) / total) * score, rel=1e-4)


def bank(turns: int, few: int, batches: list[Tensor]) -> Tensor:
    return learn(AnomalyDINO(TINY, image_size=SIDE, turns=turns, few=few), batches).bank.rows


def test_anomaly_dino_turns_good_parts_while_they_are_few() -> None:
    assert len(bank(4, 8, GOOD)) == 8 * 64 * 4
    assert len(bank(4, 7, GOOD)) == 8 * 64
    assert len(bank(4, 7, [*GOOD, GOOD[0]])) == 12 * 64
    assert len(bank(1, 8, GOOD)) == 8 * 64


def test_anomaly_dino_remembers_evenly_spaced_turns() -> None:
    turned = torch.cat([rotate(GOOD[0], angle) for angle in (0, 90, 180, 270)])
    plain = learn(AnomalyDINO(TINY, image_size=SIDE, turns=1, few=99), [turned])
    found = learn(AnomalyDINO(TINY, image_size=SIDE, turns=4), [GOOD[0]])
    assert_close(found(TEST).anomaly_map, plain(TEST).anomaly_map, rtol=1e-5, atol=1e-6)


def test_anomaly_dino_masks_the_background_with_0() -> None:
    detector = learn(AnomalyDINO(TINY, image_size=SIDE, turns=1, masked=True, sigma=0), GOOD)
    plain = learn(AnomalyDINO(TINY, image_size=SIDE, turns=1, sigma=0), GOOD)
    seen = foreground(detector._patches(TEST))
    grid = plain.bank.distance(plain._patches(TEST)) * seen
    assert_close(detector(TEST).image_score, grid.flatten(1).amax(1))  # 1 % of 64 patches is less than one


def test_padim_draws_channels_by_its_seed() -> None:
    first, second, other = (PaDiM(TINY, channels=9, seed=seed)._patches(TEST) for seed in (1, 1, 2))
    assert first.shape[-1] == 9
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_padim_refuses_another_grid_than_it_was_fitted_to() -> None:
    with pytest.raises(BadInput, match="which was fitted"):
        learn(PaDiM(TINY, channels=5), GOOD)(
            torch.rand(1, 3, SIDE, 2 * SIDE, generator=torch.Generator().manual_seed(0))
        )


def test_rad_compares_with_the_good_parts_that_look_most_alike_and_about_the_same_place() -> None:
    one, some = (learn(RAD(TINY, image_size=SIDE, pictures=pictures), GOOD) for pictures in (1, 99))
    assert (one(TEST).anomaly_map >= some(TEST).anomaly_map - 1e-6).all()
    assert not torch.allclose(one(TEST).anomaly_map, some(TEST).anomaly_map, atol=1e-4)
    moved = GOOD[0].roll(SIDE // 4, 2)
    strict, loose = (learn(RAD(TINY, image_size=SIDE, radius=radius), GOOD) for radius in (1, None))
    assert (strict(moved).image_score > 1.5 * loose(moved).image_score).all()
    with pytest.raises(BadInput, match="pictures of one size and aspect"):
        strict(moved[..., : SIDE // 2])
    assert loose(moved[..., : SIDE // 2]).anomaly_map.shape == (4, SIDE, SIDE // 2)


def test_rad_sees_the_paper_s_layers_of_a_deep_network_and_all_of_a_shallow_one() -> None:
    assert RAD(TINY).taps == (1, 2, 3, 4)
    deep = VisionTransformer(replace(VISION, depth=12)).requires_grad_(False)
    assert RAD(deep).taps == (4, 7, 10, 12)


def test_subspace_ad_turns_by_its_seed() -> None:
    first, other = (learn(SubspaceAD(TINY, image_size=SIDE, turns=1, seed=seed), GOOD)(TEST) for seed in (1, 2))
    assert not torch.equal(first.anomaly_map, other.anomaly_map)


def test_subspace_ad_keeps_more_directions_for_more_variance() -> None:
    few, many = (
        learn(SubspaceAD(TINY, turns=0, variance=share), GOOD).subspace.axes.shape[1] for share in (0.5, 0.999)
    )
    assert few < many


def test_winclip_reads_the_product_and_the_wording() -> None:
    plain = WinCLIP(TINY, product="cap")
    for other in (WinCLIP(TINY, product="cable"), WinCLIP(TINY, product="cap", words="april-gan")):
        assert not torch.allclose(plain.texts, other.texts, atol=1e-4)
    with pytest.raises(UnknownName, match="winclip"):
        WinCLIP(TINY, words="none")


def test_winclip_scores_stay_between_0_and_1_and_sharpen_with_the_temperature() -> None:
    warm, cold = (WinCLIP(TINY, temperature=degree)(TEST) for degree in (0.07, 0.01))
    for found in (warm, cold, learn(WinCLIP(TINY), GOOD)(TEST)):
        assert found.anomaly_map.min() >= 0
        assert found.anomaly_map.max() <= 1
    assert ((cold.image_score - 0.5).abs() > (warm.image_score - 0.5).abs()).all()


def test_a_good_part_itself_has_no_reference_score_in_winclip() -> None:
    """What is left of its score is half of the words'."""
    one = GOOD[0][:1]
    plain, fitted = WinCLIP(TINY)(one), learn(WinCLIP(TINY), [one])(one)
    assert_close(fitted.image_score, plain.image_score / 2, rtol=1e-5, atol=1e-6)
    assert_close(fitted.anomaly_map, plain.anomaly_map / 2, rtol=1e-5, atol=1e-6)


def test_patchcore_equalizes_layers_of_one_grid_unless_told_otherwise() -> None:
    by_default, equal, plain = (PatchCore(TINY, width=16, equalize=told)._patches(TEST) for told in (None, True, False))
    assert torch.equal(by_default, equal)
    assert not torch.allclose(equal, plain, rtol=1e-2)


def test_subspace_ad_turns_its_good_parts_only_while_they_are_few() -> None:
    images = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))

    def mean(*, turns: int, few: int) -> torch.Tensor:
        return learn(SubspaceAD(TINY, image_size=SIDE, turns=turns, few=few), [images]).subspace.mean

    still = mean(turns=0, few=3)
    assert torch.equal(mean(turns=2, few=2), still)
    assert not torch.allclose(mean(turns=2, few=3), still)


def test_subspace_ad_turns_the_same_way_in_batches_of_any_size() -> None:
    images = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    one = learn(SubspaceAD(TINY, image_size=SIDE, turns=2), [images]).subspace.mean
    two = learn(SubspaceAD(TINY, image_size=SIDE, turns=2), images.split(1)).subspace.mean
    torch.testing.assert_close(one, two)


def worded(detector: TAB, embeddings: Tensor) -> Tensor:
    """The softmax over cosines, written out: (..., D) -> (...)."""
    cosines = F.normalize(embeddings, dim=-1) @ F.normalize(detector.texts, dim=-1).T
    exponents = (cosines / detector.temperature).exp()
    return exponents[..., detector.innocent :].sum(-1) / exponents.sum(-1)


def test_tab_asks_about_any_damage_or_about_the_defects_that_are_named() -> None:
    anything, one, two = (TAB(TINY, product="cap", defects=names) for names in ((), ("dent",), ("dent", "rust")))
    encoder = cast(TextEncoder, encoders.load(TINY))
    assert torch.equal(anything.texts, prototypes(encoder, "cap"))
    assert anything.innocent == 1
    assert [len(detector.texts) - detector.innocent for detector in (anything, one, two)] == [1, 1, 2]
    assert torch.equal(one.texts[0], anything.texts[0])
    assert_close(two.texts[-2], one.texts[-1])
    assert not torch.allclose(two.texts[-1], one.texts[-1], atol=1e-4)
    kinds = defect_prototypes(encoder, "cap", DEFECTS)
    others = kinds[(kinds @ one.texts[-1]) < 0.95]
    assert_close(one.texts[1 : one.innocent], others)
    assert (two(TEST).image_score > one(TEST).image_score).all()  # one more thing that it may be


@pytest.mark.parametrize("defects", ["dent", ("dent", " ")])
def test_tab_takes_a_list_of_named_defects_only(defects: str | tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match="give a list of what can go wrong"):
        TAB(TINY, defects=defects)


def test_tab_without_good_parts_is_what_the_words_say() -> None:
    detector = TAB(TINY, product="cap", defects=("dent", "rust"), sigma=0)
    embedding, (last,) = detector.encoder(TEST, layers=[4])
    patches = worded(detector, detector.encoder.project(last))
    assert_close(detector(TEST).image_score, (worded(detector, embedding) + patches.flatten(1).amax(1)) / 2)
    assert_close(detector(TEST).anomaly_map[:, 4::8, 4::8], patches, rtol=0, atol=0.02)


def test_tab_adds_what_the_words_find_worse_than_the_nearest_good_patch() -> None:
    detector, memory = (learn(TAB(TINY, trust=trust, few=0, sigma=0), GOOD) for trust in (0.5, 0.0))
    _, words, patches = detector._look(TEST)
    _, good, rows = detector._look(torch.cat(GOOD))
    bank = WhitenedBank(variance=1.0, shrinkage=0.1, even=True, beside=["words"])
    bank.hold(rows.flatten(0, 2), good.flatten())
    distance, expected = read_nearest(bank, patches, "words")
    score = distance + 0.5 * (words - expected).clamp_min(0)
    whole = torch.cdist(bank.place(patches.mean((1, 2))), bank.place(rows.mean((1, 2)))).amin(1)
    plain = distance.flatten(1).amax(1) + distance.mean((1, 2)) + whole
    assert_close(memory(TEST).image_score, plain, rtol=1e-4, atol=1e-6)
    expected = score.flatten(1).amax(1) + score.mean((1, 2)) + whole
    assert_close(detector(TEST).image_score, expected, rtol=1e-4, atol=1e-6)
    assert (detector(TEST).anomaly_map >= memory(TEST).anomaly_map - 1e-6).all()


def test_tab_by_cosines_asks_how_patches_turn_and_not_how_long_they_are() -> None:
    detector = learn(TAB(TINY, metric="cosine", trust=0, few=0, breadth=0, whole=0, sigma=0), GOOD)
    rows, patches = detector.bank.recall()[0], detector._look(TEST)[2]
    assert_close(rows.norm(dim=-1), torch.ones(len(rows)))
    nearest = 1 - (F.normalize(patches, dim=-1) @ rows.T).amax(-1)
    assert_close(detector(TEST).image_score, nearest.flatten(1).amax(1), rtol=0, atol=1e-5)
    widths = patches.unflatten(-1, (3, -1)).norm(dim=-1)
    assert_close(widths, torch.ones_like(widths))
    by_default = learn(TAB(TINY, trust=0, few=0, breadth=0, whole=0, sigma=0), GOOD)
    assert not torch.allclose(by_default(TEST).image_score, detector(TEST).image_score, rtol=0.05)


def test_tab_forgets_most_of_how_long_a_patch_is_but_not_all() -> None:
    detector = TAB(TINY)
    maps = detector.encoder(TEST, layers=[4]).patches
    lengths = pool_neighbours(maps[0]).norm(dim=-1)
    width = maps[0].shape[-1]
    assert_close(detector._look(TEST)[2][..., -width:].norm(dim=-1), lengths**0.25, rtol=1e-4, atol=1e-6)


def test_a_plain_part_gives_tab_scores_of_flaws_and_of_itself() -> None:
    grey = torch.full((2, 3, 64, 64), 0.5)
    spot = grey.clone()
    spot[1, :, 20:30, 20:30] = 0.1
    found = learn(TAB(TINY), [grey[:1]])(torch.cat([grey[:1], spot[1:]])).image_score
    assert found.isfinite().all()
    assert found[0] < 1e-3 < found[1]


def test_a_good_part_itself_has_no_score_in_tab() -> None:
    found = learn(TAB(TINY), GOOD)(GOOD[0])
    assert_close(found.image_score, torch.zeros(4), rtol=0, atol=1e-5)


def test_tab_learns_few_good_parts_mirrored_as_well() -> None:
    mirrored, plain = (learn(TAB(TINY, trust=0, few=few), GOOD) for few in (8, 7))
    assert len(mirrored.bank.rows) == 4 * len(plain.bank.rows)
    for axes in ((-1,), (-2,), (-2, -1)):
        part = GOOD[0].flip(axes)
        assert_close(mirrored(part).image_score, torch.zeros(len(part)), rtol=0, atol=1e-5)
        assert (plain(part).image_score > 1e-4).all()
    assert torch.equal(mirrored.extract(Batch(GOOD[0]))[0][0][:64], plain.extract(Batch(GOOD[0]))[0][0][:64])


def test_tab_remembers_a_coreset_of_many_patches_and_what_the_words_say_of_each() -> None:
    everything, some = (learn(TAB(TINY, product="cap", few=0, most=most), GOOD) for most in (8192, 40))
    assert len(everything.bank.rows) == 8 * 64
    assert len(some.bank.rows) == 40
    apart, row = everything.bank.nearest(some.bank.recall()[0])
    assert_close(apart, torch.zeros_like(apart), rtol=0, atol=1e-5)
    said = everything.bank.get_buffer("words")[row.squeeze(-1)]
    assert_close(some.bank.get_buffer("words"), said)
    assert torch.equal(some.bank.rows, learn(TAB(TINY, product="cap", few=0, most=40), GOOD).bank.rows)
    assert not torch.equal(some.bank.rows, learn(TAB(TINY, product="cap", few=0, most=40, seed=1), GOOD).bank.rows)


def test_tab_remembers_its_layers_and_the_last() -> None:
    by_default, some = TAB(TINY), TAB(TINY, layers=(1,))
    width = by_default.encoder(TEST, layers=[1]).patches[0].shape[-1]
    assert by_default._look(TEST)[2].shape[-1] == 3 * width
    assert some._look(TEST)[2].shape[-1] == 2 * width
    assert torch.equal(by_default._look(TEST)[2], TAB(TINY, layers=(2, 3))._look(TEST)[2])


def test_tab_sharpens_with_its_temperature_and_reads_the_wording() -> None:
    warm, cold = (TAB(TINY, temperature=degree)(TEST) for degree in (0.07, 0.01))
    assert ((cold.anomaly_map - 0.5).abs() > (warm.anomaly_map - 0.5).abs()).float().mean() > 0.9
    assert not torch.allclose(TAB(TINY).texts, TAB(TINY, words="april-gan").texts, atol=1e-4)
    with pytest.raises(UnknownName, match="winclip"):
        TAB(TINY, words="none")


def test_subspace_ad_joins_layers_that_differ_and_averages_those_that_do_not() -> None:
    detector = SubspaceAD(TINY, layers=(2, 3))
    one, other = detector.encoder(TEST, layers=(2, 3)).patches
    assert_close(detector._patches(TEST), (one + other) / 2)


@pytest.mark.parametrize(("deviation", "expected"), [(None, 0.5), (0.015, None)])
def test_supersimplenet_s_noise_is_half_as_large_as_features_deviate_or_as_said(
    deviation: float | None, expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, seen = SuperSimpleNet(TINY, image_size=SIDE, deviation=deviation), dict[str, Tensor]()

    def keep(raw: Tensor, noise: Noise, truth: Tensor, labels: Tensor) -> dict[str, Tensor]:
        seen.update(raw=raw, noise=noise.values)
        return {}

    monkeypatch.setattr(found, "losses", keep)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        found.loss(Batch(TEST))
    spread = (seen["raw"] - seen["raw"].mean((0, 2, 3), keepdim=True)).square().mean().sqrt()
    wanted = expected * float(spread) if expected else deviation
    assert float(seen["noise"].square().mean().sqrt()) == pytest.approx(wanted, rel=0.03)


@pytest.mark.parametrize("finer", [1, 2])
def test_supersimplenet_works_at_a_grid_as_fine_as_asked(finer: int) -> None:
    found = SuperSimpleNet(TINY, image_size=SIDE, finer=finer)
    seen = Features(torch.zeros(1, 4), (torch.randn(1, 8, 4, 3), torch.randn(1, 4, 2, 5)))
    assert found.join(seen).shape == (1, 8, 8 * finer, 4 * finer)


def test_supersimplenet_scores_by_its_map_and_trains_no_other_head_unless_asked() -> None:
    found = SuperSimpleNet(TINY, image_size=SIDE, width=32)
    with torch.random.fork_rng(devices=[]):
        assert set(found.loss(Batch(TEST))) == {"map_focal", "map_l1"}
    seen = found(TEST)
    assert torch.equal(seen.image_score, seen.anomaly_map.flatten(1).amax(1))
    assert not [name for name, _ in found.named_parameters() if name.startswith("score")]
    with torch.random.fork_rng(devices=[]):
        assert "score_focal" in SuperSimpleNet(TINY, image_size=SIDE, score_from="adapted", width=32).loss(Batch(TEST))
        assert "score_focal" in SuperSimpleNet(TINY, image_size=SIDE, supervised=True, width=32).loss(Batch(TEST))
