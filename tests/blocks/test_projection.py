from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.projection import ManifoldProjector
from blemish.errors import BadInput


def made(depth: int = 2) -> ManifoldProjector:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return ManifoldProjector(6, width=8, depth=depth, heads=2)


def attention(x: Tensor, qkv: nn.Linear, out: nn.Linear) -> Tensor:
    """Written out, with heads of 4."""
    q, k, v = qkv(x).chunk(3, -1)
    heads = [(q[..., s] @ k[..., s].mT / 2).softmax(-1) @ v[..., s] for s in (slice(0, 4), slice(4, 8))]
    written: Tensor = out(torch.cat(heads, -1))
    return written


def test_what_enters_the_first_block_is_added_behind_each() -> None:
    projector, patches = made(), torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(1))
    first = projector.narrow(patches.flatten(1, 2))
    x = first
    for block in cast(Any, projector.blocks):
        x = x + attention(block.norm1(x), block.qkv, block.out)
        x = x + block.wide(block.norm2(x)) + first
    expected = projector.widen(F.layer_norm(x, (8,), eps=1e-6))
    assert_close(projector(patches), expected.unflatten(1, (3, 5)))


def test_later_blocks_begin_with_smaller_steps() -> None:
    first, *_, ninth = cast(Any, made(9).requires_grad_(False).blocks)
    for one, other in ((first.out, ninth.out), (first.wide[2], ninth.wide[2])):
        assert 0.2 < float(other.weight.norm() / one.weight.norm()) < 0.5  # a third, but for chance


def test_a_width_that_heads_do_not_share_is_refused() -> None:
    with pytest.raises(BadInput, match="width=8 is no multiple of heads=3"):
        ManifoldProjector(6, width=8, depth=1, heads=3)


def test_a_place_is_moved_by_what_other_places_show() -> None:
    patches = torch.randn(1, 2, 2, 6)
    other = patches.clone()
    other[0, 1, 1] += 5
    assert not torch.equal(made()(patches)[0, 0, 0], made()(other)[0, 0, 0])
