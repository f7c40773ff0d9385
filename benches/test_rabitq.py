"""fastcodes.quantization.RaBitQuantizer against faiss and turbovec."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import pytest
from fastcodes import _native
from fastcodes._typing import Array
from fastcodes.index import FlatIndex
from fastcodes.quantization import RaBitQuantizer

K = 10
ROWS_PER_BLOCK = 50_000
NOISE = 0.5
"""Of queries, relative to the rows that they are made from."""
MIN_FOUND = 0.95

N, N_QUERIES = 1_000_000, 100
AHEAD_OF_FAISS = {"avx512": 8.0, "avx2": 5.0}

N_LONG, D_LONG, N_BITS_LONG, N_CALLS = 100_000, 1536, 4, 20
AHEAD_OF_FOUR_BITS = {"avx512": 1.3, "avx2": 1.2}
MAX_RECALL_LOST = 0.01
ALL_CODES = {"OPENBLAS_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TURBOVEC_4BIT_PLANES": "0"}
"""Variables of a process where turbovec, which takes no such arguments, uses one thread and all bits."""
IN_STAGES = {**ALL_CODES, "TURBOVEC_4BIT_PLANES": "1"}
"""The same where it reads one bit of all codes, and the others of the best only, as it does by default."""
CANDIDATES = 25.6
"""Of the first stage of turbovec for each of 10 results."""

N_ENCODED, D_ENCODED = 20_000, 768
AHEAD_OF_ENCODING = 1.5

Search: TypeAlias = Callable[[Array], Array]
"""From queries to the ids of the `K` nearest, on one thread."""


def blocks(n: int, d: int) -> Iterator[Array]:
    """Yield random vectors of length 1: no need to rotate them, and the same nearest by all metrics."""
    rng = np.random.default_rng(0)
    for _ in range(0, n, ROWS_PER_BLOCK):
        rows = rng.standard_normal((ROWS_PER_BLOCK, d), np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        yield rows


@lru_cache(maxsize=1)
def noisy_rows(d: int) -> Array:
    """Return queries near the first rows."""
    rows = next(blocks(1, d))[:N_QUERIES]
    noise = np.random.default_rng(1).standard_normal(rows.shape, np.float32)
    return rows + noise * np.float32(NOISE / np.sqrt(d))


@lru_cache(maxsize=1)
def search_of(name: str, n: int, d: int, n_bits: int) -> Search:
    """Encode the rows with one contestant; only the last is kept."""
    library, _, kind = name.partition(" ")
    if library == "fastcodes":
        model = RaBitQuantizer(n_bits, random_state=0).fit(next(blocks(1, d)))
        flat = FlatIndex(model)
        for rows in blocks(n, d):
            flat.add(rows)
        options: dict[str, Any] = {"threads": 1}
        if kind == "reranked":
            vectors = np.concatenate(list(blocks(n, d)))
            options.update(rerank=vectors, oversample=CANDIDATES)
        return lambda queries: flat.search(queries, K, **options)[1]
    if library == "turbovec":
        turbovec = pytest.importorskip("turbovec")
        tq = turbovec.TurboQuantIndex(d, n_bits)
        tq.calibrate(next(blocks(1, d))[:4096])
        for rows in blocks(n, d):
            tq.add(rows)
        tq.prepare()
        return lambda queries: tq.search(queries, K)[1]
    faiss = pytest.importorskip("faiss")
    faiss.omp_set_num_threads(_native.threads())
    if kind == "IndexEDEN":
        index = faiss.IndexEDEN(d, faiss.METRIC_L2, n_bits, faiss.EDENScaleType_UNBIASED)
    elif kind == "IndexRaBitQFastScan":
        index = faiss.IndexRaBitQFastScan(d, faiss.METRIC_L2, 32, n_bits)
        index.qb = 8
    else:
        index = faiss.IndexRaBitQ(d, faiss.METRIC_L2, n_bits)
        index.qb = int(kind.partition("qb = ")[2])
    index.train(next(blocks(1, d)))
    for rows in blocks(n, d):
        index.add(rows)
    faiss.omp_set_num_threads(1)
    return lambda queries: index.search(queries, K)[1]


def check_found(ids: Array) -> None:
    """Assert that the rows that queries were made from are found."""
    assert (ids == np.arange(len(ids))[:, None]).any(axis=1).mean() >= MIN_FOUND


@pytest.mark.parametrize("n_queries", [1, N_QUERIES])
@pytest.mark.parametrize(
    "name",
    ["fastcodes", "faiss IndexRaBitQ, qb = 4", "faiss IndexRaBitQ, qb = 8", "faiss IndexRaBitQFastScan"],
)
@pytest.mark.parametrize("d", [128, 768])
def test_one_bit(contest: Any, one_thread: None, d: int, name: str, n_queries: int) -> None:
    """Search one bit per dimension."""
    search, queries = search_of(name, N, d, 1), noisy_rows(d)[:n_queries]
    need = AHEAD_OF_FAISS.get(_native.level(), 1.0)
    contest(
        name,
        lambda: search(queries),
        group=f"RaBitQ, 1 bit, {N:,} x {d}, {'1 query' if n_queries == 1 else f'{n_queries} queries'}",
        check=check_found,
        amount=n_queries * N,
        unit="distances",
        needs={f"faiss IndexRaBitQ, qb = {qb}": need for qb in (4, 8)} if name == "fastcodes" else None,
    )


@lru_cache(maxsize=1)
def nearest() -> Array:
    """Return the true nearest rows of the queries."""
    distances = [
        np.square(rows).sum(axis=1) - 2 * noisy_rows(D_LONG) @ rows.T for rows in blocks(N_LONG, D_LONG)
    ]
    return np.argsort(np.concatenate(distances, axis=1), axis=1, kind="stable")[:, :K]


def one_by_one(name: str, n_bits: int, n_calls: int) -> Array:
    """Search for another query in each call; several, so that the call of another process is negligible."""
    search = search_of(name, N_LONG, D_LONG, n_bits)
    return np.concatenate([search(query[None]) for query in noisy_rows(D_LONG)[:n_calls]])


RECALLS: dict[str, dict[str, float]] = {}
"""By group and contestant."""


def contest_one_by_one(
    contest: Any,
    process: ProcessPoolExecutor,
    name: str,
    n_bits: int,
    group: str,
    needs: dict[str, float] | None,
) -> None:
    """Time one contestant; the recall of fastcodes, which comes last, must be that of the best."""
    pytest.importorskip(name.partition(" ")[0])
    contestant = name.removesuffix(" reranked")
    ids = process.submit(one_by_one, name, n_bits, N_QUERIES).result()
    recalls = RECALLS.setdefault(group, {})
    recalls[contestant] = float((ids[:, :, None] == nearest()[:, None]).any(axis=1).mean())

    def check(ids: Array) -> None:
        check_found(ids)
        if contestant == "fastcodes":
            assert recalls[contestant] >= max(recalls.values()) - MAX_RECALL_LOST, recalls

    contest(
        contestant,
        lambda: process.submit(one_by_one, name, n_bits, N_CALLS).result(),
        group=f"{group}, {N_LONG:,} x {D_LONG}, 1 query, {N_CALLS} calls",
        check=check,
        amount=N_CALLS * N_LONG,
        unit="distances",
        needs=needs if contestant == "fastcodes" else None,
    )


@pytest.mark.parametrize("process_of", [ALL_CODES], indirect=True, ids=["all codes"])
@pytest.mark.parametrize("name", ["turbovec", "faiss IndexRaBitQFastScan", "faiss IndexEDEN", "fastcodes"])
def test_four_bits(contest: Any, process_of: ProcessPoolExecutor, name: str) -> None:
    """Search four bits per dimension, all of every row."""
    need = AHEAD_OF_FOUR_BITS.get(_native.level(), 1.0)
    others = ("turbovec", "faiss IndexRaBitQFastScan", "faiss IndexEDEN")
    group = f"RaBitQ, {N_BITS_LONG} bits"
    contest_one_by_one(contest, process_of, name, N_BITS_LONG, group, dict.fromkeys(others, need))


@pytest.mark.skipif(_native.level() != "avx512", reason="turbovec has stages with AVX-512 only")
@pytest.mark.parametrize("process_of", [IN_STAGES], indirect=True, ids=["stages"])
@pytest.mark.parametrize("name", ["turbovec", "fastcodes reranked"])
def test_stages(contest: Any, process_of: ProcessPoolExecutor, name: str) -> None:
    """Search one bit per dimension, then score the best by all four, or by the vectors for fastcodes."""
    n_bits = 1 if name == "fastcodes reranked" else N_BITS_LONG
    contest_one_by_one(contest, process_of, name, n_bits, "RaBitQ, 1 bit, the best scored again", None)


@pytest.mark.parametrize("n_bits", [1, 4])
@pytest.mark.parametrize("name", ["fastcodes", "faiss", "faiss without rotation", "turbovec"])
def test_encode(contest: Any, one_thread: None, n_bits: int, name: str) -> None:
    """Rotate and encode; turbovec also rearranges what it encodes."""
    x = next(blocks(1, D_ENCODED))[:N_ENCODED]
    if name == "fastcodes":
        model = RaBitQuantizer(n_bits, random_state=0).fit(x)

        def encode() -> int:
            codes, _ = model.encode(x, threads=1)
            return len(codes)

    elif name == "turbovec":
        if n_bits == 1:
            pytest.skip("turbovec has 2 to 4 bits")
        os.environ["RAYON_NUM_THREADS"] = "1"  # it takes no number of threads
        turbovec = pytest.importorskip("turbovec")

        def encode() -> int:
            index = turbovec.TurboQuantIndex(D_ENCODED, n_bits)
            index.add(x)
            return len(index)

    else:
        faiss = pytest.importorskip("faiss")
        faiss.omp_set_num_threads(1)
        rotation = faiss.RandomRotationMatrix(D_ENCODED, D_ENCODED)
        rotation.init(0)
        rotation.is_trained = True
        quantizer = faiss.IndexRaBitQ(D_ENCODED, faiss.METRIC_L2, n_bits)
        quantizer.train(x)

        def encode() -> int:
            rotated = rotation.apply(x) if name == "faiss" else x
            return len(quantizer.sa_encode(rotated))

    def check(n_rows: int) -> None:
        assert n_rows == len(x)

    others = ("faiss", "turbovec") if n_bits > 1 else ("faiss",)
    contest(
        name,
        encode,
        group=f"RaBitQ encode, n_bits = {n_bits}, {N_ENCODED:,} x {D_ENCODED}",
        check=check,
        amount=x.nbytes,
        unit="bytes",
        needs=dict.fromkeys(others, AHEAD_OF_ENCODING) if name == "fastcodes" else None,
    )
