from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor
from torch.testing import assert_close

from blemish.blocks.density import PositionGaussian, Subspace, mean_and_covariance
from blemish.errors import BadInput, NotFitted


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def correlated(count: int, width: int, seed: int = 0) -> Tensor:
    """Features with fast falling variances, far from the origin."""
    scales = 2.0 ** -torch.arange(width)
    return (drawn(count, width, seed=seed) * scales) @ drawn(width, width, seed=99) + 5


@pytest.mark.parametrize("sizes", [[50], [1, 49], [20, 20, 10]])
def test_mean_and_covariance_of_batches_are_those_of_all_rows(sizes: list[int]) -> None:
    rows = correlated(50, 6)
    mean, covariance = mean_and_covariance(iter(torch.split(rows, sizes)))
    assert mean.dtype == covariance.dtype == torch.float64
    assert_close(mean, rows.double().mean(0), rtol=1e-12, atol=1e-12)
    assert_close(covariance, torch.from_numpy(np.cov(rows.double().numpy().T)), rtol=1e-10, atol=1e-12)


def test_mean_and_covariance_of_grids_are_taken_place_by_place() -> None:
    grids = drawn(9, 3, 4, 5) + 100
    mean, covariance = mean_and_covariance(torch.split(grids, [2, 7]))
    assert mean.shape == (3, 4, 5)
    assert covariance.shape == (3, 4, 5, 5)
    for row in range(3):
        for column in range(4):
            here = grids[:, row, column].double().numpy()
            assert_close(mean[row, column].double(), torch.from_numpy(here.mean(0)), rtol=1e-6, atol=0)
            assert_close(covariance[row, column].double(), torch.from_numpy(np.cov(here.T)), rtol=1e-3, atol=1e-4)


def test_one_example_has_no_covariance() -> None:
    mean, covariance = mean_and_covariance([drawn(1, 4)])
    assert_close(mean.float(), drawn(1, 4)[0])
    assert covariance.abs().max() == 0


def test_batches_are_left_as_they_were() -> None:
    rows = drawn(6, 3)
    before = rows.clone()
    mean_and_covariance([rows, rows])
    assert torch.equal(rows, before)


@pytest.mark.parametrize("learn", ["subspace", "gaussian"])
def test_nothing_to_learn_from_is_refused(learn: str) -> None:
    with pytest.raises(BadInput, match="no images"):
        Subspace().learn([], 0.9) if learn == "subspace" else PositionGaussian().learn([], 0.01)


@pytest.mark.parametrize("variance", [0.5, 0.9, 0.99, 0.9999])
def test_the_subspace_is_that_of_principal_component_analysis(variance: float) -> None:
    rows, query = correlated(200, 10), correlated(7, 10, seed=1)
    subspace = Subspace()
    subspace.learn(torch.split(rows, 64), variance)
    pca = PCA(n_components=variance, svd_solver="full").fit(rows.double().numpy())
    assert subspace.axes.shape == (10, pca.n_components_)
    given = query.double().numpy()
    expected = ((given - pca.inverse_transform(pca.transform(given))) ** 2).sum(1)
    assert_close(subspace.residual(query).double(), torch.from_numpy(expected), rtol=1e-3, atol=1e-6)


def test_features_of_the_subspace_have_no_residual_and_grids_keep_their_shape() -> None:
    plane = drawn(30, 2) @ drawn(2, 6, seed=1)
    subspace = Subspace()
    subspace.learn([plane], 0.999)
    assert subspace.axes.shape[1] <= 2
    subspace.learn([plane], 1.0)
    found = subspace.residual(plane.view(2, 3, 5, 6))
    assert found.shape == (2, 3, 5)
    assert found.abs().max() < 1e-9
    assert found.min() >= 0


def test_identical_features_span_a_subspace_all_the_same() -> None:
    subspace = Subspace()
    subspace.learn([torch.ones(5, 3)], 0.99)
    assert subspace.residual(torch.ones(1, 3)).item() == 0
    assert subspace.residual(torch.zeros(1, 3)).isfinite().all()


@pytest.mark.parametrize("ridge", [0.01, 1.0])
def test_the_distance_is_mahalanobis_at_each_place(ridge: float) -> None:
    grids, query = drawn(12, 2, 3, 5), drawn(4, 2, 3, 5, seed=1)
    gaussian = PositionGaussian()
    gaussian.learn(torch.split(grids, 5), ridge)
    found = gaussian.distance(query)
    assert found.shape == (4, 2, 3)
    for row in range(2):
        for column in range(3):
            here = grids[:, row, column].double().numpy()
            inverse = np.linalg.inv(np.cov(here.T) + ridge * np.eye(5))
            off = query[:, row, column].double().numpy() - here.mean(0)
            expected = np.sqrt(np.einsum("ni,ij,nj->n", off, inverse, off))
            assert_close(found[:, row, column].double(), torch.from_numpy(expected), rtol=1e-4, atol=1e-5)


def test_one_picture_leaves_the_euclidean_distance_by_the_ridge() -> None:
    grid, query = drawn(1, 2, 2, 3), drawn(2, 2, 2, 3, seed=1)
    gaussian = PositionGaussian()
    gaussian.learn([grid], 0.25)
    assert_close(gaussian.distance(query), (query - grid).square().sum(-1).sqrt() * 2)


def test_another_grid_is_refused_with_both_sizes() -> None:
    gaussian = PositionGaussian()
    gaussian.learn([drawn(3, 2, 4, 5)], 0.01)
    with pytest.raises(BadInput, match=r"\(4, 2\) differs from \(2, 4\)"):
        gaussian.distance(drawn(1, 4, 2, 5))


def test_before_learning_both_say_so() -> None:
    with pytest.raises(NotFitted):
        Subspace().residual(drawn(2, 3))
    with pytest.raises(NotFitted):
        PositionGaussian().distance(drawn(1, 2, 2, 3))
