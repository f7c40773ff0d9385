"""Hashing by the signs of the principal components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._linalg import exact_product, principal_components, projections
from fastcodes._typing import Array, Floats
from fastcodes._validation import as_option, check_threads
from fastcodes.hashing.base import LinearHasher, check_rank

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["PCAHashing"]

# Medians are those of at most this many evenly spaced rows, whose values are held in memory.
_MAX_MEDIAN_ROWS = 1 << 16


class PCAHashing(LinearHasher):
    r"""Encode the signs of the first principal components.

    :math:`b(x) = [W^T (x - \mu) > t]` with the eigenvectors of the largest eigenvalues of the covariance as
    the columns of :math:`W` (Wang, Kumar and Chang, *Semi-supervised hashing for scalable image retrieval*,
    CVPR 2010, section 3.1, without labels). The components differ in variance but have equal weight as bits,
    so that more bits can lower the recall: `ITQ` balances them.

    Parameters
    ----------
    n_bits : int
        Bits of a code, at most the number of directions in which the samples differ.
    threshold : {"mean", "median"}
        The threshold that a component exceeds if its bit is 1. With the median (of at most 65536 evenly
        spaced samples), each bit is 1 for half of the samples, which matters for skewed components.
    output : {"packed", "bits", "signs"}
        What `transform` returns: the packed codes of `encode`, features that are 0 or 1, or features that are
        -1 or +1.
    verbose : bool
        Whether to show a progress bar when many samples are encoded; needs the extra ``cli``.

    Attributes
    ----------
    mean_ : float32 array (d,)
        The mean of the samples.
    components_ : float32 array (n_bits, d)
        The orthonormal directions by decreasing variance, each with the sign that makes its largest element
        positive.
    thresholds_ : float32 array (n_bits,)
        Values are ``(x - mean_) @ components_.T - thresholds_``; zeros unless with the median.
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    Notes
    -----
    Equal to ``np.packbits((X - X.mean(0)) @ np.linalg.eigh(np.cov(X.T))[1][:, :-n_bits - 1:-1] > 0, axis=1)``
    except for the signs of the directions.

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

    def __init__(
        self, n_bits: int = 64, *, threshold: str = "mean", output: str = "packed", verbose: bool = False
    ) -> None:
        self.n_bits = n_bits
        self.threshold = threshold
        self.output = output
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: Any = None, *, threads: int | None = None) -> Self:
        """Learn the directions.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, one per row: float16, float32, float64 or integers. All rows are read, a block at a time,
            so that `X` may be a memory map.
        y : object
            Ignored; present for API consistency.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `X` is not an array of real numbers, or a parameter has the wrong type.
        ValueError
            If `X` has another shape, a value that is not finite (the message says where), or differs
            in fewer directions than there are bits (the message says which columns are constant), or a
            parameter is out of range.
        """
        check_threads(threads)
        n_bits = self._checked_bits()
        as_option(self.threshold, "threshold", ("mean", "median"))
        samples = self._training_samples(X)
        components = principal_components(samples)
        check_rank(n_bits, components.rank, samples, type(self).__name__)
        self._learn(components.mean, components.vectors[:, :n_bits].T)
        self.thresholds_ = np.zeros(n_bits, np.float32)
        if self.threshold == "median":
            step = -(-len(samples) // _MAX_MEDIAN_ROWS)
            self.thresholds_ = np.median(self.decision_function(samples[::step], threads=threads), axis=0)
        return self

    def _values(self, x: Floats, threads: int | None) -> Floats:
        return exact_product(*self._factors(x))

    def _signed(self, x: Floats, threads: int | None) -> Floats:
        samples, directions = self._factors(x)
        return projections(samples, directions.T)

    def _factors(self, x: Floats) -> tuple[Floats, Floats]:
        """Return two matrices whose product is the values."""
        if not self.thresholds_.any():
            return x - self.mean_, self.components_.T
        # A threshold is often the value of a sample: subtracting it within the product is exact near zero.
        augmented = np.ones((len(x), x.shape[1] + 1), np.float32)
        np.subtract(x, self.mean_, out=augmented[:, :-1])
        return augmented, np.column_stack([self.components_, -self.thresholds_]).T

    def _to_arrays(self) -> dict[str, Array]:
        return {**super()._to_arrays(), "thresholds": self.thresholds_}

    def _restore(self, arrays: Mapping[str, Array]) -> None:
        super()._restore(arrays)
        self.thresholds_ = _files.take(arrays, "thresholds", np.float32, (self._n_bits,), finite=True)
