"""Each operation in one to three lines of slow numpy: what the kernels are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# --- hamming and jaccard: distances -------------------------------------------------------------------------

_ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)


def ones(codes: Array) -> Array:
    """Count the ones of each row."""
    return _ONES[codes].sum(axis=-1, dtype=np.int32)


def hamming(a: Array, b: Array) -> Array:
    """Count the differing bits of all rows of `a` and all rows of `b`."""
    return ones(a[:, None] ^ b)


def jaccard(a: Array, b: Array) -> Array:
    """Divide the differing bits by those set in either row; 0 where none is set."""
    differing, union = ones(a[:, None] ^ b), ones(a[:, None] | b)
    return (differing / np.maximum(union, 1)).astype(np.float32)


# --- hamming and jaccard: what is selected, given all distances `d` -----------------------------------------


def selected(mask: Array | None, n: int) -> Array:
    """List the rows that take part, in ascending order."""
    return np.arange(n) if mask is None else np.flatnonzero(mask) if mask.dtype == bool else np.unique(mask)


def knn(d: Array, k: int, mask: Array | None, padding: float) -> tuple[Array, Array]:
    """Select the `k` smallest distances of each row, ties to the lower index, padded."""
    rows, missing = selected(mask, d.shape[1]).astype(np.int64), ((0, 0), (0, k))
    order = np.argsort(d[:, rows], axis=1, kind="stable")
    distances = np.take_along_axis(d[:, rows], order, axis=1)
    return tuple(
        np.pad(found, missing, constant_values=fill)[:, :k]
        for found, fill in ((distances, padding), (rows[order], -1))
    )


def radius(d: Array, limit: float, mask: Array | None) -> tuple[Array, Array, Array]:
    """Select all distances of at most `limit` of each row, sorted, ties to the lower index, as CSR."""
    rows = selected(mask, d.shape[1]).astype(np.int64)
    query, place = np.nonzero(d[:, rows] <= limit)
    distances, indices = d[query, rows[place]], rows[place]
    order = np.lexsort((indices, distances, query))
    return np.append(0, np.bincount(query, minlength=len(d)).cumsum()), distances[order], indices[order]


def pairs(d: Array, limit: float) -> tuple[Array, Array, Array]:
    """Select the entries above the diagonal of at most `limit`."""
    i, j = np.nonzero(np.triu(d <= limit, 1))
    return i, j, d[i, j]
