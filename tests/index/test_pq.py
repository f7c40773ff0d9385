"""PQIndex: searches against sums of tables and against the vectors, changes, files, wrong arguments."""

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
import pytest
from fastcodes import _files, adc
from fastcodes.index import PQIndex, _rows, pq
from fastcodes.quantization import KMeans, OptimizedProductQuantizer, ProductQuantizer
from helpers import Array, same

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
PQ, IP = QUANTIZERS["pq 6x16"], QUANTIZERS["pq 4x256, ip"]
every_quantizer = pytest.mark.parametrize("quantizer", QUANTIZERS.values(), ids=QUANTIZERS.keys())
both_metrics = pytest.mark.parametrize("quantizer", [PQ, IP], ids=["l2", "ip"])


def index_of(quantizer: Any, x: Array = X) -> PQIndex:
    index = PQIndex(quantizer)
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
    x = vectors.astype(np.float32)
    return ((x - query) ** 2).sum(axis=1) if metric == "l2" else -(x * query).sum(axis=1)


def reranked(index: PQIndex, queries: Array, k: int, n_candidates: int, vectors: Array, mask: Any) -> Any:
    """Score candidates by their vectors, query by query."""
    found = np.full((len(queries), k), np.inf, np.float32), np.full((len(queries), k), -1)
    for row, query in enumerate(queries):
        _, indices = adc.knn(index.quantizer.tables(query[None]), index.codes, n_candidates, mask)
        rows = indices[indices >= 0]
        distances = exactly(index.metric, query, vectors[rows])
        order = np.lexsort((rows, distances))[:k]
        found[0][row, : len(order)], found[1][row, : len(order)] = distances[order], rows[order]
    return found


# --- search -------------------------------------------------------------------------------------------------


@every_quantizer
@pytest.mark.parametrize("k", [0, 1, 7, 700, 705])
def test_search_is_the_top_k_of_the_sums(quantizer: Any, k: int) -> None:
    index = index_of(quantizer)
    codes = quantizer.encode(X)
    expected = nearest(sums(quantizer, QUERIES, codes), k)
    found = index.search(QUERIES, k)
    assert (found[0].dtype, found[1].dtype) == (np.float32, np.int64)
    assert same(found, expected)
    assert same(found, adc.knn(quantizer.tables(QUERIES), codes, k))
    assert same(found, index.search(QUERIES, k, threads=1))


@every_quantizer
def test_distances_are_those_to_the_reconstructed_vectors(quantizer: Any) -> None:
    index = index_of(quantizer)
    distances, indices = index.search(QUERIES, 5)
    for query, row, rows in zip(QUERIES, distances, indices, strict=True):
        expected = exactly(index.metric, query, index.reconstruct(rows))
        np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-4)


@both_metrics
@pytest.mark.parametrize("mask", [np.arange(700) % 3 == 0, np.array([5, 699, 3, 5], np.int16)])
def test_a_mask_selects_vectors(quantizer: Any, mask: Array) -> None:
    index = index_of(quantizer)
    ids = np.unique(np.arange(700)[mask])
    expected = nearest(sums(quantizer, QUERIES, index.codes), 4, ids)
    assert same(index.search(QUERIES, 4, mask=mask), expected)
    beyond = index.search(QUERIES, len(ids) + 1, mask=mask)
    assert (beyond[1][:, -1] == -1).all()
    assert np.isinf(beyond[0][:, -1]).all()
    assert np.array_equal(np.sort(beyond[1][:, :-1]), np.tile(ids, (9, 1)))


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


