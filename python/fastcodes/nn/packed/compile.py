"""Compilation of trained layers to the steps of a packed network.

A product of bits or codes is a sum of integers. The layers after it, up to the next `Sign`, are a monotonic
function of that sum (decreasing for a negative gamma), also in float32, since rounding is monotonic. So the
sign is one comparison of the sum with an integer threshold, which bisection finds by evaluating the layers
themselves: without algebra, and exactly.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from fastcodes import bits
from fastcodes._typing import Array, Booleans
from fastcodes.nn.layers import (
    BatchNorm,
    BinaryConv2D,
    Dropout,
    Flatten,
    HardTanh,
    Layer,
    MaxPool2D,
    Product,
    Quantize,
    Residual,
    Shape,
    Sign,
    walk,
)
from fastcodes.nn.packed.steps import (
    Add,
    Apply,
    CodesOfFloats,
    FlattenBits,
    FloatsOfCodes,
    FloatsOfSigns,
    Normalize,
    PackedConv2D,
    PackedDense,
    PackedStep,
    PoolBits,
    SignsOfFloats,
)
from fastcodes.nn.quantizers import Fixed

__all__ = ["compile_layers"]

# float32 represents every integer up to this one, so the sums in training are exact as well.
_LARGEST_EXACT_SUM = 1 << 24


class Values(NamedTuple):
    """The values between two steps. Codes and bits stand for ``scale * code + offset``."""

    kind: str  # "floats", "bits" or "codes"
    shape: Shape  # of the numbers of one sample
    n_bits: int = 1  # of a code
    scale: int = 2
    offset: int = -1

    @property
    def largest(self) -> int:
        """The largest absolute value of a number."""
        return max(abs(self.offset), abs(self.offset + self.scale * ((1 << self.n_bits) - 1)))


def compile_layers(layers: Iterable[Layer], input_shape: Shape, takes_pixels: bool) -> list[PackedStep]:
    """Return the steps from samples to logits; samples are bytes if `takes_pixels`, otherwise floats."""
    values = Values("floats", input_shape)
    if takes_pixels:
        values = Values("codes", input_shape, 8, scale=1, offset=0)
    steps, values = _compile(layers, values)
    return [*steps, *_to_floats(values)]


def _compile(layers: Iterable[Layer], values: Values) -> tuple[list[PackedStep], Values]:
    """Return the steps of layers, and the kind of their output."""
    queue = [layer for layer in layers if not isinstance(layer, Dropout)]
    steps: list[PackedStep] = []
    while queue:
        layer = queue.pop(0)
        if isinstance(layer, Product) and layer.quantizer is not None and _packable(layer, values):
            tail = _layers_up_to_sign(queue, isinstance(layer, BinaryConv2D))
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
            steps.append(PoolBits(layer.output_shape, layer.size, layer.step))
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
                values = Values("codes", layer.output_shape, layer.n_bits, 2, 1 - 2**layer.n_bits)
            else:
                steps.append(_float_step(layer))
                values = Values("floats", layer.output_shape)
    return steps, values


def _to_floats(values: Values) -> list[PackedStep]:
    if values.kind == "bits":
        return [FloatsOfSigns(values.shape)]
    return [FloatsOfCodes(values.scale, values.offset)] if values.kind == "codes" else []


def _float_step(layer: Layer) -> PackedStep:
    if isinstance(layer, Residual):
        return _add(layer)
    if isinstance(layer, BatchNorm):
        beta = layer.parameters["beta"].value
        return Normalize(layer.output_shape, layer.state["mean"].copy(), layer.factor(), beta.copy())
    return Apply(_frozen(layer))


def _add(layer: Residual) -> Add:
    branches = []
    for branch in (layer.layers, layer.shortcut):
        steps, values = _compile(branch, Values("floats", layer.input_shape))
        branches.append([*steps, *_to_floats(values)])
    return Add(*branches)


def _packable(layer: Product, values: Values) -> bool:
    """Return whether a kernel can compute a product; otherwise floats do, just as exactly."""
    if values.kind == "floats":
        return False
    if isinstance(layer, BinaryConv2D) and not layer.fits_kernel:
        return False
    n_terms = layer.matrix()[0].shape[0]
    if n_terms * values.largest >= _LARGEST_EXACT_SUM:
        raise ValueError(
            f"{layer!r} adds {n_terms} numbers of up to {values.largest}, which can exceed "
            f"{_LARGEST_EXACT_SUM}: float32 does not represent all larger integers, so the sums in training "
            "were not exact. Use fewer inputs, or put a Sign before the layer"
        )
    return True


def _layers_up_to_sign(layers: list[Layer], is_image: bool) -> list[Layer] | None:
    """Return the layers before the next sign, if each is monotonic channel by channel."""
    kinds = (BatchNorm, HardTanh, MaxPool2D) if is_image else (BatchNorm, HardTanh)
    for i, layer in enumerate(layers):
        if isinstance(layer, Sign):
            return layers[:i]
        if not isinstance(layer, kinds):
            break
    return None


def _packed(layer: Product, tail: list[Layer] | None, values: Values) -> list[PackedStep]:
    """Return the steps of a product, and of the layers `tail` after it up to a sign."""
    signs, scale = layer.matrix()
    bias = layer.parameters["bias"].value.copy() if layer.use_bias else None
    settings: dict[str, Any] = {
        "n_bits": None if values.kind == "bits" else values.n_bits,
        "byte_scale": values.scale,
        "byte_offset": values.offset,
        "thresholds": None,
        "flips": None,
        "scale": scale,
        "bias": bias,
    }
    after: list[PackedStep] = []
    if tail is not None:
        thresholds, flips = _thresholds(layer, tail, len(signs) * values.largest)
        masks = _masks(tail, len(thresholds))
        flips ^= masks[0]
        pools = [part for part in tail if isinstance(part, MaxPool2D)]
        for pool, mask, later in zip(pools, masks, masks[1:], strict=False):
            inverted = mask ^ later
            packed_mask = np.packbits(inverted) if inverted.any() else None
            after.append(PoolBits(pool.output_shape, pool.size, pool.step, packed_mask))
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


def _thresholds(layer: Product, tail: list[Layer], most: int) -> tuple[Array, Booleans]:
    """Return the smallest sum in [-most, most] whose sign differs from that of -most, and that sign.

    One of each for every output.
    """
    scale = layer.matrix()[1]
    functions = [part for part in tail if not isinstance(part, MaxPool2D)]

    def positive(sums: Array) -> Array:
        x: Array = layer.scale_and_shift(sums.astype(np.float32)[None], scale)
        with np.errstate(over="ignore", invalid="ignore"):
            for function in functions:
                x = function.forward(x)
        if np.isnan(x).any():
            raise ValueError(f"{tail!r} after {layer!r} map some sums to NaN; their parameters are too large")
        return np.asarray(x[0] >= 0)

    n = layer.parameters["weights"].value.shape[-1]
    before = positive(np.full(n, -most))
    # The sign at `low` is that of -most; the sign at `high` differs, or `high` is beyond all sums.
    low, high = np.full(n, -most), np.full(n, most + 1)
    while (high - low > 1).any():
        middle = (low + high) // 2
        same = positive(middle) == before
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return high.astype(np.int32), before


def _masks(tail: list[Layer], n: int) -> list[Booleans]:
    """Return, for each pooling, the channels whose sign decreases with its output; none after the last.

    In these channels the sign of the maximum of a window is the smallest sign: the inverse of the "or" of the
    inverted bits.
    """
    is_decreasing = np.zeros(n, np.bool_)
    masks = [is_decreasing.copy()]
    for layer in reversed(tail):
        if isinstance(layer, BatchNorm):
            is_decreasing ^= layer.factor() < 0
        elif isinstance(layer, MaxPool2D):
            masks.append(is_decreasing.copy())
    return masks[::-1]


def _frozen(layer: Layer) -> Layer:
    """Return a copy of a layer without the state that only training needs."""
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
