"""AnomalyNLP: noisy-label prompt learning for few-shot anomaly detection, Electronics 14(20):4016, 2025.

Reconstructed from the abstract.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.graphs import assign
from blemish.blocks.losses import absolute_error, masks_of, whole_and_map
from blemish.blocks.maps import covered_cells
from blemish.blocks.similarity import text_margin
from blemish.training.sentences import TEMPERATURE, TOKENS, FrozenSentenceDetector, picture_logits
from blemish.types import Batch, Encoder

SHARPNESS, ROUNDS = 0.05, 50


class AnomalyNLP(FrozenSentenceDetector):
    """Learned sentences, taught by labels of which some are wrong.

    purify: the pictures of a batch are assigned to both sentences by optimal transport, with as many to each as the
        labels say; a label that disagrees is taken for wrong, and its picture has the robust loss. Else all have it.
    term: the robust loss, the mean absolute error ("mae"), which a wrong label pulls no harder than a right one, or
        "cross-entropy", which it does.
    The abstract says: MAE loss for prompts under noisy labels; prompt-driven optimal transport splits clean from
    noisy. That clean pictures have the losses of other learned sentences, and that maps follow, is chosen.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        purify: bool = True,
        term: Literal["mae", "cross-entropy"] = "mae",
        tokens: int = TOKENS,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=tokens)
        self.purify, self.term = purify, term
        self.requires_grad_(False).eval()

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Of clean pictures cross entropy, and focal and dice loss of the map; of the others the robust one of both."""
        truth, texts = masks_of(batch), self.read()
        seen, labels = self.see(batch), truth.flatten(1).amax(1)
        pictures = picture_logits(seen.image, texts[None])
        grids = text_margin(F.normalize(seen.patches[-1], dim=-1), texts[None], TEMPERATURE)
        clean = self.clean(pictures.detach(), labels) if self.purify else torch.zeros_like(labels, dtype=torch.bool)
        self.updates.add()
        found = dict[str, Tensor]()
        for name, rows in (("clean", clean), ("noisy", ~clean)):
            if rows.any():
                error = self._robust if name == "noisy" and self.term == "mae" else whole_and_map
                terms = error(pictures[rows], grids[rows], truth[rows])
                found[name] = rows.float().mean() * torch.stack(list(terms.values())).sum()
        return found

    def clean(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Whose labels (N,), 0 or 1, agree with the transport of logits (N,) of a defect: bool (N,)."""
        both = torch.stack([-logits, logits], 1) * TEMPERATURE / 2 / SHARPNESS
        prior = torch.stack([(labels == 0).sum(), (labels > 0).sum()]).clamp_min(1).to(both)
        plan = assign(both, prior, strength=1.0, rounds=ROUNDS)
        return plan.argmax(1) == labels.long()

    def _robust(self, picture: Tensor, grid: Tensor, target: Tensor) -> dict[str, Tensor]:
        cells = covered_cells(target, grid.shape[1:]).float()
        return {"image": absolute_error(picture, target.flatten(1).amax(1)), "map": absolute_error(grid, cells)}
