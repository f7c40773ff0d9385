"""Random projections to fewer dimensions, and the number of dimensions that they need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._blocks import blocks, check_finite, naming_nonfinite, rows_per_block
from fastcodes._estimator import Transformer
from fastcodes._progress import progress_bar
from fastcodes._typing import Array, Codes, Floats
from fastcodes._validation import as_integer, as_real, check_threads
from fastcodes.hashing._random_projection import Projection
from fastcodes.hashing.packed_bits import MAX_BITS

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["RandomProjection", "johnson_lindenstrauss_min_dim"]


def johnson_lindenstrauss_min_dim(n_samples: int, *, eps: float = 0.1) -> int:
    r"""Return the number of dimensions that preserves all pairwise distances up to a factor.

    A random projection of `n_samples` vectors to :math:`k \ge 4 \ln n / (\epsilon^2 / 2 - \epsilon^3 / 3)`
    dimensions preserves all their squared distances up to a factor of :math:`1 \pm \epsilon` with positive
    probability, whatever the original number of dimensions (Dasgupta and Gupta, *An elementary proof of a
    theorem of Johnson and Lindenstrauss*, Random Structures & Algorithms 22, 2003, theorem 2.1). The bound is
    for the worst pair; most pairs are preserved much better.

    Parameters
    ----------
    n_samples : int
        Number of vectors, at least 1.
    eps : float
        Maximum relative error of a squared distance, between 0 and 1.

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
    if eps < 1e-100:
        raise ValueError(f"eps is {eps}, which takes more than 10**200 dimensions; give a larger one")
    return max(1, int(4 * math.log(n_samples) / (eps**2 / 2 - eps**3 / 3)))


class RandomProjection(Transformer):
    r"""Project vectors on random directions, which approximately preserves distances.

    :math:`y = R x / \sqrt k` with ``k`` random rows. The expected squared length of ``y`` is that of ``x``,
    with a relative standard deviation of at most :math:`\sqrt{2 / k}`, whatever the number of dimensions of
    ``x`` (Johnson and Lindenstrauss, 1984).

    Parameters
    ----------
    n_components : int or "auto"
        Dimensions k of the projected vectors. "auto" is `johnson_lindenstrauss_min_dim` for the number of
        samples in `fit`, and `eps`.
    projection : {"gaussian", "sparse", "hadamard"}
        The distribution of the directions, as in `RandomHyperplanes`.
    eps : float
        With "auto", the maximum relative error of a squared distance between samples.
    random_state : None, int or numpy random generator
        Source of randomness. The same integer gives the same directions on every machine.
    verbose : bool
        Whether to show a progress bar when many samples are projected; needs the extra ``cli``.

    Attributes
    ----------
    n_components_ : int
        Dimensions k of the projected vectors.
    components_ : float32 array (k, d), or None
        The rows of R, not divided by the root of k; None with "hadamard".
    signs_ : uint8 array (3 * n_rotations, size / 8), or None
        With "hadamard", the signs as in `fastcodes.hadamard.project`.
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

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
    _preserves: ClassVar[list[str]] = ["float32"]
    components_: Floats | None
    signs_: Codes | None
    n_components_: int
    _projection: Projection

    def __init__(
        self,
        n_components: int | str = "auto",
        *,
        projection: str = "gaussian",
        eps: float = 0.1,
        random_state: Any = 0,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.projection = projection
        self.eps = eps
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: object = None, *, threads: int | None = None) -> Self:
        """Draw the directions.

        Parameters
        ----------
        X : array_like (n, d)
            Samples: their shape is used, and they are checked.
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
            If `X` has another shape, no rows or a value that is not finite (the message says where), if a
            parameter is out of range, or "auto" needs more dimensions than
            `X` has.
        """
        check_threads(threads)
        samples = self._training_samples(X)
        check_finite(samples)
        n, d = samples.shape
        if isinstance(self.n_components, str) and self.n_components == "auto":
            n_components = johnson_lindenstrauss_min_dim(n, eps=self.eps)
            if n_components > d:
                raise ValueError(
                    f"eps={self.eps} for {n} samples needs {n_components} dimensions, but X has only {d}; "
                    "give a larger eps, or an integer as n_components"
                )
        else:
            n_components = as_integer(self.n_components, "n_components", 1, MAX_BITS)
        self._learn(Projection.draw(self.projection, d, n_components, self.random_state))
        return self

    def _learn(self, projection: Projection) -> None:
        self._projection = projection
        self.components_ = projection.matrix
        self.signs_ = projection.signs
        self.n_components_ = projection.n
        self.n_features_in_ = projection.d

    def transform(self, X: ArrayLike, *, threads: int | None = None) -> Any:
        """Project samples.

        Parameters
        ----------
        X : array_like (n, d)
            Samples: float16, float32, float64 or integers, converted to float32 a block at a time.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        float32 array (n, k), or data frame
            See `set_output`.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If `X` is not an array of real numbers.
        ValueError
            If `X` has another shape, or a value that is not finite (the message says where).
        """
        check_threads(threads)
        samples = self._samples(X)
        projected = np.empty((len(samples), self.n_components_), np.float32)
        scale = np.float32(1 / math.sqrt(self.n_components_))
        n_blocks = -(-len(samples) // rows_per_block(samples, self.n_components_))
        with (
            naming_nonfinite(samples),
            progress_bar(self.verbose and n_blocks > 1, n_blocks, "project", "blocks") as show,
        ):
            for rows, block in blocks(samples, width=self.n_components_, check=False):
                np.multiply(self._projection.values(block, threads), scale, out=projected[rows])
                show(f"{rows.stop} samples")
        return self._contained(projected, X)

    @property
    def _n_outputs(self) -> int:
        return self.n_components_

    def _to_arrays(self) -> dict[str, Array]:
        return self._projection.to_arrays()

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        self._learn(Projection.from_arrays(self.projection, arrays))
