"""Every loss against its definition, written out."""

from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from torch import Tensor

from blemish.blocks.losses import (
    absolute_error,
    agreement_focal,
    attraction,
    balanced_focal,
    choose_class,
    contrast,
    dice,
    even_contrast,
    focal,
    focal_certainty,
    focal_contrast,
    focal_of_peaks,
    focal_probability,
    grid_losses,
    likeness_loss,
    map_losses,
    margin_loss,
    masks_of,
    open_cross_entropy,
    orthogonality,
    patch_alignment,
    round_masks,
    segmentation,
    truncated_l1,
    unlikeness,
    weigh_by_trust,
    whole_and_map,
)
from blemish.errors import BadInput
from blemish.types import Batch


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_focal_weighs_what_is_missed(gamma: float) -> None:
    logits, target = 3 * drawn(3, 4, 4), (uniform(3, 4, 4) > 0.5).float()
    losses = []
    for x, wanted in zip(logits.flatten().tolist(), target.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-x))
        right = p if wanted else 1 - p
        losses.append(-((1 - right) ** gamma) * math.log(right))
    assert float(focal(logits, target, gamma=gamma)) == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_the_absolute_error_is_that_of_probabilities() -> None:
    logits, target = 3 * drawn(3, 4), uniform(3, 4)
    pairs = zip(logits.flatten().tolist(), target.flatten().tolist(), strict=True)
    expected = sum(abs(1 / (1 + math.exp(-x)) - wanted) for x, wanted in pairs) / 12
    assert float(absolute_error(logits, target)) == pytest.approx(expected, rel=1e-5)


def test_the_margin_is_by_how_much_what_should_be_lower_is_not() -> None:
    low, high = drawn(5), drawn(5, seed=1)
    excess = [max(0.0, one - other) for one, other in zip(low.tolist(), high.tolist(), strict=True)]
    assert sum(excess) > 0
    assert 0 in excess
    assert float(margin_loss(low, high)) == pytest.approx(sum(excess) / 5, rel=1e-5)


def test_balanced_focal_also_weighs_what_is_there_and_what_is_not() -> None:
    logits, target = 3 * drawn(3, 4, 4), (uniform(3, 4, 4) > 0.5).float()
    found = balanced_focal(logits, target, alpha=0.3)
    assert found.shape == logits.shape
    rows = zip(logits.flatten().tolist(), target.flatten().tolist(), found.flatten().tolist(), strict=True)
    for x, wanted, loss in rows:
        right = 1 / (1 + math.exp(-x if wanted else x))
        weight = 0.3 if wanted else 0.7
        assert loss == pytest.approx(-weight * (1 - right) ** 2 * math.log(right), rel=1e-4)


def test_trust_multiplies_losses_and_costs_its_logarithm() -> None:
    losses, trust = uniform(2, 5), drawn(2, 5)
    pairs = zip(losses.flatten().tolist(), trust.flatten().tolist(), strict=True)
    expected = [(1 + math.exp(x)) * loss - 0.2 * math.log(1 + math.exp(x)) for loss, x in pairs]
    assert float(weigh_by_trust(losses, trust, share=0.2)) == pytest.approx(sum(expected) / 10, rel=1e-5)


def test_focal_is_least_at_a_target_between_0_and_1() -> None:
    target = torch.tensor([0.3])
    losses = [float(focal(torch.tensor([x]), target)) for x in (-3.0, math.log(0.3 / 0.7), 3.0)]
    assert losses[1] < min(losses[0], losses[2])
    assert losses[1] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("classes", [2, 3, 21])
def test_focal_of_several_classes_counts_the_right_one_as_almost_sure(classes: int) -> None:
    probability, numbers = drawn(6, classes).softmax(1), [index % classes for index in range(6)]
    losses = []
    for row, right in zip(probability.tolist(), numbers, strict=True):
        sure = [1 - 1e-5 if index == right else 1e-5 / (classes - 1) for index in range(classes)]
        p = sum(one * other for one, other in zip(sure, row, strict=True)) + 1e-5
        losses.append(-((1 - p) ** 2) * math.log(p))
    found = focal_certainty(probability[range(6), numbers], classes=classes)
    assert float(found) == pytest.approx(sum(losses) / 6, rel=1e-4)


def test_the_right_class_is_no_defect_outside_the_mask_and_the_pictures_type_or_any_inside() -> None:
    probability, target = drawn(3, 4, 5, 6).softmax(1), (uniform(3, 5, 6) > 0.5).float()
    found = choose_class(probability, target, torch.tensor([2, -1, 0]))
    for picture, wanted in enumerate([[2], [1, 2, 3], [1, 2, 3]]):  # a mask without a type is of any
        for y, x in torch.cartesian_prod(torch.arange(5), torch.arange(6)).tolist():
            rows = wanted if target[picture, y, x] else [0]
            expected = sum(float(probability[picture, row, y, x]) for row in rows)
            assert float(found[picture, y, x]) == pytest.approx(expected, rel=1e-5)


