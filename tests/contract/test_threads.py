"""Threads: the answer never depends on them, and nothing hangs or crashes."""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from fastcodes import _native, adc, bits, entropy, hadamard, hamming, jaccard, minhash, rabitq, xnor
from fastcodes.coding import ImageCodec
from fastcodes.index import MinHashIndex
from helpers import (
    Array,
    Family,
    both_families,
    pq_codes,
    pq_tables,
    random_codes,
    run_python,
    same,
    same_bits,
)

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def some_calls(family: Family, queries: Array, codes: Array, threads: int | None) -> tuple[Any, ...]:
    """Call every function of a family, with results of moderate size."""
    n = len(codes)
    limit = family.radius_of(np.quantile(family.module.cdist(queries[:1], codes), 0.02, method="lower"))
    few = codes[: min(n, 3000)]
    return (
        *family.module.knn(queries, codes, 1, threads=threads),
        *family.module.knn(queries, codes, 100, mask=np.arange(n) % 5 > 0, threads=threads),
        *family.module.knn(queries, codes, 10, mask=np.arange(0, n, 3), threads=threads),
        *family.module.radius(queries, codes, limit, threads=threads),
        family.module.cdist(queries, few, threads=threads),
        *family.module.pairs(few[:1500], limit, threads=threads),
    )


# Few bytes make ties. Threads share out the rows where they are many, else the queries.
SHAPES = [(1, 100_000, 4), (2, 50_000, 16), (40, 20_000, 8), (300, 2_000, 5), (3, 3_000, 700)]


@both_families
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_answer_does_not_depend_on_the_number_of_threads(
    family: Family, shape: tuple[int, int, int]
) -> None:
    n_queries, n, n_bytes = shape
    queries, codes = random_codes(n_queries, n_bytes, seed=1), random_codes(n, n_bytes)
    expected = some_calls(family, queries, codes, 1)
    for threads in (2, 3, 64, None, 2):
        assert same(some_calls(family, queries, codes, threads), expected), threads


