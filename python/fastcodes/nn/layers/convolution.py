"""Convolutions, with filters of floats and of signs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcodes import bits, xnor
from fastcodes._typing import Array
from fastcodes._validation import as_bool, as_integer, describe
from fastcodes.nn._thread_pool import map_slices, thread_limit
from fastcodes.nn.layers.base import MAX_UNITS, Shape, image_shape
from fastcodes.nn.layers.product import Product, are_signs
from fastcodes.nn.quantizers import make_quantizer

__all__ = ["BinaryConv2D", "Conv2D"]

# Elements of the patches of one matrix product: they stay in the cache.
_PATCH_ELEMENTS = 1 << 20


class Conv2D(Product):
    """Multiply all patches of images by filters: a cross-correlation.

    Images are (n, height, width, channels), weights (kernel height, kernel width, channels / groups,
    filters).

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size : int or pair of int
        Height and width of a patch.
    stride : int
        Distance between patches, in pixels.
    padding : "valid", "same" or int
        "valid" takes only patches within the image; "same" adds a border such that the size of the output is
        that of the input divided by the stride, rounded up; a number is the width of the border on all sides.
    dilation : int
        Distance between the pixels of a patch.
    groups : int
        Number of groups of channels and filters; filters see only the channels of their group.
    use_bias : bool
        Whether to add a learned number to each output channel.

    Examples
    --------
    >>> from fastcodes import nn
    >>> nn.Sequential(nn.Conv2D(8, 3, padding="same")).build((32, 32, 3)).layers[0].output_shape
    (32, 32, 8)
    """

    pad_value: float = 0.0

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: int | str = "valid",
        dilation: int = 1,
        groups: int = 1,
        use_bias: bool = True,
    ) -> None:
        super().__init__()
        self.filters = as_integer(filters, "filters", 1, MAX_UNITS)
        self.kernel_size = _pair(kernel_size, "kernel_size")
        self.stride = as_integer(stride, "stride", 1)
        if isinstance(padding, str):
            if padding not in ("valid", "same"):
                raise ValueError(f'padding must be "valid", "same" or an integer; got {describe(padding)}')
            self.padding: int | str = padding
        else:
            self.padding = as_integer(padding, "padding", 0)
        self.dilation = as_integer(dilation, "dilation", 1)
        self.groups = as_integer(groups, "groups", 1)
        self.use_bias = as_bool(use_bias, "use_bias")

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        height, width, channels = image_shape(shape)
        if channels % self.groups or self.filters % self.groups:
            raise ValueError(
                f"groups={self.groups} must divide both the {channels} channels "
                f"and the {self.filters} filters"
            )
        self.pads = [self._pad_of(size, k) for size, k in zip((height, width), self.kernel_size, strict=True)]
        out = [
            (size + sum(pads) - self.dilation * (k - 1) - 1) // self.stride + 1
            for size, pads, k in zip((height, width), self.pads, self.kernel_size, strict=True)
        ]
        if min(out) < 1:
            raise ValueError(
                f"a kernel of {self.kernel_size} with dilation {self.dilation} does not fit into images of "
                f'({height}, {width}) with padding {self.padding!r}; make it smaller, or use padding="same"'
            )
        area = self.kernel_size[0] * self.kernel_size[1]
        part = channels // self.groups
        fan_out = area * self.filters // self.groups
        self._build_weights((*self.kernel_size, part, self.filters), area * part, fan_out, rng)
        self.macs = out[0] * out[1] * area * part * self.filters
        return (out[0], out[1], self.filters)

    def _pad_of(self, size: int, kernel: int) -> tuple[int, int]:
        if self.padding == "same":
            n_patches = -(-size // self.stride)
            total = max((n_patches - 1) * self.stride + self.dilation * (kernel - 1) + 1 - size, 0)
            return total // 2, total - total // 2
        return (0, 0) if self.padding == "valid" else (int(self.padding), int(self.padding))

    def _multiply(self, x: Array, matrix: Array) -> Array:
        padded = self._padded(x)
        out = np.empty((len(x), *self.output_shape), x.dtype)

        def multiply(images: slice) -> None:
            for some, inputs, outputs in self._products(images):
                rows = out[some].reshape(-1, self.filters)
                np.matmul(self._patches(padded[some, ..., inputs]), matrix[:, outputs], out=rows[:, outputs])

        map_slices(multiply, len(x), len(x) * self.macs)
        return out

    def backward(self, gradient: Array, *, needs_input: bool = True) -> Array:
        """Set the gradients of weights and bias and return that of the input."""
        x, matrix, scale = self.cache
        padded = self._padded(x)
        gradient = np.ascontiguousarray(gradient)
        by_padded: Array = np.zeros_like(padded) if needs_input else padded
        weights = matrix if scale is None else matrix * scale
        taps = np.ascontiguousarray(weights.reshape(*self.kernel_size, -1, self.filters).swapaxes(2, 3))

        def multiply(images: slice) -> Array:
            by_weights: Array = np.zeros_like(matrix)
            for some, inputs, outputs in self._products(images):
                rows = gradient[some].reshape(-1, self.filters)[:, outputs]
                by_weights[:, outputs] += self._patches(padded[some, ..., inputs]).T @ rows
                if needs_input:
                    self._add_products(rows, taps[:, :, outputs], by_padded[some, ..., inputs])
            return by_weights

        total = np.sum(map_slices(multiply, len(gradient), len(gradient) * self.macs), axis=0)
        self._set_gradients(total, gradient, matrix, scale)
        (top, _), (left, _) = self.pads
        height, width, _ = self.input_shape
        by_input: Array = by_padded[:, top : top + height, left : left + width]
        return by_input

    @property
    def fits_kernel(self) -> bool:
        """Whether `fastcodes.xnor.conv2d` supports these groups."""
        part = self.parameters["weights"].value.shape[2]
        return self.groups == 1 or (part % 8 == 0 and self.filters // self.groups % 8 == 0)

    @property
    def has_border(self) -> bool:
        """Whether images are padded."""
        return any(map(any, self.pads))

    def _padded(self, x: Array) -> Array:
        if not self.has_border:
            return x
        n, height, width, channels = x.shape
        (top, bottom), (left, right) = self.pads
        shape = (n, height + top + bottom, width + left + right, channels)
        padded = np.full(shape, self.pad_value, x.dtype)
        padded[:, top : top + height, left : left + width] = x
        return padded

    def _products(self, images: slice) -> Iterator[tuple[slice, slice, slice]]:
        """Yield slices of images, channels and filters for one matrix product of a few patches."""
        height, width, filters = self.output_shape
        part, weights = self.filters // self.groups, self.parameters["weights"].value
        channels = weights.shape[2]
        step = max(1, _PATCH_ELEMENTS // (height * width * (weights.size // filters)))
        for start in range(images.start, images.stop, step):
            for g in range(self.groups):
                inputs, outputs = (slice(g * size, (g + 1) * size) for size in (channels, part))
                yield slice(start, min(start + step, images.stop)), inputs, outputs

    def _patches(self, x: Array) -> Array:
        """Return the patches of padded images as rows of a matrix (patches, K)."""
        n, _, _, channels = x.shape
        height, width, _ = self.output_shape
        s_n, s_h, s_w, s_c = x.strides
        patches = np.lib.stride_tricks.as_strided(
            x,
            (n, height, width, *self.kernel_size, channels),
            (s_n, s_h * self.stride, s_w * self.stride, s_h * self.dilation, s_w * self.dilation, s_c),
            writeable=False,
        )
        return patches.reshape(n * height * width, -1)

    def _add_products(self, rows: Array, taps: Array, x: Array) -> None:
        """Add output gradients times the weights of each position in a patch to the pixels there, `x`."""
        n, _, _, channels = x.shape
        height, width, _ = self.output_shape
        products = np.empty((len(rows), channels), x.dtype)
        for i, j in np.ndindex(*self.kernel_size):
            np.matmul(rows, taps[i, j], out=products)
            top, left = i * self.dilation, j * self.dilation
            bottom, right = top + (height - 1) * self.stride + 1, left + (width - 1) * self.stride + 1
            target = x[:, top : bottom : self.stride, left : right : self.stride]
            target += products.reshape(n, height, width, channels)


class BinaryConv2D(Conv2D):
    """Multiply all patches of images by filters of -1 and +1.

    Parameters
    ----------
    filters, kernel_size, stride, padding, dilation, groups
        As in `Conv2D`.
    pad_value : {-1, 1, 0}
        The value of the border. Zero is not a sign: it is for layers whose inputs are pixels or floats.
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
        self.pad_value = as_integer(pad_value, "pad_value", -1, 1)
        self.quantizer = make_quantizer(weights, estimator)
        self.weights = weights
        self.estimator = estimator

    def _multiply(self, x: Array, matrix: Array) -> Array:
        if not (self.fits_kernel and are_signs(x)):
            return super()._multiply(x, matrix)
        threads = thread_limit()
        return xnor.conv2d(
            bits.pack(x, threads=threads),
            self.packed_filters(matrix),
            x.shape[-1],
            stride=self.stride,
            padding=(self.pads[0], self.pads[1]),
            pad_value=int(self.pad_value),
            dilation=self.dilation,
            groups=self.groups,
            finish=xnor.Finish(scale=1),
            threads=threads,
        )

    def packed_filters(self, matrix: Array) -> NDArray[np.uint8]:
        """Return signs (K, filters) packed for `fastcodes.xnor.conv2d`."""
        signs = matrix.reshape(*self.kernel_size, -1, self.filters)
        return bits.pack(np.ascontiguousarray(signs.transpose(3, 0, 1, 2)))


def _pair(value: Any, name: str) -> tuple[int, int]:
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"{name} must be an integer or a pair of them; got {describe(value)}")
        return as_integer(value[0], name, 1), as_integer(value[1], name, 1)
    number = as_integer(value, name, 1)
    return number, number
