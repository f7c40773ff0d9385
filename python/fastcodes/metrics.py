"""How good a search or a code is: recall, precision, mean average precision, N-S score.

What is true comes first and what was found second, as in scikit-learn. What was found are indices as
`fastcodes.hamming.knn` and all other searches return them: a row for each query, the nearest first, equal
distances by index, -1 where there was nothing left.

Measures by rank take a *relevance*: a boolean array (nq, r) that says for each result whether it is what was
asked for. There are two protocols, whose figures cannot be compared:

- by label: results of the query's class are relevant (`label_relevance`);
- by neighbour: the true nearest neighbours are (`neighbor_relevance`).

"@R" means that results beyond the first R do not count: give R columns. "@ALL" means that all rows of the
database are ranked: ``k=len(codes)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes._validation import as_integer

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

Indices = NDArray[np.integer[Any]]
Relevance = NDArray[np.bool_]


# --- recall -------------------------------------------------------------------------------------------------


def recall_at_k(true_indices: ArrayLike, indices: ArrayLike, k: int) -> float:
    """Return the share of queries whose true nearest neighbour is among the first `k` results.

    This is R@k as in the tables of product quantisation (Jegou, Douze and Schmid, PAMI 33, 2011, section
    V.A); `k_recall_at_k` is what benchmarks of graph indexes mean by recall.

    Parameters
    ----------
    true_indices : integer array (nq,) or (nq, m)
        The true nearest neighbour of each query; of more columns the first counts.
    indices : integer array (nq, r)
        What was found, the nearest first; -1 is nothing. `r` may be less than `k`.
    k : int
        How many results count, from 1 up.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    TypeError
        If an array is not of integers, or `k` is none.
    ValueError
        If the shapes do not fit each other, there are no queries, or a query has no true neighbour (-1).

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
        The true neighbours of each query, the nearest first; `m` is at least `k`. Where there are fewer than
        `k`, the rest is -1, and the share is that of those there are.
    indices : integer array (nq, r)
        What was found, the nearest first; -1 is nothing. `r` may be less than `k`.
    k : int
        From 1 up.

    Returns
    -------
    float
        From 0 to 1: the mean over queries.

    Raises
    ------
    TypeError
        If an array is not of integers, or `k` is none.
    ValueError
        If the shapes do not fit each other, there are no queries, or a query has no true neighbour.

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
        raise ValueError(f"true_indices has {true.shape[1]} columns; k={k} needs as many")
    true = true[:, :k]
    there = true >= 0
    if not there.any(axis=1).all():
        raise ValueError("true_indices has no neighbour (-1) for a query; expected one or more for each")
    hits = _is_in(true, found[:, :k])
    return float((hits.sum(axis=1) / there.sum(axis=1)).mean())


# --- relevance ----------------------------------------------------------------------------------------------


