"""Published generators of synthetic defects: what each promises about picture and mask."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

from blemish.synth.drawn.scene import Colours, Mask
from blemish.synth.published.augmenters import AUGMENTERS, Augmenter
from blemish.synth.published.cutpaste import LUMA, color_jitter, cutpaste, cutpaste_scar
from blemish.synth.published.draem import CODE_OPACITY, draem
from blemish.synth.published.feature_noise import feature_noise, noise_in_spots, perlin_masks, spread
from blemish.synth.published.few_views import few_view
from blemish.synth.published.glass import ascend, glass, onto_shell
from blemish.synth.published.nsa import half_side, intensity_label, logistic_label, nsa, shift_intensity
from blemish.synth.published.perlin import fade, perlin_mask, perlin_noise
from blemish.synth.published.poisson import Gradients, poisson_blend

SIDE = 64
Generator = Callable[[Colours, np.random.Generator], tuple[Colours, Mask]]


def picture(seed: int, side: int = SIDE) -> Colours:
    """Random colours, smooth over eight pixels."""
    coarse = np.random.default_rng(seed).random((side // 8, side // 8, 3), dtype=np.float32)
    return np.kron(coarse, np.ones((8, 8, 1), np.float32)) * np.float32(0.8) + np.float32(0.1)


GENERATORS: dict[str, Generator] = {
    "draem": partial(draem, texture=picture(1), probability=1.0),
    "draem code": partial(draem, texture=picture(1), opacity=CODE_OPACITY),
    "cutpaste": cutpaste,
    "cutpaste scar": cutpaste_scar,
    "nsa": partial(nsa, source=picture(2)),
    "nsa texture": partial(nsa, source=picture(2), gradients="mixed", patches=4, resize=(0.5, 2.0)),
    "nsa object": partial(nsa, source=picture(2), background=(0.0, 0.3)),
    "shift-intensity": partial(shift_intensity, source=picture(2)),
    "glass": partial(glass, texture=picture(1)),
}
each_generator = pytest.mark.parametrize("generator", GENERATORS.values(), ids=GENERATORS.keys())


@each_generator
def test_a_picture_and_a_mask_come_back(generator: Generator) -> None:
    for seed in range(5):
        image = picture(0)
        changed, mask = generator(image, np.random.default_rng(seed))
        assert changed.shape == image.shape
        assert changed.dtype == np.float32
        assert mask.shape == image.shape[:2]
        assert mask.dtype == np.bool_
        assert changed.min() >= 0
        assert changed.max() <= 1


@each_generator
def test_outside_the_mask_nothing_changes_and_the_input_stays(generator: Generator) -> None:
    for seed in range(5):
        image = picture(0)
        changed, mask = generator(image, np.random.default_rng(seed))
        assert np.abs(changed - image)[~mask].max(initial=0) <= 3 / 255 + 1e-6  # NSA's tolerance, mean of channels
        assert np.array_equal(image, picture(0))
        assert not np.shares_memory(changed, image)


@each_generator
def test_the_same_seed_gives_the_same_defect(generator: Generator) -> None:
    first, second = (generator(picture(0), np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


@each_generator
def test_other_pictures_and_the_global_random_state_stay(generator: Generator) -> None:
    given = getattr(generator, "keywords", {})
    before, state = {name: np.copy(value) for name, value in given.items()}, str(np.random.get_state(legacy=False))
    for seed in range(3):
        generator(picture(0), np.random.default_rng(seed))
    assert all(np.array_equal(given[name], value) for name, value in before.items())
    assert str(np.random.get_state(legacy=False)) == state


@each_generator
def test_what_is_marked_has_changed(generator: Generator) -> None:
    """But for the few pixels whose new colour happens to be the old one."""
    for seed in range(5):
        changed, mask = generator(picture(0), np.random.default_rng(seed))
        assert not mask.any() or (changed != picture(0)).any(2)[mask].mean() > 0.9


def test_the_same_seed_gives_the_same_noise_and_another_seed_another() -> None:
    first, again, other = (perlin_noise(np.random.default_rng(seed), 48, 64, (4, 8)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other, atol=1e-3)


def test_perlin_masks_are_the_same_for_a_seed_and_shrink_with_the_threshold() -> None:
    low, again, high = (
        perlin_mask(np.random.default_rng(4), 48, 64, threshold=threshold) for threshold in (0.2, 0.2, 0.5)
    )
    assert low.shape == (48, 64)
    assert low.any()
    assert np.array_equal(low, again)
    assert not (high & ~low).any()


def test_draem_may_be_told_to_change_every_picture_or_none() -> None:
    for seed in range(10):
        image, mask = draem(picture(0), np.random.default_rng(seed), texture=picture(1), probability=0.0)
        assert not mask.any()
        assert np.array_equal(image, picture(0))


def test_a_cutpaste_patch_is_a_rectangle_and_a_scar_is_thin() -> None:
    for seed in range(10):
        mask = cutpaste(picture(0), np.random.default_rng(seed))[1]
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert 2 * 10 * 0.7 < cutpaste_scar(picture(0), np.random.default_rng(seed))[1].sum() < 16 * 25 * 1.2


def test_nsa_marks_what_changed_by_more_than_its_tolerance() -> None:
    for tolerance in (1 / 255, 0.05):
        changed, mask = nsa(picture(0), np.random.default_rng(3), source=picture(2), tolerance=tolerance)
        assert np.array_equal(mask, np.abs(changed - picture(0)).mean(2) > tolerance)
        assert mask.any()


def test_perlin_noise_vanishes_on_its_lattice_and_stays_in_range() -> None:
    noise = perlin_noise(np.random.default_rng(0), 64, 64, (4, 8))
    assert np.abs(noise[::16, ::8]).max() < 1e-6
    assert np.abs(noise).max() <= 1.001
    assert 0.15 < noise.std() < 0.5


def test_the_fade_is_flat_at_both_ends() -> None:
    ends = fade(np.array([0.0, 1e-4, 0.5, 1 - 1e-4, 1.0]))
    assert ends == pytest.approx([0, 0, 0.5, 1, 1], abs=1e-9)


def test_perlin_masks_cover_a_part_of_the_picture() -> None:
    rng = np.random.default_rng(0)
    shares = np.array([perlin_mask(rng, 64, 64).mean() for _ in range(100)])
    assert 0.03 < shares.mean() < 0.25
    assert shares.max() < 0.7


def test_draem_returns_every_second_picture_unchanged() -> None:
    rng = np.random.default_rng(0)
    marked = [draem(picture(0, 32), rng, texture=picture(1, 32))[1].any() for _ in range(120)]
    assert 0.3 < np.mean(marked) < 0.6


def test_draem_refuses_a_texture_of_another_size() -> None:
    with pytest.raises(ValueError, match="resize the texture"):
        draem(picture(0), np.random.default_rng(0), texture=picture(1, 32))


@pytest.mark.parametrize("augmenter", AUGMENTERS, ids=lambda each: each.__name__)
def test_augmenters_keep_shape_and_type(augmenter: Augmenter) -> None:
    pixels = (picture(0) * 255).astype(np.uint8)
    changed = augmenter(pixels, np.random.default_rng(0))
    assert changed.shape == pixels.shape
    assert changed.dtype == np.uint8


def test_cutpaste_patches_have_the_papers_areas() -> None:
    rng = np.random.default_rng(0)
    areas = [cutpaste(picture(0), rng)[1].mean() for _ in range(100)]
    assert min(areas) > 0.015
    assert max(areas) < 0.16


def test_without_jitter_a_pasted_patch_is_a_copy() -> None:
    image = picture(0)
    changed, mask = cutpaste(image, np.random.default_rng(3), jitter=0.0)
    known = {tuple(colour) for colour in np.round(image.reshape(-1, 3), 4).tolist()}
    assert {tuple(colour) for colour in np.round(changed[mask], 4).tolist()} <= known


def dense(destination: Colours, patch: Colours, region: Mask, gradients: Gradients) -> Colours:
    """Poisson's equation written out pixel by pixel."""
    places = {place: number for number, place in enumerate(zip(*np.nonzero(region), strict=True))}
    matrix, right = np.zeros((len(places), len(places))), np.zeros((len(places), 3))
    for (row, column), number in places.items():
        for beside in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            wanted, own = patch[row, column] - patch[beside], destination[row, column] - destination[beside]
            stronger = np.where(np.abs(own) > np.abs(wanted), own, wanted)
            right[number] += stronger if gradients == "mixed" else wanted
            matrix[number, number] += 1
            if beside in places:
                matrix[number, places[beside]] -= 1
            else:
                right[number] += destination[beside]
    blended = destination.copy()
    blended[region] = np.clip(np.linalg.solve(matrix, right), 0, 1)
    return blended


