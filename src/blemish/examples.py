"""Labelled pictures as batches for training: each with its mask, which is resized as it is, or with a made defect."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blemish.blocks.closeups import look_at_truth
from blemish.data.masks import read_ground_truth
from blemish.encoders.inputs import as_tensor
from blemish.errors import BadData, BadInput
from blemish.files import sha256_of
from blemish.images import Unreadable, frame, keep_readable
from blemish.inspection import prepare, read_each
from blemish.progress import ShowProgress
from blemish.synth.augment import make_defect
from blemish.synth.drawn.scene import Colours
from blemish.synth.published.few_views import few_view
from blemish.training.features import FeatureCache
from blemish.types import Batch, Features, Geometry, Sample

CACHE_BYTES = 2 << 30
"""Bytes of pictures that are kept once they have been read; the others are read anew each time."""
MAKING = 1
"""Raised when pictures are framed, mirrored or flawed in another way: features of before are then made again."""


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """Which pictures a batch is made of."""

    batch_size: int = 8
    augmentation: str | None = None  # makes defects on good parts, see `synth.augment`
    share: float = 0.5  # of a batch that shows a defect, where there are any or some are made
    even: bool = False  # each type of real defects is drawn equally often, however rare
    balanced: bool = False  # so is each product, however few of its pictures there are
    together: bool = False  # a batch is of one product, which they are in turn
    twins: bool = False  # good parts are seen in other ways, and each once more with a made defect; no real defect is
    seed: int = 0
    pool: int | None = None  # how many defects are made in all; None: new ones for every batch
    closeups: Literal["none", "defects", "all"] = "none"  # which are also seen from near


class Drawn(NamedTuple):
    """A place of a batch: a sample, mirrored or not, or one on which a defect is made."""

    number: int  # of the sample
    axes: tuple[int, ...] = ()  # along which it is mirrored
    texture: int = 0  # the number of another good part, which may lend its texture to a defect
    flaw: tuple[int, ...] = ()  # which defect is made, if any
    view: tuple[int, ...] = ()  # in which way it is seen, if in another than it is
    near: bool = False  # a close-up of this, always the same one


class LabelledBatches:
    """`examples(number)` is the same batch for ever; no state but pictures, so that training goes on where it stopped.

    Good parts come in a new random order each time all have been seen. Defects are a share of each batch, drawn and
    mirrored at random, so that few of them are not learned by heart. What a frozen tower sees may come
    from a folder instead of the pictures.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        geometry: Geometry,
        settings: BatchSettings,
        features: FeatureCache | None = None,
    ) -> None:
        self.good = [sample for sample in samples if not sample.is_anomalous]
        self.bad = [sample for sample in samples if sample.is_anomalous]
        self.geometry, self.settings, self.features = geometry, settings, features
        apart = settings.balanced or settings.together
        self.products = _group((one.category if apart else "",) for one in self.good)
        self.kinds = _group((one.category if apart else "", one.label if settings.even else "") for one in self.bad)
        self.cache: dict[Path, tuple[Tensor, Tensor]] = {}
        self.room = CACHE_BYTES
        self.digests = np.zeros((len(samples), 32), np.uint8)  # of files, as far as they were asked for
        self.orders: dict[int, tuple[int, NDArray[np.int64]]] = {}  # the last turn through each product's good parts
        if not self.good:
            raise BadData("there is no good part to train on: give a set with some in its training split")

    @property
    def good_of_a_batch(self) -> int:
        """Good parts in each batch; at least one."""
        wrong = self.settings.share if (self.bad and not self.settings.twins) or self.settings.augmentation else 0
        return max(1, round((1 - wrong) * self.settings.batch_size))

    def __call__(self, number: int) -> Batch:
        """The batch of a number."""
        drawn = self.draw(number)
        near = None if self.settings.closeups == "none" else self._batch([self._closer(each) for each in drawn])
        return replace(self._batch(drawn), near=near)

    def _closer(self, drawn: Drawn) -> Drawn:
        shown = self.settings.closeups == "all" or bool(drawn.flaw) or self.sample(drawn.number).is_anomalous
        return drawn._replace(near=shown)

    def _batch(self, drawn: Sequence[Drawn]) -> Batch:
        images, masks, features = self._kept(drawn) if self.features else self._made(drawn)
        samples = [self.sample(each.number) for each in drawn]
        shown = [sample.is_anomalous or bool(mask.any()) for sample, mask in zip(samples, masks, strict=True)]
        types = tuple(
            "" if each.flaw and bad else one.label for each, one, bad in zip(drawn, samples, shown, strict=True)
        )
        # Words, where a data set says what it shows: "metal_nut" is a metal nut.
        shows = [sample.category.replace("_", " ") for sample in samples]
        products = tuple(shows) if all(shows) else None
        names = tuple(str(sample.image) for sample in samples)
        known = torch.tensor(
            [not one.is_anomalous or bool(mask.any()) for one, mask in zip(samples, masks, strict=True)]
        )
        some = None if known.all() else known
        twins = torch.arange(len(drawn)) % self.good_of_a_batch if self.settings.twins else None
        return Batch(images, masks, torch.tensor(shown), types, names, products, some, features, twins)

    def sample(self, number: int) -> Sample:
        """Good parts have the first numbers, defects the next."""
        return self.good[number] if number < len(self.good) else self.bad[number - len(self.good)]

    def draw(self, number: int) -> list[Drawn]:
        """What is in the batch of a number."""
        count, rng = self.good_of_a_batch, np.random.default_rng((self.settings.seed, number))
        if self.settings.twins:
            return self._twins(rng, self._places(number, count))
        good = [Drawn(self._turn(at)) for at in self._places(number, count)]
        product = self.good[good[0].number].category if self.settings.together else None
        return [*good, *(self._defect(rng, number, at, product) for at in range(self.settings.batch_size - count))]

    def _twins(self, rng: np.random.Generator, places: Sequence[int]) -> list[Drawn]:
        """Good parts, each seen in a new way, and again with a defect; as many of them are new as the pool is large."""
        if self.settings.pool:
            places = rng.integers(self.settings.pool, size=len(places)).tolist()
        good = [Drawn(self._turn(at), view=(at,)) for at in places]
        if self.settings.augmentation is None:
            return good
        textures = [_any(self.products, np.random.default_rng((self.settings.seed, 1, at))) for at in places]
        return [*good, *(one._replace(flaw=one.view, texture=at) for one, at in zip(good, textures, strict=True))]

    def _places(self, number: int, count: int) -> range:
        """Which turns the good parts of a batch are."""
        if not self.settings.together:
            return range(number * count, (number + 1) * count)
        every = len(self.products)
        cycle, product = divmod(number, every)
        return range(cycle * count * every + product, (cycle + 1) * count * every, every)

    def _turn(self, at: int) -> int:
        """The good part at a place: products in turn, and each one's are shuffled anew when all have been drawn."""
        cycle, product = divmod(at, len(self.products))
        same = self.products[product]
        turn, place = divmod(cycle, len(same))
        if self.orders.get(product, (-1,))[0] != turn:
            rng = np.random.default_rng((self.settings.seed, 0, turn, product))
            self.orders[product] = turn, rng.permutation(same)
        return int(self.orders[product][1][place])

    def _defect(self, rng: np.random.Generator, number: int, at: int, product: str | None) -> Drawn:
        """A real defect, mirrored, or one made on a good part: where both are wanted, equally often.

        Of the product if that is said, and of any where it has none.
        """
        if self.bad and (self.settings.augmentation is None or rng.random() < 0.5):
            kinds = [each for each in self.kinds if product in (None, self.bad[each[0]].category)] or self.kinds
            return Drawn(len(self.good) + _any(kinds, rng), tuple(axis for axis in (-1, -2) if rng.random() < 0.5))
        pool = self.settings.pool
        flaw = (number, at) if pool is None else (int(rng.integers(pool)),)
        own = np.random.default_rng((self.settings.seed, 1, *flaw))
        parts = [each for each in self.products if product in (None, self.good[each[0]].category)]
        return Drawn(_any(parts, own), texture=_any(parts, own), flaw=flaw)

    def _made(self, drawn: Sequence[Drawn]) -> tuple[Tensor, Tensor, None]:
        """Images (N, 3, H, W) and masks (N, H, W)."""
        pairs = [self.picture(each) for each in drawn]
        _require_one_shape([mask for _, mask in pairs])
        images, masks = (torch.stack(each) for each in zip(*pairs, strict=True))
        return images, masks, None

    def _kept(self, drawn: Sequence[Drawn]) -> tuple[Tensor, Tensor, Features]:
        """Masks and kept features, and images: of NaN where nothing else of them is needed."""
        assert self.features
        seen = [self.features.get(self.key(each), partial(self.picture, each)) for each in drawn]
        _require_one_shape([each.mask for each in seen])
        masks = torch.stack([each.mask for each in seen])
        whole, layers = zip(*(each.features for each in seen), strict=True)
        features = Features(torch.stack(whole), tuple(torch.stack(each) for each in zip(*layers, strict=True)))
        return torch.full((1,), torch.nan).expand(len(masks), 3, *masks.shape[1:]), masks, features

    def picture(self, drawn: Drawn) -> tuple[Tensor, Tensor]:
        """Picture (3, h, w) in [0, 1], and bool mask (h, w)."""
        picture, mask = self._whole(drawn)
        if not drawn.near:
            return picture, mask
        generator = torch.Generator().manual_seed(int(self.key(drawn)[:15], 16))
        closer, truth = look_at_truth(picture[None], mask[None], generator)
        return closer[0], truth[0]

    def _whole(self, drawn: Drawn) -> tuple[Tensor, Tensor]:
        picture, mask = _as_floats(self.one(self.sample(drawn.number)))
        if drawn.view:
            seen = few_view(_as_colours(picture), np.random.default_rng((self.settings.seed, 3, *drawn.view)))
            picture = _as_picture(seen)
        if not drawn.flaw:
            return picture.flip(drawn.axes), mask.flip(drawn.axes)
        other, _ = _as_floats(self.one(self.sample(drawn.texture)))
        _require_one_shape([picture, other])
        colours, texture = _as_colours(picture), _as_colours(other)
        rng = np.random.default_rng((self.settings.seed, 2, *drawn.flaw))
        assert self.settings.augmentation
        flawed, mask_of_flaw = make_defect(self.settings.augmentation, colours, rng, texture)
        return _as_picture(flawed), torch.from_numpy(mask_of_flaw)

    def key(self, drawn: Drawn) -> str:
        """sha256 of all that decides what is seen at a place: the same for the same files, wherever they lie."""
        made = [self.settings.augmentation, self.settings.seed, drawn.flaw, self._digest(drawn.texture)]
        view = [self.settings.seed, drawn.view] if drawn.view else drawn.axes
        said = [MAKING, asdict(self.geometry), self._digest(drawn.number), view, made if drawn.flaw else None]
        said += ["near"] if drawn.near else []
        return sha256(json.dumps(said).encode()).hexdigest()

    def _digest(self, number: int) -> str:
        """Of a sample's picture and masks."""
        if not self.digests[number].any():
            sample = self.sample(number)
            sums = "".join(map(sha256_of, (sample.image, *sample.masks)))
            self.digests[number] = np.frombuffer(sha256(sums.encode()).digest(), np.uint8)
        return bytes(self.digests[number]).hex()

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

    def check(self, number: int) -> None:
        """Raises BadImage for a sample that cannot be read; one whose features are kept could be."""
        if not (self.features and self.features.has(self.key(Drawn(number)))):
            self.one(self.sample(number))


