"""Entropy coding: symbols, integers and rows of codes in nearly as few bytes as their probabilities allow.

==================  ==========================================================================================
`Categorical`       symbols from 0 up, each with a probability: `encode`, `decode`
`ScaleTable`        integers around zero, each with a scale of its own: `encode`, `decode`
`Huffman`           symbols by codewords of whole bits: `encode`, `decode`
`MarkovChain`       rows of codes, a symbol depending on the one before it: `encode_rows`, `decode_rows`
`Bernoulli`         rows of packed bits, each column with a probability: `encode_rows`, `decode_rows`
==================  ==========================================================================================

Long messages are written by interleaved rANS (Duda, *Asymmetric numeral systems*, arXiv:1311.2540, 2013;
Giesen, *Interleaved entropy coders*, arXiv:1402.3392, 2014) with 32 lanes, short ones and rows by a byte-wise
range coder (Martin, *Range encoding*, 1979). Probabilities are 16-bit integers, and coding uses no
floating point: bytes are the same on every machine, at every level and for every number of threads.

The bytes do not say which model wrote them, nor how many symbols there are: keep both. They have no checksum:
most bytes that were cut or altered are noticed when they are decoded, not all. Files of
`fastcodes.coding.CodeCompressor` have one.

Which coder for what:

=====================================================  =======================================================
to store                                               use
=====================================================  =======================================================
many symbols of one distribution                       `Categorical`
latents whose scales are known, residuals              `ScaleTable`
rows of codes, any of which is read alone              `fastcodes.coding.CodeCompressor`, or `MarkovChain`
binary codes with rare ones                            `Bernoulli`
short strings, each alone                              `fastcodes.coding.TextCodec`
a format that prescribes codewords of whole bits       `Huffman`
one long text, or any file                             a general compressor: zstandard, xz
a distribution of its own for each symbol, by floats;  the package constriction: it takes arbitrary
bits-back coding; chain codes                          probabilities, and its ANS coder is a stack
=====================================================  =======================================================
"""

from fastcodes.entropy._messages import decode, encode
from fastcodes.entropy._models import Categorical, Huffman, ScaleTable
from fastcodes.entropy._rows import Bernoulli, MarkovChain, decode_rows, encode_rows

__all__ = [
    "Bernoulli",
    "Categorical",
    "Huffman",
    "MarkovChain",
    "ScaleTable",
    "decode",
    "decode_rows",
    "encode",
    "encode_rows",
]
