"""Recall: how many of the true nearest neighbours are found."""

from __future__ import annotations

from numpy.typing import ArrayLike

from fastcodes._validation import as_integer
from fastcodes.metrics._results import as_indices, check_queries, is_in

__all__ = ["k_recall_at_k", "recall_at_k"]


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
    found = as_indices(indices, "indices")
    true = as_indices(true_indices, "true_indices", may_be_flat=True)
    check_queries(true, found, "true_indices", "indices")
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
    found, true = as_indices(indices, "indices"), as_indices(true_indices, "true_indices")
    check_queries(true, found, "true_indices", "indices")
    k = as_integer(k, "k", 1)
    if true.shape[1] < k:
        raise ValueError(f"true_indices has {true.shape[1]} columns; expected at least k={k}")
    true = true[:, :k]
    is_neighbor = true >= 0
    if not is_neighbor.any(axis=1).all():
        raise ValueError("true_indices has no neighbour (-1) for a query; expected at least one for each")
    hits = is_in(true, found[:, :k])
    return float((hits.sum(axis=1) / is_neighbor.sum(axis=1)).mean())
