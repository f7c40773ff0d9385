"""Binary codes that exist already, as a model, so that indexes can hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._codec import Codec
from fastcodes._storage import BitStorage, JaccardStorage, Storage
from fastcodes._typing import Array, Codes
from fastcodes._validation import as_codes, as_integer, check_threads, code_array

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["MAX_BITS", "Bits", "as_packed_bits"]

# Of a code: more are a mistake, which numpy would report without its name.
MAX_BITS = 1 << 24


class Bits(Codec):
    """Packed bits that are codes already: the codec of an index for those who have binary codes.

    ``FlatIndex(Bits(n_bits))`` takes uint8 codes where other indexes take vectors, for database and queries.

    Parameters
    ----------
    n_bits : int
        Bits of a code. Those that pad the last byte have to be zero, as `fastcodes.bits.pack` leaves them.

    Attributes
    ----------
    n_features_in_ : int
        Bytes of a code, ``ceil(n_bits / 8)``.

    See Also
    --------
    fastcodes.hamming, fastcodes.jaccard : Searches of arrays of codes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.hashing import Bits
    >>> from fastcodes.index import FlatIndex
    >>> codes = np.array([[0b11100000], [0b11000000], [0b00010000]], np.uint8)
    >>> index = FlatIndex(Bits(n_bits=4))
    >>> index.add(codes)
    >>> index.search(codes[2], k=2)
    (array([[0, 3]], dtype=int32), array([[2, 1]]))
    """

    _learned = "n_bits"  # there is nothing to learn
    metrics = ("hamming", "jaccard")
    encodes_vectors = False

    def __init__(self, n_bits: int) -> None:
        self.n_bits = n_bits

    @property
    def n_features_in_(self) -> int:  # type: ignore[override]  # follows from the parameter
        """Bytes of a code."""
        return (self._bits() + 7) // 8

    def fit(self, X: object = None, y: object = None, *, threads: int | None = None) -> Self:
        """Validate the parameter; there is nothing to learn.

        Parameters
        ----------
        X, y, threads : object
            Ignored; present for API consistency.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If `n_bits` is not an integer from 1 to 2**24.
        """
        check_threads(threads)
        self._bits()
        return self

    def __sklearn_tags__(self) -> Any:
        """Return the tags that scikit-learn asks for: bytes of bits, not features, and nothing to learn."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation, tags.requires_fit = True, False
        tags.transformer_tags.preserves_dtype = ["uint8"]
        return tags

    @property
    def code_bits(self) -> int:
        """The bits of a code: the parameter, validated."""
        return self._bits()

    @property
    def _n_outputs(self) -> int:
        return self.n_features_in_

    def _bits(self) -> int:
        return as_integer(self.n_bits, "n_bits", 1, MAX_BITS)

    def encode(self, X: ArrayLike, *, threads: int | None = None) -> Codes:
        """Return codes as they are.

        Parameters
        ----------
        X : uint8 array (n, ceil(n_bits / 8))
            Packed bits.
        threads : int, optional
            Ignored; present for API consistency.

        Returns
        -------
        uint8 array (n, ceil(n_bits / 8))
            The same array.

        Raises
        ------
        TypeError
            If `X` is not a uint8 array.
        ValueError
            If it has another shape, or ones after the last bit.
        """
        check_threads(threads)
        return as_packed_bits(X, self._bits(), "X")

    def decode(self, codes: ArrayLike, *, threads: int | None = None) -> Codes:
        """Return codes as they are: see `encode`."""
        check_threads(threads)
        return self.as_codes(codes)

    def as_codes(self, codes: ArrayLike) -> Codes:
        """Return codes from elsewhere, or raise an error if they are not packed bits of this width."""
        return as_packed_bits(codes, self._bits())

    def as_queries(self, queries: Any, *, threads: int | None = None) -> Codes:
        """Return queries as codes (nq, n_bytes); a one-dimensional array is one query."""
        rows = code_array(queries, "queries")
        return as_packed_bits(rows[None] if rows.ndim == 1 else rows, self._bits(), "queries")

    def operand(self, queries: Array, metric: str, *, threads: int | None = None) -> Array:
        """Return the queries: the storage compares codes with codes."""
        return queries

    def storage(self, metric: str) -> Storage:
        """Return an empty storage of packed bits."""
        n_bytes = self.n_features_in_
        return JaccardStorage(n_bytes) if metric == "jaccard" else BitStorage(n_bytes, metric)

    def _to_arrays(self) -> dict[str, Array]:
        return {}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        self.fit()


def as_packed_bits(codes: ArrayLike, n_bits: int, name: str = "codes") -> Codes:
    """Return packed bits (n, ceil(n_bits / 8)), or raise an error if they have ones after the last bit."""
    given = as_codes(code_array(codes, name), (n_bits + 7) // 8, 256, name=name).astype(np.uint8, copy=False)
    padding = (1 << -n_bits % 8) - 1
    if padding and (wrong := np.flatnonzero(given[:, -1] & padding)).size:
        raise ValueError(
            f"{name} has ones after bit {n_bits} in row {wrong[0]}; "
            "expected zeros there, as fastcodes.bits.pack leaves them"
        )
    return given
