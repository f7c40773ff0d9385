"""Trained networks as packed bits: the same answers, by integers.

Layers become steps. Between them, values are one of these:

=======  ==================================  =============================================================
values   array                               meaning
=======  ==================================  =============================================================
floats   float32 ``(n, ...)``                themselves
bits     uint8 ``(n, ..., ceil(c / 8))``     signs, packed along the last axis
codes    uint8 ``(n, ...)``                  integers ``step * code + first`` of a few bits: pixels, and
                                             what `Quantize` gives
=======  ==================================  =============================================================

A product of bits or codes is a sum of integers. What follows it up to the next `Sign` never turns back as
that sum rises (or as it falls, for a negative gamma), also in float32, since each rounding keeps the order of
numbers. So the sign is one comparison of the sum with an integer, which is found by bisection with the layers
themselves: no algebra, and no error.
"""

from __future__ import annotations

import abc
import copy
import dataclasses
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes import _files, _native, bits, xnor
from fastcodes._estimator import integer
from fastcodes.nn._layer import Array, Layer, Shape, layer_of, walk
from fastcodes.nn._predictor import Predictor, finite_array, floats, labels_of, pack_labels
from fastcodes.nn.binary import BinaryConv2D, Quantize, Sign
from fastcodes.nn.layers import BatchNorm, Dropout, Flatten, HardTanh, MaxPool2D, Product, Residual
from fastcodes.nn.quantizers import Quantizer

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["PackedModel"]

# Up to here float32 has every integer, so that the sums of the network that was trained are exact too.
_EXACT = 1 << 24


