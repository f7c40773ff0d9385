"""Right and wrong arguments of fastcodes.jaccard."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract.kit import (
    BOOLEANS,
    CODES,
    HUGE_K,
    MASKS,
    NONE_IS_NO_INTEGER,
    NOT_A_REAL_NUMBER,
    OTHER_BYTES,
    THREADS,
    A,
    B,
    Wrong,
    outputs,
    wider_outputs,
    wrong_integers,
)

WEIGHTS = {"alpha": 1.0, "beta": 0.5}
WRONG_WEIGHTS = [
    Wrong("negative", -0.5, ValueError, "-0.5", "at least 0"),
    Wrong("infinity", np.inf, ValueError, "inf", "at least 0"),
    *NOT_A_REAL_NUMBER,
]

RIGHT: dict[str, dict[str, Any]] = {
    "knn": {
        "queries": A,
        "codes": B,
        "k": 3,
        **WEIGHTS,
        "exclude_self": False,
        "mask": None,
        "threads": None,
    },
    "radius": {"queries": A, "codes": B, "radius": 0.5, **WEIGHTS, "mask": None, "threads": None},
    "cdist": {"a": A, "b": B, **WEIGHTS, "out": None, "threads": None},
    "pairs": {"codes": B, "radius": 0.5, "threads": None},
    "groups": {"codes": B, "radius": 0.5, "threads": None},
}

WRONG: dict[str, list[Wrong]] = {
    "queries": CODES + OTHER_BYTES,
    "codes": CODES + OTHER_BYTES,
    "a": CODES + OTHER_BYTES,
    "b": CODES + OTHER_BYTES,
    "k": [*wrong_integers(0), NONE_IS_NO_INTEGER, HUGE_K],
    "radius": [
        Wrong("negative", -0.5, ValueError, "-0.5", "0 or more"),
        Wrong("negative int", -1, ValueError, "-1", "0 or more"),
        Wrong("minus infinity", -np.inf, ValueError, "-inf", "0 or more"),
        *NOT_A_REAL_NUMBER,
    ],
    "alpha": WRONG_WEIGHTS,
    "beta": WRONG_WEIGHTS,
    "exclude_self": [
        *BOOLEANS,
        Wrong("other queries", True, ValueError, "5 queries and 20 rows", "rows of codes"),
    ],
    "mask": MASKS,
    "out": [*outputs(np.float32, (5, 20), np.int32), *wider_outputs(np.float32, (5, 20))],
    "threads": THREADS,
}


def wrong_values(verb: str, name: str) -> list[Wrong]:
    """List the wrong values of an argument."""
    return CODES if verb in ("pairs", "groups") and name == "codes" else WRONG[name]
