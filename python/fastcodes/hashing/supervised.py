"""Supervised discrete hashing: bits from which a linear classifier predicts the labels."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._blocks import blocks
from fastcodes._linalg import check_scale, exact_product, projections, random_rotation, squared_distances
from fastcodes._progress import progress
from fastcodes._typing import Array, Doubles, Floats
from fastcodes._validation import as_integer, as_option, as_real, check_threads, random_generator
from fastcodes.hashing._targets import labeled_samples
from fastcodes.hashing.base import Hasher

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["SupervisedDiscreteHashing"]


_RIDGE = 1e-2  # penalty of the regression of bits on anchors
_RELATIVE_WIDTH = 0.6  # default width of the Gaussians, relative to the mean distance to anchors
_MAX_SWEEPS = 10  # over the bits, in each iteration


class SupervisedDiscreteHashing(Hasher):
    r"""Learn bits from which the labels can be predicted, and a function that maps samples to these bits.

    Minimizes :math:`\lVert Y - B W \rVert^2 + \lambda \lVert W \rVert^2 + \nu (\lVert B - \phi(X) P
    \rVert^2 + \delta \lVert P \rVert^2)` over bits :math:`B \in \{-1, 1\}^{n \times k}`, a classifier W of
    these and the regression P, with the labels Y as zeros and ones (Shen, Shen, Liu and Tao Shen, *Supervised
    discrete hashing*, CVPR 2015, equation 5). :math:`\phi(x) = (\exp(-\lVert x - a_1 \rVert^2 / 2 \sigma^2),
    \dots, 1)` with samples as anchors :math:`a_j`. It alternates between ridge regressions for W and P and
    cyclic coordinate descent for the bits, :math:`b_k = \mathrm{sign}(q_k - B' W' w_k)` with :math:`Q = Y W^T
    + \nu \phi(X) P` and all other bits B' (equation 10), until no bit changes. No step increases the
    objective. The bits of new samples are :math:`\phi(x) P > 0`.

    With ``solver="fast"`` the bits are regressed on the labels instead, :math:`\lVert B - Y W \rVert^2 +
    \lambda \lVert W \rVert^2 + \nu \dots`, which has a closed form for all bits: :math:`B = \mathrm{sign}(Y W
    + \nu \phi(X) P)` (Gui, Liu, Sun, Tao and Tan, *Fast supervised discrete hashing*, PAMI 40, 2018).

    Parameters
    ----------
    n_bits : int
        Bits k of a code; any number.
    n_anchors : int
        Maximum number of anchors; limited by the number of samples.
    sigma : float or None
        Width of the Gaussians; None means 0.6 times the mean distance of samples to anchors.
    solver : {"dcc", "fast"}
        Discrete cyclic coordinate descent, or the closed form.
    init : {"labels", "random"}
        The initial bits: signs of the labels after a random rotation, which separates the codes of the
        classes from the start, or random bits for each sample as in the papers. Short codes depend strongly
        on it.
    classifier_penalty : float
        :math:`\lambda`, positive.
    embedding_penalty : float
        :math:`\nu`, positive.
    max_iter : int
        Number of iterations.
    max_samples : int or None
        Maximum number of random rows to learn from; None uses all rows. :math:`\phi(X)` is held in memory as
        float32.
    random_state : None, int or numpy random generator
        Source of randomness; an integer makes `fit` repeatable.
    output : {"packed", "bits", "signs"}
        What `transform` returns: the packed codes of `encode`, features that are 0 or 1, or features that are
        -1 or +1.
    verbose : bool
        Whether to show a progress bar; needs the extra ``cli``.

    Attributes
    ----------
    anchors_ : float32 array (m, d)
        The anchors.
    sigma_ : float
        The width of the Gaussians.
    weights_ : float32 array (m, k)
        P without its last row: the weights of the Gaussians.
    intercept_ : float32 array (k,)
        The last row of P.
    objective_history_ : float64 array (max_iter + 1,)
        The objective divided by the number of samples, for the initial bits and after each iteration. Never
        increases.
    n_iter_ : int
        The number of iterations, one less than the length of `objective_history_`.
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.hashing import SupervisedDiscreteHashing
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(4, size=1000)
    >>> X = rng.normal(size=(4, 8))[y] + 0.3 * rng.normal(size=(1000, 8))
    >>> sdh = SupervisedDiscreteHashing(n_bits=16, n_anchors=100, random_state=0).fit(X, y)
    >>> codes = sdh.encode(X)
    >>> codes.shape
    (1000, 2)
    >>> len(np.unique(codes, axis=0)) < 40  # most samples of a class have the same code
    True
    """

    _learned = "weights_"
    _needs_target = True
    anchors_: Floats
    sigma_: float
    weights_: Floats
    intercept_: Floats
    objective_history_: Doubles

    def __init__(
        self,
        n_bits: int = 64,
        *,
        n_anchors: int = 1000,
        sigma: float | None = None,
        solver: str = "dcc",
        init: str = "labels",
        classifier_penalty: float = 1.0,
        embedding_penalty: float = 1e-5,
        max_iter: int = 5,
        max_samples: int | None = 65536,
        random_state: Any = None,
        output: str = "packed",
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.n_anchors = n_anchors
        self.sigma = sigma
        self.solver = solver
        self.init = init
        self.classifier_penalty = classifier_penalty
        self.embedding_penalty = embedding_penalty
        self.max_iter = max_iter
        self.max_samples = max_samples
        self.random_state = random_state
        self.output = output
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: Any = None, *, threads: int | None = None) -> Self:
        """Learn anchors and regression.

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
        n_anchors, max_iter = (
            as_integer(self.n_anchors, "n_anchors", 1),
            as_integer(self.max_iter, "max_iter", 1),
        )
        solver, init = as_option(self.solver, "solver", SOLVERS), as_option(self.init, "init", _INITS)
        classifier_penalty = as_real(self.classifier_penalty, "classifier_penalty", above=0)
        embedding_penalty = as_real(self.embedding_penalty, "embedding_penalty", above=0)
        sigma = None if self.sigma is None else as_real(self.sigma, "sigma", above=0)
        rng = random_generator(self.random_state)
        x, labels = labeled_samples(self._training_samples(X), y, self.max_samples, rng, type(self).__name__)
        check_scale(x)
        anchors = x[np.sort(rng.choice(len(x), min(n_anchors, len(x)), replace=False))]
        sigma = _width(x, anchors) if sigma is None else sigma
        kernel = np.empty((len(x), len(anchors) + 1), np.float32)
        for rows, block in blocks(x, width=len(anchors)):
            kernel[rows, :-1] = _gaussians(block, anchors, sigma)
        kernel[:, -1] = 1
        signs = _initial_bits(labels, n_bits, init, rng)
        with progress(self.verbose, max_iter, "supervised hashing") as step:
            weights, history = _train(
                kernel,
                labels,
                signs,
                SOLVERS[solver](classifier_penalty),
                embedding_penalty,
                max_iter,
                step,
            )
        self._learn(anchors, sigma, weights[:-1], weights[-1], history)
        return self

    def _learn(
        self,
        anchors: Floats,
        sigma: float,
        weights: Array,
        intercept: Array,
        history: Doubles,
    ) -> None:
        self.anchors_, self.sigma_ = anchors, sigma
        self.weights_ = np.ascontiguousarray(weights, np.float32)
        self.intercept_ = np.ascontiguousarray(intercept, np.float32)
        self.objective_history_ = history
        self.n_features_in_ = anchors.shape[1]

    @property
    def n_iter_(self) -> int:
        """The number of iterations."""
        return max(len(self.objective_history_) - 1, 0)

    @property
    def _n_bits(self) -> int:
        return int(self.weights_.shape[1])

    @property
    def _width(self) -> int:
        return max(int(length) for length in self.weights_.shape)

    def _values(self, x: Floats, threads: int | None) -> Floats:
        return exact_product(*self._factors(x))

    def _signed(self, x: Floats, threads: int | None) -> Floats:
        kernel, weights = self._factors(x)
        return projections(kernel, weights.T)

    def _factors(self, x: Floats) -> tuple[Floats, Floats]:
        """Return two matrices whose product is the values."""
        kernel = np.ones((len(x), len(self.anchors_) + 1), np.float32)
        kernel[:, :-1] = _gaussians(x, self.anchors_, self.sigma_)
        return kernel, np.column_stack([self.weights_.T, self.intercept_]).T

    def _to_arrays(self) -> dict[str, Array]:
        return {
            "anchors": self.anchors_,
            "sigma": np.array(self.sigma_),
            "weights": self.weights_,
            "intercept": self.intercept_,
            "objective_history": self.objective_history_,
        }

    def _restore(self, arrays: Mapping[str, Array]) -> None:
        anchors = _files.take(arrays, "anchors", np.float32, ("m", "d"), finite=True)
        weights = _files.take(arrays, "weights", np.float32, (len(anchors), "n_bits"), finite=True)
        intercept = _files.take(arrays, "intercept", np.float32, weights.shape[1:], finite=True)
        sigma = float(_files.take(arrays, "sigma", np.float64, (), finite=True))
        if not anchors.size or not weights.size or not sigma > 0:
            raise ValueError("anchors or weights are empty, or sigma is not positive")
        history = _files.take(arrays, "objective_history", np.float64, ("iterations",))
        self._learn(anchors, sigma, weights, intercept, history)


