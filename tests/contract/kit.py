"""Wrong values of arguments, by kind, and what the error has to say."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from helpers import random_codes

A = random_codes(5, 8, seed=1)
B = random_codes(20, 8, seed=2)
X = np.zeros((6, 20), np.float32)


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


class Sparse:
    """What sparse matrices have in common."""

    def toarray(self) -> Any:
        """Return the dense array."""
        return B


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
    Wrong("list of numbers", (B[:2] / 255).tolist(), TypeError, "float64 and shape (2, 8)", "uint8 array"),
    Wrong("list of booleans", (B[:2] > 3).tolist(), TypeError, "bool and shape (2, 8)", "uint8 array"),
    Wrong("list of large numbers", [[256] * 8], ValueError, "from 256 to 256", "0 to 255"),
    Wrong("list of negative numbers", [[-1] * 8], ValueError, "from -1 to -1", "0 to 255"),
    Wrong("rows of several lengths", [[0] * 8, [0] * 7], ValueError, "inhomogeneous", "numpy array"),
    Wrong("bytes of several lengths", [b"12345678", b"1"], ValueError, "different lengths", "uint8 array"),
    Wrong("masked", np.ma.masked_equal(B, B[0, 0]), ValueError, "masked elements", "filled(value)"),
    Wrong("sparse", Sparse(), TypeError, "sparse", "toarray()"),
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
    Wrong("list of numbers", [0.5, 1.0], TypeError, "[0.5, 1.0] of type list", RULE),
    Wrong("short list", [True, False], ValueError, "2 rows", "20"),
    Wrong("range", range(18, 21), ValueError, "20", "from 0 to 19"),
    Wrong("huge range", range(2**70, 2**70 + 3), ValueError, str(2**70), "int64"),
    Wrong("masked", np.ma.masked_equal(np.arange(20), 3), ValueError, "masked elements", "filled(value)"),
    Wrong("zeros and ones", np.arange(20, dtype=np.uint8) % 2, ValueError, "uint8", "mask.astype(bool)"),
    Wrong("list of zeros and ones", [0, 1] * 10, ValueError, "20 zeros and ones", "booleans"),
    Wrong("slice", slice(3), TypeError, "slice(None, 3, None)", RULE),
    Wrong("str", "all", TypeError, "'all'", RULE),
    Wrong("float array", np.ones(20), TypeError, "float64 and shape (20,)", RULE),
    Wrong("object array", np.ones(20, object), TypeError, "object and shape (20,)", RULE),
    Wrong("str array", np.array(["a"] * 20), TypeError, "<U1 and shape (20,)", RULE),
    Wrong("dates", np.zeros(20, "M8[D]"), TypeError, "datetime64[D] and shape (20,)", RULE),
    Wrong("ndim 0", np.array(True), ValueError, "shape ()", "one dimension"),
    Wrong("ndim 2", np.ones((20, 1), bool), ValueError, "shape (20, 1)", "one dimension"),
    Wrong("one short", np.ones(19, bool), ValueError, "19 rows", "20"),
    Wrong("one long", np.ones(21, bool), ValueError, "21 rows", "20"),
    Wrong("empty", np.ones(0, bool), ValueError, "0 rows", "20"),
    Wrong("id beyond", np.array([0, 20]), ValueError, "20", "from 0 to 19"),
    Wrong("negative id", np.array([3, -1], np.int8), ValueError, "-1", "from 0"),
    Wrong("lowest id", np.array([-(2**63)]), ValueError, str(-(2**63)), "from 0"),
    Wrong("highest id", np.array([2**63 - 1]), ValueError, str(2**63 - 1), "from 0 to 19"),
    Wrong("unsigned id", np.array([2**64 - 1], np.uint64), ValueError, "the row -1", "from 0 to 19"),
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


HUGE_K = Wrong("too large for results", 2**62, ValueError, str(2**62), "at most 1048576")
THREADS = [Wrong("zero", 0, ValueError, "got 0", "from 1 up"), *wrong_integers(1)]


NOT_AN_INTEGER = [wrong for wrong in [*wrong_integers(0), NONE_IS_NO_INTEGER] if wrong.error is TypeError]


NO_NUMBERS = [
    Wrong("None", None, TypeError, "object", "integers"),
    Wrong("str", "codes", TypeError, "<U5", "integers"),
    Wrong("list of str", ["a"], TypeError, "<U1", "integers"),
    Wrong("complex", X * 1j, TypeError, "complex64", "integers"),
    Wrong("object array", X.astype(object), TypeError, "object", "integers"),
    Wrong("dates", np.zeros((6, 20), "M8[s]"), TypeError, "datetime64[s]", "integers"),
    Wrong("records", np.zeros(6, [("x", "f4")]), TypeError, "[('x', '<f4')]", "integers"),
]


NO_INTEGER = [
    wrong._replace(given="array" if "array" in wrong.label else wrong.given) for wrong in NOT_AN_INTEGER
]


def with_entry(x: Any, value: float) -> Any:
    x = x.copy()
    x[(-1,) * x.ndim] = value
    return x


def wrong_numbers(right: Any) -> list[Wrong]:
    """List what is wrong for an array-like of real numbers that is converted to float32."""
    expected = "real numbers"
    return [
        Wrong("None", None, TypeError, "None", expected),
        Wrong("float", 1.5, ValueError, "shape ()", "array ("),
        Wrong("str", "floats", TypeError, "'floats'", expected),
        Wrong("object", WithoutRepr(), TypeError, "WithoutRepr", expected),
        Wrong("sparse", Sparse(), TypeError, "sparse", "toarray()"),
        Wrong("rows of several lengths", [[0.0] * 20, [0.0]], ValueError, "inhomogeneous", "numpy array"),
        Wrong("masked", np.ma.masked_array(right, right == 0), ValueError, "masked", "filled(value)"),
        *_wrong_elements(right, expected),
    ]


def wrong_floats(right: Any, expected: str) -> list[Wrong]:
    """List what is wrong for an array of float32."""
    return [
        Wrong("None", None, TypeError, "None", expected),
        Wrong("float", 1.5, TypeError, "float", expected),
        Wrong("str", "floats", TypeError, "str", expected),
        Wrong("list", right.tolist(), TypeError, "float64", expected),
        Wrong("object", WithoutRepr(), TypeError, "WithoutRepr", expected),
        Wrong("scalar", np.float32(3), TypeError, "float32", expected),
        *_wrong_elements(right, expected),
    ]


def _wrong_elements(right: Any, expected: str) -> list[Wrong]:
    return [
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


BOOLEANS = [
    Wrong("None", None, TypeError, "None", "True or False"),
    Wrong("int", 1, TypeError, "1", "True or False"),
    Wrong("str", "no", TypeError, "'no'", "True or False"),
    Wrong("array", np.array([True, False]), TypeError, "array", "True or False"),
]
