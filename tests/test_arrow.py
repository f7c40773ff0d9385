"""Columns of Arrow as arrays: every layout, slices, chunks, nulls, and who owns the memory."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastcodes import bits, hamming
from fastcodes._validation import as_array
from fastcodes.hashing import Bits, PCAHashing
from fastcodes.index import FlatIndex
from helpers import Array, random_codes, same

pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow")


def binaries(x: Array, kind: Any) -> Any:
    return pyarrow.array([row.tobytes() for row in x], kind)


def fixed_lists(x: Array) -> Any:
    return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(x.ravel()), x.shape[1])


def lists(x: Array, cls: Any = pyarrow.ListArray) -> Any:
    return cls.from_arrays(np.arange(len(x) + 1) * x.shape[1], pyarrow.array(x.ravel()))


def list_views(x: Array, order: Array, cls: Any = pyarrow.ListViewArray) -> Any:
    """Return lists whose values are in an order of their own."""
    n, width = x.shape
    values = np.empty_like(x)
    values[order] = x
    return cls.from_arrays(
        pyarrow.array(order * width, pyarrow.int64() if "Large" in cls.__name__ else pyarrow.int32()),
        pyarrow.array(np.full(n, width), pyarrow.int64() if "Large" in cls.__name__ else pyarrow.int32()),
        pyarrow.array(values.ravel()),
    )


LAYOUTS: dict[str, Callable[[Array], Any]] = {
    "fixed-size binary": lambda x: binaries(x, pyarrow.binary(x.shape[1])),
    "binary": lambda x: binaries(x, pyarrow.binary()),
    "large binary": lambda x: binaries(x, pyarrow.large_binary()),
    "binary view": lambda x: binaries(x, pyarrow.binary_view()),
    "fixed-size list": fixed_lists,
    "list": lists,
    "large list": lambda x: lists(x, pyarrow.LargeListArray),
    "list view": lambda x: list_views(x, np.arange(len(x))),
    "large list view": lambda x: list_views(x, np.arange(len(x)), pyarrow.LargeListViewArray),
    "scattered list view": lambda x: list_views(x, np.random.default_rng(0).permutation(len(x))),
    "tensors": pyarrow.FixedShapeTensorArray.from_numpy_ndarray,
}
WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "array": lambda column: column,
    "slice": lambda column: pyarrow.concat_arrays([column[2:5], column, column[:4]])[3 : 3 + len(column)],
    "chunks": lambda column: pyarrow.chunked_array([column[:3], column[:0], column[3:]]),
    "one chunk": lambda column: pyarrow.chunked_array([column]),
    "table": lambda column: pyarrow.table({"codes": column}),
    "slice of a table": lambda column: pyarrow.table({"codes": pyarrow.concat_arrays([column, column])})[
        len(column) :
    ],
    "batch": lambda column: pyarrow.record_batch({"codes": column}),
    "slice of structs": lambda column: pyarrow.StructArray.from_arrays(
        [pyarrow.concat_arrays([column[:2], column])], ["codes"]
    )[2:],
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("width", [1, 8, 12, 13, 48])  # views of up to 12 bytes are inline
def test_every_layout_gives_its_rows(layout: str, wrapper: str, width: int) -> None:
    codes = random_codes(20, width, seed=1)
    column = WRAPPERS[wrapper](LAYOUTS[layout](codes))
    rows = as_array(column, "codes")
    assert rows.dtype == np.uint8
    assert np.array_equal(rows, codes)
    assert same(hamming.knn(codes[:3], column, 4), hamming.knn(codes[:3], codes, 4))


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"])
def test_lists_keep_the_dtype_of_their_numbers(dtype: str) -> None:
    x = np.arange(12).astype(dtype).reshape(4, 3)
    for column in (fixed_lists(x), lists(x), fixed_lists(x)[1:], lists(x)[1:3]):
        rows = as_array(column, "x")
        assert rows.dtype == dtype
        assert rows.tolist() == column.to_pylist()


def test_lists_of_booleans_are_booleans() -> None:
    x = np.random.default_rng(0).random((30, 13)) < 0.5
    for column in (
        fixed_lists(x),
        lists(x),
        list_views(x, np.arange(30)),
        list_views(x, np.arange(30)[::-1]),
    ):
        for part, expected in ((column, x), (column[3:], x[3:]), (column[5:21], x[5:21])):
            rows = as_array(part, "x")
            assert rows.dtype == np.bool_
            assert np.array_equal(rows, expected)
        assert np.array_equal(bits.pack(column), np.packbits(x, axis=1))


def test_views_in_many_buffers_take_time_for_their_rows_only() -> None:
    codes = random_codes(20_000, 16, seed=5)
    chunks = [binaries(part, pyarrow.binary_view()) for part in np.split(codes, 5_000)]
    column = pyarrow.concat_arrays(chunks)
    assert len(column.buffers()) > 1_000
    started = time.perf_counter()
    assert np.array_equal(as_array(column, "codes"), codes)
    assert time.perf_counter() - started < 1  # 5,000 passes over all rows take longer


@pytest.mark.parametrize("layout", ["fixed-size binary", "binary", "fixed-size list", "list", "list view"])
def test_rows_are_read_where_they_are_and_outlive_the_column(layout: str) -> None:
    codes = random_codes(1000, 48, seed=2)
    column = LAYOUTS[layout](codes)
    before = pyarrow.total_allocated_bytes()
    rows = as_array(column, "codes")
    assert pyarrow.total_allocated_bytes() < before + codes.nbytes // 10  # of the structures
    assert not rows.flags.writeable
    assert np.shares_memory(rows, as_array(column, "codes"))
    del column
    gc.collect()
    others = [LAYOUTS[layout](random_codes(1000, 48, seed=seed)) for seed in range(5)]
    assert np.array_equal(rows, codes)
    del rows
    gc.collect()
    assert len(others) == 5


def test_memory_is_given_back() -> None:
    for make in (pyarrow.array, lambda x: pyarrow.chunked_array([x]), lambda x: pyarrow.table({"x": x})):
        for layout in LAYOUTS.values():
            before = pyarrow.total_allocated_bytes()
            column = layout(random_codes(5000, 48, seed=3))
            for _ in range(3):
                hamming.knn(as_array(column, "codes")[:2], make(column), 1)
            del column
            gc.collect()
            assert pyarrow.total_allocated_bytes() <= before


def test_nulls_are_refused() -> None:
    rows = [b"12345678"] * 9 + [None] + [b"12345678"] * 9
    numbers = [[1, 2]] * 9 + [[None, 2]] + [[1, 2]] * 9
    kinds: list[tuple[list[Any], Any]] = [
        (rows, pyarrow.binary(8)),
        (rows, pyarrow.binary()),
        (rows, pyarrow.binary_view()),
        (numbers, pyarrow.list_(pyarrow.uint8(), 2)),
        (numbers, pyarrow.list_(pyarrow.uint8())),
        (numbers, pyarrow.list_view(pyarrow.uint8())),
        ([None if None in row else row for row in numbers], pyarrow.list_(pyarrow.uint8(), 2)),
    ]
    for values, kind in kinds:
        column = pyarrow.array(values, kind)
        for given, row in (
            (column, 9),
            (column[5:], 4),
            (pyarrow.chunked_array([column[:4], column[4:]]), 9),
            (pyarrow.table({"x": column}), 9),
        ):
            with pytest.raises(ValueError, match=rf"^codes has nulls, the first in row {row},.*drop_null"):
                hamming.knn(np.zeros((1, 8), np.uint8), given, 1)
        assert len(as_array(column[:9], "codes")) == 9  # others of its rows are not
        assert len(as_array(column[10:], "codes")) == 9


def test_rows_of_several_lengths_are_refused() -> None:
    for kind in (pyarrow.binary(), pyarrow.large_binary(), pyarrow.binary_view()):
        column = pyarrow.array([b"12", b"345"], kind)
        for given in (column, pyarrow.chunked_array([column[:1], column[1:]])):
            with pytest.raises(ValueError, match="codes has rows of different lengths"):
                hamming.knn(np.zeros((1, 2), np.uint8), given, 1)


def test_empty_columns_are_empty_arrays() -> None:
    for make in LAYOUTS.values():
        column = make(random_codes(2, 8, seed=1))[:0]
        for given in (column, pyarrow.chunked_array([column]), pyarrow.table({"x": column})):
            assert len(as_array(given, "codes")) == 0
    assert as_array(pyarrow.array([], pyarrow.binary(8)), "codes").shape == (0, 8)
    assert as_array(pyarrow.chunked_array([], pyarrow.binary(8)), "codes").shape == (0, 8)


def test_columns_of_numbers_and_text_are_left_to_numpy() -> None:
    x = np.arange(6.0).reshape(3, 2)
    assert np.array_equal(as_array(pyarrow.table({"a": x[:, 0], "b": x[:, 1]}), "x"), x)
    assert np.array_equal(as_array(pyarrow.array(x[:, 0]), "x"), x[:, 0])
    with pytest.raises(TypeError, match="codes must be a numpy uint8 array"):
        hamming.knn(np.zeros((1, 1), np.uint8), pyarrow.array(["a", "b"]), 1)


def test_models_and_indexes_take_columns() -> None:
    x = np.random.default_rng(0).standard_normal((300, 16)).astype(np.float32)
    codes = bits.pack(x)
    column = pyarrow.chunked_array([fixed_lists(x[:100]), fixed_lists(x[100:])])
    assert np.array_equal(bits.pack(column), codes)
    assert np.array_equal(PCAHashing(8).fit(column).encode(column), PCAHashing(8).fit(x).encode(x))
    index, expected = FlatIndex(Bits(16)), FlatIndex(Bits(16))
    index.add(LAYOUTS["binary"](codes))
    expected.add(codes)
    assert same(index.search(LAYOUTS["binary"](codes[:5]), 3), expected.search(codes[:5], 3))


def test_columns_of_polars() -> None:
    polars = pytest.importorskip("polars", reason="needs polars")
    for width in (8, 48):
        codes = random_codes(50, width, seed=4)
        column = polars.Series("x", [row.tobytes() for row in codes])
        arrays = polars.Series("x", codes, polars.Array(polars.UInt8, width))
        for given in (column, polars.DataFrame({"x": column}), polars.DataFrame({"x": arrays}), arrays):
            assert same(hamming.knn(codes[:3], given, 4), hamming.knn(codes[:3], codes, 4))
        with pytest.raises(ValueError, match=r"^codes has nulls, the first in row 50"):
            hamming.knn(codes, polars.concat([column, polars.Series("x", [None], polars.Binary)]), 1)


def test_codes_of_a_dictionary_are_no_values() -> None:
    values = pyarrow.array([10.0, 20.0, 10.0, 30.0]).dictionary_encode()
    column = pyarrow.FixedSizeListArray.from_arrays(values, 2)
    with pytest.raises(TypeError):
        bits.pack(column)


def test_a_stream_is_read_once() -> None:
    x = np.random.default_rng(0).standard_normal((20, 8)).astype(np.float32)
    table = pyarrow.table({"x": fixed_lists(x)})
    index = FlatIndex(PCAHashing(2).fit(x))
    index.add(table.to_reader())
    assert len(index) == 20
    whole = FlatIndex(index.codec)
    whole.add(x)
    assert same(index.search(x, 1), whole.search(x, 1))