def read_examples(
    samples: Sequence[Sample],
    geometry: Geometry,
    settings: BatchSettings,
    *,
    watch: ShowProgress,
    unreadable: list[Unreadable] | None,
    features: FeatureCache | None = None,
) -> LabelledBatches:
    """All pictures looked at once, in threads; those that cannot be read are named in `unreadable`, or raised."""
    found = LabelledBatches(samples, geometry, settings, features)
    numbers = {found.sample(number).image: number for number in range(len(samples))}
    advance = watch("reading pictures", len(numbers))
    pictures = read_each(numbers, lambda source: found.check(numbers[Path(source.id)]), advance=advance)
    readable = {Path(source.id) for source, _ in keep_readable(pictures, unreadable)}
    if len(readable) == len(numbers):
        return found
    kept = LabelledBatches([each for each in samples if each.image in readable], geometry, settings, features)
    kept.cache, kept.room = found.cache, found.room
    return kept


def prepare_example(sample: Sample, geometry: Geometry) -> tuple[Tensor, Tensor]:
    """Picture and mask read and framed alike; raises BadImage."""
    prepared = prepare(sample.image, geometry)
    picture = as_tensor(np.rint(next(iter(prepared.inputs)) * 255).astype(np.uint8))
    if not sample.masks:
        return picture, torch.zeros(picture.shape[-2:], dtype=torch.bool)
    height, width = prepared.picture.shape[-2:]
    truth = read_ground_truth(sample.masks, sample.image, size=(height, width))
    return picture, as_tensor(frame(truth[None], geometry)[0] >= 0.5)


