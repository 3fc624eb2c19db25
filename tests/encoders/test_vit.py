from __future__ import annotations

import copy
from dataclasses import replace
from typing import cast

import pytest
import torch
from tests.support.checkpoints import pictures
from torch import Tensor, nn

from blemish.encoders.config import Pool, Resize, ViTConfig
from blemish.encoders.tiny import VISION, tiny
from blemish.encoders.transformer import Block
from blemish.encoders.vit import VisionTransformer
from blemish.errors import BadInput
from blemish.types import Attention, Encoder


def tower(config: ViTConfig = VISION, seed: int = 0) -> VisionTransformer:
    """Random everywhere, so that nothing agrees by being zero."""
    vit, generator = VisionTransformer(config), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in vit.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return vit.requires_grad_(False).eval()


def blocks_of(vit: VisionTransformer) -> list[Block]:
    return cast("list[Block]", list(vit.blocks))


@pytest.fixture(scope="module")
def vit() -> VisionTransformer:
    return tower()


def test_a_vision_transformer_is_itself_an_encoder(vit: VisionTransformer) -> None:
    assert isinstance(vit, Encoder)
    assert (vit.image_size, vit.patch_size, vit.depth, vit.width) == (64, 8, 4, 32)


def test_layers_come_in_the_order_asked_for_with_the_grid_in_their_shape(vit: VisionTransformer) -> None:
    both = vit(pictures(32, 48), layers=[3, 1])
    assert [patches.shape for patches in both.patches] == [(2, 4, 6, 64)] * 2
    assert torch.equal(both.patches[1], vit(pictures(32, 48), layers=[1]).patches[0])
    assert not torch.equal(*both.patches)


def test_a_layer_is_the_raw_output_of_its_block(vit: VisionTransformer) -> None:
    x = vit.embed(pictures())
    for block in blocks_of(vit)[:2]:
        x = block(x)
    found = vit(pictures(), layers=[2]).patches[0]
    torch.testing.assert_close(found.flatten(1, 2), x[:, 1:])


def test_projected_patches_live_in_the_space_of_the_image(vit: VisionTransformer) -> None:
    raw, projected = (vit(pictures(), layers=[4], projected=flag).patches[0] for flag in (False, True))
    torch.testing.assert_close(projected, vit.project(raw))
    assert projected.shape[-1] == vit.width


def test_the_image_embedding_may_leave_out_the_last_norm(vit: VisionTransformer) -> None:
    x = vit.embed(pictures())
    for block in blocks_of(vit):
        x = block(x)
    torch.testing.assert_close(vit(pictures()).image, vit.projection(vit.norm(x[:, 0])))
    torch.testing.assert_close(vit(pictures(), normed=False).image, vit.projection(x[:, 0]))


def naive_attention(block: Block, x: Tensor, roles: list[str]) -> Tensor:
    """Written out with a loop over heads."""
    q, k, v = block.qkv(block.norm1(x)).chunk(3, -1)
    named, size = {"q": q, "k": k, "v": v}, x.shape[-1] // block.heads
    total = torch.zeros_like(x)
    for role in roles:
        for head in range(block.heads):
            part = slice(head * size, (head + 1) * size)
            one = named[role][..., part]
            total[..., part] += (one @ one.mT / size**0.5).softmax(-1) @ v[..., part] / len(roles)
    return cast(Tensor, block.out(total))


@pytest.mark.parametrize(("mode", "roles"), [("vv", ["v"]), ("qq+kk+vv", ["q", "k", "v"])])
def test_self_attention_feeds_a_second_stream_and_leaves_the_image_alone(
    vit: VisionTransformer, mode: Attention, roles: list[str]
) -> None:
    x = vit.embed(pictures())
    for block in blocks_of(vit)[:2]:
        x = block(x)
    side = x
    for block in blocks_of(vit)[2:]:
        side, x = side + naive_attention(block, x, roles), block(x)
    found = vit(pictures(), layers=[2, 4], attention=mode, last=2)
    plain = vit(pictures(), layers=[2, 4])
    torch.testing.assert_close(found.patches[1].flatten(1, 2), side[:, 1:])
    assert torch.equal(found.patches[0], plain.patches[0])
    assert torch.equal(found.image, plain.image)


