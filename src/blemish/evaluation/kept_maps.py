"""Maps and masks of many pictures that need little memory."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.data.masks import read_ground_truth
from blemish.metrics.blocks import highest_of_blocks
from blemish.types import Sample

IN_MEMORY = 1 << 30
"""Bytes of maps kept in memory; what comes after them waits on disk."""

Map = NDArray[np.float32]


class GroundTruths(Sequence[NDArray[np.bool_] | None]):
    """Masks read when they are asked for: thousands of large ones need no memory."""

    def __init__(self, samples: Sequence[Sample], sizes: Sequence[tuple[int, ...]], finest: Sequence[int]) -> None:
        self.samples, self.sizes, self.finest = samples, sizes, finest

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, row: Any) -> Any:
        sample, (height, width) = self.samples[row], self.sizes[row]
        if not sample.masks:
            return None
        return highest_of_blocks(read_ground_truth(sample.masks, sample.image, size=(height, width)), self.finest[row])


class KeptMaps:
    """Maps as arrays, and the sizes they had: the first gibibyte in memory, the rest in a temporary file."""

    def __init__(self, finest: int | None) -> None:
        self.items, self.sizes, self.finest = list[NDArray[np.float32]](), list[tuple[int, ...]](), finest
        self.bytes = 0

    def __enter__(self) -> KeptMaps:
        self.file = tempfile.TemporaryFile(prefix="blemish-maps-")
        return self

    def __exit__(self, *_: object) -> None:
        self.items.clear()
        self.file.close()

    def add(self, whole: NDArray[np.float32]) -> None:
        """One more, (H, W)."""
        self.sizes.append(whole.shape)
        scores = highest_of_blocks(whole, self.finest)
        self.bytes += scores.nbytes
        self.items.append(scores if self.bytes <= IN_MEMORY else self._spilled(scores))

    def _spilled(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        offset = self.file.seek(0, 2)
        self.file.write(np.ascontiguousarray(scores).data)
        self.file.flush()
        return np.memmap(self.file, np.float32, "r", offset, scores.shape)
