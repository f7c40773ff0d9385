"""Binary networks: layers, quantisers, optimisers, losses, training, checkpoints and the classifier."""

from __future__ import annotations

import itertools
import re
import sys
import unittest
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import _files, nn, xnor
from fastcodes.nn import _parts, quantizers
from fastcodes.nn._layer import Parameter, walk
from helpers import data_file, run_python

RNG = np.random.default_rng(5)


# --- gradients ----------------------------------------------------------------------------------------------


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


LAYERS: list[tuple[Any, tuple[int, ...]]] = [
    (nn.Dense(4), (5,)),
    (nn.Dense(4, use_bias=False), (5,)),
    (nn.BinaryDense(4, use_bias=True), (5,)),
    (nn.BinaryDense(4, weights="xnor"), (5,)),
    (nn.BinaryDense(4, weights="libra"), (5,)),
    (nn.Conv2D(4, 3), (5, 4, 2)),
    (nn.Conv2D(4, 3, padding="same", use_bias=False), (5, 4, 2)),
    (nn.Conv2D(4, 3, stride=2, padding="same"), (6, 5, 2)),
    (nn.Conv2D(4, (2, 3), padding=2, stride=2, dilation=2), (5, 6, 2)),
    (nn.Conv2D(4, 3, padding=1, groups=2), (4, 4, 6)),
    (nn.Conv2D(4, 2, groups=4, dilation=2), (4, 4, 4)),
    (nn.Conv2D(3, 1), (3, 4, 2)),
    (nn.BinaryConv2D(4, 3, padding=1, pad_value=1, weights="xnor", use_bias=True), (4, 4, 2)),
    (nn.BinaryConv2D(4, 3, padding="same", pad_value=0, weights="libra", groups=2), (4, 3, 2)),
    (nn.BatchNorm(), (4,)),
    (nn.BatchNorm(epsilon=0.1), (3, 2, 4)),
    (nn.MaxPool2D(2), (4, 6, 3)),
    (nn.MaxPool2D(2), (5, 7, 3)),
    (nn.MaxPool2D(3, stride=2), (7, 8, 2)),
    (nn.MaxPool2D(2, stride=3), (7, 6, 2)),
    (nn.Flatten(), (2, 3, 2)),
    (nn.HardTanh(), (6,)),
    (nn.Residual(nn.Dense(6), nn.HardTanh(), nn.Dense(5)), (5,)),
    (nn.Residual(nn.Conv2D(4, 3, stride=2), shortcut=[nn.Conv2D(4, 1, stride=3)]), (5, 5, 2)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=[repr(layer) for layer, _ in LAYERS])
def test_gradients_are_those_of_differences(layer: Any, shape: tuple[int, ...]) -> None:
    x = RNG.normal(size=(3, *shape))
    built(layer, shape)
    check_gradients(layer, x)
    assert layer.forward(x).shape == (3, *layer.output_shape)


def test_the_gradient_of_dropout() -> None:
    layer = built(nn.Dropout(0.4), (7,))
    state = layer._rng.bit_generator.state

    def forward() -> Any:
        layer._rng.bit_generator.state = state
        return layer.forward(x, training=True)

    x = RNG.normal(size=(5, 7))
    check_gradients(layer, x, forward)
    assert 0 < (forward() == 0).mean() < 1


@pytest.mark.parametrize("name", ["cross_entropy", "squared_hinge", "distillation"])
def test_the_gradients_of_losses(name: str) -> None:
    logits, labels, inputs = RNG.normal(size=(6, 4)), RNG.integers(4, size=6), RNG.normal(size=(6, 9))
    mixing = RNG.normal(size=(9, 4))
    loss = (
        nn.Distillation(lambda x: x @ mixing, 3.0, 0.6) if name == "distillation" else nn.losses.loss_of(name)
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
    assert nn.Distillation(lambda x: wanted).plain == nn.CrossEntropy()
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


# --- quantisers ---------------------------------------------------------------------------------------------


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
    assert np.allclose(quantizers.surrogate(estimator, x, progress), slope, rtol=1e-4, atol=1e-6)
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


def test_libra_weights_are_standardised_and_their_scale_is_a_power_of_two() -> None:
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
    monkeypatch.setattr(quantizers, "_BLOCK", 64)
    assert np.allclose(quantizer.backward(gradient.copy(), weights, signs, scale, 0.6), whole, rtol=1e-12)


def test_the_slope_far_from_zero_keeps_its_digits() -> None:
    x = np.linspace(-8, 8, 401)
    found = quantizers.surrogate("error-decay", x.astype(np.float32), 0.75)
    assert np.allclose(found, 1 / np.cosh(x) ** 2, rtol=1e-5, atol=0)


@pytest.mark.parametrize("n_bits", range(2, 9))
def test_quantised_activations(n_bits: int) -> None:
    layer = nn.Quantize(n_bits)
    x = np.concatenate([np.linspace(-1.5, 1.5, 3001), [0.0, -0.0, 1.0, -1.0]])
    levels = layer.forward(x, training=True)
    top = 2**n_bits - 1
    assert np.array_equal(np.unique(levels), np.arange(-top, top + 1, 2))
    cells = np.arange(-top, top + 1, 2) / (top + 1)  # their centres
    inside = np.abs(x) < 1
    assert np.allclose(
        np.abs(levels[inside] / (top + 1) - x[inside]), np.abs(x[inside, None] - cells).min(axis=1)
    )
    assert np.array_equal(np.sign(levels), np.where(x >= 0, 1, -1))
    k = (levels.astype(int) + top) // 2
    planes = [2 * (k >> j & 1) - 1 for j in range(n_bits)]
    assert np.array_equal(levels, sum(2**j * plane for j, plane in enumerate(planes)))
    assert np.array_equal(layer.backward(np.full_like(x, 2)), np.where(np.abs(x) <= 1, 2.0 * top, 0))


# --- convolution and other layers ---------------------------------------------------------------------------


def naive_convolution(
    x: Any, weights: Any, pads: Any, stride: int, dilation: int, groups: int, fill: float
) -> Any:
    x = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    kernel_height, kernel_width, part, filters = weights.shape
    height = (x.shape[1] - dilation * (kernel_height - 1) - 1) // stride + 1
    width = (x.shape[2] - dilation * (kernel_width - 1) - 1) // stride + 1
    out = np.zeros((len(x), height, width, filters))
    for n, y, z, f in np.ndindex(*out.shape):
        first = f // (filters // groups) * part
        for i, j, c in np.ndindex(kernel_height, kernel_width, part):
            pixel = x[n, y * stride + i * dilation, z * stride + j * dilation, first + c]
            out[n, y, z, f] += pixel * weights[i, j, c, f]
    return out


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
    expected = naive_convolution(x, signs, pads, stride, dilation, groups, pad_value)
    found = layer.forward(x)
    assert found.dtype == np.float32
    assert np.array_equal(found, expected)
    assert np.array_equal(layer.forward(x.astype(np.float64)), expected)  # by matrix products
    assert found.shape[1:] == layer.output_shape
    if padding == "same":
        assert found.shape[1:3] == (-(-7 // stride), -(-8 // stride))


@pytest.mark.parametrize("weights", ["sign", "xnor", "libra"])
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (64, 10), (65, 300), (784, 64)])
def test_a_product_of_signs_is_that_of_floats(
    shape: tuple[int, int], weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_bits = []
    matmul = xnor.matmul
    monkeypatch.setattr(xnor, "matmul", lambda *args, **kw: by_bits.append(True) or matmul(*args, **kw))
    layer = nn.BinaryDense(shape[1], weights=weights)
    layer.build(shape[:1], np.random.default_rng(0))
    signs, scale = layer.matrix()
    for values in ([-1, 1], [-1, 0, 1], range(256)):  # by packed bits, and two by floats
        x = RNG.choice(np.array(values, np.float32), size=(9, shape[0]))
        expected = (x.astype(int) @ signs.astype(int)).astype(np.float32)
        found = layer.forward(x, training=True)
        assert found.dtype == np.float32
        assert np.array_equal(found, expected if scale is None else expected * scale)
    assert by_bits == [True]


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_of_other_numbers_than_signs(groups: int) -> None:
    layer = nn.BinaryConv2D(16, 2, groups=groups, padding=1)
    layer.build((4, 4, 16), np.random.default_rng(0))
    x = RNG.choice(np.array([-1, 1], np.float32), size=(3, 4, 4, 16))
    for value in (1, 0, 2, 0.5):
        x[1, 2, 3, 4] = value
        signs = layer.matrix()[0].reshape(2, 2, 16 // groups, 16)
        assert np.array_equal(layer.forward(x), naive_convolution(x, signs, [(1, 1)] * 2, 1, 1, groups, -1))


def test_a_float_convolution_pads_with_zeros() -> None:
    layer = built(nn.Conv2D(2, 3, padding=1), (4, 4, 2))
    x = RNG.normal(size=(2, 4, 4, 2))
    expected = naive_convolution(x, layer.parameters["weights"].value, [(1, 1)] * 2, 1, 1, 1, 0)
    assert np.allclose(layer.forward(x), expected + layer.parameters["bias"].value)


@pytest.mark.parametrize(
    "layer", [nn.BinaryConv2D(5, 3, padding="same", pad_value=0), nn.BatchNorm(), nn.MaxPool2D()], ids=str
)
def test_nothing_depends_on_the_number_of_threads(layer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = RNG.normal(size=(37, 8, 8, 3)).astype(np.float32)

    def run() -> list[Any]:
        layer.build((8, 8, 3), np.random.default_rng(0))
        out = layer.forward(x, training=True)
        return [out, layer.backward(np.cos(out)), *(p.gradient for p in layer.parameters.values())]

    whole = run()
    monkeypatch.setattr(_parts, "_FEW_NUMBERS", 0)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(_parts._native, "threads", lambda threads=threads: threads)
        found.append(run())
    for others in found[1:]:
        assert all(map(np.array_equal, found[0], others))
    assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(whole, found[0], strict=True))


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


def test_dropout_keeps_the_mean_and_rests_after_training() -> None:
    layer = nn.Dropout(0.3)
    layer.build((1000,), np.random.default_rng(0))
    x = np.ones((100, 1000), np.float32)
    out = layer.forward(x, training=True)
    assert out.dtype == np.float32
    assert np.allclose(np.unique(out), [0, 1 / 0.7])
    assert abs((out == 0).mean() - 0.3) < 0.01
    assert layer.forward(x) is x


def test_a_residual_adds_its_input() -> None:
    block = nn.Residual(nn.BinaryDense(4), nn.BatchNorm())
    block.build((4,), np.random.default_rng(0))
    x = RNG.normal(size=(3, 4)).astype(np.float32)
    expected = x
    for layer in block.layers:
        expected = layer.forward(expected)
    assert np.array_equal(block.forward(x), x + expected)


# --- optimisers and schedules -------------------------------------------------------------------------------


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
    for optimizer in (nn.SGD(), nn.Adam(), nn.Bop(0.5, 0.1)):
        quantizer = quantizers.SignWeights() if isinstance(optimizer, nn.Bop) else None
        whole = steps_of(optimizer, gradients, quantizer=quantizer)
        parameter = Parameter(whole[0][:, :7].copy(), quantizer)
        optimizer.prepare(parameter)
        for i, gradient in enumerate(gradients):
            parameter.gradient = np.ascontiguousarray(gradient[:, :7])
            optimizer.update(parameter, 1.0, i + 1)
            assert np.array_equal(parameter.value, whole[i + 1][:, :7])


def test_schedules() -> None:
    cosine = nn.Cosine(final=0.1)
    assert [cosine(x) for x in (0, 0.5, 1)] == pytest.approx([1, 0.55, 0.1])
    assert cosine(0.25) == pytest.approx(0.1 + 0.9 * (1 + np.cos(np.pi / 4)) / 2)
    step = nn.Step((0.5, 0.75), factor=0.2)
    assert [step(x) for x in (0, 0.49, 0.5, 0.74, 0.75, 1)] == pytest.approx([1, 1, 0.2, 0.2, 0.04, 0.04])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Adam(0), "learning_rate must be a positive number; got 0"),
        (lambda: nn.Adam(float("nan")), "learning_rate must be a positive number; got nan"),
        (lambda: nn.Adam(beta2=1), "beta2 must be a number from 0 to less than 1; got 1"),
        (lambda: nn.Adam(epsilon=0), "epsilon must be a positive number; got 0"),
        (lambda: nn.SGD(momentum=-0.1), "momentum must be a number from 0 to less than 1; got -0.1"),
        (lambda: nn.Bop(threshold=-1), "threshold must be 0 or a positive number; got -1"),
        (lambda: nn.Cosine(final=2), "final must be a number from 0 to 1; got 2"),
        (lambda: nn.Step([10, 20]), r"milestones must be parts of the training from 0 to 1; got \[10, 20\]"),
        (lambda: nn.Step(factor=0), "factor must be a positive number up to 1; got 0"),
        (lambda: nn.Balance(0), "weight must be a positive number; got 0"),
        (lambda: nn.Distillation(lambda x: x, 0), "temperature must be a positive number; got 0"),
        (lambda: nn.Distillation(lambda x: x, weight=1.5), "weight must be a number from 0 to 1; got 1.5"),
        (lambda: nn.EarlyStopping(0), "patience must be an integer from 1 up; got 0"),
        (lambda: nn.RandomShift(0), "pixels must be an integer from 1 up; got 0"),
        (lambda: nn.BatchNorm(momentum=1), "momentum must be a number from 0 to less than 1; got 1"),
        (lambda: nn.BatchNorm(epsilon=0), "epsilon must be a positive number; got 0"),
        (lambda: nn.Dropout(1), "rate must be a number from 0 to less than 1; got 1"),
        (lambda: nn.Dense(0), "units must be an integer from 1 up; got 0"),
        (lambda: nn.BinaryDense(3, weights="ternary"), "weights must be one of 'sign', 'xnor', 'libra'; got"),
        (lambda: nn.BinaryDense(3, estimator="straight-through"), "estimator must be one of 'clipped', 'app"),
        (lambda: nn.Sign("clipped"), "estimator must be one of 'straight-through', 'approximate', 'error-d"),
        (lambda: nn.Quantize(1), "n_bits must be an integer from 2 to 8; got 1"),
        (
            lambda: nn.Conv2D(3, (3, 3, 3)),
            r"kernel_size must be an integer or a pair of them; got \(3, 3, 3\)",
        ),
        (
            lambda: nn.Conv2D(3, 3, padding="full"),
            'padding must be "valid", "same" or an integer; got \'full\'',
        ),
        (lambda: nn.Conv2D(3, 3, padding=-1), "padding must be an integer from 0 up; got -1"),
        (lambda: nn.BinaryConv2D(3, 3, pad_value=2), "pad_value must be -1, 1 or 0; got 2"),
        (lambda: nn.Sequential(), "Sequential expects at least one layer; got none"),
    ],
)
def test_wrong_settings(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_wrong_types_of_settings() -> None:
    with pytest.raises(TypeError, match=r"units must be an integer from 1 up; got 2.5 of type float"):
        nn.Dense(2.5)  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match=r"Sequential expects layers; got <class .*: call it, as in nn.Sign\(\)"
    ):
        nn.Sequential(nn.Sign)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Residual expects at least one layer"):
        nn.Residual()
    with pytest.raises(
        TypeError, match="teacher must be a trained model with decision_function, or a function"
    ):
        nn.Distillation(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"optimizer must be an object such as nn.Adam\(1e-3\); got 'adam'"):
        small().fit(X, Y, optimizer="adam")  # type: ignore[arg-type]
    layer = nn.Sign()
    with pytest.raises(
        ValueError, match=r"layer 2.0, Sign\(\), is there twice; make a new one for each place"
    ):
        nn.Sequential(layer, nn.Dense(2), nn.Residual(layer))


# --- networks -----------------------------------------------------------------------------------------------

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


def arrays_of(model: nn.Sequential) -> dict[str, Any]:
    return model._pack()[1]


def same_model(a: nn.Sequential, b: nn.Sequential) -> bool:
    arrays = arrays_of(a), arrays_of(b)
    return (
        arrays[0].keys() == arrays[1].keys()
        and all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0])
        and a._pack()[0] == b._pack()[0]
    )


