"""Rows of codes, each decodable alone, or with those of its block."""

from __future__ import annotations

import abc
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _native, bits
from fastcodes._typing import Array, Codes, Doubles, Ids
from fastcodes._validation import (
    as_array,
    as_integer,
    as_vector,
    check_threads,
    code_array,
    describe,
    described,
)
from fastcodes.entropy._messages import as_data
from fastcodes.entropy._models import Prepared

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "Bernoulli",
    "MarkovChain",
    "RowModel",
    "as_row_model",
    "decode_blocks",
    "decode_rows",
    "encode_rows",
]

_TOTAL = 1 << 16
_MOST_ROWS = 2**63 - 1
# Counts that a chain adds to those of a column's previous symbol, in the proportions of the column.
_PRIORS = 2.0 ** np.arange(-1, 13)
# Codes of a block.
_BYTES_PER_BLOCK = 1 << 22
# Frequencies of a chain.
_MOST_FREQUENCIES = 1 << 28
# Rows that are counted at a time.
_ROWS_PER_BLOCK = 1 << 16


class RowModel(Prepared):
    """A model of rows of codes."""

    _made = "_rows"

    @property
    @abc.abstractmethod
    def _rows(self) -> _native.EntropyRows:
        """The operand of the kernels."""

    @property
    @abc.abstractmethod
    def n_bytes(self) -> int:
        """Bytes of a row."""

    def as_rows(self, codes: Any) -> Codes:
        """Return codes as an array (n, n_bytes)."""
        expected = f"a numpy uint8 array (n, {self.n_bytes})"
        array = code_array(codes, "codes", expected)
        array = array[None] if array.ndim == 1 else array
        if array.ndim != 2 or array.shape[1] != self.n_bytes:
            raise ValueError(f"codes must be {expected}; got shape {array.shape}")
        return array


