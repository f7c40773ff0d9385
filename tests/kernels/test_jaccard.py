"""Jaccard distances; what jaccard shares with hamming is in test_binary.py."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracles
import pytest
from fastcodes import bits, hamming, jaccard
from helpers import Array, random_codes, same_bits


def test_distances_are_fractions_of_the_union() -> None:
    codes = np.array([[0b0000_0000], [0b0000_0001], [0b0000_0011], [0b1110_0000]], np.uint8)
    assert jaccard.cdist(codes, codes).tolist() == [
        [0, 1, 1, 1],
        [1, 0, 0.5, 1],
        [1, 0.5, 0, 1],
        [1, 1, 1, 0],
    ]


def test_two_empty_codes_are_equal() -> None:
    codes = np.zeros((40, 9), np.uint8)
    codes[-1, 3] = 1
    for n_queries in (1, 4):
        distances, indices = jaccard.knn(codes[:n_queries], codes, 40)
        assert (distances[:, :39] == 0).all()
        assert (distances[:, 39] == 1).all()
        assert (indices == np.arange(40)).all()
    assert len(jaccard.pairs(codes, 0)[0]) == 39 * 38 // 2


def test_distances_are_rounded_once() -> None:
    # Fractions with every numerator up to a denominator that has no exact float.
    for n_bits in (7, 77, 771):
        codes = np.packbits(np.tri(n_bits, dtype=bool), axis=1)
        found = jaccard.cdist(codes[-1:], codes)[0]
        exact = [Fraction(n_bits - n_ones, n_bits) for n_ones in range(1, n_bits + 1)]
        assert found.tolist() == [float(np.float32(float(value))) for value in exact]


def test_every_distance_that_occurs_is_a_radius_that_includes_it() -> None:
    # The bounds that skip rows unseen must not lose those at the very limit.
    codes = np.concatenate([random_codes(60, 16, density=density) for density in (0.02, 0.1, 0.5, 0.95)])
    d = oracles.jaccard(codes, codes)
    for limit in np.unique(d)[::7]:
        below = np.nextafter(limit, np.float32(0))
        for radius, within in ((limit, d <= limit), (float(limit), d <= limit), (below, d <= below)):
            for n_queries in (1, 240):
                offsets, distances, _ = jaccard.radius(codes[:n_queries], codes, radius)
                assert (np.diff(offsets) == within[:n_queries].sum(axis=1)).all(), (radius, n_queries)
                assert (distances <= limit).all()
            assert len(jaccard.pairs(codes, radius)[0]) == np.triu(within, 1).sum()


def test_a_radius_is_rounded_to_float32() -> None:
    codes = np.packbits(np.array([[1, 1, 1], [1, 1, 0]]), axis=1)
    assert len(jaccard.radius(codes[0], codes, 1 / 3)[1]) == 2
    assert len(jaccard.radius(codes[0], codes, 0.33333)[1]) == 1


@pytest.mark.parametrize("radius", [0, -0.0, False, np.float32(0), np.array(0.0), Fraction(0)])
def test_a_radius_may_be_any_real_number(radius: float) -> None:
    codes = random_codes(20, 4)
    offsets, distances, indices = jaccard.radius(codes, codes, radius)
    assert offsets.tolist() == list(range(21))
    assert (distances == 0).all()
    assert (indices == np.arange(20)).all()


@pytest.mark.parametrize("radius", [1, 1.5, 1e300, np.inf])
def test_no_distance_exceeds_one(radius: float) -> None:
    codes = random_codes(20, 4, density=0.05)
    assert len(jaccard.radius(codes, codes, radius)[1]) == 400
    assert len(jaccard.pairs(codes, radius)[1]) == 190


def test_minus_zero_is_a_radius_of_zero() -> None:
    codes = random_codes(300, 1)
    for with_zero, with_minus_zero in (
        (jaccard.radius(codes[:5], codes, 0.0), jaccard.radius(codes[:5], codes, -0.0)),
        (jaccard.pairs(codes, 0.0), jaccard.pairs(codes, -0.0)),
    ):
        for expected, found in zip(with_zero, with_minus_zero, strict=True):
            np.testing.assert_array_equal(found, expected)


# --- Tversky ------------------------------------------------------------------------------------------------

WEIGHTS = [0, 1e-30, 0.1, 0.5, 1, 2.5, 1e30, float(np.finfo(np.float64).max)]


def of_all_densities(n: int, n_bytes: int) -> Array:
    return np.concatenate([random_codes(n, n_bytes, density=density) for density in (0, 0.02, 0.1, 0.5, 0.9)])


@pytest.mark.parametrize("alpha", WEIGHTS)
@pytest.mark.parametrize("beta", WEIGHTS)
def test_searches_equal_the_definition_of_tversky(alpha: float, beta: float) -> None:
    codes = of_all_densities(40, 12)
    weights = {"alpha": alpha, "beta": beta}
    with np.errstate(over="ignore", invalid="ignore"):
        d = oracles.tversky(codes, codes, alpha, beta)
    d[np.isnan(d)] = 1  # beyond the largest float
    assert same_bits(jaccard.cdist(codes, codes, **weights), d)
    mask = np.arange(len(codes)) % 3 > 0
    for n_queries, threads in ((1, 1), (2, 2), (200, 1), (200, 2)):
        own = d[::-1][:n_queries]
        queries = np.ascontiguousarray(codes[::-1][:n_queries])
        for k in (1, 7):
            found = jaccard.knn(queries, codes, k, mask=mask, threads=threads, **weights)
            assert same_bits(found, oracles.knn(own, k, mask, np.inf))
        for radius in np.unique(own)[::20]:
            found = jaccard.radius(queries, codes, radius, threads=threads, **weights)
            assert same_bits(found, oracles.radius(own, radius, None))


def test_weights_make_the_distances_that_have_names() -> None:
    a, b = of_all_densities(20, 9), of_all_densities(20, 9)[::-1]
    assert same_bits(jaccard.cdist(a, b, alpha=1, beta=1), jaccard.cdist(a, b))
    ones_a, ones_b = bits.popcount(a)[:, None], bits.popcount(b)
    common = (ones_a + ones_b - hamming.cdist(a, b)) / 2
    dice = 1 - 2 * common / np.maximum(ones_a + ones_b, 1)
    is_some = ones_a + ones_b > 0
    np.testing.assert_allclose(jaccard.cdist(a, b, alpha=0.5, beta=0.5)[is_some], dice[is_some], atol=1e-7)
    contained = jaccard.cdist(a, b, alpha=1, beta=0)
    np.testing.assert_allclose(contained, 1 - common / np.maximum(ones_a, 1) - (ones_a == 0), atol=1e-7)
    assert same_bits(jaccard.cdist(b, a, alpha=0, beta=1), np.ascontiguousarray(contained.T))
    for weight in (0.2, 3.0):
        d = jaccard.cdist(a, b).astype(float)
        expected = weight * d / (1 - d + weight * d)
        np.testing.assert_allclose(jaccard.cdist(a, b, alpha=weight, beta=weight), expected, atol=1e-6)


def test_screening_finds_the_rows_that_contain_all_bits_of_the_query() -> None:
    codes = random_codes(3000, 16, density=0.3)
    query = codes[5] & codes[6] & random_codes(1, 16, density=0.7)[0]
    for queries in (query, np.tile(query, (5, 1))):
        offsets, distances, indices = jaccard.radius(queries, codes, 0, alpha=1, beta=0)
        assert indices[: offsets[1]].tolist() == np.flatnonzero((codes & query == query).all(axis=1)).tolist()
        assert not distances.any()
    assert {5, 6} <= set(indices.tolist())


def test_where_nothing_is_left_to_compare_the_distance_is_zero() -> None:
    empty, some, other = np.array([[0], [0b11000000], [0b00001000]], np.uint8)[:, None]
    for a, b, alpha, beta, expected in (
        (empty, empty, 1, 1, 0),
        (empty, some, 1, 0, 0),  # every set contains the empty one
        (some, empty, 1, 0, 1),
        (some, empty, 0, 1, 0),
        (some, other, 1, 0, 1),
        (some, other, 0, 0, 0),
    ):
        for n_queries in (1, 4):
            found = jaccard.knn(np.repeat(a, n_queries, axis=0), b, 1, alpha=alpha, beta=beta)[0]
            assert (found == expected).all()


def test_a_row_is_not_its_own_neighbor_whatever_the_weights() -> None:
    codes = random_codes(50, 4, density=0.3)
    d = oracles.tversky(codes, codes, 1, 0)
    np.fill_diagonal(d, np.inf)
    found = jaccard.knn(codes, codes, 3, alpha=1, beta=0, exclude_self=True)
    assert same_bits(found, oracles.knn(d, 3, None, np.inf))


def test_weights_beyond_float64_are_refused() -> None:
    codes = np.zeros((2, 4), np.uint8)
    with pytest.raises(ValueError, match=r"alpha must be a real number at least 0"):
        jaccard.knn(codes, codes, 1, alpha=10**400)
