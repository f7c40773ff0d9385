"""Random directions that need no data: Gaussian, sparse, or fast Hadamard transforms with random signs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastcodes import _files, hadamard
from fastcodes._linalg import exact_product, projections
from fastcodes._typing import Array, Codes, Floats
from fastcodes._validation import as_option, random_generator

__all__ = ["Projection"]

_KINDS = ("gaussian", "sparse", "hadamard")
_TOO_LARGE = "X has numbers so large that their projections overflow float32; scale them down"


class Projection:
    """Projections of vectors of `d` dimensions on `n` random directions.

    `directions` are float32 ``(n, d)``, or uint8 signs as those of `fastcodes.hadamard`. Each projection of a
    unit vector has mean 0 and variance 1 over random directions. `values` and `pack` raise a ValueError for
    vectors that are not finite.
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
        """Draw random directions; a ValueError for an unknown `kind`."""
        as_option(kind, "projection", _KINDS)
        rng = random_generator(random_state)
        if kind == "hadamard":
            return cls(d, n, hadamard.signs(d, n, random_state=rng))
        if kind == "gaussian":
            return cls(d, n, rng.standard_normal((n, d), np.float32))
        # Achlioptas: +-sqrt(3) with probability 1/6 each, else 0.
        entries = np.array([3**0.5, -(3**0.5), 0, 0, 0, 0], np.float32)
        return cls(d, n, entries[rng.integers(0, 6, (n, d), np.uint8)])

    def values(self, x: Floats, threads: int | None, *, only_signs: bool = False) -> Floats:
        """Return the projections (n_rows, n) of C-contiguous float32 vectors.

        They depend on no other row; with `only_signs` this is promised of their signs alone, which is faster.
        """
        if self.signs is not None:
            try:
                return hadamard.project(x, self.signs, self.n, threads=threads)
            except ValueError:
                raise ValueError(_TOO_LARGE) from None
        with np.errstate(over="ignore", invalid="ignore"):
            values = projections(x, self._directions) if only_signs else exact_product(x, self._directions.T)
        # A value that is not finite spreads to all projections of its row.
        if not np.isfinite(values[:, 0]).all():
            raise ValueError(_TOO_LARGE)
        return values

    def pack_signs(self, x: Floats, signs: Codes, out: Codes, threads: int | None) -> None:
        """Write the signs of the projections of a fast transform as bits."""
        try:
            hadamard.pack(x, signs, self.n, out=out, threads=threads)
        except ValueError:
            raise ValueError(_TOO_LARGE) from None

    def to_arrays(self) -> dict[str, Array]:
        """Return the arrays that `from_arrays` takes."""
        name = "signs" if self.matrix is None else "components"
        return {"shape": np.array([self.n, self.d]), name: self._directions}

    @classmethod
    def from_arrays(cls, kind: object, arrays: Mapping[str, Array]) -> Projection:
        """Restore a projection, or raise a ValueError that says why the arrays are invalid."""
        as_option(kind, "projection", _KINDS)
        n, d = _files.take(arrays, "shape", np.int64, (2,)).tolist()
        if n < 1 or d < 1:
            raise ValueError(f"its shape is {(n, d)}; expected at least one row and column")
        if kind == "hadamard":
            signs = _files.take(arrays, "signs", np.uint8, ("3 * n_rotations", "size / 8"))
            hadamard.project(np.empty((0, d), np.float32), signs, n)  # checks that they fit d and n
            return cls(d, n, signs)
        return cls(d, n, _files.take(arrays, "components", np.float32, (n, d), finite=True))
