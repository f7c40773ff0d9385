"""The contract of all indexes."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes import _files
from fastcodes._codec import Codec
from fastcodes._estimator import check_fitted
from fastcodes._storage import Storage
from fastcodes._typing import Array, Floats, Ids, PathLike, UnsignedCodes
from fastcodes._validation import (
    as_bool,
    as_integer,
    as_option,
    as_output,
    as_real,
    check_threads,
    describe,
)
from fastcodes.index._ids import RowIds, changes
from fastcodes.index._reranking import METRICS, check_vectors, reranked

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Distances", "Index", "Neighbors", "Ragged"]

Distances = NDArray[np.int32] | NDArray[np.float32]
Neighbors = tuple[Distances, Ids]
Ragged = tuple[Ids, Distances, Ids]

# Numbers in the operands or results of the queries that are searched together. Large, since each block of
# queries reads all codes once more.
_NUMBERS_PER_BLOCK = 1 << 24
# Neighbors that are fetched beyond `k` where ties have to be sorted by ids that do not follow the rows.
_MORE_FOR_TIES = 64
# More neighbors than an index of this many rows has are refused.
_MOST_NEIGHBORS = 1 << 20
_LAST = np.iinfo(np.int64).max


class Index:
    """Codes with ids, which can be added, searched, removed, saved and loaded.

    All indexes share these methods and their arguments; see `FlatIndex` for the simplest one.

    Every row has an id, an int64 from 0 up, which is what searches return. By default ids count up from 0, so
    that the id of a row is its number. Ids survive removals: other rows keep theirs, and new rows get the
    numbers that follow the largest id so far. You can give ids of your own when you add. Results are sorted
    by (distance, id), so that they do not depend on the order in which rows were added.

    Any number of threads may search at once, also while others add rows: a search sees the rows of a moment
    between its start and its end. `remove` and `update` need the index for themselves. A fork waits for
    running changes.

    Parameters
    ----------
    codec : Codec
        The fitted model that makes the codes. The index keeps a copy, so that training the model again does
        not change what the codes mean.
    metric : str
        The distance, one of ``codec.metrics``.
    """

    def __init__(self, codec: Codec, metric: str | None = None) -> None:
        if not isinstance(codec, Codec):
            raise TypeError(
                "codec must be a fitted model of fastcodes.quantization or fastcodes.hashing that makes "
                f"codes; got {describe(codec)}"
            )
        check_fitted(codec)
        self.codec = copy.deepcopy(codec)
        self.metric = codec.metrics[0] if metric is None else as_option(metric, "metric", codec.metrics)
        self._storage = self._new_storage()
        self._ids = RowIds()

    @property
    def _coder(self) -> Codec:
        """What makes the rows of the storage: the codec, unless an index adds something to its codes."""
        return self.codec

    def _new_storage(self) -> Storage:
        return self._coder.storage(self.metric)

    def _settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor but for the codec, as JSON values."""
        return {"metric": self.metric}

    def __len__(self) -> int:
        return len(self._storage)

    def __repr__(self) -> str:
        settings = "".join(f", {name}={value!r}" for name, value in self._settings().items())
        return f"{type(self).__name__}({self.codec!r}{settings}), {len(self)} rows"

    @property
    def ids(self) -> Ids:
        """A copy of the ids, int64 ``(n,)``, in the order in which the rows were added."""
        return self._ids.values

    @property
    def codes(self) -> Any:
        """A copy of the codes as the codec makes them, in the order in which the rows were added."""
        return self._coder.from_rows(self._storage.take(slice(None)))

    @property
    def nbytes(self) -> int:
        """Bytes that the codes take, and the ids unless they are the default ones."""
        return self._storage.nbytes + self._ids.nbytes

    # --- contents ------------------------------------------------------------------------------------------

    def add(self, X: Any, *, ids: ArrayLike | None = None, threads: int | None = None) -> None:
        """Encode samples and add their codes.

        Parameters
        ----------
        X : array_like (n, d)
            What ``codec.encode`` takes, as a rule vectors: float16, float32, float64 or integers. A memory
            map is read a block at a time.
        ids : array_like of int (n,), optional
            Unique ids from 0 up, which no row has yet. By default the numbers that follow the largest id so
            far.
        threads : int, optional
            Threads to use at most; None means all CPUs of this process, or the number in the environment
            variable ``FASTCODES_NUM_THREADS``; 1 starts none.

        Raises
        ------
        TypeError
            If `X` or `ids` have the wrong dtype.
        ValueError
            If they have another shape, a value that is not finite, or an id that is there already. Nothing is
            added then.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.index import FlatIndex
        >>> from fastcodes.quantization import ProductQuantizer
        >>> X = np.arange(64, dtype=np.uint8).reshape(32, 2)
        >>> index = FlatIndex(ProductQuantizer(n_subspaces=2, n_codewords=16, random_state=0).fit(X))
        >>> index.add(X)
        >>> index.add(X[:3], ids=[1000, 2000, 3000])
        >>> len(index), index.ids[-4:]
        (35, array([  31, 1000, 2000, 3000]))
        """
        self._append(self._coder.rows(X, threads=threads), ids, threads)

    def add_codes(self, codes: Any, *, ids: ArrayLike | None = None, threads: int | None = None) -> None:
        """Add rows that were encoded before.

        Parameters
        ----------
        codes : array (n, code_size)
            Codes as ``codec.encode`` returns them: for a `RaBitQuantizer` a tuple (codes, factors).
        ids, threads
            As in `add`.

        Raises
        ------
        TypeError
            If `codes` or `ids` have the wrong dtype.
        ValueError
            If they have another shape, or a value that the codec does not make. Nothing is added then.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.index import FlatIndex
        >>> from fastcodes.quantization import ProductQuantizer
        >>> quantizer = ProductQuantizer.from_codebooks(np.array([[[0.0], [5.0]]], np.float32))
        >>> index = FlatIndex(quantizer)
        >>> index.add_codes(np.array([[1], [0]], np.uint8))
        >>> index.reconstruct([0, 1])
        array([[5.],
               [0.]], dtype=float32)
        """
        self._append(self._coder.as_codes(codes), ids, threads)

    def merge(self, other: Index, *, ids: ArrayLike | None = None, threads: int | None = None) -> None:
        """Add all rows of another index, whose codec makes the same codes.

        Parameters
        ----------
        other : Index
            It is not changed. Its codec is of the same class, with the same parameters and what it learned;
            the metric, and the tables of an index, may differ.
        ids, threads
            As in `add`: by default the rows get the numbers that follow the largest id of this index. Give
            ``other.ids`` to keep those of `other`.

        Raises
        ------
        TypeError
            If `other` is not an index, or `ids` have the wrong dtype.
        ValueError
            If its codec makes other codes, or an id is there already. Nothing is added then.

        Examples
        --------
        >>> from fastcodes.index import MinHashIndex
        >>> index, other = MinHashIndex(), MinHashIndex()
        >>> index.add([["a", "b"]])
        >>> other.add([["b", "a"], ["c"]])
        >>> index.merge(other)
        >>> index.groups()
        array([0, 0, 2])

        Notes
        -----
        Equal to ``add_codes(other.codes, ids=ids)``, after a comparison of the codecs.
        """
        if not isinstance(other, Index):
            raise TypeError(f"other must be an index; got {describe(other)}")
        if not _make_same_codes(self._coder, other._coder):
            raise ValueError(
                f"other is {other!r}, which makes other codes than this index, {self!r}; expected copies of "
                "one fitted model, with the same lists if there are any"
            )
        self._append(other._storage.take(slice(None)), ids, threads)

    def _append(self, codes: UnsignedCodes, ids: ArrayLike | None, threads: int | None) -> None:
        check_threads(threads)
        with changes:
            new = self._ids.new(ids, len(codes))
            self._storage.append(codes, threads=threads)
            self._ids.append(new)

    def remove(self, ids: ArrayLike) -> int:
        """Remove rows; the others keep their ids and their order.

        Parameters
        ----------
        ids : int, array_like of int (m,) or bool array (n,)
            Ids in any order, where duplicates count once; or booleans over the rows.

        Returns
        -------
        int
            The number of rows that were removed.

        Raises
        ------
        TypeError
            If `ids` are not integers or booleans.
        ValueError
            If there is no such id (the message names the first), or a boolean array has another length.
            Nothing is removed then.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.index import FlatIndex
        >>> from fastcodes.quantization import ProductQuantizer
        >>> X = np.array([[1.0], [9.0], [2.0]], np.float32)
        >>> index = FlatIndex(ProductQuantizer.from_codebooks(np.array([[[0.0], [8.0]]], np.float32)))
        >>> index.add(X)
        >>> index.remove([0])
        1
        >>> index.search([8.0], k=2, rerank=X)
        (array([[ 1., 36.]], dtype=float32), array([[1, 2]]))

        Notes
        -----
        Each call copies all codes, so remove many rows at a time.
        """
        with changes:
            kept = self._others(self._ids.rows(ids))
            n_removed = len(self) - len(kept)
            if n_removed:
                self._keep(kept)
                self._ids.keep(kept)
            return n_removed

    def _others(self, rows: Ids) -> Ids:
        """Return all rows but these."""
        is_other = np.ones(len(self), bool)
        is_other[rows] = False
        return np.flatnonzero(is_other)

    def _keep(self, rows: Ids) -> None:
        """Keep the codes of some rows, which ascend."""
        self._storage.keep(rows)

    def update(self, ids: ArrayLike, X: Any, *, threads: int | None = None) -> None:
        """Replace rows by the codes of other samples; they keep their ids, and come last in the order.

        Parameters
        ----------
        ids : array_like of int (m,) or bool array (n,)
            Ids in any order, each once; or booleans over the rows.
        X : array_like (m, d)
            Sample ``i`` replaces the row with the id ``ids[i]``; as in `add`.
        threads : int, optional
            As in `add`.

        Raises
        ------
        TypeError
            If `ids` are not integers or booleans, or `X` has the wrong dtype.
        ValueError
            If there is no such id, or one is there twice; if there is not one sample for each; or as in
            `add`. Nothing is changed then.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.index import FlatIndex
        >>> from fastcodes.quantization import ProductQuantizer
        >>> index = FlatIndex(ProductQuantizer.from_codebooks(np.array([[[0.0], [8.0]]], np.float32)))
        >>> index.add([[1.0], [9.0], [2.0]])
        >>> index.update([0], [[7.0]])
        >>> index.reconstruct([0, 1, 2]).ravel(), index.ids
        (array([8., 8., 0.], dtype=float32), array([1, 2, 0]))

        Notes
        -----
        The same as ``remove(ids)`` and ``add(X, ids=ids)``, but for errors, which change nothing. Each call
        copies all codes, so replace many rows at a time.
        """
        check_threads(threads)
        codes = self._coder.rows(X, threads=threads)
        with changes:
            rows = self._ids.rows(ids)
            if len(np.unique(rows)) < len(rows):
                raise ValueError("ids has an id twice; expected each once")
            if len(rows) != len(codes):
                raise ValueError(f"X has {len(codes)} samples, but there are {len(rows)} ids")
            if len(rows):
                numbers, others = self._ids.values[rows], self._others(rows)
                self._storage.append(codes, threads=threads)
                self._keep(self._others(rows))  # of the new ones, too
                self._ids.keep(others)
                self._ids.append(numbers)

    def reconstruct(self, ids: ArrayLike) -> Array:
        """Return what the codes of some rows stand for.

        Parameters
        ----------
        ids : int, array_like of int (m,) or bool array (n,)
            Ids in any order, with repetitions; or booleans over the rows.

        Returns
        -------
        array (m, d)
            Row ``i`` approximates the vector with the id ``ids[i]``; for a single int an array ``(d,)``.

        Raises
        ------
        TypeError
            If `ids` are not integers or booleans, or the codes do not stand for vectors, as those of a hash
            function.
        ValueError
            If there is no such id (the message names the first), or a boolean array has another length.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.index import FlatIndex
        >>> from fastcodes.quantization import ProductQuantizer
        >>> index = FlatIndex(ProductQuantizer.from_codebooks(np.array([[[0.0], [8.0]]], np.float32)))
        >>> index.add([[1.0], [9.0]])
        >>> index.reconstruct([1, 0])
        array([[8.],
               [0.]], dtype=float32)
        >>> index.reconstruct(1)
        array([8.], dtype=float32)

        Notes
        -----
        Equal to ``codec.decode`` of these codes.
        """
        vectors = self._coder.decode(self._storage.take(self._ids.rows(ids)))
        return vectors[0] if np.ndim(ids) == 0 else vectors

    # --- search --------------------------------------------------------------------------------------------

    def search(
        self,
        queries: Any,
        k: int,
        *,
        rerank_metric: str | None = None,
        n_read: Ids | None = None,
        mask: ArrayLike | None = None,
        rerank: Array | None = None,
        oversample: float | None = None,
        threads: int | None = None,
    ) -> Neighbors:
        """Find the `k` nearest rows of each query.

        Without `rerank`, distances are those of the codes. With it, the ``oversample * k`` nearest by codes
        are scored again by their own vectors.

        Parameters
        ----------
        queries : array_like (nq, d)
            What ``codec.encode`` takes, as a rule vectors: float16, float32, float64 or integers; a
            one-dimensional array is one query.
        k : int
            Neighbors per query, 0 or more, and not beyond both the rows and 2**20. If there are fewer rows,
            the results are padded.
        rerank_metric : {"l2", "ip", "cosine"}, optional
            The distance of re-ranking: squared L2, the negative inner product, or one minus the cosine. By
            default the metric of the index if it is one of them, else "l2".
        n_read : int64 array (nq,), optional
            With `rerank`, it is filled with the number of vectors that each query was compared with.
        mask : array_like of bool (n,) or of int, optional
            The rows to search: booleans over the rows in the order of `ids`, or ids in any order, where
            duplicates count once.
        rerank : array (n, d) of float16, float32, float64 or integers, optional
            The vectors: ``rerank[i]`` is the vector with the id ``i``. It stays valid after removals, and ids
            of your own are then the row numbers of this array. Only the rows of candidates are read, so it
            may be a memory map. float32 numbers are read where they are; others are converted, a few
            megabytes at a time. Where distances are estimates with a known error (`RaBitQuantizer`),
            candidates that it rules out are not compared: see `n_read`.
        oversample : float, optional
            With `rerank`, the number of candidates for each of the `k` results, 1 or more. By default 4, or
            16 for codes of hash functions, which are coarser, and of a `RaBitQuantizer`.
        threads : int, optional
            Threads to use at most; None means all CPUs of this process, or the number in the environment
            variable ``FASTCODES_NUM_THREADS``; 1 starts none.

        Returns
        -------
        distances : float32 or int32 array (nq, k)
            ``distances[i, r]`` is the distance of query ``i`` to its ``r``-th nearest row, int32 for Hamming
            distances. inf or INT32_MAX where there are fewer than `k` rows.
        indices : int64 array (nq, k)
            The ids of these rows; -1 where there are none. Sorted by (distance, id): ties go to the lower id.

        Raises
        ------
        TypeError
            If an array has the wrong dtype, or a number the wrong type.
        ValueError
            If a shape does not fit, a value is out of range, a query is not finite, or the exact distance to
            a candidate is not a finite float32.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.index import FlatIndex
        >>> from fastcodes.quantization import ProductQuantizer
        >>> X = np.array([[0.0], [1.0], [6.0], [9.0]], np.float32)
        >>> index = FlatIndex(ProductQuantizer.from_codebooks(np.array([[[0.0], [8.0]]], np.float32)))
        >>> index.add(X)
        >>> index.search([[7.0]], k=2)
        (array([[1., 1.]], dtype=float32), array([[2, 3]]))
        >>> index.search([[7.0]], k=2, mask=np.array([0, 1, 3]), rerank=X)
        (array([[ 4., 36.]], dtype=float32), array([[3, 1]]))

        Notes
        -----
        With `rerank`, the numpy equivalent for a query ``q`` with the candidates ``c`` and "l2"::

            distances = ((rerank[c].astype(np.float32) - q) ** 2).sum(axis=1)
            indices = c[np.lexsort((c, distances))[:k]]

        Sums are rounded in an order of their own, the same for every CPU, number of threads and dtype.
        """
        checked = self._coder.as_queries(queries, threads=threads)
        return self._search(
            self._near(mask, threads), checked, k, rerank, rerank_metric, oversample, n_read, threads
        )

    def _n_neighbors(self, k: Any) -> int:
        """Return `k`, unless the results would be padding that fills the memory."""
        number, most = as_integer(k, "k", 0), max(len(self), _MOST_NEIGHBORS)
        if number > most:
            raise ValueError(f"k is {number}, but the index has {len(self)} rows; expected at most {most}")
        return number

    def _near(self, mask: ArrayLike | None, threads: int | None) -> Callable[[Array, int], Neighbors]:
        """Return a search of all rows that a mask selects."""
        rows = self._ids.mask(mask)

        def near(block: Array, n: int) -> Neighbors:
            operand = self._coder.operand(block, self.metric, threads=threads)
            return self._storage.knn(operand, n, mask=rows, threads=threads)

        return near

    def radius_search(
        self, queries: Any, radius: float, *, mask: ArrayLike | None = None, threads: int | None = None
    ) -> Ragged:
        """Find all rows at a distance of at most `radius` from each query.

        Parameters
        ----------
        queries
            As in `search`.
        radius : float, or int for Hamming distances
            Inclusive; for "l2" the *square* of a Euclidean radius.
        mask, threads
            As in `search`.

        Returns
        -------
        offsets : int64 array (nq + 1,)
            The results of query ``i`` are ``offsets[i]:offsets[i + 1]`` of the other two arrays.
        distances : float32 or int32 array
            Their distances.
        indices : int64 array
            Their ids, within a query sorted by (distance, id).

        Raises
        ------
        TypeError
            If an array has the wrong dtype, or a number the wrong type.
        ValueError
            As in `search`; or if the metric has no radius search.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.index import FlatIndex
        >>> from fastcodes.quantization import ProductQuantizer
        >>> index = FlatIndex(ProductQuantizer.from_codebooks(np.array([[[0.0], [8.0]]], np.float32)))
        >>> index.add([[0.0], [1.0], [6.0], [9.0]])
        >>> index.radius_search([[7.0], [3.0]], radius=9)
        (array([0, 2, 4]), array([1., 1., 9., 9.], dtype=float32), array([2, 3, 0, 1]))
        """
        rows = self._ids.mask(mask)

        def within(block: Array) -> Ragged:
            operand = self._coder.operand(block, self.metric, threads=threads)
            return self._storage.radius(operand, radius, mask=rows, threads=threads)

        return self._radius_search(within, self._coder.as_queries(queries, threads=threads))

    def _search(
        self,
        near: Callable[[Array, int], Neighbors],
        queries: Array,
        k: int,
        rerank: Array | None,
        rerank_metric: str | None,
        oversample: float | None,
        n_read: Ids | None,
        threads: int | None,
        width: int | None = None,
        doubts: Callable[[Array], Floats | None] | None = None,
    ) -> Neighbors:
        """Find neighbors by ``near(queries, n)``, which returns distances and rows, and score them again.

        `queries` are those that the codec returned. `width` is the number of values that are computed for
        each query, by default the operand. `doubts` are those of the codec by default.
        """
        n_near = self._n_neighbors(k)
        doubts = doubts or self._coder.doubts
        oversample = (
            self._coder.oversample if oversample is None else as_real(oversample, "oversample", at_least=1)
        )
        metric = self.metric if self.metric in METRICS else "l2"
        if rerank_metric is not None:
            metric = as_option(rerank_metric, "rerank_metric", METRICS)
        if rerank is not None:
            if not self._coder.encodes_vectors:
                raise ValueError(
                    f"rerank is for codes of vectors, but {type(self.codec).__name__} does not encode "
                    "vectors; leave it out"
                )
            check_vectors(rerank, self._ids.limit, queries.shape[1])
            n_near = min(math.ceil(oversample * n_near), len(self))
        if n_read is not None:
            as_output(n_read, (len(queries),), np.int64, name="n_read")
            n_read[:] = 0
        found, start = [], 0
        for block in self._blocks(queries, max(width or self._storage.operand_size, n_near)):
            neighbors = self._with_ids(near, block, n_near)
            if rerank is not None:
                bounds = self._bounds(doubts(block), *neighbors, threads) if metric == self.metric else None
                distances, ids, of_block = reranked(block, neighbors[1], rerank, metric, k, bounds, threads)
                neighbors = distances, ids
                if n_read is not None:
                    n_read[start : start + len(block)] = of_block
            found.append(neighbors)
            start += len(block)
        if len(found) == 1:
            return found[0]
        return np.concatenate([part[0] for part in found]), np.concatenate([part[1] for part in found])

    def _bounds(
        self, doubts: Floats | None, distances: Distances, ids: Ids, threads: int | None
    ) -> Floats | None:
        """Return what the distances of candidates are not expected to fall below, if they are estimates."""
        if doubts is None or ids.max(initial=-1) < 0:
            return None
        some = np.where(ids < 0, ids.max(), ids)  # any row for those that are missing, at the distance inf
        errors = self._storage.errors(self._ids.rows(some.ravel()), threads=threads)
        bounds: Floats = distances - errors.reshape(ids.shape) * doubts[:, None]
        return bounds

    def _radius_search(
        self,
        within: Callable[[Array], Ragged],
        queries: Array,
        width: int | None = None,
    ) -> Ragged:
        """Find all that ``within(queries)`` returns: offsets, distances and rows."""
        parts = [within(block) for block in self._blocks(queries, width or self._storage.operand_size)]
        counts = np.concatenate([np.diff(offsets) for offsets, _, _ in parts])
        offsets = np.zeros(len(counts) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        distances = np.concatenate([part for _, part, _ in parts])
        ids = self._ids.of(np.concatenate([part for _, _, part in parts]))
        if not self._ids.follow_rows:
            order = np.lexsort((ids, distances, np.repeat(np.arange(len(counts)), counts)))
            distances, ids = distances[order], ids[order]
        return offsets, distances, ids

    @staticmethod
    def _blocks(queries: Array, width: int) -> Iterator[Array]:
        """Yield queries that are searched together; one block without queries if there are none."""
        step = max(1, _NUMBERS_PER_BLOCK // max(width, 1))
        for start in range(0, max(1, len(queries)), step):
            yield queries[start : start + step]

    def _with_ids(
        self, near: Callable[[Array, int], Neighbors], block: Array, k: int, width: int | None = None
    ) -> Neighbors:
        """Return distances and ids, sorted by both."""
        distances: Array
        if self._ids.follow_rows or not k:
            distances, rows = near(block, k)
            return distances, self._ids.of(rows)
        # A search cuts ties at the end by row, so more are fetched until all that tie are there.
        width = max(k, min(width or 2 * k + _MORE_FOR_TIES, len(self)))
        distances, rows = near(block, width)
        ids = self._ids.of(rows)
        order = np.lexsort((np.where(ids < 0, _LAST, ids), distances), axis=1)
        distances = np.take_along_axis(distances, order, axis=1)
        is_cut = (rows[:, -1] >= 0) & (distances[:, -1] == distances[:, k - 1]) & (width < len(self))
        distances, ids = distances[:, :k].copy(), np.take_along_axis(ids, order[:, :k], axis=1)
        cut = np.flatnonzero(is_cut)
        for part in self._blocks(cut, 4 * width) if len(cut) else ():
            distances[part], ids[part] = self._with_ids(near, block[part], k, 4 * width)
        return distances, ids

    # --- files ---------------------------------------------------------------------------------------------

    def save(self, path: PathLike) -> None:
        """Write codes, ids and the codec with all its parameters to a file.

        Parameters
        ----------
        path : path-like
            A file that exists is replaced in one step; an index that was loaded from it stays valid. A
            `random_state` of the codec that is not an integer is not kept.

        See Also
        --------
        load : Read it back.

        Notes
        -----
        The file is in the format of safetensors: other programs can read its arrays, and nothing in it is
        executed. Codes are stored in the layout in which they are searched.
        """
        model, learned = self._coder.to_state()
        codec = {"class": type(self._coder).__name__, "params": model}
        with changes:
            contents, codes = self._storage.to_parts()
            next_id, ids = self._ids.to_parts()
        params = {"codec": codec, "settings": self._settings(), "contents": contents, "next_id": next_id}
        arrays = {**codes, **ids, **{f"codec.{name}": array for name, array in learned.items()}}
        _files.write(path, type(self).__name__, params, arrays)

    @classmethod
    def _restored(cls, coder: Codec, settings: Mapping[str, Any]) -> Self:
        """Return an empty index with the `_coder` and the `_settings` of one that was saved."""
        return cls(coder, **settings)

    @classmethod
    def load(cls, path: PathLike, *, mmap: bool = True, verify: bool = False) -> Self:
        """Read an index that `save` wrote.

        Parameters
        ----------
        path : path-like
            The file.
        mmap : bool
            Whether to map the codes, so that they are read when they are searched and processes share them. A
            mapped index supports all operations; the first `add` copies its codes to memory. A mapped file
            may be replaced, as `save` does, but not changed in place: like any memory map of a file that was
            cut short, the next read beyond its end kills the process.
        verify : bool
            Whether to verify the checksums of mapped arrays, which reads all of them. Loaded arrays
            (``mmap=False``) are always verified.

        Returns
        -------
        index

        Raises
        ------
        OSError
            If there is no such file, or it cannot be read.
        ValueError
            If it is not a complete file of an index of this class, or what was verified was altered.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> from fastcodes.index import FlatIndex
        >>> from fastcodes.quantization import ProductQuantizer
        >>> index = FlatIndex(ProductQuantizer.from_codebooks(np.array([[[0.0], [8.0]]], np.float32)))
        >>> index.add([[1.0], [9.0]])
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     index.save(os.path.join(directory, "index.safetensors"))
        ...     loaded = FlatIndex.load(os.path.join(directory, "index.safetensors"), mmap=False)
        >>> loaded.search([8.0], k=1)
        (array([[0.]], dtype=float32), array([[1]]))
        """
        kind = cls.__name__
        params, arrays = _files.read(path, kind, mmap=as_bool(mmap, "mmap"), verify=as_bool(verify, "verify"))
        with _files.refusing(path, kind):
            learned = {name[6:]: np.array(a) for name, a in arrays.items() if name.startswith("codec.")}
            entry, settings = params["codec"], params["settings"]
            if not (isinstance(entry["params"], dict) and isinstance(settings, dict)):
                raise TypeError("its parameters are not objects")
            codec = Codec.class_named(entry["class"]).from_state(entry["params"], learned)
            index = cls._restored(codec, settings)
            index._storage.restore(params["contents"], arrays)
            index._ids = RowIds.from_parts(params["next_id"], arrays, len(index))
        return index


def _make_same_codes(a: Codec, b: Codec) -> bool:
    """Whether models are of one class, with the same parameters and what they learned."""
    states = [
        {
            **learned,
            **{name: value for name, value in params.items() if name not in ("random_state", "verbose")},
        }
        for params, learned in (a.to_state(), b.to_state())
    ]
    return (
        type(a) is type(b)
        and states[0].keys() == states[1].keys()
        and all(np.array_equal(value, states[1][name]) for name, value in states[0].items())
    )
