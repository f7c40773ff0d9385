"""Models that turn data into short codes which are near where the data are.

===========  ========================================================================================
`MinHash`     signatures of sets and texts, whose equal slots tell how similar the sets are
===========  ========================================================================================
"""

from fastcodes._estimator import NotFittedError
from fastcodes.hashing.minhash import MinHash

__all__ = ["MinHash", "NotFittedError"]