def adc_calls(tables: Array, codes: Array, threads: int | None) -> tuple[Any, ...]:
    """Call every function of adc, with codes as they are and packed."""
    n, (n_queries, n_subspaces, n_codewords) = len(codes), tables.shape
    limit = float(np.quantile(adc.scan(tables[:1], codes[:2000]), 0.02, method="lower"))
    codebooks = np.ascontiguousarray(tables[0][..., None] * np.float32([1, 0.5]))
    packed = adc.PackedCodes(codes[: n // 3], n_codewords=16 if n_codewords <= 16 else 256, threads=threads)
    packed.append(codes[n // 3 :], threads=threads)
    results: list[Any] = [packed.unpack(threads=threads)]
    for form in (codes, packed):
        results += [
            *adc.knn(tables, form, 1, threads=threads),
            *adc.knn(tables, form, 100, mask=np.arange(n) % 5 > 0, threads=threads),
            *adc.knn(tables, form, 10, mask=np.arange(0, n, 40), threads=threads),
            *adc.radius(tables, form, limit, threads=threads),
            adc.scan(tables[:5], form, threads=threads),
        ]
    vectors = np.resize(tables.reshape(-1), (max(n_queries, 300), 2 * n_subspaces))
    tables_of = [adc.tables(vectors, codebooks, metric=metric, threads=threads) for metric in ("l2", "ip")]
    return (*results, *tables_of, adc.encode(vectors, codebooks, threads=threads))


# Threads share out the rows where there are many tasks of them, else the queries.
ADC_SHAPES = [
    (1, 70_000, 9, 256),
    (3, 100_000, 8, 16),
    (40, 9_000, 4, 16),
    (300, 3_000, 5, 100),
    (7, 9_000, 70, 256),
]


@pytest.mark.parametrize("shape", ADC_SHAPES, ids=str)
def test_the_answer_of_adc_does_not_depend_on_the_number_of_threads(shape: tuple[int, ...]) -> None:
    n_queries, n, n_subspaces, n_codewords = shape
    tables, codes = pq_tables(n_queries, n_subspaces, n_codewords), pq_codes(n, n_subspaces, n_codewords)
    expected = adc_calls(tables, codes, 1)
    for threads in (2, 3, 64, None, 2):
        assert same_bits(adc_calls(tables, codes, threads), expected), threads


def real_calls(queries: Array, codes: Array, threads: int | None) -> tuple[Any, ...]:
    """Call what takes real numbers and bits: asymmetric searches, and projections with their signs."""
    n, d = len(codes), queries.shape[1]
    signs = hadamard.signs(d, 300, random_state=0)
    x = np.resize(queries, (5000, d))
    return (
        *hamming.asymmetric_knn(queries, codes, 1, threads=threads),
        *hamming.asymmetric_knn(queries, codes, 100, mask=np.arange(n) % 5 > 0, threads=threads),
        *hamming.asymmetric_knn(queries, codes, 10, mask=np.arange(0, n, 40), threads=threads),
        hadamard.project(x, signs, 100, threads=threads),
        hadamard.pack(x, signs, 300, threads=threads),
    )


@pytest.mark.parametrize("shape", [(1, 100_000, 9), (3, 40_000, 32), (300, 3_000, 5)], ids=str)
def test_the_answer_of_real_queries_does_not_depend_on_the_number_of_threads(shape: tuple[int, ...]) -> None:
    n_queries, n, n_bytes = shape
    queries = np.random.default_rng(0).standard_normal((n_queries, 8 * n_bytes - 3), np.float32)
    codes = random_codes(n, n_bytes)
    expected = real_calls(queries, codes, 1)
    for threads in (2, 3, 64, None, 2):
        assert same_bits(real_calls(queries, codes, threads), expected), threads


def rabitq_calls(n_queries: int, n: int, d: int, threads: int | None) -> tuple[Any, ...]:
    """Call every function of rabitq, and rotations."""
    x = np.random.default_rng([n, d]).standard_normal((n, d), np.float32)
    signs = hadamard.rotation_signs(d, random_state=0)
    rows = hadamard.rotate(x, signs, threads=threads)
    queries = hadamard.rotate(x[:n_queries] + np.float32(0.5), signs, threads=threads)
    results: list[Any] = [rows, hadamard.rotate_back(rows, signs, d, threads=threads)]
    for n_bits in (1, 3, 8):
        codes, factors = rabitq.encode(rows, n_bits=n_bits, threads=threads)
        settings: dict[str, Any] = {"n_bits": n_bits, "threads": threads}
        few = codes[:100], factors[:100]
        limit = float(np.quantile(rabitq.scan(queries[:1], codes, factors, **settings), 0.02, method="lower"))
        results += [
            codes,
            factors,
            *rabitq.encode(rows[:200], weights=rows.T @ rows, **settings),
            rabitq.decode(*few, **settings),
            rabitq.errors(codes, factors, **settings),
            rabitq.cdist(*few, codes, factors, **settings),
        ]
        for form in (codes, adc.PackedCodes(codes)) if n_bits == 1 else (codes,):
            results += [
                *rabitq.knn(queries, form, factors, 1, **settings),
                *rabitq.knn(queries, form, factors, 100, mask=np.arange(n) % 5 > 0, **settings),
                *rabitq.knn(queries, form, factors, 10, metric="ip", mask=np.arange(0, n, 40), **settings),
                *rabitq.radius(queries, form, factors, limit, **settings),
                rabitq.scan(queries[:5], form, factors, **settings),
            ]
    return tuple(results)


@pytest.mark.parametrize("shape", [(1, 30_000, 60), (3, 5_000, 200), (300, 1_000, 37)], ids=str)
def test_the_answer_of_rabitq_does_not_depend_on_the_number_of_threads(shape: tuple[int, int, int]) -> None:
    expected = rabitq_calls(*shape, threads=1)
    for threads in (2, 3, 64, None):
        assert same_bits(rabitq_calls(*shape, threads=threads), expected), threads


def xnor_calls(a: Array, b: Array, threads: int | None) -> tuple[Any, ...]:
    """Call every function of xnor; the rows are taken for images, too."""
    n_bytes, n_bits = a.shape[1], 8 * a.shape[1]
    column = np.arange(len(b))
    in_bits = xnor.Finish(thresholds=column % 7 - 3, flips=column % 3 == 0)
    finishes = [None, in_bits, xnor.Finish(scale=column * 0.01, bias=0.5)]
    prepared = xnor.PackedMatrix(b, n_bits, threads=threads)
    width = int(len(a) ** 0.5)
    images = a[: width * width].reshape(1, width, width, n_bytes)
    filters = b[: len(b) // 4 * 4].reshape(-1, 2, 2, n_bytes)
    results: list[Any] = [xnor.and_matmul(a, b, threads=threads)]
    for finish in finishes:
        results.append(xnor.matmul(a, prepared, n_bits, finish=finish, threads=threads))
    if d := n_bytes // 8 * 8:  # the bytes of a row as integers
        planes = xnor.planes(a[:2000, :d], 8, threads=threads)
        signs = b[:, : d // 8]
        results += [planes, xnor.bitserial_matmul(planes, signs, d, threads=threads)]
        settings = {"finish": in_bits, "threads": threads}
        results.append(xnor.bitserial_matmul(planes, signs, d, a_signed=True, **settings))
        numbers = {"byte_scale": 2, "byte_offset": -7}
        results.append(xnor.byte_matmul(a[:2000, :d], signs, **numbers, **settings))
    for pad_value in (-1, 0, 1):
        settings = {"padding": 1, "pad_value": pad_value, "threads": threads}
        results.append(xnor.conv2d(images, filters, n_bits, **settings))
        results.append(
            xnor.conv2d(images, filters, n_bits, finish=xnor.Finish(thresholds=pad_value), **settings)
        )
        of_bytes = xnor.PackedFilters(filters[..., : -(-n_bytes // 8)] & 0x80, n_bytes, threads=threads)
        results.append(xnor.byte_conv2d(images, of_bytes, **settings))
    results.append(xnor.max_pool2d(images, (min(3, width), 1), threads=threads))
    return tuple(results)


# Threads share out rows where there are many, else columns; long rows fit no tile.
XNOR_SHAPES = [(1, 20_000, 32), (3, 3000, 40), (5000, 33, 16), (300, 300, 80), (70, 1000, 5), (9, 30, 40_000)]


@pytest.mark.parametrize("shape", XNOR_SHAPES, ids=str)
def test_the_answer_of_xnor_does_not_depend_on_the_number_of_threads(shape: tuple[int, ...]) -> None:
    m, n, n_bytes = shape
    a, b = random_codes(m, n_bytes, seed=1), random_codes(n, n_bytes)
    expected = xnor_calls(a, b, 1)
    for threads in (2, 3, 64, None, 2):
        assert same_bits(xnor_calls(a, b, threads), expected), threads


DIGEST = """
import hashlib
import numpy as np
from helpers import FAMILIES, pq_codes, pq_tables, random_codes
from contract.test_threads import adc_calls, rabitq_calls, some_calls, xnor_calls
from fastcodes import _native, bits

digest = hashlib.sha256()
shapes = [(1, 5000, 8), (2, 999, 16), (9, 4000, 12), (70, 500, 3), (5, 300, 64), (4, 400, 65), (2, 40, 999)]
for n_queries, n, n_bytes in shapes:
    for density in (0.03, 0.5, 0.97):
        queries = random_codes(n_queries, n_bytes, seed=1, density=density)
        codes = random_codes(n, n_bytes, density=density)
        for family in FAMILIES.values():
            for array in some_calls(family, queries, codes, 2):
                digest.update(array.tobytes())
        x = np.random.default_rng(n).standard_normal((n, n_bytes))
        for dtype in (np.float16, np.float32, np.float64, np.int16, np.bool_):
            digest.update(bits.pack(x.astype(dtype), threshold=dtype(0)))
        digest.update(bits.popcount(codes))
        digest.update(bits.unpack(codes, 8 * n_bytes - 3, dtype=np.float32, values=(-1, 1)))
for n_queries, n, *shape in [(3, 9000, 8, 16), (2, 9000, 33, 256), (5, 300, 7, 9), (1, 20_000, 65, 16)]:
    for array in adc_calls(pq_tables(n_queries, *shape), pq_codes(n, *shape), 2):
        digest.update(array.tobytes())
for shape in [(3, 700, 100), (5, 90, 1000), (2, 2000, 9)]:
    for array in rabitq_calls(*shape, 2):
        digest.update(np.ascontiguousarray(array))
for m, n, n_bytes in [(1, 900, 32), (70, 257, 40), (5, 64, 9), (300, 40, 64), (6, 30, 33_000)]:
    for array in xnor_calls(random_codes(m, n_bytes, seed=1), random_codes(n, n_bytes), 2):
        digest.update(np.ascontiguousarray(array))
print(_native.level(), digest.hexdigest())
"""


def test_the_answer_does_not_depend_on_the_level() -> None:
    levels = _native.levels()
    digests = [run_python(DIGEST, {"FASTCODES_LEVEL": level}).split() for level in levels]
    assert [level for level, _ in digests] == levels
    assert len({digest for _, digest in digests}) == 1, digests


def minhash_calls(n_sets: int, n_tokens: int, k: int, threads: int | None) -> tuple[Any, ...]:
    """Call every function of minhash that has threads."""
    tokens = np.arange(n_sets * n_tokens, dtype=np.uint64) // 3
    offsets = np.arange(0, len(tokens) + 1, max(n_tokens, 1))
    texts = [" ".join(map(str, tokens[i : i + 50])) for i in range(0, min(len(tokens), 20_000), 50)]
    rows = minhash.signatures(tokens, offsets, n_hashes=k, threads=threads)
    few = minhash.signatures(tokens, offsets, n_hashes=k, one_permutation=True, threads=threads)
    codes = minhash.pack(rows, 3, threads=threads)
    places = np.arange(len(rows))
    index = MinHashIndex(n_bands=40, n_rows=3)
    index.add(texts, threads=threads)
    return (
        rows,
        few,
        codes,
        minhash.text_signatures(texts, n_hashes=k, threads=threads),
        minhash.text_signatures(texts, n_hashes=k, unit="char", threads=threads),
        minhash.band_keys(rows, 4, k // 4, threads=threads),
        minhash.cdist(rows[:50], rows, threads=threads),
        minhash.cdist(codes[:50], codes, n_bits=3, threads=threads),
        minhash.paired(rows, rows, places, places[::-1], threads=threads),
        minhash.jaccard((tokens, offsets), (tokens, offsets), places, places[::-1], threads=threads),
        *index.pairs(threads=threads),
        *index.query(texts, threads=threads),
        index.groups(threads=threads),
    )


@pytest.mark.parametrize("shape", [(3, 1_200_000, 17), (2000, 40, 128), (20_000, 3, 64)], ids=str)
def test_the_answer_of_minhash_does_not_depend_on_the_number_of_threads(shape: tuple[int, ...]) -> None:
    expected = minhash_calls(*shape, threads=1)
    for threads in (2, 3, None):
        assert same(minhash_calls(*shape, threads=threads), expected), threads


# --- other Python threads -----------------------------------------------------------------------------------


def long_calls() -> dict[str, Any]:
    """Give calls that take the longer, the larger their argument is."""
    queries, codes = random_codes(64, 64, seed=1), random_codes(30_000, 64)
    tables, packed = pq_tables(8, 64, 256), adc.PackedCodes(codes)
    codebooks = np.ascontiguousarray(tables[0, :, :, None])
    factors = np.ones((30_000, 2), np.float32)
    matrix, planes = xnor.PackedMatrix(codes, 512), xnor.planes(queries, 8)
    in_bits = xnor.Finish(thresholds=0)
    real = tables[:, :, 0].repeat(8, axis=1)
    small, filters = xnor.PackedMatrix(codes[:, :8], 64), codes[:1152].reshape(128, 3, 3, 64)
    images = codes[:1024].reshape(1, 32, 32, 64)
    signs, of_bytes = xnor.PackedMatrix(codes[:, :8], 64), xnor.PackedFilters(filters[..., :8], 64)
    tokens, texts = np.arange(1 << 20, dtype=np.uint64), [" ".join(map(str, range(20_000)))] * 8
    signatures = codes.view(np.uint32)
    categorical, chain = entropy.Categorical.fit(codes), entropy.MarkovChain.fit(codes, order=0)
    numbers = codes & np.uint8(63)
    message, blocks = entropy.encode(codes, categorical), entropy.encode_rows(codes, chain)
    many_scales = entropy.ScaleTable()
    code = entropy.Huffman(range(1, 257))
    picture = codes[: 3 * 4096].reshape(512, 512, 3)
    stored = ImageCodec().encode(picture)
    return {
        "ImageCodec.encode": lambda n: ImageCodec().encode(np.tile(picture, (n, 1, 1)), threads=1),
        "ImageCodec.decode": lambda n: [ImageCodec().decode(stored, threads=1) for _ in range(n)],
        "entropy.encode": lambda n: entropy.encode(np.tile(codes, (n, 1)), categorical, threads=1),
        "entropy.decode": lambda n: [
            entropy.decode(message, categorical, codes.size, threads=1) for _ in range(n)
        ],
        "entropy.encode, scales": lambda n: entropy.encode(
            np.tile(codes, (n, 1)), many_scales, scales=np.tile(numbers, (n, 1)), threads=1
        ),
        "entropy.encode, Huffman": lambda n: entropy.encode(np.tile(codes, (n, 1)), code),
        "entropy.encode_rows": lambda n: entropy.encode_rows(np.tile(codes, (n, 1)), chain, threads=1),
        "entropy.decode_rows": lambda n: entropy.decode_rows(
            blocks[0], blocks[1], chain, rows=np.tile(np.arange(30_000), n), threads=1
        ),
        "minhash.signatures": lambda n: minhash.signatures(
            np.tile(tokens, n), np.arange(0, n * len(tokens) + 1, 1024), threads=1
        ),
        "minhash.text_signatures": lambda n: minhash.text_signatures(texts * n, threads=1),
        "minhash.cdist": lambda n: minhash.cdist(np.tile(signatures[:64], (n, 1)), signatures, threads=1),
        "hamming.knn": lambda n: hamming.knn(np.tile(queries, (n, 1)), codes, 1, threads=1),
        "jaccard.knn": lambda n: jaccard.knn(np.tile(queries, (n, 1)), codes, 1, threads=1),
        "hamming.asymmetric_knn": lambda n: hamming.asymmetric_knn(
            np.tile(real, (n, 1)), codes, 1, threads=1
        ),
        "hadamard.pack": lambda n: hadamard.pack(
            np.tile(real, (50 * n, 1)), hadamard.signs(512, 256, random_state=0), 256, threads=1
        ),
        "adc.knn": lambda n: adc.knn(np.tile(tables, (n, 1, 1)), packed, 1, threads=1),
        "adc.radius": lambda n: adc.radius(np.tile(tables, (n, 1, 1)), codes, -99, threads=1),
        "adc.scan": lambda n: adc.scan(np.tile(tables, (n, 1, 1)), codes, threads=1),
        "adc.encode": lambda n: adc.encode(np.tile(tables[:, :, 0], (50 * n, 1)), codebooks, threads=1),
        "adc.tables": lambda n: adc.tables(np.tile(tables[:, :, 0], (5 * n, 1)), codebooks, threads=1),
        "rabitq.encode": lambda n: rabitq.encode(np.tile(real, (20 * n, 1)), n_bits=4, threads=1),
        "rabitq.knn": lambda n: rabitq.knn(np.tile(real, (n, 1)), packed, factors, 1, threads=1),
        "rabitq.radius": lambda n: rabitq.radius(
            np.tile(real[:, :128], (n, 1)), codes, factors, -99.0, n_bits=4, threads=1
        ),
        "hadamard.rotate": lambda n: hadamard.rotate(
            np.tile(real, (50 * n, 1)), hadamard.rotation_signs(512, random_state=0), threads=1
        ),
        "xnor.matmul": lambda n: xnor.matmul(
            np.tile(queries, (n, 1)), matrix, 512, finish=in_bits, threads=1
        ),
        "xnor.bitserial_matmul": lambda n: xnor.bitserial_matmul(
            np.tile(planes, (1, n, 1)), small, 64, finish=in_bits, threads=1
        ),
        "xnor.byte_matmul": lambda n: xnor.byte_matmul(
            np.tile(queries, (n, 1)), signs, finish=in_bits, threads=1
        ),
        "xnor.byte_conv2d": lambda n: xnor.byte_conv2d(np.tile(images, (n, 1, 1, 1)), of_bytes, threads=1),
        "xnor.conv2d": lambda n: xnor.conv2d(np.tile(images, (n, 1, 1, 1)), filters, 512, threads=1),
        "xnor.max_pool2d": lambda n: xnor.max_pool2d(np.tile(images, (n, 1, 1, 1)), 9, stride=1, threads=1),
        "xnor.planes": lambda n: xnor.planes(np.tile(codes, (n, 1)), 8, threads=1),
        "xnor.PackedMatrix": lambda n: xnor.PackedMatrix(np.tile(codes, (n, 1)), 512, threads=1),
    }


@pytest.mark.parametrize("name", long_calls())
def test_other_threads_run_during_a_call(name: str) -> None:
    call = long_calls()[name]
    ticks, done = [0], threading.Event()

    def tick() -> None:
        while not done.wait(0.001):
            ticks[0] += 1

    ticker = threading.Thread(target=tick)
    ticker.start()
    try:
        for doubling in range(12):
            before, begun = ticks[0], time.perf_counter()
            call(2**doubling)
            elapsed, ticked = time.perf_counter() - begun, ticks[0] - before
            if elapsed > 0.25:
                break
    finally:
        done.set()
        ticker.join()
    # Up to 1000 a second; without the lock released there would be one or two.
    assert elapsed > 0.25
    assert ticked > 25, (ticked, elapsed)


def test_calls_of_many_threads_at_once_get_their_own_answers() -> None:
    def work(seed: int) -> tuple[Any, ...]:
        threads = (1, 2, None)[seed % 3]
        queries, codes = random_codes(5, 24, seed=seed), random_codes(3000 + seed, 24, seed=seed + 1)
        return (
            *hamming.knn(queries, codes, 7, threads=threads),
            *jaccard.knn(queries, codes, 7, threads=threads),
            *hamming.pairs(codes[:800], 75, threads=threads),
            jaccard.cdist(queries, codes, threads=threads),
            bits.popcount(codes),
            minhash.signatures(codes.view(np.uint64).reshape(-1), [0, 50, 50, 2000], threads=threads),
            *adc.knn(pq_tables(5, 24, 256, seed), codes, 7, threads=threads),
            *adc.radius(pq_tables(5, 24, 256, seed), adc.PackedCodes(codes), -12, threads=threads),
            xnor.matmul(codes, queries, 192, finish=xnor.Finish(thresholds=seed), threads=threads),
            xnor.conv2d(codes[:900].reshape(1, 30, 30, 24), queries[:, None, None], 192, threads=threads),
        )

    expected = [work(seed) for seed in range(24)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, list(range(24)) * 3))
    assert all(same(found[i], expected[i % 24]) for i in range(72))


# --- how many threads ---------------------------------------------------------------------------------------

COUNT = """
import os, threading
{before}
import numpy as np
from fastcodes import _native, hamming

def started():
    count = 0
    for task in os.listdir("/proc/self/task"):
        try:
            count += open(f"/proc/self/task/{{task}}/comm").read().startswith("fastcodes")
        except OSError:  # ended in between
            pass
    return count

codes = np.zeros((100_000, 32), np.uint8)
call = threading.Thread(target=hamming.knn, args=(codes[:10_000], codes, 1), kwargs={{"threads": {threads}}})
call.start()
most = 0
while call.is_alive():
    most = max(most, started())
print(_native.threads(), most)
"""


def count_threads(before: str = "", threads: int | None = None, **env: str) -> list[int]:
    """Return what None means and how many threads a call starts."""
    if not env:
        before = f"os.environ.pop('FASTCODES_NUM_THREADS', None); {before}"
    code = COUNT.format(before=before, threads=threads)
    return [int(word) for word in run_python(code, env).split()]


@linux_only
def test_the_threads_are_those_that_were_asked_for() -> None:
    cpus, started = count_threads()
    assert 1 <= cpus <= len(os.sched_getaffinity(0))
    assert started == cpus - 1
    assert count_threads(threads=1) == [cpus, 0]
    assert count_threads(threads=10**6) == [cpus, cpus - 1]
    assert count_threads(FASTCODES_NUM_THREADS="1") == [1, 0]
    assert count_threads(FASTCODES_NUM_THREADS="1", threads=2) == [1, cpus - 1]


@linux_only
def test_a_process_bound_to_one_cpu_starts_no_threads() -> None:
    bind = "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])"
    assert count_threads(bind) == [1, 0]
    assert count_threads(bind, threads=2) == [1, 0]
    assert count_threads(bind, FASTCODES_NUM_THREADS="8")[1] == 0


# --- calls beside each other --------------------------------------------------------------------------------

BESIDE = """
import threading, time
import numpy as np
from fastcodes import hamming

codes = np.random.default_rng(0).integers(0, 256, (20_000, 32), dtype=np.uint8)
ended = threading.Event()

def long_calls():
    while not ended.is_set():
        hamming.pairs(np.tile(codes, (3, 1)), 3, threads=2)

def seconds():
    begun = time.perf_counter()
    hamming.knn(codes[:32], codes, 10, threads=2)
    return time.perf_counter() - begun

other = threading.Thread(target=long_calls)
other.start()
time.sleep(0.1)
short = [seconds() for _ in range(20)]
ended.set()
begun = time.perf_counter()
other.join()
print(max(short), time.perf_counter() - begun)
"""


def test_a_short_call_does_not_wait_for_a_long_one_in_another_thread() -> None:
    longest_short, _ = map(float, run_python(BESIDE, {}).split())
    assert longest_short < 0.5
