"""Re-ranking: the nearest of candidates by their own vectors, whatever these are stored as."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes.index import _reranking
from fastcodes.index._reranking import METRICS, reranked
from helpers import Array, same_bits

RNG = np.random.default_rng(40)
# Halves of small integers: exact in every dtype, and with many ties.
X = (RNG.integers(0, 250, (400, 37)) / 2).astype(np.float32)
QUERIES = (RNG.integers(0, 250, (23, 37)) / 2).astype(np.float32)
CANDIDATES = RNG.integers(-1, 400, (23, 60))
BOUNDS = RNG.uniform(20_000, 200_000, (23, 60)).astype(np.float32)


def unaligned(x: Array) -> Array:
    data = np.frombuffer(b"0" + x.tobytes(), np.uint8)[1:]
    return data.view(x.dtype).reshape(x.shape)


FORMS: dict[str, Any] = {
    "float32": lambda x: x,
    "float16": lambda x: x.astype(np.float16),
    "float64": lambda x: x.astype(np.float64),
    "big-endian": lambda x: x.astype(">f4"),
    "columns": lambda x: np.hstack([x[:, :3], x, x])[:, 3:40],
    "every other row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "every other column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "Fortran order": np.asfortranarray,
    "backwards": lambda x: np.flip(np.flip(x).copy()),
    "unaligned": unaligned,
    "read-only": lambda x: np.frombuffer(x.tobytes(), np.float32).reshape(x.shape),
    "masked": np.ma.array,
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("threads", [1, 2, None])
@pytest.mark.parametrize("is_bounded", [False, True])
def test_the_nearest_candidates_are_found(metric: str, threads: int | None, is_bounded: bool) -> None:
    bounds = None
    if is_bounded:
        bounds = oracles.rerank_distances(QUERIES, X, metric)
        bounds = np.take_along_axis(bounds, np.maximum(CANDIDATES, 0), axis=1)
        bounds = (bounds * RNG.uniform(0.8, 1, bounds.shape)).astype(np.float32)
    for k in (0, 1, 5, 60, 61):
        found = reranked(QUERIES, CANDIDATES, X, metric, k, bounds, threads)
        expected = oracles.rerank(QUERIES, CANDIDATES, X, metric, k, bounds) if k else None
        assert expected is None or same_bits(tuple(found), expected)
        assert k or (found.distances.shape, found.n_read.tolist()) == ((23, 0), [0] * 23)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("step", [1, 500, 1200, 1 << 20])
def test_results_do_not_depend_on_how_vectors_are_stored(
    form: Any, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for metric in METRICS:
        for bounds in (None, BOUNDS if metric == "l2" else None):
            monkeypatch.undo()
            expected = reranked(QUERIES, CANDIDATES, X, metric, 7, bounds)
            monkeypatch.setattr(_reranking, "_NUMBERS_PER_STEP", step)
            monkeypatch.setattr(_reranking, "_ROWS_PER_STEP", max(1, step // 37))
            found = reranked(QUERIES, CANDIDATES, form(X), metric, 7, bounds)
            assert same_bits(tuple(found), tuple(expected))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int64", "uint64", "float16"])
def test_every_dtype_is_converted_to_float32(dtype: str) -> None:
    vectors = X.astype(dtype)
    found = reranked(QUERIES, CANDIDATES, vectors, "l2", 7)
    assert same_bits(tuple(found), tuple(reranked(QUERIES, CANDIDATES, vectors.astype(np.float32), "l2", 7)))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs sparse files")
def test_a_memory_map_is_read_where_it_is(tmp_path: Path) -> None:
    # A sparse file far larger than the memory: a copy of it would be noticed.
    file = tmp_path / "vectors"
    with open(file, "wb") as handle:
        handle.truncate(1 << 42)
    vectors = np.memmap(file, np.float32, "r+", shape=((1 << 40) // 64, 64))
    ids = np.array([[3, len(vectors) - 1, 77]])
    vectors[ids[0]] = np.arange(3)[:, None]
    found = reranked(np.ones((1, 64), np.float32), ids, vectors, "l2", 2)
    assert (found.distances.tolist(), found.indices.tolist()) == ([[0, 64]], [[len(vectors) - 1, 3]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_distance_that_is_not_finite_is_an_error_that_names_the_id(dtype: str) -> None:
    for wrong in (np.nan, np.inf, 3e38 if dtype == "float32" else 1e300):
        vectors = X.astype(dtype)
        vectors[CANDIDATES[11, 4]] = wrong
        for metric in METRICS:
            match = (
                f"rerank has a row, {CANDIDATES[11, 4]}, whose distance to a query is not a finite float32"
            )
            with pytest.raises(ValueError, match=match):
                reranked(QUERIES, CANDIDATES, vectors, metric, 5)
        not_read = np.where(CANDIDATES[11, 4] == CANDIDATES, -1, CANDIDATES)
        expected = reranked(QUERIES, not_read, X, "l2", 5)
        assert same_bits(tuple(reranked(QUERIES, not_read, vectors, "l2", 5)), tuple(expected))
