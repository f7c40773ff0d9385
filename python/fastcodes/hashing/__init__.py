"""Hash functions: models that encode vectors as a few bits, and sets as MinHash signatures; pictures, too.

============================  ========================================================================
`RandomHyperplanes`            signs of random projections (SimHash); needs no data
`RandomProjection`             the projections themselves, as vectors of fewer dimensions
----------------------------  ------------------------------------------------------------------------
`PCAHashing`                   signs of the principal components
`ITQ`                          the same after the rotation with the least quantization error
`SpectralHashing`              sinusoids along the principal components: any number of bits
`LocalityPreservingHashing`    signs of the directions along which neighbours differ least
----------------------------  ------------------------------------------------------------------------
`CCAITQ`                       directions that predict the labels, rotated as by `ITQ`
`SupervisedDiscreteHashing`    bits that predict the labels, as a function of distances to anchors
`DeepHashing`                  a small network whose outputs are driven to bits during training
----------------------------  ------------------------------------------------------------------------
`Bits`                         packed bits that are codes already, for indexes
`MinHash`                      signatures of sets and texts, whose equal slots estimate their similarity
`align`                        the rotation that makes the codes of a new model comparable with old ones
`fastcodes.hashing.images`     perceptual hashes of pictures, as functions without a model
============================  ========================================================================

Similar vectors differ in few bits. The first group needs no data, the second learns from samples, the third
also from labels. Codes are those of `fastcodes.bits.pack` and are searched by `fastcodes.hamming`. The models
follow the scikit-learn API and work in its pipelines and searches, but do not require it; before another
estimator in a pipeline they need ``output="bits"`` or ``"signs"``, since packed bytes are no features. They
are saved as safetensors.
"""

from fastcodes._estimator import NotFittedError
from fastcodes.hashing import images
from fastcodes.hashing.alignment import align
from fastcodes.hashing.cca import CCAITQ
from fastcodes.hashing.deep import DeepHashing
from fastcodes.hashing.hyperplanes import RandomHyperplanes
from fastcodes.hashing.itq import ITQ
from fastcodes.hashing.locality import LocalityPreservingHashing
from fastcodes.hashing.minhash import MinHash
from fastcodes.hashing.packed_bits import Bits
from fastcodes.hashing.pca import PCAHashing
from fastcodes.hashing.projection import RandomProjection, johnson_lindenstrauss_min_dim
from fastcodes.hashing.spectral import SpectralHashing
from fastcodes.hashing.supervised import SupervisedDiscreteHashing

__all__ = [
    "CCAITQ",
    "ITQ",
    "Bits",
    "DeepHashing",
    "LocalityPreservingHashing",
    "MinHash",
    "NotFittedError",
    "PCAHashing",
    "RandomHyperplanes",
    "RandomProjection",
    "SpectralHashing",
    "SupervisedDiscreteHashing",
    "align",
    "images",
    "johnson_lindenstrauss_min_dim",
]
