from __future__ import annotations

from typing import cast

import pytest
import torch
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.learned_prompts import (
    AnomalyPrompts,
    LearnedPrompts,
    Said,
    SharedPrompt,
    gather_words,
    object_prompts,
    one_class_losses,
)
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


def test_deep_tokens_of_objects_begin_in_the_second_block_and_end_with_the_tower() -> None:
    prompts = object_prompts(TINY, tokens=3, deep_tokens=2, deep_depth=99, seed=4)
    assert prompts.blocks == tuple(range(2, TINY.prompt_depth + 1))
    assert prompts.suffixes == ("object.", "damaged object.")
    assert object_prompts(TINY, tokens=3, deep_tokens=2, deep_depth=2).blocks == (2,)
    same = LearnedPrompts(prompts.suffixes, 64, tokens=3, deep_tokens=2, blocks=prompts.blocks, seed=4)
    assert all(torch.equal(one, other) for one, other in zip(prompts.parameters(), same.parameters(), strict=True))


def test_words_and_deep_tokens_of_a_file_are_in_the_order_of_the_sentences_and_of_the_blocks() -> None:
    prompts = object_prompts(TINY, tokens=3, deep_tokens=2, deep_depth=99)
    theirs = {f"prompt_learner.ctx_{side}": torch.full((1, 1, 3, 64), n) for n, side in ((2.0, "neg"), (1.0, "pos"))}
    for number in range(len(prompts.blocks)):
        theirs[f"prompt_learner.compound_prompts_text.{number}"] = torch.full((2, 64), float(number))
    found = gather_words(theirs, prompts)
    assert found["prompts.context"].shape == prompts.context.shape
    assert found["prompts.context"][:, 0, 0].tolist() == [1.0, 2.0]
    assert found["prompts.deep"][:, 0, 0].tolist() == list(range(len(prompts.blocks)))
    assert gather_words({}, prompts) == {}


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


def test_anomalous_sentences_begin_as_normal_ones_do() -> None:
    encoder = TINY
    prompts = AnomalyPrompts("cap", ("broken {}", "{} with hole"), encoder.prompt_width, normal=2, anomalous=3)
    said = prompts(encoder)
    assert [len(each) for each in said] == [2, 4, 6]
    begin, word = prompts.normal[1], prompts.anomalous[2]
    expected = encoder.encode_prompts([(begin, "cap."), (begin, "cap with hole."), (begin, word, "cap.")])
    torch.testing.assert_close(torch.stack([said.normal[1], said.stated[3], said.learned[5]]), expected)
    torch.testing.assert_close(said.anchors.norm(dim=1), torch.ones(2))


@pytest.mark.parametrize("shape", [(3, 6), (3, 5, 6)])
def test_one_class_losses_by_their_definitions(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(4)
    seen = F.normalize(torch.randn(*shape, generator=generator), dim=-1)
    said = Said(*(torch.randn(count, 6, generator=generator) for count in (2, 3, 4)))
    normal, anomalous = said.anchors
    others = [each / each.norm() for each in (*said.stated, *said.learned)]
    rows = [
        -torch.log_softmax(3 * torch.stack([row @ normal, *(row @ other for other in others)]), 0)[0]
        for row in seen.view(-1, 6)
    ]
    found = one_class_losses(seen, said, 3.0)
    torch.testing.assert_close(found["choice"], torch.stack(rows).mean())
    apart = (seen - normal) ** 2 - (seen - anomalous) ** 2
    torch.testing.assert_close(found["margin"], apart.sum(1).clamp_min(0).mean())
    means = [torch.stack([each / each.norm() for each in kind]).mean(0) for kind in (said.stated, said.learned)]
    torch.testing.assert_close(found["align"], ((means[0] - means[1]) ** 2).sum())