class MarkovChain(RowModel):
    """Rows of codes in which a symbol depends on its column, and perhaps on the symbol before it.

    For codes of product, residual and scalar quantizers, tokens, and bytes of any kind.

    Parameters
    ----------
    frequencies : uint32 array (n_tables, n_symbols)
        Of 65536, how probable each symbol is, at least 1. With `order` 0 a row for each column; with 1 a row
        for column 0, and then one for each column and previous symbol.
    n_columns : int
        Symbols of a row, at least 1.
    order : {0, 1}
        The number of previous symbols that count.

    Attributes
    ----------
    frequencies, n_columns, order
        The parameters.
    n_symbols : int

    Raises
    ------
    TypeError, ValueError
        If a parameter is none of these.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import entropy
    >>> codes = np.random.default_rng(0).binomial(100, 0.5, (10_000, 8)).astype(np.uint8)
    >>> codes[:, 1::2] = codes[:, ::2]  # half of the symbols can be foretold
    >>> model = entropy.MarkovChain.fit(codes, 101)
    >>> data, offsets = entropy.encode_rows(codes, model)
    >>> round(len(data) / 10_000, 1), round(float(model.bits(codes).mean()) / 8, 1)
    (2.5, 2.2)
    >>> bool((entropy.decode_rows(data, offsets, model, rows=[5]) == codes[5]).all())
    True
    """

    def __init__(self, frequencies: ArrayLike, n_columns: int, *, order: int = 1) -> None:
        tables = as_array(frequencies, "frequencies")
        if tables.dtype.kind not in "iu":
            raise TypeError(f"frequencies must be integers; got {described(tables, frequencies)}")
        if tables.ndim != 2:
            raise ValueError(f"frequencies must have two dimensions; got shape {tables.shape}")
        if tables.size and not 1 <= tables.min() <= tables.max() <= _TOTAL:
            raise ValueError(f"frequencies must be from 1 to {_TOTAL}; got {tables.min()} to {tables.max()}")
        self.frequencies = tables.astype(np.uint32, order="C")
        self.frequencies.flags.writeable = False  # the kernels have their own
        self.n_columns = as_integer(n_columns, "n_columns", 1, _MOST_ROWS)
        self.order = as_integer(order, "order", 0, 1)
        self.n_symbols = self.frequencies.shape[1]
        self._rows  # noqa: B018 - checks the frequencies

    @classmethod
    def fit(cls, codes: Any, n_symbols: int = 256, *, order: int = 1) -> Self:
        """Return the chain of given rows.

        The probabilities after a previous symbol are those that were counted, mixed with those of the column
        in a proportion that makes each row most probable given the others.

        Parameters
        ----------
        codes : array_like of uint8 (n, n_columns)
            At least one row.
        n_symbols : int
            Number of symbols, from 1 to 256. Those that do not occur can be encoded too.
        order : {0, 1}
            The number of previous symbols that count.

        Raises
        ------
        TypeError, ValueError
            If an argument is none of these, or a symbol is too large.
        """
        array = code_array(codes, "codes", "a numpy uint8 array (n, n_columns)")
        n_symbols = as_integer(n_symbols, "n_symbols", 1, 256)
        order = as_integer(order, "order", 0, 1)
        if array.ndim != 2 or not array.size:
            raise ValueError(f"codes must have at least one row and one column; got shape {array.shape}")
        if array.max() >= n_symbols:
            raise ValueError(f"codes must be below n_symbols = {n_symbols}; got {array.max()}")
        n_columns = array.shape[1]
        if order and n_columns * n_symbols**2 > _MOST_FREQUENCIES:
            raise ValueError(
                f"codes have {n_columns} columns of {n_symbols} symbols, too many for the probabilities of "
                "all pairs; give order=0, or fewer columns"
            )
        tables = []
        for column in range(n_columns):
            symbols = array[:, column]
            counts = np.bincount(symbols, minlength=n_symbols).astype(np.float64)[None]
            if order and column:
                pairs = array[:, column - 1].astype(np.intp) * n_symbols + symbols
                joint = np.bincount(pairs, minlength=n_symbols**2).reshape(n_symbols, n_symbols)
                counts = _smoothed(joint.astype(np.float64), counts[0])
            # As integers, with enough digits for the smallest share.
            counts *= 2.0**52 / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            tables.append(_native.entropy_frequencies(counts.astype(np.uint64), None))
        return cls(np.concatenate(tables), n_columns, order=order)

    @cached_property
    def _rows(self) -> _native.EntropyRows:
        return _native.EntropyRows.chain(self.frequencies, self.n_columns, self.order == 1)

    @property
    def n_bytes(self) -> int:
        """Bytes of a row: its columns."""
        return self.n_columns

    def bits(self, codes: Any) -> Doubles:
        """Return the code length of each row in bits.

        Parameters
        ----------
        codes : array_like of uint8 (n, n_columns)
            Rows.

        Returns
        -------
        float64 array (n,)
        """
        array = self.as_rows(codes)
        if array.size and array.max() >= self.n_symbols:
            raise ValueError(f"codes must be below n_symbols = {self.n_symbols}; got {array.max()}")
        lengths = 16 - np.log2(self.frequencies)
        total = np.zeros(len(array))
        for column in range(self.n_columns):
            table: Any = column
            if self.order == 1 and column > 0:
                table = 1 + (column - 1) * self.n_symbols + array[:, column - 1].astype(np.intp)
            total += lengths[table, array[:, column]]
        return total


def _smoothed(joint: Doubles, counts: Doubles) -> Doubles:
    """Return counts after each previous symbol and, in the best proportion, those of the column."""
    shares = (counts + 0.5) / (counts + 0.5).sum()
    sums = joint.sum(axis=1)
    previous, symbol = np.nonzero(joint)
    n, share = joint[previous, symbol], shares[symbol]
    best, most = _PRIORS[0], -np.inf
    for prior in _PRIORS:
        # What each occurrence is given by all the others.
        left_out = np.log((n - 1 + prior * share) / (sums[previous] - 1 + prior))
        if n @ left_out > most:
            best, most = prior, n @ left_out
    mixed: Doubles = joint + best * shares
    return mixed


