"""Quantizers: models that encode vectors as a few small integers, and decode them.

============================  ========================================================================
`KMeans`                       cluster centers
`VectorQuantizer`              one codeword for the whole vector
`ProductQuantizer`             one codeword for each part of the vector: what `fastcodes.adc` searches
`OptimizedProductQuantizer`    the same after a rotation that minimizes the error
`ResidualQuantizer`            a sum of codewords, chosen one after the other
`AdditiveQuantizer`            a sum of codewords, chosen together: a smaller error
`CompositeQuantizer`           the same without a norm in the code, since inner products are nearly constant
`ScalarQuantizer`              one level for each dimension: 1 to 8 bits
`RaBitQuantizer`               the same after a random rotation, with unbiased estimates of distances
============================  ========================================================================

The models follow the scikit-learn API and work in its pipelines and searches, but do not require it. They are
saved as safetensors.
"""

from fastcodes._estimator import NotFittedError
from fastcodes.quantization.additive import AdditiveQuantizer
from fastcodes.quantization.composite import CompositeQuantizer
from fastcodes.quantization.kmeans import KMeans
from fastcodes.quantization.optimized import OptimizedProductQuantizer
from fastcodes.quantization.product import ProductQuantizer
from fastcodes.quantization.rabitq import RaBitQuantizer
from fastcodes.quantization.residual import ResidualQuantizer
from fastcodes.quantization.scalar import ScalarQuantizer
from fastcodes.quantization.vector import VectorQuantizer

__all__ = [
    "AdditiveQuantizer",
    "CompositeQuantizer",
    "KMeans",
    "NotFittedError",
    "OptimizedProductQuantizer",
    "ProductQuantizer",
    "RaBitQuantizer",
    "ResidualQuantizer",
    "ScalarQuantizer",
    "VectorQuantizer",
]
