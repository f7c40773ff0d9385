"""Iterative quantisation: principal components, rotated so that their signs lose least."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from fastcodes._blocks import training_samples
from fastcodes._linalg import principal_components
from fastcodes._validation import as_integer, random_generator
from fastcodes.hashing._rotation import RotatedHasher
from fastcodes.hashing.base import check_rank

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ITQ"]


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
        n_bits = as_integer(self.n_bits, "n_bits", 1)
        rng = random_generator(self.random_state)
        x = training_samples(X, self.max_samples, rng)
        components = principal_components(x)
        check_rank(n_bits, components.rank, x, type(self).__name__)
        self._rotate(x, components.mean, components.vectors[:, :n_bits], n_bits, rng)
        return self
