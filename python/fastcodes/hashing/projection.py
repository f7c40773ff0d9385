"""Random projections to fewer dimensions, and how many are needed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._blocks import rows_per_block
from fastcodes._estimator import Estimator
from fastcodes._progress import progress_bar
from fastcodes._typing import Array, Codes, Floats
from fastcodes._validation import as_integer, as_real, as_samples, finite_float32
from fastcodes.hashing._random_projection import NotFiniteError, Projection, explain, is_plain

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["RandomProjection", "johnson_lindenstrauss_min_dim"]


def johnson_lindenstrauss_min_dim(n_samples: int, eps: float = 0.1) -> int:
    r"""Return how many dimensions keep all distances of some samples within a factor.

    A random projection of `n_samples` vectors to :math:`k \ge 4 \ln n / (\epsilon^2 / 2 - \epsilon^3 / 3)`
    dimensions keeps all their squared distances within a factor of :math:`1 \pm \epsilon`, with a positive
    probability, however many dimensions there were (Dasgupta and Gupta, *An elementary proof of a theorem of
    Johnson and Lindenstrauss*, Random Structures & Algorithms 22, 2003, theorem 2.1). The bound is for the
    worst of all pairs; most are far better.

    Parameters
    ----------
    n_samples : int
        How many vectors, at least 1.
    eps : float
        Largest relative error of a squared distance, between 0 and 1.

    Returns
    -------
    int
        As in scikit-learn, rounded down, at least 1.

    Raises
    ------
    TypeError
        If a number has the wrong type.
    ValueError
        If it is out of range.

    Examples
    --------
    >>> from fastcodes.hashing import johnson_lindenstrauss_min_dim
    >>> johnson_lindenstrauss_min_dim(1_000_000, eps=0.5)
    663
    """
    n_samples = as_integer(n_samples, "n_samples", 1)
    eps = as_real(eps, "eps", above=0, below=1)
    return max(1, int(4 * math.log(n_samples) / (eps**2 / 2 - eps**3 / 3)))


class RandomProjection(Estimator):
    r"""Project vectors on random directions, so that distances stay about as they are.

    :math:`y = R x / \sqrt k` with ``k`` random rows. The squared length of ``y`` is that of ``x`` in the
    mean, with a relative standard deviation of :math:`\sqrt{2 / k}` at most: as small as one wants, whatever
    the number of dimensions was (Johnson and Lindenstrauss, 1984).

    Parameters
    ----------
    n_components : int or "auto"
        Dimensions k that the vectors are to have. "auto" is `johnson_lindenstrauss_min_dim` for the samples
        that `fit` sees, and `eps`.
    projection : {"gaussian", "sparse", "hadamard"}
        Where directions come from, as in `RandomHyperplanes`.
    eps : float
        With "auto", the largest relative error of a squared distance between samples.
    random_state : None, int or numpy random generator
        Where random numbers come from. With the same integer, models made anywhere have the same directions.
    verbose : bool
        Whether to show a progress bar when many samples are projected; needs the extra ``cli``.

    Attributes
    ----------
    n_components_ : int
        Dimensions k that the vectors get.
    components_ : float32 array (k, d), or None
        The rows of R, not divided by the root of k; None with "hadamard".
    signs_ : uint8 array (3 * n_rotations, size / 8), or None
        With "hadamard", the signs as in `fastcodes.hadamard.project`.
    n_features_in_ : int
        The number of dimensions d.

    Notes
    -----
    Equal to ``X @ components_.T / np.sqrt(n_components_)``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.hashing import RandomProjection
    >>> X = np.random.default_rng(0).standard_normal((100, 5000))
    >>> Y = RandomProjection(n_components=1000, projection="hadamard").fit_transform(X)
    >>> Y.shape
    (100, 1000)
    >>> ratio = ((Y[0] - Y[1:]) ** 2).sum(1) / ((X[0] - X[1:]) ** 2).sum(1)
    >>> bool(abs(ratio - 1).max() < 0.2)
    True
    """

    _learned = "_projection"
    components_: Floats | None
    signs_: Codes | None
    n_components_: int
    _projection: Projection

    def __init__(
        self,
        n_components: int | str = "auto",
        projection: str = "gaussian",
        *,
        eps: float = 0.1,
        random_state: Any = 0,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.projection = projection
        self.eps = eps
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Draw the directions.

        Parameters
        ----------
        X : array_like (n, d)
            Any samples: only the shape is looked at.
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
            If `X` has another shape, a parameter is out of range, or "auto" asks for more dimensions than
            there are.
        """
        samples = as_samples(X)
        n, d = samples.shape
        if isinstance(self.n_components, str) and self.n_components == "auto":
            n_components = johnson_lindenstrauss_min_dim(max(n, 1), self.eps)
            if n_components > d:
                raise ValueError(
                    f"eps={self.eps} for {n} samples takes {n_components} dimensions, but X has {d} only; "
                    "expected a larger eps, or a number as n_components"
                )
        else:
            n_components = as_integer(self.n_components, "n_components", 1)
        self._learn(Projection.draw(self.projection, d, n_components, self.random_state))
        return self

    def _learn(self, projection: Projection) -> None:
        self._projection = projection
        self.components_ = projection.matrix
        self.signs_ = projection.signs
        self.n_components_ = projection.n
        self.n_features_in_ = projection.d

    def transform(self, X: ArrayLike) -> Floats:
        """Project samples.

        Parameters
        ----------
        X : array_like (n, d)
            Samples: float16, float32, float64 or integers, converted to float32 a block at a time.

        Returns
        -------
        float32 array (n, n_components_)

        Raises
        ------
        NotFittedError
            If there is no model yet.
        TypeError
            If `X` are not real numbers.
        ValueError
            If `X` has another shape, or a value that is not finite (the message says where).
        """
        samples = self._samples(X)
        n, step = len(samples), rows_per_block(samples, self.n_components_)
        projected = np.empty((n, self.n_components_), np.float32)
        scale = np.float32(1 / math.sqrt(self.n_components_))
        n_blocks = -(-n // step)
        try:
            with progress_bar(self.verbose and n_blocks > 1, n_blocks, "project", "blocks") as show:
                for start in range(0, n, step):
                    rows = slice(start, min(start + step, n))
                    block = samples[rows]
                    if not is_plain(block):
                        block = finite_float32(block, range(rows.start, rows.stop))
                    np.multiply(self._projection.values(block), scale, out=projected[rows])
                    show(f"{rows.stop} samples")
        except NotFiniteError:
            raise explain(samples) from None
        return projected

    def fit_transform(self, X: ArrayLike, y: object = None) -> Floats:
        """Return ``fit(X).transform(X)``."""
        return self.fit(X).transform(X)

    def _to_arrays(self) -> dict[str, Array]:
        return self._projection.to_arrays()

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        self._learn(Projection.from_arrays(self.projection, arrays))
