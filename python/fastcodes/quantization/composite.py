"""Composite quantization: sums of codewords whose inner products are nearly the same for all vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files, _native
from fastcodes._blocks import sample
from fastcodes._linalg import check_scale
from fastcodes._progress import progress
from fastcodes._typing import Array, Codes, Doubles, Floats
from fastcodes._validation import as_integer, as_real, random_generator
from fastcodes.quantization._sums import (
    FIRST_ITERATIONS,
    MAX_SEARCH_ITER,
    SumQuantizer,
    beam_search,
    check_errors,
    first_codebooks,
    local_search,
    squared_norms,
    sums_of,
)
from fastcodes.quantization.base import metrics_from

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CompositeQuantizer"]

_BEAM_SIZE = 5  # of the search whose codes `encode` improves
_RIDGE = (
    2.0  # samples at the old codeword for each codeword, without which codebooks fit the noise of few samples
)
_MAX_PENALTY = 1e6
_LARGEST = float(np.finfo(np.float32).max)


class CompositeQuantizer(SumQuantizer):
    r"""Encode a vector as a sum of codewords with nearly constant inner products: no norm is kept.

    The vector is approximated by :math:`\hat x = \mu + \sum_m c_m(b_m)` with the mean :math:`\mu` and
    codewords of the full dimension. The squared distance of a query is

    .. math:: \lVert q - \hat x \rVert^2 = \lVert q - \mu \rVert^2 + \sum_m \left( \lVert c_m \rVert^2
              - 2 (q - \mu)^T c_m \right) + \sum_{i \ne j} c_i^T c_j,

    and training keeps the last sum near a constant :math:`\epsilon` (Zhang, Du and Wang, *Composite
    quantization for approximate nearest neighbor search*, ICML 2014). With the constant in its place, the
    distance is a sum of M entries of `tables`: a code has no bits for a norm, and `fastcodes.adc` and the
    indexes search it as that of a `ProductQuantizer` of the same size, whose inner products are all zero.

    Training begins with codebooks of a product quantizer. It alternates a search of codes, by iterated
    conditional modes with random changes as in `AdditiveQuantizer`, and a fit of each codebook given the
    others. Both minimize the squared error plus the squared deviation from :math:`\epsilon`, times `penalty`
    and :math:`1 / 4 \sigma^2`, where :math:`\sigma^2` is the mean variance of a dimension. With a `penalty`
    of 1, these are the contributions to the mean squared error of distances, if queries are distributed as
    samples.

    Parameters
    ----------
    n_codebooks : int
        Number of codewords in the sum, M, from 1 to 64.
    n_codewords : int
        Codewords K of each codebook, from 1 to 256. A code is always a byte.
    penalty : float
        Weight of the deviation of inner products from their constant, above 0 and up to 1e6. A smaller
        one lowers the error of `decode` and of inner products, and raises that of squared distances.
    search_iter : int
        Random changes that `encode` tries, from 0 to 1000; training tries a quarter as many in each
        iteration.
    max_iter : int
        Number of training iterations.
    max_samples : int or None
        Maximum number of random rows to train on; None uses all rows.
    metric : {"l2", "ip"}
        The sums of entries of `tables`: squared L2 distances, or negative inner products. Only squared
        distances need the constant.
    random_state : None, int or numpy random generator
        Source of randomness; an integer makes `fit` repeatable.
    verbose : bool
        Whether to show a progress bar; needs the extra ``cli``.

    Attributes
    ----------
    codebooks_ : float32 array (M, K, d)
        ``codebooks_[m, k]`` is the codeword of code ``k`` in column ``m``. Those of column 0 have the mean
        added.
    mean_ : float32 array (d,)
        The mean of the training samples.
    product_ : float
        The constant: the mean of the inner products of different codewords over the training samples.
    penalty_ : float
        Squared error that a squared deviation from the constant counts as.
    objective_history_ : float64 array (iterations,)
        The mean squared error of the training samples, and their penalty, after each search.
    n_iter_ : int
        The number of training iterations.
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    See Also
    --------
    AdditiveQuantizer : Keeps the norm in one more byte: exact distances, and a smaller error.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.quantization import CompositeQuantizer, ProductQuantizer
    >>> X = np.random.default_rng(0).normal(size=(1000, 8)).astype(np.float32)
    >>> cq = CompositeQuantizer(n_codebooks=4, n_codewords=16, random_state=0).fit(X)
    >>> pq = ProductQuantizer(n_subspaces=4, n_codewords=16, random_state=0).fit(X)
    >>> cq.encode(X).shape == pq.encode(X).shape
    True
    >>> cq.quantization_error(X) < pq.quantization_error(X)
    True
    """

    mean_: Floats
    product_: float
    penalty_: float

    def __init__(
        self,
        n_codebooks: int = 8,
        n_codewords: int = 256,
        *,
        penalty: float = 0.2,
        search_iter: int = 16,
        max_iter: int = 20,
        max_samples: int | None = 65536,
        metric: str = "l2",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.n_codebooks = n_codebooks
        self.n_codewords = n_codewords
        self.penalty = penalty
        self.search_iter = search_iter
        self.max_iter = max_iter
        self.max_samples = max_samples
        self.metric = metric
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: object = None, *, threads: int | None = None) -> Self:
        """Learn the codebooks and the constant.

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
            If `X` has another shape, a value that is not finite (the message says where) or too few rows, or
            a parameter is out of range.
        """
        n_books, n_codewords = self._shape(self.n_codebooks, self.n_codewords)
        penalty = as_real(self.penalty, "penalty", above=0, at_most=_MAX_PENALTY)
        search_iter = as_integer(self.search_iter, "search_iter", 0, MAX_SEARCH_ITER)
        max_iter = as_integer(self.max_iter, "max_iter", 1)
        rng = random_generator(self.random_state)
        samples = self._training_samples(X, n_codewords, "n_codewords")
        x = sample(samples, self.max_samples, rng, at_least=n_codewords)
        check_scale(x)
        mean = x.mean(axis=0, dtype=np.float64).astype(np.float32)
        x = x - mean
        variance = float(np.square(x, dtype=np.float64).mean())
        penalty = min(penalty / (4 * variance) if variance else 0.0, _LARGEST)
        with progress(self.verbose, n_books * FIRST_ITERATIONS + max_iter, "composite quantizer") as step:
            # As a product quantizer: the codewords of different codebooks are orthogonal.
            parts = np.array_split(np.arange(x.shape[1]), min(n_books, x.shape[1]))
            codebooks = first_codebooks(x, n_codewords, parts, n_books, rng, step=step, threads=threads)
            codes, _ = beam_search(x, codebooks, 1, threads=threads)
            products = _products(codes, codebooks)
            history = []
            for iteration in range(max_iter):
                constraint = float(products.mean()), penalty
                search = local_search(n_books, search_iter // 4, iteration + 1)
                codes, costs = _improved(x, codebooks, codes, constraint, search, threads)
                products = _products(codes, codebooks)
                codebooks = _fit_codebooks(x, codes, codebooks, products, penalty)
                products = _products(codes, codebooks)
                history.append(check_errors(costs))
                step(history[-1])
        codebooks[0] += mean
        self.mean_, self.product_, self.penalty_ = mean, float(products.mean()), penalty
        self._learn(codebooks, np.empty((0, 1), np.float32), np.array(history), max_iter)
        return self

    def _search(self, x: Floats, codebooks: Floats, threads: int | None) -> Codes:
        search_iter = as_integer(self.search_iter, "search_iter", 0, MAX_SEARCH_ITER)
        codes, _ = beam_search(x, codebooks, _BEAM_SIZE, threads=threads)
        search = local_search(len(codebooks), search_iter, 0)
        return _improved(x, codebooks, codes, (self.product_, self.penalty_), search, threads)[0]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The distances by which codes can be searched, that of the model first."""
        return metrics_from(self.metric)

    def _centered(self) -> tuple[Floats, Floats]:
        codebooks = self.codebooks_.copy()
        codebooks[0] -= self.mean_
        return self.mean_, codebooks

    def _norm_shape(self, n_codewords: int) -> tuple[int, int]:
        return 0, 1

    def _add_norms(self, tables: Floats, codebooks: Floats) -> None:
        tables[:, :, : codebooks.shape[1]] += np.einsum("mkd,mkd->mk", codebooks, codebooks)
        tables[:, 0] += np.float32(self.product_)

    def _to_arrays(self) -> dict[str, Array]:
        return super()._to_arrays() | {
            "mean": self.mean_,
            "product": np.array(self.product_),
            "penalty": np.array(self.penalty_),
        }

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        super()._from_arrays(arrays)
        mean = _files.take(arrays, "mean", np.float32, (self.n_features_in_,))
        product, penalty = (
            float(_files.take(arrays, name, np.float64, ())) for name in ("product", "penalty")
        )
        if not np.isfinite(mean).all() or not abs(product) <= _LARGEST or not 0 <= penalty <= _LARGEST:
            raise ValueError("mean, product or penalty is not finite in float32, or penalty is below zero")
        self.mean_, self.product_, self.penalty_ = mean, product, penalty


