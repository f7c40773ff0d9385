"""Right and wrong arguments of fastcodes.interop.rdkit."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract.kit import NO_INTEGER, NOT_A_REAL_NUMBER, THREADS, B, WithoutRepr, Wrong
from rdkit.DataStructs import ExplicitBitVect, UIntSparseIntVect

VECTORS = [ExplicitBitVect(64), ExplicitBitVect(64)]

RIGHT: dict[str, dict[str, Any]] = {
    "from_rdkit": {"fingerprints": VECTORS},
    "to_rdkit": {"codes": B, "n_bits": None},
    "tanimoto": {"queries": VECTORS, "fingerprints": B, "threads": None},
    "tversky": {"queries": B, "fingerprints": VECTORS, "alpha": 1.0, "beta": 0.0, "threads": None},
}

NO_VECTORS = [
    Wrong("list of None", [VECTORS[0], None], TypeError, "None in place 1", "a bit vector of RDKit"),
    Wrong("counts", [UIntSparseIntVect(64)], TypeError, "UIntSparseIntVect", "by GetFingerprint"),
    Wrong("other bits", [*VECTORS, ExplicitBitVect(65)], ValueError, "65 bits in place 2", "the same number"),
    Wrong("empty", [], ValueError, "empty", "a bit vector of RDKit"),
    Wrong("no bits", ExplicitBitVect(0), ValueError, "0 bits", "expected 1 to 16777216"),
]
NO_CODES = [
    Wrong("None", None, TypeError, "None", "uint8 array"),
    Wrong("object", WithoutRepr(), TypeError, "WithoutRepr", "uint8 array"),
    Wrong("floats", B.astype(np.float32), TypeError, "float32", "uint8 array"),
    Wrong("ndim 3", B[None], ValueError, "(1, 20, 8)", "(n, n_bytes)"),
    Wrong("no bytes", B[:, :0], ValueError, "(20, 0)", "at least 1 byte"),
]
OTHER_BYTES = [
    Wrong("fewer bytes", B[:, :7], ValueError, "7", "8"),
    Wrong("other fingerprints", [ExplicitBitVect(65)], ValueError, "9", "8"),
]
WEIGHTS = [
    *NOT_A_REAL_NUMBER,
    Wrong("negative", -0.5, ValueError, "-0.5", "at least 0"),
    Wrong("above one", 1.5, ValueError, "1.5", "at most 1"),
]
WRONG: dict[str, list[Wrong]] = {
    "queries": [*NO_VECTORS, *NO_CODES, *OTHER_BYTES],
    "fingerprints": [*NO_VECTORS, *NO_CODES, *OTHER_BYTES],
    "codes": NO_CODES,
    "n_bits": [
        *(wrong for wrong in NO_INTEGER if wrong.label != "None"),
        Wrong("fewer bytes", 56, ValueError, "56", "from 57 to 64"),
        Wrong("more bytes", 65, ValueError, "65", "from 57 to 64"),
    ],
    "alpha": WEIGHTS,
    "beta": WEIGHTS,
    "threads": THREADS,
}


def wrong_values(verb: str, name: str) -> list[Wrong]:
    """List the wrong values of an argument."""
    if verb == "from_rdkit":
        return [*NO_VECTORS, Wrong("str", "CCO", TypeError, "'CCO'", "bit vectors of RDKit")]
    return WRONG[name]
