"""Grids of tokens as rows of bytes, and the look-up tables by which `fastcodes.adc` searches these rows.

A token below 256 is a byte. Codebooks of more codewords take several bytes: one of them is the token less a
multiple of 255, and the others are 255, whose entries are 0. Where squared distances are sums over parts of a
token that are bytes, these parts are the tokens.

Squared distances to sums of codewords are no sums over codewords: what is missing, the inner products of the
codewords of a place with each other, follows in 32 bits for a grid: digits of a power of two, the highest
first.
"""

from __future__ import annotations

import math

import numpy as np

from fastcodes._typing import Array, Codes, Doubles, Floats

__all__ = ["bytes_of_crosses", "bytes_of_tokens", "empty_tables", "fill", "fill_digits"]

_ELSEWHERE = 255
_CROSS_BITS = 32
_MOST_ENTRIES = 1 << 26  # of a query
_MOST_NUMBERS = 1 << 30  # of all queries


def bytes_of_tokens(grids: Array, n_codewords: int) -> Codes:
    """Return the bytes (n, n_bytes) of grids (n, rows, columns, n_codebooks)."""
    columns = grids.reshape(len(grids), math.prod(grids.shape[1:]), 1)
    if n_codewords > 256:
        which, digits = np.divmod(columns.astype(np.int32), _ELSEWHERE)
        is_here = which == np.arange(_n_bytes(n_codewords), dtype=np.int32)
        columns = np.where(is_here, digits.astype(np.uint8), np.uint8(_ELSEWHERE))
    return columns.astype(np.uint8).reshape(len(grids), math.prod(columns.shape[1:]))


def bytes_of_crosses(crosses: Doubles, largest: float, n_codewords: int) -> Codes:
    """Return the digits (n, n_digits) of numbers from -`largest` to `largest`."""
    levels = _cross_levels(largest, n_codewords)
    unit, base = levels[-1, 1], levels.shape[1]
    scaled = (crosses + largest) / unit if unit > 0 else np.zeros(len(crosses))
    numbers = np.clip(np.rint(scaled), 0, base ** len(levels) - 1).astype(np.int64)
    digits: Codes = (numbers[:, None] // base ** np.arange(len(levels) - 1, -1, -1) % base).astype(np.uint8)
    return digits


def empty_tables(
    n: int, shape: tuple[int, int, int], n_codewords: int, largest: float | None
) -> tuple[Floats, Floats]:
    """Return tables (n, n_bytes, entries), and a view (n, *shape, bytes of a token, entries) to `fill`.

    `largest` is that of `bytes_of_crosses`, whose tables are left to `fill_digits`; None if there are none.
    """
    width, n_of_token = min(n_codewords, 256), _n_bytes(n_codewords)
    n_of_grid = math.prod(shape) * n_of_token
    levels = np.empty((0, 0)) if largest is None else _cross_levels(largest, n_codewords)
    n_entries = (n_of_grid + len(levels)) * width
    if n_entries > _MOST_ENTRIES:
        raise ValueError(
            f"a picture of {shape[0]} x {shape[1]} tokens has tables of {n_entries:,} numbers; "
            f"expected at most {_MOST_ENTRIES:,}: search by smaller pictures, or by crops"
        )
    if n * n_entries > _MOST_NUMBERS:
        raise ValueError(
            f"the tables of {n:,} queries are {n * n_entries:,} numbers; expected at most {_MOST_NUMBERS:,}: "
            f"search {_MOST_NUMBERS // n_entries:,} queries at a time, or fewer"
        )
    tables = np.zeros((n, n_of_grid + len(levels), width), np.float32)
    return tables, tables[:, :n_of_grid].reshape(n, *shape, n_of_token, width)


def fill(tables: Floats, entries: Doubles) -> None:
    """Write entries (..., n_codewords) into a part of the view of `empty_tables`."""
    step = entries.shape[-1] if tables.shape[-2] == 1 else _ELSEWHERE
    for i in range(tables.shape[-2]):
        part = entries[..., i * step : (i + 1) * step]
        tables[..., i, : part.shape[-1]] = part


def fill_digits(tables: Floats, digits: Codes, largest: float, n_codewords: int) -> None:
    """Write what digits of other grids add to the number of a grid with these digits (n, n_digits)."""
    levels = _cross_levels(largest, n_codewords)
    own = np.take_along_axis(levels, digits.T.astype(np.int64), axis=1).T
    tables[:, -len(levels) :, : levels.shape[1]] = levels - own[..., None]


def _n_bytes(n_codewords: int) -> int:
    return 1 if n_codewords <= 256 else -(-n_codewords // _ELSEWHERE)


def _cross_levels(largest: float, n_codewords: int) -> Doubles:
    """Return what each digit adds to -`largest` (n_digits, base)."""
    n_bits = n_codewords.bit_length() - 1  # of a digit, a table has no more entries
    n_digits = -(-_CROSS_BITS // n_bits)
    unit = 2 * largest / ((1 << n_bits * n_digits) - 1)
    powers = (1 << n_bits) ** np.arange(n_digits - 1, -1, -1)
    levels: Doubles = (unit * powers[:, None] * np.arange(1 << n_bits)).astype(np.float64)
    return levels