@pytest.mark.parametrize("gradients", ["normal", "mixed"])
@pytest.mark.parametrize("rectangular", [True, False])
def test_the_blend_solves_poissons_equation(gradients: Gradients, rectangular: bool) -> None:
    rng = np.random.default_rng(0)
    destination, patch = (0.3 + 0.4 * rng.random((2, 12, 14, 3))).astype(np.float32)
    region = np.zeros((12, 14), bool)
    region[2:9, 3:11] = True
    if not rectangular:
        region &= rng.random((12, 14)) < 0.8
    expected = dense(destination, patch, region, gradients)
    assert np.abs(poisson_blend(destination, patch, region, gradients=gradients) - expected).max() < 1e-5


@pytest.mark.parametrize("rectangular", [True, False])
def test_a_patch_that_differs_by_a_constant_vanishes(rectangular: bool) -> None:
    image = picture(0)
    region = np.zeros((SIDE, SIDE), bool)
    region[10:40, 5:60] = True
    if not rectangular:
        region[10:20, 5:20] = False
    assert np.abs(poisson_blend(image, image + np.float32(0.3), region) - image).max() < 1e-5


def test_the_rim_of_the_picture_is_never_blended() -> None:
    image = picture(0)
    blended = poisson_blend(image, picture(1), np.ones((SIDE, SIDE), bool))
    for rim in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        assert np.array_equal(blended[rim], image[rim])


