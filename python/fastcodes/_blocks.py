"""Large arrays a block of rows at a time, as finite float32, and random samples of their rows.

No other rows are read than those that are used, so that an array may be a memory map larger than the memory,
or a `RowSource` on other machines: `fold` computes there what a model needs of all rows.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from fastcodes._typing import Array, Floats, Ids, RowSource
from fastcodes._validation import as_integer, finite_float32, to_float32

__all__ = [
    "ELEMENTS_PER_BLOCK",
    "Node",
    "add",
    "blocks",
    "check_finite",
    "combined",
    "fold",
    "merge",
    "naming_nonfinite",
    "row_slices",
    "rows_per_block",
    "sample",
    "sampled_rows",
    "take_rows",
    "total",
]

# Large enough to occupy all threads, small compared with any array that needs blocks.
ELEMENTS_PER_BLOCK = 1 << 21


def rows_per_block(x: Array | RowSource, width: int = 1) -> int:
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


def check_finite(x: Array | RowSource, name: str = "X") -> None:
    """Raise an error that names the first value that is not finite in float32."""
    if len(x):
        fold(x, _nothing, name=name)


def _nothing(block: Floats) -> tuple[()]:
    return ()


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


# --- folds --------------------------------------------------------------------------------------------------

Node = tuple[int, int, Any]
"""``(height, place, value)``: the value of the ``2**height`` blocks from ``place * 2**height`` on."""


def fold(
    x: Array | RowSource,
    function: Callable[..., Any],
    *arguments: Any,
    combine: Callable[[Any, Any], Any] | None = None,
    width: int = 1,
    name: str = "X",
) -> Any:
    """Return the values ``function(block, *arguments)`` of all blocks of `x`, combined.

    They are combined as the leaves of a binary tree, from left to right, so that sums of floats are the same
    wherever the rows are, and have small rounding errors.

    Parameters
    ----------
    x : array (n, d) or RowSource
        Real numbers, at least one row.
    function : callable
        Returns a value of a block; by default `combine`, a tuple of arrays. A function of a module, since it
        may run on another machine.
    arguments
        What it takes after the block.
    combine : callable
        Returns the value of two adjacent parts from their values, which it may not change; by default `add`.
    width, name
        As in `blocks`.
    """
    combine = add if combine is None else combine
    if isinstance(x, RowSource):
        return x.fold(function, arguments, combine, rows_per_block(x, width), name)
    return combined((function(block, *arguments) for _, block in blocks(x, name, width)), combine)


def combined(values: Iterable[Any], combine: Callable[[Any, Any], Any]) -> Any:
    """Return the values of all blocks combined as `fold` does."""
    nodes: list[Node] = []
    for place, value in enumerate(values):
        nodes = merge([*nodes, (0, place, value)], combine)
    return total(nodes, combine)


def total(nodes: list[Node], combine: Callable[[Any, Any], Any]) -> Any:
    """Return the value of all blocks, given the nodes that have no sibling."""
    (*others, (_, _, whole)) = nodes
    for _, _, value in reversed(others):
        whole = combine(value, whole)
    return whole


def merge(nodes: Iterable[Node], combine: Callable[[Any, Any], Any]) -> list[Node]:
    """Return the nodes of adjacent blocks, in order, with all pairs of siblings replaced by their parents."""
    merged: list[Node] = []
    for height, place, value in nodes:
        while merged and merged[-1][:2] == (height, place - 1) and place % 2:
            value = combine(merged.pop()[2], value)
            height, place = height + 1, place // 2
        merged.append((height, place, value))
    return merged


def add(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the sums of the elements of two tuples."""
    return tuple(map(operator.add, a, b))


# --- samples ------------------------------------------------------------------------------------------------


def sampled_rows(n: int, max_samples: int | None, rng: np.random.Generator) -> Ids | slice:
    """Draw at most `max_samples` of `n` rows without replacement, in ascending order; None draws all."""
    if max_samples is None or max_samples >= n:
        return slice(None)
    return np.sort(rng.choice(n, max_samples, replace=False, shuffle=False))


def take_rows(x: Array | RowSource, rows: Ids | slice = slice(None)) -> Floats:
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


def sample(
    x: Array | RowSource, max_samples: int | None, rng: np.random.Generator, *, at_least: int = 1
) -> Floats:
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
