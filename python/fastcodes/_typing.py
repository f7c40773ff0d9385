"""Array types for annotations, each with one name."""

from __future__ import annotations

import os
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
