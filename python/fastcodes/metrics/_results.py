"""Validation of results, and which of them occur among others."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._typing import Array, Booleans, Integers
from fastcodes._validation import as_array

__all__ = ["as_indices", "check_queries", "is_in"]

_MAX_INDEX = 2**63 - 1


def as_indices(values: ArrayLike, name: str, may_be_flat: bool = False) -> Integers:
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


def check_queries(a: Array, b: Array, name_a: str, name_b: str, at_least: int = 1) -> None:
    if len(a) != len(b):
        raise ValueError(f"{name_a} has {len(a)} rows and {name_b} has {len(b)}; expected one for each query")
    if len(a) < at_least:
        raise ValueError(f"{name_a} has no rows; expected at least one query")


def is_in(values: Integers, rows: Integers) -> Booleans:
    """Return which of `values` occur in the same row of `rows`; -1 never does."""
    # Numbers of the indices that occur, because an index times the number of rows may exceed int64.
    both = np.hstack([values, rows])
    _, numbers = np.unique(both, return_inverse=True)
    keys = numbers.reshape(both.shape) + both.size * np.arange(len(both))[:, None]
    of_values, of_rows = np.hsplit(keys, [values.shape[1]])
    return np.isin(of_values, of_rows[rows >= 0]) & (values >= 0)
