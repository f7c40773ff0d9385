"""What every quantiser can do once it encodes and decodes."""

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
    """A model with ``fit``, ``encode`` and ``decode``, and what follows from them."""

    @abc.abstractmethod
    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn from samples (n, d)."""

    @abc.abstractmethod
    def encode(self, X: ArrayLike) -> Array:
        """Return the code of each sample."""

    @abc.abstractmethod
    def decode(self, codes: Array) -> Floats:
        """Return the vector that each code stands for."""

    def quantization_error(self, X: ArrayLike) -> float:
        """Return the mean squared L2 distance of the samples to what their codes stand for.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, at least one.

        Returns
        -------
        float
            The mean over ``i`` of ``((X[i] - decode(encode(X))[i]) ** 2).sum()``.

        Raises
        ------
        NotFittedError
            If there is no model yet.
        TypeError, ValueError
            As `encode`; or if there are no samples.
        """
        samples = self._samples(X)
        if not len(samples):
            raise ValueError("X has no rows; the mean error needs at least one")
        total = 0.0
        for _, block in blocks(samples):
            away = block - self.decode(self.encode(block))
            total += float(np.einsum("nd,nd->n", away, away).sum(dtype=np.float64))
        return total / len(samples)

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Return minus the `quantization_error` of `X`: larger is better, as model selection expects."""
        return -self.quantization_error(X)

    def transform(self, X: ArrayLike) -> Array:
        """Return ``encode(X)``."""
        return self.encode(X)

    def inverse_transform(self, X: Array) -> Floats:
        """Return ``decode(X)``."""
        return self.decode(X)

    def fit_transform(self, X: ArrayLike, y: object = None) -> Array:
        """Return ``fit(X).encode(X)``."""
        return self.fit(X).encode(X)
