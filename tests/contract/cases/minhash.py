"""Right and wrong arguments of fastcodes.minhash."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract.kit import BOOLEANS, NONE_IS_NO_INTEGER, THREADS, WithoutRepr, Wrong, between, outputs
from fastcodes import minhash

SETS = [["a", "b"], ["b", "c"], []]
TEXTS = ["a b c d", "b c d e"]
TOKENS, OFFSETS = np.arange(9, dtype=np.uint64), np.array([0, 4, 4, 9])
SIGNATURES = minhash.signatures(TOKENS, OFFSETS, n_hashes=20)
PACKED_SLOTS = minhash.pack(SIGNATURES, 2)
ROW_NUMBERS = np.array([0, 2, 1])

RIGHT: dict[str, dict[str, Any]] = {
    "tokens": {"sets": SETS},
    "shingles": {"texts": TEXTS, "size": 2, "unit": "word", "lowercase": True},
    "signatures": {
        "sets": TOKENS,
        "offsets": OFFSETS,
        "n_hashes": 20,
        "seed": 3,
        "one_permutation": False,
        "out": None,
        "threads": None,
    },
    "text_signatures": {
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
    "pack": {"signatures": SIGNATURES, "n_bits": 2, "out": None, "threads": None},
    "band_keys": {"signatures": SIGNATURES, "n_bands": 5, "n_rows": 4, "out": None, "threads": None},
    "cdist": {"a": PACKED_SLOTS, "b": PACKED_SLOTS, "n_bits": 2, "out": None, "threads": None},
    "union": {"a": SIGNATURES, "b": SIGNATURES[::-1]},
    "paired": {
        "a": PACKED_SLOTS,
        "b": PACKED_SLOTS,
        "i": ROW_NUMBERS,
        "j": ROW_NUMBERS,
        "n_bits": 2,
        "threads": None,
    },
    "estimate": {"differing": ROW_NUMBERS, "n_hashes": 20, "n_bits": 2},
    "jaccard": {"a": SETS, "b": SETS, "i": ROW_NUMBERS, "j": ROW_NUMBERS, "threads": None},
    "candidate_probability": {"similarity": 0.5, "n_bands": 3, "n_rows": 2},
    "band_shape": {"n_hashes": 20, "threshold": 0.8, "weights": (0.1, 0.9)},
}

NOT_SETS = [
    Wrong("None", None, TypeError, "None", "collections of tokens"),
    Wrong("int", 7, TypeError, "7", "collections of tokens"),
    Wrong("str", "abc", TypeError, "'abc'", "collections of tokens"),
    Wrong("bytes", b"abc", TypeError, "b'abc'", "collections of tokens"),
    Wrong("dict", {"a": ["b"]}, TypeError, "{'a': ['b']} of type dict", "list(sets.values())"),
    Wrong("set", {"a"}, TypeError, "{'a'} of type set", "collections of tokens"),
    Wrong("ndim 0", np.array(1), TypeError, "shape ()", "collections of tokens"),
]
NOT_TEXTS = [
    Wrong("None", None, TypeError, "None", "sequence of str"),
    Wrong("int", 7, TypeError, "7", "sequence of str"),
    Wrong("str", "abc", TypeError, "'abc'", "sequence of str"),
    Wrong("bytes", b"abc", TypeError, "b'abc'", "sequence of str"),
    Wrong("dict", {"a": "b c"}, TypeError, "{'a': 'b c'} of type dict", "list(texts.values())"),
    Wrong("set", {"a b"}, TypeError, "{'a b'} of type set", "sequence of str"),
    Wrong("ndim 0", np.array("a b"), TypeError, "shape ()", "sequence of str"),
]
NOT_TOKENS = [
    Wrong("sets", [["a", "b"], ["c"]], TypeError, "[['a', 'b'], ['c']]", "sets must be integers"),
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
    Wrong("falling", [0, 5, 4], ValueError, "4 at position 2", "ascending numbers from 5 to 9"),
    Wrong("negative", [-1, 4], ValueError, "-1 at position 0", "ascending"),
    Wrong("beyond", [0, 10], ValueError, "10 at position 1", "from 0 to 9"),
    Wrong("lowest", [0, -(2**63)], ValueError, str(-(2**63)), "ascending"),
]
SLOTS = [
    Wrong("None", None, TypeError, "None", "uint32 array"),
    Wrong("list", [[1, 2]], TypeError, "int64 and shape (1, 2)", "uint32 array"),
    Wrong("masked", np.ma.masked_equal(SIGNATURES, SIGNATURES[0, 0]), ValueError, "masked", "filled(value)"),
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
WRONG: dict[str, list[Wrong]] = {
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
        Wrong("zero", 0, ValueError, "0", "above 0 and at most 1"),
        Wrong("beyond", 1.1, ValueError, "1.1", "above 0 and at most 1"),
        Wrong("NaN", np.nan, ValueError, "nan", "above 0 and at most 1"),
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
OUTS = {
    "signatures": (np.uint32, (3, 20), np.int32),
    "text_signatures": (np.uint32, (2, 20), np.int32),
    "pack": (np.uint8, (3, 6), np.int8),
    "band_keys": (np.uint64, (3, 5), np.int64),
    "cdist": (np.int32, (3, 3), np.uint32),
}


def wrong_values(verb: str, name: str) -> list[Wrong]:
    """List the wrong values of an argument."""
    if name == "out":
        # A square cannot be told from itself turned over.
        square = OUTS[verb][1][0] == OUTS[verb][1][1]
        return [wrong for wrong in outputs(*OUTS[verb]) if not square or wrong.label != "transposed"]
    if verb == "union":
        more = np.vstack([SIGNATURES, SIGNATURES])
        return [*WRONG["signatures"], Wrong("more rows", more, ValueError, "(6, 20)", "equal")]
    if verb == "signatures" and name == "sets":
        return NOT_TOKENS
    if verb == "jaccard" and name in ("a", "b"):
        return [wrong._replace(expected="collections") for wrong in NOT_SETS]
    if verb != "pack" and name == "n_bits":  # None is for signatures
        return [wrong for wrong in WRONG[name] if wrong.label != "None"]
    return WRONG[name]
