"""Hash functions that end with a learned rotation: iterative quantization."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastcodes import _files
from fastcodes._linalg import centered_product, nearest_rotation, random_rotation
from fastcodes._progress import progress
from fastcodes._typing import Array, Doubles, Floats
from fastcodes._validation import as_integer
from fastcodes.hashing.base import LinearHasher

__all__ = ["RotatedHasher"]


# Rows that are rotated at a time: their values and signs stay in the cache.
_ROWS_PER_BLOCK = 1024
# The bits of a float32 that hold the sign, and the bits of 1.
_SIGN, _ONE = np.uint32(1 << 31), np.float32(1).view(np.uint32)


class RotatedHasher(LinearHasher):
    """A linear model that ends with the rotation of iterative quantization.

    Attributes
    ----------
    rotation_ : float32 array (m, n_bits)
        The rotation of the m directions, with orthonormal rows.
    objective_history_ : float64 array (iterations + 1,)
        The objective divided by the number of samples, for the initial rotation and after each iteration.
    """

    rotation_: Floats
    objective_history_: Doubles
    max_iter: Any

    @property
    def n_iter_(self) -> int:
        """The number of iterations that lowered the objective."""
        return max(len(self.objective_history_) - 1, 0)

    def _rotate(
        self,
        x: Floats,
        mean: Doubles,
        directions: Doubles,
        n_bits: int,
        rng: np.random.Generator,
    ) -> None:
        """Learn the rotation of ``(x - mean) @ directions``, and the components that include it."""
        max_iter = as_integer(self.max_iter, "max_iter", 1)
        values = centered_product(x, mean, directions)
        with progress(self.verbose, max_iter, "rotation") as step:
            rotation, history = rotate_to_bits(values, n_bits, max_iter, rng, step)
        self._learn(mean, (directions @ rotation).T)
        self.rotation_ = rotation.astype(np.float32)
        self.objective_history_ = history

    def _to_arrays(self) -> dict[str, Array]:
        return {
            **super()._to_arrays(),
            "rotation": self.rotation_,
            "objective_history": self.objective_history_,
        }

    def _restore(self, arrays: Mapping[str, Array]) -> None:
        super()._restore(arrays)
        self.rotation_ = _files.take(
            arrays, "rotation", np.float32, ("n_directions", self._n_bits), finite=True
        )
        self.objective_history_ = _files.take(arrays, "objective_history", np.float64, ("iterations",))


def rotate_to_bits(
    values: Floats, n_bits: int, max_iter: int, rng: np.random.Generator, step: Callable[[float], None]
) -> tuple[Doubles, Doubles]:
    r"""Find the rotation that minimizes the distance of values to their signs: iterative quantization.

    Parameters
    ----------
    values : float32 array (n, m)
        With m <= n_bits; missing directions count as zeros.
    n_bits : int
        Columns of the rotation.
    max_iter : int
        Maximum number of iterations: signs, then the best rotation for them.
    rng : numpy Generator
        Draws the initial rotation.
    step : callable
        Called with the objective after each iteration.

    Returns
    -------
    rotation : float64 array (m, n_bits)
        With orthonormal rows.
    history : float64 array (iterations + 1,)
        :math:`\lVert B - V R \rVert_F^2 / n` for the initial rotation and after each iteration. Never
        increases.
    """
    rotation = random_rotation(values.shape[1], n_bits, rng)
    squares = float(np.einsum("nd,nd->", values, values, dtype=np.float64))
    constant = n_bits + squares / len(values)
    history: list[float] = []
    cross, trace = _cross(values, rotation)
    history.append(constant - 2 * trace / len(values))
    for _ in range(max_iter):
        new = nearest_rotation(cross)
        cross, new_trace = _cross(values, new)
        # Not the objective, whose constant would absorb the progress of small values.
        if not new_trace > trace:
            break
        rotation, trace = new, new_trace
        history.append(constant - 2 * trace / len(values))
        step(history[-1])
    return rotation, np.array(history)


def _cross(values: Floats, rotation: Doubles) -> tuple[Doubles, float]:
    """Return ``values.T @ signs`` with the signs of the rotated values, and the sum of their magnitudes."""
    n, matrix = len(values), rotation.astype(np.float32)
    signs, cross = np.empty((min(n, _ROWS_PER_BLOCK), matrix.shape[1]), np.float32), np.zeros(rotation.shape)
    for start in range(0, n, _ROWS_PER_BLOCK):
        part = values[start : start + _ROWS_PER_BLOCK]
        some = signs[: len(part)]
        np.matmul(part, matrix, out=some)
        # Equal to np.copysign(1, some), but much faster.
        np.bitwise_and(some.view(np.uint32), _SIGN, out=some.view(np.uint32))
        np.bitwise_or(some.view(np.uint32), _ONE, out=some.view(np.uint32))
        cross += part.T @ some
    # The sum of |V R| is the trace of R' V' sign(V R).
    return cross, float(np.einsum("ij,ij->", rotation, cross))