def test_queries_are_searched_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    for quantizer in QUANTIZERS.values():
        index = index_of(quantizer)
        expected = index.search(QUERIES, 6), index.search(QUERIES, 6, rerank=X)
        for numbers in (1, 3000, 5000):  # one query at a time; a few
            with monkeypatch.context() as patch:
                patch.setattr(pq, "_QUERY_BLOCK", numbers)
                patch.setattr(_rows, "_NUMBERS", numbers // 20)
                found = index.search(QUERIES, 6), index.search(QUERIES, 6, rerank=X)
            for one, other in zip(found, expected, strict=True):
                assert np.array_equal(one[1], other[1])
                np.testing.assert_allclose(one[0], other[0], rtol=1e-6)  # a rotation may be rounded otherwise


def test_threads_may_search_at_once() -> None:
    index = index_of(IP)
    expected = index.search(QUERIES, 5), index.search(QUERIES, 5, rerank=X)
    with ThreadPoolExecutor(8) as pool:
        plain = [pool.submit(index.search, QUERIES, 5) for _ in range(40)]
        scored = [pool.submit(index.search, QUERIES, 5, rerank=X) for _ in range(40)]
    assert all(same(found.result(), expected[0]) for found in plain)
    assert all(same(found.result(), expected[1]) for found in scored)


@every_quantizer
def test_an_empty_index_is_searched(quantizer: Any) -> None:
    index = PQIndex(quantizer)
    assert (len(index), index.codes.shape) == (0, (0, len(quantizer.codebooks_)))
    for rerank in (None, X[:0]):
        for mask in (None, np.empty(0, bool), np.empty(0, np.int64)):
            distances, indices = index.search(QUERIES, 3, mask=mask, rerank=rerank)
            assert np.array_equal(distances, np.full((9, 3), np.inf))
            assert np.array_equal(indices, np.full((9, 3), -1))
        assert [found.shape for found in index.search(QUERIES[:0], 3, rerank=rerank)] == [(0, 3)] * 2
    assert index.reconstruct([]).shape == (0, D)
    assert index.remove([]) == 0
    index.add(X[:0])
    assert len(index) == 0


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
    class Watched(np.memmap):
        read: set[int]

        def __getitem__(self, rows: Any) -> Any:
            Watched.read |= set(np.asarray(rows).tolist())
            return np.asarray(self)[rows]

    file = tmp_path / "vectors"
    X.tofile(file)
    index = index_of(PQ)
    mapped = np.memmap(file, np.float32, "r", shape=X.shape)
    for vectors in (mapped, np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2], np.ma.array(X)):
        assert same(index.search(QUERIES, 5, rerank=vectors), index.search(QUERIES, 5, rerank=X))
    Watched.read = set()
    found = index.search(QUERIES, 5, rerank=mapped.view(Watched), oversample=2)
    assert same(found, index.search(QUERIES, 5, rerank=X, oversample=2))
    assert Watched.read == set(index.search(QUERIES, 10)[1].ravel().tolist())


@pytest.mark.parametrize("metric", ["l2", "ip"])
def test_re_ranking_finds_more_of_the_true_neighbours(metric: str) -> None:
    rng = np.random.default_rng(3)
    centres = 4 * rng.standard_normal((40, 16))
    x = (centres[rng.integers(0, 40, 3000)] + rng.standard_normal((3000, 16))).astype(np.float32)
    queries = (centres[rng.integers(0, 40, 50)] + rng.standard_normal((50, 16))).astype(np.float32)
    truth = nearest(np.array([exactly(metric, query, x) for query in queries]), 10)[1]
    for cls in (ProductQuantizer, OptimizedProductQuantizer):
        index = index_of(cls(4, 64, max_iter=5, metric=metric, random_state=0).fit(x), x)

        def recall(index: PQIndex = index, **options: Any) -> float:
            found = index.search(queries, 10, **options)[1]
            return np.mean([len(np.intersect1d(*rows)) / 10 for rows in zip(found, truth, strict=True)])

        by_codes, by_vectors = recall(), recall(rerank=x)
        assert 0.2 < by_codes < by_vectors
        assert by_vectors > 0.7
        assert by_vectors <= recall(rerank=x, oversample=20)


# --- adding, reading back, removing -------------------------------------------------------------------------


@every_quantizer
def test_adding_in_parts_is_adding_at_once(quantizer: Any) -> None:
    index = PQIndex(quantizer)
    for start, stop in ((0, 1), (1, 1), (1, 257), (257, 300), (300, 700)):
        index.add(X[start:stop])
        assert len(index) == stop
    assert np.array_equal(index.codes, quantizer.encode(X))
    assert same(index.search(QUERIES, 9), index_of(quantizer).search(QUERIES, 9))
    copied = PQIndex(quantizer)
    copied.add_codes(index.codes[:300])
    copied.add_codes(np.asfortranarray(index.codes[300:]))
    assert np.array_equal(copied.codes, index.codes)


def test_an_add_that_fails_adds_nothing() -> None:
    index = index_of(PQ)
    wrong = np.tile(X, (400, 1))
    wrong[-1, 3] = np.nan
    with pytest.raises(ValueError, match=r"X has nan in row 279999, column 3.*finite"):
        index.add(wrong)
    with pytest.raises(ValueError, match=r"codes has 16 in row 1, column 2"):
        index.add_codes(np.array([[15] * 6, [0, 1, 16, 0, 0, 0]], np.uint8))
    assert np.array_equal(index.codes, PQ.encode(X))


