"""Quality of searches and codes: recall, precision, mean average precision, N-S score.

As in scikit-learn, the truth comes first and the results second. Results are the indices that
`fastcodes.hamming.knn` and all other searches return: one row per query, nearest first, ties by index, and -1
where fewer rows were found.

Ranking measures take a *relevance*, a boolean array (nq, r) that marks the relevant results. There are two
protocols, whose figures are not comparable:

- by label: results with the label of the query are relevant (`label_relevance`);
- by neighbour: the true nearest neighbours are relevant (`neighbor_relevance`).

"@R" means that only the first R results count: give R columns. "@ALL" means that all rows of the database are
ranked: ``k=len(codes)``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._typing import Array, Booleans, Doubles, Integers
from fastcodes._validation import as_array, as_integer, described

__all__ = [
    "average_precision",
    "chance_level",
    "k_recall_at_k",
    "label_relevance",
    "mean_average_precision",
    "neighbor_relevance",
    "ns_score",
    "precision_at_k",
    "recall_at_k",
]

_MAX_INDEX = 2**63 - 1


# --- recall -------------------------------------------------------------------------------------------------


def recall_at_k(true_indices: ArrayLike, indices: ArrayLike, k: int) -> float:
    """Return the share of queries whose true nearest neighbour is among the first `k` results.

    This is R@k as in the tables of product quantisation (Jegou, Douze and Schmid, PAMI 33, 2011, section
    V.A); benchmarks of graph indexes call `k_recall_at_k` recall.

    Parameters
    ----------
    true_indices : integer array (nq,) or (nq, m)
        The true nearest neighbour of each query; only the first column is used.
    indices : integer array (nq, r)
        The results, nearest first, padded with -1. `r` may be less than `k`.
    k : int
        The number of results that count, from 1 up.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    TypeError
        If an array does not hold integers, or `k` is not an integer.
    ValueError
        If the shapes do not match, there are no queries, or a query has no true neighbour (-1).

    Notes
    -----
    Equal to ``(indices[:, :k] == true_indices[:, :1]).any(axis=1).mean()``.

    Examples
    --------
    >>> from fastcodes import metrics
    >>> metrics.recall_at_k([3, 7], [[5, 3, 1], [2, 4, 7]], k=2)
    0.5
    """
    found = _indices(indices, "indices")
    true = _indices(true_indices, "true_indices", may_be_flat=True)
    _check_queries(true, found, "true_indices", "indices")
    k = as_integer(k, "k", 1)
    if not true.shape[1] or (true[:, 0] < 0).any():
        raise ValueError("true_indices has no neighbour (-1) for a query; expected one for each")
    return float((found[:, :k] == true[:, :1]).any(axis=1).mean())


def k_recall_at_k(true_indices: ArrayLike, indices: ArrayLike, k: int) -> float:
    """Return the share of the `k` true nearest neighbours that are among the first `k` results.

    Parameters
    ----------
    true_indices : integer array (nq, m)
        The true neighbours of each query, nearest first; `m` is at least `k`. If a query has fewer than `k`,
        the rest is -1, and the share refers to those it has.
    indices : integer array (nq, r)
        The results, nearest first, padded with -1. `r` may be less than `k`.
    k : int
        From 1 up.

    Returns
    -------
    float
        From 0 to 1: the mean over queries.

    Raises
    ------
    TypeError
        If an array does not hold integers, or `k` is not an integer.
    ValueError
        If the shapes do not match, there are no queries, or a query has no true neighbour.

    Notes
    -----
    Equal to the mean of ``len(set(true_indices[i, :k]) & set(indices[i, :k])) / k``.

    Examples
    --------
    >>> from fastcodes import metrics
    >>> metrics.k_recall_at_k([[3, 1], [7, 2]], [[5, 3], [2, 7]], k=2)
    0.75
    """
    found, true = _indices(indices, "indices"), _indices(true_indices, "true_indices")
    _check_queries(true, found, "true_indices", "indices")
    k = as_integer(k, "k", 1)
    if true.shape[1] < k:
        raise ValueError(f"true_indices has {true.shape[1]} columns; expected at least k={k}")
    true = true[:, :k]
    is_neighbor = true >= 0
    if not is_neighbor.any(axis=1).all():
        raise ValueError("true_indices has no neighbour (-1) for a query; expected at least one for each")
    hits = _is_in(true, found[:, :k])
    return float((hits.sum(axis=1) / is_neighbor.sum(axis=1)).mean())


# --- relevance ----------------------------------------------------------------------------------------------


def label_relevance(query_labels: ArrayLike, labels: ArrayLike, indices: ArrayLike) -> Booleans:
    """Return which results have the label of their query.

    Parameters
    ----------
    query_labels : array (nq,) or (nq, c)
        The labels of the queries, numbers or strings. A two-dimensional array of booleans or numbers marks
        the labels of each query among `c`; results that share one of them are relevant.
    labels : array (n,) or (n, c)
        The labels of the database, in the same form.
    indices : integer array (nq, r)
        The results: rows of the database, or -1.

    Returns
    -------
    bool array (nq, r)

    Raises
    ------
    TypeError
        If `indices` does not hold integers.
    ValueError
        If the shapes do not match, or an index is out of range.

    Notes
    -----
    Equal to ``(labels[indices] == query_labels[:, None]) & (indices >= 0)``.

    Examples
    --------
    >>> from fastcodes import metrics
    >>> metrics.label_relevance(["cat"], ["dog", "cat", "cat"], [[2, 0, 1, -1]])
    array([[ True, False,  True, False]])
    """
    found = _indices(indices, "indices")
    of_queries, of_rows = as_array(query_labels, "query_labels"), as_array(labels, "labels")
    if of_queries.ndim != of_rows.ndim or of_rows.ndim not in (1, 2):
        raise ValueError(
            "query_labels and labels must be (nq,) and (n,), or (nq, c) and (n, c); "
            f"got shapes {of_queries.shape} and {of_rows.shape}"
        )
    _check_queries(of_queries, found, "query_labels", "indices")
    if found.size and found.max() >= len(of_rows):
        raise ValueError(f"indices has {found.max()}; labels has only {len(of_rows)} rows")
    is_result = found >= 0
    if not len(of_rows):
        return is_result
    if of_rows.ndim == 1:
        same: Booleans = of_rows[found] == of_queries[:, None]
    else:
        if of_queries.shape[1] != of_rows.shape[1]:
            raise ValueError(
                f"query_labels has {of_queries.shape[1]} columns and labels has {of_rows.shape[1]}; "
                "expected the same labels in both"
            )
        shared = (of_queries != 0).astype(np.float32) @ (of_rows != 0).astype(np.float32).T > 0
        same = np.take_along_axis(shared, np.where(is_result, found, 0), axis=1)
    return same & is_result


def neighbor_relevance(true_indices: ArrayLike, indices: ArrayLike) -> Booleans:
    """Return which results are among the true nearest neighbours of their query.

    Parameters
    ----------
    true_indices : integer array (nq, m)
        The true neighbours in any order, padded with -1.
    indices : integer array (nq, r)
        The results, without duplicates, padded with -1.

    Returns
    -------
    bool array (nq, r)

    Raises
    ------
    TypeError
        If an array does not hold integers.
    ValueError
        If the shapes do not match.

    Notes
    -----
    Row ``i`` is equal to ``np.isin(indices[i], true_indices[i])``, except that -1 is never relevant.

    Examples
    --------
    >>> from fastcodes import metrics
    >>> metrics.neighbor_relevance([[4, 9]], [[9, 0, 4, -1]])
    array([[ True, False,  True, False]])
    """
    found, true = _indices(indices, "indices"), _indices(true_indices, "true_indices")
    _check_queries(true, found, "true_indices", "indices", at_least=0)
    return _is_in(found, true)


# --- precision ----------------------------------------------------------------------------------------------


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
    found = _indices(indices, "indices")
    if found.shape[1] < 4:
        raise ValueError(f"indices has {found.shape[1]} columns; expected at least 4")
    of_rows = as_array(groups, "groups")
    if of_rows.ndim != 1:
        raise ValueError(f"groups must have shape (n,); got {of_rows.shape}")
    return 4 * precision_at_k(label_relevance(of_rows, of_rows, found[:, :4]), 4)


# --- validation and membership ------------------------------------------------------------------------------


def _indices(values: ArrayLike, name: str, may_be_flat: bool = False) -> Integers:
    array = as_array(values, name)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, rows of the database; got an array of dtype {array.dtype}")
    if may_be_flat and array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        expected = "(nq,) or (nq, m)" if may_be_flat else "(nq, r)"
        raise ValueError(f"{name} must have shape {expected}; got {array.shape}")
    if array.size and array.max() > _MAX_INDEX:
        raise ValueError(f"{name} has {array.max()}; expected rows of the database, less than 2**63")
    return array.astype(np.int64, copy=False)


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


def _check_queries(a: Array, b: Array, name_a: str, name_b: str, at_least: int = 1) -> None:
    if len(a) != len(b):
        raise ValueError(f"{name_a} has {len(a)} rows and {name_b} has {len(b)}; expected one for each query")
    if len(a) < at_least:
        raise ValueError(f"{name_a} has no rows; expected at least one query")


def _is_in(values: Integers, rows: Integers) -> Booleans:
    """Return which of `values` occur in the same row of `rows`; -1 never does."""
    # Numbers of the indices that occur, because an index times the number of rows may exceed int64.
    both = np.hstack([values, rows])
    _, numbers = np.unique(both, return_inverse=True)
    keys = numbers.reshape(both.shape) + both.size * np.arange(len(both))[:, None]
    of_values, of_rows = np.hsplit(keys, [values.shape[1]])
    return np.isin(of_values, of_rows[rows >= 0]) & (values >= 0)
