"""The rows of a dask array, as models read them in `fit`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastcodes._blocks import Node, merge, total
from fastcodes._typing import Array, Ids, RowSource
from fastcodes._validation import finite_float32
from fastcodes.distributed._engine import as_dask_array, as_tree, load, row_chunks

__all__ = ["ChunkedRows"]

Combine = Callable[[Any, Any], Any]


class ChunkedRows(RowSource):
    """A dask array (n, d), of which models fetch some rows, and compute folds where the chunks are.

    A block of a `fold` has the same rows whatever the chunks are: one within a chunk is computed by the task
    of the chunk, one across several by a task that gets the slices.
    """

    def __init__(self, x: Any) -> None:
        x = as_dask_array(x, "X")
        if x.dtype.kind not in "biuf":
            raise TypeError(f"X must be real numbers; got a dask array of dtype {x.dtype}")
        self.shape, self.dtype = (int(x.shape[0]), int(x.shape[1])), x.dtype
        self._chunks = row_chunks(x)

    def __getitem__(self, rows: slice | Ids) -> Array:
        wanted = np.arange(len(self))[rows] if isinstance(rows, slice) else np.asarray(rows)
        pieces = [np.empty((0, self.shape[1]), self.dtype)]
        take, tasks = load().delayed(_take), []
        for start, end, chunk in self._chunks:
            first, last = np.searchsorted(wanted, (start, end))
            if first < last:
                tasks.append(take(chunk, wanted[first:last] - start))
        pieces += load().compute(*tasks)
        return np.concatenate(pieces)

    def fold(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], combine: Combine, step: int, name: str
    ) -> Any:
        """Compute what `fastcodes._blocks.fold` does, in tasks."""
        dask = load()
        settings = [dask.delayed((function, arguments, combine, step, name), traverse=False)]
        nodes = [dask.delayed(_nodes)(*settings, place, pieces) for place, pieces in self._pieces(step)]
        whole = as_tree(nodes, lambda group: dask.delayed(_merged)(*settings, group))
        return total(whole.compute(), combine)

    def _pieces(self, step: int) -> Iterator[tuple[int, list[Any]]]:
        """Yield the first block of each task, and the rows of all its blocks: slices of adjacent chunks."""
        pieces: list[Any] = []  # of a block that begins in an earlier chunk
        for start, end, chunk in self._chunks:
            first = min(-(-start // step) * step, end)  # where the first block that begins here does
            last = end if end == len(self) else max(end // step * step, first)  # and where the last one ends
            if start < first:
                pieces.append(chunk[: first - start])
                if first % step == 0 or first == len(self):
                    yield (first - 1) // step, pieces
                    pieces = []
            if first < last:
                whole = (first, last) == (start, end)
                yield first // step, [chunk if whole else chunk[first - start : last - start]]
            if last < end:
                pieces.append(chunk[last - start :])


def _take(chunk: Any, rows: Ids) -> Array:
    taken: Array = np.asarray(chunk)[rows]
    return taken


def _nodes(settings: tuple[Any, ...], place: int, pieces: list[Any]) -> list[Node]:
    """Return the values of consecutive blocks, the first of which has the number `place`."""
    function, arguments, combine, step, name = settings
    x = np.asarray(pieces[0]) if len(pieces) == 1 else np.concatenate(pieces)
    nodes: list[Node] = []
    for number, start in enumerate(range(0, len(x), step), place):
        block = finite_float32(x[start : start + step], range(number * step, (number + 1) * step), name)
        nodes = merge([*nodes, (0, number, function(block, *arguments))], combine)
    return nodes


def _merged(settings: tuple[Any, ...], parts: list[list[Node]]) -> list[Node]:
    return merge([node for part in parts for node in part], settings[2])
