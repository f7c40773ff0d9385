"""Asymmetric distance computation: search of product-quantised codes by table look-ups.

Product quantisation cuts a vector into M parts and replaces each by the number of the nearest of K
codewords: M bytes per vector. A query is not quantised: its look-up table holds the distance of each of its
parts to each codeword, and the distance to a row is the sum of M entries (ADC: Jégou, Douze and Schmid,
*Product quantization for nearest neighbor search*, IEEE TPAMI 33, 2011, eq. 13).

=============  ====================================  ==================================================
array          shape                                 meaning
=============  ====================================  ==================================================
codebooks      float32 ``(M, K, d / M)``, K <= 256   ``codebooks[m, c]`` is codeword ``c`` of part ``m``
codes          uint8 ``(n, M)``                      ``codes[i, m]`` is the codeword of row ``i``
tables         float32 ``(nq, M, K)``                ``tables[q, m, c]`` is the distance of codeword ``c``
=============  ====================================  ==================================================

That is the layout of faiss and nanopq, except that a code takes one byte for K = 16 too. `PackedCodes` holds
the same codes rearranged, for repeated searches.

A sum is float32, added over m = 0, 1, ... from zero, and results are exactly those of these sums, for every
number of threads and every instruction set. Inside, sums of bytes bound them from below and rule out most
rows (after André, Kermarrec and Le Scouarnec, *Quicker ADC*, IEEE TPAMI 43, 2019, whose sums approximate).
"""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _native
from fastcodes._blocks import blocks, naming_nonfinite
from fastcodes._packed_codes import CODES, PackedCodes
from fastcodes._typing import Codes, Floats, Ids
from fastcodes._validation import (
    as_bool,
    as_mask,
    as_numbers,
    check_separate,
    code_array,
    float32_array,
    kernel_array,
    row_count,
)
from fastcodes.results import count_with_self, without_self

__all__ = ["PackedCodes", "encode", "knn", "radius", "scan", "tables"]

_CODES = f"{CODES}, or a PackedCodes"


def tables(
    queries: ArrayLike, codebooks: ArrayLike, *, metric: str = "l2", threads: int | None = None
) -> Floats:
    """Compute the look-up tables of queries: how far each codeword is from each part.

    Parameters
    ----------
    queries : array_like (nq, d)
        Numbers of any real dtype, computed with as float32; a one-dimensional array is one query.
    codebooks : array_like of float32 (M, K, d / M)
        The codewords of each part.
    metric : {"l2", "ip"}
        "l2" is the squared Euclidean distance, the sum over dimensions 0, 1, ... of ``(q - c) ** 2``; "ip" is
        the *negative* inner product, so that smaller is nearer here too.
    threads : int, optional
        The largest number of threads; None means all CPUs of this process, or the number in the environment
        variable ``FASTCODES_NUM_THREADS``; 1 starts none. No more threads than CPUs are started.

    Returns
    -------
    float32 array (nq, M, K)
        ``result[q, m, c]`` belongs to query ``q``, part ``m`` and codeword ``c``.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or `threads` is not an integer.
    ValueError
        If queries and codebooks differ in dimensions, or a number is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import adc
    >>> codebooks = np.array([[[0.0], [1.0]], [[0.0], [5.0]]], np.float32)  # two parts, two codewords each
    >>> adc.tables(np.array([1.0, 4.0]), codebooks)
    array([[[ 1.,  0.],
            [16.,  1.]]], dtype=float32)

    Notes
    -----
    The numpy equivalent::

        parts = queries.reshape(nq, M, 1, d // M)
        ((parts - codebooks) ** 2).sum(axis=-1)  # "l2"
        -(parts * codebooks).sum(axis=-1)  # "ip"
    """
    books = kernel_array(codebooks, "codebooks")
    return _native.adc_tables(float32_array(queries, "queries"), books, metric, threads)


