"""Signs of the principal components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._linalg import principal_components
from fastcodes._typing import Array, Floats
from fastcodes._validation import as_integer, as_training_samples
from fastcodes.hashing.base import LinearHasher, check_rank

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["PCAHashing"]

# Of so many rows at most, evenly spaced, values are held in memory for their medians.
_MEDIAN_ROWS = 1 << 16


class PCAHashing(LinearHasher):
    r"""Make a bit of each of the first principal components: its sign.

    :math:`b(x) = [W^T (x - \mu) > t]` with the eigenvectors of the largest eigenvalues of the covariance as
    the columns of :math:`W` (Wang, Kumar and Chang, *Semi-supervised hashing for scalable image retrieval*,
    CVPR 2010, section 3.1, without labels). The components differ in variance but count the same as bits, so
    that more bits may find less: `ITQ` is the remedy.

    Parameters
    ----------
    n_bits : int
        Bits of a code: not more than there are directions in which the samples differ.
    threshold : {"mean", "median"}
        What a component has to exceed for its bit to be 1. With the median (of 65536 evenly spaced samples at
        most), each bit is 1 for half of the samples, which matters where components are skewed.
    verbose : bool
        Whether to show a progress bar when many samples are encoded; needs the extra ``cli``.

    Attributes
    ----------
    mean_ : float32 array (d,)
        The mean of the samples.
    components_ : float32 array (n_bits, d)
        The directions by falling variance, orthonormal; each with the sign that makes its largest element
        positive.
    thresholds_ : float32 array (n_bits,)
        Values are ``(x - mean_) @ components_.T - thresholds_``; zeros unless with the median.
    n_features_in_ : int
        The number of dimensions d.

    Notes
    -----
    Equal to ``np.packbits((X - X.mean(0)) @ np.linalg.eigh(np.cov(X.T))[1][:, :-n_bits - 1:-1] > 0, axis=1)``
    but for the signs of the directions.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.hashing import PCAHashing
    >>> X = np.random.default_rng(0).normal(size=(1000, 16)) * np.arange(16, 0, -1)
    >>> pcah = PCAHashing(n_bits=12).fit(X)
    >>> pcah.encode(X).shape, pcah.decision_function(X).shape
    ((1000, 2), (1000, 12))
    >>> bool(np.array_equal(pcah.encode(X), np.packbits(pcah.decision_function(X) > 0, axis=1)))
    True
    """

    thresholds_: Floats

    def __init__(self, n_bits: int = 64, *, threshold: str = "mean", verbose: bool = False) -> None:
        self.n_bits = n_bits
        self.threshold = threshold
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn the directions.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, one a row: float16, float32, float64 or integers. All of them are read, a block at a
            time, so that a memory map is fine.
        y : object
            Has no meaning; scikit-learn's pipelines give it.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `X` are not real numbers, or a parameter has the wrong type.
        ValueError
            If `X` has another shape, a value that is not finite (the message says where), or fewer directions
            in which the samples differ than there are bits (the message says which columns are constant), or
            a parameter is out of range.
        """
        n_bits = as_integer(self.n_bits, "n_bits", 1)
        if self.threshold not in ("mean", "median"):
            raise ValueError(f'threshold must be "mean" or "median"; got {self.threshold!r}')
        samples = as_training_samples(X)
        components = principal_components(samples)
        check_rank(n_bits, components.rank, samples, type(self).__name__)
        self._learn(components.mean, components.vectors[:, :n_bits].T)
        self.thresholds_ = np.zeros(n_bits, np.float32)
        if self.threshold == "median":
            step = -(-len(samples) // _MEDIAN_ROWS)
            self.thresholds_ = np.median(self.decision_function(samples[::step]), axis=0)
        return self

    def _values(self, x: Floats) -> Floats:
        values = super()._values(x)
        values -= self.thresholds_
        return values

    def _to_arrays(self) -> dict[str, Array]:
        return {**super()._to_arrays(), "thresholds": self.thresholds_}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        super()._from_arrays(arrays)
        self.thresholds_ = _files.take(arrays, "thresholds", np.float32, (self._n_bits,), finite=True)
