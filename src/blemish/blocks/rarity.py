"""How rare a picture and its patches are among the pictures of a stream so far."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from math import ceil
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.learned import Learned
from blemish.blocks.rows import Rows
from blemish.types import Prediction

SHARPNESS = 200.0
"""Of the softmax over similar pictures."""


class Seen(NamedTuple):
    """What one picture looks like, whatever came before."""

    embedding: Tensor  # (D,), of unit length
    worded: Tensor  # (), probability of the anomalous words
    text: Tensor  # (h, w), of each patch
    grids: tuple[Tensor, ...]  # (h, w, C) a layer, for rarity


class Comparison(NamedTuple):
    """A picture's patches, compared with what is remembered."""

    rarity: Tensor  # (P,), in [0, 1]
    given: Tensor  # (J, P), how well each patch fits into each picture before
    present: Tensor  # (M,), how well each remembered patch fits into this picture
    unlike: Tensor | None  # (P,), 1 - the similarity to the nearest patch of good parts, if there are any


class Rarity(NamedTuple):
    """How rare a picture is in the stream so far."""

    map: Tensor | None  # (h, w), None for the first
    likeness: Tensor  # (layers, n), cosine of its foreground with that of each picture so far, good parts left out
    patches: list[Tensor]  # (P, C) of each layer in each neighbourhood, of unit length
    parts: list[Tensor]  # (C,) a layer, the mean of its foreground
    compared: list[Comparison]  # of each of `patches`


class PatchStream(Learned):
    """Patches of the pictures so far, those least like earlier ones, and how well each fits into each picture."""

    features: Tensor
    fits: Tensor
    good: Tensor  # (1,), how many of the first are of good parts

    def __init__(self) -> None:
        super().__init__("features: M C", "fits: J M", "good: one")


class PictureStream(Learned):
    """What is kept of each picture so far, and of good parts before it: the mean of its foreground in each layer."""

    count: Tensor  # (1,), of all pictures
    mean: Tensor  # (h, w), of their text maps: how likely each patch shows the part

    def __init__(self, layers: int) -> None:
        parts = [f"parts{number}" for number in range(layers)]
        super().__init__("count: one", "mean: h w", *(f"{name}: n C{number}" for number, name in enumerate(parts)))
        self.parts = parts


class ScoreStream(Learned):
    """What is kept of each picture so far besides: its embedding and its score; not of good parts."""

    embeddings: Tensor
    scores: Tensor

    def __init__(self) -> None:
        super().__init__("embeddings: n D", "scores: n")


class GoodParts(Learned):
    """Those a stream begins with: how likely each patch shows the part, and every layer's patches."""

    text: Tensor

    def __init__(self, layers: int) -> None:
        super().__init__("text: k h w", *(f"layer{number}: k h w C{number}" for number in range(layers)))


class RarityStream(nn.Module):
    """All that is kept of a stream: its patches in every neighbourhood of every layer, and its pictures.

    As a memory it remembers good parts, a row of (h, w) how likely patches show the part and of a layer (h, w, C) each,
    and begins with them. kept: how many pictures' patches stay; back: how many pictures' fits, and scores.
    """

    def __init__(
        self, layers: int, sizes: Sequence[int], *, share: float, kept: float = 3.0, back: tuple[int, int] = (200, 1000)
    ) -> None:
        super().__init__()
        self.sizes, self.share, self.kept, self.back = sizes, share, kept, back
        self.good, self.pictures, self.scored = GoodParts(layers), PictureStream(layers), ScoreStream()
        self.banks = cast("Sequence[PatchStream]", nn.ModuleList(PatchStream() for _ in range(layers * len(sizes))))

    @property
    def fitted(self) -> bool:
        """Whether it begins with good parts."""
        return self.good.fitted

    def recall(self) -> Rows:
        """The good parts."""
        return tuple(map(self.good.get_buffer, self.good.layout))

    def hold(self, *rows: Tensor) -> None:
        """Begin anew, with these good parts."""
        self.forget()
        if len(rows[0]):
            self.good.store(dict(zip(self.good.layout, rows, strict=True)))
        for text, *grids in zip(*self.recall(), strict=True):
            remember_patches(self, compare_picture(self, grids, foreground_with(self.pictures, text)), text)

    def forget(self) -> None:
        """The next picture is the first, and there are no good parts."""
        for each in (self.good, self.pictures, self.scored, *self.banks):
            each.forget()


