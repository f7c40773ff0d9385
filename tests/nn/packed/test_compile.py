"""Packed networks compute the logits of the networks that they are compiled from, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import bits, nn, xnor
from fastcodes.nn.packed import compile, steps
from hypothesis import given, settings
from hypothesis import strategies as st
from packed_networks import BYTES, IMAGES, NETWORKS, check, dense, trained


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


@pytest.mark.parametrize("gamma", [1.0, -1.0, 0.0])
def test_zero_is_positive_in_trained_and_in_packed_networks(gamma: float) -> None:
    # Dot products of an even number of signs are often zero, also after a normalization without a shift.
    layers = [nn.Sign(), nn.BinaryDense(9), nn.BatchNorm(), nn.Sign(), nn.BinaryDense(2), nn.BatchNorm()]
    x = np.random.default_rng(0).integers(-1, 2, (300, 4)).astype(np.float32)  # a third are zero
    model = nn.Sequential(*layers, random_state=0).build((4,), classes=[0, 1])
    model.layers[2].parameters["gamma"].value[:] = gamma
    model.layers[1].parameters["weights"].value[::2] = 0
    packed = check(model, x)
    signs = np.where(x >= 0, 1, -1)
    weights = np.where(model.layers[1].parameters["weights"].value >= 0, 1, -1)
    dots = signs @ weights
    assert (dots == 0).mean() > 0.2
    hidden = np.where(gamma * dots >= 0, 1, -1)
    assert np.array_equal(model.layers[3].forward(model.layers[2].forward(dots.astype(np.float32))), hidden)
    rows, columns = bits.pack(x >= 0), bits.pack(weights.T >= 0)
    assert np.array_equal(bits.unpack(packed.steps[0].run(x, None), 4, dtype=int, values=(-1, 1)), signs)
    for finish, expected in (
        (xnor.Finish(thresholds=0), dots >= 0),
        (xnor.Finish(thresholds=1), dots > 0),
    ):
        found = xnor.matmul(rows, columns, n_bits=4, finish=finish)
        assert np.array_equal(found, np.packbits(expected, axis=1))
    assert np.array_equal(bits.pack(dots), np.packbits(dots > 0, axis=1))


def test_which_kernels_a_network_becomes() -> None:
    kinds = {
        "pooling between normalizations": (
            "PackedConv2D PoolBits PoolBits PackedConv2D FlattenBits PackedDense Normalize"
        ),
        "dropout": "PackedDense PackedDense Normalize",
        "signs of codes": (
            "PackedDense Normalize CodesOfFloats FloatsOfCodes SignsOfFloats PackedDense Normalize"
        ),
        "pixels, padded by what is none": "PackedConv2D FlattenBits PackedDense Normalize",
        "residual of signs": "PackedDense FloatsOfSigns Add SignsOfFloats PackedDense Normalize",
    }
    for name, expected in kinds.items():
        layers, x = NETWORKS[name]
        packed = trained(layers, x, 3).compile()
        assert " ".join(type(step).__name__ for step in packed.steps) == expected, name
    layers, x = NETWORKS["signs"]
    packed = trained(layers, x, 3).compile()
    assert repr(packed) == (
        "PackedModel(SignsOfFloats(shape=(20,)), PackedDense(signs -> 33 signs), "
        "PackedDense(signs -> 17 signs), PackedDense(signs -> 3 floats), Normalize(3 floats))"
    )


def test_the_least_of_a_window_counts_where_a_normalization_falls() -> None:
    model = trained(
        [nn.BinaryConv2D(8, 1), nn.MaxPool2D(2), nn.BatchNorm(), nn.Sign(), nn.Flatten(), *dense(2)],
        IMAGES,
        2,
    )
    norm = model.layers[2]
    norm.parameters["gamma"].value[:] = [1, -1] * 4
    norm.state["variance"][:] = 1
    packed = check(model, IMAGES)
    assert isinstance(packed.steps[1], steps.PoolBits)
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
    (threshold,), (flip,) = compile._thresholds(layer, [norm], 17)
    for total in range(-17, 18):
        sign = nn.Sign().forward(norm.forward(np.array([[total]], np.float32)))[0, 0]
        assert ((total >= threshold) != flip) == (sign > 0), total


def test_layers_that_cannot_be_packed() -> None:
    with pytest.raises(nn.NotFittedError, match="This Sequential instance is not fitted yet"):
        nn.Sequential(nn.Sign()).compile()
    x = np.zeros((4, 2**16 + 300), np.uint8)
    model = nn.Sequential(nn.BinaryDense(2), random_state=0).fit(x, [0, 1, 0, 1], epochs=1)
    with pytest.raises(
        ValueError, match=r"BinaryDense\(units=2\) adds 65836 numbers of up to 255, which can exceed"
    ):
        model.compile()
    model = trained([*dense(4), nn.Sign(), *dense(2)], BYTES, 2)
    model.layers[1].parameters["gamma"].value[:] = 3e38
    model.layers[1].state["variance"][:] = 0
    model.layers[1].state["mean"][:] = 0
    with (
        np.errstate(over="ignore"),
        pytest.raises(ValueError, match=r"after BinaryDense\(units=4\) map some sums to NaN"),
    ):
        model.compile()
