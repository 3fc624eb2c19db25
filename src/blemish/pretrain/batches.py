"""Batches from a store: which twins, which words, and how the light fell; all from a seed and the step's number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from blemish.errors import BadInput
from blemish.pretrain import sentences
from blemish.pretrain.course import Batch
from blemish.pretrain.store import Store
from blemish.pretrain.teachers import TeacherMap, tensor

HIDDEN = 0.25
"""Share of the vocabulary that is learned by its pieces in a step."""
NEAREST = 0.5
"""The shortest edge of another frame, as a share of the picture's."""


class Batches:
    """`batches[step]` is the same for ever; no state, so that training goes on where it stopped."""

    def __init__(
        self,
        stores: Sequence[Store],
        lessons: Sequence[TeacherMap],
        words: Sequence[str],
        *,
        seed: int = 0,
    ) -> None:
        self.stores, self.words, self.seed = tuple(stores), tuple(words), seed
        self.features = {
            lesson.name: {at: s.features(lesson.name) for at, s in enumerate(stores) if s.has(lesson.name)}
            for lesson in lessons
        }
        self.lessons = tuple(lessons)
        self.taught = {at for at, s in enumerate(stores) if lessons and all(s.has(each.name) for each in lessons)}
        groups = [store.groups() for store in stores]
        self.pairs = [((at, a), (at, b)) for at, (pairs, _) in enumerate(groups) for a, b in pairs]
        self.singles = [
            (at, number) for at, (_, singles) in enumerate(groups) for number in singles if at in self.taught
        ]
        if not self.pairs and not self.singles:
            raise BadInput("there are no twins, and no pictures that a teacher was asked about: ask for specimens")

    def draw(self, step: int, *, pairs: int, singles: int) -> Batch:
        """The batch of a step."""
        rng = np.random.default_rng((self.seed, step))
        some = min(pairs, len(self.pairs))
        chosen = [self.pairs[n] for n in rng.choice(len(self.pairs), some, replace=False)] if some else []
        single = min(singles, len(self.singles))
        alone = [self.singles[n] for n in rng.choice(len(self.singles), single, replace=False)] if single else []
        chosen.sort(key=lambda pair: pair[1][0] in self.taught)  # stable: what teachers speak about comes last
        good, bad = [pair[0] for pair in chosen], [pair[1] for pair in chosen]
        order, taught = [*good, *bad, *alone], [place for place in (*bad, *alone) if place[0] in self.taught]
        facts = [self.stores[at].facts[n] for at, n in bad]
        names = [tuple(fact["product"]) for fact in facts]
        families = [str(fact["family"]) for fact in facts]
        kinds = sorted(set(names))
        images = relight(tensor(take_rows([store.pictures for store in self.stores], order)), rng, twins=len(bad))
        flipped = torch.from_numpy((rng.random(len(order)) < 0.5)[draw_numbers(len(order), twins=len(bad))])
        masks = torch.from_numpy(take_rows([store.masks for store in self.stores], bad))
        targets = [self._targets(lesson, taught) for lesson in self.lessons] if taught else []
        images, masks = mirror(images, flipped), mirror(masks, flipped[len(good) : 2 * len(good)])
        free = [twin for twin, (at, _) in enumerate(bad) if at not in self.taught]  # no teacher's map lies over them
        frames = framing(masks[free], rng)
        both = [*free, *(len(good) + twin for twin in free)]
        images[both], masks[free] = warp(images[both], frames.repeat(2, 1, 1)), warp(masks[free], frames)
        return Batch(
            images,
            masks,
            tuple(mirror(target, flipped[len(order) - len(taught) :]) for target in targets),
            torch.tensor([kinds.index(name) for name in names], dtype=torch.long),
            numbers(families),
            *self._spoken(names, families, rng),
        )

    def _targets(self, lesson: TeacherMap, places: Sequence[tuple[int, int]]) -> Tensor:
        arrays = self.features[lesson.name]
        return torch.from_numpy(np.stack([arrays[at][row] for at, row in places]).astype(np.float32))

    def _spoken(
        self, names: Sequence[tuple[str, ...]], families: Sequence[str], rng: np.random.Generator
    ) -> tuple[Tensor, tuple[str, ...], frozenset[str]]:
        called = [sentences.product_name(each, rng) for each in names]
        others = [sentences.other_family(own, rng) for own in families]
        texts = (
            *(sentences.normal_sentence(product, rng) for product in called),
            *(sentences.abnormal_sentence(product, rng) for product in called),
            *(sentences.defect_sentence(product, own, rng) for product, own in zip(called, families, strict=True)),
            *(sentences.defect_sentence(product, other, rng) for product, other in zip(called, others, strict=True)),
            *(sentences.defect_sentence(str(rng.choice(sentences.ANYTHING)), each, rng) for each in sentences.FAMILIES),
        )
        hidden = frozenset(np.array(self.words)[rng.random(len(self.words)) < HIDDEN].tolist())
        return numbers(others), texts, hidden