def test_a_network_learns() -> None:
    model = small()
    assert model.fit(X, Y, epochs=30, optimizer=nn.Adam(0.01), batch_size=30) is model
    assert model.classes_.tolist() == ["low", "mid", "top"]
    logits = model.decision_function(X)
    assert logits.shape == (210, 3)
    assert logits.dtype == np.float32
    labels = model.predict(X)
    assert np.array_equal(labels, model.classes_[logits.argmax(axis=1)])
    proba = model.predict_proba(X)
    assert np.allclose(proba, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), atol=1e-6)
    figures = model.evaluate(X, Y)
    assert figures["accuracy"] == (labels == Y).mean() > 0.85
    expected = -np.log(proba[np.arange(210), np.searchsorted(model.classes_, Y)]).mean()
    assert figures["loss"] == pytest.approx(expected, rel=1e-4)
    assert {name: len(values) for name, values in model.history_.items()} == {"loss": 30, "accuracy": 30}
    assert model.history_["loss"][-1] < 0.7 * model.history_["loss"][0]
    assert len(model.predict(X[:0])) == 0
    assert all(layer.cache is None for _, layer in walk(model.layers))


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    return x[order].astype(np.uint8), y[order]


MLP_PARAMS: list[dict[str, Any]] = [
    {},
    {"weights": "xnor"},
    {"weights": "libra", "estimator": "error-decay"},
    {"estimator": "approximate"},
]


