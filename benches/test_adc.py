"""fastcodes.adc against faiss and numpy, and against itself on hard data."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest
from fastcodes import _native, adc
from fastcodes._typing import Array
from fastcodes.cli.measure import random_pq
from fastcodes.cli.peers import Peer, Search

N = 1_000_000
N_QUERIES = 100
N_QUERIES_OF_LEVELS = 10  # the portable body takes seconds for a hundred
K = 10

# AVX2 takes eight shuffles for a look-up in 256 entries of four bits, AVX-512 four for entries of eight.
HAS_WIDE_SHUFFLES = _native.level() == "avx512"
AHEAD_OF_FAISS = (
    {8: 12.0, 16: 15.0, 32: 15.0, 96: 15.0} if HAS_WIDE_SHUFFLES else dict.fromkeys((8, 16, 32, 96), 8.0)
)
AHEAD_OF_FAISS_ONE_QUERY = (
    {8: 8.0, 16: 10.0, 32: 10.0, 96: 10.0} if HAS_WIDE_SHUFFLES else dict.fromkeys((8, 16, 32, 96), 5.0)
)
AHEAD_OF_FAISS_ROW_MAJOR = 3.0
AHEAD_OF_FAST_SCAN = 1.0
AHEAD_OF_FAISS_ENCODING = 1.5
AHEAD_OF_PORTABLE = {8: 1.3, 4: 3.0}  # by bits per subspace
MAX_SLOWDOWN = 3.0  # of hard data, compared with random codes

peers = partial(pytest.mark.parametrize, "peer", indirect=True)


@dataclass(frozen=True)
class Shape:
    """Codes of `n_subspaces` with `n_bits` each."""

    n_subspaces: int
    n_bits: int = 8

    def __str__(self) -> str:
        return f"{self.n_subspaces} bytes" if self.n_bits == 8 else f"{self.n_subspaces} x {self.n_bits} bits"


@dataclass(frozen=True)
class Data:
    """Codebooks, database and queries, and the true distances of the first query."""

    codebooks: Array
    codes: Array
    queries: Array
    sums: Array
    """Of the first query to all codes, by `slow_sums`."""


@lru_cache(maxsize=1)
def data(shape: Shape, n: int) -> Data:
    """Return random data; only the last is kept."""
    n_codewords, d_sub = {8: (256, 8), 4: (16, 2)}[shape.n_bits]
    codebooks, codes, queries = random_pq(n, shape.n_subspaces, n_codewords, d_sub, N_QUERIES)
    return Data(codebooks, codes, queries, slow_sums(slow_tables(queries[:1], codebooks)[0], codes))


def slow_tables(vectors: Array, codebooks: Array) -> Array:
    """Return the squared distances to all codewords, summed in float32 from the first dimension on."""
    n_subspaces, n_codewords, d_sub = codebooks.shape
    parts = vectors.reshape(len(vectors), n_subspaces, 1, d_sub)
    tables = np.zeros((len(vectors), n_subspaces, n_codewords), np.float32)
    for j in range(d_sub):
        tables += (parts[..., j] - codebooks[..., j]) ** 2
    return tables


def slow_sums(table: Array, codes: Array) -> Array:
    """Return the distance of each code, summed in float32 from the first subspace on."""
    sums = np.zeros(len(codes), np.float32)
    for entries, column in zip(table, codes.T, strict=True):
        sums += entries[column]
    return sums


def check_exact(sums: Array, k: int, answer: tuple[Array, Array]) -> None:
    nearest = np.argsort(sums, kind="stable")[:k]
    np.testing.assert_array_equal(answer[1][0], nearest)
    np.testing.assert_array_equal(answer[0][0], sums[nearest])


def check_close(sums: Array, k: int, answer: tuple[Array, Array]) -> None:
    # Peers sum in another order, with other rounding errors.
    np.testing.assert_allclose(answer[0][0], np.sort(sums)[:k], rtol=1e-5)


def check_recall(sums: Array, k: int, answer: tuple[Array, Array]) -> None:
    # Quantised tables are approximate.
    assert np.mean(sums[answer[1][0]] <= np.sort(sums)[k - 1]) >= 0.5


def how_many(n_queries: int) -> str:
    return "1 query" if n_queries == 1 else f"{n_queries} queries"


def knn_contest(
    contest: Any,
    peer: Peer,
    shape: Shape,
    n: int,
    n_queries: int,
    threads: int,
    group: str,
    needs: dict[str, float],
) -> None:
    """Time the look-up tables and the search together."""
    given = data(shape, n)
    queries = given.queries[:n_queries]
    assert peer.adc_knn is not None
    search = peer.adc_knn(given.codebooks, given.codes, threads)
    is_ours = peer.name == "fastcodes"
    check = check_exact if is_ours else check_close if shape.n_bits == 8 else check_recall
    contest(
        f"{peer.name}, {threads} threads" if threads > 1 else peer.name,
        lambda: search(queries, K),
        group=group,
        check=partial(check, given.sums, K),
        amount=n_queries * n,
        unit="distances",
        needs=needs if is_ours else None,
    )


# --- 256 codewords ------------------------------------------------------------------------------------------


@peers(["fastcodes", "faiss"])
@pytest.mark.parametrize("n_bytes", AHEAD_OF_FAISS_ONE_QUERY)
def test_one_query(contest: Any, peer: Peer, n_bytes: int) -> None:
    needs = {"faiss": AHEAD_OF_FAISS_ONE_QUERY[n_bytes]}
    group = f"adc.knn, packed, 1 query, {n_bytes} bytes"
    knn_contest(contest, peer, Shape(n_bytes), N, 1, 1, group, needs)


@peers(["numpy"])
def test_one_query_of_slow_peers(contest: Any, peer: Peer) -> None:
    knn_contest(contest, peer, Shape(16), N, 1, 1, "adc.knn, packed, 1 query, 16 bytes", {})


@peers(["fastcodes", "faiss"])
@pytest.mark.parametrize("n_bytes", AHEAD_OF_FAISS)
def test_many_queries(contest: Any, peer: Peer, n_bytes: int) -> None:
    needs = {"faiss": AHEAD_OF_FAISS[n_bytes]}
    group = f"adc.knn, packed, 100 queries, {n_bytes} bytes"
    knn_contest(contest, peer, Shape(n_bytes), N, N_QUERIES, 1, group, needs)


def row_major_knn(codebooks: Array, codes: Array, threads: int) -> Search:
    return lambda queries, k: adc.knn(
        adc.tables(queries, codebooks, threads=threads), codes, k, threads=threads
    )


@peers(["fastcodes", "faiss"])
@pytest.mark.parametrize("n_bytes", AHEAD_OF_FAISS_ONE_QUERY)
def test_row_major(contest: Any, peer: Peer, n_bytes: int) -> None:
    """Search row-major codes without packing them."""
    if peer.name == "fastcodes":
        peer = replace(peer, adc_knn=row_major_knn)
    group = f"adc.knn, row-major, 1 query, {n_bytes} bytes"
    knn_contest(contest, peer, Shape(n_bytes), N, 1, 1, group, {"faiss": AHEAD_OF_FAISS_ROW_MAJOR})


@pytest.mark.skipif(_native.threads() < 2, reason="needs two CPUs")
@peers(["fastcodes"])
@pytest.mark.parametrize("threads", [1, 2])
def test_two_threads(contest: Any, peer: Peer, threads: int) -> None:
    group = "adc.knn, packed, 100 queries, 16 bytes, two threads against one"
    knn_contest(contest, peer, Shape(16), N, N_QUERIES, threads, group, {"fastcodes": 1.8})


# --- 16 codewords: the search of fastcodes is exact, that of faiss is not -----------------------------------


@peers(["fastcodes", "faiss"])
@pytest.mark.parametrize("n_queries", [1, N_QUERIES])
@pytest.mark.parametrize("n_subspaces", [16, 32, 64])
def test_sixteen_codewords(contest: Any, peer: Peer, n_subspaces: int, n_queries: int) -> None:
    shape = Shape(n_subspaces, 4)
    group = f"adc.knn, packed, {how_many(n_queries)}, {shape}"
    knn_contest(contest, peer, shape, N, n_queries, 1, group, {"faiss": AHEAD_OF_FAST_SCAN})


# --- hard cases: the k-th best distance, by which a search skips most codes, skips few or none --------------


@dataclass(frozen=True)
class Case:
    """The look-up tables of the queries, and the codes."""

    tables: Array
    codes: Array
    k: int = K


def random_codes(given: Data) -> Case:
    return Case(adc.tables(given.queries, given.codebooks), given.codes)


def descending_distance(given: Data) -> Case:
    """Return codes that approach the first query, and queries near it."""
    steps = np.random.default_rng(1).normal(0, 0.01, given.queries.shape).astype(np.float32)
    queries = given.queries[0] + steps
    queries[0] = given.queries[0]
    return Case(adc.tables(queries, given.codebooks), given.codes[np.argsort(-given.sums)])


def all_equal(given: Data) -> Case:
    return replace(random_codes(given), codes=np.tile(given.codes[0], (len(given.codes), 1)))


def huge_entry(given: Data) -> Case:
    """Return tables with one entry that dwarfs all others."""
    case = random_codes(given)
    case.tables[:, 0, 0] = 1e30
    return case


def many_neighbors(given: Data) -> Case:
    return replace(random_codes(given), k=1000)


def many_neighbors_descending(given: Data) -> Case:
    return replace(descending_distance(given), k=1000)


HARD_CASES: dict[str, Callable[[Data], Case]] = {
    "random codes": random_codes,
    "descending distance": descending_distance,
    "all codes equal": all_equal,
    "one huge entry": huge_entry,
    "k = 1000": many_neighbors,
    "k = 1000, descending distance": many_neighbors_descending,
}


@pytest.mark.parametrize("name", HARD_CASES)
@pytest.mark.parametrize("n_queries", [1, N_QUERIES])
@pytest.mark.parametrize("shape", [Shape(16), Shape(32, 4)], ids=str)
def test_hard_cases(contest: Any, shape: Shape, n_queries: int, name: str) -> None:
    """Time the search alone: all cases spend the same time on tables."""
    case = HARD_CASES[name](data(shape, N))
    tables = case.tables[:n_queries]
    packed = adc.PackedCodes(case.codes, n_codewords=tables.shape[2])
    contest(
        name,
        lambda: adc.knn(tables, packed, case.k, threads=1),
        group=f"adc.knn, packed, {how_many(n_queries)}, {shape}, hard cases",
        check=partial(check_exact, slow_sums(tables[0], case.codes), case.k),
        amount=n_queries * N,
        unit="distances",
        needs={"k = 1000" if name.startswith("k = 1000,") else "random codes": 1 / MAX_SLOWDOWN},
    )


@peers(["fastcodes", "faiss", "numpy"])
def test_call_overhead(contest: Any, peer: Peer) -> None:
    group = "adc.knn, packed, 1 query, 1,000 codes of 16 bytes: the price of a call"
    knn_contest(contest, peer, Shape(16), 1000, 1, 1, group, {})


# --- levels: a process has only one, so each level gets its own process -------------------------------------


@lru_cache(maxsize=1)
def packed_there(shape: Shape, n: int) -> tuple[Array, adc.PackedCodes]:
    given = data(shape, n)
    tables = adc.tables(given.queries[:N_QUERIES_OF_LEVELS], given.codebooks)
    return tables, adc.PackedCodes(given.codes, n_codewords=tables.shape[2])


def search_there(shape: Shape, n: int) -> tuple[Array, Array]:
    tables, packed = packed_there(shape, n)
    return adc.knn(tables, packed, K, threads=1)


@pytest.mark.parametrize("process", ["portable", "avx2", "avx512"], indirect=True)
@pytest.mark.parametrize("shape", [Shape(16), Shape(32, 4)], ids=str)
def test_levels(contest: Any, process: ProcessPoolExecutor, shape: Shape) -> None:
    level = process.submit(_native.level).result()
    # Passing the work to the process takes 0.1 ms, the work itself at least 1 ms.
    contest(
        level,
        lambda: process.submit(search_there, shape, N).result(),
        group=f"adc.knn, packed, {how_many(N_QUERIES_OF_LEVELS)}, {shape}, levels",
        check=partial(check_exact, data(shape, N).sums, K),
        amount=N_QUERIES_OF_LEVELS * N,
        unit="distances",
        needs={"portable": AHEAD_OF_PORTABLE[shape.n_bits]} if level != "portable" else None,
    )


# --- encoding -----------------------------------------------------------------------------------------------

N_ENCODED = 100_000
DIMENSIONS = 128
N_SUBSPACES, N_CODEWORDS = 16, 256


@lru_cache(maxsize=1)
def vectors(n: int) -> Array:
    return np.random.default_rng(0).standard_normal((n, DIMENSIONS), np.float32)


def check_codes(x: Array, codebooks: Array, exact: bool, codes: Array) -> None:
    sample = slice(1000)
    expected = slow_tables(x[sample], codebooks).argmin(axis=2)
    assert codes.shape == (len(x), len(codebooks))
    assert np.mean(codes[sample] == expected) >= (1.0 if exact else 0.999)


@peers(["fastcodes", "faiss"])
def test_encode(contest: Any, peer: Peer) -> None:
    x, codebooks = vectors(N_ENCODED), data(Shape(N_SUBSPACES), 1000).codebooks
    is_ours = peer.name == "fastcodes"
    assert peer.adc_encode is not None
    contest(
        peer.name,
        partial(peer.adc_encode, x, codebooks, 1),
        group=f"adc.encode, {DIMENSIONS} dimensions, {N_SUBSPACES} x {N_CODEWORDS} codewords",
        check=partial(check_codes, x, codebooks, is_ours),
        amount=x.nbytes,
        unit="bytes",
        needs={"faiss": AHEAD_OF_FAISS_ENCODING} if is_ours else None,
    )
