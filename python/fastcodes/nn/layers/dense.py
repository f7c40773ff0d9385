"""Fully connected layers, with weights of floats and of signs."""

from __future__ import annotations

import numpy as np

from fastcodes import bits, xnor
from fastcodes._typing import Array
from fastcodes._validation import as_bool, as_integer
from fastcodes.nn.layers.base import MAX_UNITS, Shape
from fastcodes.nn.layers.product import Product, are_signs
from fastcodes.nn.quantizers import make_quantizer

__all__ = ["BinaryDense", "Dense"]


class Dense(Product):
    """Multiply vectors by a matrix of weights.

    Parameters
    ----------
    units : int
        Number of outputs.
    use_bias : bool
        Whether to add a learned number to each output.

    Examples
    --------
    >>> from fastcodes import nn
    >>> nn.Sequential(nn.Dense(3)).build((5,)).layers[0].output_shape
    (3,)
    """

    def __init__(self, units: int, *, use_bias: bool = True) -> None:
        super().__init__()
        self.units = as_integer(units, "units", 1, MAX_UNITS)
        self.use_bias = as_bool(use_bias, "use_bias")

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        if len(shape) != 1:
            raise ValueError(f"expects vectors; got samples of shape {shape}. Put Flatten() before it")
        self._build_weights((shape[0], self.units), shape[0], self.units, rng)
        self.macs = shape[0] * self.units
        return (self.units,)

    def _multiply(self, x: Array, matrix: Array) -> Array:
        products: Array = x @ matrix
        return products

    def backward(self, gradient: Array, *, needs_input: bool = True) -> Array:
        """Set the gradients of weights and bias and return that of the input."""
        x, matrix, scale = self.cache
        self._set_gradients(x.T @ gradient, gradient, matrix, scale)
        if not needs_input:
            return gradient
        by_input: Array = (gradient if scale is None else gradient * scale) @ matrix.T
        return by_input


class BinaryDense(Dense):
    """Multiply vectors by weights of -1 and +1.

    Training keeps real-valued *latent* weights and updates them by the gradient with respect to their signs
    (Courbariaux, Bengio and David, *BinaryConnect*, NeurIPS 2015).

    Parameters
    ----------
    units : int
        Number of outputs.
    weights : {"sign", "xnor", "libra"}
        How latent weights are binarized: by their sign; by their sign, times their mean size for each output
        (XNOR-Net); or by their sign after they are standardized, times a power of two (IR-Net). With a
        `BatchNorm` after the layer, the scale has an effect in training only.
    estimator : {"clipped", "approximate", "error-decay"}
        The surrogate gradient of the sign of a weight: see `fastcodes.nn.quantizers`.
    use_bias : bool
        Whether to add a learned number to each output.

    See Also
    --------
    fastcodes.nn.quantizers : The formulae.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import nn
    >>> layer = nn.BinaryDense(3)
    >>> layer.build((5,), np.random.default_rng(0))
    (3,)
    >>> signs, scale = layer.matrix()
    >>> np.unique(signs).tolist()
    [-1.0, 1.0]
    """

    def __init__(
        self, units: int, *, weights: str = "sign", estimator: str = "clipped", use_bias: bool = False
    ) -> None:
        super().__init__(units, use_bias=use_bias)
        self.quantizer = make_quantizer(weights, estimator)
        self.weights = weights
        self.estimator = estimator

    def _multiply(self, x: Array, matrix: Array) -> Array:
        if not are_signs(x):
            return super()._multiply(x, matrix)
        # BLAS threads still spin, waiting for the next product: more threads would compete with them.
        rows, columns = bits.pack(x, threads=1), bits.pack(matrix.T, threads=1)
        return xnor.matmul(rows, columns, x.shape[-1], finish=xnor.Finish(scale=1), threads=1)
