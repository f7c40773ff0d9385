"""Lossless compression of many small things, each of which can be decoded alone.

===========  =========================================================================================
`TextCodec`  short strings, by a model fitted to strings like them
===========  =========================================================================================
"""

from fastcodes._estimator import NotFittedError
from fastcodes.coding.text import TextCodec

__all__ = ["NotFittedError", "TextCodec"]
