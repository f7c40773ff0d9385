"""FlatIndex over product quantizers: what distances mean, re-ranking, files; and over fingerprints."""

from __future__ import annotations

import copy
import pickle
import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes import _files, adc, bits, jaccard
from fastcodes.hashing import Bits
from fastcodes.index import FlatIndex
from fastcodes.quantization import OptimizedProductQuantizer, ProductQuantizer
from helpers import Array, same, same_bits

D = 12
RNG = np.random.default_rng(20)
X = RNG.standard_normal((700, D)).astype(np.float32)
QUERIES = RNG.standard_normal((9, D)).astype(np.float32)
TURN = np.linalg.qr(RNG.standard_normal((D, D)))[0].astype(np.float32)


def codebooks(n_subspaces: int, n_codewords: int) -> Array:
    rng = np.random.default_rng([n_subspaces, n_codewords])
    return rng.standard_normal((n_subspaces, n_codewords, D // n_subspaces)).astype(np.float32)


QUANTIZERS = {
    "pq 4x256": ProductQuantizer.from_codebooks(codebooks(4, 256)),
    "pq 4x256, ip": ProductQuantizer.from_codebooks(codebooks(4, 256), metric="ip"),
    "pq 3x100": ProductQuantizer.from_codebooks(codebooks(3, 100)),
    "pq 6x16": ProductQuantizer.from_codebooks(codebooks(6, 16)),
    "pq 12x5, ip": ProductQuantizer.from_codebooks(codebooks(12, 5), metric="ip"),
    "pq 1x1": ProductQuantizer.from_codebooks(codebooks(1, 1)),
    "opq 3x16": OptimizedProductQuantizer.from_codebooks(codebooks(3, 16), TURN),
    "opq 4x17, ip": OptimizedProductQuantizer.from_codebooks(codebooks(4, 17), TURN, metric="ip"),
}
PQ, IP, OPQ = QUANTIZERS["pq 6x16"], QUANTIZERS["pq 4x256, ip"], QUANTIZERS["opq 3x16"]
every_quantizer = pytest.mark.parametrize("quantizer", QUANTIZERS.values(), ids=QUANTIZERS.keys())
both_metrics = pytest.mark.parametrize("quantizer", [PQ, IP], ids=["l2", "ip"])


def index_of(quantizer: Any, x: Array = X) -> FlatIndex:
    index = FlatIndex(quantizer)
    index.add(x)
    return index


def sums(quantizer: Any, queries: Array, codes: Array) -> Array:
    """Distances of queries to codes: float32 sums over the subspaces in their order."""
    total = np.zeros((len(queries), len(codes)), np.float32)
    for m, table in enumerate(quantizer.tables(queries).transpose(1, 0, 2)):
        total += table[:, codes[:, m]]
    return total


def nearest(distances: Array, k: int, ids: Array | None = None) -> tuple[Array, Array]:
    """Return the k smallest of each row by (distance, index), padded; `ids` are the columns to take."""
    ids = np.arange(distances.shape[1]) if ids is None else ids
    found = np.full((len(distances), k), np.inf, np.float32), np.full((len(distances), k), -1)
    order = ids[np.argsort(distances[:, ids], axis=1, kind="stable")[:, :k]]
    found[0][:, : order.shape[1]] = np.take_along_axis(distances, order, axis=1)
    found[1][:, : order.shape[1]] = order
    return found


def exactly(metric: str, query: Array, vectors: Array) -> Array:
    """Distances of one query to vectors, in float32."""
    return oracles.rerank_distances(query[None], vectors, metric)[0]


def reranked(index: FlatIndex, queries: Array, k: int, n_candidates: int, vectors: Array, mask: Any) -> Any:
    """Score candidates by their vectors, query by query."""
    found = np.full((len(queries), k), np.inf, np.float32), np.full((len(queries), k), -1)
    for row, query in enumerate(queries):
        _, indices = adc.knn(index.codec.tables(query[None]), index.codes, n_candidates, mask=mask)
        rows = indices[indices >= 0]
        distances = exactly(index.metric, query, vectors[rows])
        order = np.lexsort((rows, distances))[:k]
        found[0][row, : len(order)], found[1][row, : len(order)] = distances[order], rows[order]
    return found


# --- search -------------------------------------------------------------------------------------------------


@every_quantizer
def test_distances_are_those_to_the_reconstructed_vectors(quantizer: Any) -> None:
    index = index_of(quantizer)
    distances, indices = index.search(QUERIES, 5)
    for query, row, rows in zip(QUERIES, distances, indices, strict=True):
        expected = exactly(index.metric, query, index.reconstruct(rows))
        np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-4)


QUERY_FORMS: dict[str, Callable[[Array], Any]] = {
    "float16": lambda x: x.astype(np.float16),
    "float64": lambda x: x.astype(np.float64),
    "uint8": lambda x: x.astype(np.uint8),
    "int64": lambda x: x.astype(np.int64),
    "big-endian": lambda x: x.astype(">f4"),
    "list": lambda x: x.tolist(),
    "Fortran order": np.asfortranarray,
    "every other row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backwards": lambda x: np.flip(np.flip(x).copy()),
}


@pytest.mark.parametrize("form", QUERY_FORMS.values(), ids=QUERY_FORMS.keys())
def test_every_form_of_vectors_is_taken(form: Callable[[Array], Any]) -> None:
    whole = np.clip(np.rint(4 * X + 8), 0, 255).astype(np.float32)  # exact in every dtype
    expected, found = index_of(PQ, whole), index_of(PQ, form(whole))
    assert np.array_equal(found.codes, expected.codes)
    queries = whole[::70]
    assert same(found.search(form(queries), 3), expected.search(queries, 3))
    assert same(found.search(form(queries)[0], 3), expected.search(queries[:1], 3))


# --- re-ranking ---------------------------------------------------------------------------------------------


@both_metrics
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int8", ">f4"])
@pytest.mark.parametrize("mask", [None, np.arange(700) % 40 == 0], ids=["all", "mask"])
def test_candidates_are_scored_by_their_vectors(quantizer: Any, dtype: str, mask: Any) -> None:
    index = index_of(quantizer)
    vectors = np.clip(30 * X + 60, 0, 127).astype(dtype)
    for k, oversample in ((0, 4), (1, 1), (5, 4), (5, 2.5), (10, np.float16(3)), (400, 4), (701, 1)):
        n_candidates = min(int(np.ceil(k * oversample)), 700)
        found = index.search(QUERIES, k, mask=mask, rerank=vectors, oversample=oversample)
        assert (found[0].dtype, found[1].dtype) == (np.float32, np.int64)
        assert same(found, reranked(index, QUERIES, k, n_candidates, vectors, mask))


@both_metrics
def test_enough_candidates_give_the_exact_neighbours(quantizer: Any) -> None:
    distances = np.array([exactly(quantizer.metric, query, X) for query in QUERIES])
    assert same(index_of(quantizer).search(QUERIES, 10, rerank=X, oversample=70), nearest(distances, 10))


def test_equal_vectors_come_in_the_order_of_their_rows() -> None:
    x = np.repeat(X[:5], 20, axis=0)[RNG.permutation(100)]
    distances, indices = index_of(PQ, x).search(X[:5], 20, rerank=x, oversample=5)
    assert not distances.any()
    for row, query in zip(indices, X[:5], strict=True):
        assert np.array_equal(row, np.flatnonzero((x == query).all(axis=1)))


@both_metrics
def test_ties_of_any_candidates_go_to_the_lower_row(quantizer: Any) -> None:
    index = index_of(quantizer)
    vectors = X[np.arange(700) % 3]  # unlike those of the codes, so that equal ones are candidates apart
    found = index.search(QUERIES, 100, rerank=vectors)
    assert same(found, reranked(index, QUERIES, 100, 400, vectors, None))


def test_vectors_lie_anywhere_and_only_candidates_are_read(tmp_path: Path) -> None:
    index = index_of(PQ)
    candidates = index.search(QUERIES, 10)[1]
    file = tmp_path / "vectors"
    X.tofile(file)
    mapped = np.memmap(file, np.float32, "r", shape=X.shape)
    for vectors in (mapped, np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2], np.ma.array(X)):
        assert same(index.search(QUERIES, 5, rerank=vectors), index.search(QUERIES, 5, rerank=X))
    few = np.full_like(X, np.nan)
    few[candidates] = X[candidates]
    for vectors in (few, few.astype(np.float64)):
        found = index.search(QUERIES, 5, rerank=vectors, oversample=2)
        assert same(found, index.search(QUERIES, 5, rerank=X, oversample=2))