def test_the_index_keeps_a_quantizer_of_its_own() -> None:
    quantizer = copy.deepcopy(PQ)
    index = index_of(quantizer)
    expected = index.search(QUERIES, 4)
    quantizer.codebooks_ *= 2
    quantizer.metric = "ip"
    assert same(index.search(QUERIES, 4), expected)
    assert (index.metric, index.n_features) == ("l2", D)


def test_a_copy_goes_its_own_way() -> None:
    index = index_of(PQ)
    for copied in (copy.deepcopy(index), pickle.loads(pickle.dumps(index))):
        assert same(copied.search(QUERIES, 4), index.search(QUERIES, 4))
        copied.add(X[:5])
        assert (len(copied), len(index)) == (705, 700)
        index.remove(0)
        index.add(X[:1])
        assert np.array_equal(copied.codes, PQ.encode(np.concatenate([X, X[:5]])))
        index = index_of(PQ)


def test_sixteen_codewords_take_half_a_byte() -> None:
    assert index_of(QUANTIZERS["pq 4x256"]).nbytes >= 700 * 4
    assert index_of(PQ).nbytes < 700 * 6
    assert repr(index_of(PQ)) == "PQIndex(ProductQuantizer(n_subspaces=6, n_codewords=16)), 700 vectors"


@every_quantizer
def test_reconstructing_is_decoding_the_codes(quantizer: Any) -> None:
    index = index_of(quantizer)
    expected = quantizer.decode(quantizer.encode(X))
    for ids in ([], [699], [5, 3, 5], np.arange(700), RNG.permutation(700)[:50], np.arange(700) % 7 == 0):
        found = index.reconstruct(ids)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected[np.asarray(ids, None if len(ids) else int)], atol=1e-6)
    np.testing.assert_allclose(index.reconstruct(np.uint8(7)), expected[7], atol=1e-6)


@every_quantizer
def test_removing_is_building_anew_without(quantizer: Any) -> None:
    cases: tuple[Any, ...] = ([], 0, 699, [5, 3, 5], range(700), np.arange(255, 513), np.arange(700) % 3 == 0)
    for ids in cases:
        index = index_of(quantizer)
        ids = np.asarray(ids, int) if isinstance(ids, (list, range)) else ids
        left = np.delete(X, ids, axis=0)
        assert index.remove(ids) == 700 - len(left)
        rebuilt = index_of(quantizer, left)
        assert np.array_equal(index.codes, rebuilt.codes)
        assert same(index.search(QUERIES, 9), rebuilt.search(QUERIES, 9))
        assert same(index.search(QUERIES, 9, rerank=left), rebuilt.search(QUERIES, 9, rerank=left))
        index.add(X)
        assert np.array_equal(index.codes, quantizer.encode(np.concatenate([left, X])))


def test_a_removal_that_fails_removes_nothing() -> None:
    index = index_of(PQ)
    with pytest.raises(ValueError, match="700"):
        index.remove([3, 700])
    assert np.array_equal(index.codes, PQ.encode(X))


# --- files --------------------------------------------------------------------------------------------------


@every_quantizer
@pytest.mark.parametrize("mmap", [True, False])
def test_a_saved_index_comes_back(quantizer: Any, mmap: bool, tmp_path: Path) -> None:
    path = tmp_path / "index.safetensors"
    index = index_of(quantizer)
    index.save(path)
    before = path.read_bytes()
    loaded = PQIndex.load(path, mmap=mmap)
    assert type(loaded.quantizer) is type(quantizer)
    assert (len(loaded), loaded.metric) == (700, quantizer.metric)
    assert np.array_equal(loaded.quantizer.codebooks_, quantizer.codebooks_)
    assert np.array_equal(loaded.codes, index.codes)
    for options in ({}, {"rerank": X}, {"mask": np.arange(9)}):
        assert same(loaded.search(QUERIES, 5, **options), index.search(QUERIES, 5, **options))
    loaded.add(X[:300])
    index.add(X[:300])
    assert np.array_equal(loaded.codes, index.codes)
    assert same(loaded.search(QUERIES, 5), index.search(QUERIES, 5))
    other = PQIndex.load(path, mmap=mmap)
    assert other.remove([1, 2]) == 2
    assert np.array_equal(other.codes, np.delete(quantizer.encode(X), [1, 2], axis=0))
    assert path.read_bytes() == before


