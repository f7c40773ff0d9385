"""Data and models that the tests of hash functions share."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastcodes.hashing import (
    CCAITQ,
    ITQ,
    DeepHashing,
    LocalityPreservingHashing,
    PCAHashing,
    SpectralHashing,
    SupervisedDiscreteHashing,
)

RNG = np.random.default_rng(21)


# Four classes around centres of their own, in correlated dimensions of falling variance.
MIXING = np.linalg.qr(RNG.normal(size=(16, 16)))[0] * 0.8 ** np.arange(16)

Y = RNG.integers(4, size=600)

X = ((RNG.normal(size=(600, 16)) + 1.5 * RNG.normal(size=(4, 16))[Y]) @ MIXING.T).astype(np.float32)

MODELS: dict[str, Any] = {
    "PCAHashing": PCAHashing(12),
    "PCAHashing, median": PCAHashing(12, threshold="median"),
    "ITQ": ITQ(12, random_state=0),
    "SpectralHashing": SpectralHashing(12),
    "LocalityPreservingHashing": LocalityPreservingHashing(12, n_anchors=40, random_state=0),
    "CCAITQ": CCAITQ(12, random_state=0),
    "SupervisedDiscreteHashing": SupervisedDiscreteHashing(12, n_anchors=100, random_state=0),
    "SupervisedDiscreteHashing, fast": SupervisedDiscreteHashing(
        12, n_anchors=100, solver="fast", init="random", random_state=0
    ),
    "DeepHashing": DeepHashing(
        12, hidden=(24,), epochs=8, batch_size=100, learning_rate=0.01, random_state=0
    ),
    "DeepHashing, triplet": DeepHashing(
        12, hidden=(), loss="triplet", epochs=2, batch_size=30, learning_rate=0.01, random_state=0
    ),
}

SUPERVISED = [name for name, model in MODELS.items() if model._needs_target]

RANDOM = [name for name, model in MODELS.items() if "random_state" in model.get_params()]


# Those that make at most one bit of a direction.
NARROW = [name for name in MODELS if name.split(",")[0] in ("PCAHashing", "ITQ", "LocalityPreservingHashing")]


def model_of(name: str, **params: Any) -> Any:
    model = MODELS[name]
    return type(model)(**model.get_params() | params)


def fitted(name: str, **params: Any) -> Any:
    return model_of(name, **params).fit(X, Y)
