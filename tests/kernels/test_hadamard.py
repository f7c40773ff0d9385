"""Fast Hadamard transforms: against products of matrices, and what rotations keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes import bits, hadamard
from helpers import Array, same_bits

RNG = np.random.default_rng(5)


def vectors(n: int, d: int) -> Array:
    return np.random.default_rng([n, d]).standard_normal((n, d)).astype(np.float32)


@pytest.mark.parametrize("d", [1, 2, 7, 8, 63, 64, 65, 100, 128, 129, 300, 513])
@pytest.mark.parametrize("n_features", [1, 9, 64, 65, 200, 1100])
def test_projections_are_products_with_the_matrix(d: int, n_features: int) -> None:
    x, signs = vectors(4, d), hadamard.signs(d, n_features, random_state=3)
    expected = oracles.hadamard(x, signs, n_features)
    found = hadamard.project(x, signs, n_features)
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    assert found.dtype == np.float32
    assert found.shape == (4, n_features)
    assert (abs(found - expected) <= 1e-5 * norms).all()
    assert same_bits(hadamard.pack(x, signs, n_features), np.packbits(found > 0, axis=1))


def test_all_numbers_of_a_rotation_keep_lengths_and_angles() -> None:
    x = vectors(50, 90)
    y = hadamard.project(x, hadamard.signs(90, 128, random_state=0), 128)
    assert np.allclose(y @ y.T / 128, x @ x.T, atol=1e-3)


def test_a_number_is_the_same_alone_and_among_others() -> None:
    x, signs = vectors(300, 200), hadamard.signs(200, 512, random_state=1)
    many = hadamard.project(x, signs, 512)
    for n_features in (64, 128, 256, 300):
        # Sums for fewer numbers may be rounded otherwise.
        assert np.allclose(hadamard.project(x, signs, n_features), many[:, :n_features], atol=1e-5)
    assert same_bits(hadamard.project(x[7], signs, 512), many[7:8])
    assert same_bits(hadamard.project(x[100:], signs, 512), many[100:])


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "uint16", "int64", "bool", ">f4"])
def test_other_dtypes_are_converted(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastcodes import _blocks

    x, signs = (vectors(70, 40) * 3).round().astype(dtype), hadamard.signs(40, 30, random_state=0)
    expected = hadamard.project(x.astype(np.float32), signs, 30)
    monkeypatch.setattr(_blocks, "ELEMENTS_PER_BLOCK", 400)
    assert same_bits(hadamard.project(x, signs, 30), expected)
    assert same_bits(hadamard.pack(x, signs, 30), bits.pack(expected))
    out = np.empty((70, 30), np.float32)
    assert hadamard.project(x, signs, 30, out=out) is out
    assert same_bits(out, expected)
    with pytest.raises(ValueError, match="out must be"):
        hadamard.project(x, signs, 30, out=out[1:])


def test_what_is_not_finite_is_an_error_that_says_where() -> None:
    x, signs = vectors(70, 40), hadamard.signs(40, 64, random_state=0)
    for value in (np.nan, np.inf, -np.inf):
        for function in (hadamard.project, hadamard.pack):
            wrong = x.copy()
            wrong[33, 7] = value
            with pytest.raises(ValueError, match=r"x must be finite; got .* at element 1327"):
                function(wrong, signs, 64)
            with pytest.raises(ValueError, match=r"x has .* in row 33, column 7, which is not finite"):
                function(wrong.astype(np.float64), signs, 64)
    ones = np.full((3, 40), 3e38, np.float32)
    with pytest.raises(ValueError, match=r"x has 3e38 at element 0, .*too large"):
        hadamard.project(ones, np.full((3, 8), 255, np.uint8), 64)


def test_signs_depend_on_the_random_state_alone() -> None:
    assert same_bits(
        hadamard.signs(100, 300, random_state=5),
        hadamard.signs(100, 300, random_state=np.random.default_rng(5)),
    )
    assert not same_bits(hadamard.signs(100, 300, random_state=5), hadamard.signs(100, 300, random_state=6))
    assert hadamard.signs(1 << 20, 1).shape == (3, 1 << 17)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((0, 5), ValueError, "d must be an integer from 1 to 1048576; got 0"),
        ((1 << 21, 5), ValueError, "got 2097152"),
        ((1.5, 5), TypeError, "d must be an integer"),
        ((1, 2**65), ValueError, f"n_features must be an integer from 1 to 2147483647; got {2**65}"),
        ((5, 0), ValueError, "n_features must be an integer from 1 to 2147483647; got 0"),
        ((5, 5, "x"), TypeError, "random_state must be"),
    ],
)
def test_wrong_arguments_of_signs(arguments: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        hadamard.signs(*arguments[:2], random_state=(*arguments, 0)[2])


def test_projections_are_near_to_gaussian_whatever_the_vector() -> None:
    # Over many rotations the numbers of a unit vector have the moments of normal ones.
    signs = hadamard.signs(100, 128 * 400, random_state=9)
    for x in (np.eye(100)[:1], np.ones((1, 100)) / 10, vectors(1, 100) / np.linalg.norm(vectors(1, 100))):
        y = hadamard.project(x, signs, 128 * 400).ravel().astype(np.float64)
        n = len(y)
        assert abs(y.mean()) < 4 / np.sqrt(n)
        assert abs((y**2).mean() - 1) < 4 * np.sqrt(2 / n)
        assert abs((y**4).mean() - 3) < 0.15  # a sum of 128 signs has 3 - 2 / 128
