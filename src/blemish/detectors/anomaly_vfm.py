"""AnomalyVFM. Fucka, Zavrtanik & Skocaj, "AnomalyVFM - Transforming Vision Foundation Models into Zero-Shot Anomaly
Detectors", CVPR 2026, arXiv:2601.20524.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.learned import Updates
from blemish.blocks.losses import balanced_focal, masks_of, weigh_by_trust
from blemish.blocks.low_rank import LowRank, LowRankForm, gather_updates
from blemish.blocks.maps import upsample
from blemish.blocks.mask_decoder import PUBLISHED, DecodedMask, MaskDecoder
from blemish.blocks.patches import pool_neighbours
from blemish.blocks.tokens import read_tokens
from blemish.encoders.capabilities import geometry
from blemish.encoders.inputs import device_of
from blemish.training.fabric import randomness
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Encoder, Prediction, SeamEncoder


class AnomalyVFM(nn.Module):
    """The attention of a vision transformer learns a little, a decoder makes the mask of a defect of its last patches,
    and a linear map judges its class token; for all products.

    anomaly_map: probability of a defect, averaged over 5 x 5 places of twice the patch grid. image_score: the same of
    the picture by its class token, or the mean of the patches where there is none.
    form: "dora" with the authors' public weights and results, or the paper's "lora". rank, alpha: of the update.
    They run CLIP and DINOv2 at 672 pixels, CLIP without its last norm, as it is here. Deviation: they train on 10,000
    generated photographs with inpainted defects; here on pictures of any products with real masks and made defects.
    Deviation: layer scales belong to the matrices that are updated, see `blocks.low_rank`.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        rank: int = 64,
        alpha: float = 1.0,
        form: LowRankForm = "dora",
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = cast(SeamEncoder, encoders.load(encoder, needs={"seams"}))
        self.rank, self.alpha, self.form = rank, alpha, form
        self.image_size, self.seed = image_size, seed
        self.geometry = geometry(self.encoder, image_size)
        patch, width = self.encoder.patch_size, self.encoder.widths[-1]
        blank = torch.zeros(1, 3, patch, patch, device=device_of(self.encoder))
        self.update = LowRank(self.encoder, blank, rank=rank, alpha=alpha, form=form, seed=seed)
        with randomness(torch.device("cpu"), seed):
            self.decoder, self.judge = MaskDecoder(width), nn.Linear(width, 1)
        self.updates = Updates()
        self.requires_grad_(False).eval()

    @property
    def schedule(self) -> Schedule:
        """The authors' of CLIP and DINOv2, at a constant rate: batches of 32 in four parts."""
        return Schedule(steps=500, rate=1e-4, batch_size=8, accumulate=4, floor=1.0)

    def trained_parameters(self) -> list[ParameterGroup]:
        """The update, the decoder, and the picture's map."""
        parts = (self.update, self.decoder, self.judge)
        return [ParameterGroup([each for part in parts for each in part.parameters()], decay=0.01)]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Focal of the picture; of each place focal and absolute error, weighed by how much the decoder trusts it."""
        truth = masks_of(batch)
        logits, mask = self._look(batch.images)
        size = list(mask.logits.shape[1:])
        self.updates.add()
        there = (F.interpolate(truth[:, None], size, mode="bilinear", antialias=True)[:, 0] > 0.5).to(truth)
        errors = (mask.logits.sigmoid().clamp(0.1, 0.9) - there).abs()
        places = weigh_by_trust(5 * balanced_focal(mask.logits, there) + errors, mask.trust)
        return {"image": balanced_focal(logits, truth.flatten(1).amax(1)).mean(), "map": places}

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, both parts in [0, 1]."""
        self.updates.require()
        logits, mask = self._look(images)
        grid = pool_neighbours(mask.logits.sigmoid()[..., None], 5).squeeze(-1)  # (N, 2h, 2w)
        return Prediction(logits.sigmoid(), upsample(grid, images.shape[-2:]))

    def published(self, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of the authors' files, their program's or the hub's: whole models, of whose towers the updates are used."""
        own = {name.replace("_state_dict.", "."): tensor for name, tensor in theirs.items()}
        found = {f"update.{name}": tensor for name, tensor in gather_updates(own).items()}
        places = {f"decoder.{ours}": f"decoder.{name}" for ours, name in PUBLISHED.items()} | {"judge": "predictor.lin"}
        pairs = [(f"{ours}.{part}", f"{name}.{part}") for ours, name in places.items() for part in ("weight", "bias")]
        return found | {ours: own[name] for ours, name in pairs if name in own}

    def _look(self, images: Tensor) -> tuple[Tensor, DecodedMask]:
        """Logits of the pictures (N,), and their masks."""
        whole, (patches,) = read_tokens(self.encoder, images, [self.encoder.depth], matrices=self.update)
        if "text" not in self.encoder.can:
            whole, patches = self.encoder.norm(whole), self.encoder.norm(patches)
        return self.judge(whole).squeeze(1), self.decoder(patches)