def test_dice_is_one_minus_the_overlap_of_each_map() -> None:
    probability, target = uniform(3, 5, 6), (uniform(3, 5, 6, seed=1) > 0.7).float()
    wanted = 0.0
    for p, t in zip(probability, target, strict=True):
        wanted += 1 - (2 * float((p * t).sum()) + 1) / (float(p.sum()) + float(t.sum()) + 1)
    assert float(dice(probability, target)) == pytest.approx(wanted / 3, rel=1e-5)


def test_dice_is_0_for_a_perfect_map_and_nears_1_for_its_opposite() -> None:
    target = (uniform(2, 20, 20) > 0.5).float()
    assert float(dice(target, target)) == pytest.approx(0, abs=1e-6)
    assert float(dice(1 - target, target)) > 0.99
    assert float(dice(torch.zeros(2, 4, 4), torch.zeros(2, 4, 4))) == 0


def test_whole_and_map_is_cross_entropy_of_the_picture_and_the_losses_of_its_map() -> None:
    picture, grid, target = drawn(3), drawn(3, 2, 2, seed=1), torch.zeros(3, 6, 6)
    target[1, 2:, :3] = 1
    probability = torch.nn.functional.interpolate(grid[:, None].sigmoid(), (6, 6), mode="bilinear")[:, 0]
    chances = [1 / (1 + math.exp(-x)) for x in picture.tolist()]
    entropy = -sum(math.log(p if number == 1 else 1 - p) for number, p in enumerate(chances)) / 3
    expected = entropy + float(focal_probability(probability, target))
    expected += float(dice(probability, target) + dice(1 - probability, 1 - target))
    terms = whole_and_map(picture, grid, target)
    assert sum(float(term) for term in terms.values()) == pytest.approx(expected, rel=1e-5)
    weighed = whole_and_map(picture, grid, target, weights=(0.2, 0.8))
    assert float(weighed["image"]) == pytest.approx(0.2 * entropy, rel=1e-5)
    assert sum(float(term) for term in weighed.values()) == pytest.approx(0.2 * entropy + 0.8 * (expected - entropy))


def test_contrast_is_the_cross_entropy_of_scaled_cosines() -> None:
    embeddings, texts, number = drawn(4, 6), 3 * drawn(5, 6, seed=1), torch.tensor([2, 0, 4, 2])
    losses = []
    for row, wanted in zip(embeddings, number.tolist(), strict=True):
        cosines = [float(row @ text) / float(row.norm() * text.norm()) for text in texts]
        total = sum(math.exp(7 * cosine) for cosine in cosines)
        losses.append(-math.log(math.exp(7 * cosines[wanted]) / total))
    assert float(contrast(embeddings, texts, number, 7.0)) == pytest.approx(sum(losses) / 4, rel=1e-4)


def test_truncated_l1_asks_for_a_margin_on_either_side_and_no_more() -> None:
    margins, target = drawn(2, 1, 5, 4), (uniform(2, 1, 5, 4) > 0.6).float()
    good, bad = list[float](), list[float]()
    for m, wanted in zip(margins.flatten().tolist(), target.flatten().tolist(), strict=True):
        (bad if wanted else good).append(max(0.0, 0.5 - m if wanted else 0.5 + m))
    wanted = sum(good) / len(good) + sum(bad) / len(bad)
    assert float(truncated_l1(margins, target)) == pytest.approx(wanted, rel=1e-5)
    assert float(truncated_l1(torch.where(target > 0, 0.6, -0.6), target)) == 0


@pytest.mark.parametrize(("value", "expected"), [(0.0, 1.0), (1.0, 0.0)])
def test_truncated_l1_of_one_side_alone_is_the_mean_of_that_side(value: float, expected: float) -> None:
    target = torch.full((2, 3), value)
    assert float(truncated_l1(torch.full((2, 3), 0.5), target)) == expected


def test_focal_loss_of_probabilities_is_that_of_their_logits_where_nothing_is_certain() -> None:
    logits, target = drawn(2, 5, 4), (uniform(2, 5, 4) > 0.5).float()
    torch.testing.assert_close(focal_probability(logits.sigmoid(), target), focal(logits, target), rtol=1e-3, atol=1e-5)


def test_focal_loss_of_a_probability_that_is_certain_and_wrong_is_finite() -> None:
    probability = torch.ones(1, 2, 2, requires_grad=True)
    loss = focal_probability(probability, torch.zeros(1, 2, 2))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(-math.log(2e-5), rel=1e-3)
    assert probability.grad is not None
    assert probability.grad.isfinite().all()


