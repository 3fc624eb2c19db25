from __future__ import annotations

from typing import cast

import pytest
import torch
from tests.support.checkpoints import PARITY, drawn, parity_state, pictures
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.encoders.checkpoints import loading
from blemish.encoders.checkpoints.hints import Hints
from blemish.encoders.checkpoints.residual import resnet
from blemish.encoders.clip import CLIP
from blemish.encoders.clip_cnn import ModifiedResNet
from blemish.encoders.cnn import Residual, ResNet
from blemish.errors import BadInput
from blemish.types import Encoder


@pytest.fixture(scope="module")
def modified() -> ModifiedResNet:
    model = encoders.load(PARITY / "open_clip_rn", precision="float32")
    assert isinstance(model, CLIP)
    assert isinstance(model.visual, ModifiedResNet)
    return model.visual


@pytest.fixture(scope="module")
def plain() -> ResNet:
    model = encoders.load(PARITY / "timm_resnet_wide", precision="float32")
    assert isinstance(model, ResNet)
    return model


def test_residual_networks_are_encoders_of_four_layers(modified: ModifiedResNet, plain: ResNet) -> None:
    for network in (modified, plain):
        assert isinstance(network, Encoder)
        assert (network.depth, network.patch_size) == (4, 32)


def test_layers_are_stages_with_the_grid_in_their_shape_in_the_order_asked_for(plain: ResNet) -> None:
    found = plain(pictures(64, 96), layers=[3, 2])
    assert [tuple(patches.shape[1:3]) for patches in found.patches] == [(4, 6), (8, 12)]
    assert torch.equal(found.patches[1], plain(pictures(64, 96), layers=[2]).patches[0])


def test_a_plain_network_takes_any_size_and_the_image_is_the_mean_of_its_last_stage(plain: ResNet) -> None:
    found = plain(pictures(50, 70), layers=[4])
    torch.testing.assert_close(found.image, found.patches[0].mean((1, 2)))


def test_a_folded_batch_norm_computes_what_it_did_on_its_own() -> None:
    state = parity_state("timm_resnet_wide", "model.safetensors")
    config, ours = resnet(state, Hints(), "x")
    x = drawn(2, 3, 32, 32)
    names = ("running_mean", "running_var", "weight", "bias")
    mean, variance, scale, shift = (state[f"bn1.{name}"] for name in names)
    wanted = F.batch_norm(F.conv2d(x, state["conv1.weight"], None, 2, 3), mean, variance, scale, shift)
    torch.testing.assert_close(F.conv2d(x, ours["stem.weight"], ours["stem.bias"], 2, 3), wanted, rtol=1e-4, atol=1e-5)
    assert config.depths == (1, 1, 1, 1)


def test_a_smooth_block_halves_by_averaging_and_a_plain_one_by_striding() -> None:
    smooth, plain = (Residual(8, 4, 16, stride=2, smooth=flag) for flag in (True, False))
    strides: list[list[tuple[int, ...]]] = [
        [module.stride for module in block.modules() if isinstance(module, torch.nn.Conv2d)]
        for block in (smooth, plain)
    ]
    assert strides == [[(1, 1)] * 4, [(1, 1), (2, 2), (1, 1), (2, 2)]]
    assert smooth(drawn(1, 8, 6, 6)).shape == plain(drawn(1, 8, 6, 6)).shape == (1, 16, 3, 3)


def test_the_attention_pool_is_a_softmax_mean_of_values_asked_by_their_mean(modified: ModifiedResNet) -> None:
    pool = modified.attention
    x = drawn(1, modified.config.widths[-1], 2, 2)
    tokens = x.flatten(2).mT
    tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], 1)[0] + pool.positions
    q, k, v = pool.q(tokens[:1]), pool.k(tokens), pool.v(tokens)
    size, mixed = q.shape[-1] // pool.heads, []
    for head in range(pool.heads):
        part = slice(head * size, (head + 1) * size)
        mixed.append((q[:, part] @ k[:, part].mT / size**0.5).softmax(-1) @ v[:, part])
    torch.testing.assert_close(pool(x), pool.out(torch.cat(mixed, -1)), rtol=1e-4, atol=1e-5)


def test_projected_patches_pass_the_value_and_output_projections_at_each_place(modified: ModifiedResNet) -> None:
    raw, dense = (modified(pictures(64, 96), layers=[4], projected=flag).patches[0] for flag in (False, True))
    wanted: Tensor = modified.attention.out(modified.attention.v(raw))
    torch.testing.assert_close(dense, wanted)
    assert dense.shape == (2, 2, 3, modified.width)


def test_only_the_last_stage_can_be_projected(modified: ModifiedResNet) -> None:
    with pytest.raises(BadInput, match="layer 4"):
        modified(pictures(64, 64), layers=[3, 4], projected=True)


def test_the_pools_positions_follow_the_grid(modified: ModifiedResNet) -> None:
    assert modified.attention.position_table(2, 2) is modified.attention.positions
    table = modified.attention.position_table(3, 5)
    assert table.shape == (16, modified.config.widths[-1])
    assert torch.equal(table[0], modified.attention.positions[0])
    assert modified(pictures(96, 160)).image.shape == (2, modified.width)


def test_pictures_that_do_not_fit_are_refused(modified: ModifiedResNet, plain: ResNet) -> None:
    with pytest.raises(BadInput, match="multiples of 32"):
        modified(pictures(48, 64))
    with pytest.raises(BadInput, match="divide"):
        plain(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    with pytest.raises(BadInput, match="layers 1 to 4"):
        plain(pictures(64, 64), layers=[5])


@pytest.mark.parametrize(("units", "dtype"), [({"amx", "avx512"}, torch.bfloat16), ({"avx512", "amd"}, torch.float32)])
def test_convolutions_are_of_bfloat16_where_amx_multiplies_them(
    units: set[str], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_bfloat16_units", lambda: units)
    for folder in ("timm_resnet_wide", "open_clip_rn"):
        model = cast(torch.nn.Module, encoders.load(PARITY / folder, precision="auto"))
        found = {each.weight.dtype for each in model.modules() if isinstance(each, torch.nn.Conv2d)}
        assert found == {dtype}


def test_in_bfloat16_a_residual_network_gives_float32() -> None:
    coarse = encoders.load(PARITY / "timm_resnet_wide", precision="bfloat16")
    found = coarse(pictures(64, 64), layers=[2])
    assert found.image.dtype == found.patches[0].dtype == torch.float32