def test_nsas_patches_have_the_papers_sizes() -> None:
    rng = np.random.default_rng(0)
    halves = np.array([half_side(rng, 1000, (0.0, 1.0)) for _ in range(2000)]) / 1000
    assert halves.min() >= 0.03
    assert halves.mean() == pytest.approx(0.03 + 2 * 0.05, abs=0.01)


def test_nsa_labels_follow_the_change() -> None:
    image, blended = np.zeros((20, 20, 3), np.float32), np.zeros((20, 20, 3), np.float32)
    blended[5:15, 5:15] = 24 / 255
    assert intensity_label(image, blended)[10, 10] == pytest.approx(24 / 255)
    assert logistic_label(image, blended)[10, 10] == pytest.approx(0.5, abs=1e-4)
    assert logistic_label(image, blended)[0, 0] == 0


def test_feature_noise_is_for_the_batch_twice_and_stays_in_its_spots() -> None:
    noise, mask = feature_noise((8, 16, 12, 10), generator=torch.Generator().manual_seed(0))
    noisy = noise.dense()
    assert noisy.shape == (16, 16, 12, 10)
    assert mask.shape == (16, 1, 12, 10)
    assert (noisy[(mask == 0).expand_as(noisy)] == 0).all()
    assert float(noisy[(mask == 1).expand_as(noisy)].std()) == pytest.approx(0.015, rel=0.05)


def test_feature_noise_is_the_same_for_a_seed_and_leaves_its_inputs_and_the_global_random_state_alone() -> None:
    defects = torch.zeros(3, 1, 9, 8)
    defects[:, :, 2:4] = 1
    kept, state = defects.clone(), torch.get_rng_state()
    first, again, other = (
        feature_noise((3, 4, 9, 8), generator=torch.Generator().manual_seed(seed), defects=defects)
        for seed in (1, 1, 2)
    )
    assert torch.equal(first[0].dense(), again[0].dense())
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0].dense(), other[0].dense())
    assert torch.equal(defects, kept)
    assert torch.equal(torch.get_rng_state(), state)


def test_feature_noise_spares_real_defects_and_counts_them() -> None:
    defects = torch.zeros(4, 1, 16, 16)
    defects[:, :, 2:9, 3:9] = 1
    noise, mask = feature_noise((4, 8, 16, 16), generator=torch.Generator().manual_seed(1), defects=defects, empty=0.0)
    noisy = noise.dense()
    assert (noisy[:, :, 2:9, 3:9] == 0).all()
    assert (mask[:, :, 2:9, 3:9] == 1).all()
    assert noisy.abs().sum() > 0


def test_half_of_the_feature_masks_are_empty() -> None:
    masks = perlin_masks(200, 16, 16, generator=torch.Generator().manual_seed(0))
    filled = masks.flatten(1).any(1).float().mean()
    assert 0.35 < float(filled) < 0.6
    full = perlin_masks(8, 16, 16, generator=torch.Generator().manual_seed(0), empty=0.0)
    assert set(full.unique().tolist()) == {0.0, 1.0}


def test_glass_marks_only_the_foreground() -> None:
    foreground = np.zeros((SIDE, SIDE), bool)
    foreground[16:48, 16:48] = True
    masks = [
        glass(picture(0), np.random.default_rng(seed), texture=picture(1), foreground=foreground)[1]
        for seed in range(5)
    ]
    assert all(mask.any() for mask in masks)
    assert not any((mask & ~foreground).any() for mask in masks)


