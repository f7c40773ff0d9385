"""Right and wrong arguments of fastcodes.rabitq."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract.cases.adc import METRICS
from contract.kit import (
    CODES,
    HUGE_K,
    MASKS,
    NONE_IS_NO_INTEGER,
    NOT_A_REAL_NUMBER,
    THREADS,
    Wrong,
    only_float32,
    outputs,
    wider_outputs,
    with_entry,
    wrong_floats,
    wrong_integers,
    wrong_numbers,
)
from fastcodes import adc, rabitq

X = np.random.default_rng(0).standard_normal((20, 24)).astype(np.float32)
X[0, 0] = 0
CODE_ROWS, FACTORS = rabitq.encode(X, n_bits=2)
QUERIES = X[:5]
WEIGHTS = np.eye(24, dtype=np.float32)
NOT_FINITE = {"NaN", "inf", "-inf"}

RIGHT: dict[str, dict[str, Any]] = {
    "encode": {"x": X, "n_bits": 2, "metric": "l2", "weights": None, "threads": None},
    "decode": {"codes": CODE_ROWS, "factors": FACTORS, "n_bits": 2, "threads": None},
    "errors": {"codes": CODE_ROWS, "factors": FACTORS, "n_bits": 2, "threads": None},
    "scan": {
        "queries": QUERIES,
        "codes": CODE_ROWS,
        "factors": FACTORS,
        "n_bits": 2,
        "metric": "l2",
        "offsets": None,
        "out": None,
        "threads": None,
    },
    "knn": {
        "queries": QUERIES,
        "codes": CODE_ROWS,
        "factors": FACTORS,
        "k": 3,
        "n_bits": 2,
        "metric": "l2",
        "offsets": None,
        "mask": None,
        "threads": None,
    },
    "radius": {
        "queries": QUERIES,
        "codes": CODE_ROWS,
        "factors": FACTORS,
        "radius": 30.0,
        "n_bits": 2,
        "metric": "l2",
        "offsets": None,
        "mask": None,
        "threads": None,
    },
    "cdist": {
        "a": CODE_ROWS[:5],
        "a_factors": FACTORS[:5],
        "b": CODE_ROWS,
        "b_factors": FACTORS,
        "n_bits": 2,
        "metric": "l2",
        "out": None,
        "threads": None,
    },
}


def vectors(right: Any) -> list[Wrong]:
    """List what is wrong for rotated vectors."""
    wide = np.zeros((1, (1 << 16) + 8), np.float32)
    return [
        *wrong_numbers(right),
        Wrong("too large for float32", np.full((5, 24), 1e300), ValueError, "1e+300 in row 0", "float32"),
        Wrong("no dimensions", right[:, :0], ValueError, "0 dimensions", "8 to 65536"),
        Wrong("dimensions of no whole bytes", right[:, :20], ValueError, "20", "multiple of 8"),
        Wrong("too many dimensions", wide, ValueError, "65544", "8 to 65536"),
    ]


WITH_HUGE_SQUARE = Wrong("huge numbers", X * np.float32(1e20), ValueError, "e20 in row 0", "sum of squares")
OTHER_DIMS = [
    Wrong("fewer dimensions", QUERIES[:, :16], ValueError, "16 dimensions", "24"),
    Wrong("more dimensions", np.hstack([QUERIES, QUERIES]), ValueError, "48 dimensions", "24"),
    Wrong("no queries, fewer dimensions", QUERIES[:0, :16], ValueError, "16 dimensions", "24"),
]
BYTES = [
    *CODES,
    Wrong("bytes of no whole groups", CODE_ROWS[:, :5], ValueError, "5 bytes", "multiple of 2"),
]


def factor_arrays(right: Any) -> list[Wrong]:
    """List what is wrong for factors."""
    return [
        *(wrong for wrong in wrong_floats(right, "(n, 2)") if wrong.label not in NOT_FINITE),
        *only_float32(right),
        Wrong("fewer rows", right[:-1], ValueError, f"({len(right) - 1}, 2)", f"({len(right)}, 2)"),
        Wrong("one factor", right[:, :1], ValueError, f"({len(right)}, 1)", f"({len(right)}, 2)"),
        Wrong("transposed", right.T, ValueError, f"(2, {len(right)})", f"({len(right)}, 2)"),
    ]


BAD_FACTORS = [
    Wrong(label, with_entry(FACTORS, value), ValueError, label, "finite")
    for label, value in (("NaN", np.nan), ("inf", np.inf))
]
OFFSETS = [
    *(
        wrong
        for wrong in wrong_numbers(np.zeros(5, np.float32))
        if wrong.label != "None" and wrong.expected != "array ("
    ),
    Wrong("one short", np.zeros(4), ValueError, "(4,)", "(5,)"),
    Wrong("two axes", np.zeros((5, 1)), ValueError, "(5, 1)", "(5,)"),
]

WRONG: dict[str, list[Wrong]] = {
    "x": [*vectors(X), WITH_HUGE_SQUARE],
    "n_bits": [
        *wrong_integers(1),
        NONE_IS_NO_INTEGER,
        Wrong("zero", 0, ValueError, "got 0", "from 1 up"),
        Wrong("nine", 9, ValueError, "9", "from 1 to 8"),
    ],
    "metric": METRICS,
    "weights": [
        *(wrong for wrong in wrong_floats(WEIGHTS, "(24, 24)") if wrong.label not in NOT_FINITE | {"None"}),
        *(wrong for wrong in wrong_floats(WEIGHTS, "finite") if wrong.label in NOT_FINITE),
        *only_float32(WEIGHTS),
        Wrong("fewer columns", WEIGHTS[:, :16], ValueError, "(24, 16)", "(24, 24)"),
        Wrong("fewer dimensions", WEIGHTS[:16, :16], ValueError, "(16, 16)", "(24, 24)"),
    ],
    "threads": THREADS,
    "codes": BYTES,
    "factors": factor_arrays(FACTORS),
    "queries": [*vectors(QUERIES), *OTHER_DIMS],
    "offsets": OFFSETS,
    "out": [*outputs(np.float32, (5, 20), np.int32), *wider_outputs(np.float32, (5, 20))],
    "k": [*wrong_integers(0), NONE_IS_NO_INTEGER, HUGE_K],
    "radius": [*NOT_A_REAL_NUMBER, Wrong("huge int", 10**400, ValueError, "1000", "real number")],
    "mask": MASKS,
    "a": [*CODES, Wrong("fewer bytes", CODE_ROWS[:5, :4], ValueError, "4", "6")],
    "b": [*CODES, Wrong("fewer bytes", CODE_ROWS[:, :4], ValueError, "4", "6")],
    "a_factors": factor_arrays(FACTORS[:5]),
    "b_factors": factor_arrays(FACTORS),
}
PACKED = [
    Wrong("packed, several bits", adc.PackedCodes(CODE_ROWS), ValueError, "n_bits is 2", "n_bits=1"),
    Wrong("packed in halves", adc.PackedCodes(CODE_ROWS & 15, n_codewords=16), ValueError, "16", "256"),
]


def wrong_values(verb: str, name: str) -> list[Wrong]:
    """List the wrong values of an argument."""
    searches = verb in ("scan", "knn", "radius")
    if name == "codes" and searches:
        return [*WRONG[name], *PACKED]
    if name == "factors" and searches:
        return [*WRONG[name], *BAD_FACTORS]
    return WRONG[name]
