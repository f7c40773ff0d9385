"""What quantizers by sums of codewords have in common: norms, tables, decoding, and training steps.

A vector is approximated by a sum of M codewords of its own dimension, one from each codebook. The squared
distance of a query to it is ``|q|^2 - 2 sum_m q . c_m + |sum_m c_m|^2``: M look-ups and a norm, which is part
of the code. Each codebook is centered first, and the sum of the centers subtracted from samples and queries,
so that a large mean costs no accuracy.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files, _native, adc
from fastcodes._blocks import blocks
from fastcodes._estimator import check_fitted
from fastcodes._linalg import check_scale
from fastcodes._typing import Array, Codes, Doubles, Floats, Ids, UnsignedCodes
from fastcodes._validation import as_codes, as_integer, as_option, check_threads
from fastcodes.quantization import _lloyd
from fastcodes.quantization.base import METRICS, Quantizer, metrics_from
from fastcodes.quantization.scalar import lloyd_max

__all__ = [
    "FIRST_ITERATIONS",
    "MAX_CODEBOOKS",
    "MAX_SEARCH_ITER",
    "SumQuantizer",
    "beam_search",
    "centered",
    "check_errors",
    "first_codebooks",
    "fit_codebooks",
    "local_search",
    "residuals",
    "squared_norms",
    "sums_of",
]

MAX_CODEBOOKS = 64
MAX_SEARCH_ITER = 1000
NORM_BITS = (0, 8, 16)

_NORM_ITERATIONS = 50
FIRST_ITERATIONS = 4  # of k-means for each of the codebooks that training begins with
_FIRST_ROWS = 64  # per codeword, that these are trained on
_PASSES = 4  # over all codebooks, after each change
_CHANGES = 4  # random codes at a time, but no more than half of them
_SOLVER_STEPS = 12  # of the conjugate gradient method
# Residuals with a smaller share of the mean square are rounding errors.
_ROUNDING = 1e-12


class SumQuantizer(Quantizer):
    """A quantizer whose codes stand for sums of codewords."""

    _learned = "codebooks_"

    codebooks_: Floats
    norm_levels_: Floats
    objective_history_: Doubles
    metric: str
    norm_bits: int

    @abc.abstractmethod
    def _search(self, x: Floats, codebooks: Floats, threads: int | None) -> Codes:
        """Return the codewords (n, M) of samples, without norms."""

    def encode(self, X: ArrayLike, *, threads: int | None = None) -> Codes:
        """Return the codewords of each sample, and the code of the norm of their sum.

        Parameters
        ----------
        X : array_like (n, d)
            Samples: float16, float32, float64 or integers, converted to float32 a block at a time.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        uint8 array (n, M + n_norms)
            ``codes[i, m]`` is the codeword from codebook ``m``; the columns from ``M`` on hold the norm. The
            code of a sample does not depend on the other samples.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If `X` is not an array of real numbers.
        ValueError
            If `X` has another shape, or a value that is not finite (the message says where).
        """
        check_threads(threads)
        samples, n_books = self._samples(X), len(self.codebooks_)
        offset, codebooks = self._centered()
        codes = np.empty((len(samples), self._n_outputs), np.uint8)
        for rows, block in blocks(samples):
            codes[rows, :n_books] = found = self._search(block - offset, codebooks, threads)
            codes[rows, n_books:] = self._norm_codes(squared_norms(found, codebooks))
        return codes

    def decode(self, codes: Codes, *, threads: int | None = None) -> Floats:
        """Return the vectors that the codes stand for.

        Parameters
        ----------
        codes : uint8 array (n, M + n_norms)
            Codes from `encode`.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        float32 array (n, d)
            Row ``i`` is the sum over ``m`` of ``codebooks_[m, codes[i, m]]``.

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
        return sums_of(numbers[:, : len(self.codebooks_)], self.codebooks_)

    # --- search --------------------------------------------------------------------------------------------

    @property
    def metrics(self) -> tuple[str, ...]:
        """The distances by which codes can be searched, that of the model first."""
        if hasattr(self, "norm_levels_") and not len(self.norm_levels_):
            return ("ip",)
        return metrics_from(self.metric)

    @property
    def _codebooks(self) -> Floats:
        return self.codebooks_

    @property
    def _n_outputs(self) -> int:
        return len(self.codebooks_) + len(self.norm_levels_)

    @property
    def table_shape(self) -> tuple[int, int]:
        """The number of `tables` of a query, and the entries of each."""
        check_fitted(self)
        return self._n_outputs, self._width

    @property
    def _width(self) -> int:
        """The entries of a table."""
        n_codewords, n_levels = self.codebooks_.shape[1], self.norm_levels_.shape[1]
        return max(int(n_codewords), int(n_levels))

    def _as_codes(self, codes: ArrayLike, name: str) -> UnsignedCodes:
        check_fitted(self)
        n_books, n_codewords, _ = self.codebooks_.shape
        n_norms, n_levels = self.norm_levels_.shape
        numbers = as_codes(codes, n_books + n_norms, self._width, name=name)
        as_codes(numbers[:, :n_books], n_books, n_codewords, name=name)
        if n_norms:
            as_codes(numbers[:, n_books:], n_norms, n_levels, name=f"the norms of {name}")
        return numbers

    def operand(self, queries: Array, metric: str, *, threads: int | None = None) -> Floats:
        """Return the `tables` of rows of ``as_queries(queries)``.

        Squared L2 distances, or negative inner products, are sums over the codewords and the columns of
        norms. That of the norms is exact up to their quantization.
        """
        metric = as_option(metric, "metric", self.metrics)
        offset, codebooks = self._centered()
        n_books, n_codewords, _ = codebooks.shape
        moved = queries - offset if metric == "l2" else queries
        check_scale(codebooks.reshape(-1, codebooks.shape[2]), "codebooks_")
        products = adc.tables(np.tile(moved, (1, n_books)), codebooks, metric="ip", threads=threads)
        tables = np.zeros((len(queries), self._n_outputs, self._width), np.float32)
        entries = tables[:, :n_books, :n_codewords]
        if metric == "l2":
            np.multiply(products, 2, out=entries)
            entries[:, 0] += np.einsum("qd,qd->q", moved, moved)[:, None]
            self._add_norms(tables, codebooks)
        else:
            entries[...] = products
            entries[:, 0] -= (queries @ offset)[:, None]
        # No code names an entry beyond the codewords, but the kernels take the range of all of them.
        tables[:, :n_books, n_codewords:] = entries[:, :, :1]
        return tables

    def _centered(self) -> tuple[Floats, Floats]:
        """Return what is subtracted from samples and queries, and the codebooks for what is left."""
        return centered(self.codebooks_)

    # --- norms ---------------------------------------------------------------------------------------------

    def _norm_shape(self, n_codewords: int) -> tuple[int, int]:
        """Return the columns of a norm, and the levels of each: 16 where codes have 4 bits."""
        norm_bits = as_integer(self.norm_bits, "norm_bits", 0, 16)
        if norm_bits not in NORM_BITS:
            raise ValueError(f"norm_bits must be 0, 8 or 16; got {norm_bits}")
        if not norm_bits and self.metric == "l2":
            raise ValueError('norm_bits=0 keeps no norms, which metric="l2" needs; take 8 or metric="ip"')
        n_bits = 4 if n_codewords <= 16 else 8
        return norm_bits // n_bits, 1 << n_bits

    def _add_norms(self, tables: Floats, codebooks: Floats) -> None:
        """Add what squared norms contribute to the tables (nq, M + n_norms, width) of distances."""
        tables[:, len(codebooks) :, : self.norm_levels_.shape[1]] = self.norm_levels_

    def _learn_norms(self, codes: Codes, codebooks: Floats) -> Floats:
        """Return levels for the norms of codes: those of Lloyd and Max, or of a fixed-point number."""
        n_columns, n_levels = self._norm_shape(codebooks.shape[1])
        levels = np.zeros((n_columns, n_levels))
        if n_columns:
            norms = squared_norms(codes, centered(codebooks)[1])
            if n_columns == 1:
                levels[0] = lloyd_max(norms, n_levels, _NORM_ITERATIONS)[0]
            else:
                unit = float(np.ptp(norms)) / (n_levels**n_columns - 1)
                for column in range(n_columns):
                    levels[column] = unit * n_levels ** (n_columns - 1 - column) * np.arange(n_levels)
                levels[0] += norms.min()
        return levels.astype(np.float32)

    def _norm_codes(self, norms: Floats) -> Codes:
        levels = self.norm_levels_.astype(np.float64)
        n_columns, n_levels = levels.shape
        if n_columns == 1:
            middles = (levels[0, 1:] + levels[0, :-1]) / 2
            return np.searchsorted(middles, norms)[:, None].astype(np.uint8)
        if not n_columns:
            return np.empty((len(norms), 0), np.uint8)
        unit = levels[-1, 1]
        steps = np.rint((norms - levels[0, 0]) / unit) if unit > 0 else np.zeros(len(norms))
        number = np.clip(steps, 0, n_levels**n_columns - 1).astype(np.int64)
        powers = n_levels ** np.arange(n_columns - 1, -1, -1)
        digits: Codes = (number[:, None] // powers % n_levels).astype(np.uint8)
        return digits

    # --- training ------------------------------------------------------------------------------------------

    def _shape(self, n_codebooks: int, n_codewords: int) -> tuple[int, int]:
        """Validate the parameters that all these models have."""
        as_option(self.metric, "metric", METRICS)
        books = as_integer(n_codebooks, "n_codebooks", 1, MAX_CODEBOOKS)
        codewords = as_integer(n_codewords, "n_codewords", 1, _lloyd.BYTE)
        self._norm_shape(codewords)
        return books, codewords

    def _learn(self, codebooks: Floats, norm_levels: Floats, history: Doubles, n_iter: int) -> None:
        self.codebooks_ = codebooks
        self.norm_levels_ = norm_levels
        self.objective_history_ = history
        self.n_iter_ = n_iter
        self.n_features_in_ = codebooks.shape[2]

    def _to_arrays(self) -> dict[str, Array]:
        return {
            "codebooks": self.codebooks_,
            "norm_levels": self.norm_levels_,
            "objective_history": self.objective_history_,
            "n_iter": np.array(self.n_iter_),
        }

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        as_option(self.metric, "metric", METRICS)
        codebooks = _files.take(arrays, "codebooks", np.float32, ("M", "K", "d"))
        if 0 in codebooks.shape or len(codebooks) > MAX_CODEBOOKS or codebooks.shape[1] > _lloyd.BYTE:
            raise ValueError(
                f"codebooks has shape {codebooks.shape}; expected (M, K, d) with M to 64, K to 256"
            )
        levels = _files.take(arrays, "norm_levels", np.float32, self._norm_shape(codebooks.shape[1]))
        if not np.isfinite(codebooks).all() or not np.isfinite(levels).all():
            raise ValueError("codebooks or norm_levels has values that are not finite")
        if (np.diff(levels, axis=1) < 0).any():
            raise ValueError("norm_levels has values that are not in increasing order")
        history = _files.take(arrays, "objective_history", np.float64, ("iterations",))
        self._learn(codebooks, levels, history, int(_files.take(arrays, "n_iter", np.int64, ())))


def centered(codebooks: Floats) -> tuple[Floats, Floats]:
    """Return the sum (d,) of the means of codebooks, and the codebooks without their means."""
    means = codebooks.mean(axis=1, dtype=np.float64)
    return means.sum(axis=0).astype(np.float32), (codebooks - means[:, None]).astype(np.float32)


def sums_of(codes: Codes, codebooks: Floats) -> Floats:
    """Return the sums (n, d) of codewords."""
    total = np.zeros((len(codes), codebooks.shape[2]), np.float32)
    for m, codebook in enumerate(codebooks):
        total += codebook[codes[:, m]]
    return total


def squared_norms(codes: Codes, codebooks: Floats) -> Floats:
    """Return the squared lengths of the sums of codewords."""
    total = sums_of(codes, codebooks).astype(np.float64)
    norms: Floats = np.minimum(np.einsum("nd,nd->n", total, total), np.finfo(np.float32).max).astype(
        np.float32
    )
    return norms


def residuals(x: Floats, codes: Codes, codebooks: Floats) -> Floats:
    """Return what the sums of codewords lack of samples; zeros where these are only rounding errors."""
    rest: Floats = x - sums_of(codes, codebooks)
    squares, of_x = (np.einsum("nd,nd->", a, a, dtype=np.float64) for a in (rest, x - x.mean(axis=0)))
    return rest if squares > _ROUNDING * of_x else np.zeros_like(rest)


def first_codebooks(
    x: Floats,
    n_codewords: int,
    parts: Sequence[Ids],
    n_codebooks: int,
    rng: np.random.Generator,
    *,
    step: Callable[[float], None],
    threads: int | None,
) -> Floats:
    """Return codebooks (M, K, d) to begin with: each trained on what the ones before leave of some samples.

    Codebooks take the `parts` of the dimensions in turns, and are zero in all others.
    """
    if len(x) > _FIRST_ROWS * n_codewords:
        x = x[np.sort(rng.choice(len(x), _FIRST_ROWS * n_codewords, replace=False))]
    codebooks = np.zeros((n_codebooks, n_codewords, x.shape[1]), np.float32)
    rest = x
    for m, codebook in enumerate(codebooks):
        part = parts[m % len(parts)]
        few = np.ascontiguousarray(rest[:, part])
        learned, _ = _lloyd.train(
            few,
            1,
            n_codewords,
            init="random",
            n_init=1,
            max_iter=FIRST_ITERATIONS,
            tol=0.0,
            rng=rng,
            step=step,
            threads=threads,
        )
        codebook[:, part] = learned[0]
        rest = residuals(rest, _lloyd.nearest_codes(few, learned, threads=threads), codebook[None])
    return codebooks


def beam_search(x: Floats, codebooks: Floats, beam_size: int, *, threads: int | None) -> tuple[Codes, Floats]:
    """Return the codes (n, M) that a beam search finds, and their squared errors."""
    codes, errors = np.empty((len(x), len(codebooks)), np.uint8), np.empty(len(x), np.float32)
    _native.additive_beam((x, codebooks, codes, errors), beam_size, threads)
    return codes, errors


def local_search(n_codebooks: int, n_iterations: int, seed: int) -> tuple[int, int, int, int]:
    """Return the parameters of a local search as the compiled kernels take them."""
    return n_iterations, _PASSES, min(_CHANGES, (n_codebooks + 1) // 2), seed


def check_errors(errors: Floats) -> float:
    """Return the mean of squared errors, or raise an error if it overflows."""
    mean = float(errors.mean(dtype=np.float64))
    if not np.isfinite(mean):
        raise ValueError("X has values so large that their squared distances overflow float32; scale it")
    return mean


def fit_codebooks(x: Floats, codes: Codes, codebooks: Floats, ridge: float, *, threads: int | None) -> Floats:
    r"""Return the codebooks with the smallest regularized squared error for given codes.

    They solve :math:`(B^T B + \rho I) C = B^T X` with the `ridge` :math:`\rho`: as if each codeword had that
    many more samples at zero. A row of B has ones at the codewords of a sample, and :math:`B^T B` counts how
    often two codewords occur together. A few steps of the conjugate gradient method, preconditioned by its
    diagonal, start from zero, so that what the samples do not decide stays small. Samples and codebooks are
    centered. Codewords that do not occur stay as they are given.
    """
    n_books, n_codewords, d = codebooks.shape
    size = n_books * n_codewords
    gram = np.empty((n_books, n_codewords, n_books, n_codewords), np.float32)
    right = np.empty((n_books, n_codewords, d), np.float32)
    columns = [np.ascontiguousarray(codes[:, m]) for m in range(n_books)]
    wide = [column.astype(np.int64) * n_codewords for column in columns]
    for m, column in enumerate(columns):
        sums, counts = np.empty((1, n_codewords, d)), np.empty((1, n_codewords), np.int64)
        _native.adc_sums(x, column[:, None], sums, counts, threads)
        right[m] = sums[0]
        for other in range(m + 1):
            pairs = np.bincount(wide[m] + columns[other], minlength=n_codewords**2)
            gram[m, :, other] = pairs.reshape(n_codewords, n_codewords)
            gram[other, :, m] = gram[m, :, other].T
    matrix = gram.reshape(size, size)
    diagonal = matrix.diagonal()[:, None] + np.float32(ridge)
    fitted = np.zeros((size, d), np.float32)
    rest = right.reshape(size, d)
    scaled = rest / diagonal
    direction = scaled.copy()
    energy = np.einsum("kd,kd->d", rest, scaled)
    for _ in range(_SOLVER_STEPS):
        image = matrix @ direction + np.float32(ridge) * direction
        length = np.einsum("kd,kd->d", direction, image)
        step = np.divide(energy, length, out=np.zeros_like(energy), where=length > 0)
        fitted += step * direction
        rest -= step * image
        scaled = rest / diagonal
        before, energy = energy, np.einsum("kd,kd->d", rest, scaled)
        direction *= np.divide(energy, before, out=np.zeros_like(energy), where=before > 0)
        direction += scaled
    fitted = fitted.reshape(codebooks.shape)
    occurs = matrix.diagonal().reshape(n_books, n_codewords, 1) > 0
    return np.where(occurs, fitted, codebooks)