def test_features_are_moved_onto_the_shell() -> None:
    features = torch.randn(50, 8, generator=torch.Generator().manual_seed(0)) * 3
    moved = onto_shell(features, torch.ones(8), 4.0, 6.0)
    lengths = (moved - 1).norm(dim=1)
    assert float(lengths.min()) >= 4 - 1e-4
    assert float(lengths.max()) <= 6 + 1e-4


def test_ascent_moves_features_to_where_they_are_taken_for_good_and_keeps_them_at_a_distance() -> None:
    good, noise = torch.zeros(3, 2, 4, requires_grad=True), 0.1 * torch.ones(3, 2, 4)

    def judge(both: torch.Tensor) -> torch.Tensor:
        return both.sum(-1)

    moved = ascend(good, noise, judge, good, 0.5, steps=4, length=0.01)
    torch.testing.assert_close(moved, noise - 4 * 0.01 / 2)  # along the gradient, whose length is 1
    kept = ascend(good, noise, judge, good, 0.5, steps=5, length=0.01)
    torch.testing.assert_close(kept.norm(dim=-1), torch.full((3, 2), 0.5))


def test_the_spread_of_features_is_of_each_channel_around_its_own_mean() -> None:
    features = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) + torch.tensor(
        [0.0, 50.0, -9.0]
    ).view(1, 3, 1, 1)
    variances = [float(features[:, at].var(correction=0)) for at in range(3)]
    assert spread(features) == pytest.approx((sum(variances) / 3) ** 0.5, rel=1e-4)


def test_noise_in_spots_is_for_chosen_rows_in_units_of_each_channel() -> None:
    features = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    features = features * torch.tensor([1.0, 4.0, 0.0]).view(3, 1, 1)
    noise, spots = noise_in_spots(features, torch.tensor([1, 4]), 0.5, 0.2, torch.Generator().manual_seed(1))
    assert noise.shape == (2, 3, 16, 16)
    inside = spots[:, None].bool().expand_as(noise)
    assert (noise[~inside] == 0).all()
    assert float(noise[:, 0][spots.bool()].std()) == pytest.approx(0.5, rel=0.2)
    assert float(noise[:, 1][spots.bool()].std()) == pytest.approx(2.0, rel=0.2)
    assert (noise[:, 2] == 0).all()
    none, nowhere = noise_in_spots(features, torch.tensor([], dtype=torch.long), 0.5, 0.2, torch.Generator())
    assert (len(none), nowhere.shape) == (0, (0, 16, 16))


@pytest.mark.parametrize(("height", "width"), [(48, 48), (40, 64)])
def test_a_few_views_are_mirrored_turned_or_changed_as_often_as_said(height: int, width: int) -> None:
    rng = np.random.default_rng(0)
    image = rng.random((height, width, 3), dtype=np.float32)
    turns = [image[::-1], image[:, ::-1], *(np.rot90(image, k) for k in ((1, 3) if height == width else (2,)))]
    seen = [few_view(image, rng, appear=0.0) for _ in range(200)]
    assert all(each.shape == image.shape and each.dtype == np.float32 for each in seen)
    found = {at: sum(np.array_equal(each, one) for each in seen) for at, one in enumerate([image, *turns])}
    assert sum(found.values()) == 200
    assert all(found.values())
    assert 110 < found[0] < 170
    changed = [few_view(image, rng, orient=0.0, appear=1.0) for _ in range(30)]
    grey = [each for each in changed if np.allclose(each[..., 0], each[..., 1])]
    assert 3 < len(grey) < 20
    assert all(each.min() >= 0 and each.max() <= 1 and not np.array_equal(each, image) for each in changed)
    assert np.array_equal(few_view(image, rng, orient=0.0, appear=0.0), image)


def test_hue_may_be_off_by_another_amount_than_the_rest() -> None:
    grey = np.full((4, 4, 3), 0.5, np.float32)
    coloured = grey * np.array([1.0, 0.6, 0.2], np.float32)
    for seed in range(5):
        still = color_jitter(coloured, np.random.default_rng(seed), strength=0.0, hue=0.0)
        turned = color_jitter(coloured, np.random.default_rng(seed), strength=0.0, hue=0.5)
        assert np.allclose(still, coloured, atol=1e-5)
        assert not np.allclose(turned, coloured, atol=1e-2)
        assert np.allclose(turned @ LUMA, coloured @ LUMA, atol=0.15)
