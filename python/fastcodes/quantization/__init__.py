"""Models that replace vectors by a few small integers, and say which vectors those stand for.

============================  ========================================================================
`KMeans`                       centres that samples are near to
`VectorQuantizer`              one codeword for the whole vector
`ProductQuantizer`             one codeword for each part of the vector: what `fastcodes.adc` searches
`OptimizedProductQuantizer`    the same after a rotation that makes the error small
`ScalarQuantizer`              one level for each dimension: 1 to 8 bits
============================  ========================================================================

They follow the manners of scikit-learn and work in its pipelines and searches, but do not need it. Files that
they save are safetensors.
"""

from fastcodes._estimator import NotFittedError
from fastcodes.quantization.kmeans import KMeans
from fastcodes.quantization.optimized import OptimizedProductQuantizer
from fastcodes.quantization.product import ProductQuantizer
from fastcodes.quantization.scalar import ScalarQuantizer
from fastcodes.quantization.vector import VectorQuantizer

__all__ = [
    "KMeans",
    "NotFittedError",
    "OptimizedProductQuantizer",
    "ProductQuantizer",
    "ScalarQuantizer",
    "VectorQuantizer",
]
