"""Iterative quantization: principal components with a rotation that minimizes the quantization error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from fastcodes._blocks import sample
from fastcodes._linalg import principal_components
from fastcodes._validation import check_threads, random_generator
from fastcodes.hashing._rotation import RotatedHasher
from fastcodes.hashing.base import check_rank

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ITQ"]


class ITQ(RotatedHasher):
    r"""Encode the signs of the principal components after the rotation with the least quantization error.

    Minimizes :math:`\lVert B - V R \rVert_F^2` over bits :math:`B \in \{-1, 1\}^{n \times k}` and rotations
    :math:`R^T R = I`, where the rows of :math:`V` are the first k principal components of the samples,
    alternating between :math:`B = \mathrm{sign}(V R)` and :math:`R = U W^T` with :math:`V^T B = U S W^T`
    (Gong and Lazebnik, *Iterative quantization: a procrustean approach to learning binary codes*, CVPR 2011,
    section 2.2). Neither step increases the objective. The rotation spreads the variance evenly over the
    bits.

    Parameters
    ----------
    n_bits : int
        Bits k of a code, at most the number of directions in which the samples differ.
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
        Row ``j`` is the direction of bit ``j``: values are ``(x - mean_) @ components_.T``. Orthonormal.
    rotation_ : float32 array (k, k)
        R: ``components_`` is ``rotation_.T @ W.T`` with the principal directions as the columns of W.
    objective_history_ : float64 array (iterations + 1,)
        The objective divided by the number of samples, for the initial rotation and after each iteration.
        Never increases.
    n_iter_ : int
        The number of iterations, one less than the length of `objective_history_`.
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    See Also
    --------
    CCAITQ : The same for directions that predict the labels.

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
        output: str = "packed",
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
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
        rng = random_generator(self.random_state)
        x = sample(self._training_samples(X), self.max_samples, rng)
        components = principal_components(x)
        check_rank(n_bits, components.rank, x, type(self).__name__)
        self._rotate(x, components.mean, components.vectors[:, :n_bits], n_bits, rng)
        return self
