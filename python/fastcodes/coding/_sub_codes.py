"""Coefficients as bytes that can be searched: each byte is the nearest of 256 codewords of a few of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fastcodes import _files
from fastcodes._blocks import sampled_rows
from fastcodes._typing import Array, Codes, Doubles, Floats, Ids
from fastcodes.quantization import KMeans
from fastcodes.quantization._lloyd import nearest_codes

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["SubCodes", "n_used"]

_N_CODEWORDS = 256
_MOST_SAMPLES = 1 << 16
# Of the coefficients, which part is in the first quarters of the bytes.
_SHARES = (0.157, 0.35, 0.61, 1.0)
_MAX_ITER = 50
# Squared errors of scalar quantizers of 0, 1, 2, ... bits for coefficients of unit variance.
_ERRORS = np.array([1, 0.4, 0.13, 0.041, 0.0118, 0.0033, 0.0009, 0.00025, 0.00007])


class SubCodes:
    """A product quantizer whose parts are of different sizes, the most important first.

    The first bytes hold the coefficients of most energy, and more bytes add others. So a prefix of a code is
    a code of less detail. A quarter of the bytes holds a sixth of the coefficients: with fewer, whole codes
    would have less error, but prefixes more.

    Parameters
    ----------
    columns : uint16 array (n_used,)
        Coefficients in the order of bytes.
    ends : uint16 array (n_bytes,)
        Where the columns of each byte end.
    codewords : float32 array (256, n_used)
        The codewords of all bytes side by side.
    """

    def __init__(self, columns: Array, ends: Array, codewords: Floats) -> None:
        self.columns, self.ends, self.codewords = columns, ends, codewords

    @classmethod
    def fit(cls, values: Floats, n_bytes: int, rng: np.random.Generator, threads: int | None) -> Self:
        """Return the quantizer of coefficients (n, n_coefficients), at least 256 rows."""
        parts = _parts(values.var(axis=0, dtype=np.float64), n_bytes)
        values = values[sampled_rows(len(values), _MOST_SAMPLES, rng)]
        codewords = [
            KMeans(_N_CODEWORDS, max_iter=_MAX_ITER, random_state=int(rng.integers(2**31)))
            .fit(values[:, part], threads=threads)
            .centers_
            for part in parts
        ]
        ends = np.cumsum([len(part) for part in parts])
        return cls(np.concatenate(parts).astype(np.uint16), ends.astype(np.uint16), np.hstack(codewords))

    @property
    def n_bytes(self) -> int:
        return len(self.ends)

    def parts(self, n_bytes: int | None = None) -> list[tuple[Ids, Floats]]:
        """Return the columns (d,) and the codewords (256, d) of each of the first bytes."""
        starts = np.r_[0, self.ends[:-1]].astype(np.int64)
        pairs = zip(starts[:n_bytes], self.ends[:n_bytes], strict=True)
        return [
            (self.columns[start:end].astype(np.int64), np.ascontiguousarray(self.codewords[:, start:end]))
            for start, end in pairs
        ]

    def encode(self, values: Floats, threads: int | None) -> Codes:
        """Return the codes uint8 (n, n_bytes) of rows of coefficients."""
        codes = np.empty((len(values), self.n_bytes), np.uint8)
        for m, (part, codewords) in enumerate(self.parts()):
            codes[:, m] = nearest_codes(values[:, part], codewords[None], threads=threads)[:, 0]
        return codes

    def decode(self, codes: Codes, n_coefficients: int) -> Doubles:
        """Return the coefficients float64 (n, n_coefficients) of codes or of prefixes of codes."""
        values = np.zeros((len(codes), n_coefficients))
        for m, (part, codewords) in enumerate(self.parts(codes.shape[1])):
            values[:, part] = codewords[codes[:, m]]
        return values

    def to_arrays(self) -> dict[str, Array]:
        return {"columns": self.columns, "ends": self.ends, "codewords": self.codewords}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], n_bytes: int, n_coefficients: int) -> Self:
        """Return the quantizer of arrays of a file, or raise a ValueError."""
        columns = _files.take(arrays, "columns", np.uint16, ("used",))
        ends = _files.take(arrays, "ends", np.uint16, (n_bytes,))
        shape = (_N_CODEWORDS, len(columns))
        codewords = _files.take(arrays, "codewords", np.float32, shape, finite=True)
        if (np.diff(ends.astype(np.int64), prepend=0) < 1).any() or ends[-1] != len(columns):
            raise ValueError(f"ends are no ascending numbers up to the {len(columns)} columns")
        if columns.max() >= n_coefficients or len(np.unique(columns)) != len(columns):
            raise ValueError(f"columns are no distinct numbers below {n_coefficients}")
        return cls(columns, ends, codewords)


def _parts(variances: Doubles, n_bytes: int) -> list[Ids]:
    """Return the coefficients of each byte, given their variances in descending order."""
    parts: list[Ids] = []
    start = 0
    for quarter, share in enumerate(_SHARES, 1):
        n, left = quarter * n_bytes // 4 - len(parts), n_bytes - quarter * n_bytes // 4
        # Each byte needs a coefficient.
        end = min(max(round(share * n_used(n_bytes)), start + n), len(variances) - left)
        group = np.arange(start, end)
        n_bits = _allocated(variances[group], 8 * n)
        room, members = np.full(n, 8), [np.empty(0, np.int64) for _ in range(n)]
        for column in np.argsort(-n_bits, kind="stable"):
            # Those without bits go to the bytes of the fewest coefficients.
            byte = int(np.lexsort((np.array([len(part) for part in members]), -room))[0])
            members[byte] = np.append(members[byte], group[column])
            room[byte] -= max(n_bits[column], 1)
        parts += sorted(members, key=lambda part: -variances[part].sum())
        start = end
    return parts


def n_used(n_bytes: int) -> int:
    """Return how many coefficients a code of `n_bytes` bytes is expected to use."""
    return int(292 * (n_bytes / 64) ** 1.35 + 0.5)


def _allocated(variances: Doubles, n_bits: int) -> Ids:
    """Return the bits of each coefficient, at most eight, that minimize the error of scalar quantizers."""
    allocated = np.zeros(len(variances), np.int64)
    for _ in range(min(n_bits, 8 * len(variances))):
        gains = np.where(allocated < 8, variances * -np.diff(_ERRORS, append=0)[allocated], -1)
        allocated[gains.argmax()] += 1
    return allocated
