"""The contract of indexes, run over every index and every codec against brute force in numpy."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes import hashing, index, minhash, quantization
from fastcodes._codec import Codec
from fastcodes.hashing import (
    CCAITQ,
    ITQ,
    Bits,
    DeepHashing,
    LocalityPreservingHashing,
    MinHash,
    PCAHashing,
    RandomHyperplanes,
    SpectralHashing,
    SupervisedDiscreteHashing,
)
from fastcodes.index import FlatIndex, Index, MinHashIndex, base
from fastcodes.quantization import (
    AdditiveQuantizer,
    CompositeQuantizer,
    OptimizedProductQuantizer,
    ProductQuantizer,
    RaBitQuantizer,
    ResidualQuantizer,
    ScalarQuantizer,
    VectorQuantizer,
)
from helpers import Array, same, same_bits
from index.kit import (
    CASES,
    HASHER,
    IDS,
    LABELS,
    PACKED,
    PQ,
    QUERIES,
    RNG,
    SETS,
    Case,
    D,
    N,
    X,
    every_case,
    exact_cases,
    nearest,
    of_signatures,
    rows_of,
    vector_cases,
)

# --- search -------------------------------------------------------------------------------------------------


@every_case
def test_search_is_the_top_k(case: Case) -> None:
    index = case.filled()
    distances = case.distances(index, case.queries)
    for k in (0, 1, 6, N, N + 3):
        found = index.search(case.queries, k, **case.options)
        assert same_bits(found, nearest(distances, np.arange(N), k)), k
        assert same(found, index.search(case.queries, k, **case.options, threads=1))
    one = index.search(case.queries[:1], 5, **case.options)
    distances = case.distances(index, case.queries[:1])  # a rotation may be rounded otherwise
    assert same(one, nearest(distances, np.arange(N), 5))
    if isinstance(case.queries, np.ndarray):
        assert same(index.search(case.queries[0], 5, **case.options), one)


@every_case
def test_ties_go_to_the_lower_id_whatever_the_order_of_adding(case: Case) -> None:
    for order in (np.arange(N), np.argsort(IDS), np.argsort(-IDS)):
        index = case.filled(order, IDS)
        assert np.array_equal(index.ids, IDS[order])
        distances = case.distances(index, case.queries)
        for k in (1, 2, 10, N, N + 3):
            found = index.search(case.queries, k, **case.options)
            assert same_bits(found, nearest(distances, IDS[order], k)), k


@every_case
@pytest.mark.parametrize("ids", [None, IDS], ids=["default ids", "own ids"])
def test_a_mask_selects_rows(case: Case, ids: Array | None) -> None:
    index = case.filled(ids=ids)
    distances = case.distances(index, case.queries)
    kept = RNG.permutation(N)[:40]
    booleans = np.zeros(N, bool)
    booleans[kept] = True
    chosen = index.ids[np.append(kept, kept[:3])]
    for k in (5, 41):
        expected = nearest(distances, index.ids, k, np.sort(kept))
        for mask in (booleans, chosen, chosen.astype(np.uint32)):
            assert same_bits(index.search(case.queries, k, mask=mask, **case.options), expected)
    for mask in (np.zeros(N, bool), np.empty(0, np.int64)):
        assert (index.search(case.queries, 3, mask=mask, **case.options)[1] == -1).all()


@every_case
@pytest.mark.parametrize("ids", [None, IDS], ids=["default ids", "own ids"])
def test_radius_search_is_the_filtered_scan(case: Case, ids: Array | None) -> None:
    index = case.filled(ids=ids)
    if index.metric == "asymmetric":
        with pytest.raises(ValueError, match='no radius search with the metric "asymmetric"'):
            index.radius_search(case.queries, 0.0)
        return
    distances = case.distances(index, case.queries)
    booleans = RNG.random(N) < 0.5
    for quantile in (0, 0.01, 0.3, 1):
        finite = np.sort(distances[np.isfinite(distances)])
        radius = finite[int(quantile * (len(finite) - 1))].item()
        for mask in (None, booleans, index.ids[booleans]):
            kept = np.flatnonzero(booleans) if mask is not None else np.arange(N)
            found = index.radius_search(case.queries, radius, mask=mask, **case.options)
            assert (found[0].dtype, found[1].dtype, found[2].dtype) == (np.int64, distances.dtype, np.int64)
            for query, own in enumerate(distances):
                near = kept[own[kept] <= radius]
                order = np.lexsort((index.ids[near], own[near]))
                part = slice(found[0][query], found[0][query + 1])
                assert np.array_equal(found[2][part], index.ids[near][order])
                assert np.array_equal(found[1][part], own[near][order])
    assert [part.tolist() for part in index.radius_search(case.queries[:0], 1, **case.options)] == [
        [0],
        [],
        [],
    ]


@exact_cases
@pytest.mark.parametrize("dtype", ["float16", "float32", "uint8", "int8", "float64"])
def test_candidates_are_scored_by_their_vectors(case: Case, dtype: str) -> None:
    vectors = np.clip(20 * X + 50, 0, 120).astype(dtype)
    queries = QUERIES * 20 + 50
    index = case.filled()
    for metric in (None, "l2", "ip"):
        used = metric or (index.metric if index.metric in ("l2", "ip") else "l2")
        exact = oracles.rerank_distances(queries, vectors, used)
        found = index.search(queries, 6, rerank=vectors, rerank_metric=metric, oversample=N, **case.options)
        assert same(found, nearest(exact, np.arange(N), 6), (np.dtype(np.float32), np.dtype(np.int64)))
    # Only the nearest by codes are candidates.
    few = index.search(queries, 6, rerank=vectors, oversample=1.5, **case.options)
    near = index.search(queries, 9, **case.options)[1]
    assert all(np.isin(row, others).all() for row, others in zip(few[1], near, strict=True))
    by_default = index.search(queries, 6, rerank=vectors, **case.options)
    assert same(
        by_default,
        index.search(queries, 6, rerank=vectors, oversample=index.codec.oversample, **case.options),
    )


@vector_cases
def test_vectors_are_those_of_ids(case: Case, tmp_path: Path) -> None:
    vectors = np.full((5 * N, D), np.nan, np.float32)  # of the ids that are not there
    vectors[IDS] = X
    vectors.tofile(tmp_path / "vectors")
    mapped = np.memmap(tmp_path / "vectors", np.float32, "r", shape=vectors.shape)
    index = case.filled(ids=IDS)
    ids = np.sort(IDS)
    exact = oracles.rerank_distances(QUERIES, vectors[ids], "l2")
    options = {"rerank_metric": "l2", "oversample": N, **case.options}
    assert same(index.search(QUERIES, 9, rerank=mapped, **options), nearest(exact, ids, 9))
    index.remove(ids[::3])
    kept = np.arange(N) % 3 > 0
    assert same(index.search(QUERIES, 9, rerank=mapped, **options), nearest(exact, ids, 9, kept))
    index = case.filled()
    index.remove(np.arange(0, N, 3))
    exact = oracles.rerank_distances(QUERIES, X, "l2")
    assert same(index.search(QUERIES, 9, rerank=X, **options), nearest(exact, np.arange(N), 9, kept))


def test_sets_are_compared_exactly_too() -> None:
    case = CASES["minhash"]
    for ids in (None, np.arange(N)[::-1]):
        index = case.filled(ids=ids)
        by_id = dict(zip(index.ids.tolist(), SETS, strict=True))
        candidates = np.isfinite(of_signatures(index, SETS[:7]))
        exact = np.array(
            [[1 - len({*a} & {*b}) / len({*a} | {*b}) for b in SETS] for a in SETS[:7]], np.float32
        )
        exact[~candidates] = np.inf
        in_a_list = [by_id[number] for number in range(N)]
        for sets in (by_id, in_a_list, minhash.tokens(in_a_list)):
            found = index.search(SETS[:7], 5, rerank=sets, oversample=N)
            expected = nearest(exact, index.ids, 5)
            assert np.array_equal(found[1], expected[1])
            np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
            removed = copy.deepcopy(index)
            removed.remove(index.ids[::3])
            found = removed.search(SETS[:7], 5, rerank=sets, oversample=N)
            assert np.array_equal(found[1], nearest(exact, index.ids, 5, np.arange(N) % 3 > 0)[1])


@every_case
def test_queries_are_searched_block_by_block(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    index = case.filled()
    expected = index.search(case.queries, 6, **case.options)
    monkeypatch.setattr(base, "_NUMBERS_PER_BLOCK", 1)
    found = index.search(case.queries, 6, **case.options)
    assert np.array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)  # a product may be rounded otherwise


@every_case
def test_threads_may_search_at_once(case: Case) -> None:
    expected = case.filled(ids=IDS).search(case.queries, 5, **case.options)
    index = case.filled(ids=IDS)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: index.search(case.queries, 5, **case.options), range(12)))
    assert all(same(part, expected) for part in found)


@every_case
@pytest.mark.parametrize("own_ids", [False, True])
def test_rows_may_be_added_during_searches(case: Case, own_ids: bool) -> None:
    index = case.make()
    index.add(case.part(slice(0, 40)), ids=IDS[:40] if own_ids else None)
    whole = case.filled(ids=IDS if own_ids else None)
    wanted = {
        (query, row): distance
        for query, own in enumerate(case.distances(whole, case.queries))
        for row, distance in zip(whole.ids.tolist(), own.tolist(), strict=True)
    }

    def add() -> None:
        for row in range(40, N):
            index.add(case.part(slice(row, row + 1)), ids=IDS[row : row + 1] if own_ids else None)

    with ThreadPoolExecutor(1) as pool:
        adding = pool.submit(add)
        is_last = False
        while not is_last:
            is_last = adding.done()
            distances, ids = index.search(case.queries, 5, **case.options)
            for query, row in zip(*np.nonzero(ids >= 0), strict=True):
                distance = wanted[query, ids[query, row]]
                np.testing.assert_allclose(distances[query, row], distance, rtol=1e-4, atol=1e-4)
        adding.result()
    assert same(index.search(case.queries, 5, **case.options), whole.search(case.queries, 5, **case.options))


@every_case
def test_an_empty_index_is_searched(case: Case) -> None:
    index = case.make()
    for mask in (None, np.empty(0, bool), np.empty(0, np.int64)):
        distances, indices = index.search(case.queries, 3, mask=mask, **case.options)
        padding = np.iinfo(np.int32).max if distances.dtype == np.int32 else np.inf
        assert (distances == padding).all()
        assert (indices == -1).all()
    if index.metric != "asymmetric":
        assert index.radius_search(case.queries, 1, **case.options)[0].tolist() == [0] * 8
    assert index.search(case.queries[:0], 3, **case.options)[1].shape == (0, 3)
    assert (len(index), len(rows_of(index)), index.ids.tolist(), index.remove([])) == (0, 0, [], 0)
    index.add(case.samples[:0])
    assert len(index) == 0


# --- contents -----------------------------------------------------------------------------------------------


@every_case
def test_adding_in_parts_is_adding_at_once(case: Case) -> None:
    whole, parts, codes = case.filled(), case.make(), case.make()
    for start, stop in ((0, 1), (1, 1), (1, 257), (257, 300)):
        parts.add(case.samples[start:stop], threads=1)
        codes.add_codes(rows_of(whole)[start:stop])
        assert len(parts) == len(codes) == stop
        parts.search(case.queries, 1, **case.options)
    expected = whole.search(case.queries, 9, **case.options)
    for other in (parts, codes):
        assert same_bits(other.codes, whole.codes)
        assert same_bits(other.search(case.queries, 9, **case.options), expected)
    assert same_bits(whole.codes, whole._coder.encode(case.samples))


@every_case
def test_merging_is_adding_at_once(case: Case) -> None:
    whole, first, second = case.filled(), case.make(), case.make()
    first.add(case.samples[:120])
    second.add(case.samples[120:])
    merged = copy.deepcopy(first)
    merged.merge(second)
    assert (merged.ids.tolist(), len(second)) == (list(range(N)), N - 120)
    assert same_bits(merged.codes, whole.codes)
    expected = whole.search(case.queries, 9, **case.options)
    assert same_bits(merged.search(case.queries, 9, **case.options), expected)
    with pytest.raises(ValueError, match="ids has 0, which is there already"):
        first.merge(second, ids=second.ids)
    assert len(first) == 120
    second.merge(second)
    assert len(second) == 2 * (N - 120)


def test_indexes_of_other_codecs_are_not_merged() -> None:
    def index(codec: Codec) -> FlatIndex:
        return FlatIndex(codec)

    quantizer = ProductQuantizer(3, 4, max_iter=2, random_state=0)
    ours = index(quantizer.fit(X))
    for other in (
        index(ProductQuantizer(3, 4, max_iter=2, random_state=0).fit(X[:50])),
        index(RandomHyperplanes(8).fit(X)),
        index(Bits(8)),
    ):
        with pytest.raises(ValueError, match=r"other is .*, which makes other codes"):
            ours.merge(other)
    with pytest.raises(ValueError, match="other is MinHashIndex"):
        MinHashIndex(MinHash(shingle_size=2)).merge(MinHashIndex(MinHash(shingle_size=3)))
    ours.merge(index(copy.deepcopy(quantizer).set_params(random_state=None, verbose=True)))


def test_the_error_of_ids_that_are_strings_says_to_keep_a_list() -> None:
    with pytest.raises(TypeError, match=r"ids must be integers; got \['a', 'b'\].*keep a list: keys\[id\]"):
        FlatIndex(Bits(8)).add([[1], [2]], ids=["a", "b"])


@every_case
def test_default_ids_take_no_memory(case: Case) -> None:
    index = case.filled()
    n_bytes = index.nbytes
    assert index._ids.nbytes == 0
    assert n_bytes >= rows_of(index).nbytes // 2
    assert case.filled(ids=IDS).nbytes == n_bytes + 8 * N
    assert case.filled(ids=np.arange(N)).nbytes == n_bytes


@every_case
def test_ids_survive_removals(case: Case) -> None:
    for ids in (None, IDS):
        index = case.filled(ids=ids)
        all_ids, codes = index.ids, rows_of(index)
        distances = case.distances(index, case.queries)
        index.search(case.queries, 1, **case.options)
        kept = np.ones(N, bool)
        for rows in ([5], [299, 17], [], np.arange(100, 200), np.flatnonzero(RNG.random(N) < 0.2)):
            gone = np.unique(np.array([row for row in rows if kept[row]], int))
            assert index.remove(all_ids[np.append(gone, gone)]) == len(gone)
            kept[gone] = False
            assert np.array_equal(index.ids, all_ids[kept])
            assert same_bits(rows_of(index), codes[kept])
            found = index.search(case.queries, 9, **case.options)
            assert same_bits(found, nearest(distances, all_ids, 9, kept))
        # New ids follow the largest one that ever was.
        index.add(case.samples[:4])
        last = int(all_ids.max())
        assert index.ids[-4:].tolist() == list(range(last + 1, last + 5))
        index.remove(last + 4)
        index.add(case.samples[:1])
        assert index.ids[-1] == last + 5
        assert index.remove(np.ones(len(index), bool)) == kept.sum() + 4
        assert (index.search(case.queries, 2, **case.options)[1] == -1).all()
        index.add(case.samples[:3])
        assert index.ids.tolist() == [last + 6, last + 7, last + 8]
        assert np.array_equal(index.search(case.queries[:1], 1, **case.options)[1], [[last + 6]])


@every_case
@pytest.mark.parametrize("ids", [None, IDS], ids=["default ids", "own ids"])
def test_updating_is_removing_and_adding(case: Case, ids: Array | None) -> None:
    index, other = case.filled(ids=ids), case.filled(ids=ids)
    index.search(case.queries, 3, **case.options)
    chosen, new = index.ids[[290, 3, 17]], case.part([5, 250, 290])
    index.update(chosen, new)
    other.remove(chosen)
    other.add(new, ids=chosen)
    assert np.array_equal(index.ids, other.ids)
    assert same_bits(index.codes, other.codes)
    assert same_bits(
        index.search(case.queries, 9, **case.options), other.search(case.queries, 9, **case.options)
    )
    before = index.codes
    for wrong, samples, message in (
        (chosen[[0, 0, 1]], new, "ids has an id twice"),
        ([10**9, 1, 2], new, "the id 1000000000"),
        (chosen[:2], new, "X has 3 samples, but there are 2 ids"),
    ):
        with pytest.raises(ValueError, match=message):
            index.update(wrong, samples)
    assert same_bits(index.codes, before)
    index.update([], case.part([]))
    index.add(case.part([0]))
    assert len(index) == N + 1
    assert index.ids[-1] == other._ids._next


@every_case
def test_reconstructing_is_decoding(case: Case) -> None:
    for ids in (None, IDS):
        index = case.filled(ids=ids)
        rows = np.array([299, 0, 17, 0])
        try:
            expected = index._coder.decode(index.codes)
        except TypeError:
            with pytest.raises(TypeError, match=r"codes of \w+ cannot be decoded"):
                index.reconstruct(index.ids[:1])
            continue
        assert np.allclose(index.reconstruct(index.ids[rows]), expected[rows], atol=1e-6)
        assert np.allclose(index.reconstruct(index.ids[5].item()), expected[5], atol=1e-6)
        assert np.allclose(index.reconstruct(np.arange(N) % 7 == 0), expected[::7], atol=1e-6)
        assert index.reconstruct([]).shape == (0, *expected.shape[1:])


@every_case
def test_what_fails_changes_nothing(case: Case) -> None:
    index = case.filled()
    index.remove([3])
    index.add(case.samples[:1], ids=[1000])
    ids, codes = index.ids, rows_of(index)
    calls: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: index.remove([5, 3]), ValueError, "ids has the id 3, which is not one of the 300 ids"),
        (lambda: index.remove(1001), ValueError, "ids has the id 1001"),
        (lambda: index.remove([0, -1]), ValueError, "ids has the id -1"),
        (
            lambda: index.remove(np.array([2**64 - 1], np.uint64)),
            ValueError,
            "ids has the id 18446744073709551615",
        ),
        (lambda: index.remove([0.0]), TypeError, "ids must be integers or a boolean array.*0.0"),
        (lambda: index.remove("all"), TypeError, "ids must be integers.*'all'"),
        (lambda: index.remove(None), TypeError, "ids must be integers.*None"),
        (lambda: index.remove(np.empty(0)), TypeError, "ids must be integers.*float64"),
        (lambda: index.remove(True), ValueError, "ids must have one dimension"),
        (lambda: index.remove([[1]]), ValueError, r"ids must have one dimension; got shape \(1, 1\)"),
        (
            lambda: index.remove(np.ones(299, bool)),
            ValueError,
            "ids has 299 booleans but the index has 300 rows",
        ),
        (lambda: index.reconstruct([0, 3]), ValueError, "ids has the id 3"),
        (
            lambda: index.add(case.samples[:2], ids=[1000, 7000]),
            ValueError,
            "ids has 1000, which is there already",
        ),
        (
            lambda: index.add(case.samples[:2], ids=[2000, 2000]),
            ValueError,
            "ids has 2000, which is there already",
        ),
        (
            lambda: index.add(case.samples[:2], ids=[-1, 2000]),
            ValueError,
            "ids has -1; expected integers from 0",
        ),
        (
            lambda: index.add(case.samples[:2], ids=[1, 2, 3]),
            ValueError,
            r"ids must have shape \(2,\), one for each",
        ),
        (lambda: index.add(case.samples[:2], ids=[1.5, 2]), TypeError, "ids must be integers"),
        (
            lambda: index.add(case.samples[:1], ids=np.array([2**63], np.uint64)),
            ValueError,
            "ids has 9223372036854775808; expected integers from 0 to",
        ),
        (lambda: index.add_codes(codes[:, :-1]), ValueError, "codes must .* shape"),
        (lambda: index.add_codes(codes.astype(float)), TypeError, "codes must be an? "),
        (lambda: index.add_codes(codes[0]), ValueError, "codes must .* shape"),
    ]
    for call, error, match in calls:
        with pytest.raises(error, match=match):
            call()
        assert np.array_equal(index.ids, ids)
        assert np.array_equal(rows_of(index), codes)


def test_ids_are_unique_and_have_a_last_one() -> None:
    index = CASES["flat pq 6x16"].filled()
    index.add(X[:2], ids=[900, 800])
    index.add(X[:1])
    assert index.ids[-3:].tolist() == [900, 800, 901]
    for known in (0, 299, 800, 900, 901):
        with pytest.raises(ValueError, match=f"ids has {known}, which is there already"):
            index.add(X[:1], ids=[known])
    index.add(X[:1], ids=[2**63 - 2])
    with pytest.raises(ValueError, match="ids are missing: there are no 1 numbers after 9223372036854775806"):
        index.add(X[:1])
    index.add(X[:1], ids=[302])
    assert index.search(X[0], 400)[1].max() == 2**63 - 2


@every_case
def test_the_index_keeps_a_codec_of_its_own(case: Case) -> None:
    index = case.filled()
    assert index.codec is not case.make().codec
    expected = index.search(case.queries, 3, **case.options)
    for name, value in vars(case.make().codec).items():
        assert name in vars(index.codec), value
    for copied in (copy.deepcopy(index), pickle.loads(pickle.dumps(index))):
        assert same_bits(copied.search(case.queries, 3, **case.options), expected)
        copied.remove(np.arange(100))
        copied.add(case.samples[:50], ids=np.arange(1000, 1050)[::-1])
        assert len(copied) == 250
        index.add(case.samples[:1])
        assert copied.ids[-1] == 1000
        index.remove(N)
        assert same_bits(index.search(case.queries, 3, **case.options), expected)
        index = case.filled()


# --- files --------------------------------------------------------------------------------------------------


@every_case
@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("ids", [None, IDS], ids=["default ids", "own ids"])
def test_a_saved_index_comes_back(case: Case, mmap: bool, ids: Any, tmp_path: Path) -> None:
    path = tmp_path / "index.safetensors"
    index = case.filled(ids=ids)
    index.remove(index.ids[-1])
    index.save(path)
    before = path.read_bytes()
    loaded = type(index).load(path, mmap=mmap)
    assert repr(loaded) == repr(index)
    assert type(loaded.codec) is type(index.codec)
    assert loaded.codec.get_params() == index.codec.get_params()
    assert same_bits(loaded.codes, index.codes)
    assert same_bits(loaded.ids, index.ids)
    assert loaded.nbytes == index.nbytes
    for mask in (None, index.ids[5:90]):
        found = [part.search(case.queries, 5, mask=mask, **case.options) for part in (loaded, index)]
        assert same_bits(*found)
    for part in (loaded, index):
        part.add(case.samples[:30])
        part.remove(part.ids[:5])
    assert same_bits(loaded.ids, index.ids)
    assert same_bits(*(part.search(case.queries, 5, **case.options) for part in (loaded, index)))
    assert path.read_bytes() == before
    other = type(index).load(path, mmap=mmap)
    loaded.save(path)  # over the file that `other` may have mapped
    assert (
        same_bits(other.search(case.queries, 5, **case.options)[0][:, 0], found[0][0][:, 0])
        or mask is not None
    )
    assert same_bits(type(index).load(path).codes, index.codes)


@every_case
def test_an_empty_index_comes_back(case: Case, tmp_path: Path) -> None:
    index = case.filled()
    index.remove(index.ids)
    for empty in (case.make(), index):
        empty.save(tmp_path / "index")
        for mmap in (True, False):
            loaded = type(empty).load(tmp_path / "index", mmap=mmap)
            assert (loaded.search(case.queries, 2, **case.options)[1] == -1).all()
            loaded.add(case.samples)
            assert loaded.ids[0] == (0 if empty is not index else N)


CODECS: dict[type[Codec], Codec] = {
    type(codec): codec
    for codec in (
        ProductQuantizer(
            3,
            7,
            init="k-means++",
            n_init=2,
            max_iter=3,
            max_samples=250,
            metric="ip",
            random_state=5,
            verbose=False,
        ),
        OptimizedProductQuantizer(
            3, 7, init="random", n_init=2, max_iter=3, max_samples=250, metric="ip", random_state=5
        ),
        RaBitQuantizer(3, metric="ip", rotation="dense", center=False, calibrate=True, random_state=5),
        ResidualQuantizer(
            3, 7, beam_size=2, norm_bits=16, max_iter=3, max_samples=250, metric="ip", random_state=5
        ),
        AdditiveQuantizer(
            3, 7, search_iter=2, norm_bits=16, max_iter=3, max_samples=250, metric="ip", random_state=5
        ),
        CompositeQuantizer(
            3, 7, penalty=0.5, search_iter=2, max_iter=3, max_samples=250, metric="ip", random_state=5
        ),
        ScalarQuantizer(5, kind="uniform", ranges=(-2.0, 1.5), max_iter=9, max_samples=250, random_state=5),
        VectorQuantizer(9, n_init=2, max_iter=3, max_samples=250, random_state=5),
        RandomHyperplanes(21, projection="hadamard", random_state=5),
        PCAHashing(n_bits=5),
        ITQ(n_bits=5, max_iter=3, random_state=5),
        SpectralHashing(n_bits=5),
        LocalityPreservingHashing(n_bits=5, random_state=5),
        CCAITQ(n_bits=1, random_state=5),
        SupervisedDiscreteHashing(n_bits=5, random_state=5),
        DeepHashing(n_bits=5, random_state=5),
        Bits(37),
        MinHash(
            48, b_bits=1, random_state=5, unit="char", shingle_size=4, lowercase=False, one_permutation=True
        ),
    )
}


OTHER_VALUES = {
    "output": "bits",
    "threshold": "median",
    "solver": "fast",
    "init": "random",
    "loss": "triplet",
    "sigma": 1.5,
}


@pytest.mark.parametrize("codec", CODECS.values(), ids=[cls.__name__ for cls in CODECS])
def test_every_parameter_of_a_codec_is_kept(codec: Codec, tmp_path: Path) -> None:
    for name, parameter in inspect.signature(type(codec).__init__).parameters.items():
        # Those that still have their default values get others.
        if name in ("self", "verbose", "kind") or getattr(codec, name) != parameter.default:
            continue
        value = parameter.default
        if isinstance(value, tuple):
            other: Any = tuple(number + 1 for number in value)
        else:
            other = OTHER_VALUES.get(name) or (value + 1 if isinstance(value, int) else value * 0.75)
        codec.set_params(**{name: other})
    codec.fit(*((X, LABELS) if not isinstance(codec, MinHash) else ()))
    index = FlatIndex(codec, metric=codec.metrics[-1])
    index.save(tmp_path / "index")
    loaded = FlatIndex.load(tmp_path / "index")
    assert type(loaded.codec) is type(codec)
    assert loaded.metric == codec.metrics[-1]
    assert loaded.codec.get_params() == codec.get_params()
    for name, array in codec.to_state()[1].items():
        assert same_bits(loaded.codec.to_state()[1][name], array), name


def test_every_public_index_and_codec_is_among_them() -> None:
    indexes = {getattr(index, name) for name in index.__all__}
    assert {type(case.make()) for case in CASES.values()} == indexes - {Index}
    assert all(issubclass(cls, Index) for cls in indexes)
    public = {getattr(module, name) for module in (hashing, quantization) for name in module.__all__}
    assert {cls for cls in public if isinstance(cls, type) and issubclass(cls, Codec)} == set(CODECS)


# --- wrong arguments ----------------------------------------------------------------------------------------


@every_case
def test_wrong_arguments_of_searches_are_errors(case: Case) -> None:
    index = case.filled()
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"k": -1}, ValueError, "k must be an integer from 0 up; got -1"),
        ({"k": 1.0}, TypeError, "k must be an integer from 0 up; got 1.0"),
        ({"k": None}, TypeError, "k must be an integer from 0 up; got None"),
        ({"k": 2**62}, ValueError, f"k is {2**62}, but the index has 300 rows; expected at most 1048576"),
        ({"mask": [True]}, ValueError, "mask has 1 rows but codes have 300"),
        ({"mask": ["a"]}, TypeError, "mask must be.*list"),
        ({"mask": np.arange(N) % 2}, ValueError, "mask has 300 zeros and ones.*booleans"),
        ({"mask": np.ones(N - 1, bool)}, ValueError, "mask has 299 (rows|booleans) but codes have 300"),
        ({"mask": np.array([N])}, ValueError, "mask has the .*300"),
        ({"mask": np.array([-1])}, ValueError, "mask has the .*-1"),
        ({"threads": 0}, ValueError, "threads must be.*0"),
        ({"threads": "2"}, TypeError, "threads must be.*'2'"),
    ]
    if case.samples is X:
        wrong += [
            ({"queries": "all"}, TypeError, "queries must be real numbers.*'all' of type str"),
            ({"queries": QUERIES.astype(complex)}, ValueError, "Complex data .*: queries is .*complex128"),
            ({"queries": QUERIES[:, :11]}, ValueError, "queries has 11 features.* 12 "),
            ({"queries": QUERIES[None]}, ValueError, r"queries has shape \(1, 7, 12\)"),
            ({"queries": QUERIES * np.nan}, ValueError, "queries has nan in row 0.*finite"),
            ({"rerank": X.tolist()}, TypeError, r"rerank must be a numpy array \(300, 12\).*list"),
            ({"rerank": X.astype(complex)}, TypeError, "rerank must be.*real.*complex128"),
            (
                {"rerank": X[1:]},
                ValueError,
                r"rerank has shape \(299, 12\); expected \(300, 12\) or more rows",
            ),
            ({"rerank": X[:, 1:]}, ValueError, r"rerank has shape \(300, 11\)"),
            ({"rerank": X * np.nan}, ValueError, "rerank has a row, [0-9]+, .* not a finite float32"),
            ({"rerank": X, "rerank_metric": "jaccard"}, ValueError, 'rerank_metric must be "l2", "ip" or "'),
            ({"rerank": X, "k": 2**62}, ValueError, f"k is {2**62}, but the index has 300 rows"),
            ({"oversample": 0.5}, ValueError, "oversample must be a real number at least 1; got 0.5"),
            ({"oversample": np.inf}, ValueError, "oversample must be.*inf"),
            ({"oversample": "4"}, TypeError, "oversample must be a real number.*'4'"),
            ({"oversample": True}, TypeError, "oversample must be a real number.*True"),
        ]
    elif isinstance(case.samples, np.ndarray):
        wrong += [
            ({"queries": PACKED[:, 1:]}, ValueError, "queries must have shape"),
            ({"queries": X}, TypeError, "queries must be a numpy uint8 array"),
            ({"queries": PACKED | np.uint8(1)}, ValueError, "queries has ones after bit 37 in row 0"),
            (
                {"rerank": PACKED},
                ValueError,
                "rerank is for codes of vectors, but Bits does not encode vectors",
            ),
        ]
    for arguments, error, match in wrong:
        with pytest.raises(error, match=match):
            index.search(**{"queries": case.queries, "k": 3, **case.options, **arguments})
    with pytest.raises(TypeError, match="positional"):
        index.search(case.queries, 3, None)
    with pytest.raises(TypeError, match="positional"):
        index.radius_search(case.queries, 3, None)
    with pytest.raises(TypeError, match="positional"):
        index.add(case.samples, IDS)
    if index.metric != "asymmetric":
        with pytest.raises(ValueError, match="radius"):
            index.radius_search(
                case.queries, float("nan") if index.metric != "hamming" else -1, **case.options
            )


def test_wrong_codecs_and_metrics_are_errors() -> None:
    for wrong in (None, X, "pq", ProductQuantizer, FlatIndex(PQ)):
        with pytest.raises(TypeError, match=r"codec must be a fitted model.*; got"):
            FlatIndex(wrong)  # type: ignore[arg-type]
    for unfitted in (ProductQuantizer(), ITQ(8), ScalarQuantizer(), VectorQuantizer()):
        with pytest.raises(ValueError, match="not fitted"):
            FlatIndex(unfitted)
    for codec, metric, match in (
        (PQ, "hamming", 'metric must be "l2" or "ip"; got'),
        (HASHER, "l2", 'metric must be "hamming" or "asymmetric"'),
        (Bits(8), "asymmetric", 'metric must be "hamming" or "jaccard"'),
        (PQ, 3, "metric must be"),
    ):
        with pytest.raises(ValueError, match=match):
            FlatIndex(codec, metric=metric)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="b_bits"):
        FlatIndex(MinHash().fit())
    for n_bits in (0, -1, 2.0):
        with pytest.raises((TypeError, ValueError), match="n_bits must be an integer from 1"):
            FlatIndex(Bits(n_bits))  # type: ignore[arg-type]
