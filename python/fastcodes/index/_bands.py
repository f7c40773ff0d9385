"""MinHash signatures in hash tables by their bands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastcodes import _files, _native
from fastcodes._storage import Storage, selected_rows
from fastcodes._typing import Array, Floats, Ids, Mask, Signatures, UnsignedCodes
from fastcodes._validation import as_real
from fastcodes.results import no_neighbors

__all__ = ["BandStorage"]


class BandStorage(Storage):
    """Signatures, of which those that agree with a query in a whole band are its candidates.

    Parameters
    ----------
    n_hashes : int
        Slots of a signature.
    n_bands, n_rows : int
        Bands, and slots per band.
    """

    def __init__(self, n_hashes: int, n_bands: int, n_rows: int) -> None:
        self.operand_size = n_hashes
        self._shape = n_hashes, n_bands, n_rows
        self.bands = _native.MinHashBands(*self._shape)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "bands": self.bands.signatures()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._fill(state["bands"])

    def _fill(self, signatures: Signatures) -> None:
        self.bands = _native.MinHashBands(*self._shape)
        self.bands.add(signatures, None)

    def __len__(self) -> int:
        return len(self.bands)

    @property
    def nbytes(self) -> int:
        return self.bands.nbytes

    def append(self, codes: UnsignedCodes, *, threads: int | None = None) -> None:
        self.bands.add(np.require(codes, np.uint32, ["C", "A"]), threads)

    def take(self, rows: Ids | slice) -> UnsignedCodes:
        return self.bands.signatures()[rows]

    def keep(self, rows: Ids) -> None:
        self._fill(self.bands.signatures()[rows])

    def knn(
        self, operand: Signatures, k: int, *, mask: Mask | None = None, threads: int | None = None
    ) -> tuple[Floats, Ids]:
        offsets, found, rows = self.similar(operand, 0, mask, threads)
        distances, indices = no_neighbors(len(operand), k, np.float32)
        queries = np.repeat(np.arange(len(operand)), np.diff(offsets))
        ranks = np.arange(len(rows)) - offsets[queries]
        is_near = ranks < k
        distances[queries[is_near], ranks[is_near]] = found[is_near]
        indices[queries[is_near], ranks[is_near]] = rows[is_near]
        return distances, indices

    def radius(
        self, operand: Signatures, radius: float, *, mask: Mask | None = None, threads: int | None = None
    ) -> tuple[Ids, Floats, Ids]:
        similarity = 1 - min(as_real(radius, "radius", at_least=0), 1)
        return self.similar(operand, self.n_equal(similarity), mask, threads)

    def n_equal(self, similarity: float) -> int:
        """Return in how many slots signatures of at least this similarity agree."""
        # A share of slots that equals the similarity but for rounding counts.
        return math.ceil(similarity * self._shape[0] - 1e-9)

    def similar(
        self, signatures: Signatures, n_equal: int, mask: Mask | None = None, threads: int | None = None
    ) -> tuple[Ids, Floats, Ids]:
        """Return the candidates that agree in at least `n_equal` slots: offsets, distances and rows."""
        offsets, differing, rows = self.bands.query(signatures, n_equal, threads)
        if mask is not None:
            is_selected = np.zeros(len(self), bool)
            is_selected[selected_rows(mask, len(self))] = True
            kept = is_selected[rows]
            offsets = np.append(0, np.cumsum(kept))[offsets]
            differing, rows = differing[kept], rows[kept]
        return offsets, self.distances(differing), rows

    def distances(self, differing: Array) -> Floats:
        """Return the Jaccard distances that numbers of differing slots estimate."""
        return (differing / self._shape[0]).astype(np.float32)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        return {}, {"codes": self.bands.signatures()}

    def restore(self, params: Any, arrays: Mapping[str, Array]) -> None:
        self._fill(np.array(_files.take(arrays, "codes", np.uint32, ("n", self._shape[0]))))
