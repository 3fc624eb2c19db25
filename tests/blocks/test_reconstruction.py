from __future__ import annotations

import torch
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.reconstruction import Decoder, LinearAttention, mined_cosine


def test_linear_attention_is_a_mean_of_values_weighed_by_features_of_queries_and_keys() -> None:
    attention, x = LinearAttention(8, 2), torch.randn(2, 5, 8)
    q, k, v = attention.qkv(x).chunk(3, -1)
    heads = []
    for at in (slice(0, 4), slice(4, 8)):
        weights = (F.elu(q[..., at]) + 1) @ (F.elu(k[..., at]) + 1).mT  # (2, 5, 5)
        heads.append(weights / weights.sum(-1, keepdim=True) @ v[..., at])
    assert_close(attention(x), attention.out(torch.cat(heads, -1)))


def test_a_decoder_gives_what_each_block_gives_the_last_first() -> None:
    decoder = Decoder(8, 3, 2, dropout=0.5).eval()
    tokens = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    last, _, first = decoder(tokens)
    assert_close(first, decoder.blocks[0](decoder.bottleneck(tokens)))
    assert not torch.equal(first, last)
    assert len(decoder(tokens)) == 3


def test_only_training_leaves_features_out() -> None:
    decoder, tokens = Decoder(8, 1, 2, dropout=0.5), torch.ones(1, 4, 8)
    whole = decoder.eval()(tokens)[0]
    assert torch.equal(whole, decoder(tokens)[0])
    assert not torch.equal(whole, decoder.train()(tokens)[0])


def test_mined_cosine_weighs_the_gradient_of_what_is_rebuilt_well() -> None:
    there, rebuilt = torch.randn(2, 2, 3, 4), torch.randn(2, 2, 3, 4, requires_grad=True)
    pairs = zip(there.flatten(1), rebuilt.flatten(1), strict=True)
    whole = torch.stack([1 - F.cosine_similarity(one, other, dim=0) for one, other in pairs])
    (plain,) = torch.autograd.grad(whole.mean(), rebuilt, retain_graph=True)
    for share, hard in ((0.0, 12), (0.5, 6), (0.99, 1)):
        found = mined_cosine(there, rebuilt, share=share, factor=0.1)
        assert_close(found, whole.mean())
        (gradient,) = torch.autograd.grad(found, rebuilt)
        distance = 1 - F.cosine_similarity(there, rebuilt.detach(), dim=-1)
        kept = distance >= distance.flatten().sort(descending=True).values[hard - 1]
        assert_close(gradient, plain * torch.where(kept, 1.0, 0.1)[..., None])
