from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.support.checkpoints import pictures
from tests.support.learning import learn
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from blemish import catalog, encoders
from blemish.encoders.embedded.description import ABOUT
from blemish.encoders.embedded.network import Embedded, EmbeddedConfig
from blemish.encoders.embedded.words import Words, WordsConfig, piece_numbers, split
from blemish.errors import BadInput, BadWeights
from blemish.pretrain.loop import initialise, write

KNOWN = ("bottle", "cable", "clean", "crack", "dent", "metal", "photo", "scratch", "screw", "with")
READS = WordsConfig(width=16, depth=2, heads=2, buckets=256, output=12)
SEES = EmbeddedConfig(
    image_size=64, stem=4, widths=(4, 6, 8, 10), depths=(1, 1, 1, 1), neck=6, output=12, words=READS
)  # fmt: skip
CHANNELS = (*SEES.widths, SEES.neck)
STRIDES = (4, 8, 16, 32, 8)
ALL = range(1, 6)
SENTENCES = ["a scratch", "metal bottle with a dent", "", "a photo of the unheard-of thing", "clean cable"]


@cache
def model() -> Embedded:
    """Shared between tests, none of which may change it."""
    with torch.device("meta"):
        empty = Embedded(KNOWN, SEES)
    return initialise(empty, 3).eval().requires_grad_(False)


def averaging(vocabulary: tuple[str, ...] = KNOWN, *, width: int = 48) -> Words:
    """A tower that only averages its words' vectors and norms them, so that a test may say what the words mean."""
    words = Words(vocabulary, WordsConfig(width, depth=0, buckets=4096, output=width))
    with torch.no_grad():
        words.projection.weight.copy_(torch.eye(width))
        words.known.weight.zero_()
        words.pieces.weight.zero_()
    return words.requires_grad_(False)


def drawn(like: Tensor, *, scale: float = 1.0, seed: int = 0) -> Tensor:
    return scale * torch.randn(like.shape, generator=torch.Generator().manual_seed(seed))


def cosine(words: Words, one: str, other: str) -> float:
    return float(F.cosine_similarity(words([one]), words([other])))


def test_a_text_is_split_into_words_in_lower_case() -> None:
    assert split("A close-up photo: Bottle_cap, 3rd!") == ["a", "close", "up", "photo", "bottle", "cap", "3rd"]
    assert split(" ...") == []


def test_a_words_pieces_have_numbers_within_the_buckets_and_are_always_the_same() -> None:
    found = piece_numbers("scratch", 50)
    assert set(found) <= set(range(50))
    assert len(found) == 7 + 6 + 5  # pieces of 3, 4 and 5 letters of <scratch>
    assert piece_numbers("scratch", 50) == found
    assert piece_numbers("a", 50)


def test_sentences_keep_their_order() -> None:
    words = model().words
    there, back = words(SENTENCES), words(SENTENCES[::-1])
    assert there.shape == (len(SENTENCES), READS.output)
    assert_close(there, back.flip(0), rtol=0, atol=1e-6)
    assert float(torch.pdist(there).min()) > 1e-2


@pytest.mark.parametrize("text", SENTENCES)
def test_a_sentence_means_the_same_alone_and_among_others(text: str) -> None:
    words = model().words
    assert_close(words([text])[0], words(SENTENCES)[SENTENCES.index(text)], rtol=0, atol=1e-6)


def test_no_sentences_have_no_embeddings() -> None:
    assert model().words([]).shape == (0, READS.output)
    assert model().encode_text([]).dtype == torch.float32


@pytest.mark.parametrize("text", ["", "  ", "?!"])
def test_a_sentence_without_words_has_a_finite_embedding(text: str) -> None:
    assert model().words([text]).isfinite().all()


def test_a_single_string_is_no_list_of_texts() -> None:
    with pytest.raises(BadInput, match="wrap it in a list"):
        model().words("scratch")


def test_upper_case_punctuation_and_the_order_of_words_do_not_matter() -> None:
    found = model().words(["metal bottle with a dent", "Metal BOTTLE, with a dent.", "dent a with bottle metal"])
    assert_close(found[1:], found[:1].expand(2, -1), rtol=0, atol=1e-6)


def test_an_inflected_word_lands_nearer_to_its_stem_than_to_another_word() -> None:
    words = averaging()
    words.pieces.weight.copy_(drawn(words.pieces.weight))
    for stem, kin in (("scratch", "scratched"), ("bottle", "bottles"), ("crack", "cracking")):
        for other in {"scratch", "bottle", "crack", "metal"} - {stem}:
            assert cosine(words, kin, stem) > cosine(words, kin, other) + 0.3


def test_pieces_that_were_learned_with_a_word_carry_its_meaning_to_its_kin() -> None:
    words = averaging()
    words.known.weight.copy_(drawn(words.known.weight))
    words.known.weight[0] = 0
    words.pieces.weight[list(piece_numbers("scratch", 4096))] = words.known.weight[words.numbers["scratch"]]
    assert cosine(words, "scratchy", "scratch") > 0.99
    assert abs(cosine(words, "scratchy", "bottle")) < 0.5


