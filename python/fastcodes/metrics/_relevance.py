"""Relevance: which results count as right."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._typing import Booleans
from fastcodes._validation import as_array
from fastcodes.metrics._results import as_indices, check_queries, is_in

__all__ = ["label_relevance", "neighbor_relevance"]


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
    found = as_indices(indices, "indices")
    of_queries, of_rows = as_array(query_labels, "query_labels"), as_array(labels, "labels")
    if of_queries.ndim != of_rows.ndim or of_rows.ndim not in (1, 2):
        raise ValueError(
            "query_labels and labels must be (nq,) and (n,), or (nq, c) and (n, c); "
            f"got shapes {of_queries.shape} and {of_rows.shape}"
        )
    check_queries(of_queries, found, "query_labels", "indices")
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
    found, true = as_indices(indices, "indices"), as_indices(true_indices, "true_indices")
    check_queries(true, found, "true_indices", "indices", at_least=0)
    return is_in(found, true)
