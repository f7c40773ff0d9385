"""Optimized product quantization: a learned rotation before the product quantizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files, _native
from fastcodes._blocks import sample
from fastcodes._linalg import (
    PrincipalComponents,
    centered_product,
    check_scale,
    exact_product,
    nearest_rotation,
    principal_components,
)
from fastcodes._progress import progress
from fastcodes._typing import Array, Codes, Doubles, Floats, UnsignedCodes
from fastcodes._validation import as_array, as_integer, as_option, random_generator, to_float32
from fastcodes.quantization import _lloyd
from fastcodes.quantization.base import METRICS
from fastcodes.quantization.product import (
    ProductQuantizer,
    as_codebooks,
    as_subspaces,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["OptimizedProductQuantizer"]


# Real data have many last principal components with almost no variance: rotations are learned without them.
_IGNORED_VARIANCE = 0.002
# Rotations are first learned on a sample, with the number of codewords divided by each of these.
_COARSE_DIVISORS = (16, 8, 4, 2, 1)
_MIN_COARSE_CODEWORDS = 4
_MIN_COARSE_ROWS = 8192
_ROWS_PER_CODEWORD = 64
_FIRST_STEPS = 3  # of k-means, before the first rotation
_LAST_STEPS = 5  # of k-means, after the last rotation


class OptimizedProductQuantizer(ProductQuantizer):
    r"""Rotate vectors to minimize the error of a product quantizer, then quantize.

    Minimizes :math:`\frac1n \sum_i \lVert R x_i - q(R x_i) \rVert^2` over the codebooks of a
    `ProductQuantizer` q and a rotation :math:`R` with :math:`R^T R = I` (Ge, He, Ke and Sun, *Optimized
    product quantization for approximate nearest neighbor search*, CVPR 2013), alternating between one step of
    k-means and the rotation that minimizes the distance of the samples to their reconstructions, the rows of
    :math:`Y`: :math:`R = V U^T` with :math:`X^T Y = U S V^T`. Neither step increases the objective.

    The result depends on the initial rotation. Two candidates of that paper are tried, and the one with the
    smaller error after a few steps of k-means is used: the parametric solution, which allocates principal
    components so that the products of their variances are equal in all subspaces, optimal for Gaussian data;
    and the identity, which is better where adjacent dimensions are related, as in images and SIFT. Rotations
    are then learned on a sample of the rows with a sixteenth of the codewords, doubled in each stage, before
    the objective is minimized over all rows: with few codewords a rotation can change a lot, with many it
    stays close to the previous one. On pixels of MNIST these stages lower the error by an eighth; where they
    do not help, they are undone.

    Parameters
    ----------
    n_subspaces, n_codewords, n_init, max_samples, metric, random_state, verbose
        As in `ProductQuantizer`.
    init : {"k-means++", "random"}
        As in `ProductQuantizer`, but samples that are far from each other are the default: the first stages
        have few codewords, which should not miss a cluster.
    max_iter : int
        Limits the number of rotations: half as many in each stage, and a quarter as many over all rows. A few
        steps of k-means precede the first rotation and follow the last one.

    Attributes
    ----------
    rotation_ : float32 array (d, n_features)
        Orthonormal rows, as many as columns unless the rotation was given; row ``i`` is the direction that
        becomes dimension ``i``: ``x @ rotation_.T`` is quantized. The layout of faiss.
    codebooks_ : float32 array (M, K, d/M)
        Codewords of the rotated vectors.
    objective_history_ : float64 array (iterations + 1,)
        The mean squared error of the training samples over all rows: before the first rotation, after each
        one, and after each of the last steps of k-means. Never increases, except for float32 rounding. Empty
        if the codebooks were given.
    n_iter_ : int
        The number of iterations, one less than the length of `objective_history_`.
    n_features_in_ : int
        The number of dimensions of a sample, d unless the rotation reduces them.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.quantization import OptimizedProductQuantizer, ProductQuantizer
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(2000, 8)) @ rng.normal(size=(8, 8))  # correlated dimensions
    >>> opq = OptimizedProductQuantizer(n_subspaces=4, n_codewords=16, random_state=0).fit(X)
    >>> pq = ProductQuantizer(n_subspaces=4, n_codewords=16, random_state=0).fit(X)
    >>> opq.quantization_error(X) < pq.quantization_error(X)
    True
    >>> np.allclose(opq.rotation_ @ opq.rotation_.T, np.eye(8), atol=1e-5)
    True
    """

    rotation_: Floats

    def __init__(
        self,
        n_subspaces: int = 8,
        n_codewords: int = 256,
        *,
        init: str = "k-means++",
        n_init: int = 1,
        max_iter: int = 25,
        max_samples: int | None = 65536,
        metric: str = "l2",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            n_subspaces,
            n_codewords,
            init=init,
            n_init=n_init,
            max_iter=max_iter,
            max_samples=max_samples,
            metric=metric,
            random_state=random_state,
            verbose=verbose,
        )

    @classmethod
    def from_codebooks(  # type: ignore[override]  # a rotation is needed here
        cls, codebooks: ArrayLike, rotation: ArrayLike, *, metric: str = "l2"
    ) -> Self:
        """Return a fitted quantizer with given codebooks and rotation.

        Parameters
        ----------
        codebooks : array_like (M, K, d/M)
            Finite numbers, converted to float32 and copied. K is from 1 to 256.
        rotation : array_like (d, n_features)
            Orthonormal rows: the codebooks quantize ``x @ rotation.T``. Fewer rows than columns reduce the
            dimensions too, as a principal component analysis does.
        metric : {"l2", "ip"}
            The entries of `tables`.

        Returns
        -------
        OptimizedProductQuantizer

        Raises
        ------
        TypeError, ValueError
            If `codebooks`, `rotation` or `metric` is invalid.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.quantization import OptimizedProductQuantizer
        >>> swap = [[0, 1], [1, 0]]
        >>> opq = OptimizedProductQuantizer.from_codebooks([[[0.0], [1.0]], [[0.0], [10.0]]], swap)
        >>> opq.encode([[8.0, 0.9]])
        array([[1, 1]], dtype=uint8)
        """
        codebooks = as_codebooks(codebooks).copy()
        model = cls(*codebooks.shape[:2], metric=as_option(metric, "metric", METRICS))
        model.rotation_ = _as_rotation(rotation, codebooks).copy()
        model._learn(codebooks, np.empty(0))
        model.n_features_in_ = model.rotation_.shape[1]
        return model

    def fit(self, X: ArrayLike, y: object = None, *, threads: int | None = None) -> Self:
        """Learn the rotation and the codebooks.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, one per row: float16, float32, float64 or integers. Of a memory map, only the rows that
            are used are read. At least as many as codewords.
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
            If `X` has another shape, a value that is not finite (the message says where), too few rows or a
            number of dimensions that is not a multiple of `n_subspaces`, or a parameter is out of range.
        """
        n_codewords = as_integer(self.n_codewords, "n_codewords", 1, _lloyd.BYTE)
        n_init, max_iter = as_integer(self.n_init, "n_init", 1), as_integer(self.max_iter, "max_iter", 1)
        as_option(self.metric, "metric", METRICS)
        init = as_option(self.init, "init", _lloyd.SEEDS)
        rng = random_generator(self.random_state)
        samples = self._training_samples(X, n_codewords, "n_codewords")
        x = sample(samples, self.max_samples, rng, at_least=n_codewords)
        n_subspaces = as_subspaces(self.n_subspaces, x.shape[1])
        check_scale(x)

        data = _reduced(x)
        starts = [np.eye(x.shape[1]), _allocated(data.components, n_subspaces)]
        n_coarse = len(_coarse_stages(len(x), n_codewords))
        n_steps = sum(_n_rotations(max_iter, n_coarse)) + _LAST_STEPS
        with progress(self.verbose, n_init * n_steps, "rotation and quantizer") as step:
            runs = [
                _Training(x, data, n_subspaces, init, rng, step, threads).run(starts, n_codewords, max_iter)
                for _ in range(n_init)
            ]
        history, rotation, codebooks = min(runs, key=lambda run: float(run[0][-1]))
        self.rotation_ = rotation
        self._learn(codebooks, history)
        return self

    def decode(self, codes: Codes, *, threads: int | None = None) -> Floats:
        """Return the vectors that the codes stand for, rotated back.

        Parameters
        ----------
        codes : uint8 array (n, M)
            Codes from `encode`.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        float32 array (n, d)
            Row ``i`` is the concatenation of ``codebooks_[m, codes[i, m]]``, times `rotation_`.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            If `codes` has another dtype or shape, or a code that is not below the number of codewords.
        """
        return self._decode(codes, "codes", threads)

    def _decode(self, codes: Codes, name: str, threads: int | None) -> Floats:
        return super()._decode(codes, name, threads) @ self.rotation_

    def encode(self, X: ArrayLike, *, threads: int | None = None) -> Codes:  # noqa: D102
        samples = self._samples(X)
        return _lloyd.nearest_codes(samples, self.codebooks_, threads=threads, prepare=self._rotated)

    def _rotated(self, x: Floats) -> Floats:
        return exact_product(x, self.rotation_.T)

    def _to_arrays(self) -> dict[str, Array]:
        return {**super()._to_arrays(), "rotation": self.rotation_}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        super()._from_arrays(arrays)
        rotation = _files.take(arrays, "rotation", np.float32, ("d", "n_features"))
        self.rotation_ = _as_rotation(rotation, self.codebooks_)
        self.n_features_in_ = self.rotation_.shape[1]


class _Reduced(NamedTuple):
    """Samples in their first principal components."""

    components: PrincipalComponents
    x: Floats  # (n, r): the centered samples in the first r components

    @property
    def ignored(self) -> float:
        """The mean squared length of the components that `x` leaves out."""
        return float(self.components.variances[self.x.shape[1] :].sum())


def _reduced(x: Floats) -> _Reduced:
    components = principal_components(x)
    held = np.cumsum(components.variances)
    r = min(int(np.searchsorted(held, (1 - _IGNORED_VARIANCE) * held[-1])) + 1, x.shape[1])
    return _Reduced(components, centered_product(x, components.mean, components.vectors[:, :r]))


def _allocated(components: PrincipalComponents, n_subspaces: int) -> Doubles:
    """Return the components as columns, each allocated to the subspace with the smallest product so far."""
    variances = components.variances
    # In units of a negligible variance, so that every product grows.
    unit = max(1e-6 * variances[0], np.finfo(np.float64).tiny)
    room = len(variances) // n_subspaces
    products = np.zeros(n_subspaces)
    columns: list[list[int]] = [[] for _ in range(n_subspaces)]
    for i, growth in enumerate(np.log(np.maximum(variances / unit, 1))):
        m = min(range(n_subspaces), key=lambda m: (len(columns[m]) == room, products[m], len(columns[m])))
        columns[m].append(i)
        products[m] += growth
    return components.vectors[:, np.concatenate(columns)]


def _coarse_stages(n: int, n_codewords: int) -> list[tuple[int, int]]:
    """Return the numbers of codewords and rows of the stages that precede the one over all `n` rows."""
    numbers = [k for k in (n_codewords // part for part in _COARSE_DIVISORS) if k >= _MIN_COARSE_CODEWORDS]
    stages = [(k, max(_MIN_COARSE_ROWS, _ROWS_PER_CODEWORD * k)) for k in numbers]
    return [(k, rows) for k, rows in stages if k < n_codewords or rows < n]


def _n_rotations(max_iter: int, n_coarse: int) -> list[int]:
    """Return the number of rotations of each coarse stage, and of the last stage."""
    return [-(-max_iter // 2)] * n_coarse + [-(-max_iter // 4) if n_coarse else max_iter]


class _Training(NamedTuple):
    """The alternating minimization over rotation and codebooks.

    A rotation is represented by the matrix (r, d) that maps the reduced samples to the rotated dimensions.
    """

    x: Floats  # (n, d)
    data: _Reduced
    n_subspaces: int
    init: str
    rng: np.random.Generator
    step: Callable[[float], None]
    threads: int | None

    def run(self, starts: list[Doubles], n_codewords: int, max_iter: int) -> tuple[Doubles, Floats, Floats]:
        """Return objective history, rotation and codebooks."""
        n, d = self.x.shape
        components, reduced = self.data.components, self.data.x
        r, vectors = reduced.shape[1], components.vectors
        rotations = [vectors[:, :r].T @ start for start in starts]
        errors = [self._initial_error(rotation, n_codewords) for rotation in rotations]
        best = int(np.argmin(errors))
        rotation = rotations[best]
        coarse = _coarse_stages(n, n_codewords)
        *n_coarse, n_last = _n_rotations(max_iter, len(coarse))
        codebooks = None
        for (k, n_rows), n_rotations in zip(coarse, n_coarse, strict=True):
            some = sample(reduced, n_rows, self.rng)
            codebooks = self._few_steps(some, rotation, k)[0]
            codebooks, rotation, _ = self._alternate(some, rotation, codebooks, n_rotations)
        if coarse and self._initial_error(rotation, n_codewords) > errors[best]:
            codebooks, rotation = None, rotations[best]
        if codebooks is None or codebooks.shape[1] < n_codewords:
            codebooks = self._few_steps(reduced, rotation, n_codewords)[0]
        codebooks, rotation, history = self._alternate(reduced, rotation, codebooks, n_last)

        # The ignored components keep the dimensions of the initial rotation, orthogonal to the learned ones.
        rest = vectors[:, r:].T @ starts[best]
        rest -= rest @ rotation.T @ rotation
        full = (vectors @ nearest_rotation(np.concatenate([rotation, rest]))).T
        codebooks, inertia = _lloyd.iterate(
            centered_product(self.x, components.mean, full.T),
            codebooks,
            _lloyd.Partition(n, *codebooks.shape, threads=self.threads),
            max_iter=_LAST_STEPS,
            tol=0.0,
            step=self.step,
        )
        # The first value repeats the last objective, up to rounding.
        history = np.concatenate([history, inertia[1:].sum(axis=1) / n])
        shift = (full @ components.mean).reshape(self.n_subspaces, 1, d // self.n_subspaces)
        return history, full.astype(np.float32), (codebooks + shift).astype(np.float32)

    def _initial_error(self, rotation: Doubles, n_codewords: int) -> float:
        """Return the mean error of some rotated samples after a few steps of k-means."""
        some = sample(self.data.x, _ROWS_PER_CODEWORD * n_codewords, self.rng)
        return float(self._few_steps(some, rotation, n_codewords)[1][-1].sum()) / len(some)

    def _few_steps(self, x: Floats, rotation: Doubles, n_codewords: int) -> tuple[Floats, Doubles]:
        """Return codebooks of ``x @ rotation`` after a few steps of k-means, and their errors."""
        return _lloyd.train(
            x @ rotation.astype(np.float32),
            self.n_subspaces,
            n_codewords,
            init=self.init,
            n_init=1,
            max_iter=_FIRST_STEPS,
            tol=0.0,
            rng=self.rng,
            step=lambda error: None,
            threads=self.threads,
        )

    def _alternate(
        self, x: Floats, rotation: Doubles, codebooks: Floats, n_rotations: int
    ) -> tuple[Floats, Doubles, Doubles]:
        """Alternate k-means and rotation; return codebooks, rotation and objectives."""
        n, ignored = len(x), self.data.ignored
        rotated = x @ rotation.astype(np.float32)
        partition = _lloyd.Partition(n, *codebooks.shape, threads=self.threads)
        history = [float(partition.assign(rotated, codebooks).sum()) / n + ignored]
        for _ in range(n_rotations):
            means = partition.means(rotated, codebooks)
            cross = self._cross(x, partition.codes, means)
            # The second term keeps directions that are orthogonal to all codewords.
            new = nearest_rotation(cross + 1e-6 * np.linalg.norm(cross) * rotation)
            np.matmul(x, new.astype(np.float32), out=rotated)
            objective = float(partition.assign(rotated, means).sum()) / n + ignored
            if not objective < history[-1]:
                break  # no progress beyond rounding
            codebooks, rotation = means, new
            history.append(objective)
            self.step(objective)
        return codebooks, rotation, np.array(history)

    def _cross(self, x: Floats, codes: UnsignedCodes, codebooks: Floats) -> Doubles:
        """Return ``x.T @ y`` for the decoded codes ``y``, from the sums of the samples with equal codes."""
        n_subspaces, n_codewords, d_sub = codebooks.shape
        cross = np.empty((x.shape[1], n_subspaces * d_sub))
        sums, counts = np.empty((1, n_codewords, x.shape[1])), np.empty((1, n_codewords), np.int64)
        for m, codebook in enumerate(codebooks):
            _native.adc_sums(x, np.ascontiguousarray(codes[:, m : m + 1]), sums, counts, self.threads)
            cross[:, m * d_sub : (m + 1) * d_sub] = sums[0].T @ codebook
        return cross


def _as_rotation(rotation: ArrayLike, codebooks: Floats) -> Floats:
    """Return a float32 matrix of orthonormal rows that fits the codebooks."""
    rotation = as_array(rotation, "rotation")
    d = codebooks.shape[0] * codebooks.shape[2]
    if rotation.dtype.kind not in "iuf":
        raise TypeError(f"rotation must be real numbers; got an array of dtype {rotation.dtype}")
    if rotation.ndim != 2 or len(rotation) != d or rotation.shape[1] < d:
        raise ValueError(
            f"rotation must have shape ({d}, {d}), or more columns, to fit the codebooks; "
            f"got {rotation.shape}"
        )
    rotation = to_float32(rotation)
    with np.errstate(all="ignore"):
        error = np.abs(rotation @ rotation.T - np.eye(d)).max()
    if not error < 1e-3:
        raise ValueError(
            "rotation must have orthonormal rows, rotation @ rotation.T being the identity; "
            f"it differs from that by {error:.3g}"
        )
    return rotation
