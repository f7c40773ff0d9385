"""An exact index of binary codes that does not look at all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastcodes import _files, _native
from fastcodes._codec import Codec
from fastcodes._storage import BitStorage, Neighbors, Ragged, Storage
from fastcodes._typing import Array, Codes, Ids, Mask
from fastcodes._validation import as_integer, describe
from fastcodes.hashing import Bits
from fastcodes.hashing.packed_bits import MAX_BITS
from fastcodes.index.base import Index

__all__ = ["MultiIndexHashing"]

# Fewer rows get no tables: scanning them takes no longer than looking up a few buckets.
_FEWEST_ROWS = 4096
_MOST_ROWS = np.iinfo(np.uint32).max

# Where the bucket of each key begins (m, 2**width + 1), and the entries of all buckets (m, n).
_Tables = tuple[Array, Array]


class _TableStorage(BitStorage):
    """Packed bits, and tables of the first rows, of those that follow, and so on: see `hamming_tables`.

    The first search after a change puts rows without tables into new ones, together with the rows of the
    previous tables if these are at most twice as many: each row is sorted a few times.
    """

    def __init__(self, n_bits: int, n_bytes: int, n_tables: int | None) -> None:
        super().__init__(n_bytes, "hamming")
        self._n_bits = n_bits
        self._n_tables = n_tables
        self._tables: tuple[_Tables, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tables": ()}  # a copy fills tables of its own

    @property
    def nbytes(self) -> int:
        return super().nbytes + sum(starts.nbytes + entries.nbytes for starts, entries in self._tables)

    def keep(self, rows: Ids) -> None:
        self._tables = ()
        super().keep(rows)

    def knn(
        self, operand: Codes, k: int, *, mask: Mask | None = None, threads: int | None = None
    ) -> Neighbors:
        tables, codes = self._filled(threads)
        return _native.hamming_tables_knn(operand, codes, self._n_bits, tables, k, mask, threads)

    def radius(
        self, operand: Codes, radius: float, *, mask: Mask | None = None, threads: int | None = None
    ) -> Ragged:
        tables, codes = self._filled(threads)
        found: Ragged = _native.hamming_tables_radius(
            operand,
            codes,
            self._n_bits,
            tables,
            radius,  # type: ignore[arg-type]  # it is refused unless it is an integer
            mask,
            threads,
        )
        return found

    def _filled(self, threads: int | None) -> tuple[tuple[_Tables, ...], Codes]:
        """Return tables and the rows, of which a few may be in no table."""
        # In this order, so that tables that another thread fills meanwhile have no more rows than the codes.
        # Without a lock, which the child of a fork might find taken: two threads may do the same work.
        tables, codes = self._tables, self.codes
        kept, n_listed = list(tables), sum(entries.shape[1] for _, entries in tables)
        if len(codes) - n_listed < _FEWEST_ROWS:
            return tables, codes
        while kept and 2 * (len(codes) - n_listed) >= kept[-1][1].shape[1]:
            n_listed -= kept.pop()[1].shape[1]
        for start in range(n_listed, len(codes), _MOST_ROWS):
            part = codes[start : start + _MOST_ROWS]
            kept.append(_native.hamming_tables(part, self._n_bits, self._n_tables, threads))
        self._tables = tuple(kept)
        return self._tables, codes

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        tables, codes = self._filled(None)
        arrays = {"codes": codes}
        for number, (starts, entries) in enumerate(tables):
            arrays |= {f"starts.{number}": starts, f"entries.{number}": entries}
        return {"n_parts": len(tables)}, arrays

    def restore(self, params: Any, arrays: Mapping[str, Array]) -> None:
        super().restore(params, arrays)
        n_parts = as_integer(params["n_parts"], "n_parts", 0)
        tables = []
        for number in range(n_parts):
            starts = _files.take(arrays, f"starts.{number}", np.uint32, ("n_tables", "n_keys"))
            entries = _files.take(arrays, f"entries.{number}", np.uint64, (len(starts), "n"))
            tables.append((starts, entries))
        # It refuses tables that do not fit the codes; what they hold is checked by each search.
        _native.hamming_tables_knn(self.codes[:0], self.codes, self._n_bits, tables, 0, None, 1)
        self._tables = tuple(tables)


class MultiIndexHashing(Index):
    r"""Binary codes, searched exactly by Hamming distance without looking at all of them.

    A code is cut into :math:`m` substrings, and a table for each holds the rows by its bits. A row that
    differs from a query in at most :math:`r` bits differs in at most :math:`\lfloor r / m \rfloor` bits in
    at least one substring, so that the buckets within this distance hold all of them (Norouzi, Punjani and
    Fleet, *Fast exact search in Hamming space with multi-index hashing*, PAMI 36, 2014). A search for the `k`
    nearest looks at more and more distant buckets until no other row can be among the nearest.

    Results are those of `FlatIndex`, to the bit. A query that has spent half the estimated time of a scan in
    the tables is answered by a scan, so a query without near rows takes up to about half as long again as in
    a `FlatIndex`. For large `k`, a large radius or a mask that selects few rows, all codes are scanned at
    once. Use the index for millions of codes and queries whose neighbors differ in few bits: near-duplicates
    by perceptual hashes, or learned codes with many similar vectors. For codes of independent bits, and for
    fewer rows, use a `FlatIndex`, which takes less memory.

    Parameters
    ----------
    codec : int or model of fastcodes.hashing
        The number of bits of codes that you have, which is short for `fastcodes.hashing.Bits`, or a fitted
        model with the metric "hamming". The index keeps a copy, so that training the model again does not
        change what the codes mean.
    n_tables : int, optional
        Substrings m, from 1 to the bits of a code. By default the bits of a code divided by the binary
        logarithm of the number of rows, rounded, up to 32; it is chosen when tables are filled. A key has no
        more bits than that logarithm, nor than 24.

    Attributes
    ----------
    codec : model
        The copy.
    n_tables : int or None
        As given.
    ids, codes
        As in `FlatIndex`.
    nbytes : int
        Bytes that codes, ids and tables take. A table takes 10 to 16 bytes per row.

    Raises
    ------
    TypeError
        If `codec` or `n_tables` is something else.
    NotFittedError
        If the model is not fitted; a ValueError.
    ValueError
        If there is no such number of bits, more tables than bits, or the model has no metric "hamming".

    See Also
    --------
    FlatIndex : Searches all codes, by other metrics too.
    LSHIndex : Looks at the buckets that a hash function finds likely: approximate, for more distant rows.
    fastcodes.hamming : The same searches of arrays.

    Notes
    -----
    The first search after `add` puts new rows into tables, unless they are few, and the first after `remove`
    fills all of them. `save` writes the tables, so that a mapped index shares them between processes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.index import MultiIndexHashing
    >>> codes = np.random.default_rng(0).integers(0, 256, (50_000, 8), np.uint8)
    >>> index = MultiIndexHashing(64)
    >>> index.add(codes)
    >>> query = codes[7].copy()
    >>> query[0] ^= 0b10010000
    >>> index.search(query, k=1)
    (array([[2]], dtype=int32), array([[7]]))
    >>> index.radius_search(query, radius=3)
    (array([0, 1]), array([2], dtype=int32), array([7]))
    """

    def __init__(self, codec: Codec | int, *, n_tables: int | None = None) -> None:
        if not isinstance(codec, Codec):
            if isinstance(codec, bool) or not isinstance(codec, (int, np.integer)):
                raise TypeError(
                    "codec must be a number of bits, or a fitted model of fastcodes.hashing that makes "
                    f"codes; got {describe(codec)}"
                )
            codec = Bits(as_integer(codec, "codec", 1, MAX_BITS))
        self.n_tables = None if n_tables is None else as_integer(n_tables, "n_tables", 1)
        super().__init__(codec, "hamming")

    def _new_storage(self) -> Storage:
        self.codec.storage(self.metric)  # which says what is wrong with a codec without one
        n_bits: int = self.codec.code_bits  # type: ignore[attr-defined]  # all codecs with this metric have it
        if self.n_tables is not None and self.n_tables > n_bits:
            raise ValueError(f"n_tables is {self.n_tables}; expected from 1 to {n_bits}, the bits of a code")
        return _TableStorage(n_bits, (n_bits + 7) // 8, self.n_tables)

    def _settings(self) -> dict[str, Any]:
        return {"n_tables": self.n_tables}