def _width(x: Floats, anchors: Floats) -> float:
    """Return a width of the Gaussians proportional to the mean distance to the anchors."""
    total = 0.0
    for _, block in blocks(x, width=len(anchors)):
        total += float(np.sqrt(squared_distances(block, anchors)).sum(dtype=np.float64))
    mean = total / len(x) / len(anchors)
    if not mean > 0:
        raise ValueError(f"the samples of X do not differ (n_samples={len(x)}); give samples that do")
    return _RELATIVE_WIDTH * mean


def _gaussians(x: Floats, anchors: Floats, sigma: float) -> Floats:
    squares = squared_distances(x, anchors)
    # A finite factor, since zero times infinity has no value; its products may be infinite.
    with np.errstate(over="ignore"):
        squares *= np.float32(-0.5 / max(sigma * sigma, 1e-38))
    return np.exp(squares, out=squares)


def _initial_bits(labels: Floats, n_bits: int, init: str, rng: np.random.Generator) -> Floats:
    """Return the initial bits, as -1 and +1 (n, n_bits)."""
    if init == "random":
        values = rng.standard_normal((len(labels), n_bits), np.float32)
    else:
        n_labels = labels.shape[1]
        size = max(n_labels, n_bits)
        rotation = random_rotation(size, size, rng)[:n_labels, :n_bits].astype(np.float32)
        values = (labels - labels.mean(axis=0)) @ rotation
    return np.copysign(np.float32(1), values)


