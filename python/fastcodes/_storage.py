"""Containers of codes that search them: what an index keeps, whatever the model that made the codes.

==================  ======================  =================================  ==============================
storage             codes                   operand of a query                 search
==================  ======================  =================================  ==============================
`TableStorage`      M numbers up to 256     look-up tables (M, K)              `fastcodes.adc`
`CodewordStorage`   one number up to 65536  distances to all codewords (1, K)  posting lists of the codewords
`BitStorage`        packed bits             packed bits, or real values        `fastcodes.hamming`
`JaccardStorage`    packed bits             packed bits                        `fastcodes.jaccard`
`RaBitQStorage`     bits and two factors    rotated vectors and offsets        `fastcodes.rabitq`
==================  ======================  =================================  ==============================
"""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcodes import _files, _native, adc, bits, hamming, rabitq
from fastcodes._typing import Array, Codes, Floats, Ids, Mask, UnsignedCodes
from fastcodes._validation import describe
from fastcodes.results import no_neighbors, ragged

__all__ = [
    "BitStorage",
    "CodewordStorage",
    "JaccardStorage",
    "Lists",
    "RaBitQStorage",
    "Rows",
    "Storage",
    "TableStorage",
    "join_factors",
    "selected_rows",
    "split_factors",
]

Lists = tuple[Ids, Ids, Floats | None, npt.NDArray[np.uint32]]
"""Where the lists that each query probes start and stop (nq, n_probes), what is added to the distances of
each, or None, and the id of each row (n,)."""

_JACCARD = 1.0, 1.0  # the weights that make the Tversky distance that of Jaccard
# Scanning fewer rows takes no longer than sorting them for a few searches.
_FEWEST_UNSORTED = 4096

Neighbors = tuple[npt.NDArray[Any], Ids]
Ragged = tuple[Ids, npt.NDArray[Any], Ids]


