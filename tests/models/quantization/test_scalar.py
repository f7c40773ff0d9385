"""Scalar quantizers: uniform cells and Lloyd-Max levels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcodes import bits
from fastcodes.quantization import ScalarQuantizer
from models.quantization.cases import RNG, X


@pytest.mark.parametrize("kind", ["uniform", "lloyd-max"])
@pytest.mark.parametrize("n_bits", range(1, 9))
def test_scalar_codes_are_packed_numbers_of_the_nearest_levels(kind: str, n_bits: int) -> None:
    sq = ScalarQuantizer(n_bits, kind=kind).fit(X[:, :13])
    assert sq.levels_.shape == (13, 2**n_bits)
    codes = sq.encode(X[:, :13])
    assert codes.shape == (1500, (13 * n_bits + 7) // 8)
    assert codes.dtype == np.uint8
    numbers = bits.unpack_uint(codes, n_bits, 13)
    d = np.abs(X[:, :13, None] - sq.levels_.astype(np.float64))
    chosen = np.take_along_axis(d, numbers[..., None].astype(np.int64), axis=2)[..., 0]
    assert np.allclose(chosen, d.min(axis=2), atol=1e-6)
    decoded = sq.decode(codes)
    assert np.array_equal(decoded, np.take_along_axis(sq.levels_.T, numbers.astype(np.int64), axis=0))
    assert (np.diff(sq.levels_, axis=1) >= 0).all()


@pytest.mark.parametrize("n_bits", [1, 4, 8])
def test_uniform_cells_bound_the_error(n_bits: int) -> None:
    sq = ScalarQuantizer(n_bits).fit(X)
    assert np.allclose(sq.lower_, X.min(axis=0))
    assert np.allclose(sq.lower_ + 2**n_bits * sq.step_, X.max(axis=0), atol=1e-5)
    assert (np.abs(X - sq.decode(sq.encode(X))) <= 0.5001 * sq.step_).all()


def test_values_beyond_the_ranges_are_taken_for_their_ends() -> None:
    sq = ScalarQuantizer(2, ranges=(0, [4.0, 8.0])).fit(np.zeros((1, 2)))
    assert np.array_equal(
        sq.decode(sq.encode([[-1e30, -5], [1e30, 1e30], [1.5, 3]])), [[0.5, 1], [3.5, 7], [1.5, 3]]
    )


def test_a_constant_dimension_is_exact() -> None:
    x = np.array([[3.0, 1.0], [3.0, 2.0]])
    for kind in ("uniform", "lloyd-max"):
        sq = ScalarQuantizer(4, kind=kind).fit(x)
        assert (sq.decode(sq.encode(x))[:, 0] == 3).all()


@pytest.mark.parametrize(("n_bits", "distortion"), [(1, 0.3634), (2, 0.1175), (3, 0.03454), (4, 0.009497)])
def test_lloyd_max_has_the_published_distortion_of_a_gaussian(n_bits: int, distortion: float) -> None:
    x = np.random.default_rng(0).normal(size=(60000, 2))
    error = ScalarQuantizer(n_bits, kind="lloyd-max", max_iter=300).fit(x).quantization_error(x) / 2
    assert error == pytest.approx(distortion, rel=0.015)


def test_lloyd_max_is_optimal_where_there_are_as_many_values_as_levels() -> None:
    x = RNG.choice([0.0, 1, 2, 50, 51, 200, 1000, 1001], size=(500, 3), p=[0.9, *[0.1 / 7] * 7])
    sq = ScalarQuantizer(3, kind="lloyd-max").fit(x)
    assert sq.quantization_error(x) < 1e-6


def test_eight_bits_come_near_to_the_high_rate_limit() -> None:
    # Panter and Dite: for a Gaussian, sqrt(3) pi / 2 / 4**bits.
    x = np.random.default_rng(0).normal(size=(65536, 1))
    error = ScalarQuantizer(8, kind="lloyd-max").fit(x).quantization_error(x)
    assert error < 1.1 * np.sqrt(3) * np.pi / 2 / 4**8


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_bits": 0}, ValueError, "n_bits must be an integer from 1 to 8; got 0"),
        ({"n_bits": 9}, ValueError, "n_bits must be an integer from 1 to 8; got 9"),
        ({"kind": "gaussian"}, ValueError, 'kind must be "uniform" or "lloyd-max"; got \'gaussian\''),
        ({"ranges": (1, 0)}, ValueError, r"ranges must be a pair \(lower, upper\).* got \(1, 0\)"),
        ({"ranges": (0, [1, 2])}, ValueError, r"arrays \(16,\)"),
        ({"ranges": (0, np.nan)}, ValueError, "ranges must be a pair"),
        ({"ranges": (0, 1, 2)}, ValueError, "ranges must be a pair"),
        ({"ranges": 3}, ValueError, "ranges must be a pair"),
        (
            {"ranges": (0, 1), "kind": "lloyd-max"},
            ValueError,
            'ranges needs kind="uniform"; got kind=',
        ),
    ],
)
def test_wrong_parameters_of_a_scalar_quantizer(
    params: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ScalarQuantizer(**params).fit(X)
