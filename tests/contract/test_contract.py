"""Every wrong argument of every public function: an error that says what it is, was and should be."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from fastcodes import _native, adc, bits, hadamard, hamming, jaccard, minhash, xnor
from helpers import pq_codes, pq_tables, random_codes, run_python

A = random_codes(5, 8, seed=1)
B = random_codes(20, 8, seed=2)
X = np.zeros((6, 20), np.float32)
PACKED = random_codes(6, 3) & 0xF0  # of 20 bits, or of five integers of 4

CODEBOOKS = np.zeros((4, 10, 5), np.float32)
TABLES = pq_tables(5, 8, 10)
PARTS = pq_codes(20, 8, 10)

ROWS = A & np.uint8([255] * 7 + [240])  # of 60 signs
COLUMNS = B & np.uint8([255] * 7 + [240])
INTEGERS = np.arange(15, dtype=np.uint8).reshape(3, 5)
IMAGES = random_codes(2 * 8 * 9, 2, seed=3).reshape(2, 8, 9, 2)
FILTERS = random_codes(24 * 3 * 2, 2, seed=4).reshape(24, 3, 2, 2)
BYTES = A[:, :6]
SIGNS_OF_BYTES = B[:, :1] & np.uint8(0b1111_1100)
FILTERS_OF_BYTES = FILTERS[..., :1] & np.uint8(0b1100_0000)
REAL = np.zeros((5, 60), np.float32)
SIGNS_OF_20 = hadamard.signs(20, 100, 0)
_FINISH = {"thresholds": None, "flips": None, "scale": None, "bias": None, "out": None, "threads": None}

SETS = [["a", "b"], ["b", "c"], []]
TEXTS = ["a b c d", "b c d e"]
TOKENS, OFFSETS = np.arange(9, dtype=np.uint64), np.array([0, 4, 4, 9])
SIGNATURES = minhash.signatures(TOKENS, OFFSETS, 20)
PACKED_SLOTS = minhash.pack(SIGNATURES, 2)
ROW_NUMBERS = np.array([0, 2, 1])

MODULES = {
    "adc": adc,
    "bits": bits,
    "hadamard": hadamard,
    "hamming": hamming,
    "jaccard": jaccard,
    "minhash": minhash,
    "xnor": xnor,
}

# Right values for the arguments of each function; a case replaces one of them.
_SEARCH: dict[str, dict[str, Any]] = {
    "knn": {"queries": A, "codes": B, "k": 3, "mask": None, "threads": None},
    "cdist": {"a": A, "b": B, "out": None, "threads": None},
}
RIGHT: dict[str, dict[str, Any]] = {
    "bits.pack": {"x": X, "threshold": 0.0, "bitorder": "big", "out": None, "threads": None},
    "bits.unpack": {
        "codes": PACKED,
        "n_bits": 20,
        "dtype": np.float32,
        "values": (-1, 1),
        "bitorder": "big",
        "out": None,
        "threads": None,
    },
    "bits.popcount": {"codes": PACKED, "threads": None},
    "bits.pack_uint": {"values": PACKED[:, [0] * 5] >> 4, "n_bits": 4, "out": None, "threads": None},
    "bits.unpack_uint": {"packed": PACKED, "n_bits": 4, "count": 5, "out": None, "threads": None},
    "adc.tables": {"queries": X, "codebooks": CODEBOOKS, "metric": "l2", "threads": None},
    "adc.scan": {"tables": TABLES, "codes": PARTS, "out": None, "threads": None},
    "adc.knn": {"tables": TABLES, "codes": PARTS, "k": 3, "mask": None, "threads": None},
    "adc.radius": {"tables": TABLES, "codes": PARTS, "radius": -2.5, "mask": None, "threads": None},
    "adc.encode": {"x": X, "codebooks": CODEBOOKS, "threads": None},
    "adc.PackedCodes": {"codes": PARTS, "n_codewords": 16, "threads": None},
    "hadamard.signs": {"d": 20, "n_features": 100, "random_state": 0},
    "hadamard.project": {"x": X, "signs": SIGNS_OF_20, "n_features": 10, "out": None, "threads": None},
    "hadamard.pack": {"x": X, "signs": SIGNS_OF_20, "n_bits": 10, "out": None, "threads": None},
    "minhash.tokens": {"sets": SETS},
    "minhash.shingles": {"texts": TEXTS, "size": 2, "unit": "word", "lowercase": True},
    "minhash.signatures": {
        "sets": TOKENS,
        "offsets": OFFSETS,
        "n_hashes": 20,
        "seed": 3,
        "one_permutation": False,
        "out": None,
        "threads": None,
    },
    "minhash.text_signatures": {
        "texts": TEXTS,
        "n_hashes": 20,
        "seed": 3,
        "size": 2,
        "unit": "char",
        "lowercase": False,
        "one_permutation": True,
        "out": None,
        "threads": None,
    },
    "minhash.pack": {"signatures": SIGNATURES, "n_bits": 2, "out": None, "threads": None},
    "minhash.cdist": {"a": PACKED_SLOTS, "b": PACKED_SLOTS, "n_bits": 2, "out": None, "threads": None},
    "minhash.paired": {
        "a": PACKED_SLOTS,
        "b": PACKED_SLOTS,
        "i": ROW_NUMBERS,
        "j": ROW_NUMBERS,
        "n_bits": 2,
        "threads": None,
    },
    "minhash.estimate": {"differing": ROW_NUMBERS, "n_hashes": 20, "n_bits": 2},
    "minhash.jaccard": {"a": SETS, "b": SETS, "i": ROW_NUMBERS, "j": ROW_NUMBERS, "threads": None},
    "minhash.candidate_probability": {"similarity": 0.5, "n_bands": 3, "n_rows": 2},
    "minhash.band_shape": {"n_hashes": 20, "threshold": 0.8, "weights": (0.1, 0.9)},
    "xnor.matmul": {"a": ROWS, "b": COLUMNS, "n_bits": 60, **_FINISH},
    "xnor.and_matmul": {"a": A, "b": B, "out": None, "threads": None},
    "xnor.bitserial_matmul": {
        "a": np.stack([ROWS, ROWS, ROWS]),
        "b": COLUMNS,
        "n_features": 60,
        "a_signed": False,
        "b_signed": True,
        **_FINISH,
    },
    "xnor.byte_matmul": {"a": BYTES, "b": SIGNS_OF_BYTES, "step": 2, "first": -3, **_FINISH},
    "xnor.byte_conv2d": {
        "images": IMAGES,
        "filters": FILTERS_OF_BYTES,
        "stride": 1,
        "padding": 0,
        "pad_value": 0,
        "dilation": 1,
        "groups": 1,
        "step": 2,
        "first": -3,
        **_FINISH,
    },
    "xnor.planes": {"values": INTEGERS, "n_bits": 4, "out": None, "threads": None},
    "xnor.conv2d": {
        "images": IMAGES,
        "filters": FILTERS,
        "n_channels": 16,
        "stride": 1,
        "padding": 0,
        "pad_value": -1,
        "dilation": 1,
        "groups": 1,
        **_FINISH,
    },
    "xnor.max_pool2d": {"images": IMAGES, "size": (2, 3), "stride": None, "out": None, "threads": None},
    "xnor.PackedMatrix": {"b": COLUMNS, "n_bits": 60, "signed": True, "threads": None},
    "xnor.PackedFilters": {"filters": FILTERS, "n_channels": 16, "groups": 1, "threads": None},
}
RIGHT["hamming.asymmetric_knn"] = {"real_queries": REAL, "codes": B, "k": 3, "mask": None, "threads": None}
for _name, _radius in (("hamming", 3), ("jaccard", 0.5)):
    RIGHT |= {
        f"{_name}.knn": _SEARCH["knn"],
        f"{_name}.radius": {"queries": A, "codes": B, "radius": _radius, "mask": None, "threads": None},
        f"{_name}.cdist": _SEARCH["cdist"],
        f"{_name}.pairs": {"codes": B, "radius": _radius, "threads": None},
    }


class Wrong(NamedTuple):
    """A wrong value, and what the error has to say."""

    label: str
    value: Any
    error: type[Exception]
    given: str
    expected: str


class WithoutRepr:
    """An object that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def read_only(x: Any) -> Any:
    x.flags.writeable = False
    return x


