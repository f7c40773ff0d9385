"""The adc family against its oracle, to the bit; and what holds without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes import adc
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


def test_few_of_very_many_rows_are_found_without_a_visit_to_the_others() -> None:
    everywhere = np.broadcast_to(np.arange(8, dtype=np.uint8), (2**42, 8))
    ids = np.array([2**41, 3, 7, 2**41])
    distances, indices = adc.knn(pq_tables(1, 8, 16), everywhere, 2, mask=ids)
    assert indices.tolist() == [[3, 7]]
    offsets, found, rows = adc.radius(pq_tables(1, 8, 16), everywhere, np.inf, mask=ids)
    assert offsets.tolist() == [0, 3]
    assert rows.tolist() == [3, 7, 2**41]
    assert (found == distances[0, 0]).all()


def test_a_row_is_not_its_own_neighbour() -> None:
    tables, codes = pq_tables(30, 4, 16), pq_codes(6, 4, 16)[np.arange(30) % 6]
    d = oracles.adc(tables, codes)
    np.fill_diagonal(d, np.inf)
    expected = oracles.knn(d, 29, None, np.inf)
    for source in sources(codes, 16).values():
        assert same_bits(adc.knn(tables, source, 29, exclude_self=True), expected)
