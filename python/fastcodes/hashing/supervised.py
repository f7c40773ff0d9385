"""Supervised discrete hashing: bits that a linear classifier can read labels from."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._blocks import blocks
from fastcodes._linalg import random_rotation, squared_distances
from fastcodes._progress import progress
from fastcodes._typing import Array, Doubles, Floats
from fastcodes._validation import as_integer, random_generator
from fastcodes.hashing._targets import labeled_samples
from fastcodes.hashing.base import Hasher

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["SupervisedDiscreteHashing"]


_RIDGE = 1e-2  # of the regression of bits on anchors
_WIDTH = 0.6  # of the mean distance to anchors, where none is given
_SWEEPS = 10  # over the bits, in each iteration at most


class SupervisedDiscreteHashing(Hasher):
    r"""Find bits that labels can be read from, and a function of the samples that gives these bits.

    Minimises :math:`\lVert Y - B W \rVert^2 + \lambda \lVert W \rVert^2 + \nu (\lVert B - \phi(X) P
    \rVert^2 + \delta \lVert P \rVert^2)` over bits :math:`B \in \{-1, 1\}^{n \times k}`, a classifier W of
    these and the regression P, with the labels Y as zeros and ones (Shen, Shen, Liu and Tao Shen, *Supervised
    discrete hashing*, CVPR 2015, equation 5). :math:`\phi(x) = (\exp(-\lVert x - a_1 \rVert^2 / 2 \sigma^2),
    \dots, 1)` with samples as anchors :math:`a_j`. Takes turns: ridge regressions for W and P, and for the
    bits cyclic coordinate descent, :math:`b_k = \mathrm{sign}(q_k - B' W' w_k)` with :math:`Q = Y W^T + \nu
    \phi(X) P` and all other bits B' (equation 10), until no bit changes. No step raises the objective. New
    samples have the bits :math:`\phi(x) P > 0`.

    With ``solver="fast"`` it is the bits that are regressed on the labels, :math:`\lVert B - Y W \rVert^2 +
    \lambda \lVert W \rVert^2 + \nu \dots`, so that all are found at once: :math:`B = \mathrm{sign}(Y W + \nu
    \phi(X) P)` (Gui, Liu, Sun, Tao and Tan, *Fast supervised discrete hashing*, PAMI 40, 2018).

    Parameters
    ----------
    n_bits : int
        Bits k of a code; any number.
    n_anchors : int
        Number of anchors, at most; there are no more than samples.
    sigma : float or None
        Width of the Gaussians; None takes 0.6 times the mean distance of samples to anchors.
    solver : {"dcc", "fast"}
        Discrete cyclic coordinate descent, or the closed form.
    init : {"labels", "random"}
        The first bits: signs of the labels after a random rotation, so that the codes of classes are far from
        each other from the start, or random ones for each sample as in the papers. Bits depend much on it
        where there are few.
    classifier_penalty : float
        :math:`\lambda`, positive.
    embedding_penalty : float
        :math:`\nu`, positive.
    max_iter : int
        Iterations.
    max_samples : int or None
        Learn from so many random rows at most; None takes all of them. All of :math:`\phi(X)` is held in
        memory as float32.
    random_state : None, int or numpy random generator
        Where random numbers come from; an integer makes `fit` repeatable.
    verbose : bool
        Whether to show a progress bar; needs the extra ``cli``.

    Attributes
    ----------
    anchors_ : float32 array (m, d)
        The anchors.
    sigma_ : float
        The width of the Gaussians.
    weights_ : float32 array (m, k)
        P without its last row: what the Gaussians are multiplied by.
    intercept_ : float32 array (k,)
        The last row of P.
    objective_history_ : float64 array (max_iter + 1,)
        The objective divided by the number of samples: of the first bits, and after each iteration. Never
        rises.
    n_features_in_ : int
        The number of dimensions d.

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
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn anchors and regression.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, one a row: float16, float32, float64 or integers; a memory map is read only where it is
            needed.
        y : array_like (n,) or (n, c)
            Classes, numbers or strings; or zeros and ones that say which of `c` labels each sample has.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `X` are not real numbers, or a parameter has the wrong type.
        ValueError
            If `X` has another shape, a value that is not finite (the message says where), or samples that do
            not differ; if `y` does not fit `X`, or has one label only; or a parameter is out of range.
        """
        n_bits = as_integer(self.n_bits, "n_bits", 1)
        n_anchors, max_iter = (
            as_integer(self.n_anchors, "n_anchors", 1),
            as_integer(self.max_iter, "max_iter", 1),
        )
        if self.solver not in SOLVERS:
            raise ValueError(f"solver must be one of {', '.join(map(repr, SOLVERS))}; got {self.solver!r}")
        if self.init not in ("labels", "random"):
            raise ValueError(f'init must be "labels" or "random"; got {self.init!r}')
        for name in ("classifier_penalty", "embedding_penalty"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be a positive number; got {getattr(self, name)!r}")
        if self.sigma is not None and not 0 < self.sigma < np.inf:
            raise ValueError(f"sigma must be None or a positive number; got {self.sigma!r}")
        rng = random_generator(self.random_state)
        x, labels = labeled_samples(X, y, self.max_samples, rng, type(self).__name__)
        anchors = x[np.sort(rng.choice(len(x), min(n_anchors, len(x)), replace=False))]
        sigma = _width(x, anchors) if self.sigma is None else float(self.sigma)
        kernel = np.empty((len(x), len(anchors) + 1), np.float32)
        for rows, block in blocks(x, width=len(anchors)):
            kernel[rows, :-1] = _gaussians(block, anchors, sigma)
        kernel[:, -1] = 1
        signs = _first_bits(labels, n_bits, self.init, rng)
        with progress(self.verbose, max_iter, "supervised hashing") as step:
            weights, history = _train(
                kernel,
                labels,
                signs,
                SOLVERS[self.solver](self.classifier_penalty),
                self.embedding_penalty,
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
    def _n_bits(self) -> int:
        return int(self.weights_.shape[1])

    @property
    def _width(self) -> int:
        return max(int(length) for length in self.weights_.shape)

    def _values(self, x: Floats) -> Floats:
        values: Floats = _gaussians(x, self.anchors_, self.sigma_) @ self.weights_
        values += self.intercept_
        return values

    def _to_arrays(self) -> dict[str, Array]:
        return {
            "anchors": self.anchors_,
            "sigma": np.array(self.sigma_),
            "weights": self.weights_,
            "intercept": self.intercept_,
            "objective_history": self.objective_history_,
        }

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        anchors = _files.take(arrays, "anchors", np.float32, ("m", "d"), finite=True)
        weights = _files.take(arrays, "weights", np.float32, (len(anchors), "n_bits"), finite=True)
        intercept = _files.take(arrays, "intercept", np.float32, weights.shape[1:], finite=True)
        sigma = float(_files.take(arrays, "sigma", np.float64, (), finite=True))
        if not anchors.size or not weights.size or not sigma > 0:
            raise ValueError("anchors or weights are empty, or sigma is not positive")
        history = _files.take(arrays, "objective_history", np.float64, ("iterations",))
        self._learn(anchors, sigma, weights, intercept, history)


def _width(x: Floats, anchors: Floats) -> float:
    """Return a width of Gaussians that suits the samples."""
    total = 0.0
    for _, block in blocks(x, width=len(anchors)):
        total += float(np.sqrt(squared_distances(block, anchors)).sum(dtype=np.float64))
    mean = total / len(x) / len(anchors)
    if not mean > 0:
        raise ValueError("the samples of X do not differ; give samples that do")
    return _WIDTH * mean


def _gaussians(x: Floats, anchors: Floats, sigma: float) -> Floats:
    squares = squared_distances(x, anchors)
    squares *= np.float32(-1 / (2 * sigma**2))
    return np.exp(squares, out=squares)


def _first_bits(labels: Floats, n_bits: int, init: str, rng: np.random.Generator) -> Floats:
    """Return bits to begin with, as -1 and +1 (n, n_bits)."""
    if init == "random":
        values = rng.standard_normal((len(labels), n_bits), np.float32)
    else:
        n_labels = labels.shape[1]
        size = max(n_labels, n_bits)
        turn = random_rotation(size, size, rng)[:n_labels, :n_bits].astype(np.float32)
        values = (labels - labels.mean(axis=0)) @ turn
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
    """Return P (m + 1, k), and the objective of the first bits and after each iteration."""
    n, m = kernel.shape
    gram = np.zeros((m, m))  # of products in float64: _RIDGE is small beside what float32 would round
    for _, block in blocks(kernel):
        wide = block.astype(np.float64)
        gram += wide.T @ wide
    gram[np.diag_indices(m)] += _RIDGE
    lower = np.linalg.cholesky(gram)

    def learn(signs: Floats) -> tuple[Doubles, Floats, float]:
        """Regress all on the bits: return P, what it gives of the samples, and the objective."""
        solver.classify(labels, signs)
        weights: Doubles = np.linalg.solve(lower.T, np.linalg.solve(lower, kernel.T @ signs))
        fit = kernel @ weights.astype(np.float32)
        apart = float(np.square(signs - fit).sum(dtype=np.float64)) + _RIDGE * float((weights**2).sum())
        return weights, fit, (solver.loss(labels, signs) + penalty * apart) / n

    weights, fit, objective = learn(signs)
    history = [objective]
    for _ in range(max_iter):
        signs = solver.bits(labels, signs, fit, penalty)
        weights, fit, objective = learn(signs)
        history.append(objective)
        step(objective)
    return weights, np.array(history)


class _Solver(abc.ABC):
    """How bits and labels are regressed on each other."""

    def __init__(self, penalty: float) -> None:
        self.penalty = penalty

    @abc.abstractmethod
    def classify(self, labels: Floats, signs: Floats) -> None:
        """Learn the regression W that is best for the bits."""

    @abc.abstractmethod
    def loss(self, labels: Floats, signs: Floats) -> float:
        """Return its part of the objective."""

    @abc.abstractmethod
    def bits(self, labels: Floats, signs: Floats, fit: Floats, penalty: float) -> Floats:
        """Return bits, as -1 and +1, that are better for W and for their distance to `fit`."""

    def _regress(self, of: Floats, on: Floats) -> None:
        gram = (on.T @ on).astype(np.float64)
        gram[np.diag_indices(len(gram))] += self.penalty
        self._w = np.linalg.solve(gram, on.T @ of).astype(np.float32)

    def _loss(self, of: Floats, on: Floats) -> float:
        apart = float(np.square(of - on @ self._w).sum(dtype=np.float64))
        return apart + self.penalty * float(np.square(self._w).sum(dtype=np.float64))


class _CoordinateDescent(_Solver):
    """Labels are regressed on bits; these are improved one after the other."""

    def classify(self, labels: Floats, signs: Floats) -> None:
        self._regress(labels, signs)

    def loss(self, labels: Floats, signs: Floats) -> float:
        return self._loss(labels, signs)

    def bits(self, labels: Floats, signs: Floats, fit: Floats, penalty: float) -> Floats:
        wanted = labels @ self._w.T + np.float32(penalty) * fit
        # A column at a time is read and written.
        columns, wanted = signs.T.copy(), np.ascontiguousarray(wanted.T)
        products = signs @ self._w
        for _ in range(_SWEEPS):
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
    """Bits are regressed on labels, so that each bit is best by itself."""

    def classify(self, labels: Floats, signs: Floats) -> None:
        self._regress(signs, labels)

    def loss(self, labels: Floats, signs: Floats) -> float:
        return self._loss(signs, labels)

    def bits(self, labels: Floats, signs: Floats, fit: Floats, penalty: float) -> Floats:
        return np.copysign(np.float32(1), labels @ self._w + np.float32(penalty) * fit)


SOLVERS: dict[str, type[_Solver]] = {"dcc": _CoordinateDescent, "fast": _ClosedForm}
