"""AdaCLIP. Cao, Zhang, Frittoli, Cheng, Shen & Boracchi, "AdaCLIP: Adapting CLIP with Hybrid Learnable Prompts for
Zero-Shot Anomaly Detection", ECCV 2024, arXiv:2407.15795.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.clusters import pool_clusters
from blemish.blocks.heads import LayerHeads, quarters
from blemish.blocks.hybrid_prompts import HybridPrompts, gather_prompts
from blemish.blocks.learned import Updates
from blemish.blocks.losses import focal_probability, masks_of, segmentation
from blemish.blocks.maps import fuse_mean, smooth, upsample
from blemish.blocks.prompts import ensemble, prototypes
from blemish.blocks.similarity import text_margin
from blemish.blocks.text_adapters import ChangedReader
from blemish.encoders.capabilities import geometry
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Encoder, Prediction, PromptEncoder, SeamEncoder


class Seen(NamedTuple):
    """What one look at pictures gives, all of unit length."""

    whole: Tensor  # (N, D)
    patches: list[Tensor]  # (N, h, w, D) of each layer
    texts: Tensor  # (N, 2, D), of each picture its own


class AdaCLIP(nn.Module):
    """Layers through linear heads against words, where both towers read learned tokens that each picture changes.

    image_score: probability of the anomalous words for the picture, to whose embedding the most anomalous patches, in
        groups, add `fusion` of their own.
    anomaly_map: probability of the anomalous words by the mean logits of the layers, blurred.
    tokens, blocks: learned tokens in each tower, and how many of its first blocks they enter; the text tower has none
        in the first, and its tokens take the place of the first words behind the start token.
    clusters: groups of patches, of 5 on the mean. Deviation: the authors' k-means begins at random and differs from run
        to run; here it begins at patches far from each other.
    overlap: dice loss of each row of a map, as in the authors' code, where batches of one picture lose their axis, or
        of the whole map, as in the paper.
    It needs tokens inside a transformer: a residual network has none that a prompt could join.
    Each picture is looked at twice and has sentences of its own, so it is slower than its relatives. The authors run
    OpenAI's weights with `activation="gelu"` and `resize="bicubic"`, see `encoders.load`. Deviation: they round tokens
    to half precision, and keep the epoch that is best on a test set.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        product: str = "object",
        layers: Sequence[int] | None = None,
        tokens: int = 5,
        blocks: int = 4,
        clusters: int = 20,
        fusion: float = 0.2,
        overlap: Literal["rows", "maps"] = "rows",
        temperature: float = 0.01,
        words: str = "ada-clip",
        sigma: float = 4.0,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = cast(PromptEncoder, encoders.load(encoder, needs={"text", "prompts", "seams"}))
        self.product, self.layers, self.tokens, self.blocks = product, layers, tokens, blocks
        self.clusters, self.fusion, self.overlap = clusters, fusion, overlap
        self.temperature, self.words, self.sigma = temperature, words, sigma
        self.image_size, self.seed = image_size, seed
        self.geometry, output = geometry(self.encoder, image_size), self.encoder.width
        self.taps = tuple(layers or quarters(self.encoder.depth))
        widths = [self.encoder.widths[tap - 1] for tap in self.taps]
        looking = range(1, min(blocks, self.encoder.depth) + 1)
        reading = range(2, min(blocks, self.encoder.prompt_depth) + 1)
        self.looking = HybridPrompts(widths[0], output, tokens=tokens, blocks=looking, seed=seed)
        self.reading = HybridPrompts(self.encoder.prompt_width, output, tokens=tokens, blocks=reading, seed=seed + 1)
        self.heads = LayerHeads([*widths, output], output, seed=seed)  # the last one is of the whole picture
        self.updates = Updates()
        self.requires_grad_(False).eval()

    @property
    def schedule(self) -> Schedule:
        """The authors', for the 2,105 test pictures of MVTec AD and CVC-ColonDB five times over, at a constant rate."""
        return Schedule(steps=10525, rate=0.01, batch_size=1, betas=(0.5, 0.999), floor=1.0)

    def trained_parameters(self) -> list[ParameterGroup]:
        """The prompts of both towers, and the heads."""
        parts = (self.looking, self.reading, self.heads)
        return [ParameterGroup([each for part in parts for each in part.parameters()], decay=0.01)]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Focal of the picture; focal, and dice of either class, of each layer's map."""
        truth, products = masks_of(batch), batch.products or [self.product] * len(batch)
        seen = self._look(batch.images, products)
        grids = [text_margin(each, seen.texts, self.temperature) for each in seen.patches]
        maps = [upsample(each, truth.shape[1:], corners=True).sigmoid() for each in grids]  # (N, H, W)
        self.updates.add()
        score, labels = self._score(seen, grids).sigmoid(), truth.flatten(1).amax(1)
        if self.overlap == "rows":
            maps, truth = [each.flatten(0, 1).unsqueeze(1) for each in maps], truth.flatten(0, 1).unsqueeze(1)
        return {"image": focal_probability(score, labels), **segmentation(maps, truth)}

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, both parts in [0, 1]."""
        self.updates.require()
        seen = self._look(images, [self.product] * len(images))
        grids = [text_margin(each, seen.texts, self.temperature) for each in seen.patches]  # (N, h, w) each
        mean = fuse_mean(*(upsample(each, images.shape[-2:], corners=True) for each in grids))  # (N, H, W)
        return Prediction(self._score(seen, grids).sigmoid(), smooth(mean.sigmoid(), self.sigma))

    def published(self, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of the authors' file, whose names begin with `clip_model.`: prompts of both towers, and a map a layer."""
        own = {name.removeprefix("clip_model."): each for name, each in theirs.items()}
        towers = ("looking", "visual", self.looking), ("reading", "text", self.reading)
        found = {f"{n}.{key}": each for n, t, p in towers for key, each in gather_prompts(own, t, p).items()}
        heads = [*(f"patch_token_layer.head.{at}" for at in range(len(self.taps))), "cls_token_layer.head.0"]
        pairs = [(at, f"{head}.{part}", part) for at, head in enumerate(heads) for part in ("weight", "bias")]
        return found | {f"heads.heads.{at}.{part}": own[name] for at, name, part in pairs if name in own}

    def _look(self, images: Tensor, products: Sequence[str]) -> Seen:
        with torch.no_grad():
            embedding = self.encoder(images).image  # (N, D), of the tower as it is
        encoder = cast(SeamEncoder, self.encoder)
        whole, layers = encoder(images, layers=self.taps, extra=self.looking(embedding))
        *patches, whole = (F.normalize(each, dim=-1) for each in self.heads([*layers, whole]))
        return Seen(whole, patches, self._texts(embedding, products))

    def _texts(self, embedding: Tensor, products: Sequence[str]) -> Tensor:
        """Prototypes of the normal and the anomalous product as each picture's tokens have them read: (N, 2, D)."""
        tokens, words = self.reading(embedding), ensemble(self.words)
        readers = [ChangedReader(self.encoder, {n: t[at] for n, t in tokens.items()}) for at in range(len(products))]
        pairs = zip(readers, products, strict=True)
        return torch.stack([prototypes(reader, each, words, normalize_sentences=True) for reader, each in pairs])

    def _score(self, seen: Seen, grids: Sequence[Tensor]) -> Tensor:
        """The same of the picture, with what its most anomalous patches say: (N,)."""
        places = torch.stack([each.flatten(1, 2) for each in seen.patches], 2)  # (N, h w, L, D)
        found = pool_clusters(places, fuse_mean(*grids).flatten(1), self.clusters)  # (N, D)
        whole = F.normalize(self.fusion * found + (1 - self.fusion) * seen.whole, dim=-1)
        return (whole * (seen.texts[:, 1] - seen.texts[:, 0])).sum(-1) / self.temperature
