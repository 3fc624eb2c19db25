from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch
from tests.support.checkpoints import PARITY, pictures
from torch import Tensor

from blemish import encoders
from blemish.encoders.clip import CLIP
from blemish.encoders.text import TextTransformer
from blemish.encoders.tiny import TEXT, VISION, tiny
from blemish.encoders.tokenizer import build_tokenizer
from blemish.encoders.vit import VisionTransformer
from blemish.errors import BadInput, BadWeights

SENTENCES = [
    f"a {kind} photo of the {state} part." for kind in ("dark", "good", "bright") for state in ("new", "damaged")
]


@pytest.fixture(scope="module")
def model() -> CLIP:
    return tiny()


def one_by_one(model: CLIP, texts: list[str]) -> Tensor:
    """Each sentence on its own through the plain text tower."""
    rows = []
    for numbers in model.tokenize(texts):
        embedded = model.text.embed(torch.tensor([numbers]))
        rows.append(model.text(embedded, torch.tensor([len(numbers) - 1])))
    return torch.cat(rows)


def test_sentences_together_get_the_embeddings_they_get_alone_in_their_order(model: CLIP) -> None:
    texts = [*reversed(SENTENCES), "short", SENTENCES[0], "", "ünïcode 北京 " * 20]
    found = model.encode_text(texts)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, one_by_one(model, texts), rtol=1e-4, atol=1e-5)


def test_an_ensemble_larger_than_one_pass_is_the_same_as_its_parts(model: CLIP) -> None:
    texts = [
        f"{word} {n}" for n in range(60) for word in ("a scratch number", "the dent", "one long description of hole")
    ]
    torch.testing.assert_close(model.encode_text(texts)[::7], one_by_one(model, texts[::7]), rtol=1e-4, atol=1e-5)


def test_embeddings_are_not_normalised_and_no_sentences_give_no_rows(model: CLIP) -> None:
    assert model.encode_text([]).shape == (0, 32)
    assert not torch.allclose(model.encode_text(["a part"]).norm(), torch.ones(()))


def test_a_lone_string_is_refused(model: CLIP) -> None:
    with pytest.raises(BadInput, match="list"):
        model.encode_text("a part")


def test_a_sentence_longer_than_the_context_is_cut_and_keeps_its_end_token(model: CLIP) -> None:
    (numbers,) = model.tokenize(["word " * 100])
    assert len(numbers) == 77
    assert numbers[-1] == 513


def test_deep_context_replaces_tokens_behind_the_start_token(model: CLIP) -> None:
    (numbers,) = model.tokenize(["a damaged part"])
    embedded, ends = model.text.embed(torch.tensor([numbers])), torch.tensor([len(numbers) - 1])
    context = torch.full((2, 64), 0.3)
    written = embedded.clone()
    written[:, 1:3] = context - model.text.positions[1:3]  # so that positions added at the entrance give the context
    first = model.text(embedded, ends, deep={1: context})
    torch.testing.assert_close(first, model.text(written, ends), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(first, model.text(embedded, ends))
    later = model.text(embedded, ends, deep={1: context, 2: context})
    assert not torch.allclose(first, later)


def test_between_reaches_every_block_of_the_text_tower(model: CLIP) -> None:
    (numbers,) = model.tokenize(["a part"])
    embedded, ends = model.text.embed(torch.tensor([numbers])), torch.tensor([len(numbers) - 1])
    seen = []

    def watch(tokens: Tensor, depth: int) -> Tensor:
        seen.append(depth)
        return tokens

    same = model.text(embedded, ends, between=watch)
    assert torch.equal(same, model.text(embedded, ends))
    assert seen == [1, 2]


def test_gradients_reach_learned_words_through_the_frozen_tower(model: CLIP) -> None:
    learned = torch.zeros(1, 5, 64, requires_grad=True)
    model.text(learned, torch.tensor([4])).sum().backward()
    assert learned.grad is not None
    assert learned.grad[0, 0].abs().sum() > 0


def test_without_a_tokenizer_pictures_work_and_sentences_say_which_file_is_missing() -> None:
    base = tiny()
    bare = CLIP(base.visual, base.text)
    assert bare(pictures()).image.shape == (2, 32)
    with pytest.raises(BadWeights, match=r"tokenizer\.json"):
        bare.encode_text(["a part"])


def test_a_tokenizer_with_more_words_than_the_text_tower_is_refused() -> None:
    base = tiny()
    with pytest.raises(BadWeights, match="not of one model"):
        base.use(build_tokenizer([("a", "b"), ("b", "c</w>")]))


def test_a_residual_clip_has_no_transformer_seams() -> None:
    model = encoders.load(PARITY / "open_clip_rn", precision="float32")
    assert isinstance(model, CLIP)
    for wrong in ({"attention": "vv"}, {"between": lambda tokens, depth: tokens}, {"extra": {1: torch.zeros(1, 64)}}):
        with pytest.raises(BadInput, match="residual network"):
            model(pictures(64, 64), **wrong)
    with pytest.raises(BadInput, match="windows"):
        model.encode_windows(pictures(64, 64), [torch.tensor([[0, 1]])])


def test_the_test_encoder_is_always_the_same_and_leaves_the_random_state_alone() -> None:
    state = torch.get_rng_state()
    first, second = tiny(), tiny()
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first(pictures()).image, second(pictures()).image)
    assert not any(parameter.requires_grad for parameter in first.parameters())
    assert not first.training


