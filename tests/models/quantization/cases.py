"""Data and models that the tests of quantizers share."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastcodes.quantization import (
    AdditiveQuantizer,
    CompositeQuantizer,
    KMeans,
    OptimizedProductQuantizer,
    ProductQuantizer,
    ResidualQuantizer,
    ScalarQuantizer,
    VectorQuantizer,
)

RNG = np.random.default_rng(11)


# Correlated dimensions of falling variance: what a rotation is good for.
MIXING = np.linalg.qr(RNG.normal(size=(16, 16)))[0] * 0.75 ** np.arange(16)

X = (RNG.normal(size=(1500, 16)) @ MIXING.T).astype(np.float32)

CLUSTERED = (X[:60].repeat(25, axis=0) + 0.05 * RNG.normal(size=(1500, 16))).astype(np.float32)

MODELS: dict[str, Any] = {
    "KMeans": KMeans(12, random_state=0, max_iter=5),
    "KMeans, mini-batch": KMeans(12, random_state=0, max_iter=3, batch_size=100),
    "VectorQuantizer": VectorQuantizer(32, random_state=0, max_iter=5),
    "VectorQuantizer, 16 bits": VectorQuantizer(300, random_state=0, max_iter=5),
    "ProductQuantizer": ProductQuantizer(4, 16, random_state=0, max_iter=5),
    "OptimizedProductQuantizer": OptimizedProductQuantizer(4, 16, random_state=0, max_iter=5),
    "ResidualQuantizer": ResidualQuantizer(3, 16, random_state=0, max_iter=3),
    "ResidualQuantizer, 17": ResidualQuantizer(2, 17, norm_bits=16, random_state=0, max_iter=3),
    "AdditiveQuantizer": AdditiveQuantizer(3, 16, random_state=0, max_iter=3),
    "CompositeQuantizer": CompositeQuantizer(3, 16, random_state=0, max_iter=3),
    "ScalarQuantizer": ScalarQuantizer(3),
    "ScalarQuantizer, ranges": ScalarQuantizer(5, ranges=(-1.5, np.linspace(1, 2, 16))),
    "ScalarQuantizer, lloyd-max": ScalarQuantizer(4, kind="lloyd-max"),
}

QUANTIZERS = [name for name in MODELS if not name.startswith("KMeans")]

PRODUCT = [ProductQuantizer, OptimizedProductQuantizer]


def model_of(name: str, **params: Any) -> Any:
    model = MODELS[name]
    return type(model)(**model.get_params() | params)


def answer(model: Any, x: Any) -> Any:
    return model.predict(x) if isinstance(model, KMeans) else model.encode(x)


def nearest(x: Any, codebooks: Any) -> Any:
    """Return codes and squared distances of the nearest codewords, in float64."""
    parts = x.astype(np.float64).reshape(len(x), len(codebooks), 1, -1)
    d = np.square(parts - codebooks).sum(axis=3)
    return d.argmin(axis=2), d
