"""Linear algebra that models share, compared with numpy."""

from __future__ import annotations

import numpy as np
import pytest
from fastcodes import _blocks, _linalg

RNG = np.random.default_rng(8)
X = (RNG.normal(size=(400, 6)) @ RNG.normal(size=(6, 6)) + 5).astype(np.float32)


def test_mean_and_covariance_are_those_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    for elements in (1 << 21, 70):
        monkeypatch.setattr(_blocks, "ELEMENTS_PER_BLOCK", elements)
        mean, covariance = _linalg.mean_and_covariance(X)
        assert np.allclose(mean, X.mean(axis=0, dtype=np.float64))
        assert np.allclose(covariance, np.cov(X.T.astype(np.float64), bias=True), rtol=1e-4, atol=1e-4)


def test_principal_components_diagonalize_the_covariance() -> None:
    found = _linalg.principal_components(X)
    covariance = np.cov(X.T.astype(np.float64), bias=True)
    assert np.allclose(found.vectors.T @ covariance @ found.vectors, np.diag(found.variances), atol=1e-3)
    assert (np.diff(found.variances) <= 0).all()
    largest = np.abs(found.vectors).argmax(axis=0)
    assert (found.vectors[largest, np.arange(6)] > 0).all()
    assert found.rank == 6
    flat = X.copy()
    flat[:, 4] = flat[:, 1] - flat[:, 0]
    assert _linalg.principal_components(flat).rank == 5
    assert _linalg.principal_components(np.ones((5, 3), np.float32)).rank == 0


def test_the_centered_product_is_that_of_numpy() -> None:
    mean, matrix = X.mean(axis=0, dtype=np.float64), RNG.normal(size=(6, 3))
    assert np.allclose(_linalg.centered_product(X, mean, matrix), (X - mean) @ matrix, atol=1e-4)


@pytest.mark.parametrize(("m", "k"), [(5, 5), (3, 7)])
def test_the_nearest_rotation_has_the_largest_trace(m: int, k: int) -> None:
    cross = RNG.normal(size=(m, k))
    best = _linalg.nearest_rotation(cross)
    assert np.allclose(best @ best.T, np.eye(m))
    # The maximum is the sum of the singular values; no other rotation reaches it.
    assert np.isclose((best * cross).sum(), np.linalg.svd(cross, compute_uv=False).sum())
    for _ in range(20):
        other = _linalg.random_rotation(m, k, RNG)
        assert np.allclose(other @ other.T, np.eye(m))
        assert (other * cross).sum() < (best * cross).sum()


def test_squared_distances_are_exact_far_from_the_origin() -> None:
    points = X[:9]
    for offset in (0, 1000):
        x, y = X + np.float32(offset), points + np.float32(offset)
        expected = np.square(x[:, None].astype(np.float64) - y).sum(axis=2)
        assert np.allclose(_linalg.squared_distances(x, y), expected, rtol=1e-4, atol=1e-4)