@pytest.mark.parametrize("metric", ["l2", "ip"])
def test_re_ranking_finds_more_of_the_true_neighbours(metric: str) -> None:
    rng = np.random.default_rng(3)
    centres = 4 * rng.standard_normal((40, 16))
    x = (centres[rng.integers(0, 40, 3000)] + rng.standard_normal((3000, 16))).astype(np.float32)
    queries = (centres[rng.integers(0, 40, 50)] + rng.standard_normal((50, 16))).astype(np.float32)
    truth = nearest(np.array([exactly(metric, query, x) for query in queries]), 10)[1]
    for cls in (ProductQuantizer, OptimizedProductQuantizer):
        index = index_of(cls(4, 64, max_iter=5, metric=metric, random_state=0).fit(x), x)

        def recall(index: FlatIndex = index, **options: Any) -> float:
            found = index.search(queries, 10, **options)[1]
            return np.mean([len(np.intersect1d(*rows)) / 10 for rows in zip(found, truth, strict=True)])

        by_codes, by_vectors = recall(), recall(rerank=x)
        assert 0.2 < by_codes < by_vectors
        assert by_vectors > 0.7
        assert by_vectors <= recall(rerank=x, oversample=20)


# --- files --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the maps of the process from /proc")
def test_codes_are_mapped_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "mapped.safetensors"
    index_of(PQ).save(path)

    def is_mapped() -> bool:
        return str(path) in Path("/proc/self/maps").read_text()

    index = FlatIndex.load(path, mmap=False)
    assert not is_mapped()
    index = FlatIndex.load(path)
    assert is_mapped()
    index.add(X[:1])
    assert not is_mapped()


