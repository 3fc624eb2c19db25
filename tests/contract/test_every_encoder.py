"""What every encoder promises, checked on a small one of each kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any, cast, get_args

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from blemish import encoders
from blemish.encoders.checkpoints.names import examples, find_row
from blemish.encoders.clip import CLIP
from blemish.encoders.clip_cnn import ModifiedResNet
from blemish.encoders.cnn import ResNet, ResNetConfig
from blemish.encoders.config import TextConfig, ViTConfig
from blemish.encoders.embedded.network import Embedded, EmbeddedConfig
from blemish.encoders.embedded.words import WordsConfig
from blemish.encoders.text import TextTransformer
from blemish.encoders.tokenizer import build_tokenizer
from blemish.encoders.vit import VisionTransformer
from blemish.errors import BadInput
from blemish.types import (
    Capability,
    Encoder,
    Features,
    PromptEncoder,
    SeamEncoder,
    TextEncoder,
    WindowEncoder,
)

STAGES = {"depths": (1, 2, 1, 1), "hidden": (4, 6, 8, 10)}


def vit(config: ViTConfig) -> Callable[[], nn.Module]:
    return lambda: VisionTransformer(config)


MAKE: dict[str, Callable[[], nn.Module]] = {
    "test-tiny": lambda: cast(nn.Module, encoders.load("test-tiny")),
    "vit": vit(ViTConfig(32, 8, 24, 3, 4, 48, 10, norm_pre=True, resize="bicubic-antialias")),
    "vit-registers": vit(ViTConfig(28, 7, 24, 2, 3, 32, registers=2, activation="swiglu", resize="bicubic-offset")),
    "vit-mean": vit(ViTConfig(32, 8, 16, 2, 2, 32, prefix=0, pool="mean", prefix_positions=False, norm_last=False)),
    "vit-normed-mean": vit(ViTConfig(32, 16, 16, 4, 2, 32, 6, pool="normed_mean", activation="quick_gelu")),
    "resnet-basic": lambda: ResNet(ResNetConfig(64, (4,), STAGES["depths"], STAGES["hidden"], (4, 6, 8, 10), True)),
    "resnet": lambda: ResNet(ResNetConfig(64, (4,), STAGES["depths"], STAGES["hidden"], (16, 24, 32, 40))),
    "embedded": lambda: Embedded(
        ("cap", "damaged"), EmbeddedConfig(64, 4, (4, 6, 8, 10), (1, 1, 1, 1), 6, 12, WordsConfig(16, 2, 2, 64, 12))
    ),
    "clip-resnet-pair": lambda: CLIP(
        ModifiedResNet(
            ResNetConfig(64, (2, 2, 4), STAGES["depths"], STAGES["hidden"], (16, 24, 32, 40), output=12, heads=4)
        ),
        TextTransformer(TextConfig(514, 20, 16, 2, 2, 32, 12)),
        build_tokenizer([]),
    ),
    "clip-resnet": lambda: ModifiedResNet(
        ResNetConfig(64, (2, 2, 4), STAGES["depths"], STAGES["hidden"], (16, 24, 32, 40), output=12, heads=4)
    ),
}
every = pytest.mark.parametrize("name", MAKE)


@cache
def made(name: str) -> Encoder:
    """Seeded weights, positions and norms included."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        module = MAKE[name]().eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(6)
    if name != "test-tiny":
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return cast(Encoder, module)


def pictures(height: int, width: int, count: int = 2) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def sizes(encoder: Encoder) -> list[tuple[int, int]]:
    """Its own size, a larger one, a narrow one and a wide one, in whole patches."""
    side, patch = encoder.image_size, encoder.patch_size
    return [(side, side), (side + patch, side + patch), (2 * side, patch), (patch, side + 2 * patch)]


def strides(encoder: Encoder) -> list[int]:
    """Pixels a patch at each layer."""
    if isinstance(encoder, Embedded):
        return [4, 8, 16, 32, 8]
    is_residual = isinstance(encoder.visual if isinstance(encoder, CLIP) else encoder, ResNet | ModifiedResNet)
    return [4, 8, 16, 32] if is_residual else [encoder.patch_size] * encoder.depth


