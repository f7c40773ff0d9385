"""Locality-preserving hashing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcodes import bits
from fastcodes.hashing import LocalityPreservingHashing, PCAHashing
from models.hashing.cases import X, fitted


def test_locality_preserving_directions_solve_their_eigenproblem() -> None:
    lph = LocalityPreservingHashing(12, n_anchors=40, random_state=0).fit(X)
    from fastcodes.hashing.locality import _similarities
    from fastcodes.quantization import KMeans

    middle = X.mean(axis=0, dtype=np.float64).astype(np.float32)
    anchors = KMeans(40, max_iter=10, random_state=np.random.default_rng(0)).fit(X - middle).centers_
    near = _similarities(X - middle, anchors, 3).astype(np.float64)
    assert np.allclose(near.sum(axis=1), 1, atol=1e-6)
    assert ((near > 0).sum(axis=1) <= 3).all()
    squares = np.square((X - middle)[:, None] - anchors).sum(axis=2)
    farthest = np.sort(squares, axis=1)[:, 2]
    assert (squares[near > 0] <= np.repeat(farthest, (near > 0).sum(axis=1)) * 1.0001).all()
    affinity = near / near.sum(axis=0) @ near.T
    assert np.allclose(affinity.sum(axis=1), 1)
    centred, w = (X - X.mean(axis=0)).astype(np.float64), lph.components_.T.astype(np.float64)
    scatter = centred.T @ centred
    left = centred.T @ (np.eye(600) - affinity) @ centred @ w
    assert np.allclose(left, scatter @ w * lph.eigenvalues_, atol=1e-3 * np.abs(scatter @ w).max())
    assert np.allclose(w.T @ scatter @ w, 600 * np.eye(12), atol=0.5)
    assert (np.diff(lph.eigenvalues_) >= 0).all()
    assert lph.eigenvalues_[0] > 0
    assert lph.eigenvalues_[-1] < 1.0001


def test_locality_preserving_hashing_sees_groups_that_variance_hides() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(2, size=3000)
    x = np.hstack(
        [3 * rng.uniform(-1, 1, size=(3000, 2)), 2.5 * groups[:, None] + 0.1 * rng.normal(size=(3000, 1))]
    )
    bit = bits.unpack(LocalityPreservingHashing(1, random_state=0).fit(x).encode(x), 1)[:, 0]
    assert max((bit == groups).mean(), (bit != groups).mean()) > 0.95
    bit = bits.unpack(PCAHashing(1).fit(x).encode(x), 1)[:, 0]
    assert max((bit == groups).mean(), (bit != groups).mean()) < 0.7


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_anchors": 12}, "n_anchors must be more than n_bits=12; got 12"),
        ({"n_nearest": 41}, "n_nearest must be an integer from 1 to 40; got 41"),
        ({"n_anchors": 601}, "n_samples=600 should be >= n_clusters=601"),
    ],
)
def test_wrong_anchors(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted("LocalityPreservingHashing", **params)
