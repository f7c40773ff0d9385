"""Data and models that the tests of random directions share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcodes.hashing import RandomHyperplanes, RandomProjection
from helpers import Array

PROJECTIONS = ("gaussian", "sparse", "hadamard")


every_projection = pytest.mark.parametrize("projection", PROJECTIONS)


both_models = pytest.mark.parametrize("model", [RandomHyperplanes, RandomProjection])

X = np.random.default_rng(0).standard_normal((300, 40)).astype(np.float32)


def made(model: Any, projection: str, n: int, **more: Any) -> Any:
    """Return a model of this size, whatever its first parameter is called."""
    return model(n, projection=projection, **more)


def at_angle(angle: float, n: int, d: int, seed: int) -> tuple[Array, Array]:
    """Return pairs of random unit vectors at an angle."""
    u, v = np.random.default_rng([seed, n, d]).standard_normal((2, n, d))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v -= (u * v).sum(axis=1, keepdims=True) * u
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    return u, np.cos(angle) * u + np.sin(angle) * v