@pytest.mark.parametrize("params", MLP_PARAMS, ids=str)
def test_binary_networks_learn_digits(params: dict[str, Any], digits: tuple[Any, Any]) -> None:
    x, y = digits
    model = nn.Sequential(
        nn.BinaryDense(128, **params),
        nn.BatchNorm(),
        nn.Sign(),
        nn.BinaryDense(10, **params),
        nn.BatchNorm(),
        random_state=0,
    )
    model.fit(x[:1300], y[:1300], epochs=15, batch_size=64, optimizer=nn.Adam(0.01), schedule=nn.Cosine())
    assert model.evaluate(x[1300:], y[1300:])["accuracy"] > 0.95
    signs, _ = model.layers[0].matrix()  # type: ignore[attr-defined]
    assert np.array_equal(np.unique(signs), [-1, 1])


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": nn.Bop(1e-3, 1e-6)},
        {"loss": "squared_hinge"},
        {"optimizer": nn.SGD(0.3)},
        {"regularizer": nn.Balance(0.1)},
    ],
    ids=str,
)
def test_other_ways_to_learn_digits(settings: dict[str, Any], digits: tuple[Any, Any]) -> None:
    x, y = digits
    model = nn.Sequential(
        nn.BinaryDense(128), nn.BatchNorm(), nn.Sign(), nn.BinaryDense(10), nn.BatchNorm(), random_state=0
    )
    settings = {"optimizer": nn.Adam(0.01), **settings}
    model.fit(x[:1300], y[:1300], epochs=15, batch_size=64, schedule=nn.Cosine(), **settings)
    assert model.evaluate(x[1300:], y[1300:])["accuracy"] > 0.93
    if isinstance(settings["optimizer"], nn.Bop):
        assert np.array_equal(np.unique(model.layers[0].parameters["weights"].value), [-1, 1])
    else:
        assert np.abs(model.layers[0].parameters["weights"].value).max() <= 1


