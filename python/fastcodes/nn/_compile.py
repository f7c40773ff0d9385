"""From trained layers to the steps of a packed network.

A product of bits or codes is a sum of integers. What follows it up to the next `Sign` never turns back as
that sum rises (or as it falls, for a negative gamma), also in float32, since each rounding keeps the order of
numbers. So the sign is one comparison of the sum with an integer, which is found by bisection with the layers
themselves: no algebra, and no error.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from fastcodes import bits
from fastcodes.nn._layer import Array, Layer, Shape, walk
from fastcodes.nn._steps import (
    Add,
    Apply,
    CodesOfFloats,
    FlattenBits,
    FloatsOfCodes,
    FloatsOfSigns,
    Normalise,
    PackedConv2D,
    PackedDense,
    PoolBits,
    SignsOfFloats,
    Step,
)
from fastcodes.nn.binary import BinaryConv2D, Quantize, Sign
from fastcodes.nn.layers import BatchNorm, Dropout, Flatten, HardTanh, MaxPool2D, Product, Residual
from fastcodes.nn.quantizers import Fixed

__all__ = ["steps_of"]

# Up to here float32 has every integer, so that the sums of the network that was trained are exact too.
_EXACT = 1 << 24


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


def steps_of(layers: Iterable[Layer], input_shape: Shape, takes_pixels: bool) -> list[Step]:
    """Return the steps from samples - floats or, as pixels, bytes - to logits."""
    values = Values("floats", input_shape)
    if takes_pixels:
        values = Values("codes", input_shape, 8, step=1, first=0)
    steps, values = _compile(layers, values)
    return [*steps, *_to_floats(values)]


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