def label_relevance(query_labels: ArrayLike, labels: ArrayLike, indices: ArrayLike) -> Relevance:
    """Say which results have the label of their query.

    Parameters
    ----------
    query_labels : array (nq,) or (nq, c)
        The labels of the queries, numbers or strings. Of two dimensions, booleans or numbers: the labels that
        each query has among `c`; results that share one of them are relevant.
    labels : array (n,) or (n, c)
        Likewise of the database.
    indices : integer array (nq, r)
        What was found: rows of the database, or -1.

    Returns
    -------
    bool array (nq, r)

    Raises
    ------
    TypeError
        If `indices` are not integers.
    ValueError
        If the shapes do not fit each other, or an index is beyond the labels.

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
    of_queries, of_rows = np.asarray(query_labels), np.asarray(labels)
    if of_queries.ndim != of_rows.ndim or of_rows.ndim not in (1, 2):
        raise ValueError(
            "query_labels and labels must be (nq,) and (n,), or (nq, c) and (n, c); "
            f"got shapes {of_queries.shape} and {of_rows.shape}"
        )
    _check_queries(of_queries, found, "query_labels", "indices")
    if found.size and found.max() >= len(of_rows):
        raise ValueError(f"indices has {found.max()}; labels has {len(of_rows)} rows")
    there = found >= 0
    if not len(of_rows):
        return there
    if of_rows.ndim == 1:
        same: Relevance = of_rows[found] == of_queries[:, None]
    else:
        if of_queries.shape[1] != of_rows.shape[1]:
            raise ValueError(
                f"query_labels has {of_queries.shape[1]} columns and labels {of_rows.shape[1]}; "
                "expected the same labels in both"
            )
        shared = (of_queries != 0).astype(np.float32) @ (of_rows != 0).astype(np.float32).T > 0
        same = np.take_along_axis(shared, np.where(there, found, 0), axis=1)
    return same & there


def neighbor_relevance(true_indices: ArrayLike, indices: ArrayLike) -> Relevance:
    """Say which results are among the true nearest neighbours of their query.

    Parameters
    ----------
    true_indices : integer array (nq, m)
        The true neighbours, in any order; -1 is none.
    indices : integer array (nq, r)
        What was found, no row twice; -1 is nothing.

    Returns
    -------
    bool array (nq, r)

    Raises
    ------
    TypeError
        If an array is not of integers.
    ValueError
        If the shapes do not fit each other.

    Notes
    -----
    Row ``i`` is equal to ``np.isin(indices[i], true_indices[i])``, but for -1.

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
    """Return the mean share of relevant ones among the first `k` results.

    Parameters
    ----------
    relevance : bool array (nq, r)
        As `label_relevance` and `neighbor_relevance` give it.
    k : int
        How many results count, from 1 up. Where there are fewer, the rest counts as wrong.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    TypeError
        If `relevance` is not boolean, or `k` is not an integer.
    ValueError
        If `relevance` has another shape, or no rows.

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


def average_precision(relevance: ArrayLike, n_relevant: ArrayLike | None = None) -> NDArray[np.float64]:
    r"""Return the average precision of each query.

    :math:`AP = \frac1m \sum_r P(r)\, rel(r)`, with :math:`rel(r)` whether result r is relevant and
    :math:`P(r)` the share of relevant ones among the first r.

    Parameters
    ----------
    relevance : bool array (nq, r)
        As `label_relevance` and `neighbor_relevance` give it.
    n_relevant : int or array (nq,), optional
        The divisor m: how many results were to be found. By default as many as were found among the `r`,
        which is the habit of papers on hashing and makes no difference @ALL. To punish what was missed give
        the number of all, or ``np.minimum(r, all)``.

    Returns
    -------
    float64 array (nq,)
        From 0 to 1; 0 where nothing is relevant.

    Raises
    ------
    TypeError
        If `relevance` is not boolean.
    ValueError
        If `relevance` has another shape or no rows, or `n_relevant` does not fit it or is less than was
        found.

    Notes
    -----
    With all rows ranked, equal to ``sklearn.metrics.average_precision_score(relevance[i], scores)`` for any
    scores that fall from result to result.

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
    if n_relevant is None:
        divisor = n_hits
    else:
        divisor = np.asarray(n_relevant)
        if divisor.shape not in ((), n_hits.shape) or divisor.dtype.kind not in "iu":
            raise ValueError(
                f"n_relevant must be an integer or an array ({len(hits)},) of them; "
                f"got shape {divisor.shape} and dtype {divisor.dtype}"
            )
        divisor = np.broadcast_to(divisor, n_hits.shape)
        if (divisor < n_hits).any():
            query = int((divisor < n_hits).argmax())
            raise ValueError(
                f"n_relevant is {divisor[query]} for query {query}, "
                f"of which {n_hits[query]} results are relevant"
            )
    # Only the relevant results are looked at: the i-th of a query, at rank r, adds i / r.
    queries, places = np.nonzero(hits)
    first = np.concatenate([[0], np.cumsum(n_hits)[:-1]])
    numbers = np.arange(1, len(queries) + 1) - first[queries]
    sums = np.bincount(queries, numbers / (places + 1), len(hits))
    precisions: NDArray[np.float64] = np.divide(sums, divisor, out=np.zeros(len(hits)), where=divisor > 0)
    return precisions


