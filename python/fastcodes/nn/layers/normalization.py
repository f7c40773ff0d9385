"""Batch normalization."""

from __future__ import annotations

import numpy as np

from fastcodes._typing import Array
from fastcodes._validation import as_real
from fastcodes.nn._thread_pool import map_slices
from fastcodes.nn.layers._reductions import moments, sums, sums_of_products
from fastcodes.nn.layers.base import Layer, Parameter, Shape

__all__ = ["BatchNorm"]


class BatchNorm(Layer):
    r"""Normalize each feature, then scale and shift it.

    In training, :math:`y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta` with the mean and the
    variance of the batch (Ioffe and Szegedy, *Batch normalization*, ICML 2015, algorithm 1); for images, over
    all pixels. Prediction uses their running means, and always computes
    ``(x - mean) * (gamma / sqrt(variance + epsilon)) + beta`` in this order and in float32, so that a `Sign`
    after it is the same comparison each time.

    Parameters
    ----------
    momentum : float
        The weight of the old value in the running means, from 0 to less than 1.
    epsilon : float
        Added to the variance, which may be zero.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import nn
    >>> layer = nn.BatchNorm()
    >>> layer.build((1,), np.random.default_rng(0))
    (1,)
    >>> layer.forward(np.array([[2.0], [4.0]], np.float32), training=True).round(2).tolist()
    [[-1.0], [1.0]]
    """

    def __init__(self, *, momentum: float = 0.9, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.momentum = as_real(momentum, "momentum", at_least=0, below=1)
        self.epsilon = as_real(epsilon, "epsilon", above=0)

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        n = shape[-1]
        self.parameters = {
            "gamma": Parameter(np.ones(n, np.float32)),
            "beta": Parameter(np.zeros(n, np.float32)),
        }
        self.state = {"mean": np.zeros(n, np.float32), "variance": np.ones(n, np.float32)}
        return shape

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return the normalized samples, with the shape of `x`."""
        gamma, beta = self.parameters["gamma"].value, self.parameters["beta"].value
        out: Array
        if not training:
            out = x - self.state["mean"]
            out *= self.factor()
            out += beta
            return out
        mean, variance, centered = moments(x)
        for name, value in (("mean", mean), ("variance", variance)):
            self.state[name] *= self.momentum
            self.state[name] += (1 - self.momentum) * value
        inverse = 1 / np.sqrt(variance + self.epsilon)
        self.cache = centered, inverse
        out = np.empty_like(centered)

        def scale(samples: slice) -> None:
            np.multiply(centered[samples], gamma * inverse, out=out[samples])
            out[samples] += beta

        map_slices(scale, len(x), x.size)
        return out

    def factor(self) -> Array:
        """Return the factor of each feature in prediction."""
        factor: Array = self.parameters["gamma"].value / np.sqrt(self.state["variance"] + self.epsilon)
        return factor

    def backward(self, gradient: Array, *, needs_input: bool = True) -> Array:
        """Set the gradients of gamma and beta and return that of the input."""
        centered, inverse = self.cache
        gamma, beta = self.parameters["gamma"], self.parameters["beta"]
        n, size = centered.size // centered.shape[-1], centered.size

        def reduce(samples: slice) -> tuple[Array, Array]:
            return sums(gradient[samples]), sums_of_products(gradient[samples], centered[samples])

        by_beta, by_gamma = zip(*map_slices(reduce, len(centered), size), strict=True)
        beta.gradient = np.sum(by_beta, axis=0)
        gamma.gradient = np.sum(by_gamma, axis=0) * inverse
        out: Array = np.empty_like(centered)

        def distribute(samples: slice) -> None:
            part = out[samples]
            np.multiply(centered[samples], gamma.gradient * inverse / -n, out=part)
            part -= beta.gradient / n
            part += gradient[samples]
            part *= gamma.value * inverse

        map_slices(distribute, len(centered), size)
        return out
