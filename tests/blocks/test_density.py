from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor
from torch.testing import assert_close

from blemish.blocks.density import PositionGaussian, Subspace
from blemish.blocks.moments import mean_and_covariance, moments, moments_of_each
from blemish.errors import BadInput, NotFitted


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def correlated(count: int, width: int, seed: int = 0) -> Tensor:
    """Features with fast falling variances, far from the origin."""
    scales = 2.0 ** -torch.arange(width)
    return (drawn(count, width, seed=seed) * scales) @ drawn(width, width, seed=99) + 5


def sums(*parts: Tensor) -> list[Tensor]:
    """The rows that a subspace remembers, of pictures of (n, D) features."""
    return [torch.stack(each) for each in zip(*map(moments, parts), strict=True)]


@pytest.mark.parametrize("sizes", [[50], [1, 49], [20, 20, 10]])
def test_mean_and_covariance_of_pictures_are_those_of_all_rows(sizes: list[int]) -> None:
    rows = correlated(50, 6)
    mean, covariance = mean_and_covariance(moments_of_each(*sums(*torch.split(rows, sizes))))
    assert mean.dtype == covariance.dtype == torch.float64
    assert_close(mean, rows.double().mean(0), rtol=1e-12, atol=1e-12)
    assert_close(covariance, torch.from_numpy(np.cov(rows.double().numpy().T)), rtol=1e-10, atol=1e-12)


def test_mean_and_covariance_of_grids_are_taken_place_by_place() -> None:
    grids = drawn(9, 3, 4, 5) + 100
    mean, covariance = mean_and_covariance(moments(grids))
    assert mean.shape == (3, 4, 5)
    assert covariance.shape == (3, 4, 5, 5)
    for row in range(3):
        for column in range(4):
            here = grids[:, row, column].double().numpy()
            assert_close(mean[row, column], torch.from_numpy(here.mean(0)))
            assert_close(covariance[row, column], torch.from_numpy(np.cov(here.T)), rtol=1e-6, atol=1e-9)


def test_without_rows_both_are_as_before_learning() -> None:
    subspace, gaussian = Subspace(0.9), PositionGaussian(0.01)
    subspace.hold(*sums(drawn(8, 3)))
    gaussian.hold(drawn(5, 2, 2, 3))
    for memory in (subspace, gaussian):
        assert memory.fitted
        memory.hold(*(rows[:0] for rows in memory.recall()))
        assert not memory.fitted


def test_what_was_absorbed_counts_as_if_it_were_held() -> None:
    grids = drawn(41, 2, 3, 5)
    whole, some = PositionGaussian(0.1), PositionGaussian(0.1)
    whole.hold(grids)
    assert some.absorb(grids[:35]) == 32
    some.hold(grids[32:])
    assert torch.equal(some.whitening, whole.whitening)
    assert torch.equal(some.mean, whole.mean)
    some.forget()
    assert not some.fitted
    some.hold(grids)
    assert torch.equal(some.whitening, whole.whitening)


@pytest.mark.parametrize("variance", [0.5, 0.9, 0.99, 0.9999])
def test_the_subspace_is_that_of_principal_component_analysis(variance: float) -> None:
    rows, query = correlated(200, 10), correlated(7, 10, seed=1)
    subspace = Subspace(variance)
    subspace.hold(*sums(*torch.split(rows, 64)))
    pca = PCA(n_components=variance, svd_solver="full").fit(rows.double().numpy())
    assert subspace.axes.shape == (10, pca.n_components_)
    given = query.double().numpy()
    expected = ((given - pca.inverse_transform(pca.transform(given))) ** 2).sum(1)
    assert_close(subspace.residual(query).double(), torch.from_numpy(expected), rtol=1e-3, atol=1e-6)


def test_features_of_the_subspace_have_no_residual_and_grids_keep_their_shape() -> None:
    plane = drawn(30, 2) @ drawn(2, 6, seed=1)
    subspace = Subspace(0.999)
    subspace.hold(*sums(plane))
    assert subspace.axes.shape[1] <= 2
    subspace = Subspace(1.0)
    subspace.hold(*sums(plane))
    found = subspace.residual(plane.view(2, 3, 5, 6))
    assert found.shape == (2, 3, 5)
    assert found.abs().max() < 1e-9
    assert found.min() >= 0


def test_identical_features_span_a_subspace_all_the_same() -> None:
    subspace = Subspace(0.99)
    subspace.hold(*sums(torch.ones(5, 3)))
    assert subspace.residual(torch.ones(1, 3)).item() == 0
    assert subspace.residual(torch.zeros(1, 3)).isfinite().all()


@pytest.mark.parametrize("ridge", [0.01, 1.0])
def test_the_distance_is_mahalanobis_at_each_place(ridge: float) -> None:
    grids, query = drawn(12, 2, 3, 5), drawn(4, 2, 3, 5, seed=1)
    gaussian = PositionGaussian(ridge)
    gaussian.hold(grids)
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
    gaussian = PositionGaussian(0.25)
    gaussian.hold(grid)
    assert_close(gaussian.distance(query), (query - grid).square().sum(-1).sqrt() * 2)


def test_another_grid_is_refused_with_both_sizes() -> None:
    gaussian = PositionGaussian(0.01)
    gaussian.hold(drawn(3, 2, 4, 5))
    with pytest.raises(BadInput, match=r"\(4, 2\) differs from \(2, 4\)"):
        gaussian.distance(drawn(1, 4, 2, 5))


def test_before_learning_both_say_so() -> None:
    with pytest.raises(NotFitted):
        Subspace(0.99).residual(drawn(2, 3))
    with pytest.raises(NotFitted):
        PositionGaussian(0.01).distance(drawn(1, 2, 2, 3))