def test_a_strange_word_says_less_than_a_known_one_while_pieces_are_small() -> None:
    words = averaging()
    words.known.weight.copy_(drawn(words.known.weight, scale=0.3, seed=1))
    words.known.weight[0] = 0
    words.pieces.weight.copy_(drawn(words.pieces.weight, scale=0.02, seed=2))
    for known in ("dent", "crack", "screw", "cable"):
        plain, strange, other = words(["metal bottle", "metal bottle zyxwv", f"metal bottle {known}"])
        assert (strange - plain).norm() < (other - plain).norm() / 3


def test_hidden_words_are_read_by_their_pieces_alone() -> None:
    words = model().words
    twin = initialise(Embedded(KNOWN, SEES), 3).words.eval().requires_grad_(False)
    twin.known.weight[words.numbers["scratch"]] = 0
    found = words(["metal with scratch", "clean bottle"], hidden={"scratch", "unheard"})
    assert_close(found, twin(["metal with scratch", "clean bottle"]), rtol=0, atol=1e-6)
    plain = words(["metal with scratch", "clean bottle"])
    assert not torch.allclose(found[0], plain[0], atol=1e-3)
    assert_close(found[1], plain[1], rtol=0, atol=1e-6)


def test_the_row_of_no_word_is_never_learn() -> None:
    words = Words(KNOWN, READS)
    words(["unheard of", "scratch"]).sum().backward()
    gradient = words.known.weight.grad
    assert gradient is not None
    assert not gradient[0].any()
    assert gradient[words.numbers["scratch"]].any()


