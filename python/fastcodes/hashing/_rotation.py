"""Rotations that bring real values near to bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["nearest_rotation", "random_rotation", "rotate_to_bits"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

# Rows that are rotated at a time: their values and signs stay in the cache.
_ROWS = 1024
# Of a float32: what the sign is, and what 1 is.
_SIGN, _ONE = np.uint32(1 << 31), np.float32(1).view(np.uint32)


def nearest_rotation(cross: NDArray[Any]) -> Doubles:
    r"""Return R (m, k), m <= k, with orthonormal rows that maximises the trace of ``R.T @ cross``.

    With ``cross = V.T @ B`` it minimises :math:`\lVert B - V R \rVert_F`: the orthogonal Procrustes problem
    (Schonemann, Psychometrika 31, 1966).
    """
    u, _, vt = np.linalg.svd(np.asarray(cross, np.float64), full_matrices=False)
    rotation: Doubles = u @ vt
    return rotation


def random_rotation(n_rows: int, n_columns: int, rng: np.random.Generator) -> Doubles:
    """Return orthonormal rows (n_rows, n_columns) of any direction."""
    q, r = np.linalg.qr(rng.normal(size=(n_columns, n_columns)))
    turned: Doubles = (q * np.sign(np.diag(r)))[:n_rows]
    return turned


def rotate_to_bits(
    values: Floats, n_bits: int, max_iter: int, rng: np.random.Generator, step: Callable[[float], None]
) -> tuple[Doubles, Doubles]:
    r"""Find the rotation after which values are nearest to their signs: iterative quantisation.

    Parameters
    ----------
    values : float32 array (n, m)
        With m <= n_bits; the directions that are missing count as zeros.
    n_bits : int
        Columns of the rotation.
    max_iter : int
        How often to take the signs, and the rotation that is best for them.
    rng : numpy Generator
        Where the first rotation comes from.
    step : callable
        Called with the objective after each iteration.

    Returns
    -------
    rotation : float64 array (m, n_bits)
        With orthonormal rows.
    history : float64 array (iterations + 1,)
        :math:`\lVert B - V R \rVert_F^2 / n` of the first rotation, and after each iteration. Never rises.
    """
    rotation = random_rotation(values.shape[1], n_bits, rng)
    squares = float(np.einsum("nd,nd->", values, values, dtype=np.float64))
    constant = n_bits + squares / len(values)
    history: list[float] = []
    cross, objective = _cross(values, rotation, constant)
    history.append(objective)
    for _ in range(max_iter):
        new = nearest_rotation(cross)
        cross, objective = _cross(values, new, constant)
        if not objective < history[-1]:
            break  # at the limit of rounding
        rotation = new
        history.append(objective)
        step(objective)
    return rotation, np.array(history)


def _cross(values: Floats, rotation: Doubles, constant: float) -> tuple[Doubles, float]:
    """Return ``values.T @ signs`` with the signs of the rotated values, and the objective."""
    n, matrix = len(values), rotation.astype(np.float32)
    signs, cross = np.empty((min(n, _ROWS), matrix.shape[1]), np.float32), np.zeros(rotation.shape)
    for start in range(0, n, _ROWS):
        part = values[start : start + _ROWS]
        some = signs[: len(part)]
        np.matmul(part, matrix, out=some)
        # As by np.copysign(1, some), which is much slower.
        np.bitwise_and(some.view(np.uint32), _SIGN, out=some.view(np.uint32))
        np.bitwise_or(some.view(np.uint32), _ONE, out=some.view(np.uint32))
        cross += part.T @ some
    # The sum of |V R| is the trace of R' V' sign(V R).
    return cross, constant - 2 * float(np.einsum("ij,ij->", rotation, cross)) / n
