"""An index of MinHash signatures: near-duplicates among many sets."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes import _files, _native, minhash
from fastcodes._typing import Ids
from fastcodes._validation import as_integer, as_real, as_signatures, describe
from fastcodes.hashing import MinHash

__all__ = ["MinHashIndex"]

Distances = NDArray[np.float32]


class MinHashIndex:
    """Sets kept as MinHash signatures, of which similar ones are found without comparing all.

    The slots of a signature are cut into bands. Sets are candidates if their signatures agree in all slots
    of a band, which has the probability ``1 - (1 - J**n_rows)**n_bands``: an S-curve that is chosen to rise
    near the threshold. Of the candidates those are kept whose similarity is at least the threshold: as
    their whole signatures estimate it, or exactly, where you give the sets (``verify=``).

    Parameters
    ----------
    model : MinHash, optional
        What makes the signatures; the index keeps a copy. Without it the defaults of `MinHash`: 128 slots,
        texts by shingles of three words.
    threshold : float
        The Jaccard similarity from which on sets are wanted, between 0 and 1.
    weights : pair of float
        What invented candidates and missed ones weigh in the choice of the bands: see
        `fastcodes.minhash.band_shape`.
    n_bands, n_rows : int, optional
        The bands and their slots, both or none, instead of that choice.

    Attributes
    ----------
    model : MinHash
        The copy.
    threshold : float
        As given.
    n_bands, n_rows : int
        The bands and their slots.
    ids : int64 array (n,)
        A copy of the ids, in the order in which they were added.
    signatures : uint32 array (n, n_hashes)
        A copy of the signatures.
    nbytes : int
        Bytes that signatures, tables and ids take.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or the model has `b_bits`.

    See Also
    --------
    fastcodes.minhash : The functions below.

    Notes
    -----
    Any number of threads may search at once; `add` needs the index for itself. Two sets without tokens are
    equal, and those alone have the similarity 1 to them.

    Examples
    --------
    >>> from fastcodes.index import MinHashIndex
    >>> texts = [
    ...     "the quick brown fox jumps over the lazy dog near the river bank",
    ...     "a completely different sentence about databases and hashing in rust",
    ...     "The quick brown fox jumps over the lazy dog, near the river bank!",
    ... ]
    >>> index = MinHashIndex(threshold=0.8)
    >>> index.add(texts)
    >>> index.pairs()
    (array([0]), array([2]), array([0.], dtype=float32))
    >>> index.add(["quick brown fox jumps over the lazy dog near the river bank"], ids=[70])
    >>> offsets, distances, ids = index.query([texts[0]], verify=[*texts, texts[0][4:]])
    >>> ids, distances.round(3)
    (array([ 0,  2, 70]), array([0.   , 0.   , 0.091], dtype=float32))
    >>> index.groups(verify=[*texts, texts[0][4:]])
    array([0, 1, 0, 0])
    """

    def __init__(
        self,
        model: MinHash | None = None,
        threshold: float = 0.8,
        *,
        weights: tuple[float, float] = (0.1, 0.9),
        n_bands: int | None = None,
        n_rows: int | None = None,
    ) -> None:
        if model is None:
            model = MinHash()
        if not isinstance(model, MinHash):
            raise TypeError(f"model must be a MinHash; got {describe(model)}")
        if model.b_bits is not None:
            raise ValueError(
                f"model has b_bits={model.b_bits}, but bands are of whole slots; "
                "give a MinHash with b_bits=None"
            )
        self.model = copy.deepcopy(model)
        if not hasattr(self.model, "seed_"):
            self.model.fit()
        n_hashes = self.model.n_hashes
        self.threshold = as_real(threshold, "threshold", above=0, below=1)
        chosen = minhash.band_shape(n_hashes, self.threshold, weights=weights)
        if (n_bands is None) != (n_rows is None):
            raise ValueError("n_bands and n_rows go together: give both, or none")
        if n_bands is not None and n_rows is not None:
            chosen = (
                as_integer(n_bands, "n_bands", 1, n_hashes),
                as_integer(n_rows, "n_rows", 1, n_hashes),
            )
        self.n_bands, self.n_rows = chosen
        self._bands = _native.MinHashBands(n_hashes, *chosen)
        self._ids = np.empty(0, np.int64)
        # Only once ids were given: ids by default are new by themselves.
        self._known: set[int] | None = None

    @property
    def ids(self) -> Ids:
        """A copy of the ids, int64 ``(n,)``, in the order in which they were added."""
        return self._ids[: len(self)].copy()

    @property
    def signatures(self) -> NDArray[np.uint32]:
        """A copy of the signatures, uint32 ``(n, n_hashes)``."""
        return self._bands.signatures()

    @property
    def nbytes(self) -> int:
        """Bytes that signatures, tables and ids take."""
        return self._bands.nbytes + 8 * len(self)

    def __len__(self) -> int:
        return len(self._bands)

    def __repr__(self) -> str:
        return (
            f"MinHashIndex({self.model!r}, threshold={self.threshold}, n_bands={self.n_bands}, "
            f"n_rows={self.n_rows}), {len(self)} sets"
        )

    def add(
        self,
        sets: Sequence[Any] | tuple[NDArray[Any], NDArray[Any]],
        ids: ArrayLike | None = None,
        *,
        threads: int | None = None,
    ) -> None:
        """Encode sets or texts and add their signatures.

        Parameters
        ----------
        sets : sequence of str, sequence of collections, or pair of arrays
            As `MinHash.encode` takes them.
        ids : array_like of int (n,), optional
            What the sets are called in results, each another number; by default the numbers that follow the
            largest so far, from 0 on.
        threads : int, optional
            Threads to use at most; None means all CPUs of this process.

        Raises
        ------
        TypeError, ValueError
            If sets are something else, or an id is there already. Nothing was added then.
        """
        self.add_signatures(self.model.encode(sets, threads=threads), ids, threads=threads)

    def add_signatures(
        self, signatures: NDArray[np.uint32], ids: ArrayLike | None = None, *, threads: int | None = None
    ) -> None:
        """Add signatures that were computed before.

        Parameters
        ----------
        signatures : uint32 array (n, n_hashes)
            As ``model.encode`` gives them.
        ids, threads
            As in `add`.

        Raises
        ------
        TypeError, ValueError
            If signatures or ids are something else, or an id is there already. Nothing was added then.

        Examples
        --------
        >>> from fastcodes.index import MinHashIndex
        >>> index = MinHashIndex()
        >>> index.add_signatures(index.model.encode([["a", "b"], ["a", "b"], ["c"]]), ids=[10, 20, 30])
        >>> index.query([["b", "a"]])
        (array([0, 2]), array([0., 0.], dtype=float32), array([10, 20]))
        """
        rows, n_before = as_signatures(signatures), len(self)
        new, known = self._new_ids(ids, len(rows))
        if n_before + len(rows) > len(self._ids):
            grown = np.empty(max(n_before + len(rows), 2 * n_before), np.int64)
            grown[:n_before] = self._ids[:n_before]
            self._ids = grown
        self._bands.add(rows, threads)
        self._ids[n_before : n_before + len(rows)] = new
        if known is not None:
            known.update(new.tolist())
            self._known = known

    def query(
        self,
        sets: Sequence[Any] | tuple[NDArray[Any], NDArray[Any]],
        threshold: float | None = None,
        *,
        verify: Sequence[Any] | tuple[NDArray[Any], NDArray[Any]] | None = None,
        threads: int | None = None,
    ) -> tuple[Ids, Distances, Ids]:
        """Find the candidates of each set that are similar to it.

        Parameters
        ----------
        sets : sequence of str, sequence of collections, or pair of arrays
            As `MinHash.encode` takes them.
        threshold : float, optional
            The similarity from which on candidates are kept, 0 to 1, that of the index by default; 0 keeps
            all candidates. The bands stay as they are.
        verify : sequence of str, sequence of collections, or pair of arrays, optional
            The sets of the index, in the order in which they were added: candidates are compared with them
            exactly. Without it their similarity is estimated, with a standard error of ``sqrt(J (1 - J) /
            n_hashes)``.
        threads : int, optional
            Threads to use at most; None means all CPUs of this process.

        Returns
        -------
        offsets : int64 array (nq + 1,)
            The results of query ``i`` are ``offsets[i]:offsets[i + 1]`` of the other two arrays.
        distances : float32 array
            Their Jaccard distances, ``1 - J``.
        ids : int64 array
            Their ids, within a query sorted by (distance, order of addition).

        Raises
        ------
        TypeError, ValueError
            If an argument is wrong.
        """
        limit = self._limit(threshold)
        if verify is None:
            offsets, differing, rows = self._bands.query(
                self.model.encode(sets, threads=threads), limit, threads
            )
            return offsets, self._distances(differing), self._ids[rows]
        tokens = self.model._tokens(sets)
        signatures = self.model.encode(tokens, threads=threads)
        offsets, _, rows = self._bands.query(signatures, 0, threads)
        queries = np.repeat(np.arange(len(signatures)), np.diff(offsets))
        found = minhash.jaccard(tokens, self._verified(verify), queries, rows, threads=threads)
        keep = found >= np.float32(self._threshold(threshold))
        queries, rows, found = queries[keep], rows[keep], found[keep]
        order = np.lexsort((rows, -found, queries))
        offsets = np.append(0, np.bincount(queries, minlength=len(signatures)).cumsum())
        return offsets.astype(np.int64), 1 - found[order], self._ids[rows[order]]

    def pairs(
        self,
        threshold: float | None = None,
        *,
        verify: Sequence[Any] | tuple[NDArray[Any], NDArray[Any]] | None = None,
        threads: int | None = None,
    ) -> tuple[Ids, Ids, Distances]:
        """Find all pairs of candidates that are similar: near-duplicates.

        Parameters
        ----------
        threshold, verify
            As in `query`.

        Returns
        -------
        i, j : int64 arrays
            The ids of each pair, the one that was added first in `i`; sorted by the order of addition.
        distances : float32 array
            Their Jaccard distances, ``1 - J``.

        Raises
        ------
        TypeError, ValueError
            If an argument is wrong.
        MemoryError
            If there are more pairs than fit: `groups` needs no pairs.
        """
        if verify is None:
            i, j, differing = self._bands.pairs(self._limit(threshold), threads)
            return self._ids[i], self._ids[j], self._distances(differing)
        i, j, _ = self._bands.pairs(0, threads)
        tokens = self._verified(verify)
        found = minhash.jaccard(tokens, tokens, i, j, threads=threads)
        keep = found >= np.float32(self._threshold(threshold))
        return self._ids[i[keep]], self._ids[j[keep]], 1 - found[keep]

    def groups(
        self,
        threshold: float | None = None,
        *,
        verify: Sequence[Any] | tuple[NDArray[Any], NDArray[Any]] | None = None,
        threads: int | None = None,
    ) -> Ids:
        """Find the groups that the pairs tie together.

        Parameters
        ----------
        threshold, verify
            As in `query`.

        Returns
        -------
        int64 array (n,)
            For each set, in the order of addition, the id of the first one of its group: its own, if it is
            alone or the first.

        Raises
        ------
        TypeError, ValueError
            If an argument is wrong.

        Notes
        -----
        The connected components of the graph that `pairs` tells, without listing the pairs: copies of one
        text, however many, take time for each and not for each pair.
        """
        if verify is None:
            rows = self._bands.groups(self._limit(threshold), threads)
        else:
            least = self._threshold(threshold)
            rows = self._bands.groups_of_sets(*self._verified(verify), least, threads)
        return self._ids[rows]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write signatures, ids and settings to a file.

        Parameters
        ----------
        path : path-like
            A file that is there is replaced in one step.

        See Also
        --------
        load : The way back.

        Notes
        -----
        The file is in the format of safetensors: other programs can read its arrays, and nothing in it is
        executed. The tables of the bands are made anew by `load`.
        """
        params = {
            "model": {**self.model.get_params(), "random_state": None},
            "threshold": self.threshold,
            "n_bands": self.n_bands,
            "n_rows": self.n_rows,
        }
        arrays = {**self.model._to_arrays(), "signatures": self.signatures, "ids": self.ids}
        _files.write(path, "MinHashIndex", params, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> MinHashIndex:
        """Read an index that `save` wrote.

        Parameters
        ----------
        path : path-like
            The file.

        Returns
        -------
        MinHashIndex

        Raises
        ------
        OSError
            If there is no such file, or it cannot be read.
        ValueError
            If it is not the whole file of a MinHashIndex, or was altered.

        Examples
        --------
        >>> import os, tempfile
        >>> from fastcodes.index import MinHashIndex
        >>> index = MinHashIndex()
        >>> index.add([["a", "b"], ["c"]], ids=[5, 6])
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     index.save(os.path.join(directory, "index.safetensors"))
        ...     loaded = MinHashIndex.load(os.path.join(directory, "index.safetensors"))
        >>> loaded.query([["c"]])
        (array([0, 1]), array([0.], dtype=float32), array([6]))
        """
        params, arrays = _files.read(path, "MinHashIndex")
        with _files.refusing(path, "MinHashIndex"):
            model = MinHash(**params["model"])
            model._from_arrays(arrays)
            index = cls(model, params["threshold"], n_bands=params["n_bands"], n_rows=params["n_rows"])
            signatures = _files.take(arrays, "signatures", np.uint32, ("n", model.n_hashes))
            ids = _files.take(arrays, "ids", np.int64, (len(signatures),))
            index.add_signatures(signatures, ids)
        return index

    def _new_ids(self, ids: ArrayLike | None, n: int) -> tuple[Ids, set[int] | None]:
        """Return ids for `n` sets, and what is known of those that are there."""
        have = self._ids[: len(self)]
        if ids is None:
            first = int(have.max()) + 1 if len(have) else 0
            if first + n > 2**63:
                raise ValueError(f"ids are missing: there are no {n} numbers after {first - 1}; give ids")
            return np.arange(first, first + n, dtype=np.int64), self._known
        given = np.asarray(ids)
        if not given.size:
            given = given.astype(np.int64)
        if given.dtype.kind not in "iu":
            raise TypeError(f"ids must be integers; got an array of dtype {given.dtype}")
        if given.shape != (n,):
            raise ValueError(f"ids must have shape ({n},), one for each set; got {given.shape}")
        if given.dtype == np.uint64 and given.size and given.max() > np.uint64(2**63 - 1):
            raise ValueError(f"ids has {given.max()}; expected integers below 2**63")
        known = set(have.tolist()) if self._known is None else self._known
        new = given.astype(np.int64)
        seen: set[int] = set()
        for number in new.tolist():
            if number in known or number in seen:
                raise ValueError(f"ids has {number}, which is there already; expected a new id for each set")
            seen.add(number)
        return new, known

    def _threshold(self, threshold: float | None) -> float:
        if threshold is None:
            return self.threshold
        return as_real(threshold, "threshold", at_least=0, at_most=1)

    def _limit(self, threshold: float | None) -> int:
        """Return in how many slots signatures of this similarity agree at least."""
        # A share of slots that is the threshold but for rounding counts.
        return math.ceil(self._threshold(threshold) * self.model.n_hashes - 1e-9)

    def _distances(self, differing: NDArray[np.int32]) -> Distances:
        return (differing / self.model.n_hashes).astype(np.float32)

    def _verified(self, sets: Any) -> tuple[NDArray[np.uint64], Ids]:
        tokens, offsets = self.model._tokens(sets, "verify")
        if len(offsets) != len(self) + 1:
            raise ValueError(
                f"verify has {len(offsets) - 1} sets but the index has {len(self)}; "
                "expected those of the index, in the order in which they were added"
            )
        return tokens, offsets
