"""What every encoder promises, checked on a small one of each kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from blemish import encoders
from blemish.encoders.cnn import ModifiedResNet, ResNet, ResNetConfig
from blemish.encoders.config import ViTConfig
from blemish.encoders.vit import VisionTransformer
from blemish.errors import BadInput
from blemish.types import Encoder, Features, TextEncoder, WindowEncoder

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
    is_residual = isinstance(encoder, ResNet | ModifiedResNet)
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
    widths: set[tuple[int, ...]] = set()
    for height, width in sizes(encoder):
        found = encoder(pictures(height, width), layers=layers)
        assert isinstance(found, Features)
        assert found.image.ndim == 2
        grids = [patches.shape[:3] for patches in found.patches]
        assert grids == [(2, height // stride, width // stride) for stride in strides(encoder)]
        widths.add((found.image.shape[1], *(patches.shape[3] for patches in found.patches)))
        for tensor in (found.image, *found.patches):
            assert tensor.dtype == torch.float32
            assert tensor.isfinite().all()
    assert len(widths) == 1


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


def test_test_tiny_reads_sentences_and_windows() -> None:
    encoder = encoders.load_with_text("test-tiny")
    assert isinstance(encoder, TextEncoder)
    assert isinstance(encoder, WindowEncoder)
    images = pictures(64, 64)
    texts = encoder.encode_text(["a cap", "a damaged cap", "a cap"])
    assert texts.shape == (3, encoder(images).image.shape[1])
    assert_close(texts[0], texts[2], rtol=0, atol=0)
    assert not torch.allclose(texts[0], texts[1], rtol=1e-3)
    whole, parts = encoder.encode_windows(images, [torch.arange(64)[None], torch.arange(60).view(15, 4)])
    assert whole.shape == (2, 1, 32)
    assert parts.shape == (2, 15, 32)
    # The window of all patches is the picture itself.
    assert_close(whole[:, 0], encoder(images).image, rtol=1e-4, atol=1e-5)
