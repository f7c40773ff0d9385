"""Pooling."""

from __future__ import annotations

import numpy as np
from fastcodes import nn

RNG = np.random.default_rng(5)


def test_max_pooling() -> None:
    x = RNG.normal(size=(2, 7, 9, 3))
    for size, stride in ((2, None), (3, 2), (2, 3), (1, 1)):
        layer = nn.MaxPool2D(size, stride=stride)
        height, width, _ = layer.build((7, 9, 3), np.random.default_rng(0))
        step = stride or size
        expected = [
            [
                x[:, i * step : i * step + size, j * step : j * step + size].max(axis=(1, 2))
                for j in range(width)
            ]
            for i in range(height)
        ]
        assert np.array_equal(layer.forward(x), np.array(expected).transpose(2, 0, 1, 3))
    layer = nn.MaxPool2D(2)
    layer.build((2, 2, 1), np.random.default_rng(0))
    layer.forward(np.ones((1, 2, 2, 1)), training=True)
    assert layer.backward(np.full((1, 1, 1, 1), 5.0)).ravel().tolist() == [5, 0, 0, 0]