def test_masks_of_a_batch_are_0_and_1_or_asked_for() -> None:
    masks = uniform(2, 4, 4) > 0.5
    assert torch.equal(masks_of(Batch(torch.zeros(2, 3, 4, 4), masks)), masks.float())
    with pytest.raises(BadInput, match="needs a mask of every picture"):
        masks_of(Batch(torch.zeros(2, 3, 4, 4)))


def test_a_prompt_is_drawn_to_members_and_away_from_the_others() -> None:
    cosines, members = torch.tensor([[0.3, 0.1], [-0.2, 0.2]]), torch.tensor([[True, False], [False, True]])
    values = [math.exp(x / 0.07) for x in (0.3, 0.1, -0.2, 0.2)]
    expected = -math.log((values[0] + values[3]) / sum(values))
    assert attraction(cosines, members).item() == pytest.approx(expected, rel=1e-5)
    assert attraction(cosines, torch.zeros(2, 2, dtype=torch.bool)) == 0


def test_segmentation_adds_up_focal_and_both_dice_losses_of_all_maps() -> None:
    maps, target = [uniform(2, 4, 5, seed=seed) for seed in (1, 2)], (uniform(2, 4, 5) > 0.5).float()
    found = segmentation(maps, target)
    assert found["focal"] == focal_probability(maps[0], target) + focal_probability(maps[1], target)
    both = [dice(each, target) + dice(1 - each, 1 - target) for each in maps]
    torch.testing.assert_close(found["dice"], both[0] + both[1])


def test_orthogonality_is_the_square_of_the_mean_cosine() -> None:
    one, other = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.6, 0.8], [0.8, -0.6]])
    assert orthogonality(one, other).item() == pytest.approx(((0.6 - 0.6) / 2) ** 2)
    assert orthogonality(one, one.flip(0)) == 0
    assert orthogonality(one, other.abs()).item() == pytest.approx(0.36)


def test_agreement_focal_is_focal_for_plain_targets_and_weighs_a_half_by_a_half() -> None:
    logits, target = 3 * drawn(3, 4, 4), (uniform(3, 4, 4) > 0.5).float()
    torch.testing.assert_close(agreement_focal(logits, target, gamma=4.0), focal(logits, target, gamma=4.0))
    half = torch.tensor([0.5])
    p = 1 / (1 + math.exp(-0.7))
    expected = 0.5**4 * -(math.log(p) + math.log(1 - p)) / 2
    assert agreement_focal(torch.tensor([0.7]), half, gamma=4.0).item() == pytest.approx(expected, rel=1e-5)


def pairs(patches: Tensor, target: Tensor) -> tuple[list[float], list[float]]:
    """Cosines of alike and of unlike places of each picture, each pair both ways, each place with itself."""
    alike, unlike = list[float](), list[float]()
    for picture, truth in zip(patches.flatten(1, 2), target.flatten(1), strict=True):
        for one, this in zip(picture, truth.tolist(), strict=True):
            for other, that in zip(picture, truth.tolist(), strict=True):
                if this in (0, 1) and that in (0, 1):
                    (alike if this == that else unlike).append(float(one @ other))
    return alike, unlike


def test_patch_alignment_compares_the_mean_cosines_of_unlike_and_alike_pairs() -> None:
    patches = torch.nn.functional.normalize(drawn(2, 3, 4, 5), dim=-1)
    target = torch.zeros(2, 3, 4)
    target[0, 1, :2], target[1, 2, 3], target[1, 0, 0] = 1, 1, 0.5
    patches[0, 1, :2] = patches[1, 2, 3] = torch.nn.functional.normalize(patches.flatten(0, 2).sum(0), dim=0)
    alike, unlike = pairs(patches, target)
    expected = sum(unlike) / len(unlike) - sum(alike) / len(alike)
    assert expected > 0.01
    assert patch_alignment(patches, target).item() == pytest.approx(expected, rel=1e-4)
    assert patch_alignment(patches, torch.ones(2, 3, 4)) == 0
    assert patch_alignment(patches, torch.zeros(2, 3, 4)) == 0


def test_losses_of_several_maps_are_sums_and_so_are_their_gradients() -> None:
    maps, truth = [uniform(2, 4, 5), uniform(2, 4, 5, seed=1)], (uniform(2, 4, 5, seed=2) > 0.5).float()
    for each in maps:
        each.requires_grad_()
    found = map_losses(maps, truth)
    expected = {
        "focal": sum(focal_probability(each, truth) for each in maps),
        "dice": sum(dice(each, truth) for each in maps),
    }
    for name, loss in found.items():
        torch.testing.assert_close(loss, cast(Tensor, expected[name]))
        gradients = (
            torch.autograd.grad(total, maps, retain_graph=True) for total in (loss, cast(Tensor, expected[name]))
        )
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other)