@every
def test_it_is_an_encoder_by_the_protocol(name: str) -> None:
    encoder = made(name)
    assert isinstance(encoder, Encoder)
    assert encoder.depth >= 1
    assert encoder.image_size % encoder.patch_size == 0
    assert not any(parameter.requires_grad for parameter in cast(nn.Module, encoder).parameters())


@every
def test_features_of_any_size_and_aspect_have_the_grid_in_their_shape(name: str) -> None:
    encoder = made(name)
    layers = range(1, encoder.depth + 1)
    for height, width in sizes(encoder):
        found = encoder(pictures(height, width), layers=layers)
        assert isinstance(found, Features)
        assert found.image.ndim == 2
        grids = [patches.shape[:3] for patches in found.patches]
        assert grids == [(2, height // stride, width // stride) for stride in strides(encoder)]
        assert found.image.shape[1] == encoder.width
        assert tuple(patches.shape[3] for patches in found.patches) == encoder.widths
        for tensor in (found.image, *found.patches):
            assert tensor.dtype == torch.float32
            assert tensor.isfinite().all()


@every
def test_layers_come_in_the_order_asked_for_and_none_by_default(name: str) -> None:
    encoder = made(name)
    images = pictures(encoder.image_size, encoder.image_size)
    plain = encoder(images)
    assert plain.patches == ()
    every_layer = encoder(images, layers=range(1, encoder.depth + 1))
    last_first = encoder(images, layers=[encoder.depth, 1])
    assert torch.equal(last_first.patches[0], every_layer.patches[-1])
    assert torch.equal(last_first.patches[1], every_layer.patches[0])
    assert torch.equal(plain.image, every_layer.image)


@every
def test_a_picture_is_seen_the_same_alone_and_in_a_batch(name: str) -> None:
    encoder = made(name)
    images = pictures(encoder.image_size, encoder.image_size, 3)
    together = encoder(images, layers=[1, encoder.depth])
    for number in range(3):
        alone = encoder(images[number : number + 1], layers=[1, encoder.depth])
        assert_close(alone.image[0], together.image[number], rtol=1e-4, atol=1e-5)
        for one, all_of_them in zip(alone.patches, together.patches, strict=True):
            assert_close(one[0], all_of_them[number], rtol=1e-4, atol=1e-5)


@every
def test_different_pictures_look_different_and_a_change_shows_at_its_place(name: str) -> None:
    encoder = made(name)
    side = encoder.image_size
    images = pictures(side, side, 1)
    changed = images.clone()
    changed[:, :, : side // 4, : side // 4] = 0
    before, after = (encoder(each, layers=[1]) for each in (images, changed))
    assert not torch.allclose(before.image, after.image, rtol=1e-3)
    moved = (before.patches[0] - after.patches[0]).square().sum(-1)[0]
    half = len(moved) // 2
    assert moved[:half, :half].amax() == moved.amax()
    assert moved[:half, :half].sum() > 2 * moved[half:, half:].sum()


@every
def test_pictures_and_the_global_random_state_are_left_alone(name: str) -> None:
    encoder = made(name)
    images = pictures(encoder.image_size, encoder.image_size)
    kept, state = images.clone(), torch.get_rng_state()
    encoder(images, layers=[1])
    assert torch.equal(images, kept)
    assert torch.equal(torch.get_rng_state(), state)


@every
@pytest.mark.parametrize("shape", [(2, 1, 64, 64), (2, 4, 64, 64), (3, 64, 64), (1, 2, 3, 64, 64)])
def test_what_is_no_batch_of_coloured_pictures_is_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match="expected images"):
        made(name)(torch.zeros(shape))


@every
def test_bytes_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="divide"):
        made(name)(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))


@every
@pytest.mark.parametrize("layer", [0, -1, 99])
def test_layers_it_does_not_have_are_refused(name: str, layer: int) -> None:
    encoder = made(name)
    with pytest.raises(BadInput, match=f"layers 1 to {encoder.depth}"):
        encoder(pictures(encoder.image_size, encoder.image_size), layers=[layer])


