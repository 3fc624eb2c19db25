"""Low-rank updates of the attention of a frozen transformer, which itself stays as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from blemish.errors import BadInput
from blemish.types import SeamEncoder

LowRankForm = Literal["lora", "dora"]
ROLES_OF_FILES = ("attn.qkv.{}_q", "attn.qkv.{}_v", "attn.proj.{}")
"""Of queries, values and output, in files of AnomalyVFM's authors, behind the number of the block."""
SPELLINGS = (
    (r".*(?:blocks(?:\.\d+)?(?=\.\d+\.)|layers)\.", ""),
    (r"self_attn\.([qv])_proj\.(\w+)", r"attn.qkv.\2_\1"),
    (r"self_attn\.out_proj", "attn.proj"),
    (r"\.mag_", ".magnitude_"),
)
"""What differs in names of theirs: chunks of blocks, CLIP's own."""


class LowRank(nn.Module):
    """W + alpha / rank B A for W the queries', the values' and the output's matrix of every block (LoRA,
    arXiv:2106.09685); keys stay. As "dora" (arXiv:2402.09353) the rows of that have learned lengths m.

    It is a `matrices`, see `types.SeamEncoder`, and begins as the encoder is: B as 0, m as the lengths of W's rows.
    Layer scales that an encoder keeps apart are part of W here. picture: (1, 3, h, w), any that the encoder takes.
    first: the first block that is updated, all that follow are too.
    """

    def __init__(
        self,
        encoder: SeamEncoder,
        picture: Tensor,
        *,
        rank: int,
        alpha: float = 1.0,
        form: LowRankForm = "lora",
        first: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if rank < 1 or form not in get_args(LowRankForm):
            raise BadInput(f"rank={rank}, form={form!r}: give a rank of at least 1, and lora or dora")
        self.scale, self.first = alpha / rank, first
        generator = torch.Generator().manual_seed(seed)
        inner = 0.01 * torch.randn(encoder.depth + 1 - first, 3, rank, encoder.widths[0], generator=generator)
        self.factors = nn.Parameter(torch.stack([inner, torch.zeros_like(inner)], 2))  # A, B^T: (depth, 3, 2, rank, C)
        self.lengths = (
            nn.Parameter(row_lengths(encoder, picture)[first - 1 :]) if form == "dora" else None
        )  # (depth, 3, C)

    def forward(self, depth: int, name: str, weight: Tensor) -> Tensor:
        """The matrix "qkv" (3C, C) or "out" (C, C) of a block, updated if it is one of those."""
        if depth < self.first:
            return weight
        if name == "out":
            return self._update(depth, 2, weight.float()).to(weight.dtype)
        queries, keys, values = weight.float().chunk(3)
        return torch.cat([self._update(depth, 0, queries), keys, self._update(depth, 1, values)]).to(weight.dtype)

    def _update(self, depth: int, part: int, weight: Tensor) -> Tensor:
        inner, outer = self.factors[depth - self.first, part]  # (rank, C) each
        moved: Tensor = weight + self.scale * outer.T @ inner
        if self.lengths is None:
            return moved
        resized: Tensor = (
            self.lengths[depth - self.first, part][:, None] * moved / (moved.norm(dim=1, keepdim=True) + 1e-8)
        )
        return resized


@torch.no_grad()
def row_lengths(encoder: SeamEncoder, picture: Tensor) -> Tensor:
    """Of the rows of each block's matrices of queries, values and output: (depth, 3, C)."""
    width, found = encoder.widths[0], dict[tuple[int, str], Tensor]()

    def note(depth: int, name: str, weight: Tensor) -> Tensor:
        found[depth, name] = weight.float().norm(dim=1).view(-1, width).cpu()  # (3 or 1, C)
        return weight

    encoder(picture, matrices=note)
    blocks = range(1, encoder.depth + 1)
    return torch.stack([torch.cat([found[block, "qkv"][[0, 2]], found[block, "out"]]) for block in blocks])


def gather_updates(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `LowRank` has, by its names, of a file of AnomalyVFM's authors; what that lacks a part of is left out.

    Their layer scales are no part of W, so what is added to W is multiplied by them here.
    """
    own = {_respell(name): tensor.float() for name, tensor in theirs.items()}
    inner, outer, lengths = (_stack(own, kind) for kind in ("lora_A", "lora_B", "magnitude"))
    if inner is None or outer is None or inner.shape != outer.mT.shape:
        return {}
    scale = torch.ones(len(inner), 3, inner.shape[-1])
    for block, row in enumerate(scale[:, 2]):
        row.copy_(own.get(f"{block}.ls1.gamma", row))
    found = {"factors": torch.stack([inner, (scale[..., None] * outer).mT], 2)}
    return found if lengths is None else found | {"lengths": scale.abs() * lengths}


def _respell(name: str) -> str:
    for pattern, new in SPELLINGS:
        name = re.sub(pattern, new, name)
    return name


def _stack(own: Mapping[str, Tensor], kind: str) -> Tensor | None:
    """That kind of all blocks: (depth, 3, ...)."""
    depth = sum(name.endswith(ROLES_OF_FILES[2].format("lora_A")) for name in own)
    found = [own.get(f"{block}.{part.format(kind)}") for block in range(depth) for part in ROLES_OF_FILES]
    full = [each for each in found if each is not None]
    if not full or len(full) < len(found) or len({each.shape for each in full}) > 1:
        return None
    stacked: Tensor = torch.stack(full).unflatten(0, (depth, 3))
    return stacked
