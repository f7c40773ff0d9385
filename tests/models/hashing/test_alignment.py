"""Alignment of new codes with old ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcodes import bits, hamming, metrics
from fastcodes._linalg import random_rotation
from fastcodes.hashing import ITQ, align
from models.hashing.cases import RNG


def test_alignment_brings_back_a_rotation() -> None:
    values = RNG.normal(size=(3000, 12))
    old = bits.pack(values)
    turn = random_rotation(12, 12, RNG)
    rotation = align(old[:1000], values[:1000] @ turn)
    assert rotation.dtype == np.float32
    assert np.allclose(rotation, turn.T, atol=0.1)
    assert (bits.unpack(bits.pack(values @ turn @ rotation), 12) != bits.unpack(old, 12)).mean() < 0.03
    signs = bits.unpack(old[:1000], 12, dtype=np.float64, values=(-1, 1))
    u, _, vt = np.linalg.svd((values[:1000] @ turn).T @ signs)
    assert np.allclose(rotation, u @ vt, atol=1e-5)


@pytest.mark.parametrize(("m", "k"), [(12, 7), (7, 12)])
def test_alignment_with_another_number_of_bits(m: int, k: int) -> None:
    values = RNG.normal(size=(500, 12)).astype(np.float32)
    rotation = align(bits.pack(values[:, :k]), values[:, :m], n_bits=k)
    assert rotation.shape == (m, k)
    product = rotation.T @ rotation if m > k else rotation @ rotation.T
    assert np.allclose(product, np.eye(min(m, k)), atol=1e-5)


def test_a_model_that_is_trained_again_can_search_the_old_database() -> None:
    # Only classes 0 to 6 are known when the first model is trained; the new one has seen the others too.
    rng = np.random.default_rng(3)
    centres = 2.5 * rng.normal(size=(10, 24)) * 0.9 ** np.arange(24)
    y = rng.integers(10, size=3000)
    x = centres[y] + rng.normal(size=(3000, 24)) * 0.9 ** np.arange(24)
    known, asked = np.flatnonzero(y[:2000] < 7), np.arange(2000, 3000)
    old = ITQ(16, random_state=0).fit(x[known])
    new = ITQ(16, random_state=1).fit(x[:2000])
    database = old.encode(x[:2000])
    rotation = align(database, new.decision_function(x[:2000]))
    codes = {
        "old": old.encode(x[asked]),
        "new": new.encode(x[asked]),
        "aligned": bits.pack(new.decision_function(x[asked]) @ rotation),
    }
    unseen = y[asked] >= 7

    def score(queries: Any, rows: Any) -> float:
        _, found = hamming.knn(queries[rows], database, 2000)
        return metrics.mean_average_precision(metrics.label_relevance(y[asked][rows], y[:2000], found))

    seen, not_seen = (
        {name: score(queries, rows) for name, queries in codes.items()} for rows in (~unseen, unseen)
    )
    for scores in (seen, not_seen):
        assert scores["new"] < 0.5 * scores["old"]
    assert seen["aligned"] > 0.95 * seen["old"]
    assert not_seen["aligned"] > not_seen["old"]


@pytest.mark.parametrize(
    ("codes", "values", "error", "message"),
    [
        (
            np.zeros((5, 2), np.uint8),
            np.zeros((4, 16)),
            ValueError,
            r"shape \(5, 2\) and new_values \(4, 16\)",
        ),
        (np.zeros((5, 2), np.uint8), np.zeros((5, 20)), ValueError, "n_bits is 20, but codes have 2 bytes"),
        (np.zeros((5, 2)), np.zeros((5, 16)), TypeError, "uint8 array"),
        (np.zeros((0, 2), np.uint8), np.zeros((0, 16)), ValueError, "old_codes has no rows"),
        (
            np.zeros((5, 2), np.uint8),
            np.full((5, 16), np.nan),
            ValueError,
            "new_values has nan in row 0, column 0",
        ),
        (np.zeros((5, 2), np.uint8), np.zeros(16), ValueError, "Expected 2D array, got 1D array"),
    ],
)
def test_wrong_arguments_of_align(codes: Any, values: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        align(codes, values)


def test_bytes_are_one_row_of_codes() -> None:
    with pytest.raises(ValueError, match=r"old_codes has shape \(1,\) and new_values \(60, 8\)"):
        align(b"x", np.zeros((60, 8), np.float32), n_bits=8)
