"""Indexes: codes with ids that you add to, search, filter, save and load.

===================  ================================================================================
`FlatIndex`          codes of any model: exhaustive and exact search, with re-ranking
`IVFIndex`           codes of any model in inverted lists: visits those whose centers are nearest
`LSHIndex`           binary codes in hash tables: looks at few of them, by several probes per table
`MinHashIndex`       sets and texts by their signatures: near-duplicates, without comparing all
`MultiIndexHashing`  binary codes in tables of their parts: exact search that looks at few of them
===================  ================================================================================

All of them have the methods of `Index`.
"""

from fastcodes.index.base import Index
from fastcodes.index.flat import FlatIndex
from fastcodes.index.ivf import IVFIndex
from fastcodes.index.lsh import LSHIndex
from fastcodes.index.minhash import MinHashIndex
from fastcodes.index.multi_index import MultiIndexHashing

__all__ = ["FlatIndex", "IVFIndex", "Index", "LSHIndex", "MinHashIndex", "MultiIndexHashing"]
