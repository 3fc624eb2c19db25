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


class Rarity(NamedTuple):
    """How rare a picture is in the stream so far."""

    map: Tensor | None  # (h, w), None for the first
    likeness: Tensor  # (layers, n), cosine of its foreground with that of each picture so far
    patches: list[Tensor]  # (P, C) of each layer in each neighbourhood, of unit length
    parts: list[Tensor]  # (C,) a layer, the mean of its foreground
    compared: list[Comparison]  # of each of `patches`


class PatchStream(Learned):
    """Patches of the pictures so far, those least like earlier ones, and how well each fits into each picture."""

    features: Tensor
    fits: Tensor

    def __init__(self) -> None:
        super().__init__("features: M C", "fits: J M")


class PictureStream(Learned):
    """What is kept of each picture so far: its embedding, its score, the mean of its foreground in each layer."""

    count: Tensor  # (1,), of all pictures
    mean: Tensor  # (h, w), of their text maps: how likely each patch shows the part
    embeddings: Tensor
    scores: Tensor

    def __init__(self, layers: int) -> None:
        parts = [f"parts{number}" for number in range(layers)]
        named = (f"{name}: n C{number}" for number, name in enumerate(parts))
        super().__init__("count: one", "mean: h w", "embeddings: n D", "scores: n", *named)
        self.parts = parts


class RarityStream(nn.Module):
    """All that is kept of a stream: its patches in every neighbourhood of every layer, and its pictures."""

    def __init__(self, layers: int, sizes: Sequence[int], *, share: float) -> None:
        super().__init__()
        self.sizes, self.share, self.pictures = sizes, share, PictureStream(layers)
        self.banks = cast("Sequence[PatchStream]", nn.ModuleList(PatchStream() for _ in range(layers * len(sizes))))

    def forget(self) -> None:
        """The next picture is the first."""
        for each in (self.pictures, *self.banks):
            each.forget()


def compare_picture(stream: RarityStream, grids: Sequence[Tensor], foreground: Tensor | None) -> Rarity:
    """Of a picture's layers (h, w, C); `foreground` (h, w) is how likely each patch shows the part."""
    patches = [neighbourhoods(each, size) for size in stream.sizes for each in grids]
    parts = [foreground_mean(each, foreground) for each in grids]
    if foreground is None or not len(stream.pictures.scores):
        return Rarity(None, patches[0].new_empty(len(parts), 0), patches, parts, [])
    return _compare_all(stream, patches, parts, foreground)


def remember_picture(
    stream: RarityStream, seen: Seen, found: Rarity, score: Tensor, *, kept: float, back: tuple[int, int]
) -> None:
    """Add a picture: at most the patches of `kept` pictures stay, and pictures so far `back`, fits and scores."""
    for bank, rows, compared in zip_longest(stream.banks, found.patches, found.compared):
        features, fits = (rows, rows.new_ones(1, len(rows))) if compared is None else _extend(bank, rows, compared)
        chosen = novel_rows(features, int(kept * len(rows)))
        bank.features, bank.fits = features[chosen], fits[:, chosen][-back[0] :]
    known, new = stream.pictures, {"embeddings": seen.embedding, "scores": score}
    known.mean, known.count = foreground_with(known, seen.text), known.count.sum(0, keepdim=True) + 1
    for name, row in (new | dict(zip(known.parts, found.parts, strict=True))).items():
        setattr(known, name, torch.cat([known.get_buffer(name).view(-1, *row.shape), row[None]])[-back[1] :])


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


def novel_rows(features: Tensor, count: int) -> Tensor:
    """Numbers, ascending, of at most `count` unit rows (M, C) that are least like any before (sequential coreset)."""
    if len(features) <= count:
        return torch.arange(len(features), device=features.device)
    before = torch.tril(features @ features.T, diagonal=-1).amax(1)
    return before.topk(count, largest=False).indices.sort().values


def share_score(known: PictureStream, seen: Seen, score: Tensor, likeness: Tensor, *, every: int) -> Tensor:
    """The score, averaged with those of the most similar pictures, one of every `every`, itself and 8 at most."""
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
    similarity = patches @ bank.features.T  # (P, M)
    near, numbers = similarity.topk(min(nearest, similarity.shape[1]), dim=1)
    given = (loosen(near, tail) * bank.fits[:, numbers]).mean(-1)  # (J, P)
    return Comparison(1 - best_mean(given, share), given, loosen(similarity.amax(0), tail))


def _compare_all(stream: RarityStream, patches: list[Tensor], parts: list[Tensor], foreground: Tensor) -> Rarity:
    known = stream.pictures
    like = torch.stack([known.get_buffer(name) @ part for name, part in zip(known.parts, parts, strict=True)])
    pairs = zip(stream.banks, patches, strict=True)
    compared = [compare_patches(bank, rows, share=stream.share) for bank, rows in pairs]
    rare = torch.stack([each.rarity for each in compared]).mean(0).view_as(foreground)
    whole = (1 - best_mean(like.T, stream.share)).mean().clamp_min(0)  # of the picture
    return Rarity(rare + whole * (1 + stretch(foreground)), like, patches, parts, compared)


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


def join(found: Sequence[Prediction]) -> Prediction:
    """Predictions of several pictures as that of a batch."""
    scores, maps = ([each[at] for each in found] for at in (0, 1))
    return Prediction(torch.cat(cast("list[Tensor]", scores)), torch.cat(cast("list[Tensor]", maps)))
