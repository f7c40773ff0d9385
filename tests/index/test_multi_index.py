"""MultiIndexHashing: the results of FlatIndex, to the bit, whatever the codes, changes and files."""

from __future__ import annotations

import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import _files, _native, bits
from fastcodes.hashing import ITQ, Bits, MinHash, RandomHyperplanes
from fastcodes.index import FlatIndex, MultiIndexHashing
from fastcodes.quantization import ScalarQuantizer
from helpers import Array, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

N, N_BITS = 70_000, 64


def clustered(n: int, n_bits: int, seed: int = 0, n_members: int = 20) -> Array:
    """Return codes that differ from one of a few centres in up to six bits."""
    rng = np.random.default_rng([seed, n, n_bits])
    bit = rng.random((n // n_members + 1, n_bits)) < 0.5
    bit = bit[rng.integers(0, len(bit), n)]
    rows = np.repeat(np.arange(n), 6)
    bit[rows, rng.integers(0, n_bits, 6 * n)] ^= rng.random(6 * n) < 0.5
    return bits.pack(bit)


def near(codes: Array, n_bits: int, n: int, most: int = 3, seed: int = 1) -> Array:
    """Return some of the codes with up to `most` bits flipped."""
    rng = np.random.default_rng([seed, n])
    bit = np.unpackbits(codes[rng.integers(0, len(codes), n)], axis=1, count=n_bits).astype(bool)
    for row in bit:
        row[rng.integers(0, n_bits, rng.integers(0, most + 1))] ^= True
    return bits.pack(bit)


CODES = clustered(N, N_BITS)
QUERIES = np.concatenate([near(CODES, N_BITS, 30), clustered(5, N_BITS, seed=9)])


def indexes(codes: Array, n_bits: int, **options: Any) -> tuple[MultiIndexHashing, FlatIndex]:
    index, flat = MultiIndexHashing(n_bits, **options), FlatIndex(Bits(n_bits))
    for one in (index, flat):
        one.add(codes)
    return index, flat


def check(index: MultiIndexHashing, flat: FlatIndex, queries: Array, masks: Any = (None,)) -> None:
    for mask in masks:
        for k in (1, 10, 200):
            expected = flat.search(queries, k, mask=mask)
            for threads in (1, 3):
                assert same_bits(index.search(queries, k, mask=mask, threads=threads), expected), k
        for radius in (0, 3, 7, 20):
            expected_rows = flat.radius_search(queries, radius, mask=mask)
            for threads in (1, 3):
                found = index.radius_search(queries, radius, mask=mask, threads=threads)
                assert same_bits(found, expected_rows), radius


# --- search -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_tables", [None, 1, 2, 5, 64])
def test_results_are_those_of_a_flat_index(n_tables: int | None) -> None:
    index, flat = indexes(CODES, N_BITS, n_tables=n_tables)
    ids = np.random.default_rng(3).permutation(N)[: N // 2]
    check(index, flat, QUERIES, (None, np.arange(N) % 3 > 0, ids, ids[:7]))
    assert index.n_tables == n_tables
    assert (len(index._storage._tables), len(index._storage._tables[0][0])) == (1, n_tables or 4)


@pytest.mark.parametrize("n_bits", [1, 7, 8, 15, 16, 17, 24, 33, 48, 65, 100, 128, 200, 256, 299, 300])
def test_codes_of_any_number_of_bits(n_bits: int) -> None:
    codes = clustered(20_000, n_bits)
    index, flat = indexes(codes, n_bits)
    check(index, flat, near(codes, n_bits, 12))


@settings(max_examples=40, deadline=None)
@given(
    n_bits=st.integers(1, 300),
    n=st.integers(0, 12_000),
    n_members=st.integers(1, 3000),
    n_tables=st.one_of(st.none(), st.integers(1, 300)),
    k=st.integers(0, 40),
    radius=st.integers(0, 40),
    every=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_any_codes(
    n_bits: int, n: int, n_members: int, n_tables: int | None, k: int, radius: int, every: int, seed: int
) -> None:
    codes = clustered(n, n_bits, seed, n_members)
    index, flat = indexes(codes, n_bits, n_tables=n_tables and min(n_tables, n_bits))
    queries = near(codes, n_bits, 5, seed=seed) if n else clustered(5, n_bits)
    mask = np.arange(n) % every == 0
    assert same_bits(index.search(queries, k, mask=mask), flat.search(queries, k, mask=mask))
    found = index.radius_search(queries, radius, mask=mask)
    assert same_bits(found, flat.radius_search(queries, radius, mask=mask))


@pytest.mark.parametrize("value", [0, 255])
def test_equal_codes(value: int) -> None:
    codes = np.full((30_000, 8), value, np.uint8)
    index, flat = indexes(codes, 64)
    check(index, flat, np.concatenate([codes[:2], ~codes[:1], QUERIES[:3]]))


def test_near_rows_are_found_in_the_tables() -> None:
    index, flat = indexes(CODES, N_BITS)
    assert len(index.radius_search(QUERIES, 3)[2]) > 30
    ((starts, entries),) = index._storage._tables  # type: ignore[attr-defined]
    index._storage._tables = ((np.zeros_like(starts), entries),)  # type: ignore[attr-defined]
    assert len(index.radius_search(QUERIES, 3)[2]) == 0  # nothing was scanned
    # A radius that takes too many look-ups.
    assert same_bits(index.radius_search(QUERIES, 25), flat.radius_search(QUERIES, 25))


def test_models_make_the_codes() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20_000, 16)).astype(np.float32)
    for codec in (RandomHyperplanes(48).fit(x), ITQ(16, random_state=0).fit(x)):
        index, flat = MultiIndexHashing(codec), FlatIndex(codec)
        for one in (index, flat):
            one.add(x)
        assert same_bits(index.search(x[:9], 5), flat.search(x[:9], 5))
        assert same_bits(index.search(x[:9], 5, rerank=x), flat.search(x[:9], 5, rerank=x))
        with pytest.raises(TypeError, match="cannot be decoded"):
            index.reconstruct(3)
    sets = [rng.integers(0, 3000, 30).tolist() for _ in range(6000)]
    codec = MinHash(100, b_bits=1, random_state=0).fit()
    index, flat = MultiIndexHashing(codec), FlatIndex(codec)
    for one in (index, flat):
        one.add(sets)
    assert same_bits(index.search(sets[:9], 3), flat.search(sets[:9], 3))


# --- changes ------------------------------------------------------------------------------------------------


def test_rows_are_added_removed_and_merged() -> None:
    index, flat = MultiIndexHashing(N_BITS), FlatIndex(Bits(N_BITS))
    rng = np.random.default_rng(5)
    ids = rng.permutation(10 * N)[:N]
    start = 0
    for n in (100, 5000, 30_000, 1, 4000, 9000, 4096):
        for one in (index, flat):
            one.add(CODES[start : start + n], ids=ids[start : start + n])
        start += n
        assert same_bits(index.search(QUERIES, 10), flat.search(QUERIES, 10)), start
        assert same_bits(index.radius_search(QUERIES, 4), flat.radius_search(QUERIES, 4)), start
    sizes = [entries.shape[1] for _, entries in index._storage._tables]  # type: ignore[attr-defined]
    assert len(sizes) > 1
    assert all(a > 2 * b for a, b in itertools.pairwise(sizes))
    for one in (index, flat):
        assert one.remove(ids[10:start:3]) == len(range(10, start, 3))
    check(index, flat, QUERIES)
    for one in (index, flat):
        one.merge(one)
    check(index, flat, QUERIES)
    assert np.array_equal(index.reconstruct(ids[:2]), CODES[:2])


def test_copies_fill_tables_of_their_own() -> None:
    index, flat = indexes(CODES, N_BITS)
    index.search(QUERIES, 1)
    other = pickle.loads(pickle.dumps(index))
    assert other._storage._tables == ()
    assert index.nbytes > N * (8 + 8 * 4) > other.nbytes
    other.add(QUERIES)
    check(index, flat, QUERIES[:5])
    flat.add(QUERIES)
    check(other, flat, QUERIES[:5])


def test_threads_may_search_at_once() -> None:
    index, flat = indexes(CODES, N_BITS)
    expected = flat.search(QUERIES, 10)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: index.search(QUERIES, 10), range(20)))
    assert all(same_bits(one, expected) for one in found)


