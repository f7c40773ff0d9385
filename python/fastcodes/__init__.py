"""Compact codes: search, compare and pack them where they lie, as plain numpy arrays.

=======================  ===============================================================================
`fastcodes.bits`          pack and unpack bits and small integers, count bits
`fastcodes.hamming`       search by the number of differing bits
`fastcodes.jaccard`       search by the overlap of bit sets
`fastcodes.minhash`       signatures of sets, and how similar the sets are
`fastcodes.adc`           search of product-quantised codes by table look-ups
`fastcodes.hadamard`      random projections by fast transforms, and their signs
`fastcodes.xnor`          products of matrices of a few bits, convolution of packed images
`fastcodes.hashing`       models that make binary codes and signatures
`fastcodes.quantization`  models that make codes of small integers
`fastcodes.index`         collections of them to add to, search, filter, save and load
`fastcodes.metrics`       recall, precision and mean average precision of searches
`fastcodes.nn`            binary neural networks
`fastcodes.interop`       from and to faiss and nanopq
`fastcodes.merge_topk`    merge the neighbours found in parts of a database
`fastcodes.components`    group rows by pairs, such as near-duplicates
=======================  ===============================================================================
"""

from fastcodes import (
    _native,
    adc,
    bits,
    hadamard,
    hamming,
    hashing,
    index,
    interop,
    jaccard,
    metrics,
    minhash,
    nn,
    quantization,
    xnor,
)
from fastcodes.results import components, merge_topk

__all__ = [
    "adc",
    "bits",
    "components",
    "hadamard",
    "hamming",
    "hashing",
    "index",
    "interop",
    "jaccard",
    "merge_topk",
    "metrics",
    "minhash",
    "nn",
    "quantization",
    "xnor",
]

__version__: str = _native.version()