def _improved(
    x: Floats,
    codebooks: Floats,
    codes: Codes,
    constraint: tuple[float, float],
    search: tuple[int, int, int, int],
    threads: int | None,
) -> tuple[Codes, Floats]:
    """Return codes (n, M) improved by local search, and their squared errors and penalties, in sum."""
    found, costs = codes.copy(), np.empty(len(x), np.float32)
    _native.additive_composite_search((x, codebooks, found, costs), constraint, search, threads)
    return found, costs


def _products(codes: Codes, codebooks: Floats) -> Doubles:
    """Return the sum of the inner products of each codeword of a code with each other one."""
    products: Doubles = squared_norms(codes, codebooks).astype(np.float64)
    for m, squares in enumerate(np.einsum("mkd,mkd->mk", codebooks, codebooks, dtype=np.float64)):
        products -= squares[codes[:, m]]
    return products


def _fit_codebooks(x: Floats, codes: Codes, codebooks: Floats, products: Doubles, penalty: float) -> Floats:
    r"""Return codebooks that are fitted to codes one after the other, each exactly, given the others.

    The product of a code is linear in each of its codewords. So the codeword c of the samples i solves a
    regularized least-squares problem: with the sums :math:`y_i` of their other codewords, and :math:`r_i`,
    the products of these less the constant, it minimizes :math:`\sum_i \lVert x_i - y_i - c \rVert^2 +
    \lambda (r_i + 2 y_i^T c)^2`. If there are no more samples than dimensions, the solution comes from
    their Gram matrix (Woodbury's identity).
    """
    n_codewords, d = codebooks.shape[1:]
    fitted = codebooks.copy()
    total, rest = sums_of(codes, codebooks), products - products.mean()
    for codebook, column in zip(fitted, codes.T, strict=True):
        own = codebook[column]
        total -= own
        rest -= 2 * np.einsum("nd,nd->n", own, total, dtype=np.float64)
        order = np.argsort(column, kind="stable")
        for rows in np.split(order, np.searchsorted(column[order], np.arange(1, n_codewords))):
            if not len(rows):
                continue
            y = total[rows].astype(np.float64)
            old = codebook[column[rows[0]]]
            # The codeword moves by `shift` from where it was.
            right = (x[rows] - y - old).sum(axis=0) - 2 * penalty * ((rest[rows] + 2 * y @ old) @ y)
            size = len(rows) + _RIDGE
            if len(rows) > d:
                matrix = 4 * penalty * (y.T @ y)
                matrix.flat[:: d + 1] += size
                shift = np.linalg.solve(matrix, right)
            else:
                matrix = 4 * penalty * (y @ y.T)
                matrix.flat[:: len(rows) + 1] += size
                shift = (right - 4 * penalty * y.T @ np.linalg.solve(matrix, y @ right)) / size
            codebook[column[rows[0]]] += shift
        own = codebook[column]
        rest += 2 * np.einsum("nd,nd->n", own, total, dtype=np.float64)
        total += own
    return fitted
