"""GenCLIP: "Generalizing CLIP Prompts for Zero-shot Anomaly Detection", arXiv:2504.14919.

Reconstructed from the abstract.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.heads import draw_affine
from blemish.training.sentences import TEMPERATURE, FrozenSentenceDetector, Judged
from blemish.types import Encoder, Features

ANY, SUFFIXES = "object", ("{}.", "bad {}.")
SMALL = 0.1  # of the tokens of pictures, at first, times those of words


class GenCLIP(FrozenSentenceDetector):
    """Sentences of learned query words, which one token of each layer of the picture precedes.

    branches: of inference, by sentences with the picture's tokens ("vision"), without ("query"), or the mean of "both".
    term_weights: the product's name counts by how much likelier it is for the picture than "object" is; else fully.
    The abstract says: a general query prompt, conditioned on several layers in training; two branches at inference;
    names that CLIP does not know are removed (arXiv), or weighed (journal), which is what stands here.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        product: str = "object",
        branches: Literal["both", "vision", "query"] = "both",
        term_weights: bool = True,
        tokens: int = 8,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=tokens)
        self.product, self.branches, self.term_weights = product, branches, term_weights
        self.read_layers()
        generator, width = torch.Generator().manual_seed(seed), self.encoder.width
        self.pictures = nn.ModuleList(draw_affine(width, self.encoder.prompt_width, generator) for _ in self.taps)
        self.requires_grad_(False).eval()

    def say(self, seen: Features, texts: Tensor, products: Sequence[str] | None = None) -> Tensor:
        """Of each branch and picture a normal and an anomalous text: (B, N, 2, D)."""
        names = list(products or [self.product] * len(seen.image))
        means = [F.normalize(each.mean((1, 2)), dim=-1) for each in seen.patches]  # (N, D) a layer
        pairs = zip(self.pictures, means, strict=True)
        shown = SMALL * torch.stack([linear(mean) for linear, mean in pairs], 1)  # (N, L, width)
        ahead = {"vision": [shown], "query": [shown[:, :0]], "both": [shown, shown[:, :0]]}[self.branches]
        if not self.term_weights:
            return torch.stack([self._texts(each, names) for each in ahead])
        weights = self._weigh(seen.image, names)[:, None, None]
        mixed = (weights * self._texts(e, names) + (1 - weights) * self._texts(e, [ANY] * len(names)) for e in ahead)
        return F.normalize(torch.stack(list(mixed)), dim=-1)

    def judge(self, seen: Features, texts: Tensor) -> Judged:
        """By the last layer, a grid a branch."""
        last = seen._replace(patches=seen.patches[-1:])
        found = [super(GenCLIP, self).judge(last, branch) for branch in texts]
        return Judged(torch.stack([each.picture for each in found]).mean(0), tuple(each.grids[0] for each in found))

    def _texts(self, ahead: Tensor, names: Sequence[str]) -> Tensor:
        """Of tokens (N, L, width), and a name each: (N, 2, D)."""
        states = list(zip(self.sentences.context, SUFFIXES, strict=True))
        said = [
            (words, shown, suffix.format(name))
            for shown, name in zip(ahead, names, strict=True)
            for words, suffix in states
        ]
        both: Tensor = F.normalize(self.sentences.encode(self.encoder, said), dim=-1).unflatten(0, (-1, 2))
        return both

    def _weigh(self, images: Tensor, names: Sequence[str]) -> Tensor:
        """How much likelier than `ANY` each picture's name is: (N, D) -> (N,), in [0, 1]."""
        known = F.normalize(self.encoder.encode_text([f"a photo of a {name}." for name in (ANY, *names)]), dim=-1)
        unit = F.normalize(images, dim=-1)
        return (((unit * known[1:]).sum(-1) - unit @ known[0]) / TEMPERATURE).sigmoid()
