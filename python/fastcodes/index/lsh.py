"""An index of hash tables over binary codes."""

from __future__ import annotations

import copy
import math
import os
import threading
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes import _files, _native, bits, hamming, hashing
from fastcodes._estimator import check_fitted
from fastcodes._typing import Codes, Ids, Mask
from fastcodes._validation import as_codes, as_integer, as_samples, describe, finite_float32
from fastcodes.hashing.base import Hasher
from fastcodes.index._rows import checked_oversample, checked_rerank, checked_rows, rescored
from fastcodes.index._tables import Probing, Tables, keys_of, probing_of

__all__ = ["LSHIndex"]

Results = tuple[NDArray[np.int32] | NDArray[np.float32], Ids]

_MOST_BITS = 32
# Scores of sets of bits, for the queries that are hashed together.
_SCORES = 1 << 22


class LSHIndex:
    r"""Vectors in hash tables, of which a search looks at those in a few buckets only.

    The first ``n_tables * k`` bits of a code are cut into ``n_tables`` keys of ``k`` bits, and each table
    holds the rows by one of them (locality-sensitive hashing: Indyk and Motwani, STOC 1998). A row is a
    *candidate* of a query if one of its keys is among those that the query probes. If each bit of two vectors
    is equal with probability :math:`p`, as :math:`p = 1 - \theta / \pi` for an angle :math:`\theta` and
    `fastcodes.hashing.RandomHyperplanes`, that happens with one probe a table with probability
    :math:`1 - (1 - p^k)^L`, a steep S-curve. Further probes flip the bits of which the query is least sure:
    the sets of bits with the smallest sums of squared margins (Lv, Josephson, Wang, Charikar and Li,
    *Multi-probe LSH*, VLDB 2007), so that fewer tables do.

    Candidates are ranked by the Hamming distance of the whole codes; with ``rerank=`` the nearest of them are
    scored again by the vectors themselves, where you keep them.

    Parameters
    ----------
    hasher : a model of fastcodes.hashing with `encode` and `decision_function`
        A fitted one. The index keeps a copy, so that training it again does not change what codes mean.
    n_tables : int
        Tables L. Each takes ``k = hasher.n_bits // n_tables`` bits, from 1 to 32; about as many as the binary
        logarithm of the number of vectors are good.

    Attributes
    ----------
    hasher
        The copy.
    n_tables, bits_per_table : int
        L and k.
    n_features : int
        Dimensions of a vector, ``d``.
    codes : uint8 array (n, n_bytes)
        A copy of the codes: row ``i`` is vector ``i``.
    nbytes : int
        Bytes that the codes take; the tables take 4 to 36 bytes more for each row and table.

    Raises
    ------
    TypeError
        If `hasher` is something else, or `n_tables` is not an integer.
    NotFittedError
        If it is not fitted; a ValueError.
    ValueError
        If its bits are too few for the tables, or too many.

    See Also
    --------
    fastcodes.hamming.knn : The search of all codes, which is exact.

    Notes
    -----
    Vectors are named by their row, in the order in which they were added. Any number of threads may search at
    once; `add`, `add_codes` and `remove` need the index for themselves.

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

    def __init__(self, hasher: Hasher, n_tables: int = 8) -> None:
        if not isinstance(hasher, Hasher):
            raise TypeError(
                "hasher must be a model of fastcodes.hashing that makes codes, such as RandomHyperplanes; "
                f"got {describe(hasher)}"
            )
        check_fitted(hasher)
        n_bits = hasher._n_bits
        self.n_tables = as_integer(n_tables, "n_tables", 1)
        if not self.n_tables <= n_bits <= (_MOST_BITS + 1) * self.n_tables - 1:
            raise ValueError(
                f"n_tables is {self.n_tables}, but the codes have {n_bits} bits; "
                f"expected from 1 to {_MOST_BITS} bits for each table"
            )
        self.hasher = copy.deepcopy(hasher)
        self.bits_per_table = n_bits // self.n_tables
        self._codes = np.empty((0, -(-n_bits // 8)), np.uint8)  # may have rows for more
        self._n_rows = 0
        self._tables = Tables(self.n_tables, self.bits_per_table)
        self._filling = threading.Lock()

    @property
    def n_features(self) -> int:
        """Dimensions of a vector."""
        return self.hasher.n_features_in_

    @property
    def codes(self) -> Codes:
        """A copy of the codes, uint8 ``(n, n_bytes)``: row ``i`` is vector ``i``."""
        return self._rows.copy()

    @property
    def nbytes(self) -> int:
        """Bytes that the codes take."""
        return self._rows.nbytes

    def __len__(self) -> int:
        return self._n_rows

    def __repr__(self) -> str:
        return f"LSHIndex({self.hasher!r}, n_tables={self.n_tables}), {len(self)} vectors"

    def __getstate__(self) -> dict[str, Any]:
        # Tables are made again, and a copy has codes of its own: both may be added to.
        tables = Tables(self.n_tables, self.bits_per_table)
        state = {**self.__dict__, "_codes": self.codes, "_tables": tables}
        del state["_filling"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _filling=threading.Lock())

    @property
    def _rows(self) -> Codes:
        return self._codes[: self._n_rows]

    # --- contents ------------------------------------------------------------------------------------------

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

        Notes
        -----
        The next search puts them into the tables. Many small additions cost about as much as a large one.
        """
        self._append(self.hasher.encode(X))

    def add_codes(self, codes: Codes) -> None:
        """Add vectors that were encoded before.

        Parameters
        ----------
        codes : uint8 array (n, n_bytes)
            As ``hasher.encode`` gives them.

        Raises
        ------
        TypeError
            If `codes` is not a uint8 array.
        ValueError
            If it has another shape, or ones after the last bit.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.hashing import RandomHyperplanes
        >>> from fastcodes.index import LSHIndex
        >>> X = np.eye(4)
        >>> hasher = RandomHyperplanes(n_bits=16).fit(X)
        >>> index = LSHIndex(hasher, n_tables=2)
        >>> index.add_codes(hasher.encode(X))
        >>> index.search(X[2], k=1)
        (array([[0]], dtype=int32), array([[2]]))
        """
        given = as_codes(codes, self._codes.shape[1], 256).astype(np.uint8, copy=False)
        n_bits = self.hasher._n_bits
        padding = (1 << -n_bits % 8) - 1
        wrong = np.flatnonzero(given[:, -1] & padding)
        if wrong.size:
            raise ValueError(
                f"codes has ones after bit {n_bits} in row {wrong[0]}; "
                "expected zeros there, as fastcodes.bits.pack leaves them"
            )
        self._append(given)

    def _append(self, codes: Codes) -> None:
        n_rows = self._n_rows + len(codes)
        if n_rows > len(self._codes) or not self._codes.flags.writeable:
            grown = np.empty((max(n_rows, self._n_rows * 3 // 2), self._codes.shape[1]), np.uint8)
            grown[: self._n_rows] = self._rows
            self._codes = grown
        self._codes[self._n_rows : n_rows] = codes
        self._n_rows = n_rows

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
        >>> from fastcodes.hashing import RandomHyperplanes
        >>> from fastcodes.index import LSHIndex
        >>> X = np.eye(4)
        >>> index = LSHIndex(RandomHyperplanes(n_bits=16).fit(X), n_tables=2)
        >>> index.add(X)
        >>> index.remove([0, 1])
        2
        >>> index.search(X[2], k=1)
        (array([[0]], dtype=int32), array([[0]]))

        Notes
        -----
        The next search makes all tables anew, so remove many at a time.
        """
        kept = np.ones(len(self), bool)
        kept[checked_rows(ids, len(self))] = False
        n_removed = len(kept) - int(np.count_nonzero(kept))
        if n_removed:
            self._codes = self._rows[kept]
            self._n_rows = len(self._codes)
            self._tables = Tables(self.n_tables, self.bits_per_table)
        return n_removed

    def _filled(self) -> tuple[Tables, Codes]:
        """Return tables that have all rows, and the rows."""
        with self._filling:
            rows = self._rows
            if self._tables.n_rows < len(rows):
                self._tables = self._tables.extended(rows)
            return self._tables, rows

    # --- search --------------------------------------------------------------------------------------------

    def search(
        self,
        queries: ArrayLike,
        k: int,
        n_probes: int = 1,
        mask: Mask | None = None,
        rerank: NDArray[Any] | None = None,
        metric: str = "l2",
        oversample: float = 16,
        threads: int | None = None,
    ) -> Results:
        """Find the `k` nearest of each query's candidates.

        Parameters
        ----------
        queries : array_like (nq, d)
            float16, float32, float64 or integers; a one-dimensional array is one query.
        k : int
            Neighbours per query, 0 or more. Beyond the candidates that there are, the results are padded.
        n_probes : int
            Buckets to look at in each table. With ``2 ** bits_per_table`` or more all rows are candidates,
            and the search of codes is exact.
        mask : bool array (n,) or integer array of row ids, optional
            The vectors that take part. Ids may come in any order; one that is given twice counts once.
        rerank : array (n, d) of float16, float32, float64 or integers, optional
            The vectors themselves: row ``i`` is vector ``i``. Only the rows of candidates are read, so that a
            memory map on a disk serves. They are taken as they are: for an inner product of normalised
            vectors, normalise them.
        metric : {"l2", "ip"}
            With `rerank`: squared L2 distance, or the negative inner product.
        oversample : float
            With `rerank`: so many candidates for each of the `k` results, 1 or more, are scored: those
            nearest by the Hamming distance of the whole codes.
        threads : int, optional
            Threads to use at most; None means all CPUs of this process, or as many as the environment
            variable ``FASTCODES_NUM_THREADS`` says; 1 starts none.

        Returns
        -------
        distances : int32 or, with `rerank`, float32 array (nq, k)
            ``distances[i, r]`` is the distance of query ``i`` to its ``r``-th nearest candidate: the number
            of bits in which their whole codes differ, or what `metric` says. 2147483647 or inf where there
            are fewer than `k` candidates.
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
        >>> from fastcodes.hashing import RandomHyperplanes
        >>> from fastcodes.index import LSHIndex
        >>> X = np.array([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0]])
        >>> index = LSHIndex(RandomHyperplanes(n_bits=32).fit(X), n_tables=2)
        >>> index.add(X)
        >>> index.search([1.0, 0.05], k=3, n_probes=2, rerank=X)
        (array([[0.0025, 0.0025,    inf]], dtype=float32), array([[ 0,  1, -1]]))
        """
        n_near = as_integer(k, "k", 0)
        n_probes = as_integer(n_probes, "n_probes", 1)
        floats = self._queries(queries)
        if metric not in ("l2", "ip"):
            raise ValueError(f'metric must be "l2" or "ip"; got {metric!r}')
        oversample = checked_oversample(oversample)
        if rerank is not None:
            checked_rerank(rerank, (len(self), self.n_features))
            n_near = min(math.ceil(oversample * n_near), len(self))

        tables, rows = self._filled()
        probing = None
        if n_probes < 1 << self.bits_per_table:
            probing = probing_of(self.bits_per_table, n_probes)
        # Few enough queries that the scores of all sets of bits, and the results, are a few megabytes.
        width = self.n_tables * (1 if probing is None else len(probing.weights))
        step = max(1, _SCORES // max(width, n_near))
        found: list[Results] = []
        for start in range(0, max(1, len(floats)), step):
            block = floats[start : start + step]
            values = self.hasher.decision_function(block)
            codes = bits.pack(values)
            if probing is None:
                near = hamming.knn(codes, rows, n_near, mask=mask, threads=threads)
            else:
                starts, stops = tables.find(self._probes(values, codes, probing))
                near = _native.hamming_lists_knn(
                    codes, rows, starts, stops, tables.ids, n_near, mask, threads
                )
            found.append(near if rerank is None else rescored(block, near[1], rerank, metric, k))
        if len(found) == 1:
            return found[0]
        return np.concatenate([part[0] for part in found]), np.concatenate([part[1] for part in found])

    def _queries(self, queries: ArrayLike) -> NDArray[np.float32]:
        """Return all queries as finite float32, so that an error tells the row that the user knows."""
        given = np.asarray(queries)
        samples = as_samples(
            given[None] if given.ndim == 1 else given, self.n_features, "this LSHIndex", "queries"
        )
        return finite_float32(samples, range(len(samples)), "queries")

    def _probes(self, values: NDArray[np.float32], codes: Codes, probing: Probing) -> Ids:
        """Return the keys that each query looks up in each table, (nq, n_tables, n_probes)."""
        n_tables, k = self.n_tables, self.bits_per_table
        margins = np.abs(values[:, : n_tables * k]).reshape(len(values), n_tables, k)
        return keys_of(codes, n_tables, k)[:, :, None] ^ probing.flips(margins)

    # --- files ---------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write codes and hasher to a file.

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
        executed. It holds the codes and what the hasher has learned; tables are made anew.
        """
        hasher = self.hasher
        learned = {f"hasher.{name}": array for name, array in hasher._to_arrays().items()}
        params = {"n_tables": self.n_tables, "hasher": type(hasher).__name__, "params": _files_params(hasher)}
        _files.write(path, "LSHIndex", params, {"codes": self._rows, **learned})

    @classmethod
    def load(cls, path: str | os.PathLike[str], mmap: bool = True) -> LSHIndex:
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
        LSHIndex

        Raises
        ------
        OSError
            If there is no such file, or it cannot be read.
        ValueError
            If it is not the whole file of an LSHIndex, or was altered.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> from fastcodes.hashing import RandomHyperplanes
        >>> from fastcodes.index import LSHIndex
        >>> X = np.eye(4)
        >>> index = LSHIndex(RandomHyperplanes(n_bits=16).fit(X), n_tables=2)
        >>> index.add(X)
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     index.save(os.path.join(directory, "index.safetensors"))
        ...     loaded = LSHIndex.load(os.path.join(directory, "index.safetensors"), mmap=False)
        >>> loaded.search(X[2], k=1)
        (array([[0]], dtype=int32), array([[2]]))
        """
        params, arrays = _files.read(path, "LSHIndex", mmap=mmap)
        with _files.refusing(path, "LSHIndex"):
            name = params["hasher"]
            model = getattr(hashing, name, None) if name in hashing.__all__ else None
            if not (isinstance(model, type) and issubclass(model, Hasher)):
                raise ValueError(f"its hasher is {name!r}, which is no model of fastcodes.hashing")
            hasher = model(**params["params"])
            learned = {key[7:]: array for key, array in arrays.items() if key.startswith("hasher.")}
            hasher._from_arrays({key: np.array(array) for key, array in learned.items()})
            index = cls(hasher, params["n_tables"])
            codes = _files.take(arrays, "codes", np.uint8, ("n", index._codes.shape[1]))
            index._codes, index._n_rows = codes, len(codes)
        return index


def _files_params(hasher: Hasher) -> dict[str, Any]:
    """Return the parameters as they stand in a file."""
    params = hasher.get_params()
    if "random_state" in params and not isinstance(params["random_state"], (int, np.integer)):
        params["random_state"] = None
    return params
