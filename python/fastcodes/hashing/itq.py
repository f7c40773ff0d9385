"""Iterative quantisation: principal components, rotated so that their signs lose least."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes import _data, _files
from fastcodes._estimator import generator, integer, progress
from fastcodes.hashing._hasher import Floats, LinearHasher, take_finite
from fastcodes.hashing._principal import check_rank, principal
from fastcodes.hashing._rotation import rotate_to_bits
from fastcodes.hashing.pca import training_rows

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ITQ", "RotatedHasher"]


class RotatedHasher(LinearHasher):
    """A linear model that ends with the rotation of iterative quantisation."""

    rotation_: Floats
    objective_history_: NDArray[np.float64]
    max_iter: Any

    def _rotate(
        self,
        x: Floats,
        mean: NDArray[np.float64],
        directions: NDArray[np.float64],
        n_bits: int,
        rng: np.random.Generator,
    ) -> None:
        """Learn the rotation of ``(x - mean) @ directions``, and all that follows."""
        max_iter = integer(self.max_iter, "max_iter", 1)
        values = np.empty((len(x), directions.shape[1]), np.float32)
        shift, matrix = mean.astype(np.float32), directions.astype(np.float32)
        for rows, block in _data.blocks(x):
            np.matmul(block - shift, matrix, out=values[rows])
        with progress(self.verbose, max_iter, "rotation") as step:
            rotation, history = rotate_to_bits(values, n_bits, max_iter, rng, step)
        self._learn(mean, (directions @ rotation).T)
        self.rotation_ = rotation.astype(np.float32)
        self.objective_history_ = history

    def _to_arrays(self) -> dict[str, NDArray[Any]]:
        return {
            **super()._to_arrays(),
            "rotation": self.rotation_,
            "objective_history": self.objective_history_,
        }

    def _from_arrays(self, arrays: dict[str, NDArray[Any]]) -> None:
        super()._from_arrays(arrays)
        self.rotation_ = take_finite(arrays, "rotation", ("n_directions", self._n_bits))
        self.objective_history_ = _files.take(arrays, "objective_history", np.float64, ("iterations",))


class ITQ(RotatedHasher):
    r"""Make bits of the principal components after the rotation that loses least.

    Minimises :math:`\lVert B - V R \rVert_F^2` over bits :math:`B \in \{-1, 1\}^{n \times k}` and rotations
    :math:`R^T R = I`, the rows of :math:`V` being the first k principal components of the samples, by turns:
    :math:`B = \mathrm{sign}(V R)`, then :math:`R = U W^T` with :math:`V^T B = U S W^T` (Gong and Lazebnik,
    *Iterative quantization: a procrustean approach to learning binary codes*, CVPR 2011, section 2.2).
    Neither raises the objective. The rotation spreads the variance evenly over the bits.

    Parameters
    ----------
    n_bits : int
        Bits k of a code: not more than there are directions in which the samples differ.
    max_iter : int
        How often to take signs and rotation at most.
    max_samples : int or None
        Learn from so many random rows at most; None takes all of them.
    random_state : None, int or numpy random generator
        Where random numbers come from; an integer makes `fit` repeatable.
    verbose : bool
        Whether to show a progress bar; needs the extra ``cli``.

    Attributes
    ----------
    mean_ : float32 array (d,)
        The mean of the samples.
    components_ : float32 array (k, d)
        Row ``j`` is the direction of bit ``j``: values are ``(x - mean_) @ components_.T``. Orthonormal.
    rotation_ : float32 array (k, k)
        R: ``components_`` is ``rotation_.T @ W.T`` with the principal directions as the columns of W.
    objective_history_ : float64 array (iterations + 1,)
        The objective divided by the number of samples: of the first rotation, and after each iteration. Never
        rises.
    n_features_in_ : int
        The number of dimensions d.

    See Also
    --------
    CCAITQ : The same of directions that tell labels.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.hashing import ITQ
    >>> X = np.random.default_rng(0).normal(size=(1000, 16)) * np.arange(16, 0, -1)
    >>> itq = ITQ(n_bits=8, random_state=0).fit(X)
    >>> itq.encode(X).shape
    (1000, 1)
    >>> np.allclose(itq.components_ @ itq.components_.T, np.eye(8), atol=1e-5)
    True
    >>> bool((np.diff(itq.objective_history_) <= 0).all())
    True
    """

    def __init__(
        self,
        n_bits: int = 64,
        *,
        max_iter: int = 50,
        max_samples: int | None = 32768,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.max_iter = max_iter
        self.max_samples = max_samples
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn directions and rotation.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, one a row: float16, float32, float64 or integers; a memory map is read only where it is
            needed.
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
        n_bits = integer(self.n_bits, "n_bits", 1)
        rng = generator(self.random_state)
        x = some_rows(X, self.max_samples, rng)
        components = principal(x)
        check_rank(n_bits, components.rank, x, type(self).__name__)
        self._rotate(x, components.mean, components.vectors[:, :n_bits], n_bits, rng)
        return self


def some_rows(X: ArrayLike, max_samples: Any, rng: np.random.Generator) -> Floats:
    """Return at most `max_samples` random rows to learn from, as float32."""
    samples = training_rows(X)
    if max_samples is not None:
        max_samples = integer(max_samples, "max_samples", 1)
    return _data.sample(samples, max_samples, rng)


def some_rows_of(
    samples: NDArray[Any], labels: Floats, max_samples: Any, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return at most `max_samples` random rows to learn from, as float32, and their labels."""
    if max_samples is not None and integer(max_samples, "max_samples", 1) < len(samples):
        rows = np.sort(rng.choice(len(samples), max_samples, replace=False, shuffle=False))
        return _data.take(samples, rows), labels[rows]
    return _data.sample(samples, None, rng), labels
