"""Hamming distances; what hamming shares with jaccard is in test_binary.py."""

from __future__ import annotations

import numpy as np
import oracles
import pytest
from fastcodes import hamming
from helpers import random_codes


def test_distances_count_bits() -> None:
    codes = np.array([[0b0000_0000], [0b0000_0001], [0b1000_0001], [0b1111_1111]], np.uint8)
    assert hamming.cdist(codes, codes).tolist() == [[0, 1, 2, 8], [1, 0, 1, 7], [2, 1, 0, 6], [8, 7, 6, 0]]


@pytest.mark.parametrize("n_bytes", [8191, 40_000])
def test_long_rows_do_not_overflow(n_bytes: int) -> None:
    # Counts of bytes or 16-bit words would wrap around; the second is too long for a tile.
    codes = np.zeros((5, n_bytes), np.uint8)
    codes[1:] = 255
    codes[2:, 0] = 0
    for n_queries in (1, 5):
        assert (hamming.cdist(codes[:n_queries], codes) == oracles.hamming(codes[:n_queries], codes)).all()
        distances, indices = hamming.knn(codes[:n_queries], codes, 5)
        assert distances[0].tolist() == [0] + [8 * n_bytes - 8] * 3 + [8 * n_bytes]
        assert indices[0].tolist() == [0, 2, 3, 4, 1]


@pytest.mark.parametrize("n_bytes", [31, 32, 33, 64])
def test_rows_that_differ_in_every_bit_are_not_the_nearest(n_bytes: int) -> None:
    """Where all bits of 32 bytes differ, a count of eight bits would wrap around to zero."""
    queries = random_codes(4, n_bytes)[[0, 0, 0, 0]]
    codes = np.tile(~queries[0], (300, 1))
    codes[3] = queries[0]
    codes[3, 0] ^= 0b10101
    distances, indices = hamming.knn(queries, codes, 2, threads=1)
    np.testing.assert_array_equal(distances, [[3, 8 * n_bytes]] * 4)
    np.testing.assert_array_equal(indices, [[3, 0]] * 4)
    _, distances, indices = hamming.radius(queries, codes, 200, threads=1)
    assert (distances.tolist(), indices.tolist()) == ([3] * 4, [3] * 4)


def test_a_radius_is_inclusive_and_may_exceed_every_distance() -> None:
    codes = random_codes(50, 4)
    d = hamming.cdist(codes[:1], codes)[0]
    for radius in range(34):
        offsets, distances, indices = hamming.radius(codes[0], codes, radius)
        assert offsets.tolist() == [0, (d <= radius).sum()]
        assert distances.max() <= radius
        assert (d[indices] == distances).all()
    for radius in (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1):
        assert len(hamming.radius(codes[0], codes, radius)[1]) == 50
        assert len(hamming.pairs(codes, radius)[0]) == 50 * 49 // 2


def test_numbers_may_be_of_any_integer_type() -> None:
    codes = random_codes(20, 4)
    expected = hamming.knn(codes, codes, 3)
    for k in (np.int8(3), np.uint64(3), np.array(3)):
        assert all(map(np.array_equal, hamming.knn(codes, codes, k, threads=np.int32(1)), expected))
    assert np.array_equal(hamming.radius(codes, codes, np.uint16(9))[2], hamming.radius(codes, codes, 9)[2])
