"""Iterative quantization, and the rotation that it shares with CCA-ITQ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcodes import bits, hamming, metrics
from fastcodes._linalg import nearest_rotation, random_rotation
from fastcodes.hashing import ITQ, PCAHashing
from fastcodes.hashing._rotation import rotate_to_bits
from models.hashing.cases import RNG, X


def test_itq_rotates_the_principal_components_and_never_raises_its_objective() -> None:
    itq, pcah = ITQ(10, random_state=0).fit(X), PCAHashing(10).fit(X)
    rotation, history = itq.rotation_.astype(np.float64), itq.objective_history_
    assert np.allclose(rotation @ rotation.T, np.eye(10), atol=1e-5)
    assert np.allclose(itq.components_, rotation.T @ pcah.components_, atol=1e-4)
    assert len(history) > 5
    assert (np.diff(history) < 0).all()
    values = pcah.decision_function(X).astype(np.float64) @ rotation
    error = np.square(np.where(values > 0, 1, -1) - values).sum(axis=1).mean()
    assert history[-1] == pytest.approx(error, rel=1e-4)
    assert np.allclose(itq.decision_function(X), values, atol=1e-4)


def test_itq_is_that_of_its_formula() -> None:
    values = X[:, :6].astype(np.float64)
    rng = np.random.default_rng(4)
    rotation, history = rotate_to_bits(X[:, :6].copy(), 6, 8, np.random.default_rng(4), lambda _: None)
    expected = random_rotation(6, 6, rng)
    objectives = []
    for _ in range(8):
        signs = np.where(values @ expected > 0, 1, -1)
        objectives.append(np.square(signs - values @ expected).sum() / 600)
        u, _, vt = np.linalg.svd(values.T @ signs)
        expected = u @ vt
    assert np.allclose(rotation, expected, atol=1e-4)
    assert np.allclose(history[:8], objectives, rtol=1e-5)


def test_itq_finds_the_corners_of_a_rotated_cube() -> None:
    corners = np.where(RNG.random((4000, 8)) < 0.5, -1.0, 1.0) + 0.1 * RNG.normal(size=(4000, 8))
    x = corners @ np.linalg.qr(RNG.normal(size=(8, 8)))[0] + 5
    best = min(
        (ITQ(8, random_state=seed).fit(x) for seed in range(5)), key=lambda itq: itq.objective_history_[-1]
    )
    assert best.objective_history_[-1] < 8 * 0.011
    found = bits.unpack(best.encode(x), 8).astype(int)
    agreement = np.abs(np.corrcoef(found.T, corners.T > 0)[:8, 8:])
    assert np.allclose(np.sort(agreement, axis=1)[:, -1], 1, atol=1e-6)


def test_a_rotation_between_spaces_of_different_size() -> None:
    values = X[:, :3].copy()
    rotation, history = rotate_to_bits(values, 8, 20, np.random.default_rng(0), lambda _: None)
    assert rotation.shape == (3, 8)
    assert np.allclose(rotation @ rotation.T, np.eye(3))
    assert (np.diff(history) < 0).all()
    error = np.square(np.where(values @ rotation > 0, 1, -1) - values @ rotation).sum(axis=1).mean()
    assert history[-1] == pytest.approx(error, rel=1e-4)
    cross = RNG.normal(size=(3, 8))
    best = nearest_rotation(cross)
    others = [random_rotation(3, 8, RNG) for _ in range(200)]
    assert all(np.trace(best.T @ cross) > np.trace(other.T @ cross) for other in others)


def test_itq_loses_less_of_neighbourhoods_than_pca_hashing() -> None:
    x = (RNG.normal(size=(2000, 32)) * 0.8 ** np.arange(32)).astype(np.float32)
    true = np.argsort(np.square(x[:100, None] - x[None]).sum(axis=2), axis=1)[:, :50]

    def score(model: Any) -> float:
        codes = model.fit(x).encode(x)
        _, found = hamming.knn(codes[:100], codes, len(codes))
        return metrics.mean_average_precision(metrics.neighbor_relevance(true, found))

    assert score(ITQ(24, random_state=0)) > score(PCAHashing(24)) + 0.05
