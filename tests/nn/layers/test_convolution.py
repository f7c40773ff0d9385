"""Convolutions against a naive loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes import nn
from networks import (
    built,
)

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("pad_value", [-1, 0, 1])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(
    ("stride", "dilation", "padding"),
    [(1, 1, "valid"), (1, 1, "same"), (2, 1, "same"), (2, 1, 1), (1, 2, 2), (3, 2, "same"), (2, 3, 5)],
)
@pytest.mark.parametrize("kernel_size", [(3, 3), (2, 3), (1, 1)])
def test_a_convolution_is_that_of_a_naive_loop(
    kernel_size: tuple[int, int], stride: int, dilation: int, padding: Any, groups: int, pad_value: int
) -> None:
    shape = (7, 8, 4)
    layer = nn.BinaryConv2D(
        4,
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        pad_value=pad_value,
    )
    layer.build(shape, np.random.default_rng(0))
    x = RNG.choice(np.array([-1, 1], np.float32), size=(2, *shape))
    pads = []
    for size, k in zip(shape[:2], kernel_size, strict=True):
        pad = (0, 0) if padding == "valid" else (padding, padding)
        if padding == "same":
            # As many patches as ceil(size / stride); an odd pixel of the border comes last.
            total = max((-(-size // stride) - 1) * stride + dilation * (k - 1) + 1 - size, 0)
            pad = (total // 2, total - total // 2)
        pads.append(pad)
    signs = layer.matrix()[0].reshape(*kernel_size, 4 // groups, 4)
    expected = oracles.convolution(x, signs, pads, stride, dilation, groups, pad_value)
    found = layer.forward(x)
    assert found.dtype == np.float32
    assert np.array_equal(found, expected)
    assert np.array_equal(layer.forward(x.astype(np.float64)), expected)  # by matrix products
    assert found.shape[1:] == layer.output_shape
    if padding == "same":
        assert found.shape[1:3] == (-(-7 // stride), -(-8 // stride))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_of_other_numbers_than_signs(groups: int) -> None:
    layer = nn.BinaryConv2D(16, 2, groups=groups, padding=1)
    layer.build((4, 4, 16), np.random.default_rng(0))
    x = RNG.choice(np.array([-1, 1], np.float32), size=(3, 4, 4, 16))
    for value in (1, 0, 2, 0.5):
        x[1, 2, 3, 4] = value
        signs = layer.matrix()[0].reshape(2, 2, 16 // groups, 16)
        assert np.array_equal(layer.forward(x), oracles.convolution(x, signs, [(1, 1)] * 2, 1, 1, groups, -1))


def test_a_float_convolution_pads_with_zeros() -> None:
    layer = built(nn.Conv2D(2, 3, padding=1), (4, 4, 2))
    x = RNG.normal(size=(2, 4, 4, 2))
    expected = oracles.convolution(x, layer.parameters["weights"].value, [(1, 1)] * 2, 1, 1, 1, 0)
    assert np.allclose(layer.forward(x), expected + layer.parameters["bias"].value)
