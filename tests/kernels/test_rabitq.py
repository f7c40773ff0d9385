"""The rabitq family against its oracles, and what its estimates promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes import adc, hadamard, rabitq
from helpers import Array

N_BITS = range(1, 9)
# About the ends of groups of dimensions, chunks of bytes and blocks of rows.
SHAPES = [(8, 1), (16, 300), (64, 256), (72, 257), (128, 40), (264, 17), (1000, 33), (1536, 20)]
DIMENSIONS = (8, 9, 63, 64, 100, 128, 384, 768, 1000, 1536, 4096)


def vectors(kind: str, n: int, d: int, seed: int = 0) -> Array:
    """Vectors that a rotation has to spread, and some that it cannot."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    if kind == "sparse":
        x *= rng.random((n, d)) < 3 / d
    elif kind == "one-hot":
        x = np.eye(d)[rng.integers(0, d, n)] * rng.uniform(0.5, 2, (n, 1))
    elif kind == "clustered":
        x = 5 * rng.standard_normal((4, d))[rng.integers(0, 4, n)] + 0.3 * x
    elif kind == "duplicate":
        x = x[np.zeros(n, int)]
    elif kind == "zero":
        x[:] = 0
    return x.astype(np.float32)


def database(n_bits: int, d: int, n: int, metric: str = "l2") -> tuple[Array, Array, Array]:
    x = vectors("gaussian", n, d, seed=d + n)
    return x, *rabitq.encode(x, n_bits=n_bits, metric=metric)


@pytest.mark.parametrize("n_bits", N_BITS)
@pytest.mark.parametrize(("d", "n"), SHAPES)
@pytest.mark.parametrize("metric", ["l2", "ip"])
def test_estimates_are_those_of_the_oracle(n_bits: int, d: int, n: int, metric: str) -> None:
    _, codes, factors = database(n_bits, d, n, metric)
    queries = vectors("gaussian", 5, d, seed=1)
    offsets = np.arange(5, dtype=np.float32)
    for given in (None, offsets):
        expected = oracles.rabitq(queries, codes, factors, n_bits, metric, given)
        options: dict[str, Any] = {"n_bits": n_bits, "metric": metric, "offsets": given}
        found = rabitq.scan(queries, codes, factors, **options)
        size = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * size)
        for k in (1, 7, n + 3):
            distances, indices = rabitq.knn(queries, codes, factors, k, **options)
            d_expected, i_expected = oracles.knn(found, k, None, np.float32(np.inf))
            np.testing.assert_array_equal(distances, d_expected)
            np.testing.assert_array_equal(indices, i_expected)
        limit = float(np.median(found))
        for mask in (None, np.arange(n) % 3 == 0, np.arange(0, n, 5)):
            results = rabitq.radius(queries, codes, factors, limit, mask=mask, **options)
            for got, want in zip(results, oracles.radius(found, np.float32(limit), mask), strict=True):
                np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("n_bits", N_BITS)
