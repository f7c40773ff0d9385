"""Spectral hashing: the signs of sinusoids along the principal components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._blocks import fold
from fastcodes._linalg import exact_product, principal_components
from fastcodes._typing import Array, Doubles, Floats, Ids
from fastcodes._validation import check_threads
from fastcodes.hashing.base import Hasher, check_samples_differ, wider

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["SpectralHashing"]


class SpectralHashing(Hasher):
    r"""Encode the signs of sinusoids along the principal components, the lowest frequencies first.

    For samples that are uniformly distributed over a box with sides :math:`[a_i, b_i]` along their principal
    components, the balanced and uncorrelated bits that best preserve neighbourhoods are the signs of
    :math:`\Phi_j(x) = \sin(\frac\pi2 + \frac{j \pi}{b_i - a_i} (x_i - a_i))`, the
    eigenfunctions of the Laplacian with the smallest eigenvalues, which grow with :math:`(j / (b_i -
    a_i))^2` (Weiss, Torralba and Fergus, *Spectral hashing*, NIPS 2008, section 3). A long side gets several
    bits with increasing frequencies, so there can be more bits than dimensions.

    Parameters
    ----------
    n_bits : int
        Bits k of a code; any number. At most the first k components are used.
    output : {"packed", "bits", "signs"}
        What `transform` returns: the packed codes of `encode`, features that are 0 or 1, or features that are
        -1 or +1.
    verbose : bool
        Whether to show a progress bar when many samples are encoded; needs the extra ``cli``.

    Attributes
    ----------
    mean_ : float32 array (d,)
        The mean of the samples.
    directions_ : float32 array (m, d)
        The m principal components that are used, orthonormal, by decreasing variance.
    lower_, upper_ : float32 arrays (m,)
        The range a to b of the training samples in each direction.
    modes_ : int64 array (k, 2)
        The direction i of each bit and its number j of half periods, by increasing eigenvalue.
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.hashing import SpectralHashing
    >>> X = np.random.default_rng(0).uniform(size=(1000, 2)) * [10, 4]
    >>> spectral = SpectralHashing(n_bits=4).fit(X)
    >>> spectral.modes_.tolist()  # three frequencies along the long side, one along the short
    [[0, 1], [0, 2], [1, 1], [0, 3]]
    >>> spectral.encode(X).shape
    (1000, 1)
    """

    _learned = "modes_"
    mean_: Floats
    directions_: Floats
    lower_: Floats
    upper_: Floats
    modes_: Ids

    def __init__(self, n_bits: int = 64, *, output: str = "packed", verbose: bool = False) -> None:
        self.n_bits = n_bits
        self.output = output
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: Any = None, *, threads: int | None = None) -> Self:
        """Learn directions, ranges and modes.

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
            If `X` has another shape, a value that is not finite (the message says where), or equal
            samples, or a parameter is out of range.
        """
        check_threads(threads)
        n_bits = self._checked_bits()
        samples = self._training_samples(X)
        components = principal_components(samples)
        check_samples_differ(len(samples), np.diag(components.variances))
        m = min(n_bits, components.rank)
        mean = components.mean.astype(np.float32)
        directions = np.ascontiguousarray(components.vectors[:, :m].T, np.float32)
        lower, upper = fold(samples, _extent, mean, directions, combine=wider)
        self._learn(mean, directions, lower, upper, _modes(upper.astype(np.float64) - lower, n_bits))
        return self

    def _learn(self, mean: Floats, directions: Floats, lower: Floats, upper: Floats, modes: Ids) -> None:
        self.mean_, self.directions_, self.lower_, self.upper_ = mean, directions, lower, upper
        self.modes_ = modes
        self.n_features_in_ = directions.shape[1]

    @property
    def _n_bits(self) -> int:
        return len(self.modes_)

    def _values(self, x: Floats, threads: int | None) -> Floats:
        i, j = self.modes_.T
        # Scaled to half periods before the multiplication by j, which keeps the phase accurate in float32.
        along = exact_product(x - self.mean_, self.directions_.T)
        values: Floats = ((along - self.lower_) / (self.upper_ - self.lower_))[:, i]
        values *= (j * np.pi).astype(np.float32)
        return np.cos(values, out=values)

    def _to_arrays(self) -> dict[str, Array]:
        return {
            "mean": self.mean_,
            "directions": self.directions_,
            "lower": self.lower_,
            "upper": self.upper_,
            "modes": self.modes_,
        }

    def _restore(self, arrays: Mapping[str, Array]) -> None:
        directions = _files.take(arrays, "directions", np.float32, ("n_directions", "d"), finite=True)
        m, d = directions.shape
        lower, upper = (
            _files.take(arrays, name, np.float32, (m,), finite=True) for name in ("lower", "upper")
        )
        modes = _files.take(arrays, "modes", np.int64, ("n_bits", 2), finite=True)
        if not directions.size or not len(modes) or not (lower < upper).all():
            raise ValueError("directions or modes are empty, or lower is not below upper")
        if modes.min() < 0 or modes[:, 0].max() >= m:
            raise ValueError(f"modes has values that are not directions from 0 to {m - 1}, or negative")
        self._learn(
            _files.take(arrays, "mean", np.float32, (d,), finite=True), directions, lower, upper, modes
        )


def _extent(block: Floats, mean: Floats, directions: Floats) -> tuple[Floats, Floats]:
    """Return the least and the largest projection on each direction."""
    values = exact_product(block - mean, directions.T)
    return values.min(axis=0), values.max(axis=0)


def _modes(widths: Doubles, n_bits: int) -> Ids:
    """Return direction and number of half periods of the `n_bits` smallest eigenvalues (n_bits, 2)."""
    # The number of modes of each direction that can be among the first n_bits.
    most = np.ceil((n_bits + 1) * widths / widths.max()).astype(np.int64)
    i = np.repeat(np.arange(len(widths)), most)
    j = np.concatenate([np.arange(1, 1 + count) for count in most])
    order = np.argsort(j / widths[i], kind="stable")[:n_bits]
    return np.stack([i[order], j[order]], axis=1)
