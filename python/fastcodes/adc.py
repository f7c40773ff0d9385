"""Asymmetric distance computation: search of product-quantised codes by table look-ups.

Product quantisation cuts a vector into M parts and keeps of each the number of the nearest of K codewords: M
bytes a vector. A query is not quantised: its table has the distance of each of its parts to each codeword,
and the distance to a row is the sum of M entries (ADC: Jégou, Douze and Schmid, *Product quantization for
nearest neighbor search*, IEEE TPAMI 33, 2011, eq. 13).

=============  ====================================  ==================================================
array          shape                                 meaning
=============  ====================================  ==================================================
codebooks      float32 ``(M, K, d / M)``, K <= 256   ``codebooks[m, c]`` is codeword ``c`` of part ``m``
codes          uint8 ``(n, M)``                      ``codes[i, m]`` is the codeword of row ``i``
tables         float32 ``(nq, M, K)``                ``tables[q, m, c]`` is how far codeword ``c`` is
=============  ====================================  ==================================================

That is the layout of faiss and nanopq; K = 16 takes one byte a code here too. `PackedCodes` holds the same
codes rearranged, for repeated searches.

A sum is float32, added up over m = 0, 1, .. from zero, and results are exactly those of these sums, for every
number of threads and every instruction set. On the way sums of bytes bound them from below, and rule out most
rows unseen (after André, Kermarrec and Le Scouarnec, *Quicker ADC*, IEEE TPAMI 43, 2019, whose sums
approximate).
"""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastcodes import _files, _native
from fastcodes._blocks import blocks
from fastcodes._typing import Codes, Mask
from fastcodes._validation import float32_array, real_array

__all__ = ["PackedCodes", "encode", "knn", "radius", "scan", "tables"]

Vectors = npt.NDArray[Any]

_BLOCK_ROWS = 256
_LINE = 64


def tables(
    queries: Vectors, codebooks: npt.NDArray[np.float32], metric: str = "l2", threads: int | None = None
) -> npt.NDArray[np.float32]:
    """Compute how far each codeword is from each query's part.

    Parameters
    ----------
    queries : array (nq, d)
        Numbers of any real dtype, computed with as float32; a one-dimensional array is one query.
    codebooks : float32 array (M, K, d / M)
        The codewords of each part.
    metric : {"l2", "ip"}
        "l2" is the squared Euclidean distance, the sum over dimensions 0, 1, .. of ``(q - c) ** 2``; "ip" the
        *negative* inner product, so that smaller is nearer here too.
    threads : int, optional
        Threads to use at most; None means all CPUs of this process, or as many as the environment variable
        ``FASTCODES_NUM_THREADS`` says; 1 starts none. More than there are CPUs are not started.

    Returns
    -------
    float32 array (nq, M, K)
        ``result[q, m, c]`` belongs to query ``q``, part ``m`` and codeword ``c``.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or `threads` is not an integer.
    ValueError
        If queries and codebooks differ in dimensions, or a number is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import adc
    >>> codebooks = np.array([[[0.0], [1.0]], [[0.0], [5.0]]], np.float32)  # two parts, two codewords each
    >>> adc.tables(np.array([1.0, 4.0]), codebooks)
    array([[[ 1.,  0.],
            [16.,  1.]]], dtype=float32)

    Notes
    -----
    The numpy equivalent::

        parts = queries.reshape(nq, M, 1, d // M)
        ((parts - codebooks) ** 2).sum(axis=-1)  # "l2"
        -(parts * codebooks).sum(axis=-1)  # "ip"
    """
    return _native.adc_tables(float32_array(queries, "queries"), codebooks, metric, threads)


def scan(
    tables: npt.NDArray[np.float32],
    codes: Codes | PackedCodes,
    out: npt.NDArray[np.float32] | None = None,
    threads: int | None = None,
) -> npt.NDArray[np.float32]:
    """Compute the distances of all rows.

    Parameters
    ----------
    tables : float32 array (nq, M, K)
        As `tables` makes them; a two-dimensional array is one query.
    codes : uint8 array (n, M) or PackedCodes
        The database.
    out : float32 array (nq, n), optional
        C-contiguous; receives the result.
    threads : int, optional
        As in `tables`.

    Returns
    -------
    float32 array (nq, n)
        ``result[q, i]`` is the sum over ``m`` of ``tables[q, m, codes[i, m]]``; `out` itself, if it was
        given.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or `threads` is not an integer.
    ValueError
        If tables and codes differ in M, a code is not below K, a table entry is not finite, or `out` has
        another shape, is read-only or not C-contiguous.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import adc
    >>> tables = np.array([[1, 0], [16, 1]], np.float32)
    >>> codes = np.array([[0, 0], [1, 1], [1, 0]], np.uint8)
    >>> adc.scan(tables, codes)
    array([[17.,  1., 16.]], dtype=float32)

    Notes
    -----
    The numpy equivalent::

        np.stack([sum(table[m][codes[:, m]] for m in range(M)) for table in tables])
    """
    return _native.adc_scan(tables, *_source(codes), out, threads)


