"""Signs of random projections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from fastcodes import bits, hadamard
from fastcodes._blocks import rows_per_block
from fastcodes._typing import Array, Codes, Floats
from fastcodes._validation import as_integer, as_samples
from fastcodes.hashing._random_projection import NotFiniteError, Projection, explain, is_plain
from fastcodes.hashing.base import Hasher

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["RandomHyperplanes"]


class RandomHyperplanes(Hasher):
    r"""Make a bit of the side of each of some random hyperplanes a vector is on (SimHash).

    :math:`b_j(x) = [\langle w_j, x \rangle > 0]` with random directions :math:`w_j`, which no data are needed
    for. Two vectors at an angle :math:`\theta` differ in a bit with probability :math:`\theta / \pi`
    (Charikar, *Similarity estimation techniques from rounding algorithms*, STOC 2002, section 3), so that
    ``pi * distance / n_bits`` of `fastcodes.hamming` estimates the angle. Lengths do not matter.

    Parameters
    ----------
    n_bits : int
        Bits of a code; may be more than there are dimensions.
    projection : {"gaussian", "sparse", "hadamard"}
        Where directions come from. "gaussian": independent normal numbers, for which the probability is
        exact. "sparse": :math:`\pm\sqrt 3` with probability 1/6 each, else 0 (Achlioptas, *Database-friendly
        random projections*, JCSS 66, 2003), for which it holds unless nearly all coordinates are zero.
        "hadamard": fast transforms with random signs (`fastcodes.hadamard`), with fewer operations, of which
        only the signs are kept; near enough for all vectors.
    random_state : None, int or numpy random generator
        Where random numbers come from. With the same integer, models made anywhere have the same directions.
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

    See Also
    --------
    RandomProjection : The real values, as vectors of fewer dimensions.
    fastcodes.index.LSHIndex : Tables of such bits, for search that looks at few vectors.

    Notes
    -----
    Equal to ``np.packbits(X @ components_.T > 0, axis=1)``, with a block of floats in between at most. Where
    the vectors are all on one side of the origin, angles between them are small: subtract their mean first.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import hamming
    >>> from fastcodes.hashing import RandomHyperplanes
    >>> X = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 3.0]])
    >>> codes = RandomHyperplanes(n_bits=4096).fit(X).encode(X)
    >>> angles = np.pi * hamming.cdist(codes, codes) / 4096
    >>> np.rad2deg(angles).round(-1)  # estimates, with a standard error of 0.8 degrees at most each
    array([[ 0., 40., 90.],
           [40.,  0., 50.],
           [90., 50.,  0.]])
    """

    _learned = "_projection"
    components_: Floats | None
    signs_: Codes | None
    _projection: Projection

    def __init__(
        self,
        n_bits: int = 64,
        projection: str = "gaussian",
        *,
        random_state: Any = 0,
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.projection = projection
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Draw the directions.

        Parameters
        ----------
        X : array_like (n, d)
            Any samples: only the number of dimensions is looked at.
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
            If `X` has another shape, or a parameter is out of range.
        """
        n_bits = as_integer(self.n_bits, "n_bits", 1)
        d = as_samples(X).shape[1]
        self._learn(Projection.draw(self.projection, d, n_bits, self.random_state))
        return self

    def _learn(self, projection: Projection) -> None:
        self._projection = projection
        self.components_ = projection.matrix
        self.signs_ = projection.signs
        self.n_features_in_ = projection.d

    @property
    def _n_bits(self) -> int:
        return self._projection.n

    def _blocks(self, samples: Array) -> Iterator[tuple[slice, Floats]]:
        if not is_plain(samples):
            yield from super()._blocks(samples)
            return
        # Where no copy is needed, what is not finite is found in the projections, without a pass of its own.
        n, step = len(samples), rows_per_block(samples, self._width)
        with self._progress(-(-n // step)) as show:
            for start in range(0, n, step):
                rows = slice(start, min(start + step, n))
                yield rows, samples[rows]
                show(f"{rows.stop} samples")

    def _values(self, x: Floats) -> Floats:
        return self._projection.values(x)

    def _encode(self, x: Floats, out: Codes) -> None:
        if self.signs_ is None:
            bits.pack(self._values(x), out=out)
            return
        try:
            hadamard.pack(x, self.signs_, self._n_bits, out=out)
        except ValueError:
            raise NotFiniteError from None

    def encode(self, X: ArrayLike) -> Codes:  # noqa: D102
        try:
            return super().encode(X)
        except NotFiniteError:
            raise explain(self._samples(X)) from None

    def decision_function(self, X: ArrayLike) -> Floats:  # noqa: D102
        try:
            return super().decision_function(X)
        except NotFiniteError:
            raise explain(self._samples(X)) from None

    def _to_arrays(self) -> dict[str, Array]:
        return self._projection.to_arrays()

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        self._learn(Projection.from_arrays(self.projection, arrays))
