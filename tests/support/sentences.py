"""Ensembles of hundreds of sentences, which most tests have read by the same small tower: once a process is enough."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import torch
from torch import Tensor

from blemish.encoders.text import TextTransformer

MANY = 50
"""Sentences of an ensemble; fewer are always read."""


def remember_sentences() -> None:
    """What a frozen tower made of an ensemble is kept by its weights and the sentences, for as long as tests run."""
    read, known = TextTransformer.encode, dict[tuple[object, ...], Tensor]()

    def encode(self: TextTransformer, sentences: Sequence[Sequence[int]]) -> Tensor:
        weights = list(self.parameters())
        plain = all(type(each.data) is Tensor and each.is_cpu and not each.requires_grad for each in weights)
        if len(sentences) < MANY or not plain:
            return read(self, sentences)
        marks = (crc32(each.detach().view(torch.uint8).numpy().tobytes()) for each in weights)
        key = (*marks, *(each.dtype for each in weights), tuple(map(tuple, sentences)))
        if key not in known:
            known[key] = read(self, sentences)
        return known[key].clone()

    TextTransformer.encode = encode  # type: ignore[method-assign]
