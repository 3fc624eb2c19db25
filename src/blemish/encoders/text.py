"""One text transformer: sentences in, or learned context; a whole prompt ensemble costs little more than its words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from blemish.encoders.config import TextConfig
from blemish.encoders.transformer import Block
from blemish.types import Between, Head

MOST_TOKENS = 256
"""Distinct tokens in one pass: attention grows with their square."""


class TextTransformer(nn.Module):
    """Causal transformer over sub-word tokens; a sentence's embedding is read at its end token."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = c = config
        # Not drawn here: on the meta device a normal draw imports torch's compiler, which takes a second.
        self.tokens = nn.Embedding.from_pretrained(torch.zeros(c.vocabulary, c.width), freeze=False)
        self.positions = nn.Parameter(torch.zeros(c.context, c.width))
        self.blocks = nn.ModuleList(
            Block(c.width, c.heads, c.hidden, activation=c.activation, epsilon=c.epsilon) for _ in range(c.depth)
        )
        self.norm = nn.LayerNorm(c.width, c.epsilon)
        self.projection = nn.Linear(c.width, c.output, bias=False)

    def forward(
        self,
        embedded: Tensor,
        ends: Tensor,
        *,
        deep: Mapping[int, Tensor] | None = None,
        between: Between | None = None,
        head: Head | None = None,
        start: int = 0,
    ) -> Tensor:
        """Word vectors (N, T, C) without positions, and the number of each sentence's end token (N,) -> (N, D) float32.

        deep: depth -> (n, C) or (N, n, C) learned tokens that replace the n behind the start token, whose number is
            `start`, on entering that block (AnomalyCLIP, AdaCLIP).
        between: called as `between(tokens, depth)` after every block; its result goes on.
        head: instead of the projection, behind the last norm.
        """
        length = embedded.shape[1]
        x = embedded.to(self.positions.dtype) + self.positions[:length]
        causal = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
        for number, block in enumerate(self.blocks, start=1):
            if deep and number in deep:
                context, lead = deep[number].to(x.dtype).expand(len(x), -1, -1), start + 1
                x = torch.cat([x[:, :lead], context, x[:, lead + context.shape[1] :]], 1)
            x = block(x, causal)
            x = x if between is None else between(x, number)
        return self.project(x[torch.arange(len(x), device=x.device), ends.to(x.device)], head)

    def embed(self, tokens: Tensor) -> Tensor:
        """Word vectors of token numbers: (N, T) -> (N, T, C)."""
        vectors: Tensor = self.tokens(tokens)
        return vectors

    def encode(self, sentences: Sequence[Sequence[int]]) -> Tensor:
        """Token numbers of each sentence, from start to end token -> (N, D) float32.

        Exact under causal attention: a token depends only on those before it, so what sentences have in common at
        their beginning is computed once. All beginnings form a tree, and every token attends to its ancestors.
        """
        order = sorted(range(len(sentences)), key=lambda place: tuple(sentences[place]))
        parts = [self._encode_tree(_Tree([sentences[n] for n in part])) for part in _parts(order, sentences)]
        found = torch.cat(parts) if parts else self.positions.new_zeros(0, self.config.output, dtype=torch.float32)
        return found[torch.tensor(order, dtype=torch.long).argsort().to(found.device)]

    def _encode_tree(self, tree: _Tree) -> Tensor:
        device = self.positions.device
        x = (
            self.tokens(torch.tensor(tree.tokens, device=device))
            + self.positions[torch.tensor(tree.depths, device=device)]
        )[None]  # (1, T, C): torch's fast attention takes batches only
        *blocks, last = cast("list[Block]", list(self.blocks))
        ancestors = additive(tree.ancestors()).to(device, last.qkv.weight.dtype)
        for block in blocks:
            x = block(x, ancestors)
        ends = torch.tensor(tree.ends, device=device)
        q, k, v = last.split(x)
        x = x[:, ends] + last.attend(q[:, :, ends], k, v, ancestors[ends])
        return self.project(x + last.mlp(x))[0]

    def project(self, x: Tensor, head: Head | None = None) -> Tensor:
        """Last norm of end tokens, and the projection or the head instead: (N, C) -> (N, D) float32."""
        return cast(Tensor, (head or self.projection)(self.norm(x))).float()


def additive(visible: Tensor) -> Tensor:
    """A bool mask as what is added to attention's logits: 0 where True, minus infinity elsewhere."""
    return torch.zeros(visible.shape).masked_fill(~visible, -torch.inf)


class _Tree:
    """The distinct beginnings of some sentences: a token, its depth and its parent per node."""

    def __init__(self, sentences: Sequence[Sequence[int]]) -> None:
        self.tokens: list[int] = []
        self.depths: list[int] = []
        self.parents: list[int] = []
        numbers: dict[tuple[int, int], int] = {}
        self.ends = [self._add(sentence, numbers) for sentence in sentences]

    def _add(self, sentence: Sequence[int], numbers: dict[tuple[int, int], int]) -> int:
        node = -1
        for depth, token in enumerate(sentence):
            parent, node = node, numbers.setdefault((node, token), len(self.tokens))
            if node == len(self.tokens):
                self.tokens.append(token)
                self.depths.append(depth)
                self.parents.append(parent)
        return node

    def ancestors(self) -> Tensor:
        """(nodes, nodes), True where the column is the row's ancestor or the row itself."""
        mask = np.eye(len(self.tokens), dtype=bool)  # numpy's rows are many times quicker to reach than torch's
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                mask[node] |= mask[parent]
        return torch.from_numpy(mask)


def _parts(order: Sequence[int], numbers: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Runs of sorted sentences within the limit; neighbours share their beginnings, which count once."""
    chunk: list[int] = []
    tokens = 0
    for place in order:
        fresh = len(numbers[place]) - (_shared(numbers[chunk[-1]], numbers[place]) if chunk else 0)
        if chunk and tokens + fresh > MOST_TOKENS:
            yield chunk
            chunk, tokens, fresh = [], 0, len(numbers[place])
        chunk.append(place)
        tokens += fresh
    if chunk:
        yield chunk


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sentences have in common at their beginning."""
    pairs = zip(first, second, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
