"""Activations and dropout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcodes import nn
from networks import (
    built,
    check_gradients,
)

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("n_bits", range(2, 9))
def test_quantized_activations(n_bits: int) -> None:
    layer = nn.Quantize(n_bits)
    x = np.concatenate([np.linspace(-1.5, 1.5, 3001), [0.0, -0.0, 1.0, -1.0]])
    levels = layer.forward(x, training=True)
    top = 2**n_bits - 1
    assert np.array_equal(np.unique(levels), np.arange(-top, top + 1, 2))
    cells = np.arange(-top, top + 1, 2) / (top + 1)  # their centers
    inside = np.abs(x) < 1
    assert np.allclose(
        np.abs(levels[inside] / (top + 1) - x[inside]), np.abs(x[inside, None] - cells).min(axis=1)
    )
    assert np.array_equal(np.sign(levels), np.where(x >= 0, 1, -1))
    k = (levels.astype(int) + top) // 2
    planes = [2 * (k >> j & 1) - 1 for j in range(n_bits)]
    assert np.array_equal(levels, sum(2**j * plane for j, plane in enumerate(planes)))
    assert np.array_equal(layer.backward(np.full_like(x, 2)), np.where(np.abs(x) <= 1, 2.0 * top, 0))


def test_dropout_keeps_the_mean_and_rests_after_training() -> None:
    layer = nn.Dropout(0.3)
    layer.build((1000,), np.random.default_rng(0))
    x = np.ones((100, 1000), np.float32)
    out = layer.forward(x, training=True)
    assert out.dtype == np.float32
    assert np.allclose(np.unique(out), [0, 1 / 0.7])
    assert abs((out == 0).mean() - 0.3) < 0.01
    assert layer.forward(x) is x


def test_the_gradient_of_dropout() -> None:
    layer = built(nn.Dropout(0.4), (7,))
    state = layer._rng.bit_generator.state

    def forward() -> Any:
        layer._rng.bit_generator.state = state
        return layer.forward(x, training=True)

    x = RNG.normal(size=(5, 7))
    check_gradients(layer, x, forward)
    assert 0 < (forward() == 0).mean() < 1
