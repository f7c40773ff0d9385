"""Grids of tokens as rows of bytes, and the look-up tables by which `fastcodes.adc` searches these rows.

A token below 256 is a byte. Codebooks of more codewords take several bytes: one of them is the token less a
multiple of 255, and the others are 255, whose entries are 0.

Of codewords that are added up, tables have the inner products, and the squared length of the vectors that a
grid stands for follows in 24 bits: digits of a power of two, the highest first.
"""

from __future__ import annotations

import math

import numpy as np

from fastcodes._typing import Array, Codes, Doubles, Floats

__all__ = ["bytes_of_norms", "bytes_of_tokens", "empty_tables", "fill"]

_ELSEWHERE = 255
_NORM_BITS = 24
_MOST_ENTRIES = 1 << 26  # of a query


def bytes_of_tokens(grids: Array, n_codewords: int) -> Codes:
    """Return the bytes (n, n_bytes) of grids (n, rows, columns, n_codebooks)."""
    columns = grids.reshape(len(grids), math.prod(grids.shape[1:]), 1)
    if n_codewords > 256:
        which, digits = np.divmod(columns, _ELSEWHERE)
        columns = np.where(which == np.arange(_n_bytes(n_codewords)), digits, _ELSEWHERE)
    return columns.astype(np.uint8).reshape(len(grids), math.prod(columns.shape[1:]))


def bytes_of_norms(norms: Doubles, largest: float, n_codewords: int) -> Codes:
    """Return the digits (n, n_digits) of squared lengths, of which none is above `largest`."""
    levels = _norm_levels(largest, n_codewords)
    unit, base = levels[-1, 1], levels.shape[1]
    numbers = np.rint(norms / unit).astype(np.int64) if unit > 0 else np.zeros(len(norms), np.int64)
    digits: Codes = (numbers[:, None] // base ** np.arange(len(levels) - 1, -1, -1) % base).astype(np.uint8)
    return digits


def empty_tables(
    n: int, shape: tuple[int, int, int], n_codewords: int, largest: float | None
) -> tuple[Floats, Floats]:
    """Return tables (n, n_bytes, entries), and a view (n, *shape, bytes of a token, entries) to `fill`.

    If squared lengths follow, the tables of these are filled already; `largest` is the largest one.
    """
    width, n_of_token = min(n_codewords, 256), _n_bytes(n_codewords)
    n_of_grid = math.prod(shape) * n_of_token
    levels = np.empty((0, 0)) if largest is None else _norm_levels(largest, n_codewords)
    if (n_of_grid + len(levels)) * width > _MOST_ENTRIES:
        raise ValueError(
            f"a picture of {shape[0]} x {shape[1]} tokens has tables of "
            f"{(n_of_grid + len(levels)) * width:,} numbers; expected at most {_MOST_ENTRIES:,}: "
            "search by smaller pictures, or by crops"
        )
    tables = np.zeros((n, n_of_grid + len(levels), width), np.float32)
    tables[:, n_of_grid:, : levels.shape[1]] = levels
    return tables, tables[:, :n_of_grid].reshape(n, *shape, n_of_token, width)


def fill(tables: Floats, entries: Doubles) -> None:
    """Write entries (..., n_codewords) into a part of the view of `empty_tables`."""
    step = entries.shape[-1] if tables.shape[-2] == 1 else _ELSEWHERE
    for i in range(tables.shape[-2]):
        part = entries[..., i * step : (i + 1) * step]
        tables[..., i, : part.shape[-1]] = part


def _n_bytes(n_codewords: int) -> int:
    return 1 if n_codewords <= 256 else -(-n_codewords // _ELSEWHERE)


def _norm_levels(largest: float, n_codewords: int) -> Doubles:
    """Return what each digit of a squared length stands for (n_digits, base)."""
    n_bits = n_codewords.bit_length() - 1  # of a digit, a table has no more entries
    n_digits = -(-_NORM_BITS // n_bits)
    unit = largest / ((1 << n_bits * n_digits) - 1)
    powers = (1 << n_bits) ** np.arange(n_digits - 1, -1, -1)
    levels: Doubles = (unit * powers[:, None] * np.arange(1 << n_bits)).astype(np.float64)
    return levels