@pytest.mark.parametrize("mmap", [True, False])
def test_an_empty_index_comes_back(mmap: bool, tmp_path: Path) -> None:
    PQIndex(PQ).save(tmp_path / "index")
    loaded = PQIndex.load(tmp_path / "index", mmap=mmap)
    assert (loaded.search(QUERIES, 2)[1] == -1).all()
    loaded.add(X)
    assert np.array_equal(loaded.codes, PQ.encode(X))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the maps of the process from /proc")
def test_codes_are_mapped_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "mapped.safetensors"
    index_of(PQ).save(path)

    def is_mapped() -> bool:
        return str(path) in Path("/proc/self/maps").read_text()

    index = PQIndex.load(path, mmap=False)
    assert not is_mapped()
    index = PQIndex.load(path)
    assert is_mapped()
    index.add(X[:1])
    assert not is_mapped()


def test_an_index_is_saved_over_the_file_that_it_maps(tmp_path: Path) -> None:
    path = tmp_path / "index"
    index_of(PQ).save(path)
    first, second = PQIndex.load(path), PQIndex.load(path)
    first.add(X[:9])
    first.save(path)
    assert len(PQIndex.load(path)) == 709
    assert np.array_equal(second.codes, PQ.encode(X))


def refused(path: Path, match: str) -> None:
    for mmap in (True, False):
        with pytest.raises(
            ValueError, match=f"{re.escape(str(path))}.* is not a valid PQIndex file: .*{match}"
        ):
            PQIndex.load(path, mmap=mmap)


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
        with pytest.raises(ValueError, match="is not a valid PQIndex file"):
            PQIndex.load(path, mmap=False)
        try:
            index = PQIndex.load(path)
        except ValueError as error:
            assert "is not a valid PQIndex file" in str(error)  # noqa: PT017
        else:
            assert index.search(QUERIES, 3)[1].shape == (9, 3)


def saved_parts(tmp_path: Path, quantizer: Any = PQ) -> tuple[dict[str, Any], dict[str, Array]]:
    index_of(quantizer).save(tmp_path / "whole")
    return _files.read(tmp_path / "whole", "PQIndex")


def test_files_with_other_parts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other"
    params, arrays = saved_parts(tmp_path)
    codes, books = arrays["blocks"], arrays["codebooks"]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"blocks": books, "codebooks": codes}, "'codebooks' has dtype uint8"),
        ({"blocks": codes}, "'codebooks' is missing"),
        ({"codebooks": books}, "'blocks' is missing"),
        ({"blocks": codes, "codebooks": books[:, :, 0]}, "'codebooks' has dtype float32 and shape"),
        ({"blocks": codes, "codebooks": books.astype(np.float64)}, "'codebooks' has dtype float64"),
        ({"blocks": codes, "codebooks": books[:0]}, "codebooks"),
        ({"blocks": codes, "codebooks": books * np.nan}, "codebooks"),
        ({"blocks": codes, "codebooks": np.tile(books, (1, 17, 1))}, "codebooks"),
        ({"blocks": codes.astype(np.int8), "codebooks": books}, "'blocks' has dtype int8"),
        ({"blocks": codes.ravel()[:-1], "codebooks": books}, r"'blocks' has dtype uint8 and shape \(2303,\)"),
        ({"blocks": codes, "codebooks": books[:3]}, "its codes have n_subspaces=6, but its codebooks 3"),
        (
            {"blocks": codes, "codebooks": np.tile(books, (1, 2, 1))},
            "its codes have n_codewords=16, but its codebooks 256",
        ),
        (
            {"blocks": codes, "codebooks": books, "rotation": TURN[:5]},
            "'rotation' has dtype float32 and shape",
        ),
        ({"blocks": codes, "codebooks": books, "rotation": TURN.astype(int)}, "'rotation' has dtype int64"),
        ({"blocks": codes, "codebooks": books, "rotation": TURN * np.inf}, "rotation"),
    ]
    for others, match in wrong:
        _files.write(path, "PQIndex", params, others)
        refused(path, match)


