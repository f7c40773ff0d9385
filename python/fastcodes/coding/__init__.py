"""Compression of small things, each of which can be decoded alone, and of pictures.

================  ============================================================================================
`TextCodec`       short strings, by a model fitted to strings like them
`CodeCompressor`  rows of codes of quantizers and hash functions, tokens, small integers
`ImageCodec`      photographs and other pictures, with or without losses
================  ============================================================================================
"""

from fastcodes._estimator import NotFittedError
from fastcodes.coding.codes import CodeCompressor, CompressedRows
from fastcodes.coding.image import ImageCodec, ImageInfo
from fastcodes.coding.text import CompressedTexts, TextCodec

__all__ = [
    "CodeCompressor",
    "CompressedRows",
    "CompressedTexts",
    "ImageCodec",
    "ImageInfo",
    "NotFittedError",
    "TextCodec",
]
