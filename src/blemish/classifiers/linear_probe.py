"""Linear probe: logistic regression on a frozen encoder, as Radford et al. measure CLIP, arXiv:2103.00020."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from blemish import encoders
from blemish.blocks.descent import search
from blemish.blocks.describing import Balance, Describing
from blemish.blocks.learned import Learned
from blemish.blocks.shown_types import even_weights, spread_views, type_errors
from blemish.encoders.capabilities import geometry
from blemish.types import Encoder, TypedExamples


class LinearProbe(Describing):
    """Logistic regression with a penalty, every type counting alike; of several types one against all else each.

    penalty: of the squared slope, for a loss that is the mean over examples.
    steps: at most, of L-BFGS, which the paper uses too (scikit-learn's, 1,000 steps).
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        types: Sequence[str],
        several: bool = False,
        penalty: float = 1e-4,
        steps: int = 1000,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.types, self.several = encoders.load(encoder), tuple(types), several
        self.penalty, self.steps, self.image_size = penalty, steps, image_size
        self.geometry = geometry(self.encoder, image_size)
        self.balance, self.fitted = Balance(self.encoder), Learned("slope: D K", "offset: K")

    def fit(self, examples: TypedExamples) -> Self:
        """Of examples of each type, each view of one a row."""
        rows, types = spread_views(examples)
        self.balance.learn(rows)
        rows, weights = self.balance(rows), even_weights(types)
        slope = torch.zeros(rows.shape[1], types.shape[1], requires_grad=True)
        offset = torch.zeros(types.shape[1], requires_grad=True)

        def loss() -> Tensor:
            each = type_errors(rows @ slope + offset, types, several=self.several)
            return (weights * each).sum() + self.penalty * slope.square().sum()

        search([slope, offset], loss, self.steps)
        self.fitted.store({"slope": slope, "offset": offset})
        return self

    def forward(self, seen: Tensor) -> Tensor:
        """(N, V, D) -> logits (N, K)."""
        self.fitted.require()
        rows: Tensor = self.balance(seen.mean(1))
        return rows @ self.fitted.get_buffer("slope") + self.fitted.get_buffer("offset")
