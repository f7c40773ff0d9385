"""Searches over packed bits by either metric: knn, radius, cdist and pairs against their definition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import oracles
import pytest
from helpers import Array, Family, both_families, ramp, random_codes, same
from hypothesis import given, settings
from hypothesis import strategies as st

N_BYTES = (1, 3, 8, 9, 16, 31, 32, 64, 65, 128)
N_ROWS = (0, 1, 7, 8, 9, 31, 33, 300)
N_QUERIES = (0, 1, 2, 3, 5)
THREADS = (1, 2, None)


def masks(n: int) -> Iterator[Array | None]:
    """Yield masks of every kind for `n` rows."""
    rng = np.random.default_rng(n)
    yield None
    yield rng.random(n) < 0.5
    yield np.zeros(n, bool)
    yield np.ones(n, bool)
    yield np.empty(0, np.int64)
    for dtype in (np.int64, np.int32, np.uint64, np.uint16):
        # In any order, some of them twice.
        yield rng.integers(0, n, n // 2 + 1).astype(dtype) if n else np.empty(0, dtype)
    yield np.arange(min(n, 100), dtype=np.int8)[::-1]


def radii(family: Family, d: Array) -> list[float]:
    """Radii that are met exactly, and some others."""
    met = np.unique(d)
    return [family.radius_of(met[len(met) * i // 4]) for i in range(4) if len(met)] + list(family.radii)


def check_all(family: Family, queries: Array, codes: Array, context: Any, ks: tuple[int, ...] = ()) -> None:
    """Compare all four functions with their oracles for every mask, k, radius and number of threads."""
    n = len(codes)
    ks = ks or (0, 1, 10, n, n + 3)
    d = family.distances(queries, codes)
    limits = radii(family, d)
    for mask in masks(n):
        name = None if mask is None else (mask.dtype, mask.tolist())
        most = oracles.knn(d, max(ks), mask, family.padding)
        for k in ks:
            wanted = tuple(found[:, :k] for found in most)
            for threads in THREADS:
                found = family.module.knn(queries, codes, k, mask=mask, threads=threads)
                assert same(found, wanted, (family.dtype, np.int64)), ("knn", context, name, k, threads)
        for limit in limits:
            wanted = oracles.radius(d, limit, mask)
            for threads in THREADS:
                found = family.module.radius(queries, codes, limit, mask=mask, threads=threads)
                dtypes = (np.int64, family.dtype, np.int64)
                assert same(found, wanted, dtypes), ("radius", context, name, limit, threads)
    for threads in THREADS:
        found = family.module.cdist(queries, codes, threads=threads)
        assert same(found, d, (family.dtype,)), ("cdist", context, threads)


def check_pairs(family: Family, codes: Array, context: Any) -> None:
    """Compare pairs with its oracle for every radius and number of threads."""
    d = family.distances(codes, codes)
    for limit in radii(family, d):
        wanted = oracles.pairs(d, limit)
        for threads in THREADS:
            found = family.module.pairs(codes, limit, threads=threads)
            dtypes = (np.int64, np.int64, family.dtype)
            assert same(found, wanted, dtypes), ("pairs", context, limit, threads)
            groups = family.module.groups(codes, limit, threads=threads)
            assert same(groups, oracles.components(*wanted[:2], len(codes))), (
                "groups",
                context,
                limit,
                threads,
            )


@both_families
@pytest.mark.parametrize("n_bytes", N_BYTES)
def test_every_shape_equals_the_definition(family: Family, n_bytes: int) -> None:
    for n in N_ROWS:
        for n_queries in N_QUERIES:
            queries, codes = random_codes(n_queries, n_bytes, seed=1), random_codes(n, n_bytes, seed=2)
            check_all(family, queries, codes, (n_bytes, n, n_queries))


@both_families
@pytest.mark.parametrize("n_bytes", N_BYTES)
def test_pairs_of_every_shape_equal_the_definition(family: Family, n_bytes: int) -> None:
    for n in N_ROWS:
        check_pairs(family, random_codes(n, n_bytes), (n_bytes, n))


EXTREMES = {
    "zeros": lambda n, n_bytes: np.zeros((n, n_bytes), np.uint8),
    "ones": lambda n, n_bytes: np.full((n, n_bytes), 255, np.uint8),
    "zeros and ones": lambda n, n_bytes: np.full((n, n_bytes), 255, "u1") * (np.arange(n) % 2 == 1)[:, None],
    "few distinct": lambda n, n_bytes: random_codes(3, n_bytes)[np.arange(n) * 7 % 3],
    "sparse": lambda n, n_bytes: random_codes(n, n_bytes, density=0.02),
    "dense": lambda n, n_bytes: random_codes(n, n_bytes, density=0.98),
    "ascending": ramp,
    "descending": lambda n, n_bytes: ramp(n, n_bytes)[::-1].copy(),
}


@both_families
@pytest.mark.parametrize("kind", EXTREMES)
def test_extreme_codes_equal_the_definition(family: Family, kind: str) -> None:
    for n_bytes in (1, 8, 20, 64):
        codes = EXTREMES[kind](130, n_bytes)
        queries = np.concatenate([codes[[0, -1]], ramp(3, n_bytes)])
        check_all(family, queries, codes, (kind, n_bytes), ks=(1, 40))
        check_pairs(family, codes, (kind, n_bytes))


@both_families
@pytest.mark.parametrize(("n_queries", "n", "n_bytes"), [(1, 20_000, 4), (3, 9_000, 16), (150, 2_500, 8)])
def test_more_rows_and_queries_than_a_task_has(family: Family, n_queries: int, n: int, n_bytes: int) -> None:
    # Few bits, hence many ties; many rows and queries, hence several tiles, blocks and threads.
    queries, codes = random_codes(n_queries, n_bytes, seed=1), random_codes(n, n_bytes, seed=2)
    d = family.distances(queries, codes)
    limit = family.radius_of(np.partition(d.ravel(), 500)[500])
    for mask in (None, np.arange(n) % 3 > 0, np.arange(n)[::-2]):
        for threads in THREADS:
            for k in (1, 10, 1000):
                found = family.module.knn(queries, codes, k, mask=mask, threads=threads)
                assert same(found, oracles.knn(d, k, mask, family.padding)), (k, threads)
            found = family.module.radius(queries, codes, limit, mask=mask, threads=threads)
            assert same(found, oracles.radius(d, limit, mask)), threads
    for threads in THREADS:
        assert same(family.module.cdist(queries, codes, threads=threads), d)


@both_families
@pytest.mark.parametrize("order", ["descending", "ascending", "random", "equal"])
@pytest.mark.parametrize("n_queries", [1, 9])
def test_orders_of_many_rows_equal_the_definition(family: Family, order: str, n_queries: int) -> None:
    """A search looks at some rows first; what follows is nearer, farther, or as near."""
    n = 17_000  # two of `k` rows for each that is looked at first, if k is 1000
    rng = np.random.default_rng(n_queries)
    codes, queries = random_codes(n, 8, seed=1), random_codes(n_queries, 8, seed=2)
    d = family.distances(queries[:1], codes)[0]
    if order == "equal":
        codes = np.tile(codes[:1], (n, 1))
    elif order != "random":
        codes = codes[np.argsort(d if order == "ascending" else -d, kind="stable")]
    d = family.distances(queries, codes)
    for mask in (None, rng.random(n) < 0.97, rng.integers(0, n, n)):
        for k in (1, 1000, n):
            wanted = oracles.knn(d, k, mask, family.padding)
            for threads in THREADS:
                found = family.module.knn(queries, codes, k, mask=mask, threads=threads)
                assert same(found, wanted, (family.dtype, np.int64)), (order, k, threads)


@both_families
def test_pairs_of_many_rows_equal_the_definition(family: Family) -> None:
    codes = random_codes(1500, 8)
    d = family.distances(codes, codes)
    limit = family.radius_of(np.partition(d.ravel(), 5000)[5000])
    for threads in THREADS:
        wanted = oracles.pairs(d, limit)
        assert same(family.module.pairs(codes, limit, threads=threads), wanted), threads
        groups = family.module.groups(codes, limit, threads=threads)
        assert same(groups, oracles.components(*wanted[:2], len(codes))), threads


@st.composite
def searches(draw: st.DrawFn) -> tuple[Array, Array, int, Array | None, int | None]:
    n_bytes, n, n_queries = draw(st.integers(1, 80)), draw(st.integers(0, 80)), draw(st.integers(0, 9))
    # A small alphabet makes ties, padding bits and empty codes likely.
    alphabet = draw(st.sampled_from([(0, 1), (0, 255), (0, 128, 3), tuple(range(256))]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    queries, codes = (rng.choice(alphabet, (rows, n_bytes)).astype(np.uint8) for rows in (n_queries, n))
    kind = draw(st.sampled_from(["none", "bool", "ids"]))
    mask = {"none": None, "bool": rng.random(n) < rng.random(), "ids": rng.integers(0, max(n, 1), n)}[kind]
    return queries, codes, draw(st.integers(0, n + 2)), mask, draw(st.sampled_from(THREADS))


@both_families
@settings(deadline=None, max_examples=150)
@given(search=searches(), share=st.floats(0, 1))
def test_random_searches_equal_the_definition(family: Family, search: Any, share: float) -> None:
    queries, codes, k, mask, threads = search
    d = family.distances(queries, codes)
    limit = family.radius_of(np.quantile(d, share, method="lower")) if d.size else family.radius_of(0)
    assert same(
        family.module.knn(queries, codes, k, mask=mask, threads=threads),
        oracles.knn(d, k, mask, family.padding),
    )
    assert same(
        family.module.radius(queries, codes, limit, mask=mask, threads=threads),
        oracles.radius(d, limit, mask),
    )
    assert same(family.module.cdist(queries, codes, threads=threads), d)
    within = oracles.pairs(family.distances(codes, codes), limit)
    assert same(family.module.pairs(codes, limit, threads=threads), within)


# --- properties that need no oracle -------------------------------------------------------------------------


@both_families
def test_the_distances_are_a_metric(family: Family) -> None:
    codes = np.concatenate([random_codes(20, 5, density=density) for density in (0.05, 0.5, 0.9)])
    d = family.module.cdist(codes, codes)
    assert (d == d.T).all()
    assert (np.diag(d) == 0).all()
    assert (d >= 0).all()
    detours = (d[:, :, None] + d[None, :, :]).min(axis=1)
    assert (d <= detours * (1 + 1e-6)).all()


@both_families
def test_fewer_neighbors_are_a_prefix_of_more(family: Family) -> None:
    queries, codes = random_codes(4, 3, seed=1), random_codes(200, 3)
    distances, indices = family.module.knn(queries, codes, 220)
    assert (indices[:, 200:] == -1).all()
    assert (distances[:, 200:] == family.padding).all()
    assert (np.sort(indices[:, :200]) == np.arange(200)).all()
    for k in (1, 2, 33, 199):
        assert same(family.module.knn(queries, codes, k), (distances[:, :k], indices[:, :k])), k


@both_families
def test_radius_and_pairs_are_filters_of_cdist(family: Family) -> None:
    codes = random_codes(90, 2)
    d = family.module.cdist(codes, codes)
    for limit in map(family.radius_of, np.unique(d)):
        offsets, distances, indices = family.module.radius(codes, codes, limit)
        query = np.repeat(np.arange(90), np.diff(offsets))
        assert (np.bincount(query, minlength=90) == (d <= limit).sum(axis=1)).all()
        assert (distances == d[query, indices]).all()
        i, j, within = family.module.pairs(codes, limit)
        upper = query < indices
        assert set(zip(i.tolist(), j.tolist(), strict=True)) == set(
            zip(query[upper].tolist(), indices[upper].tolist(), strict=True)
        )
        assert (within == d[i, j]).all()


@both_families
def test_a_mask_of_booleans_is_one_of_ids(family: Family) -> None:
    queries, codes = random_codes(5, 6, seed=1), random_codes(500, 6)
    for share in (0.002, 0.1, 0.9):
        mask = np.random.default_rng(3).random(500) < share
        ids = np.random.default_rng(4).permutation(np.tile(np.flatnonzero(mask), 2))
        limit = family.radius_of(np.median(family.distances(queries, codes)))
        for verb, number in (("knn", 30), ("radius", limit)):
            function = getattr(family.module, verb)
            by_booleans = function(queries, codes, number, mask=mask)
            assert same(by_booleans, function(queries, codes, number, mask=ids)), verb
            distances, indices = function(queries, codes[mask], number)[-2:]
            assert same(by_booleans[-2:], (distances, np.append(np.flatnonzero(mask), -1)[indices])), verb


@both_families
def test_the_order_of_rows_decides_ties_only(family: Family) -> None:
    queries, codes = random_codes(5, 2, seed=1), random_codes(300, 2)
    order = np.random.default_rng(5).permutation(300)
    distances, indices = family.module.knn(queries, codes, 300)
    shuffled, places = family.module.knn(queries, codes[order], 300)
    assert (distances == shuffled).all()
    for row in range(5):
        # Within each distance the same rows, by their new numbers in ascending order.
        for distance in np.unique(distances[row]):
            tie = distances[row] == distance
            assert set(order[places[row, tie]].tolist()) == set(indices[row, tie].tolist())
            assert (np.diff(places[row, tie]) > 0).all()
            assert (np.diff(indices[row, tie]) > 0).all()


def others(d: Array, k: int, mask: Array | None, padding: float) -> tuple[Array, Array]:
    """Return the nearest rows of each row but itself, from all distances (n, n)."""
    distances, indices = np.full((len(d), k), padding), np.full((len(d), k), -1)
    for row, of_row in enumerate(d):
        rows = np.arange(len(d)) if mask is None else np.unique(np.arange(len(d))[mask])
        rows = rows[rows != row]
        rows = rows[np.argsort(of_row[rows], kind="stable")][:k]
        distances[row, : len(rows)], indices[row, : len(rows)] = of_row[rows], rows
    return distances, indices


@both_families
@pytest.mark.parametrize("n_different", [1, 3, 40])
def test_a_row_is_not_its_own_neighbour(family: Family, n_different: int) -> None:
    codes = random_codes(n_different, 4)[np.random.default_rng(0).integers(0, n_different, 40)]
    d = family.distances(codes, codes)
    for mask in (None, np.arange(40) % 3 > 0, np.array([5, 9, 30])):
        for k in (0, 1, 5, 39, 40, 50):
            found = family.module.knn(codes, codes, k, exclude_self=True, mask=mask)
            assert same(found, others(d, k, mask, family.padding)), (mask, k)
            assert found[0].dtype == family.dtype
    assert same(
        family.module.knn(codes[0], codes[:1], 2, exclude_self=True),
        others(d[:1, :1], 2, None, family.padding),
    )
    assert family.module.knn(codes[:0], codes[:0], 2, exclude_self=True)[0].shape == (0, 2)


@both_families
def test_the_results_of_a_radius_are_a_sparse_matrix_of_scipy(family: Family) -> None:
    sparse = pytest.importorskip("scipy.sparse", reason="compares with scipy, which is not installed")
    queries, codes = random_codes(7, 4, seed=1), random_codes(50, 4)
    codes[3] = queries[2]
    d = family.distances(queries, codes)
    radius = family.radius_of(np.sort(d, axis=None)[100])
    offsets, distances, indices = family.module.radius(queries, codes, radius)
    graph = sparse.csr_array((distances, indices, offsets), shape=(7, 50))
    assert graph.nnz == (d <= radius).sum()
    assert np.array_equal(graph.toarray(), np.where(d <= radius, d, 0))


@both_families
def test_equal_codes_are_grouped_without_their_pairs(family: Family) -> None:
    # Blank images: 200 million pairs.
    codes = np.concatenate([np.zeros((20_000, 8), np.uint8), np.full((5, 8), 255, np.uint8)])
    groups = family.module.groups(codes, 0)
    assert (groups[:20_000] == 0).all()
    assert (groups[20_000:] == 20_000).all()