class Storage(abc.ABC):
    """Codes in the layout in which they are searched.

    Rows are numbered from 0 in the order in which they were appended. Any number of threads may search at
    once; changes need the storage for themselves.

    Attributes
    ----------
    operand_size : int
        Numbers in the operand of one query: how many queries are searched together depends on it.
    """

    operand_size: int

    @abc.abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @property
    @abc.abstractmethod
    def nbytes(self) -> int:
        """Bytes that the rows take."""

    @abc.abstractmethod
    def append(self, codes: UnsignedCodes, *, threads: int | None = None) -> None:
        """Add rows at the end: all of them, or none if there is an error."""

    @abc.abstractmethod
    def take(self, rows: Ids | slice) -> UnsignedCodes:
        """Return a copy of some rows as the model made them, in the given order."""

    @abc.abstractmethod
    def keep(self, rows: Ids) -> None:
        """Keep the rows with these numbers, which ascend, and remove all others."""

    @abc.abstractmethod
    def knn(self, operand: Any, k: int, *, mask: Mask | None = None, threads: int | None = None) -> Neighbors:
        """Return distances and rows (nq, k) of the nearest, sorted by (distance, row)."""

    @abc.abstractmethod
    def radius(
        self, operand: Any, radius: float, *, mask: Mask | None = None, threads: int | None = None
    ) -> Ragged:
        """Return offsets, distances and rows of those within a radius, sorted by (distance, row)."""

    def errors(self, rows: Ids, *, threads: int | None = None) -> Floats:
        """Return the lengths of what some codes err by, where distances are estimates."""
        raise TypeError(f"distances of {type(self).__name__} are no estimates")

    def knn_in_lists(
        self, operand: Any, k: int, lists: Lists, *, mask: Mask | None = None, threads: int | None = None
    ) -> Neighbors:
        """Return distances and ids (nq, k) of the nearest rows in the lists of each query.

        A mask selects rows of this storage.
        """
        raise TypeError(f"{type(self).__name__} has no inverted lists")

    def radius_in_lists(
        self,
        operand: Any,
        radius: float,
        lists: Lists,
        *,
        mask: Mask | None = None,
        threads: int | None = None,
    ) -> Ragged:
        """Return offsets, distances and ids of those within a radius, likewise."""
        raise TypeError(f"{type(self).__name__} has no inverted lists")

    @abc.abstractmethod
    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the contents as JSON values and arrays."""

    @abc.abstractmethod
    def restore(self, params: Any, arrays: Mapping[str, Array]) -> None:
        """Take back what `to_parts` returned, without a copy; raise an error if it does not fit."""


def selected_rows(mask: Mask, n_rows: int) -> Ids:
    """Return the rows that a mask selects, ascending: those of its booleans, or its row numbers."""
    if not isinstance(mask, np.ndarray) or mask.dtype.kind not in "biu" or mask.ndim != 1:
        raise TypeError(
            f"mask must be a boolean array (n,) or an integer array of row ids; got {describe(mask)}"
        )
    if mask.dtype.kind == "b":
        if len(mask) != n_rows:
            raise ValueError(f"mask has {len(mask)} rows but codes have {n_rows}")
        return np.flatnonzero(mask)
    if mask.size and not (mask.min() >= 0 and mask.max() < n_rows):
        wrong = mask[(mask < 0) | (mask >= n_rows)][0]
        raise ValueError(f"mask has the row {wrong}; expected rows from 0 to {n_rows - 1}")
    return np.unique(mask).astype(np.int64)


class Rows:
    """An array that grows at the end; it may begin as a read-only map of a file."""

    def __init__(self, array: Array) -> None:
        self._array = array  # may have room for more rows
        self._n = len(array)

    @property
    def used(self) -> Array:
        """The rows, without a copy."""
        return self._array[: self._n]

    def append(self, rows: Array) -> None:
        """Add rows at the end."""
        n = self._n + len(rows)
        if n > len(self._array) or not self._array.flags.writeable:
            grown = np.empty((max(n, self._n * 3 // 2), *self._array.shape[1:]), self._array.dtype)
            grown[: self._n] = self.used
            self._array = grown
        self._array[self._n : n] = rows
        self._n = n

    def __getstate__(self) -> Array:
        return self.used.copy()  # a copy has rows of its own: both may be appended to

    def __setstate__(self, rows: Array) -> None:
        self.__init__(rows)  # type: ignore[misc]


class TableStorage(Storage):
    """Codes of M subspaces with up to 256 codewords, searched by sums of table entries.

    Parameters
    ----------
    n_subspaces, n_codewords : int
        M and K.
    n_bits : int, optional
        Where the model packs codes side by side with `fastcodes.bits.pack_uint`: the bits of each.
    """

    def __init__(self, n_subspaces: int, n_codewords: int, n_bits: int | None = None) -> None:
        self.operand_size = n_subspaces * n_codewords
        self._n_bits = n_bits
        self._n_subspaces = n_subspaces
        empty = np.empty((0, n_subspaces), np.uint8)
        self._packed = adc.PackedCodes(empty, n_codewords=16 if n_codewords <= 16 else 256)

    def __len__(self) -> int:
        return len(self._packed)

    @property
    def nbytes(self) -> int:
        return self._packed.nbytes

    def append(self, codes: UnsignedCodes, *, threads: int | None = None) -> None:
        if self._n_bits is not None:
            codes = bits.unpack_uint(codes, self._n_bits, self._n_subspaces, threads=threads)
        self._packed.append(codes, threads=threads)

    def take(self, rows: Ids | slice) -> UnsignedCodes:
        numbers = self._packed.unpack() if isinstance(rows, slice) else self._packed.take(rows)
        return numbers if self._n_bits is None else bits.pack_uint(numbers, self._n_bits)

    def keep(self, rows: Ids) -> None:
        removed = np.ones(len(self), bool)
        removed[rows] = False
        self._packed.remove(removed)

    def knn(
        self, operand: Floats, k: int, *, mask: Mask | None = None, threads: int | None = None
    ) -> Neighbors:
        return adc.knn(operand, self._packed, k, mask=mask, threads=threads)

    def radius(
        self, operand: Floats, radius: float, *, mask: Mask | None = None, threads: int | None = None
    ) -> Ragged:
        return adc.radius(operand, self._packed, radius, mask=mask, threads=threads)

    def knn_in_lists(
        self, operand: Floats, k: int, lists: Lists, *, mask: Mask | None = None, threads: int | None = None
    ) -> Neighbors:
        return _native.adc_knn(operand, self._packed, k, mask, threads, lists)

    def radius_in_lists(
        self,
        operand: Floats,
        radius: float,
        lists: Lists,
        *,
        mask: Mask | None = None,
        threads: int | None = None,
    ) -> Ragged:
        return _native.adc_radius(operand, self._packed, radius, mask, threads, lists)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        return self._packed.to_state()

    def restore(self, params: Any, arrays: Mapping[str, Array]) -> None:
        packed = adc.PackedCodes.from_state(params, arrays)
        for name in ("n_subspaces", "n_codewords"):
            given, expected = getattr(packed, name), getattr(self._packed, name)
            if given != expected:
                raise ValueError(f"its codes have {name}={given}, but its codec makes {name}={expected}")
        self._packed = packed


class BitStorage(Storage):
    """Packed bits.

    Parameters
    ----------
    n_bytes : int
        Bytes of a row.
    metric : {"hamming", "asymmetric"}
        The distance; the operand of the first are packed bits, that of the second real values of which the
        bits of a code give the signs.
    """

    def __init__(self, n_bytes: int, metric: str) -> None:
        self.operand_size = 8 * n_bytes
        self._n_bytes = n_bytes
        self._metric = metric
        self._rows = Rows(np.empty((0, n_bytes), np.uint8))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def codes(self) -> Codes:
        """The rows, without a copy."""
        return self._rows.used

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes

    def append(self, codes: UnsignedCodes, *, threads: int | None = None) -> None:
        self._rows.append(codes)

    def take(self, rows: Ids | slice) -> UnsignedCodes:
        return self.codes[rows].copy() if isinstance(rows, slice) else self.codes[rows]

    def keep(self, rows: Ids) -> None:
        self._rows = Rows(self.codes[rows])

    def knn(
        self, operand: Array, k: int, *, mask: Mask | None = None, threads: int | None = None
    ) -> Neighbors:
        knn: Any = hamming.knn if self._metric == "hamming" else hamming.asymmetric_knn
        found: Neighbors = knn(operand, self.codes, k, mask=mask, threads=threads)
        return found

    def radius(
        self, operand: Array, radius: float, *, mask: Mask | None = None, threads: int | None = None
    ) -> Ragged:
        self._check_radius()
        number: Any = radius  # it is refused unless it is an integer
        found: Ragged = hamming.radius(operand, self.codes, number, mask=mask, threads=threads)
        return found

    def _check_radius(self) -> None:
        if self._metric == "asymmetric":
            raise ValueError(
                f'there is no radius search with the metric "{self._metric}"; search for the k nearest, '
                'or use an index with the metric "hamming"'
            )

    def knn_in_lists(
        self, operand: Array, k: int, lists: Lists, *, mask: Mask | None = None, threads: int | None = None
    ) -> Neighbors:
        if self._metric == "hamming":
            return _native.hamming_knn(operand, self.codes, k, mask, threads, lists)
        return _native.hamming_asymmetric_knn(operand, self.codes, k, mask, threads, lists)

    def radius_in_lists(
        self,
        operand: Array,
        radius: float,
        lists: Lists,
        *,
        mask: Mask | None = None,
        threads: int | None = None,
    ) -> Ragged:
        self._check_radius()
        number: Any = radius  # it is refused unless it is an integer
        return _native.hamming_radius(operand, self.codes, number, mask, threads, lists)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        return {}, {"codes": self.codes}

    def restore(self, params: Any, arrays: Mapping[str, Array]) -> None:
        self._rows = Rows(_files.take(arrays, "codes", np.uint8, ("n", self._n_bytes)))


class JaccardStorage(BitStorage):
    """Packed bits searched by Jaccard distance, with the order of the first rows by their number of ones.

    The first search after a change sorts all rows, unless few of them are new.
    """

    def __init__(self, n_bytes: int) -> None:
        super().__init__(n_bytes, "jaccard")
        # With the rows that it is of: those of a change are others.
        self._sorted: tuple[Rows, _native.SortedRows] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_sorted": None}

    @property
    def nbytes(self) -> int:
        return super().nbytes + (0 if self._sorted is None else self._sorted[1].nbytes)

    def keep(self, rows: Ids) -> None:
        self._sorted = None
        super().keep(rows)

    def knn(
        self, operand: Array, k: int, *, mask: Mask | None = None, threads: int | None = None
    ) -> Neighbors:
        order, codes = self._in_order(threads)
        return _native.jaccard_knn(operand, codes, k, _JACCARD, order, mask, threads, None)

    def radius(
        self, operand: Array, radius: float, *, mask: Mask | None = None, threads: int | None = None
    ) -> Ragged:
        order, codes = self._in_order(threads)
        return _native.jaccard_radius(operand, codes, radius, _JACCARD, order, mask, threads, None)

    def knn_in_lists(
        self, operand: Array, k: int, lists: Lists, *, mask: Mask | None = None, threads: int | None = None
    ) -> Neighbors:
        return _native.jaccard_knn(operand, self.codes, k, _JACCARD, None, mask, threads, lists)

    def radius_in_lists(
        self,
        operand: Array,
        radius: float,
        lists: Lists,
        *,
        mask: Mask | None = None,
        threads: int | None = None,
    ) -> Ragged:
        return _native.jaccard_radius(operand, self.codes, radius, _JACCARD, None, mask, threads, lists)

    def _in_order(self, threads: int | None) -> tuple[_native.SortedRows | None, Codes]:
        """Return the order of most rows, and all rows."""
        # Read in this order, so that no more rows are sorted than there are, though other threads add some.
        # No lock, which the child of a fork might find taken: two threads may do the same work.
        kept, rows = self._sorted, self._rows
        order, codes = None if kept is None or kept[0] is not rows else kept[1], rows.used
        n_sorted = 0 if order is None else len(order)
        if len(codes) - n_sorted >= max(_FEWEST_UNSORTED, n_sorted // 16):
            order = _native.SortedRows(codes, threads)
            self._sorted = rows, order
        return order, codes


class RaBitQStorage(Storage):
    """RaBitQ codes with their factors: a row is the bytes of a code and those of its two factors, float32.

    Parameters
    ----------
    n_bytes : int
        Bytes of a code.
    n_bits : int
        Bits of a dimension.
    metric : {"l2", "ip"}
        The distance that the factors are for.
    error_ratio : float, optional
        The usual length of the error of a code over the length of what it stands for; None if the first
        factor, a squared length, says it of each row.
    """

    def __init__(self, n_bytes: int, n_bits: int, metric: str, error_ratio: float | None) -> None:
        self.operand_size = 4 * n_bytes
        self._n_bytes = n_bytes
        self._settings: dict[str, Any] = {"n_bits": n_bits, "metric": metric}
        self._error_ratio = error_ratio
        self._factors = Rows(np.empty((0, 2), np.float32))
        # Only bits are searched faster in blocks.
        empty = np.empty((0, n_bytes), np.uint8)
        self._codes: Rows | adc.PackedCodes = (
            adc.PackedCodes(empty, n_codewords=256) if n_bits == 1 else Rows(empty)
        )

    def __len__(self) -> int:
        return len(self._codes.used if isinstance(self._codes, Rows) else self._codes)

    def _parts(self) -> tuple[Codes | adc.PackedCodes, Floats]:
        """Return codes and factors of one moment, though others append: codes are appended last."""
        codes: Codes | adc.PackedCodes
        if isinstance(self._codes, Rows):
            codes = self._codes.used
        else:
            codes = adc.PackedCodes.from_state(*self._codes.to_state())  # a view
        return codes, self._factors.used[: len(codes)]

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self._parts())

    def append(self, codes: UnsignedCodes, *, threads: int | None = None) -> None:
        rows, factors = split_factors(codes)
        if len(self._factors.used) > len(self):  # of codes that no memory was left for
            self._factors = Rows(self._factors.used[: len(self)].copy())
        self._factors.append(factors)
        if isinstance(self._codes, Rows):
            self._codes.append(rows)
        else:
            self._codes.append(np.ascontiguousarray(rows), threads=threads)

    def take(self, rows: Ids | slice) -> UnsignedCodes:
        codes, factors = self._parts()
        if isinstance(codes, adc.PackedCodes):
            bits = codes.unpack() if isinstance(rows, slice) else codes.take(rows)
        else:
            bits = codes[rows]
        return join_factors(bits, factors[rows])

    def keep(self, rows: Ids) -> None:
        if isinstance(self._codes, Rows):
            self._codes = Rows(self._codes.used[rows])
        else:
            removed = np.ones(len(self), bool)
            removed[rows] = False
            self._codes.remove(removed)
        self._factors = Rows(self._factors.used[rows])

    def knn(
        self, operand: tuple[Floats, Floats], k: int, *, mask: Mask | None = None, threads: int | None = None
    ) -> Neighbors:
        queries, offsets = operand
        codes, factors = self._parts()
        return rabitq.knn(
            queries, codes, factors, k, offsets=offsets, mask=mask, threads=threads, **self._settings
        )

    def radius(
        self,
        operand: tuple[Floats, Floats],
        radius: float,
        *,
        mask: Mask | None = None,
        threads: int | None = None,
    ) -> Ragged:
        queries, offsets = operand
        codes, factors = self._parts()
        return rabitq.radius(
            queries, codes, factors, radius, offsets=offsets, mask=mask, threads=threads, **self._settings
        )

    def knn_in_lists(
        self,
        operand: tuple[Floats, Floats],
        k: int,
        lists: Lists,
        *,
        mask: Mask | None = None,
        threads: int | None = None,
    ) -> Neighbors:
        codes, factors = self._parts()
        settings = self._settings["n_bits"], self._settings["metric"]
        return _native.rabitq_knn(*operand, codes, factors, k, *settings, mask, threads, lists)

    def radius_in_lists(
        self,
        operand: tuple[Floats, Floats],
        radius: float,
        lists: Lists,
        *,
        mask: Mask | None = None,
        threads: int | None = None,
    ) -> Ragged:
        codes, factors = self._parts()
        settings = self._settings["n_bits"], self._settings["metric"]
        return _native.rabitq_radius(*operand, codes, factors, radius, *settings, mask, threads, lists)

    def errors(self, rows: Ids, *, threads: int | None = None) -> Floats:
        factors = self._factors.used[rows]
        if self._error_ratio is not None:
            factors *= np.array([0, self._error_ratio], np.float32)
        if isinstance(self._codes, Rows):
            codes = self._codes.used[rows]
        else:  # of one bit, whose levels are 1 and -1: all are equally long
            codes = np.zeros((len(rows), self._n_bytes), np.uint8)
        return rabitq.errors(codes, factors, n_bits=self._settings["n_bits"], threads=threads)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        codes, factors = self._parts()
        if isinstance(codes, adc.PackedCodes):
            params, arrays = codes.to_state()
            return params, {**arrays, "factors": factors}
        return {}, {"codes": codes, "factors": factors}

    def restore(self, params: Any, arrays: Mapping[str, Array]) -> None:
        factors = _files.take(arrays, "factors", np.float32, ("n", 2))
        codes: Rows | adc.PackedCodes
        if isinstance(self._codes, Rows):
            array = _files.take(arrays, "codes", np.uint8, ("n", self._n_bytes))
            codes, n_rows = Rows(array), len(array)
        else:
            packed = adc.PackedCodes.from_state(params, arrays)
            codes, n_rows = packed, len(packed)
            if (packed.n_subspaces, packed.n_codewords) != (self._n_bytes, 256):
                raise ValueError(f"its codes have {packed.n_subspaces} bytes; expected {self._n_bytes}")
        if n_rows != len(factors):
            raise ValueError(f"there are {n_rows} codes, but {len(factors)} rows of factors")
        self._codes, self._factors = codes, Rows(factors)


def join_factors(codes: Codes, factors: Floats) -> Codes:
    """Return rows of the bytes of codes (n, n_bytes) and those of factors (n, 2)."""
    return np.hstack([codes, np.ascontiguousarray(factors, "<f4").view(np.uint8)])


def split_factors(rows: UnsignedCodes) -> tuple[Codes, Floats]:
    """Return the codes and factors of such rows."""
    factors: Floats = np.ascontiguousarray(rows[:, -8:]).view("<f4").astype(np.float32, copy=False)
    return rows[:, :-8], factors


class CodewordStorage(Storage):
    """One number per row, searched through posting lists: the rows of each codeword.

    All rows of a codeword have the same distance to a query, so a search takes the lists of the nearest
    codewords until they have `k` rows.

    Parameters
    ----------
    n_codewords : int
        K, up to 65536.
    """

    def __init__(self, n_codewords: int) -> None:
        self.operand_size = n_codewords
        self._n_codewords = n_codewords
        self._dtype = np.uint8 if n_codewords <= 256 else np.uint16
        self._numbers = Rows(np.empty((0, 1), self._dtype))
        self._lists: tuple[Ids, Ids] | None = None  # of all rows, made by the first search after a change

    def __len__(self) -> int:
        return len(self._numbers.used)

    @property
    def nbytes(self) -> int:
        return self._numbers.used.nbytes

    def append(self, codes: UnsignedCodes, *, threads: int | None = None) -> None:
        self._numbers.append(codes)
        self._lists = None

    def take(self, rows: Ids | slice) -> UnsignedCodes:
        return self._numbers.used[rows].copy()

    def keep(self, rows: Ids) -> None:
        self._numbers = Rows(self._numbers.used[rows])
        self._lists = None

    def _posting_lists(self, mask: Mask | None) -> tuple[Ids, Ids]:
        """Return rows by codeword, and where the list of each codeword begins, (K + 1,)."""
        if mask is None and (lists := self._lists) is not None:
            return lists
        numbers, rows = self._numbers.used[:, 0], None
        if mask is not None:
            rows = selected_rows(mask, len(numbers))
            numbers = numbers[rows]
        order = np.argsort(numbers, kind="stable")
        starts = np.zeros(self._n_codewords + 1, np.int64)
        np.cumsum(np.bincount(numbers, minlength=self._n_codewords), out=starts[1:])
        if rows is not None:
            return rows[order], starts
        self._lists = order, starts
        return self._lists

    def knn(
        self, operand: Floats, k: int, *, mask: Mask | None = None, threads: int | None = None
    ) -> Neighbors:
        rows, starts = self._posting_lists(mask)
        distances, indices = no_neighbors(len(operand), k, np.float32)
        n = min(k, len(rows))
        if not n:
            return distances, indices
        for query, table in enumerate(operand[:, 0]):
            order = np.argsort(table)
            last = np.searchsorted(np.cumsum(np.diff(starts)[order]), n)
            found = _within(table, table[order[last]], rows, starts)
            distances[query, :n], indices[query, :n] = found[0][:n], found[1][:n]
        return distances, indices

    def radius(
        self, operand: Floats, radius: float, *, mask: Mask | None = None, threads: int | None = None
    ) -> Ragged:
        rows, starts = self._posting_lists(mask)
        limit = np.float32(_as_radius(radius))
        return ragged([_within(table, limit, rows, starts) for table in operand[:, 0]], np.float32)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        return {}, {"codes": self._numbers.used}

    def restore(self, params: Any, arrays: Mapping[str, Array]) -> None:
        numbers = _files.take(arrays, "codes", self._dtype, ("n", 1))
        if numbers.size and numbers.max() >= self._n_codewords:
            raise ValueError(f"codes has {numbers.max()}, but there are {self._n_codewords} codewords")
        self._numbers, self._lists = Rows(numbers), None


def _as_radius(radius: object) -> float:
    if isinstance(radius, bool) or not isinstance(radius, (int, float, np.integer, np.floating)):
        raise TypeError(f"radius must be a real number; got {describe(radius)}")
    if math.isnan(radius):
        raise ValueError("radius is NaN; expected a number")
    return float(radius)


def _within(table: Floats, limit: np.float32, rows: Ids, starts: Ids) -> tuple[Floats, Ids]:
    """Return distances and rows of the lists of all codewords within a distance, sorted by both."""
    near = np.flatnonzero(table <= limit)
    sizes = starts[near + 1] - starts[near]
    ends = np.cumsum(sizes)
    n = int(ends[-1]) if len(ends) else 0
    found = rows[np.repeat(starts[near] - ends + sizes, sizes) + np.arange(n)]
    distances = np.repeat(table[near], sizes)
    order = np.lexsort((found, distances))
    return distances[order], found[order]