def knn(
    tables: npt.NDArray[np.float32],
    codes: Codes | PackedCodes,
    k: int,
    mask: Mask | None = None,
    threads: int | None = None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Find the `k` rows with the smallest distances to each query, exactly.

    Parameters
    ----------
    tables : float32 array (nq, M, K)
        As `tables` makes them; a two-dimensional array is one query. Entries may have any sign.
    codes : uint8 array (n, M) or PackedCodes
        The database. For several searches of the same codes, pack them once.
    k : int
        Neighbours per query, 0 or more. Beyond the rows that there are, the results are padded.
    mask : bool array (n,) or integer array of row ids, optional
        The rows that take part. Ids may come in any order; one that is given twice counts once.
    threads : int, optional
        As in `tables`.

    Returns
    -------
    distances : float32 array (nq, k)
        ``distances[q, r]`` is the distance of query ``q`` to its ``r``-th nearest row, as `scan` gives it;
        inf where there are fewer than `k` rows.
    indices : int64 array (nq, k)
        These rows; -1 where there are none. Sorted by (distance, index): a tie goes to the lower index.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or `k` or `threads` is not an integer.
    ValueError
        If tables and codes differ in M, a code is not below K, a table entry is not finite, or a value is out
        of range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import adc
    >>> tables = np.array([[1, 0], [16, 1]], np.float32)
    >>> codes = np.array([[0, 0], [1, 1], [1, 0]], np.uint8)
    >>> distances, indices = adc.knn(tables, codes, k=2)
    >>> distances
    array([[ 1., 16.]], dtype=float32)
    >>> indices
    array([[1, 2]])

    Notes
    -----
    The numpy equivalent, with ``d = scan(tables, codes)``::

        indices = np.argsort(d, axis=1, kind="stable")[:, :k]
        distances = np.take_along_axis(d, indices, axis=1)
    """
    return _native.adc_knn(tables, *_source(codes), k, mask, threads)


def radius(
    tables: npt.NDArray[np.float32],
    codes: Codes | PackedCodes,
    radius: float,
    mask: Mask | None = None,
    threads: int | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Find all rows at a distance of at most `radius` from each query.

    Parameters
    ----------
    tables, codes
        As in `knn`.
    radius : float
        Any sign, inclusive; for "l2" tables the *square* of a Euclidean radius. It is rounded to float32
        before it is compared.
    mask, threads
        As in `knn`.

    Returns
    -------
    offsets : int64 array (nq + 1,)
        The results of query ``q`` are ``offsets[q]:offsets[q + 1]`` of the other two arrays.
    distances : float32 array
        Their distances.
    indices : int64 array
        Their rows, within a query sorted by (distance, index).

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or a number the wrong type.
    ValueError
        As in `knn`; if `radius` is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import adc
    >>> tables = np.array([[1, 0], [16, 1]], np.float32)
    >>> codes = np.array([[0, 0], [1, 1], [1, 0]], np.uint8)
    >>> adc.radius(tables, codes, radius=16)
    (array([0, 2]), array([ 1., 16.], dtype=float32), array([1, 2]))

    Notes
    -----
    The numpy equivalent for one query, with ``d = scan(tables, codes)``: ``np.flatnonzero(d[q] <= radius)``,
    sorted by distance.
    """
    return _native.adc_radius(tables, *_source(codes), radius, mask, threads)


def encode(x: Vectors, codebooks: npt.NDArray[np.float32], threads: int | None = None) -> Codes:
    """Find the nearest codeword of each part of each vector.

    Parameters
    ----------
    x : array (n, d)
        Numbers of any real dtype, computed with as float32; a one-dimensional array is one vector. Other
        dtypes than float32 are converted block by block.
    codebooks : float32 array (M, K, d / M)
        The codewords of each part.
    threads : int, optional
        As in `tables`.

    Returns
    -------
    uint8 array (n, M)
        ``result[i, m]`` is the number of the codeword with the smallest squared Euclidean distance to part
        ``m`` of ``x[i]``; of equally near ones, the lowest.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or `threads` is not an integer.
    ValueError
        If vectors and codebooks differ in dimensions, or a number is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import adc
    >>> codebooks = np.array([[[0.0], [1.0]], [[0.0], [5.0]]], np.float32)  # two parts, two codewords each
    >>> adc.encode(np.array([[0.8, 4.0], [0.1, 2.0]]), codebooks)
    array([[1, 1],
           [0, 0]], dtype=uint8)

    Notes
    -----
    The numpy equivalent: ``tables(x, codebooks).argmin(axis=-1)``.
    """
    x = real_array(x, "x")
    rows = x[None] if x.ndim == 1 else x
    n_subspaces = codebooks.shape[0] if isinstance(codebooks, np.ndarray) and codebooks.ndim == 3 else 0
    codes = np.empty((len(rows) if rows.ndim == 2 else 0, n_subspaces), np.uint8)
    if rows.ndim != 2 or not rows.size or (rows.dtype == np.float32 and rows.flags.c_contiguous):
        _native.adc_encode(float32_array(rows, "x"), codebooks, codes, None, threads)
        return codes
    for part, block in blocks(rows, "x"):
        _native.adc_encode(block, codebooks, codes[part], None, threads)
    return codes


class _Rows(NamedTuple):
    """What packed codes hold at one moment; replaced as a whole, so that nobody sees a half of it."""

    bytes: Codes
    """Rows are appended, so there may be more bytes than those of the rows that there are."""
    n: int
    largest: int


class PackedCodes:
    """Codes rearranged for repeated searches, with 16 codewords two to a byte.

    Blocks of 256 rows hold one subspace after the other, so that a register takes 64 rows at once. It is
    searched by `knn`, `radius` and `scan` in place of the array, with the same results.

    Parameters
    ----------
    codes : uint8 array (n, M)
        One byte a subspace, whatever `n_codewords` is.
    n_codewords : {256, 16}
        Codes are below this. Tables may have fewer codewords.
    threads : int, optional
        As in `tables`.

    Attributes
    ----------
    n_codewords, n_subspaces : int
        As they were given.
    shape : tuple of int
        ``(n, M)``, as of the array.
    nbytes : int
        Bytes of the blocks: about ``n * M``, or half of it for 16 codewords.

    Raises
    ------
    TypeError
        If `codes` has the wrong dtype.
    ValueError
        If a code is not below `n_codewords`, or that is neither 16 nor 256.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import adc
    >>> tables = np.array([[1, 0], [16, 1]], np.float32)
    >>> packed = adc.PackedCodes(np.array([[0, 0], [1, 1]], np.uint8), n_codewords=16)
    >>> packed.append(np.array([[1, 0]], np.uint8))
    >>> adc.knn(tables, packed, k=2)
    (array([[ 1., 16.]], dtype=float32), array([[1, 2]]))
    >>> packed.unpack()
    array([[0, 0],
           [1, 1],
           [1, 0]], dtype=uint8)
    """

    def __init__(self, codes: Codes, n_codewords: int = 256, threads: int | None = None) -> None:
        try:
            self.n_codewords = {16: 16, 256: 256}[operator.index(n_codewords)]
        except (TypeError, KeyError):
            raise ValueError(f"n_codewords must be 16 or 256; got {n_codewords!r}") from None
        is_array = isinstance(codes, np.ndarray) and codes.ndim in (1, 2)
        self.n_subspaces = int(codes.shape[-1]) if is_array else 0  # what is no array is refused below
        self._rows = _Rows(np.zeros(0, np.uint8), 0, 0)
        self._appending = threading.Lock()
        self.append(codes, threads)

    def __len__(self) -> int:
        return self._rows.n

    def __repr__(self) -> str:
        return f"PackedCodes(<{len(self)} x {self.n_subspaces}>, n_codewords={self.n_codewords})"

    def __getstate__(self) -> dict[str, Any]:
        # A copy has bytes of its own: both may be appended to.
        rows = self._rows
        state = {**self.__dict__, "_rows": rows._replace(bytes=self._used(rows).copy())}
        del state["_appending"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _appending=threading.Lock())

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and subspaces."""
        return len(self), self.n_subspaces

    @property
    def nbytes(self) -> int:
        """Bytes that the rows take."""
        return self._n_bytes(len(self))

    def append(self, codes: Codes, threads: int | None = None) -> None:
        """Add rows at the end.

        Parameters
        ----------
        codes : uint8 array (n, M)
            Of the same M; a one-dimensional array is one row.
        threads : int, optional
            As in `tables`.

        Raises
        ------
        TypeError
            If `codes` has the wrong dtype.
        ValueError
            If M differs, or a code is not below `n_codewords`; nothing is added then.
        """
        is_array = isinstance(codes, np.ndarray) and codes.ndim in (1, 2)
        if is_array and codes.shape[-1] != self.n_subspaces:
            raise ValueError(
                f"codes have {codes.shape[-1]} subspaces but the packed ones have {self.n_subspaces}"
            )
        with self._appending:
            rows = self._rows
            n_rows = rows.n + (len(codes) if is_array and codes.ndim == 2 else 1)
            n_bytes = self._n_bytes(n_rows) if is_array else 0
            used, grown = self._used(rows), rows.bytes
            if n_bytes > len(grown) or not grown.flags.writeable:
                grown = _zeros(max(n_bytes, len(used) * 3 // 2))
                grown[: len(used)] = used
            try:
                largest = _native.adc_pack(codes, self.n_codewords, rows.n, grown[:n_bytes], threads)
            except BaseException:
                begun = rows.n % _BLOCK_ROWS
                if begun and len(used):  # what was written into the last block goes
                    last = grown[: len(used)].reshape(-1, self._n_planes, _BLOCK_ROWS)[-1]
                    last[:, begun:] = 0
                raise
            self._rows = _Rows(grown, n_rows, max(rows.largest, largest))

    def unpack(self, start: int = 0, stop: int | None = None, threads: int | None = None) -> Codes:
        """Give rows as an array again.

        Parameters
        ----------
        start, stop : int
            The rows, as in a slice: negative ones count from the end.
        threads : int, optional
            As in `tables`.

        Returns
        -------
        uint8 array (stop - start, M)
        """
        packed = self._packed()
        start, stop, _ = slice(start, stop).indices(packed[1])
        codes = np.empty((max(stop - start, 0), self.n_subspaces), np.uint8)
        _native.adc_unpack(packed, start, codes, threads)
        return codes

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file.

        Parameters
        ----------
        path : path-like
            Where to write; a file that is there is replaced.
        """
        _files.write(path, "PackedCodes", *self._to_file())

    @classmethod
    def load(cls, path: str | os.PathLike[str], mmap: bool = True) -> PackedCodes:
        """Read a file that `save` wrote.

        Parameters
        ----------
        path : path-like
            The file.
        mmap : bool
            Whether to map the codes, and not to load them: they are read as they are searched, and shared by
            all processes that do so. The first `append` loads them.

        Returns
        -------
        PackedCodes

        Raises
        ------
        OSError
            If there is no such file.
        ValueError
            If it is not a whole, unaltered file of packed codes.
        """
        params, arrays = _files.read(path, "PackedCodes", mmap=mmap)
        with _files.refusing(path, "PackedCodes"):
            return cls._from_file(params, arrays)

    def _to_file(self) -> tuple[dict[str, Any], dict[str, Codes]]:
        """Return parameters and arrays as they stand in a file."""
        rows = self._rows
        params = {
            "n_rows": rows.n,
            "n_subspaces": self.n_subspaces,
            "n_codewords": self.n_codewords,
            "largest": rows.largest,
        }
        return params, {"blocks": self._used(rows)}

    @classmethod
    def _from_file(cls, params: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> PackedCodes:
        """Take them back, with a ValueError where they do not fit."""
        numbers = [params[name] for name in ("n_rows", "n_subspaces", "n_codewords", "largest")]
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError(f"its parameters are not integers: {params}")
        n_rows, n_subspaces, n_codewords, largest = numbers
        if n_codewords not in (16, 256) or n_subspaces == 0 or largest >= n_codewords:
            raise ValueError(f"its parameters are out of range: {params}")
        packed = cls(np.zeros((0, n_subspaces), np.uint8), n_codewords)
        blocks = _files.take(arrays, "blocks", np.uint8, (packed._n_bytes(n_rows),))
        packed._rows = _Rows(blocks, n_rows, largest)
        return packed

    @property
    def _n_planes(self) -> int:
        return self.n_subspaces if self.n_codewords == 256 else (self.n_subspaces + 1) // 2

    def _n_bytes(self, n_rows: int) -> int:
        return -(-n_rows // _BLOCK_ROWS) * self._n_planes * _BLOCK_ROWS

    def _used(self, rows: _Rows) -> Codes:
        return rows.bytes[: self._n_bytes(rows.n)]

    def _packed(self) -> tuple[Codes, int, int, int, int]:
        rows = self._rows
        return self._used(rows), rows.n, self.n_subspaces, self.n_codewords, rows.largest


def _zeros(n_bytes: int) -> Codes:
    """Return bytes that begin with a cache line, since a register is as long as one."""
    spare = np.zeros(n_bytes + _LINE - 1, np.uint8)
    return spare[-spare.ctypes.data % _LINE :][:n_bytes]


def _source(codes: Codes | PackedCodes) -> tuple[Codes | None, tuple[Codes, int, int, int, int] | None]:
    return (None, codes._packed()) if isinstance(codes, PackedCodes) else (codes, None)
