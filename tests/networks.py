"""Small networks and their data, and gradients by finite differences, for the tests of networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from fastcodes import nn
from fastcodes.nn.layers import walk

RNG = np.random.default_rng(5)

X = RNG.normal(size=(210, 12)).astype(np.float32)
Y = np.array(["low", "mid", "top"])[X.reshape(-1, 3, 4).sum(axis=2).argmax(axis=1)]
IMAGES = RNG.integers(256, size=(40, 8, 8, 2), dtype=np.uint8)
KINDS = (IMAGES[:, :4].sum(axis=(1, 2, 3), dtype=int) > IMAGES[:, 4:].sum(axis=(1, 2, 3), dtype=int)).astype(
    int
)


def small(**params: Any) -> nn.Sequential:
    layers = (
        nn.BinaryDense(16, **params),
        nn.BatchNorm(),
        nn.Sign(),
        nn.BinaryDense(3, **params),
        nn.BatchNorm(),
    )
    return nn.Sequential(*layers, random_state=0)


def images_network() -> nn.Sequential:
    return nn.Sequential(
        nn.BinaryConv2D(6, 3, padding="same", pad_value=0, weights="libra", estimator="error-decay"),
        nn.BatchNorm(),
        nn.Sign("error-decay"),
        nn.Residual(nn.BinaryConv2D(6, 3, padding="same"), nn.BatchNorm(), shortcut=[nn.BatchNorm()]),
        nn.MaxPool2D(2),
        nn.HardTanh(),
        nn.Quantize(3),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.BinaryDense(2, weights="xnor", estimator="approximate"),
        nn.BatchNorm(),
        random_state=3,
    )


def same_model(a: nn.Sequential, b: nn.Sequential) -> bool:
    arrays = a.to_state()[1], b.to_state()[1]
    return (
        arrays[0].keys() == arrays[1].keys()
        and all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0])
        and a.to_state()[0] == b.to_state()[0]
    )


def built(layer: Any, shape: tuple[int, ...], seed: int = 0) -> Any:
    """Build a layer for samples of this shape, in float64 and with parameters that are not the first ones."""
    rng = np.random.default_rng(seed)
    layer.build(shape, rng)
    for _, part in walk([layer]):
        for parameter in part.parameters.values():
            parameter.value = parameter.value.astype(np.float64)
            parameter.value += 0.1 * rng.normal(size=parameter.value.shape)
        part.state = {name: array.astype(np.float64) for name, array in part.state.items()}
    return layer


def differences(function: Callable[[], float], x: Any, step: float = 1e-6) -> Any:
    """Return the derivative of a function by each element of `x`, by central differences."""
    gradient = np.empty_like(x)
    for place in np.ndindex(x.shape):
        before = x[place]
        values = []
        for x[place] in (before + step, before - step):
            values.append(function())
        x[place] = before
        gradient[place] = (values[0] - values[1]) / (2 * step)
    return gradient


def check_gradients(layer: Any, x: Any, forward: Callable[[], Any] | None = None) -> None:
    """Compare `backward` with differences, for the input and for all parameters that are floats."""
    forward = forward or (lambda: layer.forward(x, training=True))
    weights = RNG.normal(size=forward().shape)

    def value() -> float:
        return float((weights * forward()).sum())

    expected = differences(value, x)
    wanted = {
        (name, key): differences(value, parameter.value)
        for name, part in walk([layer])
        for key, parameter in part.parameters.items()
        if parameter.quantizer is None
    }
    forward()
    assert np.allclose(layer.backward(weights.copy()), expected, atol=1e-5)
    for name, part in walk([layer]):
        for key, parameter in part.parameters.items():
            if parameter.quantizer is None:
                assert np.allclose(parameter.gradient, wanted[name, key], atol=1e-5), key
