"""Predictions, buffers and copies of packed networks."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fastcodes import nn
from fastcodes.nn.layers import walk
from helpers import data_file, same_bits
from packed_networks import BYTES, FLOATS, NETWORKS, check, dense, trained

RNG = np.random.default_rng(7)


@pytest.mark.parametrize("name", ["float convolution", "codes, scaled", "scales of images"])
def test_a_packed_network_does_not_change_when_training_goes_on(name: str) -> None:
    layers, x = NETWORKS[name]
    model = trained(layers, x, 3)
    packed = model.compile()
    before = packed.decision_function(x)
    model.fit(x, np.arange(len(x)) % 3, epochs=2, resume=True)
    for _, layer in walk(model.layers):
        for array in (*layer.state.values(), *(parameter.value for parameter in layer.parameters.values())):
            array += 1
    assert np.array_equal(packed.decision_function(x), before)


def test_batches_of_any_size() -> None:
    layers, _ = NETWORKS["signs"]
    x = RNG.normal(size=(600, 20)).astype(np.float32)
    model = trained(layers, x, 3)
    packed = check(model, x)
    logits = model.decision_function(x)
    for n in (0, 1, 255, 256, 257):
        assert np.array_equal(packed.decision_function(x[:n]), logits[:n])
    assert np.array_equal(packed.decision_function(x[::-3]), logits[::-3])
    assert np.array_equal(packed.decision_function(np.asfortranarray(x)), logits)
    first = packed.decision_function(x)
    packed.decision_function(-x)
    assert np.array_equal(first, logits)  # what was returned is not a buffer


def test_packed_layers_take_a_thirtieth_of_the_memory() -> None:
    layers = [nn.Sign(), *dense(512), nn.Sign(), *dense(512), nn.Sign(), *dense(3)]
    packed = trained(layers, FLOATS, 3).compile()
    # Rows are whole bytes; a threshold is 4 bytes, a flip is one; a normalization has 3 floats a feature.
    assert packed.nbytes == 512 * (3 + 64 + 2 * 5) + 3 * (64 + 3 * 4)


def test_calls_and_threads_and_copies_do_not_share_their_buffers() -> None:
    layers, x = NETWORKS["pooling between normalizations"]
    packed = trained(layers, x, 3).compile()
    parts = [x[i % 7 : i % 7 + 1 + i % 40] for i in range(200)]
    wanted = [packed.decision_function(part) for part in parts]
    again = [packed.decision_function(part) for part in parts]
    assert all(map(same_bits, again, wanted))
    with ThreadPoolExecutor(4) as pool:
        assert all(map(same_bits, pool.map(packed.decision_function, parts), wanted))
    for other in (copy.deepcopy(packed), pickle.loads(pickle.dumps(packed))):
        assert same_bits(other.decision_function(x), packed.decision_function(x))


def test_wrong_samples() -> None:
    layers, x = NETWORKS["bytes"]
    packed = trained(layers, x, 3).compile()
    with pytest.raises(TypeError, match=r"X must be uint8 as in training.* got an array of dtype float64"):
        packed.predict(x / 1)
    with pytest.raises(ValueError, match=r"X has samples of shape \(19,\); the model was trained .* \(20,\)"):
        packed.predict(x[:, 1:])
    packed = trained(NETWORKS["signs"][0], FLOATS, 3).compile()
    with pytest.raises(ValueError, match="X has nan in sample 2"):
        packed.predict(np.where(np.arange(70)[:, None] == 2, np.nan, FLOATS))


def test_labels_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "packed.safetensors"
    model = nn.Sequential(*dense(2), random_state=0).fit(BYTES, np.array(["no", "yes"] * 35), epochs=1)
    packed = model.compile()
    packed.save(path)
    assert np.array_equal(nn.PackedModel.load(path).predict(BYTES), model.predict(BYTES))
    assert np.array_equal(packed.predict(BYTES), model.predict(BYTES))


def test_a_packed_network_reads_handwriting() -> None:
    path = data_file("mnist.npz")
    with np.load(path) as data:
        x, y, test = data["train_x"][:4000], data["train_y"][:4000], data["test_x"]
    layers = [nn.Flatten(), *dense(256), nn.Sign(), *dense(256), nn.Sign(), *dense(10)]
    model = nn.Sequential(*layers, random_state=0).fit(x, y, epochs=2)
    assert np.array_equal(model.compile().decision_function(test), model.decision_function(test))
