"""Hamming distance: the number of bits in which two codes differ.

Codes are C-contiguous ``uint8`` arrays ``(n, n_bytes)``, one row per vector, bits in the order of
`numpy.packbits` (see `fastcodes.bits.pack`). Strided rows, read-only arrays, memory maps, buffers, CPU
tensors and columns of Arrow are searched without a copy; other layouts, data frames and lists are copied
first. Results are the same for every number of threads and every instruction set.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from fastcodes import _native
from fastcodes._typing import Floats, Ids
from fastcodes._validation import as_bool, as_mask, check_separate, code_array, float32_array, row_count
from fastcodes.results import count_with_self, without_self

__all__ = ["asymmetric_knn", "cdist", "groups", "knn", "pairs", "radius"]


def knn(
    queries: ArrayLike,
    codes: ArrayLike,
    k: int,
    *,
    exclude_self: bool = False,
    mask: ArrayLike | None = None,
    threads: int | None = None,
) -> tuple[npt.NDArray[np.int32], Ids]:
    """Find the `k` nearest codes of each query, exactly.

    Parameters
    ----------
    queries : array_like of uint8 (nq, n_bytes)
        Packed bits; a one-dimensional array is one query.
    codes : array_like of uint8 (n, n_bytes)
        The database.
    k : int
        Neighbours per query, 0 or more. Results are padded if fewer rows qualify.
    exclude_self : bool
        Whether query ``i`` is row ``i`` of `codes`, which is not its own neighbour then, even if others are
        equal to it.
    mask : array_like of bool (n,) or of int, optional
        The rows to search, or their ids; all by default. Ids may be in any order, and duplicates count once.
    threads : int, optional
        The largest number of threads, never more than the CPUs of this process. None means the environment
        variable ``FASTCODES_NUM_THREADS``, or all CPUs if it is not set; 1 starts no threads.

    Returns
    -------
    distances : int32 array (nq, k)
        ``distances[i, r]`` is the distance of query ``i`` to its ``r``-th nearest code: a number of bits.
        2147483647 where there are fewer than `k` rows.
    indices : int64 array (nq, k)
        The rows of these codes, -1 where there are fewer than `k`. Sorted by (distance, index): ties go to
        the lower index.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or `k` or `threads` is not an integer.
    ValueError
        If queries and codes differ in bytes, or a value is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits, hamming
    >>> codes = bits.pack(np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]))
    >>> distances, indices = hamming.knn(codes[0], codes, k=2)
    >>> distances
    array([[0, 1]], dtype=int32)
    >>> indices
    array([[0, 1]])

    Notes
    -----
    The numpy equivalent::

        d = np.bitwise_count(queries[:, None] ^ codes).sum(axis=-1, dtype=np.int32)
        indices = np.argsort(d, axis=1, kind="stable")[:, :k]
        distances = np.take_along_axis(d, indices, axis=1)
    """
    queries, codes = code_array(queries, "queries"), code_array(codes, "codes")
    rows = None if mask is None else as_mask(mask, row_count(codes))
    if exclude_self is not False and as_bool(exclude_self, "exclude_self"):
        n_near = count_with_self(k, row_count(queries), row_count(codes))
        return without_self(*_native.hamming_knn(queries, codes, n_near, rows, threads, None))
    return _native.hamming_knn(queries, codes, k, rows, threads, None)


def radius(
    queries: ArrayLike,
    codes: ArrayLike,
    radius: int,
    *,
    mask: ArrayLike | None = None,
    threads: int | None = None,
) -> tuple[Ids, npt.NDArray[np.int32], Ids]:
    """Find all codes at a distance of at most `radius` from each query.

    Parameters
    ----------
    queries : array_like of uint8 (nq, n_bytes)
        Packed bits; a one-dimensional array is one query.
    codes : array_like of uint8 (n, n_bytes)
        The database.
    radius : int
        In bits, 0 or more; inclusive.
    mask, threads
        As in `knn`.

    Returns
    -------
    offsets : int64 array (nq + 1,)
        The results of query ``i`` are ``offsets[i]:offsets[i + 1]`` of the other two arrays.
    distances : int32 array
        Their distances.
    indices : int64 array
        Their rows, within a query sorted by (distance, index).

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or a number the wrong type.
    ValueError
        If queries and codes differ in bytes, or a value is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits, hamming
    >>> codes = bits.pack(np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]))
    >>> offsets, distances, indices = hamming.radius(codes, codes, radius=1)
    >>> [indices[start:end].tolist() for start, end in zip(offsets, offsets[1:])]
    [[0, 1], [1, 0], [2]]

    Notes
    -----
    The numpy equivalent for one query, with ``d`` as in `knn`: ``np.flatnonzero(d[i] <= radius)``, sorted by
    distance.

    The results are a sparse matrix of scipy, which scikit-learn takes for a precomputed graph of neighbours::

        scipy.sparse.csr_array((distances, indices, offsets), shape=(len(queries), len(codes)))
    """
    queries, codes = code_array(queries, "queries"), code_array(codes, "codes")
    rows = None if mask is None else as_mask(mask, row_count(codes))
    return _native.hamming_radius(queries, codes, radius, rows, threads, None)


def asymmetric_knn(
    queries: ArrayLike,
    codes: ArrayLike,
    k: int,
    *,
    exclude_self: bool = False,
    mask: ArrayLike | None = None,
    threads: int | None = None,
) -> tuple[Floats, Ids]:
    """Find the `k` codes with the largest inner products with real queries, exactly.

    A code stands for signs: +1 where a bit is one, -1 where it is zero. Queries are not rounded to signs, so
    a bit with a large margin counts more than one near zero (asymmetric distances: Gordo, Perronnin, Gong and
    Lazebnik, *Asymmetric distances for binary embeddings*, IEEE TPAMI 36, 2014). Such queries are the output
    of a hash function's ``decision_function``.

    Parameters
    ----------
    queries : array_like (nq, n_bits)
        Numbers of any real dtype, converted to float32, of magnitudes up to 8.5e37; a one-dimensional array
        is one query.
    codes : array_like of uint8 (n, ceil(n_bits / 8))
        The database, as `fastcodes.bits.pack` returns it. Bits beyond `n_bits` do not count.
    k : int
        Neighbours per query, 0 or more. Results are padded if fewer rows qualify.
    exclude_self, mask, threads
        As in `knn`.

    Returns
    -------
    distances : float32 array (nq, k)
        ``distances[i, r]`` is the *negative* inner product of query ``i`` and the signs of its ``r``-th
        nearest code, so that smaller is nearer here too; inf where there are fewer than `k` rows.
    indices : int64 array (nq, k)
        The rows of these codes, -1 where there are fewer than `k`. Sorted by (distance, index): ties go to
        the lower index.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or `k` or `threads` is not an integer.
    ValueError
        If `codes` do not have ``ceil(n_bits / 8)`` bytes, a query is not finite, or a value is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits, hamming
    >>> codes = bits.pack(np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]))
    >>> distances, indices = hamming.asymmetric_knn(np.array([0.25, 2.0, -0.5, 0.0]), codes, k=2)
    >>> distances  # -(0.25 + 2.0 + 0.5), -(0.25 + 2.0 - 0.5)
    array([[-2.75, -1.75]], dtype=float32)
    >>> indices
    array([[1, 0]])

    Notes
    -----
    The numpy equivalent, up to rounding::

        signs = bits.unpack(codes, n_bits, dtype=np.float32, values=(-1, 1))
        d = -(queries @ signs.T)
        indices = np.argsort(d, axis=1, kind="stable")[:, :k]
        distances = np.take_along_axis(d, indices, axis=1)

    Sums are float32. Each four dimensions are added up in their order, and these sums in the order of the
    bytes, in each the last four dimensions first; results equal these sums to the bit, for every number of
    threads and every instruction set. The search is that of `fastcodes.adc`, with each half byte as a code
    of 16 codewords.
    """
    numbers, codes = float32_array(queries, "queries"), code_array(codes, "codes")
    rows = None if mask is None else as_mask(mask, row_count(codes))
    if exclude_self is not False and as_bool(exclude_self, "exclude_self"):
        n_near = count_with_self(k, row_count(numbers), row_count(codes))
        return without_self(*_native.hamming_asymmetric_knn(numbers, codes, n_near, rows, threads, None))
    return _native.hamming_asymmetric_knn(numbers, codes, k, rows, threads, None)


def cdist(
    a: ArrayLike, b: ArrayLike, *, out: npt.NDArray[np.int32] | None = None, threads: int | None = None
) -> npt.NDArray[np.int32]:
    """Compute the distances of all rows of `a` to all rows of `b`.

    Parameters
    ----------
    a : array_like of uint8 (na, n_bytes)
        Packed bits; a one-dimensional array is one row.
    b : array_like of uint8 (nb, n_bytes)
        Packed bits.
    out : int32 array (na, nb), optional
        C-contiguous; receives the result.
    threads : int, optional
        As in `knn`.

    Returns
    -------
    int32 array (na, nb)
        ``result[i, j]`` is the distance of ``a[i]`` and ``b[j]``; `out` itself, if it was given.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or `threads` is not an integer.
    ValueError
        If `a` and `b` differ in bytes, or `out` has another shape, is read-only or not C-contiguous.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits, hamming
    >>> codes = bits.pack(np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]))
    >>> hamming.cdist(codes[:1], codes)
    array([[0, 1, 4]], dtype=int32)

    Notes
    -----
    The numpy equivalent::

        np.bitwise_count(a[:, None] ^ b).sum(axis=-1, dtype=np.int32)
    """
    a, b = code_array(a, "a"), code_array(b, "b")
    check_separate(out, a, "a")
    check_separate(out, b, "b")
    return _native.hamming_cdist(a, b, out, threads)


def pairs(
    codes: ArrayLike, radius: int, *, threads: int | None = None
) -> tuple[Ids, Ids, npt.NDArray[np.int32]]:
    """Find all pairs of codes at a distance of at most `radius`: near-duplicates.

    Parameters
    ----------
    codes : array_like of uint8 (n, n_bytes)
        Packed bits.
    radius : int
        In bits, 0 or more; inclusive.
    threads : int, optional
        As in `knn`.

    Returns
    -------
    i, j : int64 arrays
        The rows of each pair, ``i < j``, sorted by (i, j).
    distances : int32 array
        Their distances.

    Raises
    ------
    TypeError
        If `codes` has the wrong dtype, or a number the wrong type.
    ValueError
        If a value is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits, hamming
    >>> codes = bits.pack(np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]))
    >>> i, j, distances = hamming.pairs(codes, radius=1)
    >>> list(zip(i.tolist(), j.tolist()))
    [(0, 1)]

    Notes
    -----
    The numpy equivalent, with ``d = cdist(codes, codes)``: ``np.nonzero(np.triu(d <= radius, 1))``.
    """
    return _native.hamming_pairs(code_array(codes, "codes"), radius, threads)


def groups(codes: ArrayLike, radius: int, *, threads: int | None = None) -> Ids:
    """Group codes that are connected by pairs at a distance of at most `radius`: near-duplicates.

    The pairs are not stored: many equal codes, which have very many pairs, take no memory.

    Parameters
    ----------
    codes, radius, threads
        As in `pairs`.

    Returns
    -------
    int64 array (n,)
        The lowest row of the group of each row: itself if it is the first of its group, or alone.

    Raises
    ------
    TypeError, ValueError
        As in `pairs`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits, hamming
    >>> codes = bits.pack(np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]))
    >>> hamming.groups(codes, radius=1)
    array([0, 0, 2])

    Notes
    -----
    Equal to ``fastcodes.components(*pairs(codes, radius)[:2], len(codes))``: groups by single linkage.
    """
    return _native.hamming_groups(code_array(codes, "codes"), radius, threads)