def test_an_index_is_saved_over_the_file_that_it_maps(tmp_path: Path) -> None:
    path = tmp_path / "index"
    index_of(PQ).save(path)
    first, second = FlatIndex.load(path), FlatIndex.load(path)
    first.add(X[:9])
    first.save(path)
    assert len(FlatIndex.load(path)) == 709
    assert np.array_equal(second.codes, PQ.encode(X))


def refused(path: Path, match: str) -> None:
    for mmap in (True, False):
        with pytest.raises(
            ValueError, match=f"{re.escape(str(path))}.* is not a valid FlatIndex file: .*{match}"
        ):
            FlatIndex.load(path, mmap=mmap)


def test_a_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    index_of(QUANTIZERS["opq 3x16"]).save(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    path = tmp_path / "cut"
    for length in (0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1, len(whole) + 1):
        path.write_bytes((whole + b"\0")[:length])
        refused(path, "")


def test_a_changed_byte_is_an_error_or_changes_no_shape(tmp_path: Path) -> None:
    index_of(PQ).save(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    path = tmp_path / "changed"
    for at in np.random.default_rng(5).integers(0, len(whole), 60).tolist():
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x24]) + whole[at + 1 :])
        with pytest.raises(ValueError, match="is not a valid FlatIndex file"):
            FlatIndex.load(path, mmap=False)
        try:
            index = FlatIndex.load(path)
        except ValueError as error:
            assert "is not a valid FlatIndex file" in str(error)  # noqa: PT017
        else:
            assert index.search(QUERIES, 3)[1].shape == (9, 3)


