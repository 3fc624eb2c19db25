"""The default: regularised least squares, Rifkin, Yeo & Poggio, "Regularized least-squares classification", 2003,
on what all depths of an encoder see. What is described, and how its parts weigh, is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from torch import Tensor

from blemish import encoders
from blemish.blocks.describing import Balance, Describing
from blemish.blocks.learned import Learned
from blemish.blocks.least_squares import fit_ridge
from blemish.blocks.shown_types import even_weights, familiarity, first_examples, spread_views
from blemish.encoders.capabilities import geometry
from blemish.types import Encoder, TypedExamples


class Ridge(Describing):
    """Each type's share in a linear fit of its examples, every type counting alike.

    forward: the fitted share of each type times `sharpness`, as logits. All of them are higher the more a defect is
        like examples of any type, `kept` of each at most, which tells what is of no known type.
    penalty: of the slope, times the mean squared length of descriptions.
    several: whether a defect may have several types.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        types: Sequence[str],
        several: bool = False,
        penalty: float = 0.1,
        sharpness: float = 10.0,
        kept: int = 200,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.types, self.several = encoders.load(encoder), tuple(types), several
        self.penalty, self.sharpness, self.kept, self.image_size = penalty, sharpness, kept, image_size
        self.geometry = geometry(self.encoder, image_size)
        self.balance, self.fitted = Balance(self.encoder), Learned("slope: D K", "offset: K", "known: R D")

    def fit(self, examples: TypedExamples) -> Self:
        """Of examples of each type, each view of one a row."""
        rows, types = spread_views(examples)
        self.balance.learn(rows)
        rows = self.balance(rows)
        found = fit_ridge(rows, types, even_weights(types), self.penalty)
        self.fitted.store(found._asdict() | {"known": rows[first_examples(types, self.kept)]})
        return self

    def forward(self, seen: Tensor) -> Tensor:
        """(N, V, D) -> logits (N, K)."""
        self.fitted.require()
        rows: Tensor = self.balance(seen.mean(1))
        share = rows @ self.fitted.get_buffer("slope") + self.fitted.get_buffer("offset")
        return self.sharpness * (
            share - 0.5 if self.several else share + familiarity(rows, self.fitted.get_buffer("known"))
        )
