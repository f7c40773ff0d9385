"""Models that replace vectors by a few bits, so that near vectors differ in few of them.

============================  ========================================================================
`RandomHyperplanes`            signs of random projections (SimHash); needs no data
`RandomProjection`             the real values, as vectors of fewer dimensions
`PCAHashing`                   signs of the principal components
============================  ========================================================================

Codes are those of `fastcodes.bits.pack` and are searched by `fastcodes.hamming`. The models follow the
manners of scikit-learn and work in its pipelines and searches, but do not need it. Files that they save are
safetensors.
"""

from fastcodes._estimator import NotFittedError
from fastcodes.hashing.hyperplanes import RandomHyperplanes
from fastcodes.hashing.pca import PCAHashing
from fastcodes.hashing.projection import RandomProjection, johnson_lindenstrauss_min_dim

__all__ = [
    "NotFittedError",
    "PCAHashing",
    "RandomHyperplanes",
    "RandomProjection",
    "johnson_lindenstrauss_min_dim",
]