def mean_average_precision(relevance: ArrayLike, n_relevant: ArrayLike | None = None) -> float:
    """Return mAP, the mean over queries of `average_precision`.

    Parameters
    ----------
    relevance : bool array (nq, r)
        As `label_relevance` and `neighbor_relevance` give it.
    n_relevant : int or array (nq,), optional
        How many results were to be found: see `average_precision`.

    Returns
    -------
    float
        From 0 to 1. A random order has `chance_level`, which should stand beside it.

    Raises
    ------
    TypeError, ValueError
        As `average_precision`.

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
    return float(average_precision(relevance, n_relevant).mean())


def chance_level(n_relevant: ArrayLike, n: int) -> float:
    r"""Return the mAP @ALL that a random order is expected to have.

    With m relevant rows of n, :math:`\mathrm{E}[AP] = \frac{m - 1}{n - 1} + \frac{n - m}{n - 1}
    \frac{H_n}{n}`, :math:`H_n = 1 + 1/2 + \dots + 1/n`: a relevant result at rank r, which is any with the
    same chance, has r - 1 before it, each of them relevant at a chance of (m - 1) / (n - 1).

    Parameters
    ----------
    n_relevant : int or array (nq,)
        How many rows are relevant to each query.
    n : int
        How many there are in the database.

    Returns
    -------
    float
        The mean over queries.

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n_relevant` has values that are not integers from 0 to `n`.

    Examples
    --------
    >>> from fastcodes import metrics
    >>> round(metrics.chance_level(5900, 59000), 4)
    0.1002
    """
    n = as_integer(n, "n", 1)
    m = np.asarray(n_relevant)
    if m.dtype.kind not in "iu" or not m.size or m.min() < 0 or m.max() > n:
        raise ValueError(f"n_relevant must be integers from 0 to n={n}; got {n_relevant!r}")
    harmonic = (1 / np.arange(1, n + 1)).sum()
    others = np.maximum(n - 1, 1)
    expected = np.where(m == 0, 0, (m - 1) / others + (n - m) / others * harmonic / n)
    return float(np.where(m == n, 1, expected).mean())


def ns_score(groups: ArrayLike, indices: ArrayLike) -> float:
    """Return the N-S score: of the four nearest, how many are of the query's group, itself among them.

    Nister and Stewenius, *Scalable recognition with a vocabulary tree*, CVPR 2006: a database of groups of
    four images each is asked for all its images, so that 4 is the best.

    Parameters
    ----------
    groups : array (n,)
        The group of each row of the database.
    indices : integer array (n, r)
        What was found for each row: ``r`` at least 4, the row itself as a rule first.

    Returns
    -------
    float
        From 0 to 4: four times the precision at four.

    Raises
    ------
    TypeError
        If `indices` are not integers.
    ValueError
        If the shapes do not fit each other.

    Examples
    --------
    >>> from fastcodes import metrics
    >>> metrics.ns_score([0, 0, 0, 0], [[0, 1, 2, 3], [1, 0, 2, 3], [2, 3, 0, 1], [3, 0, 1, -1]])
    3.75
    """
    found = _indices(indices, "indices")
    if found.shape[1] < 4:
        raise ValueError(f"indices has {found.shape[1]} columns; the score needs the 4 nearest")
    of_rows = np.asarray(groups)
    if of_rows.ndim != 1:
        raise ValueError(f"groups must be (n,); got shape {of_rows.shape}")
    return 4 * precision_at_k(label_relevance(of_rows, of_rows, found[:, :4]), 4)


# --- checks -------------------------------------------------------------------------------------------------


def _indices(values: ArrayLike, name: str, may_be_flat: bool = False) -> Indices:
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, rows of the database; got an array of dtype {array.dtype}")
    if may_be_flat and array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        expected = "(nq,) or (nq, m)" if may_be_flat else "(nq, r)"
        raise ValueError(f"{name} must have shape {expected}; got {array.shape}")
    return array


def _relevance(values: ArrayLike) -> Relevance:
    array = np.asarray(values)
    if array.dtype != np.bool_:
        raise TypeError(
            f"relevance must be booleans; got an array of dtype {array.dtype}. "
            "label_relevance and neighbor_relevance make it of indices"
        )
    if array.ndim != 2 or not len(array):
        raise ValueError(f"relevance must have shape (nq, r) with at least one query; got {array.shape}")
    return array


def _check_queries(a: NDArray[Any], b: NDArray[Any], name_a: str, name_b: str, at_least: int = 1) -> None:
    if len(a) != len(b):
        raise ValueError(f"{name_a} has {len(a)} rows and {name_b} {len(b)}; expected one for each query")
    if len(a) < at_least:
        raise ValueError(f"{name_a} has no rows; expected at least one query")


def _is_in(values: Indices, rows: Indices) -> Relevance:
    """Say which of `values` are in the same row of `rows`; -1 never is."""
    n = 1 + max(int(values.max(initial=0)), int(rows.max(initial=0)))
    offsets = n * np.arange(len(values), dtype=np.int64)[:, None]
    there = rows >= 0
    keys = (rows.astype(np.int64) + offsets)[there]
    return np.isin(values.astype(np.int64) + offsets, keys) & (values >= 0)
