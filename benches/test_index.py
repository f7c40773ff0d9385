"""fastcodes.index: tables against full searches and faiss, re-ranking, near-duplicates against datasketch."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest
from fastcodes import hamming
from fastcodes._typing import Array
from fastcodes.hashing import RandomHyperplanes
from fastcodes.index import LSHIndex, MinHashIndex, MultiIndexHashing
from fastcodes.index._reranking import reranked

# --- LSHIndex: queries are rows with noise ------------------------------------------------------------------

N, D, N_BITS, K = 1_000_000, 64, 256, 10
N_TABLES, N_PROBES = 16, 16
MIN_FOUND = 0.95
AHEAD_OF_FULL_SEARCH = 3.0


@lru_cache(maxsize=1)
def indexed() -> tuple[LSHIndex, Array]:
    """Return an index of random vectors, and queries near its first ones."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, D), np.float32)
    index = LSHIndex(RandomHyperplanes(N_BITS, projection="hadamard").fit(x), n_tables=N_TABLES)
    index.add(x)
    return index, x[:1000] + rng.standard_normal((1000, D), np.float32) / 2


def check_found(answer: tuple[Array, Array]) -> None:
    rows = np.arange(len(answer[1]))
    assert (answer[1] == rows[:, None]).any(axis=1).mean() >= MIN_FOUND


@pytest.mark.parametrize("name", ["fastcodes", "hamming.knn"])
def test_lsh_index(contest: Any, name: str) -> None:
    """Find the vectors that queries were made from, by hash tables and among all codes."""
    index, queries = indexed()
    codes = index.codes

    calls: dict[str, Callable[[], Any]] = {
        "fastcodes": lambda: index.search(queries, K, n_probes=N_PROBES, threads=1),
        "hamming.knn": lambda: hamming.knn(index.codec.encode(queries), codes, K, threads=1),
    }
    contest(
        name,
        calls[name],
        group=f"LSHIndex.search, 1000 queries, {N_TABLES} tables, {N_PROBES} probes, {N_BITS} bits",
        check=check_found,
        amount=len(queries) * N,
        unit="distances",
        needs={"hamming.knn": AHEAD_OF_FULL_SEARCH} if name == "fastcodes" else None,
    )


# --- Re-ranking: random candidates, so that each vector is a miss of all caches -----------------------------

N_VECTORS, D_VECTORS, N_CANDIDATES = 1_000_000, 128, 160
AHEAD_OF_NUMPY, AHEAD_OF_FAISS_BY_IDS = 4.0, 2.0


