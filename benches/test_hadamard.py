"""fastcodes.hadamard against products of numpy with the same, dense matrix."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from fastcodes import hadamard
from fastcodes._typing import Array

N, D, N_FEATURES = 20_000, 768, 1024
N_CHECKED = 100

pytestmark = pytest.mark.usefixtures("one_thread")


@cache
def vectors() -> Array:
    return np.random.default_rng(0).standard_normal((N, D), np.float32)


@cache
def signs() -> Array:
    return hadamard.signs(D, N_FEATURES, random_state=0)


@cache
def dense_matrix() -> Array:
    """Return the (D, N_FEATURES) matrix ``(H D3 H D2 H D1)^T / size`` of the one rotation."""
    size = 8 * signs().shape[1]
    h = np.ones((1, 1))
    while len(h) < size:
        h = np.block([[h, h], [h, -h]])
    product = np.eye(size)
    for diagonal in 2.0 * np.unpackbits(signs(), axis=1) - 1:
        product = h @ (diagonal[:, None] * product)
    return np.ascontiguousarray(product[:N_FEATURES, :D].T / size, np.float32)


def check_projections(projections: Array) -> None:
    expected = vectors()[:N_CHECKED].astype(np.float64) @ dense_matrix()
    np.testing.assert_allclose(projections[:N_CHECKED], expected, rtol=0, atol=1e-4)


def check_codes(codes: Array) -> None:
    expected = vectors()[:N_CHECKED].astype(np.float64) @ dense_matrix()
    bits = np.unpackbits(codes[:N_CHECKED], axis=1)
    # Values near zero may be rounded to either side.
    is_clear = abs(expected) > 1e-4
    np.testing.assert_array_equal(bits[is_clear], expected[is_clear] > 0)


@pytest.mark.parametrize("name", ["fastcodes", "numpy matmul"])
@pytest.mark.parametrize(("function", "unit"), [("project", "numbers"), ("pack", "bits")])
def test_hadamard(contest: Any, name: str, function: str, unit: str) -> None:
    x, w = vectors(), dense_matrix()
    calls: dict[tuple[str, str], Callable[[], Array]] = {
        ("fastcodes", "project"): partial(hadamard.project, x, signs(), N_FEATURES, threads=1),
        ("fastcodes", "pack"): partial(hadamard.pack, x, signs(), N_FEATURES, threads=1),
        ("numpy matmul", "project"): lambda: x @ w,
        ("numpy matmul", "pack"): lambda: np.packbits(x @ w > 0, axis=1),
    }
    contest(
        name,
        calls[name, function],
        group=f"hadamard.{function}, {D} dimensions to {N_FEATURES} {unit}",
        check=check_projections if function == "project" else check_codes,
        amount=x.nbytes,
        unit="bytes",
    )
