"""Searches of codes in a dask array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import hamming, jaccard
from fastcodes._codec import Codec
from fastcodes._storage import selected_rows
from fastcodes._typing import Array, Ids, Mask
from fastcodes._validation import as_mask, as_option, check_threads
from fastcodes.distributed._engine import as_dask_array, as_tree, load, row_chunks
from fastcodes.index import FlatIndex
from fastcodes.results import merge_topk

__all__ = ["knn"]

_SEARCHES: dict[str, Callable[..., tuple[Any, Ids]]] = {
    "hamming": hamming.knn,
    "jaccard": jaccard.knn,
    "asymmetric": hamming.asymmetric_knn,
}


def knn(
    queries: Any,
    codes: Any,
    k: int,
    *,
    metric: str | None = None,
    codec: Codec | None = None,
    mask: ArrayLike | None = None,
    threads: int | None = 1,
) -> Any:
    """Find the `k` nearest codes of each query in a dask array, exactly.

    Each chunk is searched where it is, and the results are merged as a tree: to the bit what one machine
    finds, for every chunking and number of workers.

    Parameters
    ----------
    queries : array_like
        Queries, in the memory of this process: packed bits (nq, n_bytes), real values (nq, n_bits) for
        "asymmetric", or with `codec` what its index searches for: vectors (nq, d).
    codes : dask array (n, code_size)
        The database, in chunks of known sizes: packed bits, or with `codec` the codes that `encode` returns.
    k : int
        Neighbours per query, 0 or more. Results are padded if fewer rows qualify.
    metric : str, optional
        Without `codec`, "hamming" (the default), "jaccard" or "asymmetric", as in `fastcodes.hamming` and
        `fastcodes.jaccard`. With it, one of its metrics, by default the first: see
        `fastcodes.index.FlatIndex`.
    codec : model of fastcodes.quantization or fastcodes.hashing, optional
        The fitted model that made the codes.
    mask : array_like of bool (n,) or of int, optional
        The rows to search, or their ids; all by default. Chunks without such rows are not read.
    threads : int or None
        Threads of the kernels in each task; None means all CPUs of a worker. Dask runs as many tasks at once
        as a worker has threads, so one each is right.

    Returns
    -------
    Delayed of (distances, indices)
        ``compute()`` returns the arrays (nq, k) of `fastcodes.hamming.knn`, `fastcodes.jaccard.knn` or
        ``FlatIndex(codec, metric=metric).search``: sorted by (distance, index), indices count the rows of
        `codes`. Nothing is computed before.

    Raises
    ------
    ImportError
        If Dask is not installed.
    TypeError, ValueError
        If an argument is wrong; of a chunk whose dtype is not what `codes` announces, when it is computed.

    See Also
    --------
    fastcodes.merge_topk : The merge, for engines other than Dask.

    Notes
    -----
    All queries are searched together. Many are better searched a few thousand at a time, since each task
    returns ``nq * k`` neighbours.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from fastcodes import distributed
    >>> codes = da.from_array(np.arange(8, dtype=np.uint8)[:, None], chunks=(3, 1))
    >>> found = distributed.knn(np.array([[3]], np.uint8), codes, k=4)
    >>> found.compute()
    (array([[0, 1, 1, 1]], dtype=int32), array([[3, 1, 2, 7]]))
    """
    dask = load()
    codes = as_dask_array(codes, "codes")
    check_threads(threads)
    selected = None if mask is None else as_mask(mask, len(codes))
    if selected is not None and (selected.dtype.kind, selected.shape) != ("b", (len(codes),)):
        selected = selected_rows(selected, len(codes))
    # The search of no rows raises the errors of all other arguments, now rather than in tasks.
    none = np.empty((0, codes.shape[1]), codes.dtype)
    if codec is None:
        metric = as_option("hamming" if metric is None else metric, "metric", _SEARCHES)
    else:
        metric = FlatIndex(codec, metric=metric).metric
    empty = _search(queries, none, 0, k, metric, codec, None, threads)
    if codec is not None and metric == "asymmetric":
        # Computed once, since floats of numpy's BLAS depend on the machine.
        queries, codec = codec.operand(codec.as_queries(queries), metric), None

    given, model = (dask.delayed(value, traverse=False) for value in (queries, codec))
    search, merge = dask.delayed(_search, nout=2), dask.delayed(_merged, nout=2)
    parts = []
    for start, end, chunk in row_chunks(codes):
        rows = None if selected is None else _selected(selected, start, end)
        if rows is None or len(rows):
            parts.append(search(given, chunk, start, k, metric, model, rows, threads))
    if not parts:
        return dask.delayed(empty, traverse=False)
    return as_tree(parts, lambda group: merge(group, k))


def _selected(mask: Mask, start: int, end: int) -> Ids:
    """Return the selected rows of a chunk, counted from its first."""
    if mask.dtype.kind == "b":
        return np.flatnonzero(mask[start:end])
    first, last = np.searchsorted(mask, (start, end))
    return (mask[first:last] - start).astype(np.int64, copy=False)


def _search(
    queries: Any,
    codes: Any,
    start: int,
    k: int,
    metric: str,
    codec: Codec | None,
    mask: Mask | None,
    threads: int | None,
) -> tuple[Array, Ids]:
    """Search a chunk, whose first row has the number `start`."""
    if codec is None:
        distances, indices = _SEARCHES[metric](queries, codes, k, mask=mask, threads=threads)
    else:
        index = FlatIndex(codec, metric=metric)
        index.add_codes(codes, threads=threads)
        distances, indices = index.search(queries, k, mask=mask, threads=threads)
    return distances, np.where(indices >= 0, indices + start, -1)


def _merged(parts: list[tuple[Array, Ids]], k: int) -> tuple[Array, Ids]:
    return merge_topk([distances for distances, _ in parts], [indices for _, indices in parts], k)