def test_files_with_other_parameters_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other"
    params, arrays = saved_parts(tmp_path)
    for name, values in {
        "metric": ["cosine", 3, None],
        "n_rows": [-1, 0, 512, 10**6, 2**70, 1.5, "7"],
        "n_subspaces": [0, 5, 7],
        "n_codewords": [16.0, 15, 256],
    }.items():
        for value in values:
            _files.write(path, "PQIndex", params | {name: value}, arrays)
            refused(path, "")
        _files.write(path, "PQIndex", {key: value for key, value in params.items() if key != name}, arrays)
        refused(path, name)


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
        PQIndex.load(tmp_path / "nothing")
    with pytest.raises(OSError, match="irectory"):
        PQIndex.load(tmp_path)
    index_of(PQ).save(path)
    with pytest.raises(ValueError, match=r"it holds a PQIndex; load it with PQIndex\.load"):
        ProductQuantizer.load(path)


# --- wrong arguments ----------------------------------------------------------------------------------------

SEARCH = {"queries": QUERIES, "k": 3}
WRONG: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("search", SEARCH | {"queries": "all"}, TypeError, "queries must be real numbers.*<U3"),
    ("search", SEARCH | {"queries": QUERIES.astype(complex)}, TypeError, "queries must be real.*complex128"),
    ("search", SEARCH | {"queries": QUERIES.astype(object)}, TypeError, "queries must be real.*object"),
    ("search", SEARCH | {"queries": QUERIES[:, :11]}, ValueError, "queries has 11 features.* 12 "),
    ("search", SEARCH | {"queries": QUERIES[0, :11]}, ValueError, "queries has 11 features.* 12 "),
    ("search", SEARCH | {"queries": QUERIES[None]}, ValueError, r"queries has shape \(1, 9, 12\)"),
    ("search", SEARCH | {"queries": 1.0}, ValueError, r"queries has shape \(\)"),
    ("search", SEARCH | {"queries": QUERIES * np.nan}, ValueError, "queries has nan in row 0.*finite"),
    ("search", SEARCH | {"queries": np.full((2, D), 1e300)}, ValueError, "queries has 1e[+]300.*float32"),
    ("search", SEARCH | {"k": -1}, ValueError, "k must be an integer from 0 up; got -1"),
    ("search", SEARCH | {"k": 1.0}, TypeError, "k must be an integer from 0 up; got 1.0"),
    ("search", SEARCH | {"k": None}, TypeError, "k must be an integer from 0 up; got None"),
    ("search", SEARCH | {"k": -1, "rerank": X}, ValueError, "k must be an integer from 0 up; got -1"),
    ("search", SEARCH | {"k": 2.5, "rerank": X}, TypeError, "k must be an integer from 0 up; got 2.5"),
    ("search", SEARCH | {"k": 2**62}, ValueError, f"k is {2**62}, .*too large.*rows of codes"),
    ("search", SEARCH | {"k": 2**62, "rerank": X}, ValueError, f"k is {2**62}, .*too large.*rows of codes"),
    ("search", SEARCH | {"k": 2**70, "rerank": X}, ValueError, f"k is {2**70}, .*too large.*rows of codes"),
    ("search", SEARCH | {"mask": [True]}, TypeError, "mask must be.*list"),
    ("search", SEARCH | {"mask": np.ones(699, bool)}, ValueError, "mask has 699 booleans.*700 rows"),
    ("search", SEARCH | {"mask": np.array([700])}, ValueError, "mask has the row id 700.*700 rows"),
    ("search", SEARCH | {"mask": np.array([700]), "rerank": X}, ValueError, "mask has the row id 700"),
    ("search", SEARCH | {"threads": 0}, ValueError, "threads must be.*got 0"),
    ("search", SEARCH | {"threads": "2"}, TypeError, "threads must be.*'2'"),
    ("search", SEARCH | {"rerank": X.tolist()}, TypeError, r"rerank must be a numpy array \(700, 12\).*list"),
    ("search", SEARCH | {"rerank": "file"}, TypeError, "rerank must be a numpy array.*a str"),
    ("search", SEARCH | {"rerank": X.astype(complex)}, TypeError, "rerank must be.*real.*complex128"),
    ("search", SEARCH | {"rerank": X.astype(object)}, TypeError, "rerank must be.*real.*object"),
    (
        "search",
        SEARCH | {"rerank": X[:-1]},
        ValueError,
        r"rerank has shape \(699, 12\); expected \(700, 12\)",
    ),
    ("search", SEARCH | {"rerank": X[:, :-1]}, ValueError, r"rerank has shape \(700, 11\); expected \(700"),
    (
        "search",
        SEARCH | {"rerank": X * np.nan},
        ValueError,
        "rerank has a row, [0-9]+, .* not a finite float32",
    ),
    (
        "search",
        SEARCH | {"rerank": X * 1e30},
        ValueError,
        "rerank has a row, [0-9]+, .* not a finite float32",
    ),
    (
        "search",
        SEARCH | {"rerank": X.astype(float) * 1e200},
        ValueError,
        "rerank has a row, [0-9]+, .* not a finite float32",
    ),
    ("search", SEARCH | {"oversample": 0.5}, ValueError, "oversample is 0.5; expected.*1 or more"),
    ("search", SEARCH | {"oversample": -4}, ValueError, "oversample is -4; expected.*1 or more"),
    ("search", SEARCH | {"oversample": np.inf}, ValueError, "oversample is inf; expected a finite number"),
    ("search", SEARCH | {"oversample": np.nan}, ValueError, "oversample is nan; expected a finite number"),
    ("search", SEARCH | {"oversample": "4"}, TypeError, "oversample must be a real number; got '4'"),
    ("search", SEARCH | {"oversample": None}, TypeError, "oversample must be a real number; got None"),
    ("search", SEARCH | {"oversample": True}, TypeError, "oversample must be a real number; got True"),
    ("add", {"X": "all"}, TypeError, "X must be real numbers.*<U3"),
    ("add", {"X": X.astype(complex)}, TypeError, "X must be real numbers.*complex128"),
    ("add", {"X": X[0]}, ValueError, r"X has shape \(12,\)"),
    ("add", {"X": X[:, :7]}, ValueError, "X has 7 features.*12"),
    ("add", {"X": X * np.inf}, ValueError, "X has -?inf in row 0.*finite"),
    ("add_codes", {"codes": X}, TypeError, "codes must be.*uint8.*float32"),
    ("add_codes", {"codes": np.zeros((3, 5), np.uint8)}, ValueError, r"\(n, 6\); got \(3, 5\)"),
    ("add_codes", {"codes": np.zeros(6, np.uint8)}, ValueError, r"\(n, 6\); got \(6,\)"),
    ("add_codes", {"codes": np.full((3, 6), 16, np.uint8)}, ValueError, "codes has 16 in row 0.* 0 to 15"),
]
for _name in ("reconstruct", "remove"):
    WRONG += [
        (_name, {"ids": 700}, ValueError, "ids has 700 but the index has 700 vectors.*from 0"),
        (_name, {"ids": [0, -1]}, ValueError, "ids has -1 but the index has 700 vectors.*from 0"),
        (_name, {"ids": np.array([2**64 - 1], np.uint64)}, ValueError, "ids has 18446744073709551615 but"),
        (_name, {"ids": [0.0]}, TypeError, "ids must be integers.*0.0"),
        (_name, {"ids": "all"}, TypeError, "ids must be integers.*'all'"),
        (_name, {"ids": None}, TypeError, "ids must be integers.*None"),
        (_name, {"ids": slice(3)}, TypeError, "ids must be integers.*slice"),
        (_name, {"ids": np.empty(0)}, TypeError, "ids must be integers.*float64"),
        (_name, {"ids": True}, ValueError, "ids must have one dimension"),
        (_name, {"ids": [[1]]}, ValueError, r"ids must have one dimension; got shape \(1, 1\)"),
        (_name, {"ids": np.ones(699, bool)}, ValueError, "ids has 699 booleans but the index has 700"),
    ]


@pytest.mark.parametrize(("method", "arguments", "error", "match"), WRONG)
def test_a_wrong_argument_is_an_error_that_says_what_to_do(
    method: str, arguments: dict[str, Any], error: type[Exception], match: str
) -> None:
    index = index_of(PQ)
    with pytest.raises((TypeError, ValueError), match=match) as caught:
        getattr(index, method)(**arguments)
    assert type(caught.value) is error
    assert len(str(caught.value)) < 400
    assert len(index) == 700


def test_a_wrong_quantizer_is_an_error() -> None:
    for wrong in (None, X, "pq", ProductQuantizer, KMeans(3), PQIndex(PQ)):
        with pytest.raises(TypeError, match=r"quantizer must be a ProductQuantizer or an Optimized.*; got"):
            PQIndex(wrong)  # type: ignore[arg-type]
    for unfitted in (ProductQuantizer(), OptimizedProductQuantizer()):
        with pytest.raises(ValueError, match="not fitted"):
            PQIndex(unfitted)