def _group(keys: Iterable[tuple[str, ...]]) -> list[NDArray[np.int64]]:
    """The numbers of those that have a key in common, in the order of the keys."""
    found = dict[tuple[str, ...], list[int]]()
    for number, key in enumerate(keys):
        found.setdefault(key, []).append(number)
    return [np.array(found[key]) for key in sorted(found)]


def _any(groups: Sequence[NDArray[np.int64]], rng: np.random.Generator) -> int:
    """A number of any group, each group equally often."""
    same = groups[int(rng.integers(len(groups)))]
    return int(same[int(rng.integers(len(same)))])


def _as_floats(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return pair[0].float() / 255, pair[1]


def _as_colours(picture: Tensor) -> Colours:
    """(3, h, w) -> (h, w, 3)."""
    found: Colours = picture.permute(1, 2, 0).contiguous().numpy()
    return found


def _as_picture(colours: Colours) -> Tensor:
    """(h, w, 3) -> (3, h, w)."""
    return torch.from_numpy(np.ascontiguousarray(colours.transpose(2, 0, 1)))


def _require_one_shape(pictures: Sequence[Tensor]) -> None:
    shapes = sorted({tuple(picture.shape[-2:]) for picture in pictures})
    if len(shapes) > 1:
        sizes = " and ".join(f"{width} x {height}" for height, width in shapes[:2])
        raise BadInput(f"pictures of {sizes} cannot be trained on together: cut or pad them to one shape first")
