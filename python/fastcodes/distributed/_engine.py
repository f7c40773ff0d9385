"""Dask: imported at the first call, and the checks of its arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastcodes._validation import describe

__all__ = ["as_dask_array", "as_tree", "load", "row_chunks"]

# Results that one task of a tree merges.
_PER_TASK = 16


def load() -> Any:
    """Return the module dask, with `dask.array` imported, or raise an ImportError that says how to get it."""
    try:
        import dask.array
    except ImportError:
        raise ImportError("fastcodes.distributed needs Dask: pip install 'fastcodes[distributed]'") from None
    return dask


def as_dask_array(x: Any, name: str) -> Any:
    """Return a two-dimensional dask array whose chunks are whole rows, or raise an error that names it."""
    array = load().array
    if not isinstance(x, array.Array):
        is_frame = hasattr(x, "to_dask_array")
        way = f"{name}.to_dask_array(lengths=True)" if is_frame else f"dask.array.from_array({name})"
        raise TypeError(f"{name} must be a dask array (n, d); got {describe(x)}; give {way}")
    if x.ndim != 2:
        raise ValueError(f"{name} must be a dask array (n, d); got one of shape {x.shape}")
    if np.isnan(x.shape).any():
        raise ValueError(f"{name} has chunks of unknown sizes; call {name}.compute_chunk_sizes() first")
    return x.rechunk({1: -1}) if x.shape[1] else x


def row_chunks(x: Any) -> list[tuple[int, int, Any]]:
    """Return the first row, the end and the Delayed of each chunk that has rows."""
    ends = np.cumsum(x.chunks[0]).tolist()
    starts = [0, *ends[:-1]]
    parts = zip(starts, ends, x.to_delayed().ravel(), strict=True)
    return [(start, end, part) for start, end, part in parts if end > start]


def as_tree(parts: list[Any], merge: Callable[[list[Any]], Any]) -> Any:
    """Return one Delayed that merges those of at least one part, a few at a time and in their order."""
    while len(parts) > 1:
        groups = (parts[first : first + _PER_TASK] for first in range(0, len(parts), _PER_TASK))
        parts = [merge(group) for group in groups]
    return parts[0]
