"""An index of hash tables over binary codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _native, bits
from fastcodes._storage import BitStorage
from fastcodes._typing import Array, Codes, Floats, Ids
from fastcodes._validation import as_integer, describe
from fastcodes.hashing.base import Hasher
from fastcodes.index._hash_tables import Probing, Tables, keys_of
from fastcodes.index.base import Index, Neighbors, Ragged
from fastcodes.results import ragged

__all__ = ["LSHIndex"]

_MAX_BITS_PER_TABLE = 32
# Numbers per block that the score of a set of bits counts as: it is float64 and is sorted.
_NUMBERS_PER_SCORE = 4
# With at least this many probes, and no more rows than probes, it is faster to search all rows.
_MANY_PROBES = 65
# Candidates that a radius search fetches per query at first.
_FIRST_CANDIDATES = 128


class LSHIndex(Index):
    r"""Binary codes in hash tables, of which a search looks at a few buckets only.

    The first ``n_tables * k`` bits of a code are cut into ``n_tables`` keys of ``k`` bits, and each table
    holds the rows by one of them (locality-sensitive hashing: Indyk and Motwani, STOC 1998). A row is a
    *candidate* of a query if one of its keys is among those that the query probes. If each bit of two vectors
    is equal with probability :math:`p`, as :math:`p = 1 - \theta / \pi` for an angle :math:`\theta` and
    `fastcodes.hashing.RandomHyperplanes`, that happens with one probe per table with probability
    :math:`1 - (1 - p^k)^L`, a steep S-curve. Further probes flip the bits with the smallest margins: the sets
    of bits with the smallest sums of squared margins (Lv, Josephson, Wang, Charikar and Li, *Multi-probe
    LSH*, VLDB 2007), so that fewer tables are enough.

    Candidates are ranked by the Hamming distance of the whole codes; with ``rerank=`` the nearest of them are
    scored again by the vectors themselves, which you keep.

    Parameters
    ----------
    codec : model of fastcodes.hashing with `decision_function`
        A fitted model. The index keeps a copy, so that training it again does not change what the codes mean.
        `fastcodes.hashing.Bits` is not one of them, since probing needs margins.
    n_tables : int
        Tables L. Each takes ``k = n_bits // n_tables`` bits, from 1 to 32; about the binary logarithm of the
        number of rows is a good number of bits.

    Attributes
    ----------
    codec : model
        The copy.
    n_tables, bits_per_table : int
        L and k.
    ids, codes, nbytes
        As in `FlatIndex`. The tables take 4 to 36 bytes more for each row and table.

    Raises
    ------
    TypeError
        If `codec` is something else, or `n_tables` is not an integer.
    NotFittedError
        If it is not fitted; a ValueError.
    ValueError
        If it has too few bits for the tables, or too many.

    See Also
    --------
    FlatIndex : Searches all codes.

    Notes
    -----
    The first search after `add` puts the new rows into the tables, the first after `remove` builds all of
    them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.hashing import RandomHyperplanes
    >>> from fastcodes.index import LSHIndex
    >>> X = np.random.default_rng(0).standard_normal((2000, 16)).astype(np.float32)
    >>> index = LSHIndex(RandomHyperplanes(n_bits=64).fit(X), n_tables=8)
    >>> index.add(X)
    >>> len(index), index.bits_per_table
    (2000, 8)
    >>> distances, indices = index.search(X[:3] + 0.01, k=1, n_probes=4, rerank=X)
    >>> indices.ravel().tolist()
    [0, 1, 2]
    """

    codec: Hasher
    _storage: BitStorage

    def __init__(self, codec: Hasher, *, n_tables: int = 8) -> None:
        if not isinstance(codec, Hasher):
            raise TypeError(
                "codec must be a fitted model of fastcodes.hashing with a decision_function, such as "
                f"RandomHyperplanes; got {describe(codec)}"
            )
        super().__init__(codec, "hamming")
        n_bits = self.codec.code_bits
        self.n_tables = as_integer(n_tables, "n_tables", 1)
        if not self.n_tables <= n_bits <= (_MAX_BITS_PER_TABLE + 1) * self.n_tables - 1:
            raise ValueError(
                f"n_tables is {self.n_tables}, but the codes have {n_bits} bits; "
                f"expected from 1 to {_MAX_BITS_PER_TABLE} bits for each table"
            )
        self.bits_per_table = n_bits // self.n_tables
        self._tables = Tables(self.n_tables, self.bits_per_table)

    def _settings(self) -> dict[str, Any]:
        return {"n_tables": self.n_tables}

    def __getstate__(self) -> dict[str, Any]:
        # A copy fills tables of its own.
        return {**self.__dict__, "_tables": Tables(self.n_tables, self.bits_per_table)}

    def _keep(self, rows: Ids) -> None:
        super()._keep(rows)
        self._tables = Tables(self.n_tables, self.bits_per_table)

    def search(
        self,
        queries: Any,
        k: int,
        *,
        n_probes: int = 1,
        rerank_metric: str | None = None,
        n_read: Ids | None = None,
        mask: ArrayLike | None = None,
        rerank: Array | None = None,
        oversample: float | None = None,
        threads: int | None = None,
    ) -> Neighbors:
        """Find the `k` nearest of each query's candidates.

        Parameters
        ----------
        queries, k
            As in `FlatIndex.search`. If there are fewer candidates, the results are padded.
        n_probes : int
            Buckets to look at in each table. With ``2 ** bits_per_table`` or more, or more than 64 if there
            are no more rows than probes, all rows are candidates, and the search of codes is exact.
        rerank_metric, n_read, mask, rerank, oversample, threads
            As in `FlatIndex.search`.

        Returns
        -------
        distances : int32 or, with `rerank`, float32 array (nq, k)
            ``distances[i, r]`` is the distance of query ``i`` to its ``r``-th nearest candidate: the number
            of bits in which the codes differ, or what `rerank_metric` says. INT32_MAX or inf where there are
            fewer than `k` candidates.
        indices : int64 array (nq, k)
            The ids of these rows; -1 where there are none. Sorted by (distance, id): ties go to the lower id.

        Raises
        ------
        TypeError, ValueError
            As in `FlatIndex.search`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.hashing import RandomHyperplanes
        >>> from fastcodes.index import LSHIndex
        >>> X = np.array([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0]])
        >>> index = LSHIndex(RandomHyperplanes(n_bits=32).fit(X), n_tables=2)
        >>> index.add(X)
        >>> index.search([1.0, 0.05], k=3, n_probes=2, rerank=X)
        (array([[0.0025, 0.0025,    inf]], dtype=float32), array([[ 0,  1, -1]]))
        """
        near, width = self._probe(n_probes, mask, threads)
        checked = self.codec.as_queries(queries, threads=threads)
        return self._search(near, checked, k, rerank, rerank_metric, oversample, n_read, threads, width)

    def radius_search(  # type: ignore[override]  # one more keyword
        self,
        queries: Any,
        radius: int,
        *,
        n_probes: int = 1,
        mask: ArrayLike | None = None,
        threads: int | None = None,
    ) -> Ragged:
        """Find each query's candidates at a Hamming distance of at most `radius`.

        Parameters
        ----------
        queries
            As in `FlatIndex.search`.
        radius : int
            In bits, 0 or more; inclusive.
        n_probes, mask, threads
            As in `search`.

        Returns
        -------
        offsets, distances, indices : int64, int32 and int64 arrays
            As `FlatIndex.radius_search` returns them.

        Raises
        ------
        TypeError, ValueError
            As in `search`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.hashing import RandomHyperplanes
        >>> from fastcodes.index import LSHIndex
        >>> X = np.eye(4)
        >>> index = LSHIndex(RandomHyperplanes(n_bits=16).fit(X), n_tables=2)
        >>> index.add(X)
        >>> index.radius_search(X[2], radius=0)
        (array([0, 1]), array([0], dtype=int32), array([2]))
        """
        radius = as_integer(radius, "radius", 0)
        near, width = self._probe(n_probes, mask, threads)

        def within(block: Floats) -> Ragged:
            return ragged(_within(near, block, radius, len(self), _FIRST_CANDIDATES), np.int32)

        return self._radius_search(within, self.codec.as_queries(queries, threads=threads), width)

    def _probe(
        self, n_probes: int, mask: ArrayLike | None, threads: int | None
    ) -> tuple[Callable[[Floats, int], Neighbors], int]:
        """Return a search of the candidates of queries, and how many numbers it computes for each."""
        n_probes = as_integer(n_probes, "n_probes", 1)
        selected = self._ids.mask(mask)
        tables, codes = self._filled()
        if n_probes >= min(1 << self.bits_per_table, max(len(codes), _MANY_PROBES)):
            return lambda block, n: self._storage.knn(
                self.codec.encode(block, threads=threads), n, mask=selected, threads=threads
            ), self._storage.operand_size
        probing = Probing(self.bits_per_table, n_probes)

        def near(block: Floats, n: int) -> Neighbors:
            values = self.codec.decision_function(block, threads=threads)
            signs = bits.pack(values)
            starts, stops = tables.find(self._probes(values, signs, probing))
            return _native.hamming_candidates_knn(
                signs, codes, (starts, stops, None, tables.ids), n, selected, threads
            )

        return near, self.n_tables * probing.width * _NUMBERS_PER_SCORE

    def _filled(self) -> tuple[Tables, Codes]:
        """Return tables that have all rows, and the rows."""
        # In this order, so that tables that another thread fills meanwhile have no more rows than the codes.
        # Without a lock, which the child of a fork might find taken: two threads may do the same work.
        tables, codes = self._tables, self._storage.codes
        if tables.n_rows < len(codes):
            self._tables = tables = tables.extended(codes)
        return tables, codes

    def _probes(self, values: Floats, codes: Codes, probing: Probing) -> Ids:
        """Return the keys that each query looks up in each table, (nq, n_tables, n_probes)."""
        n_tables, k = self.n_tables, self.bits_per_table
        margins = np.abs(values[:, : n_tables * k]).reshape(len(values), n_tables, k)
        return keys_of(codes, n_tables, k)[:, :, None] ^ probing.flips(margins)


def _within(
    near: Callable[[Floats, int], Neighbors], block: Floats, radius: int, n_rows: int, n: int
) -> list[tuple[Array, Ids]]:
    """Return the distances and rows of each query within a radius: of the `n` nearest, or of more."""
    n = min(n, n_rows)
    distances, rows = near(block, n)
    is_near = (rows >= 0) & (distances <= radius)
    found = [(d[part], r[part]) for d, r, part in zip(distances, rows, is_near, strict=True)]
    if n < n_rows:
        for query in np.flatnonzero(is_near[:, -1]):
            found[query] = _within(near, block[query : query + 1], radius, n_rows, 8 * n)[0]
    return found