def scan(
    tables: ArrayLike,
    codes: ArrayLike | PackedCodes,
    *,
    out: Floats | None = None,
    threads: int | None = None,
) -> Floats:
    """Compute the distances of all rows.

    Parameters
    ----------
    tables : array_like of float32 (nq, M, K)
        As `tables` makes them; a two-dimensional array is one query.
    codes : array_like of uint8 (n, M) or PackedCodes
        The database.
    out : float32 array (nq, n), optional
        C-contiguous array for the result.
    threads : int, optional
        As in `tables`.

    Returns
    -------
    float32 array (nq, n)
        ``result[q, i]`` is the sum over ``m`` of ``tables[q, m, codes[i, m]]``; `out` itself, if it is given.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or `threads` is not an integer.
    ValueError
        If tables and codes differ in M, a code is not below K, a table entry is not finite, or `out` has
        another shape, is read-only or not C-contiguous.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import adc
    >>> tables = np.array([[1, 0], [16, 1]], np.float32)
    >>> codes = np.array([[0, 0], [1, 1], [1, 0]], np.uint8)
    >>> adc.scan(tables, codes)
    array([[17.,  1., 16.]], dtype=float32)

    Notes
    -----
    The numpy equivalent::

        np.stack([sum(table[m][codes[:, m]] for m in range(M)) for table in tables])
    """
    entries, source = kernel_array(tables, "tables"), _code_source(codes)
    check_separate(out, entries, "tables")
    check_separate(out, source, "codes")
    return _native.adc_scan(entries, source, out, threads)


def knn(
    tables: ArrayLike,
    codes: ArrayLike | PackedCodes,
    k: int,
    *,
    exclude_self: bool = False,
    mask: ArrayLike | None = None,
    threads: int | None = None,
) -> tuple[Floats, Ids]:
    """Find the `k` rows with the smallest distances to each query, exactly.

    Parameters
    ----------
    tables : array_like of float32 (nq, M, K)
        As `tables` makes them; a two-dimensional array is one query. Entries may have any sign.
    codes : array_like of uint8 (n, M) or PackedCodes
        The database. Pack codes that are searched more than once.
    k : int
        Neighbours per query, 0 or more. If there are fewer rows, the results are padded.
    exclude_self : bool
        Whether the tables of query ``q`` are those of row ``q``, which is not its own neighbour then.
    mask : array_like of bool (n,) or of int, optional
        The rows to search, or their ids. Ids may come in any order; repeated ones count once.
    threads : int, optional
        As in `tables`.

    Returns
    -------
    distances : float32 array (nq, k)
        ``distances[q, r]`` is the distance of query ``q`` to its ``r``-th nearest row, as `scan` gives it;
        inf if there are fewer than `k` rows.
    indices : int64 array (nq, k)
        Their rows; -1 where there is none. Sorted by (distance, index): a tie goes to the lower index.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or `k` or `threads` is not an integer.
    ValueError
        If tables and codes differ in M, a code is not below K, a table entry is not finite, or a value is out
        of range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import adc
    >>> tables = np.array([[1, 0], [16, 1]], np.float32)
    >>> codes = np.array([[0, 0], [1, 1], [1, 0]], np.uint8)
    >>> distances, indices = adc.knn(tables, codes, k=2)
    >>> distances
    array([[ 1., 16.]], dtype=float32)
    >>> indices
    array([[1, 2]])

    Notes
    -----
    The numpy equivalent, with ``d = scan(tables, codes)``::

        indices = np.argsort(d, axis=1, kind="stable")[:, :k]
        distances = np.take_along_axis(d, indices, axis=1)
    """
    entries, source = kernel_array(tables, "tables"), _code_source(codes)
    rows = None if mask is None else as_mask(mask, _row_count(source))
    if exclude_self is not False and as_bool(exclude_self, "exclude_self"):
        n_near = count_with_self(k, len(entries) if np.ndim(entries) == 3 else 1, _row_count(source))
        return without_self(*_native.adc_knn(entries, source, n_near, rows, threads, None))
    return _native.adc_knn(entries, source, k, rows, threads, None)


