"""The ids of the rows of an index."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._storage import Rows
from fastcodes._typing import Array, Ids, Mask
from fastcodes._validation import as_array, as_mask, describe

__all__ = ["RowIds", "changes"]

# Held while rows and their ids change together: a search that found new rows waits for their ids, and a fork
# for both, so that a child finds every index whole.
changes = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=changes.acquire, after_in_parent=changes.release, after_in_child=changes.release
    )

_NO_IDS = 2**63 - 1  # the largest int64: the number after the last id


class RowIds:
    """The id of each row: its number, until other ids are given or rows are removed.

    Only then there is an array of ids. An id is never given twice: default ids follow the largest id that the
    index has ever had.
    """

    def __init__(self) -> None:
        self._n = 0
        self._next = 0  # larger than all ids so far
        self._stored: Rows | None = None
        self._forget()

    def _forget(self) -> None:
        """Drop what is derived from the ids."""
        self._is_ascending: bool | None = None
        self._sorted: tuple[Ids, Ids] | None = None  # ids in ascending order, and their rows
        self._known: set[int] | None = None

    def __len__(self) -> int:
        return self._n

    @property
    def nbytes(self) -> int:
        """Bytes of the array of ids, if there is one."""
        return 0 if self._stored is None else self._stored.used.nbytes

    @property
    def values(self) -> Ids:
        """A copy of all ids, in the order of the rows."""
        return np.arange(self._n) if self._stored is None else self._stored.used.copy()

    @property
    def follow_rows(self) -> bool:
        """Whether ids ascend with the rows, so that neighbors sorted by row are sorted by id."""
        if self._stored is None:
            return True
        if self._is_ascending is None:
            ids = self._stored.used
            self._is_ascending = bool((ids[1:] > ids[:-1]).all())
        return self._is_ascending

    @property
    def limit(self) -> int:
        """The number after the largest id that is there."""
        if self._stored is None or not self._n:
            return self._n
        return 1 + int(self._stored.used[-1] if self.follow_rows else self._stored.used.max())

    def of(self, rows: Ids) -> Ids:
        """Return the ids of rows; -1 stays -1."""
        with changes:
            if self._stored is None:
                return rows
            if not self._n:
                return np.full_like(rows, -1)
            ids: Ids = self._stored.used[rows]
            ids[rows < 0] = -1
            return ids

    # --- ids to rows ---------------------------------------------------------------------------------------

    def rows(self, ids: ArrayLike, name: str = "ids") -> Ids:
        """Return the rows of ids, or those that booleans select; an unknown id is an error."""
        given = as_array(ids, name)
        if not given.size and isinstance(ids, (list, tuple, range)):
            given = given.astype(np.int64)
        if given.dtype.kind not in "biu":
            raise TypeError(f"{name} must be integers or a boolean array (n,); got {describe(ids)}")
        if given.ndim > 1 or (given.ndim == 0 and given.dtype.kind == "b"):
            raise ValueError(f"{name} must have one dimension; got shape {given.shape}")
        if given.dtype.kind == "b":
            if len(given) != self._n:
                raise ValueError(f"{name} has {len(given)} booleans but the index has {self._n} rows")
            return np.flatnonzero(given)
        return self._known_rows(given.reshape(-1), name)

    def mask(self, mask: ArrayLike | None) -> Mask | None:
        """Return a mask of rows from booleans over the rows, or from ids."""
        if mask is None:
            return None
        selected = as_mask(mask, self._n)
        if self._stored is None or selected.dtype.kind == "b" or selected.ndim != 1:
            return selected  # the kernels refuse what is wrong
        return self._known_rows(selected, "mask")

    def _known_rows(self, ids: Array, name: str) -> Ids:
        rows = self._rows_or_none(ids)
        if (rows < 0).any():
            raise ValueError(
                f"{name} has the id {ids[rows < 0][0]}, which is not one of the {self._n} ids of this index"
            )
        return rows

    def _rows_or_none(self, ids: Array) -> Ids:
        """Return the row of each id, or -1 if there is none."""
        is_possible = (ids >= 0) & (ids < self._next)
        wanted = np.where(is_possible, ids, 0).astype(np.int64)
        if self._stored is None:
            return np.where(is_possible, wanted, -1)
        if not self._n:
            return np.full(len(ids), -1)
        ascending, rows = self._in_order(self._stored.used)
        places = np.minimum(np.searchsorted(ascending, wanted), self._n - 1)
        found = places if rows is None else rows[places]
        return np.where(is_possible & (ascending[places] == wanted), found, -1)

    def _in_order(self, ids: Ids) -> tuple[Ids, Ids | None]:
        """Return the stored ids in ascending order, and their rows unless they ascend with them."""
        if self.follow_rows:
            return ids, None
        if self._sorted is None:
            order = np.argsort(ids)
            self._sorted = ids[order], order
        return self._sorted

    # --- changes -------------------------------------------------------------------------------------------

    def new(self, ids: ArrayLike | None, n: int) -> Ids:
        """Return ids for `n` new rows, those that were given or the next ones; `append` adds them."""
        if ids is None:
            if self._next + n > _NO_IDS:
                raise ValueError(
                    f"ids are missing: there are no {n} numbers after {self._next - 1}; give ids"
                )
            return np.arange(self._next, self._next + n)
        given = as_array(ids, "ids")
        if not given.size:
            given = given.astype(np.int64)
        if given.dtype.kind not in "iu":
            keys = "" if given.dtype.kind not in "OSUT" else "; for other keys, keep a list: keys[id]"
            raise TypeError(f"ids must be integers; got {describe(ids)}{keys}")
        if given.shape != (n,):
            raise ValueError(f"ids must have shape ({n},), one for each row; got {given.shape}")
        wrong = (given < 0) | (given >= np.uint64(_NO_IDS) if given.dtype == np.uint64 else given >= _NO_IDS)
        if wrong.any():
            raise ValueError(f"ids has {given[wrong][0]}; expected integers from 0 to 2**63 - 2")
        new = given.astype(np.int64)
        if n and not (new[0] >= self._next and (new[1:] > new[:-1]).all()):
            self._refuse_known(new)
        return new

    def _refuse_known(self, new: Ids) -> None:
        """Raise an error if one of some ids is there already, or twice among them."""
        if self._known is None:
            self._known = set(self.values.tolist())
        seen: set[int] = set()
        for number in new.tolist():
            if number in self._known or number in seen:
                raise ValueError(f"ids has {number}, which is there already; expected a new id for each row")
            seen.add(number)

    def append(self, new: Ids) -> None:
        """Add rows with ids that `new` returned."""
        if not len(new):
            return
        if self._stored is None and not np.array_equal(new, np.arange(self._n, self._n + len(new))):
            self._stored = Rows(self.values)
        if self._stored is not None:
            if self._is_ascending and not (new[0] >= self._next and (new[1:] > new[:-1]).all()):
                self._is_ascending = False
            self._stored.append(new)
        self._sorted = None
        if self._known is not None:
            self._known.update(new.tolist())
        self._n += len(new)
        self._next = max(self._next, int(new.max()) + 1)

    def keep(self, rows: Ids) -> None:
        """Keep some rows, which ascend."""
        self._stored = Rows(self.values[rows])
        self._n = len(rows)
        self._forget()

    # --- files ---------------------------------------------------------------------------------------------

    def to_parts(self) -> tuple[int, dict[str, Array]]:
        """Return the next id, and the array if there is one."""
        return self._next, {} if self._stored is None else {"ids": self._stored.used}

    @classmethod
    def from_parts(cls, next_id: Any, arrays: Mapping[str, Array], n_rows: int) -> RowIds:
        """Return the ids that `to_parts` described, or raise a ValueError."""
        restored = cls()
        restored._n = n_rows
        restored._next = next_id
        if type(next_id) is not int or not n_rows <= next_id <= _NO_IDS:
            raise ValueError(f"its next id is {next_id!r}; expected an integer from {n_rows} up")
        if "ids" in arrays:
            ids = _files.take(arrays, "ids", np.int64, (n_rows,))
            restored._stored = Rows(ids)
            ascending = restored._in_order(ids)[0]
            if n_rows and not (ascending[0] >= 0 and ascending[-1] < next_id):
                raise ValueError(f"its ids are not from 0 to {next_id - 1}")
            if not (ascending[1:] > ascending[:-1]).all():
                raise ValueError("its ids are not unique")
        elif n_rows != next_id:
            raise ValueError(f"array 'ids' is missing: the next id is {next_id}, but there are {n_rows} rows")
        return restored
