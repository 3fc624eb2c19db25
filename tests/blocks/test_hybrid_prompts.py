from __future__ import annotations

import torch
from torch.testing import assert_close

from blemish.blocks.hybrid_prompts import HybridPrompts


def test_each_block_has_learned_tokens_and_a_picture_adds_the_same_to_all() -> None:
    prompts = HybridPrompts(4, 3, tokens=2, blocks=(2, 5), seed=1)
    embedding = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    found = prompts(embedding)
    assert list(found) == [2, 5]
    weight, bias = prompts.dynamic.weight.view(2, 4, 3), prompts.dynamic.bias.view(2, 4)
    for number, tokens in enumerate(found.values()):
        for picture, given in zip(embedding, tokens, strict=True):
            for at in range(2):
                assert_close(given[at], prompts.static[number, at] + weight[at] @ picture + bias[at])


def test_they_come_from_their_seed_and_leave_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = (HybridPrompts(4, 3, tokens=2, blocks=(1,), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(*pair) for pair in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.static, other.static)
