"""Packed networks answer as the networks that they were made of, to the last bit."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import _files, nn
from fastcodes.nn import _compile, _steps
from fastcodes.nn._layer import walk
from helpers import data_file, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

RNG = np.random.default_rng(7)


def trained(layers: list[Any], x: Any, n_classes: int, seed: int = 0) -> nn.Sequential:
    """Fit a network for a moment, then give it numbers that training would hardly find."""
    model = nn.Sequential(*layers, random_state=seed)
    model.fit(x, np.arange(len(x)) % n_classes, epochs=1, batch_size=16)
    rng = np.random.default_rng(seed)
    for _, layer in walk(model.layers):
        if isinstance(layer, nn.BatchNorm):
            shuffle(layer, rng)
        if "bias" in layer.parameters:
            bias = layer.parameters["bias"].value
            bias[:] = 3 * rng.normal(size=len(bias))
    return model


def shuffle(layer: nn.BatchNorm, rng: np.random.Generator) -> None:
    """Set a normalisation to random numbers, among them negative, zero and tiny ones."""
    gamma, beta = layer.parameters["gamma"].value, layer.parameters["beta"].value
    mean, variance = layer.state["mean"], layer.state["variance"]
    n = len(gamma)
    gamma[:] = rng.choice([1.0, -1.0, 0.0, 1e-3, -20.0, 1e-42], n) * rng.uniform(0.5, 2, n)
    beta[:] = rng.choice([0.0, 0.0, 1.0, -1.0, 1e-7], n) * rng.uniform(0.5, 2, n)
    # Whole numbers, where a sum can be the mean itself, and numbers between two sums.
    mean[:] = rng.choice([mean, np.rint(mean), np.rint(mean) + 0.5, 0 * mean, mean + 1e5])
    variance *= rng.choice([1.0, 1e-12, 0.0, 1e6], n).astype(np.float32)


def check(model: nn.Sequential, x: Any) -> nn.PackedModel:
    packed = model.compile()
    expected = model.decision_function(x)
    found = packed.decision_function(x)
    assert found.dtype == np.float32
    assert np.array_equal(found, expected), packed
    assert np.array_equal(packed.predict(x), model.predict(x))
    assert np.array_equal(packed.predict_proba(x), model.predict_proba(x))
    return packed


def dense(n: int, **params: Any) -> list[Any]:
    return [nn.BinaryDense(n, **params), nn.BatchNorm()]


def conv(n: int, **params: Any) -> list[Any]:
    return [nn.BinaryConv2D(n, 3, **params), nn.BatchNorm()]


FLOATS = RNG.normal(size=(70, 20)).astype(np.float32)
BYTES = RNG.integers(256, size=(70, 20), dtype=np.uint8)
IMAGES = RNG.integers(256, size=(40, 9, 8, 3), dtype=np.uint8)


def net(*parts: Any) -> list[Any]:
    return [layer for part in parts for layer in (part if isinstance(part, list) else [part])]


def sign() -> nn.Sign:
    return nn.Sign()


def flat() -> list[Any]:
    return [nn.Flatten(), *dense(3)]


XNOR = {"weights": "xnor", "use_bias": True}
LIBRA = {"weights": "libra"}
ZEROS, ONES = {"padding": 1, "pad_value": 0}, {"padding": 2, "pad_value": 1}

NETWORKS: dict[str, tuple[list[Any], Any]] = {
    "signs": (net(sign(), dense(33), sign(), dense(17), sign(), dense(3)), FLOATS),
    "bytes": (net(dense(33), sign(), dense(3)), BYTES),
    "floats": (net(dense(33), sign(), dense(3)), FLOATS),
    "floats, scaled": (net(dense(9, **XNOR), sign(), dense(3)), FLOATS),
    "scales": (net(dense(40, **XNOR), sign(), dense(24, **LIBRA), sign(), dense(3, **XNOR)), BYTES),
    "no normalisation": (net(nn.BinaryDense(9), sign(), nn.BinaryDense(3)), BYTES),
    "dropout": (net(nn.Dropout(0.3), dense(40), nn.Dropout(0.5), sign(), nn.Dropout(0.1), dense(3)), BYTES),
    "two normalisations": (net(dense(40), nn.HardTanh(), nn.BatchNorm(), sign(), dense(3)), BYTES),
    "codes": (net(dense(40), nn.Quantize(2), dense(24), nn.Quantize(5), dense(9), sign(), dense(3)), BYTES),
    "codes, scaled": (net(dense(40), nn.Quantize(3), nn.BinaryDense(3, **XNOR)), BYTES),
    "ends with signs": (net(dense(3), sign()), BYTES),
    "ends with codes": (net(dense(3), nn.Quantize(4)), BYTES),
    "signs of codes": (net(dense(9), nn.Quantize(3), sign(), sign(), dense(3)), BYTES),
    "float layers": (net(nn.Dense(12), nn.BatchNorm(), sign(), nn.Dense(9), sign(), dense(3)), BYTES),
    "float layers of codes": (net(dense(9), nn.Quantize(3), nn.Dense(8), nn.Quantize(2), nn.Dense(3)), BYTES),
    "residual": (
        net(dense(10), nn.Residual(sign(), *dense(10)), nn.Residual(*dense(4), shortcut=dense(4)), dense(3)),
        BYTES,
    ),
    "residual of signs": (net(dense(10), sign(), nn.Residual(*dense(10)), sign(), dense(3)), BYTES),
    "residual of codes": (net(nn.Residual(*dense(20)), sign(), dense(3)), BYTES),
    "flattened images": (net(nn.Flatten(), dense(20), sign(), dense(3)), IMAGES),
    "pixels": (net(conv(16, padding="same", pad_value=0), sign(), conv(13), sign(), flat()), IMAGES),
    "pixels, padded by ones": (net(conv(8, **ONES), sign(), conv(16, **ONES), sign(), flat()), IMAGES),
    "pixels, no border": (net(conv(8), sign(), conv(8, **ZEROS), flat()), IMAGES),
    "pixels, padded by what is none": (net(conv(8, padding=1), sign(), flat()), IMAGES),
    "pixels to floats": (net(nn.BinaryConv2D(4, 3, use_bias=True), nn.BatchNorm(), flat()), IMAGES),
    "pooled pixels": (net(nn.MaxPool2D(), conv(8), sign(), flat()), IMAGES),
    "strides": (
        net(conv(8, stride=2, padding="same", pad_value=1), sign(), conv(9, dilation=2, padding=2), flat()),
        IMAGES,
    ),
    "groups": (
        net(conv(16), sign(), conv(24, groups=2, padding=1), sign(), conv(12, groups=4), sign(), flat()),
        IMAGES,
    ),
    "normed flat": (net(nn.BinaryConv2D(3, 3), nn.Flatten(), nn.BatchNorm(), sign(), dense(3)), IMAGES),
    "scales of images": (net(conv(9, **LIBRA), sign(), conv(5, **XNOR), sign(), flat()), IMAGES),
    "pooling after signs": (net(conv(12), sign(), nn.MaxPool2D(3, stride=2), flat()), IMAGES),
    "pooling before a normalisation": (
        net(nn.BinaryConv2D(20, 3), nn.MaxPool2D(2), nn.BatchNorm(), sign(), flat()),
        IMAGES,
    ),
    "pooling between normalisations": (
        net(
            conv(20), nn.MaxPool2D(3, stride=1), nn.BatchNorm(), nn.HardTanh(), nn.MaxPool2D(2),
            nn.BatchNorm(), sign(), conv(9, padding=1), sign(), flat(),
        ),
        IMAGES,
    ),
    "images of codes": (
        net(
            conv(9), nn.Quantize(2), nn.MaxPool2D(), conv(8, padding=1), nn.Quantize(3), conv(5, **ONES),
            sign(), flat(),
        ),
        IMAGES,
    ),
    "images of codes, padded by zeros": (
        net(conv(9), nn.Quantize(4), conv(8, **ZEROS, **XNOR), nn.Quantize(8), flat()),
        IMAGES,
    ),
    "float convolution": (
        net(
            nn.Conv2D(8, 3), nn.BatchNorm(), nn.MaxPool2D(), sign(), conv(9, padding=1), nn.HardTanh(),
            sign(), nn.Flatten(), nn.Dense(3),
        ),
        IMAGES,
    ),
    "grey floats": (net(conv(8, **ZEROS, **XNOR), sign(), flat()), IMAGES[..., :1] / 255.0),
    "residual images": (
        net(conv(8), nn.Residual(*net(sign(), conv(8, padding=1))), nn.MaxPool2D(), sign(), flat()),
        IMAGES,
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NETWORKS)
def test_a_packed_network_answers_as_it_was_trained(name: str, seed: int, tmp_path: Path) -> None:
    layers, x = NETWORKS[name]
    model = trained(layers, x, 3, seed)
    packed = check(model, x)
    path = tmp_path / "packed.safetensors"
    packed.save(path)
    loaded = nn.PackedModel.load(path)
    assert repr(loaded) == repr(packed)
    assert loaded.nbytes == packed.nbytes
    assert np.array_equal(loaded.decision_function(x), model.decision_function(x))
    assert np.array_equal(loaded.classes_, model.classes_)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    sizes=st.lists(st.integers(1, 70), min_size=1, max_size=4),
    kinds=st.lists(st.sampled_from(["sign", "clip", "codes", "twice"]), min_size=4, max_size=4),
    weights=st.sampled_from(["sign", "xnor", "libra"]),
    is_bytes=st.booleans(),
)
def test_random_vectors_networks(seed: int, sizes: Any, kinds: Any, weights: str, is_bytes: bool) -> None:
    layers: list[Any] = [] if is_bytes else [nn.Sign()]
    for n, kind in zip(sizes, kinds, strict=False):
        layers += dense(n, weights=weights, use_bias=seed % 2 == 0)
        layers += [nn.HardTanh()] if kind == "clip" else [nn.BatchNorm()] if kind == "twice" else []
        layers += [nn.Quantize(1 + seed % 7 + 1) if kind == "codes" else nn.Sign()]
    x = np.random.default_rng(seed).integers(256, size=(21, 11), dtype=np.uint8)
    x = x if is_bytes else x - 128.0
    check(trained([*layers, *dense(2)], x, 2, seed), x)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    channels=st.lists(st.integers(1, 20), min_size=1, max_size=2),
    order=st.permutations(["pool", "norm", "clip", "norm"]),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 2),
    padding=st.sampled_from(["same", "valid", 0, 1, 2]),
    pad_value=st.sampled_from([-1, 0, 1]),
)
def test_random_networks_of_images(
    seed: int, channels: Any, order: Any, stride: int, dilation: int, padding: Any, pad_value: int
) -> None:
    layers: list[Any] = []
    for n in channels:
        geometry = {"stride": stride, "dilation": dilation, "padding": padding, "pad_value": pad_value}
        layers += [nn.BinaryConv2D(n, 2, **geometry)]
        parts = {"pool": nn.MaxPool2D(2, stride=1), "clip": nn.HardTanh()}
        layers += [parts.get(part) or nn.BatchNorm() for part in order[: 1 + seed % 4]]
        layers += [nn.Sign()]
        stride = dilation = 1
    x = np.random.default_rng(seed).integers(256, size=(9, 10, 11, 2), dtype=np.uint8)
    check(trained([*layers, nn.Flatten(), *dense(2)], x, 2, seed), x)


def test_which_kernels_a_network_becomes() -> None:
    kinds = {
        "pooling between normalisations": (
            "PackedConv2D PoolBits PoolBits PackedConv2D FlattenBits PackedDense Normalise"
        ),
        "dropout": "PackedDense PackedDense Normalise",
        "signs of codes": (
            "PackedDense Normalise CodesOfFloats FloatsOfCodes SignsOfFloats PackedDense Normalise"
        ),
        "pixels, padded by what is none": "PackedConv2D FlattenBits PackedDense Normalise",
        "residual of signs": "PackedDense FloatsOfSigns Add SignsOfFloats PackedDense Normalise",
    }
    for name, expected in kinds.items():
        layers, x = NETWORKS[name]
        packed = trained(layers, x, 3).compile()
        assert " ".join(type(step).__name__ for step in packed.steps) == expected, name
    layers, x = NETWORKS["signs"]
    packed = trained(layers, x, 3).compile()
    assert repr(packed) == (
        "PackedModel(SignsOfFloats(shape=(20,)), PackedDense(signs -> 33 signs), "
        "PackedDense(signs -> 17 signs), PackedDense(signs -> 3 floats), Normalise(3 floats))"
    )


def test_the_least_of_a_window_counts_where_a_normalisation_falls() -> None:
    model = trained(
        [nn.BinaryConv2D(8, 1), nn.MaxPool2D(2), nn.BatchNorm(), nn.Sign(), nn.Flatten(), *dense(2)],
        IMAGES,
        2,
    )
    norm = model.layers[2]
    norm.parameters["gamma"].value[:] = [1, -1] * 4
    norm.state["variance"][:] = 1
    packed = check(model, IMAGES)
    assert isinstance(packed.steps[1], _steps.PoolBits)
    assert packed.steps[1].mask is not None
    assert packed.steps[1].mask.tolist() == [0b01010101]
    norm.parameters["gamma"].value[:] = 1
    assert check(model, IMAGES).steps[1].mask is None  # type: ignore[attr-defined]


@pytest.mark.parametrize("mean", [-3.0, 2.0, 2.5, 4.0000005, 17.0])
@pytest.mark.parametrize("gamma", [1.0, -1.0, 0.0, 1e-30, -1e30])
@pytest.mark.parametrize("beta", [0.0, -0.0, 1e-30, -1e-30, 5.0, -1e30])
def test_thresholds_are_those_of_all_sums(mean: float, gamma: float, beta: float) -> None:
    # All sums of 17 signs are tried.
    layer, norm = nn.BinaryDense(1), nn.BatchNorm()
    for part in (layer, norm):
        part.build((17,) if part is layer else (1,), np.random.default_rng(0))
    layer.parameters["weights"].value[:] = 1
    norm.state["mean"][:], norm.state["variance"][:] = mean, 0
    norm.parameters["gamma"].value[:], norm.parameters["beta"].value[:] = gamma, beta
    (threshold,), (flip,) = _compile._thresholds(layer, [norm], 17)
    for total in range(-17, 18):
        sign = nn.Sign().forward(norm.forward(np.array([[total]], np.float32)))[0, 0]
        assert ((total >= threshold) != flip) == (sign > 0), total


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


def test_bits_take_a_thirtieth_of_the_memory() -> None:
    layers = [nn.Sign(), *dense(512), nn.Sign(), *dense(512), nn.Sign(), *dense(3)]
    packed = trained(layers, FLOATS, 3).compile()
    # Rows are whole bytes; a threshold is 4 bytes, a flip is one; a normalisation has 3 floats a feature.
    assert packed.nbytes == 512 * (3 + 64 + 2 * 5) + 3 * (64 + 3 * 4)


def test_calls_and_threads_and_copies_do_not_share_their_buffers() -> None:
    layers, x = NETWORKS["pooling between normalisations"]
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


def test_layers_that_cannot_be_packed() -> None:
    with pytest.raises(nn.NotFittedError, match="This Sequential instance is not fitted yet"):
        nn.Sequential(nn.Sign()).compile()
    x = np.zeros((4, 2**16 + 300), np.uint8)
    model = nn.Sequential(nn.BinaryDense(2), random_state=0).fit(x, [0, 1, 0, 1], epochs=1)
    with pytest.raises(
        ValueError, match=r"BinaryDense\(units=2\) adds up 65836 numbers of size 255, which may go"
    ):
        model.compile()
    model = trained([*dense(4), nn.Sign(), *dense(2)], BYTES, 2)
    model.layers[1].parameters["gamma"].value[:] = 3e38
    model.layers[1].state["variance"][:] = 0
    model.layers[1].state["mean"][:] = 0
    with (
        np.errstate(over="ignore"),
        pytest.raises(ValueError, match=r"after BinaryDense\(units=4\) make NaN of som"),
    ):
        model.compile()


# --- files --------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "packed.safetensors"
    trained(NETWORKS["residual images"][0], IMAGES, 3).compile().save(path)
    return path


@pytest.mark.parametrize(
    ("params", "arrays", "message"),
    [
        ({}, {"0.rows": None}, "no entry 'rows'"),
        ({}, {"0.rows": np.zeros((8, 3, 3), np.uint8)}, ""),
        ({}, {"0.rows": np.zeros((8, 3, 3, 1), np.float32)}, ""),
        ({}, {"0.rows": np.full((8, 3, 3, 1), 255, np.uint8)}, ""),
        ({}, {"1.factor": np.full(8, np.nan, np.float32)}, "must have 8 finite float32"),
        ({}, {"1.beta": np.zeros(7, np.float32)}, "must have 8 finite float32"),
        ({}, {"1.mean": np.zeros(8)}, "must have 8 finite float32"),
        (
            {},
            {"classes": np.arange(4)},
            "its last layer has 3 outputs, which is not one for each of 4 classes",
        ),
        ({"steps": [{"kind": "eval"}]}, {}, "no entry 'eval'"),
        ({"input_shape": [9, 9, 3]}, {}, ""),
        ({"steps": []}, {}, ""),
    ],
)
def test_a_file_with_wrong_content_is_refused(
    params: dict[str, Any], arrays: dict[str, Any], message: str, saved: Path
) -> None:
    kept_params, kept_arrays = _files.read(saved, "PackedModel")
    content = {key: array for key, array in (kept_arrays | arrays).items() if array is not None}
    _files.write(saved, "PackedModel", kept_params | params, content)
    with pytest.raises(ValueError, match=f"is not a valid PackedModel file: .*{message}"):
        nn.PackedModel.load(saved)


def test_a_file_of_another_class_says_which(saved: Path) -> None:
    with pytest.raises(ValueError, match="it holds a PackedModel; load it with PackedModel"):
        nn.Sequential.load(saved)


def test_labels_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "packed.safetensors"
    model = nn.Sequential(*dense(2), random_state=0).fit(BYTES, np.array(["no", "yes"] * 35), epochs=1)
    packed = model.compile()
    packed.save(path)
    assert np.array_equal(nn.PackedModel.load(path).predict(BYTES), model.predict(BYTES))
    assert np.array_equal(packed.predict(BYTES), model.predict(BYTES))


# --- real data ----------------------------------------------------------------------------------------------


def test_a_packed_network_reads_handwriting() -> None:
    path = data_file("mnist.npz")
    with np.load(path) as data:
        x, y, test = data["train_x"][:4000], data["train_y"][:4000], data["test_x"]
    layers = [nn.Flatten(), *dense(256), nn.Sign(), *dense(256), nn.Sign(), *dense(10)]
    model = nn.Sequential(*layers, random_state=0).fit(x, y, epochs=2)
    assert np.array_equal(model.compile().decision_function(test), model.decision_function(test))
