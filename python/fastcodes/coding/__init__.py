"""Lossless compression of many small things, each of which can be decoded alone.

================  ============================================================================================
`TextCodec`       short strings, by a model fitted to strings like them
`CodeCompressor`  rows of codes of quantizers and hash functions, tokens, small integers
================  ============================================================================================
"""

from fastcodes._estimator import NotFittedError
from fastcodes.coding.codes import CodeCompressor, CompressedRows
from fastcodes.coding.text import CompressedTexts, TextCodec
from fastcodes.coding.thumbnail import ThumbnailCodec

__all__ = [
    "CodeCompressor",
    "CompressedRows",
    "CompressedTexts",
    "NotFittedError",
    "TextCodec",
    "ThumbnailCodec",
]
