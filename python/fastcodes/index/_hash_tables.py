"""Hash tables of rows by parts of their codes, and which of their buckets to probe."""

from __future__ import annotations

import functools

import numpy as np

from fastcodes import bits
from fastcodes._typing import Codes, Doubles, Floats, Ids

__all__ = ["Probing", "Tables", "keys_of"]

# Up to this many buckets per row, a table has a bucket for every key.
_BUCKETS_PER_ROW = 4
# Up to this many probes, all sets of bits that may be among the best are scored, for all keys at once; for
# more, the best of each key are built bit by bit.
_MOST_SETS = 64


def keys_of(codes: Codes, n_tables: int, n_bits: int) -> Ids:
    """Return the keys (n, n_tables) of codes: their first bits, `n_bits` at a time, the highest first."""
    # Keys are put together from the largest integers that can be unpacked.
    size = max(size for size in range(1, 17) if n_bits % size == 0)
    count = n_tables * n_bits // size
    used = np.ascontiguousarray(codes[:, : -(-n_tables * n_bits // 8)])
    parts = bits.unpack_uint(used, size, count).reshape(len(codes), n_tables, n_bits // size)
    keys = np.zeros((len(codes), n_tables), np.int64)
    for part in range(n_bits // size):
        keys <<= size
        keys |= parts[:, :, part]
    return keys


class _Segment:
    """Tables of consecutive rows: one bucket after the other, each with its rows in ascending order."""

    def __init__(self, keys: Ids, start: int, n_bits: int) -> None:
        n, n_tables = keys.shape
        self.start, self.n_rows = start, n
        self.ids = np.empty(n_tables * n, np.uint32)
        self._n_keys = 1 << n_bits
        self._first_keys = np.arange(n_tables)[:, None] << n_bits
        narrow = np.uint16 if n_bits <= 16 else np.uint32  # numpy sorts 16 bits by counting
        in_order = np.empty((n_tables, n), narrow)
        for table in range(n_tables):
            column = keys[:, table].astype(narrow)
            order = np.argsort(column, kind="stable")
            self.ids[table * n : (table + 1) * n] = order + start
            in_order[table] = column[order]
        self._is_dense = self._n_keys <= _BUCKETS_PER_ROW * n
        if self._is_dense:
            # The start of each bucket, and the end of the last one.
            self._starts = np.zeros(n_tables * self._n_keys + 1, np.int64)
            for table in range(n_tables):
                ends = self._starts[1 + table * self._n_keys :][: self._n_keys]
                np.cumsum(np.bincount(in_order[table], minlength=self._n_keys), out=ends)
                ends += table * n
        else:
            self._keys = (in_order + self._first_keys).ravel()

    def find(self, probes: Ids) -> tuple[Ids, Ids]:
        """Return where in `ids` the buckets of probes (nq, n_tables, n_probes) begin and end."""
        keys = probes + self._first_keys
        if self._is_dense:
            return self._starts[keys], self._starts[keys + 1]
        return np.searchsorted(self._keys, keys), np.searchsorted(self._keys, keys, "right")


class Tables:
    """Hash tables of rows by their keys.

    New rows get tables of their own, which are merged with the previous ones once these have at most twice as
    many rows: each row is sorted a few times, and a search looks into a few tables more.
    """

    def __init__(self, n_tables: int, n_bits: int, segments: tuple[_Segment, ...] = ()) -> None:
        self._n_tables = n_tables
        self._n_bits = n_bits
        self._segments = segments
        self.n_rows = sum(segment.n_rows for segment in segments)
        self.ids = np.concatenate([np.empty(0, np.uint32), *(segment.ids for segment in segments)])
        # Segments keep views instead of copies.
        first = 0
        for segment in segments:
            segment.ids = self.ids[first : first + len(segment.ids)]
            first += len(segment.ids)

    def extended(self, codes: Codes) -> Tables:
        """Return tables of all rows, given their codes; these tables hold the first ones."""
        if len(codes) > np.iinfo(np.uint32).max:
            raise ValueError(f"the index has {len(codes)} vectors; expected fewer than 2 ** 32")
        kept, start = list(self._segments), self.n_rows
        while kept and 2 * (len(codes) - start) >= kept[-1].n_rows:
            start = kept.pop().start
        keys = keys_of(codes[start:], self._n_tables, self._n_bits)
        return Tables(self._n_tables, self._n_bits, (*kept, _Segment(keys, start, self._n_bits)))

    def find(self, probes: Ids) -> tuple[Ids, Ids]:
        """Return where in `ids` the buckets of probes (nq, n_tables, n_probes) begin and end, (nq, ...)."""
        ends = np.empty((2, len(probes), len(self._segments), *probes.shape[1:]), np.int64)
        first = 0
        for index, segment in enumerate(self._segments):
            ends[:, :, index] = segment.find(probes)
            ends[:, :, index] += first
            first += segment.n_rows * self._n_tables
        return ends[0], ends[1]


class Probing:
    """Which bits of a key to flip, given their margins: the sets with the smallest sums of squared margins.

    Parameters
    ----------
    n_bits : int
        Bits of a key.
    n_probes : int
        Sets for each key, at most ``2 ** n_bits``.
    """

    def __init__(self, n_bits: int, n_probes: int) -> None:
        self.n_bits = n_bits
        self.n_probes = n_probes

    @property
    def width(self) -> int:
        """Numbers that are computed for each key."""
        return self.n_probes if self.n_probes > _MOST_SETS else len(_weights(self.n_bits, self.n_probes))

    def flips(self, margins: Floats) -> Ids:
        """Return the best sets for margins (..., n_bits) as integers (..., n_probes) of bits to flip."""
        order = np.argsort(margins, axis=-1, kind="stable")
        squares = np.take_along_axis(margins, order, axis=-1)
        # Scaled, so that squares do not overflow.
        squares /= np.maximum(squares[..., -1:], np.finfo(np.float32).tiny)
        costs = np.square(squares, dtype=np.float64)
        flips = np.int64(1) << (self.n_bits - 1 - order)
        if self.n_probes <= _MOST_SETS:
            return self._of_few_sets(costs, flips)
        found = np.empty((*margins.shape[:-1], self.n_probes), np.int64)
        for key in np.ndindex(found.shape[:-1]):
            found[key] = _best_sets(costs[key], flips[key], self.n_probes)
        return found

    def _of_few_sets(self, costs: Doubles, flips: Ids) -> Ids:
        """Score all sets that are among the best for some margins."""
        weights = _weights(self.n_bits, self.n_probes)
        n_ranks = weights.shape[1]
        best = np.argsort(costs[..., :n_ranks] @ weights.T, axis=-1, kind="stable")[..., : self.n_probes]
        found = np.zeros(best.shape, np.int64)
        for rank in range(n_ranks):
            found |= np.where(weights[best, rank] > 0, flips[..., rank, None], 0)
        return found


def _best_sets(costs: Doubles, flips: Ids, n_sets: int) -> Ids:
    """Return the sets of bits with the smallest sums of costs, which ascend."""
    sums, sets = np.zeros(1), np.zeros(1, np.int64)
    for cost, flip in zip(costs, flips, strict=True):
        # The best sets with this bit are the best sets without it, and the bit.
        more = sums + cost
        if len(sums) == n_sets:
            more = more[: np.searchsorted(more, sums[-1])]
            if not len(more):
                break  # nor is any set with a costlier bit among the best
        candidates = np.concatenate([sums, more])
        order = np.argsort(candidates, kind="stable")[:n_sets]
        sums = candidates[order]
        sets = np.concatenate([sets, sets[: len(more)] | flip])[order]
    return sets


@functools.lru_cache(maxsize=64)
def _weights(n_bits: int, n_probes: int) -> Floats:
    """Return the sets (n_sets, n_ranks) that are among the `n_probes` best for some margins.

    A set of ranks stands for the bits with these ranks in the order of margins. Each other set is preceded by
    at least `n_probes` sets that never have a higher score.
    """
    sets = _sets(n_bits, n_probes)
    n_ranks = max((ranks[-1] for ranks in sets if ranks), default=0)
    weights = np.zeros((len(sets), n_ranks), np.float32)
    for index, ranks in enumerate(sets):
        for rank in ranks:
            weights[index, rank - 1] = 1
    return weights


def _sets(n_bits: int, n_probes: int) -> list[tuple[int, ...]]:
    """Return all sets of ranks from 1 to `n_bits` that fewer than `n_probes` others precede for any margins.

    A set precedes another if each of its ranks, from the last backwards, is at most the other's: then its
    margins are no larger. Every set is made from {1} by moving its last rank, or adding the next one (Lv et
    al., section 4.4), and both increase the number of sets that precede it.
    """
    sets: list[tuple[int, ...]] = [()]
    waiting: list[tuple[int, ...]] = [(1,)]
    while waiting:
        ranks = waiting.pop()
        if ranks[-1] > n_bits or _n_preceding(ranks[::-1]) > n_probes:
            continue
        sets.append(ranks)
        waiting += [(*ranks[:-1], ranks[-1] + 1), (*ranks, ranks[-1] + 1)]
    return sets


def _n_preceding(ranks: tuple[int, ...]) -> int:
    """Count the sets that precede one, including itself; its ranks are given from the last backwards."""
    # The number of ways to choose the ranks so far, by the last one chosen.
    ways, total = {ranks[0] + 1: 1}, 1
    for limit in ranks:
        chosen: dict[int, int] = {}
        for before, n in ways.items():
            for rank in range(1, min(limit, before - 1) + 1):
                chosen[rank] = chosen.get(rank, 0) + n
        ways = chosen
        total += sum(ways.values())
    return total
