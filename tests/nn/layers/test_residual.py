"""Residual blocks."""

from __future__ import annotations

import numpy as np
from fastcodes import nn

RNG = np.random.default_rng(5)


def test_a_residual_adds_its_input() -> None:
    block = nn.Residual(nn.BinaryDense(4), nn.BatchNorm())
    block.build((4,), np.random.default_rng(0))
    x = RNG.normal(size=(3, 4)).astype(np.float32)
    expected = x
    for layer in block.layers:
        expected = layer.forward(expected)
    assert np.array_equal(block.forward(x), x + expected)
