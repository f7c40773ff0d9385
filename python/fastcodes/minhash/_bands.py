"""Bands of signatures: their keys, their shape, and the S-curve of the shape."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _native
from fastcodes._typing import Doubles, Tokens
from fastcodes._validation import as_array, as_integer, as_real, as_signatures, check_separate, describe
from fastcodes.minhash._signatures import MAX_HASHES

__all__ = ["band_keys", "band_shape", "candidate_probability"]

# Points of the numerical integration of an S-curve.
_POINTS = 256


def band_keys(
    signatures: ArrayLike,
    n_bands: int,
    n_rows: int,
    *,
    out: Tokens | None = None,
    threads: int | None = None,
) -> Tokens:
    """Hash the bands of signatures: rows with the same key in a column are candidates for near-duplicates.

    A band is a run of `n_rows` slots. Group rows by the keys of a column, on one machine or many, to find
    those that agree in all slots of a band. `candidate_probability` is the probability of that;
    `fastcodes.index.MinHashIndex` does the same in memory.

    Parameters
    ----------
    signatures : array_like of uint32 (n, n_hashes)
        The result of `signatures`.
    n_bands, n_rows : int
        Bands, and slots of a band, as from `band_shape`; the slots beyond ``n_bands * n_rows`` are ignored.
    out : uint64 array (n, n_bands), optional
        C-contiguous array for the result.
    threads : int, optional
        As in `signatures`.

    Returns
    -------
    uint64 array (n, n_bands)
        ``result[i, b]`` is a hash of the slots ``b * n_rows`` to ``(b + 1) * n_rows - 1`` of signature ``i``,
        the same on every machine. Compare keys within a column; those of different slots are equal by
        chance, once in ``2**64`` pairs.

    Raises
    ------
    TypeError
        If `signatures` is not a uint32 array, or a number has the wrong type.
    ValueError
        If the bands do not fit the signatures, or `out` has another shape.

    Examples
    --------
    >>> from fastcodes import minhash
    >>> found = minhash.signatures([["a", "b", "c"], ["c", "a", "b"], ["x", "y"]])
    >>> keys = minhash.band_keys(found, *minhash.band_shape(128, 0.8))
    >>> (keys[1:] == keys[0]).any(axis=1)
    array([ True, False])

    Notes
    -----
    The numpy equivalent, with `mix` as in the description of the module::

        keys = np.zeros((len(signatures), n_bands), np.uint64)
        for slots in signatures[:, : n_bands * n_rows].reshape(-1, n_bands, n_rows).transpose(2, 0, 1):
            keys = mix(keys ^ slots)
    """
    bands, rows = as_integer(n_bands, "n_bands", 1, MAX_HASHES), as_integer(n_rows, "n_rows", 1, MAX_HASHES)
    check_separate(out, signatures, "signatures")
    return _native.minhash_band_keys(as_signatures(signatures), bands, rows, out, threads)


def candidate_probability(similarity: ArrayLike, n_bands: int, n_rows: int) -> Doubles:
    """Return the probability that two signatures agree in all slots of a band: the S-curve of banding.

    Parameters
    ----------
    similarity : array_like (...)
        Jaccard similarities ``s``, 0 to 1.
    n_bands, n_rows : int
        Bands ``b``, and slots of a band ``r``.

    Returns
    -------
    float64 array (...)
        ``1 - (1 - s**r)**b``.

    Raises
    ------
    TypeError, ValueError
        If a number has the wrong type or is out of range.

    Examples
    --------
    >>> from fastcodes import minhash
    >>> minhash.candidate_probability([0.3, 0.5, 0.7, 0.9], n_bands=20, n_rows=5).round(3)
    array([0.047, 0.47 , 0.975, 1.   ])
    """
    s = as_array(similarity, "similarity")
    if s.dtype.kind not in "biuf":
        raise TypeError(f"similarity must be real numbers from 0 to 1; got an array of dtype {s.dtype}")
    if not np.all((s >= 0) & (s <= 1)):
        raise ValueError(f"similarity has {s[~((s >= 0) & (s <= 1))].flat[0]}; expected numbers from 0 to 1")
    b, r = as_integer(n_bands, "n_bands", 1, MAX_HASHES), as_integer(n_rows, "n_rows", 1, MAX_HASHES)
    return np.asarray(1 - (1 - s.astype(np.float64) ** r) ** b)


def band_shape(
    n_hashes: int, threshold: float, *, weights: tuple[float, float] = (0.1, 0.9)
) -> tuple[int, int]:
    """Choose bands whose S-curve rises at a threshold.

    Parameters
    ----------
    n_hashes : int
        Slots of a signature, ``k``.
    threshold : float
        The Jaccard similarity above which pairs should become candidates, above 0 and at most 1. With 1 there
        is one band of all slots.
    weights : pair of float
        The weights of false positives, pairs below the threshold that become candidates, and of false
        negatives, pairs above it that do not. By default false negatives weigh more, since candidates are
        cheap to verify.

    Returns
    -------
    n_bands, n_rows : int
        The shape with ``n_bands * n_rows <= k`` that minimizes the weighted sum of the areas below the curve
        up to the threshold and above the curve beyond it.

    Raises
    ------
    TypeError, ValueError
        If a number has the wrong type or is out of range.

    Examples
    --------
    >>> from fastcodes import minhash
    >>> minhash.band_shape(128, 0.8)
    (14, 9)
    >>> minhash.band_shape(128, 0.8, weights=(0.5, 0.5))
    (9, 13)
    """
    k = as_integer(n_hashes, "n_hashes", 1, MAX_HASHES)
    limit = as_real(threshold, "threshold", above=0, at_most=1)
    try:
        false_positives, false_negatives = (as_real(weight, "weights", at_least=0) for weight in weights)
    except (TypeError, ValueError):
        raise ValueError(f"weights must be two numbers of 0 or more; got {describe(weights)}") from None
    return (1, k) if limit == 1 else _least_cost(k, limit, false_positives, false_negatives)


@functools.lru_cache(maxsize=64)
def _least_cost(k: int, limit: float, false_positives: float, false_negatives: float) -> tuple[int, int]:
    """Try all shapes, with areas by the midpoint rule."""
    middles = (np.arange(_POINTS) + 0.5) / _POINTS
    below, above = limit * middles, limit + (1 - limit) * middles
    best = (math.inf, 1, 1)
    for n_rows in range(1, k + 1):
        n_bands = np.arange(1, k // n_rows + 1)[:, None]
        # Powers by logarithms, since many slots have many shapes.
        false = limit * (1 - np.exp(n_bands * np.log1p(-(below**n_rows))).mean(axis=1))
        missed = (1 - limit) * np.exp(n_bands * np.log1p(-(above**n_rows))).mean(axis=1)
        costs = false_positives * false + false_negatives * missed
        least = int(costs.argmin())
        best = min(best, (float(costs[least]), least + 1, n_rows))
    return best[1], best[2]
