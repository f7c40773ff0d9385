"""Samples on their way into a model: checked, and converted to float32 a block at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["as_codes", "as_samples", "blocks", "finite", "rows_of_a_block", "sample", "take"]

Floats = NDArray[np.float32]
# Elements of a block: large enough for all threads, small beside any data that needs blocks.
_BLOCK = 1 << 21


def as_samples(x: ArrayLike, n_features: int | None = None, model: str = "", name: str = "X") -> NDArray[Any]:
    """Return `x` as an array of real numbers with two dimensions, in its own dtype.

    Parameters
    ----------
    x : array_like (n, d)
        Samples, one a row.
    n_features : int, optional
        What ``d`` has to be.
    model : str
        Who expects that, for the error message.
    name : str
        What `x` is called there.
    """
    if hasattr(x, "toarray"):
        raise TypeError(f"{name} is sparse, which is not supported; give {name}.toarray()")
    samples = x if isinstance(x, np.ndarray) else np.asarray(x)
    if samples.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must be real numbers (float16, float32, float64 or integers); "
            f"got an array of dtype {samples.dtype}"
        )
    if samples.ndim != 2:
        advice = (
            f" Reshape your data: {name}.reshape(1, -1) is one sample, {name}.reshape(-1, 1) is one feature."
            if samples.ndim == 1
            else ""
        )
        raise ValueError(
            f"Expected 2D array, got {samples.ndim}D array instead: {name} has shape {samples.shape}, "
            f"expected (n_samples, n_features).{advice}"
        )
    if not samples.shape[1]:
        raise ValueError(f"{name} has 0 feature(s) (shape={samples.shape}) while a minimum of 1 is required.")
    if n_features is not None and samples.shape[1] != n_features:
        raise ValueError(
            f"{name} has {samples.shape[1]} features, but {model} is expecting {n_features} features as input"
        )
    return samples


def as_codes(
    codes: ArrayLike, n_columns: int, n_codewords: int, dtype: type[np.unsignedinteger[Any]] = np.uint8
) -> NDArray[np.unsignedinteger[Any]]:
    """Return `codes`, if they are an array (n, `n_columns`) of `dtype` with values below `n_codewords`."""
    codes = np.asarray(codes)
    if codes.dtype != dtype:
        raise TypeError(f"codes must be an array of {np.dtype(dtype)}; got an array of dtype {codes.dtype}")
    if codes.ndim != 2 or codes.shape[1] != n_columns:
        raise ValueError(f"codes must have shape (n, {n_columns}); got {codes.shape}")
    if n_codewords <= np.iinfo(dtype).max and codes.size and codes.max() >= n_codewords:
        row, column = np.argwhere(codes >= n_codewords)[0]
        raise ValueError(
            f"codes has {codes[row, column]} in row {row}, column {column}; "
            f"expected values from 0 to {n_codewords - 1}"
        )
    return codes


def blocks(x: NDArray[Any], name: str = "X", width: int = 1) -> Iterator[tuple[slice, Floats]]:
    """Yield the rows of `x` a block at a time: which they are, and them as finite, C-contiguous float32.

    A block is small enough for `width` numbers to be made of each row.
    """
    n, step = len(x), rows_of_a_block(x, width)
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        yield rows, finite(x[rows], range(rows.start, rows.stop), name)


def rows_of_a_block(x: NDArray[Any], width: int = 1) -> int:
    """Return how many rows of `x` a block has, at most."""
    return max(1, _BLOCK // max(int(x.shape[1]), width, 1))


def sample(x: NDArray[Any], max_samples: int | None, rng: np.random.Generator) -> Floats:
    """Return at most `max_samples` random rows of `x` in their order, as finite, C-contiguous float32.

    No other rows are read, so `x` may be a memory map larger than the memory.
    """
    n = len(x)
    if max_samples is not None and max_samples < n:
        return take(x, np.sort(rng.choice(n, max_samples, replace=False, shuffle=False)))
    if x.dtype == np.float32 and x.flags.carray:
        for _ in blocks(x):
            pass
        return x
    samples = np.empty(x.shape, np.float32)
    for rows, block in blocks(x):
        samples[rows] = block
    return samples


def take(x: NDArray[Any], rows: NDArray[np.int64]) -> Floats:
    """Return some rows of `x` as finite, C-contiguous float32."""
    return finite(x[rows], rows)


def finite(part: NDArray[Any], rows: range | NDArray[np.int64], name: str = "X") -> Floats:
    """Return some rows, which are those of the given numbers, as finite, C-contiguous float32."""
    with np.errstate(over="ignore"):
        block: Floats = np.require(np.asarray(part), np.float32, ["C", "A"])
    if part.dtype.kind == "f" and not (is_finite := np.isfinite(block)).all():
        row, column = np.argwhere(~is_finite)[0]
        value = part[row, column]
        is_large = np.finfo(np.float32).max < abs(value) < np.inf
        problem = "too large for float32" if is_large else "not finite"
        raise ValueError(
            f"{name} has {value} in row {rows[row]}, column {column}, which is {problem}; "
            "expected no NaN and no infinity"
        )
    return block