def test_an_echo_is_attention_of_unit_roles_that_long_tokens_sharpen(vit: VisionTransformer) -> None:
    x = vit.embed(pictures())
    for block in blocks_of(vit)[:3]:
        x = block(x)
    block = blocks_of(vit)[3]
    normed, size = block.norm1(x), x.shape[-1] // block.heads
    roles, mixed = block.qkv(normed).chunk(3, -1), torch.zeros_like(x)
    for number, length in enumerate(normed.norm(dim=-1).mean(-1)):
        for head in range(block.heads):
            part = slice(head * size, (head + 1) * size)
            for role in roles:
                one = role[number, :, part] / role[number, :, part].norm(dim=-1, keepdim=True)
                weights = (one @ one.mT * length / size**0.5).softmax(-1)
                mixed[number, :, part] += weights @ roles[2][number, :, part] / 3
    found = vit(pictures(), layers=[4], attention="echo", last=1)
    torch.testing.assert_close(found.patches[0].flatten(1, 2), (x + block.out(mixed))[:, 1:], rtol=1e-4, atol=1e-5)
    assert torch.equal(found.image, vit(pictures()).image)


def test_between_is_called_after_every_block_and_its_result_goes_on(vit: VisionTransformer) -> None:
    seen: list[int] = []
    step = torch.linspace(-1, 1, 64)

    def shift(tokens: Tensor, depth: int) -> Tensor:
        seen.append(depth)
        return tokens + step * (depth == 2)

    found = vit(pictures(), layers=[1, 2], between=shift)
    plain = vit(pictures(), layers=[1, 2])
    assert seen == [1, 2, 3, 4]
    assert torch.equal(found.patches[0], plain.patches[0])
    torch.testing.assert_close(found.patches[1], plain.patches[1] + step)
    assert not torch.allclose(found.image, plain.image)


def test_matrices_stand_in_for_those_of_the_attention_in_both_streams(vit: VisionTransformer) -> None:
    changed, before = copy.deepcopy(vit), copy.deepcopy(vit.state_dict())
    factors = {"qkv": 0.5, "out": -2.0}
    for block in blocks_of(changed)[1:]:
        block.qkv.weight.data *= factors["qkv"]
        block.out.weight.data *= factors["out"]

    def multiply(depth: int, name: str, weight: Tensor) -> Tensor:
        return weight * factors[name] if depth > 1 else weight

    for attention in ("qkv", "vv"):
        found = vit(pictures(), layers=[1, 4], attention=attention, last=2, matrices=multiply)
        expected = changed(pictures(), layers=[1, 4], attention=attention, last=2)
        torch.testing.assert_close(found.image, expected.image)
        torch.testing.assert_close(found.patches, expected.patches)
    assert all(torch.equal(tensor, before[name]) for name, tensor in vit.state_dict().items())


def test_extra_tokens_are_attended_to_replaced_and_cut_off(vit: VisionTransformer) -> None:
    first, second = torch.full((3, 64), 0.5), torch.full((2, 64), -0.5)
    x = vit.embed(pictures())
    lengths = []

    def watch(tokens: Tensor, depth: int) -> Tensor:
        lengths.append(tokens.shape[1])
        return tokens

    found = vit(pictures(), layers=[2], extra={1: first, 2: second}, between=watch)
    blocks = blocks_of(vit)
    x = blocks[0](torch.cat([x, first.expand(2, -1, -1)], 1))[:, :17]
    x = blocks[1](torch.cat([x, second.expand(2, -1, -1)], 1))[:, :17]
    torch.testing.assert_close(found.patches[0].flatten(1, 2), x[:, 1:])
    assert lengths == [20, 19, 19, 19]


def test_gradients_reach_what_is_learned_outside(vit: VisionTransformer) -> None:
    extra = torch.zeros(2, 64, requires_grad=True)
    adapter = nn.Linear(64, 64)
    found = vit(pictures(), layers=[4], extra={2: extra}, between=lambda tokens, depth: tokens + adapter(tokens))
    (found.image.sum() + found.patches[0].sum()).backward()
    assert extra.grad is not None
    assert extra.grad.abs().sum() > 0
    assert adapter.weight.grad is not None


