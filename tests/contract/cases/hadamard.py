"""Right and wrong arguments of fastcodes.hadamard."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract.kit import (
    CODES,
    NONE_IS_NO_INTEGER,
    THREADS,
    Wrong,
    X,
    between,
    outputs,
    wider_outputs,
    wrong_integers,
    wrong_numbers,
)
from fastcodes import hadamard

SIGNS_OF_20 = hadamard.signs(20, 100, random_state=0)
SIGNS_OF_24 = hadamard.rotation_signs(20, random_state=0)
ROTATED_X = hadamard.rotate(X, SIGNS_OF_24)

RIGHT: dict[str, dict[str, Any]] = {
    "signs": {"d": 20, "n_features": 100, "random_state": 0},
    "project": {"x": X, "signs": SIGNS_OF_20, "n_features": 10, "out": None, "threads": None},
    "pack": {"x": X, "signs": SIGNS_OF_20, "n_bits": 10, "out": None, "threads": None},
    "rotation_signs": {"d": 20, "random_state": 0},
    "rotate": {"x": X, "signs": SIGNS_OF_24, "out": None, "threads": None},
    "rotate_back": {"x": ROTATED_X, "signs": SIGNS_OF_24, "d": 10, "out": None, "threads": None},
}

TOO_LARGE = Wrong(
    "too large float64", np.full((6, 20), 1e300), ValueError, "1e+300 in row 0", "too large for float32"
)
PROJECTED = [
    *wrong_numbers(X),
    TOO_LARGE,
    Wrong("no dimensions", X[:, :0], ValueError, "0 dimensions", "from 1 to 1048576"),
    Wrong("more dimensions", np.zeros((6, 65), np.float32), ValueError, "65 dimensions", "16 bytes"),
    Wrong("no rows, more dimensions", np.zeros((0, 65), np.float32), ValueError, "65 dimensions", "16 bytes"),
    Wrong("other dtype, more dimensions", np.zeros((6, 65)), ValueError, "65 dimensions", "16 bytes"),
    Wrong(
        "too many dimensions",
        np.zeros((1, (1 << 20) + 1), np.float32),
        ValueError,
        "1048577",
        "from 1 to 1048576",
    ),
]
ROTATIONS = [
    *(wrong for wrong in CODES if wrong.label not in ("too many bytes", "no rows, no bytes")),
    Wrong("two rows", SIGNS_OF_20[:2], ValueError, "2 rows", "three rows"),
    Wrong("no rows", SIGNS_OF_20[:0], ValueError, "0 rows", "three rows"),
    Wrong("fewer bytes", SIGNS_OF_20[:, :4], ValueError, "4 bytes", "8 bytes"),
    Wrong("more bytes", np.hstack([SIGNS_OF_20] * 2), ValueError, "16 bytes", "8 bytes"),
]
ROTATED = [
    *wrong_numbers(X),
    TOO_LARGE,
    Wrong("no dimensions", X[:, :0], ValueError, "0 dimensions", "from 1 to 24"),
    Wrong("more dimensions", np.zeros((6, 25), np.float32), ValueError, "25 dimensions", "24"),
    Wrong("sums that overflow", np.full((6, 20), np.float32(3e38)), ValueError, "e38", "float32"),
]
ROTATED_BACK = [
    *wrong_numbers(ROTATED_X),
    TOO_LARGE,
    Wrong("no dimensions", X[:, :0], ValueError, "0 dimensions", "24"),
    Wrong("fewer dimensions", ROTATED_X[:, :23], ValueError, "23 dimensions", "24"),
    Wrong("more dimensions", np.zeros((6, 25), np.float32), ValueError, "25 dimensions", "24"),
]
ROUNDS = [
    *(wrong for wrong in CODES if wrong.label not in ("too many bytes", "no rows, no bytes")),
    Wrong("three rows", SIGNS_OF_24[:3], ValueError, "3 rows", "expected 4"),
    Wrong("no rows", SIGNS_OF_24[:0], ValueError, "0 rows", "expected 4"),
    Wrong("fewer bytes", SIGNS_OF_24[:, :2], ValueError, "signs are for 16", "dimensions"),
    Wrong("too many bytes", np.zeros((4, (1 << 17) + 1), np.uint8), ValueError, "1048584", "1048576"),
]
NUMBERS_OF_ROTATIONS = [
    *wrong_integers(1),
    NONE_IS_NO_INTEGER,
    Wrong("more than there are", 129, ValueError, "129", "give 128"),
]

RANDOM_STATES = [
    Wrong("negative", -1, ValueError, "-1", "from 0 up"),
    Wrong("str", "0", TypeError, "'0'", "random generator"),
    Wrong("float", 0.5, TypeError, "0.5", "random generator"),
]

WRONG: dict[tuple[str, str], list[Wrong]] = {
    ("signs", "d"): between(1, 1 << 20),
    ("signs", "n_features"): between(1, 2**31 - 1),
    ("signs", "random_state"): RANDOM_STATES,
    ("rotation_signs", "d"): between(1, 1 << 20),
    ("rotation_signs", "random_state"): RANDOM_STATES,
    ("project", "x"): PROJECTED,
    ("pack", "x"): PROJECTED,
    ("project", "signs"): ROTATIONS,
    ("pack", "signs"): ROTATIONS,
    ("project", "n_features"): NUMBERS_OF_ROTATIONS,
    ("pack", "n_bits"): NUMBERS_OF_ROTATIONS,
    ("project", "out"): [*outputs(np.float32, (6, 10), np.int32), *wider_outputs(np.float32, (6, 10))],
    ("pack", "out"): outputs(np.uint8, (6, 2), np.int8),
    ("rotate", "x"): ROTATED,
    ("rotate", "signs"): ROUNDS,
    ("rotate", "out"): [*outputs(np.float32, (6, 24), np.int32), *wider_outputs(np.float32, (6, 24))],
    ("rotate_back", "x"): ROTATED_BACK,
    ("rotate_back", "signs"): ROUNDS,
    ("rotate_back", "d"): [*between(1, 1 << 20), Wrong("more", 25, ValueError, "25", "from 1 to 24")],
    ("rotate_back", "out"): [*outputs(np.float32, (6, 10), np.int32), *wider_outputs(np.float32, (6, 10))],
}


def wrong_values(verb: str, name: str) -> list[Wrong]:
    """List the wrong values of an argument."""
    return THREADS if name == "threads" else WRONG[verb, name]