def test_the_test_encoder_is_made_quickly() -> None:
    tiny()
    seconds = []
    for _ in range(3):
        start = time.process_time()
        tiny()
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.5  # 0.03 on an idle core


@pytest.mark.parametrize("layer", [1, 2, 3, 4])
def test_patches_of_the_test_encoder_tell_a_planted_defect_by_its_neighbours(layer: int) -> None:
    model, generator = tiny(), torch.Generator().manual_seed(1)
    part = 0.5 + 0.1 * torch.sin(torch.arange(64) / 4) + 0.02 * torch.randn(6, 3, 64, 64, generator=generator)
    bad = part[5:].clone()
    bad[..., 20:32, 30:42] = 0.95
    good, probe = (model(images, layers=[layer]).patches[0] for images in (part[:5], torch.cat([part[5:], bad])))
    rows = torch.nn.functional.normalize(good.flatten(0, 2), dim=-1)
    distance = 1 - (torch.nn.functional.normalize(probe, dim=-1) @ rows.T).amax(-1)
    clean, defect = distance.flatten(1).amax(1)
    assert defect > 1.5 * clean
    assert int(distance[1].flatten().argmax()) // 8 in (2, 3)


def test_bfloat16_weights_give_float32_features_near_those_of_float32() -> None:
    plain, coarse = (encoders.load("test-tiny", precision=p) for p in ("float32", "bfloat16"))
    assert isinstance(coarse, CLIP)
    rounded = {name.split(".")[-2] for name, p in coarse.named_parameters() if p.dtype == torch.bfloat16}
    assert rounded == {"qkv", "out", "fc1", "fc2"}
    assert coarse.visual.mean.dtype == torch.float32
    found, wanted = coarse(pictures(), layers=[4]), plain(pictures(), layers=[4])
    assert found.image.dtype == found.patches[0].dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(found.image, wanted.image).min() > 0.999
    assert coarse.encode_text(["a part"]).dtype == torch.float32
    assert coarse.encode_windows(pictures(), [torch.tensor([[0, 1]])])[0].dtype == torch.float32


def test_building_a_pair_from_parts_needs_no_file() -> None:
    pair = CLIP(VisionTransformer(VISION), TextTransformer(replace(TEXT, output=32)))
    assert (pair.image_size, pair.patch_size, pair.depth, pair.width) == (64, 8, 4, 32)
    assert pair.logit_scale == 100


def written_out(model: CLIP, rows: list[Tensor]) -> Tensor:
    """Each row of word vectors (T, C) between its marks, alone."""
    marks = model.text.embed(torch.tensor(model.tokenize([""])[0]))
    embedded = [torch.cat([marks[:1], row, marks[1:]])[None] for row in rows]
    return torch.cat([model.text(each, torch.tensor([each.shape[1] - 1])) for each in embedded])


