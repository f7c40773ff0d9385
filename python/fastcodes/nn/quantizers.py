r"""How weights become bits, and what of a gradient passes back through a step.

A sign has no useful derivative, so training uses another function's: the surrogate of an *estimator*.

"clipped", "straight-through"
    1 within [-1, 1], 0 beyond (Hubara et al., *Binarized neural networks*, NeurIPS 2016, equation 4).
"approximate"
    :math:`2 - 2|x|` within [-1, 1], 0 beyond: the slope of a piecewise quadratic (Liu et al., *Bi-Real Net*,
    ECCV 2018, equation 7).
"error-decay"
    :math:`k t (1 - \tanh^2(t x))` with :math:`t = 10^{-3 + 4 i/N}` at progress i/N and
    :math:`k = \max(1/t, 1)`: the slope of the identity at first, and of a sign at last (Qin et al., *IR-Net*,
    CVPR 2020, equations 8 and 9, with the range of t of the authors' code). For activations they have a
    `HardTanh` before it: without one, values far from 0 get the slope of 1, too.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator

import numpy as np

from fastcodes.nn._layer import Array

__all__ = [
    "ACTIVATION_ESTIMATORS",
    "QUANTIZERS",
    "WEIGHT_ESTIMATORS",
    "XNOR",
    "Fixed",
    "Libra",
    "Quantizer",
    "SignWeights",
    "choice",
    "sign",
    "surrogate",
]

WEIGHT_ESTIMATORS = ("clipped", "approximate", "error-decay")
ACTIVATION_ESTIMATORS = ("straight-through", "approximate", "error-decay")
_FIRST_T, _LAST_T = -3.0, 1.0  # logarithms to base 10
_BLOCK = 1 << 15  # numbers


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
    t = 10.0 ** (_FIRST_T + (_LAST_T - _FIRST_T) * progress)
    k = max(1 / t, 1.0)
    # 1 - tanh^2(y) = 4 e / (1 + e)^2 with e = exp(-2 |y|), which is faster and loses no digits far from 0.
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


def surrogate(estimator: str, x: Array, progress: float) -> Array:
    """Return the slope at `x` that an estimator takes for that of the sign.

    Parameters
    ----------
    estimator : str
        One of the names above.
    x : float array
        What the sign was taken of.
    progress : float
        Which part of the training is done, from 0 to 1.

    Returns
    -------
    float or bool array
        With the shape of `x`.
    """
    return _SURROGATES[estimator](x, progress)


def choice(value: str, name: str, names: tuple[str, ...]) -> str:
    """Return a parameter that has to be one of some names."""
    if value not in names:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, names))}; got {value!r}")
    return value


class Quantizer(abc.ABC):
    """Make bits of latent weights (K, n_outputs): signs, and a scale for each output.

    Parameters
    ----------
    estimator : {"clipped", "approximate", "error-decay"}
        What passes for the derivative of the sign.
    """

    limit: float | None = 1.0  # what the size of latent weights is clipped to after each step
    passes_straight: bool = False  # whether the gradient of a weight of size 1 or less is that of its bit

    def __init__(self, estimator: str = "clipped") -> None:
        self.estimator = choice(estimator, "estimator", WEIGHT_ESTIMATORS)

    @abc.abstractmethod
    def forward(self, weights: Array) -> tuple[Array, Array | None]:
        """Return signs (K, n_outputs) and scales (n_outputs,), or None for scales of one."""

    @abc.abstractmethod
    def backward(
        self, gradient: Array, weights: Array, signs: Array, scale: Array | None, progress: float
    ) -> Array:
        """Return the gradient by the latent weights.

        Parameters
        ----------
        gradient : array (K, n_outputs)
            The derivative of the loss by ``signs * scale``; is overwritten.
        weights, signs, scale : arrays
            What `forward` took and returned.
        progress : float
            Which part of the training is done.
        """

    def _through_sign(self, gradient: Array, x: Array, progress: float) -> Array:
        """Return the gradient by `x` of one by ``sign(x)``, which is overwritten."""
        if self.estimator == "clipped" and self.limit is not None:
            return gradient  # weights that are clipped never leave where the slope is one
        for rows in _blocks(x):
            gradient[rows] *= surrogate(self.estimator, x[rows], progress)
        return gradient


class SignWeights(Quantizer):
    """The sign alone: BinaryConnect (Courbariaux, Bengio and David, NeurIPS 2015, equation 1)."""

    @property
    def passes_straight(self) -> bool:  # type: ignore[override]
        """Whether the estimator is the clipped one."""
        return self.estimator == "clipped"

    def forward(self, weights: Array) -> tuple[Array, Array | None]:
        """Return the signs."""
        return sign(weights), None

    def backward(
        self, gradient: Array, weights: Array, signs: Array, scale: Array | None, progress: float
    ) -> Array:
        """Return the gradient times the slope of the estimator."""
        return self._through_sign(gradient, weights, progress)


class XNOR(Quantizer):
    r"""The sign times the mean size of an output's weights.

    :math:`W \approx \alpha B` with :math:`B = \mathrm{sign}(W)` and :math:`\alpha = \lVert W \rVert_1 / K`
    for each output, which minimises :math:`\lVert W - \alpha B \rVert_2` (Rastegari et al., *XNOR-Net*, ECCV
    2016, equation 6). The gradient is that of the product, both factors of which depend on W; equation 11 of
    the paper keeps of the scale's part only the weight's own.

    The paper also scales each output by the size of its inputs. That is left out: such a scale differs from
    sample to sample, so that a sign behind it would not be a comparison with a fixed integer.
    """

    def forward(self, weights: Array) -> tuple[Array, Array | None]:
        """Return the signs and the mean absolute weights."""
        signs = sign(weights)
        return signs, _mean_of_products(signs, weights)

    def backward(
        self, gradient: Array, weights: Array, signs: Array, scale: Array | None, progress: float
    ) -> Array:
        """Return the derivative by the product rule."""
        by_scale = _mean_of_products(gradient, signs)
        gradient *= scale
        gradient = self._through_sign(gradient, weights, progress)
        gradient += signs * by_scale
        return gradient


class Libra(Quantizer):
    r"""The sign of weights that are standardised for each output, times a power of two.

    :math:`\hat w = (w - \bar w) / \sigma(w)`, :math:`B = \mathrm{sign}(\hat w)` and
    :math:`s = 2^{\mathrm{round}(\log_2 (\lVert \hat w \rVert_1 / K))}` (Qin et al., *IR-Net*, CVPR 2020,
    equations 5 and 6): signs as balanced as the weights are symmetric carry the most information. The
    gradient passes through the estimator at :math:`\hat w` and through the standardisation; the scale counts
    as constant.
    """

    limit = None

    def forward(self, weights: Array) -> tuple[Array, Array | None]:
        """Return the signs and scales of the standardised weights."""
        standard, _ = standardized(weights)
        signs = sign(standard)
        size = np.maximum(_mean_of_products(signs, standard), np.finfo(weights.dtype).tiny)
        return signs, np.ldexp(np.ones_like(size), np.rint(np.log2(size)).astype(np.int32))

    def backward(
        self, gradient: Array, weights: Array, signs: Array, scale: Array | None, progress: float
    ) -> Array:
        """Return the derivative through estimator and standardisation."""
        standard, deviation = standardized(weights)
        gradient *= scale
        gradient = self._through_sign(gradient, standard, progress)
        along = _mean_of_products(gradient, standard)
        mean = gradient.mean(axis=0)
        for rows in _blocks(gradient):
            part, pull = gradient[rows], standard[rows]
            part -= mean
            pull *= along
            part -= pull
            part /= deviation
        return gradient


class Fixed(Quantizer):
    """Weights that are signs already."""

    def __init__(self, scale: Array | None) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, weights: Array) -> tuple[Array, Array | None]:
        """Return them and their scales."""
        return weights, self.scale

    def backward(
        self, gradient: Array, weights: Array, signs: Array, scale: Array | None, progress: float
    ) -> Array:
        """Return the gradient as it is: nothing is between."""
        return gradient


def standardized(weights: Array) -> tuple[Array, Array]:
    """Return weights (K, n_outputs) with mean 0 and standard deviation 1 for each output, and what it was."""
    standard = weights - weights.mean(axis=0)
    deviation = np.sqrt(_mean_of_products(standard, standard))
    deviation[deviation == 0] = 1  # constant weights stay at 0
    standard /= deviation
    return standard, deviation


def _mean_of_products(x: Array, y: Array) -> Array:
    """Return ``(x * y).mean(axis=0)`` without an array of the products."""
    mean: Array = np.einsum("kj,kj->j", x, y) / len(x)
    return mean


def _blocks(x: Array) -> Iterator[slice]:
    """Yield the rows of `x` so few at a time that what is made of them stays in the cache."""
    step = max(1, _BLOCK * len(x) // max(1, x.size))
    for start in range(0, len(x), step):
        yield slice(start, start + step)


QUANTIZERS: dict[str, type[Quantizer]] = {"sign": SignWeights, "xnor": XNOR, "libra": Libra}
