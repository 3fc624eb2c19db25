"""What a classifier sees of each place of a picture, as it is and mirrored: how regions of examples are learned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from blemish.blocks.rotation import mirror_back, mirrors
from blemish.images import Places
from blemish.types import Classifier

VIEWS = 4
"""The picture, mirrored left to right, top to bottom, and both ways."""


class MirroredPlaces:
    """A classifier's places in all views side by side, each where it lies in the picture."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier, self.types, self.geometry = classifier, classifier.types, classifier.geometry

    def places(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, h, w, 4 C)."""
        plain, look = self.classifier.places(images), self.classifier.places
        return torch.cat([plain, *mirror_back(look(each) for each in mirrors(images))], -1)


def split_views(places: Sequence[Places]) -> list[list[Places]]:
    """Of places (h, w, 4 C + 1), the last channel being a map, those of each view, (h, w, C + 1)."""
    views = list[list[Places]]()
    for number in range(VIEWS):
        parts = [np.split(each.grid[..., :-1], VIEWS, -1)[number] for each in places]
        grids = [np.concatenate([part, each.grid[..., -1:]], -1) for part, each in zip(parts, places, strict=True)]
        views.append([each._replace(grid=grid) for each, grid in zip(places, grids, strict=True)])
    return views