@pytest.mark.parametrize(("d", "n"), SHAPES)
def test_codes_are_the_nearest_levels_at_their_scale(n_bits: int, d: int, n: int) -> None:
    x, codes, factors = database(n_bits, d, n)
    levels = oracles.rabitq_levels(n_bits)
    numbers = oracles.unpack_uint(codes, n_bits, d)
    u = levels[numbers]
    square, inner = (x.astype(np.float64) ** 2).sum(axis=1), (u * x).sum(axis=1)
    np.testing.assert_allclose(factors, np.stack([square, square / inner], axis=1), rtol=2e-6)
    np.testing.assert_allclose(
        rabitq.decode(codes, factors, n_bits=n_bits), oracles.rabitq_decode(codes, factors, n_bits), rtol=1e-6
    )
    if n_bits == 1:
        np.testing.assert_array_equal(codes, np.packbits(x > 0, axis=1))
        return
    # Some scale puts every number nearest to its own level: the intervals of scales that do so meet.
    middles = np.concatenate(
        [[0], (levels[len(levels) // 2 :][1:] + levels[len(levels) // 2 :][:-1]) / 2, [np.inf]]
    )
    index = np.where(numbers >= len(levels) // 2, numbers - len(levels) // 2, len(levels) // 2 - 1 - numbers)
    with np.errstate(divide="ignore"):
        low, high = middles[index] / np.abs(x), middles[index + 1] / np.abs(x)
    assert (low.max(axis=1) <= high.min(axis=1) * (1 + 1e-5)).all()
    # The share of the squared length that is lost is that of the best quantisers of a Gaussian, of any levels
    # up to 4 bits and of uniform ones beyond (Max, 1960, tables I and II), give or take what 20 rows vary by.
    lost = {2: 0.1175, 3: 0.03454, 4: 0.009497, 5: 0.003495, 6: 0.001041, 7: 0.0003035, 8: 0.0001}
    cosine = inner / np.sqrt(square * (u * u).sum(axis=1))
    if d >= 64:
        assert 1 - np.mean(cosine**2) < 1.05 * lost[n_bits]


@pytest.mark.parametrize("n_bits", N_BITS)
def test_distances_of_codes_are_those_of_what_they_stand_for(n_bits: int) -> None:
    for d, n in SHAPES:
        _, codes, factors = database(n_bits, d, n)
        decoded = oracles.rabitq_decode(codes, factors, n_bits)
        square = (decoded**2).sum(axis=1)
        inner = decoded @ decoded.T
        for metric, expected in (("l2", square[:, None] + square - 2 * inner), ("ip", -inner)):
            found = rabitq.cdist(codes, factors, codes, factors, n_bits=n_bits, metric=metric)
            np.testing.assert_allclose(found, expected, rtol=0, atol=4e-6 * square.max())
        assert (np.diag(rabitq.cdist(codes, factors, codes, factors, n_bits=n_bits)) < 1e-5 * square).all()


def test_packed_codes_give_the_same_results() -> None:
    for d, n in SHAPES:
        _, codes, factors = database(1, d, n)
        queries = vectors("gaussian", 6, d, seed=1)
        packed = adc.PackedCodes(codes, n_codewords=256)
        for mask in (None, np.arange(n) % 3 == 0):
            for got, want in zip(
                rabitq.knn(queries, packed, factors, 5, mask=mask),
                rabitq.knn(queries, codes, factors, 5, mask=mask),
                strict=True,
            ):
                np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(
            rabitq.scan(queries, packed, factors), rabitq.scan(queries, codes, factors)
        )


@pytest.mark.parametrize("d", DIMENSIONS)
def test_a_rotation_is_that_of_its_definition(d: int) -> None:
    x = vectors("gaussian", 7, d)
    signs = hadamard.rotation_signs(d, random_state=3)
    rotated = hadamard.rotate(x, signs)
    np.testing.assert_allclose(rotated, oracles.rotate(x, signs), atol=1e-5)
    np.testing.assert_allclose(hadamard.rotate_back(rotated, signs, d), x, atol=1e-5)
    np.testing.assert_allclose(hadamard.rotate(x[0], signs)[0], rotated[0], rtol=0)


def rotated(x: Array, d: int, seed: int) -> Array:
    """Rotate as `RaBitQuantizer` does: few dimensions by a matrix, since signs give too few rotations."""
    if d >= 64:
        return hadamard.rotate(x, hadamard.rotation_signs(d, random_state=seed))
    normal = np.random.default_rng(seed).standard_normal((-(-d // 8) * 8,) * 2)
    q, r = np.linalg.qr(normal)
    return (x @ (q * np.sign(np.diag(r)))[:d]).astype(np.float32)


KINDS = ("gaussian", "sparse", "one-hot", "clustered", "duplicate", "zero")


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_bits", [1, 2, 4, 8])
def test_estimates_are_unbiased_and_their_bound_covers(d: int, kind: str, n_bits: int) -> None:
    """Over rotations, the mean of the errors vanishes, and few errors exceed the bound.

    Gao and Long, SIGMOD 2024, theorem 3.2; the bound has 1.9 standard deviations, which 94 % of the errors of
    a Gaussian do not exceed.
    """
    n_rotations, n = (60, 4) if d >= 384 else (150, 6)
    x, q = (
        vectors(kind, n, d, seed=1),
        vectors("clustered" if kind == "clustered" else "gaussian", n, d, seed=2),
    )
    exact = q.astype(np.float64) @ x.T.astype(np.float64)
    errors, bounds = [], []
    for seed in range(n_rotations):
        y, r = rotated(x, d, seed), rotated(q, d, seed)
        codes, factors = rabitq.encode(y, n_bits=n_bits)
        bare = factors * np.array([0, 1], np.float32)
        estimates = -rabitq.scan(r, codes, bare, n_bits=n_bits, metric="ip")
        lengths = rabitq.errors(codes, factors, n_bits=n_bits)
        # The rounding of a query is an error too: half a step for each dimension.
        step = np.abs(r).max(axis=1) / (31 if n_bits == 1 else 127 if n_bits <= 4 else 8128)
        longest = np.sqrt((oracles.rabitq_decode(codes, factors, n_bits) ** 2).sum(axis=1))
        rounding = 1.9 * np.outer(step, longest) / np.sqrt(12)
        errors.append(estimates - exact)
        spread = np.outer(np.sqrt((q.astype(np.float64) ** 2).sum(axis=1)), lengths) / np.sqrt(y.shape[1] - 1)
        bounds.append(1.9 * spread + rounding + 1e-6 * np.abs(exact).max())
    error, bound = np.array(errors), np.array(bounds)
    if kind == "zero":
        np.testing.assert_array_equal(error, 0)
        return
    # The mean of n_rotations errors, in standard deviations of such a mean.
    deviation = np.sqrt((bound**2).mean(axis=0)) / 1.9 / np.sqrt(n_rotations)
    assert np.abs(error.mean(axis=0) / deviation).max() < 4.5
    assert np.abs((error.mean(axis=0) / deviation).mean()) < 1.0
    covered = (np.abs(error) <= bound).mean()
    assert covered > 0.9, covered


def test_more_dimensions_than_others_sum_are_exact() -> None:
    """Sums of 16 bits overflow silently above 1024 dimensions."""
    for d in (1024, 1032, 4096, 65536):
        x = np.full((1, d), 0.5, np.float32)
        for n_bits in N_BITS:
            codes, factors = rabitq.encode(x, n_bits=n_bits)
            found = rabitq.scan(x, codes, factors, n_bits=n_bits, metric="ip", offsets=[0.0])
            np.testing.assert_allclose(found, 0.25 * d - 0.25 * d, atol=0.25 * d * 1e-5)
            found = rabitq.scan(x, codes, factors * np.array([0, 1], np.float32), n_bits=n_bits, metric="ip")
            np.testing.assert_allclose(found, -0.25 * d, rtol=1e-5)


@pytest.mark.parametrize("n_bits", [1, 2, 4])
def test_weights_lower_the_error_that_queries_see(n_bits: int) -> None:
    """For vectors that vary most in few directions, more of the nearest are found in the same bytes."""
    rng, d = np.random.default_rng(0), 64
    scales = 1 / np.arange(1, d + 1)
    x, q = ((rng.standard_normal((n, d)) * scales).astype(np.float32) for n in (4000, 100))
    signs = hadamard.rotation_signs(d, random_state=0)
    y, r = hadamard.rotate(x, signs), hadamard.rotate(q, signs)
    values, vectors = np.linalg.eigh(np.cov(y.T))
    weights = ((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T + 0.003 * np.eye(d)).astype(np.float32)
    nearest = ((q[:, None] - x) ** 2).sum(axis=2).argsort(axis=1)[:, :10]
    recalls, errors = [], []
    for matrix in (None, weights):
        codes, factors = rabitq.encode(y, n_bits=n_bits, weights=matrix)
        error = rabitq.decode(codes, factors, n_bits=n_bits) - y
        np.testing.assert_allclose(np.einsum("nd,nd->n", error, y), 0, atol=1e-4 * factors[:, 0].max())
        errors.append(np.einsum("nd,de,ne->", error, weights, error))
        found = rabitq.knn(r, codes, factors, 10, n_bits=n_bits)[1]
        recalls.append(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, nearest, strict=True)]))
    assert errors[1] < 0.7 * errors[0]
    assert recalls[1] > recalls[0] + 0.02