def radius(
    tables: ArrayLike,
    codes: ArrayLike | PackedCodes,
    radius: float,
    *,
    mask: ArrayLike | None = None,
    threads: int | None = None,
) -> tuple[Ids, Floats, Ids]:
    """Find all rows at a distance of at most `radius` from each query.

    Parameters
    ----------
    tables, codes
        As in `knn`.
    radius : float
        Of any sign, inclusive; for "l2" tables the *square* of a Euclidean radius. It is rounded to float32
        before comparisons.
    mask, threads
        As in `knn`.

    Returns
    -------
    offsets : int64 array (nq + 1,)
        The results of query ``q`` are ``offsets[q]:offsets[q + 1]`` of the other two arrays.
    distances : float32 array
        Their distances.
    indices : int64 array
        Their rows, within a query sorted by (distance, index).

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or a number the wrong type.
    ValueError
        As in `knn`; if `radius` is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import adc
    >>> tables = np.array([[1, 0], [16, 1]], np.float32)
    >>> codes = np.array([[0, 0], [1, 1], [1, 0]], np.uint8)
    >>> adc.radius(tables, codes, radius=16)
    (array([0, 2]), array([ 1., 16.], dtype=float32), array([1, 2]))

    Notes
    -----
    The numpy equivalent for one query, with ``d = scan(tables, codes)``: ``np.flatnonzero(d[q] <= radius)``,
    sorted by distance.
    """
    entries, source = kernel_array(tables, "tables"), _code_source(codes)
    rows = None if mask is None else as_mask(mask, _row_count(source))
    return _native.adc_radius(entries, source, radius, rows, threads, None)


@overload
def encode(
    x: ArrayLike,
    codebooks: ArrayLike,
    *,
    return_distances: Literal[False] = False,
    threads: int | None = None,
) -> Codes: ...
@overload
def encode(
    x: ArrayLike, codebooks: ArrayLike, *, return_distances: Literal[True], threads: int | None = None
) -> tuple[Codes, Floats]: ...
def encode(
    x: ArrayLike, codebooks: ArrayLike, *, return_distances: bool = False, threads: int | None = None
) -> Codes | tuple[Codes, Floats]:
    """Find the nearest codeword of each part of each vector.

    Parameters
    ----------
    x : array_like (n, d)
        Numbers of any real dtype, computed with as float32; a one-dimensional array is one vector. Other
        dtypes than float32 are converted block by block.
    codebooks : array_like of float32 (M, K, d / M)
        The codewords of each part.
    return_distances : bool
        Whether to return the squared distances to these codewords too.
    threads : int, optional
        As in `tables`.

    Returns
    -------
    codes : uint8 array (n, M)
        ``codes[i, m]`` is the number of the codeword with the smallest squared Euclidean distance to part
        ``m`` of ``x[i]``; of equally near ones, the lowest.
    distances : float32 array (n, M)
        These squared distances; only with `return_distances`.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or `threads` is not an integer.
    ValueError
        If vectors and codebooks differ in dimensions, or a number is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import adc
    >>> codebooks = np.array([[[0.0], [1.0]], [[0.0], [5.0]]], np.float32)  # two parts, two codewords each
    >>> adc.encode(np.array([[0.8, 4.0], [0.1, 2.0]]), codebooks)
    array([[1, 1],
           [0, 0]], dtype=uint8)

    Notes
    -----
    The numpy equivalent: ``tables(x, codebooks).argmin(axis=-1)``; the distances are the minima.
    """
    x, books = as_numbers(x, "x"), kernel_array(codebooks, "codebooks")
    rows = x[None] if x.ndim == 1 else x
    n_subspaces = len(books) if np.ndim(books) == 3 else 0
    shape = (len(rows) if rows.ndim == 2 else 0, n_subspaces)
    codes = np.empty(shape, np.uint8)
    distances = np.empty(shape, np.float32) if as_bool(return_distances, "return_distances") else None
    if rows.ndim != 2 or not rows.size or (rows.dtype == np.float32 and rows.flags.c_contiguous):
        _native.adc_encode(float32_array(rows, "x"), books, codes, distances, threads)
        return codes if distances is None else (codes, distances)
    with naming_nonfinite(rows, "x"):
        for part, block in blocks(rows, check=False):
            of_part = None if distances is None else distances[part]
            _native.adc_encode(block, books, codes[part], of_part, threads)
    return codes if distances is None else (codes, distances)


def _code_source(codes: ArrayLike | PackedCodes) -> Codes | PackedCodes:
    return codes if isinstance(codes, PackedCodes) else code_array(codes, "codes", _CODES)


def _row_count(codes: Codes | PackedCodes) -> int:
    return len(codes) if isinstance(codes, PackedCodes) else row_count(codes)
