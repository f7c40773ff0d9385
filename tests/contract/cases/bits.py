"""Right and wrong arguments of fastcodes.bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract.kit import CODES, NO_NUMBERS, NOT_AN_INTEGER, THREADS, B, Wrong, X, outputs, wider_outputs
from helpers import random_codes

PACKED = random_codes(6, 3) & 0xF0  # of 20 bits, or of five integers of 4

RIGHT: dict[str, dict[str, Any]] = {
    "pack": {"x": X, "threshold": 0.0, "bitorder": "big", "out": None, "threads": None},
    "unpack": {
        "codes": PACKED,
        "n_bits": 20,
        "dtype": np.float32,
        "values": (-1, 1),
        "bitorder": "big",
        "out": None,
        "threads": None,
    },
    "popcount": {"codes": PACKED, "threads": None},
    "pack_uint": {"values": PACKED[:, [0] * 5] >> 4, "n_bits": 4, "out": None, "threads": None},
    "unpack_uint": {"packed": PACKED, "n_bits": 4, "count": 5, "out": None, "threads": None},
}

BITORDERS = [
    Wrong("other", "middle", ValueError, "'middle'", '"big" or "little"'),
    Wrong("upper case", "BIG", ValueError, "'BIG'", '"big" or "little"'),
    Wrong("empty", "", ValueError, "''", '"big" or "little"'),
    Wrong("None", None, TypeError, "None", '"big" or "little"'),
    Wrong("int", 1, TypeError, "1", '"big" or "little"'),
]
BITS = [Wrong("zero", 0, ValueError, "0", "1 to 16"), Wrong("many", 17, ValueError, "17", "1 to 16")]

WRONG: dict[tuple[str, str], list[Wrong]] = {
    ("pack", "x"): [
        *(wrong._replace(expected="floats") for wrong in NO_NUMBERS),
        Wrong("scalar", 1.0, ValueError, "scalar", "at least one dimension"),
    ],
    ("pack", "threshold"): [
        Wrong("None", None, TypeError, "object", "real number"),
        Wrong("str", "0", TypeError, "<U1", "real number"),
        Wrong("complex", 1j, TypeError, "complex128", "real number"),
        Wrong("NaN", np.nan, ValueError, "NaN", "number"),
        Wrong("one NaN", np.full(20, np.nan), ValueError, "NaN", "numbers"),
        Wrong("one short", np.zeros(19), ValueError, "(19,)", "(20,)"),
        Wrong("one a row", np.zeros((6, 1)), ValueError, "(6, 1)", "(20,)"),
        Wrong("one an element", np.zeros((6, 20)), ValueError, "(6, 20)", "(20,)"),
        Wrong("huge", 10**400, ValueError, "too large", "float32"),
    ],
    ("pack", "bitorder"): BITORDERS,
    ("pack", "out"): outputs(np.uint8, (6, 3), np.int8),
    ("unpack", "codes"): [
        *(wrong for wrong in CODES if wrong.error is TypeError and wrong.label != "bool array"),
        Wrong("bool array", PACKED > 3, TypeError, "bool", "uint8 array"),
        Wrong("ndim 0", np.array(3, np.uint8), ValueError, "scalar", "at least one dimension"),
        Wrong("fewer bytes", PACKED[:, :2], ValueError, "2", "from 9 to 16"),
        Wrong("more bytes", B, ValueError, "8", "from 57 to 64"),
        Wrong("no bytes", PACKED[:, :0], ValueError, "0 bytes", "expected n_bits 0"),
    ],
    ("unpack", "n_bits"): [
        *NOT_AN_INTEGER,
        Wrong("negative", -1, ValueError, "-1", "from 17 to 24"),
        Wrong("zero", 0, ValueError, "0", "from 17 to 24"),
        Wrong("fewer", 16, ValueError, "16", "from 17 to 24"),
        Wrong("more", 25, ValueError, "25", "from 17 to 24"),
        Wrong("huge", 2**70, ValueError, str(2**70), "from 17 to 24"),
    ],
    ("unpack", "dtype"): [
        Wrong("complex", complex, TypeError, "complex128", "float32"),
        Wrong("object", object, TypeError, "object", "float32"),
        Wrong("str", str, TypeError, "<U0", "float32"),
        Wrong("longdouble", np.longdouble, TypeError, np.dtype(np.longdouble).name, "float32"),
        Wrong("no dtype", "flaot32", TypeError, "flaot32", "float32"),
        Wrong("records", [("x", "u1")], TypeError, "[('x', 'u1')]", "float32"),
    ],
    ("unpack", "values"): [
        Wrong("lists of several lengths", [["a"], []], ValueError, "inhomogeneous", "numpy array"),
        Wrong("None", None, ValueError, "None", "two numbers"),
        Wrong("number", 1, ValueError, "1", "two numbers"),
        Wrong("one", (1,), ValueError, "(1,)", "two numbers"),
        Wrong("three", (0, 1, 2), ValueError, "(0, 1, 2)", "two numbers"),
        Wrong("str", "01", ValueError, "'01'", "two numbers"),
        Wrong("complex", (0, 1j), ValueError, "(0, 1j)", "two numbers"),
        Wrong("huge", (0, 1e300), ValueError, "(0.0, 1e+300)", "float32"),
        Wrong("words", ("no", "yes"), ValueError, "('no', 'yes')", "numbers"),
    ],
    ("unpack", "bitorder"): BITORDERS,
    ("unpack", "out"): [*outputs(np.float32, (6, 20), np.int32), *wider_outputs(np.float32, (6, 20))],
    ("popcount", "codes"): [
        *(wrong for wrong in CODES if wrong.error is TypeError),
        Wrong("ndim 0", np.array(3, np.uint8), ValueError, "scalar", "at least one dimension"),
    ],
    ("pack_uint", "values"): [
        *NO_NUMBERS,
        Wrong("floats", X, TypeError, "float32", "integers"),
        Wrong("scalar", 3, ValueError, "scalar", "at least one dimension"),
        Wrong("too large", np.full((6, 5), 16, np.uint8), ValueError, "16", "from 0 to 15"),
        Wrong("too large, uint16", np.full((6, 5), 300, np.uint16), ValueError, "300", "from 0 to 15"),
        Wrong("too large, int64", np.full((6, 5), 2**62), ValueError, str(2**62), "from 0 to 15"),
        Wrong("negative", np.full((6, 5), -1), ValueError, "-1", "from 0 to 15"),
    ],
    ("pack_uint", "n_bits"): [*NOT_AN_INTEGER, *BITS, Wrong("negative", -1, ValueError, "-1", "1 to 16")],
    ("pack_uint", "out"): outputs(np.uint8, (6, 3), np.int8),
    ("unpack_uint", "packed"): [
        *(wrong for wrong in CODES if wrong.error is TypeError),
        Wrong("ndim 0", np.array(3, np.uint8), ValueError, "scalar", "at least one dimension"),
        Wrong("fewer bytes", PACKED[:, :2], ValueError, "2 bytes", "3"),
        Wrong("more bytes", B, ValueError, "8 bytes", "3"),
        Wrong("no bytes", PACKED[:, :0], ValueError, "0 bytes", "3"),
    ],
    ("unpack_uint", "n_bits"): [*NOT_AN_INTEGER, *BITS, Wrong("negative", -1, ValueError, "-1", "1 to 16")],
    ("unpack_uint", "count"): [
        *NOT_AN_INTEGER,
        Wrong("negative", -1, ValueError, "-1", "3 bytes"),
        Wrong("fewer", 4, ValueError, "4", "3 bytes"),
        Wrong("more", 7, ValueError, "7", "3 bytes"),
        Wrong("huge", 2**70, ValueError, str(2**70), "3 bytes"),
    ],
    ("unpack_uint", "out"): outputs(np.uint8, (6, 5), np.int8),
}


def wrong_values(verb: str, name: str) -> list[Wrong]:
    """List the wrong values of an argument."""
    return THREADS if name == "threads" else WRONG[verb, name]