def test_the_pair_is_a_window_encoder_of_five_layers() -> None:
    pair = model()
    assert (pair.depth, pair.patch_size, pair.image_size) == (5, 32, 64)
    assert encoders.load(pair, needs={"text", "windows", "prompts"}) is pair


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 96)])
def test_each_layer_has_its_stride_and_width(height: int, width: int) -> None:
    found = model()(pictures(height, width), layers=ALL)
    assert found.image.shape == (2, SEES.output)
    shapes = [(2, height // s, width // s, c) for s, c in zip(STRIDES, CHANNELS, strict=True)]
    assert [tuple(patches.shape) for patches in found.patches] == shapes
    assert {tensor.dtype for tensor in (found.image, *found.patches)} == {torch.float32}


def test_layers_come_in_the_order_asked_for() -> None:
    images = pictures(64, 64)
    every, some = model()(images, layers=ALL), model()(images, layers=[5, 2])
    assert torch.equal(some.patches[0], every.patches[4])
    assert torch.equal(some.patches[1], every.patches[1])
    assert model()(images).patches == ()


@pytest.mark.parametrize("layer", [-1, 0, 6, 99])
def test_a_layer_that_it_does_not_have_is_refused(layer: int) -> None:
    with pytest.raises(BadInput, match="layers 1 to 5"):
        model()(pictures(64, 64), layers=[layer])


def test_layer_5_can_be_projected_into_the_space_of_words() -> None:
    images = pictures(64, 96)
    raw, dense = (model()(images, layers=[5], projected=flag).patches[0] for flag in (False, True))
    assert dense.shape == (2, 8, 12, SEES.output)
    assert_close(model().project(raw), dense, rtol=1e-4, atol=1e-5)
    assert model()(images, projected=True).patches == ()


@pytest.mark.parametrize("layers", [[1], [4], [5, 3]])
def test_no_other_layer_can_be_projected(layers: list[int]) -> None:
    with pytest.raises(BadInput, match="layer 5"):
        model()(pictures(64, 64), layers=layers, projected=True)


@pytest.mark.parametrize(
    ("images", "word"),
    [
        (torch.zeros(1, 3, 48, 64), "multiples of 32"),
        (torch.zeros(1, 1, 64, 64), "expected images"),
        (torch.zeros(3, 64, 64), "expected images"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), "divide"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(images: Tensor, word: str) -> None:
    with pytest.raises(BadInput, match=word):
        model()(images)


def test_a_picture_is_seen_the_same_alone_and_in_a_batch() -> None:
    images = pictures(64, 64, count=3)
    together = model()(images, layers=ALL)
    for number in range(3):
        alone = model()(images[number : number + 1], layers=ALL)
        assert_close(alone.image[0], together.image[number], rtol=1e-4, atol=1e-5)
        for one, several in zip(alone.patches, together.patches, strict=True):
            assert_close(one[0], several[number], rtol=1e-4, atol=1e-5)


def test_a_window_is_the_mean_of_its_projected_patches() -> None:
    images = pictures(64, 96)
    patches = model()(images, layers=[5], projected=True).patches[0].flatten(1, 2)
    windows = [torch.arange(96).view(24, 4), torch.tensor([[0, 50, 95]])]
    small, large = model().encode_windows(images, windows)
    assert small.shape == (2, 24, SEES.output)
    assert_close(small, patches.unflatten(1, (24, 4)).mean(2), rtol=1e-4, atol=1e-5)
    assert_close(large[:, 0], patches[:, [0, 50, 95]].mean(1), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "deep" / "model.safetensors"
    write(model(), path)
    return path


@pytest.mark.parametrize("as_text", [True, False])
def test_what_was_written_is_read_again(checkpoint: Path, as_text: bool) -> None:
    found = encoders.load(str(checkpoint) if as_text else checkpoint, precision="float32")
    assert isinstance(found, Embedded)
    assert (found.name, found.config, found.words.vocabulary) == (str(checkpoint), SEES, KNOWN)
    assert len(found.sha256) == 64
    assert not found.training
    assert {parameter.dtype for parameter in found.parameters()} == {torch.float32}
    images = pictures(64, 64)
    seen, expected = found(images, layers=ALL), model()(images, layers=ALL)
    for one, other in zip((seen.image, *seen.patches), (expected.image, *expected.patches), strict=True):
        assert float((one - other).norm() / other.norm()) < 5e-3
    assert_close(found.encode_text(SENTENCES), model().encode_text(SENTENCES), rtol=0, atol=2e-2)


def test_a_checkpoint_holds_half_precision_and_leaves_nothing_beside_it(checkpoint: Path) -> None:
    tensors: dict[str, Tensor] = load_file(checkpoint)
    assert {tensor.dtype for name, tensor in tensors.items() if name != ABOUT} == {torch.float16}
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_written_again_it_is_the_same_file(checkpoint: Path, tmp_path: Path) -> None:
    found = encoders.load(checkpoint, precision="float32")
    assert isinstance(found, Embedded)
    write(found, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == checkpoint.read_bytes()


def changed(about: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    return lambda stated: json.dumps(about(json.loads(stated))).encode()


@pytest.mark.parametrize(
    "damage",
    [
        lambda stated: stated[:-20],
        lambda stated: b"",
        lambda stated: b"\xff\xfe" + stated,
        changed(lambda about: [about]),
        changed(lambda about: {"config": about["config"]}),
        changed(lambda about: about | {"config": "small"}),
        changed(lambda about: about | {"config": about["config"] | {"novelty": 1}}),
        changed(lambda about: about | {"config": about["config"] | {"widths": []}}),
        changed(lambda about: about | {"config": about["config"] | {"neck": -6}}),
        changed(lambda about: about | {"config": about["config"] | {"neck": 6.0}}),
        changed(lambda about: about | {"config": about["config"] | {"depths": [1, 1, 1]}}),
        changed(lambda about: about | {"config": about["config"] | {"words": about["config"]["words"] | {"heads": 3}}}),
        changed(lambda about: about | {"vocabulary": 7}),
        changed(lambda about: about | {"vocabulary": "letters"}),
        changed(lambda about: about | {"vocabulary": [1, 2]}),
    ],
    ids=[
        *("cut", "empty", "no-text", "list", "no-words", "no-config", "novelty", "no-widths", "negative", "fraction"),
        *("three-stages", "split-heads", "a-number", "a-string", "numbers"),
    ],
)
def test_a_description_that_is_damaged_is_refused(
    checkpoint: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    tensors: dict[str, Tensor] = load_file(checkpoint)
    stated = damage(bytes(tensors[ABOUT].tolist()))
    path = tmp_path / "x.safetensors"
    save_file(tensors | {ABOUT: torch.tensor(list(stated), dtype=torch.uint8)}, path)
    with pytest.raises(BadWeights, match=r"x\.safetensors does not say its shape"):
        encoders.load(path)


@pytest.mark.parametrize(
    ("about", "word"),
    [
        (changed(lambda about: about | {"vocabulary": KNOWN[:3]}), "does not fit"),
        (changed(lambda about: about | {"config": about["config"] | {"depths": [1, 1, 1, 2]}}), "incomplete"),
    ],
)
def test_a_description_of_another_network_is_refused(
    checkpoint: Path, tmp_path: Path, about: Callable[[bytes], bytes], word: str
) -> None:
    tensors: dict[str, Tensor] = load_file(checkpoint)
    stated = about(bytes(tensors[ABOUT].tolist()))
    path = tmp_path / "x.safetensors"
    save_file(tensors | {ABOUT: torch.tensor(list(stated), dtype=torch.uint8)}, path)
    with pytest.raises(BadWeights, match=word):
        encoders.load(path)


@pytest.mark.parametrize("name", sorted(name for name, card in catalog.METHODS.items() if not card.trained))
def test_every_method_takes_it_with_its_defaults(name: str) -> None:
    card = catalog.card(name)
    few: dict[str, Any] = {"channels": 10} if name == "padim" else {"width": 16} if name == "patchcore" else {}
    detector = catalog.method(name)(model(), **few)
    if card.normal != "none":
        learn(detector, [pictures(64, 64)])
    found = detector(pictures(64, 64))
    assert found.anomaly_map.shape == (2, 64, 64)
    assert found.image_score.isfinite().all()
