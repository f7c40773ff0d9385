"""An index of product-quantised vectors."""

from __future__ import annotations

import copy
import math
import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes import _files, adc
from fastcodes._blocks import blocks
from fastcodes._estimator import check_fitted
from fastcodes._typing import Mask
from fastcodes._validation import as_codes, as_integer, as_samples, describe
from fastcodes.index._rows import checked_oversample, checked_rerank, checked_rows, rescored
from fastcodes.quantization import OptimizedProductQuantizer, ProductQuantizer

__all__ = ["PQIndex"]

Results = tuple[NDArray[np.float32], NDArray[np.int64]]

# Numbers in the tables, or in the distances of candidates, of the queries that are searched together. Large,
# since each block of queries reads all codes once more.
_QUERY_BLOCK = 1 << 24


class PQIndex:
    """Vectors kept as product-quantisation codes, searched by asymmetric distance.

    A vector is kept as ``M`` codes, one byte each (half a byte for 16 codewords or fewer), and nothing else
    of it is kept. The distance of a query to a vector is its distance to the vector that the codes stand
    for, a sum of ``M`` table look-ups (asymmetric distance computation: Jégou, Douze and Schmid, PAMI 33,
    2011). The search is exhaustive and exact: its results are the top-k of these distances. With
    ``rerank=``, the nearest by codes are scored again by the vectors themselves, where you keep them.

    Parameters
    ----------
    quantizer : ProductQuantizer or OptimizedProductQuantizer
        A fitted one. The index keeps a copy, so that training it again does not change what codes mean.
        Its `metric` is that of the index: squared L2 distance, or the negative inner product.

    Attributes
    ----------
    quantizer : ProductQuantizer or OptimizedProductQuantizer
        The copy.
    metric : {"l2", "ip"}
        What the distances are.
    n_features : int
        Dimensions of a vector, ``d``.
    codes : uint8 array (n, M)
        A copy of the codes, one byte each, one row a vector.
    nbytes : int
        Bytes that the codes take.

    Raises
    ------
    TypeError
        If `quantizer` is something else.
    NotFittedError
        If it is not fitted; a ValueError.

    See Also
    --------
    fastcodes.adc : The functions below, for codes that you keep yourself.
    fastcodes.interop.faiss : Indexes from and to faiss.

    Notes
    -----
    Vectors are named by their row, in the order in which they were added. Any number of threads may search at
    once; `add`, `add_codes` and `remove` need the index for themselves.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.index import PQIndex
    >>> from fastcodes.quantization import ProductQuantizer
    >>> X = np.random.default_rng(0).standard_normal((2000, 16)).astype(np.float32)
    >>> quantizer = ProductQuantizer(n_subspaces=4, n_codewords=16, random_state=0).fit(X)
    >>> index = PQIndex(quantizer)
    >>> index.add(X)
    >>> len(index), index.nbytes // len(index)
    (2000, 2)
    >>> distances, indices = index.search(X[:3], k=1, rerank=X)
    >>> indices.ravel().tolist(), distances.ravel().tolist()
    ([0, 1, 2], [0.0, 0.0, 0.0])
    """

    def __init__(self, quantizer: ProductQuantizer) -> None:
        if not isinstance(quantizer, ProductQuantizer):
            raise TypeError(
                "quantizer must be a ProductQuantizer or an OptimizedProductQuantizer; "
                f"got {describe(quantizer)}"
            )
        check_fitted(quantizer)
        self.quantizer = copy.deepcopy(quantizer)
        n_subspaces, n_codewords, _ = self.quantizer.codebooks_.shape
        self._packed = adc.PackedCodes(
            np.empty((0, n_subspaces), np.uint8), n_codewords=16 if n_codewords <= 16 else 256
        )

    @property
    def metric(self) -> str:
        """What the distances are: ``"l2"``, squared, or ``"ip"``, the negative inner product."""
        return self.quantizer.metric

    @property
    def n_features(self) -> int:
        """Dimensions of a vector."""
        return self.quantizer.n_features_in_

    @property
    def codes(self) -> NDArray[np.uint8]:
        """A copy of the codes, uint8 ``(n, M)``: row ``i`` is vector ``i``, one byte a subspace."""
        return self._packed.unpack()

    @property
    def nbytes(self) -> int:
        """Bytes that the codes take."""
        return self._packed.nbytes

    def __len__(self) -> int:
        return len(self._packed)

    def __repr__(self) -> str:
        return f"PQIndex({self.quantizer!r}), {len(self)} vectors"

    def add(self, X: ArrayLike) -> None:
        """Encode vectors and add their codes.

        Parameters
        ----------
        X : array_like (n, d)
            float16, float32, float64 or integers, one row a vector. Memory maps are read block by block. The
            vectors get the row ids that follow, from ``len(index)`` on.

        Raises
        ------
        TypeError
            If `X` are not real numbers.
        ValueError
            If `X` has another shape, or a value that is not finite. Nothing was added then.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.index import PQIndex
        >>> from fastcodes.quantization import ProductQuantizer
        >>> X = np.arange(64, dtype=np.uint8).reshape(32, 2)
        >>> index = PQIndex(ProductQuantizer(n_subspaces=2, n_codewords=16, random_state=0).fit(X))
        >>> index.add(X)
        >>> index.add(X[:3])
        >>> len(index)
        35
        """
        self._packed.append(self.quantizer.encode(X))

    def add_codes(self, codes: NDArray[np.uint8]) -> None:
        """Add vectors that were encoded before.

        Parameters
        ----------
        codes : uint8 array (n, M)
            As ``quantizer.encode`` gives them: one byte a subspace, each less than the number of codewords.

        Raises
        ------
        TypeError
            If `codes` is not a uint8 array.
        ValueError
            If it has another shape, or a code without a codeword.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.index import PQIndex
        >>> from fastcodes.quantization import ProductQuantizer
        >>> quantizer = ProductQuantizer.from_codebooks(np.array([[[0.0], [5.0]]], np.float32))
        >>> index = PQIndex(quantizer)
        >>> index.add_codes(np.array([[1], [0]], np.uint8))
        >>> index.reconstruct([0, 1])
        array([[5.],
               [0.]], dtype=float32)
        """
        n_subspaces, n_codewords, _ = self.quantizer.codebooks_.shape
        self._packed.append(as_codes(codes, n_subspaces, n_codewords))

    def search(
        self,
        queries: ArrayLike,
        k: int,
        mask: Mask | None = None,
        rerank: NDArray[Any] | None = None,
        oversample: float = 4,
        threads: int | None = None,
    ) -> Results:
        """Find the `k` nearest vectors of each query.

        Without `rerank`, distances are those to the vectors that the codes stand for, and the result is
        exactly their top-k. With it, the ``oversample * k`` nearest by codes are scored again by their own
        vectors.

        Parameters
        ----------
        queries : array_like (nq, d)
            float16, float32, float64 or integers; a one-dimensional array is one query.
        k : int
            Neighbours per query, 0 or more. Beyond the vectors that there are, the results are padded.
        mask : bool array (n,) or integer array of row ids, optional
            The vectors that take part. Ids may come in any order; one that is given twice counts once.
        rerank : array (n, d) of float16, float32, float64 or integers, optional
            The vectors themselves: row ``i`` is vector ``i``. Only the rows of candidates are read, so that a
            memory map on a disk serves. They are taken as they are: for an inner product of normalised
            vectors, normalise them.
        oversample : float
            Candidates for each of the `k` results, 1 or more; used with `rerank` only.
        threads : int, optional
            Threads of the search to use at most; None means all CPUs of this process, or as many as the
            environment variable ``FASTCODES_NUM_THREADS`` says; 1 starts none.

        Returns
        -------
        distances : float32 array (nq, k)
            ``distances[i, r]`` is the distance of query ``i`` to its ``r``-th nearest vector: squared L2,
            or the negative inner product. inf where there are fewer than `k` vectors.
        indices : int64 array (nq, k)
            The rows of these vectors; -1 where there are none. Sorted by (distance, index): a tie goes to the
            lower index.

        Raises
        ------
        TypeError
            If an array has the wrong dtype, or a number the wrong type.
        ValueError
            If a shape does not fit, a value is out of range, a query is not finite, or the exact distance
            to a candidate is not a finite float32.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.index import PQIndex
        >>> from fastcodes.quantization import ProductQuantizer
        >>> X = np.array([[0.0], [1.0], [6.0], [9.0]], np.float32)
        >>> index = PQIndex(ProductQuantizer.from_codebooks(np.array([[[0.0], [8.0]]], np.float32)))
        >>> index.add(X)
        >>> index.search([[7.0]], k=2)
        (array([[1., 1.]], dtype=float32), array([[2, 3]]))
        >>> index.search([[7.0]], k=2, mask=np.array([0, 1, 3]), rerank=X)
        (array([[ 4., 36.]], dtype=float32), array([[3, 1]]))

        Notes
        -----
        The numpy equivalent without `rerank`::

            distances = adc.scan(quantizer.tables(queries), index.codes)
            indices = np.argsort(distances, axis=1, kind="stable")[:, :k]

        and with it, for a query ``q`` with the candidates ``c`` and metric ``"l2"``::

            distances = ((rerank[c].astype(np.float32) - q) ** 2).sum(axis=1)
            indices = c[np.lexsort((c, distances))[:k]]
        """
        floats = self._queries(queries)
        n_candidates = as_integer(k, "k", 0)
        oversample = checked_oversample(oversample)
        if rerank is not None:
            checked_rerank(rerank, (len(self), self.n_features))
            n_candidates = min(math.ceil(oversample * n_candidates), len(self))

        width = max(self.quantizer.codebooks_[..., 0].size, n_candidates)
        step = max(1, _QUERY_BLOCK // width)
        found = []
        for start in range(0, max(1, len(floats)), step):
            block = floats[start : start + step]
            rotated = self.quantizer._rotated(block)
            tables = adc.tables(rotated, self.quantizer.codebooks_, self.metric, threads)
            distances, indices = adc.knn(tables, self._packed, n_candidates, mask=mask, threads=threads)
            if rerank is not None:
                distances, indices = rescored(block, indices, rerank, self.metric, k)
            found.append((distances, indices))
        if len(found) == 1:
            return found[0]
        return np.concatenate([part[0] for part in found]), np.concatenate([part[1] for part in found])

    def reconstruct(self, ids: ArrayLike) -> NDArray[np.float32]:
        """Return the vectors that codes stand for.

        Parameters
        ----------
        ids : int, array_like of int (m,) or bool array (n,)
            Row ids, in any order and as often as you like; or which of all rows.

        Returns
        -------
        float32 array (m, d)
            Row ``i`` approximates vector ``ids[i]``; for a single int an array ``(d,)``.

        Raises
        ------
        TypeError
            If `ids` are not integers or booleans.
        ValueError
            If there is no such row, or a boolean array has another length.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.index import PQIndex
        >>> from fastcodes.quantization import ProductQuantizer
        >>> index = PQIndex(ProductQuantizer.from_codebooks(np.array([[[0.0], [8.0]]], np.float32)))
        >>> index.add([[1.0], [9.0]])
        >>> index.reconstruct([1, 0])
        array([[8.],
               [0.]], dtype=float32)
        >>> index.reconstruct(1)
        array([8.], dtype=float32)

        Notes
        -----
        Equal to ``quantizer.decode(index.codes[ids])``, without unpacking all codes.
        """
        rows = checked_rows(ids, len(self))
        vectors = self.quantizer.decode(self._codes_of(rows))
        return vectors[0] if np.ndim(ids) == 0 else vectors

    def remove(self, ids: ArrayLike) -> int:
        """Remove vectors; those after them move up.

        The rows that stay keep their order and are numbered anew from 0, as with `numpy.delete` and in faiss.
        Do the same to the array that you give as `rerank`.

        Parameters
        ----------
        ids : int, array_like of int (m,) or bool array (n,)
            Row ids, in any order, one that is given twice counts once; or which of all rows to remove.

        Returns
        -------
        int
            How many were removed.

        Raises
        ------
        TypeError
            If `ids` are not integers or booleans.
        ValueError
            If there is no such row, or a boolean array has another length. Nothing was removed then.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.index import PQIndex
        >>> from fastcodes.quantization import ProductQuantizer
        >>> X = np.array([[1.0], [9.0], [2.0]], np.float32)
        >>> index = PQIndex(ProductQuantizer.from_codebooks(np.array([[[0.0], [8.0]]], np.float32)))
        >>> index.add(X)
        >>> index.remove([0])
        1
        >>> X = np.delete(X, [0], axis=0)
        >>> index.search([8.0], k=2, rerank=X)
        (array([[ 1., 36.]], dtype=float32), array([[0, 1]]))

        Notes
        -----
        The codes become ``np.delete(index.codes, ids, axis=0)``; the time is that of a copy of all codes, so
        remove many at a time.
        """
        kept = np.ones(len(self), bool)
        kept[checked_rows(ids, len(self))] = False
        removed = len(self) - int(np.count_nonzero(kept))
        if removed:
            self._packed = adc.PackedCodes(self.codes[kept], n_codewords=self._packed.n_codewords)
        return removed

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write codes and quantizer to a file.

        Parameters
        ----------
        path : path-like
            A file that is there is replaced in one step; an index that was loaded from it keeps what it has.

        See Also
        --------
        load : The way back.

        Notes
        -----
        The file is in the format of safetensors: other programs can read its arrays, and nothing in it is
        executed. It holds the codebooks, the rotation if there is one, and the codes as they are searched.
        """
        params, arrays = self._packed._to_file()
        learned = {"codebooks": self.quantizer.codebooks_}
        if isinstance(self.quantizer, OptimizedProductQuantizer):
            learned["rotation"] = self.quantizer.rotation_
        _files.write(path, "PQIndex", {**params, "metric": self.metric}, {**arrays, **learned})

    @classmethod
    def load(cls, path: str | os.PathLike[str], mmap: bool = True) -> PQIndex:
        """Read an index that `save` wrote.

        Parameters
        ----------
        path : path-like
            The file.
        mmap : bool
            Whether to map the codes, so that loading takes no time and processes share them. A mapped index
            can do all that others can; the first `add` copies its codes to memory. False reads the file and
            compares it with its checksums.

        Returns
        -------
        PQIndex

        Raises
        ------
        OSError
            If there is no such file, or it cannot be read.
        ValueError
            If it is not the whole file of a PQIndex, or was altered.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> from fastcodes.index import PQIndex
        >>> from fastcodes.quantization import ProductQuantizer
        >>> index = PQIndex(ProductQuantizer.from_codebooks(np.array([[[0.0], [8.0]]], np.float32)))
        >>> index.add([[1.0], [9.0]])
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     index.save(os.path.join(directory, "index.safetensors"))
        ...     loaded = PQIndex.load(os.path.join(directory, "index.safetensors"), mmap=False)
        >>> loaded.search([8.0], k=1)
        (array([[0.]], dtype=float32), array([[1]]))
        """
        params, arrays = _files.read(path, "PQIndex", mmap=mmap)
        with _files.refusing(path, "PQIndex"):
            codebooks = _files.take(arrays, "codebooks", np.float32, ("M", "K", "d / M"))
            quantizer: ProductQuantizer
            if "rotation" in arrays:
                d = codebooks.shape[0] * codebooks.shape[2]
                rotation = _files.take(arrays, "rotation", np.float32, (d, d))
                quantizer = OptimizedProductQuantizer.from_codebooks(
                    codebooks, rotation, metric=params["metric"]
                )
            else:
                quantizer = ProductQuantizer.from_codebooks(codebooks, metric=params["metric"])
            index = cls(quantizer)
            packed = adc.PackedCodes._from_file(params, arrays)
            for name in ("n_subspaces", "n_codewords"):
                given, expected = getattr(packed, name), getattr(index._packed, name)
                if given != expected:
                    raise ValueError(f"its codes have {name}={given}, but its codebooks {expected}")
            index._packed = packed
        return index

    def _queries(self, queries: ArrayLike) -> NDArray[np.float32]:
        """Return all queries as finite float32, so that an error tells the row that the user knows."""
        given = np.asarray(queries)
        samples = as_samples(
            given[None] if given.ndim == 1 else given, self.n_features, "this PQIndex", "queries"
        )
        floats = np.empty(samples.shape, np.float32)
        for rows, block in blocks(samples, "queries"):
            floats[rows] = block
        return floats

    def _codes_of(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the codes of some rows, unpacking no more than about their neighbours."""
        codes = np.empty((len(rows), self._packed.n_subspaces), np.uint8)
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        start = 0
        while start < len(rows):
            first = int(ascending[start])
            stop = int(np.searchsorted(ascending, first + 256))
            part = self._packed.unpack(first, int(ascending[stop - 1]) + 1)
            codes[order[start:stop]] = part[ascending[start:stop] - first]
            start = stop
        return codes
