"""Collections of codes that you add vectors to, search, filter, save and load.

===========  ========================================================================================
`PQIndex`     product-quantised vectors: 8 to 32 bytes each, exact asymmetric distances, re-ranking
`LSHIndex`    hash tables over binary codes: looks at few vectors, by several probes a table
===========  ========================================================================================
"""

from fastcodes.index.lsh import LSHIndex
from fastcodes.index.pq import PQIndex

__all__ = ["LSHIndex", "PQIndex"]
