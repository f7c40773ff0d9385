"""Codebooks, codes and indexes from and to other packages.

==========================  ==============================================================================
`fastcodes.interop.faiss`    product quantizers, OPQ matrices, codes and indexes of faiss
`fastcodes.interop.nanopq`   quantizers of nanopq
==========================  ==============================================================================

Neither package is needed to import these modules; without it, calls raise an ImportError that says how to get
it.
"""

from fastcodes.interop import faiss, nanopq

__all__ = ["faiss", "nanopq"]
