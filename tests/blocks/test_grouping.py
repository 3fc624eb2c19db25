"""Groups of rows, against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial import distance
from sklearn.metrics import silhouette_score

from blemish.blocks.grouping import LARGEST, group_rows, silhouette
from blemish.errors import BadInput


def test_groups_that_lie_apart_are_found_the_largest_first() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.eye(5)[:3].repeat_interleave(torch.tensor([4, 9, 6]), 0)
    rows = centres + 0.05 * torch.randn(19, 5, generator=generator)
    assert group_rows(rows).tolist() == [2] * 4 + [0] * 9 + [1] * 6
    assert group_rows(rows, 1).tolist() == [0] * 19


def test_the_silhouette_is_that_of_scikit_learn() -> None:
    rows = np.random.default_rng(0).normal(size=(30, 4))
    groups = np.arange(30) % 4
    square = distance.squareform(distance.pdist(rows, "cosine"))
    assert silhouette(square, groups) == pytest.approx(silhouette_score(square, groups, metric="precomputed"))


def test_one_row_is_a_group_and_too_many_are_refused() -> None:
    assert group_rows(torch.ones(1, 3)).tolist() == [0]
    with pytest.raises(BadInput, match="too many to group"):
        group_rows(torch.ones(LARGEST + 1, 1))
