"""Batch normalization."""

from __future__ import annotations

import numpy as np
from fastcodes import nn

RNG = np.random.default_rng(5)


def test_batch_norm_in_training_and_after() -> None:
    layer = nn.BatchNorm(momentum=0.75)
    layer.build((2, 4), np.random.default_rng(0))
    x = RNG.normal(3, 2, size=(50, 2, 4)).astype(np.float32)
    out = layer.forward(x, training=True)
    assert out.dtype == np.float32
    assert np.allclose(out.mean(axis=(0, 1)), 0, atol=1e-5)
    assert np.allclose(out.std(axis=(0, 1)), 1, atol=1e-4)
    mean, variance = x.mean(axis=(0, 1)), x.var(axis=(0, 1))
    assert np.allclose(layer.state["mean"], 0.25 * mean, rtol=1e-5)
    assert np.allclose(layer.state["variance"], 0.75 + 0.25 * variance, rtol=1e-5)
    layer.parameters["gamma"].value[:] = [1, -2, 0, 3]
    layer.parameters["beta"].value[:] = [0, 1, 2, 3]
    factor = layer.parameters["gamma"].value / np.sqrt(layer.state["variance"] + layer.epsilon)
    expected = (x - layer.state["mean"]) * factor + layer.parameters["beta"].value
    assert np.array_equal(layer.forward(x), expected)
    assert expected.dtype == np.float32
    one = layer.forward(x[:1, :1], training=True)  # one number of each feature
    assert np.allclose(one, layer.parameters["beta"].value)
