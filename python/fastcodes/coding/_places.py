"""Where compressed blocks begin, in two bytes each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fastcodes import _files
from fastcodes._typing import Array, Ids

__all__ = ["Places"]

# Blocks between two places that are stored; those of the others follow from lengths.
_STEP = 64
# Of lengths: the first that is large enough.
_DTYPES = (np.uint16, np.uint32, np.uint64)


class Places:
    """The ends of `n_blocks` blocks of `data`.

    Parameters
    ----------
    lengths : uint16, uint32 or uint64 array (n_blocks,)
        Bytes of each block.
    places : int64 array (n_blocks // 64 + 1,)
        Where every 64th block begins.
    """

    def __init__(self, lengths: Array, places: Ids) -> None:
        self.lengths, self.places = lengths, places
        n_places = len(lengths) // _STEP + 1
        if len(places) != n_places:
            raise ValueError(f"there are {len(places)} places for {len(lengths)} blocks; expected {n_places}")

    @classmethod
    def of(cls, offsets: Ids) -> Places:
        """Return the places of blocks that begin at `offsets`, of which the last is their end."""
        lengths = np.diff(offsets)
        dtype = next(dtype for dtype in _DTYPES if lengths.max(initial=0) <= np.iinfo(dtype).max)
        return cls(lengths.astype(dtype), offsets[::_STEP].copy())

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Places:
        """Return the places in the arrays of a file."""
        dtype = arrays["lengths"].dtype if "lengths" in arrays else np.dtype(np.uint16)
        if dtype not in _DTYPES:
            raise ValueError(f"array 'lengths' is of {dtype}; expected uint16, uint32 or uint64")
        lengths = _files.take(arrays, "lengths", dtype, ("blocks",))
        return cls(lengths, _files.take(arrays, "places", np.int64, ("blocks // 64 + 1",)))

    def to_arrays(self) -> dict[str, Array]:
        """Return what `from_arrays` takes."""
        return {"lengths": self.lengths, "places": self.places}

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.lengths.nbytes + self.places.nbytes

    def ends(self, blocks: Ids) -> tuple[Ids, Ids]:
        """Return where blocks begin and end."""
        groups, group_of = np.unique(blocks // _STEP, return_inverse=True)
        of_group = groups[:, None] * _STEP + np.arange(_STEP)
        is_block = of_group < len(self.lengths)
        lengths = np.zeros(of_group.shape, np.int64)
        lengths[is_block] = self.lengths[of_group[is_block]]
        stops = self.places[groups, None] + np.cumsum(lengths, axis=1)
        stop = stops[group_of, blocks % _STEP]
        return stop - lengths[group_of, blocks % _STEP], stop