def odd_address(shape: tuple[int, ...], dtype: Any) -> Any:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.zeros(size + 1, np.uint8)[1:].view(dtype).reshape(shape)


def wrong_integers(least: int) -> list[Wrong]:
    integer = "integer"
    return [
        Wrong("negative", -1, ValueError, "-1", f"integer from {least} up"),
        Wrong("very negative", -(2**70), ValueError, str(-(2**70)), f"from {least} up"),
        Wrong("huge", 2**70, ValueError, str(2**70), f"from {least} up"),
        Wrong("float", 1.0, TypeError, "1.0", integer),
        Wrong("fraction", 1.5, TypeError, "1.5", integer),
        Wrong("numpy float", np.float32(2), TypeError, "float32", integer),
        Wrong("NaN", float("nan"), TypeError, "nan", integer),
        Wrong("str", "3", TypeError, "'3'", integer),
        Wrong("list", [3], TypeError, "list", integer),
        Wrong("array", np.array([3]), TypeError, "int64", integer),
        Wrong("float array", np.array(3.0), TypeError, "float64", integer),
    ]


NONE_IS_NO_INTEGER = Wrong("None", None, TypeError, "None", "integer")
CODES = [
    Wrong("None", None, TypeError, "None", "uint8 array"),
    Wrong("int", 7, TypeError, "int", "uint8 array"),
    Wrong("str", "codes", TypeError, "str", "uint8 array"),
    Wrong("bytes", b"01234567", TypeError, "bytes", "uint8 array"),
    Wrong("long bytes", bytes(1000), TypeError, "bytes", "uint8 array"),
    Wrong("bytearray", bytearray(8), TypeError, "bytearray", "uint8 array"),
    Wrong("list", B[:2].tolist(), TypeError, "list", "uint8 array"),
    Wrong("long list", [[0] * 8] * 1000, TypeError, "list", "uint8 array"),
    Wrong("object", WithoutRepr(), TypeError, "WithoutRepr", "uint8 array"),
    Wrong("scalar", np.uint8(3), TypeError, "uint8", "uint8 array"),
    Wrong("bool array", B > 3, TypeError, "bool", "uint8 array"),
    Wrong("int8 array", B.astype(np.int8), TypeError, "int8", "uint8 array"),
    Wrong("uint16 array", B.astype(np.uint16), TypeError, "uint16", "uint8 array"),
    Wrong("int64 array", B.astype(np.int64), TypeError, "int64", "uint8 array"),
    Wrong("float array", B.astype(np.float32), TypeError, "float32", "uint8 array"),
    Wrong("object array", B.astype(object), TypeError, "object", "uint8 array"),
    Wrong("str array", B.astype(str), TypeError, "<U3", "uint8 array"),
    Wrong("records", np.zeros(20, [("x", "u1")]), TypeError, "[('x', 'u1')]", "uint8 array"),
    Wrong("ndim 0", np.array(3, np.uint8), ValueError, "shape ()", "1 or 2 dimensions"),
    Wrong("ndim 3", B[None], ValueError, "shape (1, 20, 8)", "1 or 2 dimensions"),
    Wrong("no bytes", B[:, :0], ValueError, "shape (20, 0)", "at least 1 byte"),
    Wrong("no rows, no bytes", B[:0, :0], ValueError, "shape (0, 0)", "at least 1 byte"),
    Wrong("no bytes, 1-D", B[0, :0], ValueError, "shape (0,)", "at least 1 byte"),
    Wrong("too many bytes", np.broadcast_to(np.uint8(0), (2, 2**28)), ValueError, str(2**28), "268435455"),
]
# Only where another argument says how many bytes there should be.
OTHER_BYTES = [
    Wrong("fewer bytes", B[:, :7], ValueError, "7", "8"),
    Wrong("more bytes", np.hstack([B, B]), ValueError, "16", "8"),
    Wrong("transposed", B.T, ValueError, "20", "8"),
    Wrong("fewer bytes, no rows", B[:0, :7], ValueError, "7", "8"),
]
RULE = "boolean array (n,) or an integer array of row ids"
MASKS = [
    Wrong("int", 3, TypeError, "3", RULE),
    Wrong("list", [True, False], TypeError, "[True, False] of type list", RULE),
    Wrong("slice", slice(3), TypeError, "slice(None, 3, None)", RULE),
    Wrong("str", "all", TypeError, "'all'", RULE),
    Wrong("float array", np.ones(20), TypeError, "float64 and shape (20,)", RULE),
    Wrong("object array", np.ones(20, object), TypeError, "object and shape (20,)", RULE),
    Wrong("str array", np.array(["a"] * 20), TypeError, "<U1 and shape (20,)", RULE),
    Wrong("dates", np.zeros(20, "M8[D]"), TypeError, "datetime64[D] and shape (20,)", RULE),
    Wrong("ndim 0", np.array(True), ValueError, "shape ()", "one dimension"),
    Wrong("ndim 2", np.ones((20, 1), bool), ValueError, "shape (20, 1)", "one dimension"),
    Wrong("one short", np.ones(19, bool), ValueError, "19", "20 rows"),
    Wrong("one long", np.ones(21, bool), ValueError, "21", "20 rows"),
    Wrong("empty", np.ones(0, bool), ValueError, "0", "20 rows"),
    Wrong("id beyond", np.array([0, 20]), ValueError, "20", "20 rows"),
    Wrong("negative id", np.array([3, -1], np.int8), ValueError, "-1", "from 0"),
    Wrong("lowest id", np.array([-(2**63)]), ValueError, str(-(2**63)), "from 0"),
    Wrong("highest id", np.array([2**63 - 1]), ValueError, str(2**63 - 1), "20 rows"),
    Wrong("unsigned id", np.array([2**64 - 1], np.uint64), ValueError, "row id", "20 rows"),
]


