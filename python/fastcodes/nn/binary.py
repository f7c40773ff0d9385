"""Layers of bits: weights of -1 and +1, and activations of 1 to 8 bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcodes import bits, xnor
from fastcodes._validation import as_integer
from fastcodes.nn._layer import Array, Layer
from fastcodes.nn.layers import Conv2D, Dense
from fastcodes.nn.quantizers import ACTIVATION_ESTIMATORS, QUANTIZERS, Quantizer, choice, sign, surrogate

__all__ = ["BinaryConv2D", "BinaryDense", "Quantize", "Sign"]


class BinaryDense(Dense):
    """Multiply vectors by weights of -1 and +1.

    Training keeps real-valued *latent* weights beside the bits and moves them by the gradient of the bits
    (Courbariaux, Bengio and David, *BinaryConnect*, NeurIPS 2015).

    Parameters
    ----------
    units : int
        Number of outputs.
    weights : {"sign", "xnor", "libra"}
        How latent weights become bits: by their sign; by their sign, times their mean size for each output
        (XNOR-Net); or by their sign once they are standardised, times a power of two (IR-Net). A `BatchNorm`
        that follows makes the scale a matter of training only.
    estimator : {"clipped", "approximate", "error-decay"}
        What passes for the derivative of the sign of a weight: see `fastcodes.nn.quantizers`.
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
        self.quantizer = _quantizer(weights, estimator)
        self.weights = weights
        self.estimator = estimator

    def _products(self, x: Array, matrix: Array) -> Array:
        if not _are_signs(x):
            return super()._products(x, matrix)
        # Threads of BLAS still wait busily for the next product: others would stand in their way.
        rows, columns = bits.pack(x, threads=1), bits.pack(matrix.T, threads=1)
        return xnor.matmul(rows, columns, x.shape[-1], finish=xnor.Finish(scale=1), threads=1)


class BinaryConv2D(Conv2D):
    """Multiply all patches of images by filters of -1 and +1.

    Parameters
    ----------
    filters, kernel_size, stride, padding, dilation, groups
        As in `Conv2D`.
    pad_value : {-1, 1, 0}
        What the border is made of. Zero is no bit: it is for the layers of a network that see pixels, or
        floats.
    weights, estimator, use_bias
        As in `BinaryDense`.

    Examples
    --------
    >>> from fastcodes import nn
    >>> nn.Sequential(nn.BinaryConv2D(8, 3, padding="same")).build((32, 32, 3)).layers[0].output_shape
    (32, 32, 8)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: int | str = "valid",
        dilation: int = 1,
        groups: int = 1,
        pad_value: int = -1,
        weights: str = "sign",
        estimator: str = "clipped",
        use_bias: bool = False,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            use_bias=use_bias,
        )
        if pad_value not in (-1, 1, 0):
            raise ValueError(f"pad_value must be -1, 1 or 0; got {pad_value!r}")
        self.pad_value = int(pad_value)
        self.quantizer = _quantizer(weights, estimator)
        self.weights = weights
        self.estimator = estimator

    def _products(self, x: Array, matrix: Array) -> Array:
        if not (self.fits_kernel and _are_signs(x)):
            return super()._products(x, matrix)
        return xnor.conv2d(
            bits.pack(x),
            self.packed_filters(matrix),
            x.shape[-1],
            stride=self.stride,
            padding=(self.pads[0], self.pads[1]),
            pad_value=int(self.pad_value),
            dilation=self.dilation,
            groups=self.groups,
            finish=xnor.Finish(scale=1),
        )

    def packed_filters(self, matrix: Array) -> NDArray[np.uint8]:
        """Return signs (K, filters) as `fastcodes.xnor.conv2d` takes them."""
        signs = matrix.reshape(*self.kernel_size, -1, self.filters)
        return bits.pack(np.ascontiguousarray(signs.transpose(3, 0, 1, 2)))


class Sign(Layer):
    """Make one bit of each value: +1 where it is 0 or more, -1 elsewhere.

    Parameters
    ----------
    estimator : {"straight-through", "approximate", "error-decay"}
        What passes for the derivative of the sign: see `fastcodes.nn.quantizers`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import nn
    >>> nn.Sign().forward(np.array([[-2.0, 0.0, 0.3]])).tolist()
    [[-1.0, 1.0, 1.0]]
    """

    def __init__(self, estimator: str = "straight-through") -> None:
        super().__init__()
        self.estimator = choice(estimator, "estimator", ACTIVATION_ESTIMATORS)

    def output_bits(self, input_bits: int | None) -> int | None:
        """Return one."""
        return 1

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return -1 and +1, in the dtype of `x`."""
        if training:
            self.cache = x
        return sign(x)

    def backward(self, gradient: Array, needs_input: bool = True) -> Array:
        """Return the gradient times the slope of the estimator."""
        out: Array = gradient * surrogate(self.estimator, self.cache, self.progress)
        return out


class Quantize(Layer):
    r"""Make n bits of each value, of which each stands for -1 or +1 times a power of two.

    [-1, 1] is cut into :math:`2^n` equal cells, and a value becomes the number of its cell k as
    :math:`2k - (2^n - 1)`: one of the odd integers from :math:`-(2^n - 1)` to :math:`2^n - 1`. These are
    :math:`\sum_j \pm 2^j` over the bits of k, so that a product with bits is one of bits for each j. With n =
    1 it would be `Sign`. The gradient is that of :math:`(2^n - 1) x` within [-1, 1], and 0 beyond.

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

    def forward(self, x: Array, training: bool = False) -> Array:
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

    def backward(self, gradient: Array, needs_input: bool = True) -> Array:
        """Return the gradient times the slope of the line that the steps follow."""
        out: Array = gradient * self.cache
        out *= 2**self.n_bits - 1
        return out


def _are_signs(x: Array) -> bool:
    """Whether the sums of a product are the same with packed bits, a few times faster.

    They are to be float32; float64 is for those who look at the gradients.
    """
    return x.dtype == np.float32 and bool((np.abs(x) == 1).all())


def _quantizer(weights: str, estimator: str) -> Quantizer:
    return QUANTIZERS[choice(weights, "weights", tuple(QUANTIZERS))](estimator)
