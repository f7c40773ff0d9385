"""Records that hold a text each: lines, JSON objects, rows of CSV files and of tables."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import re
import reprlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from fastcodes.cli.lines import BYTES_PER_BATCH, MAX_BYTES_PER_LINE, Batch, Lines
from fastcodes.cli.tables import Table, is_table
from fastcodes.cli.terminal import UserError

__all__ = ["FORMS", "BadRecordError", "Records", "form_of", "open_records"]

FORMS = ("text", "jsonl", "csv")
"""Of files of lines; tables are recognized by their names."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
DELIMITERS = ",;\t|"
_NAMES = {
    "jsonl": re.compile(r"\.(jsonl|ndjson)(\.(gz|bz2|xz|zst))?$"),
    "csv": re.compile(r"\.(csv|tsv)(\.(gz|bz2|xz|zst))?$"),
}
_DEFAULT_FIELD = "text"
_QUOTED = re.compile(r'(?<![^,;\t|])(?:"[^"]*"?)+')  # quotes are special at the start of a field only


class BadRecordError(ValueError):
    """Raised for a record that holds no valid text."""


class Records(Protocol):
    """The records of a file, which can be read and then written."""

    unit: str
    """What a record is: a line or a row."""
    is_text: bool
    """Whether lines are texts as they are."""

    def read(self, description: str) -> Iterator[Batch]:
        """Yield batches of records as `parse` takes them."""

    def parse(self, record: Any, /) -> tuple[str, Any]:
        """Return text and id of a record, or raise a `BadRecordError`."""

    def write(self, is_dropped: npt.NDArray[np.bool_], file: IO[bytes]) -> None:
        """Read the records again, and write those that are not dropped; the first has the number 1."""


def form_of(name: str, form: str | None, *, has_fields: bool) -> str:
    """Return the form of a file, by its name unless it is given; "table" is one of them."""
    if is_table(name):
        if form is not None:
            raise UserError(f"argument --format: is for files of lines; omit it for {name}")
        return "table"
    if form == "text" and has_fields:
        raise UserError("argument --format: text has no fields; omit --field and --id-field")
    by_name = (found for found, pattern in _NAMES.items() if pattern.search(name.lower()))
    return form or next(by_name, "jsonl" if has_fields else "text")


@contextlib.contextmanager
def open_records(
    name: str, form: str, encoding: str | None, field: str | None, id_field: str | None, *, twice: bool
) -> Iterator[Records]:
    """Open the records of a file, ``-`` for stdin.

    Parameters
    ----------
    name, encoding, twice
        As in `Lines`; tables have no encoding.
    form : str
        As `form_of` returns it.
    field, id_field : str or None
        Where records have their texts and ids; None for texts means "text", and for ids none.
    """
    field = field or _DEFAULT_FIELD
    if form == "table":
        if encoding is not None:
            raise UserError(f"argument --encoding: is for files of lines; omit it for {name}")
        with Table(name) as table:
            yield _TableRows(table, field, id_field)
        return
    with Lines(name, encoding, twice=twice) as lines:
        if form == "csv":
            yield _CsvRows(name, lines, field, id_field)
        else:
            yield _LineRecords(lines, _plain_text if form == "text" else _json_text(field, id_field))


# --- lines --------------------------------------------------------------------------------------------------


class _LineRecords:
    """Lines, or JSON objects in one line each."""

    unit = "line"

    def __init__(self, lines: Lines, parse: Callable[[bytes], tuple[str, Any]]) -> None:
        self._lines = lines
        self._parse = parse
        self.is_text = parse is _plain_text

    def read(self, description: str) -> Iterator[Batch]:
        for batch in self._lines.read(description):
            if batch.first == 1:
                batch.lines[0] = batch.lines[0].removeprefix(BYTE_ORDER_MARK)
            yield batch

    def parse(self, record: bytes) -> tuple[str, Any]:
        return self._parse(record)

    def write(self, is_dropped: npt.NDArray[np.bool_], file: IO[bytes]) -> None:
        for batch in self._lines.read("writing"):
            drop = is_dropped[batch.first : batch.first + len(batch.lines)].tolist()
            file.writelines(line for line, drops in zip(batch.lines, drop, strict=True) if not drops)


def _plain_text(line: bytes) -> tuple[str, None]:
    try:
        return line.decode(), None
    except UnicodeDecodeError as error:
        place = f"{error.reason} at byte {error.start + 1}"
        raise BadRecordError(f"not valid UTF-8: {place} (see --encoding)") from None


def _json_text(field: str, id_field: str | None) -> Callable[[bytes], tuple[str, Any]]:
    def parse(line: bytes) -> tuple[str, Any]:
        if not line.strip():
            return "", None
        text, _ = _plain_text(line)
        try:
            record = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadRecordError(f"not valid JSON: {error.msg} at character {error.pos + 1}") from None
        except (ValueError, RecursionError) as error:
            raise BadRecordError(f"JSON that cannot be read: {error}") from None
        if not isinstance(record, dict):
            raise BadRecordError(f"a JSON {type(record).__name__}; expected an object with a field {field!r}")
        value = _value(record, field, (str,), "a string")
        if b"\\u" in line:  # only an escape sequence can produce what UTF-8 cannot encode
            try:
                value.encode()
            except UnicodeEncodeError:
                raise BadRecordError(f"the field {field!r} has half of a surrogate pair") from None
        if id_field is None:
            return value, None
        return value, _value(record, id_field, (str, int, float), "a string or a number")

    return parse


