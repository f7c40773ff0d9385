"""The base class of layers that multiply by weights."""

from __future__ import annotations

import abc

import numpy as np

from fastcodes._typing import Array
from fastcodes.nn.layers._reductions import sums
from fastcodes.nn.layers.base import Layer, Parameter, Shape
from fastcodes.nn.quantizers import WeightQuantizer

__all__ = ["Product", "are_signs"]


class Product(Layer):
    """A product with weights, plus a bias: floats, or signs that a quantizer makes of latent weights.

    Attributes
    ----------
    quantizer : WeightQuantizer or None
        None if weights are floats.
    use_bias : bool
        Whether a learned number is added to each output.
    """

    quantizer: WeightQuantizer | None = None
    use_bias: bool

    def _build_weights(self, shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        # Glorot and Bengio, AISTATS 2010, equation 16.
        limit = np.float32(np.sqrt(6 / (fan_in + fan_out)))
        weights = rng.random(shape, np.float32)
        weights *= 2 * limit
        weights -= limit
        self.parameters = {"weights": Parameter(weights, self.quantizer)}
        if self.use_bias:
            self.parameters["bias"] = Parameter(np.zeros(shape[-1], np.float32))

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return the products with the weights, times their scale, plus the bias."""
        matrix, scale = self.matrix()
        if training:
            self.cache = x, matrix, scale
        return self.scale_and_shift(self._multiply(x, matrix), scale)

    @abc.abstractmethod
    def _multiply(self, x: Array, matrix: Array) -> Array:
        """Return the products of samples with `matrix`, as a new array (n, ..., n_outputs)."""

    def matrix(self) -> tuple[Array, Array | None]:
        """Return the factor of the inputs, (K, n_outputs), and of the outputs, (n_outputs,) or None."""
        weights = self._latent()
        return (weights, None) if self.quantizer is None else self.quantizer.forward(weights)

    def _latent(self) -> Array:
        weights = self.parameters["weights"].value
        return weights.reshape(-1, weights.shape[-1])

    def scale_and_shift(self, out: Array, scale: Array | None) -> Array:
        """Multiply products (n, ..., n_outputs) by `scale` and add the bias, in place."""
        if scale is not None:
            out *= scale
        if self.use_bias:
            out += self.parameters["bias"].value
        return out

    def _set_gradients(self, by_weights: Array, by_output: Array, matrix: Array, scale: Array | None) -> None:
        weights = self.parameters["weights"]
        if self.quantizer is not None:
            by_weights = self.quantizer.backward(by_weights, self._latent(), matrix, scale, self.progress)
        weights.gradient = by_weights.reshape(weights.value.shape)
        if self.use_bias:
            self.parameters["bias"].gradient = sums(by_output)


def are_signs(x: Array) -> bool:
    """Return whether inputs are -1 and +1 in float32, so that packed bits give the same sums faster.

    float64 is left to numpy: it is for comparing gradients with finite differences.
    """
    return x.dtype == np.float32 and bool((np.abs(x) == 1).all())
