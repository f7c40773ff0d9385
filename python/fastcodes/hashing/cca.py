"""Iterative quantization of the directions that predict the labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._typing import Array, Doubles
from fastcodes._validation import as_real, check_threads, random_generator
from fastcodes.hashing._canonical import Canonical
from fastcodes.hashing._rotation import RotatedHasher
from fastcodes.hashing._targets import labeled_samples

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CCAITQ"]


class CCAITQ(RotatedHasher):
    r"""Encode the signs along the directions that correlate most with labels, rotated as in `ITQ`.

    Canonical correlation analysis finds the directions :math:`w_j` of the samples with the largest
    correlations :math:`\rho_j` with a combination of the labels; :math:`V = [\rho_1 X w_1, \rho_2 X w_2,
    \dots]` is then rotated as in `ITQ` (Gong, Lazebnik, Gordo and Perronnin, *Iterative quantization: a
    procrustean approach to learning binary codes for large-scale image retrieval*, PAMI 35, 2013, section
    3.2). There are at most c - 1 such directions for c classes; with more bits, the rotation has orthonormal
    rows, and each bit is a direction in the space that the c - 1 directions span.

    Parameters
    ----------
    n_bits : int
        Bits k of a code; any number, also above the number of dimensions.
    regularization : float
        Added to the diagonals of both covariances, as a fraction of their mean, to suppress directions with
        little variance.
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
    mean_ : float32 array (d,)
        The mean of the samples.
    components_ : float32 array (k, d)
        Row ``j`` is the direction of bit ``j``: values are ``(x - mean_) @ components_.T``.
    correlations_ : float64 array (m,)
        The canonical correlations of the directions, decreasing; m <= min(k, d, labels).
    rotation_ : float32 array (m, k)
        The rotation R, with orthonormal rows.
    objective_history_ : float64 array (iterations + 1,)
        :math:`\lVert B - V R \rVert_F^2 / n` for the initial rotation and after each iteration. Never
        increases.
    n_iter_ : int
        The number of iterations, one less than the length of `objective_history_`.
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    See Also
    --------
    ITQ : The same without labels.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.hashing import CCAITQ
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(1000, 16)), rng.integers(3, size=1000)
    >>> X[:, 5] += y
    >>> cca = CCAITQ(n_bits=8, random_state=0).fit(X, y)
    >>> cca.encode(X).shape
    (1000, 1)
    >>> int(np.abs(cca.components_).mean(axis=0).argmax())
    5
    """

    _needs_target = True
    correlations_: Doubles

    def __init__(
        self,
        n_bits: int = 64,
        *,
        regularization: float = 1e-4,
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
            Samples, one per row: float16, float32, float64 or integers. Of a memory map, only the rows that
            are used are read.
        y : array_like (n,) or (n, c)
            Classes, numbers or strings; or zeros and ones that say which of `c` labels each sample has.
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
            samples; if `y` does not fit `X` or has only one label; or a parameter is out of range.
        """
        check_threads(threads)
        n_bits = self._checked_bits()
        regularization = as_real(self.regularization, "regularization", above=0)
        rng = random_generator(self.random_state)
        x, labels = labeled_samples(self._training_samples(X), y, self.max_samples, rng, type(self).__name__)
        found = Canonical.of(x, labels, n_bits, regularization)
        self.correlations_ = found.correlations
        self._rotate(x, found.mean, found.directions * found.correlations, n_bits, rng)
        return self

    def _to_arrays(self) -> dict[str, Array]:
        return {**super()._to_arrays(), "correlations": self.correlations_}

    def _restore(self, arrays: Mapping[str, Array]) -> None:
        super()._restore(arrays)
        self.correlations_ = _files.take(
            arrays, "correlations", np.float64, (len(self.rotation_),), finite=True
        )
