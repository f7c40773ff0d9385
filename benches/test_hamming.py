"""fastcodes.hamming against faiss, NumKong, usearch and numpy, and against itself on hard data."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest
from fastcodes import _native, bits, hamming
from fastcodes._typing import Array
from fastcodes.cli.measure import random_codes
from fastcodes.cli.peers import Peer, installed

N = 1_000_000
N_QUERIES = 100
K = 10
N_CHECKED = 2  # queries whose distances are checked by numpy, which is too slow for all

AHEAD_OF_FAISS = {64: 10.0, 128: 8.0, 256: 6.0, 512: 4.0, 768: 4.0, 1024: 5.0, 4096: 6.0}
if _native.level() != "avx512":
    AHEAD_OF_FAISS = dict.fromkeys(AHEAD_OF_FAISS, 4.5)  # no instruction counts the bits of a register
AHEAD_OF_FAISS_ONE_QUERY = {64: 1.7, 128: 1.3, 256: 1.0, 512: 1.0, 768: 1.0, 1024: 1.0, 4096: 1.0}
AHEAD_OF_FAISS_BY_K = {1: 4.0, 100: 3.0, 1000: 2.0}
AHEAD_OF_MATMUL = 10.0
SHARE_OF_ROOFLINE = 0.7  # from 256 bits up
MAX_SLOWDOWN = 3.0  # of hard data, compared with random codes

peers = partial(pytest.mark.parametrize, "peer", indirect=True)


@lru_cache(maxsize=1)
def database(n_bits: int) -> Array:
    """Return the codes; only those of the last width are kept."""
    return random_codes(N, n_bits // 8)


@lru_cache(maxsize=1)
def queries(n_bits: int) -> Array:
    return random_codes(N_QUERIES, n_bits // 8, seed=1)


@lru_cache(maxsize=2)
def true_distances(n_bits: int, k: int) -> Array:
    """Return the sorted distances of the first queries, computed by numpy."""
    search_by_numpy = installed()[0].hamming_knn
    assert search_by_numpy is not None
    return search_by_numpy(database(n_bits), 1)(queries(n_bits)[:N_CHECKED], k)[0]


def how_many(n_queries: int) -> str:
    return "1 query" if n_queries == 1 else f"{n_queries} queries"


def check_distances(expected: Array, answer: tuple[Array, Array]) -> None:
    distances, indices = answer
    np.testing.assert_array_equal(distances[: len(expected)], expected[: len(distances)])
    assert indices.shape == distances.shape


def knn_contest(
    contest: Any,
    peer: Peer,
    n_bits: int,
    n_queries: int,
    k: int,
    threads: int,
    group: str,
    needs: dict[str, float],
) -> None:
    assert peer.hamming_knn is not None
    search = peer.hamming_knn(database(n_bits), threads)
    is_ours = peer.name == "fastcodes"
    contest(
        f"{peer.name}, {threads} threads" if threads > 1 else peer.name,
        lambda: search(queries(n_bits)[:n_queries], k),
        group=group,
        check=partial(check_distances, true_distances(n_bits, k)[:n_queries]),
        amount=n_queries * N,
        unit="distances",
        needs=needs if is_ours else None,
        # A single query waits for memory, so that the roofline does not apply.
        bytes_per_unit=n_bits // 8 if is_ours and threads == 1 and n_queries > 1 else None,
    )


@pytest.mark.parametrize("n_bits", AHEAD_OF_FAISS)
@peers(["fastcodes", "faiss", "numkong"])
def test_many_queries(contest: Any, peer: Peer, n_bits: int) -> None:
    needs = {"faiss": AHEAD_OF_FAISS[n_bits]}
    if n_bits >= 256:
        needs["roofline"] = SHARE_OF_ROOFLINE
    knn_contest(contest, peer, n_bits, N_QUERIES, K, 1, f"hamming.knn, 100 queries, {n_bits} bits", needs)


@peers(["usearch", "numpy"])
def test_many_queries_of_slow_peers(contest: Any, peer: Peer) -> None:
    knn_contest(contest, peer, 256, N_QUERIES, K, 1, "hamming.knn, 100 queries, 256 bits", {})


@pytest.mark.parametrize("k", AHEAD_OF_FAISS_BY_K)
@peers(["fastcodes", "faiss"])
def test_k(contest: Any, peer: Peer, k: int) -> None:
    needs = {"faiss": AHEAD_OF_FAISS_BY_K[k]}
    knn_contest(contest, peer, 256, N_QUERIES, k, 1, f"hamming.knn, 100 queries, 256 bits, k = {k}", needs)


@pytest.mark.parametrize("n_bits", AHEAD_OF_FAISS_ONE_QUERY)
@peers(["fastcodes", "faiss"])
def test_one_query(contest: Any, peer: Peer, n_bits: int) -> None:
    needs = {"faiss": AHEAD_OF_FAISS_ONE_QUERY[n_bits]}
    knn_contest(contest, peer, n_bits, 1, K, 1, f"hamming.knn, 1 query, {n_bits} bits", needs)


@pytest.mark.parametrize("n_bits", AHEAD_OF_FAISS_ONE_QUERY)
def test_one_query_memory(contest: Any, n_bits: int) -> None:
    """Read the codes and nothing else: the time of one thread that only waits for memory."""
    words = database(n_bits).reshape(-1).view(np.uint64)
    contest(
        "reading alone",
        lambda: np.bitwise_xor.reduce(words),
        group=f"hamming.knn, 1 query, {n_bits} bits",
        check=lambda answer: None,
        amount=N,
        unit="distances",
    )


@pytest.mark.skipif(_native.threads() < 2, reason="needs two CPUs")
@pytest.mark.parametrize("n_bits", AHEAD_OF_FAISS_ONE_QUERY)
@peers(["fastcodes"])
def test_one_query_two_threads(contest: Any, peer: Peer, n_bits: int) -> None:
    needs = {"fastcodes": 1.25}  # faiss uses one thread for one query
    knn_contest(contest, peer, n_bits, 1, K, 2, f"hamming.knn, 1 query, {n_bits} bits", needs)


@pytest.mark.skipif(_native.threads() < 2, reason="needs two CPUs")
@pytest.mark.parametrize("threads", [1, 2])
@peers(["fastcodes"])
def test_two_threads(contest: Any, peer: Peer, threads: int) -> None:
    group = "hamming.knn, 100 queries, 256 bits, two threads against one"
    knn_contest(contest, peer, 256, N_QUERIES, K, threads, group, {"fastcodes": 1.8})


# --- hard orders: the k-th best distance, by which a search skips most codes, skips few or none -------------


def near_zero(n: int, n_set: int) -> Array:
    """Return codes with few bits set, at random positions."""
    positions = np.random.default_rng(2).integers(0, 256, (n, n_set))
    flags = np.zeros((n, 256), np.uint8)
    np.put_along_axis(flags, positions, 1, axis=1)
    return np.packbits(flags, axis=1)


def random_order() -> Array:
    return database(256)


def descending_distance() -> Array:
    """Return codes that approach zero, and thereby queries near zero: each is nearer than all before."""
    n_set = np.sort(np.random.default_rng(3).integers(0, 257, N))[::-1]
    prefixes = np.packbits(np.tri(257, 256, -1, np.uint8), axis=1)
    return prefixes[n_set]


def all_equal() -> Array:
    return np.tile(random_codes(1, 32), (N, 1))


def heavy_ties() -> Array:
    """Return a thousand shuffled copies of a thousand codes: hundreds share the k-th distance."""
    return random_codes(1000, 32)[np.random.default_rng(4).integers(0, 1000, N)]


HARD_ORDERS: dict[str, Callable[[], Array]] = {
    "random order": random_order,
    "descending distance": descending_distance,
    "all codes equal": all_equal,
    "heavy ties": heavy_ties,
}


@pytest.mark.parametrize("k", [K, 1000])
@pytest.mark.parametrize("n_queries", [1, N_QUERIES])
@pytest.mark.parametrize("order", HARD_ORDERS)
def test_hard_orders(contest: Any, order: str, n_queries: int, k: int) -> None:
    codes = HARD_ORDERS[order]()
    asked = near_zero(n_queries, 8) if order == "descending distance" else queries(256)[:n_queries]
    search_by_numpy = installed()[0].hamming_knn
    assert search_by_numpy is not None
    expected, _ = search_by_numpy(codes, 1)(asked[:N_CHECKED], k)
    contest(
        order,
        lambda: hamming.knn(asked, codes, k, threads=1),
        group=f"hamming.knn, {how_many(n_queries)}, 256 bits, k = {k}, hard orders",
        check=partial(check_distances, expected),
        amount=n_queries * N,
        unit="distances",
        needs={"random order": 1 / MAX_SLOWDOWN},
    )


# --- asymmetric search: real-valued queries -----------------------------------------------------------------

N_BITS = 256


@lru_cache(maxsize=1)
def signs() -> Array:
    """Return the codes as float32 numbers, a gigabyte that the matrix product of numpy needs."""
    return bits.unpack(database(N_BITS), N_BITS, dtype=np.float32, values=(-1, 1))


@lru_cache(maxsize=2)
def real_queries(n: int) -> Array:
    return np.random.default_rng(1).standard_normal((n, N_BITS), np.float32)


def check_nearest(n: int, answer: tuple[Array, Array]) -> None:
    distances, indices = answer
    for query in range(min(n, N_CHECKED)):
        products = signs() @ real_queries(n)[query]
        expected = -np.sort(products)[: -K - 1 : -1]
        np.testing.assert_allclose(distances[query], expected, rtol=1e-4)
        np.testing.assert_allclose(-products[indices[query]], expected, rtol=1e-4)


def matmul_and_select(n: int) -> tuple[Array, Array]:
    distances = -(real_queries(n) @ signs().T)
    near = np.argpartition(distances, K, axis=1)[:, :K]
    order = np.take_along_axis(distances, near, axis=1).argsort(axis=1)
    indices = np.take_along_axis(near, order, axis=1)
    return np.take_along_axis(distances, indices, axis=1), indices


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("n", [1, 100])
@pytest.mark.parametrize("name", ["fastcodes", "numpy matmul", "numpy matmul, argpartition"])
def test_asymmetric_knn(contest: Any, name: str, n: int) -> None:
    """Search bits by real queries; fastcodes is compared with the matrix product alone, without selection."""
    asked, codes = real_queries(n), database(N_BITS)
    calls: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
        "fastcodes": (
            lambda: hamming.asymmetric_knn(asked, codes, K, threads=1),
            partial(check_nearest, n),
        ),
        "numpy matmul": (partial(np.matmul, asked, signs().T), lambda _: None),
        "numpy matmul, argpartition": (partial(matmul_and_select, n), partial(check_nearest, n)),
    }
    call, check = calls[name]
    contest(
        name,
        call,
        group=f"hamming.asymmetric_knn, {how_many(n)}, {N_BITS} bits",
        check=check,
        amount=n * N,
        unit="distances",
        needs={"numpy matmul": AHEAD_OF_MATMUL} if name == "fastcodes" else None,
    )


# --- levels: a process has only one, so each level gets its own process -------------------------------------


def search_there() -> Array:
    return hamming.knn(queries(256), database(256), K, threads=1)[0][:N_CHECKED]


@pytest.mark.parametrize("process", ["portable", "avx2", "avx512"], indirect=True)
def test_levels(contest: Any, process: ProcessPoolExecutor) -> None:
    level = process.submit(_native.level).result()
    # Passing the work to the process takes 0.1 ms, the work itself at least 10 ms.
    contest(
        level,
        lambda: process.submit(search_there).result(),
        group="hamming.knn, 100 queries, 256 bits, levels",
        check=partial(np.testing.assert_array_equal, true_distances(256, K)),
        amount=N_QUERIES * N,
        unit="distances",
        needs={"portable": 2.0} if level != "portable" else None,
    )


# --- matrices, and the overhead of a call -------------------------------------------------------------------


@pytest.mark.parametrize(("n_left", "n_right"), [(N_QUERIES, N), (1000, 10_000)])
@peers(["fastcodes", "numkong", "numpy"])
def test_cdist(contest: Any, peer: Peer, n_left: int, n_right: int) -> None:
    assert peer.hamming_cdist is not None
    left, right = random_codes(n_left, 32, seed=1), random_codes(n_right, 32)
    expected = np.bitwise_count(left[:N_CHECKED, None] ^ right[:10_000]).sum(axis=2)
    contest(
        peer.name,
        peer.hamming_cdist(left, right, 1),
        group=f"hamming.cdist into out=, 256 bits, {n_left:,} x {n_right:,}",
        check=lambda matrix: np.testing.assert_array_equal(matrix[:N_CHECKED, :10_000], expected),
        amount=n_left * n_right,
        unit="distances",
        needs={"numkong": 2.0} if peer.name == "fastcodes" else None,
    )


def numpy_line(query: Array, codes: Array) -> Array:
    """Return the k nearest ids as a numpy user would compute them."""
    return np.argsort(np.bitwise_count(query ^ codes).sum(axis=1), kind="stable")[:K]


@pytest.mark.parametrize("name", ["fastcodes", "numpy"])
def test_call_overhead(contest: Any, name: str) -> None:
    codes, query = random_codes(100, 32), random_codes(1, 32, seed=1)
    expected = numpy_line(query, codes)
    is_ours = name == "fastcodes"
    contest(
        name,
        (lambda: hamming.knn(query, codes, K)[1][0]) if is_ours else lambda: numpy_line(query, codes),
        group="hamming.knn, 1 query, 100 codes of 256 bits: the price of a call",
        check=partial(np.testing.assert_array_equal, expected),
        amount=len(codes),
        unit="distances",
        needs={"numpy": 1.0} if is_ours else None,
        limit_seconds=15e-6 if is_ours else None,
    )
