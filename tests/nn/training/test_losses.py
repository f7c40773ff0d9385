"""Losses and regularizers: values, gradients and settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastcodes import nn
from fastcodes.nn.training.losses import as_loss
from networks import (
    differences,
)

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("name", ["cross_entropy", "squared_hinge", "distillation"])
def test_the_gradients_of_losses(name: str) -> None:
    logits, labels, inputs = RNG.normal(size=(6, 4)), RNG.integers(4, size=6), RNG.normal(size=(6, 9))
    mixing = RNG.normal(size=(9, 4))
    loss = (
        nn.Distillation(lambda x: x @ mixing, temperature=3.0, weight=0.6)
        if name == "distillation"
        else as_loss(name)
    )
    _, gradient = loss(logits, labels, inputs)
    assert np.allclose(gradient, differences(lambda: loss(logits, labels, inputs)[0], logits), atol=1e-7)


def test_the_values_of_losses() -> None:
    logits, labels = np.array([[2.0, 0.0, -1.0], [0.5, 0.25, 3.0]]), np.array([0, 1])
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    entropy = -(np.log(p[0, 0]) + np.log(p[1, 1])) / 2
    assert nn.CrossEntropy()(logits, labels, logits)[0] == pytest.approx(entropy)
    # 1 - t z is -1, 1 and 0 of the first sample, and 1.5, 0.75 and 4 of the second.
    assert nn.SquaredHinge()(logits, labels, logits)[0] == pytest.approx((1 + 2.25 + 0.75**2 + 16) / 6)

    wanted = np.array([[1.0, 0, 0], [0, 1, 0]])
    q, s = (np.exp(z / 4) / np.exp(z / 4).sum(axis=1, keepdims=True) for z in (wanted, logits))
    divergence = (q * np.log(q / s)).sum(axis=1).mean()
    found, _ = nn.Distillation(lambda x: wanted)(logits, labels, logits)
    assert found == pytest.approx(0.3 * entropy + 0.7 * 16 * divergence)
    assert nn.Distillation(lambda x: wanted).validation_loss == nn.CrossEntropy()
    huge = np.array([[1e4, -1e4, 0.0]], np.float32)
    assert nn.CrossEntropy()(huge, np.array([1]), huge)[0] == pytest.approx(2e4)


def test_balance_is_least_for_balanced_bits_and_its_gradient_leads_there() -> None:
    layer = nn.BinaryDense(3)
    layer.build((10,), np.random.default_rng(0))
    weights = layer.parameters["weights"]
    weights.value[:, 0] = np.repeat([0.1, -0.1], 5)
    weights.value[:, 1] = 0.1
    weights.value[:, 2] = np.repeat([0.1, -0.1], [2, 8])
    layer.forward(np.zeros((1, 10), np.float32), training=True)
    weights.gradient = np.zeros_like(weights.value)
    assert nn.Balance(0.5)([nn.Sign(), layer]) == pytest.approx(0.5 * (0 + 1 + 0.36) / 3)
    expected = np.tile(0.5 * 2 * np.array([0, 1, -0.6]) / 30, (10, 1))
    assert np.allclose(weights.gradient, expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Balance(0), "weight must be a real number above 0; got 0"),
        (
            lambda: nn.Distillation(abs, temperature=0),
            "temperature must be a real number above 0; got 0",
        ),
        (
            lambda: nn.Distillation(abs, weight=1.5),
            "weight must be a real number at least 0 and at most 1",
        ),
    ],
)
def test_wrong_settings(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_teacher_gives_logits() -> None:
    with pytest.raises(
        TypeError, match="teacher must be a trained model with decision_function, or a function"
    ):
        nn.Distillation(3)  # type: ignore[arg-type]
