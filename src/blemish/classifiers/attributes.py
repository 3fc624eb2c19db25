"""AOVCD: open-vocabulary detection of cracks as combinations of visual attributes, Appl. Sci. 15(19):10350, 2025.
Reconstructed from the abstract: geometric, spatial and textural attributes, a multi-label loss of attributes as an
auxiliary task, and new types by their attributes alone. The vocabulary, how attributes are seen and how evidence is
joined are ours; boxes are those of the regions that are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.attributes import attribute_table, combine_attributes, vocabulary_of
from blemish.blocks.descent import search
from blemish.blocks.described_words import word_prototypes
from blemish.blocks.describing import Balance
from blemish.blocks.describing_in_words import DescribingInWords
from blemish.blocks.learned import Learned
from blemish.blocks.shown_types import even_weights, spread_views, type_errors
from blemish.encoders.capabilities import geometry
from blemish.types import TextEncoder, TypedExamples


class Attributes(DescribingInWords):
    """A type is as likely as all its attributes are there, and no other; examples teach how attributes look.

    A type without an example is named too, by its attributes.

    attributes: of each type, {"crack": ["a long thin shape"]}; without any, its words choose among `ATTRIBUTES`.
    auxiliary: weight of the loss of attributes. penalty: of the squared slope. steps: of L-BFGS, at most.
    temperature: of cosines with words.
    """

    texts: Tensor
    table: Tensor

    def __init__(
        self,
        encoder: str | TextEncoder = encoders.DEFAULT,
        *,
        types: Sequence[str],
        attributes: Mapping[str, Sequence[str]] | None = None,
        words: Mapping[str, Sequence[str]] | None = None,
        product: str = "object",
        several: bool = False,
        auxiliary: float = 0.1,
        penalty: float = 1e-4,
        steps: int = 50,
        temperature: float = 0.3,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.types, self.words, self.product, self.several = tuple(types), dict(words or {}), product, several
        self.attributes, self.auxiliary, self.penalty = dict(attributes or {}), auxiliary, penalty
        self.steps, self.temperature, self.image_size = steps, temperature, image_size
        self.geometry, self.vocabulary = geometry(self.encoder, image_size), vocabulary_of(self.attributes)
        self.register_buffer("texts", word_prototypes(self.encoder, product, self.vocabulary, {}))
        meant = word_prototypes(self.encoder, product, self.types, self.words)
        self.register_buffer("table", attribute_table(self.types, self.attributes, meant, self.texts))
        self.balance, self.fitted = Balance(self.encoder), Learned("slope: D A", "offset: A")

    def fit(self, examples: TypedExamples) -> Self:
        """Of examples of some types at least, each view of one a row."""
        rows, types = spread_views(examples)
        self.balance.learn(rows)
        weights, shown = even_weights(types), types.any(0)
        rows, said = self.balance(rows), self._words(rows)
        wanted = torch.where(types[..., None], self.table, 0.0).amax(1)  # (M, A)
        slope = rows.new_zeros(rows.shape[1], len(self.texts)).requires_grad_()
        offset = rows.new_zeros(len(self.texts)).requires_grad_()

        def loss() -> Tensor:
            logits = said + rows @ slope + offset
            parts = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(1)
            names = type_errors(self._types(logits)[:, shown], types[:, shown], several=self.several)
            errors = (weights * (names + self.auxiliary * parts)).sum()
            return cast(Tensor, errors + self.penalty * slope.square().sum())

        search([slope, offset], loss, self.steps)
        self.fitted.store({"slope": slope, "offset": offset})
        return self

    def forward(self, seen: Tensor) -> Tensor:
        """(N, V, D) -> logits (N, K)."""
        return self._types(self.evidence(seen))

    def evidence(self, seen: Tensor) -> Tensor:
        """Logits of the attributes of `vocabulary`, of (N, V, D): (N, A)."""
        seen = seen.mean(1)
        if not self.fitted.fitted:
            return self._words(seen)
        rows: Tensor = self.balance(seen)
        moved = rows @ self.fitted.get_buffer("slope") + self.fitted.get_buffer("offset")
        return self._words(seen) + moved

    @property
    def sayings(self) -> tuple[str, ...]:
        """All attributes."""
        return self.vocabulary

    def choose_words(self, seen: Tensor, numbers: Tensor) -> Tensor:
        """The attributes of these types (N,) of which there is most evidence in (N, V, D): (N,)."""
        return torch.where(self.table[numbers] > 0, self.evidence(seen), -torch.inf).argmax(1)

    def _words(self, seen: Tensor) -> Tensor:
        """What words say of attributes, against what they say of any, of (N, D): (N, A)."""
        found: Tensor = self.meaning(seen) @ self.texts.T / self.temperature
        return found - found.mean(1, keepdim=True)

    def _types(self, logits: Tensor) -> Tensor:
        found = combine_attributes(logits, self.table)
        return found - found.mean(1, keepdim=True) if self.several else found
