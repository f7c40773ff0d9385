"""Element-wise layers: activations of one bit, of a few bits and of floats, and dropout."""

from __future__ import annotations

import numpy as np

from fastcodes._typing import Array
from fastcodes._validation import as_integer, as_option, as_real
from fastcodes.nn.layers.base import Layer, Shape
from fastcodes.nn.quantizers import ACTIVATION_ESTIMATORS, sign, surrogate_gradient

__all__ = ["Dropout", "HardTanh", "Quantize", "Sign"]


class Sign(Layer):
    """Binarize values: +1 where they are 0 or more, -1 elsewhere.

    Zero counts as positive, as in the thresholds of `fastcodes.xnor.Finish`, which make ``dot >= 0`` of
    ``thresholds=0``; a compiled network agrees with it in every value. `fastcodes.bits.pack` is strict, ``x >
    threshold``: it packs the bits of this layer as ``bits.pack(x >= 0)``.

    Parameters
    ----------
    estimator : {"straight-through", "approximate", "error-decay"}
        The surrogate gradient of the sign: see `fastcodes.nn.quantizers`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import nn
    >>> nn.Sign().forward(np.array([[-2.0, 0.0, 0.3]])).tolist()
    [[-1.0, 1.0, 1.0]]
    """

    def __init__(self, estimator: str = "straight-through") -> None:
        super().__init__()
        self.estimator = as_option(estimator, "estimator", ACTIVATION_ESTIMATORS)

    def output_bits(self, input_bits: int | None) -> int | None:
        """Return 1."""
        return 1

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return -1 and +1, in the dtype of `x`."""
        if training:
            self.cache = x
        return sign(x)

    def backward(self, gradient: Array, *, needs_input: bool = True) -> Array:
        """Return the gradient times the surrogate gradient."""
        out: Array = gradient * surrogate_gradient(self.estimator, self.cache, self.progress)
        return out


class Quantize(Layer):
    r"""Quantize values to n bits, each of which stands for -1 or +1 times a power of two.

    [-1, 1] is cut into :math:`2^n` equal cells. A value in cell k (values outside are clipped) becomes
    :math:`2k - (2^n - 1)`, an odd integer from :math:`-(2^n - 1)` to :math:`2^n - 1`. These integers are
    :math:`\sum_j \pm 2^j` over the bits of k, so a product with signs is one product of signs for each bit.
    With n = 1 this would be `Sign`. The surrogate gradient is that of :math:`(2^n - 1) x` within [-1, 1], and
    0 beyond.

    Parameters
    ----------
    n_bits : int
        From 2 to 8.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import nn
    >>> nn.Quantize(2).forward(np.array([[-7.0, -0.3, 0.0, 0.3, 0.5]])).tolist()
    [[-3.0, -1.0, 1.0, 1.0, 3.0]]
    """

    def __init__(self, n_bits: int) -> None:
        super().__init__()
        self.n_bits = as_integer(n_bits, "n_bits", 2, 8)

    def output_bits(self, input_bits: int | None) -> int | None:
        """Return `n_bits`."""
        return self.n_bits

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return odd integers, in the dtype of `x`."""
        if training:
            self.cache = np.abs(x) <= 1
        half = 2 ** (self.n_bits - 1)
        out: Array = x * half
        np.floor(out, out=out)
        np.clip(out, -half, half - 1, out=out)
        out *= 2
        out += 1
        return out

    def backward(self, gradient: Array, *, needs_input: bool = True) -> Array:
        """Return the gradient times the surrogate gradient."""
        out: Array = gradient * self.cache
        out *= 2**self.n_bits - 1
        return out


class HardTanh(Layer):
    """Clip values to [-1, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import nn
    >>> nn.HardTanh().forward(np.array([[-3.0, 0.5, 2.0]])).tolist()
    [[-1.0, 0.5, 1.0]]
    """

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return the clipped values."""
        if training:
            self.cache = np.abs(x) <= 1
        return np.clip(x, -1, 1)

    def backward(self, gradient: Array, *, needs_input: bool = True) -> Array:
        """Return the gradient where values were not clipped, and 0 elsewhere."""
        out: Array = gradient * self.cache
        return out


class Dropout(Layer):
    """Set random values to zero in training, and scale the others to keep the mean.

    Srivastava et al., *Dropout*, JMLR 15, 2014. The identity in prediction.

    Parameters
    ----------
    rate : float
        The fraction of the values to drop, from 0 to less than 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import nn
    >>> nn.Dropout(0.5).forward(np.ones((1, 3))).tolist()
    [[1.0, 1.0, 1.0]]
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = as_real(rate, "rate", at_least=0, below=1)

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        self._rng = rng
        return shape

    def output_bits(self, input_bits: int | None) -> int | None:
        """Return `input_bits`."""
        return input_bits

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return the samples, in training with random zeros."""
        if not training:
            return x
        kept = self._rng.random(x.shape, np.float32) >= self.rate
        self.cache = kept.astype(x.dtype)
        self.cache /= 1 - self.rate
        out: Array = x * self.cache
        return out

    def backward(self, gradient: Array, *, needs_input: bool = True) -> Array:
        """Return the gradient of the values that were kept."""
        out: Array = gradient * self.cache
        return out
