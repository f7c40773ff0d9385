"""Near-duplicates among texts that are spread over a cluster."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastcodes import minhash
from fastcodes._typing import Array, Ids, Signatures, Tokens
from fastcodes._validation import as_bool, check_threads, describe
from fastcodes.distributed._engine import load
from fastcodes.hashing import MinHash
from fastcodes.index import MinHashIndex
from fastcodes.results import components

__all__ = ["dedup"]

# Of candidates: enough to occupy a cluster, few enough that partitions times buckets are tasks Dask can take.
_MAX_BUCKETS = 32
# A row is the number of its partition and that in the partition.
_ROW_BITS = 32
_IN_PARTITION = (1 << _ROW_BITS) - 1
_ODD = np.uint64(0x9E3779B97F4A7C15)

Edges = tuple[Ids, Ids]


def dedup(
    texts: Any,
    *,
    codec: MinHash | None = None,
    threshold: float = 0.8,
    verify: bool = False,
    threads: int | None = 1,
) -> Any:
    """Group near-duplicates among texts: to the bit the groups of a `fastcodes.index.MinHashIndex`.

    Every partition computes the signatures of its texts and the keys of their bands. Keys are exchanged
    between the workers; texts that share one are candidates, whose signatures (or, with `verify`, texts) meet
    in one place and are compared. Equal texts of a partition are compared once, so that very many copies do
    no harm. Groups are the connected components of similar pairs.

    Parameters
    ----------
    texts : dask bag of str, or column of a dask data frame
        The texts, in any number of partitions.
    codec : MinHash, optional
        The model that makes the signatures, by default `fastcodes.hashing.MinHash` with its defaults: 128
        slots, shingles of three words.
    threshold : float
        The Jaccard similarity from which on texts are similar, above 0 and at most 1.
    verify : bool
        Whether candidates are compared by their exact similarity. By default it is estimated from
        signatures.
    threads : int or None
        Threads of the kernels in each task; None means all CPUs of a worker. Dask runs as many tasks at once
        as a worker has threads, so one each is right.

    Returns
    -------
    dask array of int64 (n,)
        For each text the number of the first one of its group: its own, if it is alone or the first. Texts
        are counted over all partitions, in their order. One chunk for each partition, of unknown size; not
        computed yet.

    Raises
    ------
    ImportError
        If Dask is not installed.
    TypeError
        If `texts` is something else, or, when it is computed, has an element that is not a str.
    ValueError
        If a parameter is out of range.

    See Also
    --------
    fastcodes.index.MinHashIndex.groups : The same in memory; its thresholds and its notes hold here.
    fastcodes.minhash.band_keys, fastcodes.components : The parts, for engines other than Dask.

    Notes
    -----
    Equal to this on one machine::

        index = MinHashIndex(codec, threshold=threshold)
        index.add(texts)
        index.groups(verify=texts if verify else None)

    The last step holds 16 bytes per text, and the pairs that connect the groups, on one worker.

    Examples
    --------
    >>> import dask.bag as db
    >>> import numpy as np
    >>> from fastcodes import distributed
    >>> texts = ["a b c d e f", "one two three four", "A, b, c, d, e, f!", "g h i j"]
    >>> groups = distributed.dedup(db.from_sequence(texts, npartitions=2)).compute()
    >>> groups
    array([0, 1, 0, 3])
    >>> [text for text, first in zip(texts, groups == np.arange(4)) if first]
    ['a b c d e f', 'one two three four', 'g h i j']
    """
    dask = load()
    parts = _partitions(texts)
    settings = _Settings(codec, threshold, as_bool(verify, "verify"), threads)
    n_buckets = min(len(parts), _MAX_BUCKETS)
    given = dask.delayed(settings, traverse=False)

    def task(function: Any, *arguments: Any, n_results: int | None = None) -> Any:
        return dask.delayed(function, nout=n_results)(given, *arguments)

    distinct = [task(_distinct, part) for part in parts]
    keys = [task(_keys, part, p, n_buckets, n_results=n_buckets) for p, part in enumerate(distinct)]
    edges = [task(_copies, part, p) for p, part in enumerate(distinct)]
    for bucket in range(n_buckets):
        rows = task(_candidates, [of[bucket] for of in keys])
        items = [task(_items, part, p, rows) for p, part in enumerate(distinct)]
        edges.append(task(_similar, rows, items))
    sizes = [task(_size, part) for part in distinct]
    groups = task(_groups, sizes, edges)
    chunks = [
        dask.array.from_delayed(task(_chunk, groups, sizes, p), (np.nan,), np.int64)
        for p in range(len(parts))
    ]
    return dask.array.concatenate(chunks, allow_unknown_chunksizes=True)


def _partitions(texts: Any) -> list[Any]:
    """Return the Delayed of each partition."""
    n_dims = getattr(texts, "ndim", 1)
    if not hasattr(texts, "to_delayed") or n_dims != 1:
        way = 'its column of texts, such as texts["text"]' if n_dims == 2 else "dask.bag.from_sequence(texts)"
        raise TypeError(
            "texts must be a dask bag of str, or a column of a dask data frame; "
            f"got {describe(texts)}; give {way}"
        )
    return list(np.ravel(np.array(texts.to_delayed(), object)))


# --- tasks --------------------------------------------------------------------------------------------------


class _Settings:
    """The arguments that all tasks share, validated."""

    def __init__(self, codec: MinHash | None, threshold: float, verify: bool, threads: int | None) -> None:
        check_threads(threads)
        index = MinHashIndex(codec, threshold=threshold)
        self.codec, self.shape = index.codec, (index.n_bands, index.n_rows)
        self.threshold, self.verify, self.threads = index.threshold, verify, threads

    def index(self) -> MinHashIndex:
        """Return an empty index."""
        return MinHashIndex(self.codec, threshold=self.threshold, n_bands=self.shape[0], n_rows=self.shape[1])


class _Distinct(NamedTuple):
    """The texts of a partition without copies."""

    first: Ids
    """The first of the equal texts of each text."""
    signatures: Signatures
    """Those of the texts that are the first ones, in their order."""
    texts: list[str]
    """These texts, if they are to be compared."""

    @property
    def rows(self) -> Ids:
        """The numbers of these texts."""
        return np.flatnonzero(self.first == np.arange(len(self.first)))


def _distinct(settings: _Settings, part: Any) -> _Distinct:
    texts = list(part)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            is_record = isinstance(text, dict)
            way = 'texts.pluck("text")' if is_record else "them without missing values"
            raise TypeError(
                f"texts must be strings; got {describe(text)} in row {number} of a partition; give {way}"
            )
    firsts: dict[str, int] = {}
    first = np.array([firsts.setdefault(text, number) for number, text in enumerate(texts)], np.int64)
    distinct = list(firsts)
    signatures = settings.codec.encode(distinct, threads=settings.threads)
    return _Distinct(first, signatures, distinct if settings.verify else [])


def _global(partition: int, rows: Ids) -> Ids:
    return rows + (partition << _ROW_BITS)


def _keys(settings: _Settings, part: _Distinct, partition: int, n_buckets: int) -> list[tuple[Tokens, Ids]]:
    """Return the keys of the bands, and the rows that have them, for each bucket."""
    keys = minhash.band_keys(part.signatures, *settings.shape, threads=settings.threads)
    # Of all bands together: a key that is equal by chance makes a candidate more, which is compared.
    keys ^= np.arange(1, keys.shape[1] + 1, dtype=np.uint64) * _ODD
    rows = np.repeat(_global(partition, part.rows), keys.shape[1])
    keys = keys.ravel()
    of = (keys >> np.uint64(32)) % np.uint64(n_buckets)
    return [(keys[of == bucket], rows[of == bucket]) for bucket in range(n_buckets)]


def _copies(settings: _Settings, part: _Distinct, partition: int) -> Edges:
    """Return the pairs of equal texts."""
    copies = np.flatnonzero(part.first != np.arange(len(part.first)))
    return _global(partition, copies), _global(partition, part.first[copies])


def _candidates(settings: _Settings, parts: list[tuple[Tokens, Ids]]) -> Ids:
    """Return the rows that share a key with another one, in order."""
    keys, rows = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.argsort(keys)
    equal = keys[order[1:]] == keys[order[:-1]]
    shares = np.zeros(len(keys), bool)
    shares[order[1:][equal]] = shares[order[:-1][equal]] = True
    return np.unique(rows[shares])


def _items(settings: _Settings, part: _Distinct, partition: int, candidates: Ids) -> Array | list[str]:
    """Return what is compared of the candidates in a partition: signatures or texts."""
    rows = candidates[candidates >> _ROW_BITS == partition] & _IN_PARTITION
    places = np.searchsorted(part.rows, rows)
    return [part.texts[place] for place in places] if settings.verify else part.signatures[places]


def _similar(settings: _Settings, rows: Ids, items: list[Any]) -> Edges:
    """Compare candidates; return each one that has similar ones before it, and the first of its group."""
    index = settings.index()
    if settings.verify:
        texts = [text for part in items for text in part]
        index.add(texts, threads=settings.threads)
        first = index.groups(verify=texts, threads=settings.threads)
    else:
        index.add_codes(np.concatenate(items), threads=settings.threads)
        first = index.groups(threads=settings.threads)
    copies = np.flatnonzero(first != np.arange(len(first)))
    return rows[copies], rows[first[copies]]


def _size(settings: _Settings, part: _Distinct) -> int:
    return len(part.first)


def _groups(settings: _Settings, sizes: list[int], edges: list[Edges]) -> Ids:
    starts = np.cumsum([0, *sizes])
    i, j = (np.concatenate(ends) for ends in zip(*edges, strict=True))
    i, j = (starts[rows >> _ROW_BITS] + (rows & _IN_PARTITION) for rows in (i, j))
    return components(i, j, int(starts[-1]))


def _chunk(settings: _Settings, groups: Ids, sizes: list[int], partition: int) -> Ids:
    start = sum(sizes[:partition])
    return groups[start : start + sizes[partition]]