@pytest.mark.parametrize("name", [name for name in MAKE if not name.startswith("resnet")])
def test_sides_that_are_no_whole_patches_are_refused(name: str) -> None:
    encoder = made(name)
    with pytest.raises(BadInput, match=f"multiples of {encoder.patch_size}"):
        encoder(pictures(encoder.image_size, encoder.image_size + 1))


@every
@pytest.mark.parametrize("capability", get_args(Capability))
def test_it_does_what_it_declares_and_is_refused_for_what_it_does_not(name: str, capability: Capability) -> None:
    encoder = made(name)
    if capability in encoder.can:
        assert encoders.load(encoder, needs={capability}) is encoder
        DOES[capability](cast(Any, encoder))
    else:
        others = ", ".join(examples({capability}))
        with pytest.raises(BadInput, match=f"choose one that can, such as {others}$") as caught:
            encoders.load(encoder, needs={capability})
        assert "\n" not in str(caught.value)
        if hasattr(encoder, "encode_windows") and capability == "windows":
            with pytest.raises(BadInput, match="windows"):
                encoder.encode_windows(pictures(64, 64), [torch.tensor([[0, 1]])])


def reads(encoder: TextEncoder) -> None:
    texts = encoder.encode_text(["a cap", "a damaged cap", "a cap"])
    assert texts.shape == (3, encoder.width)
    assert torch.equal(texts[0], texts[2])
    assert not torch.allclose(texts[0], texts[1], rtol=1e-3)
    (last,) = encoder(pictures(64, 64), layers=[encoder.depth]).patches
    assert encoder.project(last).shape == (*last.shape[:3], encoder.width)


def reads_learned_words(encoder: PromptEncoder) -> None:
    context, deep = (torch.full((count, encoder.prompt_width), 0.1, requires_grad=True) for count in (3, 2))
    texts = encoder.encode_prompts([(context, "cap"), (context, "damaged cap")], deep={encoder.prompt_depth: deep})
    assert texts.shape == (2, encoder.width)
    assert not torch.allclose(texts[0], texts[1], rtol=1e-3)
    gradients = torch.autograd.grad(texts[1, 0] - texts[0, 0], [context, deep])
    assert all(gradient.abs().sum() > 0 for gradient in gradients)
    changes_what_happens_in_the_text_tower(encoder)


def changes_what_happens_in_the_text_tower(encoder: PromptEncoder) -> None:
    plain, ahead, reached = encoder.encode_prompts([("a cap",)]), torch.full((2, encoder.prompt_width), 0.1), []

    def watch(tokens: Tensor, depth: int) -> Tensor:
        reached.append(depth)
        return tokens

    assert torch.equal(encoder.encode_prompts([("a cap",)], between=watch), plain)
    assert reached == list(range(1, encoder.prompt_depth + 1))
    assert not torch.allclose(encoder.encode_prompts([("a cap",)], between=lambda x, _: 2 * x + 1), plain, rtol=1e-3)
    assert encoder.encode_prompts([("a cap",), ("cap",)], head=lambda x: x[..., :3]).shape == (2, 3)
    moved = encoder.encode_prompts([("a cap",)], ahead=ahead)
    assert not torch.allclose(moved, plain, rtol=1e-3)
    deep = {encoder.prompt_depth: torch.zeros(1, encoder.prompt_width)}
    assert not torch.allclose(encoder.encode_prompts([("a cap",)], ahead=ahead, deep=deep), moved, rtol=1e-3)


def looks_at_windows(encoder: WindowEncoder) -> None:
    side = encoder.image_size
    images = pictures(2 * side, 2 * side)
    whole, parts = encoder.encode_windows(images, [torch.arange(4)[None], torch.arange(4).view(2, 2)])
    assert whole.shape == (2, 1, encoder.width)
    assert parts.shape == (2, 2, encoder.width)
    assert not torch.allclose(parts[:, 0], parts[:, 1])


