"""Exact matrix products and convolutions of binary and low-bit numbers, for binary and low-bit networks.

A packed row stands for signs: bit 0 is -1 and bit 1 is +1, so that the dot product of two rows of ``n`` signs
is ``n - 2 * popcount(a ^ b)`` (Rastegari, Ordonez, Redmon and Farhadi, *XNOR-Net*, ECCV 2016). Integers of 2
to 8 bits have one bit plane per bit, and the products of planes add up (bit-serial; Zhou et al.,
*DoReFa-Net*, 2016, eq. 1). Bytes are multiplied by signs without bit planes. All sums are exact int32.

=========  ======================================  ========================================================
array      shape                                   meaning
=========  ======================================  ========================================================
rows       uint8 ``(n, ceil(d / 8))``              rows of ``d`` signs, packed by `bits.pack`
planes     uint8 ``(n_bits, n, ceil(d / 8))``      integers, split by `planes`: plane ``p`` counts ``2 ** p``
bytes      uint8 ``(n, d)``                        numbers ``byte_offset + byte_scale * byte``
images     uint8 ``(n, h, w, ceil(c / 8))``        channels last: each pixel is a row of ``c`` signs
filters    uint8 ``(f, kh, kw, ceil(c / 8))``      the same for filters
=========  ======================================  ========================================================

Padding bits are zero. A `Finish` turns the dot products into bits or float32 in the same pass, so that a
layer of a network reads bits and writes bits.
"""

from fastcodes.xnor._images import byte_conv2d, conv2d, max_pool2d
from fastcodes.xnor._operands import Finish, PackedFilters, PackedMatrix
from fastcodes.xnor._products import and_matmul, bitserial_matmul, byte_matmul, matmul, planes

__all__ = [
    "Finish",
    "PackedFilters",
    "PackedMatrix",
    "and_matmul",
    "bitserial_matmul",
    "byte_conv2d",
    "byte_matmul",
    "conv2d",
    "matmul",
    "max_pool2d",
    "planes",
]