def test_losses_of_maps_are_finite_where_a_map_is_sure_and_wrong() -> None:
    sure = torch.tensor([[[0.0, 1.0]]], requires_grad=True)
    found = map_losses([sure], torch.tensor([[[1.0, 0.0]]]))
    (gradient,) = torch.autograd.grad(found["focal"] + found["dice"], sure)
    assert gradient.isfinite().all()
    assert (gradient[0, 0] * torch.tensor([-1.0, 1.0]) > 1).all()


def test_patches_are_to_be_like_their_picture() -> None:
    embedding, layers = drawn(2, 6), [drawn(2, 3, 3, 6, seed=1), drawn(2, 2, 2, 6, seed=2)]
    wrong = [
        (1 - torch.cosine_similarity(patch, embedding[number], dim=0)) ** 2
        for layer in layers
        for number, grid in enumerate(layer)
        for patch in grid.flatten(0, 1)
    ]
    torch.testing.assert_close(likeness_loss(layers, embedding), torch.stack(wrong).mean())


def test_places_are_covered_or_not_or_undecided() -> None:
    covered = torch.tensor([0.0, 0.49, 0.5, 0.51, 1.0])
    assert torch.equal(round_masks(covered), torch.tensor([0.0, 0.0, 0.5, 1.0, 1.0]))


def test_a_type_costs_its_log_probability_and_an_unknown_one_that_of_any_defect() -> None:
    logits = drawn(3, 4)
    chances = logits.exp() / logits.exp().sum(1, keepdim=True)
    expected = torch.stack([-chances[0, 0].log(), -chances[1, 2].log(), -(1 - chances[2, 0]).log()])
    numbers, other = torch.tensor([0, 2, -1]), drawn(3, 1, 4, seed=1)
    torch.testing.assert_close(open_cross_entropy(logits[:, None], numbers), expected)
    both = (expected + open_cross_entropy(other, numbers)) / 2
    torch.testing.assert_close(open_cross_entropy(torch.cat([logits[:, None], other], 1), numbers), both)


def test_a_defect_that_is_somewhere_costs_what_its_highest_places_miss() -> None:
    logits = drawn(2, 10, 20)
    missed = [1 - logits[at].flatten().sort().values[-2:].mean().sigmoid() for at in range(2)]
    expected = torch.stack([-(m**4) * (1 - m).log() for m in missed]).mean()
    torch.testing.assert_close(focal_of_peaks(logits), expected)
    assert focal_of_peaks(logits[:0]).item() == 0


def test_a_map_is_judged_by_its_truth_where_that_is_known_and_else_by_its_peaks() -> None:
    logits, truth, known = drawn(3, 4, 4), (uniform(3, 4, 4) > 0.5).float(), torch.tensor([True, False, True])
    found = grid_losses(logits, truth, known)
    torch.testing.assert_close(found["map_focal"], focal(logits[[0, 2]], truth[[0, 2]], gamma=4.0))
    torch.testing.assert_close(found["map_l1"], truncated_l1(logits[[0, 2]], truth[[0, 2]]))
    torch.testing.assert_close(found["map_weak"], 0.1 * focal_of_peaks(logits[1:2]))


def test_unlikeness_is_one_less_the_cosine_of_the_chosen_rows() -> None:
    one, other = drawn(3, 5), drawn(3, 5, seed=1)
    expected = [1 - float(a @ b) / float(a.norm() * b.norm()) for a, b in zip(one[:2], other[:2], strict=True)]
    assert float(unlikeness(one, other, torch.tensor([True, True, False]))) == pytest.approx(sum(expected) / 2)
    assert float(unlikeness(one, other, torch.tensor([False] * 3))) == 0


def test_a_contrast_of_both_sides_counts_them_alike_however_many_there_are() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0], [1.0, 3.0]])
    members = torch.tensor([False, False, True])
    costs = -logits.log_softmax(-1)
    torch.testing.assert_close(even_contrast(logits, members), costs[:2, 0].mean() + costs[2, 1])
    assert even_contrast(logits[:0], members[:0]) == 0


def test_a_contrast_with_all_others_counts_hard_members_most() -> None:
    members, others = torch.tensor([0.9, 0.1]), torch.tensor([0.0, 0.3, -0.2])
    share = torch.stack([torch.cat([each[None], others]).div(0.5).softmax(0)[0] for each in members])
    expected = (-((1 - share) ** 2) * share.log()).mean().abs()
    torch.testing.assert_close(focal_contrast(members, others, 0.5), expected)
