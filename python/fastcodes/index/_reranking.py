"""Scores candidates of a search again, by their own vectors."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastcodes import _native
from fastcodes._typing import Array, Floats, Ids
from fastcodes._validation import as_array, describe
from fastcodes.results import no_neighbors

__all__ = ["METRICS", "Reranked", "check_vectors", "reranked"]

METRICS = ("l2", "ip", "cosine")

# Of the vectors that are converted at once: a few megabytes.
_NUMBERS_PER_STEP = 1 << 20
# Vectors that are read for each query between two checks of signals: reading them from a disk takes a while.
_ROWS_PER_STEP = 1 << 12


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
    n_read: Ids  # (nq,): the vectors that were compared


def reranked(
    queries: Floats,
    candidates: Ids,
    vectors: Array,
    metric: str,
    k: int,
    bounds: Floats | None = None,
    threads: int | None = None,
) -> Reranked:
    """Return the `k` nearest of each query's candidates by their own vectors.

    Parameters
    ----------
    queries : float32 array (nq, d)
        Finite.
    candidates : int64 array (nq, n_candidates)
        Ids; -1 is none.
    vectors : array (n, d)
        Row ``i`` is the vector of id ``i``. Only those of candidates are read; where they are not float32,
        those of all candidates are converted.
    metric : {"l2", "ip", "cosine"}
        The squared L2 distance, the negative inner product, or one minus the cosine.
    k : int
        Neighbors per query.
    bounds : float32 array (nq, n_candidates), optional
        Distances below which those of the candidates are not expected. Candidates are compared in ascending
        order of them, until the next bound is above the `k`-th smallest distance so far.
    threads : int, optional
        Threads to use at most.
    """
    n_queries, n_candidates = candidates.shape
    found = Reranked(*no_neighbors(n_queries, k, np.float32), np.zeros(n_queries, np.int64))
    plain, is_direct = np.asarray(vectors), _has_float32_rows(vectors)
    n_rows = _ROWS_PER_STEP if is_direct else max(1, _NUMBERS_PER_STEP // queries.shape[1])
    if bounds is not None and n_candidates > n_rows:  # a step takes the next ones of each query
        order = np.argsort(bounds, axis=1, kind="stable")
        candidates, bounds = np.take_along_axis(candidates, order, 1), np.take_along_axis(bounds, order, 1)
    width = max(1, min(n_candidates, n_rows))
    height = max(1, n_queries if is_direct else n_rows // width)
    for first in range(0, n_queries, height):
        some = slice(first, first + height)
        for start in range(0, n_candidates, width):
            ids = np.ascontiguousarray(candidates[some, start : start + width])
            rows, numbers = None, plain
            if not is_direct:
                distinct = np.unique(ids[ids >= 0])
                with np.errstate(
                    over="ignore", invalid="ignore"
                ):  # what is not finite is an error of the kernel
                    rows, numbers = np.searchsorted(distinct, ids), plain[distinct].astype(np.float32)
            below = None if bounds is None else bounds[some, start : start + width]
            out = found.distances[some], found.indices[some], found.n_read[some]
            _native.rerank_nearest(queries[some], ids, rows, numbers, metric, below, out, threads)
    return found


def _has_float32_rows(vectors: Array) -> bool:
    """Whether the kernel reads the rows where they are."""
    row, number = vectors.strides
    is_in_rows = number == vectors.itemsize and row >= 0 and row % vectors.itemsize == 0
    return vectors.dtype == np.float32 and vectors.flags.aligned and is_in_rows
