"""Right and wrong arguments of fastcodes.adc."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract.class_kit import Case
from contract.kit import (
    BOOLEANS,
    CODES,
    HUGE_K,
    MASKS,
    NONE_IS_NO_INTEGER,
    NOT_A_REAL_NUMBER,
    THREADS,
    Wrong,
    X,
    only_float32,
    outputs,
    wider_outputs,
    with_entry,
    wrong_floats,
    wrong_integers,
    wrong_numbers,
)
from fastcodes import adc
from helpers import pq_codes, pq_tables

CODEBOOKS = np.zeros((4, 10, 5), np.float32)
TABLES = pq_tables(5, 8, 10)
PARTS = pq_codes(20, 8, 10)

RIGHT: dict[str, dict[str, Any]] = {
    "tables": {"queries": X, "codebooks": CODEBOOKS, "metric": "l2", "threads": None},
    "scan": {"tables": TABLES, "codes": PARTS, "out": None, "threads": None},
    "knn": {"tables": TABLES, "codes": PARTS, "k": 3, "exclude_self": False, "mask": None, "threads": None},
    "radius": {"tables": TABLES, "codes": PARTS, "radius": -2.5, "mask": None, "threads": None},
    "encode": {"x": X, "codebooks": CODEBOOKS, "return_distances": False, "threads": None},
    "PackedCodes": {"codes": PARTS, "n_codewords": 16, "threads": None},
}

VECTORS = [
    *(
        wrong._replace(given=wrong.given.replace("at element 119", "in row 5, column 19"))
        for wrong in wrong_numbers(X)
    ),
    Wrong(
        "too large for float32",
        np.full((6, 20), 1e300),
        ValueError,
        "1e+300 in row 0",
        "too large for float32",
    ),
    Wrong("fewer dimensions", X[:, :19], ValueError, "19 dimensions", "20"),
    Wrong("more dimensions", np.hstack([X, X]), ValueError, "40 dimensions", "20"),
    Wrong("no dimensions", X[:, :0], ValueError, "0 dimensions", "20"),
    Wrong("no rows, fewer dimensions", X[:0, :19], ValueError, "19 dimensions", "20"),
    Wrong("transposed", X.T, ValueError, "6 dimensions", "20"),
    Wrong("other dtype, one more axis", np.zeros((3, 6, 20)), ValueError, "shape (3, 6, 20)", "array ("),
    Wrong("too long", np.zeros(120), ValueError, "120 dimensions", "20"),
]
CODEBOOK_ARRAYS = [
    *wrong_floats(CODEBOOKS, "numpy float32 array (M, K, d / M)"),
    *only_float32(CODEBOOKS),
    Wrong("ndim 1", CODEBOOKS[0, 0], ValueError, "shape (5,)", "(M, K, d / M)"),
    Wrong("ndim 2", CODEBOOKS[0], ValueError, "shape (10, 5)", "(M, K, d / M)"),
    Wrong("fewer subspaces", CODEBOOKS[:3], ValueError, "20 dimensions", "15"),
    Wrong("fewer dimensions", CODEBOOKS[..., :4], ValueError, "20 dimensions", "16"),
    Wrong("no subspaces", CODEBOOKS[:0], ValueError, "0", "subspaces"),
    Wrong("no codewords", CODEBOOKS[:, :0], ValueError, "0 codewords", "from 1 to 256"),
    Wrong("257 codewords", CODEBOOKS[:, [0] * 257], ValueError, "257 codewords", "from 1 to 256"),
    Wrong("no dimensions", CODEBOOKS[..., :0], ValueError, "0", "dimensions"),
]
TABLE_ARRAYS = [
    *wrong_floats(TABLES, "numpy float32 array (nq, M, K)"),
    *only_float32(TABLES),
    Wrong("ndim 1", TABLES[0, 0], ValueError, "shape (10,)", "(nq, M, K)"),
]
OTHER_SUBSPACES = [
    Wrong("fewer subspaces", TABLES[:, :7], ValueError, "7 subspaces", "8"),
    Wrong("no queries, fewer subspaces", TABLES[:0, :7], ValueError, "7 subspaces", "8"),
    Wrong("no subspaces", TABLES[:, :0], ValueError, "0", "subspaces"),
    Wrong("no codewords", TABLES[..., :0], ValueError, "0 codewords", "from 1 to 256"),
    Wrong("257 codewords", TABLES[..., [0] * 257], ValueError, "257 codewords", "from 1 to 256"),
]
SUBSPACES = [
    Wrong("fewer subspaces", PARTS[:, :7], ValueError, "7", "8 subspaces"),
    Wrong("more subspaces", np.hstack([PARTS, PARTS]), ValueError, "16", "8 subspaces"),
    Wrong("transposed", PARTS.T, ValueError, "20", "8 subspaces"),
    Wrong("no rows, fewer subspaces", PARTS[:0, :7], ValueError, "7", "8 subspaces"),
    Wrong("one row, 1-D, fewer subspaces", PARTS[0, :7], ValueError, "7", "8 subspaces"),
    Wrong("packed, fewer subspaces", adc.PackedCodes(PARTS[:, :7]), ValueError, "7", "8 subspaces"),
    Wrong("tuple", (PARTS, 20, 8, 256), ValueError, "inhomogeneous", "numpy array"),
    Wrong("empty tuple", (), TypeError, "shape (0,)", "numpy uint8 array (n, M)"),
    Wrong("class", adc.PackedCodes, TypeError, "PackedCodes", "numpy uint8 array (n, M)"),
    Wrong("codes beyond", with_entry(PARTS, 10), ValueError, "10 in row 19", "from 0 to 9"),
    Wrong("the highest code", with_entry(PARTS, 255), ValueError, "255 in row 19", "from 0 to 9"),
]
METRICS = [
    Wrong("other", "cosine", ValueError, "'cosine'", '"l2" or "ip"'),
    Wrong("upper case", "L2", ValueError, "'L2'", '"l2" or "ip"'),
    Wrong("empty", "", ValueError, "''", '"l2" or "ip"'),
    Wrong("None", None, ValueError, "None", '"l2" or "ip"'),
    Wrong("bytes", b"l2", ValueError, "b'l2'", '"l2" or "ip"'),
    Wrong("int", 2, ValueError, "2", '"l2" or "ip"'),
    Wrong("list", ["l2"], ValueError, "['l2']", '"l2" or "ip"'),
]
N_CODEWORDS = [
    *(
        Wrong(str(given), given, ValueError, str(given), "16 or 256")
        for given in (0, 1, 15, 17, 255, 257, -16, 2**70)
    ),
    Wrong("None", None, ValueError, "None", "16 or 256"),
    Wrong("str", "16", ValueError, "'16'", "16 or 256"),
    Wrong("fraction", 16.5, ValueError, "16.5", "16 or 256"),
]
WRONG: dict[str, list[Wrong]] = {
    "queries": VECTORS,
    "x": VECTORS,
    "codebooks": CODEBOOK_ARRAYS,
    "metric": METRICS,
    "return_distances": [
        Wrong("int", 1, TypeError, "1", "True or False"),
        Wrong("None", None, TypeError, "None", "True or False"),
    ],
    "tables": TABLE_ARRAYS + OTHER_SUBSPACES,
    "codes": CODES + SUBSPACES,
    "out": [*outputs(np.float32, (5, 20), np.int32), *wider_outputs(np.float32, (5, 20))],
    "n_codewords": N_CODEWORDS,
    "radius": [*NOT_A_REAL_NUMBER, Wrong("huge int", 10**400, ValueError, "1000", "real number")],
    "k": [*wrong_integers(0), NONE_IS_NO_INTEGER, HUGE_K],
    "exclude_self": [
        *BOOLEANS,
        Wrong("other queries", True, ValueError, "5 queries and 20 rows", "rows of codes"),
    ],
    "mask": MASKS,
    "threads": THREADS,
}


def wrong_values(verb: str, name: str) -> list[Wrong]:
    """List the wrong values of an argument."""
    if verb == "PackedCodes" and name == "codes":
        fitting = [wrong for wrong in CODES if wrong.label != "too many bytes"]
        return [*fitting, Wrong("code beyond", PARTS * 2, ValueError, "16", "from 0 to 15")]
    return WRONG[name]


ROWS = (np.arange(60 * 8) % 16).astype(np.uint8).reshape(60, 8)
NOT_ROWS = ["codes", ROWS * 1.0, ROWS.astype(np.int64), ROWS[None], ROWS * 2]
CASES = {
    "adc.PackedCodes": Case(
        adc.PackedCodes,
        {"codes": ROWS, "n_codewords": 16},
        methods={
            "append": {"codes": ROWS},
            "remove": {"mask": np.arange(3)},
            "take": {"ids": np.arange(3)},
            "unpack": {"start": 1, "stop": None},
        },
        wrong={
            "codes": NOT_ROWS,
            "append.codes": [*NOT_ROWS, ROWS[:, :7]],
            "n_codewords": [1.5, "16", 17],
            "ids": ["0", 0.5, np.array([0.5]), np.array([60]), np.array([-1])],
            "start": ["0", 0.5],
            "stop": ["0", 0.5],
        },
    ),
}
