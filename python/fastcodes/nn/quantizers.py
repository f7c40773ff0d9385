r"""Quantizers of weights, and surrogate gradients of the sign.

The derivative of the sign is zero almost everywhere, so training uses that of another function instead: the
surrogate gradient of an *estimator*.

"clipped", "straight-through"
    1 within [-1, 1], 0 beyond (Hubara et al., *Binarized neural networks*, NeurIPS 2016, equation 4).
"approximate"
    :math:`2 - 2|x|` within [-1, 1], 0 beyond: the slope of a piecewise quadratic (Liu et al., *Bi-Real Net*,
    ECCV 2018, equation 7).
"error-decay"
    :math:`k t (1 - \tanh^2(t x))` with :math:`t = 10^{-3 + 4 i/N}` at progress i/N and
    :math:`k = \max(1/t, 1)`: the slope of the identity at first, and nearly that of a sign at the end (Qin
    et al., *IR-Net*, CVPR 2020, equations 8 and 9, with the range of t in the authors' code). The authors put
    a `HardTanh` before activations: without it, values far from 0 have a slope of 1 at first, too.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator

import numpy as np

from fastcodes._typing import Array
from fastcodes._validation import as_option

__all__ = [
    "ACTIVATION_ESTIMATORS",
    "QUANTIZERS",
    "WEIGHT_ESTIMATORS",
    "XNOR",
    "Fixed",
    "Libra",
    "SignWeights",
    "WeightQuantizer",
    "make_quantizer",
    "sign",
    "standardized",
    "surrogate_gradient",
]

WEIGHT_ESTIMATORS = ("clipped", "approximate", "error-decay")
ACTIVATION_ESTIMATORS = ("straight-through", "approximate", "error-decay")
_FIRST_LOG_T, _LAST_LOG_T = -3.0, 1.0  # to base 10
# Elements of the rows that are processed at a time: they stay in the cache.
_ELEMENTS_PER_BLOCK = 1 << 15


def sign(x: Array) -> Array:
    """Return +1 where ``x >= 0`` and -1 elsewhere, in the dtype of `x`: zero counts as positive."""
    signs = np.empty_like(x)
    np.greater_equal(x, 0, out=signs)
    signs *= 2
    signs -= 1
    return signs


def _clipped(x: Array, progress: float) -> Array:
    return np.abs(x) <= 1


def _approximate(x: Array, progress: float) -> Array:
    slope = np.abs(x)
    slope *= -2
    slope += 2
    return np.maximum(slope, 0, out=slope)


def _error_decay(x: Array, progress: float) -> Array:
    t = 10.0 ** (_FIRST_LOG_T + (_LAST_LOG_T - _FIRST_LOG_T) * progress)
    k = max(1 / t, 1.0)
    # 1 - tanh^2(y) = 4 e / (1 + e)^2 with e = exp(-2 |y|), which is faster and keeps all digits far from 0.
    slope: Array = np.abs(x)
    slope *= -2 * t
    np.exp(slope, out=slope)
    square = slope + 1
    square *= square
    slope /= square
    slope *= 4 * k * t
    return slope


_SURROGATES: dict[str, Callable[[Array, float], Array]] = {
    "clipped": _clipped,
    "straight-through": _clipped,
    "approximate": _approximate,
    "error-decay": _error_decay,
}


def surrogate_gradient(estimator: str, x: Array, progress: float) -> Array:
    """Return the surrogate gradient of the sign at `x`.

    Parameters
    ----------
    estimator : str
        One of the names above.
    x : float array
        The arguments of the sign.
    progress : float
        The fraction of the training that is done, from 0 to 1.

    Returns
    -------
    float or bool array
        The slopes, with the shape of `x`.
    """
    return _SURROGATES[estimator](x, progress)


class WeightQuantizer(abc.ABC):
    """Turns latent weights (K, n_outputs) into signs and a scale for each output.

    Parameters
    ----------
    estimator : {"clipped", "approximate", "error-decay"}
        The surrogate gradient of the sign.
    """

    limit: float | None = 1.0  # latent weights are clipped to [-limit, limit] after each step
    is_straight_through: bool = False  # whether the gradient of a weight in [-1, 1] is that of its sign

    def __init__(self, estimator: str = "clipped") -> None:
        self.estimator = as_option(estimator, "estimator", WEIGHT_ESTIMATORS)

    @abc.abstractmethod
    def forward(self, weights: Array) -> tuple[Array, Array | None]:
        """Return signs (K, n_outputs) and scales (n_outputs,), or None for scales of one."""

    @abc.abstractmethod
    def backward(
        self, gradient: Array, weights: Array, signs: Array, scale: Array | None, progress: float
    ) -> Array:
        """Return the gradient with respect to the latent weights.

        Parameters
        ----------
        gradient : array (K, n_outputs)
            The gradient of the loss with respect to ``signs * scale``; it is overwritten.
        weights, signs, scale : arrays
            The argument and the results of `forward`.
        progress : float
            The fraction of the training that is done, from 0 to 1.

        Returns
        -------
        array (K, n_outputs)
        """

    def _through_sign(self, gradient: Array, x: Array, progress: float) -> Array:
        """Return the gradient with respect to `x` from that with respect to ``sign(x)``, in place."""
        if self.estimator == "clipped" and self.limit is not None:
            return gradient  # clipped weights stay where the slope is 1
        for rows in _row_blocks(x):
            gradient[rows] *= surrogate_gradient(self.estimator, x[rows], progress)
        return gradient


class SignWeights(WeightQuantizer):
    """The sign alone: BinaryConnect (Courbariaux, Bengio and David, NeurIPS 2015, equation 1)."""

    @property
    def is_straight_through(self) -> bool:  # type: ignore[override]
        """Whether the estimator is the clipped one."""
        return self.estimator == "clipped"

    def forward(self, weights: Array) -> tuple[Array, Array | None]:
        """Return the signs."""
        return sign(weights), None

    def backward(
        self, gradient: Array, weights: Array, signs: Array, scale: Array | None, progress: float
    ) -> Array:
        """Return the gradient times the surrogate gradient."""
        return self._through_sign(gradient, weights, progress)


class XNOR(WeightQuantizer):
    r"""The sign times the mean absolute weight of each output.

    :math:`W \approx \alpha B` with :math:`B = \mathrm{sign}(W)` and :math:`\alpha = \lVert W \rVert_1 / K`
    for each output, which minimizes :math:`\lVert W - \alpha B \rVert_2` (Rastegari et al., *XNOR-Net*, ECCV
    2016, equation 6). The gradient is that of the product, both factors of which depend on W; in equation 11
    of the paper, the gradient of the scale includes only the weight itself.

    The paper also scales each output by the mean absolute input. That is left out: such a scale differs from
    sample to sample, so a sign after it would not be a comparison with a fixed integer.
    """

    def forward(self, weights: Array) -> tuple[Array, Array | None]:
        """Return the signs and the mean absolute weights."""
        signs = sign(weights)
        return signs, _mean_of_products(signs, weights)

    def backward(
        self, gradient: Array, weights: Array, signs: Array, scale: Array | None, progress: float
    ) -> Array:
        """Return the gradient by the product rule."""
        by_scale = _mean_of_products(gradient, signs)
        gradient *= scale
        gradient = self._through_sign(gradient, weights, progress)
        gradient += signs * by_scale
        return gradient


class Libra(WeightQuantizer):
    r"""The sign of weights standardized for each output, times a power of two.

    :math:`\hat w = (w - \bar w) / \sigma(w)`, :math:`B = \mathrm{sign}(\hat w)` and
    :math:`s = 2^{\mathrm{round}(\log_2 (\lVert \hat w \rVert_1 / K))}` (Qin et al., *IR-Net*, CVPR 2020,
    equations 5 and 6): balanced signs carry the most information. The gradient passes through the estimator
    at :math:`\hat w` and through the standardization; the scale is treated as a constant.
    """

    limit = None

    def forward(self, weights: Array) -> tuple[Array, Array | None]:
        """Return the signs and scales of the standardized weights."""
        standard, _ = standardized(weights)
        signs = sign(standard)
        size = np.maximum(_mean_of_products(signs, standard), np.finfo(weights.dtype).tiny)
        return signs, np.ldexp(np.ones_like(size), np.rint(np.log2(size)).astype(np.int32))

    def backward(
        self, gradient: Array, weights: Array, signs: Array, scale: Array | None, progress: float
    ) -> Array:
        """Return the gradient through the estimator and the standardization."""
        standard, deviation = standardized(weights)
        gradient *= scale
        gradient = self._through_sign(gradient, standard, progress)
        along = _mean_of_products(gradient, standard)
        mean = gradient.mean(axis=0)
        for rows in _row_blocks(gradient):
            part, parallel = gradient[rows], standard[rows]
            part -= mean
            parallel *= along
            part -= parallel
            part /= deviation
        return gradient


class Fixed(WeightQuantizer):
    """Weights that are signs already, of a trained network."""

    def __init__(self, scale: Array | None) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, weights: Array) -> tuple[Array, Array | None]:
        """Return the weights and their scales."""
        return weights, self.scale

    def backward(
        self, gradient: Array, weights: Array, signs: Array, scale: Array | None, progress: float
    ) -> Array:
        """Return `gradient`."""
        return gradient


def standardized(weights: Array) -> tuple[Array, Array]:
    """Return weights (K, n_outputs) with mean 0 and deviation 1 for each output, and the old deviations."""
    standard = weights - weights.mean(axis=0)
    deviation = np.sqrt(_mean_of_products(standard, standard))
    deviation[deviation == 0] = 1  # constant weights become 0
    standard /= deviation
    return standard, deviation


def _mean_of_products(x: Array, y: Array) -> Array:
    """Return ``(x * y).mean(axis=0)`` without an array of the products."""
    mean: Array = np.einsum("kj,kj->j", x, y) / len(x)
    return mean


def _row_blocks(x: Array) -> Iterator[slice]:
    """Yield slices of rows that are small enough for the cache."""
    step = max(1, _ELEMENTS_PER_BLOCK * len(x) // max(1, x.size))
    for start in range(0, len(x), step):
        yield slice(start, start + step)


QUANTIZERS: dict[str, type[WeightQuantizer]] = {"sign": SignWeights, "xnor": XNOR, "libra": Libra}


def make_quantizer(weights: str, estimator: str) -> WeightQuantizer:
    """Return a quantizer by the arguments `weights` and `estimator` of a layer."""
    return QUANTIZERS[as_option(weights, "weights", QUANTIZERS)](estimator)
