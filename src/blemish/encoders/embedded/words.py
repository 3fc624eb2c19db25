"""The small text tower: words of the domain, and pieces of words for those it has never met."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import cast
from zlib import crc32

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from blemish.encoders.transformer import Block, check_prompts
from blemish.errors import BadInput
from blemish.types import Between, Head, Prompt

WORD = re.compile(r"[^\W_]+")
PIECE_LENGTHS = (3, 4, 5)
"""Lengths of the pieces of a word, of its two borders counted as letters (Bojanowski et al., arXiv:1607.04606)."""


@dataclass(frozen=True, slots=True)
class WordsConfig:
    """The shape of the text tower; `buckets` is how many numbers the pieces of words are hashed to."""

    width: int = 128
    depth: int = 2
    heads: int = 4
    buckets: int = 4096
    output: int = 128


class Words(nn.Module):
    """Sentences as sets of words, mixed by attention and averaged.

    A word is its own vector, if it is in the vocabulary, plus the mean of its pieces' vectors. Pieces start
    small and are learned with the words they occur in: an inflected word lands beside its kin, and a strange one says
    little, so that a sentence's other words decide.
    """

    def __init__(self, vocabulary: Sequence[str], config: WordsConfig) -> None:
        super().__init__()
        self.config, self.vocabulary = config, tuple(vocabulary)
        self.numbers = {word: number for number, word in enumerate(vocabulary, start=1)}  # 0: none of them
        # Not drawn here: on the meta device a normal draw imports torch's compiler, which takes a second.
        known, pieces = torch.zeros(1 + len(vocabulary), config.width), torch.zeros(config.buckets, config.width)
        self.known = nn.Embedding.from_pretrained(known, freeze=False, padding_idx=0)
        self.pieces = nn.EmbeddingBag.from_pretrained(pieces, freeze=False, mode="mean")
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, 4 * config.width) for _ in range(config.depth)
        )  # fmt: skip
        self.norm = nn.LayerNorm(config.width)
        self.projection = nn.Linear(config.width, config.output, bias=False)

    def forward(self, texts: Sequence[str], *, hidden: Collection[str] = ()) -> Tensor:
        """Embeddings of sentences in their order: (len(texts), D), not normalised.

        hidden: words to take as if they were not in the vocabulary; training hides some, so that pieces learn.
        """
        if isinstance(texts, str):
            raise BadInput("expected a list of texts, got one string: wrap it in a list")
        if not texts:
            return self.norm.weight.new_zeros(0, self.config.output)
        bags = [split(text) for text in texts]
        distinct = sorted(set(chain.from_iterable(bags)))
        at = {word: number for number, word in enumerate(distinct, start=1)}
        rows = torch.zeros(len(bags), max(1, *map(len, bags)), dtype=torch.long, device=self.norm.weight.device)
        for row, bag in zip(rows, bags, strict=True):
            row[: len(bag)] = torch.tensor([at[word] for word in bag], dtype=torch.long)
        present = rows > 0  # (S, T)
        return self.mix(self.vectors(distinct, hidden)[rows], present)

    def mix(
        self,
        x: Tensor,
        present: Tensor,
        *,
        deep: Mapping[int, Tensor] | None = None,
        between: Between | None = None,
        head: Head | None = None,
        start: int = 0,
    ) -> Tensor:
        """Word vectors (S, T, C), and which of them are there (S, T) -> (S, D)."""
        # An empty sentence looks at one empty word: attention over nothing has no value.
        visible = (present | ~present.any(1, keepdim=True))[:, None, None]
        for number, block in enumerate(self.blocks, start=1):
            if deep and number in deep:
                learned = deep[number].to(x.dtype).expand(len(x), -1, -1)
                x = torch.cat([x[:, :start], learned, x[:, start + learned.shape[1] :]], 1)
            x = block(x, visible)
            x = x if between is None else between(x, number)
        weights = visible[:, 0, 0].unsqueeze(-1).to(x.dtype)
        return cast(Tensor, (head or self.projection)(self.norm((x * weights).sum(1) / weights.sum(1))))

    def encode_prompts(
        self,
        prompts: Sequence[Prompt],
        *,
        deep: Mapping[int, Tensor] | None = None,
        ahead: Tensor | None = None,
        between: Between | None = None,
        head: Head | None = None,
    ) -> Tensor:
        """Embeddings of sentences with learned words, (n, C) each, among their own: (P, D), not normalised.

        deep: depth -> (n, C) or (P, n, C) tokens that replace a prompt's first n on entering that block.
        ahead: (n, C) tokens before each prompt, which are not replaced.
        between, head: called after each block, and instead of the projection.
        """
        if not prompts:
            return self.forward([])
        first = self.norm.weight.new_zeros(0, self.config.width) if ahead is None else ahead  # (n, C)
        bags = [[self._part(part) for part in prompt] for prompt in prompts]
        rows = [torch.cat([first, *bag]) for bag in bags]  # (t, C) each
        lengths, start = [len(row) for row in rows], len(first)
        check_prompts([length - start for length in lengths], deep or {}, depth=self.config.depth)
        x = pad_sequence([*rows, rows[0].new_zeros(1, self.config.width)], batch_first=True)[:-1]  # (P, T, C), T > 0
        present = torch.arange(x.shape[1], device=x.device) < torch.tensor(lengths, device=x.device)[:, None]
        return self.mix(x, present, deep=deep, between=between, head=head, start=start)

    def _part(self, part: str | Tensor) -> Tensor:
        """Word vectors of a text, or those that are given: (t, C)."""
        if not isinstance(part, str):
            return part
        return self.vectors(split(part))[1:]

    def vectors(self, words: Sequence[str], hidden: Collection[str] = ()) -> Tensor:
        """Row 0 is no word, then one row per word: (1 + len(words), C)."""
        device = self.norm.weight.device
        known = [0 if word in hidden else self.numbers.get(word, 0) for word in words]
        numbers = torch.tensor(known, dtype=torch.long, device=device)
        found = [piece_numbers(word, self.config.buckets) for word in words]
        starts = [0, *torch.tensor([len(each) for each in found]).cumsum(0).tolist()[:-1]] if found else []
        flat = torch.tensor(list(chain.from_iterable(found)), dtype=torch.long, device=device)
        offsets = torch.tensor(starts, dtype=torch.long, device=device)
        vectors = self.known(numbers) + self.pieces(flat, offsets)
        return torch.cat([vectors.new_zeros(1, vectors.shape[1]), vectors])


def split(text: str) -> list[str]:
    """The words of a text, in lower case, without punctuation."""
    return WORD.findall(text.lower())


@lru_cache(maxsize=1 << 14)
def piece_numbers(word: str, buckets: int) -> tuple[int, ...]:
    """The numbers of a word's pieces, 0 .. buckets - 1; at least one."""
    bordered = f"<{word}>"
    pieces = {bordered[at : at + n] for n in PIECE_LENGTHS for at in range(len(bordered) - n + 1)} or {bordered}
    return tuple(crc32(piece.encode()) % buckets for piece in sorted(pieces))