def test_a_window_is_the_picture_with_only_those_patches(vit: VisionTransformer) -> None:
    windows = (torch.tensor([[0, 1, 4, 5], [2, 3, 6, 7]]), torch.tensor([[0, 5, 15]]))
    found = vit.encode_windows(pictures(), windows)
    tokens = vit.embed(pictures())
    for scale, rows in zip(found, windows, strict=True):
        for number, row in enumerate(rows):
            x = torch.cat([tokens[:, :1], tokens[:, 1 + row]], 1)
            for block in blocks_of(vit):
                x = block(x)
            torch.testing.assert_close(scale[:, number], vit.project(x[:, 0]), rtol=1e-4, atol=1e-5)


def test_windows_need_a_class_token() -> None:
    with pytest.raises(BadInput, match="class token"):
        tower(replace(VISION, prefix=0, pool="mean")).encode_windows(pictures(), [torch.tensor([[0, 1]])])


@pytest.mark.parametrize("pool", ["mean", "normed_mean"])
def test_without_a_class_token_the_image_is_the_mean_of_its_patches_not_of_its_registers(pool: Pool) -> None:
    config = replace(VISION, prefix=0, registers=3, pool=pool)
    vit = tower(config)
    found = vit(pictures(), layers=[4])
    patches = found.patches[0].flatten(1, 2)
    wanted = vit.project(patches.mean(1)) if pool == "mean" else vit.project(patches).mean(1)
    torch.testing.assert_close(found.image, wanted)


def test_positions_of_the_trained_size_are_used_as_they_are_and_others_resized(vit: VisionTransformer) -> None:
    assert vit.position_table(8, 8) is vit.positions
    table = vit.position_table(3, 5)
    assert table.shape == (16, 64)
    assert torch.equal(table[0], vit.positions[0])


def test_a_constant_position_table_stays_constant_at_any_size() -> None:
    ways: list[Resize] = ["bicubic", "bicubic-antialias", "bicubic-offset", "bilinear"]
    for resize in ways:
        vit = tower(replace(VISION, resize=resize))
        vit.positions[1:] = 0.25
        for height, width in ((3, 5), (8, 16), (20, 7)):
            table = vit.position_table(height, width)[1:]
            assert table.shape == (height * width, 64)
            torch.testing.assert_close(table, torch.full_like(table, 0.25))


def test_a_picture_is_seen_the_same_alone_and_in_a_batch(vit: VisionTransformer) -> None:
    together, alone = vit(pictures(), layers=[4]), vit(pictures()[1:], layers=[4])
    torch.testing.assert_close(together.image[1:], alone.image)
    torch.testing.assert_close(together.patches[0][1:], alone.patches[0])


@pytest.mark.parametrize("layers", [[0], [5], [1, -1]])
def test_a_layer_that_does_not_exist_is_refused(vit: VisionTransformer, layers: list[int]) -> None:
    with pytest.raises(BadInput, match="layers 1 to 4"):
        vit(pictures(), layers=layers)


@pytest.mark.parametrize(
    ("images", "word"),
    [
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "divide"),
        (torch.zeros(1, 3, 32, 30), "multiples of 8"),
        (torch.zeros(3, 32, 32), "multiples of 8"),
        (torch.zeros(1, 1, 32, 32), r"\(N, 3, H, W\)"),
    ],
)
def test_what_is_no_batch_of_pictures_is_refused_with_the_way_out(
    vit: VisionTransformer, images: Tensor, word: str
) -> None:
    with pytest.raises(BadInput, match=word):
        vit(images)


def test_an_unknown_attention_is_refused(vit: VisionTransformer) -> None:
    with pytest.raises(BadInput, match=r"qq\+kk\+vv"):
        vit(pictures(), attention="qk")


def test_the_test_encoder_passes_its_seams_through() -> None:
    model = tiny()
    assert isinstance(model.visual, VisionTransformer)
    direct = model.visual(pictures(), layers=[4], projected=True, attention="vv", last=2)
    passed = model(pictures(), layers=[4], projected=True, attention="vv", last=2)
    assert torch.equal(direct.patches[0], passed.patches[0])
    windows = [torch.tensor([[0, 1]])]
    assert torch.equal(
        model.visual.encode_windows(pictures(), windows)[0], model.encode_windows(pictures(), windows)[0]
    )