class Bernoulli(RowModel):
    """Rows of packed bits, each column with a probability of its own.

    Parameters
    ----------
    ones : array_like of int (n_bits,)
        Of 65536, how probable a one is in each column: from 1 to 65535.

    Attributes
    ----------
    ones : uint32 array (n_bits,)
    n_bits : int

    Raises
    ------
    TypeError, ValueError
        If `ones` are none of these.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits, entropy
    >>> codes = bits.pack(np.random.default_rng(0).random((1000, 256)) < 0.05)
    >>> model = entropy.Bernoulli.fit(codes, 256)
    >>> data, offsets = entropy.encode_rows(codes, model)
    >>> codes.shape[1], round(len(data) / 1000, 1)
    (32, 9.4)
    """

    def __init__(self, ones: ArrayLike) -> None:
        numbers = as_vector(ones, "ones")
        if len(numbers) == 0 or numbers.min() < 1 or numbers.max() >= _TOTAL:
            raise ValueError(f"ones must be at least one number from 1 to {_TOTAL - 1}; got {describe(ones)}")
        self.ones = numbers.astype(np.uint32)
        self.ones.flags.writeable = False  # the kernels have their own
        self.n_bits = len(self.ones)

    @classmethod
    def fit(cls, codes: Any, n_bits: int | None = None) -> Self:
        """Return the model of given rows.

        Parameters
        ----------
        codes : array_like of uint8 (n, n_bytes)
            Packed bits, as `fastcodes.bits.pack` makes them.
        n_bits : int, optional
            Bits of a row; by default all of its bytes.
        """
        array = code_array(codes, "codes")
        if array.ndim != 2 or not array.shape[1]:
            raise ValueError(f"codes must have two dimensions and at least one byte; got shape {array.shape}")
        n_bits = as_integer(8 * array.shape[1] if n_bits is None else n_bits, "n_bits", 1)
        if -(-n_bits // 8) != array.shape[1]:
            raise ValueError(
                f"codes have {array.shape[1]} bytes, but n_bits = {n_bits} take {-(-n_bits // 8)}"
            )
        counts = np.zeros(n_bits)
        for start in range(0, len(array), _ROWS_PER_BLOCK):
            counts += bits.unpack(array[start : start + _ROWS_PER_BLOCK], n_bits).sum(axis=0, dtype=np.int64)
        shares = (counts + 0.5) / (len(array) + 1)
        return cls(np.clip(np.rint(_TOTAL * shares), 1, _TOTAL - 1).astype(np.int64))

    @cached_property
    def _rows(self) -> _native.EntropyRows:
        return _native.EntropyRows.bernoulli(self.ones)

    @property
    def n_bytes(self) -> int:
        """Bytes of a row."""
        return -(-self.n_bits // 8)

    def bits(self, codes: Any) -> Doubles:
        """Return the code length of each row in bits.

        Parameters
        ----------
        codes : array_like of uint8 (n, n_bytes)
            Rows.

        Returns
        -------
        float64 array (n,)
        """
        ones = bits.unpack(self.as_rows(codes), self.n_bits)
        of_one, of_zero = 16 - np.log2(self.ones), 16 - np.log2(_TOTAL - self.ones.astype(np.int64))
        total: Doubles = of_zero.sum() + ones @ (of_one - of_zero)
        return total


def as_row_model(model: Any) -> RowModel:
    """Return a model of rows."""
    if not isinstance(model, RowModel):
        raise TypeError(
            f"model must be a MarkovChain or Bernoulli of fastcodes.entropy; got {describe(model)}"
        )
    return model


def encode_rows(
    codes: Any, model: RowModel, *, rows_per_block: int = 1, threads: int | None = None
) -> tuple[Codes, Ids]:
    """Encode rows of codes, so that each can be decoded alone, or with those before it in its block.

    Parameters
    ----------
    codes : array_like of uint8 (n, n_bytes)
        Rows that `model` has.
    model : MarkovChain or Bernoulli
        How probable they are.
    rows_per_block : int
        Rows that share their bytes, at most 2**22 bytes of codes. A block is whole bytes: with 1, a row takes
        a third of a byte more than its code length, with 16 a sixteenth of that.
    threads : int, optional
        Largest number of threads; None means all CPUs of this process.

    Returns
    -------
    data : uint8 array (n_bytes,)
        All blocks, one after the other.
    offsets : int64 array (n_blocks + 1,)
        Block ``i`` is ``data[offsets[i]:offsets[i + 1]]``.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If `codes` have another shape, or the model does not have a symbol.

    Examples
    --------
    >>> from fastcodes import entropy
    >>> model = entropy.MarkovChain.fit([[1, 1], [2, 2], [1, 1]], 3)
    >>> data, offsets = entropy.encode_rows([[2, 2], [1, 1]], model)
    >>> data.tolist(), offsets.tolist()
    ([190, 4], [0, 1, 2])
    """
    array = as_row_model(model).as_rows(codes)
    return _native.entropy_encode_rows(array, model._rows, as_rows_per_block(rows_per_block, model), threads)


def decode_rows(
    data: Any,
    offsets: ArrayLike,
    model: RowModel,
    *,
    rows: ArrayLike | None = None,
    n_rows: int | None = None,
    rows_per_block: int = 1,
    threads: int | None = None,
) -> Codes:
    """Decode what `encode_rows` returned, or some of its rows.

    Parameters
    ----------
    data : bytes or uint8 array (n_bytes,)
        The blocks.
    offsets : array_like of int (n_blocks + 1,)
        Where they begin, and where the last one ends.
    model : MarkovChain or Bernoulli
        The model that they were encoded with, or an equal one.
    rows : array_like of int, optional
        The wanted rows, in any order; negative ones count from the end. All by default.
    n_rows : int, optional
        Number of encoded rows, which `rows_per_block` of more than 1 needs.
    rows_per_block : int
        As they were encoded.
    threads : int, optional
        Largest number of threads; None means all CPUs of this process.

    Returns
    -------
    uint8 array (n, n_bytes)

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    IndexError
        If a row does not exist.
    ValueError
        If `offsets` are not ascending places in `data`, or `data` are no code of these rows. There is no
        checksum: altered bytes can go unnoticed, above all if a block is not read to its end.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import entropy
    >>> model = entropy.MarkovChain.fit([[1, 1], [2, 2], [1, 1]], 3)
    >>> entropy.decode_rows(np.array([190, 4], np.uint8), [0, 1, 2], model, rows=[-1]).tolist()
    [[1, 1]]
    """
    model = as_row_model(model)
    array, places = as_data(data), as_vector(offsets, "offsets")
    rows_per_block = as_rows_per_block(rows_per_block, model)
    n_blocks = len(places) - 1
    if n_blocks < 0:
        raise ValueError("offsets must have at least one element; got none")
    if n_rows is None:
        if rows_per_block > 1:
            raise TypeError("n_rows must be the number of encoded rows if rows_per_block is more than 1")
        n_rows = n_blocks
    n_rows = as_integer(n_rows, "n_rows", 0, _MOST_ROWS)
    if -(-n_rows // rows_per_block) != n_blocks:
        raise ValueError(
            f"offsets are those of {n_blocks} blocks, but {n_rows} rows make {-(-n_rows // rows_per_block)}"
        )
    check_threads(threads)
    wanted = None if rows is None else as_rows_of(rows, n_rows)
    return decode_blocks(
        array,
        lambda blocks: (places[blocks], places[blocks + 1]),
        model,
        wanted,
        n_rows,
        rows_per_block,
        threads,
    )


def as_rows_per_block(rows_per_block: Any, model: RowModel) -> int:
    """Return the rows of a block, which may not be too large: it is read by one thread."""
    most = max(_BYTES_PER_BLOCK // model.n_bytes, 1)
    return as_integer(rows_per_block, "rows_per_block", 1, most)


def as_rows_of(rows: ArrayLike, n_rows: int) -> Ids:
    """Return row numbers from 0 to ``n_rows - 1``."""
    array = np.asarray(rows)
    if array.dtype == np.uint64 and array.size and array.max() >= n_rows:
        raise IndexError(f"rows has {array.max()}, but there are {n_rows} rows")
    numbers = as_vector(rows, "rows")
    wrong = numbers[(numbers < -n_rows) | (numbers >= n_rows)]
    if len(wrong):
        raise IndexError(f"rows has {wrong[0]}, but there are {n_rows} rows")
    return np.where(numbers < 0, numbers + n_rows, numbers)


def decode_blocks(
    data: Codes,
    ends: Any,
    model: RowModel,
    rows: Ids | None,
    n_rows: int,
    rows_per_block: int,
    threads: int | None,
) -> Codes:
    """Decode rows from blocks; ``ends(blocks)`` returns where blocks begin and end."""
    if rows is None:
        blocks, counts = np.arange(-(-n_rows // rows_per_block)), None
    else:
        blocks, block_of = np.unique(rows // rows_per_block, return_inverse=True)
        counts = np.zeros(len(blocks), np.int64)
        np.maximum.at(counts, block_of, rows % rows_per_block + 1)
    lens = np.minimum(rows_per_block, n_rows - blocks * rows_per_block)
    counts = lens if counts is None else counts
    starts, stops = ends(blocks)
    decoded = _native.entropy_decode_rows(
        data, np.ascontiguousarray(starts, np.int64), np.ascontiguousarray(stops, np.int64),
        lens, counts, model._rows, threads,
    )  # fmt: skip
    if rows is None:
        return decoded
    found: Array = decoded[(np.cumsum(counts) - counts)[block_of] + rows % rows_per_block]
    return found
