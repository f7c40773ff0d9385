"""Scores candidates of a search again, by their own vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcodes._typing import Array, Floats, Ids
from fastcodes._validation import as_array, describe
from fastcodes.results import no_neighbors

__all__ = ["check_vectors", "rescored"]

# Of the vectors that are compared at once: with their copies, a few megabytes.
_NUMBERS_PER_STEP = 1 << 20


def check_vectors(vectors: Any, n_vectors: int, n_features: int) -> None:
    """Raise an error unless these are vectors of all ids below `n_vectors`."""
    expected = f"({n_vectors}, {n_features})"
    if not isinstance(vectors, np.ndarray) or vectors.dtype.kind not in "biuf":
        given = describe(vectors) if isinstance(vectors, np.ndarray) else f"a {type(vectors).__name__}"
        raise TypeError(
            f"rerank must be a numpy array {expected} of real numbers, row i the vector of id i; got {given}"
        )
    as_array(vectors, "rerank")  # refuses masked elements
    if vectors.ndim != 2 or vectors.shape[1] != n_features or len(vectors) < n_vectors:
        raise ValueError(
            f"rerank has shape {vectors.shape}; expected {expected} or more rows, row i being the vector of "
            "id i"
        )


def rescored(queries: Floats, candidates: Ids, vectors: Array, metric: str, k: int) -> tuple[Floats, Ids]:
    """Return the `k` nearest of each query's candidates by their own vectors.

    Parameters
    ----------
    queries : float32 array (nq, d)
        Finite.
    candidates : int64 array (nq, n_candidates)
        Ids; -1 is none.
    vectors : array (n, d)
        Row ``i`` is the vector of id ``i``. Only those of candidates are read.
    metric : {"l2", "ip"}
        The squared L2 distance, or the negative inner product.
    k : int
        Neighbors per query.

    Returns
    -------
    distances, indices : float32 and int64 arrays (nq, k)
        Sorted by (distance, id) and padded.
    """
    n_queries, n_candidates = candidates.shape
    exact = np.full(candidates.shape, np.inf, np.float32)
    ids = candidates.ravel()
    # In ascending order, rows are read from a disk fastest. Missing candidates come first and are left out.
    pairs = np.argsort(ids, kind="stable")
    pairs = pairs[np.count_nonzero(ids < 0) :]
    step = max(1, _NUMBERS_PER_STEP // queries.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):  # an error below
        for start in range(0, len(pairs), step):
            pair = pairs[start : start + step]
            query = queries[pair // n_candidates]
            products = np.asarray(vectors[ids[pair]], np.float32)  # a copy, since indexing by rows copies
            if metric == "l2":
                products -= query
                query = products
            products *= query
            sums = products.sum(axis=1)
            exact.ravel()[pair] = sums if metric == "l2" else -sums
            if not np.isfinite(sums).all():
                worst = ids[pair[~np.isfinite(sums)][0]]
                raise ValueError(
                    f"rerank has a row, {worst}, whose distance to a query is not a finite float32; "
                    "expected vectors without NaN, infinities or huge numbers"
                )
    order = np.lexsort((candidates, exact), axis=1)[:, :k]
    distances, indices = no_neighbors(n_queries, k, np.float32)
    distances[:, : order.shape[1]] = np.take_along_axis(exact, order, axis=1)
    indices[:, : order.shape[1]] = np.take_along_axis(candidates, order, axis=1)
    return distances, indices
