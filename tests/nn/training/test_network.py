"""Networks: steps, weights and wrong layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcodes import nn
from fastcodes.nn.layers import walk
from networks import (
    IMAGES,
    KINDS,
    X,
    Y,
    differences,
    images_network,
    small,
)


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


def test_everything_is_float32() -> None:
    model = images_network().fit(IMAGES, KINDS, epochs=1)
    for name, array in model.to_state()[1].items():
        assert array.dtype == np.float32 or name == "classes", name
    x = IMAGES[:4].astype(np.float32)
    for layer in model.layers:
        x = layer.forward(x, training=True)
        assert x.dtype == np.float32, layer
    for layer in reversed(model.layers):
        x = layer.backward(x)
        assert x.dtype == np.float32, layer
        assert all(parameter.gradient.dtype == np.float32 for parameter in layer.parameters.values())


def test_a_loop_of_steps_is_the_training_of_fit() -> None:
    whole = small().fit(X, Y, epochs=1, batch_size=210, optimizer=nn.SGD(0.1))
    part, classes = small().build((12,)), np.searchsorted(whole.classes_, Y)
    order = part._rng.permutation(210)
    loss, logits = part.train_step(X[order], classes[order], nn.CrossEntropy(), nn.SGD(0.1), threads=1)
    assert loss == whole.history_["loss"][0]
    assert logits.shape == (210, 3)
    assert all(layer.cache is None for _, layer in walk(part.layers))
    assert np.array_equal(part.forward(X, threads=1), whole.decision_function(X))


def test_weights_are_copied_by_name() -> None:
    model = small().fit(X, Y, epochs=1)
    weights = model.get_weights()
    assert weights["0.weights"] is model.layers[0].parameters["weights"].value
    assert weights["1.mean"] is model.layers[1].state["mean"]
    other = small().build((12,)).set_weights(weights)
    assert np.array_equal(other.forward(X), model.forward(X))
    weights["0.weights"] = weights["0.weights"][:5]
    with pytest.raises(ValueError, match=r"array '0.weights' has dtype float32 and shape .* expected"):
        other.set_weights(weights)
    for action in (small().get_weights, lambda: small().train_step(X, Y, nn.CrossEntropy(), nn.Adam())):
        with pytest.raises(nn.NotFittedError, match="This Sequential does not know its shapes yet"):
            action()


def test_wrong_layers() -> None:
    with pytest.raises(ValueError, match=r"Sequential expects at least one layer; got none"):
        nn.Sequential()
    with pytest.raises(
        TypeError, match=r"Sequential expects layers; got <class .*: call it, as in nn.Sign\(\)"
    ):
        nn.Sequential(nn.Sign)  # type: ignore[arg-type]
    layer = nn.Sign()
    with pytest.raises(ValueError, match=r"layer 2.0, Sign\(\), is used twice; make a new one"):
        nn.Sequential(layer, nn.Dense(2), nn.Residual(layer))
