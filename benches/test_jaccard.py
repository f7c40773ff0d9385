"""fastcodes.jaccard against usearch, NumKong and numpy on sparse fingerprints; FlatIndex against a scan."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest
from fastcodes import jaccard
from fastcodes._typing import Array
from fastcodes.cli.measure import random_codes, sparse_codes
from fastcodes.cli.peers import Peer, installed
from fastcodes.hashing import Bits
from fastcodes.index import FlatIndex

N = 1_000_000
N_QUERIES = 100
N_BYTES = 256
K = 10
AHEAD_OF_USEARCH = 10.0
N_CHECKED = 2  # queries whose distances are checked by numpy, which is too slow for all

peers = partial(pytest.mark.parametrize, "peer", indirect=True)


def unrelated() -> Array:
    """Return fingerprints of independent bits: none are similar, so that no bound skips a code."""
    return sparse_codes(N + N_QUERIES, N_BYTES)


def families() -> Array:
    """Return fingerprints in families of about 200 that take half of their bits from a common scaffold."""
    scaffolds = sparse_codes((N + N_QUERIES) // 200, N_BYTES, seed=2)
    scaffolds = scaffolds & random_codes(*scaffolds.shape, seed=3)
    own = unrelated()
    own &= random_codes(*own.shape, seed=4)
    own |= scaffolds[np.random.default_rng(5).integers(0, len(scaffolds), len(own))]
    return own


SHAPES: dict[str, Callable[[], Array]] = {"unrelated": unrelated, "in families": families}


@lru_cache(maxsize=1)
def fingerprints(shape: str) -> tuple[Array, Array, Array]:
    """Return queries, codes, and the distances of the first queries computed by numpy."""
    made = SHAPES[shape]()
    queries, codes = made[:N_QUERIES], made[N_QUERIES:]
    search_by_numpy = installed()[0].jaccard_knn
    assert search_by_numpy is not None
    return queries, codes, search_by_numpy(codes, 1)(queries[:N_CHECKED], K)[0]


def check_distances(expected: Array, answer: tuple[Array, Array]) -> None:
    # The libraries differ by at most three roundings to float32.
    np.testing.assert_allclose(answer[0][: len(expected)], expected[: len(answer[0])], rtol=0, atol=2e-7)


def knn_contest(contest: Any, peer: Peer, shape: str, n_queries: int) -> None:
    queries, codes, expected = fingerprints(shape)
    assert peer.jaccard_knn is not None
    search = peer.jaccard_knn(codes, 1)
    is_ours = peer.name == "fastcodes"
    asked = "1 query" if n_queries == 1 else f"{n_queries} queries"
    contest(
        peer.name,
        lambda: search(queries[:n_queries], K),
        group=f"jaccard.knn, {asked}, 2048-bit sparse fingerprints, {shape}",
        check=partial(check_distances, expected[:n_queries]),
        amount=n_queries * N,
        unit="distances",
        needs={"usearch": AHEAD_OF_USEARCH} if is_ours and n_queries > 1 else None,
        bytes_per_unit=N_BYTES if is_ours and n_queries > 1 else None,
    )


@pytest.mark.parametrize("shape", SHAPES)
@peers(["fastcodes", "usearch", "numkong"])
def test_many_queries(contest: Any, peer: Peer, shape: str) -> None:
    knn_contest(contest, peer, shape, N_QUERIES)


@pytest.mark.parametrize("shape", SHAPES)
@peers(["fastcodes", "usearch", "numkong", "numpy"])
def test_one_query(contest: Any, peer: Peer, shape: str) -> None:
    knn_contest(contest, peer, shape, 1)


# --- FlatIndex: rows sorted by their number of ones, against a scan of the same rows ------------------------

RADIUS = 0.2  # similarities of 0.8 and more
RELATIVES = 30
MOST_ONES = 120
AHEAD_OF_SCAN = {"radius": 4.0, "knn": 2.0}


@lru_cache(maxsize=1)
def molecules() -> tuple[FlatIndex, Array, Array]:
    """Return an index, queries and codes: families of all sizes, some bits more frequent than others."""
    rng = np.random.default_rng(6)
    n, n_bits = N + N_QUERIES, 8 * N_BYTES
    shares = np.cumsum(rng.permutation((10.0 + np.arange(n_bits)) ** -0.8))
    scaffolds = np.searchsorted(shares, rng.random((n // RELATIVES, MOST_ONES)) * shares[-1])
    n_ones = rng.lognormal(np.log(50), 0.35, len(scaffolds)).clip(15, MOST_ONES)
    codes = np.empty((n, N_BYTES), np.uint8)
    for start in range(0, n, 20_000):
        part = codes[start : start + 20_000]
        family, rows = rng.integers(0, len(scaffolds), len(part)), np.arange(len(part))[:, None]
        own = np.searchsorted(shares, rng.random((len(part), MOST_ONES)) * shares[-1])
        is_own = rng.random(own.shape) < rng.uniform(0, 0.4, (len(part), 1))
        is_one = np.zeros((len(part), n_bits + 1), bool)
        places = np.where(is_own, own, scaffolds[family])
        is_one[rows, np.where(np.arange(MOST_ONES) < n_ones[family, None], places, n_bits)] = True
        part[:] = np.packbits(is_one[:, :n_bits], axis=1)
    index = FlatIndex(Bits(n_bits), metric="jaccard")
    index.add(codes[N_QUERIES:])
    index.search(codes[:1], 1)  # sorts the rows
    return index, codes[:N_QUERIES], codes[N_QUERIES:]


@lru_cache(maxsize=4)
def found_by_scan(work: str) -> tuple[Array, ...]:
    _, queries, codes = molecules()
    return jaccard.radius(queries, codes, RADIUS) if work == "radius" else jaccard.knn(queries, codes, K)


@pytest.mark.parametrize("n_queries", [1, N_QUERIES])
@pytest.mark.parametrize("work", ["radius", "knn"])
@pytest.mark.parametrize("name", ["fastcodes", "scan"])
def test_sorted_rows(contest: Any, name: str, work: str, n_queries: int) -> None:
    index, queries, codes = molecules()
    queries = queries[:n_queries]
    calls: dict[tuple[str, str], Callable[[], Any]] = {
        ("fastcodes", "radius"): lambda: index.radius_search(queries, RADIUS, threads=1),
        ("fastcodes", "knn"): lambda: index.search(queries, K, threads=1),
        ("scan", "radius"): lambda: jaccard.radius(queries, codes, RADIUS, threads=1),
        ("scan", "knn"): lambda: jaccard.knn(queries, codes, K, threads=1),
    }

    def check(answer: tuple[Array, ...]) -> None:
        for part, expected in zip(answer, found_by_scan(work), strict=True):
            assert np.array_equal(part, expected[: len(part)])

    what = f"radius {RADIUS}" if work == "radius" else f"{K} nearest"
    asked = "1 query" if n_queries == 1 else f"{n_queries} queries"
    contest(
        name,
        calls[name, work],
        group=f"FlatIndex, Jaccard, {asked}, {what}, 2048-bit fingerprints of families",
        check=check,
        amount=n_queries * N,
        unit="distances",
        needs={"scan": AHEAD_OF_SCAN[work]} if name == "fastcodes" else None,
    )
