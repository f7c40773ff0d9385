r"""MinHash: signatures of sets, whose equal slots estimate how similar the sets are.

The Jaccard similarity of two sets, ``|a & b| / |a | b|``, is the probability that a random function has its
minimum over both at the same element (Broder, 1997). A signature has one slot for each of ``k`` such
functions, so the fraction of slots in which two signatures agree is an unbiased estimate of the similarity,
with the variance ``J (1 - J) / k``. A signature takes ``4 k`` bytes whatever the size of the set, or
``k b / 8`` bytes with ``b`` bits per slot; with one bit, `fastcodes.hamming` searches it.

Sets are lists, sets or other collections of tokens: str, bytes, integers, or arrays of integers; or,
without a Python object for each token, one array of tokens with the offsets of the sets. A token that occurs
twice counts once. The token of a str or bytes is its 64-bit XXH3 hash (of the UTF-8 form, seed 0), as other
libraries compute it; the token of an integer is the integer modulo 2**64.

The functions are derived from a seed, and are the same on every machine (all arithmetic is modulo 2**64, or
2**32 for 32 bits)::

    def mix(z):                                            # splitmix64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB
        return z ^ (z >> 31)

    w = mix(seed + np.arange(1, k + 2) * 0x9E3779B97F4A7C15)
    z = mix(tokens ^ w[0])
    high, low = z >> 32, z % 2**32
    minimum i is that of   a[j] * high          for i % 32 < 16,   j = 16 * (i // 32) + i % 16
                           a[j] * high + low    for the others,    a[j] = (w[j + 1] >> 32) | 1

Slot ``i`` is the ``fmix32`` of MurmurHash3 of minimum ``i`` plus ``i * 0x9E3779B9``. `mix` turns tokens such
as 0, 1, 2, ... into random numbers; odd multipliers permute them; and the low halves, on which the products
do not depend, give every second block of sixteen slots for the price of an addition. All slots of the empty
set are ``2**32 - 1``.
"""

from fastcodes.minhash._bands import band_keys, band_shape, candidate_probability
from fastcodes.minhash._sets import jaccard, shingles, tokens
from fastcodes.minhash._signatures import cdist, estimate, pack, paired, signatures, text_signatures, union

__all__ = [
    "band_keys",
    "band_shape",
    "candidate_probability",
    "cdist",
    "estimate",
    "jaccard",
    "pack",
    "paired",
    "shingles",
    "signatures",
    "text_signatures",
    "tokens",
    "union",
]
