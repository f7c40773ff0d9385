"""Networks: steps, weights and wrong layers."""

from __future__ import annotations

from pathlib import Path
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


def test_weights_trained_elsewhere_predict_compile_and_train_on(tmp_path: Path) -> None:
    trained = small().fit(X, Y, epochs=2)
    model = small().build((12,), classes=trained.classes_).set_weights(trained.get_weights())
    assert np.array_equal(model.decision_function(X), trained.decision_function(X))
    assert np.array_equal(model.predict(X), trained.predict(X))
    assert np.array_equal(model.compile().decision_function(X), trained.compile().decision_function(X))
    model.save(tmp_path / "model")
    assert np.array_equal(nn.Sequential.load(tmp_path / "model").predict(X), model.predict(X))
    before = model.evaluate(X, Y)["loss"]
    model.fit(X, Y, epochs=3, optimizer=nn.SGD(0.01), resume=True)  # another optimizer than before
    assert len(model.history_["loss"]) == 3
    assert model.history_["loss"][0] == pytest.approx(before, rel=0.5)
    model.build((12,))
    with pytest.raises(nn.NotFittedError):
        model.predict(X)


def test_weights_of_bytes_and_of_images_trained_elsewhere() -> None:
    images = images_network().fit(IMAGES, KINDS, epochs=1)
    shape, bits = IMAGES.shape[1:], images.input_bits_
    model = images_network().build(shape, classes=images.classes_, input_bits=bits)
    model.set_weights(images.get_weights())
    assert repr(model.compile()) == repr(images.compile())
    assert np.array_equal(model.compile().decision_function(IMAGES), images.decision_function(IMAGES))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"classes": [2, 1, 0]}, "classes must be 2 or more different labels, sorted"),
        ({"classes": [[0, 1, 2]]}, "classes must be 2 or more different labels, sorted"),
        ({"classes": [0]}, "classes must be 2 or more different labels, sorted"),
        ({"classes": [0, 1]}, r"must have an output for each of the 2 classes in classes; .* \(3,\)"),
        ({"input_bits": 4}, "input_bits must be 8 or None; got 4"),
    ],
)
def test_wrong_arguments_of_build(params: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small().build((12,), **params)


def test_wrong_layers() -> None:
    with pytest.raises(ValueError, match=r"Sequential expects at least one layer; got none"):
        nn.Sequential()
    with pytest.raises(
        TypeError, match=r"Sequential expects layers; got the class Sign: call it, as in nn.Sign\(\)"
    ):
        nn.Sequential(nn.Sign)  # type: ignore[arg-type]
    layer = nn.Sign()
    with pytest.raises(ValueError, match=r"layer 2.0, Sign\(\), is used twice; make a new one"):
        nn.Sequential(layer, nn.Dense(2), nn.Residual(layer))