def saved_parts(tmp_path: Path, quantizer: Any = PQ) -> tuple[dict[str, Any], dict[str, Array]]:
    index_of(quantizer).save(tmp_path / "whole")
    return _files.read(tmp_path / "whole", "FlatIndex")


def test_files_with_other_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other"
    params, arrays = saved_parts(tmp_path, OPQ)
    codes, books = arrays["blocks"], arrays["codec.codebooks"]
    wrong: list[tuple[str, Any, str]] = [
        ("codec.codebooks", codes, "'codebooks' has dtype uint8"),
        ("codec.codebooks", None, "'codebooks' is missing"),
        ("blocks", None, "'blocks' is missing"),
        ("codec.codebooks", books[:, :, 0], "'codebooks' has dtype float32 and shape"),
        ("codec.codebooks", books.astype(np.float64), "'codebooks' has dtype float64"),
        ("codec.codebooks", books[:0], "codebooks"),
        ("codec.codebooks", books * np.nan, "codebooks"),
        ("codec.codebooks", np.tile(books, (1, 17, 1)), "codebooks"),
        ("blocks", codes.astype(np.int8), "'blocks' has dtype int8"),
        ("blocks", codes.ravel()[:-1], "blocks have 1535 bytes; expected 1536"),
        (
            "codec.codebooks",
            np.tile(books, (1, 2, 1)),
            "its codes have n_codewords=16, but its codec makes n_co",
        ),
        ("codec.rotation", TURN[:5], r"rotation must have shape \(12, 12\)"),
        ("codec.rotation", TURN.astype(int), "'rotation' has dtype int64"),
        ("codec.rotation", TURN * np.inf, "rotation"),
        ("ids", np.arange(699), "'ids' has dtype int64 and shape"),
        ("ids", np.arange(700.0), "'ids' has dtype float64"),
        ("ids", np.arange(700) - 1, "its ids are not from 0 to 699"),
        ("ids", np.arange(700) + 1, "its ids are not from 0 to 699"),
        ("ids", np.arange(700) // 2, "its ids are not unique"),
    ]
    for name, array, match in wrong:
        others = (
            {**arrays, name: array} if array is not None else {k: a for k, a in arrays.items() if k != name}
        )
        _files.write(path, "FlatIndex", params, others)
        refused(path, match)


def test_files_with_other_parameters_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other"
    params, arrays = saved_parts(tmp_path)
    wrong: list[tuple[tuple[str, ...], list[Any]]] = [
        (("settings", "metric"), ["cosine", 3]),
        (("settings",), [None, 3, {"k": 3}, []]),
        (("contents", "n_rows"), [-1, 0, 512, 10**6, 2**70, 1.5, "7"]),
        (("contents", "n_subspaces"), [0, 5, 7]),
        (("contents", "n_codewords"), [16.0, 15, 256]),
        (("next_id",), [-1, 0, 699, 701, 2**63, 1.0, True, "700", None]),
        (
            ("codec", "class"),
            ["FlatIndex", "Codec", "Quantizer", "KMeans", "RandomProjection", 3, None, [], {}],
        ),
        (("codec", "class"), ["ITQ", "Bits", "MinHash"]),
        (("codec", "params"), [{"n_bit": 3}, [], None, 3, {"metric": "cosine"}]),
        (("codec",), [None, 3, [], "ProductQuantizer"]),
    ]
    for keys, values in wrong:
        for value in [*values, ...]:
            other = copy.deepcopy(params)
            inner = other
            for key in keys[:-1]:
                inner = inner[key]
            if value is ...:
                del inner[keys[-1]]
                if keys == ("settings", "metric"):
                    continue  # has a default
            else:
                inner[keys[-1]] = value
            _files.write(path, "FlatIndex", other, arrays)
            refused(path, "")


def test_files_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other"
    PQ.save(path)
    refused(path, "it holds a ProductQuantizer; load it with ProductQuantizer.load")
    path.write_bytes(b"PK\x03\x04" + bytes(1000))
    refused(path, "")
    path.write_bytes(np.random.default_rng(4).bytes(5000))
    refused(path, "")
    np.save(path.with_suffix(".npy"), X)
    refused(path.with_suffix(".npy"), "")
    with pytest.raises(FileNotFoundError):
        FlatIndex.load(tmp_path / "nothing")
    with pytest.raises(OSError, match="irectory"):
        FlatIndex.load(tmp_path)
    index_of(PQ).save(path)
    with pytest.raises(ValueError, match=r"it holds a FlatIndex; load it with FlatIndex\.load"):
        ProductQuantizer.load(path)


def test_sixteen_codewords_take_half_a_byte() -> None:
    assert index_of(QUANTIZERS["pq 4x256"]).nbytes >= 700 * 4
    assert index_of(PQ).nbytes < 700 * 6
    expected = "FlatIndex(ProductQuantizer(n_subspaces=6, n_codewords=16), metric='l2'), 700 rows"
    assert repr(index_of(PQ)) == expected


# --- Jaccard: rows are searched in the order of their number of ones ----------------------------------------


def fingerprints(n: int, n_bits: int, seed: int = 0) -> Array:
    """Return sparse codes, of which every third has most bits of one of a few others; some are empty."""
    rng = np.random.default_rng([seed, n, n_bits])
    is_one = rng.random((n, n_bits)) < rng.uniform(0.01, 0.12, (n, 1))
    relatives = np.arange(0, n, 3)
    is_one[relatives] &= rng.random((len(relatives), n_bits)) < 0.1
    is_one[relatives] |= is_one[1 + relatives % min(n - 1, 50)]
    is_one[::500] = False
    return bits.pack(is_one)


def check_jaccard(index: FlatIndex, codes: Array, ids: Array, queries: Array, masks: Any = (None,)) -> None:
    """Compare an index with searches of its codes, which have ascending ids."""
    for mask in masks:
        rows = mask if mask is None or mask.dtype == bool else np.searchsorted(ids, mask)
        for asked in (queries[:1], queries[:2], queries):
            for threads in (1, 3):
                for k in (1, 10, 300):
                    distances, found = jaccard.knn(asked, codes, k, mask=rows)
                    expected = distances, np.where(found < 0, -1, ids[found])
                    assert same_bits(index.search(asked, k, mask=mask, threads=threads), expected)
                for radius in (0, 0.2, 0.6, 0.95):
                    offsets, distances, found = jaccard.radius(asked, codes, radius, mask=rows)
                    expected = offsets, distances, ids[found]
                    assert same_bits(index.radius_search(asked, radius, mask=mask, threads=threads), expected)


def sorted_rows(index: FlatIndex) -> int:
    order = index._storage._sorted  # type: ignore[attr-defined]
    return 0 if order is None else len(order[1])


@pytest.mark.parametrize("n_bits", [7, 64, 166, 256, 257, 1024, 2048])
def test_sorted_rows_give_the_results_of_a_scan(n_bits: int) -> None:
    n = 20_000
    codes = fingerprints(n, n_bits)
    queries = np.concatenate([codes[:6], codes[-3:], fingerprints(4, n_bits, seed=1)])
    index = FlatIndex(Bits(n_bits), metric="jaccard")
    index.add(codes)
    few = np.random.default_rng(2).permutation(n)
    masks = (None, np.arange(n) % 3 > 0, few[: n // 2], few[:40], few[:0], np.arange(n) < n // 4)
    check_jaccard(index, codes, np.arange(n), queries, masks)
    assert sorted_rows(index) == n


def test_rows_are_sorted_after_changes() -> None:
    codes, n_bits = fingerprints(30_000, 300), 300
    index = FlatIndex(Bits(n_bits), metric="jaccard")
    ids, start = np.arange(30_000) * 3, 0
    for n, n_sorted in ((100, 0), (10_000, 10_100), (4000, 10_100), (96, 14_196), (4095, 14_196)):
        index.add(codes[start : start + n], ids=ids[start : start + n])
        start += n
        check_jaccard(index, codes[:start], ids[:start], codes[:9])
        assert sorted_rows(index) == n_sorted
        assert np.array_equal(index.codes, codes[:start])
    assert index.nbytes == start * (38 + 8) + n_sorted * (8 + 4 + 32)
    kept = np.delete(np.arange(start), np.arange(7, start, 3))
    assert index.remove(ids[7:start:3]) == start - len(kept)
    assert sorted_rows(index) == 0
    check_jaccard(index, codes[kept], ids[kept], codes[:9])
    assert sorted_rows(index) == len(kept)
    assert np.array_equal(index.reconstruct(ids[kept[:3]]), codes[kept[:3]])
    other = pickle.loads(pickle.dumps(index))
    assert sorted_rows(other) == 0
    other.merge(index)
    check_jaccard(index, codes[kept], ids[kept], codes[:9])
    both = np.concatenate([codes[kept], codes[kept]])
    check_jaccard(other, both, np.append(ids[kept], ids[kept[-1]] + 1 + np.arange(len(kept))), codes[:9])


def test_ids_in_any_order_break_ties() -> None:
    codes = fingerprints(10_000, 40)
    ids = np.random.default_rng(4).permutation(50_000)[:10_000]
    index = FlatIndex(Bits(40), metric="jaccard")
    index.add(codes, ids=ids)
    order = np.argsort(ids)
    check_jaccard(index, codes[order], ids[order], codes[:9])


@pytest.mark.parametrize("mmap", [True, False])
def test_files_have_rows_in_the_order_in_which_they_were_added(mmap: bool, tmp_path: Path) -> None:
    codes = fingerprints(6000, 100)
    index = FlatIndex(Bits(100), metric="jaccard")
    index.add(codes)
    index.search(codes[:1], 1)
    index.save(tmp_path / "index")
    params, arrays = _files.read(tmp_path / "index", "FlatIndex", mmap=False)
    assert (params["contents"], [*arrays]) == ({}, ["codes"])
    assert np.array_equal(arrays["codes"], codes)
    loaded = FlatIndex.load(tmp_path / "index", mmap=mmap)
    check_jaccard(loaded, codes, np.arange(6000), codes[:9])
    assert sorted_rows(loaded) == 6000
    loaded.add(codes)
    check_jaccard(loaded, np.concatenate([codes, codes]), np.arange(12_000), codes[:9])


def test_rows_are_searched_while_others_add_and_sort_them() -> None:
    codes = fingerprints(60_000, 256)
    index = FlatIndex(Bits(256), metric="jaccard")
    index.add(codes[:5000])

    def search(_: int) -> tuple[int, Any, int]:
        before = len(index)
        return before, index.radius_search(codes[:2], 0.3, threads=1), len(index)

    with ThreadPoolExecutor(4) as pool:
        found = pool.map(search, range(60))
        for start in range(5000, len(codes), 5000):
            index.add(codes[start : start + 5000])
        for before, (offsets, distances, ids), after in found:
            expected = jaccard.radius(codes[:2], codes[:before], 0.3)
            is_old = ids < before
            assert (ids < after).all()
            assert same_bits((distances[is_old], ids[is_old]), expected[1:])
            assert offsets[-1] == len(ids)


def test_an_order_of_rows_that_are_gone_is_not_used() -> None:
    codes = np.random.default_rng(8).integers(0, 256, (6000, 8), np.uint8)
    index = FlatIndex(Bits(64), metric="jaccard")
    index.add(codes)
    index.search(codes[0], 1)
    storage: Any = index._storage
    order = storage._sorted
    index.update(np.arange(3000), codes[3000:])
    # As a thread leaves it that began to sort before.
    storage._sorted = order
    found = index.radius_search(codes[:9], 0.4)
    expected = jaccard.radius(codes[:9], index.codes, 0.4)
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(np.sort(found[1]), np.sort(expected[1]))
