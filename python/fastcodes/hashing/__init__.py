"""Models that replace vectors by a few bits, so that near vectors differ in few of them.

============================  ========================================================================
`RandomHyperplanes`            signs of random projections (SimHash); needs no data
`RandomProjection`             the real values, as vectors of fewer dimensions
----------------------------  ------------------------------------------------------------------------
`PCAHashing`                   signs of the principal components
`ITQ`                          the same after the rotation that loses least
`SpectralHashing`              waves along the principal components: any number of bits
`LocalityPreservingHashing`    signs of the directions along which neighbours differ least
----------------------------  ------------------------------------------------------------------------
`CCAITQ`                       directions that tell labels, rotated as by `ITQ`
`SupervisedDiscreteHashing`    bits that labels can be read from, as a function of distances to anchors
`DeepHashing`                  a small network whose outputs become bits while it is trained
----------------------------  ------------------------------------------------------------------------
`align`                        the rotation that makes a new model's codes comparable with old ones
============================  ========================================================================

The first need no data, the second learn from samples alone, the third from labels too. Codes are those of
`fastcodes.bits.pack` and are searched by `fastcodes.hamming`. The models follow the manners of scikit-learn
and work in its pipelines and searches, but do not need it. Files that they save are safetensors.
"""

from fastcodes._estimator import NotFittedError
from fastcodes.hashing.alignment import align
from fastcodes.hashing.cca import CCAITQ
from fastcodes.hashing.deep import DeepHashing
from fastcodes.hashing.hyperplanes import RandomHyperplanes
from fastcodes.hashing.itq import ITQ
from fastcodes.hashing.locality import LocalityPreservingHashing
from fastcodes.hashing.pca import PCAHashing
from fastcodes.hashing.projection import RandomProjection, johnson_lindenstrauss_min_dim
from fastcodes.hashing.spectral import SpectralHashing
from fastcodes.hashing.supervised import SupervisedDiscreteHashing

__all__ = [
    "CCAITQ",
    "ITQ",
    "DeepHashing",
    "LocalityPreservingHashing",
    "NotFittedError",
    "PCAHashing",
    "RandomHyperplanes",
    "RandomProjection",
    "SpectralHashing",
    "SupervisedDiscreteHashing",
    "align",
    "johnson_lindenstrauss_min_dim",
]
