"""Optimized product quantizers: the rotation and its training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fastcodes.quantization import OptimizedProductQuantizer, ProductQuantizer
from models.quantization.cases import CLUSTERED, RNG, X


def test_a_rotation_is_orthogonal_and_pays_on_correlated_data() -> None:
    pq = ProductQuantizer(4, 16, random_state=0).fit(X)
    opq = OptimizedProductQuantizer(4, 16, random_state=0).fit(X)
    assert np.allclose(opq.rotation_ @ opq.rotation_.T, np.eye(16), atol=1e-5)
    assert opq.rotation_.dtype == np.float32
    assert opq.quantization_error(X) < 0.8 * pq.quantization_error(X)


@pytest.mark.parametrize(
    "data", ["correlated", "clustered", "constant columns", "low rank", "offset", "constant"]
)
@pytest.mark.parametrize("n_subspaces", [1, 2, 8, 16])
def test_the_objective_of_opq_never_rises(data: str, n_subspaces: int) -> None:
    x = {
        "correlated": X,
        "clustered": CLUSTERED,
        "constant columns": np.hstack([X[:, :8], np.full((len(X), 8), 3, np.float32)]),
        "low rank": X[:, :3] @ RNG.normal(size=(3, 16)).astype(np.float32),
        "offset": X + 100,
        "constant": np.full_like(X, 2.5),
    }[data]
    opq = OptimizedProductQuantizer(n_subspaces, 16, random_state=0, max_iter=30).fit(x)
    scale = np.square(x, dtype=np.float64).sum(axis=1).mean()
    rounding = np.finfo(np.float32).eps * opq.objective_history_[:-1] + 1e-9 * scale
    assert (np.diff(opq.objective_history_) <= rounding).all()
    assert np.allclose(opq.rotation_ @ opq.rotation_.T, np.eye(16), atol=1e-5)
    assert opq.quantization_error(x) == pytest.approx(opq.objective_history_[-1], rel=1e-3, abs=1e-9 * scale)


def test_opq_keeps_an_order_that_is_good_already() -> None:
    # Each subspace is a few points. Principal components mix the subspaces and are far worse.
    points = 10 * RNG.normal(size=(4, 16, 4))
    x = np.hstack([points[m][RNG.integers(16, size=1500)] for m in range(4)])
    opq = OptimizedProductQuantizer(4, 16, random_state=0).fit(x)
    assert opq.quantization_error(x) < 0.01 * x.var(axis=0).sum()


def test_wrong_rotations_and_metrics() -> None:
    codebooks = np.zeros((2, 4, 3))
    with pytest.raises(
        ValueError, match=r"rotation must have shape \(6, 6\), or more columns, to fit .*; got \(5, 6\)"
    ):
        OptimizedProductQuantizer.from_codebooks(codebooks, np.eye(6)[:5])
    with pytest.raises(ValueError, match=r"rotation must have orthonormal rows.* differs from that by 3"):
        OptimizedProductQuantizer.from_codebooks(codebooks, 2 * np.eye(6))
    with pytest.raises(ValueError, match="rotation must have orthonormal rows"):
        OptimizedProductQuantizer.from_codebooks(codebooks, np.full((6, 6), np.nan))
    with pytest.raises(TypeError, match="rotation must be real numbers"):
        OptimizedProductQuantizer.from_codebooks(codebooks, np.eye(6, dtype=complex))
    with pytest.raises(ValueError, match='metric must be "l2" or "ip"; got \'cosine\''):
        ProductQuantizer.from_codebooks(codebooks, metric="cosine")
    with pytest.raises(ValueError, match='metric must be "l2" or "ip"; got \'cosine\''):
        ProductQuantizer(4, 16, metric="cosine").fit(X)


def test_a_rotation_may_reduce_dimensions(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((200, 10)).astype(np.float32)
    rotation = np.linalg.qr(rng.standard_normal((10, 10)))[0][:6].astype(np.float32)
    books = rng.standard_normal((3, 16, 2)).astype(np.float32)
    ours = OptimizedProductQuantizer.from_codebooks(books, rotation)
    inside = ProductQuantizer.from_codebooks(books)
    projected = x @ rotation.T
    assert (ours.n_features_in_, ours.rotation_.shape) == (10, (6, 10))
    assert np.array_equal(ours.encode(x), inside.encode(projected))
    assert np.allclose(
        ours.decode(ours.encode(x)), inside.decode(inside.encode(projected)) @ rotation, atol=1e-5
    )
    assert np.allclose(ours.tables(x[:3]), inside.tables(projected[:3]), atol=1e-4)
    assert ours.decode(np.empty((0, 3), np.uint8)).shape == (0, 10)
    ours.save(tmp_path / "model")
    loaded = OptimizedProductQuantizer.load(tmp_path / "model")
    assert loaded.n_features_in_ == 10
    assert np.array_equal(loaded.encode(x), ours.encode(x))
