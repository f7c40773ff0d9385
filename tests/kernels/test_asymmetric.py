"""Searches of bits by real queries: against float sums, and against products of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes import bits, hamming
from helpers import Array, random_codes, same_bits
from hypothesis import given
from hypothesis import strategies as st


def real_queries(n: int, n_bits: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, n, n_bits]).standard_normal((n, n_bits)).astype(np.float32)


def nearest(queries: Array, codes: Array, k: int, mask: Any = None) -> tuple[Array, Array]:
    return oracles.knn(oracles.asymmetric(queries, codes), k, mask, np.inf)


@pytest.mark.parametrize("n_bits", [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 63, 64, 65, 100, 128, 511, 512, 513])
@pytest.mark.parametrize("n_queries", [1, 2, 7])
def test_search_is_the_top_k_of_the_sums(n_bits: int, n_queries: int) -> None:
    # What lies beyond the last bit does not count, whatever it is.
    queries, codes = real_queries(n_queries, n_bits), random_codes(400, -(-n_bits // 8))
    for k in (0, 1, 10, 400, 405):
        found = hamming.asymmetric_knn(queries, codes, k)
        assert same_bits(found, nearest(queries, codes, k)), k


@pytest.mark.parametrize("n_bits", [36, 256, 300])
@pytest.mark.parametrize("k", [1, 10, 300])
def test_rows_that_are_bounded_are_found(n_bits: int, k: int) -> None:
    queries, codes = real_queries(3, n_bits), random_codes(20_000, -(-n_bits // 8))
    assert same_bits(hamming.asymmetric_knn(queries, codes, k), nearest(queries, codes, k))


def test_distances_are_negative_products_with_the_signs() -> None:
    queries, codes = real_queries(20, 200), random_codes(3000, 25)
    products = queries.astype(np.float64) @ bits.unpack(codes, 200, dtype=np.float64, values=(-1, 1)).T
    distances, indices = hamming.asymmetric_knn(queries, codes, 50)
    assert np.allclose(distances, -np.take_along_axis(products, indices, axis=1), atol=1e-4)
    assert np.allclose(distances, -np.sort(products)[:, :-51:-1], atol=1e-4)


def test_signs_as_queries_give_the_hamming_distance() -> None:
    queries, codes = random_codes(30, 9, seed=1), random_codes(5000, 9)
    signs = bits.unpack(queries, 72, dtype=np.int8, values=(-1, 1))
    distances, indices = hamming.asymmetric_knn(signs, codes, 40)
    differing, rows = hamming.knn(queries, codes, 40)
    assert np.array_equal(indices, rows)
    assert np.array_equal(distances, 2 * differing - 72)


@pytest.mark.parametrize(
    "mask",
    [
        np.arange(9000) % 3 > 0,
        np.arange(9000) % 256 < 10,
        np.array([8999, 0, 5, 5, 300], np.int16),
        np.zeros(9000, bool),
        np.array([], np.int64),
    ],
    ids=["many", "few of each block", "ids", "none", "no ids"],
)
def test_a_mask_selects_rows(mask: Array) -> None:
    queries, codes = real_queries(4, 130), random_codes(9000, 17)
    for k in (1, 30, 9001):
        assert same_bits(
            hamming.asymmetric_knn(queries, codes, k, mask=mask), nearest(queries, codes, k, mask)
        )


def test_a_tie_goes_to_the_lower_row() -> None:
    codes = np.tile(random_codes(7, 8), (3000, 1))
    for queries in (np.zeros((1, 64), np.float32), np.ones((2, 64), np.float32), real_queries(2, 64)):
        assert same_bits(hamming.asymmetric_knn(queries, codes, 4000), nearest(queries, codes, 4000))


@pytest.mark.parametrize("scale", [1e-45, 1e-38, 1e-20, 1e20, 1e36])
def test_queries_of_any_scale(scale: float) -> None:
    queries, codes = real_queries(3, 50) * np.float32(scale), random_codes(9000, 7)
    with np.errstate(over="ignore", under="ignore"):
        assert same_bits(hamming.asymmetric_knn(queries, codes, 20), nearest(queries, codes, 20))


def test_one_weight_far_above_the_others() -> None:
    queries, codes = real_queries(3, 256), random_codes(20_000, 32)
    queries[:, 17] = [1e6, -1e20, 1e38 / 2]
    assert same_bits(hamming.asymmetric_knn(queries, codes, 20), nearest(queries, codes, 20))


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int8", "uint16", "int64", "bool", ">f4", ">f8"]
)
def test_queries_of_every_real_dtype(dtype: str) -> None:
    queries = (real_queries(5, 40) * 3).round().astype(dtype)
    codes = random_codes(300, 5)
    found = hamming.asymmetric_knn(queries, codes, 10)
    assert same_bits(found, nearest(queries.astype(np.float32), codes, 10))


def test_a_query_may_have_one_dimension_and_there_may_be_none() -> None:
    queries, codes = real_queries(3, 40), random_codes(300, 5)
    assert same_bits(hamming.asymmetric_knn(queries[1], codes, 4), nearest(queries[1:2], codes, 4))
    assert hamming.asymmetric_knn(queries[:0], codes, 4)[1].shape == (0, 4)
    distances, indices = hamming.asymmetric_knn(queries, codes[:0], 2)
    assert np.isposinf(distances).all()
    assert (indices == -1).all()


def test_numbers_so_large_that_sums_overflow_are_refused() -> None:
    queries = real_queries(2, 40)
    queries[1, 3] = 1e38
    with pytest.raises(ValueError, match=r"^queries has 1e38 at element 43, .* at most 8\.5"):
        hamming.asymmetric_knn(queries, random_codes(10, 5), 1)


@given(st.data())
def test_any_shape(data: st.DataObject) -> None:
    n_bits, n, n_queries = (data.draw(st.integers(low, high)) for low, high in ((1, 100), (0, 300), (0, 4)))
    seed, k = data.draw(st.integers(0, 2**32)), data.draw(st.integers(0, 20))
    queries = (real_queries(n_queries, n_bits, seed) * 2).round(data.draw(st.integers(0, 3)))
    codes = random_codes(n, -(-n_bits // 8), seed, data.draw(st.sampled_from([0, 0.1, 0.5, 1])))
    assert same_bits(hamming.asymmetric_knn(queries, codes, k), nearest(queries, codes, k))


def test_a_row_is_not_its_own_neighbour() -> None:
    codes = random_codes(6, 2)[np.arange(30) % 6]
    queries = real_queries(30, 16)
    d = oracles.asymmetric(queries, codes)
    np.fill_diagonal(d, np.inf)
    expected = oracles.knn(d, 29, None, np.inf)
    assert same_bits(hamming.asymmetric_knn(queries, codes, 29, exclude_self=True), expected)
    with pytest.raises(ValueError, match="exclude_self is for queries that are the rows of codes; got 29"):
        hamming.asymmetric_knn(queries[:29], codes, 3, exclude_self=True)
