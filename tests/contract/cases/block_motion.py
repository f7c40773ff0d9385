"""Right and wrong arguments of fastcodes.block_motion."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract.kit import NONE_IS_NO_INTEGER, THREADS, Wrong, between, wrong_integers
from fastcodes import block_motion

FRAME = (np.arange(24 * 20) * 37 % 251).astype(np.uint8).reshape(24, 20)
REFERENCE = FRAME[::-1].copy()
PLANES = block_motion.one_bit_planes(FRAME, bands=2)
OTHERS = block_motion.one_bit_planes(REFERENCE, bands=2)
VECTORS = np.zeros((2, 2, 2), np.int16)

RIGHT: dict[str, dict[str, Any]] = {
    "search": {
        "frame": FRAME,
        "reference": REFERENCE,
        "method": "full",
        "block": 16,
        "radius": 4,
        "threads": None,
    },
    "one_bit_planes": {"frame": FRAME, "bands": 2},
    "one_bit_candidates": {
        "planes": PLANES,
        "reference": OTHERS,
        "k": 3,
        "width": 20,
        "block": 16,
        "radius": 4,
        "threads": None,
    },
    "sad": {"frame": FRAME, "reference": REFERENCE, "vectors": VECTORS, "block": 16, "threads": None},
    "one_bit_search": {
        "frame": FRAME,
        "reference": REFERENCE,
        "block": 16,
        "radius": 4,
        "bands": 1,
        "n_candidates": 5,
        "threads": None,
    },
    "compensate": {"reference": REFERENCE, "vectors": VECTORS, "block": 16},
}

ARRAY = "uint8 array (height, width)"
FRAMES = [
    Wrong("None", None, TypeError, "None", ARRAY),
    Wrong("str", "frame", TypeError, "str", ARRAY),
    Wrong("floats", FRAME / 255, TypeError, "float64 and shape (24, 20)", ARRAY),
    Wrong("16 bits", FRAME.astype(np.uint16), TypeError, "uint16", ARRAY),
    Wrong("booleans", FRAME > 9, TypeError, "bool", ARRAY),
    Wrong("masked", np.ma.masked_equal(FRAME, 0), ValueError, "masked elements", "filled(value)"),
    Wrong("ndim 1", FRAME[0], ValueError, "(20,)", "(height, width)"),
    Wrong("colors", np.stack([FRAME] * 3, -1), ValueError, "(24, 20, 3)", "one channel"),
    Wrong("no rows", FRAME[:0], ValueError, "(0, 20)", "from 1 to 65,535"),
]
OTHER_SIZES = [
    Wrong("fewer rows", FRAME[:23], ValueError, "(23, 20)", "(24, 20)"),
    Wrong("more columns", np.hstack([FRAME, FRAME]), ValueError, "(24, 40)", "(24, 20)"),
]
PACKED = "uint8 array (n_planes, height, n_bytes)"
PLANE_ARRAYS = [
    Wrong("None", None, TypeError, "None", PACKED),
    Wrong("booleans", np.zeros((2, 24, 20), bool), TypeError, "bool", PACKED),
    Wrong("ndim 2", PLANES[0], ValueError, "(24, 3)", "(n_planes, height, n_bytes)"),
    Wrong("no planes", PLANES[:0], ValueError, "0 planes", "from 1 to 8"),
    Wrong("too many planes", np.zeros((9, 24, 3), np.uint8), ValueError, "9 planes", "from 1 to 8"),
    Wrong("no rows", PLANES[:, :0], ValueError, "0 rows", "from 1 to 65535"),
    Wrong("fewer bytes", PLANES[..., :2], ValueError, "96 bytes", "expected 144"),
]
MOTIONS = [
    Wrong("None", None, TypeError, "None", "int16 array"),
    Wrong("int64", VECTORS.astype(int), TypeError, "int64", "int16 array"),
    Wrong("floats", VECTORS.astype(np.float32), TypeError, "float32", "int16 array"),
    Wrong("fewer rows", VECTORS[:1], ValueError, "(1, 2, 2)", "(2, 2, 2)"),
    Wrong("three components", np.zeros((2, 2, 3), np.int16), ValueError, "(2, 2, 3)", "(2, 2, 2)"),
    Wrong("ndim 2", VECTORS[0], ValueError, "(2, 2)", "(2, 2, 2)"),
]
BLOCKS = [
    *(wrong for wrong in wrong_integers(1) if wrong.error is TypeError),
    NONE_IS_NO_INTEGER,
    Wrong("zero", 0, ValueError, "0", ""),
    Wrong("other", 12, ValueError, "12", "8 or 16"),
    Wrong("larger", 32, ValueError, "32", "8 or 16"),
]

WRONG: dict[str, list[Wrong]] = {
    "frame": FRAMES,
    "planes": PLANE_ARRAYS,
    "vectors": MOTIONS,
    "method": [
        Wrong("None", None, ValueError, "None", '"full" or "epzs"'),
        Wrong("int", 1, ValueError, "1", '"full" or "epzs"'),
        Wrong("other", "diamond", ValueError, "'diamond'", '"full" or "epzs"'),
        Wrong("upper case", "EPZS", ValueError, "'EPZS'", '"full" or "epzs"'),
    ],
    "block": BLOCKS,
    "radius": [
        *(wrong for wrong in wrong_integers(0)),
        NONE_IS_NO_INTEGER,
        Wrong("too large", 128, ValueError, "128", "from 0 to 127"),
    ],
    "bands": between(1, 3),
    "width": [
        *wrong_integers(1),
        NONE_IS_NO_INTEGER,
    ],
    "k": [
        *wrong_integers(1),
        NONE_IS_NO_INTEGER,
        Wrong("more than there are", 82, ValueError, "82", "from 1 to 81"),
    ],
    "n_candidates": between(1, 81),
    "threads": THREADS,
}


def wrong_values(verb: str, name: str) -> list[Wrong]:
    """List the wrong values of an argument."""
    if name == "reference":
        if verb == "one_bit_candidates":
            return [
                *PLANE_ARRAYS,
                Wrong("other planes", OTHERS[:1], ValueError, "reference has 1", "same size"),
            ]
        return FRAMES + (OTHER_SIZES if verb != "compensate" else [])
    if name == "radius" and verb == "one_bit_search":
        return between(0, 127)
    if name == "vectors" and verb == "sad":
        far = np.full_like(VECTORS, 128)
        return [*MOTIONS, Wrong("too far", far, ValueError, "(128, 128)", "from -127 to 127")]
    return WRONG[name]
