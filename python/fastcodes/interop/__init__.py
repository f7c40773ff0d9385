"""Conversion of codebooks, codes and indexes from and to other packages, and searches in their manner.

=======================================  =================================================================
`fastcodes.interop.faiss`                 product quantizers, OPQ matrices, codes and indexes of faiss
`fastcodes.interop.nanopq`                quantizers of nanopq
`fastcodes.interop.onnx`                  binary networks from and to ONNX
`fastcodes.interop.rdkit`                 fingerprints of RDKit, and their similarities
`fastcodes.interop.sklearn`               graphs of nearest neighbours for estimators of scikit-learn
`fastcodes.interop.sentence_transformers` semantic search with the arguments of sentence-transformers
=======================================  =================================================================

These modules can be imported without the packages; calls raise an ImportError that says what to install.
"""

from fastcodes.interop import faiss, nanopq, onnx, rdkit, sentence_transformers, sklearn

__all__ = ["faiss", "nanopq", "onnx", "rdkit", "sentence_transformers", "sklearn"]