def has_seams(encoder: SeamEncoder) -> None:
    images = pictures(encoder.image_size, encoder.image_size)
    reached: list[int] = []

    def watch(tokens: Tensor, depth: int) -> Tensor:
        reached.append(depth)
        return tokens

    plain = encoder(images, layers=[encoder.depth])
    assert torch.equal(encoder(images, between=watch).image, plain.image)
    assert reached == list(range(1, encoder.depth + 1))
    found = encoder(images, layers=[encoder.depth], attention="vv", last=1)
    assert torch.equal(found.image, plain.image)
    assert not torch.allclose(found.patches[0], plain.patches[0])
    learned = torch.ones(2, encoder.widths[0])
    assert not torch.allclose(encoder(images, extra={1: learned}).image, plain.image)
    assert encoder.norm(plain.patches[0]).shape == plain.patches[0].shape
    shapes: dict[tuple[int, str], tuple[int, ...]] = {}

    def halve(depth: int, name: str, weight: Tensor) -> Tensor:
        shapes[depth, name] = tuple(weight.shape)
        return weight / 2

    assert not torch.allclose(encoder(images, matrices=halve).image, plain.image)
    width = encoder.widths[0]
    sizes = {"qkv": (3 * width, width), "out": (width, width)}
    assert shapes == {(depth, name): sizes[name] for depth in reached for name in sizes}
    assert torch.equal(encoder(images, layers=[encoder.depth]).patches[0], plain.patches[0])


DOES: dict[Capability, Callable[[Any], None]] = {
    "text": reads,
    "prompts": reads_learned_words,
    "windows": looks_at_windows,
    "seams": has_seams,
}


@every
def test_what_it_does_not_have_between_its_layers_it_refuses_in_words(name: str) -> None:
    encoder, images = cast(SeamEncoder, made(name)), pictures(64, 64)
    if "seams" not in encoder.can:
        asked: list[dict[str, Any]] = [{"attention": "vv"}, {"last": 1}, {"extra": {1: images}}, {"normed": False}]
        functions = {"between": lambda tokens, depth: tokens}, {"matrices": lambda depth, name, weight: weight}
        for seams in [*asked, *functions]:
            with pytest.raises(BadInput, match="no attention, last, between, extra, normed or matrices: choose"):
                encoder(images, **seams)


@pytest.mark.parametrize("name", ["resnet", "resnet-basic"])
def test_patches_of_an_encoder_without_words_cannot_be_projected(name: str) -> None:
    with pytest.raises(BadInput, match="no space of sentences"):
        cast(SeamEncoder, made(name))(pictures(64, 64), layers=[4], projected=True)


def test_the_window_of_all_patches_is_the_picture() -> None:
    encoder, images = cast(WindowEncoder, made("test-tiny")), pictures(64, 64)
    (whole,) = encoder.encode_windows(images, [torch.arange(64)[None]])
    assert_close(whole[:, 0], encoder(images).image, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("missing", ["sha256", "can", "widths"])
def test_an_object_that_is_no_encoder_is_told_what_it_lacks(missing: str) -> None:
    attributes = ("name", "sha256", "can", "image_size", "patch_size", "depth", "width", "widths")
    found = SimpleNamespace(**{each: getattr(made("vit"), each) for each in attributes if each != missing})
    with pytest.raises(BadInput, match=f"SimpleNamespace is no encoder, it has no {missing} and __call__"):
        encoders.load(cast(Encoder, found))


def test_an_encoder_that_promises_too_much_is_told_what_it_lacks() -> None:
    found = VisionTransformer(ViTConfig(32, 8, 16, 1, 2, 32))
    found.can = frozenset({"text"})
    with pytest.raises(BadInput, match="says it can do text, and has no encode_text"):
        encoders.load(found, needs={"text"})


KINDS = {
    "embedded": "embedded", "test-tiny": "test-tiny", "ViT-B-16": "test-tiny", "RN50": "clip-resnet-pair",
    "dinov2-small": "vit-registers", "dino-vits8": "vit", "vit_tiny_patch16_224": "vit", "resnet18": "resnet-basic",
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_the_table_of_names_says_what_each_kind_can_do(name: str) -> None:
    assert find_row(name).can == made(KINDS[name]).can
