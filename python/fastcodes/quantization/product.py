"""Product quantisation: one codeword for each part of a vector."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files, adc
from fastcodes._blocks import blocks, training_samples
from fastcodes._estimator import check_fitted
from fastcodes._progress import progress
from fastcodes._typing import Array, Codes, Doubles, Floats
from fastcodes._validation import as_codes, as_integer, random_generator
from fastcodes.quantization import _lloyd
from fastcodes.quantization.base import Quantizer

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ProductQuantizer"]


class ProductQuantizer(Quantizer):
    r"""Replace a vector by M small integers: the nearest codeword of each of its M parts.

    A vector is cut into M parts of d/M dimensions, :math:`x = (x_1, \dots, x_M)`, and each part is quantised
    by a codebook of its own: :math:`q(x) = (q_1(x_1), \dots, q_M(x_M))` (Jegou, Douze and Schmid, PAMI 33,
    2011, equation 8). So M bytes tell :math:`256^M` vectors apart, and the squared distance of a query to one
    of them is a sum of M numbers out of `tables` (equation 13, asymmetric distance computation), which is
    what `fastcodes.adc` searches by.

    Parameters
    ----------
    n_subspaces : int
        Number of parts M; has to divide the number of dimensions.
    n_codewords : int
        Codewords K of each codebook, from 1 to 256. A code is a byte in any case; with 16, searches are
        fastest.
    init : {"random", "k-means++"}
        What k-means starts from: random samples, as in faiss, or samples that are far from each other. The
        latter misses fewer clusters, and spends codewords on what is rare.
    n_init : int
        How often to start from new seeds; the best run is kept, in each subspace by itself.
    max_iter : int
        Iterations of k-means at most.
    max_samples : int or None
        Train on so many random rows at most, 256 for each codeword by default; None takes all of them.
    metric : {"l2", "ip"}
        What `tables` holds: squared L2 distances, or negative inner products.
    random_state : None, int or numpy random generator
        Where random numbers come from; an integer makes `fit` repeatable.
    verbose : bool
        Whether to show a progress bar; needs the extra ``cli``.

    Attributes
    ----------
    codebooks_ : float32 array (M, K, d/M)
        ``codebooks_[m, k]`` is what code ``k`` stands for in dimensions ``m * d/M`` to ``(m + 1) * d/M - 1``;
        the layout of faiss and nanopq.
    objective_history_ : float64 array (iterations + 1,)
        The mean squared error of the training samples: of the seeds, and after each iteration. Never rises.
        Empty if the codebooks were given.
    n_features_in_ : int
        The number of dimensions d.

    See Also
    --------
    OptimizedProductQuantizer : Rotates first, so that the parts are worth the same: a smaller error.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import adc
    >>> from fastcodes.quantization import ProductQuantizer
    >>> X = np.random.default_rng(0).normal(size=(1000, 8)).astype(np.float32)
    >>> pq = ProductQuantizer(n_subspaces=4, n_codewords=16, random_state=0).fit(X)
    >>> codes = pq.encode(X)
    >>> codes.shape, pq.decode(codes).shape
    ((1000, 4), (1000, 8))
    >>> pq.tables(X[:2]).shape
    (2, 4, 16)
    >>> distances = adc.scan(pq.tables(X[:2]), codes)
    >>> np.allclose(distances[0], ((X[0] - pq.decode(codes)) ** 2).sum(axis=1), atol=1e-5)
    True
    """

    _learned = "codebooks_"

    def __init__(
        self,
        n_subspaces: int = 8,
        n_codewords: int = 256,
        *,
        init: str = "random",
        n_init: int = 1,
        max_iter: int = 25,
        max_samples: int | None = 65536,
        metric: str = "l2",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.n_subspaces = n_subspaces
        self.n_codewords = n_codewords
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.max_samples = max_samples
        self.metric = metric
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def from_codebooks(cls, codebooks: ArrayLike, metric: str = "l2") -> Self:
        """Make a fitted quantiser of codebooks from elsewhere.

        Parameters
        ----------
        codebooks : array_like (M, K, d/M)
            Finite numbers, converted to float32 and copied. K is from 1 to 256.
        metric : {"l2", "ip"}
            What `tables` holds.

        Returns
        -------
        ProductQuantizer

        Raises
        ------
        TypeError, ValueError
            If `codebooks` are not such numbers, or for another `metric`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.quantization import ProductQuantizer
        >>> pq = ProductQuantizer.from_codebooks([[[0.0], [1.0]], [[0.0], [10.0]]])
        >>> pq.encode([[0.8, 3.0]])
        array([[1, 0]], dtype=uint8)
        """
        codebooks = checked_codebooks(codebooks).copy()
        model = cls(*codebooks.shape[:2], metric=check_metric(metric))
        model._learn(codebooks, np.empty(0))
        return model

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn the codebooks by k-means, in all subspaces at once.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, one a row: float16, float32, float64 or integers; a memory map is read only where it is
            needed. At least as many as codewords.
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
            If `X` has another shape, a value that is not finite (the message says where), too few rows or a
            number of dimensions that `n_subspaces` does not divide, or a parameter is out of range.
        """
        n_codewords = as_integer(self.n_codewords, "n_codewords", 1, _lloyd.BYTE)
        n_init, max_iter = as_integer(self.n_init, "n_init", 1), as_integer(self.max_iter, "max_iter", 1)
        check_metric(self.metric)
        init = check_init(self.init)
        rng = random_generator(self.random_state)
        x = training_samples(X, self.max_samples, rng, at_least=n_codewords, parameter="n_codewords")
        n_subspaces = check_subspaces(self.n_subspaces, x.shape[1])
        with progress(self.verbose, n_init * max_iter, "product quantizer") as step:
            codebooks, history = _lloyd.train(
                x,
                n_subspaces,
                n_codewords,
                init=init,
                n_init=n_init,
                max_iter=max_iter,
                tol=0.0,
                rng=rng,
                step=step,
            )
        self._learn(codebooks, history.sum(axis=1) / len(x))
        return self

    def _learn(self, codebooks: Floats, history: Doubles) -> None:
        self.codebooks_ = codebooks
        self.objective_history_ = history
        self.n_features_in_ = codebooks.shape[0] * codebooks.shape[2]

    def encode(self, X: ArrayLike) -> Codes:
        """Return the numbers of the nearest codewords of each sample.

        Parameters
        ----------
        X : array_like (n, d)
            Samples: float16, float32, float64 or integers, converted to float32 a block at a time.

        Returns
        -------
        uint8 array (n, M)
            ``codes[i, m]`` is the codeword nearest to part ``m`` of ``X[i]``; a tie goes to the lower.

        Raises
        ------
        NotFittedError
            If there is no model yet.
        TypeError
            If `X` are not real numbers.
        ValueError
            If `X` has another shape, or a value that is not finite (the message says where).
        """
        samples = self._samples(X)
        codes = np.empty((len(samples), len(self.codebooks_)), np.uint8)
        for rows, block in blocks(samples):
            _lloyd.assign(self._turned(block), self.codebooks_, codes[rows])
        return codes

    def decode(self, codes: Codes) -> Floats:
        """Return the vectors that codes stand for.

        Parameters
        ----------
        codes : uint8 array (n, M)
            As `encode` makes them.

        Returns
        -------
        float32 array (n, d)
            Part ``m`` of row ``i`` is ``codebooks_[m, codes[i, m]]``.

        Raises
        ------
        NotFittedError
            If there is no model yet.
        TypeError, ValueError
            If `codes` has another dtype or shape, or a code that is not below the number of codewords.
        """
        check_fitted(self)
        codes = as_codes(codes, *self.codebooks_.shape[:2])
        vectors = np.empty((len(codes), *self.codebooks_.shape[::2]), np.float32)
        for m, codebook in enumerate(self.codebooks_):
            vectors[:, m] = codebook[codes[:, m]]
        return vectors.reshape(len(codes), self.n_features_in_)

    def tables(self, queries: ArrayLike) -> Floats:
        """Return the distances of the parts of each query to all codewords.

        Parameters
        ----------
        queries : array_like (nq, d)
            Real numbers; a one-dimensional array is one query.

        Returns
        -------
        float32 array (nq, M, K)
            ``tables[i, m, k]`` is the squared distance of part ``m`` of query ``i`` to ``codebooks_[m, k]``,
            or with the metric "ip" the negative inner product. Their sum over the codes of a vector is its
            distance: see `fastcodes.adc`.

        Raises
        ------
        NotFittedError
            If there is no model yet.
        TypeError
            If `queries` are not real numbers.
        ValueError
            If `queries` has another shape, or a value that is not finite (the message says where).
        """
        queries = np.asarray(queries)
        samples = self._samples(queries[None] if queries.ndim == 1 else queries, "queries")
        tables = np.empty((len(samples), *self.codebooks_.shape[:2]), np.float32)
        for rows, block in blocks(samples, "queries"):
            tables[rows] = adc.tables(self._turned(block), self.codebooks_, check_metric(self.metric))
        return tables

    def _turned(self, x: Floats) -> Floats:
        """Return `x` in the coordinates of the codebooks."""
        return x

    def _to_arrays(self) -> dict[str, Array]:
        return {"codebooks": self.codebooks_, "objective_history": self.objective_history_}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        check_metric(self.metric)
        codebooks = checked_codebooks(_files.take(arrays, "codebooks", np.float32, ("M", "K", "d/M")))
        self._learn(codebooks, _files.take(arrays, "objective_history", np.float64, ("iterations",)))


