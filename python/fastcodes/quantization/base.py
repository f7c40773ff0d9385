"""The base class of quantizers: models that encode vectors and decode the codes to approximations of them."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._blocks import blocks
from fastcodes._estimator import Estimator
from fastcodes._typing import Array, Floats

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Quantizer"]


class Quantizer(Estimator):
    """A model with ``fit``, ``encode`` and ``decode``, and the methods that follow from them."""

    @abc.abstractmethod
    def fit(self, X: ArrayLike, y: object = None, *, threads: int | None = None) -> Self:
        """Learn from samples (n, d)."""

    @abc.abstractmethod
    def encode(self, X: ArrayLike, *, threads: int | None = None) -> Array:
        """Return the code of each sample."""

    @abc.abstractmethod
    def decode(self, codes: Array, *, threads: int | None = None) -> Floats:
        """Return the vector that each code stands for."""

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
            differences = block - self.decode(self.encode(block, threads=threads), threads=threads)
            total += float(np.einsum("nd,nd->n", differences, differences).sum(dtype=np.float64))
        return total / len(samples)

    def score(self, X: ArrayLike, y: object = None, *, threads: int | None = None) -> float:
        """Return minus the `quantization_error` of `X`: larger is better, as model selection expects."""
        return -self.quantization_error(X, threads=threads)

    def transform(self, X: ArrayLike, *, threads: int | None = None) -> Array:
        """Return ``encode(X)``."""
        return self.encode(X, threads=threads)

    def inverse_transform(self, X: Array, *, threads: int | None = None) -> Floats:
        """Return ``decode(X)``."""
        return self.decode(X, threads=threads)

    def fit_transform(self, X: ArrayLike, y: object = None, *, threads: int | None = None) -> Array:
        """Return ``fit(X).encode(X)``."""
        return self.fit(X, threads=threads).encode(X, threads=threads)
