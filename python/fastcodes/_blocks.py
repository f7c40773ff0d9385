"""Large arrays a block of rows at a time, as finite float32, and random samples of their rows.

No other rows are read than those that are used, so that an array may be a memory map larger than the memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from fastcodes._typing import Array, Floats, Ids
from fastcodes._validation import as_integer, finite_float32, to_float32

__all__ = [
    "ELEMENTS_PER_BLOCK",
    "blocks",
    "check_finite",
    "naming_nonfinite",
    "row_slices",
    "rows_per_block",
    "sample",
    "sampled_rows",
    "take_rows",
]

# Large enough to occupy all threads, small compared with any array that needs blocks.
ELEMENTS_PER_BLOCK = 1 << 21


def rows_per_block(x: Array, width: int = 1) -> int:
    """Return the number of rows of a full block of `x`, if `width` numbers are computed from each row."""
    return max(1, ELEMENTS_PER_BLOCK // max(int(x.shape[1]), width, 1))


def row_slices(x: Array, width: int = 1) -> Iterator[slice]:
    """Yield the rows of each block of `x`; see `rows_per_block`."""
    n, step = len(x), rows_per_block(x, width)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def blocks(
    x: Array, name: str = "X", width: int = 1, *, check: bool = True
) -> Iterator[tuple[slice, Floats]]:
    """Yield the rows of each block of `x`, and their values as C-contiguous float32.

    Parameters
    ----------
    x : array (n, d)
        Real numbers.
    name : str
        The name of the argument, for error messages.
    width : int
        How many numbers are computed from each row, if more than ``d``.
    check : bool
        Whether values that are not finite are refused. If not, the kernel that reads the blocks has to refuse
        them, within `naming_nonfinite`.
    """
    for rows in row_slices(x, width):
        if check:
            yield rows, finite_float32(x[rows], range(rows.start, rows.stop), name)
        else:
            yield rows, to_float32(x[rows])


def check_finite(x: Array, name: str = "X") -> None:
    """Raise an error that names the first value that is not finite in float32."""
    for _ in blocks(x, name):
        pass


@contextlib.contextmanager
def naming_nonfinite(x: Array, name: str = "X") -> Iterator[None]:
    """Turn the error of a kernel that met a value that is not finite into one that names its row and column.

    Kernels check what they read, so that arrays need not be scanned in advance. Other errors pass unchanged.
    """
    try:
        yield
    except ValueError:
        check_finite(x, name)
        raise


def sampled_rows(n: int, max_samples: int | None, rng: np.random.Generator) -> Ids | slice:
    """Draw at most `max_samples` of `n` rows without replacement, in ascending order; None draws all."""
    if max_samples is None or max_samples >= n:
        return slice(None)
    return np.sort(rng.choice(n, max_samples, replace=False, shuffle=False))


def take_rows(x: Array, rows: Ids | slice = slice(None)) -> Floats:
    """Return some rows of `x`, or all of them, as finite, C-contiguous float32."""
    if not isinstance(rows, slice):
        return finite_float32(x[rows], rows)
    x = x[rows]
    if x.dtype == np.float32 and x.flags.carray:
        check_finite(x)
        return x
    samples = np.empty(x.shape, np.float32)
    for part, block in blocks(x):
        samples[part] = block
    return samples


def sample(x: Array, max_samples: int | None, rng: np.random.Generator, *, at_least: int = 1) -> Floats:
    """Return at most `max_samples` random rows of `x` in their order, as finite, C-contiguous float32.

    Parameters
    ----------
    x : array (n, d)
        Real numbers.
    max_samples : int or None
        The parameter of the model: how many random rows are used at most.
    rng : numpy Generator
        Draws the rows.
    at_least : int
        The smallest `max_samples`.
    """
    if max_samples is not None:
        max_samples = as_integer(max_samples, "max_samples", at_least)
    return take_rows(x, sampled_rows(len(x), max_samples, rng))
