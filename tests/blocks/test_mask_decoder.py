from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.mask_decoder import MaskDecoder


def random(channels: int) -> MaskDecoder:
    decoder, generator = MaskDecoder(channels).requires_grad_(False), torch.Generator().manual_seed(1)
    for parameter in decoder.parameters():
        parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return decoder


def twice(layers: nn.Sequential, x: Tensor, groups: int) -> Tensor:
    """Two convolutions, each normed over groups of channels and all places, written out."""
    for at in (0, 3):
        convolution, norm = layers[at], layers[at + 1]
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.GroupNorm)
        y = F.conv2d(x, convolution.weight, convolution.bias, padding=1).unflatten(1, (groups, -1))
        mean = y.mean((2, 3, 4), keepdim=True)
        normed = (y - mean) / ((y - mean).square().mean((2, 3, 4), keepdim=True) + 1e-5).sqrt()
        x = (normed.flatten(1, 2) * norm.weight[:, None, None] + norm.bias[:, None, None]).clamp_min(0)
    return x


def test_it_is_two_pairs_of_convolutions_and_a_map_of_each_place() -> None:
    decoder = random(64)
    patches = torch.randn(2, 3, 5, 64, generator=torch.Generator().manual_seed(2))
    coarse = twice(decoder.coarse, patches.permute(0, 3, 1, 2), 32)
    fine = twice(decoder.fine, coarse.repeat_interleave(2, 2).repeat_interleave(2, 3), 32)
    found = decoder(patches)
    for grid, head in ((found.logits, decoder.logits), (found.trust, decoder.trust)):
        assert grid.shape == (2, 6, 10)
        assert head.bias is not None
        assert_close(grid, torch.einsum("nchw,c->nhw", fine, head.weight[0, :, 0, 0]) + head.bias, rtol=1e-4, atol=1e-4)


def test_any_even_number_of_channels_will_do() -> None:
    for channels in (6, 24, 48):
        assert random(channels)(torch.zeros(1, 2, 2, channels)).logits.shape == (1, 4, 4)
