"""Random hash functions and real queries against numpy and faiss, hash tables against full searches."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest
from fastcodes import bits, hamming
from fastcodes.cli.measure import random_codes
from fastcodes.cli.peers import Array
from fastcodes.hashing import RandomHyperplanes
from fastcodes.index import LSHIndex
from threadpoolctl import threadpool_limits

# Encoding: sentence embeddings of common models have 768 dimensions.
N_ENCODED, D, N_BITS = 20_000, 768, 256
AHEAD_OF_NUMPY = {"gaussian": 1.0, "sparse": 1.0, "hadamard": 5.0}

# Asymmetric search.
N, K = 1_000_000, 10
AHEAD_OF_MATMUL = 10.0
N_CHECKED = 2

# Hash tables: queries are rows with noise.
N_TABLES, N_PROBES, D_INDEXED = 16, 16, 64
LEAST_FOUND = 0.95
AHEAD_OF_FULL_SEARCH = 3.0


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Let numpy multiply on one thread, as all others do."""
    with threadpool_limits(1):
        yield


# --- encode ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def samples() -> Array:
    return np.random.default_rng(0).standard_normal((N_ENCODED, D), np.float32)


@lru_cache(maxsize=1)
def encoders() -> dict[str, Callable[[], Array]]:
    """Give all contestants; those of numpy and fastcodes with Gaussian directions have the same."""
    x = samples()
    models = {kind: RandomHyperplanes(N_BITS, kind).fit(x) for kind in AHEAD_OF_NUMPY}
    components = models["gaussian"].components_
    assert components is not None
    w = np.ascontiguousarray(components.T)
    contestants: dict[str, Callable[[], Array]] = {
        "numpy": lambda: np.packbits(x @ w > 0, axis=1),
        **{f"fastcodes {kind}": partial(model.encode, x) for kind, model in models.items()},
    }
    try:
        import faiss
    except ImportError:
        return contestants
    faiss.omp_set_num_threads(1)
    lsh = faiss.IndexLSH(D, N_BITS)
    return {**contestants, "faiss": lambda: lsh.sa_encode(x)}


def is_right(name: str) -> bool:
    """Whether codes of the first rows differ as their angles say, and those of numpy are ours to the bit."""
    codes, x = encoders()[name](), samples()[:200]
    cosines = (x @ x.T) / np.linalg.norm(x, axis=1) / np.linalg.norm(x, axis=1)[:, None]
    differing = np.bitwise_count(codes[:200, None] ^ codes[:200]).sum(axis=2) / N_BITS
    angles = np.arccos(cosines.clip(-1, 1)) / np.pi
    if name in ("numpy", "fastcodes gaussian"):
        ours = encoders()["fastcodes gaussian"]()
        # A value next to zero may be rounded to either side.
        assert np.bitwise_count(codes ^ ours).sum() < 1e-5 * codes.size
    return bool(abs(differing - angles).mean() < 0.05)


def encode(name: str) -> None:
    encoders()[name]()


def has(name: str) -> bool:
    return name in encoders()


@pytest.mark.parametrize("name", ["numpy", "faiss", *(f"fastcodes {kind}" for kind in AHEAD_OF_NUMPY)])
def test_encode(contest: Any, serial_process: ProcessPoolExecutor, name: str) -> None:
    """Make codes of real vectors, on one thread."""
    if not serial_process.submit(has, name).result():
        pytest.skip(f"{name} is not installed")
    assert serial_process.submit(is_right, name).result()
    kind = name.split()[-1]
    contest(
        name,
        lambda: serial_process.submit(encode, name).result(),
        group=f"RandomHyperplanes.encode, {D} dimensions to {N_BITS} bits",
        check=lambda _: None,
        amount=N_ENCODED * D * 4,
        unit="bytes",
        needs={"numpy": AHEAD_OF_NUMPY[kind]} if name.startswith("fastcodes") else None,
    )


# --- asymmetric search -------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def database() -> Array:
    return random_codes(N, N_BITS // 8)


@lru_cache(maxsize=1)
def signs() -> Array:
    """Give the codes as float32 numbers: a gigabyte, which numpy needs."""
    return bits.unpack(database(), N_BITS, np.float32, values=(-1, 1))


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


@pytest.mark.parametrize("n", [1, 100])
@pytest.mark.parametrize("name", ["fastcodes", "numpy matmul", "numpy matmul, argpartition"])
def test_asymmetric_knn(contest: Any, name: str, n: int) -> None:
    """Search bits by real queries; ours is held against the product alone, which selects nothing yet."""
    queries, codes = real_queries(n), database()
    calls: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
        "fastcodes": (
            lambda: hamming.asymmetric_knn(queries, codes, K, threads=1),
            partial(check_nearest, n),
        ),
        "numpy matmul": (partial(np.matmul, queries, signs().T), lambda _: None),
        "numpy matmul, argpartition": (partial(matmul_and_select, n), partial(check_nearest, n)),
    }
    call, check = calls[name]
    contest(
        name,
        call,
        group=f"hamming.asymmetric_knn, {n} {'query' if n == 1 else 'queries'}, {N_BITS} bits",
        check=check,
        amount=n * N,
        unit="distances",
        needs={"numpy matmul": AHEAD_OF_MATMUL} if name == "fastcodes" else None,
    )


# --- hash tables -------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def indexed() -> tuple[LSHIndex, Array]:
    """Give an index of random vectors, and queries near to its first ones."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, D_INDEXED), np.float32)
    index = LSHIndex(RandomHyperplanes(N_BITS, "hadamard").fit(x), N_TABLES)
    index.add(x)
    return index, x[:1000] + rng.standard_normal((1000, D_INDEXED), np.float32) / 2


def check_found(answer: tuple[Array, Array]) -> None:
    rows = np.arange(len(answer[1]))
    assert (answer[1] == rows[:, None]).any(axis=1).mean() >= LEAST_FOUND


@pytest.mark.parametrize("name", ["fastcodes", "hamming.knn"])
def test_lsh_index(contest: Any, name: str) -> None:
    """Find the vectors that queries were made of: by hash tables, and among all codes."""
    index, queries = indexed()
    codes = index.codes

    calls: dict[str, Callable[[], Any]] = {
        "fastcodes": lambda: index.search(queries, K, N_PROBES, threads=1),
        "hamming.knn": lambda: hamming.knn(index.hasher.encode(queries), codes, K, threads=1),
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
