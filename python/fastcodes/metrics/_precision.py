"""Precision of rankings, their mean average, its level by chance, and the N-S score."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._typing import Booleans, Doubles, Integers
from fastcodes._validation import as_array, as_integer, described
from fastcodes.metrics._relevance import label_relevance
from fastcodes.metrics._results import as_indices

__all__ = ["average_precision", "chance_level", "mean_average_precision", "ns_score", "precision_at_k"]


def precision_at_k(relevance: ArrayLike, k: int) -> float:
    """Return the mean share of relevant results among the first `k`.

    Parameters
    ----------
    relevance : bool array (nq, r)
        From `label_relevance` or `neighbor_relevance`.
    k : int
        The number of results that count, from 1 up. Missing results count as irrelevant.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    TypeError
        If `relevance` is not boolean, or `k` is not an integer.
    ValueError
        If `relevance` is not two-dimensional or has no rows.

    Notes
    -----
    Equal to ``relevance[:, :k].sum(axis=1).mean() / k``.

    Examples
    --------
    >>> from fastcodes import metrics
    >>> metrics.precision_at_k([[True, False, True], [True, True, False]], k=2)
    0.75
    """
    hits = _relevance(relevance)
    k = as_integer(k, "k", 1)
    return float(hits[:, :k].sum(axis=1).mean() / k)


def average_precision(relevance: ArrayLike, *, n_relevant: ArrayLike | None = None) -> Doubles:
    r"""Return the average precision of each query.

    :math:`AP = \frac1m \sum_r P(r)\, rel(r)`, where :math:`rel(r)` is 1 if result r is relevant and 0
    otherwise, and :math:`P(r)` is the share of relevant results among the first r.

    Parameters
    ----------
    relevance : bool array (nq, r)
        From `label_relevance` or `neighbor_relevance`.
    n_relevant : int or array (nq,), optional
        The divisor m, the number of rows that should be found. By default the number of relevant results
        among the `r`, as usual in papers on hashing; @ALL this makes no difference. To penalise rows that
        were not found, give the number of all relevant rows, or ``np.minimum(r, all)``.

    Returns
    -------
    float64 array (nq,)
        From 0 to 1; 0 if nothing is relevant.

    Raises
    ------
    TypeError
        If `relevance` is not boolean.
    ValueError
        If `relevance` is not two-dimensional or has no rows, or `n_relevant` has another shape or is less
        than the number of relevant results.

    Notes
    -----
    If all rows are ranked, equal to ``sklearn.metrics.average_precision_score(relevance[i], scores)`` for
    any strictly decreasing scores.

    Examples
    --------
    >>> from fastcodes import metrics
    >>> metrics.average_precision([[True, False, True], [False, True, False]])
    array([0.83333333, 0.5       ])
    >>> metrics.average_precision([[True, False, True], [False, True, False]], n_relevant=2)
    array([0.83333333, 0.25      ])
    """
    hits = _relevance(relevance)
    n_hits = hits.sum(axis=1)
    divisor = n_hits if n_relevant is None else _divisor(n_relevant, n_hits)
    # The i-th relevant result of a query contributes i / r at rank r; irrelevant results contribute nothing.
    queries, columns = np.nonzero(hits)
    first = np.concatenate([[0], np.cumsum(n_hits)[:-1]])
    numbers = np.arange(1, len(queries) + 1) - first[queries]
    sums = np.bincount(queries, numbers / (columns + 1), len(hits))
    precisions: Doubles = np.divide(sums, divisor, out=np.zeros(len(hits)), where=divisor > 0)
    return precisions


def mean_average_precision(relevance: ArrayLike, *, n_relevant: ArrayLike | None = None) -> float:
    """Return mAP, the mean over queries of `average_precision`.

    Parameters
    ----------
    relevance : bool array (nq, r)
        From `label_relevance` or `neighbor_relevance`.
    n_relevant : int or array (nq,), optional
        See `average_precision`.

    Returns
    -------
    float
        From 0 to 1. `chance_level` is the mAP of a random order, for comparison.

    Raises
    ------
    TypeError, ValueError
        As in `average_precision`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import hamming, metrics
    >>> codes = np.array([[0], [1], [3], [7]], np.uint8)
    >>> _, indices = hamming.knn(codes[:1], codes, k=4)
    >>> relevance = metrics.label_relevance([0], [0, 1, 0, 1], indices)
    >>> round(metrics.mean_average_precision(relevance), 3)
    0.833
    """
    return float(average_precision(relevance, n_relevant=n_relevant).mean())


def chance_level(n_relevant: ArrayLike, n: int) -> float:
    r"""Return the expected mAP @ALL of a random order.

    With m relevant rows of n, :math:`\mathrm{E}[AP] = \frac{m - 1}{n - 1} + \frac{n - m}{n - 1}
    \frac{H_n}{n}`, :math:`H_n = 1 + 1/2 + \dots + 1/n`: a relevant result has each rank r with the same
    probability, and each of the r - 1 results before it is relevant with probability (m - 1) / (n - 1).

    Parameters
    ----------
    n_relevant : int or array (nq,)
        The number of relevant rows of each query.
    n : int
        The number of rows of the database.

    Returns
    -------
    float
        The mean over queries.

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n_relevant` does not hold integers from 0 to `n`.

    Examples
    --------
    >>> from fastcodes import metrics
    >>> round(metrics.chance_level(5900, 59000), 4)
    0.1002
    """
    n = as_integer(n, "n", 1, 2**63 - 1)
    m = as_array(n_relevant, "n_relevant")
    if m.dtype.kind not in "iu" or not m.size or m.min() < 0 or m.max() > n:
        raise ValueError(f"n_relevant must be integers from 0 to n={n}; got {described(m, n_relevant)}")
    m = m.astype(np.int64)
    # Beyond these terms, the asymptotic series is exact to float64.
    n_terms = min(n, 1 << 16)
    harmonic = (1 / np.arange(1, n_terms + 1)).sum()
    harmonic += math.log(n / n_terms) + (1 / n - 1 / n_terms) / 2 - (1 / n**2 - 1 / n_terms**2) / 12
    others = max(n - 1, 1)
    expected = np.where(m == 0, 0, (m - 1) / others + (n - m) / others * harmonic / n)
    return float(np.where(m == n, 1, expected).mean())


def ns_score(groups: ArrayLike, indices: ArrayLike) -> float:
    """Return the N-S score: how many of the four nearest results belong to the group of the query.

    Nister and Stewenius, *Scalable recognition with a vocabulary tree*, CVPR 2006: the database consists of
    groups of four images, and each image is a query, so that the best score is 4.

    Parameters
    ----------
    groups : array (n,)
        The group of each row of the database.
    indices : integer array (n, r)
        The results for each row, usually with the row itself first; `r` is at least 4.

    Returns
    -------
    float
        From 0 to 4: four times the precision at four.

    Raises
    ------
    TypeError
        If `indices` does not hold integers.
    ValueError
        If the shapes do not match.

    Examples
    --------
    >>> from fastcodes import metrics
    >>> metrics.ns_score([0, 0, 0, 0], [[0, 1, 2, 3], [1, 0, 2, 3], [2, 3, 0, 1], [3, 0, 1, -1]])
    3.75
    """
    found = as_indices(indices, "indices")
    if found.shape[1] < 4:
        raise ValueError(f"indices has {found.shape[1]} columns; expected at least 4")
    of_rows = as_array(groups, "groups")
    if of_rows.ndim != 1:
        raise ValueError(f"groups must have shape (n,); got {of_rows.shape}")
    return 4 * precision_at_k(label_relevance(of_rows, of_rows, found[:, :4]), 4)


def _relevance(values: ArrayLike) -> Booleans:
    array = as_array(values, "relevance")
    if array.dtype != np.bool_:
        raise TypeError(
            f"relevance must be booleans; got an array of dtype {array.dtype}. "
            "Use label_relevance or neighbor_relevance to compute it from indices"
        )
    if array.ndim != 2 or not len(array):
        raise ValueError(f"relevance must have shape (nq, r) with at least one query; got {array.shape}")
    return array


def _divisor(n_relevant: ArrayLike, n_hits: Integers) -> Integers:
    """Return the number of relevant rows of each query, at least as many as its relevant results."""
    divisor = as_array(n_relevant, "n_relevant")
    if divisor.shape not in ((), n_hits.shape) or divisor.dtype.kind not in "iu":
        raise ValueError(
            f"n_relevant must be an integer or an array of integers of shape ({len(n_hits)},); "
            f"got shape {divisor.shape} and dtype {divisor.dtype}"
        )
    divisor = np.broadcast_to(divisor, n_hits.shape)
    if (divisor < n_hits).any():
        query = int((divisor < n_hits).argmax())
        raise ValueError(
            f"n_relevant is {divisor[query]} for query {query}, which has {n_hits[query]} relevant results"
        )
    return divisor
