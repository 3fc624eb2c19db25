from __future__ import annotations

import torch
from torch.testing import assert_close

from blemish.blocks.hybrid_prompts import HybridPrompts, gather_prompts


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


def test_published_tokens_and_maps_are_put_together_and_missing_ones_left_out() -> None:
    prompts = HybridPrompts(4, 3, tokens=2, blocks=(2, 3))
    draw = torch.Generator().manual_seed(0)
    tokens, maps = torch.randn(3, 2, 4, generator=draw), torch.randn(2, 4, 3, generator=draw)
    theirs = {f"text_prompter.static_prompts.{at}": each for at, each in enumerate(tokens)}
    theirs |= {f"dynamic_text_prompt_generator.head.{at}.weight": each for at, each in enumerate(maps)}
    found = gather_prompts(theirs, "text", prompts)
    assert set(found) == {"static", "dynamic.weight"}
    assert torch.equal(found["static"], tokens[1:])
    assert torch.equal(found["dynamic.weight"], maps.flatten(0, 1))
    assert gather_prompts(theirs, "visual", prompts) == {}