def outputs(dtype: Any, shape: tuple[int, ...], other: Any) -> list[Wrong]:
    """List outputs that are wrong where an array of `dtype` and `shape` is right; `other` is as wide."""
    right, name = str(shape), np.dtype(dtype).name
    doubled = np.zeros((*shape[:-1], 2 * shape[-1]), dtype)
    return [
        Wrong("list", [1], TypeError, "list", name),
        Wrong("str", "out", TypeError, "str", name),
        Wrong("other dtype", np.zeros(shape, other), TypeError, np.dtype(other).name, name),
        Wrong("wider dtype", np.zeros(shape, np.complex128), TypeError, "complex128", name),
        Wrong("object", np.zeros(shape, object), TypeError, "object", name),
        Wrong(
            "fewer rows", np.zeros((shape[0] - 1, *shape[1:]), dtype), ValueError, f"({shape[0] - 1}, ", right
        ),
        Wrong("transposed", np.zeros(shape[::-1], dtype), ValueError, str(shape[::-1]), right),
        Wrong("ndim 1", np.zeros(shape, dtype).ravel(), ValueError, f"({np.prod(shape)},)", right),
        Wrong("ndim 3", np.zeros((1, *shape), dtype), ValueError, str((1, *shape)), right),
        Wrong("strided", doubled[..., ::2], ValueError, "", "C-contiguous"),
        Wrong("Fortran order", np.zeros(shape, dtype, order="F"), ValueError, "", "C-contiguous"),
        Wrong("read-only", read_only(np.zeros(shape, dtype)), ValueError, "read-only", "writ"),
    ]


def wider_outputs(dtype: Any, shape: tuple[int, ...]) -> list[Wrong]:
    """List outputs that are wrong in a way that bytes cannot be."""
    swapped = np.zeros(shape, np.dtype(dtype).newbyteorder(">"))
    return [
        Wrong("swapped", swapped, TypeError, swapped.dtype.str, np.dtype(dtype).name),
        Wrong("odd address", odd_address(shape, dtype), ValueError, "unaligned", "aligned"),
    ]


NOT_A_REAL_NUMBER = [
    Wrong("NaN", float("nan"), ValueError, "nan", "real number"),
    Wrong("str", "0.5", TypeError, "'0.5'", "real number"),
    Wrong("None", None, TypeError, "None", "real number"),
    Wrong("complex", 0.5j, TypeError, "0.5j of type complex", "real number"),
    Wrong("list", [0.5], TypeError, "list", "real number"),
    Wrong("array", np.array([0.5, 0.6]), TypeError, "float64 and shape (2,)", "real number"),
]
RADII = {
    "adc": [*NOT_A_REAL_NUMBER, Wrong("huge int", 10**400, ValueError, "1000", "real number")],
    "hamming": [*wrong_integers(0), NONE_IS_NO_INTEGER],
    "jaccard": [
        Wrong("negative", -0.5, ValueError, "-0.5", "0 or more"),
        Wrong("negative int", -1, ValueError, "-1", "0 or more"),
        Wrong("minus infinity", -np.inf, ValueError, "-inf", "0 or more"),
        *NOT_A_REAL_NUMBER,
    ],
}
HUGE_K = Wrong("too large for results", 2**62, ValueError, str(2**62), "rows of codes")
THREADS = [Wrong("zero", 0, ValueError, "got 0", "from 1 up"), *wrong_integers(1)]


