"""What each operation means, in a few lines of slow numpy. The tests compare with these to the bit."""

from __future__ import annotations

import numpy as np

# --- bits --------------------------------------------------------------------------------------------------


def pack(x, threshold=0.0, bitorder="big"):
    return np.packbits(x > threshold, axis=-1, bitorder=bitorder)


def unpack(codes, n_bits, dtype=np.uint8, values=(0, 1), bitorder="big"):
    bits = np.unpackbits(codes, axis=-1, bitorder=bitorder)[..., :n_bits]
    return np.array(values, dtype)[bits]


def popcount(codes):
    return np.unpackbits(codes, axis=-1).sum(axis=-1, dtype=np.int32)


def pack_uint(values, n_bits):
    bits = values.astype(np.int64)[..., None] >> np.arange(n_bits)[::-1] & 1
    return np.packbits(bits.reshape(*values.shape[:-1], values.shape[-1] * n_bits).astype(bool), axis=-1)


def unpack_uint(packed, n_bits, count):
    bits = np.unpackbits(packed, axis=-1)[..., : count * n_bits].reshape(*packed.shape[:-1], count, n_bits)
    return (bits.astype(np.int64) << np.arange(n_bits)[::-1]).sum(axis=-1)