def compare_picture(stream: RarityStream, grids: Sequence[Tensor], foreground: Tensor | None) -> Rarity:
    """Of a picture's layers (h, w, C); `foreground` (h, w) is how likely each patch shows the part."""
    patches = [neighbourhoods(each, size) for size in stream.sizes for each in grids]
    parts = [foreground_mean(each, foreground) for each in grids]
    if foreground is None or not len(stream.pictures.count):
        return Rarity(None, patches[0].new_empty(len(parts), 0), patches, parts, [])
    return _compare_all(stream, patches, parts, foreground)


def remember_picture(stream: RarityStream, seen: Seen, found: Rarity, score: Tensor) -> None:
    """Add a picture and its score."""
    remember_patches(stream, found, seen.text)
    for name, row in {"embeddings": seen.embedding, "scores": score}.items():
        _append(stream.scored, name, row, back=stream.back[1])


def remember_patches(stream: RarityStream, found: Rarity, text: Tensor) -> None:
    """Add what a picture's patches and its foreground look like; the first pictures are the good parts.

    Patches that make room are like earlier ones; those of good parts make none when only a quarter of them is left.
    """
    known, shots = stream.pictures, len(stream.good.text)
    begins = known.count.sum() < shots
    for bank, rows, compared in zip_longest(stream.banks, found.patches, found.compared):
        features, fits = (rows, rows.new_ones(1, len(rows))) if compared is None else _extend(bank, rows, compared)
        good, most = int(bank.good.sum() + len(rows) * begins), int(stream.kept * len(rows))
        chosen = novel_rows(features, most, first=good if good <= min(shots * len(rows) // 4, most) else 0)
        bank.features, bank.fits = features[chosen], fits[:, chosen][-stream.back[0] :]
        bank.good = (chosen < good).sum(0, keepdim=True).to(features)
    known.mean, known.count = foreground_with(known, text), known.count.sum(0, keepdim=True) + 1
    for name, row in zip(known.parts, found.parts, strict=True):
        _append(known, name, row, back=stream.back[1], first=shots)


def foreground_with(known: PictureStream, text: Tensor) -> Tensor:
    """The mean of the text maps so far and of this one, (h, w)."""
    count = known.count.sum()
    return text.clone() if not len(known.mean) else (known.mean * count + text) / (count + 1)


def foreground_mean(grid: Tensor, foreground: Tensor | None) -> Tensor:
    """Mean of the patches (h, w, C) in the half that is most foreground (h, w), or of all, of unit length: (C,)."""
    rows = grid.flatten(0, 1)
    if foreground is not None:
        rows = rows[foreground.flatten().topk(max(1, len(rows) // 2)).indices]
    return F.normalize(rows.mean(0), dim=-1)


def neighbourhoods(grid: Tensor, size: int) -> Tensor:
    """Mean over each size x size neighbourhood, outside the nearest patch, of unit length: (h, w, C) -> (h * w, C)."""
    around = F.pad(grid.permute(2, 0, 1)[None], [size // 2] * 4, "replicate")
    return F.normalize(F.avg_pool2d(around, size, 1)[0].flatten(1).T, dim=-1)


def novel_rows(features: Tensor, count: int, *, first: int = 0) -> Tensor:
    """Numbers, ascending, of at most `count` unit rows (M, C) that are least like any before (sequential coreset).

    The first ones are among them in any case.
    """
    if len(features) <= count:
        return torch.arange(len(features), device=features.device)
    before = torch.cat([_likest_before(features[: start + len(rows)], len(rows)) for start, rows in _blocks(features)])
    before[:first] = -1.0
    return before.topk(count, largest=False).indices.sort().values


def _blocks(features: Tensor, size: int = 256) -> list[tuple[int, Tensor]]:
    return list(zip(range(0, len(features), size), features.split(size), strict=True))


def _likest_before(features: Tensor, last: int) -> Tensor:
    """Of the last so many rows, the highest similarity to any row before it, at least 0: (last,)."""
    similarity = features[-last:] @ features.T
    similarity[:, -last:].tril_(diagonal=-1)
    return similarity.amax(1).clamp_min(0)


def share_score(known: ScoreStream, seen: Seen, score: Tensor, likeness: Tensor, *, every: int) -> Tensor:
    """The score, averaged with those of the most similar pictures, one of every `every`, itself and 8 at most.

    As it is where fewer than `every` were before.
    """
    if likeness.shape[1] < every:
        return score
    similar = known.embeddings @ seen.embedding + likeness.sum(0)
    similar = torch.cat([similar, similar.new_full((1,), 1.0 + len(likeness))])  # with itself
    top, numbers = (similar / similar.amax()).topk(min(ceil(len(similar) / every), 9))
    return ((SHARPNESS * top).softmax(0) * torch.cat([known.scores, score[None]])[numbers]).sum()


def compare_patches(
    bank: PatchStream, patches: Tensor, *, share: float, nearest: int = 3, tail: float = 0.01
) -> Comparison:
    """Of unit patches (P, C): 1 - the mean over the `share` of pictures into which a patch fits best.

    It fits into a picture as its `nearest` remembered patches do, each by its similarity; the highest `tail` of
    similarities count as 1.
    """
    good = int(bank.good.sum())
    similarity = patches @ bank.features.T  # (P, M)
    near, numbers = similarity.topk(min(nearest, similarity.shape[1]), dim=1)
    given = (loosen(near, tail) * bank.fits[:, numbers]).mean(-1)  # (J, P)
    unlike = 1 - loosen(similarity[:, :good].amax(1), tail) if good else None
    return Comparison(1 - best_mean(given, share), given, loosen(similarity.amax(0), tail), unlike)


def _compare_all(stream: RarityStream, patches: list[Tensor], parts: list[Tensor], foreground: Tensor) -> Rarity:
    known, shots = stream.pictures, len(stream.good.text)
    like = torch.stack([known.get_buffer(name) @ part for name, part in zip(known.parts, parts, strict=True)])
    pairs = zip(stream.banks, patches, strict=True)
    compared = [compare_patches(bank, rows, share=stream.share) for bank, rows in pairs]
    rare = torch.stack([each.rarity for each in compared]).mean(0)  # (P,)
    whole = (1 - best_mean(like.T, stream.share)).mean()  # of the picture
    if shots:
        unlike = torch.stack([each.unlike for each in compared if each.unlike is not None]).mean(0)
        others, weight = (1 - shots / known.count.sum()).clamp_min(0), shots / 8
        rare = (others * rare + weight * unlike) / (others + weight)
        whole = (others * whole + weight * (1 - like[:, :shots].amax(1)).mean()) / (others + weight)
    grid = rare.view_as(foreground) + whole.clamp_min(0) * (1 + stretch(foreground))
    return Rarity(grid, like[:, shots:], patches, parts, compared)


def _append(known: Learned, name: str, row: Tensor, *, back: int, first: int = 0) -> None:
    """Another row, of which only the first and the last `back` stay."""
    rows = torch.cat([known.get_buffer(name).view(-1, *row.shape), row[None]])
    setattr(known, name, torch.cat([rows[:first], rows[first:][-back:]]))


def _extend(bank: PatchStream, patches: Tensor, found: Comparison) -> tuple[Tensor, Tensor]:
    """The bank's features and fits, with those of a picture."""
    ours = patches.new_ones(1, len(patches))
    before, now = torch.cat([bank.fits, found.given], 1), torch.cat([found.present[None], ours], 1)
    return torch.cat([bank.features, patches]), torch.cat([before, now])


def loosen(similarities: Tensor, tail: float) -> Tensor:
    """Similarities relative to the one that only the share `tail` of them exceeds, at most 1 (loose similarity)."""
    count = max(1, int(similarities.numel() * (1 - tail)))
    return (similarities / similarities.flatten().kthvalue(count).values).clamp(max=1)


def stretch(values: Tensor) -> Tensor:
    """From their lowest to their highest brought to [0, 1]; equal ones to 0."""
    return (values - values.amin()) / (values.amax() - values.amin()).clamp_min(1e-12)


def best_mean(values: Tensor, share: float) -> Tensor:
    """Mean over the highest `share`, rounded up, of the first axis: (J, ...) -> (...)."""
    return values.topk(ceil(len(values) * share), dim=0).values.mean(0)


def stack_pictures(seen: Sequence[Seen]) -> Rows:
    """What a stream remembers of good parts: (N, h, w) how likely patches show the part, and (N, h, w, C) a layer."""
    layers = zip(*(each.grids for each in seen), strict=True)
    return torch.stack([each.text for each in seen]), *map(torch.stack, layers)


def join(found: Sequence[Prediction]) -> Prediction:
    """Predictions of several pictures as that of a batch."""
    scores, maps = ([each[at] for each in found] for at in (0, 1))
    return Prediction(torch.cat(cast("list[Tensor]", scores)), torch.cat(cast("list[Tensor]", maps)))
