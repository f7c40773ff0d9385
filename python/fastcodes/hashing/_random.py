"""Random projections that need no data: dense, sparse, and by fast Hadamard transforms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcodes import _data, _files, hadamard
from fastcodes._estimator import generator
from fastcodes.hashing._hasher import Floats, take_finite

__all__ = ["Projection"]

PROJECTIONS = ("gaussian", "sparse", "hadamard")


class NotFiniteError(ArithmeticError):
    """A projection has a number that is not finite."""


class Projection:
    """Projections of vectors of `d` dimensions on `n` random directions.

    `matrix` is float32 ``(n, d)``, or `signs` are those of `fastcodes.hadamard`. Each projection of a unit
    vector has mean 0 and variance 1 over random directions.
    """

    def __init__(self, d: int, n: int, matrix: Floats | None, signs: NDArray[np.uint8] | None) -> None:
        self.d = d
        self.n = n
        self.matrix = matrix
        self.signs = signs

    @classmethod
    def draw(cls, kind: Any, d: int, n: int, random_state: Any) -> Projection:
        """Draw random directions.

        Raises
        ------
        ValueError
            If there is no such kind of them.
        """
        if not isinstance(kind, str) or kind not in PROJECTIONS:
            expected = ", ".join(f'"{name}"' for name in PROJECTIONS)
            raise ValueError(f"projection must be one of {expected}; got {kind!r}")
        rng = generator(random_state)
        if kind == "hadamard":
            return cls(d, n, None, hadamard.signs(d, n, rng))
        if kind == "gaussian":
            return cls(d, n, rng.standard_normal((n, d), np.float32), None)
        # Achlioptas: +-sqrt(3) with probability 1/6 each, else 0.
        entries = np.array([3**0.5, -(3**0.5), 0, 0, 0, 0], np.float32)
        return cls(d, n, entries[rng.integers(0, 6, (n, d), np.uint8)], None)

    def values(self, x: Floats) -> Floats:
        """Return the projections (n_rows, n) of C-contiguous float32 vectors.

        Raises
        ------
        NotFiniteError
            If a vector has a number that is not finite, or projections overflow.
        """
        if self.signs is not None:
            try:
                return hadamard.project(x, self.signs, self.n)
            except ValueError:
                raise NotFiniteError from None
        assert self.matrix is not None
        with np.errstate(over="ignore", invalid="ignore"):
            values: Floats = x @ self.matrix.T
        # What is not finite spreads to all projections of its row.
        if not np.isfinite(values[:, 0]).all():
            raise NotFiniteError
        return values

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` takes."""
        arrays: dict[str, NDArray[Any]] = {"shape": np.array([self.n, self.d])}
        if self.signs is not None:
            return {**arrays, "signs": self.signs}
        assert self.matrix is not None
        return {**arrays, "components": self.matrix}

    @classmethod
    def from_arrays(cls, kind: Any, arrays: dict[str, NDArray[Any]]) -> Projection:
        """Take it back, with a ValueError where it cannot be."""
        if not isinstance(kind, str) or kind not in PROJECTIONS:
            raise ValueError(f"its projection is {kind!r}; expected one of {PROJECTIONS}")
        n, d = _files.take(arrays, "shape", np.int64, (2,)).tolist()
        if n < 1 or d < 1:
            raise ValueError(f"its shape is {(n, d)}; expected at least one row and column")
        if kind != "hadamard":
            return cls(d, n, take_finite(arrays, "components", (n, d)), None)
        n_rows, n_bytes = hadamard._shape(d, n)
        return cls(d, n, None, _files.take(arrays, "signs", np.uint8, (n_rows, n_bytes)))


def is_plain(samples: NDArray[Any]) -> bool:
    """Whether samples can be projected as they lie, so that NaN may be looked for in the projections."""
    return bool(samples.dtype == np.float32 and samples.flags.c_contiguous and samples.flags.aligned)


def explain(samples: NDArray[Any]) -> ValueError:
    """Raise the error that says where samples are not finite, or return the one for projections too large."""
    for _ in _data.blocks(samples):
        pass
    return ValueError("X has numbers so large that their projections overflow float32; scale them down")
