"""Conversion of codebooks, codes and indexes from and to other packages.

==========================  ==============================================================================
`fastcodes.interop.faiss`    product quantizers, OPQ matrices, codes and indexes of faiss
`fastcodes.interop.nanopq`   quantizers of nanopq
==========================  ==============================================================================

These modules can be imported without the packages; calls raise an ImportError that says what to install.
"""

from fastcodes.interop import faiss, nanopq

__all__ = ["faiss", "nanopq"]
