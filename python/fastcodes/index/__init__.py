"""Collections of codes that you add vectors to, search, filter, save and load.

==============  =====================================================================================
`PQIndex`        product-quantised vectors: 8 to 32 bytes each, exact asymmetric distances, re-ranking
`LSHIndex`       hash tables over binary codes: looks at few vectors, by several probes a table
`MinHashIndex`   sets and texts by their signatures: near-duplicates, without comparing all
==============  =====================================================================================
"""

from fastcodes.index.lsh import LSHIndex
from fastcodes.index.minhash import MinHashIndex
from fastcodes.index.pq import PQIndex

__all__ = ["LSHIndex", "MinHashIndex", "PQIndex"]