def _train(
    kernel: Floats,
    labels: Floats,
    signs: Floats,
    solver: _Solver,
    penalty: float,
    max_iter: int,
    step: Callable[[float], None],
) -> tuple[Doubles, Doubles]:
    """Return P (m + 1, k), and the objective for the initial bits and after each iteration."""
    n, m = kernel.shape
    gram = np.zeros((m, m))  # products in float64: _RIDGE is small compared with float32 rounding errors
    for _, block in blocks(kernel):
        wide = block.astype(np.float64)
        gram += wide.T @ wide
    gram[np.diag_indices(m)] += _RIDGE
    lower = np.linalg.cholesky(gram)

    def learn(signs: Floats) -> tuple[Doubles, Floats, float]:
        """Fit both regressions to the bits: return P, the fitted values, and the objective."""
        solver.classify(labels, signs)
        weights: Doubles = np.linalg.solve(lower.T, np.linalg.solve(lower, kernel.T @ signs))
        fit = kernel @ weights.astype(np.float32)
        residual = float(np.square(signs - fit).sum(dtype=np.float64)) + _RIDGE * float((weights**2).sum())
        return weights, fit, (solver.loss(labels, signs) + penalty * residual) / n

    weights, fit, objective = learn(signs)
    history = [objective]
    for _ in range(max_iter):
        signs = solver.bits(labels, signs, fit, penalty)
        weights, fit, objective = learn(signs)
        history.append(objective)
        step(objective)
    return weights, np.array(history)


class _Solver(abc.ABC):
    """The regression between bits and labels."""

    def __init__(self, penalty: float) -> None:
        self.penalty = penalty

    @abc.abstractmethod
    def classify(self, labels: Floats, signs: Floats) -> None:
        """Fit the regression W to the bits."""

    @abc.abstractmethod
    def loss(self, labels: Floats, signs: Floats) -> float:
        """Return the part of the objective that depends on W."""

    @abc.abstractmethod
    def bits(self, labels: Floats, signs: Floats, fit: Floats, penalty: float) -> Floats:
        """Return bits, as -1 and +1, with a smaller objective, given W and the fitted values."""

    def _regress(self, of: Floats, on: Floats) -> None:
        gram = (on.T @ on).astype(np.float64)
        gram[np.diag_indices(len(gram))] += self.penalty
        self._w = np.linalg.solve(gram, on.T @ of).astype(np.float32)

    def _loss(self, of: Floats, on: Floats) -> float:
        residual = float(np.square(of - on @ self._w).sum(dtype=np.float64))
        return residual + self.penalty * float(np.square(self._w).sum(dtype=np.float64))


class _CoordinateDescent(_Solver):
    """Labels are regressed on bits, which are updated one at a time."""

    def classify(self, labels: Floats, signs: Floats) -> None:
        self._regress(labels, signs)

    def loss(self, labels: Floats, signs: Floats) -> float:
        return self._loss(labels, signs)

    def bits(self, labels: Floats, signs: Floats, fit: Floats, penalty: float) -> Floats:
        wanted = labels @ self._w.T + np.float32(penalty) * fit
        # Transposed, since one bit of all samples is updated at a time.
        columns, wanted = signs.T.copy(), np.ascontiguousarray(wanted.T)
        products = signs @ self._w
        for _ in range(_MAX_SWEEPS):
            n_changed = 0
            for column, wish, w in zip(columns, wanted, self._w, strict=True):
                new = np.copysign(np.float32(1), wish - products @ w + column * (w @ w))
                changed = np.flatnonzero(new != column)
                products[changed] += np.outer(2 * new[changed], w)
                column[:] = new
                n_changed += len(changed)
            if not n_changed:
                break
        return np.ascontiguousarray(columns.T)


class _ClosedForm(_Solver):
    """Bits are regressed on labels, so that each bit has a closed form."""

    def classify(self, labels: Floats, signs: Floats) -> None:
        self._regress(signs, labels)

    def loss(self, labels: Floats, signs: Floats) -> float:
        return self._loss(signs, labels)

    def bits(self, labels: Floats, signs: Floats, fit: Floats, penalty: float) -> Floats:
        return np.copysign(np.float32(1), labels @ self._w + np.float32(penalty) * fit)


_INITS = ("labels", "random")
SOLVERS: dict[str, type[_Solver]] = {"dcc": _CoordinateDescent, "fast": _ClosedForm}
