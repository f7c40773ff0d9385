"""Indexes: codes with ids that you add to, search, filter, save and load.

==============  =====================================================================================
`FlatIndex`     codes of any model: exhaustive and exact search, with re-ranking
`LSHIndex`      binary codes in hash tables: looks at few of them, by several probes per table
`MinHashIndex`  sets and texts by their signatures: near-duplicates, without comparing all
==============  =====================================================================================

All of them have the methods of `Index`.
"""

from fastcodes.index.base import Index
from fastcodes.index.flat import FlatIndex
from fastcodes.index.lsh import LSHIndex
from fastcodes.index.minhash import MinHashIndex

__all__ = ["FlatIndex", "Index", "LSHIndex", "MinHashIndex"]