def test_a_prompt_of_words_alone_is_the_sentence(model: CLIP) -> None:
    found = model.encode_prompts([["a damaged part"], ["a", "part"]])
    torch.testing.assert_close(found[:1], model.encode_text(["a damaged part"]), rtol=1e-4, atol=1e-5)
    assert model.encode_prompts([]).shape == (0, 32)


def test_learned_words_stand_before_behind_and_between_words_shared_or_not(model: CLIP) -> None:
    one, two = torch.randn(2, 3, 64, generator=torch.Generator().manual_seed(1)) * 0.1
    part = model.text.embed(torch.tensor(model.tokenize(["part"])[0][1:-1]))
    good = model.text.embed(torch.tensor(model.tokenize(["a good"])[0][1:-1]))
    prompts = [(one, "part"), (two, "part"), ("a good", one), ("a good", two, "part"), (one, "part", two), (one,)]
    rows = [[one, part], [two, part], [good, one], [good, two, part], [one, part, two], [one]]
    expected = written_out(model, [torch.cat(row) for row in rows])
    torch.testing.assert_close(model.encode_prompts(prompts), expected, rtol=1e-4, atol=1e-5)


def test_deep_tokens_are_shared_by_the_prompts_or_their_own(model: CLIP) -> None:
    context = torch.zeros(3, 64)
    deep = torch.randn(2, 2, 64, generator=torch.Generator().manual_seed(2))
    prompts = [(context, "part"), (context, "damaged part")]
    plain, shared, own = (model.encode_prompts(prompts, deep=each) for each in (None, {2: deep[0]}, {2: deep}))
    assert not torch.allclose(plain, shared, atol=1e-3)
    torch.testing.assert_close(own[0], shared[0])
    assert not torch.allclose(own[1], shared[1], atol=1e-3)


def test_tokens_ahead_stand_before_the_start_token_and_keep_deep_ones_behind_it(model: CLIP) -> None:
    marks = model.text.embed(torch.tensor(model.tokenize([""])[0]))
    ahead, deep = torch.randn(2, 3, 64, generator=torch.Generator().manual_seed(3)) * 0.1
    word = model.text.embed(torch.tensor(model.tokenize(["part"])[0][1:-1]))
    row = torch.cat([ahead, marks[:1], word, marks[1:]])[None]
    found = model.encode_prompts([("part",)], ahead=ahead)
    torch.testing.assert_close(found, model.text(row, torch.tensor([row.shape[1] - 1])), rtol=1e-4, atol=1e-5)
    found = model.encode_prompts([("part",)], ahead=ahead, deep={1: deep})
    row = torch.cat([ahead, marks[:1], deep - model.text.positions[4:7], word[3:], marks[1:]])[None]
    torch.testing.assert_close(found, model.text(row, torch.tensor([row.shape[1] - 1])), rtol=1e-4, atol=1e-5)
    with pytest.raises(BadInput, match="73 tokens, the text tower takes 72"):
        model.encode_prompts([(torch.zeros(73, 64),)], ahead=ahead)


def test_prompts_that_have_no_place_are_refused(model: CLIP) -> None:
    with pytest.raises(BadInput, match="76 tokens, the text tower takes 75"):
        model.encode_prompts([(torch.zeros(76, 64),)])
    with pytest.raises(BadInput, match=r"blocks \[3\]: this text tower has blocks 1 to 2"):
        model.encode_prompts([("part",)], deep={3: torch.zeros(1, 64)})
    with pytest.raises(BadInput, match="replace the first 5 of a prompt, and one has 4"):
        model.encode_prompts([(torch.zeros(4, 64),)], deep={1: torch.zeros(5, 64)})


def test_only_the_test_encoder_comes_with_a_warning() -> None:
    assert "random" in encoders.note(encoders.load("test-tiny"))
    assert encoders.note(encoders.load(PARITY / "timm_vit")) == ""