def test_a_convolutional_network_learns_digits_and_so_does_its_student(digits: tuple[Any, Any]) -> None:
    x, y = digits[0].reshape(-1, 8, 8, 1), digits[1]
    train, test = slice(0, 1000), slice(1300, None)
    teacher = nn.Sequential(
        nn.Conv2D(16, 3),
        nn.BatchNorm(),
        nn.HardTanh(),
        nn.MaxPool2D(2),
        nn.Flatten(),
        nn.Dense(10),
        random_state=0,
    )
    fast = {"optimizer": nn.Adam(0.01), "schedule": nn.Cosine(), "batch_size": 100}
    teacher.fit(x[train], y[train], epochs=8, **fast)
    assert teacher.evaluate(x[test], y[test])["accuracy"] > 0.95
    student = nn.Sequential(
        nn.BinaryConv2D(32, 3), nn.BatchNorm(), nn.Sign(), nn.BinaryConv2D(32, 3), nn.BatchNorm(), nn.Sign(),
        nn.Flatten(), nn.BinaryDense(10), nn.BatchNorm(), random_state=0,
    )  # fmt: skip
    student.fit(x[train], y[train], epochs=8, loss=nn.Distillation(teacher), **fast)
    assert student.evaluate(x[test], y[test])["accuracy"] > 0.93


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Dense(5), nn.Dense(3)],
        [nn.Dense(5), nn.HardTanh(), nn.Residual(nn.Dense(5)), nn.Dense(3)],
        [nn.Residual(nn.Dense(12)), nn.Dense(3)],
    ],
    ids=str,
)
def test_a_step_lowers_the_loss_of_the_whole_network(layers: list[Any]) -> None:
    model = nn.Sequential(*layers, random_state=0)
    rate = 0.1
    model.fit(X, Y, epochs=1, batch_size=210, optimizer=nn.SGD(rate, momentum=0))
    after = {name: parameter.value.copy() for name, parameter in model._parameters().items()}
    model.fit(X, Y, epochs=1, batch_size=210, optimizer=nn.SGD(1e-30))  # the same first weights
    x, numbers = X.astype(np.float64), np.searchsorted(model.classes_, Y)
    for parameter in model._parameters().values():
        parameter.value = parameter.value.astype(np.float64)

    def loss() -> float:
        out = x
        for layer in model.layers:
            out = layer.forward(out)
        return nn.CrossEntropy()(out, numbers, x)[0]

    for name, parameter in model._parameters().items():
        expected = parameter.value - rate * differences(loss, parameter.value)
        assert np.allclose(after[name], expected, atol=1e-6), name


def test_the_history_tells_means_over_samples() -> None:
    model = nn.Sequential(nn.Dense(3), random_state=0)
    settings: dict[str, Any] = {
        "epochs": 1,
        "batch_size": 50,
        "optimizer": nn.SGD(1e-30),
        "validation_data": (X, Y),
    }
    model.fit(X, Y, **settings)
    figures = model.evaluate(X, Y)
    for name, figure in figures.items():
        assert model.history_[name] == pytest.approx([figure], rel=1e-5)
        assert model.history_[f"validation_{name}"] == [figure]
    # A teacher and a regulariser are for training only.
    model.fit(X, Y, loss=nn.Distillation(lambda x: 9 * x[:, :3]), **settings)
    assert model.history_["validation_loss"] == [model.evaluate(X, Y)["loss"]]
    assert model.history_["validation_loss"] == pytest.approx([figures["loss"]])
    assert model.history_["loss"] != pytest.approx([figures["loss"]], rel=1e-2)


def test_pixels_are_taken_as_they_are() -> None:
    a, b = (
        images_network().fit(x, KINDS, epochs=2, batch_size=16) for x in (IMAGES, IMAGES.astype(np.float64))
    )
    assert np.array_equal(a.decision_function(IMAGES), b.decision_function(IMAGES.tolist()))
    assert (a.input_bits_, b.input_bits_) == (8, None)


def test_training_is_repeatable() -> None:
    settings: dict[str, Any] = {"epochs": 3, "batch_size": 16, "augment": nn.RandomShift(1)}
    model = images_network().fit(IMAGES, KINDS, **settings)
    again = images_network().fit(IMAGES, KINDS, **settings)
    assert same_model(model, again)
    assert same_model(model, again.fit(IMAGES, KINDS, **settings))  # anew
    other = images_network()
    other.random_state = 4
    assert not np.array_equal(
        other.fit(IMAGES, KINDS, **settings).decision_function(IMAGES), model.decision_function(IMAGES)
    )
    rng = np.random.default_rng(0)
    model.random_state = rng
    first = model.fit(IMAGES, KINDS, **settings).decision_function(IMAGES)
    assert not np.array_equal(model.fit(IMAGES, KINDS, **settings).decision_function(IMAGES), first)


