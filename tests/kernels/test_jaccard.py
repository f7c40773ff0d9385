"""Jaccard distances; what jaccard shares with hamming is in test_binary.py."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracles
import pytest
from fastcodes import jaccard
from helpers import random_codes


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
