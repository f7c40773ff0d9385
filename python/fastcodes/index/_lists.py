"""A container of codes list by list: the rows of an inverted file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastcodes import _files
from fastcodes._storage import Lists, Neighbors, Ragged, Storage, selected_rows
from fastcodes._typing import Array, Codes, Floats, Ids, Mask, UnsignedCodes
from fastcodes.results import merge_topk, ragged

__all__ = ["LIST_BYTES", "InvertedStorage", "Probed", "join_lists", "split_lists"]

LIST_BYTES = 4  # of the number of a list, little-endian, in front of a code
_ROWS_PER_STEP = 1 << 18  # gathered at a time
_MOST_ROWS = np.iinfo(np.uint32).max


def join_lists(lists: Ids, codes: Codes) -> Codes:
    """Return rows of the bytes of the numbers of lists (n,) and of codes (n, n_bytes)."""
    return np.hstack([lists.astype("<u4")[:, None].view(np.uint8), codes])


def split_lists(rows: UnsignedCodes) -> tuple[Ids, Codes]:
    """Return the numbers of lists and the codes of such rows."""
    lists = np.ascontiguousarray(rows[:, :LIST_BYTES]).view("<u4")[:, 0].astype(np.int64)
    return lists, rows[:, LIST_BYTES:]


class Probed(NamedTuple):
    """What a search needs to know of queries."""

    operand: Any  # of the storage of codes
    lists: Ids  # (nq, n_probes): the lists that each query looks at
    offsets: Floats | None  # (nq, n_probes): what is added to the distances of each


class _Part:
    """Rows that follow each other, list by list; never changed."""

    def __init__(self, storage: Storage, starts: Ids, ids: NDArray[np.uint32], first: int) -> None:
        self.storage = storage
        self.starts = starts  # (n_lists + 1,): where each list begins, and the end of the last
        self.ids = ids  # (n,): the row at each place; within a list they ascend
        self.first = first  # the lowest of them
        self._places: NDArray[np.uint32] | None = None  # of each row, once one was looked up

    @classmethod
    def of(
        cls,
        new_storage: Callable[[], Storage],
        rows: UnsignedCodes,
        first: int,
        n_lists: int,
        threads: int | None,
    ) -> _Part:
        """Return a part of rows, the numbers of lists in front of their codes."""
        lists, codes = split_lists(rows)
        order = np.argsort(lists, kind="stable")
        starts = np.zeros(n_lists + 1, np.int64)
        np.cumsum(np.bincount(lists, minlength=n_lists), out=starts[1:])
        storage = new_storage()
        for start in range(0, len(order), _ROWS_PER_STEP):
            storage.append(
                np.ascontiguousarray(codes[order[start : start + _ROWS_PER_STEP]]), threads=threads
            )
        order += first
        return cls(storage, starts, order.astype(np.uint32), first)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        places = 0 if self._places is None else self._places.nbytes
        return self.storage.nbytes + self.starts.nbytes + self.ids.nbytes + places

    def places(self, rows: Ids) -> Ids:
        """Return where rows of this part stand."""
        if self._places is None:
            none = np.uint32(_MOST_ROWS)
            places = np.full(len(self), none)
            places[self.ids - np.uint32(self.first)] = np.arange(len(self), dtype=np.uint32)
            if (places == none).any():
                raise ValueError("the ids of the lists are not the rows: was the file altered?")
            self._places = places
        return self._places[rows - self.first].astype(np.int64)

    def take(self, rows: Ids) -> Codes:
        """Return some rows, the numbers of lists in front of their codes."""
        places = self.places(rows)
        lists = np.searchsorted(self.starts, places, "right") - 1
        return join_lists(lists, self.storage.take(places))

    def mask(self, mask: Mask | None, rows: Ids | None) -> Mask | None:
        """Return a mask of places: `mask` if it is booleans, or the `rows` that it selects."""
        if mask is None:
            return None
        if rows is None:
            return mask[self.ids]
        return self.places(rows[(rows >= self.first) & (rows < self.first + len(self))])

    def lists(self, probed: Probed) -> Lists:
        """Return where the lists of queries start and stop."""
        starts, stops = self.starts[probed.lists], self.starts[probed.lists + 1]
        return starts, stops, probed.offsets, self.ids


class InvertedStorage(Storage):
    """Codes list by list, in a storage of any kind; a search looks at a few lists.

    Rows that are appended together are a part, which is merged with the previous one if that has at most
    twice as many: each row is sorted a few times, and a search looks at a few parts.

    Parameters
    ----------
    new_storage : callable
        Returns an empty storage of codes.
    n_lists : int
        The number of lists.
    """

    def __init__(self, new_storage: Callable[[], Storage], n_lists: int) -> None:
        self.operand_size = new_storage().operand_size + 2 * n_lists
        self._new_storage = new_storage
        self._n_lists = n_lists
        self._parts: tuple[_Part, ...] = ()

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self._parts)

    def list_sizes(self) -> Ids:
        """Return the number of rows of each list."""
        sizes = np.zeros(self._n_lists, np.int64)
        for part in self._parts:
            sizes += np.diff(part.starts)
        return sizes

    def append(self, codes: UnsignedCodes, *, threads: int | None = None) -> None:
        if len(self) + len(codes) > _MOST_ROWS:
            raise ValueError(f"an index of lists has at most {_MOST_ROWS} rows; save it and begin another")
        if not len(codes):
            return
        parts, first = list(self._parts), len(self)
        while parts and 2 * len(codes) >= len(parts[-1]):
            part = parts.pop()
            codes = np.concatenate([self._rows(part), codes])
            first = part.first
        self._parts = (*parts, _Part.of(self._new_storage, codes, first, self._n_lists, threads))

    def _rows(self, part: _Part) -> Codes:
        """Return the rows of a part in their order."""
        return part.take(np.arange(part.first, part.first + len(part)))

    def take(self, rows: Ids | slice) -> UnsignedCodes:
        if isinstance(rows, slice):
            rows = np.arange(len(self))[rows]
        empty = join_lists(np.empty(0, np.int64), self._new_storage().take(slice(None)))
        taken = np.empty((len(rows), empty.shape[1]), np.uint8)
        for of_part, part in self._by_part(rows):
            taken[of_part] = part.take(rows[of_part])
        return taken

    def _by_part(self, rows: Ids) -> Iterator[tuple[Ids, _Part]]:
        """Yield the positions of the rows of each part that has some."""
        for part in self._parts:
            of_part = np.flatnonzero((rows >= part.first) & (rows < part.first + len(part)))
            if len(of_part):
                yield of_part, part

    def keep(self, rows: Ids) -> None:
        kept, first = [], 0
        for of_part, part in self._by_part(rows):
            codes = part.take(rows[of_part])
            kept.append(_Part.of(self._new_storage, codes, first, self._n_lists, None))
            first += len(of_part)
        self._parts = tuple(kept)

    def errors(self, rows: Ids, *, threads: int | None = None) -> Floats:
        errors = np.empty(len(rows), np.float32)
        for of_part, part in self._by_part(rows):
            errors[of_part] = part.storage.errors(part.places(rows[of_part]), threads=threads)
        return errors

    # --- search --------------------------------------------------------------------------------------------

    def knn(
        self, operand: Probed, k: int, *, mask: Mask | None = None, threads: int | None = None
    ) -> Neighbors:
        found = [
            part.storage.knn_in_lists(operand.operand, k, part.lists(operand), mask=places, threads=threads)
            for part, places in self._searched(mask)
        ]
        if len(found) == 1:
            return found[0]
        return merge_topk([part[0] for part in found], [part[1] for part in found], k)

    def radius(
        self, operand: Probed, radius: float, *, mask: Mask | None = None, threads: int | None = None
    ) -> Ragged:
        found = [
            part.storage.radius_in_lists(
                operand.operand, radius, part.lists(operand), mask=places, threads=threads
            )
            for part, places in self._searched(mask)
        ]
        if len(found) == 1:
            return found[0]
        return _merged(found)

    def _searched(self, mask: Mask | None) -> Iterator[tuple[_Part, Mask | None]]:
        """Yield the parts of this moment, at least one, and the places in each that a mask selects."""
        parts = self._parts or (self._no_rows(),)
        rows = self._selected(mask, parts)
        for part in parts:
            yield part, part.mask(mask, rows)

    def _no_rows(self) -> _Part:
        no_ids = np.empty(0, np.uint32)
        return _Part(self._new_storage(), np.zeros(self._n_lists + 1, np.int64), no_ids, 0)

    @staticmethod
    def _selected(mask: Mask | None, parts: tuple[_Part, ...]) -> Ids | None:
        """Return the rows that a mask of ids selects; None for booleans."""
        n_rows = sum(len(part) for part in parts)
        if mask is None or (mask.dtype.kind == "b" and len(mask) == n_rows):
            return None
        return selected_rows(mask, n_rows)

    # --- files ---------------------------------------------------------------------------------------------

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        if len(self._parts) > 1:
            rows = self.take(slice(None))
            self._parts = (_Part.of(self._new_storage, rows, 0, self._n_lists, None),)
        (part,) = self._parts or (self._no_rows(),)
        params, arrays = part.storage.to_parts()
        return params, {**arrays, "lists.starts": part.starts, "lists.ids": part.ids}

    def restore(self, params: Any, arrays: Mapping[str, Array]) -> None:
        storage = self._new_storage()
        storage.restore(params, arrays)
        starts = _files.take(arrays, "lists.starts", np.int64, (self._n_lists + 1,))
        ids = _files.take(arrays, "lists.ids", np.uint32, (len(storage),))
        if starts[0] != 0 or starts[-1] != len(storage) or (np.diff(starts) < 0).any():
            raise ValueError(f"the starts of its lists do not ascend from 0 to {len(storage)}")
        if len(ids) and ids.max() >= len(ids):
            raise ValueError(f"its lists have the row {ids.max()}, but there are {len(ids)} rows")
        self._parts = (_Part(storage, starts, ids, 0),) if len(ids) else ()


def _merged(found: list[Ragged]) -> Ragged:
    """Return the results of all parts, sorted by (distance, row) within a query."""
    n_queries = len(found[0][0]) - 1
    queries = []
    for query in range(n_queries):
        of_query = [slice(offsets[query], offsets[query + 1]) for offsets, _, _ in found]
        distances = np.concatenate([part[1][rows] for part, rows in zip(found, of_query, strict=True)])
        indices = np.concatenate([part[2][rows] for part, rows in zip(found, of_query, strict=True)])
        order = np.lexsort((indices, distances))
        queries.append((distances[order], indices[order]))
    return ragged(queries, found[0][1].dtype)
