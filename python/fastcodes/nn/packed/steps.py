"""The steps of a packed network: calls of kernels, and of layers of floats.

Between steps, values are one of these:

=======  ==================================  =============================================================
values   array                               meaning
=======  ==================================  =============================================================
floats   float32 ``(n, ...)``                numbers
bits     uint8 ``(n, ..., ceil(c / 8))``     signs, packed along the last axis
codes    uint8 ``(n, ...)``                  integers ``scale * code + offset`` of a few bits: pixels, and the
                                             output of `Quantize`
=======  ==================================  =============================================================
"""

from __future__ import annotations

import abc
import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastcodes import _native, bits, xnor
from fastcodes._files import Registered
from fastcodes._typing import Array, Booleans, Codes, Floats
from fastcodes.nn._thread_pool import thread_limit
from fastcodes.nn.layers import Layer, Quantize, Shape
from fastcodes.xnor._operands import native_finish, native_matrix

__all__ = [
    "Add",
    "Apply",
    "CodesOfFloats",
    "FlattenBits",
    "FloatsOfCodes",
    "FloatsOfSigns",
    "Normalize",
    "PackedConv2D",
    "PackedDense",
    "PackedStep",
    "PoolBits",
    "SignsOfFloats",
]


class PackedStep(Registered, abc.ABC):
    """A step from values to values. Files of packed networks name it by its class name."""

    def buffer(self, n: int) -> Array | None:
        """Return an array for the output for `n` samples, if `run` can write to one."""
        return None

    @abc.abstractmethod
    def run(self, x: Array, out: Array | None) -> Array:
        """Return the output for `x`, in `out` if it is given."""


