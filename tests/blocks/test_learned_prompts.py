from __future__ import annotations

from typing import cast

import torch
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.learned_prompts import LearnedPrompts, SharedPrompt
from blemish.types import PromptEncoder

TINY = cast(PromptEncoder, encoders.load("test-tiny"))


def test_each_suffix_has_words_of_its_own_and_the_deep_ones_are_shared() -> None:
    prompts = LearnedPrompts(("object.", "damaged object."), 64, tokens=3, deep_tokens=2, blocks=(2,))
    assert (tuple(prompts.context.shape), tuple(prompts.deep.shape)) == ((2, 3, 64), (1, 2, 64))
    by_hand = [
        TINY.encode_prompts([(prompts.context[number], suffix)], deep={2: prompts.deep[0]})
        for number, suffix in enumerate(prompts.suffixes)
    ]
    torch.testing.assert_close(prompts(TINY), F.normalize(torch.cat(by_hand), dim=-1), rtol=1e-4, atol=1e-5)


def test_without_deep_tokens_only_the_first_words_are_learned() -> None:
    prompts = LearnedPrompts(("object",), 64, tokens=3)
    assert torch.equal(prompts(TINY), F.normalize(TINY.encode_prompts([(prompts.context[0], "object")]), dim=-1))


def test_gradients_reach_every_token() -> None:
    prompts = LearnedPrompts(("object", "damaged object"), 64, tokens=3, deep_tokens=2, blocks=(1, 2))
    found = torch.autograd.grad((prompts(TINY)[0] - prompts(TINY)[1])[:5].sum(), list(prompts.parameters()))
    # What enters the first block is replaced there, but for the third word.
    assert found[0][:, 2].abs().sum(-1).gt(0).all()
    assert found[1].abs().sum(-1).gt(0).all()


def test_prompts_come_from_the_seed_and_leave_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = (LearnedPrompts(("object",), 64, tokens=3, seed=seed).context for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_shared_prompt_stands_in_front_of_every_sentence() -> None:
    prompt = SharedPrompt(("without defect.", "with defect."), 64, tokens=3, seed=2)
    found = prompt(TINY)
    for sentence, unit in zip(prompt.sentences, found, strict=True):
        (expected,) = TINY.encode_prompts([(sentence,)], ahead=prompt.context)
        torch.testing.assert_close(unit, expected / expected.norm(), rtol=1e-4, atol=1e-5)
    assert torch.equal(prompt.context, SharedPrompt(("any",), 64, tokens=3, seed=2).context)
    assert prompt.context.std() < 0.02
