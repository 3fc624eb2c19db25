from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from blemish.blocks.heads import LayerHeads, MapRefiner, ProjectedHeads, gather_heads, quarters
from blemish.blocks.similarity import measure_along


def test_every_layer_has_a_linear_head_into_the_same_space() -> None:
    heads = LayerHeads([4, 6], 5, seed=1)
    layers = [torch.randn(2, 3, 3, 4), torch.randn(2, 1, 2, 6)]
    found = heads(layers)
    assert [tuple(each.shape) for each in found] == [(2, 3, 3, 5), (2, 1, 2, 5)]
    weight, bias = (dict(heads.named_parameters())[f"heads.1.{part}"] for part in ("weight", "bias"))
    torch.testing.assert_close(found[1], layers[1] @ weight.T + bias)
    assert weight.abs().max() <= 6**-0.5


@pytest.mark.parametrize("width", [3, 9])
def test_cosines_of_a_layers_head_are_the_same_without_its_outcome(width: int) -> None:
    generator = torch.Generator().manual_seed(0)
    heads = LayerHeads([width], 7)
    layer = torch.randn(2, 4, 3, width, generator=generator, requires_grad=True)
    columns = torch.randn(2, 1, 7, 5, generator=generator, requires_grad=True)
    (found,), plain = heads.along([layer], columns), measure_along(heads([layer])[0], columns)
    torch.testing.assert_close(found, plain)
    given = [layer, columns, *heads.parameters()]
    for one, other in zip(*(torch.autograd.grad(each.sin().sum(), given) for each in (found, plain)), strict=True):
        torch.testing.assert_close(one, other)
    assert not heads.along([torch.zeros(1, 1, 1, width)], columns.detach()[:1])[0].isnan().any()


def test_the_maps_of_a_file_are_the_heads_of_the_layers_and_nothing_else_is() -> None:
    theirs = {"trainable_linearlayer.fc.1.bias": torch.ones(5), "other.fc.0.bias": torch.zeros(5)}
    assert list(gather_heads(theirs)) == ["heads.heads.1.bias"]


def test_heads_come_from_the_seed_and_leave_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = (LayerHeads([4], 5, seed=seed).heads[0] for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(*pair) for pair in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(next(one.parameters()), next(other.parameters()))


@pytest.mark.parametrize(
    ("depth", "layers"), [(24, (6, 12, 18, 24)), (12, (3, 6, 9, 12)), (5, (1, 2, 3, 5)), (4, (1, 2, 3, 4)), (1, (1,))]
)
def test_quarters_of_the_depth_each_once(depth: int, layers: tuple[int, ...]) -> None:
    assert quarters(depth) == layers


def test_a_layer_of_the_towers_own_width_begins_with_its_projection_and_others_with_a_map_of_their_own() -> None:
    heads, tower = ProjectedHeads([4, 6], 5, own=6, seed=1), torch.randn(6, 5)
    layers = [torch.randn(2, 3, 3, 4), torch.randn(2, 2, 2, 6)]
    first, second = heads(layers, lambda patches: patches @ tower)
    weight = dict(heads.named_parameters())["heads.0.weight"]
    torch.testing.assert_close(first, F.normalize(layers[0] @ weight.T, dim=-1))
    torch.testing.assert_close(second, F.normalize(layers[1] @ tower, dim=-1))
    last = dict(heads.named_parameters())["heads.1.weight"]
    last.data.normal_()
    second = heads(layers, lambda patches: patches @ tower)[1]
    torch.testing.assert_close(second, F.normalize(layers[1] @ (tower + last.T), dim=-1))


def test_without_widths_the_towers_own_projection_is_all() -> None:
    heads, tower = ProjectedHeads([], 5, own=6), torch.randn(6, 5)
    (found,) = heads([torch.ones(1, 1, 1, 6)], lambda patches: patches @ tower)
    torch.testing.assert_close(found[0, 0, 0], F.normalize(tower.sum(0), dim=0))
    assert not list(heads.parameters())


def test_a_refiner_begins_as_nothing_and_then_corrects_the_logits() -> None:
    refiner, logits, patches = MapRefiner(3, seed=0), torch.randn(2, 4, 5), torch.randn(2, 4, 5, 3)
    found = refiner(logits, patches)
    assert torch.equal(found, logits)
    refiner.outer.weight.data.fill_(1.0)
    inner = torch.cat([logits[..., None], patches], -1).permute(0, 3, 1, 2)
    expected = logits + refiner.outer(refiner.inner(inner).relu())[:, 0]
    torch.testing.assert_close(refiner(logits, patches), expected)
