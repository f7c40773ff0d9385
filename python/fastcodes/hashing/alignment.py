"""Alignment of the codes of a new model with the codes of an old one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import bits
from fastcodes._blocks import blocks
from fastcodes._linalg import nearest_rotation
from fastcodes._typing import Codes, Floats
from fastcodes._validation import as_samples, code_array

__all__ = ["align"]


def align(old_codes: Codes, new_values: ArrayLike, *, n_bits: int | None = None) -> Floats:
    r"""Return the rotation that best maps the values of a new model to the signs of old codes.

    The codes of a model that is retrained, on other data or with another random state, cannot be compared
    with the codes in a database. The rotation minimizes :math:`\lVert B - V R \rVert_F` subject to
    :math:`R^T R = I` for the old codes B and the new values V of some items: :math:`R = U W^T` with
    :math:`V^T B = U S W^T` (the orthogonal Procrustes problem, Schönemann, Psychometrika 31, 1966). Queries
    are then encoded as ``fastcodes.bits.pack(new.decision_function(X) @ rotation)``, without encoding the
    database again.

    Parameters
    ----------
    old_codes : uint8 array (n, ceil(k / 8))
        Codes of some items, as they are in the database.
    new_values : array_like (n, m)
        The ``decision_function`` of the new model for the same items: many times as many items as bits, and a
        representative sample of the queries. Directions in which the items do not differ are not aligned.
    n_bits : int, optional
        The number k of old bits, if it differs from m.

    Returns
    -------
    float32 array (m, k)
        A matrix with orthonormal columns; with orthonormal rows if m < k.

    Raises
    ------
    TypeError
        If `old_codes` are not uint8, or `new_values` are not real numbers.
    ValueError
        If the shapes do not match, there are no items, or a value is not finite (the message says which).

    Notes
    -----
    Equal to ``u @ vt`` with ``u, _, vt = np.linalg.svd(new_values.T @ signs, full_matrices=False)`` and
    ``signs = bits.unpack(old_codes, n_bits, dtype=np.float32, values=(-1, 1))``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits
    >>> from fastcodes.hashing import ITQ, align
    >>> X = np.random.default_rng(0).normal(size=(2000, 16)) * np.arange(16, 0, -1)
    >>> old, new = ITQ(8, random_state=0).fit(X[:1000]), ITQ(8, random_state=1).fit(X[1000:])
    >>> rotation = align(old.encode(X[:200]), new.decision_function(X[:200]))
    >>> aligned = bits.pack(new.decision_function(X) @ rotation)
    >>> differing = [bits.popcount(codes ^ old.encode(X)).mean() for codes in (new.encode(X), aligned)]
    >>> bool(differing[1] < 0.5 * differing[0])
    True
    """
    values = as_samples(new_values, name="new_values")
    k = values.shape[1] if n_bits is None else n_bits
    codes = code_array(old_codes, "old_codes")
    old = bits.unpack(codes, k, dtype=np.float32, values=(-1, 1))
    if old.ndim != 2 or len(old) != len(values):
        raise ValueError(
            f"old_codes has shape {codes.shape} and new_values {values.shape}; "
            "expected one row per item in each"
        )
    if not len(old):
        raise ValueError("old_codes has no rows; expected codes of some items")
    cross = np.zeros((values.shape[1], old.shape[1]))
    for rows, block in blocks(values, "new_values"):
        cross += block.T @ old[rows]
    return nearest_rotation(cross).astype(np.float32)
