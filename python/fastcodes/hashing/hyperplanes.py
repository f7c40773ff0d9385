"""SimHash: the signs of random projections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from fastcodes._blocks import check_finite
from fastcodes._typing import Array, Codes, Floats
from fastcodes._validation import check_threads
from fastcodes.hashing._random_projection import Projection
from fastcodes.hashing.base import Hasher

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["RandomHyperplanes"]


class RandomHyperplanes(Hasher):
    r"""Encode the sides of random hyperplanes that a vector lies on: SimHash.

    :math:`b_j(x) = [\langle w_j, x \rangle > 0]` with random directions :math:`w_j`, which need no training
    data. Two vectors at an angle :math:`\theta` differ in a bit with probability :math:`\theta / \pi`
    (Charikar, *Similarity estimation techniques from rounding algorithms*, STOC 2002, section 3), so that
    ``pi * distance / n_bits`` with a Hamming distance estimates the angle. Lengths do not matter.

    Parameters
    ----------
    n_bits : int
        Bits of a code; may exceed the number of dimensions.
    projection : {"gaussian", "sparse", "hadamard"}
        The distribution of the directions. "gaussian": independent normal numbers; the probability above is
        exact. "sparse": :math:`\pm\sqrt 3` with probability 1/6 each, else 0 (Achlioptas, *Database-friendly
        random projections*, JCSS 66, 2003); the probability holds unless nearly all coordinates are zero.
        "hadamard": fast transforms with random signs (`fastcodes.hadamard`): fewer operations, only signs are
        stored, and the probability holds closely for all vectors.
    random_state : None, int or numpy random generator
        Source of randomness. The same integer gives the same directions on every machine; those of "hadamard"
        are ``fastcodes.hadamard.signs(d, n_bits, random_state=random_state)``.
    output : {"packed", "bits", "signs"}
        What `transform` returns: the packed codes of `encode`, features that are 0 or 1, or features that are
        -1 or +1.
    verbose : bool
        Whether to show a progress bar when many samples are encoded; needs the extra ``cli``.

    Attributes
    ----------
    components_ : float32 array (n_bits, d), or None
        The directions; None with "hadamard".
    signs_ : uint8 array (3 * n_rotations, size / 8), or None
        With "hadamard", the signs as in `fastcodes.hadamard.project`.
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    See Also
    --------
    RandomProjection : The real values, as vectors of fewer dimensions.
    fastcodes.index.LSHIndex : Hash tables of these bits, for sublinear search.

    Notes
    -----
    Equal to ``np.packbits(X @ components_.T > 0, axis=1)``, computed a block at a time. If all vectors lie on
    one side of the origin, the angles between them are small: subtract their mean first.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import hamming
    >>> from fastcodes.hashing import RandomHyperplanes
    >>> X = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 3.0]])
    >>> codes = RandomHyperplanes(n_bits=4096).fit(X).encode(X)
    >>> angles = np.pi * hamming.cdist(codes, codes) / 4096
    >>> np.rad2deg(angles).round(-1)  # estimates with a standard error of at most 0.8 degrees
    array([[ 0., 40., 90.],
           [40.,  0., 50.],
           [90., 50.,  0.]])
    """

    _learned = "_projection"
    _checks_samples = True
    components_: Floats | None
    signs_: Codes | None
    _projection: Projection

    def __init__(
        self,
        n_bits: int = 64,
        *,
        projection: str = "gaussian",
        random_state: Any = 0,
        output: str = "packed",
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.projection = projection
        self.random_state = random_state
        self.output = output
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: Any = None, *, threads: int | None = None) -> Self:
        """Draw the directions.

        Parameters
        ----------
        X : array_like (n, d)
            Any samples: only the number of dimensions is used.
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
            If `X` has another shape, or a parameter is out of range.
        """
        check_threads(threads)
        n_bits = self._checked_bits()
        samples = self._training_samples(X)
        check_finite(samples)
        self._learn(Projection.draw(self.projection, samples.shape[1], n_bits, self.random_state))
        return self

    def _learn(self, projection: Projection) -> None:
        self._projection = projection
        self.components_ = projection.matrix
        self.signs_ = projection.signs
        self.n_features_in_ = projection.d

    @property
    def _n_bits(self) -> int:
        return self._projection.n

    def _values(self, x: Floats, threads: int | None) -> Floats:
        return self._projection.values(x, threads)

    def _signed(self, x: Floats, threads: int | None) -> Floats:
        return self._projection.values(x, threads, only_signs=True)

    def _encode(self, x: Floats, out: Codes, threads: int | None) -> None:
        if self.signs_ is None:
            super()._encode(x, out, threads)
        else:
            self._projection.pack_signs(x, self.signs_, out, threads)

    def _to_arrays(self) -> dict[str, Array]:
        return self._projection.to_arrays()

    def _restore(self, arrays: Mapping[str, Array]) -> None:
        self._learn(Projection.from_arrays(self.projection, arrays))
