"""Right and wrong arguments of fastcodes.entropy."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract.class_kit import CODES as NOT_CODES
from contract.class_kit import POSITIVE, Case
from contract.kit import (
    CODES,
    NOT_BYTES,
    OTHER_BYTES,
    THREADS,
    B,
    Sparse,
    WithoutRepr,
    Wrong,
    between,
)
from fastcodes import entropy

COUNTS = np.arange(300) % 7
SYMBOLS = np.array([3, 0, 5, 299, 7, 7])
CATEGORICAL, SCALE_TABLE = entropy.Categorical(COUNTS), entropy.ScaleTable("gaussian")
MESSAGE = entropy.encode(SYMBOLS, CATEGORICAL)
FREQUENCIES = np.full((8, 256), 256)
CHAIN = entropy.MarkovChain(FREQUENCIES, 8, order=0)
BLOCKS, OFFSETS = entropy.encode_rows(B, CHAIN)

RIGHT: dict[str, dict[str, Any]] = {
    "Categorical": {"counts": COUNTS, "dtype": np.int16},
    "ScaleTable": {"law": "logistic"},
    "Huffman": {"counts": COUNTS},
    "MarkovChain": {"frequencies": FREQUENCIES, "n_columns": 8, "order": 0},
    "Bernoulli": {"ones": [1, 9, 65535]},
    "encode": {"symbols": SYMBOLS, "model": SCALE_TABLE, "scales": [0, 63, 1, 2, 3, 4], "threads": None},
    "decode": {"data": MESSAGE, "model": CATEGORICAL, "n": 6, "scales": None, "threads": None},
    "encode_rows": {"codes": B, "model": CHAIN, "rows_per_block": 3, "threads": None},
    "decode_rows": {
        "data": BLOCKS,
        "offsets": OFFSETS,
        "model": CHAIN,
        "rows": None,
        "n_rows": 20,
        "rows_per_block": 1,
        "threads": None,
    },
}


MOST_OF_A_BLOCK = (1 << 22) // B.shape[1]


def not_integers(given_of_none: str) -> list[Wrong]:
    """List what is no array-like of integers."""
    return [
        Wrong("None", None, TypeError, given_of_none, "integers"),
        Wrong("str", "abc", TypeError, "", "integers"),
        Wrong("floats", [1.0, 2.0], TypeError, "", "integers"),
        Wrong("NaN", np.array([np.nan]), TypeError, "float64", "integers"),
        Wrong("bools", np.zeros(6, bool), TypeError, "bool", "integers"),
        Wrong("objects", np.array([None]), TypeError, "object", "integers"),
        Wrong("masked", np.ma.masked_equal(SYMBOLS, 3), ValueError, "masked elements", "filled(value)"),
        Wrong("sparse", Sparse(), TypeError, "sparse", "toarray()"),
        Wrong("rows of several lengths", [[0], [0, 1]], ValueError, "inhomogeneous", "numpy array"),
    ]


def not_models(expected: str, other: Any) -> list[Wrong]:
    """List what is no model of a kind."""
    return [
        Wrong("None", None, TypeError, "None", expected),
        Wrong("str", "laplace", TypeError, "'laplace'", expected),
        Wrong("counts", COUNTS, TypeError, "int64", expected),
        Wrong("class", type(other), TypeError, f"the class {type(other).__name__}", expected),
        Wrong("other", other, TypeError, type(other).__name__, expected),
        Wrong("object", WithoutRepr(), TypeError, "WithoutRepr", expected),
    ]


WRONG_COUNTS = [
    *not_integers("None"),
    Wrong("negative", [3, -1], ValueError, "-1 at position 1", "0 or more"),
    Wrong("ndim 0", np.array(3), ValueError, "()", "one dimension"),
    Wrong("ndim 2", [[1, 2]], ValueError, "(1, 2)", "one dimension"),
    Wrong("none", np.zeros(0, int), ValueError, "(0,)", "from 1 to 65536"),
    Wrong("too many", np.ones(65537, int), ValueError, "(65537,)", "from 1 to 65536"),
]
NOT_DATA = [
    Wrong("None", None, TypeError, "None", "uint8 array"),
    Wrong("int", 7, TypeError, "7", "uint8 array"),
    Wrong("str", "ac", TypeError, "'ac'", "uint8 array"),
    Wrong("list", [1, 2], TypeError, "int64", "uint8 array"),
    Wrong("floats", np.zeros(3), TypeError, "float64", "uint8 array"),
    Wrong("int8", np.zeros(3, np.int8), TypeError, "int8", "uint8 array"),
    Wrong("words", memoryview(np.zeros(3, np.int32)), TypeError, "int32", "uint8 array"),
    Wrong("ndim 2", B, ValueError, "(20, 8)", "one dimension"),
    Wrong("masked", np.ma.masked_equal(B[0], B[0, 0]), ValueError, "masked elements", "filled(value)"),
    Wrong("object", WithoutRepr(), TypeError, "WithoutRepr", "uint8 array"),
]
MODELS, ROW_MODELS = "Categorical, ScaleTable or Huffman", "MarkovChain or Bernoulli"
SHAPES = ("ndim 0", "ndim 3", "no bytes", "no rows, no bytes", "too many bytes")
ENDS = "ascending numbers from 0"
MOST = 2**63 - 1

WRONG: dict[tuple[str, str], list[Wrong]] = {
    ("Categorical", "counts"): WRONG_COUNTS,
    ("Categorical", "dtype"): [
        Wrong("float", float, ValueError, "float64", "integers up to 299"),
        Wrong("bool", bool, ValueError, "bool", "integers up to 299"),
        Wrong("too narrow", "u1", ValueError, "uint8", "integers up to 299"),
        Wrong("no dtype", "integers", TypeError, "'integers'", "integer dtype"),
        Wrong("object", WithoutRepr(), TypeError, "WithoutRepr", "integer dtype"),
    ],
    ("ScaleTable", "law"): [
        Wrong("other", "cauchy", ValueError, "'cauchy'", '"laplace", "gaussian" or "logistic"'),
        Wrong("None", None, ValueError, "None", '"laplace", "gaussian" or "logistic"'),
        Wrong("list", ["laplace"], ValueError, "['laplace']", '"laplace", "gaussian" or "logistic"'),
    ],
    ("Huffman", "counts"): WRONG_COUNTS,
    ("MarkovChain", "frequencies"): [
        *not_integers("None"),
        Wrong("zero", [[0, 65536]] * 8, ValueError, "0 to 65536", "from 1 to 65536"),
        Wrong("negative", [[-1, 65537]] * 8, ValueError, "-1 to 65537", "from 1 to 65536"),
        Wrong("beyond uint32", [[2**32 + 1, 65535]] * 8, ValueError, str(2**32 + 1), "from 1 to 65536"),
        Wrong("other sum", FREQUENCIES + 1, ValueError, str(65536 + 256), "65536"),
        Wrong("ndim 1", FREQUENCIES[0], ValueError, "(256,)", "two dimensions"),
        Wrong("fewer tables", FREQUENCIES[:7], ValueError, "7", "8"),
        Wrong("no symbols", FREQUENCIES[:, :0], ValueError, "0 symbols", "from 1 to 256"),
        Wrong("many symbols", np.full((8, 512), 128), ValueError, "512 symbols", "from 1 to 256"),
    ],
    ("MarkovChain", "n_columns"): between(1, MOST),
    ("MarkovChain", "order"): between(0, 1),
    ("Bernoulli", "ones"): [
        *not_integers("object"),
        Wrong("zero", [0, 1], ValueError, "[0, 1]", "from 1 to 65535"),
        Wrong("certain", [1, 65536], ValueError, "[1, 65536]", "from 1 to 65535"),
        Wrong("none", [], ValueError, "[]", "at least one"),
        Wrong("ndim 2", [[1, 2]], ValueError, "(1, 2)", "one dimension"),
    ],
    ("encode", "symbols"): [
        *not_integers("None"),
        Wrong("beyond int32", SYMBOLS << 40, ValueError, str(299 << 40), "2**31 - 1"),
        Wrong("fewer", SYMBOLS[1:], ValueError, "(5,)", "the same"),
    ],
    ("encode", "model"): not_models(MODELS, CHAIN),
    ("encode", "scales"): [
        Wrong("None", None, TypeError, "None", "index of the scale of each symbol"),
        *not_integers("None")[1:-3],
        Wrong("negative", [-1] * 6, ValueError, "-1", "from 0 to 63"),
        Wrong("too large", [64] * 6, ValueError, "64", "from 0 to 63"),
        Wrong("fewer", [1] * 5, ValueError, "(5,)", "the same"),
        Wrong("other shape", [[1] * 6], ValueError, "(1, 6)", "the same"),
    ],
    ("decode", "data"): [
        *NOT_DATA,
        Wrong("cut", MESSAGE[:-2], ValueError, "6 symbols", "cut or altered"),
        Wrong("longer", MESSAGE + b"0", ValueError, "6 symbols", "cut or altered"),
    ],
    ("decode", "model"): not_models(MODELS, CHAIN),
    ("decode", "n"): [
        *(wrong for wrong in between(0, MOST) if wrong.label != "None"),
        Wrong("None", None, TypeError, "None", "number of symbols, or their shape"),
        Wrong("negative length", (2, -3), ValueError, "-3", "from 0 to"),
        Wrong("huge length", (0, 2**70), ValueError, str(2**70), "from 0 to"),
        Wrong("fraction of a shape", (1, 1.5), TypeError, "1.5", "integer"),
    ],
    ("decode", "scales"): [Wrong("numbers", [0] * 6, ValueError, "Categorical has none", "ScaleTable")],
    ("encode_rows", "codes"): [
        *(wrong for wrong in CODES if wrong in NOT_BYTES or wrong.label == "masked"),
        *(wrong._replace(expected="uint8 array") for wrong in CODES if wrong.label in SHAPES),
        *OTHER_BYTES,
    ],
    ("encode_rows", "model"): not_models(ROW_MODELS, CATEGORICAL),
    ("encode_rows", "rows_per_block"): between(1, MOST_OF_A_BLOCK),
    ("decode_rows", "data"): NOT_DATA,
    ("decode_rows", "offsets"): [
        Wrong("floats", OFFSETS * 1.0, TypeError, "float64", "integers"),
        Wrong("str", "abc", TypeError, "<U3", "integers"),
        Wrong("ndim 2", OFFSETS[None], ValueError, "(1, 21)", "one dimension"),
        Wrong("none", [], ValueError, "none", "at least one element"),
        Wrong("fewer", OFFSETS[1:], ValueError, "19 blocks", "20 rows make 20"),
        Wrong("descending", OFFSETS[::-1], ValueError, f"{OFFSETS[-1]}..", ENDS),
        Wrong("negative", OFFSETS - 1, ValueError, "-1..", ENDS),
        Wrong("beyond", OFFSETS + 1, ValueError, f"..{len(BLOCKS) + 1} at position 19", ENDS),
        Wrong("lowest", np.full(21, -(2**63)), ValueError, str(-(2**63)), ENDS),
    ],
    ("decode_rows", "model"): not_models(ROW_MODELS, CATEGORICAL),
    ("decode_rows", "rows"): [
        Wrong("float", [1.0], TypeError, "float64", "integers"),
        Wrong("bools", np.zeros(20, bool), TypeError, "bool", "integers"),
        Wrong("str", "all", TypeError, "<U3", "integers"),
        Wrong("scalar", 3, ValueError, "()", "one dimension"),
        Wrong("ndim 2", [[1]], ValueError, "(1, 1)", "one dimension"),
    ],
    ("decode_rows", "n_rows"): [wrong for wrong in between(0, MOST) if wrong.label != "None"],
    ("decode_rows", "rows_per_block"): between(1, MOST_OF_A_BLOCK),
}


def wrong_values(verb: str, name: str) -> list[Wrong]:
    """List the wrong values of an argument."""
    return THREADS if name == "threads" else WRONG[verb, name]


NOT_INTEGERS = ["abc", None, [0.5], np.zeros(3)]
NOT_SYMBOLS = [*NOT_INTEGERS, [-1], [70_000]]
TOO_MANY = [*POSITIVE, 65537]
CASES = {
    "entropy.Categorical": Case(
        entropy.Categorical,
        {"counts": COUNTS},
        methods={"fit": {"symbols": SYMBOLS, "n_symbols": 400}, "bits": {"symbols": SYMBOLS}},
        wrong={
            "counts": NOT_SYMBOLS[:-1],
            "dtype": [float, "integers", "u1"],
            "symbols": NOT_SYMBOLS,
            "n_symbols": TOO_MANY,
        },
    ),
    "entropy.Huffman": Case(
        entropy.Huffman,
        {"counts": COUNTS},
        methods={"fit": {"symbols": SYMBOLS, "n_symbols": 400}, "bits": {"symbols": SYMBOLS}},
        wrong={"counts": NOT_SYMBOLS[:-1], "symbols": NOT_SYMBOLS, "n_symbols": TOO_MANY},
    ),
    "entropy.ScaleTable": Case(
        entropy.ScaleTable,
        {"law": "gaussian"},
        methods={"bits": {"symbols": SYMBOLS, "scales": SYMBOLS % 64}, "indices": {"scales": [0.5, 3]}},
        wrong={
            "law": ["cauchy", None],
            "symbols": [*NOT_INTEGERS, [2**31] * 6],
            "bits.scales": [*NOT_INTEGERS, [64] * 6, [1] * 5],
            "indices.scales": ["abc", None, [0.0], [-1], [np.nan], [np.inf]],
        },
    ),
    "entropy.MarkovChain": Case(
        entropy.MarkovChain,
        {"frequencies": FREQUENCIES, "n_columns": 8, "order": 0},
        methods={"fit": {"codes": B, "n_symbols": 256, "order": 1}, "bits": {"codes": B}},
        wrong={
            "frequencies": [*NOT_INTEGERS, FREQUENCIES[0], FREQUENCIES + 1],
            "n_columns": POSITIVE,
            "order": [1.5, "1", -1, 2],
            "fit.codes": [*NOT_CODES[:3], NOT_CODES[-1], B[:0]],
            "n_symbols": [*POSITIVE, 257],
        },
    ),
    "entropy.Bernoulli": Case(
        entropy.Bernoulli,
        {"ones": np.arange(1, 65)},
        methods={"fit": {"codes": B, "n_bits": 60}, "bits": {"codes": B}},
        wrong={"ones": [*NOT_INTEGERS, [0], [65536], [[1]]], "n_bits": [*POSITIVE, 10**30, 56, 65]},
    ),
}
