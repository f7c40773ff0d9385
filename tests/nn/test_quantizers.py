"""Quantizers of weights and surrogate gradients, against the published formulae."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from fastcodes import nn
from fastcodes.nn import quantizers
from networks import (
    differences,
)

RNG = np.random.default_rng(5)


def smooth(estimator: str, x: Any, progress: float) -> Any:
    """Return the function whose derivative an estimator takes."""
    if estimator in ("clipped", "straight-through"):
        return np.clip(x, -1, 1)
    if estimator == "approximate":  # Bi-Real Net, equation 6
        inner = np.where(x < 0, 2 * x + x**2, 2 * x - x**2)
        return np.where(x < -1, -1, np.where(x >= 1, 1, inner))
    t = 10 ** (-3 + 4 * progress)  # IR-Net, equation 9
    return max(1 / t, 1) * np.tanh(t * x)


ESTIMATORS = ("clipped", "approximate", "error-decay")

PROGRESS = (0.0, 0.3, 0.75, 1.0)


@pytest.mark.parametrize("progress", PROGRESS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_surrogates_are_the_slopes_of_the_published_functions(estimator: str, progress: float) -> None:
    x = np.setdiff1d(np.linspace(-2.5, 2.5, 101), [-1, 0, 1])
    slope = (smooth(estimator, x + 1e-6, progress) - smooth(estimator, x - 1e-6, progress)) / 2e-6
    assert np.allclose(quantizers.surrogate_gradient(estimator, x, progress), slope, rtol=1e-4, atol=1e-6)
    layer = nn.Sign("straight-through" if estimator == "clipped" else estimator)
    layer.progress = progress
    assert np.array_equal(layer.forward(x, training=True), np.where(x >= 0, 1, -1))
    assert np.allclose(layer.backward(np.full_like(x, 3.0)), 3 * slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_counts_as_positive(dtype: Any) -> None:
    x = np.array([-1e-30, -0.0, 0.0, 1e-30], dtype)
    signs = quantizers.sign(x)
    assert signs.tolist() == [-1, 1, 1, 1]
    assert signs.dtype == dtype
    assert nn.Sign().forward(x).tolist() == [-1, 1, 1, 1]


@pytest.mark.parametrize("progress", [0.3, 0.75])
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("weights", ["sign", "xnor", "libra"])
def test_gradients_of_latent_weights(weights: str, estimator: str, progress: float) -> None:
    # The function whose slope the estimator takes stands in for the sign; the product rule does the rest.
    latent = RNG.uniform(-0.9, 0.9, size=(7, 3))
    inputs, by_output = RNG.normal(size=(5, 7)), RNG.normal(size=(5, 3))
    layer = nn.BinaryDense(3, weights=weights, estimator=estimator)
    layer.build((7,), np.random.default_rng(0))
    layer.parameters["weights"].value = latent
    layer.progress = progress
    layer.forward(inputs, training=True)
    layer.backward(by_output)
    signs, scale = layer.matrix()
    by_weights = inputs.T @ by_output

    def through_sign() -> float:
        x = latent
        if weights == "libra":
            x = (x - x.mean(axis=0)) / x.std(axis=0)
        return float((by_weights * (1 if scale is None else scale) * smooth(estimator, x, progress)).sum())

    expected = differences(through_sign, latent)
    if weights == "xnor":
        expected += differences(
            lambda: float((by_weights * signs * np.abs(latent).mean(axis=0)).sum()), latent
        )
    assert np.allclose(layer.parameters["weights"].gradient, expected, rtol=1e-4, atol=1e-5)


def test_the_xnor_scale_is_the_best_there_is() -> None:
    weights = RNG.normal(size=(9, 2))
    signs, scale = quantizers.XNOR().forward(weights)
    assert scale is not None
    error = np.square(weights - scale * signs).sum()
    for other in (scale * 1.01, scale * 0.99, scale * [1.02, 1], scale * [1, 0.98]):
        assert np.square(weights - other * signs).sum() > error
    # Of all signs too, each with its own best scale.
    for bits in itertools.product([-1.0, 1.0], repeat=9):
        column = np.array(bits)
        if not np.array_equal(column, signs[:, 0]):
            best = column @ weights[:, 0] / 9
            first = np.square(weights[:, 0] - best * column).sum()
            assert first >= np.square(weights[:, 0] - scale[0] * signs[:, 0]).sum() - 1e-12


def test_libra_weights_are_standardized_and_their_scale_is_a_power_of_two() -> None:
    weights = (RNG.normal(size=(50, 6)) * [1e-3, 0.1, 1, 1, 10, 1e3] + [0, 1, -1, 0, 5, 9]).astype(np.float32)
    standard, deviation = quantizers.standardized(weights)
    assert np.allclose(standard.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(standard.std(axis=0), 1, atol=1e-5)
    assert np.allclose(standard * deviation + weights.mean(axis=0), weights, rtol=1e-3)
    signs, scale = quantizers.Libra().forward(weights)
    assert scale is not None
    assert scale.dtype == np.float32
    assert np.array_equal(np.frexp(scale)[0], np.full(6, 0.5))
    assert np.array_equal(np.log2(scale), np.round(np.log2(np.abs(standard).mean(axis=0))))
    assert np.array_equal(signs, np.where(weights >= weights.mean(axis=0), 1, -1))
    skewed = RNG.exponential(size=(1000, 1))
    assert quantizers.sign(skewed).mean() == 1
    assert abs(quantizers.Libra().forward(skewed)[0].mean()) < 0.4
    constant = np.full((5, 2), 3.0)
    assert np.isfinite(quantizers.Libra().forward(constant)[1]).all()  # type: ignore[arg-type]
    gradient = quantizers.Libra().backward(np.ones((5, 2)), constant, np.ones((5, 2)), np.ones(2), 0.0)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("kind", ["sign", "xnor", "libra"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_gradients_do_not_depend_on_blocks(
    kind: str, estimator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, gradient = RNG.normal(size=(2, 103, 7)) * 0.8
    quantizer = quantizers.QUANTIZERS[kind](estimator)
    signs, scale = quantizer.forward(weights)
    whole = quantizer.backward(gradient.copy(), weights, signs, scale, 0.6)
    assert np.abs(whole).max() > 0.1
    monkeypatch.setattr(quantizers, "_ELEMENTS_PER_BLOCK", 64)
    assert np.allclose(quantizer.backward(gradient.copy(), weights, signs, scale, 0.6), whole, rtol=1e-12)


def test_the_slope_far_from_zero_keeps_its_digits() -> None:
    x = np.linspace(-8, 8, 401)
    found = quantizers.surrogate_gradient("error-decay", x.astype(np.float32), 0.75)
    assert np.allclose(found, 1 / np.cosh(x) ** 2, rtol=1e-5, atol=0)