def _value(record: dict[str, Any], field: str, types: tuple[type, ...], expected: str) -> Any:
    if field not in record:
        raise BadRecordError(f"no field {field!r}; there are {reprlib.repr(list(record))}")
    value = record[field]
    if not isinstance(value, types) or isinstance(value, bool):
        raise BadRecordError(f"the field {field!r} is a {type(value).__name__}; expected {expected}")
    if _is_no_json(value):
        raise BadRecordError(f"the field {field!r} is {value}; expected {expected}")
    return value


def _is_no_json(value: Any) -> bool:
    """Whether this is NaN or an infinity, which JSON does not have."""
    return isinstance(value, float) and not math.isfinite(value)


# --- CSV ----------------------------------------------------------------------------------------------------


class _CsvRows:
    """Rows of a CSV file with a heading; fields in quotes may contain line ends."""

    unit = "row"
    is_text = False

    def __init__(self, name: str, lines: Lines, field: str, id_field: str | None) -> None:
        self._name = name
        self._lines = lines
        self._field = field
        self._id_field = id_field
        self._heading = b""
        self._names: list[str] = []

    def read(self, description: str) -> Iterator[Batch]:
        rows: list[tuple[bytes, list[str]]] = []
        first, size, self._heading = 1, 0, b""
        for content, fields in self._rows(description):
            if not self._heading:
                self._heading, self._names = content, fields
                self._check_names()
                continue
            rows.append((content, fields))
            size += len(content)
            if size >= BYTES_PER_BATCH:
                yield Batch(rows, first, 0)
                first, rows, size = first + len(rows), [], 0
        yield Batch(rows, first, 0)

    def _rows(self, description: str) -> Iterator[tuple[bytes, list[str]]]:
        """Yield the bytes and the fields of each row, the heading first; empty lines join the next row."""
        taken: list[bytes] = []

        def text(line: bytes) -> str:
            taken.append(line)
            return line.decode("utf-8", "surrogateescape")

        lines = (line for batch in self._lines.read(description) for line in batch.lines)
        heading = text(next(lines, b"")).removeprefix("\ufeff")  # the byte order mark
        delimiter = max(DELIMITERS, key=_QUOTED.sub("", heading).count)
        before = csv.field_size_limit(MAX_BYTES_PER_LINE)
        try:
            for fields in csv.reader(chain([heading], map(text, lines)), delimiter=delimiter, strict=True):
                if fields:
                    yield b"".join(taken), fields
                    taken.clear()
        except csv.Error as error:
            raise UserError(f"{self._name}: not valid CSV: {error}") from None
        finally:
            csv.field_size_limit(before)

    def _check_names(self) -> None:
        for name in filter(None, [self._field, self._id_field]):
            if self._names.count(name) != 1:
                raise UserError(
                    f"{self._name}: its first row names {self._names.count(name) or 'no'} "
                    f"column{'s' * (self._names.count(name) > 1)} {name!r}; there are "
                    f"{reprlib.repr(self._names)}: --field names the one with texts"
                )

    def parse(self, record: tuple[bytes, list[str]]) -> tuple[str, Any]:
        _, fields = record
        if len(fields) != len(self._names):
            raise BadRecordError(f"has {len(fields)} fields; expected {len(self._names)}")
        values = dict(zip(self._names, fields, strict=True))
        text, its_id = values[self._field], None if self._id_field is None else values[self._id_field]
        if not f"{text}{its_id}".isascii():
            _plain_text(f"{text}{its_id}".encode("utf-8", "surrogateescape"))
        return text, its_id

    def write(self, is_dropped: npt.NDArray[np.bool_], file: IO[bytes]) -> None:
        for batch in self.read("writing"):
            if batch.first == 1:
                file.write(self._heading)
            drop = is_dropped[batch.first : batch.first + len(batch.lines)].tolist()
            file.writelines(row for (row, _), drops in zip(batch.lines, drop, strict=True) if not drops)


# --- tables -------------------------------------------------------------------------------------------------


class _TableRows:
    """Rows of a Parquet or Arrow file."""

    unit = "row"
    is_text = False

    def __init__(self, table: Table, field: str, id_field: str | None) -> None:
        from pyarrow import types

        table.check_columns(field, id_field)
        for name, may_be_number in ((field, False), (id_field, True)):
            kind = None if name is None else table.schema.field(name).type
            if kind is not None and types.is_dictionary(kind):
                kind = kind.value_type
            is_number = kind is not None and (types.is_integer(kind) or types.is_floating(kind))
            if not (
                kind is None
                or types.is_string(kind)
                or types.is_large_string(kind)
                or (may_be_number and is_number)
            ):
                expected = "strings or numbers" if may_be_number else "strings"
                raise UserError(f"{table.name}: column {name!r} has {kind}; expected {expected}")
        self._table = table
        self._columns = [field, *filter(None, [id_field])]

    def read(self, description: str) -> Iterator[Batch]:
        for batch in self._table.read(self._columns, description):
            columns = [batch.records.column(name).to_pylist() for name in self._columns]
            yield Batch(list(zip(*columns, strict=True)), batch.start + 1, batch.stop)

    def parse(self, record: tuple[Any, ...]) -> tuple[str, Any]:
        for name, value in zip(self._columns, record, strict=True):
            if value is None or _is_no_json(value):
                raise BadRecordError(f"column {name!r} has no value")
        return record[0], record[1] if len(record) == 2 else None

    def write(self, is_dropped: npt.NDArray[np.bool_], file: IO[bytes]) -> None:
        import pyarrow

        with self._table.writer(file) as writer:
            for batch in self._table.read(None, "writing"):
                keep = pyarrow.array(~is_dropped[batch.start + 1 : batch.stop + 1])
                writer.write_batch(batch.records.filter(keep))
