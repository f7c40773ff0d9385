"""Right and wrong arguments of fastcodes.hamming."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract.kit import (
    BOOLEANS,
    CODES,
    HUGE_K,
    MASKS,
    NONE_IS_NO_INTEGER,
    OTHER_BYTES,
    THREADS,
    A,
    B,
    Wrong,
    outputs,
    wider_outputs,
    wrong_integers,
    wrong_numbers,
)

REAL = np.zeros((5, 60), np.float32)

RIGHT: dict[str, dict[str, Any]] = {
    "knn": {"queries": A, "codes": B, "k": 3, "exclude_self": False, "mask": None, "threads": None},
    "radius": {"queries": A, "codes": B, "radius": 3, "mask": None, "threads": None},
    "cdist": {"a": A, "b": B, "out": None, "threads": None},
    "pairs": {"codes": B, "radius": 3, "threads": None},
    "groups": {"codes": B, "radius": 3, "threads": None},
    "asymmetric_knn": {
        "queries": REAL,
        "codes": B,
        "k": 3,
        "exclude_self": False,
        "mask": None,
        "threads": None,
    },
}

REAL_QUERIES = [
    *wrong_numbers(REAL),
    Wrong("too large", np.full((5, 60), 1e38, np.float32), ValueError, "1e38 at element 0", "at most 8.5"),
    Wrong(
        "too large float64", np.full((5, 60), 1e300), ValueError, "1e+300 in row 0", "too large for float32"
    ),
    Wrong("fewer dimensions", REAL[:, :56], ValueError, "56 dimensions", "take 7"),
    Wrong("more dimensions", np.zeros((5, 65)), ValueError, "65 dimensions", "take 9"),
    Wrong("no dimensions", REAL[:, :0], ValueError, "0 dimensions", "at least 1"),
    Wrong("no rows, fewer dimensions", REAL[:0, :56], ValueError, "56 dimensions", "take 7"),
    Wrong("transposed", REAL.T, ValueError, "5 dimensions", "take 1"),
]

WRONG: dict[str, list[Wrong]] = {
    "queries": CODES + OTHER_BYTES,
    "codes": CODES + OTHER_BYTES,
    "a": CODES + OTHER_BYTES,
    "b": CODES + OTHER_BYTES,
    "k": [*wrong_integers(0), NONE_IS_NO_INTEGER, HUGE_K],
    "radius": [*wrong_integers(0), NONE_IS_NO_INTEGER],
    "exclude_self": [
        *BOOLEANS,
        Wrong("other queries", True, ValueError, "5 queries and 20 rows", "rows of codes"),
    ],
    "mask": MASKS,
    "out": [*outputs(np.int32, (5, 20), np.uint32), *wider_outputs(np.int32, (5, 20))],
    "threads": THREADS,
}


def wrong_values(verb: str, name: str) -> list[Wrong]:
    """List the wrong values of an argument."""
    special = {
        ("pairs", "codes"): CODES,
        ("groups", "codes"): CODES,
        ("asymmetric_knn", "queries"): REAL_QUERIES,
    }
    return special.get((verb, name), WRONG[name])