@lru_cache(maxsize=1)
def candidates() -> tuple[Array, Array, Array]:
    """Return vectors, queries and the candidates of each."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((N_VECTORS, D_VECTORS), np.float32)
    return (
        x,
        rng.standard_normal((1000, D_VECTORS), np.float32),
        rng.integers(0, N_VECTORS, (1000, N_CANDIDATES)),
    )


def nearest_of(ids: Array, distances: Array) -> tuple[Array, Array]:
    """Return the K smallest of some candidates."""
    order = np.argsort(distances, axis=1)[:, :K]
    return np.take_along_axis(distances, order, axis=1), np.take_along_axis(ids, order, axis=1)


def distances_by_numpy(x: Array, queries: Array, ids: Array) -> Array:
    """Return the squared distances of candidates, query by query."""
    return np.array([((x[rows] - query) ** 2).sum(axis=1) for query, rows in zip(queries, ids, strict=True)])


def distances_by_faiss(x: Array, queries: Array, ids: Array) -> Array:
    """Return the same from the function that faiss refines results with."""
    faiss = pytest.importorskip("faiss")
    distances = np.empty(ids.shape, np.float32)
    pointers = [faiss.swig_ptr(array) for array in (distances, queries, x, ids)]
    faiss.fvec_L2sqr_by_idx(*pointers, x.shape[1], *ids.shape)
    return distances


@pytest.mark.parametrize("name", ["fastcodes", "faiss", "numpy"])
def test_reranking(contest: Any, name: str) -> None:
    """Find the nearest of given candidates by their vectors."""
    x, queries, ids = candidates()
    expected = nearest_of(ids, distances_by_numpy(x, queries, ids))

    def check(answer: tuple[Array, Array]) -> None:
        np.testing.assert_allclose(answer[0], expected[0], rtol=1e-5)
        assert (answer[1] == expected[1]).mean() > 0.999  # ties of float32

    calls: dict[str, Callable[[], Any]] = {
        "fastcodes": lambda: reranked(queries, ids, x, "l2", K, threads=1)[:2],
        "faiss": lambda: nearest_of(ids, distances_by_faiss(x, queries, ids)),
        "numpy": lambda: nearest_of(ids, distances_by_numpy(x, queries, ids)),
    }
    contest(
        name,
        calls[name],
        group=f"re-ranking, 1000 queries, {N_CANDIDATES} candidates, {D_VECTORS} dimensions",
        check=check,
        amount=ids.size,
        unit="distances",
        needs={"numpy": AHEAD_OF_NUMPY, "faiss": AHEAD_OF_FAISS_BY_IDS} if name == "fastcodes" else None,
    )


# --- MultiIndexHashing: codes in groups of near ones, queries a few bits from some of them ------------------

N_CODES, CODE_BITS = 10_000_000, 64
CODES_PER_GROUP = 20
BIT_ERROR = 0.02
RADIUS = 3
N_SEARCHED = {"fastcodes": 2000, "faiss": 2000, "hamming": 100}  # a scan takes the same time for each query
N_CHECKED_BY_NUMPY = 20
MOST_NEAR = 100  # neighbors that are known of each query; fewer are within the radius
SHARE_MISSED_BY_FAISS = 0.002
AHEAD_OF_SCAN, AHEAD_OF_FAISS = 30.0, 2.0


@lru_cache(maxsize=1)
def grouped_codes() -> tuple[Array, Array]:
    """Return codes that differ from centres of groups in some bits, and queries that differ from codes."""
    rng = np.random.default_rng(2)
    centres = rng.integers(0, 256, (N_CODES // CODES_PER_GROUP, CODE_BITS // 8), np.uint8)
    codes = centres[rng.integers(0, len(centres), N_CODES)]
    queries = codes[rng.choice(N_CODES, N_SEARCHED["fastcodes"], replace=False)].copy()
    for rows in (codes, queries):
        for start in range(0, len(rows), 1 << 18):
            part = rows[start : start + (1 << 18)]
            part ^= np.packbits(rng.random((len(part), CODE_BITS), np.float32) < BIT_ERROR, axis=1)
    return codes, queries


@lru_cache(maxsize=1)
def nearest_distances() -> Array:
    """Return the sorted distances of all queries to their nearest codes: by a scan, some checked by numpy."""
    codes, queries = grouped_codes()
    nearest = hamming.knn(queries, codes, MOST_NEAR)[0]
    words, asked = (rows.view(np.uint64).ravel() for rows in (codes, queries))
    for query, expected in zip(asked[:N_CHECKED_BY_NUMPY], nearest, strict=False):
        distances = np.bitwise_count(words ^ query)
        assert np.array_equal(np.sort(np.partition(distances, MOST_NEAR)[:MOST_NEAR]), expected)
    return nearest


@lru_cache(maxsize=1)
def multi_index() -> MultiIndexHashing:
    index = MultiIndexHashing(CODE_BITS)
    index.add(grouped_codes()[0])
    index.search(grouped_codes()[1][:1], 1)  # fills the tables
    return index


@lru_cache(maxsize=1)
def faiss_multi_hash() -> Any:
    faiss = pytest.importorskip("faiss")
    # As many tables, and bits in them.
    n_tables = len(multi_index()._storage._tables[0][0])  # type: ignore[attr-defined]
    index = faiss.IndexBinaryMultiHash(CODE_BITS, n_tables, CODE_BITS // n_tables)
    index.add(grouped_codes()[0])
    return index


def multi_index_search(contest: Any, name: str, work: str, calls: dict[str, Callable[[], Any]]) -> None:
    n_queries = N_SEARCHED[name.split(".")[0]]
    truth = nearest_distances()[:n_queries]

    def is_right(answer: Any, query: int, expected: Array) -> bool:
        if work == "radius":
            found = np.sort(answer[1][answer[0][query] : answer[0][query + 1]])
            return np.array_equal(found, expected[expected <= RADIUS])
        return np.array_equal(np.sort(answer[0][query]), expected[:K])

    def check(answer: Any) -> None:
        n_wrong = sum(not is_right(answer, query, expected) for query, expected in enumerate(truth))
        assert n_wrong <= (SHARE_MISSED_BY_FAISS * n_queries if name == "faiss" else 0)

    what = f"radius {RADIUS}" if work == "radius" else f"{K} nearest"
    contest(
        name,
        calls[name],
        group=f"MultiIndexHashing, {N_CODES // 10**6}M codes of {CODE_BITS} bits, {what}",
        check=check,
        amount=float(n_queries * N_CODES),
        unit="distances",
        needs={f"hamming.{work}": AHEAD_OF_SCAN, "faiss": AHEAD_OF_FAISS} if name == "fastcodes" else None,
    )


@pytest.mark.parametrize("name", ["fastcodes", "faiss", "hamming.knn"])
def test_multi_index_hashing_knn(contest: Any, name: str) -> None:
    """Find the nearest; faiss flips one bit of each key, and misses neighbors of a few queries."""
    codes, queries = grouped_codes()

    def by_faiss() -> Any:
        faiss_multi_hash().nflip = 1
        return faiss_multi_hash().search(queries, K)

    multi_index_search(
        contest,
        name,
        "knn",
        {
            "fastcodes": lambda: multi_index().search(queries, K, threads=1),
            "faiss": by_faiss,
            "hamming.knn": lambda: hamming.knn(queries[: N_SEARCHED["hamming"]], codes, K, threads=1),
        },
    )


@pytest.mark.parametrize("name", ["fastcodes", "faiss", "hamming.radius"])
def test_multi_index_hashing_radius(contest: Any, name: str) -> None:
    """Find all within a radius, for which faiss has to flip one bit of each key."""
    codes, queries = grouped_codes()

    def by_faiss() -> Any:
        faiss_multi_hash().nflip = 1
        # What faiss calls a radius is the first distance beyond.
        return faiss_multi_hash().range_search(queries, RADIUS + 1)

    multi_index_search(
        contest,
        name,
        "radius",
        {
            "fastcodes": lambda: multi_index().radius_search(queries, RADIUS, threads=1),
            "faiss": by_faiss,
            "hamming.radius": lambda: hamming.radius(
                queries[: N_SEARCHED["hamming"]], codes, RADIUS, threads=1
            ),
        },
    )


# --- MinHashIndex: near-duplicates, from texts to pairs -----------------------------------------------------

N_DOCUMENTS = {"fastcodes": 100_000, "datasketch": 10_000}  # a tenth is enough for the throughput
N_WORDS = 100
SHARE_OF_COPIES = 0.1
THRESHOLD = 0.8
N_HASHES = 128
AHEAD_OF_DATASKETCH = 20.0


def documents(n: int) -> tuple[list[str], set[tuple[int, int]]]:
    """Return texts of random words, and the pairs that differ only in one more word at the end."""
    rng = np.random.default_rng(1)
    vocabulary = [f"word{i}" for i in range(50_000)]
    numbers = rng.integers(0, len(vocabulary), (n, N_WORDS)).tolist()
    texts = [" ".join(vocabulary[number] for number in row) for row in numbers]
    copies = rng.permutation(n)[: 2 * round(SHARE_OF_COPIES * n)].reshape(-1, 2)
    for original, copy in copies.tolist():
        texts[copy] = texts[original] + " more"
    return texts, {(min(pair), max(pair)) for pair in copies.tolist()}


def pairs_by_fastcodes(texts: list[str]) -> set[tuple[int, int]]:
    index = MinHashIndex(threshold=THRESHOLD)
    index.add(texts, threads=1)
    i, j, _ = index.pairs(threads=1)
    return set(zip(i.tolist(), j.tolist(), strict=True))


def pairs_by_datasketch(texts: list[str]) -> set[tuple[int, int]]:
    datasketch = pytest.importorskip("datasketch")
    index = datasketch.MinHashLSH(threshold=THRESHOLD, num_perm=N_HASHES)
    pairs = set()
    for number, text in enumerate(texts):
        words = text.lower().split()
        shingles = {" ".join(words[i : i + 3]).encode() for i in range(len(words) - 2)}
        sketch = datasketch.MinHash(num_perm=N_HASHES, seed=1)
        sketch.update_batch(shingles)
        pairs |= {(other, number) for other in index.query(sketch)}
        index.insert(number, sketch)
    return pairs


@pytest.mark.parametrize("name", ["fastcodes", "datasketch"])
def test_near_duplicates(contest: Any, name: str) -> None:
    n = N_DOCUMENTS[name]
    texts, truth = documents(n)
    call = {"fastcodes": pairs_by_fastcodes, "datasketch": pairs_by_datasketch}[name]

    def check(found: set[tuple[int, int]]) -> None:
        assert len(found & truth) >= 0.99 * len(truth)
        assert len(found - truth) <= 0.01 * len(truth)

    contest(
        name,
        partial(call, texts),
        group=f"near-duplicates among {N_DOCUMENTS['fastcodes']} texts of {N_WORDS} words",
        check=check,
        amount=float(n * N_WORDS),
        unit="tokens",
        needs={"datasketch": AHEAD_OF_DATASKETCH} if name == "fastcodes" else None,
    )
