"""Whether a detector that is trained has been."""

from __future__ import annotations

import torch

from blemish.blocks.learned import Learned
from blemish.errors import NotFitted


class Updates(Learned):
    """How many batches its loss was taken of; before the first its parameters are random and it predicts nothing."""

    def __init__(self) -> None:
        super().__init__("count: 1", dtype=torch.int64)

    def add(self) -> None:
        """One more."""
        self.store({"count": 1 + self.get_buffer("count").sum(0, keepdim=True)})

    def require(self) -> None:
        """Raises NotFitted before the first."""
        if not self.get_buffer("count").numel():
            raise NotFitted("this detector has not been trained: use `blemish train`, or training.loop.train, first")
