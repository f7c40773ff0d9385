"""Scores candidates of a search again, by their own vectors."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastcodes._typing import Array, Floats, Ids
from fastcodes._validation import as_array, describe
from fastcodes.results import no_neighbors

__all__ = ["METRICS", "Reranked", "check_vectors", "reranked"]

METRICS = ("l2", "ip", "cosine")

# Of the vectors that are compared at once: with their copies, a few megabytes.
_NUMBERS_PER_STEP = 1 << 20
_LAST = np.iinfo(np.int64).max


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


class Reranked(NamedTuple):
    """The nearest of each query's candidates by their own vectors."""

    distances: Floats  # (nq, k), sorted by (distance, id) and padded
    indices: Ids  # (nq, k)
    n_read: Ids  # (nq,): the vectors that were read


def reranked(
    queries: Floats,
    candidates: Ids,
    vectors: Array,
    metric: str,
    k: int,
    bounds: Floats | None = None,
) -> Reranked:
    """Return the `k` nearest of each query's candidates by their own vectors.

    Parameters
    ----------
    queries : float32 array (nq, d)
        Finite.
    candidates : int64 array (nq, n_candidates)
        Ids; -1 is none.
    vectors : array (n, d)
        Row ``i`` is the vector of id ``i``. Only those of candidates are read.
    metric : {"l2", "ip", "cosine"}
        The squared L2 distance, the negative inner product, or one minus the cosine.
    k : int
        Neighbors per query.
    bounds : float32 array (nq, n_candidates), optional
        Distances below which those of the candidates are not expected. Candidates are read in ascending order
        of them, `k` at a time, until the next bound is above the `k`-th smallest distance.
    """
    n_queries, n_candidates = candidates.shape
    exact = np.full(candidates.shape, np.inf, np.float32)
    is_read = candidates >= 0
    if bounds is None:
        _rescore(queries, candidates, np.flatnonzero(is_read), vectors, metric, exact)
    else:
        order = np.argsort(bounds, axis=1, kind="stable")
        is_open, is_read = is_read, np.zeros_like(is_read)
        last = np.full(n_queries, np.inf, np.float32)
        for start in range(0, n_candidates if k else 0, max(k, 1)):
            rank = np.arange(n_queries)[:, None], order[:, start : start + k]
            is_near = is_open[rank] & (bounds[rank] <= last[:, None])
            if not is_near.any():
                break
            is_read[rank] = is_near
            pairs = (rank[0] * n_candidates + rank[1])[is_near]
            _rescore(queries, candidates, pairs, vectors, metric, exact)
            if k <= n_candidates:
                last = np.partition(exact, k - 1, axis=1)[:, k - 1]
    order = np.lexsort((np.where(is_read, candidates, _LAST), exact), axis=1)[:, :k]
    distances, indices = no_neighbors(n_queries, k, np.float32)
    distances[:, : order.shape[1]] = np.take_along_axis(exact, order, axis=1)
    found = np.where(is_read, candidates, -1)
    indices[:, : order.shape[1]] = np.take_along_axis(found, order, axis=1)
    return Reranked(distances, indices, np.count_nonzero(is_read, axis=1))


def _rescore(
    queries: Floats, candidates: Ids, pairs: Ids, vectors: Array, metric: str, exact: Floats
) -> None:
    """Set the exact distances of some pairs of query and candidate, by their positions in `candidates`."""
    n_candidates, ids = candidates.shape[1], candidates.ravel()
    # In ascending order, rows are read from a disk fastest.
    pairs = pairs[np.argsort(ids[pairs], kind="stable")]
    step = max(1, _NUMBERS_PER_STEP // queries.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):  # an error below
        for start in range(0, len(pairs), step):
            pair = pairs[start : start + step]
            query = queries[pair // n_candidates]
            products = np.asarray(vectors[ids[pair]], np.float32)  # a copy, since indexing by rows copies
            if metric == "cosine":
                lengths = np.sqrt((products * products).sum(axis=1) * (query * query).sum(axis=1))
            if metric == "l2":
                products -= query
                query = products
            products *= query
            sums = products.sum(axis=1)
            if metric == "cosine":
                sums = 1 - sums / np.where(lengths == 0, 1, lengths)
            exact.ravel()[pair] = -sums if metric == "ip" else sums
            if not np.isfinite(sums).all():
                worst = ids[pair[~np.isfinite(sums)][0]]
                raise ValueError(
                    f"rerank has a row, {worst}, whose distance to a query is not a finite float32; "
                    "expected vectors without NaN, infinities or huge numbers"
                )
