"""Forks and code of the user in the middle of calls: nothing hangs, is refused, or crashes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import adc, hamming, jaccard, minhash, nn, xnor
from fastcodes.coding import ImageCodec
from fastcodes.hashing import Bits, RandomHyperplanes
from fastcodes.index import FlatIndex, IVFIndex, LSHIndex, MinHashIndex, MultiIndexHashing
from helpers import (
    pq_tables,
    random_codes,
    run_python,
    same,
)

forks_only = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork"
)

QUERIES, CODES = random_codes(50, 32, seed=1), random_codes(20_000, 32)


TABLES, PACKED = pq_tables(50, 32, 256), adc.PackedCodes(CODES)
PICTURE = ImageCodec().encode(CODES.reshape(800, 800))
MATRIX = xnor.PackedMatrix(CODES, 256)


def search_in_child(threads: int | None) -> tuple[Any, ...]:
    return (
        *adc.knn(TABLES, CODES, 5, threads=threads),
        *adc.knn(TABLES, PACKED, 5, threads=threads),
        *hamming.knn(QUERIES, CODES, 5, threads=threads),
        *jaccard.knn(QUERIES, CODES, 5, threads=threads),
        minhash.signatures(CODES.view(np.uint64).reshape(-1), range(0, 80_001, 100), threads=threads),
        xnor.matmul(QUERIES, MATRIX, 256, finish=xnor.Finish(thresholds=3), threads=threads),
        xnor.bitserial_matmul(xnor.planes(QUERIES, 8, threads=threads), CODES[:, :4], 32, threads=threads),
        xnor.byte_matmul(QUERIES, CODES[:, :4], threads=threads),
        xnor.conv2d(CODES.reshape(2, 100, 100, 32), QUERIES[:, None, None], 256, threads=threads),
        ImageCodec().decode(PICTURE, reduce=1, threads=threads),
    )


@forks_only
@pytest.mark.timeout(60)
def test_children_of_a_fork_answer() -> None:
    expected = search_in_child(2)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for threads in (2, 1, None):
            results = [pool.apply_async(search_in_child, (threads,)) for _ in range(4)]
            assert all(same(result.get(timeout=20), expected) for result in results), threads
    assert same(search_in_child(2), expected)


def train_in_child() -> Any:
    images = np.random.default_rng(0).integers(0, 256, (64, 12, 12, 8), dtype=np.uint8)
    model = nn.Sequential(nn.Conv2D(32, 3), nn.MaxPool2D(2), nn.Flatten(), nn.Dense(2), random_state=0)
    return model.fit(images / 255, np.arange(64) % 2, epochs=1).decision_function(images / 255)


@forks_only
@pytest.mark.timeout(60)
def test_children_of_a_fork_train() -> None:
    expected = train_in_child()  # by threads that stay in this process alone
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert np.array_equal(pool.apply_async(train_in_child).get(timeout=20), expected)


@forks_only
@pytest.mark.timeout(60)
def test_children_of_a_fork_in_the_middle_of_a_call_answer() -> None:
    expected = search_in_child(2)
    done = threading.Event()

    def keep_searching() -> None:
        while not done.is_set():
            hamming.knn(QUERIES, CODES, 5, threads=2)
            adc.knn(TABLES, PACKED, 5, threads=2)
            xnor.matmul(QUERIES, MATRIX, 256, threads=2)

    searcher = threading.Thread(target=keep_searching)
    searcher.start()
    try:
        for _ in range(5):
            with multiprocessing.get_context("fork").Pool(1) as pool:
                assert same(pool.apply_async(search_in_child, (2,)).get(timeout=20), expected)
    finally:
        done.set()
        searcher.join()


# --- changes while the process forks ------------------------------------------------------------------------


def forking(work: Callable[[], Any], in_child: Callable[[], bool], n_forks: int = 8) -> None:
    """Fork again and again while a thread works; every child has to end, with true."""
    ended = threading.Event()

    def keep_working() -> None:
        while not ended.is_set():
            work()

    worker = threading.Thread(target=keep_working)
    worker.start()
    try:
        for number in range(n_forks):
            time.sleep(0.003 * number)
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    code = 0 if in_child() else 2
                except BaseException:
                    traceback.print_exc()
                finally:
                    sys.stderr.flush()
                    os._exit(code)
            begun = time.perf_counter()
            status = None
            while status is None and time.perf_counter() - begun < 20:
                pid, found = os.waitpid(child, os.WNOHANG)
                status = found if pid else None
                time.sleep(0.001)
            if status is None:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            assert status == 0, "it hangs" if status is None else f"exit status {status}"
    finally:
        ended.set()
        worker.join()


@forks_only
def test_packed_codes_that_a_thread_changes_are_changed_in_a_child() -> None:
    codes = random_codes(20_000, 32)
    packed = adc.PackedCodes(codes[:1000])

    def append() -> None:
        packed.append(codes)
        packed.remove(np.arange(1000, len(packed)))

    def in_child() -> bool:
        n = len(packed)
        packed.append(codes[:7])
        return len(packed) == n + 7 and np.array_equal(packed.unpack(n, n + 7), codes[:7])

    forking(append, in_child)


@forks_only
@pytest.mark.parametrize("works", ["add", "search", "save"])
def test_an_index_that_a_thread_uses_is_used_in_a_child(works: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((3000, 32), np.float32)
    sets = [range(i, i + 20) for i in range(2000)]
    # This hasher calls no BLAS: OpenBLAS can hang if the process forks while another thread is in it.
    hasher = RandomHyperplanes(n_bits=64, projection="hadamard").fit(x)
    for make, samples in (
        (lambda: LSHIndex(hasher, n_tables=4), x),
        (lambda: FlatIndex(hasher), x),
        (lambda: FlatIndex(Bits(256), metric="jaccard"), random_codes(9000, 32)),
        (lambda: MultiIndexHashing(hasher), np.concatenate([x, -x])),
        (lambda: IVFIndex(hasher, 4, random_state=0).fit(x), x),
        (lambda: MinHashIndex(), sets),
    ):
        index = make()
        index.add(samples)

        def add(index: Any = index, samples: Any = samples) -> None:
            ids = np.arange(500) + 1_000_000
            index.add(samples[:500], ids=ids)
            index.remove(
                ids
            )  # or it grows as long as a child takes, which takes the longer the more it has grown

        work = {
            "add": add,
            "search": lambda index=index, samples=samples: index.search(samples[:50], 3),
            "save": lambda index=index: index.save(tmp_path / "index"),
        }[works]

        def in_child(index: Any = index, samples: Any = samples) -> bool:
            index.add(samples[:5])
            own = tmp_path / f"child {os.getpid()}"
            index.save(own)
            found = type(index).load(own).search(samples[:5], 1)
            return same(found, index.search(samples[:5], 1)) and (found[0] <= found[0].min()).all()

        forking(work, in_child, n_forks=4)


@forks_only
def test_arrays_that_a_thread_reads_are_written_in_a_child() -> None:
    rows, tables = random_codes(40_000, 16), pq_tables(20, 16, 256)
    out = np.zeros((10, 40_000), np.int32)

    def in_child() -> bool:
        hamming.cdist(rows[:10].copy(), rows.copy(), out=out)
        shared = rows.reshape(-1)[: 16 * 10 * 4].view(np.int32).reshape(10, 16)
        hamming.cdist(rows[100:110].copy(), rows[200:216].copy(), out=shared)
        return True

    forking(lambda: (adc.knn(tables, rows, 3), hamming.cdist(rows[:10], rows, out=out)), in_child)


# --- calls of user code -------------------------------------------------------------------------------------

RESIZED = """
import numpy as np
from fastcodes import adc, hamming, jaccard

codes = np.zeros((1000, 8), np.uint8)

class Number:
    def __init__(self, value): self.value = value
    def __index__(self):
        codes.resize((10, 8), refcheck=False)
        return self.value

for call in (
    lambda: hamming.knn(codes[:1].copy(), codes, Number(3)),
    lambda: hamming.knn(codes[:1].copy(), codes, 3, threads=Number(1)),
    lambda: hamming.radius(codes[:1].copy(), codes, Number(3), threads=Number(1)),
    lambda: hamming.cdist(codes[:1].copy(), codes, threads=Number(1)),
    lambda: jaccard.pairs(codes, 0.5, threads=Number(1)),
    lambda: hamming.asymmetric_knn(np.zeros((1, 64), np.float32), codes, Number(3), threads=Number(1)),
    lambda: adc.knn(np.zeros((1, 8, 16), np.float32), codes, Number(3), threads=Number(1)),
    lambda: adc.PackedCodes(codes, threads=Number(1)),
):
    codes.resize((1000, 8), refcheck=False)
    call()
print("done")
"""


def test_a_number_whose_method_resizes_an_array_is_read_before_the_array() -> None:
    assert run_python(RESIZED) == "done"
