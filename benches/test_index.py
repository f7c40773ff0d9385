"""fastcodes.index: hash tables against full searches, near-duplicates against datasketch."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest
from fastcodes import hamming
from fastcodes._typing import Array
from fastcodes.hashing import RandomHyperplanes
from fastcodes.index import LSHIndex, MinHashIndex

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
