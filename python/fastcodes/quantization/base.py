"""The base class of quantizers: models that encode vectors and decode the codes to approximations of them."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import adc
from fastcodes._blocks import blocks
from fastcodes._codec import Codec
from fastcodes._estimator import check_fitted
from fastcodes._storage import Storage, TableStorage
from fastcodes._typing import Array, Floats, UnsignedCodes
from fastcodes._validation import as_codes, as_option
from fastcodes.quantization._lloyd import code_dtype

__all__ = ["METRICS", "Quantizer", "VectorCodec", "metrics_from"]

METRICS = ("l2", "ip")  # squared L2 distance, negative inner product


def metrics_from(metric: str) -> tuple[str, ...]:
    """Return all metrics, that of a model first."""
    first = as_option(metric, "metric", METRICS)
    return (first, *(other for other in METRICS if other != first))


class VectorCodec(Codec):
    """A codec whose codes stand for vectors, and the methods that follow from `encode` and `decode`."""

    @abc.abstractmethod
    def decode(self, codes: Any, *, threads: int | None = None) -> Floats:
        """Return the vector that each code stands for."""

    @abc.abstractmethod
    def _decode(self, codes: Any, name: str, threads: int | None) -> Floats:
        """Decode the argument `name`."""

    def quantization_error(self, X: ArrayLike, *, threads: int | None = None) -> float:
        """Return the mean squared L2 distance of the samples to the vectors that their codes stand for.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, at least one.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        float
            The mean over ``i`` of ``((X[i] - decode(encode(X))[i]) ** 2).sum()``.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            As `encode`; or if there are no samples.
        """
        samples = self._samples(X)
        if not len(samples):
            raise ValueError("X has no rows; the mean error needs at least one")
        total = 0.0
        for _, block in blocks(samples):
            # In float64, in which no square overflows or underflows.
            differences = block - self.decode(self.encode(block, threads=threads), threads=threads).astype(
                np.float64
            )
            total += float(np.einsum("nd,nd->", differences, differences))
        return total / len(samples)

    def score(self, X: ArrayLike, y: object = None, *, threads: int | None = None) -> float:
        """Return minus the `quantization_error` of `X`: larger is better, as model selection expects."""
        return -self.quantization_error(X, threads=threads)

    def inverse_transform(self, X: Array, *, threads: int | None = None) -> Floats:
        """Return ``decode(X)``."""
        return self._decode(X, "X", threads)


class Quantizer(VectorCodec):
    """A model with codebooks: codes are searched by look-up tables of the distances to codewords."""

    @abc.abstractmethod
    def encode(self, X: ArrayLike, *, threads: int | None = None) -> Array:
        """Return the code of each sample."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The distances by which codes can be searched, the default first."""
        return METRICS

    @property
    @abc.abstractmethod
    def _codebooks(self) -> Floats:
        """The codewords (M, K, d/M) of the numbers in a code."""

    @property
    def bits_per_number(self) -> int | None:
        """The bits of a number, if `encode` packs the numbers; None if each has a byte or more."""
        return None

    @property
    def table_shape(self) -> tuple[int, int]:
        """The number of `tables` of a query, and the entries of each."""
        check_fitted(self)
        n_tables, n_entries, _ = self._codebooks.shape
        return n_tables, n_entries

    def _rotated(self, x: Floats) -> Floats:
        """Return samples in the coordinates of the codebooks."""
        return x

    def tables(self, queries: ArrayLike, *, metric: str | None = None, threads: int | None = None) -> Floats:
        """Return the look-up tables of the queries: the distances of their parts to all codewords.

        Parameters
        ----------
        queries : array_like (nq, d)
            Real numbers; a one-dimensional array is one query.
        metric : {"l2", "ip"}, optional
            Squared L2 distances, or negative inner products. By default the metric of the model, or "l2".
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process.

        Returns
        -------
        float32 array (nq, M, K)
            ``tables[i, m, k]`` is the distance of part ``m`` of query ``i`` to codeword ``k`` of subspace
            ``m``. Their sum over the codes of a vector is its distance: see `fastcodes.adc`. The dimensions
            of a `ScalarQuantizer` are its subspaces; a `VectorQuantizer` has one.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If `queries` is not an array of real numbers.
        ValueError
            If `queries` has another shape, or a value that is not finite (the message says where), or if
            `metric` is unknown.
        """
        metric = self.metrics[0] if metric is None else metric
        return self.operand(self._queries(queries), metric, threads=threads)

    def as_codes(self, codes: ArrayLike) -> UnsignedCodes:
        """Validate codes: raise an error if `encode` cannot have made them."""
        return self._as_codes(codes, "codes")

    def _as_codes(self, codes: ArrayLike, name: str) -> UnsignedCodes:
        """Validate the argument `name`."""
        check_fitted(self)
        n_codewords = 256 if self.bits_per_number is not None else self._codebooks.shape[1]
        return as_codes(codes, self._n_outputs, n_codewords, code_dtype(n_codewords), name=name)

    def operand(self, queries: Array, metric: str, *, threads: int | None = None) -> Floats:
        """Return the `tables` of rows of ``as_queries(queries)``."""
        metric = as_option(metric, "metric", METRICS)
        return adc.tables(self._rotated(queries), self._codebooks, metric=metric, threads=threads)

    def storage(self, metric: str) -> Storage:
        """Return an empty storage for codes of this model, which is searched by `tables`."""
        return TableStorage(*self.table_shape, self.bits_per_number)

    @property
    def _n_outputs(self) -> int:
        n_subspaces, n_bits = len(self._codebooks), self.bits_per_number
        return n_subspaces if n_bits is None else (n_subspaces * n_bits + 7) // 8