# --- files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mmap", [True, False])
def test_tables_are_saved(mmap: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, flat = indexes(CODES, N_BITS, n_tables=5)
    index.save(tmp_path / "index")
    loaded = MultiIndexHashing.load(tmp_path / "index", mmap=mmap)
    assert (loaded.n_tables, loaded.nbytes) == (5, index.nbytes)
    monkeypatch.setattr(_native, "hamming_tables", None)  # no table is filled again
    check(loaded, flat, QUERIES)
    monkeypatch.undo()
    for one in (loaded, flat):
        one.add(QUERIES[:9])
        one.remove([0, 5, 6])
    check(loaded, flat, QUERIES)


def parts_of(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    return _files.read(path, "MultiIndexHashing", mmap=False)


@pytest.mark.parametrize(
    "change",
    [
        {"starts.0": None},
        {"entries.0": None},
        {"starts.0": lambda a: a[:, :-1].copy()},
        {"starts.0": lambda a: a[:2].copy()},
        {"starts.0": lambda a: a.astype(np.int32)},
        {"starts.0": lambda a: a.ravel()},
        {"starts.0": lambda a: np.zeros((len(a), 2), np.uint32)},
        {"starts.0": lambda a: np.zeros((len(a), 2**25 + 1), np.uint32)},
        {"entries.0": lambda a: a.astype(np.uint32)},
        {"entries.0": lambda a: np.concatenate([a, a], axis=1)},
        {"codes": lambda a: a[:100].copy()},
        {"codes": lambda a: np.pad(a, [(0, 0), (0, 1)])},
    ],
)
def test_tables_that_do_not_fit_are_refused(change: dict[str, Any], tmp_path: Path) -> None:
    index, _ = indexes(CODES, N_BITS)
    index.save(tmp_path / "index")
    params, arrays = parts_of(tmp_path / "index")
    for name, changed in change.items():
        array = arrays.pop(name)
        if changed is not None:
            arrays[name] = changed(array)
    _files.write(tmp_path / "other", "MultiIndexHashing", params, arrays)
    with pytest.raises(ValueError, match="other"):
        MultiIndexHashing.load(tmp_path / "other")


@pytest.mark.parametrize("n_parts", [-1, 2, 1.5, "1", None, 10**9])
def test_a_wrong_number_of_tables_is_refused(n_parts: Any, tmp_path: Path) -> None:
    index, _ = indexes(CODES[:5000], N_BITS)
    index.save(tmp_path / "index")
    params, arrays = parts_of(tmp_path / "index")
    params["contents"]["n_parts"] = n_parts
    _files.write(tmp_path / "other", "MultiIndexHashing", params, arrays)
    with pytest.raises(ValueError, match="other"):
        MultiIndexHashing.load(tmp_path / "other")


def test_tables_of_nonsense_are_searched_safely(tmp_path: Path) -> None:
    index, _ = indexes(CODES, N_BITS)
    index.save(tmp_path / "index")
    params, arrays = parts_of(tmp_path / "index")
    rng = np.random.default_rng(0)
    for limit in (1, N, 2**32):
        for names in (["starts.0"], ["entries.0"], ["starts.0", "entries.0"]):
            changed = {
                name: rng.integers(0, limit, arrays[name].shape).astype(arrays[name].dtype) for name in names
            }
            _files.write(tmp_path / "other", "MultiIndexHashing", params, arrays | changed)
            loaded = MultiIndexHashing.load(tmp_path / "other")
            ids = loaded.search(QUERIES, 10)[1]
            assert ((ids >= -1) & (ids < N)).all()
            ids = loaded.radius_search(QUERIES, 5)[2]
            assert ((ids >= 0) & (ids < N)).all()


# --- wrong arguments ----------------------------------------------------------------------------------------


def test_wrong_arguments_are_errors() -> None:
    for codec in ("64", 64.0, None, True, Bits, [64]):
        with pytest.raises(TypeError, match="codec must be a number of bits, or a fitted model"):
            MultiIndexHashing(codec)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="codec must be an integer from 1 to 16777216; got 0"):
        MultiIndexHashing(0)
    with pytest.raises(ValueError, match="n_tables is 9; expected from 1 to 8, the bits of a code"):
        MultiIndexHashing(8, n_tables=9)
    with pytest.raises(ValueError, match="metric"):
        MultiIndexHashing(ScalarQuantizer(4).fit(np.eye(5)))
    with pytest.raises(ValueError, match="b_bits=2"):
        MultiIndexHashing(MinHash(64, b_bits=2).fit())
    index, _ = indexes(CODES[:5000], N_BITS)
    with pytest.raises(TypeError, match="radius must be an integer"):
        index.radius_search(QUERIES, 1.5)
    with pytest.raises(ValueError, match="radius must be"):
        index.radius_search(QUERIES, -1)
