"""Array types for annotations, each with one name."""

from __future__ import annotations

import abc
import os
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Array",
    "Booleans",
    "Codes",
    "Doubles",
    "Floats",
    "Ids",
    "Integers",
    "Mask",
    "PathLike",
    "RowSource",
    "Signatures",
    "Tokens",
    "UnsignedCodes",
]

Array: TypeAlias = NDArray[Any]
Booleans: TypeAlias = NDArray[np.bool_]
Codes: TypeAlias = NDArray[np.uint8]
Doubles: TypeAlias = NDArray[np.float64]
Floats: TypeAlias = NDArray[np.float32]
Ids: TypeAlias = NDArray[np.int64]
Integers: TypeAlias = NDArray[np.integer[Any]]
Mask: TypeAlias = NDArray[np.bool_] | NDArray[np.integer[Any]]  # selects database rows: booleans or ids
PathLike: TypeAlias = str | os.PathLike[str]
Signatures: TypeAlias = NDArray[np.uint32]
Tokens: TypeAlias = NDArray[np.uint64]
UnsignedCodes: TypeAlias = NDArray[np.unsignedinteger[Any]]


class RowSource(abc.ABC):
    """Samples (n, d) that are not in memory: arguments `X` and `samples` of models may be one.

    `fastcodes._validation.as_array` returns it as it is, and `fastcodes._blocks` reads it.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    ndim = 2

    def __len__(self) -> int:
        return self.shape[0]

    @abc.abstractmethod
    def __getitem__(self, rows: slice | Ids) -> Array:
        """Return some rows as an array: those of a slice, or those with ascending numbers."""

    @abc.abstractmethod
    def fold(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        combine: Callable[[Any, Any], Any],
        step: int,
        name: str,
    ) -> Any:
        """Return what `fastcodes._blocks.fold` does, for blocks of `step` rows of the argument `name`."""
