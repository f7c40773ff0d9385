"""Vectors and codes in .npy, Parquet and Arrow files: read a batch of rows at a time, and sampled."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from fastcodes._blocks import sampled_rows
from fastcodes._typing import Array, Ids
from fastcodes.cli.arrays import load_array
from fastcodes.cli.tables import Table, TableBatch, is_table
from fastcodes.cli.terminal import UserError, blocks, tracked

__all__ = ["VectorBatch", "Vectors"]

BYTES_PER_BATCH = 1 << 26


@dataclass
class VectorBatch:
    """Consecutive vectors or codes, and their ids if a column has them."""

    rows: Array
    ids: Ids | None
    start: int
    stop: int


class Vectors:
    """The vectors or codes of a file, one per row.

    Parameters
    ----------
    name : str
        An .npy file, which is mapped, ``-`` for stdin, or a table.
    column : str, optional
        Of a table: by default the only column of lists or of bytes.
    id_column : str, optional
        Of a table: integers.
    """

    def __init__(self, name: str, column: str | None = None, id_column: str | None = None) -> None:
        self.name = name
        self._stack = contextlib.ExitStack()
        self._id_column = id_column
        self._source: Array | Table
        if not is_table(name):
            if column is not None or id_column is not None:
                raise UserError(f"{name}: has no columns; --column and --id-column are for tables")
            array = load_array(name)
            self._source = array[None] if array.ndim == 1 else array
            if array.ndim not in (1, 2) or array.dtype.kind not in "fbiu":
                raise UserError(
                    f"{name}: expected vectors or codes, numbers of shape (n, d); got {array.dtype} of shape "
                    f"{array.shape}"
                )
            self.n_rows, self.width, self.dtype = len(self._source), array.shape[-1], array.dtype
            return
        self._source = self._stack.enter_context(Table(name))
        try:
            self._source.check_columns(column, id_column)
            self._column = column or _only_column(self._source)
            self.n_rows = self._source.n_rows
            # The width of lists is that of the first one.
            start = next(self._batches(self._source._batches([self._column])), None)
            if start is None:
                raise UserError(f"{name}: has no rows")
            self.width, self.dtype = start.rows.shape[1], start.rows.dtype
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Vectors:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def read(self, description: str) -> Iterator[VectorBatch]:
        """Yield all rows in batches, with a progress bar."""
        if isinstance(self._source, Table):
            columns = [self._column, *filter(None, [self._id_column])]
            yield from self._batches(self._source.read(columns, description), self._id_column)
            return
        rows_per_batch = max(BYTES_PER_BATCH // max(self.width * self.dtype.itemsize, 1), 1)
        # One batch even without rows, so that their type is checked.
        parts = list(blocks(self.n_rows, rows_per_batch)) or [slice(0, 0)]
        for part in tracked(parts, self.n_rows, description):
            yield VectorBatch(self._source[part], None, part.start, part.stop)

    def _batches(self, batches: Iterator[TableBatch], id_column: str | None = None) -> Iterator[VectorBatch]:
        width: int | None = None
        for batch in batches:
            if not batch.records.num_rows:
                continue
            place = f"{self.name}: column {self._column!r}"
            rows = _as_rows(batch.records.column(self._column), place, batch.start)
            width = width or rows.shape[1]
            if rows.shape[1] != width:
                raise UserError(
                    f"{place} has {width} values in the first row, but {rows.shape[1]} in row "
                    f"{batch.start + 1:,}; all rows must have the same number"
                )
            ids = None
            if id_column is not None:
                ids = _as_ids(batch.records.column(id_column), f"{self.name}: column {id_column!r}")
            yield VectorBatch(rows, ids, batch.start, batch.stop)

    def sample(self, most: int, seed: int) -> Array:
        """Return at most this many random rows, in their order."""
        chosen = sampled_rows(self.n_rows, most, np.random.default_rng(seed))
        if isinstance(self._source, np.ndarray):
            return np.asarray(self._source[chosen])
        places = np.arange(self.n_rows)[chosen]
        parts = []
        for batch in self._batches(self._source.read([self._column], "sampling")):
            first, last = np.searchsorted(places, [batch.start, batch.stop])
            parts.append(batch.rows[places[first:last] - batch.start])
        return np.concatenate(parts)


def _only_column(table: Table) -> str:
    from pyarrow import types

    def holds_rows(kind: Any) -> bool:
        tests = types.is_list, types.is_large_list, types.is_fixed_size_list
        return any(test(kind) for test in (*tests, types.is_binary, types.is_fixed_size_binary))

    names: list[str] = [field.name for field in table.schema if holds_rows(field.type)]
    if len(names) != 1:
        found = f"several columns of vectors, {', '.join(names)}" if names else "no column of vectors"
        raise UserError(
            f"{table.name}: has {found}; --column names one that holds a list of numbers, or the bytes of a "
            f"code, in each row (there are {', '.join(table.schema.names[:20])})"
        )
    table.check_columns(names[0])
    return names[0]


def _as_rows(column: Any, place: str, first: int) -> Array:
    """Return a column of lists or of bytes as an array (n, d)."""
    import pyarrow
    from pyarrow import compute, types

    kind = column.type
    if column.null_count:
        row = first + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False))) + 1
        raise UserError(f"{place} has no value in row {row:,}")
    if types.is_fixed_size_binary(kind):
        buffer = np.frombuffer(column.buffers()[1], np.uint8)
        width = kind.byte_width
        if not width:
            raise UserError(f"{place} has 0 bytes in each row; expected the bytes of a code")
        return buffer[column.offset * width : (column.offset + len(column)) * width].reshape(-1, width)
    is_binary = types.is_binary(kind)
    if not (is_binary or types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        raise UserError(
            f"{place} has {kind}; expected a list of numbers, or the bytes of a code, in each row"
        )
    measure = compute.binary_length if is_binary else compute.list_value_length
    lengths = measure(column).to_numpy(zero_copy_only=False)
    width = int(lengths[0])
    if not width:
        raise UserError(f"{place} has no values in row {first + 1:,}; expected numbers or bytes")
    if (lengths != width).any():
        row = int(np.argmax(lengths != width))
        raise UserError(
            f"{place} has {lengths[row]} values in row {first + row + 1:,}, but {width} in row "
            f"{first + 1:,}; all rows must have the same number"
        )
    if is_binary:
        return _as_rows(column.cast(pyarrow.binary(width)), place, first)
    values = column.flatten()
    if values.null_count or not (types.is_floating(kind.value_type) or types.is_integer(kind.value_type)):
        what = "missing values" if values.null_count else f"{kind.value_type}"
        raise UserError(f"{place} has lists with {what}; expected numbers")
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(-1, width)


def _as_ids(column: Any, place: str) -> Ids:
    import pyarrow

    if column.null_count or not pyarrow.types.is_integer(column.type):
        what = "missing values" if column.null_count else column.type
        raise UserError(f"{place} has {what}; expected integers from 0 up")
    ids = np.asarray(column.to_numpy(zero_copy_only=False))
    if len(ids) and ids.max() > np.iinfo(np.int64).max:
        raise UserError(f"{place} has {ids.max()}; expected integers that fit int64")
    return ids.astype(np.int64)
