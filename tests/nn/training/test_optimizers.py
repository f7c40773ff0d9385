"""Optimizers against their published algorithms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastcodes import nn
from fastcodes.nn import quantizers
from fastcodes.nn.layers import Parameter
from networks import (
    X,
    Y,
    small,
)


def steps_of(optimizer: Any, gradients: Any, factors: Any = None, quantizer: Any = None) -> Any:
    """Return the values of a parameter after each step."""
    start = np.random.default_rng(1).normal(size=gradients.shape[1:])
    parameter = Parameter(start.copy(), quantizer)
    optimizer.prepare(parameter)
    values = [parameter.value.copy()]
    for i, gradient in enumerate(gradients):
        parameter.gradient = gradient
        optimizer.update(parameter, 1.0 if factors is None else factors[i], i + 1)
        values.append(parameter.value.copy())
    return values


GRADIENTS = np.random.default_rng(2).normal(size=(7, 6, 5))

FACTORS = np.linspace(1, 0.1, 7)


def test_the_steps_of_sgd() -> None:
    found = steps_of(nn.SGD(0.2, momentum=0.8), GRADIENTS, FACTORS)
    value, velocity = found[0], 0
    for i, gradient in enumerate(GRADIENTS):
        velocity = 0.8 * velocity + gradient
        value = value - 0.2 * FACTORS[i] * velocity
        assert np.allclose(found[i + 1], value)


def test_the_steps_of_adam() -> None:
    found = steps_of(nn.Adam(0.05, beta1=0.8, beta2=0.95, epsilon=1e-2), GRADIENTS, FACTORS)
    value, mean, square = found[0], 0, 0
    for t, gradient in enumerate(GRADIENTS, 1):
        mean = 0.8 * mean + 0.2 * gradient
        square = 0.95 * square + 0.05 * gradient**2
        corrected = mean / (1 - 0.8**t), square / (1 - 0.95**t)
        value = value - 0.05 * FACTORS[t - 1] * corrected[0] / (np.sqrt(corrected[1]) + 1e-2)
        assert np.allclose(found[t], value)
    first = steps_of(nn.Adam(0.05), GRADIENTS)
    assert np.allclose(np.abs(first[1] - first[0]), 0.05)  # as the paper says of the first step


def test_bop_flips_a_bit_where_its_averaged_gradient_has_its_sign_and_is_large() -> None:
    optimizer = nn.Bop(0.25, threshold=0.2)
    found = steps_of(optimizer, GRADIENTS, FACTORS, quantizers.SignWeights())
    bits = np.where(np.random.default_rng(1).normal(size=(6, 5)) >= 0, 1.0, -1.0)
    assert np.array_equal(found[0], bits)
    average, flips = np.zeros((6, 5)), 0
    for i, gradient in enumerate(GRADIENTS):
        rate = 0.25 * FACTORS[i]
        average = (1 - rate) * average + rate * gradient
        for place in np.ndindex(6, 5):
            if abs(average[place]) > 0.2 and np.sign(average[place]) == bits[place]:
                bits[place], flips = -bits[place], flips + 1
        assert np.array_equal(found[i + 1], bits)
    assert 3 < flips < 100
    inner = steps_of(nn.Bop(inner=nn.SGD(0.2)), GRADIENTS)
    assert all(map(np.array_equal, inner, steps_of(nn.SGD(0.2), GRADIENTS)))


def test_large_parameters_are_updated_as_small_ones() -> None:
    gradients = np.random.default_rng(3).normal(size=(2, 300, 333))
    for optimizer in (nn.SGD(), nn.Adam(), nn.Bop(0.5, threshold=0.1)):
        quantizer = quantizers.SignWeights() if isinstance(optimizer, nn.Bop) else None
        whole = steps_of(optimizer, gradients, quantizer=quantizer)
        parameter = Parameter(whole[0][:, :7].copy(), quantizer)
        optimizer.prepare(parameter)
        for i, gradient in enumerate(gradients):
            parameter.gradient = np.ascontiguousarray(gradient[:, :7])
            optimizer.update(parameter, 1.0, i + 1)
            assert np.array_equal(parameter.value, whole[i + 1][:, :7])


def test_wrong_use_of_bop() -> None:
    with pytest.raises(TypeError, match=r"inner must be an optimizer such as nn.Adam\(1e-3\); got 'adam'"):
        nn.Bop(inner="adam")  # type: ignore[arg-type]
    for params in ({"weights": "xnor"}, {"weights": "libra"}, {"estimator": "approximate"}):
        with pytest.raises(ValueError, match='give all binary layers weights="sign" and estimator="clipped"'):
            small(**params).fit(X, Y, optimizer=nn.Bop())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Adam(0), "learning_rate must be a real number above 0; got 0"),
        (lambda: nn.Adam(float("nan")), "learning_rate must be a real number above 0; got nan"),
        (lambda: nn.Adam(beta2=1), "beta2 must be a real number at least 0 and below 1; got 1"),
        (lambda: nn.Adam(epsilon=0), "epsilon must be a real number above 0; got 0"),
        (lambda: nn.SGD(momentum=-0.1), "momentum must be a real number at least 0 and below 1; got -0.1"),
        (lambda: nn.Bop(threshold=-1), "threshold must be a real number at least 0; got -1"),
    ],
)
def test_wrong_settings(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
