"""An index of MinHash signatures: near-duplicates among many sets."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import minhash
from fastcodes._storage import Storage
from fastcodes._typing import Array, Floats, Ids, Signatures, Tokens
from fastcodes._validation import as_array, as_integer, as_real, describe
from fastcodes.hashing.minhash import MinHash
from fastcodes.index._bands import BandStorage
from fastcodes.index.base import Index, Ragged
from fastcodes.results import merge_topk

__all__ = ["MinHashIndex"]

Sets = Sequence[Any] | tuple[Array, Array]


class MinHashIndex(Index):
    """Sets kept as MinHash signatures, of which similar ones are found without comparing all.

    The slots of a signature are cut into bands. Sets are *candidates* if their signatures agree in all slots
    of a band, which has the probability ``1 - (1 - J**n_rows)**n_bands``: an S-curve that is chosen to rise
    near the threshold. Distances are Jaccard distances ``1 - J``: estimated from the whole signatures, with a
    standard error of ``sqrt(J (1 - J) / n_hashes)``, or exact if you give the sets (``rerank=``,
    ``verify=``).

    Parameters
    ----------
    codec : MinHash, optional
        The model that makes the signatures; the index keeps a copy. By default `MinHash` with its defaults:
        128 slots, texts by shingles of three words.
    threshold : float
        The Jaccard similarity from which on sets are wanted, above 0 and at most 1. With 1, sets are
        candidates if all slots agree; `verify=` then leaves exact duplicates only.
    weights : pair of float
        The costs of false candidates and of missed ones in the choice of the bands: see
        `fastcodes.minhash.band_shape`.
    n_bands, n_rows : int, optional
        The bands and their slots, both or none, instead of that choice.

    Attributes
    ----------
    codec : MinHash
        The copy.
    threshold : float
        As given.
    n_bands, n_rows : int
        The bands and their slots.
    ids : int64 array (n,)
        A copy of the ids, in the order in which the sets were added.
    codes : uint32 array (n, n_hashes)
        A copy of the signatures.
    nbytes : int
        Bytes that signatures and tables take, and the ids unless they are the default ones.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or the model has `b_bits`.

    See Also
    --------
    fastcodes.minhash : The functions below.

    Notes
    -----
    Two sets without tokens are equal, and are the only ones with the similarity 1 to them. Signatures cannot
    be decoded, so there is no `reconstruct`. `load` always reads the signatures, since the tables of the
    bands are built from them; ``mmap=True`` only skips the verification of checksums.

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
    >>> sets = {0: texts[0], 1: texts[1], 2: texts[2], 70: texts[0][4:]}
    >>> offsets, distances, ids = index.query([texts[0]], verify=sets)
    >>> ids, distances.round(3)
    (array([ 0,  2, 70]), array([0.   , 0.   , 0.091], dtype=float32))
    >>> index.groups(verify=sets)
    array([0, 1, 0, 0])
    """

    codec: MinHash
    _storage: BandStorage

    def __init__(
        self,
        codec: MinHash | None = None,
        *,
        threshold: float = 0.8,
        weights: tuple[float, float] = (0.1, 0.9),
        n_bands: int | None = None,
        n_rows: int | None = None,
    ) -> None:
        if codec is None:
            codec = MinHash()
        if not isinstance(codec, MinHash):
            raise TypeError(f"codec must be a MinHash; got {describe(codec)}")
        if codec.b_bits is not None:
            raise ValueError(
                f"codec has b_bits={codec.b_bits}, but bands consist of whole slots; "
                "give a MinHash with b_bits=None"
            )
        if (n_bands is None) != (n_rows is None):
            raise ValueError("n_bands and n_rows go together: give both, or none")
        n_hashes = codec.n_hashes
        self.threshold = as_real(threshold, "threshold", above=0, at_most=1)
        self.n_bands, self.n_rows = minhash.band_shape(n_hashes, self.threshold, weights=weights)
        if n_bands is not None and n_rows is not None:
            self.n_bands = as_integer(n_bands, "n_bands", 1, n_hashes)
            self.n_rows = as_integer(n_rows, "n_rows", 1, n_hashes)
        if not codec.__sklearn_is_fitted__():
            codec = copy.deepcopy(codec).fit()  # learns nothing from data
        super().__init__(codec)

    def _new_storage(self) -> Storage:
        return BandStorage(self.codec.n_hashes, self.n_bands, self.n_rows)

    def _settings(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "n_bands": self.n_bands, "n_rows": self.n_rows}

    def search(  # type: ignore[override]  # vectors are sets here
        self,
        queries: Sets,
        k: int,
        *,
        mask: ArrayLike | None = None,
        rerank: Sets | Mapping[int, Any] | None = None,
        oversample: float | None = None,
        threads: int | None = None,
    ) -> tuple[Floats, Ids]:
        """Find the `k` nearest of each set's candidates, whatever their similarity.

        Parameters
        ----------
        queries : sequence of str, sequence of collections, or pair of arrays
            Sets or texts, as `MinHash.encode` takes them.
        k : int
            Neighbors per query, 0 or more. If there are fewer candidates, the results are padded.
        mask : array_like of bool (n,) or of int, optional
            The rows to search, as in `FlatIndex.search`.
        rerank : sequence of str, sequence of collections, pair of arrays, or dict, optional
            The sets of the index: ``rerank[i]`` is the set with the id ``i``. The ``oversample * k`` nearest
            candidates by signatures are compared exactly.
        oversample : float, optional
            1 or more, by default 4.
        threads : int, optional
            As in `add`.

        Returns
        -------
        distances : float32 array (nq, k)
            Jaccard distances; inf where there are fewer than `k` candidates.
        indices : int64 array (nq, k)
            The ids of these sets; -1 where there are none. Sorted by (distance, id).

        Raises
        ------
        TypeError, ValueError
            If an argument is wrong.

        Examples
        --------
        >>> from fastcodes.index import MinHashIndex
        >>> index = MinHashIndex(threshold=0.5)
        >>> index.add([["a", "b", "c"], ["d"], ["a", "b", "c"]])
        >>> index.search([["c", "b", "a"]], k=3)
        (array([[ 0.,  0., inf]], dtype=float32), array([[ 0,  2, -1]]))
        """
        more = self.codec.oversample if oversample is None else as_real(oversample, "oversample", at_least=1)
        if rerank is None:
            found: tuple[Floats, Ids] = super().search(queries, k, mask=mask, threads=threads)  # type: ignore[assignment]
            return found
        k = self._n_neighbors(k)
        tokens = self.codec.tokens(queries)
        sets = self._sets_by_row(rerank, "rerank")
        n_near = min(math.ceil(more * k), len(self))
        _, ids = super().search(tokens, n_near, mask=mask, threads=threads)
        query, rank = np.nonzero(ids >= 0)
        near = ids[query, rank]
        exact = np.full(ids.shape, np.inf, np.float32)
        exact[query, rank] = 1 - minhash.jaccard(tokens, sets, query, self._ids.rows(near), threads=threads)
        return merge_topk([exact], [ids], k)

    def query(
        self,
        sets: Sets,
        *,
        threshold: float | None = None,
        verify: Sets | Mapping[int, Any] | None = None,
        threads: int | None = None,
    ) -> Ragged:
        """Find the candidates of each set that are similar to it.

        Parameters
        ----------
        sets : sequence of str, sequence of collections, or pair of arrays
            As `MinHash.encode` takes them.
        threshold : float, optional
            The similarity from which on candidates are kept, 0 to 1, by default that of the index; 0 keeps
            all candidates. The bands stay the same.
        verify : sequence of str, sequence of collections, pair of arrays, or dict, optional
            The sets of the index, ``verify[i]`` that with the id ``i``: candidates are compared with them
            exactly. Without it their similarity is estimated.
        threads : int, optional
            As in `add`.

        Returns
        -------
        offsets : int64 array (nq + 1,)
            The results of query ``i`` are ``offsets[i]:offsets[i + 1]`` of the other two arrays.
        distances : float32 array
            Their Jaccard distances, ``1 - J``.
        ids : int64 array
            Their ids, within a query sorted by (distance, id).

        Raises
        ------
        TypeError, ValueError
            If an argument is wrong.

        Notes
        -----
        Without `verify` it is a `radius_search` with the radius ``1 - threshold``.
        """
        least = self._threshold(threshold)
        if verify is None:
            return self._similar(self.codec.as_queries(sets, threads=threads), least, threads)
        tokens = self.codec.tokens(sets)
        offsets, _, ids = self.query(tokens, threshold=0, threads=threads)
        queries = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        by_row = self._sets_by_row(verify, "verify")
        found = minhash.jaccard(tokens, by_row, queries, self._ids.rows(ids), threads=threads)
        keep = found >= np.float32(least)
        queries, ids, found = queries[keep], ids[keep], found[keep]
        order = np.lexsort((ids, -found, queries))
        counts = np.bincount(queries, minlength=len(offsets) - 1)
        return np.append(0, np.cumsum(counts)), 1 - found[order], ids[order]

    def search_codes(
        self, codes: ArrayLike, k: int, *, mask: ArrayLike | None = None, threads: int | None = None
    ) -> tuple[Floats, Ids]:
        """Find the `k` nearest of each signature's candidates: `search` for sets that were encoded before.

        Parameters
        ----------
        codes : uint32 array (nq, n_hashes) or (n_hashes,)
            Signatures as ``codec.encode`` returns them.
        k, mask, threads
            As in `search`.

        Returns
        -------
        distances, indices : float32 and int64 arrays (nq, k)
            As in `search`.

        Raises
        ------
        TypeError, ValueError
            If an argument is wrong.

        Examples
        --------
        >>> from fastcodes.index import MinHashIndex
        >>> index = MinHashIndex(threshold=0.5)
        >>> index.add([["a", "b", "c"], ["d"]])
        >>> index.search_codes(index.codec.encode([["c", "b", "a"]]), k=1)
        (array([[0.]], dtype=float32), array([[0]]))
        """
        near = self._near(mask, threads)
        signatures = self._signatures(codes)
        found: tuple[Floats, Ids] = self._search(near, signatures, k, None, None, None, None, threads)  # type: ignore[assignment]
        return found

    def query_codes(
        self, codes: ArrayLike, *, threshold: float | None = None, threads: int | None = None
    ) -> Ragged:
        """Find the similar candidates of each signature: `query` for sets that were encoded before.

        Parameters
        ----------
        codes : uint32 array (nq, n_hashes) or (n_hashes,)
            Signatures as ``codec.encode`` returns them.
        threshold, threads
            As in `query`.

        Returns
        -------
        offsets, distances, ids : int64, float32 and int64 arrays
            As in `query`.

        Raises
        ------
        TypeError, ValueError
            If an argument is wrong.

        Examples
        --------
        >>> from fastcodes.index import MinHashIndex
        >>> index = MinHashIndex(threshold=0.5)
        >>> index.add([["a", "b", "c"], ["d"]])
        >>> index.query_codes(index.codec.encode([["c", "b", "a"]]))
        (array([0, 1]), array([0.], dtype=float32), array([0]))
        """
        return self._similar(self._signatures(codes), self._threshold(threshold), threads)

    def _signatures(self, codes: ArrayLike) -> Signatures:
        rows = as_array(codes, "codes")
        return self.codec.as_codes(rows[None] if rows.ndim == 1 else rows)

    def _similar(self, signatures: Signatures, least: float, threads: int | None) -> Ragged:
        n_equal = self._storage.n_equal(least)
        return self._radius_search(
            lambda block: self._storage.similar(block, n_equal, threads=threads), signatures
        )

    def pairs(
        self,
        *,
        threshold: float | None = None,
        verify: Sets | Mapping[int, Any] | None = None,
        threads: int | None = None,
    ) -> tuple[Ids, Ids, Floats]:
        """Find all pairs of candidates that are similar: near-duplicates.

        Parameters
        ----------
        threshold, verify, threads
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
            If the pairs do not fit in memory: `groups` needs no pairs.
        """
        least = self._threshold(threshold)
        if verify is None:
            i, j, differing = self._storage.bands.pairs(self._storage.n_equal(least), threads)
            return self._ids.of(i), self._ids.of(j), self._storage.distances(differing)
        i, j, _ = self._storage.bands.pairs(0, threads)
        sets = self._sets_by_row(verify, "verify")
        found = minhash.jaccard(sets, sets, i, j, threads=threads)
        keep = found >= np.float32(least)
        return self._ids.of(i[keep]), self._ids.of(j[keep]), 1 - found[keep]

    def groups(
        self,
        *,
        threshold: float | None = None,
        verify: Sets | Mapping[int, Any] | None = None,
        threads: int | None = None,
    ) -> Ids:
        """Find the groups that similar pairs form.

        Parameters
        ----------
        threshold, verify, threads
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
        The connected components of the graph with the edges `pairs`, without a list of the pairs: the time
        grows with the number of copies of a text, not with its square.
        """
        least = self._threshold(threshold)
        bands = self._storage.bands
        if verify is None:
            rows = bands.groups(self._storage.n_equal(least), threads)
        else:
            rows = bands.groups_of_sets(*self._sets_by_row(verify, "verify"), least, threads)
        return self._ids.of(rows)

    def distances(self, i: ArrayLike, j: ArrayLike) -> Floats:
        """Estimate the Jaccard distances of pairs of sets of the index.

        Parameters
        ----------
        i, j : array_like of int (n_pairs,)
            The ids of each pair.

        Returns
        -------
        float32 array (n_pairs,)
            The share of slots in which their signatures differ.

        Raises
        ------
        TypeError, ValueError
            If ids are not integers, do not exist, or `i` and `j` differ in length.
        """
        first, second = self._ids.rows(i, "i"), self._ids.rows(j, "j")
        if len(first) != len(second):
            raise ValueError(f"i has {len(first)} ids but j has {len(second)}; expected the two of each pair")
        return self._storage.distances(self._storage.bands.differing(first, second))

    def _threshold(self, threshold: float | None) -> float:
        if threshold is None:
            return self.threshold
        return as_real(threshold, "threshold", at_least=0, at_most=1)

    def _sets_by_row(self, sets: Any, name: str) -> tuple[Tokens, Ids]:
        """Return the tokens and offsets of the sets of all rows, from sets by id."""
        ids = self._ids.values
        if isinstance(sets, Mapping):
            try:
                return self.codec.tokens([sets[number] for number in ids.tolist()], name=name)
            except KeyError as error:
                raise ValueError(f"{name} has no set with the id {error}, which the index has") from None
        tokens, offsets = self.codec.tokens(sets, name=name)
        if len(offsets) - 1 < self._ids.limit:
            raise ValueError(
                f"{name} has {len(offsets) - 1} sets but the index has the id {self._ids.limit - 1}; "
                f"expected the set with the id i as {name}[i]"
            )
        if len(offsets) - 1 == len(ids) and self._ids.follow_rows:
            return tokens, offsets  # the ids count up from 0
        sizes = np.diff(offsets)[ids]
        ends = np.append(0, np.cumsum(sizes))
        return tokens[np.repeat(offsets[ids] - ends[:-1], sizes) + np.arange(ends[-1])], ends
