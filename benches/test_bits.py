"""fastcodes.bits against packbits, unpackbits and bitwise_count of numpy."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from fastcodes import bits
from fastcodes._typing import Array, Codes

Calls = tuple[int, dict[str, Callable[[], Array]]]
"""Bytes of the unpacked side, and the contestants."""


def floats(*shape: int, dtype: str = "float32") -> Array:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32).astype(dtype)


def codes(*shape: int) -> Codes:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def pack(x: Array, threshold: Any = 0.0) -> Calls:
    return x.nbytes, {
        "fastcodes": lambda: bits.pack(x, threshold=threshold, threads=1),
        "numpy": lambda: np.packbits(x > threshold, axis=-1),
    }


def unpack(packed: Codes, dtype: str = "uint8") -> Calls:
    n_bits = 8 * packed.shape[-1]
    return 8 * packed.size * np.dtype(dtype).itemsize, {
        "fastcodes": lambda: bits.unpack(packed, n_bits, dtype=dtype, threads=1),
        "numpy": lambda: np.unpackbits(packed, axis=-1).astype(dtype, copy=False),
    }


def popcount(packed: Codes) -> Calls:
    if not hasattr(np, "bitwise_count"):
        pytest.skip("numpy before 2.0 lacks bitwise_count")
    return packed.nbytes, {
        "fastcodes": lambda: bits.popcount(packed, threads=1),
        "numpy": lambda: np.bitwise_count(packed).sum(axis=-1, dtype=np.int32),
    }


def pack_uint(n_bits: int) -> Calls:
    values = codes(1000, 768) >> (8 - n_bits)
    low_bits = slice(8 - n_bits, None)

    def by_numpy() -> Codes:
        each = np.unpackbits(values[..., None], axis=-1)[..., low_bits]
        return np.packbits(each.reshape(len(values), -1), axis=-1)

    return values.nbytes, {
        "fastcodes": lambda: bits.pack_uint(values, n_bits, threads=1),
        "numpy": by_numpy,
    }


COMPARISONS: dict[str, Callable[[], Calls]] = {
    "bits.pack float32 from memory": lambda: pack(floats(100_000, 768)),
    "bits.pack float32 in cache": lambda: pack(floats(100, 768)),
    "bits.pack float32 by dimension in cache": lambda: pack(floats(100, 768), floats(768)),
    "bits.pack float32 of columns in cache": lambda: pack(floats(768, 100).T),
    "bits.pack float32 of columns from memory": lambda: pack(floats(768, 100_000).T),
    "bits.pack float32 of one short row": lambda: pack(floats(1, 64)),
    "bits.pack float64 in cache": lambda: pack(floats(100, 768, dtype="float64")),
    "bits.pack float16 from memory": lambda: pack(floats(20_000, 768, dtype="float16")),
    "bits.pack float16 in cache": lambda: pack(floats(100, 768, dtype="float16")),
    "bits.pack bool in cache": lambda: pack(floats(100, 768) > 0),
    "bits.pack int32 in cache": lambda: pack((4 * floats(100, 768)).astype("int32"), 0),
    "bits.unpack uint8 in cache": lambda: unpack(codes(100, 96)),
    "bits.unpack uint8 from memory": lambda: unpack(codes(100_000, 96)),
    "bits.unpack float32 in cache": lambda: unpack(codes(100, 96), "float32"),
    "bits.popcount 8 bytes": lambda: popcount(codes(100_000, 8)),
    "bits.popcount 96 bytes": lambda: popcount(codes(10_000, 96)),
    "bits.pack_uint 4 bits": lambda: pack_uint(4),
}

AHEAD_OF_NUMPY = {
    "bits.pack float32 from memory": 1.6,
    "bits.pack float32 in cache": 3.0,
    "bits.pack float16 from memory": 10.0,
    "bits.pack float16 in cache": 10.0,
    "bits.unpack uint8 in cache": 1.5,
}


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize("who", ["fastcodes", "numpy"])
def test_bits(contest: Any, comparison: str, who: str) -> None:
    n_bytes, calls = COMPARISONS[comparison]()
    is_promised = who == "fastcodes" and comparison in AHEAD_OF_NUMPY
    contest(
        who,
        calls[who],
        group=comparison,
        check=partial(np.testing.assert_array_equal, calls["numpy"]()),
        amount=n_bytes,
        unit="bytes",
        needs={"numpy": AHEAD_OF_NUMPY[comparison]} if is_promised else None,
    )
