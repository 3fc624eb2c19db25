"""An encoder that looks at the same pictures, and reads the same sentences, once for all that is measured with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from blemish.blocks.exemplars import CachedEncoder
from blemish.types import Encoder, Features

MOST_BYTES = 3 << 30


class Album(CachedEncoder):
    """What a tower saw in the last batches of pictures, all its layers, by the pictures' values; and what it read.

    For towers without seams alone: what is asked of the others is not always plain layers, which are not kept.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder, kept=range(1, encoder.depth + 1))
        self.pages: dict[tuple[Any, ...], tuple[Tensor, dict[int, Tensor]]] = {}
        self.sentences: dict[tuple[str, ...], Tensor] = {}
        self.bytes = 0

    def forward(self, images: Tensor, **asked: Any) -> Features:
        """As the encoder's own, in float32 and without gradients."""
        key = (*images.shape, hash(images.detach().contiguous().numpy().tobytes()))
        page = self.pages.get(key)
        self._seen = page and (images, *page)
        with torch.inference_mode(False), torch.no_grad(), torch.autocast("cpu", enabled=False):
            found = super().forward(images, **asked)
        if page is None and self._seen is not None:
            self.pages[key] = self._seen[1:]
            self.bytes += size_of(self._seen[1:])
            while self.bytes > MOST_BYTES:
                self.bytes -= size_of(self.pages.pop(next(iter(self.pages))))
        self.clear()
        return found

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """As the encoder's own, without gradients."""
        key = tuple(texts)
        if key not in self.sentences:
            with torch.inference_mode(False), torch.no_grad():
                self.sentences[key] = self.encoder.encode_text(texts)
        return self.sentences[key]


def size_of(page: tuple[Tensor, dict[int, Tensor]]) -> int:
    return sum(each.nbytes for each in (page[0], *page[1].values()))
