"""Batches from a store: which twins, which words, and how the light fell; all from a seed and the step's number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blemish.errors import BadInput
from blemish.pretrain.course import Batch
from blemish.pretrain.sentences import ANYTHING, Naming
from blemish.pretrain.store import Store
from blemish.pretrain.teachers import Lesson, tensor

HIDDEN = 0.25
"""Share of the vocabulary that is learned by its pieces in a step."""


class Batches:
    """`batches[step]` is the same for ever; no state, so that training goes on where it stopped."""

    def __init__(
        self,
        stores: Sequence[Store],
        lessons: Sequence[Lesson],
        naming: Naming,
        words: Sequence[str],
        *,
        seed: int = 0,
    ) -> None:
        self.stores, self.naming, self.words, self.seed = tuple(stores), naming, tuple(words), seed
        self.features = [[store.features(lesson.name) for store in stores] for lesson in lessons]
        groups = [store.groups() for store in stores]
        self.pairs = [((at, a), (at, b)) for at, (pairs, _) in enumerate(groups) for a, b in pairs]
        self.singles = [(at, number) for at, (_, singles) in enumerate(groups) for number in singles]
        if not self.pairs and not self.singles:
            raise BadInput("the stores hold no pictures: draw some first")

    def draw(self, step: int, *, pairs: int, singles: int) -> Batch:
        """The batch of a step."""
        rng = np.random.default_rng((self.seed, step))
        some = min(pairs, len(self.pairs))
        chosen = [self.pairs[n] for n in rng.choice(len(self.pairs), some, replace=False)] if some else []
        single = min(singles, len(self.singles))
        alone = [self.singles[n] for n in rng.choice(len(self.singles), single, replace=False)] if single else []
        good, bad = [pair[0] for pair in chosen], [pair[1] for pair in chosen]
        order, taught = [*good, *bad, *alone], [*bad, *alone]
        facts = [self.stores[at].facts[n] for at, n in bad]
        names = [tuple(fact["product"]) for fact in facts]
        family = [self.naming.families.index(fact["family"]) for fact in facts]
        kinds = sorted(set(names))
        return Batch(
            relit(tensor(picked([store.pictures for store in self.stores], order)), rng, twins=len(bad)),
            torch.from_numpy(picked([store.masks for store in self.stores], bad)),
            tuple(torch.from_numpy(picked(arrays, taught).astype(np.float32)) for arrays in self.features),
            torch.tensor([kinds.index(name) for name in names], dtype=torch.long),
            torch.tensor(family, dtype=torch.long),
            *self._spoken(names, family, rng),
        )

    def _spoken(
        self, names: list[tuple[str, ...]], family: list[int], rng: np.random.Generator
    ) -> tuple[Tensor, tuple[str, ...], frozenset[str]]:
        naming, families = self.naming, self.naming.families
        called = [naming.product(each, rng) for each in names]
        other = [int(rng.choice([n for n in range(len(families)) if n != own])) for own in family]
        texts = (
            *(naming.normal(product, rng) for product in called),
            *(naming.abnormal(product, rng) for product in called),
            *(naming.flawed(p, families[n], rng) for p, n in zip(called, family, strict=True)),
            *(naming.flawed(p, families[n], rng) for p, n in zip(called, other, strict=True)),
            *(naming.flawed(str(rng.choice(ANYTHING)), each, rng) for each in families),
        )
        hidden = frozenset(np.array(self.words)[rng.random(len(self.words)) < HIDDEN].tolist())
        return torch.tensor(other, dtype=torch.long), texts, hidden


def picked(arrays: Sequence[NDArray[Any]], places: Sequence[tuple[int, int]]) -> NDArray[Any]:
    """Rows of arrays that go on in each other, by (number of the array, row)."""
    empty = arrays[0][:0]
    return np.stack([arrays[at][row] for at, row in places]) if places else np.asarray(empty)


def relit(images: Tensor, rng: np.random.Generator, *, twins: int) -> Tensor:
    """Gain, contrast and now and then grey, drawn per picture; twins (the first 2 x `twins`) share theirs."""
    count = len(images)
    share = np.concatenate([np.arange(twins), np.arange(twins), np.arange(twins, count - twins)])
    gain = torch.from_numpy(np.exp(rng.normal(0, 0.15, (count, 1, 1, 1))).astype(np.float32)[share])
    shift = torch.from_numpy(rng.normal(0, 0.05, (count, 1, 1, 1)).astype(np.float32)[share])
    grey = torch.from_numpy((rng.random((count, 1, 1, 1)) < 0.15)[share])
    images = torch.where(grey, images.mean(1, keepdim=True), images)
    middle = images.mean((1, 2, 3), keepdim=True)
    return ((images - middle) * gain + middle + shift).clamp(0, 1)