class PackedModel(Predictor):
    """A trained network whose layers of bits are packed: what `Sequential.compile` returns.

    It answers as the network that it was made of does, to the last bit, and cannot be trained. Each thread
    that calls it keeps room for what comes of packed layers, which the next call does not allocate anew.

    Attributes
    ----------
    classes_ : array (n_classes,)
        The labels, sorted.
    input_shape_ : tuple of int
        The shape of one sample.
    nbytes : int
        Bytes of all that is kept: packed weights, thresholds and floats.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import nn
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(256, size=(500, 30), dtype=np.uint8)
    >>> y = X[:, :15].sum(axis=1, dtype=int) > X[:, 15:].sum(axis=1, dtype=int)
    >>> model = nn.Sequential(
    ...     nn.BinaryDense(64), nn.BatchNorm(), nn.Sign(),
    ...     nn.BinaryDense(2), nn.BatchNorm(),
    ...     random_state=0,
    ... ).fit(X, y, epochs=3)
    >>> packed = model.compile()
    >>> np.array_equal(packed.decision_function(X), model.decision_function(X))
    True
    >>> packed
    PackedModel(PackedDense(8-bit codes -> 64 signs), PackedDense(signs -> 2 floats), Normalise(2 floats))
    """

    def __init__(
        self, steps: Sequence[Step], input_shape: Shape, takes_pixels: bool, classes: NDArray[Any]
    ) -> None:
        self.steps = list(steps)
        self.input_shape_ = input_shape
        self.takes_pixels = takes_pixels
        self.classes_ = classes
        self._kept = _Kept()

    @classmethod
    def of(
        cls, layers: Iterable[Layer], input_shape: Shape, takes_pixels: bool, classes: NDArray[Any]
    ) -> Self:
        """Pack trained layers: see `Sequential.compile`."""
        values = (
            Values("codes", input_shape, 8, step=1, first=0)
            if takes_pixels
            else Values("floats", input_shape)
        )
        steps, values = _compile(layers, values)
        return cls([*steps, *_to_floats(values)], input_shape, takes_pixels, classes.copy())

    def __repr__(self) -> str:
        """Show the steps."""
        return f"PackedModel({', '.join(map(repr, self.steps))})"

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays that are kept."""
        return sum(array.nbytes for array in _pack(self.steps)[1].values())

    def _checked(self, X: ArrayLike, name: str = "X") -> NDArray[Any]:
        samples = super()._checked(X, name)
        if self.takes_pixels and samples.dtype != np.uint8:
            raise TypeError(
                f"{name} must be uint8 as in training, since the packed model counts the bits of bytes; "
                f"got an array of dtype {samples.dtype}"
            )
        return samples

    def _runner(self, batch_size: int) -> Callable[[NDArray[Any]], NDArray[np.float32]]:
        kept = self._kept
        if kept.batch_size < batch_size:
            kept.buffers = [step.buffer(batch_size) for step in self.steps]
            kept.batch_size = batch_size
        buffers = kept.buffers

        def run(batch: NDArray[Any]) -> NDArray[np.float32]:
            x: Array = np.ascontiguousarray(batch) if self.takes_pixels else floats(batch)
            for step, buffer in zip(self.steps, buffers, strict=True):
                x = step.run(x, None if buffer is None else buffer[: len(x)])
            return x

        return run

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the packed model to a safetensors file, in one step.

        Parameters
        ----------
        path : path-like
            Where to write, as a rule with the suffix ``.safetensors``.

        Raises
        ------
        TypeError
            If labels are neither numbers nor strings.
        OSError
            If the file cannot be written.
        """
        configs, arrays = _pack(self.steps)
        params: dict[str, Any] = {
            "steps": configs,
            "input_shape": self.input_shape_,
            "takes_pixels": self.takes_pixels,
        }
        pack_labels(self.classes_, params, arrays)
        _files.write(path, "PackedModel", params, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        path : path-like
            The file. Nothing in it is executed.

        Returns
        -------
        PackedModel

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it holds something else, was cut short or altered.
        """
        params, arrays = _files.read(path, "PackedModel")
        with _files.refusing(path, "PackedModel"):
            shape = tuple(integer(length, "input_shape", 1) for length in params["input_shape"])
            model = cls(_unpack(params["steps"], arrays), shape, bool(params["takes_pixels"]), np.empty(0))
            # Steps that do not fit each other do not get through this.
            logits = model._runner(1)(np.zeros((1, *shape), np.uint8))
            model.classes_ = labels_of(params, arrays, logits.shape[1])
            return model


class _Kept(threading.local):
    """Buffers for what comes of each step, which a thread keeps from call to call; copies begin without."""

    def __init__(self) -> None:
        self.batch_size = 0
        self.buffers: list[Array | None] = []

    def __reduce__(self) -> tuple[type[_Kept], tuple[()]]:
        return _Kept, ()


class Values(NamedTuple):
    """What goes from one step to the next."""

    kind: str  # "floats", "bits" or "codes"
    shape: Shape  # of the numbers of one sample
    n_bits: int = 1  # of a code
    step: int = 2
    first: int = -1  # with that of a step, of one bit: a sign

    @property
    def largest(self) -> int:
        """The largest size of a number."""
        return max(abs(self.first), abs(self.first + self.step * ((1 << self.n_bits) - 1)))


# --- steps --------------------------------------------------------------------------------------------------


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
        return bits.unpack(x, self.shape[-1], np.float32, (-1, 1), out=out)


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
        pooled = xnor.max_pool2d(x, self.size, self.stride, out=out)
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
        """Return what a kernel is to do with sums, as it takes it."""
        n = len(self.rows)
        if self.thresholds is not None:
            flips = self.flips if self.flips is not None and self.flips.any() else None
            return xnor.finish(n, self.thresholds, flips)
        return xnor.finish(n, scale=1 if self.scale is None else self.scale, bias=self.bias)

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
        # Straight to the kernels: what their faces check takes longer than a product of few samples.
        matrix = self._matrix._matrix
        if self.n_bits is None:
            return _native.xnor_matmul(x, "signs", matrix, self.n_features, self._last, out, None)
        return _native.xnor_byte_matmul(x, (self.step, self.first), matrix, self._last, out, None)


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
        self._filters = xnor.PackedFilters(self.rows, n_channels, self.groups)
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
        numbers = None if self.n_bits is None else (self.step, self.first)
        across = ((self.stride, self.stride), self.padding, self.pad_value, (self.dilation, self.dilation))
        filters, n_channels = self._filters._filters, self.image[-1]
        return _native.xnor_conv2d(x, numbers, filters, n_channels, across, self._last, out, None)


# --- layers to steps ----------------------------------------------------------------------------------------


def _compile(layers: Iterable[Layer], values: Values) -> tuple[list[Step], Values]:
    """Return steps for layers, and what comes out of the last."""
    queue = [layer for layer in layers if not isinstance(layer, Dropout)]
    steps: list[Step] = []
    while queue:
        layer = queue.pop(0)
        if isinstance(layer, Product) and layer.quantizer is not None and _packable(layer, values):
            tail = _up_to_sign(queue, isinstance(layer, BinaryConv2D))
            steps += _packed(layer, tail, values)
            kind = "floats" if tail is None else "bits"
            if tail is not None:
                layer = queue[len(tail)]
                del queue[: len(tail) + 1]
            values = Values(kind, layer.output_shape)
        elif isinstance(layer, Sign) and values.kind == "bits":
            pass
        elif isinstance(layer, Flatten) and values.kind == "bits":
            steps.append(FlattenBits(values.shape))
            values = Values("bits", layer.output_shape)
        elif isinstance(layer, MaxPool2D) and values.kind == "bits":
            steps.append(PoolBits(layer.output_shape, layer.size, layer.stride or layer.size))
            values = Values("bits", layer.output_shape)
        elif isinstance(layer, (Flatten, MaxPool2D)):
            steps.append(Apply(_frozen(layer)))
            values = values._replace(shape=layer.output_shape)
        else:
            steps += _to_floats(values)
            if isinstance(layer, Sign):
                steps.append(SignsOfFloats(layer.output_shape))
                values = Values("bits", layer.output_shape)
            elif isinstance(layer, Quantize):
                steps.append(CodesOfFloats(layer.n_bits))
                values = Values("codes", layer.output_shape, layer.n_bits, 2, -(2**layer.n_bits) + 1)
            else:
                steps.append(_step_of_floats(layer))
                values = Values("floats", layer.output_shape)
    return steps, values


def _to_floats(values: Values) -> list[Step]:
    if values.kind == "bits":
        return [FloatsOfSigns(values.shape)]
    return [FloatsOfCodes(values.step, values.first)] if values.kind == "codes" else []


def _step_of_floats(layer: Layer) -> Step:
    if isinstance(layer, Residual):
        return _add(layer)
    if isinstance(layer, BatchNorm):
        beta = layer.parameters["beta"].value
        return Normalise(layer.output_shape, layer.state["mean"].copy(), layer.factor(), beta.copy())
    return Apply(_frozen(layer))


def _add(layer: Residual) -> Add:
    ways = []
    for way in (layer.layers, layer.shortcut):
        steps, values = _compile(way, Values("floats", layer.input_shape))
        ways.append([*steps, *_to_floats(values)])
    return Add(*ways)


def _packable(layer: Product, values: Values) -> bool:
    """Return whether there is a kernel for a product; if not, floats do it, exactly too."""
    if values.kind == "floats":
        return False
    if isinstance(layer, BinaryConv2D) and not layer.fits_kernel:
        return False
    n_terms = layer.matrix()[0].shape[0]
    if n_terms * values.largest >= _EXACT:
        raise ValueError(
            f"{layer!r} adds up {n_terms} numbers of size {values.largest}, which may go beyond {_EXACT}. "
            "There float32 no longer has every integer, and training did not compute the same. Take fewer "
            "inputs, or put a Sign before it"
        )
    return True


def _up_to_sign(layers: list[Layer], is_image: bool) -> list[Layer] | None:
    """Return the layers before the next sign, if each of them rises or falls channel by channel."""
    kinds = (BatchNorm, HardTanh, MaxPool2D) if is_image else (BatchNorm, HardTanh)
    for i, layer in enumerate(layers):
        if isinstance(layer, Sign):
            return layers[:i]
        if not isinstance(layer, kinds):
            break
    return None


def _packed(layer: Product, tail: list[Layer] | None, values: Values) -> list[Step]:
    """Return the steps of a product, and of what follows it up to a sign."""
    signs, scale = layer.matrix()
    bias = layer.parameters["bias"].value.copy() if layer.use_bias else None
    settings: dict[str, Any] = {
        "n_bits": None if values.kind == "bits" else values.n_bits,
        "step": values.step,
        "first": values.first,
        "thresholds": None,
        "flips": None,
        "scale": scale,
        "bias": bias,
    }
    after: list[Step] = []
    if tail is not None:
        thresholds, flips = _thresholds(layer, tail, len(signs) * values.largest)
        masks = _masks(tail, len(thresholds))
        flips ^= masks[0]
        pools = [part for part in tail if isinstance(part, MaxPool2D)]
        for pool, mask, later in zip(pools, masks, masks[1:], strict=False):
            turned = mask ^ later
            packed_mask = np.packbits(turned) if turned.any() else None
            after.append(PoolBits(pool.output_shape, pool.size, pool.stride or pool.size, packed_mask))
        settings |= {"thresholds": thresholds, "flips": flips, "scale": None, "bias": None}
    if not isinstance(layer, BinaryConv2D):
        return [PackedDense(bits.pack(signs.T), **settings, n_features=len(signs))]
    return [
        PackedConv2D(
            layer.packed_filters(signs),
            **settings,
            image=layer.input_shape,
            stride=layer.stride,
            padding=(layer.pads[0], layer.pads[1]),
            pad_value=int(layer.pad_value),
            dilation=layer.dilation,
            groups=layer.groups,
        ),
        *after,
    ]


def _thresholds(layer: Product, tail: list[Layer], most: int) -> tuple[Array, Array]:
    """Return the first sum, of -`most` to `most`, with another sign than those before, and their sign."""
    scale = layer.matrix()[1]
    functions = [part for part in tail if not isinstance(part, MaxPool2D)]

    def positive(sums: Array) -> Array:
        x: Array = layer.scale_and_shift(sums.astype(np.float32)[None], scale)
        with np.errstate(over="ignore", invalid="ignore"):
            for function in functions:
                x = function.forward(x)
        if np.isnan(x).any():
            raise ValueError(
                f"{tail!r} after {layer!r} make NaN of some sums; their parameters are too large"
            )
        return np.asarray(x[0] >= 0)

    n = layer.parameters["weights"].value.shape[-1]
    before = positive(np.full(n, -most))
    # The sign at `low` is that of the smallest sum, the sign at `high` is another or `high` is too large.
    low, high = np.full(n, -most), np.full(n, most + 1)
    while (high - low > 1).any():
        middle = (low + high) // 2
        same = positive(middle) == before
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return high.astype(np.int32), before


def _masks(tail: list[Layer], n: int) -> list[Array]:
    """Return for each pooling which channels fall with what it gives, and that none does after the last.

    Of those the least value of a window counts: the or of their other bits is the other bit of it.
    """
    falls = np.zeros(n, np.bool_)
    masks = [falls.copy()]
    for layer in reversed(tail):
        if isinstance(layer, BatchNorm):
            falls ^= layer.factor() < 0
        elif isinstance(layer, MaxPool2D):
            masks.append(falls.copy())
    return masks[::-1]


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


def _frozen(layer: Layer) -> Layer:
    """Return a copy of a layer that training does not change, without what only training needs."""
    layer = copy.deepcopy(layer)
    for _, part in walk([layer]):
        if isinstance(part, Product) and part.quantizer is not None:
            signs, scale = part.matrix()
            weights = part.parameters["weights"]
            weights.value = signs.reshape(weights.value.shape)
            part.quantizer = Fixed(scale)
        for parameter in part.parameters.values():
            parameter.slots, parameter.gradient = {}, np.empty(0, np.float32)
    return layer


# --- steps to files -----------------------------------------------------------------------------------------


def _pack(steps: Iterable[Step], prefix: str = "") -> tuple[list[dict[str, Any]], dict[str, NDArray[Any]]]:
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
                config[field.name], inner = _pack(value, f"{name}{field.name}.")
                arrays |= inner
            else:
                config[field.name] = value
        configs.append(config)
    return configs, arrays


def _unpack(
    configs: Iterable[dict[str, Any]], arrays: dict[str, NDArray[Any]], prefix: str = ""
) -> list[Step]:
    """Return the steps that `_pack` described."""
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
                values[field.name] = _unpack(config[field.name], arrays, f"{name}{field.name}.")
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
        array[...] = finite_array(arrays, prefix + name, array.shape)
    for name, parameter in layer.parameters.items():
        shape = parameter.value.shape
        if parameter.quantizer is None:
            parameter.value[...] = finite_array(arrays, prefix + name, shape)
        elif isinstance(layer, Product):
            n = shape[-1]
            signs = _files.take(arrays, prefix + name, np.uint8, (int(np.prod(shape[:-1])), -(-n // 8)))
            parameter.value[...] = bits.unpack(signs, n, np.float32, (-1, 1)).reshape(shape)
            has_scale = prefix + "scale" in arrays
            layer.quantizer = Fixed(finite_array(arrays, prefix + "scale", (n,)) if has_scale else None)


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
