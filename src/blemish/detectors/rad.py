"""RAD. Zhang, Li, Henderson, Aragon-Camarasa & Long, "Is Task-Specific Training Necessary for Anomaly Detection?",
2026, arXiv:2601.22763.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.maps import fuse_mean, smooth, top_mean, upsample
from blemish.blocks.retrieval import Gallery
from blemish.blocks.rows import Rows
from blemish.encoders.capabilities import geometry
from blemish.types import Batch, Encoder, Features, Prediction, SeamEncoder


class RAD(nn.Module):
    """Cosine distance of each patch to the nearest one about the same place of the good parts that look most alike.

    image_score: mean of the highest `fraction` of the map. anomaly_map: mean of the layers' distances, in [0, 2].
    pictures: so many good parts are compared with, by the embedding of the whole, of DINO its class token; of a
        residual network, which has none, what it pools. The paper's 900 is for VisA and Real-IAD, 48 for 3D-ADAM.
    radius: in patches, how far from the same place a patch may be; None: anywhere. The paper's 2 is for VisA, 0 for
        Real-IAD. Parts must stand at about the same place in every picture, unless it is None.
    layers: by default those at 4, 7, 10 and 12 twelfths of the depth, the paper's; of a transformer behind its last
        norm. crop: pixels of the middle that are seen; the paper resizes to 512 and sees 448.
    Good parts may be of several products at once. All patches of all of them are remembered: at 448 pixels 4 MB a
    picture with the default encoder, 13 MB with DINOv2-B.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        layers: Sequence[int] | None = None,
        pictures: int = 150,
        radius: int | None = 1,
        fraction: float = 0.01,
        sigma: float = 1.0,
        image_size: int = 448,
        crop: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoders.load(encoder)
        self.layers, self.pictures, self.radius = layers, pictures, radius
        self.fraction, self.sigma, self.image_size, self.crop = fraction, sigma, image_size, crop
        self.geometry = geometry(self.encoder, image_size, crop=crop)
        twelfths = {max(1, round(self.encoder.depth * part / 12)) for part in (4, 7, 10, 12)}
        self.taps = tuple(layers or sorted(twelfths))
        self.gallery = Gallery(len(self.taps))

    def extract(self, batch: Batch) -> tuple[Rows, ...]:
        """The embedding of each picture, and its patches in every layer."""
        whole, patches = self._look(batch.images)
        return (tuple(F.normalize(each, dim=-1) for each in (whole, *patches)),)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction; raises BadInput for a size not fitted."""
        whole, patches = self._look(images)
        alike = self.gallery.nearest(whole, self.pictures)  # (N, k)
        grids = [self.gallery.distance(at, layer, alike, self.radius) for at, layer in enumerate(patches)]  # (N, h, w)
        whole_map = fuse_mean(*(upsample(each, images.shape[-2:]) for each in grids))  # (N, H, W)
        found = smooth(whole_map, self.sigma, radius=round(2 * self.sigma), border="mirror")
        return Prediction(top_mean(found, self.fraction), found)

    def _look(self, images: Tensor) -> Features:
        whole, patches = self.encoder(images, layers=self.taps)
        if "seams" in self.encoder.can:
            norm = cast(SeamEncoder, self.encoder).norm
            patches = tuple(norm(each) for each in patches)
        return Features(whole, patches)
