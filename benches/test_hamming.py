"""fastcodes.hamming against faiss, NumKong, usearch, numpy, and against itself in the cases that are hard."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest
from fastcodes import _native, hamming
from fastcodes.cli.measure import random_codes
from fastcodes.cli.peers import Array, Peer, installed

N = 1_000_000
N_QUERIES = 100
K = 10
N_CHECKED = 2  # queries whose distances are counted anew in numpy: it is too slow for all

AHEAD_OF_FAISS = {64: 10.0, 128: 8.0, 256: 6.0, 512: 4.0, 768: 4.0, 1024: 5.0, 4096: 6.0}
AHEAD_OF_FAISS_ONE_QUERY = {64: 1.7, 128: 1.3, 256: 1.0, 512: 1.0, 768: 1.0, 1024: 1.0, 4096: 1.0}
AHEAD_OF_FAISS_BY_K = {1: 4.0, 100: 3.0, 1000: 2.0}
SHARE_OF_ROOFLINE = 0.7  # from 256 bits up
HARD_ORDERS_AT_MOST = 3.0  # times slower than random codes

peers = partial(pytest.mark.parametrize, "peer", indirect=True)


@lru_cache(maxsize=1)
def database(n_bits: int) -> Array:
    """Give the codes; only the last width is kept."""
    return random_codes(N, n_bits // 8)


@lru_cache(maxsize=1)
def queries(n_bits: int) -> Array:
    return random_codes(N_QUERIES, n_bits // 8, seed=1)


@lru_cache(maxsize=2)
def true_distances(n_bits: int, k: int) -> Array:
    """Give the sorted distances of the first queries."""
    count_apart = installed()[0].hamming_knn
    assert count_apart is not None
    return count_apart(database(n_bits), 1)(queries(n_bits)[:N_CHECKED], k)[0]


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
        # One query is over before the codes have come from memory: the roofline says nothing there.
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
def test_many_queries_of_the_slow(contest: Any, peer: Peer) -> None:
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
def test_one_query_reading(contest: Any, n_bits: int) -> None:
    """Read the codes and nothing else: what one thread takes that waits for memory alone."""
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
    needs = {"fastcodes": 1.25}  # faiss searches for one query on one thread, however many it has
    knn_contest(contest, peer, n_bits, 1, K, 2, f"hamming.knn, 1 query, {n_bits} bits", needs)


@pytest.mark.skipif(_native.threads() < 2, reason="needs two CPUs")
@pytest.mark.parametrize("threads", [1, 2])
@peers(["fastcodes"])
def test_two_threads(contest: Any, peer: Peer, threads: int) -> None:
    group = "hamming.knn, 100 queries, 256 bits, two threads against one"
    knn_contest(contest, peer, 256, N_QUERIES, K, threads, group, {"fastcodes": 1.8})


# --- hard orders: the k-th best distance, which lets a search skip most codes, helps less or not at all -----


def near_zero(n: int, n_set: int) -> Array:
    """Give codes with few bits set, at random places."""
    places = np.random.default_rng(2).integers(0, 256, (n, n_set))
    flags = np.zeros((n, 256), np.uint8)
    np.put_along_axis(flags, places, 1, axis=1)
    return np.packbits(flags, axis=1)


def random_order() -> Array:
    return database(256)


def descending_distance() -> Array:
    """Give codes that come ever nearer to zero, and so to queries near zero: each beats those before."""
    n_set = np.sort(np.random.default_rng(3).integers(0, 257, N))[::-1]
    prefixes = np.packbits(np.tri(257, 256, -1, np.uint8), axis=1)
    return prefixes[n_set]


def all_equal() -> Array:
    return np.tile(random_codes(1, 32), (N, 1))


def heavy_ties() -> Array:
    """Give a thousand copies each of a thousand codes, shuffled: the k-th distance is shared by hundreds."""
    return random_codes(1000, 32)[np.random.default_rng(4).integers(0, 1000, N)]


HARD_ORDERS: dict[str, Callable[[], Array]] = {
    "random order": random_order,
    "descending distance": descending_distance,
    "all codes equal": all_equal,
    "heavy ties": heavy_ties,
}


@pytest.mark.parametrize("n_queries", [1, N_QUERIES])
@pytest.mark.parametrize("order", HARD_ORDERS)
def test_hard_orders(contest: Any, order: str, n_queries: int) -> None:
    codes = HARD_ORDERS[order]()
    how_many = "1 query" if n_queries == 1 else f"{n_queries} queries"
    asked = near_zero(n_queries, 8) if order == "descending distance" else queries(256)[:n_queries]
    count_apart = installed()[0].hamming_knn
    assert count_apart is not None
    expected, _ = count_apart(codes, 1)(asked[:N_CHECKED], K)
    contest(
        order,
        lambda: hamming.knn(asked, codes, K, threads=1),
        group=f"hamming.knn, {how_many}, 256 bits, hard orders",
        check=partial(check_distances, expected),
        amount=n_queries * N,
        unit="distances",
        needs={"random order": 1 / HARD_ORDERS_AT_MOST},
    )


# --- levels: one for each process, so each has a process of its own -----------------------------------------


def search_there() -> Array:
    return hamming.knn(queries(256), database(256), K, threads=1)[0][:N_CHECKED]


@pytest.mark.parametrize("process", ["portable", "avx2", "avx512"], indirect=True)
def test_levels(contest: Any, process: ProcessPoolExecutor) -> None:
    level = process.submit(_native.level).result()
    # Handing over the work takes a ten-thousandth of a second, the work a hundred times as long at least.
    contest(
        level,
        lambda: process.submit(search_there).result(),
        group="hamming.knn, 100 queries, 256 bits, levels",
        check=partial(np.testing.assert_array_equal, true_distances(256, K)),
        amount=N_QUERIES * N,
        unit="distances",
        needs={"portable": 2.0} if level != "portable" else None,
    )


# --- matrices, and the price of a call ----------------------------------------------------------------------


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
    """Give the k nearest ids the way a numpy user writes it."""
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
