"""Deep hashing: losses, gradients, training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcodes import bits, hamming, metrics
from fastcodes.hashing import CCAITQ, DeepHashing
from fastcodes.hashing.deep import PairwiseLoss, TanhContinuation, TripletLoss
from fastcodes.nn import Sequential
from models.hashing.cases import RNG, X, Y, fitted, model_of


def label_map(codes: Any, labels: Any) -> float:
    _, found = hamming.knn(codes, codes, len(codes))
    return metrics.mean_average_precision(metrics.label_relevance(labels, labels, found[:, 1:]))


@pytest.mark.parametrize("loss", [PairwiseLoss(), TripletLoss(0.3)])
@pytest.mark.parametrize("kind", ["classes", "several labels", "one class", "all apart"])
def test_gradients_of_the_losses_are_those_of_differences(loss: Any, kind: str) -> None:
    rng = np.random.default_rng(1)
    labels = {
        "classes": np.eye(3)[rng.integers(3, size=9)],
        "several labels": (rng.random((9, 4)) < 0.4) * 1.0,
        "one class": np.ones((9, 1)),
        "all apart": np.eye(9),
    }[kind]
    codes = np.tanh(rng.normal(size=(9, 5)))
    value, gradient = loss(codes, labels, codes)
    assert value == pytest.approx(slow_loss(loss, codes, labels))
    step = 1e-6
    for place in np.ndindex(codes.shape):
        moved = [codes.copy(), codes.copy()]
        for sign, some in zip((1, -1), moved, strict=True):
            some[place] += sign * step
        above, below = (loss(some, labels, some)[0] for some in moved)
        assert gradient[place] == pytest.approx((above - below) / 2 / step, abs=1e-6)


def slow_loss(loss: Any, codes: Any, labels: Any) -> float:
    n, k = codes.shape
    share = labels @ labels.T > 0
    if isinstance(loss, PairwiseLoss):
        losses: dict[bool, list[float]] = {True: [], False: []}
        for i, j in zip(*np.nonzero(~np.eye(n, dtype=bool)), strict=True):
            theta = 10 / k * codes[i] @ codes[j]
            losses[bool(share[i, j])].append(np.log1p(np.exp(theta)) - share[i, j] * theta)
        return sum(np.mean(values) for values in losses.values() if values) / 2
    triplets = [
        loss.margin + (codes[a] @ codes[m] - codes[a] @ codes[p]) / 2 / k
        for a, p, m in np.ndindex(n, n, n)
        if a != p and share[a, p] and not share[a, m]
    ]
    lost = [triplet for triplet in triplets if triplet > 0]
    return float(np.mean(lost)) if lost else 0.0


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_the_tanh_of_training_becomes_the_sign(progress: float) -> None:
    layer = TanhContinuation(8.0)
    layer.progress = progress
    x = RNG.normal(size=(4, 3))
    beta = 8.0**progress
    assert np.allclose(layer.forward(x, training=True), np.tanh(beta * x))
    gradient = RNG.normal(size=(4, 3))
    assert np.allclose(layer.backward(gradient), gradient * beta / np.cosh(beta * x) ** 2)
    assert np.array_equal(layer.forward(x), x)


@pytest.mark.parametrize("loss", ["pairwise", "triplet"])
def test_gradients_of_the_whole_network_are_those_of_differences(loss: str) -> None:
    deep = DeepHashing(4, hidden=(5,), loss=loss, random_state=0)
    rng = np.random.default_rng(2)
    network = Sequential(*deep._layers(4, 0.0), random_state=0).build((6,))
    x, labels = rng.normal(size=(12, 6)), np.eye(3)[rng.integers(3, size=12)]
    for parameter in network._parameters().values():
        parameter.value = parameter.value.astype(np.float64)

    def run() -> Any:
        values = x
        for layer in network.layers:
            layer.progress = 0.3
            values = layer.forward(values, training=True)
        return deep._loss()(values, labels, x)

    _, gradient = run()
    for layer in reversed(network.layers):
        gradient = layer.backward(gradient)
    for name, parameter in network._parameters().items():
        expected = parameter.gradient.copy()
        for place in list(np.ndindex(parameter.value.shape))[::3]:
            before, results = parameter.value[place], []
            for step in (1e-5, -1e-5):
                parameter.value[place] = before + step
                results.append(run()[0])
            parameter.value[place] = before
            difference = (results[0] - results[1]) / 2e-5
            assert expected[place] == pytest.approx(difference, abs=1e-5), name


def test_deep_hashing_learns_what_no_linear_function_tells() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1200, 6))
    y = (x[:, 0] > 0) ^ (x[:, 1] > 0)
    for loss, epochs in (("pairwise", 45), ("triplet", 20)):
        deep = DeepHashing(8, hidden=(48,), loss=loss, epochs=epochs, learning_rate=0.02, random_state=0)
        assert label_map(deep.fit(x[:900], y[:900]).encode(x[900:]), y[900:]) > 0.8
        assert deep.objective_history_.shape == (epochs,)
        assert deep.objective_history_[-1] < deep.objective_history_[0]
    assert label_map(CCAITQ(8, random_state=0).fit(x[:900], y[:900]).encode(x[900:]), y[900:]) < 0.6


def test_deep_hashing_does_not_depend_on_scale_and_offset() -> None:
    expected = bits.unpack(fitted("DeepHashing").encode(X), 12)
    x = X * np.float32(2**-20) + 0  # exactly the same digits
    assert np.array_equal(bits.unpack(model_of("DeepHashing").fit(x, Y).encode(x), 12), expected)
    constant = np.hstack([X, np.full((600, 1), 3, np.float32)])
    assert np.isfinite(model_of("DeepHashing").fit(constant, Y).decision_function(constant)).all()


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"loss": "hinge"}, ValueError, 'loss must be "pairwise" or "triplet"; got \'hinge\''),
        (
            {"loss": "triplet", "margin": 0},
            ValueError,
            "margin must be a real number above 0 and at most 1; got 0",
        ),
        ({"sharpness": 0.5}, ValueError, "sharpness must be a real number at least 1; got 0.5"),
        ({"hidden": (8, 0)}, ValueError, "hidden must be an integer from 1 to 16777216; got 0"),
        ({"hidden": 8}, TypeError, r"hidden must be a sequence of integers, such as \(512,\); got 8"),
        ({"epochs": 0}, ValueError, "epochs must be an integer from 1 up; got 0"),
        ({"batch_size": 1}, ValueError, "batch_size must be an integer from 2 up; got 1"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be a real number above 0; got 0"),
        ({"dropout": 1}, ValueError, "dropout must be a real number at least 0 and below 1; got 1"),
    ],
)
def test_wrong_parameters_of_deep_hashing(
    params: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        fitted("DeepHashing", **params)
