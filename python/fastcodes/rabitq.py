"""RaBitQ: search of vectors kept as a few bits per dimension, by unbiased estimates of distances.

A vector ``x`` that was rotated at random (`fastcodes.hadamard.rotate`) is replaced by a point ``u`` of a grid
with nearly the same direction, `n_bits` bits per dimension, and a factor ``f = |x|^2 / <u, x>``. The inner
product ``<f u, q>`` estimates ``<x, q>``: on average over rotations it is right, whatever ``x`` and ``q``. It
errs by about ``|e| |q| / sqrt(D)``, where ``e = f u - x`` is what `errors` returns (Gao and Long, *RaBitQ:
Quantizing high-dimensional vectors with a theoretical error bound*, SIGMOD 2024, theorem 3.2; for more bits
Gao et al., *Practical and asymptotically optimal quantization of high-dimensional vectors*, SIGMOD 2025).

=============  =======================================  ==================================================
array          shape                                    meaning
=============  =======================================  ==================================================
queries        float32 ``(nq, D)``                      rotated like the rows; ``D`` is a multiple of 8
codes          uint8 ``(n, n_bits * D / 8)``            the number of each level, highest bit first, side
                                                        by side as by `fastcodes.bits.pack_uint`
factors        float32 ``(n, 2)``                       what is added to the distance of a row, and ``f``
=============  =======================================  ==================================================

======  ==================================================================================================
n_bits  levels of the numbers 0, 1, ... (the factor makes up for their scale)
======  ==================================================================================================
1       -1, 1
2       -63, -19, 19, 63
3       and 4: likewise the levels of the quantiser of a Gaussian with the smallest error (Max, *Quantizing
        for minimum distortion*, IRE Trans. Inf. Theory 6, 1960), as integers up to 63
5       to 8: the odd integers from ``1 - 2**n_bits`` to ``2**n_bits - 1``
======  ==================================================================================================

A query is rounded to integers: 6 bits for codes of one bit, 8 bits for 2 to 4, 14 bits for more, so that its
error is small beside that of the codes. Sums are integers, exact for every ``D`` up to 65536, and results are
equal to the bit for every number of threads and every instruction set.

`fastcodes.quantization.RaBitQuantizer` rotates, centers and encodes; `fastcodes.index.FlatIndex` searches.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _native
from fastcodes._packed_codes import PackedCodes
from fastcodes._typing import Array, Codes, Floats, Ids
from fastcodes._validation import (
    as_mask,
    as_numbers,
    as_option,
    check_separate,
    code_array,
    float32_array,
    kernel_array,
    row_count,
)

__all__ = ["cdist", "decode", "encode", "errors", "knn", "radius", "scan"]

_CODES = "a numpy uint8 array (n, n_bytes), as fastcodes.rabitq.encode makes it"
_METRICS = ("l2", "ip")

MAX_DIMENSIONS = 1 << 16
"""The most dimensions: with more, sums of products might not fit 32 bits."""


def encode(
    x: ArrayLike,
    *,
    n_bits: int = 1,
    metric: str = "l2",
    weights: ArrayLike | None = None,
    threads: int | None = None,
) -> tuple[Codes, Floats]:
    """Encode rotated vectors.

    Parameters
    ----------
    x : array_like (n, D)
        Rotated vectors of any real dtype, computed with as float32; a one-dimensional array is one vector.
        ``D`` is a multiple of 8, at most 65536.
    n_bits : int
        Bits per dimension, from 1 to 8.
    metric : {"l2", "ip"}
        The distance that the factors are for.
    weights : array_like of float32 (D, D), optional
        A symmetric, positive semidefinite matrix ``W``. Levels are then chosen by coordinate descent, from
        those without it on, such that ``e.T @ W @ e`` is small for the error ``e = f u - x``: the mean square
        of what estimates err by for queries with the second moments ``W``. They stay unbiased along ``x``,
        but the error has preferred directions, and for other queries it is larger.
    threads : int, optional
        The largest number of threads; None means all CPUs of this process, or the number in the environment
        variable ``FASTCODES_NUM_THREADS``; 1 starts none. No more threads than CPUs are started.

    Returns
    -------
    codes : uint8 array (n, n_bits * D / 8)
        The numbers of the levels. For more than one bit, the scale of the grid is fitted to each row: the
        levels are those nearest to ``scale * x``, and ``scale`` the one that makes them nearest.
    factors : float32 array (n, 2)
        ``|x|^2`` for "l2", and 0 for "ip"; and ``|x|^2 / <u, x>``. Both are 0 for a row of zeros, whose
        estimates are exact.

    Raises
    ------
    TypeError
        If `x` has the wrong dtype, or a number is not an integer.
    ValueError
        If ``D`` or a number is out of range, or a row has a number that is not finite, or squares that are
        too large for float32.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import rabitq
    >>> codes, factors = rabitq.encode([[3.0, 1.0, -2.0, 1.0, 1.0, -1.0, 2.0, -3.0]])
    >>> np.unpackbits(codes)
    array([1, 1, 0, 1, 1, 0, 1, 0], dtype=uint8)
    >>> factors
    array([[30.      ,  2.142857]], dtype=float32)

    Notes
    -----
    The numpy equivalent for one bit, with rows that have no zeros::

        codes = np.packbits(x > 0, axis=1)
        square = (x**2).sum(axis=1)
        factors = np.stack([square, square / np.abs(x).sum(axis=1)], axis=1)
    """
    as_option(metric, "metric", _METRICS)
    matrix = None if weights is None else kernel_array(weights, "weights")
    codes, factors = _native.rabitq_encode(float32_array(x, "x"), n_bits, matrix, threads)
    if metric == "ip":
        factors[:, 0] = 0
    return codes, factors


def decode(codes: ArrayLike, factors: ArrayLike, *, n_bits: int = 1, threads: int | None = None) -> Floats:
    """Return what codes stand for, still rotated: ``f u``.

    Parameters
    ----------
    codes : array_like of uint8 (n, n_bytes)
        As `encode` makes them.
    factors : array_like of float32 (n, 2)
        Likewise; only the second one is used.
    n_bits, threads
        As in `encode`.

    Returns
    -------
    float32 array (n, D)
        Vectors whose inner products with queries are the estimates, up to the rounding of queries. They are
        longer than the vectors that were encoded: what they err by is orthogonal to those.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong dtype or shape, or `n_bits` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import rabitq
    >>> x = np.array([[3.0, 1.0, -2.0, 1.0, 1.0, -1.0, 2.0, -3.0]], np.float32)
    >>> decoded = rabitq.decode(*rabitq.encode(x, n_bits=4), n_bits=4)
    >>> decoded.round(1)
    array([[ 3.2,  0.8, -1.9,  0.8,  0.8, -0.8,  1.9, -3.2]], dtype=float32)
    >>> bool(np.isclose((decoded * x).sum(), (x * x).sum()))
    True

    Notes
    -----
    The numpy equivalent: ``factors[:, 1:] * levels[bits.unpack_uint(codes, n_bits, D)]``.
    """
    rows = code_array(codes, "codes", _CODES)
    return _native.rabitq_decode(rows, kernel_array(factors, "factors"), n_bits, threads)


def errors(codes: ArrayLike, factors: ArrayLike, *, n_bits: int = 1, threads: int | None = None) -> Floats:
    """Return the lengths of what codes err by, from which bounds of the distances follow.

    Parameters
    ----------
    codes, factors : array_like
        As `encode` makes them with ``metric="l2"``.
    n_bits, threads
        As in `encode`.

    Returns
    -------
    float32 array (n,)
        ``|f u - x|``. An estimate of ``<x, q>`` errs by more than ``1.9 * errors * |q| / sqrt(D - 1)`` for
        about one rotation in twenty; twice that for squared distances.

    Raises
    ------
    TypeError, ValueError
        As `decode`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import rabitq
    >>> x = np.array([[3.0, 1.0, -2.0, 1.0, 1.0, -1.0, 2.0, -3.0]], np.float32)
    >>> rabitq.errors(*rabitq.encode(x)).round(3)
    array([2.595], dtype=float32)
    >>> rabitq.errors(*rabitq.encode(x, n_bits=8), n_bits=8).round(3)
    array([0.014], dtype=float32)

    Notes
    -----
    The numpy equivalent, since ``f u - x`` is orthogonal to ``x``:
    ``np.sqrt((decode(codes, factors)**2).sum(axis=1) - factors[:, 0])``.
    """
    rows = code_array(codes, "codes", _CODES)
    return _native.rabitq_errors(rows, kernel_array(factors, "factors"), n_bits, threads)


def scan(
    queries: ArrayLike,
    codes: ArrayLike | PackedCodes,
    factors: ArrayLike,
    *,
    n_bits: int = 1,
    metric: str = "l2",
    offsets: ArrayLike | None = None,
    out: Floats | None = None,
    threads: int | None = None,
) -> Floats:
    """Estimate the distances of all rows.

    Parameters
    ----------
    queries : array_like (nq, D)
        Rotated queries of any real dtype, computed with as float32; a one-dimensional array is one query.
    codes : array_like of uint8 (n, n_bytes) or PackedCodes
        The database, as `encode` makes it. Codes of one bit that are searched more than once can be packed,
        ``adc.PackedCodes(codes, n_codewords=256)``.
    factors : array_like of float32 (n, 2)
        Likewise.
    n_bits : int
        Bits per dimension of the codes.
    metric : {"l2", "ip"}
        Squared Euclidean distance, or *negative* inner product, so that smaller is nearer here too; that of
        the factors.
    offsets : array_like of float32 (nq,), optional
        What is added to all distances of a query. By default ``|q|^2`` for "l2", and 0 for "ip".
    out : float32 array (nq, n), optional
        C-contiguous array for the result.
    threads : int, optional
        As in `encode`.

    Returns
    -------
    float32 array (nq, n)
        ``result[q, i] = offsets[q] + factors[i, 0] - m * factors[i, 1] * <u, w>``, where ``u`` are the levels
        of the code, ``w`` the rounded query and ``m`` is 2 for "l2" and 1 for "ip". Estimates of small
        distances may be negative: to cut them off would bias them. The result is `out`, if that is given.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or a number is not an integer.
    ValueError
        If shapes do not go together, a number is out of range, a query is not finite, or the factors of a row
        make its distance a number that is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import rabitq
    >>> x = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32)
    >>> codes, factors = rabitq.encode(x, n_bits=4)
    >>> rabitq.scan(x[0], codes, factors, n_bits=4).round()
    array([[ -0., 136., 129.]], dtype=float32)
    >>> ((x - x[0]) ** 2).sum(axis=1).round()
    array([  0., 136., 129.], dtype=float32)

    Notes
    -----
    The numpy equivalent, but for the rounding of queries::

        factors[:, 0] - 2 * queries @ decode(codes, factors).T + (queries**2).sum(axis=1, keepdims=True)
    """
    check_separate(out, as_numbers(queries, "queries"), "queries")
    given, source, numbers = _operands(queries, codes, factors)
    check_separate(out, source, "codes")
    check_separate(out, numbers, "factors")
    added = _offsets(given, offsets, metric)
    return _native.rabitq_scan(given, added, source, numbers, n_bits, metric, out, threads)


def knn(
    queries: ArrayLike,
    codes: ArrayLike | PackedCodes,
    factors: ArrayLike,
    k: int,
    *,
    n_bits: int = 1,
    metric: str = "l2",
    offsets: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    threads: int | None = None,
) -> tuple[Floats, Ids]:
    """Find the `k` rows with the smallest estimates for each query.

    Parameters
    ----------
    queries, codes, factors
        As in `scan`.
    k : int
        Neighbours per query, 0 or more. If there are fewer rows, the results are padded.
    n_bits, metric, offsets
        As in `scan`.
    mask : array_like of bool (n,) or of int, optional
        The rows to search, or their ids. Ids may come in any order; repeated ones count once.
    threads : int, optional
        As in `encode`.

    Returns
    -------
    distances : float32 array (nq, k)
        ``distances[q, r]`` is the distance of query ``q`` to its ``r``-th nearest row, as `scan` gives it;
        inf if there are fewer than `k` rows.
    indices : int64 array (nq, k)
        Their rows; -1 where there is none. Sorted by (distance, index): a tie goes to the lower index.

    Raises
    ------
    TypeError, ValueError
        As `scan`; or if `k` or `mask` is invalid.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import rabitq
    >>> x = np.random.default_rng(0).standard_normal((1000, 64)).astype(np.float32)
    >>> codes, factors = rabitq.encode(x)
    >>> rabitq.knn(x[[5, 17]], codes, factors, k=1)[1]
    array([[ 5],
           [17]])

    Notes
    -----
    The numpy equivalent, with ``d = scan(queries, codes, factors)``::

        indices = np.argsort(d, axis=1, kind="stable")[:, :k]
        distances = np.take_along_axis(d, indices, axis=1)
    """
    given, source, numbers = _operands(queries, codes, factors)
    rows = None if mask is None else as_mask(mask, _row_count(source))
    added = _offsets(given, offsets, metric)
    return _native.rabitq_knn(given, added, source, numbers, k, n_bits, metric, rows, threads, None)


def radius(
    queries: ArrayLike,
    codes: ArrayLike | PackedCodes,
    factors: ArrayLike,
    radius: float,
    *,
    n_bits: int = 1,
    metric: str = "l2",
    offsets: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    threads: int | None = None,
) -> tuple[Ids, Floats, Ids]:
    """Find all rows whose estimate is at most `radius` for each query.

    Parameters
    ----------
    queries, codes, factors
        As in `scan`.
    radius : float
        Of any sign, inclusive; for "l2" the *square* of a Euclidean radius. It is rounded to float32 before
        comparisons.
    n_bits, metric, offsets
        As in `scan`.
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
    TypeError, ValueError
        As `knn`; or if `radius` is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import rabitq
    >>> x = np.random.default_rng(0).standard_normal((1000, 64)).astype(np.float32)
    >>> codes, factors = rabitq.encode(x, n_bits=8)
    >>> rabitq.radius(x[5], codes, factors, radius=1.0, n_bits=8)[2]
    array([5])

    Notes
    -----
    The numpy equivalent for one query, with ``d = scan(queries, codes, factors)``:
    ``np.flatnonzero(d[q] <= radius)``, sorted by distance.
    """
    given, source, numbers = _operands(queries, codes, factors)
    rows = None if mask is None else as_mask(mask, _row_count(source))
    added = _offsets(given, offsets, metric)
    return _native.rabitq_radius(given, added, source, numbers, radius, n_bits, metric, rows, threads, None)


def cdist(
    a: ArrayLike,
    a_factors: ArrayLike,
    b: ArrayLike,
    b_factors: ArrayLike,
    *,
    n_bits: int = 1,
    metric: str = "l2",
    out: Floats | None = None,
    threads: int | None = None,
) -> Floats:
    """Compute the distances between codes: those of what both stand for.

    Parameters
    ----------
    a, b : array_like of uint8 (na, n_bytes) and (nb, n_bytes)
        Codes as `encode` makes them.
    a_factors, b_factors : array_like of float32 (na, 2) and (nb, 2)
        Their factors; only the second of each row is used.
    n_bits : int
        Bits per dimension of the codes.
    metric : {"l2", "ip"}
        Squared Euclidean distance, or negative inner product.
    out : float32 array (na, nb), optional
        C-contiguous array for the result.
    threads : int, optional
        As in `encode`.

    Returns
    -------
    float32 array (na, nb)
        ``result[i, j]`` is the distance of ``decode(a)[i]`` and ``decode(b)[j]``, from exact integer sums:
        the symmetric distance computation of Jégou, Douze and Schmid (PAMI 33, 2011, eq. 12). The distance of
        a code to itself is 0 up to rounding; of codes of different vectors, the squared distance is larger
        than that of the vectors by about the squares of both `errors`. The result is `out`, if that is given.

    Raises
    ------
    TypeError, ValueError
        As `scan`; or if `a` and `b` differ in bytes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import rabitq
    >>> x = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32)
    >>> codes, factors = rabitq.encode(x, n_bits=4)
    >>> rabitq.cdist(codes, factors, codes, factors, n_bits=4).round()
    array([[  0., 138., 128.],
           [138.,   0., 144.],
           [128., 144.,   0.]], dtype=float32)

    Notes
    -----
    The numpy equivalent, with ``x, y = decode(a, a_factors), decode(b, b_factors)``:
    ``((x[:, None] - y) ** 2).sum(axis=2)``, or ``-x @ y.T``.
    """
    rows, others = code_array(a, "a", _CODES), code_array(b, "b", _CODES)
    numbers, other_numbers = kernel_array(a_factors, "a_factors"), kernel_array(b_factors, "b_factors")
    for name, array in (("a", rows), ("a_factors", numbers), ("b", others), ("b_factors", other_numbers)):
        check_separate(out, array, name)
    return _native.rabitq_cdist(rows, numbers, others, other_numbers, n_bits, metric, out, threads)


def _operands(
    queries: ArrayLike, codes: ArrayLike | PackedCodes, factors: ArrayLike
) -> tuple[Floats, Codes | PackedCodes, Array]:
    source = codes if isinstance(codes, PackedCodes) else code_array(codes, "codes", _CODES)
    return float32_array(queries, "queries"), source, kernel_array(factors, "factors")


def _row_count(codes: Codes | PackedCodes) -> int:
    return len(codes) if isinstance(codes, PackedCodes) else row_count(codes)


def _offsets(queries: Floats, offsets: ArrayLike | None, metric: str) -> Floats:
    """Return what is added to all distances of each query, float32 (nq,)."""
    n_queries = row_count(queries)
    if offsets is not None:
        given = float32_array(offsets, "offsets")
        if given.shape != (n_queries,):
            raise ValueError(
                f"offsets must have shape ({n_queries},), one number for each query; got {given.shape}"
            )
        return given
    as_option(metric, "metric", _METRICS)
    if metric == "ip" or queries.ndim not in (1, 2):
        return np.zeros(n_queries, np.float32)
    rows = queries if queries.ndim == 2 else queries[None]
    with np.errstate(over="ignore", invalid="ignore"):  # the kernels refuse what is not finite
        squares: Floats = np.einsum("qd,qd->q", rows, rows, dtype=np.float64).astype(np.float32)
    return squares
