"""Networks to pack, trained to numbers that are hard to pack, for the tests of packed networks."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastcodes import nn
from fastcodes.nn.layers import walk

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
    """Set a normalization to random numbers, among them negative, zero and tiny ones."""
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
    "no normalization": (net(nn.BinaryDense(9), sign(), nn.BinaryDense(3)), BYTES),
    "dropout": (net(nn.Dropout(0.3), dense(40), nn.Dropout(0.5), sign(), nn.Dropout(0.1), dense(3)), BYTES),
    "two normalizations": (net(dense(40), nn.HardTanh(), nn.BatchNorm(), sign(), dense(3)), BYTES),
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
    "pooling before a normalization": (
        net(nn.BinaryConv2D(20, 3), nn.MaxPool2D(2), nn.BatchNorm(), sign(), flat()),
        IMAGES,
    ),
    "pooling between normalizations": (
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
