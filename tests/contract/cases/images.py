"""Right and wrong arguments of fastcodes.hashing.images."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from contract.kit import THREADS, Wrong, between
from PIL import Image

GRAY = (np.arange(24 * 20) * 37 % 251).astype(np.uint8).reshape(24, 20)
COLORED = np.stack([GRAY, GRAY[::-1], GRAY[:, ::-1]], axis=2)

RIGHT: dict[str, dict[str, Any]] = {
    "average_hash": {"images": COLORED, "hash_size": 4, "threads": None},
    "difference_hash": {"images": [GRAY], "hash_size": 4, "axis": "vertical", "threads": None},
    "perceptual_hash": {"images": COLORED[None], "hash_size": 4, "highfreq_factor": 2, "threads": None},
    "wavelet_hash": {
        "images": Image.fromarray(COLORED),
        "hash_size": 4,
        "image_scale": 16,
        "threads": None,
    },
    "color_hash": {"images": (GRAY, COLORED), "binbits": 4, "threads": None},
}

PICTURE = "a uint8 array (height, width)"
SHAPE = "(height, width)"
WRONG: dict[str, list[Wrong]] = {
    "images": [
        Wrong("None", None, TypeError, "None", "sequence of pictures"),
        Wrong("int", 7, TypeError, "7", "sequence of pictures"),
        Wrong("bytes", b"abc", TypeError, "b'abc'", "sequence of pictures"),
        Wrong("dict", {"a": GRAY}, TypeError, "dict", "list(images.values())"),
        Wrong("set", {"a.png"}, TypeError, "set", "sequence of pictures"),
        Wrong("list with None", [GRAY, None], TypeError, "images[1] must be", PICTURE),
        Wrong("list of bytes", [b"abc"], TypeError, "b'abc'", PICTURE),
        Wrong("list of numbers", [1, 2], TypeError, "1 of type int", PICTURE),
        Wrong("floats", GRAY / 255, TypeError, "float64 and shape (24, 20)", "np.rint(255 * images)"),
        Wrong("booleans", GRAY > 9, TypeError, "bool", PICTURE),
        Wrong("16 bits", GRAY.astype(np.uint16), TypeError, "uint16", PICTURE),
        Wrong("ndim 0", np.uint8(3), ValueError, "shape", SHAPE),
        Wrong("ndim 1", GRAY[0], ValueError, "(20,)", SHAPE),
        Wrong("ndim 3", np.zeros((9, 24, 20), np.uint8), ValueError, "(9, 24, 20)", "list(images)"),
        Wrong("ndim 5", COLORED[None, None], ValueError, "(1, 1, 24, 20, 3)", SHAPE),
        Wrong("two channels", COLORED[None, ..., :2], ValueError, "(24, 20, 2)", SHAPE),
        Wrong("no pixels", GRAY[:0], ValueError, "(0, 20)", "pixels"),
        Wrong("masked", np.ma.masked_equal(GRAY, 0), ValueError, "masked elements", "filled(value)"),
        Wrong("mode F", Image.fromarray(GRAY / np.float32(255)), ValueError, "mode F", "convert it to 8"),
        Wrong("no picture", io.BytesIO(b"abc"), ValueError, "its format", "cannot be read as a picture"),
    ],
    "hash_size": between(2, 256),
    "axis": [
        Wrong("other", "diagonal", ValueError, "'diagonal'", '"horizontal" or "vertical"'),
        Wrong("int", 0, ValueError, "0", '"horizontal" or "vertical"'),
        Wrong("None", None, ValueError, "None", '"horizontal" or "vertical"'),
    ],
    "highfreq_factor": between(1, 1024),
    "image_scale": [
        *(wrong for wrong in between(4, 4096) if wrong.value is not None),
        Wrong("no power", 48, ValueError, "48", "power of two"),
    ],
    "binbits": between(1, 16),
    "threads": [wrong for wrong in THREADS if wrong.label != "huge"],
}


def wrong_values(verb: str, name: str) -> list[Wrong]:
    """List the wrong values of an argument."""
    if (verb, name) == ("wavelet_hash", "hash_size"):
        return [*WRONG[name], Wrong("no power", 12, ValueError, "12", "power of two")]
    return WRONG[name]
