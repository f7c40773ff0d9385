"""Jaccard distance of bit sets, for molecular fingerprints also called the Tanimoto distance.

``1 - popcount(a & b) / popcount(a | b)``, in [0, 1]. The distance of two codes without any bit set is 0, as
in scipy; RDKit calls the similarity of two empty fingerprints 0, which would be a distance of 1.

`knn`, `radius` and `cdist` compute the Tversky distance of a query ``a`` and a row ``b``, which weights the
bits that only one of the two has (Tversky, Features of Similarity, Psychological Review 84, 1977)::

    common, only_a, only_b = popcount(a & b), popcount(a & ~b), popcount(b & ~a)
    distance = 1 - common / (common + alpha * only_a + beta * only_b)  # 0 / 0 is a similarity of 1

=====  ====  ================================================================================
alpha  beta  distance
=====  ====  ================================================================================
1      1     Jaccard (Tanimoto), the default
0.5    0.5   Dice
1      0     the share of the query's bits that the row lacks: 0 if it contains all of them, as
             the fingerprint of a molecule contains that of a substructure
0      1     the share of the row's bits that the query lacks
=====  ====  ================================================================================

With different weights it is not symmetric: rows of the first argument are the queries. `pairs` and `groups`,
where rows have no such roles, use the Jaccard distance ``d``. That is no restriction for equal weights ``w``,
whose distance ``w * d / (1 - d + w * d)`` grows with it.

Codes are C-contiguous ``uint8`` arrays ``(n, n_bytes)``, one row per vector, bits in the order of
`numpy.packbits` (see `fastcodes.bits.pack`). Strided rows, read-only arrays, memory maps, buffers and CPU
tensors are searched without a copy; other layouts, data frames and lists are copied first. For three queries
or more, rows are visited in the order of their number of ones, so that most of them can be skipped (BitBound:
Swamidass and Baldi, J. Chem. Inf. Model. 47, 2007). Results are the same for every number of threads and
every instruction set.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from fastcodes import _native
from fastcodes._typing import Floats, Ids
from fastcodes._validation import as_bool, as_mask, as_real, check_separate, code_array, row_count
from fastcodes.results import count_with_self, without_self

__all__ = ["cdist", "groups", "knn", "pairs", "radius"]


def knn(
    queries: ArrayLike,
    codes: ArrayLike,
    k: int,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    exclude_self: bool = False,
    mask: ArrayLike | None = None,
    threads: int | None = None,
) -> tuple[Floats, Ids]:
    """Find the `k` nearest codes of each query, exactly.

    Parameters
    ----------
    queries : array_like of uint8 (nq, n_bytes)
        Packed bits; a one-dimensional array is one query.
    codes : array_like of uint8 (n, n_bytes)
        The database.
    k : int
        Neighbours per query, 0 or more. Results are padded if fewer rows qualify.
    alpha, beta : float
        Weights of bits that only the query has, and of those that only the row has; finite, 0 or more. By
        default the distance is that of Jaccard: see above for others.
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
    distances : float32 array (nq, k)
        ``distances[i, r]`` is the distance of query ``i`` to its ``r``-th nearest code: a fraction, rounded
        once to float32; inf where there are fewer than `k` rows. With other weights it is computed in float64
        first.
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
    >>> from fastcodes import bits, jaccard
    >>> codes = bits.pack(np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]))
    >>> distances, indices = jaccard.knn(codes[0], codes, k=2)
    >>> distances
    array([[0.        , 0.33333334]], dtype=float32)
    >>> indices
    array([[0, 1]])

    The rows that contain most of the query, whatever else they have:

    >>> jaccard.knn(codes[1], codes, k=2, alpha=1, beta=0)
    (array([[0., 0.]], dtype=float32), array([[0, 1]]))

    Notes
    -----
    The numpy equivalent::

        a, b = queries[:, None], codes
        common = np.bitwise_count(a & b).sum(axis=-1)
        apart = alpha * np.bitwise_count(a & ~b).sum(axis=-1) + beta * np.bitwise_count(b & ~a).sum(axis=-1)
        d = apart / (common + apart)  # 0 / 0 = 0
        indices = np.argsort(d, axis=1, kind="stable")[:, :k]
        distances = np.take_along_axis(d, indices, axis=1)
    """
    weights = _as_weights(alpha, beta)
    queries, codes = code_array(queries, "queries"), code_array(codes, "codes")
    rows = None if mask is None else as_mask(mask, row_count(codes))
    if exclude_self is not False and as_bool(exclude_self, "exclude_self"):
        n_near = count_with_self(k, row_count(queries), row_count(codes))
        return without_self(*_native.jaccard_knn(queries, codes, n_near, weights, None, rows, threads, None))
    return _native.jaccard_knn(queries, codes, k, weights, None, rows, threads, None)


def radius(
    queries: ArrayLike,
    codes: ArrayLike,
    radius: float,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    mask: ArrayLike | None = None,
    threads: int | None = None,
) -> tuple[Ids, Floats, Ids]:
    """Find all codes at a distance of at most `radius` from each query.

    Parameters
    ----------
    queries : array_like of uint8 (nq, n_bytes)
        Packed bits; a one-dimensional array is one query.
    codes : array_like of uint8 (n, n_bytes)
        The database.
    radius : float
        0 or more; inclusive. It is rounded to float32 first, as numpy does with a Python float.
    alpha, beta, mask, threads
        As in `knn`.

    Returns
    -------
    offsets : int64 array (nq + 1,)
        The results of query ``i`` are ``offsets[i]:offsets[i + 1]`` of the other two arrays.
    distances : float32 array
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
    >>> from fastcodes import bits, jaccard
    >>> codes = bits.pack(np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]))
    >>> offsets, distances, indices = jaccard.radius(codes, codes, radius=0.5)
    >>> [indices[start:end].tolist() for start, end in zip(offsets, offsets[1:])]
    [[0, 1], [1, 0], [2]]

    Screening for substructures, the rows that contain all bits of the query:

    >>> jaccard.radius(codes[1], codes, radius=0, alpha=1, beta=0)
    (array([0, 2]), array([0., 0.], dtype=float32), array([0, 1]))

    Notes
    -----
    The numpy equivalent for one query, with ``d`` as in `knn`: ``np.flatnonzero(d[i] <= radius)``, sorted by
    distance.

    The results are a sparse matrix of scipy, which scikit-learn takes for a precomputed graph of neighbours::

        scipy.sparse.csr_array((distances, indices, offsets), shape=(len(queries), len(codes)))
    """
    weights = _as_weights(alpha, beta)
    queries, codes = code_array(queries, "queries"), code_array(codes, "codes")
    rows = None if mask is None else as_mask(mask, row_count(codes))
    return _native.jaccard_radius(queries, codes, radius, weights, None, rows, threads, None)


def cdist(
    a: ArrayLike,
    b: ArrayLike,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    out: Floats | None = None,
    threads: int | None = None,
) -> Floats:
    """Compute the distances of all rows of `a` to all rows of `b`.

    Parameters
    ----------
    a : array_like of uint8 (na, n_bytes)
        Packed bits; a one-dimensional array is one row.
    b : array_like of uint8 (nb, n_bytes)
        Packed bits.
    alpha, beta : float
        As in `knn`: rows of `a` are the queries.
    out : float32 array (na, nb), optional
        C-contiguous; receives the result.
    threads : int, optional
        As in `knn`.

    Returns
    -------
    float32 array (na, nb)
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
    >>> from fastcodes import bits, jaccard
    >>> codes = bits.pack(np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]))
    >>> jaccard.cdist(codes[:1], codes)
    array([[0.        , 0.33333334, 1.        ]], dtype=float32)

    Notes
    -----
    The numpy equivalent is ``d`` as in `knn`.
    """
    a, b = code_array(a, "a"), code_array(b, "b")
    check_separate(out, a, "a")
    check_separate(out, b, "b")
    return _native.jaccard_cdist(a, b, _as_weights(alpha, beta), out, threads)


def _as_weights(alpha: float, beta: float) -> tuple[float, float]:
    return as_real(alpha, "alpha", at_least=0), as_real(beta, "beta", at_least=0)


def pairs(codes: ArrayLike, radius: float, *, threads: int | None = None) -> tuple[Ids, Ids, Floats]:
    """Find all pairs of codes at a Jaccard distance of at most `radius`: near-duplicates.

    Parameters
    ----------
    codes : array_like of uint8 (n, n_bytes)
        Packed bits.
    radius : float
        0 or more; inclusive. It is rounded to float32 first, as numpy does with a Python float.
    threads : int, optional
        As in `knn`.

    Returns
    -------
    i, j : int64 arrays
        The rows of each pair, ``i < j``, sorted by (i, j).
    distances : float32 array
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
    >>> from fastcodes import bits, jaccard
    >>> codes = bits.pack(np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]))
    >>> i, j, distances = jaccard.pairs(codes, radius=0.5)
    >>> list(zip(i.tolist(), j.tolist()))
    [(0, 1)]

    Notes
    -----
    The numpy equivalent, with ``d = cdist(codes, codes)``: ``np.nonzero(np.triu(d <= radius, 1))``.
    """
    return _native.jaccard_pairs(code_array(codes, "codes"), radius, threads)


def groups(codes: ArrayLike, radius: float, *, threads: int | None = None) -> Ids:
    """Group codes that are connected by pairs at a Jaccard distance of at most `radius`: near-duplicates.

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
    >>> from fastcodes import bits, jaccard
    >>> codes = bits.pack(np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]))
    >>> jaccard.groups(codes, radius=0.5)
    array([0, 0, 2])

    Notes
    -----
    Equal to ``fastcodes.components(*pairs(codes, radius)[:2], len(codes))``: groups by single linkage.
    """
    return _native.jaccard_groups(code_array(codes, "codes"), radius, threads)