def numbers(families: Sequence[str]) -> Tensor:
    """Places of families among all of them: (N,)."""
    return torch.tensor([sentences.FAMILIES.index(family) for family in families], dtype=torch.long)


def take_rows(arrays: Sequence[NDArray[Any]], places: Sequence[tuple[int, int]]) -> NDArray[Any]:
    """Rows of arrays that go on in each other, by (number of the array, row)."""
    empty = arrays[0][:0]
    return np.stack([arrays[at][row] for at, row in places]) if places else np.asarray(empty)


def draw_numbers(count: int, *, twins: int) -> NDArray[np.int_]:
    """For each of `count` pictures whose draw it gets: the first 2 x `twins` are N good ones and their N twins."""
    return np.concatenate([np.arange(twins), np.arange(twins), np.arange(twins, count - twins)])


def mirror(pictures: Tensor, which: Tensor) -> Tensor:
    """Left and right exchanged in the pictures chosen: (N, ..., W), (N,) -> (N, ..., W)."""
    return torch.where(which.view(-1, *[1] * (pictures.ndim - 1)), pictures.flip(-1), pictures)


def framing(masks: Tensor, rng: np.random.Generator) -> Tensor:
    """Frames to see pictures through, with some of the flaw (N, S, S) inside: turned by quarters, nearer, stretched.

    (N, 2, 3), from places in the new picture to places in the old one, both in [-1, 1], x before y.
    """
    count, side = len(masks), masks.shape[-1]
    near, stretched = np.exp(rng.uniform(np.log(NEAREST), 0, (count, 1))), np.exp(rng.normal(0, 0.15, (count, 1)))
    edges = np.concatenate([near * stretched, near / stretched], 1).clip(NEAREST, 1)  # along x and y of the new picture
    angle = rng.integers(0, 4, count) * np.pi / 2
    cos, sin = np.cos(angle).round(), np.sin(angle).round()
    turned = np.stack([cos, -sin, sin, cos], 1).reshape(-1, 2, 2) * edges[:, None]
    reach = np.abs(turned).sum(2)  # of the frame from its middle, along x and y of the old picture
    flaws = [np.flatnonzero(mask) for mask in masks.flatten(1).numpy()]
    inside = np.array([int(rng.choice(flaw)) if len(flaw) else side * side // 2 for flaw in flaws], np.int64)
    place = (np.stack([inside % side, inside // side], 1) + 0.5) * 2 / side - 1
    low, high = ((place + sign * 0.8 * reach).clip(reach - 1, 1 - reach) for sign in (-1, 1))
    return torch.from_numpy(np.concatenate([turned, rng.uniform(low, high)[..., None]], 2).astype(np.float32))


def warp(pictures: Tensor, frames: Tensor) -> Tensor:
    """Pictures (N, C, S, S), or masks (N, S, S) of truths, through frames (N, 2, 3)."""
    if not len(pictures):
        return pictures
    whole = pictures if pictures.ndim == 4 else pictures[:, None].float()
    grid = F.affine_grid(frames, list(whole.shape), align_corners=False)
    seen = F.grid_sample(whole, grid, padding_mode="border", align_corners=False)
    return seen if pictures.ndim == 4 else seen[:, 0] > 0.5


def relight(images: Tensor, rng: np.random.Generator, *, twins: int) -> Tensor:
    """Gain, contrast and now and then grey, drawn per picture; twins (the first 2 x `twins`) share theirs."""
    count, share = len(images), draw_numbers(len(images), twins=twins)
    gain = torch.from_numpy(np.exp(rng.normal(0, 0.15, (count, 1, 1, 1))).astype(np.float32)[share])
    shift = torch.from_numpy(rng.normal(0, 0.05, (count, 1, 1, 1)).astype(np.float32)[share])
    grey = torch.from_numpy((rng.random((count, 1, 1, 1)) < 0.15)[share])
    images = torch.where(grey, images.mean(1, keepdim=True), images)
    middle = images.mean((1, 2, 3), keepdim=True)
    return ((images - middle) * gain + middle + shift).clamp(0, 1)
