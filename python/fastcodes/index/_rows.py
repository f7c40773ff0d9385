"""What indexes take and give by rows: ids, masks, vectors to score again, results."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes._validation import describe

__all__ = ["checked_oversample", "checked_rerank", "checked_rows", "rescored"]

# Numbers of vectors that are compared at a time: with their copies, a few megabytes.
_NUMBERS = 1 << 20


def checked_rows(ids: ArrayLike, n_rows: int) -> NDArray[np.int64]:
    """Return row ids, checked, from row ids or booleans."""
    rows = np.asarray(ids)
    if not rows.size and isinstance(ids, (list, tuple)):
        rows = rows.astype(np.int64)
    if rows.dtype.kind not in "biu":
        raise TypeError(
            f"ids must be integers, the ids of rows, or a boolean array (n,); got {describe(ids)}"
        )
    if rows.ndim > 1 or (rows.ndim == 0 and rows.dtype.kind == "b"):
        raise ValueError(f"ids must have one dimension; got shape {rows.shape}")
    if rows.dtype.kind == "b":
        if len(rows) != n_rows:
            raise ValueError(f"ids has {len(rows)} booleans but the index has {n_rows} vectors")
        return np.flatnonzero(rows)
    wrong = rows[(rows < 0) | (rows >= n_rows)]
    if wrong.size:
        raise ValueError(
            f"ids has {wrong.flat[0]} but the index has {n_rows} vectors; "
            "expected ids from 0 to one less than that"
        )
    return rows.astype(np.int64).reshape(-1)


def checked_oversample(oversample: object) -> float:
    """Return `oversample`, if it is a number of candidates for each result."""
    if isinstance(oversample, bool) or not isinstance(oversample, (int, float, np.integer, np.floating)):
        raise TypeError(f"oversample must be a real number; got {describe(oversample)}")
    if not 1 <= oversample < float("inf"):
        raise ValueError(f"oversample is {oversample}; expected a finite number, 1 or more")
    return float(oversample)


def checked_rerank(rerank: object, shape: tuple[int, int]) -> None:
    """Raise an error unless `rerank` are vectors of this shape."""
    if not isinstance(rerank, np.ndarray) or rerank.dtype.kind not in "biuf":
        given = describe(rerank) if isinstance(rerank, np.ndarray) else f"a {type(rerank).__name__}"
        raise TypeError(
            f"rerank must be a numpy array {shape} of real numbers, a row for each vector; got {given}"
        )
    if rerank.shape != shape:
        raise ValueError(
            f"rerank has shape {rerank.shape}; expected {shape}, row i being vector i of this index"
        )


def rescored(
    queries: NDArray[np.float32], candidates: NDArray[np.int64], vectors: NDArray[Any], metric: str, k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the `k` nearest of each query's candidates by their own vectors; a candidate -1 is none."""
    n_queries, n_candidates = candidates.shape
    exact = np.full(candidates.shape, np.inf, np.float32)
    rows = candidates.ravel()
    # Rows in ascending order are read from a disk fastest. Those without a row come first and are left out.
    pairs = np.argsort(rows, kind="stable")
    pairs = pairs[np.count_nonzero(rows < 0) :]
    step = max(1, _NUMBERS // queries.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):  # told below
        for start in range(0, len(pairs), step):
            pair = pairs[start : start + step]
            query = queries[pair // n_candidates]
            products = np.asarray(vectors[rows[pair]], np.float32)  # a copy, as any choice of rows is
            if metric == "l2":
                products -= query
                query = products
            products *= query
            sums = products.sum(axis=1)
            exact.ravel()[pair] = sums if metric == "l2" else -sums
            if not np.isfinite(sums).all():
                worst = rows[pair[~np.isfinite(sums)][0]]
                raise ValueError(
                    f"rerank has a row, {worst}, whose distance to a query is not a finite float32; "
                    "expected vectors without NaN, infinities or huge numbers"
                )

    order = np.lexsort((candidates, exact), axis=1)[:, :k]
    distances, indices = _padded(n_queries, k)
    distances[:, : order.shape[1]] = np.take_along_axis(exact, order, axis=1)
    indices[:, : order.shape[1]] = np.take_along_axis(candidates, order, axis=1)
    return distances, indices


def _padded(n_queries: int, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return distances and indices (n_queries, k) of no neighbours."""
    try:
        return np.full((n_queries, k), np.inf, np.float32), np.full((n_queries, k), -1, np.int64)
    except (MemoryError, ValueError, OverflowError):
        raise ValueError(
            f"k is {k}, which is too large: results of shape {(n_queries, k)} fit no memory; "
            "expected at most about the rows of codes"
        ) from None
