"""`CCAHashing`: codes of two views of the same things in one space, such as pictures and captions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files, bits
from fastcodes._blocks import blocks, naming_nonfinite, sampled_rows, take_rows
from fastcodes._estimator import check_fitted
from fastcodes._linalg import centered_product, exact_product
from fastcodes._progress import progress
from fastcodes._typing import Array, Codes, Doubles, Floats
from fastcodes._validation import (
    as_features,
    as_integer,
    as_real,
    as_samples,
    check_threads,
    finite_float32,
    random_generator,
)
from fastcodes.hashing._canonical import Canonical
from fastcodes.hashing._rotation import RotatedHasher, rotate_to_bits

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CCAHashing"]


class CCAHashing(RotatedHasher):
    r"""Encode two views of the same things, such as pictures and their captions, into bits of one space.

    Canonical correlation analysis (Hotelling, *Relations between two sets of variates*, Biometrika 28, 1936)
    finds directions of both views with the largest correlations :math:`\rho_j`. The projections of both,
    each multiplied by its :math:`\rho_j`, are rotated together as in `fastcodes.hashing.ITQ`, and their signs
    are the bits (Gong, Lazebnik, Gordo and Perronnin, PAMI 35, 2013, section 3.2, with features in place of
    labels). So codes of one view are searched by codes of the other: captions by a picture, pictures by a
    text.

    `encode` takes the first view, `encode_other` the second. Indexes take the first one as samples; codes of
    the other go by ``add_codes``, or as queries to an index of `fastcodes.hashing.Bits`.

    Parameters
    ----------
    n_bits : int
        Bits k of a code; any number, also above the number of directions.
    regularization : float
        Added to the diagonals of both covariances, as a fraction of their mean. With fewer samples than
        features it should be near 1 or above: correlations of the training samples say little then.
    max_iter : int
        Maximum number of iterations.
    max_samples : int or None
        Maximum number of random rows to learn from; None uses all rows.
    random_state : None, int or numpy random generator
        Source of randomness; an integer makes `fit` repeatable.
    output : {"packed", "bits", "signs"}
        What `transform` returns: the packed codes of `encode`, features that are 0 or 1, or features that are
        -1 or +1.
    verbose : bool
        Whether to show a progress bar; needs the extra ``cli``.

    Attributes
    ----------
    mean_, other_mean_ : float32 arrays (d,) and (c,)
        The means of both views.
    components_, other_components_ : float32 arrays (k, d) and (k, c)
        Row ``j`` is the direction of bit ``j``: values are ``(x - mean_) @ components_.T``.
    correlations_ : float64 array (m,)
        The canonical correlations of the directions, decreasing; m <= min(k, d, c).
    rotation_ : float32 array (m, k)
        The rotation R, with orthonormal rows.
    objective_history_ : float64 array (iterations + 1,)
        :math:`\lVert B - V R \rVert_F^2 / n` of both views, for the initial rotation and after each
        iteration. Never increases.
    n_iter_ : int
        The number of iterations, one less than the length of `objective_history_`.
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    See Also
    --------
    fastcodes.hashing.CCAITQ : The same for labels.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import hamming
    >>> from fastcodes.crossmodal import CCAHashing
    >>> rng = np.random.default_rng(0)
    >>> meaning = rng.normal(size=(1000, 8))
    >>> pictures = meaning @ rng.normal(size=(8, 40)) + 0.3 * rng.normal(size=(1000, 40))
    >>> texts = meaning @ rng.normal(size=(8, 30)) + 0.3 * rng.normal(size=(1000, 30))
    >>> cca = CCAHashing(128, random_state=0).fit(pictures[:800], texts[:800])
    >>> found = hamming.knn(cca.encode_other(texts[800:]), cca.encode(pictures[800:]), 1)[1]
    >>> bool((found[:, 0] == np.arange(200)).mean() > 0.9)
    True
    """

    _needs_target = True
    correlations_: Doubles
    other_mean_: Floats
    other_components_: Floats

    def __init__(
        self,
        n_bits: int = 64,
        *,
        regularization: float = 1.0,
        max_iter: int = 50,
        max_samples: int | None = 32768,
        random_state: Any = None,
        output: str = "packed",
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.regularization = regularization
        self.max_iter = max_iter
        self.max_samples = max_samples
        self.random_state = random_state
        self.output = output
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: Any = None, *, threads: int | None = None) -> Self:
        """Learn directions and rotation.

        Parameters
        ----------
        X : array_like (n, d)
            The first view, one sample per row: float16, float32, float64 or integers.
        y : array_like (n, c)
            The second view of the same samples: (n,) is one feature.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `X` or `y` is not an array of real numbers, or a parameter has the wrong type.
        ValueError
            If `X` or `y` has another shape, a value that is not finite (the message says where), or equal
            samples; or a parameter is out of range.
        """
        check_threads(threads)
        n_bits = self._checked_bits()
        regularization = as_real(self.regularization, "regularization", above=0)
        max_iter = as_integer(self.max_iter, "max_iter", 1)
        if self.max_samples is not None:
            as_integer(self.max_samples, "max_samples", 1)
        rng = random_generator(self.random_state)
        samples = self._training_samples(X)
        others = self._other_samples(y, len(samples))
        rows = sampled_rows(len(samples), self.max_samples, rng)
        x = take_rows(samples, rows)
        other = finite_float32(others[rows], np.arange(len(others))[rows], "y")
        if not np.ptp(other, axis=0).any():
            raise ValueError(f"the samples of y do not differ (n_samples={len(x)}); give features that do")
        found = Canonical.of(x, other, n_bits, regularization)
        directions = found.directions * found.correlations
        other_directions = found.other_directions * found.correlations
        both = np.vstack(
            [
                centered_product(x, found.mean, directions),
                centered_product(other, found.other_mean, other_directions),
            ]
        )
        with progress(self.verbose, max_iter, "rotation") as step:
            rotation, history = rotate_to_bits(both, n_bits, max_iter, rng, step)
        self._learn(found.mean, (directions @ rotation).T)
        self.other_mean_ = found.other_mean.astype(np.float32)
        self.other_components_ = np.ascontiguousarray((other_directions @ rotation).T, np.float32)
        self.correlations_, self.rotation_ = found.correlations, rotation.astype(np.float32)
        self.objective_history_ = history
        return self

    def _other_samples(self, y: Any, n: int) -> Array:
        if y is None:
            name = type(self).__name__
            raise ValueError(f"This {name} estimator requires y to be passed, but the target y is None")
        features = as_features(y, "y")
        others = as_samples(features[:, None] if features.ndim == 1 else features, name="y")
        if len(others) != n:
            raise ValueError(f"X has {n} samples and y {len(others)}; expected two views of the same samples")
        return others

    def other_decision_function(self, y: ArrayLike, *, threads: int | None = None) -> Floats:
        """Return the real values whose signs are the bits of samples of the second view.

        Parameters
        ----------
        y : array_like (n, c)
            Samples of the second view.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        float32 array (n, n_bits)
            In the space of `decision_function`, so that their cosines can be compared.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If `y` is not an array of real numbers.
        ValueError
            If `y` has another shape, or a value that is not finite (the message says where).
        """
        check_fitted(self)
        check_threads(threads)
        samples = as_samples(y, self.other_components_.shape[1], type(self).__name__, "y")
        values = np.empty((len(samples), self._n_bits), np.float32)
        with naming_nonfinite(samples, "y"):
            for rows, block in blocks(samples, width=self._n_bits):
                values[rows] = exact_product(block - self.other_mean_, self.other_components_.T)
        return values

    def encode_other(self, y: ArrayLike, *, threads: int | None = None) -> Codes:
        """Return the code of each sample of the second view.

        Parameters
        ----------
        y : array_like (n, c)
            Samples of the second view.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        uint8 array (n, ceil(n_bits / 8))
            ``fastcodes.bits.pack(other_decision_function(y))``.

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As `other_decision_function`.
        """
        return bits.pack(self.other_decision_function(y, threads=threads), threads=threads)

    def _to_arrays(self) -> dict[str, Array]:
        return {
            **super()._to_arrays(),
            "correlations": self.correlations_,
            "other_mean": self.other_mean_,
            "other_components": self.other_components_,
        }

    def _restore(self, arrays: Mapping[str, Array]) -> None:
        super()._restore(arrays)
        self.correlations_ = _files.take(
            arrays, "correlations", np.float64, (len(self.rotation_),), finite=True
        )
        others = _files.take(arrays, "other_components", np.float32, (self._n_bits, "c"), finite=True)
        if not others.size:
            raise ValueError(f"other_components has shape {others.shape}; expected at least one column")
        self.other_components_ = np.ascontiguousarray(others)
        self.other_mean_ = _files.take(arrays, "other_mean", np.float32, others.shape[1:], finite=True)