def checked_codebooks(codebooks: ArrayLike) -> Floats:
    """Return codebooks from elsewhere as finite float32 (M, K, d/M), or refuse them."""
    codebooks = np.asarray(codebooks)
    if codebooks.dtype.kind not in "iuf":
        raise TypeError(f"codebooks must be real numbers; got an array of dtype {codebooks.dtype}")
    if codebooks.ndim != 3 or 0 in codebooks.shape or codebooks.shape[1] > _lloyd.BYTE:
        raise ValueError(
            f"codebooks must have shape (M, K, d/M) with K from 1 to {_lloyd.BYTE}; got {codebooks.shape}"
        )
    with np.errstate(over="ignore"):
        codebooks = np.require(codebooks, np.float32, ["C", "A"])
    if not np.isfinite(codebooks).all():
        raise ValueError("codebooks has values that are not finite in float32; expected finite numbers")
    return codebooks


def check_metric(metric: str) -> str:
    """Return a metric that there is."""
    if metric not in ("l2", "ip"):
        raise ValueError(f'metric must be "l2" or "ip"; got {metric!r}')
    return metric


def check_init(init: str) -> str:
    """Return a way to begin that there is."""
    if init not in _lloyd.SEEDS:
        raise ValueError(f"init must be one of {', '.join(map(repr, _lloyd.SEEDS))}; got {init!r}")
    return init


def check_subspaces(n_subspaces: Any, d: int) -> int:
    """Return a number of parts that divides `d`."""
    number = as_integer(n_subspaces, "n_subspaces", 1)
    if d % number:
        divisors = [m for m in range(1, d + 1) if not d % m]
        above = bisect.bisect(divisors, number)
        near = " or ".join(map(str, divisors[max(above - 1, 0) : above + 1]))
        raise ValueError(
            f"n_subspaces={number} does not divide the {d} features of X into equal parts; take {near}"
        )
    return number
