"""Columns of Arrow as arrays (n, d), by the Arrow C data interface: of pyarrow, polars, datasets, DuckDB, ...

Rows are fixed-size binaries, binaries of equal lengths, or lists of equal lengths of numbers or booleans.
They are read where they are, without pyarrow, unless a column has several chunks, scatters its rows, or
packs booleans into bits.
"""

from __future__ import annotations

import ctypes
from typing import Any, cast

import numpy as np

from fastcodes._typing import Array

__all__ = ["rows_of_arrow"]

# https://arrow.apache.org/docs/format/CDataInterface.html
_NUMBERS = dict(zip("bcCsSiIlLefg", "?bBhHiIqQefd", strict=True))
_OFFSETS: dict[str, Any] = {
    "z": np.int32, "+l": np.int32, "+vl": np.int32, "Z": np.int64, "+L": np.int64, "+vL": np.int64
}  # fmt: skip
_INLINE_BYTES = 12  # of a view; longer ones are elsewhere


class _Schema(ctypes.Structure):
    pass


class _Array(ctypes.Structure):
    pass


class _Stream(ctypes.Structure):
    pass


_Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_void_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_Schema))),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
    ("private_data", ctypes.c_void_p),
]
_Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
    ("private_data", ctypes.c_void_p),
]
_Stream._fields_ = [
    ("get_schema", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)),
    ("get_next", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)),
    ("get_last_error", ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)),
    ("release", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
    ("private_data", ctypes.c_void_p),
]


class _Owned:
    """A structure that is released when nothing refers to it any more."""

    def __init__(self, structure: Any) -> None:
        self.structure = structure

    def __del__(self) -> None:
        if self.structure.release:
            self.structure.release(ctypes.addressof(self.structure))


def rows_of_arrow(x: Any, name: str) -> Array | None:
    """Return the rows of an object with the Arrow C data interface, or None if numpy has to convert it.

    Parameters
    ----------
    x : object
        With ``__arrow_c_array__`` or ``__arrow_c_stream__``. Those of pandas are left to numpy.
    name : str
        The name of the argument, for the error message.

    Raises
    ------
    ValueError
        If there are nulls, or rows have several lengths.
    """
    if hasattr(x, "iloc"):
        return None
    if hasattr(x, "__arrow_c_array__"):
        schema_capsule, capsule = x.__arrow_c_array__()
        schema = _pointer(schema_capsule, b"arrow_schema", _Schema)
        if not _has_rows(schema):
            return None
        return _rows(schema, _pointer(capsule, b"arrow_array", _Array), capsule, name)
    if not hasattr(x, "__arrow_c_stream__"):
        return None
    capsule = x.__arrow_c_stream__()
    stream = _pointer(capsule, b"arrow_array_stream", _Stream)
    owned = _Owned(_Schema())
    _check(stream, stream.get_schema(ctypes.addressof(stream), ctypes.addressof(owned.structure)))
    if not _has_rows(owned.structure):
        return None
    parts: list[Array] = []
    n_rows = 0
    while True:
        chunk = _Owned(_Array())
        _check(stream, stream.get_next(ctypes.addressof(stream), ctypes.addressof(chunk.structure)))
        if not chunk.structure.release:
            break
        parts.append(_rows(owned.structure, chunk.structure, chunk, name, n_rows))
        n_rows += len(parts[-1])
    filled = [part for part in parts if len(part)] or parts[:1]
    if len({part.shape[1] for part in filled}) > 1:
        raise _unequal(name)
    if not filled:
        return _rows(owned.structure, _Array(), None, name)
    return filled[0] if len(filled) == 1 else np.concatenate(filled)


