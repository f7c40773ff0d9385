"""Random projections that need no data: dense, sparse, and by fast Hadamard transforms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastcodes import _files, hadamard
from fastcodes._blocks import blocks
from fastcodes._typing import Array, Codes, Floats
from fastcodes._validation import random_generator

__all__ = ["Projection"]

_KINDS = ("gaussian", "sparse", "hadamard")


class NotFiniteError(ArithmeticError):
    """A projection has a number that is not finite."""


class Projection:
    """Projections of vectors of `d` dimensions on `n` random directions.

    `directions` are float32 ``(n, d)``, or uint8 signs as those of `fastcodes.hadamard`. Each projection of a
    unit vector has mean 0 and variance 1 over random directions.
    """

    def __init__(self, d: int, n: int, directions: Array) -> None:
        self.d = d
        self.n = n
        is_matrix = directions.dtype == np.float32
        self.matrix: Floats | None = directions if is_matrix else None
        self.signs: Codes | None = None if is_matrix else directions
        self._directions = directions

    @classmethod
    def draw(cls, kind: object, d: int, n: int, random_state: Any) -> Projection:
        """Draw random directions.

        Raises
        ------
        ValueError
            If there is no such kind of them.
        """
        _check_kind(kind)
        rng = random_generator(random_state)
        if kind == "hadamard":
            return cls(d, n, hadamard.signs(d, n, random_state=rng))
        if kind == "gaussian":
            return cls(d, n, rng.standard_normal((n, d), np.float32))
        # Achlioptas: +-sqrt(3) with probability 1/6 each, else 0.
        entries = np.array([3**0.5, -(3**0.5), 0, 0, 0, 0], np.float32)
        return cls(d, n, entries[rng.integers(0, 6, (n, d), np.uint8)])

    def values(self, x: Floats) -> Floats:
        """Return the projections (n_rows, n) of C-contiguous float32 vectors.

        Raises
        ------
        NotFiniteError
            If a vector has a number that is not finite, or projections overflow.
        """
        if self.matrix is None:
            try:
                return hadamard.project(x, self._directions, self.n)
            except ValueError:
                raise NotFiniteError from None
        with np.errstate(over="ignore", invalid="ignore"):
            values: Floats = x @ self.matrix.T
        # What is not finite spreads to all projections of its row.
        if not np.isfinite(values[:, 0]).all():
            raise NotFiniteError
        return values

    def to_arrays(self) -> dict[str, Array]:
        """Return what `from_arrays` takes."""
        name = "signs" if self.matrix is None else "components"
        return {"shape": np.array([self.n, self.d]), name: self._directions}

    @classmethod
    def from_arrays(cls, kind: object, arrays: Mapping[str, Array]) -> Projection:
        """Take it back, with a ValueError where it cannot be."""
        _check_kind(kind)
        n, d = _files.take(arrays, "shape", np.int64, (2,)).tolist()
        if n < 1 or d < 1:
            raise ValueError(f"its shape is {(n, d)}; expected at least one row and column")
        if kind == "hadamard":
            return cls(d, n, _files.take(arrays, "signs", np.uint8, hadamard._shape(d, n)))
        return cls(d, n, _files.take(arrays, "components", np.float32, (n, d), finite=True))


def _check_kind(kind: object) -> None:
    if not isinstance(kind, str) or kind not in _KINDS:
        expected = ", ".join(f'"{name}"' for name in _KINDS)
        raise ValueError(f"projection must be one of {expected}; got {kind!r}")


def is_plain(samples: Array) -> bool:
    """Whether samples can be projected as they lie, so that NaN may be looked for in the projections."""
    return bool(samples.dtype == np.float32 and samples.flags.c_contiguous and samples.flags.aligned)


def explain(samples: Array) -> ValueError:
    """Raise the error that says where samples are not finite, or return the one for projections too large."""
    for _ in blocks(samples):
        pass
    return ValueError("X has numbers so large that their projections overflow float32; scale them down")
