"""RaBitQ: a few bits per dimension after a random rotation, with unbiased estimates of distances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files, hadamard, rabitq
from fastcodes._blocks import blocks, sample
from fastcodes._estimator import check_fitted
from fastcodes._linalg import exact_product, mean_and_covariance, random_rotation
from fastcodes._storage import RaBitQStorage, join_factors, split_factors
from fastcodes._typing import Array, Codes, Doubles, Floats
from fastcodes._validation import (
    as_array,
    as_bool,
    as_integer,
    as_option,
    check_threads,
    code_array,
    describe,
    random_generator,
)
from fastcodes.quantization.base import VectorCodec

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["RaBitQuantizer"]

_METRICS = ("l2", "ip", "cosine")
_ROTATIONS = ("hadamard", "dense")
# Dimensions from which a fast rotation is used: fewer have too few rotations by signs for unbiased estimates.
_LEAST_SIGNS = 64
# Rows from which the mean is learned, and the usual error.
_MAX_SAMPLES = 65536
_MAX_ENCODED = 4096
# Of the mean weight, on the diagonal: few samples leave some directions without any.
_RIDGE = 0.03
# Standard deviations of an estimate within which the truth is taken to be: Gao and Long use the same.
_DEVIATIONS = 1.9
# Of a row: a little less than the largest float32, since sums are rounded.
_LARGEST_SQUARE = 3.4e38


class RaBitQuantizer(VectorCodec):
    r"""Encode a vector as 1 to 8 bits per dimension and two numbers, from which distances are estimated.

    A vector is centered and rotated at random, :math:`o = R (x - c)`, and replaced by a point :math:`u` of a
    grid with nearly the same direction. With the factor :math:`f = \lVert o \rVert^2 / \langle u, o \rangle`
    the estimate :math:`\langle f u, R q \rangle` of an inner product is right on average over rotations, for
    every query :math:`q`, and errs by about :math:`\lVert q \rVert \lVert f u - o \rVert / \sqrt{d}`: the
    estimator of RaBitQ (Gao and Long, SIGMOD 2024, theorem 3.2; for more bits Gao et al., SIGMOD 2025). No
    codebooks are trained: `fit` learns a mean and draws a rotation.

    Parameters
    ----------
    n_bits : int
        Bits per dimension, from 1 to 8; see `fastcodes.rabitq` for the levels.
    metric : {"l2", "ip", "cosine"}
        The distance that the factors are for: squared L2 distance, negative inner product, or one minus the
        cosine, for which vectors are normalized (a vector of zeros has the cosine 0).
    rotation : {"hadamard", "dense"}
        A fast rotation (`fastcodes.hadamard.rotate`), or a dense random orthogonal matrix, which takes
        ``d**2`` multiplications. Both keep the dimensions, up to a multiple of 8. Below 64 dimensions both
        are dense.
    center : bool
        Whether to subtract the mean of the training samples. For inner products the part of a row along the
        mean is kept exactly, so that queries are centered too.
    calibrate : bool
        Whether `encode` chooses levels by the error that queries like the training samples see, rather than
        by the nearest direction: see Notes. Recall is higher on data that vary most in few directions, with
        the same bytes and the same search; encoding takes some ``2 * d**2`` more multiplications.
    random_state : None, int or numpy random generator
        Source of randomness; an integer makes `fit` repeatable.

    Attributes
    ----------
    center_ : float32 array (d,)
        What is subtracted.
    rotation_ : uint8 array (4, ceil(d / 8)) or float32 array (D, d)
        The signs of a fast rotation, or the matrix of a dense one; D is d rounded up to a multiple of 8.
    weights_ : float32 array (D, D)
        The weights of errors; only with `calibrate`.
    error_ratio_ : float
        The root mean square of ``|f u - o| / |f u|`` over the training samples.
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    See Also
    --------
    fastcodes.rabitq : The kernels, over arrays.
    ProductQuantizer : Fewer bits per dimension than one.

    Notes
    -----
    With `calibrate`, the weights of `fastcodes.rabitq.encode` are the square root of the covariance of the
    rotated samples, and 3 % of its mean on the diagonal. The root, since the differences of neighbours, which
    decide their order, vary less by direction than the samples do. The bound of the error that re-ranking
    uses assumes no preferred directions; with `calibrate` it is a rule of thumb.

    Codes are what `fastcodes.rabitq.encode` makes of :math:`o`. For "ip" and "cosine" the first factor is
    :math:`-\langle x - c, c \rangle`, and queries are :math:`R (q - c)`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.index import FlatIndex
    >>> from fastcodes.quantization import RaBitQuantizer
    >>> X = np.random.default_rng(0).standard_normal((1000, 100)).astype(np.float32)
    >>> model = RaBitQuantizer(n_bits=4, random_state=0).fit(X)
    >>> codes, factors = model.encode(X)
    >>> codes.shape, factors.shape
    ((1000, 52), (1000, 2))
    >>> index = FlatIndex(model)
    >>> index.add(X)
    >>> index.search(X[:3], k=1, rerank=X)
    (array([[0.],
           [0.],
           [0.]], dtype=float32), array([[0],
           [1],
           [2]]))
    """

    _learned = "center_"
    oversample: ClassVar[float] = 16  # candidates that the bounds rule out are not read

    def __init__(
        self,
        n_bits: int = 1,
        *,
        metric: str = "l2",
        rotation: str = "hadamard",
        center: bool = True,
        calibrate: bool = False,
        random_state: Any = None,
    ) -> None:
        self.n_bits = n_bits
        self.metric = metric
        self.rotation = rotation
        self.center = center
        self.calibrate = calibrate
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None, *, threads: int | None = None) -> Self:
        """Learn the mean of the samples, and draw a rotation.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, one per row: float16, float32, float64 or integers. At most 65536 random rows are used;
            of a memory map, only those are read.
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
            If `X` has another shape, no rows or a value that is not finite (the message says where), or a
            parameter is out of range.
        """
        check_threads(threads)
        as_integer(self.n_bits, "n_bits", 1, 8)
        as_option(self.metric, "metric", _METRICS)
        as_option(self.rotation, "rotation", _ROTATIONS)
        rng = random_generator(self.random_state)
        samples = self._training_samples(X)
        d = samples.shape[1]
        if d > rabitq.MAX_DIMENSIONS:
            raise ValueError(f"X has {d} dimensions; expected at most {rabitq.MAX_DIMENSIONS}")
        x = self._normalized(sample(samples, _MAX_SAMPLES, rng))
        self.n_features_in_ = d
        self.center_ = np.zeros(d, np.float32)
        if as_bool(self.center, "center"):
            self.center_ = x.mean(axis=0, dtype=np.float64).astype(np.float32)
        if self._has_signs(d):
            self.rotation_: Array = hadamard.rotation_signs(d, random_state=rng)
        else:
            self.rotation_ = random_rotation(d, -(-d // 8) * 8, rng).T.astype(np.float32)
        rotated = self._rotated(self._centered(x, "X"), threads)
        vars(self).pop("weights_", None)
        if as_bool(self.calibrate, "calibrate"):
            self.weights_ = _weights(rotated)
        some = rotated[:_MAX_ENCODED]
        codes, factors = rabitq.encode(some, n_bits=self.n_bits, weights=self._weights, threads=threads)
        squares = factors[:, 0].astype(np.float64)
        lengths = rabitq.errors(codes, factors * np.array([0, 1], np.float32), n_bits=self.n_bits)
        is_some = lengths > 0
        ratios = 1 - squares[is_some] / np.square(lengths[is_some].astype(np.float64))
        self.error_ratio_ = float(np.sqrt(np.maximum(ratios, 0).mean())) if is_some.any() else 0.0
        return self

    # --- coordinates ---------------------------------------------------------------------------------------

    def _normalized(self, x: Floats) -> Floats:
        """Return samples as the metric takes them: of length 1 or 0 for "cosine"."""
        if self.metric != "cosine":
            return x
        lengths = np.sqrt(np.einsum("nd,nd->n", x, x, dtype=np.float64))
        lengths[lengths == 0] = 1
        normalized: Floats = (x / lengths[:, None]).astype(np.float32)
        return normalized

    def _has_signs(self, d: int) -> bool:
        """Whether the rotation of `d` dimensions is a fast one."""
        return self.rotation == "hadamard" and d >= _LEAST_SIGNS

    @property
    def _weights(self) -> Floats | None:
        return getattr(self, "weights_", None)

    def _centered(self, x: Floats, name: str) -> Floats:
        with np.errstate(over="ignore"):  # an error below
            centered = x - self.center_
        if not (_inner(centered, centered) <= _LARGEST_SQUARE).all():
            raise ValueError(
                f"{name} has values so large that their squared distances overflow float32; scale it"
            )
        return centered

    def _rotated(self, x: Floats, threads: int | None) -> Floats:
        if self.rotation_.dtype == np.uint8:
            return hadamard.rotate(x, self.rotation_, threads=threads)
        return exact_product(x, self.rotation_.T)

    def _rotated_back(self, y: Floats, threads: int | None) -> Floats:
        if self.rotation_.dtype == np.uint8:
            return hadamard.rotate_back(y, self.rotation_, self.n_features_in_, threads=threads)
        return exact_product(y, self.rotation_)

    @property
    def _n_dims(self) -> int:
        """The dimensions of codes."""
        return -(-self.n_features_in_ // 8) * 8

    # --- codes ---------------------------------------------------------------------------------------------

    def encode(self, X: ArrayLike, *, threads: int | None = None) -> tuple[Codes, Floats]:
        """Return the code and the factors of each sample.

        Parameters
        ----------
        X : array_like (n, d)
            Samples: float16, float32, float64 or integers. A memory map is read a block at a time.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        codes : uint8 array (n, n_bytes)
            ``n_bits`` bits for each of d dimensions, rounded up to a multiple of 8.
        factors : float32 array (n, 2)
            What is added to the distance of a row, and what the product with its code is multiplied by: see
            `fastcodes.rabitq`.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            If `X` is not an array of finite real numbers (n, d), or a number is so large that its square
            overflows float32.
        """
        samples = self._samples(X)
        check_threads(threads)
        codes = np.empty((len(samples), self.code_bytes), np.uint8)
        factors = np.empty((len(samples), 2), np.float32)
        for rows, block in blocks(samples):
            x = self._centered(self._normalized(block), "X")
            rotated = self._rotated(x, threads)
            codes[rows], factors[rows] = rabitq.encode(
                rotated, n_bits=self.n_bits, weights=self._weights, threads=threads
            )
            if self.metric != "l2":
                factors[rows, 0] = -_inner(x, self.center_)
        return codes, factors

    def rows(self, X: Any, *, threads: int | None = None) -> Codes:
        """Return codes and factors in one array, uint8 (n, n_bytes + 8): factors as little-endian bytes."""
        return join_factors(*self.encode(X, threads=threads))

    def from_rows(self, rows: Array) -> tuple[Codes, Floats]:
        """Return codes and factors of such rows."""
        codes, factors = split_factors(rows)
        return codes.copy(), factors

    def as_codes(self, codes: Any) -> Codes:
        """Validate codes, ``(codes, factors)`` or `rows` of both, and return them as `rows`."""
        return self._as_rows(codes, "codes")

    def _as_rows(self, codes: Any, name: str) -> Codes:
        check_fitted(self)
        n_bytes = self.code_bytes
        if isinstance(codes, tuple):
            if len(codes) != 2:
                raise ValueError(
                    f"{name} must be (codes, factors), as encode returns; got {len(codes)} arrays"
                )
            given = code_array(codes[0], name)
            factors = as_array(codes[1], "factors")
            if factors.dtype != np.float32 or factors.shape != (len(given), 2):
                raise ValueError(
                    f"the factors of {name} must be a float32 array ({len(given)}, 2), as encode returns; "
                    f"got {describe(codes[1])}"
                )
            if given.ndim != 2 or given.shape[1] != n_bytes:
                raise ValueError(f"{name} must have shape (n, {n_bytes}); got {given.shape}")
            rows = join_factors(given, factors)
        else:
            rows = code_array(codes, name)
            if rows.ndim != 2 or rows.shape[1] != n_bytes + 8:
                raise ValueError(
                    f"{name} must be a tuple (codes, factors), as encode returns, or an array "
                    f"(n, {n_bytes + 8}) of both, as transform returns; got shape {rows.shape}"
                )
        is_finite = np.isfinite(split_factors(rows)[1]).all(axis=1)
        if not is_finite.all():
            raise ValueError(f"the factors of row {is_finite.argmin()} of {name} are not finite")
        return rows

    def decode(self, codes: Any, *, threads: int | None = None) -> Floats:
        """Return the vectors that codes stand for: those whose inner products the estimates are.

        Parameters
        ----------
        codes : tuple (codes, factors), or uint8 array (n, n_bytes + 8)
            As `encode` or `transform` return them.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        float32 array (n, d)
            :math:`c + R^T f u`, which is longer than what was encoded where its error is large: of one bit,
            ``|f u|`` is about 1.25 times ``|o|``. For "cosine", what normalized vectors became.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            If `codes` have another dtype or shape.
        """
        return self._decode(codes, "codes", threads)

    def _decode(self, codes: Any, name: str, threads: int | None) -> Floats:
        bits, factors = split_factors(self._as_rows(codes, name))
        rotated = rabitq.decode(bits, factors, n_bits=self.n_bits, threads=threads)
        return self._rotated_back(rotated, threads) + self.center_

    # --- search --------------------------------------------------------------------------------------------

    @property
    def metrics(self) -> tuple[str, ...]:
        """The distance by which codes can be searched: the factors are for one."""
        return (self.metric,)

    def operand(self, queries: Array, metric: str, *, threads: int | None = None) -> tuple[Floats, Floats]:
        """Return rows of ``as_queries(queries)``, centered and rotated (nq, D), and their offsets (nq,)."""
        as_option(metric, "metric", self.metrics)
        x = self._normalized(queries)
        centered = self._centered(x, "queries")
        if metric == "l2":
            offsets = _inner(centered, centered)
        else:
            offsets = (1 if metric == "cosine" else 0) - _inner(x, self.center_)
        return self._rotated(centered, threads), offsets.astype(np.float32)

    def doubts(self, queries: Array) -> Floats:
        """Return how far estimates may be off for an error of length 1: for rows of ``as_queries(queries)``.

        The truth is farther away for about one rotation in twenty.
        """
        centered = self._normalized(queries) - self.center_  # as in `operand`, which checked them
        return self.doubts_at(np.sqrt(_inner(centered, centered)))

    def doubts_at(self, lengths: Doubles) -> Floats:
        """Return the `doubts` of queries at these distances from the center."""
        multiple = _DEVIATIONS * (2 if self.metric == "l2" else 1) / np.sqrt(max(self._n_dims - 1, 1))
        doubts: Floats = (multiple * lengths).astype(np.float32)
        return doubts

    def storage(self, metric: str) -> RaBitQStorage:
        """Return an empty storage for codes of this model."""
        if metric == "l2":
            return RaBitQStorage(self.code_bytes, self.n_bits, "l2", None)
        return RaBitQStorage(self.code_bytes, self.n_bits, "ip", self.error_ratio_)

    @property
    def code_bytes(self) -> int:
        """The bytes of a code, without its factors."""
        return self._n_dims // 8 * self.n_bits

    @property
    def _n_outputs(self) -> int:
        return self.code_bytes + 8

    # --- files ---------------------------------------------------------------------------------------------

    def _to_arrays(self) -> dict[str, Array]:
        ratio = np.array(self.error_ratio_)
        weights = {} if self._weights is None else {"weights": self._weights}
        return {"center": self.center_, "rotation": self.rotation_, "error_ratio": ratio, **weights}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        as_integer(self.n_bits, "n_bits", 1, 8)
        as_option(self.metric, "metric", _METRICS)
        self.center_ = _files.take(arrays, "center", np.float32, ("d",), finite=True)
        self.n_features_in_ = d = len(self.center_)
        if not 1 <= d <= rabitq.MAX_DIMENSIONS:
            raise ValueError(f"center has {d} numbers; expected 1 to {rabitq.MAX_DIMENSIONS}")
        as_option(self.rotation, "rotation", _ROTATIONS)
        if self._has_signs(d):
            self.rotation_ = _files.take(arrays, "rotation", np.uint8, (4, -(-d // 8)))
        else:
            self.rotation_ = _files.take(arrays, "rotation", np.float32, (self._n_dims, d), finite=True)
        if as_bool(self.calibrate, "calibrate"):
            n_dims = self._n_dims
            self.weights_ = _files.take(arrays, "weights", np.float32, (n_dims, n_dims), finite=True)
        self.error_ratio_ = float(_files.take(arrays, "error_ratio", np.float64, (), finite=True))


def _weights(rotated: Floats) -> Floats:
    """Return the square root of the second moments of rows, with a ridge."""
    mean, covariance = mean_and_covariance(rotated)
    values, vectors = np.linalg.eigh(covariance + np.outer(mean, mean))
    roots = np.sqrt(np.maximum(values, 0))
    weights = (vectors * roots) @ vectors.T
    weights[np.diag_indices_from(weights)] += _RIDGE * roots.mean()
    weights32: Floats = weights.astype(np.float32)
    return weights32


def _inner(x: Floats, y: Floats) -> Doubles:
    """Return the inner product of each row of `x` with that of `y`, or with the vector `y`, in float64."""
    product: Doubles = np.einsum("nd,nd->n", x, np.broadcast_to(y, x.shape), dtype=np.float64)
    return product
