"""Codes with a number beside each that is added to the distances of its row.

The distance of a query to a row of an inverted list is that to the code of a residual, and a number that
depends on the list and the code: see `fastcodes.index._inverted`. Storages search such rows as any others,
since the number is part of the code.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastcodes import _files, bits
from fastcodes._codec import Codec
from fastcodes._storage import RaBitQStorage, Storage, TableStorage, join_factors, split_factors
from fastcodes._typing import Array, Codes, Doubles, Floats
from fastcodes._validation import as_codes
from fastcodes.quantization.base import Quantizer
from fastcodes.quantization.rabitq import RaBitQuantizer

__all__ = ["DigitTerms", "FactorTerms", "NoTerms", "Terms"]

_LEAST_LEVELS, _MOST_LEVELS = 1 << 8, 1 << 24
# A step is at most this share of the squared error of codes, so that rounding to it adds little.
_STEP = 0.125


class Terms(abc.ABC):
    """Rows of a codec, and a number for each."""

    @abc.abstractmethod
    def join(self, rows: Codes, terms: Doubles) -> Codes:
        """Return rows of the codec with their numbers."""

    @abc.abstractmethod
    def split(self, rows: Codes) -> Codes:
        """Return the rows of the codec."""

    @abc.abstractmethod
    def as_rows(self, rows: Codes) -> Codes:
        """Return rows from elsewhere, or raise an error if `join` cannot have made them."""

    def operand(self, operand: Any) -> Any:
        """Return the operand of queries for rows with numbers."""
        return operand

    @abc.abstractmethod
    def storage(self, metric: str) -> Storage:
        """Return an empty storage for rows with numbers."""

    def fitted(self, terms: Doubles, error: float) -> Terms:
        """Return the same for numbers like these, of codes with this mean squared error."""
        return self

    def to_arrays(self) -> dict[str, Array]:
        """Return what was learned from numbers."""
        return {}

    def restored(self, arrays: Mapping[str, Array]) -> Terms:
        """Return the same with what `to_arrays` returned."""
        return self


class NoTerms(Terms):
    """Rows of any codec, without numbers."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def join(self, rows: Codes, terms: Doubles) -> Codes:
        return rows

    def split(self, rows: Codes) -> Codes:
        return rows

    def as_rows(self, rows: Codes) -> Codes:
        return self._codec.as_codes(rows).astype(np.uint8, copy=False)

    def storage(self, metric: str) -> Storage:
        return self._codec.storage(metric)


class FactorTerms(Terms):
    """Rows of a `RaBitQuantizer`: the first factor of a row is added to its distances."""

    def __init__(self, codec: RaBitQuantizer) -> None:
        self._codec = codec

    def join(self, rows: Codes, terms: Doubles) -> Codes:
        codes, factors = split_factors(rows)
        factors[:, 0] += terms
        return join_factors(codes, factors)

    def split(self, rows: Codes) -> Codes:
        return rows

    def as_rows(self, rows: Codes) -> Codes:
        return self._codec.as_codes(rows)

    def storage(self, metric: str) -> Storage:
        n_bytes = self._codec.code_bytes
        kind = "l2" if metric == "l2" else "ip"
        return RaBitQStorage(n_bytes, self._codec.n_bits, kind, self._codec.error_ratio_)


class DigitTerms(Terms):
    """Numbers of a `Quantizer`, and one rounded to some digits, each of which has a look-up table.

    Parameters
    ----------
    codec : Quantizer
        Fitted, with up to 256 codewords.
    lowest, step : float
        The grid to which numbers are rounded; those beyond its ends are clipped.
    n_digits : int
        Digits of a number, the first the most significant; 0 if rows have none.
    """

    def __init__(self, codec: Quantizer, lowest: float = 0.0, step: float = 1.0, n_digits: int = 0) -> None:
        self._codec = codec
        self._n_subspaces, n_codewords = codec.table_shape
        self._n_codewords = max(n_codewords, 2)  # a digit needs two
        self._lowest, self._step, self._n_digits = lowest, step, n_digits

    def fitted(self, terms: Doubles, error: float) -> DigitTerms:
        """Return a grid twice as wide as some numbers are."""
        lowest = float(terms.min())
        width = 2 * max(float(terms.max()) - lowest, float(np.finfo(np.float32).tiny))
        wanted = min(max(_LEAST_LEVELS, width / max(_STEP * error, width / _MOST_LEVELS)), _MOST_LEVELS)
        n_digits = math.ceil(math.log(wanted, self._n_codewords) - 1e-9)
        step = width / (self._n_codewords**n_digits - 1)
        return DigitTerms(self._codec, lowest - width / 4, step, n_digits)

    @property
    def _n_levels(self) -> int:
        return int(self._n_codewords**self._n_digits)

    def join(self, rows: Codes, terms: Doubles) -> Codes:
        n_bits = self._codec.bits_per_number
        numbers = rows if n_bits is None else bits.unpack_uint(rows, n_bits, self._n_subspaces)
        joined = np.empty((len(rows), self._n_subspaces + self._n_digits), np.uint8)
        joined[:, : self._n_subspaces] = numbers
        if self._n_digits:
            levels = np.rint((terms - self._lowest) / self._step)
            left = np.clip(levels, 0, self._n_levels - 1).astype(np.int64)
            for digit in range(1, self._n_digits + 1):
                left, joined[:, -digit] = np.divmod(left, self._n_codewords)
        return joined

    def split(self, rows: Codes) -> Codes:
        numbers, n_bits = rows[:, : self._n_subspaces], self._codec.bits_per_number
        return np.ascontiguousarray(numbers) if n_bits is None else bits.pack_uint(numbers, n_bits)

    def as_rows(self, rows: Codes) -> Codes:
        numbers = as_codes(rows, self._n_subspaces + self._n_digits, self._n_codewords)
        self._codec.as_codes(self.split(numbers.astype(np.uint8, copy=False)))
        return numbers.astype(np.uint8, copy=False)

    def operand(self, operand: Floats) -> Floats:
        if not self._n_digits:
            return operand
        tables = np.empty((len(operand), self._n_subspaces + self._n_digits, self._n_codewords), np.float32)
        tables[:, : self._n_subspaces] = operand
        values = np.arange(self._n_codewords) * self._step
        for digit in range(self._n_digits):
            tables[:, self._n_subspaces + digit] = values * self._n_codewords ** (self._n_digits - 1 - digit)
        tables[:, -1] += np.float32(self._lowest)
        return tables

    def storage(self, metric: str) -> Storage:
        return TableStorage(self._n_subspaces + self._n_digits, self._n_codewords)

    def to_arrays(self) -> dict[str, Array]:
        return {"terms": np.array([self._lowest, self._step, self._n_digits])} if self._n_digits else {}

    def restored(self, arrays: Mapping[str, Array]) -> DigitTerms:
        """Return the same with what `to_arrays` returned."""
        if "terms" not in arrays:
            return self
        lowest, step, n_digits = _files.take(arrays, "terms", np.float64, (3,), finite=True).tolist()
        if step <= 0 or n_digits not in range(1, 1 + _MOST_LEVELS.bit_length()):
            raise ValueError(f"its terms have {n_digits} digits and the step {step}; expected more than 0")
        return DigitTerms(self._codec, lowest, step, int(n_digits))