NO_NUMBERS = [
    Wrong("None", None, TypeError, "object", "integers"),
    Wrong("str", "codes", TypeError, "<U5", "integers"),
    Wrong("list of str", ["a"], TypeError, "<U1", "integers"),
    Wrong("complex", X * 1j, TypeError, "complex64", "integers"),
    Wrong("object array", X.astype(object), TypeError, "object", "integers"),
    Wrong("dates", np.zeros((6, 20), "M8[s]"), TypeError, "datetime64[s]", "integers"),
    Wrong("records", np.zeros(6, [("x", "f4")]), TypeError, "[('x', '<f4')]", "integers"),
]
BITORDERS = [
    Wrong("other", "middle", ValueError, "'middle'", '"big" or "little"'),
    Wrong("upper case", "BIG", ValueError, "'BIG'", '"big" or "little"'),
    Wrong("empty", "", ValueError, "''", '"big" or "little"'),
    Wrong("None", None, TypeError, "None", '"big" or "little"'),
    Wrong("int", 1, TypeError, "1", '"big" or "little"'),
]
BITS = [Wrong("zero", 0, ValueError, "0", "1 to 16"), Wrong("many", 17, ValueError, "17", "1 to 16")]
NOT_AN_INTEGER = [wrong for wrong in [*wrong_integers(0), NONE_IS_NO_INTEGER] if wrong.error is TypeError]
BITS_WRONG: dict[tuple[str, str], list[Wrong]] = {
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


def with_entry(x: Any, value: float) -> Any:
    x = x.copy()
    x[(-1,) * x.ndim] = value
    return x


def wrong_floats(right: Any, expected: str) -> list[Wrong]:
    """List what is wrong for any array of floats."""
    return [
        Wrong("None", None, TypeError, "None", expected),
        Wrong("float", 1.5, TypeError, "float", expected),
        Wrong("str", "floats", TypeError, "str", expected),
        Wrong("list", right.tolist(), TypeError, "list", expected),
        Wrong("object", WithoutRepr(), TypeError, "WithoutRepr", expected),
        Wrong("scalar", np.float32(3), TypeError, "float32", expected),
        Wrong("complex", right * 1j, TypeError, "complex64", expected),
        Wrong("object array", right.astype(object), TypeError, "object", expected),
        Wrong("str array", right.astype("U3"), TypeError, "<U3", expected),
        Wrong("dates", np.zeros(right.shape, "M8[s]"), TypeError, "datetime64[s]", expected),
        Wrong("records", np.zeros(6, [("x", "f4")]), TypeError, "[('x', '<f4')]", expected),
        Wrong("NaN", with_entry(right, np.nan), ValueError, f"NaN at element {right.size - 1}", "finite"),
        Wrong("inf", with_entry(right, np.inf), ValueError, f"inf at element {right.size - 1}", "finite"),
        Wrong("-inf", with_entry(right, -np.inf), ValueError, f"-inf at element {right.size - 1}", "finite"),
        Wrong("ndim 0", np.array(1, np.float32), ValueError, "shape ()", "array ("),
        Wrong("one more axis", right[None], ValueError, f"shape {(1, *right.shape)}", "array ("),
        Wrong("two more axes", right[:, None, None], ValueError, "1, 1, ", "array ("),
    ]


def only_float32(right: Any) -> list[Wrong]:
    """List the dtypes that are not converted."""
    swapped = right.astype(">f4" if np.little_endian else "<f4")
    return [
        *(
            Wrong(dtype, right.astype(dtype), TypeError, np.dtype(dtype).name, "numpy float32 array")
            for dtype in ("float16", "float64", "int32", "uint8", "bool")
        ),
        Wrong("swapped", swapped, TypeError, swapped.dtype.str, "numpy float32 array"),
    ]


VECTORS = [
    *wrong_floats(X, "numpy array of real numbers"),
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
    Wrong("tuple", (PARTS, 20, 8, 256), TypeError, "tuple", "numpy uint8 array (n, M)"),
    Wrong("empty tuple", (), TypeError, "()", "numpy uint8 array (n, M)"),
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
ADC_WRONG: dict[str, list[Wrong]] = {
    "queries": VECTORS,
    "x": VECTORS,
    "codebooks": CODEBOOK_ARRAYS,
    "metric": METRICS,
    "tables": TABLE_ARRAYS + OTHER_SUBSPACES,
    "codes": CODES + SUBSPACES,
    "out": [*outputs(np.float32, (5, 20), np.int32), *wider_outputs(np.float32, (5, 20))],
    "n_codewords": N_CODEWORDS,
}


ROTATED = [
    *wrong_floats(X, "numpy array of real numbers"),
    Wrong(
        "too large float64", np.full((6, 20), 1e300), ValueError, "1e+300 in row 0", "too large for float32"
    ),
    Wrong("no dimensions", X[:, :0], ValueError, "0 dimensions", "at least 1"),
    Wrong("more dimensions", np.zeros((6, 65), np.float32), ValueError, "65 dimensions", "16 bytes"),
    Wrong("no rows, more dimensions", np.zeros((0, 65), np.float32), ValueError, "65 dimensions", "16 bytes"),
    Wrong("other dtype, more dimensions", np.zeros((6, 65)), ValueError, "65 dimensions", "16 bytes"),
    Wrong(
        "too many dimensions",
        np.zeros((1, (1 << 20) + 1), np.float32),
        ValueError,
        "1048577",
        "at most 1048576",
    ),
]
ROTATIONS = [
    *(wrong for wrong in CODES if wrong.label not in ("too many bytes", "no rows, no bytes")),
    Wrong("two rows", SIGNS_OF_20[:2], ValueError, "2 rows", "three rows"),
    Wrong("no rows", SIGNS_OF_20[:0], ValueError, "0 rows", "three rows"),
    Wrong("fewer bytes", SIGNS_OF_20[:, :4], ValueError, "4 bytes", "8 bytes"),
    Wrong("more bytes", np.hstack([SIGNS_OF_20] * 2), ValueError, "16 bytes", "8 bytes"),
]
NUMBERS_OF_ROTATIONS = [
    *wrong_integers(1),
    NONE_IS_NO_INTEGER,
    Wrong("more than there are", 129, ValueError, "129", "give 128"),
]
REAL_QUERIES = [
    *wrong_floats(REAL, "numpy array of real numbers"),
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
NO_INTEGER = [
    wrong._replace(given="array" if "array" in wrong.label else wrong.given) for wrong in NOT_AN_INTEGER
]
HADAMARD_WRONG: dict[tuple[str, str], list[Wrong]] = {
    ("signs", "d"): [
        Wrong("zero", 0, ValueError, "got 0", "from 1 to 1048576"),
        Wrong("too many", (1 << 20) + 1, ValueError, "1048577", "from 1 to 1048576"),
        *NO_INTEGER,
    ],
    ("signs", "n_features"): [Wrong("zero", 0, ValueError, "got 0", "from 1 up"), *NO_INTEGER],
    ("signs", "random_state"): [
        Wrong("negative", -1, ValueError, "-1", "from 0 up"),
        Wrong("str", "0", TypeError, "'0'", "random generator"),
        Wrong("float", 0.5, TypeError, "0.5", "random generator"),
    ],
    ("project", "x"): ROTATED,
    ("pack", "x"): ROTATED,
    ("project", "signs"): ROTATIONS,
    ("pack", "signs"): ROTATIONS,
    ("project", "n_features"): NUMBERS_OF_ROTATIONS,
    ("pack", "n_bits"): NUMBERS_OF_ROTATIONS,
    ("project", "out"): [*outputs(np.float32, (6, 10), np.int32), *wider_outputs(np.float32, (6, 10))],
    ("pack", "out"): outputs(np.uint8, (6, 2), np.int8),
}


def between(least: int, most: int) -> list[Wrong]:
    """List what is no integer from `least` to `most`."""
    limits = f"from {least} to {most}"
    outside = [least - 1, most + 1, 2**70, -(2**70)]
    return [
        *(wrong._replace(expected=f"integer {limits}") for wrong in NO_INTEGER),
        *(Wrong(str(number), number, ValueError, str(number), limits) for number in outside),
    ]


def pairs(least: int, more: list[Wrong]) -> list[Wrong]:
    """List what is neither an integer from `least` up nor two; None is another matter."""
    limits = f"integer from {least} to {2**31 - 1}"
    not_integers = [wrong for wrong in NO_INTEGER if wrong.label not in ("list", "None")]
    return [
        *(wrong._replace(expected=limits) for wrong in not_integers),
        *(Wrong(str(given), given, ValueError, str(given), limits) for given in (least - 1, 2**31, -(2**70))),
        Wrong("second", (1, least - 1), ValueError, str(least - 1), limits),
        Wrong("huge first", (2**70, 1), ValueError, str(2**70), limits),
        Wrong("second fraction", (1, 1.5), TypeError, "1.5", limits),
        Wrong("second None", (1, None), TypeError, "None", limits),
        Wrong("none", (), ValueError, "()", "integer"),
        Wrong("one", [1], ValueError, "[1]", "integer"),
        Wrong("three", (1, 1, 1), ValueError, "(1, 1, 1)", "integer"),
        *more,
    ]


NOT_BYTES = [wrong for wrong in CODES if wrong.error is TypeError]
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
BOOLEANS = [
    Wrong("None", None, TypeError, "None", "True or False"),
    Wrong("int", 1, TypeError, "1", "True or False"),
    Wrong("str", "no", TypeError, "'no'", "True or False"),
    Wrong("array", np.array([True, False]), TypeError, "array", "True or False"),
]


def columns(n: int) -> dict[str, list[Wrong]]:
    """List what is wrong in one number or `n` of them, one for each column."""
    lengths = [
        Wrong("one short", np.zeros(n - 1, int), ValueError, f"({n - 1},)", f"({n},)"),
        Wrong("one alone", [1], ValueError, "(1,)", f"({n},)"),
        Wrong("empty", np.zeros(0, int), ValueError, "(0,)", f"({n},)"),
        Wrong("two axes", np.zeros((n, 1), int), ValueError, f"({n}, 1)", f"({n},)"),
        Wrong("ragged", [[1], [2, 3]], ValueError, "several lengths", "one for each column"),
    ]
    no_numbers = [wrong._replace(expected="numbers") for wrong in NO_NUMBERS if wrong.label != "None"]
    infinite = [float("nan"), float("inf"), -np.inf, 1e300, np.float64(-1e39)]
    reals = [
        *lengths,
        *no_numbers,
        Wrong("bool", True, TypeError, "bool", "numbers"),
        Wrong("no float", 10**400, TypeError, "object", "numbers"),
        *(Wrong(f"{x}", x, ValueError, f"{x}", "finite") for x in infinite),
        Wrong("one NaN", with_entry(np.zeros(n), np.nan), ValueError, "nan", "finite"),
    ]
    return {
        "thresholds": [
            *lengths,
            *(wrong._replace(expected="integers") for wrong in no_numbers),
            Wrong("floats", np.zeros(n), TypeError, "float64", "integers"),
            Wrong("float", 1.0, TypeError, "float64", "integers"),
            Wrong("bool", True, TypeError, "bool", "integers"),
            Wrong("no integer of numpy", 2**70, TypeError, "object", "integers"),
        ],
        "flips": [
            *(
                wrong._replace(value=wrong.value.astype(bool))
                for wrong in lengths
                if wrong.label == "one short"
            ),
            Wrong("int", 1, TypeError, "int64", "booleans"),
            Wrong("ints", np.zeros(n, int), TypeError, "int64", "booleans"),
            Wrong("bytes", np.zeros(n, np.uint8), TypeError, "uint8", "booleans"),
            Wrong("str", "yes", TypeError, "<U3", "booleans"),
        ],
        "scale": reals,
        "bias": reals,
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
    Wrong("no rows", FILTERS[:, :0], ValueError, "0 places", "at least 1"),
    Wrong("no columns", FILTERS[:, :, :0], ValueError, "0 places", "at least 1"),
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
XNOR_WRONG: dict[tuple[str, str], list[Wrong]] = {
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
    ("byte_matmul", "step"): NUMBERS,
    ("byte_matmul", "first"): NUMBERS,
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
        Wrong("list", [[1, 2]], TypeError, "list", "integers"),
        Wrong("scalar", 3, TypeError, "int", "integers"),
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
        Wrong("prepared, groups", xnor.PackedFilters(FILTERS, 48, 3), ValueError, "for 48", "16"),
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
    ("byte_conv2d", "step"): NUMBERS,
    ("byte_conv2d", "first"): NUMBERS,
    ("byte_conv2d", "out"): outputs(np.int32, (2, 6, 8, 24), np.uint32),
    ("max_pool2d", "images"): [
        *(wrong._replace(expected="uint8 array (n, height, width, n_bytes)") for wrong in IMAGE_ARRAYS),
        Wrong("too low", IMAGES[:, :1], ValueError, "have 1", "2 rows"),
        Wrong("no pixels", IMAGES[:, :, :0], ValueError, "have 0", "3 columns"),
        Wrong("no bytes", IMAGES[..., :0], ValueError, "0 bytes", "at least 1 byte"),
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
    XNOR_WRONG["byte_conv2d", _name] = XNOR_WRONG["conv2d", _name]
for _verb, _n in (
    ("matmul", 20),
    ("bitserial_matmul", 20),
    ("byte_matmul", 20),
    ("conv2d", 24),
    ("byte_conv2d", 24),
):
    for _name, _wrong in columns(_n).items():
        # Alone; what is wrong beside thresholds or scales has a test of its own.
        _alone = [Wrong("without thresholds", True, ValueError, "flips", "give thresholds")]
        XNOR_WRONG[_verb, _name] = _alone if _name == "flips" else _wrong


NOT_SETS = [
    Wrong("None", None, TypeError, "None", "collections of tokens"),
    Wrong("int", 7, TypeError, "7", "collections of tokens"),
    Wrong("str", "abc", TypeError, "'abc'", "collections of tokens"),
    Wrong("bytes", b"abc", TypeError, "b'abc'", "collections of tokens"),
]
NOT_TEXTS = [
    Wrong("None", None, TypeError, "None", "sequence of str"),
    Wrong("int", 7, TypeError, "7", "sequence of str"),
    Wrong("str", "abc", TypeError, "'abc'", "sequence of str"),
    Wrong("bytes", b"abc", TypeError, "b'abc'", "sequence of str"),
]
NOT_TOKENS = [
    Wrong("floats", np.zeros(9), TypeError, "float64", "sets must be integers"),
    Wrong("str", np.array(["a"] * 9), TypeError, "<U1", "sets must be integers"),
    Wrong("bools", np.zeros(9, bool), TypeError, "bool", "sets must be integers"),
    Wrong("ndim 2", np.zeros((3, 3), int), ValueError, "(3, 3)", "sets must have one dimension"),
]
ENDS = [
    Wrong("floats", np.zeros(3), TypeError, "float64", "integers"),
    Wrong("str", "abc", TypeError, "<U3", "integers"),
    Wrong("ndim 2", np.zeros((2, 2), int), ValueError, "(2, 2)", "one dimension"),
    Wrong("empty", [], ValueError, "empty", "one more offset than sets"),
    Wrong("falling", [0, 5, 4], ValueError, "4 in place 2", "ascending numbers from 5 to 9"),
    Wrong("negative", [-1, 4], ValueError, "-1 in place 0", "ascending"),
    Wrong("beyond", [0, 10], ValueError, "10 in place 1", "from 0 to 9"),
    Wrong("lowest", [0, -(2**63)], ValueError, str(-(2**63)), "ascending"),
]
SLOTS = [
    Wrong("None", None, TypeError, "None", "uint32 array"),
    Wrong("list", [[1, 2]], TypeError, "list", "uint32 array"),
    Wrong("int64", np.zeros((3, 6), np.int64), TypeError, "int64", "uint32 array"),
    Wrong("object", WithoutRepr(), TypeError, "WithoutRepr", "uint32 array"),
]
SLOT_ROWS = [
    *SLOTS,
    Wrong("signatures", SIGNATURES, TypeError, "uint32", "same dtype"),
    Wrong("other bytes", PACKED_SLOTS[:, :4], ValueError, "4", "6"),
    Wrong("no whole planes", PACKED_SLOTS[:, :5], ValueError, "5 bytes", "multiple of 2"),
    Wrong("ndim 3", PACKED_SLOTS[None], ValueError, "shape (1, 3, 6)", "1 or 2 dimensions"),
    Wrong("no bytes", PACKED_SLOTS[:, :0], ValueError, "shape (3, 0)", "at least 1 byte"),
]
PLACES = [
    Wrong("floats", np.zeros(3), TypeError, "float64", "integers"),
    Wrong("str", "abc", TypeError, "<U3", "integers"),
    Wrong("bools", np.zeros(3, bool), TypeError, "bool", "integers"),
    Wrong("scalar", 1, ValueError, "()", "one dimension"),
    Wrong("fewer", [0, 1], ValueError, "2", "two for each pair"),
    Wrong("beyond", [0, 1, 3], ValueError, "3", "rows from 0"),
    Wrong("negative", [0, 1, -1], ValueError, "-1", "rows from 0"),
]
SIMILARITIES = [
    Wrong("str", "high", TypeError, "<U4", "real numbers"),
    Wrong("None", None, TypeError, "object", "real numbers"),
    Wrong("complex", 1j, TypeError, "complex128", "real numbers"),
    Wrong("below", [0.5, -0.1], ValueError, "-0.1", "from 0 to 1"),
    Wrong("above", 1.1, ValueError, "1.1", "from 0 to 1"),
    Wrong("NaN", np.nan, ValueError, "nan", "from 0 to 1"),
]
UNITS = [
    Wrong("other", "line", ValueError, "'line'", '"word" or "char"'),
    Wrong("None", None, ValueError, "None", '"word" or "char"'),
    Wrong("int", 1, ValueError, "1", '"word" or "char"'),
    Wrong("list", ["word"], ValueError, "['word']", '"word" or "char"'),
]
MINHASH_WRONG: dict[str, list[Wrong]] = {
    "sets": NOT_SETS,
    "texts": NOT_TEXTS,
    "offsets": ENDS,
    "size": [*between(1, 1024), NONE_IS_NO_INTEGER],
    "unit": UNITS,
    "lowercase": BOOLEANS,
    "one_permutation": BOOLEANS,
    "n_hashes": [*between(1, 8192), NONE_IS_NO_INTEGER],
    "seed": [*between(0, 2**64 - 1), NONE_IS_NO_INTEGER],
    "signatures": [
        *SLOTS,
        Wrong("codes", PACKED_SLOTS, TypeError, "uint8", "uint32 array"),
        Wrong("ndim 1", SIGNATURES[0], ValueError, "(20,)", "(n, n_hashes)"),
        Wrong("no slots", SIGNATURES[:, :0], ValueError, "(3, 0)", "(n, n_hashes)"),
    ],
    "n_bits": [*between(1, 16)],
    "a": SLOT_ROWS,
    "b": SLOT_ROWS,
    "i": PLACES,
    "j": PLACES,
    "differing": [
        Wrong("floats", np.zeros(3), TypeError, "float64", "integers"),
        Wrong("None", None, TypeError, "object", "integers"),
        Wrong("str", "1", TypeError, "<U1", "integers"),
        Wrong("negative", [0, -1], ValueError, "-1", "from 0 to 20"),
        Wrong("beyond", 21, ValueError, "21", "from 0 to 20"),
    ],
    "similarity": SIMILARITIES,
    "n_bands": [*between(1, 8192), NONE_IS_NO_INTEGER],
    "n_rows": [*between(1, 8192), NONE_IS_NO_INTEGER],
    "threshold": [
        Wrong("str", "0.5", TypeError, "'0.5'", "real number"),
        Wrong("None", None, TypeError, "None", "real number"),
        Wrong("zero", 0, ValueError, "0", "between 0 and 1"),
        Wrong("one", 1.0, ValueError, "1.0", "between 0 and 1"),
        Wrong("NaN", np.nan, ValueError, "nan", "between 0 and 1"),
    ],
    "weights": [
        Wrong("one", 0.5, ValueError, "0.5", "two numbers"),
        Wrong("three", (1, 1, 1), ValueError, "(1, 1, 1)", "two numbers"),
        Wrong("str", ("a", "b"), ValueError, "('a', 'b')", "two numbers"),
        Wrong("negative", (-1, 1), ValueError, "(-1, 1)", "0 or more"),
        Wrong("infinite", (1, np.inf), ValueError, "inf", "0 or more"),
    ],
    "threads": THREADS,
}
MINHASH_OUTS = {
    "signatures": (np.uint32, (3, 20), np.int32),
    "text_signatures": (np.uint32, (2, 20), np.int32),
    "pack": (np.uint8, (3, 6), np.int8),
    "cdist": (np.int32, (3, 3), np.uint32),
}


def wrong_values(function: str, name: str) -> list[Wrong]:
    """List the wrong values of an argument."""
    family, verb = function.split(".")
    if family == "xnor":
        return THREADS if name == "threads" else XNOR_WRONG[verb, name]
    if family == "hadamard":
        return THREADS if name == "threads" else HADAMARD_WRONG[verb, name]
    if name == "real_queries":
        return REAL_QUERIES
    if family == "bits":
        return THREADS if name == "threads" else BITS_WRONG[verb, name]
    if family == "minhash":
        if name == "out":
            # A square cannot be told from itself turned over.
            square = MINHASH_OUTS[verb][1][0] == MINHASH_OUTS[verb][1][1]
            return [
                wrong for wrong in outputs(*MINHASH_OUTS[verb]) if not square or wrong.label != "transposed"
            ]
        if verb == "signatures" and name == "sets":
            return NOT_TOKENS
        if verb == "jaccard" and name in ("a", "b"):
            return [wrong._replace(expected="collections") for wrong in NOT_SETS]
        if verb != "pack" and name == "n_bits":  # None is for signatures
            return [wrong for wrong in MINHASH_WRONG[name] if wrong.label != "None"]
        return MINHASH_WRONG[name]
    if function == "adc.PackedCodes" and name == "codes":
        fitting = [wrong for wrong in CODES if wrong.label != "too many bytes"]
        return [*fitting, Wrong("code beyond", PARTS * 2, ValueError, "16", "from 0 to 15")]
    if family == "adc" and name in ADC_WRONG:
        return ADC_WRONG[name]
    if name in ("queries", "codes", "a", "b"):
        return CODES if verb == "pairs" else CODES + OTHER_BYTES
    if name == "out":
        dtype, other = (np.int32, np.uint32) if family == "hamming" else (np.float32, np.int32)
        return [*outputs(dtype, (5, 20), other), *wider_outputs(dtype, (5, 20))]
    return {
        "k": [*wrong_integers(0), NONE_IS_NO_INTEGER, HUGE_K],
        "radius": RADII.get(family, []),
        "mask": MASKS,
        "threads": THREADS,
    }[name]


def cases() -> Iterator[Any]:
    """Yield every wrong value of every argument of every function."""
    for function, right in RIGHT.items():
        for name in right:
            for wrong in wrong_values(function, name):
                yield pytest.param(function, name, wrong, id=f"{function}, {name}: {wrong.label}")


def call(function: str, arguments: dict[str, Any]) -> Any:
    family, verb = function.split(".")
    return getattr(MODULES[family], verb)(**arguments)


@pytest.mark.parametrize(("function", "name", "wrong"), list(cases()))
def test_a_wrong_argument_is_an_error_that_says_what_to_do(function: str, name: str, wrong: Wrong) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        call(function, RIGHT[function] | {name: wrong.value})
    message = str(caught.value)
    assert type(caught.value) is wrong.error, message
    assert re.search(rf"(^|\b(but|than|with) (the )?){name}\b", message), f"does not name {name}: {message}"
    assert wrong.given in message, message
    assert wrong.expected in message, message
    assert len(message) < 400, message
    assert not re.search("panick|PanicException|unwrap|RefCell|borrow", message), message


def test_the_table_has_every_argument_of_every_public_function() -> None:
    public = {f"{family}.{verb}" for family, module in MODULES.items() for verb in module.__all__}
    functions = {
        name for name in public if callable(getattr(MODULES[name.split(".")[0]], name.split(".")[1]))
    }
    assert functions == set(RIGHT)
    for function, right in RIGHT.items():
        family, verb = function.split(".")
        parameters = inspect.signature(getattr(MODULES[family], verb)).parameters
        assert list(parameters) == list(right), function
        for name in parameters:
            assert wrong_values(function, name), (function, name)


FINISHED = ("xnor.matmul", "xnor.bitserial_matmul", "xnor.byte_matmul", "xnor.conv2d", "xnor.byte_conv2d")


@pytest.mark.parametrize("function", FINISHED)
def test_ways_to_finish_exclude_each_other(function: str) -> None:
    for name in ("scale", "bias"):
        with pytest.raises(ValueError, match=r"^thresholds make bits, scale and bias make floats; give one"):
            call(function, RIGHT[function] | {"thresholds": 0, name: 1.0})
        with pytest.raises(ValueError, match=r"^flips turn over bits.* give thresholds too"):
            call(function, RIGHT[function] | {"flips": True, name: 1.0})


@pytest.mark.parametrize("function", FINISHED)
def test_flips_are_booleans_one_for_each_column(function: str) -> None:
    n = call(function, RIGHT[function]).shape[-1]
    for wrong in columns(n)["flips"]:
        with pytest.raises(wrong.error, match=r"^flips must be ") as caught:
            call(function, RIGHT[function] | {"thresholds": 0, "flips": wrong.value})
        assert wrong.given in str(caught.value), wrong.label
        assert wrong.expected in str(caught.value), wrong.label


@pytest.mark.parametrize("function", FINISHED)
def test_outputs_are_of_the_kind_that_is_asked_for(function: str) -> None:
    dots = call(function, RIGHT[function])
    in_bytes = (*dots.shape[:-1], dots.shape[-1] // 8 + (dots.shape[-1] % 8 > 0))
    bits_out, floats_out = outputs(np.uint8, in_bytes, np.int8), outputs(np.float32, dots.shape, np.int32)
    for finish, wrongs in (({"thresholds": 0}, bits_out), ({"bias": 1}, floats_out)):
        for wrong in wrongs:
            with pytest.raises(wrong.error, match=r"^out must be ") as caught:
                call(function, RIGHT[function] | finish | {"out": wrong.value})
            assert wrong.given in str(caught.value), wrong.label
            assert wrong.expected in str(caught.value), wrong.label


@pytest.mark.parametrize("n_features", [16_513, 80_000])
def test_sums_that_may_not_fit_are_refused(n_features: int) -> None:
    x = xnor.planes(np.full((1, n_features), 255, np.uint8), 8)
    with pytest.raises(ValueError, match=f"{n_features} numbers.*int32 for at most 16512"):
        xnor.bitserial_matmul(x, x, n_features, b_signed=False)
    most = np.ascontiguousarray(x[..., : 16_512 // 8])
    assert xnor.bitserial_matmul(most, most, 16_512, b_signed=False) == 16_512 * 255**2


def test_sums_of_bytes_that_may_not_fit_are_refused() -> None:
    most = 2**30 // 256 // 6
    ones = np.full((1, 6), 0b1111_1100, np.uint8)
    for numbers in ({"step": 2**30 // 6 // 255, "first": 0}, {"first": most}, {"first": -most}):
        assert xnor.byte_matmul(ones[:, :6], ones[:, :1], **numbers).dtype == np.int32
    for numbers in ({"step": 2**29}, {"first": 2**29}, {"step": -(2**31) + 1, "first": 2**31 - 1}):
        with pytest.raises(ValueError, match=r"rows have 6 numbers.*int32 for at most"):
            xnor.byte_matmul(ones, ones[:, :1], **numbers)
        with pytest.raises(ValueError, match=r"rows have 12 numbers.*int32 for at most"):
            xnor.byte_conv2d(IMAGES, FILTERS_OF_BYTES, padding=1, **numbers)


def test_groups_and_filters_go_together() -> None:
    for n, n_channels, groups in ((17, 32, 2), (24, 32, 2), (16, 24, 2), (0, 32, 3)):
        images = np.zeros((1, 4, 4, n_channels // 8), np.uint8)
        filters = np.zeros((n, 1, 1, -(-n_channels // groups // 8)), np.uint8)
        for prepare in (xnor.PackedFilters, partial(xnor.conv2d, images)):
            with pytest.raises(ValueError, match=r"groups") as caught:
                prepare(filters, n_channels, groups=groups)
            assert str(groups) in str(caught.value)
    with pytest.raises(
        ValueError, match=r"^groups do not go with filters: 2 groups of 17 filters of 16 .*of 8$"
    ):
        xnor.PackedFilters(np.zeros((17, 1, 1, 2), np.uint8), 32, 2)


@pytest.mark.parametrize("family_of_outs", [np.int32, np.uint8, np.float32])
def test_outputs_of_xnor_share_no_memory_with_inputs(family_of_outs: Any) -> None:
    finish = {np.int32: {}, np.uint8: {"thresholds": 0}, np.float32: {"scale": 2}}[family_of_outs]
    memory = np.zeros(4 * 16 * 16, np.uint8)
    before = memory.copy()
    n = 16 // 8 if family_of_outs is np.uint8 else 16
    out = memory.view(family_of_outs)[: 16 * n].reshape(16, n)
    inside = memory[:128].reshape(16, 8) if n == 16 else memory[:16].reshape(16, 1)
    n_bits = 8 * inside.shape[1]
    other = random_codes(16, inside.shape[1])
    with pytest.raises(ValueError, match="out shares memory"):
        xnor.matmul(inside, other, n_bits, **finish, out=out)
    with pytest.raises(ValueError, match="out shares memory"):
        xnor.bitserial_matmul(inside[None], other, n_bits, **finish, out=out)
    image = inside.reshape(1, 4, 4, -1)
    filters = random_codes(16, inside.shape[1]).reshape(16, 1, 1, -1)
    with pytest.raises(ValueError, match="out shares memory"):
        xnor.conv2d(image, filters, n_bits, **finish, out=out.reshape(1, 4, 4, n))
    assert np.array_equal(memory, before)
    # What is prepared has memory of its own.
    wanted = xnor.matmul(other, inside.copy(), n_bits, **finish)
    assert np.array_equal(xnor.matmul(other, inside, n_bits, **finish, out=out), wanted)


def test_other_outputs_of_xnor_share_no_memory_with_inputs() -> None:
    memory = np.zeros(1024, np.uint8)
    for function, arguments, out in (
        (xnor.planes, (memory[:64].reshape(8, 8), 8), memory[32:96].reshape(8, 8, 1)),
        (xnor.max_pool2d, (memory[:64].reshape(1, 4, 4, 4), 1), memory[:64].reshape(1, 4, 4, 4)),
        (
            xnor.and_matmul,
            (memory[:8].reshape(2, 4), memory[512:520].reshape(2, 4)),
            memory[:16].view(np.int32).reshape(2, 2),
        ),
    ):
        with pytest.raises(ValueError, match="out shares memory"):
            function(*arguments, out=out)


def test_unusual_arguments_of_xnor_that_are_right() -> None:
    prepared = xnor.PackedMatrix(COLUMNS, np.uint16(60), signed=np.False_)
    assert xnor.matmul(ROWS, prepared, 60, threads=2**62).shape == (5, 20)
    assert xnor.matmul(ROWS[:0], COLUMNS[:0], 60, thresholds=np.zeros(0, int)).shape == (0, 0)
    assert xnor.matmul(ROWS, COLUMNS[:0], 60, scale=[], bias=()).shape == (5, 0)
    for limits in (np.zeros(20, ">i4"), np.zeros(20, np.int8), [0] * 20, odd_address((20,), np.int32), 0):
        wanted = xnor.matmul(ROWS, COLUMNS, 60, thresholds=np.zeros(20, np.int32))
        assert np.array_equal(xnor.matmul(ROWS, COLUMNS, 60, thresholds=limits), wanted)
    for scale in (np.float16(2), 2, np.longdouble(2), np.full(20, 2, ">f8"), odd_address((20,), "f4") + 2):
        wanted = xnor.matmul(ROWS, COLUMNS, 60, scale=2.0)
        assert np.array_equal(xnor.matmul(ROWS, COLUMNS, 60, scale=scale), wanted)
    assert xnor.conv2d(IMAGES[:0], FILTERS, 16).shape == (0, 6, 8, 24)
    assert xnor.conv2d(IMAGES[:, :0], FILTERS, 16, padding=3, pad_value=np.int8(0)).shape == (2, 4, 14, 24)
    for pad_value in (-1, 0, 1):
        assert xnor.conv2d(IMAGES, FILTERS[:0], 16, padding=1, pad_value=pad_value).shape == (2, 8, 10, 0)
    assert xnor.conv2d(IMAGES[:0], FILTERS, 16, padding=((2**24, 0), 0), pad_value=0).shape[0] == 0
    assert xnor.conv2d(IMAGES, FILTERS, 16, stride=2**31 - 1).shape == (2, 1, 1, 24)
    assert xnor.max_pool2d(IMAGES, 2, [2**31 - 1, 1]).shape == (2, 1, 8, 2)
    assert xnor.max_pool2d(IMAGES[:0], (8, 9)).shape == (0, 1, 1, 2)


@pytest.mark.parametrize("function", RIGHT)
def test_the_right_arguments_are_right(function: str) -> None:
    call(function, RIGHT[function])


@pytest.mark.parametrize("method", ["append", "unpack"])
@pytest.mark.parametrize("wrong", THREADS, ids=lambda wrong: wrong.label)
def test_the_methods_of_packed_codes_refuse_wrong_threads(method: str, wrong: Wrong) -> None:
    packed = adc.PackedCodes(PARTS)
    arguments = (PARTS,) if method == "append" else ()
    with pytest.raises(wrong.error, match=r"^threads must be an integer") as caught:
        getattr(packed, method)(*arguments, threads=wrong.value)
    assert wrong.given in str(caught.value)
    assert packed.shape == PARTS.shape


@pytest.mark.parametrize("value", [1.0, "1", [1], np.arange(2)], ids=str)
def test_rows_to_unpack_are_integers(value: Any) -> None:
    packed = adc.PackedCodes(PARTS)
    for arguments in ({"start": value}, {"stop": value}):
        with pytest.raises(TypeError, match="integer"):
            packed.unpack(**arguments)


@pytest.mark.parametrize("form", [PARTS, adc.PackedCodes(PARTS), adc.PackedCodes(PARTS, 16)])
def test_unusual_arguments_of_adc_that_are_right(form: Any) -> None:
    assert adc.knn(TABLES, form, 0)[0].shape == (5, 0)
    assert adc.knn(TABLES, form, np.uint8(2), threads=2**62)[0].shape == (5, 2)
    assert adc.knn(TABLES[:0], form, 2**40)[0].shape == (0, 2**40)
    distances, indices = adc.knn(TABLES, form, 21, np.zeros(20, bool))
    assert (indices == -1).all()
    assert (distances == np.inf).all()
    assert [found.tolist() for found in adc.radius(TABLES[:0], form, 3)] == [[0], [], []]
    assert [found.tolist() for found in adc.radius(TABLES, form, 100, PARTS[:0, 0])] == [[0] * 6, [], []]
    for radius in (3, np.float16(3), np.array(3), np.int8(3)):
        assert adc.radius(TABLES, form, radius)[0].tolist() == adc.radius(TABLES, form, 3.0)[0].tolist()
    assert adc.scan(TABLES[:0], form).shape == (0, 20)
    assert adc.encode(X[:0], CODEBOOKS).shape == (0, 4)
    assert adc.tables(X[:0], CODEBOOKS, metric="ip").shape == (0, 4, 10)


@pytest.mark.parametrize("family", ["hamming", "jaccard"])
def test_unusual_arguments_that_are_right(family: str) -> None:
    knn = MODULES[family].knn
    assert knn(A, B, 0)[0].shape == (5, 0)
    assert knn(A, B, 0, threads=2**62)[0].shape == (5, 0)
    assert knn(A, B, np.uint8(2))[0].shape == (5, 2)
    assert knn(A[:0], B, 2**40)[0].shape == (0, 2**40)
    assert (knn(A, B, 21, np.zeros(20, bool))[1] == -1).all()


# --- environment --------------------------------------------------------------------------------------------

FIRST_CALL = """
import numpy as np
from fastcodes import hamming
codes = np.zeros((3, 8), np.uint8)
for _ in range(2):
    try:
        hamming.knn(codes, codes, 1)
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize("value", ["", "AVX2", "avx1024", "0", "portable ", "auto", "\udcff"])
def test_an_unknown_level_is_an_error_at_the_first_call(value: str) -> None:
    first, second = run_python(FIRST_CALL, {"FASTCODES_LEVEL": value}).splitlines()
    assert first == second
    assert first.startswith("ValueError FASTCODES_LEVEL is ")
    assert value.encode("utf-8", "replace").decode().replace("?", "") in first
    assert "portable, avx2, avx512" in first


def test_a_level_above_the_cpu_is_an_error_at_the_first_call() -> None:
    above = [name for name in ("avx2", "avx512") if name not in _native.levels()]
    if not above:
        pytest.skip("this CPU has every level")
    first = run_python(FIRST_CALL, {"FASTCODES_LEVEL": above[0]}).splitlines()[0]
    assert first.startswith(f'ValueError FASTCODES_LEVEL is "{above[0]}"')
    assert _native.levels()[-1] in first


@pytest.mark.parametrize("value", ["", "0", "-1", "1.5", "two", " 2", "9" * 30, "\udcff"])
def test_a_wrong_number_of_threads_in_the_environment_is_an_error(value: str) -> None:
    first, second = run_python(FIRST_CALL, {"FASTCODES_NUM_THREADS": value}).splitlines()
    assert first == second
    assert first.startswith("ValueError FASTCODES_NUM_THREADS is ")
    assert first.endswith("expected an integer from 1 up")
    assert value.encode("utf-8", "replace").decode().replace("?", "") in first
