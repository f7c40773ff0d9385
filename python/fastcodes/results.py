"""Work on results of searches: merge the neighbours found in parts of a database, group rows by pairs.

================  =========================================================================================
`merge_topk`      the `k` nearest of several blocks of neighbours
`components`      the connected components of a graph, from its edges
================  =========================================================================================

Both are for users who split work themselves, over processes, machines or parts of a database that does not
fit in memory. The package exports them as `fastcodes.merge_topk` and `fastcodes.components`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes import _native
from fastcodes._typing import Ids
from fastcodes._validation import as_array, as_integer, describe, described

__all__ = ["components", "count_with_self", "merge_topk", "no_neighbors", "ragged", "without_self"]

Distance = TypeVar("Distance", np.int32, np.float32)

_LAST = np.iinfo(np.int64).max


def merge_topk(
    distances: Sequence[NDArray[Distance]] | NDArray[Distance],
    indices: Sequence[Ids] | Ids,
    k: int,
) -> tuple[NDArray[Distance], Ids]:
    """Merge blocks of neighbours into the `k` nearest of all of them.

    Search parts of a database one by one, add the number of rows before each part to its indices, and merge:
    the result is that of one search of the whole database. Merging is associative, so it may be done in any
    grouping, such as by a tree of workers.

    Parameters
    ----------
    distances : sequence of int32 or float32 arrays (nq, k_i), or one array (n_blocks, nq, k_i)
        The distances that searches returned, all of one dtype.
    indices : sequence of int64 arrays (nq, k_i), or one array (n_blocks, nq, k_i)
        The indices to these distances, of the same shapes; -1 marks padding. A row that is in two blocks
        stays twice.
    k : int
        Neighbours per query, 0 or more.

    Returns
    -------
    distances : int32 or float32 array (nq, k)
        The smallest distances of each query; INT32_MAX or inf where there are fewer than `k` neighbours.
    indices : int64 array (nq, k)
        Their indices; -1 where there are none. Sorted by (distance, index): ties go to the lower index.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or `k` is not an integer.
    ValueError
        If there are no blocks, shapes do not agree, or `k` is negative.

    Examples
    --------
    >>> import numpy as np
    >>> import fastcodes
    >>> from fastcodes import hamming
    >>> codes = np.arange(8, dtype=np.uint8)[:, None]
    >>> first, second = hamming.knn(codes[:1], codes[:4], 3), hamming.knn(codes[:1], codes[4:], 3)
    >>> fastcodes.merge_topk([first[0], second[0]], [first[1], second[1] + 4], k=4)
    (array([[0, 1, 1, 1]], dtype=int32), array([[0, 1, 2, 4]]))

    Notes
    -----
    The numpy equivalent, but for padding::

        d, i = np.concatenate(distances, axis=1), np.concatenate(indices, axis=1)
        order = np.lexsort((i, d), axis=1)[:, :k]
        np.take_along_axis(d, order, axis=1), np.take_along_axis(i, order, axis=1)
    """
    k = as_integer(k, "k", 0)
    near = _blocks(distances, "distances", ("int32", "float32"))
    rows = _blocks(indices, "indices", ("int64",))
    shapes = [block.shape for block in near], [block.shape for block in rows]
    if shapes[0] != shapes[1] or len({shape[0] for shape in shapes[0]}) != 1:
        raise ValueError(
            "distances and indices must be blocks (nq, k_i) of the same shapes, with the same queries; "
            f"got {shapes[0]} and {shapes[1]}"
        )
    if len({block.dtype for block in near}) != 1:
        raise TypeError(f"distances must have one dtype; got {[str(block.dtype) for block in near]}")
    d, i = np.concatenate(near, axis=1), np.concatenate(rows, axis=1)
    order = np.lexsort((np.where(i < 0, _LAST, i), d), axis=1)[:, :k]  # padding comes last among its ties
    merged = no_neighbors(len(d), k, d.dtype)
    merged[0][:, : order.shape[1]] = np.take_along_axis(d, order, axis=1)
    merged[1][:, : order.shape[1]] = np.take_along_axis(i, order, axis=1)
    return merged


def no_neighbors(n_queries: int, k: int, dtype: Any) -> tuple[NDArray[Any], Ids]:
    """Return the distances and indices (n_queries, k) of a search that finds nothing: padding alone."""
    padding = np.inf if np.dtype(dtype) == np.float32 else np.iinfo(np.int32).max
    try:
        return np.full((n_queries, k), padding, dtype), np.full((n_queries, k), -1, np.int64)
    except (MemoryError, ValueError, OverflowError):
        raise ValueError(
            f"k is {k}, which is too large: results of shape {(n_queries, k)} do not fit in memory; "
            "expected at most about the rows of codes"
        ) from None


def count_with_self(k: int, n_queries: int, n_rows: int) -> int:
    """Return how many neighbours `without_self` needs, where the queries are the rows of the database."""
    if n_queries != n_rows:
        raise ValueError(
            "exclude_self is for queries that are the rows of codes; "
            f"got {n_queries} queries and {n_rows} rows"
        )
    return as_integer(k, "k", 0, 2**63 - 2) + 1


def without_self(distances: NDArray[Distance], indices: Ids) -> tuple[NDArray[Distance], Ids]:
    """Drop row ``i`` from its own ``k + 1`` neighbours, or the last of them if it is not there."""
    n, n_near = indices.shape
    is_dropped = indices == np.arange(n)[:, None]
    # Where many rows are equal, or a mask leaves the row out, it is not among them.
    is_dropped[~is_dropped.any(axis=1), -1] = True
    return distances[~is_dropped].reshape(n, n_near - 1), indices[~is_dropped].reshape(n, n_near - 1)


def ragged(found: Sequence[tuple[NDArray[Any], Ids]], dtype: Any) -> tuple[Ids, NDArray[Any], Ids]:
    """Return offsets, distances and indices from the distances (of `dtype`) and indices of each query."""
    offsets = np.cumsum([0, *(len(distances) for distances, _ in found)], dtype=np.int64)
    distances = np.concatenate([np.empty(0, dtype), *(part for part, _ in found)])
    return offsets, distances, np.concatenate([np.empty(0, np.int64), *(part for _, part in found)])


def _blocks(blocks: Any, name: str, dtypes: tuple[str, ...]) -> list[NDArray[Any]]:
    """Return the blocks of an argument of `merge_topk`: two-dimensional arrays of one of some dtypes."""
    is_stacked = isinstance(blocks, np.ndarray) and blocks.ndim == 3
    if not (is_stacked or isinstance(blocks, Sequence)) or isinstance(blocks, str):
        raise TypeError(
            f"{name} must be a sequence of arrays (nq, k_i), or one array (n_blocks, nq, k); "
            f"got {describe(blocks)}"
        )
    if not len(blocks):
        raise ValueError(f"{name} has no blocks; expected at least one")
    arrays = [as_array(block, name) for block in blocks]
    for array, block in zip(arrays, blocks, strict=True):
        if array.dtype.name not in dtypes:
            raise TypeError(f"{name} must be arrays of {' or '.join(dtypes)}; got {described(array, block)}")
        if array.ndim != 2:
            raise ValueError(f"{name} must be arrays of shape (nq, k_i); got {describe(array)}")
    return arrays


def components(i: ArrayLike, j: ArrayLike, n: int) -> Ids:
    """Label the connected components of a graph.

    Pairs of near-duplicates, such as those of `fastcodes.hamming.pairs`, become groups.

    Parameters
    ----------
    i, j : array_like of int (n_edges,)
        The two rows of each edge, in any order and any number of times.
    n : int
        The number of rows.

    Returns
    -------
    int64 array (n,)
        The lowest row of the component of each row; its own number if it has no edge. The labels do not
        depend on the order of the edges.

    Raises
    ------
    TypeError
        If `i` or `j` are not integers, or `n` is not an integer.
    ValueError
        If `i` and `j` differ in length, or have a row that is not from 0 to ``n - 1``.

    Examples
    --------
    >>> import fastcodes
    >>> fastcodes.components([1, 3, 4], [3, 0, 5], n=6)
    array([0, 0, 2, 0, 4, 4])

    Notes
    -----
    Equal to ``scipy.sparse.csgraph.connected_components`` of the edges, with the lowest row as the label of
    a component.
    """
    n = as_integer(n, "n", 0)
    a, b = _rows(i, "i", n), _rows(j, "j", n)
    if len(a) != len(b):
        raise ValueError(f"i has {len(a)} rows but j has {len(b)}; expected the two rows of each edge")
    return _native.components(a, b, n)


def _rows(rows: ArrayLike, name: str, n: int) -> Ids:
    """Return the rows of an argument of `components` as int64."""
    given = as_array(rows, name)
    if not given.size:
        given = given.astype(np.int64)
    if given.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, the numbers of rows; got {describe(given)}")
    if given.ndim != 1:
        raise ValueError(f"{name} must have one dimension; got shape {given.shape}")
    if given.size and not (given.min() >= 0 and given.max() < n):
        wrong = given[(given < 0) | (given >= n)][0]
        raise ValueError(f"{name} has the row {wrong}; expected rows from 0 to n - 1 = {n - 1}")
    return np.require(given, np.int64, ["C", "A"])