def _empty_bits(n: int, shape: Shape) -> Codes:
    """Return an array for the signs of `n` samples of a shape."""
    return np.empty((n, *shape[:-1], -(-shape[-1] // 8)), np.uint8)


@dataclass(repr=False)
class Apply(PackedStep):
    """A layer that is not packed, on floats, or on codes if it only moves or compares them."""

    layer: Layer

    def run(self, x: Array, out: Array | None) -> Array:
        """Return the output of the layer."""
        return self.layer.forward(x)

    def __repr__(self) -> str:
        return repr(self.layer)


@dataclass(repr=False)
class Normalize(PackedStep):
    """A `BatchNorm` on floats."""

    shape: Shape
    mean: Array
    factor: Array
    beta: Array

    def __post_init__(self) -> None:
        for array in (self.mean, self.factor, self.beta):
            is_valid = array.dtype == np.float32 and array.shape == self.shape[-1:]
            if not is_valid or not np.isfinite(array).all():
                raise ValueError(
                    f"mean, factor and beta of a normalization must have {self.shape[-1]} finite float32"
                )

    def buffer(self, n: int) -> Array:
        """Return an array for floats."""
        return np.empty((n, *self.shape), np.float32)

    def run(self, x: Array, out: Array | None) -> Array:
        """Return normalized floats."""
        normal: Array = np.subtract(x, self.mean, out=out)
        normal *= self.factor
        normal += self.beta
        return normal

    def __repr__(self) -> str:
        return f"Normalize({len(self.mean)} floats)"


@dataclass
class Add(PackedStep):
    """The sum of two branches on floats."""

    steps: list[PackedStep]
    shortcut: list[PackedStep]

    def run(self, x: Array, out: Array | None) -> Array:
        """Return the sum."""
        value, short = x, x
        for step in self.steps:
            value = step.run(value, None)
        for step in self.shortcut:
            short = step.run(short, None)
        total: Array = value + short
        return total


@dataclass
class SignsOfFloats(PackedStep):
    """The sign of each float."""

    shape: Shape

    def buffer(self, n: int) -> Array:
        """Return an array for bits."""
        return _empty_bits(n, self.shape)

    def run(self, x: Array, out: Array | None) -> Array:
        """Return bits."""
        return bits.pack(x >= 0, out=out, threads=thread_limit())


@dataclass
class CodesOfFloats(PackedStep):
    """A code of a few bits for each float."""

    n_bits: int

    def run(self, x: Array, out: Array | None) -> Array:
        """Return codes."""
        levels = Quantize(self.n_bits).forward(x)
        levels += 2**self.n_bits - 1
        levels /= 2
        return levels.astype(np.uint8)


@dataclass
class FloatsOfSigns(PackedStep):
    """-1 or +1 for each bit."""

    shape: Shape

    def buffer(self, n: int) -> Array:
        """Return an array for floats."""
        return np.empty((n, *self.shape), np.float32)

    def run(self, x: Array, out: Array | None) -> Array:
        """Return floats."""
        return bits.unpack(
            x, self.shape[-1], dtype=np.float32, values=(-1, 1), out=out, threads=thread_limit()
        )


@dataclass
class FloatsOfCodes(PackedStep):
    """The number that each code stands for."""

    scale: int
    offset: int

    def run(self, x: Array, out: Array | None) -> Array:
        """Return floats."""
        numbers = x.astype(np.float32)
        numbers *= self.scale
        numbers += self.offset
        return numbers


@dataclass
class FlattenBits(PackedStep):
    """One row of bits for each image of bits."""

    shape: Shape

    def run(self, x: Array, out: Array | None) -> Array:
        """Return rows."""
        if self.shape[-1] % 8 == 0:
            return x.reshape(len(x), -1)
        return bits.pack(bits.unpack(x, self.shape[-1]).reshape(len(x), -1))


@dataclass
class PoolBits(PackedStep):
    """The maximum of each window of bits, inverted in some channels."""

    shape: Shape
    size: int
    stride: int
    mask: Array | None = None  # uint8 (n_bytes,): the bits to invert

    def buffer(self, n: int) -> Array:
        """Return an array for bits."""
        return _empty_bits(n, self.shape)

    def run(self, x: Array, out: Array | None) -> Array:
        """Return smaller images of bits."""
        pooled = xnor.max_pool2d(x, self.size, stride=self.stride, out=out, threads=thread_limit())
        if self.mask is not None:
            pooled ^= self.mask
        return pooled


@dataclass(repr=False)
class PackedProduct(PackedStep):
    """A product of bits, or of codes, with packed signs.

    With thresholds the output is bits, otherwise floats: sums times `scale`, plus `bias`.
    """

    rows: Codes  # the signs of the weights of each output, packed
    n_bits: int | None  # of codes; None for bits
    byte_scale: int  # codes stand for byte_scale * code + byte_offset
    byte_offset: int
    thresholds: Array | None
    flips: Booleans | None
    scale: Floats | None
    bias: Floats | None

    def _finish(self) -> xnor.Finish:
        """Return the finish that makes the output of sums."""
        if self.thresholds is not None:
            flips = self.flips if self.flips is not None and self.flips.any() else None
            return xnor.Finish(thresholds=self.thresholds, flips=flips)
        # An array, since a number would be converted to one for each product.
        scale = np.ones(len(self.rows), np.float32) if self.scale is None else self.scale
        return xnor.Finish(scale=scale, bias=self.bias)

    def __reduce__(self) -> tuple[type[PackedProduct], tuple[Any, ...]]:
        return type(self), tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    def _empty(self, n: int, shape: Shape) -> Array:
        if self.thresholds is None:
            return np.empty((n, *shape), np.float32)
        return _empty_bits(n, shape)

    def __repr__(self) -> str:
        inputs = "signs" if self.n_bits is None else f"{self.n_bits}-bit codes"
        outputs = "floats" if self.thresholds is None else "signs"
        shape = " x ".join(map(str, self.rows.shape[:-1]))
        return f"{type(self).__name__}({inputs} -> {shape} {outputs})"


@dataclass(repr=False)
class PackedDense(PackedProduct):
    """A matrix product."""

    n_features: int

    def __post_init__(self) -> None:
        matrix = xnor.PackedMatrix(self.rows, self.n_features)
        self._matrix = native_matrix(matrix, self.n_features, "n_features")
        self._last = native_finish(self._finish(), len(self.rows))

    def buffer(self, n: int) -> Array:
        """Return an array for the output."""
        return self._empty(n, (len(self.rows),))

    def run(self, x: Array, out: Array | None) -> Array:
        """Return bits or floats."""
        # The kernels themselves: the arguments are prepared, and a product of one sample takes microseconds.
        if self.n_bits is None:
            return _native.xnor_matmul(
                x, "signs", self._matrix, self.n_features, self._last, out, thread_limit()
            )
        byte_values = (self.byte_scale, self.byte_offset)
        return _native.xnor_byte_matmul(x, byte_values, self._matrix, self._last, out, thread_limit())


@dataclass(repr=False)
class PackedConv2D(PackedProduct):
    """A convolution."""

    image: Shape
    stride: int
    padding: tuple[tuple[int, int], tuple[int, int]]
    pad_value: int
    dilation: int
    groups: int

    def __post_init__(self) -> None:
        n_filters, *kernel, _ = self.rows.shape
        self._filters = xnor.PackedFilters(self.rows, self.image[-1], groups=self.groups)
        spans = [
            (length + sum(pads) - self.dilation * (k - 1) - 1) // self.stride + 1
            for length, pads, k in zip(self.image[:2], self.padding, kernel, strict=True)
        ]
        self._shape = (*spans, n_filters)
        self._last = self._finish()

    def buffer(self, n: int) -> Array:
        """Return an array for the output."""
        return self._empty(n, self._shape)

    def run(self, x: Array, out: Array | None) -> Array:
        """Return bits or floats."""
        settings: dict[str, Any] = {
            "stride": self.stride,
            "padding": self.padding,
            "pad_value": self.pad_value,
            "dilation": self.dilation,
            "finish": self._last,
            "out": out,
            "threads": thread_limit(),
        }
        if self.n_bits is None:
            return xnor.conv2d(x, self._filters, self.image[-1], **settings)
        return xnor.byte_conv2d(
            x, self._filters, byte_scale=self.byte_scale, byte_offset=self.byte_offset, **settings
        )