def _pointer(capsule: Any, kind: bytes, structure: Any) -> Any:
    """Return the structure of a capsule, which releases it."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return structure.from_address(get(capsule, kind))


def _check(stream: Any, error: int) -> None:
    if error:
        message = stream.get_last_error(ctypes.addressof(stream)) or b""
        raise ValueError(message.decode(errors="replace") or f"error {error} of an Arrow stream")


def _has_rows(schema: Any) -> bool:
    """Whether this is a column of rows of one kind, or a table of one such column."""
    kind = schema.format.decode()
    if schema.dictionary:
        return False
    if kind == "+s":
        return schema.n_children == 1 and _has_rows(schema.children[0].contents)
    if kind.startswith("+w:") or kind in ("+l", "+L", "+vl", "+vL"):
        child = schema.children[0].contents
        return not child.dictionary and child.format.decode() in _NUMBERS
    return kind.startswith("w:") or kind in ("z", "Z", "vz")


def _rows(schema: Any, array: Any, owner: Any, name: str, first: int = 0, part: slice | None = None) -> Array:
    """Return the rows of a column, read-only.

    Parameters
    ----------
    schema, array : structures
        Of the column, or of a table with one.
    owner : object
        What releases the memory when nothing refers to it.
    name : str
        The name of the argument.
    first : int
        The number of the first row, for the error message.
    part : slice, optional
        The rows of the column that a table has; all by default.
    """
    kind = schema.format.decode()
    start, length = array.offset, array.length
    if part is not None:
        start, length = start + part.start, part.stop - part.start
    _check_nulls(array, start, length, owner, name, first)
    if kind == "+s":
        child = array.children[0].contents if array.n_children else _Array()
        return _rows(schema.children[0].contents, child, owner, name, first, slice(start, start + length))
    if kind == "vz":
        return _viewed(array, start, length, owner, name)
    dtype, values, base = np.dtype(np.uint8), array, 0
    places: Array | None = None  # of lists that do not follow each other
    if kind[0] == "+":
        if not array.n_children:
            length, values = 0, _Array()
        else:
            values = array.children[0].contents
        dtype = np.dtype(_NUMBERS[schema.children[0].contents.format.decode()])
        base = values.offset
    if ":" in kind:
        width = int(kind.split(":")[1])
        begin = start * width
    elif kind.startswith("+v"):
        offsets, sizes = (_buffer(array, number, _OFFSETS[kind], start, length, owner) for number in (1, 2))
        width = int(sizes[0]) if length else 0
        if (sizes != width).any():
            raise _unequal(name)
        begin = int(offsets.min()) if length and width else 0
        if width and (np.diff(offsets) != width).any():
            places = offsets.astype(np.int64) - begin
    else:
        offsets = _buffer(array, 1, _OFFSETS[kind], start, length + 1, owner) if length else np.zeros(1, int)
        width, begin = int(offsets[-1] - offsets[0]) // max(length, 1), int(offsets[0])
        if length and (np.diff(offsets) != width).any():
            raise _unequal(name)
    last = 2 if kind in ("z", "Z") else 1
    n_values = length * width if places is None else int(places.max()) + width
    if kind[0] == "+":
        _check_nulls(values, base + begin, n_values, owner, name, first, width, places)
    if dtype == np.bool_:
        elements: Array = _bits(values, last, base + begin, n_values, owner).view(np.bool_)
    else:
        elements = _buffer(values, last, dtype, base + begin, n_values, owner)
    if places is None:
        return elements.reshape(length, width)
    return np.lib.stride_tricks.sliding_window_view(elements, width)[places]


def _viewed(array: Any, start: int, length: int, owner: Any, name: str) -> Array:
    """Return the rows of a column of views: a length each, and the bytes, or a buffer and a place in it."""
    views = _buffer(array, 1, np.int32, 4 * start, 4 * length, owner).reshape(length, 4)
    width = int(views[0, 0]) if length else 0
    if (views[:, 0] != width).any():
        raise _unequal(name)
    if width <= _INLINE_BYTES:
        return views.view(np.uint8)[:, 4 : 4 + width]
    rows = np.empty((length, width), np.uint8)
    sizes = _buffer(array, array.n_buffers - 1, np.int64, 0, array.n_buffers - 3, owner)
    order = np.argsort(views[:, 2], kind="stable")
    numbers, starts = np.unique(views[order, 2], return_index=True)
    for number, here in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
        data = _buffer(array, 2 + number, np.uint8, 0, int(sizes[number]), owner)
        places = views[here, 3].astype(np.int64)
        if len(here) == length and (np.diff(places) == width).all():
            return data[places[0] : places[0] + length * width].reshape(length, width)
        rows[here] = np.lib.stride_tricks.sliding_window_view(data, width)[places]
    return rows


def _buffer(array: Any, number: int, dtype: Any, start: int, length: int, owner: Any) -> Array:
    """Return elements of a buffer, which keep `owner` alive."""
    dtype = np.dtype(dtype)
    address = array.buffers[number] if length > 0 and array.n_buffers > number else None
    if not address:
        return np.empty(0, dtype)
    memory = (ctypes.c_uint8 * (length * dtype.itemsize)).from_address(address + start * dtype.itemsize)
    cast(Any, memory).owner = owner
    elements: Array = np.frombuffer(memory, dtype)
    elements.flags.writeable = False
    return elements


def _bits(array: Any, number: int, start: int, length: int, owner: Any) -> Array:
    """Return bits of a buffer as bytes of 0 and 1."""
    begin, n_bytes = start // 8, -(-(start % 8 + length) // 8)
    unpacked = np.unpackbits(_buffer(array, number, np.uint8, begin, n_bytes, owner), bitorder="little")
    return unpacked[start % 8 : start % 8 + length]


def _check_nulls(
    array: Any,
    start: int,
    length: int,
    owner: Any,
    name: str,
    first: int,
    width: int = 1,
    places: Array | None = None,
) -> None:
    """Raise an error if one of `length` elements from `start` is null.

    A row has `width` of them, one row after the other or at `places`.
    """
    if not array.null_count or not array.n_buffers or not array.buffers[0]:
        return
    valid = _bits(array, 0, start, length, owner)
    if places is not None:
        valid = np.lib.stride_tricks.sliding_window_view(valid, width)[places].ravel()
    missing = np.flatnonzero(valid == 0)
    if len(missing):
        raise ValueError(
            f"{name} has nulls, the first in row {first + missing[0] // width}, which have no value here; "
            f"leave out their rows, as {name}.drop_null() of pyarrow or {name}.drop_nulls() of polars does"
        )


def _unequal(name: str) -> ValueError:
    return ValueError(f"{name} has rows of different lengths; expected binaries or lists of one length")