@pytest.mark.parametrize("in_file", [True, False])
@pytest.mark.parametrize("optimizer", [nn.Adam(0.01), nn.SGD(0.01)], ids=str)
def test_going_on_ends_where_a_single_run_does(optimizer: Any, in_file: bool, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    settings: dict[str, Any] = {
        "epochs": 6,
        "batch_size": 16,
        "optimizer": optimizer,
        "schedule": nn.Cosine(),
        "loss": "squared_hinge",
        "validation_data": (IMAGES[:9], KINDS[:9]),
        "augment": nn.RandomShift(1),
    }
    whole = images_network().fit(IMAGES, KINDS, **settings)
    assert len(whole.history_["loss"]) == 6
    part = images_network()
    part.fit(
        IMAGES, KINDS, callbacks=[nn.Checkpoint(path), lambda m: len(m.history_["loss"]) == 2], **settings
    )
    assert len(part.history_["loss"]) == 2
    assert not same_model(whole, part)
    if in_file:
        part = nn.Sequential.load(path)
    assert same_model(whole, part.fit(IMAGES, KINDS, resume=True, **settings))
    assert same_model(whole, part.fit(IMAGES, KINDS, resume=True, **settings))  # nothing is left to do


def test_going_on_with_bop(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 4, "batch_size": 30, "optimizer": nn.Bop(1e-2, 1e-5)}
    whole = small().fit(X, Y, **settings)
    part = small().fit(X, Y, callbacks=[lambda model: len(model.history_["loss"]) == 3], **settings)
    assert same_model(whole, part.fit(X, Y, resume=True, **settings))


def test_going_on_needs_a_training_and_its_optimiser() -> None:
    with pytest.raises(nn.NotFittedError, match="resume=True goes on with a training, and there was none"):
        small().fit(X, Y, resume=True)
    model = small().fit(X, Y, epochs=1)
    with pytest.raises(
        ValueError, match=r"remembers of 0.weights, \['mean', 'square'\]; SGD\(.* \['velocity'\]"
    ):
        model.fit(X, Y, resume=True, optimizer=nn.SGD())
    with pytest.raises(
        ValueError, match=r"X has samples of shape \(11,\); the model was trained with .* \(12,\)"
    ):
        model.fit(X[:, :11], Y, resume=True)


def test_what_is_given_to_a_training_step() -> None:
    seen: list[Any] = []

    def schedule(progress: float) -> float:
        seen.append((progress, model.layers[0].progress))
        return 1.0

    model = small()
    model.fit(X[:50], Y[:50], epochs=3, batch_size=13, schedule=schedule)
    assert [progress for progress, _ in seen] == pytest.approx([i / 12 for i in range(12)])
    # A step has the progress that its schedule was asked for.
    assert [before for _, before in seen[1:]] == pytest.approx([i / 12 for i in range(11)])

    sizes: list[int] = []

    def augment(batch: Any, rng: Any) -> Any:
        assert batch.dtype == np.float32
        sizes.append(len(batch))
        return batch

    model.fit(X[:50], Y[:50], epochs=1, batch_size=16, augment=augment)
    assert sizes == [13, 13, 12, 12]  # none is small
    with pytest.raises(
        ValueError, match=r"augment has to keep the shape of a batch, \(50, 12\); it returned \(49"
    ):
        model.fit(X[:50], Y[:50], augment=lambda batch, rng: batch[1:])


def test_all_samples_are_seen_in_a_new_order_each_epoch() -> None:
    x = np.arange(20, dtype=np.float32)[:, None]
    seen: list[Any] = []
    model = nn.Sequential(nn.Dense(2), random_state=0)
    model.fit(
        x, np.arange(20) % 2, epochs=2, batch_size=7, augment=lambda b, rng: (seen.extend(b[:, 0]), b)[1]
    )
    assert sorted(seen[:20]) == sorted(seen[20:]) == list(range(20))
    assert seen[:20] != seen[20:] != list(range(20))


def test_early_stopping_and_checkpoints(tmp_path: Path) -> None:
    model = small()
    path = tmp_path / "best.safetensors"
    callbacks = [
        nn.Checkpoint(path, monitor="validation_accuracy"),
        nn.EarlyStopping(3, "validation_accuracy"),
    ]
    model.fit(
        X[:100],
        Y[:100],
        epochs=200,
        optimizer=nn.Adam(0.05),
        validation_data=(X[100:], Y[100:]),
        callbacks=callbacks,
    )
    figures = model.history_["validation_accuracy"]
    assert len(figures) < 200
    best = int(np.argmax(figures))
    assert len(figures) == best + 4
    kept = nn.Sequential.load(path)
    assert len(kept.history_["loss"]) == best + 1
    assert kept.evaluate(X[100:], Y[100:])["accuracy"] == figures[best]
    model.history_ = {"loss": [3.0, 1.0, 2.0, 2.0]}
    assert not nn.EarlyStopping(3, "loss")(model)
    assert nn.EarlyStopping(2, "loss")(model)
    with pytest.raises(
        ValueError, match=r"monitor must be one of \['accuracy', 'loss'\]; got 'validation_loss'; gi"
    ):
        small().fit(X, Y, callbacks=[nn.EarlyStopping()])


def test_all_callbacks_are_called_before_training_stops() -> None:
    calls: list[str] = []

    def stop(model: nn.Sequential) -> bool:
        calls.append("stop")
        return True

    small().fit(X, Y, epochs=3, callbacks=[stop, lambda model: calls.append("other")])
    assert calls == ["stop", "other"]


def test_shifts_and_flips() -> None:
    rng = np.random.default_rng(0)
    images = RNG.normal(size=(300, 5, 6, 2)).astype(np.float32)
    for batch in (images, images[..., 0]):
        shifted = nn.RandomShift(2, fill=9)(batch, rng)
        padded = np.pad(batch, [(0, 0), (2, 2), (2, 2)] + [(0, 0)] * (batch.ndim - 3), constant_values=9)
        found = set()
        for i, image in enumerate(shifted):
            places = [
                (y, x) for y, x in np.ndindex(5, 5) if np.array_equal(padded[i, y : y + 5, x : x + 6], image)
            ]
            found.update(places)
            assert places
        assert len(found) == 25
        flipped = nn.RandomFlip()(batch, rng)
        mirrored = np.array([np.array_equal(a, b[:, ::-1]) for a, b in zip(flipped, batch, strict=True)])
        assert np.array_equal(flipped[~mirrored], batch[~mirrored])
        assert 100 < mirrored.sum() < 200
    with pytest.raises(
        ValueError, match=r"expects images \(n, height, width\).* got shape \(210, 12\). Give fit im"
    ):
        nn.RandomShift(1)(X, rng)


def test_a_summary_counts_parameters_bits_and_products() -> None:
    model = nn.Sequential(
        nn.BinaryConv2D(4, 3, padding="same", pad_value=0), nn.BatchNorm(), nn.Sign(),
        nn.Residual(nn.BinaryConv2D(4, 3, padding=1, groups=2), nn.BatchNorm()),
        nn.Quantize(2), nn.MaxPool2D(2), nn.Flatten(), nn.BinaryDense(5, use_bias=True), nn.Dense(3),
        random_state=0,
    )  # fmt: skip
    with pytest.raises(nn.NotFittedError, match=r"This Sequential has no shapes yet. Call 'fit', or 'build'"):
        model.summary()
    expected = [
        # output, parameters, bits, float multiply-adds, bit operations
        ("BinaryConv2D", "(6, 8, 4)", 9 * 2 * 4, 72, 48 * 72, 0),
        ("BatchNorm", "(6, 8, 4)", 8, 16 * 32, 0, 0),
        ("Sign", "(6, 8, 4)", 0, 0, 0, 0),
        ("Residual", "(6, 8, 4)", 0, 0, 0, 0),
        ("BinaryConv2D", "(6, 8, 4)", 9 * 2 * 4, 72, 0, 48 * 72),
        ("BatchNorm", "(6, 8, 4)", 8, 16 * 32, 0, 0),
        ("Quantize", "(6, 8, 4)", 0, 0, 0, 0),
        ("MaxPool2D", "(3, 4, 4)", 0, 0, 0, 0),
        ("Flatten", "(48,)", 0, 0, 0, 0),
        ("BinaryDense", "(5,)", 240 + 5, 240 + 160, 0, 2 * 240),
        ("Dense", "(3,)", 15 + 3, 18 * 32, 15, 0),
        ("total", "", 423, 72 + 512 + 72 + 512 + 400 + 576, 48 * 72 + 15, 48 * 72 + 480),
    ]

    def table() -> list[Any]:
        rows = [re.split(r"  +", line.strip()) for line in model.summary().splitlines()]
        assert rows[0] == ["layer", "output", "parameters", "bits", "float MACs", "bit operations"]
        return [
            (re.split(r"\W", row[0])[0], "" if row[0] == "total" else row[1], *map(int, row[-4:]))
            for row in rows[1:]
        ]

    model.build((6, 8, 2))
    assert table() == expected
    model.fit(RNG.integers(256, size=(9, 6, 8, 2), dtype=np.uint8), np.arange(9) % 3, epochs=1)
    assert table()[0] == ("BinaryConv2D", "(6, 8, 4)", 72, 72, 0, 8 * 48 * 72)  # pixels have 8 bits


def test_representations() -> None:
    model = nn.Sequential(
        nn.BinaryDense(8, weights="xnor"), nn.Residual(nn.Sign(), nn.Dense(8)), nn.Dropout(0.5)
    )
    assert repr(model) == (
        "Sequential(BinaryDense(units=8, weights='xnor'), Residual(Sign(), Dense(units=8)), "
        "Dropout(rate=0.5))"
    )
    assert (
        repr(nn.Residual(nn.Flatten(), shortcut=[nn.Flatten()]))
        == "Residual(Flatten(), shortcut=(Flatten(),))"
    )


# --- wrong use ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "x", "message"),
    [
        (
            [nn.Dense(2)],
            IMAGES,
            r"layer 0, Dense\(units=2\): expects a vector .* \(8, 8, 2\). Put Flatten\(\) before",
        ),
        (
            [nn.Flatten(), nn.Conv2D(4, 3)],
            IMAGES,
            r"layer 1, Conv2D.*expects images .* Put it before Flatten\(\)",
        ),
        ([nn.MaxPool2D()], IMAGES[..., 0], r"layer 0, MaxPool2D\(\): expects images.*X\[..., np.newaxis\]"),
        (
            [nn.Conv2D(4, 9)],
            IMAGES,
            r"a kernel of \(9, 9\) with dilation 1 does not fit into images of \(8, 8\) with",
        ),
        ([nn.MaxPool2D(9)], IMAGES, r"a window of size 9 does not fit into images of \(8, 8\)"),
        ([nn.Conv2D(4, 3, groups=4)], IMAGES, "groups=4 has to divide both the 2 channels and the 4 filters"),
        (
            [nn.Flatten(), nn.Residual(nn.Dense(3))],
            IMAGES,
            r"layer 1, Residual\(Dense\(units=3\)\): its layers turn shape \(128,\) into \(3,\), which can",
        ),
        (
            [nn.Flatten(), nn.Dense(3)],
            IMAGES,
            r"an output for each of the 2 classes in y; its output has the shape \(3,\)",
        ),
        (
            [nn.Conv2D(2, 3)],
            IMAGES,
            r"the 2 classes in y; its output has the shape \(6, 6, 2\). End with Flatten",
        ),
    ],
)
def test_layers_that_cannot_work(layers: list[Any], x: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nn.Sequential(*layers).fit(x, KINDS)


def with_nan(value: float) -> Any:
    x = X.astype(np.float64)
    x[123, 4] = value
    return x


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (
            X[0],
            Y[0],
            ValueError,
            r"X must have samples along its first axis.*got shape \(12,\). X.reshape\(1, -1\)",
        ),
        (X * 1j, Y, TypeError, r"X must be real numbers .* got an array of dtype complex64"),
        ([["a"]], ["b"], TypeError, r"X must be real numbers .* got an array of dtype <U1"),
        (X, Y[:-1], ValueError, "X has 210 samples and y 209 labels"),
        (X[:0], Y[:0], ValueError, "X has no samples; expected at least one"),
        (
            X,
            np.eye(3)[:, :],
            ValueError,
            r"y must be labels \(n,\); got shape \(3, 3\); of one-hot rows take y.argm",
        ),
        (
            X,
            np.linspace(0, 1, 210),
            ValueError,
            "y must be labels of classes.* got 0.0047.*, which is continuous",
        ),
        (X, np.full(210, np.nan), ValueError, "y must be labels of classes.* got nan"),
        (X, np.zeros(210), ValueError, "y must have 2 classes or more; got one class, 0.0"),
        (X, [None, "a"] * 105, TypeError, "y must be labels that can be sorted.*NoneType"),
        (with_nan(np.nan), Y, ValueError, "X has nan in sample 123; expected no NaN, no infinity"),
        (with_nan(-np.inf), Y, ValueError, "X has -inf in sample 123"),
        (with_nan(1e300), Y, ValueError, r"X has 1e\+300 in sample 123; .* nothing too large for float32"),
    ],
)
def test_wrong_samples_and_labels(x: Any, y: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        small().fit(x, y)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs must be an integer from 1 up; got 0"),
        ({"batch_size": 1.5}, TypeError, "batch_size must be an integer from 1 up; got 1.5 of type float"),
        (
            {"loss": "mse"},
            ValueError,
            "loss must be one of 'cross_entropy', 'squared_hinge' or an object such as",
        ),
        (
            {"validation_data": X},
            ValueError,
            r"validation_data must be a pair \(X, y\) of samples and labels",
        ),
        (
            {"validation_data": (X[:, 1:], Y)},
            ValueError,
            r"X of validation_data has samples of shape \(11,\); the",
        ),
        (
            {"validation_data": (X, Y[1:])},
            ValueError,
            "X of validation_data has 210 samples and y of valid.* 209",
        ),
        (
            {"validation_data": (X[:1], ["no"])},
            ValueError,
            r"y of validation_data has the label 'no'; known are \['low'",
        ),
        ({"validation_data": (X[:1], [3])}, ValueError, "y of validation_data has the label"),
        (
            {"validation_data": (with_nan(np.nan), Y)},
            ValueError,
            "X of validation_data has nan in sample 123",
        ),
        (
            {"loss": nn.Distillation(lambda x: x)},
            ValueError,
            r"teacher gives logits \(128, 12\); the student gives",
        ),
    ],
)
def test_wrong_arguments_of_fit(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        small().fit(X[:128], Y[:128], **settings)


def test_wrong_use_of_bop() -> None:
    for params in ({"weights": "xnor"}, {"weights": "libra"}, {"estimator": "approximate"}):
        with pytest.raises(
            ValueError, match='give all layers of bits weights="sign" and estimator="clipped"'
        ):
            small(**params).fit(X, Y, optimizer=nn.Bop())


def test_a_loss_that_is_not_finite_ends_training() -> None:
    model = nn.Sequential(nn.Dense(3), random_state=0)
    with (
        np.errstate(all="ignore"),
        pytest.raises(FloatingPointError, match=r"in epoch \d+; take a lower learning"),
    ):
        model.fit(X, Y, epochs=50, optimizer=nn.SGD(1e38))


def test_a_network_that_is_not_fitted_says_so(tmp_path: Path) -> None:
    model = small()
    for action in (
        lambda: model.predict(X),
        lambda: model.predict_proba(X),
        lambda: model.evaluate(X, Y),
        lambda: model.save(tmp_path / "x"),
    ):
        with pytest.raises(nn.NotFittedError, match="This Sequential instance is not fitted yet"):
            action()


def test_wrong_samples_of_predictions() -> None:
    model = small().fit(X, Y, epochs=1)
    with pytest.raises(ValueError, match=r"X has samples of shape \(11,\); the model was trained .* \(12,\)"):
        model.predict(X[:, :11])
    with pytest.raises(ValueError, match="X has nan in sample 123"):
        model.predict(with_nan(np.nan))
    with pytest.raises(ValueError, match=r"y has the label 'none'; known are"):
        model.evaluate(X[:1], ["none"])


# --- files --------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    images_network().fit(IMAGES, KINDS, epochs=2, batch_size=16).save(path)
    return path


@pytest.mark.parametrize(
    "labels", [KINDS, KINDS.astype(np.float32), np.array(["no", "yes"])[KINDS], KINDS > 0]
)
def test_a_saved_network_is_the_same_again(labels: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = images_network().fit(IMAGES, labels, epochs=2, batch_size=16)
    model.save(path)
    loaded = nn.Sequential.load(path)
    assert same_model(model, loaded)
    assert repr(loaded) == repr(model)
    assert loaded.summary() == model.summary()
    assert loaded.classes_.dtype == model.classes_.dtype
    assert np.array_equal(loaded.predict(IMAGES), model.predict(IMAGES))
    assert loaded.evaluate(IMAGES, labels) == model.evaluate(IMAGES, labels)
    loaded.save(path)
    assert same_model(nn.Sequential.load(path), model)


def test_labels_that_are_objects() -> None:
    model = small().fit(X, Y.astype(object), epochs=1)
    assert model.predict(X[:3]).dtype == object


class Kind:
    """A label that can be sorted and hashed, but not written."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __lt__(self, other: Kind) -> bool:
        return self.n < other.n

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kind) and self.n == other.n

    def __hash__(self) -> int:
        return self.n


def test_labels_of_any_kind_but_only_some_can_be_saved(tmp_path: Path) -> None:
    labels = np.array([Kind(i % 3) for i in range(210)])
    model = small().fit(X, labels, epochs=2)
    assert all(isinstance(label, Kind) for label in model.predict(X))
    with pytest.raises(TypeError, match="only labels that are numbers or strings can be saved"):
        model.save(tmp_path / "model.safetensors")


BAD_CONTENT: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"0.weights": None}, "array '0.weights' is missing"),
    (
        {},
        {"0.weights": np.zeros((3, 3), np.float32)},
        r"array '0.weights' has .* expected float32 and \(3, 3, 2, 6\)",
    ),
    ({}, {"1.mean": np.full(6, np.nan, np.float32)}, "array '1.mean' has values that are not finite"),
    (
        {},
        {"1.gamma/mean": np.zeros(5, np.float32)},
        r"array '1.gamma/mean' has .* expected float32 and \(6,\)",
    ),
    ({}, {"classes": np.arange(3)}, "its last layer has 2 outputs, which is not one for each of 3 classes"),
    ({"layers": [{"layer": "Lambda"}]}, {}, "there is no layer 'Lambda'"),
    ({"layers": [{"layer": "Sign", "code": "x"}]}, {}, "unexpected keyword argument 'code'"),
    ({"layers": []}, {}, "Sequential expects at least one layer"),
    ({"input_shape": [8, 8]}, {}, "expects images"),
    ({"rng": {"bit_generator": "MT19937"}}, {}, "PCG64"),
    ({"loss": "mse"}, {}, "loss must be one of"),
    ({"n_steps": -1}, {}, "n_steps must be an integer from 0 up"),
]


@pytest.mark.parametrize(("params", "arrays", "message"), BAD_CONTENT)
def test_a_file_with_wrong_content_is_refused(
    params: dict[str, Any], arrays: dict[str, Any], message: str, saved: Path
) -> None:
    kept_params, kept_arrays = _files.read(saved, "Sequential")
    content = {key: array for key, array in (kept_arrays | arrays).items() if array is not None}
    _files.write(saved, "Sequential", kept_params | params, content)
    with pytest.raises(ValueError, match=f"is not a valid Sequential file: .*{message}"):
        nn.Sequential.load(saved)


def test_a_file_of_another_class_says_which(saved: Path) -> None:
    with pytest.raises(ValueError, match=r"it holds a Sequential; load it with Sequential.load"):
        nn.BinaryMLPClassifier.load(saved)


# --- the classifier -----------------------------------------------------------------------------------------


def classifier(**params: Any) -> nn.BinaryMLPClassifier:
    settings = {"hidden": (16,), "epochs": 20, "batch_size": 32, "learning_rate": 0.01, "random_state": 0}
    return nn.BinaryMLPClassifier(**settings | params)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"weights": "libra", "estimator": "error-decay"},
        {"activation_bits": 2, "dropout": 0.1},
        {"hidden": []},
    ],
    ids=str,
)
def test_the_classifier(params: dict[str, Any]) -> None:
    model = classifier(**params)
    before = dict(model.get_params())
    assert model.fit(X, Y) is model
    assert model.get_params() == before
    assert model.n_features_in_ == 12
    assert model.score(X, Y) == (model.predict(X) == Y).mean() > (0.8 if model.hidden else 0.7)
    assert model.decision_function(X).shape == model.predict_proba(X).shape == (210, 3)
    assert np.array_equal(classifier(**params).fit(X, Y).decision_function(X), model.decision_function(X))
    kinds = [type(layer).__name__ for layer in model.model_.layers]
    assert ("Quantize" in kinds) == ("activation_bits" in params)
    assert ("Dropout" in kinds) == ("dropout" in params)


def test_of_two_classes_the_decision_is_one_number() -> None:
    model = classifier().fit(X, Y == "low")
    decision = model.decision_function(X)
    assert decision.shape == (210,)
    assert np.array_equal(model.predict(X), decision > 0)
    assert np.allclose(model.predict_proba(X)[:, 1], 1 / (1 + np.exp(-decision)), atol=1e-6)


def test_a_saved_classifier_is_the_same_again(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = classifier(random_state=np.random.default_rng(0)).fit(X, Y)
    with pytest.raises(nn.NotFittedError, match="This BinaryMLPClassifier instance is not fitted yet"):
        classifier().save(path)
    model.save(path)
    loaded = nn.BinaryMLPClassifier.load(path)
    assert loaded.get_params() == model.get_params() | {"hidden": [16], "random_state": None}
    assert np.array_equal(loaded.decision_function(X), model.decision_function(X))
    assert np.array_equal(loaded.classes_, model.classes_)
    assert vars(loaded).keys() == vars(model).keys()
    with pytest.raises(
        ValueError, match=r"it holds a BinaryMLPClassifier; load it with BinaryMLPClassifier.load"
    ):
        nn.Sequential.load(path)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"hidden": (16, 0)}, ValueError, "hidden must be an integer from 1 up; got 0"),
        ({"activation_bits": 9}, ValueError, "activation_bits must be an integer from 1 to 8; got 9"),
        ({"weights": "ternary"}, ValueError, "weights must be one of"),
        ({"dropout": 1}, ValueError, "rate must be a number from 0 to less than 1; got 1"),
        ({"random_state": "seed"}, TypeError, "random_state must be None, an integer from 0 up"),
    ],
)
def test_wrong_parameters_of_the_classifier(
    params: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        classifier(**params).fit(X, Y)


def test_the_constructor_only_stores() -> None:
    markers = {name: object() for name in nn.BinaryMLPClassifier().get_params()}
    assert vars(nn.BinaryMLPClassifier(**markers)) == markers


# What scikit-learn expects and this project does otherwise.
OTHERWISE = {
    "check_estimators_unfitted": "has a NotFittedError of its own, since scikit-learn may not be there",
    "check_complex_data": "a wrong dtype is a TypeError",
    "check_dtype_object": "a wrong dtype is a TypeError",
    "check_supervised_y_2d": "labels in a column are refused",
}


def test_the_estimator_checks_of_scikit_learn() -> None:
    pytest.importorskip("sklearn", minversion="1.6")
    from sklearn.utils.estimator_checks import estimator_checks_generator

    failures = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it does not inherit from scikit-learn's BaseEstimator
        for estimator, check in estimator_checks_generator(classifier()):
            try:
                check(estimator)
            except unittest.SkipTest:
                pass
            except Exception as error:
                failures[check.func.__name__] = error
    assert failures.keys() == OTHERWISE.keys(), failures


def test_a_clone_a_pipeline_and_a_search_of_scikit_learn() -> None:
    base = pytest.importorskip("sklearn.base")
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = classifier().fit(X, Y)
    clone = base.clone(model)
    assert clone.get_params() == model.get_params()
    assert set(vars(clone)) == set(model.get_params())
    assert base.is_classifier(model)
    pipe = make_pipeline(StandardScaler(), classifier()).fit(X * 100 + 3, Y)
    assert pipe.score(X * 100 + 3, Y) > 0.8
    search = GridSearchCV(classifier(epochs=10), {"hidden": [(1,), (32,)]}, cv=2, error_score="raise").fit(
        X, Y
    )
    assert search.best_params_ == {"hidden": (32,)}


# --- manners ------------------------------------------------------------------------------------------------


def test_training_is_silent_unless_it_is_verbose(capfd: pytest.CaptureFixture[str]) -> None:
    quiet = small().fit(X, Y, epochs=2)
    assert capfd.readouterr() == ("", "")
    pytest.importorskip("rich")
    assert same_model(small().fit(X, Y, epochs=2, verbose=True), quiet)
    assert re.search(r"4/4 steps, epoch 2, loss \d\.\d+, accuracy \d+\.\d+%", capfd.readouterr().out)


def test_verbose_without_rich_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(ImportError, match=r"needs the extra `cli`: pip install 'fastcodes\[cli\]'"):
        small().fit(X, Y, verbose=True)


def test_scikit_learn_is_not_imported() -> None:
    code = """
import sys
import numpy as np
from fastcodes.nn import BinaryMLPClassifier
BinaryMLPClassifier((4,), epochs=1).fit(np.eye(8), np.arange(8) % 2).predict(np.eye(8))
print(sorted({"sklearn", "rich", "scipy"} & set(sys.modules)))
"""
    assert run_python(code) == "[]"


def test_everything_is_float32() -> None:
    model = images_network().fit(IMAGES, KINDS, epochs=1)
    for name, array in arrays_of(model).items():
        assert array.dtype == np.float32 or name == "classes", name
    x = IMAGES[:4].astype(np.float32)
    for layer in model.layers:
        x = layer.forward(x, training=True)
        assert x.dtype == np.float32, layer
    for layer in reversed(model.layers):
        x = layer.backward(x)
        assert x.dtype == np.float32, layer
        assert all(parameter.gradient.dtype == np.float32 for parameter in layer.parameters.values())


# --- real data ----------------------------------------------------------------------------------------------


def test_a_binary_network_reads_handwriting() -> None:
    path = data_file("mnist.npz")
    with np.load(path) as data:
        x, y = data["train_x"][:10000], data["train_y"][:10000]
        test_x, test_y = data["test_x"][:2000], data["test_y"][:2000]
    model = nn.Sequential(
        nn.Flatten(),
        nn.BinaryDense(256),
        nn.BatchNorm(),
        nn.Sign(),
        nn.BinaryDense(10),
        nn.BatchNorm(),
        random_state=0,
    )
    model.fit(x, y, epochs=4, optimizer=nn.Adam(0.005), schedule=nn.Cosine())
    assert model.evaluate(test_x, test_y)["accuracy"] > 0.9
