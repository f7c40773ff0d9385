"""LSHIndex: candidates by definition, the S-curve, changes, files, wrong arguments."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes import _files, bits, hamming
from fastcodes.hashing import Bits, PCAHashing, RandomHyperplanes
from fastcodes.index import LSHIndex, _hash_tables, base
from helpers import Array, same, same_bits

D = 12
RNG = np.random.default_rng(21)
X = RNG.standard_normal((700, D)).astype(np.float32)
QUERIES = X[:9] + RNG.standard_normal((9, D)).astype(np.float32) * np.float32(0.3)
HASHER = RandomHyperplanes(40, random_state=1).fit(X)


def index_of(n_tables: int = 5, x: Array = X, hasher: Any = HASHER) -> LSHIndex:
    index = LSHIndex(hasher, n_tables=n_tables)
    index.add(x)
    return index


def candidates(index: LSHIndex, queries: Array, n_probes: int) -> Array:
    """Flip, of all sets of bits of a key, those with the smallest sums of squared margins."""
    hasher, k = index.codec, index.bits_per_table
    values, codes = hasher.decision_function(queries), index.codes
    bits_of_rows = np.unpackbits(codes, axis=1)
    found = np.zeros((len(queries), len(codes)), bool)
    for query, table in itertools.product(range(len(queries)), range(index.n_tables)):
        part = slice(table * k, table * k + k)
        margins = values[query, part].astype(np.float64)
        flips = np.array(list(itertools.product([0, 1], repeat=k)))
        best = flips[np.argsort((flips * margins**2).sum(axis=1), kind="stable")[:n_probes]]
        for flip in best:
            found[query] |= (bits_of_rows[:, part] == ((margins > 0) ^ flip)).all(axis=1)
    return found


def expected(
    index: LSHIndex, queries: Array, k: int, n_probes: int, allowed: Any = None
) -> tuple[Array, Array]:
    is_candidate = candidates(index, queries, n_probes)
    if allowed is not None:
        is_candidate &= np.isin(np.arange(len(index)), oracles.selected(allowed, len(index)))
    d = oracles.hamming(index.codec.encode(queries), index.codes)
    none = np.iinfo(np.int32).max
    d = np.where(is_candidate, d, none)
    distances, indices = oracles.knn(d, k, None, none)
    return distances.astype(np.int32), np.where(distances == none, -1, indices)


# --- search ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_tables", [5, 6, 8, 20, 40])
@pytest.mark.parametrize("n_probes", [1, 2, 3, 5, 20, 200])
def test_search_is_the_top_k_of_the_candidates(n_tables: int, n_probes: int) -> None:
    index = index_of(n_tables)
    distances, indices = expected(index, QUERIES, 800, n_probes)
    for k in (1, 10, 800):
        assert same_bits(index.search(QUERIES, k, n_probes=n_probes), (distances[:, :k], indices[:, :k])), k


def test_many_probes_take_milliseconds() -> None:
    x = np.random.default_rng(4).standard_normal((5000, 16)).astype(np.float32)
    index = index_of(2, x, RandomHyperplanes(64, random_state=0).fit(x))
    index.search(x[:1], 1)
    start = time.process_time()
    for n_probes in (4000, 4999):
        index.search(x[:2] + 0.1, 5, n_probes=n_probes)
    # More buckets than rows: all are searched instead.
    for n_probes in (5000, 65_536, 2**31):
        assert same_bits(
            index.search(x[:2] + 0.1, 5, n_probes=n_probes),
            hamming.knn(index.codec.encode(x[:2] + 0.1), index.codes, 5),
        )
    assert time.process_time() - start < 1.5


@pytest.mark.parametrize(
    "mask",
    [np.arange(700) % 3 > 0, np.array([5, 5, 699, 0], np.uint16), np.zeros(700, bool)],
    ids=["many", "ids", "none"],
)
def test_a_mask_selects_vectors(mask: Array) -> None:
    index = index_of()
    for n_probes in (1, 4, 256):
        assert same_bits(
            index.search(QUERIES, 30, n_probes=n_probes, mask=mask),
            expected(index, QUERIES, 30, n_probes, mask),
        )


@pytest.mark.parametrize("threads", [1, 2, None])
def test_all_probes_are_the_exact_search(threads: int | None) -> None:
    index = index_of()
    exact = hamming.knn(HASHER.encode(QUERIES), HASHER.encode(X), 50)
    for n_probes in (256, 255 + 10**9):
        assert same_bits(index.search(QUERIES, 50, n_probes=n_probes, threads=threads), exact)
    distances = ((QUERIES[:, None].astype(np.float64) - X) ** 2).sum(axis=2)
    found = index.search(QUERIES, 50, n_probes=256, rerank=X, oversample=14)
    assert np.array_equal(found[1], np.argsort(distances, axis=1, kind="stable")[:, :50])
    assert np.allclose(found[0], np.sort(distances)[:, :50], rtol=1e-5)
    found = index.search(QUERIES, 50, n_probes=256, rerank=X, rerank_metric="ip", oversample=14)
    products = QUERIES.astype(np.float64) @ X.T
    assert np.array_equal(found[1], np.argsort(-products, axis=1, kind="stable")[:, :50])


@pytest.mark.parametrize("dtype", ["float16", "float64", "float32"])
def test_candidates_are_scored_by_their_vectors(dtype: str) -> None:
    index, vectors = index_of(), X.astype(dtype)
    for n_probes, k in ((1, 5), (6, 20), (1, 900)):
        _, rows = index.search(QUERIES, 3 * k, n_probes=n_probes)
        distances, indices = index.search(QUERIES, k, n_probes=n_probes, rerank=vectors, oversample=3)
        for query, found in enumerate(rows[:, : 3 * k]):
            found = found[found >= 0]
            scores = ((vectors[found].astype(np.float32) - QUERIES[query]) ** 2).sum(axis=1)
            order = np.lexsort((found, scores))[:k]
            assert np.array_equal(indices[query, : len(order)], found[order])
            assert np.allclose(distances[query, : len(order)], scores[order], rtol=1e-5)
            assert (indices[query, len(order) :] == -1).all()
            assert np.isposinf(distances[query, len(order) :]).all()


@pytest.mark.parametrize("projection", ["gaussian", "sparse", "hadamard"])
@pytest.mark.parametrize("angle", [0.15, 0.3, 0.5, 0.8])
def test_the_s_curve(projection: str, angle: float) -> None:
    n_tables, k, n_pairs, n_models, d = 6, 8, 150, 20, 100
    hits = 0
    for seed in range(n_models):
        u, v = np.random.default_rng([seed, 7]).standard_normal((2, n_pairs, d))
        u /= np.linalg.norm(u, axis=1, keepdims=True)
        v -= (u * v).sum(axis=1, keepdims=True) * u
        near = np.cos(angle) * u + np.sin(angle) * v / np.linalg.norm(v, axis=1, keepdims=True)
        hasher = RandomHyperplanes(n_tables * k, projection=projection, random_state=seed).fit(u)
        _, rows = index_of(n_tables, u, hasher).search(near, n_pairs)
        hits += int((rows == np.arange(n_pairs)[:, None]).any(axis=1).sum())
    p = 1 - (1 - (1 - angle / np.pi) ** k) ** n_tables
    # Pairs of one model share its directions: their events are not quite independent.
    assert abs(hits / (n_models * n_pairs) - p) < 5 * np.sqrt(p * (1 - p) / (n_models * n_pairs))


def test_probes_find_more_than_as_many_tables_less() -> None:
    x = np.random.default_rng(0).standard_normal((5000, 32)).astype(np.float32)
    queries = x[:300] + np.random.default_rng(1).standard_normal((300, 32)).astype(np.float32) * np.float32(
        0.5
    )
    index = index_of(4, x, RandomHyperplanes(48).fit(x))

    def found(n_probes: int) -> float:
        return float(
            (index.search(queries, 5000, n_probes=n_probes)[1] == np.arange(300)[:, None]).any(axis=1).mean()
        )

    rates = [found(n) for n in (1, 4, 16, 64)]
    assert rates == sorted(rates)
    assert rates[2] > rates[0] + 0.2


@pytest.mark.parametrize(
    ("n_bits", "n_probes"), [(1, 1), (1, 2), (4, 7), (6, 64), (7, 100), (9, 30), (12, 65), (12, 4095)]
)
def test_the_best_sets_of_bits_are_probed(n_bits: int, n_probes: int) -> None:
    probing = _hash_tables.Probing(n_bits, n_probes)
    margins = np.random.default_rng([n_bits, n_probes]).random((50, n_bits)).astype(np.float32)
    margins[:10] **= 8
    margins[10] = 0
    margins[11:14] *= np.float32(1e-38)
    margins[14:17] *= np.float32(3e38)
    flips = probing.flips(margins)
    sets = np.arange(1 << n_bits)
    is_in = sets[:, None] >> np.arange(n_bits)[::-1] & 1
    scores = (margins.astype(np.float64) ** 2) @ is_in.T
    best = np.sort(scores, axis=1)[:, :n_probes]
    chosen = np.sort(np.take_along_axis(scores, flips, axis=1), axis=1)
    assert np.allclose(chosen, best, rtol=1e-5, atol=0)
    assert all(len(set(row)) == n_probes for row in flips.tolist())


@pytest.mark.parametrize("n_bits", [1, 5, 8, 12, 16, 17, 22, 24, 31, 32])
def test_keys_are_the_bits_of_the_codes(n_bits: int) -> None:
    n_tables = 3
    codes = RNG.integers(0, 256, (50, -(-n_tables * n_bits // 8) + 1), dtype=np.uint8)
    bit = np.unpackbits(codes, axis=1)[:, : n_tables * n_bits].reshape(50, n_tables, n_bits).astype(np.int64)
    keys = (bit << np.arange(n_bits)[::-1]).sum(axis=2)
    assert np.array_equal(_hash_tables.keys_of(codes, n_tables, n_bits), keys)


def test_queries_are_searched_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    index = index_of()
    calls: list[dict[str, Any]] = [{}, {"n_probes": 7}, {"n_probes": 256}, {"rerank": X, "n_probes": 3}]
    whole = [index.search(QUERIES, 10, **call) for call in calls]
    monkeypatch.setattr(base, "_NUMBERS_PER_BLOCK", 40)
    for call, results in zip(calls, whole, strict=True):
        assert same_bits(index.search(QUERIES, 10, **call), results)
    assert index.search(QUERIES[:0], 10)[1].shape == (0, 10)
    assert same(index.search(QUERIES[0], 10), tuple(part[:1] for part in whole[0]))


def test_threads_may_search_at_once() -> None:
    index = LSHIndex(HASHER, n_tables=5)
    index.add(X)
    alone = index_of().search(QUERIES, 10, n_probes=3)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: index.search(QUERIES, 10, n_probes=3), range(40)):
            assert same_bits(found, alone)


def test_an_empty_index_is_searched() -> None:
    index = LSHIndex(HASHER, n_tables=5)
    for call in ({}, {"n_probes": 300}):
        distances, indices = index.search(QUERIES, 2, **call)
        assert (distances == np.iinfo(np.int32).max).all()
        assert (indices == -1).all()
    distances, indices = index.search(QUERIES, 2, rerank=X[:0])
    assert distances.dtype == np.float32
    assert np.isposinf(distances).all()


def test_other_hashers_serve() -> None:
    pcah = PCAHashing(n_bits=12).fit(X)
    index = index_of(2, X, pcah)
    assert same_bits(index.search(QUERIES, 10, n_probes=3), expected(index, QUERIES, 10, 3))


@pytest.mark.parametrize("n_bits", [24, 32])
def test_tables_of_many_bits(n_bits: int) -> None:
    x = np.random.default_rng(n_bits).standard_normal((400, 20)).astype(np.float32)
    index = index_of(2, x, RandomHyperplanes(2 * n_bits).fit(x))
    _, rows = index.search(x, 1, n_probes=10)
    assert np.array_equal(rows.ravel(), np.arange(400))
    assert len(index.search(x[0] * 3, 5, n_probes=10)[1]) == 1


# --- changes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts", [[700], [1, 699], [350, 350], [1] * 9 + [691], [100] * 7, [600, 90, 10]], ids=str
)
def test_adding_in_parts_is_adding_at_once(parts: list[int]) -> None:
    index, start = LSHIndex(HASHER, n_tables=5), 0
    for n in parts:
        index.add(X[start : start + n])
        start += n
        found = index.search(QUERIES, 10, n_probes=3)
        assert same_bits(found, expected(index, QUERIES, 10, 3)), start
    assert len(index) == 700
    assert same_bits(index.codes, HASHER.encode(X))
    index.add(X[:0])
    index.add_codes(HASHER.encode(X[:5]))
    assert same_bits(index.search(QUERIES, 10, n_probes=3), expected(index, QUERIES, 10, 3))


@pytest.mark.parametrize("n_probes", [1, 3, 20])
def test_a_radius_selects_candidates(n_probes: int) -> None:
    index = index_of()
    for x in (X, X[:600]):  # more rows than are fetched at first, all of them near
        index.add(x[:1].repeat(300, axis=0))
        distances, rows = expected(index, QUERIES, len(index), n_probes)
        for radius in (0, 5, 12, 40):
            found = index.radius_search(QUERIES, radius, n_probes=n_probes)
            is_near = distances <= radius
            assert np.array_equal(np.diff(found[0]), is_near.sum(axis=1))
            assert same_bits(found[1:], (distances[is_near], rows[is_near]))


def test_removed_rows_leave_the_tables() -> None:
    for ids in ([3], [699, 0, 0, 350], np.arange(700) % 2 == 0, np.arange(700)):
        index = index_of()
        index.search(QUERIES, 1)
        index.remove(ids)
        kept = index.ids
        again = index_of(x=X[kept])
        found, others = index.search(QUERIES, 10, n_probes=3), again.search(QUERIES, 10, n_probes=3)
        assert same_bits(found[0], others[0])
        assert np.array_equal(found[1], np.append(kept, -1)[others[1]])


# --- files -------------------------------------------------------------------------------------------------


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "index"
    index_of(x=X[:40]).save(path)
    data = path.read_bytes()
    for cut in (0, 1, 8, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:cut])
        for mmap in (True, False):
            with pytest.raises(ValueError, match="not a valid LSHIndex file"):
                LSHIndex.load(path, mmap=mmap)
    for place in range(0, len(data), 97):
        path.write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        with pytest.raises(ValueError, match="not a valid LSHIndex file"):
            LSHIndex.load(path, mmap=False)


def test_files_with_other_contents_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "index"
    index_of(x=X[:40]).save(path)
    params, arrays = _files.read(path, "LSHIndex")
    for n_tables in (0, 41, "5", None):
        _files.write(path, "LSHIndex", {**params, "settings": {"n_tables": n_tables}}, arrays)
        with pytest.raises(ValueError, match="not a valid LSHIndex file"):
            LSHIndex.load(path)
    for codec in (
        {"class": "ProductQuantizer", "params": {}},  # a codec, but not a hash function
        {"class": "MinHash", "params": {}},
        {**params["codec"], "params": {"n_bit": 3}},
    ):
        _files.write(path, "LSHIndex", {**params, "codec": codec}, arrays)
        with pytest.raises(ValueError, match="not a valid LSHIndex file"):
            LSHIndex.load(path)
    for name, array in (
        ("codes", arrays["codes"][:, :4]),
        ("codes", arrays["codes"].astype(np.int8)),
        ("codec.components", arrays["codec.components"][:39]),
        ("codec.components", arrays["codec.components"] * np.float32(np.nan)),
        ("codec.shape", np.array([40, 0])),
    ):
        _files.write(path, "LSHIndex", params, {**arrays, name: array})
        with pytest.raises(ValueError, match="not a valid LSHIndex file"):
            LSHIndex.load(path)
    HASHER.save(path)
    with pytest.raises(ValueError, match="it holds a RandomHyperplanes"):
        LSHIndex.load(path)
    with pytest.raises(FileNotFoundError):
        LSHIndex.load(tmp_path / "nothing")


# --- wrong arguments ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_probes", "error", "match"),
    [
        (0, ValueError, "n_probes must be an integer from 1 up; got 0"),
        ("3", TypeError, "n_probes must be an integer"),
    ],
)
def test_a_wrong_number_of_probes_is_an_error(n_probes: Any, error: type[Exception], match: str) -> None:
    for method, number in (("search", 3), ("radius_search", 3)):
        with pytest.raises(error, match=match):
            getattr(index_of(), method)(QUERIES, number, n_probes=n_probes)
    for radius in (-1, 1.5):
        with pytest.raises((TypeError, ValueError), match="radius must be an integer from 0 up"):
            index_of().radius_search(QUERIES, radius)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mask has the row 700"):
        index_of().search(QUERIES, 3, mask=np.array([700]), n_probes=256)


def test_wrong_hashers_tables_and_codes_are_errors() -> None:
    for hasher in (None, "RandomHyperplanes", RandomHyperplanes, X, Bits(64)):
        with pytest.raises(TypeError, match=r"codec must be a fitted model of fastcodes.hashing"):
            LSHIndex(hasher)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not fitted yet"):
        LSHIndex(RandomHyperplanes())
    for n_tables, error, match in (
        (0, ValueError, "n_tables must be an integer from 1 up"),
        (41, ValueError, "n_tables is 41, but the codes have 40 bits; expected from 1 to 32 bits for each"),
        (1, ValueError, "n_tables is 1, but the codes have 40 bits"),
        (2.0, TypeError, "n_tables must be an integer"),
    ):
        with pytest.raises(error, match=match):
            LSHIndex(HASHER, n_tables=n_tables)
    index = LSHIndex(RandomHyperplanes(37).fit(X), n_tables=5)
    codes = bits.pack(np.ones((3, 37)))
    for wrong, error, match in (
        (codes[:, :4], ValueError, r"codes must have shape \(n, 5\)"),
        (codes.astype(int), TypeError, "codes must be a numpy uint8 array"),
        (codes | np.uint8(1), ValueError, "codes has ones after bit 37 in row 0"),
    ):
        with pytest.raises(error, match=match):
            index.add_codes(wrong)
    assert len(index) == 0
