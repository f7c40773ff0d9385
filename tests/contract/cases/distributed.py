"""Right and wrong arguments of fastcodes.distributed."""

from __future__ import annotations

from typing import Any

import dask.array
import dask.bag
import numpy as np
from contract.kit import (
    BOOLEANS,
    CODES,
    HUGE_K,
    MASKS,
    NONE_IS_NO_INTEGER,
    OTHER_BYTES,
    THREADS,
    A,
    B,
    Wrong,
    wrong_integers,
)
from fastcodes.hashing import Bits, DeepHashing, MinHash, PCAHashing
from fastcodes.quantization import KMeans

X = np.random.default_rng(0).normal(size=(20, 4))
ROWS, CODE_ROWS = dask.array.from_array(X, chunks=(7, 2)), dask.array.from_array(B, chunks=(7, 8))
TEXTS = dask.bag.from_sequence(["a b c", "a b c d"])
UNKNOWN = ROWS[ROWS[:, 0] > 0]

RIGHT: dict[str, dict[str, Any]] = {
    "dedup": {"texts": TEXTS, "codec": MinHash(), "threshold": 0.5, "verify": True, "threads": None},
    "encode": {"model": PCAHashing(2).fit(X), "X": ROWS, "threads": None},
    "fit": {"model": PCAHashing(2), "X": ROWS, "threads": None},
    "knn": {
        "queries": A,
        "codes": CODE_ROWS,
        "k": 3,
        "metric": "jaccard",
        "codec": None,
        "mask": None,
        "threads": None,
    },
}

NOT_ROWS = [
    Wrong("None", None, TypeError, "None", "dask array"),
    Wrong("array", X, TypeError, "float64 and shape (20, 4)", "dask.array.from_array(X)"),
    Wrong("list", X[:1].tolist(), TypeError, "list", "dask.array.from_array(X)"),
    Wrong("ndim 1", ROWS[:, 0], ValueError, "(20,)", "(n, d)"),
    Wrong("unknown sizes", UNKNOWN, ValueError, "unknown sizes", "X.compute_chunk_sizes()"),
]
WRONG: dict[str, list[Wrong]] = {
    "texts": [
        Wrong("None", None, TypeError, "None", "dask.bag.from_sequence(texts)"),
        Wrong("list", ["a", "b"], TypeError, "list", "dask.bag.from_sequence(texts)"),
        Wrong("str", "a b c", TypeError, "'a b c'", "dask bag"),
        Wrong("ndim 2", ROWS, TypeError, "dask.array", 'texts["text"]'),
    ],
    "codec": [
        Wrong("str", "minhash", TypeError, "'minhash'", "must be a"),
        Wrong("class", Bits, TypeError, "the class Bits", "must be a"),
        Wrong("no codec", KMeans(), TypeError, "KMeans", "must be a"),
    ],
    "threshold": [
        Wrong("str", "0.5", TypeError, "'0.5'", "real number"),
        Wrong("None", None, TypeError, "None", "real number"),
        Wrong("zero", 0, ValueError, "0", "above 0 and at most 1"),
        Wrong("beyond", 1.1, ValueError, "1.1", "above 0 and at most 1"),
    ],
    "verify": BOOLEANS,
    "model": [
        Wrong("None", None, TypeError, "None", "model of fastcodes"),
        Wrong("class", PCAHashing, TypeError, "the class PCAHashing", "model of fastcodes"),
        Wrong("in epochs", DeepHashing(8), TypeError, "a DeepHashing", "model.fit(X[:65536].compute())"),
        Wrong("of sets", MinHash(), TypeError, "a MinHash", "on rows in memory"),
    ],
    "X": [
        *NOT_ROWS,
        Wrong("complex", ROWS * 1j, TypeError, "complex128", "real numbers"),
        Wrong("dates", ROWS.astype("M8[s]"), TypeError, "datetime64[s]", "real numbers"),
    ],
    "queries": CODES + OTHER_BYTES,
    "codes": [
        *(wrong._replace(expected=wrong.expected.replace("X", "codes")) for wrong in NOT_ROWS),
        Wrong("floats", dask.array.zeros((20, 8)), TypeError, "float64", "uint8"),
        Wrong("fewer bytes", CODE_ROWS[:, :7], ValueError, "7", "8"),
    ],
    "k": [*wrong_integers(0), NONE_IS_NO_INTEGER, HUGE_K],
    "metric": [
        Wrong("other", "l2", ValueError, "'l2'", '"hamming"'),
        Wrong("int", 1, ValueError, "1 of type int", '"jaccard"'),
    ],
    "mask": [wrong for wrong in MASKS if wrong.label not in ("ndim 0", "ndim 2", "unsigned id")],
    "threads": [wrong for wrong in THREADS if wrong.label != "huge"],  # the kernels limit it
}


def wrong_values(verb: str, name: str) -> list[Wrong]:
    """List the wrong values of an argument."""
    if (verb, name) == ("encode", "model"):
        return [
            Wrong("None", None, TypeError, "None", "encodes vectors"),
            Wrong("class", PCAHashing, TypeError, "the class PCAHashing", "encodes vectors"),
            Wrong("no codec", KMeans(), TypeError, "KMeans", "encodes vectors"),
            Wrong("of sets", MinHash(), TypeError, "MinHash", "encodes vectors"),
        ]
    if (verb, name) == ("encode", "X"):  # other dtypes are errors of the model
        return NOT_ROWS
    return WRONG[name]
