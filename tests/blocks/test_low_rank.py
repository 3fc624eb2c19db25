from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from blemish import encoders
from blemish.blocks.low_rank import LowRank, LowRankForm, gather_updates, row_lengths
from blemish.encoders.clip import CLIP
from blemish.encoders.transformer import Block
from blemish.errors import BadInput
from blemish.types import SeamEncoder

RANK = 3
forms = pytest.mark.parametrize("form", ["lora", "dora"])


def tower() -> SeamEncoder:
    return cast(SeamEncoder, encoders.load("test-tiny"))


def pictures() -> Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def made(form: LowRankForm, *, alpha: float = 6.0) -> LowRank:
    return LowRank(tower(), pictures()[:1], rank=RANK, alpha=alpha, form=form).requires_grad_(False)


def shake(update: LowRank) -> LowRank:
    generator = torch.Generator().manual_seed(5)
    for parameter in update.parameters():
        parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return update


def weight(depth: int, name: str) -> Tensor:
    block = cast(CLIP, tower()).visual.get_submodule(f"blocks.{depth - 1}")
    assert isinstance(block, Block)
    return {"qkv": block.qkv, "out": block.out}[name].weight


def plain(update: LowRank, depth: int, part: int, own: Tensor) -> Tensor:
    """Row by row: (C, C)."""
    inner, outer = update.factors[depth - 1, part, 0], update.factors[depth - 1, part, 1]
    rows = []
    for number, row in enumerate(own):
        new = row.clone()
        for at in range(RANK):
            new += 6.0 / RANK * outer[at, number] * inner[at]
        if update.lengths is not None:
            new = new / new.norm() * update.lengths[depth - 1, part, number]
        rows.append(new)
    return torch.stack(rows)


@forms
def test_it_adds_a_product_of_low_rank_to_queries_values_and_output(form: LowRankForm) -> None:
    update = shake(made(form))
    for depth in (1, 4):
        own = weight(depth, "qkv")
        queries, keys, values = update(depth, "qkv", own).chunk(3)
        assert torch.equal(keys, own[64:128])
        assert_close(queries, plain(update, depth, 0, own[:64]))
        assert_close(values, plain(update, depth, 1, own[128:]))
        assert_close(update(depth, "out", weight(depth, "out")), plain(update, depth, 2, weight(depth, "out")))


@forms
def test_untrained_it_is_the_plain_encoder_and_trained_it_is_not(form: LowRankForm) -> None:
    encoder, images, update = tower(), pictures(), made(form)
    expected = encoder(images, layers=[2, 4])
    found = encoder(images, layers=[2, 4], matrices=update)
    if form == "lora":
        assert torch.equal(found.image, expected.image)
    assert_close(found.image, expected.image)
    assert_close(found.patches, expected.patches)
    changed = encoder(images, layers=[2, 4], matrices=shake(update))
    assert not torch.allclose(changed.image, expected.image, rtol=1e-2, atol=1e-2)
    assert torch.equal(encoder(images).image, expected.image)


def test_lengths_begin_as_those_of_the_rows() -> None:
    found = row_lengths(tower(), pictures()[:1])
    assert found.shape == (4, 3, 64)
    queries, _, values = weight(3, "qkv").chunk(3)
    for part, matrix in enumerate((queries, values, weight(3, "out"))):
        assert_close(found[2, part], matrix.square().sum(1).sqrt())


@forms
def test_gradients_reach_all_of_it_and_nothing_of_the_encoder(form: LowRankForm) -> None:
    update = shake(made(form)).requires_grad_(True)
    tower()(pictures(), matrices=update).image.square().sum().backward()
    for parameter in update.parameters():
        assert parameter.grad is not None
        assert (parameter.grad.flatten(2).abs().sum(-1) > 0).all()
    assert not weight(1, "qkv").requires_grad


def test_matrices_of_half_precision_stay_so() -> None:
    update = shake(made("dora"))
    own = weight(1, "qkv")
    found = update(1, "qkv", own.bfloat16())
    assert found.dtype == torch.bfloat16
    assert_close(found.float(), update(1, "qkv", own.bfloat16().float()), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(("rank", "form"), [(0, "lora"), (2, "loha")])
def test_what_it_cannot_be_is_refused(rank: int, form: str) -> None:
    with pytest.raises(BadInput, match="give a rank of at least 1, and lora or dora"):
        LowRank(tower(), pictures()[:1], rank=rank, form=cast(LowRankForm, form))


def published(update: LowRank, names: dict[str, str]) -> dict[str, Tensor]:
    """As AnomalyVFM's authors name what `update` has."""
    found: dict[str, Tensor] = {}
    for block in range(len(update.factors)):
        for part, letter in enumerate("qvo"):
            inner, outer = update.factors[block, part]
            found[names[f"{letter}A"].format(block)] = inner.clone()
            found[names[f"{letter}B"].format(block)] = outer.T.clone()
            if update.lengths is not None:
                found[names[f"{letter}m"].format(block)] = update.lengths[block, part].clone()
    return found


DINO = {
    f"{letter}{kind}": f"net.blocks.{{}}.attn.{matrix}.{name}"
    for letter, matrix, ending in (("q", "qkv", "_q"), ("v", "qkv", "_v"), ("o", "proj", ""))
    for kind, name in (("A", f"lora_A{ending}"), ("B", f"lora_B{ending}"), ("m", f"mag{ending or 'nitude'}"))
}
CHUNKED = {key: name.replace("blocks.", "blocks.0.") for key, name in DINO.items()}
HUB = {
    f"{letter}{kind}": f"model.net.encoder.layers.{{}}.self_attn.{matrix}_proj.{name}"
    for letter, matrix in (("q", "q"), ("v", "v"), ("o", "out"))
    for kind, name in (("A", "lora_A"), ("B", "lora_B"), ("m", "magnitude"))
}


@forms
@pytest.mark.parametrize("names", [DINO, CHUNKED, HUB], ids=["dino", "chunked", "clip"])
def test_files_of_its_authors_are_read(form: LowRankForm, names: dict[str, str]) -> None:
    update = shake(made(form))
    theirs = published(update, names)
    found = gather_updates(theirs | {"net.norm.weight": torch.ones(64)})
    own = dict(update.named_parameters())
    assert set(found) == set(own)
    assert all(torch.equal(found[name], own[name]) for name in own)
    missing = next(iter(theirs))
    assert "factors" not in gather_updates({name: each for name, each in theirs.items() if name != missing})


def test_layer_scales_of_their_files_are_part_of_the_matrix() -> None:
    update, scale = shake(made("dora")), torch.linspace(-1, 2, 64)
    theirs = published(update, DINO) | {f"net.blocks.{block}.ls1.gamma": scale for block in range(4)}
    found, own = made("dora"), weight(2, "out")
    found.load_state_dict(gather_updates(theirs))
    assert_close(found(2, "out", scale[:, None] * own), scale[:, None] * update(2, "out", own), rtol=1e-4, atol=1e-5)
    assert_close(found(2, "qkv", weight(2, "qkv")), update(2, "qkv", weight(2, "qkv")))


def test_blocks_before_the_first_one_stay_as_they_are() -> None:
    whole, late = (LowRank(tower(), pictures()[:1], rank=RANK, first=first, seed=1) for first in (1, 3))
    assert late.factors.shape[0] == whole.factors.shape[0] - 2
    with torch.no_grad():
        late.factors.add_(0.1)
    weight = torch.randn(3 * 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(late(2, "qkv", weight), weight)
    assert not torch.equal(late(3, "qkv", weight), weight)
