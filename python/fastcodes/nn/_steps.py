"""The steps of a packed network, and how they are kept in files.

Between steps, values are one of these:

=======  ==================================  =============================================================
values   array                               meaning
=======  ==================================  =============================================================
floats   float32 ``(n, ...)``                themselves
bits     uint8 ``(n, ..., ceil(c / 8))``     signs, packed along the last axis
codes    uint8 ``(n, ...)``                  integers ``step * code + first`` of a few bits: pixels, and
                                             what `Quantize` gives
=======  ==================================  =============================================================
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcodes import _files, bits, xnor
from fastcodes.nn._layer import Array, Layer, Shape, layer_of, walk
from fastcodes.nn.binary import Quantize
from fastcodes.nn.layers import Product
from fastcodes.nn.quantizers import Fixed

__all__ = [
    "Add",
    "Apply",
    "CodesOfFloats",
    "FlattenBits",
    "FloatsOfCodes",
    "FloatsOfSigns",
    "Normalise",
    "PackedConv2D",
    "PackedDense",
    "PoolBits",
    "SignsOfFloats",
    "Step",
    "pack_steps",
    "unpack_steps",
]


class Step(abc.ABC):
    """One call of a kernel, or of a layer of floats."""

    def buffer(self, n: int) -> Array | None:
        """Return an array for what comes of `n` samples, if `run` can use one."""
        return None

    @abc.abstractmethod
    def run(self, x: Array, out: Array | None) -> Array:
        """Return what comes of values, in `out` if there is such an array."""


def _rows_of_bits(n: int, shape: Shape) -> Array:
    return np.empty((n, *shape[:-1], -(-shape[-1] // 8)), np.uint8)


@dataclass(repr=False)
class Apply(Step):
    """A layer as it is: for floats, and for codes where only their order and place matter."""

    layer: Layer

    def run(self, x: Array, out: Array | None) -> Array:
        """Return what the layer makes of values."""
        return self.layer.forward(x)

    def __repr__(self) -> str:
        return repr(self.layer)


@dataclass(repr=False)
class Normalise(Step):
    """What `BatchNorm` does to floats after training."""

    shape: Shape
    mean: Array
    factor: Array
    beta: Array

    def __post_init__(self) -> None:
        for array in (self.mean, self.factor, self.beta):
            fits = array.dtype == np.float32 and array.shape == self.shape[-1:]
            if not fits or not np.isfinite(array).all():
                raise ValueError(f"a normalisation must have {self.shape[-1]} finite float32 of each kind")

    def buffer(self, n: int) -> Array:
        """Return an array for floats."""
        return np.empty((n, *self.shape), np.float32)

    def run(self, x: Array, out: Array | None) -> Array:
        """Return normalised floats."""
        normal: Array = np.subtract(x, self.mean, out=out)
        normal *= self.factor
        normal += self.beta
        return normal

    def __repr__(self) -> str:
        return f"Normalise({len(self.mean)} floats)"


@dataclass
class Add(Step):
    """The sum of what some steps and others make of floats."""

    steps: list[Step]
    shortcut: list[Step]

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
class SignsOfFloats(Step):
    """One bit of each float."""

    shape: Shape

    def buffer(self, n: int) -> Array:
        """Return an array for bits."""
        return _rows_of_bits(n, self.shape)

    def run(self, x: Array, out: Array | None) -> Array:
        """Return bits."""
        return bits.pack(x >= 0, out=out)


@dataclass
class CodesOfFloats(Step):
    """A code of a few bits of each float."""

    n_bits: int

    def run(self, x: Array, out: Array | None) -> Array:
        """Return codes."""
        levels = Quantize(self.n_bits).forward(x)
        levels += 2**self.n_bits - 1
        levels /= 2
        return levels.astype(np.uint8)


@dataclass
class FloatsOfSigns(Step):
    """-1 and +1 of each bit."""

    shape: Shape

    def buffer(self, n: int) -> Array:
        """Return an array for floats."""
        return np.empty((n, *self.shape), np.float32)

    def run(self, x: Array, out: Array | None) -> Array:
        """Return floats."""
        return bits.unpack(x, self.shape[-1], dtype=np.float32, values=(-1, 1), out=out)


@dataclass
class FloatsOfCodes(Step):
    """The number that each code stands for."""

    step: int
    first: int

    def run(self, x: Array, out: Array | None) -> Array:
        """Return floats."""
        numbers = x.astype(np.float32)
        numbers *= self.step
        numbers += self.first
        return numbers


@dataclass
class FlattenBits(Step):
    """A row of bits of each image of them."""

    shape: Shape

    def run(self, x: Array, out: Array | None) -> Array:
        """Return rows."""
        if self.shape[-1] % 8 == 0:
            return x.reshape(len(x), -1)
        return bits.pack(bits.unpack(x, self.shape[-1]).reshape(len(x), -1))


@dataclass
class PoolBits(Step):
    """The or of the bits of each window, and then the other bit of some channels."""

    shape: Shape
    size: int
    stride: int
    mask: Array | None = None  # uint8 (n_bytes,): bits to turn over

    def buffer(self, n: int) -> Array:
        """Return an array for bits."""
        return _rows_of_bits(n, self.shape)

    def run(self, x: Array, out: Array | None) -> Array:
        """Return smaller images of bits."""
        pooled = xnor.max_pool2d(x, self.size, stride=self.stride, out=out)
        if self.mask is not None:
            pooled ^= self.mask
        return pooled


@dataclass(repr=False)
class Packed(Step):
    """A product of bits, or of codes, with packed weights.

    With thresholds the result is bits, else floats: sums times `scale`, plus `bias`.
    """

    rows: Array  # the signs of each output, packed
    n_bits: int | None  # of codes; None for bits
    step: int
    first: int
    thresholds: Array | None
    flips: Array | None
    scale: Array | None
    bias: Array | None

    def _finish(self) -> xnor.Finish:
        """Return what a kernel makes of sums."""
        if self.thresholds is not None:
            flips = self.flips if self.flips is not None and self.flips.any() else None
            return xnor.Finish(thresholds=self.thresholds, flips=flips)
        return xnor.Finish(scale=1 if self.scale is None else self.scale, bias=self.bias)

    def _made(self, n: int, shape: Shape) -> Array:
        if self.thresholds is None:
            return np.empty((n, *shape), np.float32)
        return _rows_of_bits(n, shape)

    def __repr__(self) -> str:
        kind = "signs" if self.n_bits is None else f"{self.n_bits}-bit codes"
        result = "floats" if self.thresholds is None else "signs"
        shape = " x ".join(map(str, self.rows.shape[:-1]))
        return f"{type(self).__name__}({kind} -> {shape} {result})"


@dataclass(repr=False)
class PackedDense(Packed):
    """A matrix product."""

    n_features: int

    def __post_init__(self) -> None:
        self._matrix = xnor.PackedMatrix(self.rows, self.n_features)
        self._last = self._finish()

    def buffer(self, n: int) -> Array:
        """Return an array for what comes out."""
        return self._made(n, (len(self.rows),))

    def run(self, x: Array, out: Array | None) -> Array:
        """Return bits or floats."""
        if self.n_bits is None:
            return xnor.matmul(x, self._matrix, self.n_features, finish=self._last, out=out)
        return xnor.byte_matmul(
            x, self._matrix, byte_scale=self.step, byte_offset=self.first, finish=self._last, out=out
        )


@dataclass(repr=False)
class PackedConv2D(Packed):
    """A convolution."""

    image: Shape
    stride: int
    padding: tuple[tuple[int, int], tuple[int, int]]
    pad_value: int
    dilation: int
    groups: int

    def __post_init__(self) -> None:
        n_filters, *kernel, _ = self.rows.shape
        n_channels = self.image[-1]
        self._filters = xnor.PackedFilters(self.rows, n_channels, groups=self.groups)
        spans = [
            (length + sum(pads) - self.dilation * (k - 1) - 1) // self.stride + 1
            for length, pads, k in zip(self.image[:2], self.padding, kernel, strict=True)
        ]
        self._shape = (*spans, n_filters)
        self._last = self._finish()

    def buffer(self, n: int) -> Array:
        """Return an array for what comes out."""
        return self._made(n, self._shape)

    def run(self, x: Array, out: Array | None) -> Array:
        """Return bits or floats."""
        settings: dict[str, Any] = {
            "stride": self.stride,
            "padding": self.padding,
            "pad_value": self.pad_value,
            "dilation": self.dilation,
            "finish": self._last,
            "out": out,
        }
        if self.n_bits is None:
            return xnor.conv2d(x, self._filters, self.image[-1], **settings)
        return xnor.byte_conv2d(x, self._filters, byte_scale=self.step, byte_offset=self.first, **settings)


# --- files -------------------------------------------------------------------------------------------------


def pack_steps(
    steps: Iterable[Step], prefix: str = ""
) -> tuple[list[dict[str, Any]], dict[str, NDArray[Any]]]:
    """Return what describes steps, as JSON values and named arrays."""
    configs, arrays = [], {}
    for i, step in enumerate(steps):
        name = f"{prefix}{i}."
        config: dict[str, Any] = {"kind": type(step).__name__}
        for field in dataclasses.fields(step):  # type: ignore[arg-type]
            value = getattr(step, field.name)
            if isinstance(value, np.ndarray):
                arrays[name + field.name] = value
            elif isinstance(value, Layer):
                config |= {field.name: value.config(), "shape": value.input_shape}
                arrays |= {name + key: array for key, array in _arrays(value).items()}
            elif isinstance(value, list):
                config[field.name], inner = pack_steps(value, f"{name}{field.name}.")
                arrays |= inner
            else:
                config[field.name] = value
        configs.append(config)
    return configs, arrays


def unpack_steps(
    configs: Iterable[dict[str, Any]], arrays: dict[str, NDArray[Any]], prefix: str = ""
) -> list[Step]:
    """Return the steps that `pack_steps` described."""
    steps = []
    for i, config in enumerate(configs):
        name = f"{prefix}{i}."
        kind = _STEPS[config["kind"]]
        values: dict[str, Any] = {}
        for field in dataclasses.fields(kind):  # type: ignore[arg-type]
            if name + field.name in arrays:
                values[field.name] = arrays[name + field.name]
            elif kind is Apply:
                layer = values[field.name] = layer_of(config[field.name])
                layer.build(tuple(config["shape"]), np.random.default_rng(0))
                _set_arrays(layer, arrays, name)
            elif kind is Add:
                values[field.name] = unpack_steps(config[field.name], arrays, f"{name}{field.name}.")
            else:
                values[field.name] = _tuples(config[field.name])
        steps.append(kind(**values))
    return steps


def _tuples(value: Any) -> Any:
    """Return what JSON made lists of as tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _arrays(layer: Layer) -> dict[str, NDArray[Any]]:
    """Return the arrays of a frozen layer; of weights that are signs, their bits."""
    arrays: dict[str, NDArray[Any]] = {}
    for _, part in walk([layer]):
        arrays |= part.state
        for name, parameter in part.parameters.items():
            arrays[name] = parameter.value
        if isinstance(part, Product) and isinstance(part.quantizer, Fixed):
            arrays["weights"] = bits.pack(part.matrix()[0])
            if part.quantizer.scale is not None:
                arrays["scale"] = part.quantizer.scale
    return arrays


