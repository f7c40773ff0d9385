"""Tables in Parquet and Arrow (Feather) files or streams, read and written a batch of rows at a time."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from fastcodes.cli.files import is_regular, opened
from fastcodes.cli.terminal import UserError, signals_wait, tracked

__all__ = ["SUFFIXES", "Table", "TableBatch", "is_table"]

SUFFIXES = (".parquet", ".arrow", ".feather")
BYTES_PER_BATCH = 1 << 26
"""Of all columns, unpacked; a batch also ends where a row group or a record batch does."""
MOST_ROWS = 1 << 17
STREAM = b"\xff\xff\xff\xff"
"""What a stream of Arrow begins with; a file begins with its name."""


def is_table(name: str) -> bool:
    """Return whether a file is a table, by its name."""
    return Path(name).suffix.lower() in SUFFIXES


@dataclass
class TableBatch:
    """Consecutive rows as a record batch of pyarrow; `start` and `stop` are their places in the file."""

    records: Any
    start: int
    stop: int


class Table:
    """A Parquet or Arrow file, which can be read several times.

    Parameters
    ----------
    name : str
        The file, named ``.parquet``, or ``.arrow`` or ``.feather``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._is_parquet = name.lower().endswith(".parquet")
        self._stack = contextlib.ExitStack()
        with signals_wait():
            import pyarrow.ipc
            import pyarrow.parquet
        self._pyarrow: Any = pyarrow
        file = self._stack.enter_context(opened(name))
        try:
            if not is_regular(file):
                raise UserError(f"{name}: a pipe or device; tables are read from regular files only")
            with self._errors():
                if self._is_parquet:
                    self._parquet = pyarrow.parquet.ParquetFile(file)
                    self.schema: Any = self._parquet.schema_arrow
                else:
                    self._file, self._is_stream = file, file.read(len(STREAM)) == STREAM
                    self.schema = self._opened_arrow().schema
                self.n_rows: int = self._count_rows()
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _count_rows(self) -> int:
        if self._is_parquet:
            return int(self._parquet.metadata.num_rows)
        # The footer does not have them.
        return sum(records.num_rows for records in self._arrow_batches())

    def _opened_arrow(self) -> Any:
        """Return a reader from the start of an Arrow file or stream."""
        self._file.seek(0)
        ipc = self._pyarrow.ipc
        return ipc.open_stream(self._file) if self._is_stream else ipc.open_file(self._file)

    def _arrow_batches(self) -> Iterator[Any]:
        reader = self._opened_arrow()
        if self._is_stream:
            yield from reader
        else:
            yield from map(reader.get_batch, range(reader.num_record_batches))

    def check_columns(self, *columns: str | None) -> None:
        """Raise a `UserError` unless there is one column of each name; None stands for no column."""
        for column in filter(None, columns):
            count = self.schema.names.count(column)
            if count != 1:
                raise UserError(
                    f"{self.name}: has {count or 'no'} column{'s' * (count > 1)} {column!r}; "
                    f"there are {', '.join(self.schema.names[:20])}"
                )

    def read(self, columns: Sequence[str] | None, description: str) -> Iterator[TableBatch]:
        """Yield some columns of all rows, or all columns, with a progress bar."""
        return tracked(self._batches(columns), self.n_rows, description)

    def _batches(self, columns: Sequence[str] | None) -> Iterator[TableBatch]:
        start = 0
        pieces = self._of_parquet(columns) if self._is_parquet else self._of_arrow(columns)
        with self._errors():
            for records in pieces:
                yield TableBatch(records, start, start + records.num_rows)
                start += records.num_rows

    def _of_parquet(self, columns: Sequence[str] | None) -> Iterator[Any]:
        metadata = self._parquet.metadata
        n_bytes = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
        rows = self._rows_per_batch(n_bytes)
        yield from self._parquet.iter_batches(
            batch_size=rows, columns=None if columns is None else list(columns)
        )

    def _of_arrow(self, columns: Sequence[str] | None) -> Iterator[Any]:
        for records in self._arrow_batches():
            if columns is not None:
                records = records.select(list(columns))
            for start in range(0, records.num_rows, MOST_ROWS):
                yield records.slice(start, MOST_ROWS)

    def _rows_per_batch(self, n_bytes: int) -> int:
        bytes_per_row = max(math.ceil(n_bytes / max(self.n_rows, 1)), 1)
        return min(max(BYTES_PER_BATCH // bytes_per_row, 1), MOST_ROWS)

    def writer(self, file: IO[bytes]) -> Any:
        """Return a context manager whose method `write_batch` writes a table of the same columns."""
        if self._is_parquet:
            return self._pyarrow.parquet.ParquetWriter(file, self.schema)
        ipc = self._pyarrow.ipc
        return ipc.new_stream(file, self.schema) if self._is_stream else ipc.new_file(file, self.schema)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what damaged files raise into a `UserError`."""
        form = "Parquet" if self._is_parquet else "Arrow"
        try:
            yield
        except (self._pyarrow.ArrowException, OSError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise UserError(f"{self.name}: damaged, or not a file of {form}: {reason}") from None
