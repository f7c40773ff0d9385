"""Layers that change the shape of samples: pooling and flattening."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastcodes._typing import Array
from fastcodes._validation import as_integer
from fastcodes.nn._thread_pool import map_slices
from fastcodes.nn.layers.base import Layer, Shape, image_shape

__all__ = ["Flatten", "MaxPool2D"]


class Flatten(Layer):
    """Reshape each sample to a vector.

    Examples
    --------
    >>> from fastcodes import nn
    >>> nn.Sequential(nn.Flatten()).build((4, 4, 3)).layers[0].output_shape
    (48,)
    """

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        return (int(np.prod(shape)),)

    def output_bits(self, input_bits: int | None) -> int | None:
        """Return `input_bits`."""
        return input_bits

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return the samples as vectors (n, d)."""
        return x.reshape(len(x), *self.output_shape)

    def backward(self, gradient: Array, *, needs_input: bool = True) -> Array:
        """Return the gradient in the shape of the input."""
        return gradient.reshape(len(gradient), *self.input_shape)


class MaxPool2D(Layer):
    """Take the maximum of each window of an image, channel by channel.

    The gradient goes to the first maximum. Pixels at the end that do not fill a window are dropped.

    Parameters
    ----------
    size : int
        Height and width of a window.
    stride : int or None
        Distance between windows in pixels; None means `size`.

    Examples
    --------
    >>> from fastcodes import nn
    >>> nn.Sequential(nn.MaxPool2D(2)).build((32, 32, 3)).layers[0].output_shape
    (16, 16, 3)
    """

    def __init__(self, size: int = 2, *, stride: int | None = None) -> None:
        super().__init__()
        self.size = as_integer(size, "size", 1)
        self.stride = None if stride is None else as_integer(stride, "stride", 1)

    @property
    def step(self) -> int:
        """The distance between windows, in pixels."""
        return self.stride or self.size

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        height, width, channels = image_shape(shape)
        if min(height, width) < self.size:
            raise ValueError(f"a window of size {self.size} does not fit into images of ({height}, {width})")
        return ((height - self.size) // self.step + 1, (width - self.size) // self.step + 1, channels)

    def output_bits(self, input_bits: int | None) -> int | None:
        """Return `input_bits`."""
        return input_bits

    def _positions(self, x: Array) -> Iterator[Array]:
        """Yield for each position in a window the pixels of `x` at that position, as a view."""
        height, width, _ = self.output_shape
        step = self.step
        for i in range(self.size):
            for j in range(self.size):
                yield x[:, i : i + height * step : step, j : j + width * step : step][:, :height, :width]

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return the maxima (n, height, width, channels)."""
        out = np.empty((len(x), *self.output_shape), x.dtype)

        def pool(samples: slice) -> None:
            positions = self._positions(x[samples])
            out[samples] = next(positions)
            for pixels in positions:
                np.maximum(out[samples], pixels, out=out[samples])

        map_slices(pool, len(x), x.size)
        if training:
            self.cache = x, out
        return out

    def backward(self, gradient: Array, *, needs_input: bool = True) -> Array:
        """Return the gradient of the input."""
        x, maxima = self.cache
        by_input: Array = np.zeros_like(x)
        is_disjoint = self.step >= self.size  # each pixel is in one window at most

        def distribute(samples: slice) -> None:
            left = gradient[samples].copy()  # what no earlier position took
            for pixels, target in zip(
                self._positions(x[samples]), self._positions(by_input[samples]), strict=True
            ):
                is_maximum = pixels == maxima[samples]
                taken = np.multiply(left, is_maximum, out=target if is_disjoint else None)
                if not is_disjoint:
                    target += taken
                left -= taken

        map_slices(distribute, len(x), x.size)
        return by_input
