"""RareCLIP. He et al., "RareCLIP: Rarity-aware Online Zero-shot Industrial Anomaly Detection", ICCV 2025."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks import rarity
from blemish.blocks.heads import LayerHeads, quarters
from blemish.blocks.learned import Updates
from blemish.blocks.losses import likeness_loss, map_losses, masks_of
from blemish.blocks.maps import smooth, upsample
from blemish.blocks.prompts import ensemble, prototypes
from blemish.blocks.rarity import Rarity, Seen
from blemish.blocks.rows import Rows
from blemish.encoders.capabilities import geometry
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Encoder, Features, Prediction, TextEncoder


class RareCLIP(nn.Module):
    """Patches that are rare in the stream of pictures so far, on top of what trained heads say of words.

    A score depends on the pictures before, in their order: `follow` scores pictures one by one and remembers each, a
    plain call remembers nothing, `stream.forget` begins anew, and a saved state holds it. The first picture has words
    alone, the first few say little; after `fit` a stream begins with a few good parts, and being unlike them counts.

    image_score: the highest value of the map and the probability of the anomalous words, in a stream of more than
        `every` pictures averaged with those of similar ones.
    online: whether commands follow the stream; otherwise each picture is scored by the stream that the state holds.
    layers, text_layers: for rarity and for words, by default (6, 12, 18, 24) and (12, 16, 20, 24) of 24; several grids
        are brought to the last one's.
    kept: how many pictures' patches are remembered; pictures, images: how far back their fits and their scores go.
    Trained on pictures of other products. The authors run OpenAI's weights with `activation="gelu"` and
    `resize="bicubic-antialias"`, see `encoders.load`.
    """

    texts: Tensor

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        online: bool = True,
        layers: Sequence[int] | None = None,
        text_layers: Sequence[int] | None = None,
        sizes: Sequence[int] = (1, 3),
        kept: float = 3.0,
        pictures: int = 200,
        images: int = 1000,
        share: float = 0.3,
        every: int = 20,
        temperature: float = 0.05,
        sigma: float = 4.0,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.online, self.layers, self.text_layers, self.sizes = online, layers, text_layers, sizes
        self.kept, self.pictures, self.images, self.share, self.every = kept, pictures, images, share, every
        self.temperature, self.sigma, self.image_size, self.seed = temperature, sigma, image_size, seed
        self.geometry, depth = geometry(self.encoder, image_size), self.encoder.depth
        self.rare = tuple(layers or quarters(depth))
        self.worded = tuple(text_layers or sorted({max(1, depth * part // 6) for part in (3, 4, 5, 6)}))
        self.heads = LayerHeads([self.encoder.widths[tap - 1] for tap in self.worded], self.encoder.width, seed=seed)
        self.updates, back = Updates(), (pictures, images)
        self.stream = rarity.RarityStream(len(self.rare), sizes, share=share, kept=kept, back=back)
        texts = prototypes(self.encoder, ("object", "texture"), ensemble("april-gan"), normalize_sentences=True)
        self.register_buffer("texts", texts, persistent=False)
        self.requires_grad_(False).eval()

    @property
    def schedule(self) -> Schedule:
        """The authors', for the 2,162 test pictures of VisA five times over: Adam at a constant rate."""
        return Schedule(steps=675, rate=5e-3, batch_size=16, betas=(0.5, 0.999), floor=1.0)

    def trained_parameters(self) -> list[ParameterGroup]:
        """The heads'."""
        return [ParameterGroup(list(self.heads.parameters()))]

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """What training sees: the image embedding and the layers that words are asked about."""
        return self.encoder(images, layers=self.worded)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Focal and dice loss of each layer's map, summed; every patch is to be like its picture's embedding."""
        truth, (embedding, layers) = masks_of(batch), batch.features or self.frozen(batch.images)
        heads = self.heads(layers)
        maps = [upsample(each, truth.shape[-2:], corners=True).sigmoid() for each in self._logits(heads)]
        self.updates.add()
        return map_losses(maps, truth) | {"align": likeness_loss(heads, embedding)}

    def extract(self, batch: Batch) -> tuple[Rows, ...]:
        """A row a picture: how likely its patches show the part, and its layers."""
        return (rarity.stack_pictures(self._see(batch.images)),)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, each by the stream so far, which stays as it is."""
        known = self.stream.pictures.mean if len(self.stream.pictures.mean) else None
        return rarity.join([self._score(seen, known, images.shape[-2:])[0] for seen in self._see(images)])

    def follow(self, images: Tensor) -> Prediction:
        """The same, but each picture is remembered before the next is scored."""
        found = list[Prediction]()
        for seen in self._see(images):
            known = rarity.foreground_with(self.stream.pictures, seen.text)
            scored, rare, raw = self._score(seen, known, images.shape[-2:])
            rarity.remember_picture(self.stream, seen, rare, raw)
            found.append(scored)
        return rarity.join(found)

    def _see(self, images: Tensor) -> list[Seen]:
        self.updates.require()
        taps = sorted({*self.rare, *self.worded})
        embedding, layers = self.encoder(images, layers=taps)
        at, size = dict(zip(taps, layers, strict=True)), layers[-1].shape[1:3]
        (whole,) = (each.sigmoid() for each in self._logits([embedding]))  # (N,)
        logits = self._logits(self.heads([at[tap] for tap in self.worded]))
        text = torch.stack([upsample(each.sigmoid(), size) for each in logits]).mean(0)  # (N, h, w)
        grids = [F.interpolate(at[tap].permute(0, 3, 1, 2), size, mode="area").permute(0, 2, 3, 1) for tap in self.rare]
        rows = zip(F.normalize(embedding, dim=-1), whole, text, zip(*grids, strict=True), strict=True)
        return [Seen(*row) for row in rows]

    def _logits(self, heads: Sequence[Tensor]) -> list[Tensor]:
        """How much nearer to the anomalous words, whose softmax is the sigmoid of it: (..., D) -> (...)."""
        toward = (self.texts[1] - self.texts[0]) / self.temperature
        return [F.normalize(each, dim=-1) @ toward for each in heads]

    def _score(self, seen: Seen, known: Tensor | None, size: Sequence[int]) -> tuple[Prediction, Rarity, Tensor]:
        """And its rarity, and its score before it is shared; `known` is the foreground."""
        found = rarity.compare_picture(self.stream, seen.grids, known)
        grid = seen.text if known is None else torch.maximum(seen.text, known)  # (h, w)
        if found.map is not None:
            few = self.stream.pictures.count.sum() <= 3
            grid = 2 / 3 * (found.map + grid) if few else 4 / 3 * found.map + 1 / 3 * grid
        whole = upsample(grid[None], size, corners=True)
        whole = smooth(whole, self.sigma, radius=int(3 * self.sigma), border="mirror")  # (1, H, W)
        raw = whole.amax() + seen.worded
        score = rarity.share_score(self.stream.scored, seen, raw, found.likeness, every=self.every)
        return Prediction(score[None], whole), found, raw
