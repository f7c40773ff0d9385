"""Right and wrong arguments of fastcodes.interop.sentence_transformers."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract.kit import BOOLEANS, NO_INTEGER, THREADS, WithoutRepr, Wrong

X = np.random.default_rng(0).random((20, 12), np.float32)
CODES = np.zeros((20, 12), np.uint8)

RIGHT: dict[str, dict[str, Any]] = {
    "semantic_search": {
        "query_embeddings": X[:3],
        "corpus_embeddings": CODES,
        "corpus_index": None,
        "corpus_precision": "uint8",
        "top_k": 3,
        "ranges": None,
        "calibration_embeddings": X,
        "rescore": True,
        "rescore_multiplier": 2,
        "exact": True,
        "output_index": False,
        "rerank": None,
        "threads": None,
    }
}

FLOATS = [
    Wrong("str", "x", TypeError, "'x'", "real numbers"),
    Wrong("object", WithoutRepr(), TypeError, "WithoutRepr", "real numbers"),
    Wrong("complex", X * 1j, TypeError, "complex64", "real numbers"),
    Wrong("ndim 3", X[None], ValueError, "(1, 20, 12)", "12"),
    Wrong("fewer columns", X[:, :11], ValueError, "11", "12"),
    Wrong("NaN", np.full((2, 12), np.nan), ValueError, "nan in row 0", "NaN"),
]
NOT_BOTH = Wrong("None", None, ValueError, "neither", "must be given")
WRONG: dict[str, list[Wrong]] = {
    "query_embeddings": [
        Wrong("None", None, TypeError, "None", "real numbers"),
        *FLOATS,
        Wrong("codes of another dtype", CODES.astype(np.int8), TypeError, "int8", "uint8"),
        Wrong("no columns", X[:, :0], ValueError, "(20, 0)", "(nq, d)"),
    ],
    "corpus_embeddings": [
        NOT_BOTH,
        Wrong("floats", X, TypeError, "float32", "quantize_embeddings"),
        Wrong("other codes", CODES.astype(np.int8), TypeError, "int8", "array of uint8"),
        Wrong("str", "x", TypeError, "'x'", "array of uint8"),
        Wrong("ndim 1", CODES[0], ValueError, "(12,)", "(n, d)"),
        Wrong("no columns", CODES[:, :0], ValueError, "(20, 0)", "(n, d)"),
    ],
    "corpus_index": [Wrong("both", "index", ValueError, "corpus_embeddings", "one of them")],
    "corpus_precision": [
        Wrong("None", None, ValueError, "None", '"uint8"'),
        Wrong("int4", "int4", ValueError, "int4", '"uint8"'),
        Wrong("int", 8, ValueError, "8", '"uint8"'),
    ],
    "top_k": [
        *NO_INTEGER,
        Wrong("negative", -1, ValueError, "-1", "from 0 to 1048576"),
        Wrong("huge", 2**70, ValueError, str(2**70), "from 0 to 1048576"),
    ],
    "ranges": [
        *FLOATS,
        Wrong("one row", X[:1], ValueError, "(1, 12)", "(2, 12)"),
    ],
    "calibration_embeddings": [*FLOATS, Wrong("no rows", X[:0], ValueError, "(0, 12)", "at least one row")],
    "rescore": BOOLEANS,
    "rescore_multiplier": [
        *NO_INTEGER,
        Wrong("zero", 0, ValueError, "0", "from 1 to 1048576"),
        Wrong("huge", 2**70, ValueError, str(2**70), "from 1 to 1048576"),
    ],
    "exact": BOOLEANS,
    "output_index": BOOLEANS,
    "rerank": [
        Wrong("list", X.tolist(), TypeError, "list", "(20, 12)"),
        Wrong("complex", X * 1j, TypeError, "complex64", "real numbers"),
        Wrong("fewer rows", X[:19], ValueError, "(19, 12)", "(20, 12)"),
        Wrong("fewer columns", X[:, :11], ValueError, "(20, 11)", "(20, 12)"),
    ],
    "threads": THREADS,
}


def wrong_values(verb: str, name: str) -> list[Wrong]:
    """List the wrong values of an argument."""
    return WRONG[name]
