"""Product quantization: one codeword for each part of a vector."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._blocks import sample
from fastcodes._progress import progress
from fastcodes._typing import Array, Codes, Doubles, Floats
from fastcodes._validation import as_array, as_integer, as_option, check_threads, random_generator, to_float32
from fastcodes.quantization import _lloyd
from fastcodes.quantization.base import METRICS, Quantizer, metrics_from

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ProductQuantizer", "as_codebooks", "as_subspaces"]


class ProductQuantizer(Quantizer):
    r"""Encode a vector as M small integers: the index of the nearest codeword for each of its M parts.

    A vector is split into M parts of d/M dimensions, :math:`x = (x_1, \dots, x_M)`, and each part is
    quantized with its own codebook: :math:`q(x) = (q_1(x_1), \dots, q_M(x_M))` (Jégou, Douze and Schmid, PAMI
    33, 2011, equation 8). So M bytes distinguish :math:`256^M` vectors, and the squared distance of a query
    to one of them is a sum of M entries of `tables` (equation 13, asymmetric distance computation), which
    `fastcodes.adc` searches.

    Parameters
    ----------
    n_subspaces : int
        Number of parts M, a divisor of the number of dimensions.
    n_codewords : int
        Codewords K of each codebook, from 1 to 256. A code is always a byte; searches are fastest with 16.
    init : {"random", "k-means++"}
        Initialization of k-means: random samples, as in faiss, or samples that are far from each other. The
        latter misses fewer clusters, and spends codewords on rare samples.
    n_init : int
        Number of runs from different seeds; the best run of each subspace is kept.
    max_iter : int
        Maximum number of iterations of k-means.
    max_samples : int or None
        Maximum number of random rows to train on; None uses all rows. The default is 256 rows for each of 256
        codewords.
    metric : {"l2", "ip"}
        The entries of `tables`: squared L2 distances, or negative inner products.
    random_state : None, int or numpy random generator
        Source of randomness; an integer makes `fit` repeatable.
    verbose : bool
        Whether to show a progress bar; needs the extra ``cli``.

    Attributes
    ----------
    codebooks_ : float32 array (M, K, d/M)
        ``codebooks_[m, k]`` is the codeword of code ``k`` in dimensions ``m * d/M`` to ``(m + 1) * d/M - 1``;
        the layout of faiss and nanopq.
    objective_history_ : float64 array (iterations + 1,)
        The mean squared error of the training samples for the seeds, and after each iteration. Never
        increases. Empty if the codebooks were given.
    n_iter_ : int
        The number of iterations, one less than the length of `objective_history_`.
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    See Also
    --------
    OptimizedProductQuantizer : Rotates first, so that all parts hold the same variance: a smaller error.

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
    def from_codebooks(cls, codebooks: ArrayLike, *, metric: str = "l2") -> Self:
        """Return a fitted quantizer with given codebooks.

        Parameters
        ----------
        codebooks : array_like (M, K, d/M)
            Finite numbers, converted to float32 and copied. K is from 1 to 256.
        metric : {"l2", "ip"}
            The entries of `tables`.

        Returns
        -------
        ProductQuantizer

        Raises
        ------
        TypeError, ValueError
            If `codebooks` or `metric` is invalid.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.quantization import ProductQuantizer
        >>> pq = ProductQuantizer.from_codebooks([[[0.0], [1.0]], [[0.0], [10.0]]])
        >>> pq.encode([[0.8, 3.0]])
        array([[1, 0]], dtype=uint8)
        """
        codebooks = as_codebooks(codebooks).copy()
        model = cls(*codebooks.shape[:2], metric=as_option(metric, "metric", METRICS))
        model._learn(codebooks, np.empty(0))
        return model

    def fit(self, X: ArrayLike, y: object = None, *, threads: int | None = None) -> Self:
        """Learn the codebooks by k-means, in all subspaces at once.

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
                threads=threads,
            )
        self._learn(codebooks, history.sum(axis=1) / len(x))
        return self

    def _learn(self, codebooks: Floats, history: Doubles) -> None:
        self.codebooks_ = codebooks
        self.objective_history_ = history
        self.n_features_in_ = codebooks.shape[0] * codebooks.shape[2]

    def encode(self, X: ArrayLike, *, threads: int | None = None) -> Codes:
        """Return the indices of the nearest codewords of each sample.

        Parameters
        ----------
        X : array_like (n, d)
            Samples: float16, float32, float64 or integers, converted to float32 a block at a time.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        uint8 array (n, M)
            ``codes[i, m]`` is the codeword nearest to part ``m`` of ``X[i]``; a tie goes to the lower index.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If `X` is not an array of real numbers.
        ValueError
            If `X` has another shape, or a value that is not finite (the message says where).
        """
        return _lloyd.nearest_codes(self._samples(X), self.codebooks_, threads=threads)

    def decode(self, codes: Codes, *, threads: int | None = None) -> Floats:
        """Return the vectors that the codes stand for.

        Parameters
        ----------
        codes : uint8 array (n, M)
            Codes from `encode`.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        float32 array (n, d)
            Part ``m`` of row ``i`` is ``codebooks_[m, codes[i, m]]``.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            If `codes` has another dtype or shape, or a code that is not below the number of codewords.
        """
        return self._decode(codes, "codes", threads)

    def _decode(self, codes: Codes, name: str, threads: int | None) -> Floats:
        check_threads(threads)
        numbers = self._as_codes(codes, name)
        vectors = np.empty((len(numbers), *self.codebooks_.shape[::2]), np.float32)
        for m, codebook in enumerate(self.codebooks_):
            vectors[:, m] = codebook[numbers[:, m]]
        return vectors.reshape(len(numbers), self.codebooks_.shape[0] * self.codebooks_.shape[2])

    @property
    def metrics(self) -> tuple[str, ...]:
        """The distances by which codes can be searched, that of the model first."""
        return metrics_from(self.metric)

    @property
    def n_iter_(self) -> int:
        """The number of iterations over all rows."""
        return max(len(self.objective_history_) - 1, 0)

    @property
    def _codebooks(self) -> Floats:
        return self.codebooks_

    def _to_arrays(self) -> dict[str, Array]:
        return {"codebooks": self.codebooks_, "objective_history": self.objective_history_}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        as_option(self.metric, "metric", METRICS)
        codebooks = as_codebooks(_files.take(arrays, "codebooks", np.float32, ("M", "K", "d/M")))
        self._learn(codebooks, _files.take(arrays, "objective_history", np.float64, ("iterations",)))


def as_codebooks(codebooks: ArrayLike) -> Floats:
    """Return codebooks as finite float32 (M, K, d/M)."""
    codebooks = as_array(codebooks, "codebooks")
    if codebooks.dtype.kind not in "iuf":
        raise TypeError(f"codebooks must be real numbers; got an array of dtype {codebooks.dtype}")
    if codebooks.ndim != 3 or 0 in codebooks.shape or codebooks.shape[1] > _lloyd.BYTE:
        raise ValueError(
            f"codebooks must have shape (M, K, d/M) with K from 1 to {_lloyd.BYTE}; got {codebooks.shape}"
        )
    codebooks = to_float32(codebooks)
    if not np.isfinite(codebooks).all():
        raise ValueError("codebooks has values that are not finite in float32; expected finite numbers")
    return codebooks


def as_subspaces(n_subspaces: Any, d: int) -> int:
    """Return the number of subspaces if it divides `d`."""
    number = as_integer(n_subspaces, "n_subspaces", 1)
    if d % number:
        divisors = [m for m in range(1, d + 1) if not d % m]
        above = bisect.bisect(divisors, number)
        near = " or ".join(map(str, divisors[max(above - 1, 0) : above + 1]))
        raise ValueError(
            f"n_subspaces={number} does not divide the {d} features of X into equal parts; take {near}"
        )
    return number
