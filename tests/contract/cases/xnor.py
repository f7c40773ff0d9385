"""Right and wrong arguments of fastcodes.xnor."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract.kit import (
    BOOLEANS,
    CODES,
    NO_NUMBERS,
    NONE_IS_NO_INTEGER,
    NOT_BYTES,
    OTHER_BYTES,
    THREADS,
    A,
    B,
    WithoutRepr,
    Wrong,
    X,
    between,
    outputs,
    pairs,
    wider_outputs,
    with_entry,
)
from fastcodes import xnor
from helpers import random_codes

ROWS = A & np.uint8([255] * 7 + [240])  # of 60 signs
COLUMNS = B & np.uint8([255] * 7 + [240])
INTEGERS = np.arange(15, dtype=np.uint8).reshape(3, 5)
IMAGES = random_codes(2 * 8 * 9, 2, seed=3).reshape(2, 8, 9, 2)
FILTERS = random_codes(24 * 3 * 2, 2, seed=4).reshape(24, 3, 2, 2)
BYTES = A[:, :6]
SIGNS_OF_BYTES = B[:, :1] & np.uint8(0b1111_1100)
FILTERS_OF_BYTES = FILTERS[..., :1] & np.uint8(0b1100_0000)

FINISHED = {"finish": None, "out": None, "threads": None}

RIGHT: dict[str, dict[str, Any]] = {
    "matmul": {"a": ROWS, "b": COLUMNS, "n_bits": 60, **FINISHED},
    "and_matmul": {"a": A, "b": B, "out": None, "threads": None},
    "bitserial_matmul": {
        "a": np.stack([ROWS, ROWS, ROWS]),
        "b": COLUMNS,
        "n_features": 60,
        "a_signed": False,
        "b_signed": True,
        **FINISHED,
    },
    "byte_matmul": {
        "a": BYTES,
        "b": SIGNS_OF_BYTES,
        "byte_scale": 2,
        "byte_offset": -3,
        **FINISHED,
    },
    "byte_conv2d": {
        "images": IMAGES,
        "filters": FILTERS_OF_BYTES,
        "stride": 1,
        "padding": 0,
        "pad_value": 0,
        "dilation": 1,
        "groups": 1,
        "byte_scale": 2,
        "byte_offset": -3,
        **FINISHED,
    },
    "planes": {"values": INTEGERS, "n_bits": 4, "out": None, "threads": None},
    "conv2d": {
        "images": IMAGES,
        "filters": FILTERS,
        "n_channels": 16,
        "stride": 1,
        "padding": 0,
        "pad_value": -1,
        "dilation": 1,
        "groups": 1,
        **FINISHED,
    },
    "max_pool2d": {"images": IMAGES, "size": (2, 3), "stride": None, "out": None, "threads": None},
    "Finish": {"thresholds": [1, 2, 3], "flips": None, "scale": None, "bias": None},
    "PackedMatrix": {"b": COLUMNS, "n_bits": 60, "signed": True, "threads": None},
    "PackedFilters": {"filters": FILTERS, "n_channels": 16, "groups": 1, "threads": None},
}

PREPARED = [
    Wrong("prepared, fewer bits", xnor.PackedMatrix(B[:, :7], 56), ValueError, "56", "60"),
    Wrong("prepared, other padding", xnor.PackedMatrix(B & 0, 61), ValueError, "61", "60"),
    Wrong("class", xnor.PackedMatrix, TypeError, "PackedMatrix", "uint8 array"),
    Wrong("filters", xnor.PackedFilters(FILTERS, 16), TypeError, "PackedFilters", "uint8 array"),
]
SIGNS = [
    *NOT_BYTES,
    Wrong("ndim 0", np.array(3, np.uint8), ValueError, "shape ()", "1 or 2"),
    Wrong("fewer bytes", COLUMNS[:, :7], ValueError, "7", "8"),
    Wrong("more bytes", np.hstack([COLUMNS, COLUMNS]), ValueError, "16", "8"),
    Wrong("no bytes", COLUMNS[:, :0], ValueError, "0", "8"),
    Wrong("fewer bytes, no rows", COLUMNS[:0, :7], ValueError, "7", "8"),
    Wrong("fewer bytes, 1-D", COLUMNS[0, :7], ValueError, "7", "8"),
    Wrong("transposed", COLUMNS.T, ValueError, "20", "8"),
    Wrong("too many bytes", np.broadcast_to(np.uint8(0), (2, 2**28)), ValueError, str(2**28), "8"),
    Wrong("a one after the end", with_entry(COLUMNS, 8), ValueError, "bit 60 in row 19", "zeros"),
    Wrong("ones after the end", COLUMNS | 1, ValueError, "bit 60 in row 0", "zeros"),
]
PLANES_OF_SIGNS = [
    *SIGNS,
    Wrong("ndim 4", COLUMNS[None, None], ValueError, "shape (1, 1, 20, 8)", "1 or 2 or 3"),
    Wrong("no planes", COLUMNS[None][:0], ValueError, "0 bit planes", "from 1 to 8"),
    Wrong("nine planes", np.stack([COLUMNS] * 9), ValueError, "9 bit planes", "from 1 to 8"),
    Wrong("a one in a plane", np.stack([COLUMNS & 0, COLUMNS | 1]), ValueError, "in row 0", "zeros"),
]
ONE_PLANE = [
    Wrong("ndim 3", COLUMNS[None], ValueError, "shape (1, 20, 8)", "1 or 2"),
    Wrong("planes", np.stack([COLUMNS] * 2), ValueError, "shape (2, 20, 8)", "1 or 2"),
]
ANY_BITS = [
    *(
        wrong
        for wrong in CODES
        if wrong.label not in ("no bytes", "no rows, no bytes", "no bytes, 1-D", "too many bytes")
    ),
    *OTHER_BYTES,
    Wrong("no bytes", B[:, :0], ValueError, "0", "8"),
]
LENGTHS = [
    *between(1, 2**31 - 1),
    NONE_IS_NO_INTEGER,
    Wrong("fewer bytes", 56, ValueError, "56", "7"),
    Wrong("more bytes", 65, ValueError, "65", "9"),
]


def finishes(n: int) -> list[Wrong]:
    """List what is no finish of `n` columns."""
    return [
        Wrong("dict", {"thresholds": 0}, TypeError, "{'thresholds': 0}", "Finish or None"),
        Wrong("class", xnor.Finish, TypeError, "Finish", "Finish or None"),
        Wrong("array", np.zeros(n, int), TypeError, f"({n},)", "Finish or None"),
        Wrong("one short", xnor.Finish(scale=np.zeros(n - 1)), ValueError, f"{n - 1} columns", f"has {n}"),
        Wrong("one alone", xnor.Finish(thresholds=[1]), ValueError, "1 columns", f"has {n}"),
        Wrong("empty", xnor.Finish(thresholds=np.zeros(0, int)), ValueError, "0 columns", f"has {n}"),
        Wrong("flips", xnor.Finish(thresholds=0, flips=[True] * (n + 1)), ValueError, f"{n + 1}", f"has {n}"),
    ]


AXES_OF_COLUMNS = [
    Wrong("two axes", np.zeros((3, 1), int), ValueError, "(3, 1)", "one-dimensional"),
    Wrong("ragged", [[1], [2, 3]], ValueError, "several lengths", "one for each column"),
]
NO_COLUMNS = [wrong._replace(expected="numbers") for wrong in NO_NUMBERS if wrong.label != "None"]
REAL_COLUMNS = [
    *AXES_OF_COLUMNS,
    *NO_COLUMNS,
    Wrong("bool", True, TypeError, "bool", "numbers"),
    Wrong("no float", 10**400, TypeError, "object", "numbers"),
    *(
        Wrong(f"{x}", x, ValueError, f"{x}", "finite")
        for x in [float("nan"), float("inf"), -np.inf, 1e300, np.float64(-1e39)]
    ),
    Wrong("one NaN", with_entry(np.zeros(3), np.nan), ValueError, "nan", "finite"),
]
# With the right arguments of `Finish`: three thresholds.
FINISH_WRONG: dict[str, list[Wrong]] = {
    "thresholds": [
        *AXES_OF_COLUMNS,
        *(wrong._replace(expected="integers") for wrong in NO_COLUMNS),
        Wrong("None", None, ValueError, "None", "give thresholds"),
        Wrong("floats", np.zeros(3), TypeError, "float64", "integers"),
        Wrong("float", 1.0, TypeError, "float64", "integers"),
        Wrong("bool", True, TypeError, "bool", "integers"),
        Wrong("no integer of numpy", 2**70, TypeError, "object", "integers"),
    ],
    "flips": [
        Wrong("one short", np.zeros(2, bool), ValueError, "has 2", "equal lengths"),
        Wrong("one alone", [True], ValueError, "has 1", "equal lengths"),
        Wrong("two axes", np.zeros((3, 1), bool), ValueError, "(3, 1)", "one-dimensional"),
        Wrong("int", 1, TypeError, "int64", "booleans"),
        Wrong("ints", np.zeros(3, int), TypeError, "int64", "booleans"),
        Wrong("bytes", np.zeros(3, np.uint8), TypeError, "uint8", "booleans"),
        Wrong("str", "yes", TypeError, "<U3", "booleans"),
    ],
    "scale": REAL_COLUMNS,
    "bias": REAL_COLUMNS,
}


IMAGE_ARRAYS = [
    *(wrong for wrong in NOT_BYTES if wrong.label != "records"),
    Wrong("ndim 0", np.array(3, np.uint8), ValueError, "shape ()", "4"),
    Wrong("ndim 3", IMAGES[0], ValueError, "shape (8, 9, 2)", "4"),
    Wrong("ndim 5", IMAGES[None], ValueError, "shape (1, 2, 8, 9, 2)", "4"),
]
FILTER_ARRAYS = [
    *IMAGE_ARRAYS,
    Wrong("fewer channels", FILTERS[..., :1], ValueError, "1", "2"),
    Wrong("no channels", FILTERS[..., :0], ValueError, "0", "2"),
    Wrong("transposed", FILTERS.transpose(0, 3, 2, 1), ValueError, "3", "2"),
    Wrong("no rows", FILTERS[:, :0], ValueError, "0 pixels", "at least 1"),
    Wrong("no columns", FILTERS[:, :, :0], ValueError, "0 pixels", "at least 1"),
    Wrong("class", xnor.PackedFilters, TypeError, "PackedFilters", "uint8 array"),
    Wrong("matrix", xnor.PackedMatrix(COLUMNS, 60), TypeError, "PackedMatrix", "uint8 array"),
]
GROUPS = [
    *between(1, 2**31 - 1),
    NONE_IS_NO_INTEGER,
    Wrong("no divisor of the channels", 3, ValueError, "3", "divide n_channels"),
    Wrong("more than channels", 32, ValueError, "32", "divide n_channels"),
    Wrong("fewer bytes", 2, ValueError, "2", "takes 1"),
]
N_CHANNELS = [
    *between(1, 2**31 - 1),
    NONE_IS_NO_INTEGER,
    Wrong("fewer bytes", 8, ValueError, "8", "takes 1"),
    Wrong("more bytes", 17, ValueError, "17", "takes 3"),
]
THIN = np.zeros((2, 8, 9, 1), np.uint8)
NUMBERS = [*between(-(2**31) + 1, 2**31 - 1), NONE_IS_NO_INTEGER]
WRONG: dict[tuple[str, str], list[Wrong]] = {
    ("byte_matmul", "a"): [
        *NOT_BYTES,
        Wrong("ndim 0", np.array(3, np.uint8), ValueError, "shape ()", "1 or 2"),
        Wrong("ndim 3", BYTES[None], ValueError, "shape (1, 5, 6)", "1 or 2"),
        Wrong("no bytes", BYTES[:, :0], ValueError, "(5, 0)", "at least 1 byte"),
    ],
    ("byte_matmul", "b"): [
        *NOT_BYTES,
        *PREPARED[2:],
        Wrong("ndim 0", np.array(3, np.uint8), ValueError, "shape ()", "1 or 2"),
        Wrong("planes", SIGNS_OF_BYTES[None], ValueError, "shape (1, 20, 1)", "1 or 2"),
        Wrong("more bytes", B[:, :2], ValueError, "2 bytes", "d 6 takes 1"),
        Wrong("no bytes", B[:, :0], ValueError, "0 bytes", "d 6 takes 1"),
        Wrong("a one after the end", SIGNS_OF_BYTES | 1, ValueError, "bit 6 in row 0", "zeros"),
        Wrong("prepared, more", xnor.PackedMatrix(B[:, :1], 8), ValueError, "packed with 8", "d is 6"),
        Wrong(
            "prepared planes",
            xnor.PackedMatrix(SIGNS_OF_BYTES[None], 6),
            ValueError,
            "bit planes",
            "rows of signs",
        ),
    ],
    ("byte_matmul", "byte_scale"): NUMBERS,
    ("byte_matmul", "byte_offset"): NUMBERS,
    ("byte_matmul", "out"): outputs(np.int32, (5, 20), np.uint32),
    ("matmul", "a"): [*SIGNS, *ONE_PLANE],
    ("matmul", "b"): [
        *SIGNS,
        *ONE_PLANE,
        *PREPARED,
        Wrong("prepared planes", xnor.PackedMatrix(COLUMNS[None], 60), ValueError, "planes", "rows of signs"),
    ],
    ("matmul", "n_bits"): LENGTHS,
    ("matmul", "out"): [*outputs(np.int32, (5, 20), np.uint32), *wider_outputs(np.int32, (5, 20))],
    ("and_matmul", "a"): ANY_BITS,
    ("and_matmul", "b"): ANY_BITS,
    ("and_matmul", "out"): [*outputs(np.int32, (5, 20), np.uint32), *wider_outputs(np.int32, (5, 20))],
    ("bitserial_matmul", "a"): PLANES_OF_SIGNS,
    ("bitserial_matmul", "b"): [*PLANES_OF_SIGNS, *PREPARED],
    ("bitserial_matmul", "n_features"): LENGTHS,
    ("bitserial_matmul", "a_signed"): BOOLEANS,
    ("bitserial_matmul", "b_signed"): BOOLEANS,
    ("bitserial_matmul", "out"): outputs(np.int32, (5, 20), np.uint32),
    ("planes", "values"): [
        *(wrong for wrong in NO_NUMBERS if wrong.label not in ("None", "str", "list of str")),
        Wrong("None", None, TypeError, "None", "integers"),
        Wrong("list", [[0.5]], TypeError, "float64", "integers"),
        Wrong("scalar", 3, ValueError, "shape ()", "1 or 2 dimensions"),
        Wrong("masked", np.ma.masked_equal(INTEGERS, 3), ValueError, "masked", "filled(value)"),
        Wrong("object", WithoutRepr(), TypeError, "WithoutRepr", "integers"),
        Wrong("floats", X, TypeError, "float32", "integers"),
        Wrong("bools", INTEGERS > 3, TypeError, "bool", "integers"),
        Wrong("ndim 0", np.array(3), ValueError, "shape ()", "(m, d)"),
        Wrong("ndim 3", INTEGERS[None], ValueError, "shape (1, 3, 5)", "(m, d)"),
        Wrong("no integers", INTEGERS[:, :0], ValueError, "shape (3, 0)", "at least 1"),
        Wrong("too large", with_entry(INTEGERS, 16), ValueError, "16", "from 0 to 15"),
        Wrong("too large, signed", INTEGERS.astype(np.int8), ValueError, "14", "from -8 to 7"),
        Wrong("too small", np.full((3, 5), -9), ValueError, "-9", "from -8 to 7"),
        Wrong("largest", np.full((3, 5), 2**64 - 1, np.uint64), ValueError, str(2**64 - 1), "from 0 to 15"),
        Wrong("least", np.full((3, 5), -(2**63)), ValueError, str(-(2**63)), "from -8 to 7"),
    ],
    ("planes", "n_bits"): [*between(1, 8), NONE_IS_NO_INTEGER],
    ("planes", "out"): outputs(np.uint8, (4, 3, 1), np.int8),
    ("conv2d", "images"): [
        *IMAGE_ARRAYS,
        Wrong("fewer channels", THIN, ValueError, "1", "2"),
        Wrong("no channels", THIN[..., :0], ValueError, "0", "2"),
        Wrong("channels first", IMAGES.transpose(0, 3, 1, 2), ValueError, "9", "2"),
        Wrong("too low", IMAGES[:, :2], ValueError, "have 2", "3 rows"),
        Wrong("too narrow", IMAGES[:, :, :1], ValueError, "have 1", "2 columns"),
        Wrong("no pixels", IMAGES[:, :0], ValueError, "have 0", "3 rows"),
    ],
    ("conv2d", "filters"): [
        *FILTER_ARRAYS,
        Wrong("too high", FILTERS[:, [0] * 9], ValueError, "9 rows", "8"),
        Wrong("too wide", FILTERS[:, :, [0] * 10], ValueError, "10 columns", "9"),
        Wrong("prepared", xnor.PackedFilters(FILTERS[..., :1], 8), ValueError, "for 8", "16"),
        Wrong("prepared, groups", xnor.PackedFilters(FILTERS, 48, groups=3), ValueError, "for 48", "16"),
    ],
    ("conv2d", "n_channels"): N_CHANNELS,
    ("conv2d", "stride"): pairs(1, []),
    ("conv2d", "padding"): pairs(
        0,
        [
            Wrong("third", ((0, 1), (2, -1)), ValueError, "-1", "from 0"),
            Wrong("one side", (1, (1, 2, 3)), ValueError, "(1, 2, 3)", "integer or two"),
            Wrong("fraction inside", ((0, 1), (2, 0.5)), TypeError, "0.5", "integer"),
            Wrong("no memory", 2**30, ValueError, f"{2**31 + 6}", "fit no memory"),
            Wrong("one side has no memory", ((2**31 - 1, 2**31 - 1), 2**31 - 1), ValueError, "429", "memory"),
        ],
    ),
    ("conv2d", "pad_value"): between(-1, 1),
    ("conv2d", "dilation"): pairs(
        1,
        [
            Wrong("too large", 4, ValueError, "9 rows", "8"),
            Wrong("too large for columns", (1, 9), ValueError, "10 columns", "9"),
            Wrong("huge", 2**31 - 1, ValueError, "4294967295 rows", "8"),
        ],
    ),
    ("conv2d", "groups"): GROUPS,
    ("conv2d", "out"): [
        *outputs(np.int32, (2, 6, 8, 24), np.uint32),
        *wider_outputs(np.int32, (2, 6, 8, 24)),
    ],
    ("byte_conv2d", "images"): [
        *(wrong for wrong in IMAGE_ARRAYS if wrong.error is not TypeError),
        *NOT_BYTES,
        Wrong("no channels", IMAGES[..., :0], ValueError, "(2, 8, 9, 0)", "at least 1 byte"),
        Wrong("too low", IMAGES[:, :2], ValueError, "have 2", "3 rows"),
        Wrong("too narrow", IMAGES[:, :, :1], ValueError, "have 1", "2 columns"),
    ],
    ("byte_conv2d", "filters"): [
        *(wrong for wrong in IMAGE_ARRAYS if wrong.error is not TypeError),
        *NOT_BYTES,
        Wrong("more channels", FILTERS, ValueError, "2 bytes", "takes 1"),
        Wrong("ones after the end", FILTERS[..., :1] | 1, ValueError, "bit 2 in row 0", "zeros"),
        Wrong("too high", FILTERS_OF_BYTES[:, [0] * 9], ValueError, "9 rows", "8"),
        Wrong("prepared", xnor.PackedFilters(FILTERS, 16), ValueError, "for 16", "2 channels"),
        Wrong("matrix", xnor.PackedMatrix(COLUMNS, 60), TypeError, "PackedMatrix", "uint8 array"),
    ],
    ("byte_conv2d", "groups"): [
        *between(1, 2**31 - 1),
        Wrong("no divisor of the channels", 3, ValueError, "3", "divide n_channels"),
        Wrong("parts of a byte", 2, ValueError, "filters of 1 channels", "multiples of 8"),
    ],
    ("byte_conv2d", "byte_scale"): NUMBERS,
    ("byte_conv2d", "byte_offset"): NUMBERS,
    ("byte_conv2d", "out"): outputs(np.int32, (2, 6, 8, 24), np.uint32),
    ("max_pool2d", "images"): [
        *(
            wrong._replace(expected="uint8 array (n, height, width, n_bytes)")
            for wrong in IMAGE_ARRAYS
            if wrong.label != "sparse"
        ),
        Wrong("too low", IMAGES[:, :1], ValueError, "have 1", "2 rows"),
        Wrong("no pixels", IMAGES[:, :, :0], ValueError, "have 0", "3 columns"),
        Wrong("no bytes", IMAGES[..., :0], ValueError, "0 bytes", "at least 1"),
    ],
    ("max_pool2d", "size"): pairs(
        1,
        [
            NONE_IS_NO_INTEGER,
            Wrong("too high", 9, ValueError, "9 rows", "8"),
            Wrong("too wide", (1, 10), ValueError, "10 columns", "9"),
            Wrong("huge", 2**31 - 1, ValueError, f"{2**31 - 1} rows", "8"),
        ],
    ),
    ("max_pool2d", "stride"): pairs(1, []),
    ("max_pool2d", "out"): outputs(np.uint8, (2, 4, 3, 2), np.int8),
    ("PackedMatrix", "b"): [*PLANES_OF_SIGNS, *PREPARED[2:]],
    ("PackedMatrix", "n_bits"): LENGTHS,
    ("PackedMatrix", "signed"): BOOLEANS,
    ("PackedFilters", "filters"): FILTER_ARRAYS,
    ("PackedFilters", "n_channels"): N_CHANNELS,
    ("PackedFilters", "groups"): GROUPS,
}
for _name in ("stride", "padding", "pad_value", "dilation"):
    WRONG["byte_conv2d", _name] = WRONG["conv2d", _name]
for _verb, _n in (
    ("matmul", 20),
    ("bitserial_matmul", 20),
    ("byte_matmul", 20),
    ("conv2d", 24),
    ("byte_conv2d", 24),
):
    WRONG[_verb, "finish"] = finishes(_n)
for _name, _wrong in FINISH_WRONG.items():
    WRONG["Finish", _name] = _wrong


def wrong_values(verb: str, name: str) -> list[Wrong]:
    """List the wrong values of an argument."""
    return THREADS if name == "threads" else WRONG[verb, name]