def _set_arrays(layer: Layer, arrays: dict[str, NDArray[Any]], prefix: str) -> None:
    """Give a new layer the arrays of a frozen one."""
    for name, array in layer.state.items():
        array[...] = _files.take(arrays, prefix + name, np.float32, array.shape, finite=True)
    for name, parameter in layer.parameters.items():
        shape = parameter.value.shape
        if parameter.quantizer is None:
            parameter.value[...] = _files.take(arrays, prefix + name, np.float32, shape, finite=True)
        elif isinstance(layer, Product):
            n = shape[-1]
            signs = _files.take(arrays, prefix + name, np.uint8, (int(np.prod(shape[:-1])), -(-n // 8)))
            parameter.value[...] = bits.unpack(signs, n, dtype=np.float32, values=(-1, 1)).reshape(shape)
            has_scale = prefix + "scale" in arrays
            layer.quantizer = Fixed(
                _files.take(arrays, prefix + "scale", np.float32, (n,), finite=True) if has_scale else None
            )


_STEPS: dict[str, type[Step]] = {
    step.__name__: step
    for step in (
        Apply,
        Normalise,
        Add,
        SignsOfFloats,
        CodesOfFloats,
        FloatsOfSigns,
        FloatsOfCodes,
        FlattenBits,
        PoolBits,
        PackedDense,
        PackedConv2D,
    )
}
