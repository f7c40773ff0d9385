"""The adc family against its oracle, to the bit; and what holds without one."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes import _files, adc
from helpers import Array, pq_codes, pq_tables, same, same_bits
from hypothesis import given
from hypothesis import strategies as st

N_SUBSPACES = (1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 34, 64, 65, 96, 255, 256)
N_ROWS = (0, 1, 63, 64, 65, 255, 256, 257, 4095, 4096, 4097, 8191, 8192, 8193, 20_000)
N_CODEWORDS = (1, 2, 15, 16, 17, 63, 64, 65, 128, 192, 255, 256)
BOUNDED = 8_500  # rows of which a search for few neighbours looks at some first, and bounds the others

Codes = Any  # an array, or packed


# Searches of each kind, as functions of tables and codes alone.
SEARCHES: tuple[Callable[[Array, Codes], Any], ...] = (
    adc.scan,
    lambda tables, codes: adc.knn(tables, codes, 2),
    lambda tables, codes: adc.radius(tables, codes, 0.0),
)


def sources(codes: Array, n_codewords: int) -> dict[str, Codes]:
    """Give the same codes in every form that a search takes."""
    forms = {"rows": codes, "packed": adc.PackedCodes(codes)}
    return forms | ({"nibbles": adc.PackedCodes(codes, n_codewords=16)} if n_codewords <= 16 else {})


def masks(n: int) -> dict[str, Array | None]:
    """Give masks of every kind for `n` rows."""
    # Blocks of 256 rows with at most 16 selected ones are searched row by row.
    rng, row = np.random.default_rng(n), np.arange(n)
    return {
        "none": None,
        "half": rng.random(n) < 0.5,
        "no booleans": row < 0,
        "all booleans": row >= 0,
        "few a block": row % 100 == 7,
        "16 a block": row % 256 < 16,
        "17 a block": row % 256 >= 239,
        "all and few by turns": (row // 256 % 2 == 0) | (row % 50 == 3),
        "the last": row == n - 1,
        "ids, unsorted and repeated": rng.integers(0, max(n, 1), min(n, n // 2 + 1)),
        "few ids": rng.integers(0, max(n, 1), min(n, 20)).astype(np.uint16),
        "no ids": np.empty(0, np.int32),
    }


def radii(d: Array) -> list[float]:
    """Radii that are met exactly by few and by many rows of the first query, and some that no row meets."""
    met = np.unique(d[:1])
    exact = [float(met[len(met) * i // 400]) for i in (0, 1, 10, 150) if len(met)]
    return [*exact, -0.0, np.inf, -np.inf]


def check(
    tables: Array,
    codes: Array,
    ks: tuple[int, ...] = (1, 10),
    kinds: tuple[str, ...] = ("none",),
    limits: list[float] | None = None,
) -> None:
    """Compare scan, knn and radius with the oracle: every form of the codes, one thread and two."""
    with np.errstate(over="ignore"):
        d = oracles.adc(tables, codes)
    forms = sources(codes, tables.shape[2])
    calls = [(form, threads) for form in forms for threads in (1, 2)]
    for form, threads in calls:
        assert same_bits(adc.scan(tables, forms[form], threads=threads), d), ("scan", form, threads)
    every_mask = masks(len(codes))
    for kind in kinds:
        mask = every_mask[kind]
        most = oracles.knn(d, max(ks), mask, np.inf)
        for k in ks:
            wanted = tuple(found[:, :k] for found in most)
            for form, threads in calls:
                found = adc.knn(tables, forms[form], k, mask=mask, threads=threads)
                assert same_bits(found, wanted), ("knn", k, kind, form, threads)
        for limit in radii(d) if limits is None else limits:
            wanted = oracles.radius(d, limit, mask)
            for form, threads in calls:
                found = adc.radius(tables, forms[form], limit, mask=mask, threads=threads)
                assert same_bits(found, wanted), ("radius", limit, kind, form, threads)


# --- shapes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_queries", [63, 64, 65, 130])
def test_many_queries_of_few_rows(n_queries: int) -> None:
    for n_codewords in (16, 256):
        check(pq_tables(n_queries, 5, n_codewords), pq_codes(70, 5, n_codewords))


@pytest.mark.parametrize("n_subspaces", N_SUBSPACES)
def test_every_number_of_subspaces_equals_the_definition(n_subspaces: int) -> None:
    for n_codewords in (16, 256):
        # An odd number of queries: they are bounded two by two.
        tables = pq_tables(3, n_subspaces, n_codewords)
        codes = pq_codes(BOUNDED, n_subspaces, n_codewords)
        check(tables, codes, kinds=("none", "all and few by turns"))
        check(abs(tables), codes[:257], ks=(5,), kinds=("none", "half"))


@pytest.mark.parametrize("n", N_ROWS)
def test_every_number_of_rows_equals_the_definition(n: int) -> None:
    for n_subspaces, n_codewords in ((1, 16), (5, 16), (8, 256), (33, 200)):
        tables, codes = pq_tables(2, n_subspaces, n_codewords), pq_codes(n, n_subspaces, n_codewords)
        check(tables, codes, ks=(0, 1, 10, min(n, 300), n + 3 if n < 5000 else 1000))
        check(tables[:1], codes, ks=(7,), kinds=tuple(masks(n)), limits=[-1.0])


@pytest.mark.parametrize("n_codewords", N_CODEWORDS)
def test_every_number_of_codewords_equals_the_definition(n_codewords: int) -> None:
    for n_subspaces in (3, 8):
        codes = pq_codes(BOUNDED, n_subspaces, n_codewords)
        codes[::9] = n_codewords - 1  # the highest
        check(pq_tables(3, n_subspaces, n_codewords), codes, kinds=("none", "few a block"))


@pytest.mark.parametrize("n_queries", [0, 1, 2, 3, 5, 300])
def test_every_number_of_queries_equals_the_definition(n_queries: int) -> None:
    for n in (600, BOUNDED):
        for n_codewords in (16, 256):
            tables = pq_tables(n_queries, 8, n_codewords)
            check(tables, pq_codes(n, 8, n_codewords), kinds=("none", "half"), limits=[-6.0])


@pytest.mark.parametrize(
    ("n", "n_subspaces", "n_codewords"), [(140_000, 1, 16), (70_000, 8, 256), (70_000, 9, 16)]
)
def test_more_rows_than_a_task_has(n: int, n_subspaces: int, n_codewords: int) -> None:
    tables, codes = pq_tables(3, n_subspaces, n_codewords), pq_codes(n, n_subspaces, n_codewords)
    check(tables, codes, ks=(1, 100, 1000), kinds=("none", "17 a block"))
    # The nearest rows are the last of a task, and the first of the next.
    best = tables[0].argmin(axis=1)
    codes[[8191, 8192, 65_535, 65_536, n - 1]] = best
    check(tables, codes, ks=(5,))


def test_a_single_row_may_be_searched_by_many_tables() -> None:
    check(pq_tables(5000, 2, 7), pq_codes(1, 2, 7), ks=(1, 2))


# --- contents -----------------------------------------------------------------------------------------------

HARD_TABLES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    "uniform": lambda rng, shape: rng.random(shape),
    "all equal": lambda rng, shape: np.full(shape, 0.1),
    "all zero": lambda rng, shape: np.zeros(shape),
    "minus zero": lambda rng, shape: np.full(shape, -0.0),
    "few distinct": lambda rng, shape: rng.integers(-2, 3, shape),
    "integers": lambda rng, shape: rng.integers(0, 300, shape),
    "negative": lambda rng, shape: -rng.random(shape) - 5,
    "denormal": lambda rng, shape: rng.integers(0, 60, shape) * 1e-45,
    "denormal of either sign": lambda rng, shape: rng.integers(-30, 30, shape) * 1e-45,
    "1e30": lambda rng, shape: rng.standard_normal(shape) * 1e30,
    "one entry of 1e30": lambda rng, shape: np.where(first_of(shape), 1e30, rng.random(shape)),
    "one entry of -1e30": lambda rng, shape: np.where(first_of(shape), -1e30, rng.random(shape)),
    "one entry of the largest float": lambda rng, shape: np.where(
        first_of(shape), LARGEST, rng.random(shape)
    ),
    "some entries of 1e30": lambda rng, shape: np.where(rng.random(shape) < 0.05, 1e30, rng.random(shape)),
    "huge of either sign": lambda rng, shape: rng.choice([-LARGEST, LARGEST / 3, -1.0, 1e30], shape),
    "sums that overflow": lambda rng, shape: rng.choice([0.5, LARGEST / 2, LARGEST], shape),
    "sums that overflow downwards": lambda rng, shape: rng.choice([0.5, -LARGEST / 2, -LARGEST], shape),
    "an offset that rounds": lambda rng, shape: 1e8 + 64 * rng.random(shape),
    "offsets that cancel": lambda rng, shape: (
        rng.integers(0, 9, shape) + np.where(np.arange(shape[1]) % 2, -1.7e7, 1.7e7)[:, None]
    ),
    "of every magnitude": lambda rng, shape: (
        rng.choice([-1, 1], shape) * 10.0 ** rng.integers(-44, 36, shape)
    ),
    "one subspace apart": lambda rng, shape: (
        rng.random(shape) * np.where(np.arange(shape[1]) == 0, 1e6, 1)[:, None]
    ),
    "one codeword apart": lambda rng, shape: rng.random(shape) + 1e3 * (np.arange(shape[2]) > 0),
}
LARGEST = float(np.finfo(np.float32).max)


def first_of(shape: tuple[int, ...]) -> Array:
    """Mark the entry of one codeword of one subspace."""
    marked = np.zeros(shape, bool)
    marked[:, shape[1] // 2, shape[2] // 2] = True
    return marked


@pytest.mark.parametrize("kind", HARD_TABLES)
def test_tables_that_are_made_to_break_a_lower_bound(kind: str) -> None:
    for n_subspaces in (1, 2, 16, 33, 65):
        for n_codewords in (16, 256):
            rng = np.random.default_rng([n_subspaces, n_codewords])
            tables = HARD_TABLES[kind](rng, (3, n_subspaces, n_codewords)).astype(np.float32)
            check(tables, pq_codes(BOUNDED, n_subspaces, n_codewords), ks=(1, 20))


@pytest.mark.parametrize("n_codewords", [16, 256])
@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_rows_in_order_of_their_distance(order: str, n_codewords: int) -> None:
    for n_subspaces in (4, 40):
        tables, codes = pq_tables(3, n_subspaces, n_codewords), pq_codes(20_000, n_subspaces, n_codewords)
        ranks = oracles.adc(tables[:1], codes)[0].argsort(kind="stable")
        codes = codes[ranks if order == "ascending" else ranks[::-1]]
        check(tables, codes, ks=(1, 10, 500), kinds=("none", "half"))


@pytest.mark.parametrize("n_codewords", [16, 256])
@pytest.mark.parametrize("n_distinct", [1, 2, 30])
def test_ties_go_to_the_lower_index(n_distinct: int, n_codewords: int) -> None:
    for n_subspaces in (3, 40):
        tables, few = pq_tables(3, n_subspaces, n_codewords), pq_codes(n_distinct, n_subspaces, n_codewords)
        codes = few[np.arange(20_000) * 7919 % n_distinct]
        check(tables, codes, ks=(1, 10, 300), kinds=("none", "17 a block", "ids, unsorted and repeated"))
        # The same sums from other codes: rows that tie without being alike.
        check(np.round(tables[:, :, :2]), codes % 2, ks=(10, 300))


@st.composite
def searches(draw: st.DrawFn) -> tuple[Array, Array, int, str]:
    n_subspaces, n_codewords = draw(st.integers(1, 70)), draw(st.integers(1, 256))
    n = draw(st.one_of(st.integers(0, 600), st.integers(8000, 10_000)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (draw(st.integers(0, 4)), n_subspaces, n_codewords)
    tables = HARD_TABLES[draw(st.sampled_from(sorted(HARD_TABLES)))](rng, shape).astype(np.float32)
    # Some subspaces like no other, some codewords more often than others.
    tables *= rng.choice(draw(st.sampled_from([(1.0,), (1.0, 1e-3), (1.0, -0.01)])), (n_subspaces, 1))
    tables = np.nan_to_num(tables, posinf=LARGEST, neginf=-LARGEST).astype(np.float32)
    used = draw(st.integers(1, n_codewords))
    codes = rng.permutation(n_codewords)[rng.integers(0, used, (n, n_subspaces))].astype(np.uint8)
    return tables, codes, draw(st.integers(0, 40)), draw(st.sampled_from(sorted(masks(0))))


@given(search=searches(), share=st.floats(0, 0.1))
def test_random_searches_equal_the_definition(search: Any, share: float) -> None:
    tables, codes, k, kind = search
    with np.errstate(over="ignore"):
        d = oracles.adc(tables, codes)
    limit = float(np.sort(d, axis=None)[int(share * d.size)]) if d.size else 0.0
    check(tables, codes, ks=(k,), kinds=(kind,), limits=[limit])


def test_fewer_neighbors_are_a_prefix_of_more() -> None:
    tables, codes = pq_tables(3, 5, 256), pq_codes(50_000, 5, 256)
    distances, indices = adc.knn(tables, codes, 3000)
    for k in (1, 2, 33, 256, 257, 2999):
        assert same(adc.knn(tables, codes, k), (distances[:, :k], indices[:, :k])), k


# --- radius -------------------------------------------------------------------------------------------------


def test_a_radius_is_inclusive_and_rounded_to_float32() -> None:
    tables = np.float32([[0.1, 0.2, 0.3, -0.0]])[None]
    codes = np.arange(4, dtype=np.uint8)[:, None]
    cases = {
        0.1: [3, 0],
        np.float32(0.1): [3, 0],
        0.2: [3, 0, 1],
        -0.0: [3],
        -1e-300: [3],
        -1e-40: [],
    }
    for radius, indices in (
        cases | {1e300: [3, 0, 1, 2], -1e300: [], np.inf: [3, 0, 1, 2], -np.inf: []}
    ).items():
        assert adc.radius(tables, codes, radius)[2].tolist() == indices, radius
    below = float(np.nextafter(np.float32(0.2), np.float32(0)))
    assert adc.radius(tables, codes, below)[2].tolist() == [3, 0]
    assert adc.radius(tables, codes, True)[2].tolist() == [3, 0, 1, 2]


def test_sums_that_overflow_are_within_an_infinite_radius_alone() -> None:
    tables = np.float32([[LARGEST, -LARGEST, 1]] * 2)[None]
    codes = np.uint8([[0, 0], [1, 1], [2, 2], [0, 1]])
    assert adc.scan(tables, codes).tolist() == [[np.inf, -np.inf, 2, 0]]
    assert adc.radius(tables, codes, np.inf)[2].tolist() == [1, 3, 2, 0]
    assert adc.radius(tables, codes, LARGEST)[2].tolist() == [1, 3, 2]
    assert adc.radius(tables, codes, -LARGEST)[2].tolist() == [1]
    assert adc.radius(tables, codes, -np.inf)[2].tolist() == [1]
    distances, indices = adc.knn(tables, codes, 5)
    assert distances.tolist() == [[-np.inf, 0, 2, np.inf, np.inf]]
    assert indices.tolist() == [[1, 3, 2, 0, -1]]


# --- tables and encode --------------------------------------------------------------------------------------


def vectors(n: int, d: int, dtype: Any = np.float32, seed: int = 0) -> Array:
    return (np.random.default_rng([seed, n, d]).standard_normal((n, d)) * 3).astype(dtype)


@pytest.mark.parametrize("metric", ["l2", "ip"])
@pytest.mark.parametrize("n_codewords", [1, 2, 3, 4, 5, 15, 16, 17, 255, 256])
def test_tables_equal_the_definition(n_codewords: int, metric: str) -> None:
    for n_subspaces, n_dims in ((1, 1), (3, 2), (2, 7), (8, 16), (1, 100)):
        codebooks = vectors(n_subspaces * n_codewords, n_dims).reshape(n_subspaces, n_codewords, n_dims)
        for n_queries in (0, 1, 2, 3, 15, 16, 17, 100):
            queries = vectors(n_queries, n_subspaces * n_dims, seed=1)
            wanted = oracles.adc_tables(queries, codebooks, metric)
            for threads in (1, 2):
                found = adc.tables(queries, codebooks, metric=metric, threads=threads)
                assert same_bits(found, wanted), (n_subspaces, n_dims, n_queries)


@pytest.mark.parametrize("n_codewords", [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 255, 256])
def test_encode_equals_the_definition(n_codewords: int) -> None:
    for n_subspaces, n_dims in ((1, 1), (3, 2), (2, 7), (8, 4), (3, 8), (2, 16), (1, 33)):
        codebooks = vectors(n_subspaces * n_codewords, n_dims).reshape(n_subspaces, n_codewords, n_dims)
        for n in (0, 1, 15, 16, 17, 255, 256, 257, 600):
            x = vectors(n, n_subspaces * n_dims, seed=1)
            wanted = oracles.adc_encode(x, codebooks)
            for threads in (1, 2):
                found = adc.encode(x, codebooks, threads=threads)
                assert same_bits(found, wanted), (n_subspaces, n_dims, n)
            assert np.array_equal(found, adc.tables(x, codebooks).argmin(axis=-1))


def test_equally_near_codewords_give_the_lowest() -> None:
    rng = np.random.default_rng(0)
    for n_codewords in (2, 9, 16, 100, 256):
        codebooks = rng.integers(0, 3, (3, n_codewords, 2)).astype(np.float32)
        x = rng.integers(-1, 4, (500, 6)) / np.float32(2)
        d = oracles.adc_tables(x, codebooks)
        assert ((d == d.min(axis=-1, keepdims=True)).sum(axis=-1) > 1).any()
        assert same_bits(adc.encode(x, codebooks), oracles.adc_encode(x, codebooks))
    equal = np.ones((2, 256, 3), np.float32)
    assert not adc.encode(vectors(40, 6), equal).any()


def test_distances_beyond_float32_are_infinite_and_never_nearest() -> None:
    codebooks = np.float32([[[3e38], [-3e38], [1.0]]])
    x = np.float32([[3e38], [-3e38], [0], [-2e38], [1e20]])
    with np.errstate(over="ignore"):
        assert same_bits(adc.tables(x, codebooks), oracles.adc_tables(x, codebooks))
        assert adc.encode(x, codebooks).ravel().tolist() == [0, 1, 2, 0, 0]
        assert same_bits(adc.encode(x, codebooks), oracles.adc_encode(x, codebooks))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">f8", "u1", "i1", "i2", "u4", "i8", "?"])
def test_vectors_of_every_dtype_are_computed_with_as_float32(dtype: str) -> None:
    codebooks = vectors(3 * 20, 4).reshape(3, 20, 4)
    with np.errstate(invalid="ignore"):
        x = vectors(600, 12, dtype, seed=1)
    for queries in (x, x[::-2, ::-1], np.asfortranarray(x)):
        for metric in ("l2", "ip"):
            wanted = oracles.adc_tables(queries, codebooks, metric)
            assert same_bits(adc.tables(queries, codebooks, metric=metric), wanted)
        assert same_bits(adc.encode(queries, codebooks), oracles.adc_encode(queries, codebooks))


@pytest.mark.parametrize("n", [(1 << 19) - 1, 1 << 19, (1 << 19) + 1, (1 << 20) + 5])
def test_vectors_that_are_converted_block_by_block(n: int, tmp_path: Path) -> None:
    codebooks = vectors(2 * 5, 2).reshape(2, 5, 2)
    x = vectors(n, 4, np.float64, seed=1)
    wanted = oracles.adc_encode(x, codebooks)
    x.tofile(tmp_path / "x")
    for laid_out in (x, np.asfortranarray(x), np.memmap(tmp_path / "x", np.float64, "r", shape=x.shape)):
        assert same_bits(adc.encode(laid_out, codebooks), wanted)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_error_of_a_number_that_is_not_finite_says_where_it_is(dtype: str) -> None:
    codebooks = np.zeros((2, 3, 2), np.float32)
    for row in (0, 4095, 20_000, 39_999):
        for number in (np.nan, np.inf, -np.inf):
            x = np.zeros((40_000, 4), dtype)
            x[row, 3] = number
            text = "NaN" if np.isnan(number) else str(number)
            for name, call in (("x", adc.encode), ("queries", adc.tables)):
                where = {
                    "f4": f"^{name} has {text} in row {row}, column 3; expected finite numbers",
                    "f8": f"^{name} has {number} in row {row}, column 3, which is not finite;",
                }[dtype]
                with pytest.raises(ValueError, match=where):
                    call(x, codebooks)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_tables_and_codebooks_must_be_finite(number: float) -> None:
    for place in (0, 4095, 4096, 3 * 20 * 100 - 1):
        tables = np.zeros((3, 20, 100), np.float32)
        tables.reshape(-1)[place] = number
        text = "NaN" if np.isnan(number) else str(number)
        message = f"must be finite; got {text} at element {place}, counted through all axes"
        for codes in (pq_codes(9, 20, 100), adc.PackedCodes(pq_codes(9, 20, 100))):
            for search in SEARCHES:
                with pytest.raises(ValueError, match=f"^tables {message}"):
                    search(tables, codes)
        with pytest.raises(ValueError, match=f"^codebooks {message}"):
            adc.tables(np.zeros((1, 300)), tables)
        with pytest.raises(ValueError, match=f"^codebooks {message}"):
            adc.encode(np.zeros((1, 300)), tables)


# --- theorems: in small integers every float is exact -------------------------------------------------------


def integer_vectors(n: int, d: int, seed: int) -> Array:
    return np.random.default_rng(seed).integers(-50, 50, (n, d)).astype(np.float32)


def decoded(codes: Array, codebooks: Array) -> Array:
    parts = [codebook[column] for codebook, column in zip(codebooks, codes.T, strict=True)]
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("n_codewords", [16, 256])
def test_the_distance_is_that_to_the_decoded_vector(n_codewords: int) -> None:
    codebooks = integer_vectors(4 * n_codewords, 3, seed=1).reshape(4, n_codewords, 3)
    queries, codes = integer_vectors(7, 12, seed=2), pq_codes(9000, 4, n_codewords)
    vectors = decoded(codes, codebooks)
    squared = ((queries[:, None] - vectors) ** 2).sum(axis=2)
    for form in sources(codes, n_codewords).values():
        assert np.array_equal(adc.scan(adc.tables(queries, codebooks), form), squared)
        assert np.array_equal(
            adc.scan(adc.tables(queries, codebooks, metric="ip"), form), -(queries @ vectors.T)
        )
        nearest = adc.knn(adc.tables(queries, codebooks), form, 1)[1][:, 0]
        assert np.array_equal(nearest, squared.argmin(axis=1))
    # What was encoded is nearest to itself, and encoding is a projection.
    again = adc.encode(vectors, codebooks)
    assert np.array_equal(decoded(again, codebooks), vectors)
    assert not adc.knn(adc.tables(vectors[:5], codebooks), again, 1)[0].any()


def test_the_mean_distance_differs_from_the_true_one_by_the_quantization_error() -> None:
    # Where each codeword is the mean of its vectors: here of pairs that lie opposite each other.
    codebooks = integer_vectors(2 * 5, 3, seed=1).reshape(2, 5, 3)
    codebooks += 300 * np.arange(5, dtype=np.float32)[:, None]
    centers, offsets = decoded(pq_codes(200, 2, 5), codebooks), integer_vectors(200, 6, seed=2)
    x, queries = np.concatenate([centers + offsets, centers - offsets]), integer_vectors(3, 6, seed=3)
    codes = adc.encode(x, codebooks)
    error = ((x - decoded(codes, codebooks)) ** 2).sum(dtype=np.float64)
    true = ((queries[:, None] - x) ** 2).sum(axis=(1, 2), dtype=np.float64)
    estimated = adc.scan(adc.tables(queries, codebooks), codes).sum(axis=1, dtype=np.float64)
    assert error > 0
    assert np.array_equal(true, estimated + error)


def test_one_query_may_leave_out_its_axis() -> None:
    codebooks = vectors(3 * 20, 4).reshape(3, 20, 4)
    query, codes = vectors(1, 12)[0], pq_codes(500, 3, 20)
    tables = adc.tables(query, codebooks)
    assert same_bits(tables, adc.tables(query[None], codebooks))
    for form in (codes, adc.PackedCodes(codes)):
        assert same_bits(adc.scan(tables[0], form), adc.scan(tables, form))
        assert same_bits(adc.knn(tables[0], form, 4), adc.knn(tables, form, 4))
        assert same_bits(adc.radius(tables[0], form, 9), adc.radius(tables, form, 9))
    assert same_bits(adc.encode(query, codebooks), adc.encode(query[None], codebooks))


@given(data=st.data())
def test_random_vectors_are_encoded_as_the_definition_says(data: st.DataObject) -> None:
    n_subspaces, n_codewords, n_dims = (data.draw(st.integers(1, most)) for most in (9, 256, 20))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    # Few values make ties, large and small ones infinite and denormal distances.
    values = np.float32(data.draw(st.sampled_from([(0, 1, 2), (-1e20, 1e20, 3e38), (1e-23, -1e-23, 0)])))
    noise = data.draw(st.sampled_from([0, 1e-3, 1]))

    def draw(*shape: int) -> Array:
        return (rng.choice(values, shape) + noise * rng.standard_normal(shape)).astype(np.float32)

    codebooks = draw(n_subspaces, n_codewords, n_dims)
    x = draw(data.draw(st.integers(0, 40)), n_subspaces * n_dims)
    threads = data.draw(st.sampled_from((1, 2, None)))
    with np.errstate(over="ignore", invalid="ignore"):
        assert same_bits(
            adc.tables(x, codebooks, metric="l2", threads=threads), oracles.adc_tables(x, codebooks)
        )
        assert same_bits(adc.encode(x, codebooks, threads=threads), oracles.adc_encode(x, codebooks))
        found, wanted = (
            adc.tables(x, codebooks, metric="ip", threads=threads),
            oracles.adc_tables(x, codebooks, "ip"),
        )
    assert np.array_equal(found, wanted, equal_nan=True)


@given(data=st.data())
def test_random_codes_are_packed_and_unpacked(data: st.DataObject) -> None:
    n_subspaces, n_codewords = data.draw(st.integers(1, 40)), data.draw(st.sampled_from((16, 256)))
    sizes = data.draw(st.lists(st.integers(0, 600), min_size=1, max_size=6))
    codes = pq_codes(sum(sizes), n_subspaces, n_codewords, seed=data.draw(st.integers(0, 99)))
    ends = np.cumsum(sizes)
    packed = adc.PackedCodes(codes[: ends[0]], n_codewords=n_codewords)
    for start, end in pairwise(ends):
        packed.append(codes[start:end])
    assert same_bits(bytes_of(packed), blocks_of(codes, n_codewords))
    start, stop = (data.draw(st.integers(-len(codes) - 2, len(codes) + 2)) for _ in range(2))
    assert same_bits(packed.unpack(start, stop), codes[start:stop])


# --- codes that name no codeword ----------------------------------------------------------------------------


@pytest.mark.parametrize("n_codewords", [1, 3, 15, 16, 17, 255])
def test_a_code_that_names_no_codeword_is_an_error(n_codewords: int) -> None:
    tables = pq_tables(2, 9, n_codewords)
    for n, row in ((1, 0), (300, 299), (9000, 5), (9000, 8999)):
        codes = pq_codes(n, 9, n_codewords)
        codes[row, row % 9] = n_codewords
        part = (np.arange(n) >= n - 300) | (np.arange(n) == 5)
        message = f"codes has {n_codewords} in row {row}; expected codes from 0 to {n_codewords - 1}, since"
        for search in SEARCHES:
            with pytest.raises(ValueError, match=message):
                search(tables, codes)
        for mask in (np.array([row]), part):
            with pytest.raises(ValueError, match=message):
                adc.knn(tables, codes, 2, mask=mask, threads=2)
            with pytest.raises(ValueError, match=message):
                adc.radius(tables, codes, 0, mask=mask, threads=2)


@pytest.mark.parametrize("n_codewords", [16, 256])
def test_packed_codes_that_name_no_codeword_are_an_error_too(n_codewords: int) -> None:
    codes = np.uint8([[0, 0, 0], [1, 1, 14]])
    packed = adc.PackedCodes(codes, n_codewords=n_codewords)
    fewer = np.full((1, 3, 10), -3e38, np.float32)
    for search in SEARCHES:
        for form in (codes, packed):
            with pytest.raises(ValueError, match="codewords"):
                search(fewer, form)


# --- packed codes -------------------------------------------------------------------------------------------

both_widths = pytest.mark.parametrize("n_codewords", [16, 256])


def blocks_of(codes: Array, n_codewords: int) -> Array:
    """Bytes of packed codes, as the picture in the documentation of the kernels has them."""
    rows = np.pad(codes, ((0, -len(codes) % 256), (0, codes.shape[1] % 2 if n_codewords == 16 else 0)))
    planes = rows if n_codewords == 256 else rows[:, ::2] | rows[:, 1::2] << 4
    return planes.reshape(-1, 256, planes.shape[1]).transpose(0, 2, 1).ravel()


def bytes_of(packed: adc.PackedCodes) -> Array:
    """Bytes of packed codes, as a file has them."""
    return packed.to_state()[1]["blocks"]


@both_widths
@pytest.mark.parametrize("n_subspaces", [1, 2, 7, 8, 9, 16, 17, 65])
def test_packed_codes_are_those_of_the_array(n_codewords: int, n_subspaces: int) -> None:
    for n in (0, 1, 63, 64, 65, 255, 256, 257, 512, 4100):
        codes = pq_codes(n, n_subspaces, n_codewords)
        for threads in (1, 2):
            packed = adc.PackedCodes(codes, n_codewords=n_codewords, threads=threads)
            assert same_bits(packed.unpack(threads=threads), codes), n
            assert same_bits(bytes_of(packed), blocks_of(codes, n_codewords)), n
        assert packed.shape == (n, n_subspaces)
        assert len(packed) == n
        assert packed.nbytes == len(blocks_of(codes, n_codewords))
        assert (packed.n_codewords, packed.n_subspaces) == (n_codewords, n_subspaces)
        assert repr(packed) == f"PackedCodes(<{n} x {n_subspaces}>, n_codewords={n_codewords})"


@both_widths
def test_rows_are_unpacked_as_a_slice_gives_them(n_codewords: int) -> None:
    codes = pq_codes(1000, 5, n_codewords)
    packed = adc.PackedCodes(codes, n_codewords=n_codewords)
    ends = (None, 0, 1, 255, 256, 257, 700, 999, 1000, 1001, 2**70, -1, -256, -1000, -1001, -(2**70))
    for start in ends[1:]:
        for stop in ends:
            assert same_bits(packed.unpack(start, stop), codes[start:stop]), (start, stop)
    assert same_bits(packed.unpack(np.int8(3), stop=np.uint16(9)), codes[3:9])


@both_widths
@pytest.mark.parametrize(
    "sizes", [(1,) * 300, (0, 255, 1, 1, 0, 256, 3, 512), (100, 1000, 7), (256, 256), (3, 4000)]
)
def test_appending_in_pieces_gives_the_same_blocks(n_codewords: int, sizes: tuple[int, ...]) -> None:
    for n_subspaces in (1, 5, 12):
        codes = pq_codes(sum(sizes), n_subspaces, n_codewords)
        packed = adc.PackedCodes(codes[:0], n_codewords=n_codewords)
        tables, end = pq_tables(1, n_subspaces, n_codewords), 0
        for size in sizes:
            packed.append(codes[end] if size == 1 else codes[end : end + size], threads=2)
            end += size
            assert len(packed) == end
        assert same_bits(bytes_of(packed), blocks_of(codes, n_codewords))
        assert same_bits(adc.knn(tables, packed, 20), adc.knn(tables, codes, 20))
        assert same_bits(adc.scan(tables, packed), adc.scan(tables, codes))


@both_widths
@pytest.mark.parametrize("n", [0, 1, 100, 255, 256, 300, 512])
def test_what_cannot_be_appended_leaves_nothing_behind(n_codewords: int, n: int) -> None:
    codes, more = pq_codes(n, 5, n_codewords), pq_codes(700, 5, n_codewords, seed=1)
    packed = adc.PackedCodes(codes, n_codewords=n_codewords)
    wrong: list[tuple[Any, type[Exception], str]] = [
        (more[:, :4], ValueError, "codes have 4 subspaces but packed codes have 5"),
        (more[0, :4], ValueError, "codes have 4 subspaces but packed codes have 5"),
        (more[:0, :4], ValueError, "codes have 4 subspaces but packed codes have 5"),
        (more.astype(np.int64), TypeError, "^codes must be .*uint8"),
        (more.tolist(), TypeError, "^codes must be .*uint8"),
        (None, TypeError, "^codes must be .*uint8"),
        (packed, TypeError, "^codes must be .*uint8"),
        (more[None], ValueError, "^codes must have 1 or 2 dimensions"),
        (np.uint8(3), TypeError, "^codes must be .*uint8"),
        (np.array(3, np.uint8), ValueError, "^codes must have 1 or 2 dimensions"),
    ]
    if n_codewords == 16:
        for size, row in ((1, 0), (10, 9), (200, 199), (700, 699), (700, 3)):
            bad = more[:size].copy()
            bad[row, 4] = 255
            wrong.append((bad, ValueError, f"codes has 255 in row {row}; expected codes from 0 to 15"))
    # Without room for more rows and with some, which a small append makes.
    few = pq_codes(3, 5, n_codewords, seed=2)
    for rows in (codes, np.concatenate([codes, few])):
        if len(rows) > n:
            packed.append(few)
        for value, error, message in wrong:
            with pytest.raises(error, match=message):
                packed.append(value)
            assert packed.shape == (len(rows), 5)
            assert same_bits(bytes_of(packed), blocks_of(rows, n_codewords)), message
    packed.append(more)
    assert same_bits(bytes_of(packed), blocks_of(np.concatenate([codes, few, more]), n_codewords))


@both_widths
def test_rows_are_taken_in_any_order(n_codewords: int) -> None:
    codes = pq_codes(1000, 5, n_codewords)
    packed = adc.PackedCodes(codes, n_codewords=n_codewords)
    rng = np.random.default_rng(0)
    for ids in (rng.integers(0, 1000, 3000), np.uint16([999, 0, 999]), np.arange(1000)[::-3], np.int8([])):
        for threads in (1, 2):
            assert same_bits(packed.take(ids, threads=threads), codes[ids.astype(np.int64)])
    for ids in ([-1], [0, 1000], [2**62]):
        with pytest.raises(ValueError, match=f"^ids has the row {ids[-1]}; expected rows from 0 to 999"):
            packed.take(np.array(ids))
    for ids in ([1, 2], np.array([1.0]), np.array([True]), 3, None):
        with pytest.raises(TypeError, match=r"^ids must be a numpy integer array"):
            packed.take(ids)


@both_widths
@pytest.mark.parametrize("n", [0, 1, 255, 256, 257, 9000])
def test_removed_rows_are_gone(n_codewords: int, n: int) -> None:
    codes, more = pq_codes(n, 5, n_codewords), pq_codes(300, 5, n_codewords, seed=1)
    for kind, mask in masks(n).items():
        if mask is None:
            continue
        packed = adc.PackedCodes(codes, n_codewords=n_codewords)
        kept = np.delete(codes, mask.astype(np.int64) if mask.dtype != bool else mask, axis=0)
        assert packed.remove(mask, threads=2) == n - len(kept), kind
        assert same_bits(bytes_of(packed), blocks_of(kept, n_codewords)), kind
        packed.append(more)
        assert same_bits(bytes_of(packed), blocks_of(np.concatenate([kept, more]), n_codewords)), kind
    packed = adc.PackedCodes(codes, n_codewords=n_codewords)
    for mask, error in ((np.array([n]), ValueError), (np.zeros(n + 1, bool), ValueError), (None, TypeError)):
        with pytest.raises(error, match="mask"):
            packed.remove(mask)
    assert same_bits(packed.unpack(), codes)


def test_the_arrays_of_a_file_do_not_follow_changes() -> None:
    codes, more = pq_codes(300, 5, 256), pq_codes(20, 5, 256, seed=1)
    packed = adc.PackedCodes(codes)
    packed.append(more)
    params, arrays = packed.to_state()
    assert params == {"n_rows": 320, "n_subspaces": 5, "n_codewords": 256, "largest": params["largest"]}
    assert params["largest"] == max(codes.max(), more.max())
    before = arrays["blocks"].copy()
    packed.append(more)
    packed.remove(np.arange(100))
    assert same_bits(arrays["blocks"], before)
    again = adc.PackedCodes.from_state(params, arrays)
    del packed, arrays
    again.append(more)
    assert same_bits(again.unpack(), np.concatenate([codes, more, more]))


@both_widths
def test_copies_are_independent(n_codewords: int) -> None:
    codes, more = pq_codes(300, 5, n_codewords), pq_codes(20, 5, n_codewords, seed=1)
    for method in (copy.copy, copy.deepcopy, lambda packed: pickle.loads(pickle.dumps(packed))):
        packed = adc.PackedCodes(codes, n_codewords=n_codewords)
        other = method(packed)
        assert (type(other), other.shape, other.n_codewords) == (adc.PackedCodes, (300, 5), n_codewords)
        packed.append(more)
        assert same_bits(bytes_of(other), blocks_of(codes, n_codewords))
        other.append(more[::-1])
        assert same_bits(packed.unpack(), np.concatenate([codes, more]))
        assert same_bits(other.unpack(), np.concatenate([codes, more[::-1]]))


def test_a_packed_copy_does_not_follow_the_array() -> None:
    codes = pq_codes(256, 4, 256)
    packed, before = adc.PackedCodes(codes), codes.copy()
    codes[:] = 0
    unpacked = packed.unpack()
    unpacked[:] = 0
    assert same_bits(packed.unpack(), before)


@pytest.mark.parametrize(
    "given", [15, 17, 0, -16, 255, 257, 2**70, 16.5, "16", None, 16.0, np.array([16, 256])]
)
def test_packed_codes_have_16_or_256_codewords(given: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^n_codewords must be 16 or 256; got "):
        adc.PackedCodes(pq_codes(3, 2, 16), n_codewords=given)


def test_packed_codes_take_numpy_integers() -> None:
    assert adc.PackedCodes(pq_codes(3, 2, 16), n_codewords=np.uint8(16)).n_codewords == 16
    assert adc.PackedCodes(pq_codes(3, 2, 16), n_codewords=np.int64(256)).nbytes == 512


def test_tables_with_more_codewords_than_the_packed_codes_are_an_error() -> None:
    packed = adc.PackedCodes(pq_codes(30, 4, 16), n_codewords=16)
    for n_codewords in (17, 256):
        tables = pq_tables(1, 4, n_codewords)
        for search in SEARCHES:
            with pytest.raises(
                ValueError, match=f"tables have {n_codewords} codewords but packed codes have 16"
            ):
                search(tables, packed)


# --- files of packed codes ----------------------------------------------------------------------------------

both_ways = pytest.mark.parametrize("mmap", [True, False])


@both_widths
@both_ways
def test_a_loaded_file_is_what_was_saved(n_codewords: int, mmap: bool, tmp_path: Path) -> None:
    path = tmp_path / "codes"
    for n, n_subspaces in ((0, 3), (1, 1), (256, 8), (9000, 5)):
        codes, tables = pq_codes(n, n_subspaces, n_codewords), pq_tables(2, n_subspaces, n_codewords)
        packed = adc.PackedCodes(codes[: n // 2], n_codewords=n_codewords)
        packed.append(codes[n // 2 :])  # spare bytes stay out of the file
        packed.save(path)
        loaded = adc.PackedCodes.load(path, mmap=mmap)
        assert type(loaded) is adc.PackedCodes
        assert (loaded.shape, loaded.n_codewords, loaded.nbytes) == (packed.shape, n_codewords, packed.nbytes)
        assert same_bits(loaded.unpack(), codes)
        assert same_bits(adc.knn(tables, loaded, 5), adc.knn(tables, codes, 5))
        assert same_bits(adc.scan(tables, loaded), adc.scan(tables, codes))
        # What was loaded can be saved where it came from, copied and appended to.
        loaded.save(path)
        assert same_bits(copy.copy(loaded).unpack(), codes)
        assert same_bits(adc.PackedCodes.load(str(path), mmap=mmap).unpack(), codes)


@both_widths
@both_ways
def test_appending_to_what_was_loaded_leaves_the_file_as_it_is(
    n_codewords: int, mmap: bool, tmp_path: Path
) -> None:
    codes, more = pq_codes(300, 5, n_codewords), pq_codes(400, 5, n_codewords, seed=1)
    path = tmp_path / "codes"
    adc.PackedCodes(codes, n_codewords=n_codewords).save(path)
    content = path.read_bytes()
    for size in (1, 212, 400):  # within the last block, to its end, and beyond
        loaded = adc.PackedCodes.load(path, mmap=mmap)
        if n_codewords == 16:
            with pytest.raises(ValueError, match="codes has 16 in row 0"):
                loaded.append(np.full((1, 5), 16, np.uint8))
        loaded.append(more[:size])
        assert same_bits(loaded.unpack(), np.concatenate([codes, more[:size]]))
        assert path.read_bytes() == content
        assert same_bits(adc.PackedCodes.load(path, mmap=mmap).unpack(), codes)


def saved(path: Path) -> bytes:
    """Save some packed codes, and return the bytes of the file."""
    adc.PackedCodes(pq_codes(300, 2, 16), n_codewords=16).save(path)
    return path.read_bytes()


@both_ways
def test_a_file_that_was_cut_short_is_refused(mmap: bool, tmp_path: Path) -> None:
    path = tmp_path / "codes"
    content = saved(path)
    for end in (*range(0, len(content), 7), *range(len(content) - 20, len(content))):
        path.write_bytes(content[:end])
        with pytest.raises(ValueError, match=r"codes' is not a valid PackedCodes file: "):
            adc.PackedCodes.load(path, mmap=mmap)
    path.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match=r"codes' is not a valid PackedCodes file: "):
        adc.PackedCodes.load(path, mmap=mmap)


def test_a_file_with_an_altered_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "codes"
    content = saved(path)
    for place in range(len(content)):
        for flipped in (1, 0x80):
            altered = bytearray(content)
            altered[place] ^= flipped
            path.write_bytes(altered)
            with pytest.raises(ValueError, match=r"codes' is not a valid PackedCodes file: "):
                adc.PackedCodes.load(path, mmap=False)


@both_ways
def test_a_file_with_an_altered_header_is_refused(mmap: bool, tmp_path: Path) -> None:
    path = tmp_path / "codes"
    content = saved(path)
    for text, other in ((b'n_rows\\": 300', b'n_rows\\": 299'), (b'codewords\\": 16', b'codewords\\": 61')):
        assert content.count(text) == 1
        path.write_bytes(content.replace(text, other))
        with pytest.raises(ValueError, match="its header was altered"):
            adc.PackedCodes.load(path, mmap=mmap)


RIGHT = {"n_rows": 300, "n_subspaces": 2, "n_codewords": 16, "largest": 15}
WRONG_PARAMS: list[tuple[dict[str, Any], str]] = [
    (RIGHT | {"n_rows": 600}, "512 bytes; expected 768"),
    (RIGHT | {"largest": 16}, "largest must be from 0 to 15; got 16"),
    (RIGHT | {"largest": -1}, "not integers"),
    (RIGHT | {"n_rows": 0}, "512 bytes; expected 0"),
    (RIGHT | {"n_rows": 256}, "512 bytes; expected 256"),
    (RIGHT | {"n_rows": 2**70}, "not integers"),
    (RIGHT | {"n_rows": 2**62}, "512 bytes"),
    (RIGHT | {"n_rows": -1}, "not integers"),
    (RIGHT | {"n_rows": 300.0}, "not integers"),
    (RIGHT | {"n_rows": True}, "not integers"),
    (RIGHT | {"n_rows": "300"}, "not integers"),
    (RIGHT | {"n_rows": None}, "not integers"),
    (RIGHT | {"n_rows": [300]}, "not integers"),
    (RIGHT | {"n_subspaces": 3}, "512 bytes; expected 1024"),
    (RIGHT | {"n_subspaces": 0, "n_rows": 0}, "0 subspaces"),
    (RIGHT | {"n_subspaces": 2**62}, "512 bytes"),
    (RIGHT | {"n_codewords": 256}, "512 bytes; expected 1024"),
    (RIGHT | {"n_codewords": 17}, "n_codewords must be 16 or 256; got 17"),
    ({"n_rows": 300, "n_subspaces": 2}, "n_codewords"),
]


@both_ways
def test_a_file_whose_parts_do_not_go_together_is_refused(mmap: bool, tmp_path: Path) -> None:
    path = tmp_path / "codes"
    blocks = bytes_of(adc.PackedCodes(pq_codes(300, 2, 16), n_codewords=16))
    _files.write(path, "PackedCodes", RIGHT, {"blocks": blocks})
    assert len(adc.PackedCodes.load(path, mmap=mmap)) == 300
    for params, message in WRONG_PARAMS:
        _files.write(path, "PackedCodes", params, {"blocks": blocks})
        with pytest.raises(ValueError, match=f"codes' is not a valid PackedCodes file: .*{message}"):
            adc.PackedCodes.load(path, mmap=mmap)
    for arrays in ({}, {"bytes": blocks}, {"blocks": blocks.view(np.int8)}, {"blocks": blocks[:, None]}):
        _files.write(path, "PackedCodes", RIGHT, arrays)
        with pytest.raises(ValueError, match="array 'blocks' "):
            adc.PackedCodes.load(path, mmap=mmap)
    _files.write(path, "Other", RIGHT, {"blocks": blocks})
    with pytest.raises(ValueError, match=r"it holds a Other; load it with Other\.load"):
        adc.PackedCodes.load(path, mmap=mmap)
    with pytest.raises(FileNotFoundError):
        adc.PackedCodes.load(tmp_path / "none", mmap=mmap)


# --- attributes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["n_codewords", "n_subspaces", "nbytes", "shape", "rows"])
def test_attributes_cannot_be_changed(name: str) -> None:
    packed = adc.PackedCodes(pq_codes(300, 3, 256))
    with pytest.raises(AttributeError):
        setattr(packed, name, 3)
    assert packed.shape == (300, 3)


# --- at the same time --------------------------------------------------------------------------------------


@both_widths
def test_a_search_sees_the_rows_of_the_moment_it_began(n_codewords: int) -> None:
    codes, tables = pq_codes(40_000, 7, n_codewords), pq_tables(2, 7, n_codewords)
    expected = adc.scan(tables, codes)
    packed = adc.PackedCodes(codes[:1000], n_codewords=n_codewords)
    problems: list[BaseException] = []

    def append() -> None:
        end = len(packed)
        rng = np.random.default_rng(0)
        while end < len(codes):
            size = int(rng.integers(1, 200))
            try:
                packed.append(codes[end : end + size])
            except BaseException as error:
                problems.append(error)
                raise
            end = len(packed)

    appender = threading.Thread(target=append)
    appender.start()
    n_right = 0
    while appender.is_alive() or not n_right:
        before = len(packed)
        sums = adc.scan(tables, packed, threads=1)
        nearest = adc.knn(tables, packed, 1000, threads=2)[1]
        assert before <= sums.shape[1] <= len(packed)
        assert same_bits(sums, expected[:, : sums.shape[1]])
        assert nearest.max() < len(packed)
        n_right += 1
    appender.join()
    assert not problems
    assert same_bits(packed.unpack(), codes)


def interleaved(step: int, call: Callable[[], Any], other: Callable[[], Any]) -> tuple[bool, Any]:
    """Run `other` in a thread after some steps of `call`; say if there were as many, and give the result."""
    n_steps, thread = 0, threading.Thread(target=other)

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal n_steps
        frame.f_trace_opcodes = True
        if event == "opcode":
            n_steps += 1
            if n_steps == step:
                thread.start()
                thread.join(0.05)  # longer, if it waits for the call to end
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = call()
    finally:
        sys.settrace(before)
    if thread.ident is not None:
        thread.join()
    return n_steps >= step, result


@both_widths
@pytest.mark.parametrize("n", [255, 256, 300])
@pytest.mark.parametrize("mmap", [None, True])
def test_an_append_between_any_two_steps_of_a_search(
    mmap: bool | None, n: int, n_codewords: int, tmp_path: Path
) -> None:
    codes, tables = pq_codes(n + 1, 3, n_codewords), pq_tables(1, 3, n_codewords)
    expected = oracles.adc(tables, codes)
    adc.PackedCodes(codes[:n], n_codewords=n_codewords).save(tmp_path / "codes")
    step, has_more, sizes = 0, True, set()
    while has_more:
        step += 1
        packed = adc.PackedCodes(codes[:n], n_codewords=n_codewords)
        if mmap:
            packed = adc.PackedCodes.load(tmp_path / "codes")
        has_more, found = interleaved(
            step, lambda p=packed: adc.scan(tables, p), lambda p=packed: p.append(codes[n:])
        )
        assert same_bits(found, expected[:, : found.shape[1]]), step
        sizes.add(found.shape[1])
        assert same_bits(packed.unpack(), codes if has_more else codes[:n])
    assert sizes == {n, n + 1}


@both_widths
@pytest.mark.parametrize("n", [0, 255, 300])
def test_an_append_between_any_two_steps_of_another_loses_nothing(n: int, n_codewords: int) -> None:
    codes, more = pq_codes(n + 3, 5, n_codewords), pq_codes(2, 5, n_codewords, seed=1)
    step, has_more = 0, True
    while has_more:
        step += 1
        packed = adc.PackedCodes(codes[:n], n_codewords=n_codewords)
        has_more, _ = interleaved(step, lambda p=packed: p.append(codes[n:]), lambda p=packed: p.append(more))
        added = [codes[n:], more if has_more else more[:0]]
        orders = [np.concatenate([codes[:n], *order]) for order in (added, added[::-1])]
        assert any(same_bits(packed.unpack(), order) for order in orders), step


def test_few_of_very_many_rows_are_found_without_a_visit_to_the_others() -> None:
    everywhere = np.broadcast_to(np.arange(8, dtype=np.uint8), (2**42, 8))
    ids = np.array([2**41, 3, 7, 2**41])
    distances, indices = adc.knn(pq_tables(1, 8, 16), everywhere, 2, mask=ids)
    assert indices.tolist() == [[3, 7]]
    offsets, found, rows = adc.radius(pq_tables(1, 8, 16), everywhere, np.inf, mask=ids)
    assert offsets.tolist() == [0, 3]
    assert rows.tolist() == [3, 7, 2**41]
    assert (found == distances[0, 0]).all()
