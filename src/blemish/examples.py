"""Labelled pictures as batches for training: each with its mask, which is resized as it is, or with a made defect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from blemish.data.masks import read_ground_truth
from blemish.errors import BadData, BadInput
from blemish.fitting import keep_readable
from blemish.images import frame
from blemish.inspection import Unreadable, prepare, read_each
from blemish.progress import ShowProgress
from blemish.synth.augment import make_defect
from blemish.types import Batch, Geometry, Sample

CACHE_BYTES = 2 << 30
"""Bytes of pictures that are kept once they have been read; the others are read anew each time."""


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """Which pictures a batch is made of."""

    batch_size: int = 8
    augmentation: str | None = None  # makes defects on good parts, see `synth.augment`
    share: float = 0.5  # of a batch that shows a defect, where there are any or some are made
    even: bool = False  # each type of real defects is drawn equally often, however rare
    seed: int = 0


class LabelledBatches:
    """`examples(number)` is the same batch for ever; no state but pictures, so that training goes on where it stopped.

    Good parts come in a new random order each time all have been seen. Defects are a share of each batch, drawn and
    mirrored at random, so that few of them are not learned by heart.
    """

    def __init__(self, samples: Sequence[Sample], geometry: Geometry, settings: BatchSettings) -> None:
        self.good = [sample for sample in samples if not sample.is_anomalous]
        self.bad = [sample for sample in samples if sample.is_anomalous]
        self.geometry, self.settings = geometry, settings
        self.kinds = [
            [one for one in self.bad if one.label == kind] for kind in sorted({one.label for one in self.bad})
        ]
        self.cache: dict[Path, tuple[Tensor, Tensor]] = {}
        self.room = CACHE_BYTES
        if not self.good:
            raise BadData("there is no good part to train on: give a set with some in its training split")

    @property
    def good_of_a_batch(self) -> int:
        """Good parts in each batch; at least one."""
        wrong = self.settings.share if self.bad or self.settings.augmentation else 0
        return max(1, round((1 - wrong) * self.settings.batch_size))

    def __call__(self, number: int) -> Batch:
        """The batch of a number."""
        seed, count = self.settings.seed, self.good_of_a_batch
        good, rng = _draw(self.good, number, count, seed), np.random.default_rng((seed, number))
        bad = [self._defective(rng) for _ in range(self.settings.batch_size - count)]
        pairs = [_as_floats(self.one(sample)) for sample in good] + [pair for _, pair in bad]
        _require_one_shape([picture for picture, _ in pairs])
        images, masks = (torch.stack(each) for each in zip(*pairs, strict=True))
        samples = [*good, *(sample for sample, _ in bad)]
        shown = [sample.is_anomalous or bool(mask.any()) for sample, mask in zip(samples, masks, strict=True)]
        types = tuple(
            "" if made and not one.is_anomalous else one.label for one, made in zip(samples, shown, strict=True)
        )
        # Words, where a data set says what it shows: "metal_nut" is a metal nut.
        shows = [sample.category.replace("_", " ") for sample in samples]
        products = tuple(shows) if all(shows) else None
        names = tuple(str(sample.image) for sample in samples)
        known = torch.tensor(
            [not one.is_anomalous or bool(mask.any()) for one, mask in zip(samples, masks, strict=True)]
        )
        return Batch(images, masks, torch.tensor(shown), types, names, products, None if known.all() else known)

    def _defective(self, rng: np.random.Generator) -> tuple[Sample, tuple[Tensor, Tensor]]:
        """A real defect, mirrored, or one made on a good part: where both are wanted, equally often."""
        name = self.settings.augmentation
        if self.bad and (name is None or rng.random() < 0.5):
            same = self.kinds[int(rng.integers(len(self.kinds)))] if self.settings.even else self.bad
            sample = same[int(rng.integers(len(same)))]
            return sample, _mirror(*_as_floats(self.one(sample)), rng)
        assert name is not None
        sample, another = (self.good[int(at)] for at in rng.integers(len(self.good), size=2))
        picture, other = (_as_floats(self.one(each))[0] for each in (sample, another))
        _require_one_shape([picture, other])
        colours, texture = (each.permute(1, 2, 0).contiguous().numpy() for each in (picture, other))
        flawed, mask = make_defect(name, colours, rng, texture)
        return replace(sample, label=""), (
            torch.from_numpy(np.ascontiguousarray(flawed.transpose(2, 0, 1))),
            torch.from_numpy(mask),
        )

    def one(self, sample: Sample) -> tuple[Tensor, Tensor]:
        """A picture, uint8 (3, h, w), and its mask, bool (h, w), at the size that the geometry asks for."""
        found = self.cache.get(sample.image)
        if found is None:
            found = prepare_example(sample, self.geometry)
            size = sum(tensor.numel() for tensor in found)
            if size <= self.room:
                self.room -= size
                self.cache[sample.image] = found
        return found


def read_examples(
    samples: Sequence[Sample],
    geometry: Geometry,
    settings: BatchSettings,
    *,
    watch: ShowProgress,
    unreadable: list[Unreadable],
) -> LabelledBatches:
    """All pictures looked at once, in threads; those that cannot be read are left out and named in `unreadable`."""
    by_path = {sample.image: sample for sample in samples}
    found = LabelledBatches(samples, geometry, settings)
    advance = watch("reading pictures", len(by_path))
    pictures = read_each(by_path, lambda source: found.one(by_path[Path(source.id)]), advance=advance)
    readable = [by_path[Path(source.id)] for source, _ in keep_readable(pictures, unreadable)]
    kept = LabelledBatches(readable, geometry, settings)
    kept.cache, kept.room = found.cache, found.room
    return kept


def prepare_example(sample: Sample, geometry: Geometry) -> tuple[Tensor, Tensor]:
    """Picture and mask read and framed alike; raises BadImage."""
    prepared = prepare(sample.image, geometry)
    picture = (next(iter(prepared.inputs)) * 255).round().byte()
    if not sample.masks:
        return picture, torch.zeros(picture.shape[-2:], dtype=torch.bool)
    height, width = prepared.picture.shape[-2:]
    truth = torch.from_numpy(read_ground_truth(sample.masks, sample.image, size=(height, width)))
    return picture, frame(truth.float().expand(3, -1, -1), geometry)[0] >= 0.5


def _draw(samples: Sequence[Sample], number: int, count: int, seed: int) -> list[Sample]:
    """`count` samples of batch `number`: shuffled anew each time all have been drawn."""
    places = range(number * count, (number + 1) * count)
    turns = {at // len(samples) for at in places}
    rngs = {turn: np.random.default_rng((seed, 0, turn)) for turn in turns}
    orders = {turn: rng.permutation(len(samples)) for turn, rng in rngs.items()}
    return [samples[orders[at // len(samples)][at % len(samples)]] for at in places]


def _as_floats(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return pair[0].float() / 255, pair[1]


def _mirror(picture: Tensor, mask: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    axes = [axis for axis in (-1, -2) if rng.random() < 0.5]
    return picture.flip(axes), mask.flip(axes)


def _require_one_shape(pictures: Sequence[Tensor]) -> None:
    shapes = sorted({tuple(picture.shape[-2:]) for picture in pictures})
    if len(shapes) > 1:
        sizes = " and ".join(f"{width} x {height}" for height, width in shapes[:2])
        raise BadInput(f"pictures of {sizes} cannot be trained on together: cut or pad them to one shape first")
