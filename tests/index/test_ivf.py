"""What inverted files promise beyond the contract of all indexes."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import _files, bits
from fastcodes._estimator import NotFittedError
from fastcodes.hashing import Bits, MinHash, PCAHashing, RandomHyperplanes, SupervisedDiscreteHashing
from fastcodes.index import FlatIndex, IVFIndex
from fastcodes.index._lists import LIST_BYTES, split_lists
from fastcodes.quantization import (
    OptimizedProductQuantizer,
    ProductQuantizer,
    RaBitQuantizer,
    ResidualQuantizer,
    ScalarQuantizer,
    VectorQuantizer,
)
from helpers import Array, run_python, same
from index.kit import of_lists

RNG = np.random.default_rng(77)
D, N_LISTS = 24, 11
CENTERS = RNG.standard_normal((40, D)) * 3 + 5


def samples(n: int) -> Array:
    return (CENTERS[RNG.integers(0, 40, n)] + RNG.standard_normal((n, D))).astype(np.float32)


X, QUERIES = samples(4000), samples(30)
PQ = ProductQuantizer(6, 16, max_iter=4, random_state=0)


def filled(codec: Any, n_lists: int = N_LISTS, **options: Any) -> IVFIndex:
    index = IVFIndex(codec, n_lists, random_state=3, **options).fit(X)
    index.add(X)
    return index


def squared(a: Array, b: Array) -> Array:
    return ((a[:, None].astype(np.float64) - b) ** 2).sum(axis=2)


# --- distances ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0, 1000])
@pytest.mark.parametrize(
    "codec",
    [
        PQ,
        ProductQuantizer(4, 200, max_iter=2, random_state=0),
        OptimizedProductQuantizer(6, 16, max_iter=2, random_state=0),
        ScalarQuantizer(4),
        ScalarQuantizer(8),
        ScalarQuantizer(1),
        VectorQuantizer(30, random_state=0),
    ],
    ids=repr,
)
def test_squared_distances_are_those_of_what_codes_stand_for(codec: Any, shift: float) -> None:
    x, queries = X + np.float32(shift), QUERIES + np.float32(shift)
    index = IVFIndex(codec, N_LISTS, random_state=3).fit(x)
    index.add(x)
    distances, indices = index.search(queries, 50, n_probes=N_LISTS)
    exact = squared(queries, index.reconstruct(np.arange(len(x))))
    step = index._coder._terms._step  # type: ignore[attr-defined]
    errors = np.abs(distances - np.take_along_axis(exact, indices, axis=1))
    assert errors.max() <= step / 2 * (1 + 1e-3) + 1e-4 * exact.max() + shift * 1e-5
    # The steps are small against the distances.
    assert step < exact.mean() / 20


@pytest.mark.parametrize(
    "codec", [PQ, ScalarQuantizer(8), ResidualQuantizer(3, 16, random_state=0)], ids=repr
)
def test_inner_products_are_those_of_what_codes_stand_for(codec: Any) -> None:
    index = filled(codec, metric="ip")
    distances, indices = index.search(QUERIES, 50, n_probes=N_LISTS)
    exact = -(QUERIES.astype(np.float64) @ index.reconstruct(np.arange(len(X))).T)
    np.testing.assert_allclose(distances, np.take_along_axis(exact, indices, axis=1), rtol=1e-5)


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
@pytest.mark.parametrize("n_bits", [1, 4])
def test_estimates_of_residuals_err_less(metric: str, n_bits: int) -> None:
    errors = []
    for by_residual in (True, False):
        index = filled(RaBitQuantizer(n_bits, metric=metric, random_state=0), 50, by_residual=by_residual)
        distances, indices = index.search(QUERIES, 100, n_probes=10)
        a, b = QUERIES.astype(np.float64), X.astype(np.float64)
        if metric == "l2":
            exact = squared(a, b)
        elif metric == "ip":
            exact = -a @ b.T
        else:
            lengths = np.linalg.norm(a, axis=1)[:, None], np.linalg.norm(b, axis=1)
            exact = 1 - a @ b.T / (lengths[0] * lengths[1])
        errors.append(np.abs(distances - np.take_along_axis(exact, indices, axis=1)).mean())
    assert errors[0] < 0.7 * errors[1]


@pytest.mark.parametrize("codec", [PQ, RaBitQuantizer(4, random_state=0)], ids=repr)
def test_codes_of_residuals_stand_for_nearer_vectors(codec: Any) -> None:
    of_residuals, of_vectors = (
        filled(codec, by_residual=flag).reconstruct(range(4000)) for flag in (True, False)
    )
    assert ((of_residuals - X) ** 2).sum() < 0.8 * ((of_vectors - X) ** 2).sum()


@pytest.mark.parametrize("spread", [1, 10, 100])
@pytest.mark.parametrize(
    "codec", [ProductQuantizer(8, 256, max_iter=8, random_state=0), ScalarQuantizer()], ids=repr
)
def test_neighbors_are_found_however_far_apart_clusters_are(codec: Any, spread: float) -> None:
    rng = np.random.default_rng(4)
    centers = rng.standard_normal((32, 32)) * spread
    x, queries = (
        (centers[rng.integers(0, 32, n)] + rng.standard_normal((n, 32))).astype(np.float32)
        for n in (6000, 50)
    )
    index = IVFIndex(codec, 32, random_state=0).fit(x)
    index.add(x)
    found = index.search(queries, 10, n_probes=32)
    exact = squared(queries, index.reconstruct(range(6000)))
    by_codes = np.argsort(exact, axis=1)[:, :10]
    common = np.mean([np.isin(a, b).mean() for a, b in zip(found[1], by_codes, strict=True)])
    assert common > 0.97
    assert (found[0] > 0).all()


@pytest.mark.parametrize("codec", [PQ, RaBitQuantizer(4, metric="ip", random_state=0)], ids=repr)
def test_ties_by_rounding_go_to_the_lower_id(codec: Any) -> None:
    rng = np.random.default_rng(5)
    x = (rng.standard_normal((9000, D)) + np.where(np.arange(9000) % 2, 3e4, -3e4)[:, None]).astype(
        np.float32
    )
    index = IVFIndex(codec, 2, metric="ip", random_state=0).fit(x)
    index.add(x)
    queries = x[:20]
    whole = index.search(queries, 9000, n_probes=2, threads=1)
    assert (np.diff(whole[0], axis=1) == 0).mean() > 0.2
    rising = (np.diff(whole[0], axis=1) > 0) | (np.diff(whole[1], axis=1) > 0)
    assert rising.all()
    for k, threads in ((5, 1), (20, 2), (300, 1)):
        found = index.search(queries, k, n_probes=2, threads=threads)
        assert same(found, (whole[0][:, :k], whole[1][:, :k]))
        for query in range(4):
            one = index.search(queries[query], k, n_probes=2, threads=threads)
            assert same(one, (whole[0][query : query + 1, :k], whole[1][query : query + 1, :k]))


def test_numbers_beyond_the_grid_are_clipped() -> None:
    index = filled(PQ)
    index.add(X[:1] + 100)
    distances, indices = index.search(X[:1] + 100, 1, n_probes=N_LISTS)
    assert indices.tolist() == [[4000]]
    assert np.isfinite(distances).all()


# --- lists --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["l2", "ip"])
@pytest.mark.parametrize("n_probes", [1, 3, N_LISTS, N_LISTS + 5])
def test_a_search_looks_at_the_nearest_lists(metric: str, n_probes: int) -> None:
    index = filled(PQ, metric=metric)
    of_row = split_lists(index.codes)[0]
    assert np.array_equal(of_row, squared(X, index.centers_).argmin(axis=1))
    assert np.array_equal(index.list_sizes, np.bincount(of_row, minlength=N_LISTS))
    near = squared(QUERIES, index.centers_) if metric == "l2" else -(QUERIES @ index.centers_.T)
    probed = np.argsort(near, axis=1)[:, :n_probes]
    expected = of_lists(index, QUERIES)
    for query, lists in enumerate(probed):
        expected[query, ~np.isin(of_row, lists)] = np.inf
    order = np.argsort(expected, axis=1, kind="stable")[:, :20]
    found = index.search(QUERIES, 20, n_probes=n_probes)
    assert same(found, (np.take_along_axis(expected, order, axis=1), order))
    radius = float(np.median(found[0]))
    offsets, distances, indices = index.radius_search(QUERIES, radius, n_probes=n_probes)
    for query, own in enumerate(expected):
        rows = np.flatnonzero(own <= radius)
        rows = rows[np.argsort(own[rows], kind="stable")]
        part = slice(offsets[query], offsets[query + 1])
        assert same((distances[part], indices[part]), (own[rows], rows))


def test_few_rows_in_the_lists_are_padded() -> None:
    index = filled(PQ)
    distances, indices = index.search(QUERIES, 4000, n_probes=1)
    n_found = index.list_sizes[split_lists(index._coder.rows(QUERIES))[0]]
    assert np.array_equal((indices >= 0).sum(axis=1), n_found)
    assert (distances[indices < 0] == np.inf).all()


@pytest.mark.parametrize(
    "codec",
    [
        PQ,
        RaBitQuantizer(random_state=0),
        RaBitQuantizer(3, random_state=0),
        RandomHyperplanes(70, random_state=0),
    ],
    ids=repr,
)
def test_one_query_and_many_find_the_same_on_every_number_of_threads(codec: Any) -> None:
    index = filled(codec)
    mask = RNG.random(4000) < 0.3
    for options in ({}, {"mask": mask}, {"mask": np.flatnonzero(mask)[:40]}):
        expected = index.search(QUERIES, 30, n_probes=5, threads=1, **options)
        for threads in (2, 7):
            assert same(index.search(QUERIES, 30, n_probes=5, threads=threads, **options), expected)
            for query in range(5):
                one = index.search(QUERIES[query], 30, n_probes=5, threads=threads, **options)
                assert same(one, tuple(part[query : query + 1] for part in expected))


def test_rows_may_be_added_in_any_parts() -> None:
    index, one_by_one = filled(PQ), IVFIndex(PQ, N_LISTS, random_state=3).fit(X)
    for start, stop in ((0, 2000), (2000, 2001), (2001, 2003), (2003, 2050), (2050, 3000), (3000, 4000)):
        one_by_one.add(X[start:stop])
        assert len(one_by_one._storage._parts) <= 4
        found = one_by_one.search(QUERIES, 9, n_probes=4)
        some = index.search(QUERIES, 9, n_probes=4, mask=np.arange(stop))
        assert same(found, some)
    assert np.array_equal(one_by_one.codes, index.codes)
    expected = index.radius_search(QUERIES, 30.0, n_probes=4)
    assert all(map(np.array_equal, one_by_one.radius_search(QUERIES, 30.0, n_probes=4), expected))
    rows = np.array([3999, 0, 2002, 2002, 7])
    assert np.array_equal(one_by_one.reconstruct(rows), index.reconstruct(rows))
    for changed in (index, one_by_one):
        changed.remove(np.arange(0, 4000, 3))
    assert same(one_by_one.search(QUERIES, 9, n_probes=4), index.search(QUERIES, 9, n_probes=4))


@pytest.mark.parametrize("metric", ["hamming", "jaccard"])
def test_lists_of_bits_are_by_hamming_distance(metric: str) -> None:
    codes = RNG.integers(0, 256, (900, 9), np.uint8)
    index = IVFIndex(Bits(72), 8, metric=metric, random_state=0).fit(codes)
    index.add(codes)
    near = np.bitwise_count(codes[:, None] ^ index.centers_).sum(axis=2)
    assert np.array_equal(split_lists(index.codes)[0], near.argmin(axis=1))
    flat = FlatIndex(Bits(72), metric=metric)
    flat.add(codes)
    assert same(index.search(codes[:20], 9, n_probes=8), flat.search(codes[:20], 9))
    # A center has the bits that most of its samples have.
    sizes, ones = index.list_sizes, bits.unpack(codes, 72)
    majority = [ones[near.argmin(axis=1) == center].mean(axis=0) > 0.5 for center in range(8)]
    agree = (bits.unpack(index.centers_, 72) == majority).mean(axis=1)
    assert (agree[sizes > 20] > 0.8).all()


# --- learning -----------------------------------------------------------------------------------------------


def test_the_codec_is_fitted_unless_it_is() -> None:
    unfitted = ProductQuantizer(6, 16, random_state=0)
    index = IVFIndex(unfitted, 5, random_state=0)
    with pytest.raises(NotFittedError, match="IVFIndex"):
        index.add(X)
    with pytest.raises(NotFittedError, match="IVFIndex"):
        index.search(X, 1)
    assert not hasattr(unfitted, "codebooks_")
    index.fit(X)
    assert not hasattr(unfitted, "codebooks_")
    kept = copy.deepcopy(index.codec)
    again = IVFIndex(kept, 5, random_state=0).fit(X)
    assert np.array_equal(again.codec.codebooks_, kept.codebooks_)  # type: ignore[attr-defined]
    assert np.array_equal(again.centers_, index.centers_)
    index.add(X[:1])
    with pytest.raises(ValueError, match="the index has 1 rows, whose lists would change"):
        index.fit(X)


@pytest.mark.parametrize(
    ("codec", "data", "message"),
    [
        (VectorQuantizer(300, max_iter=1, random_state=0), X, "300 codewords; expected at most 256"),
        (
            ProductQuantizer(5, 16).fit(X[:, :5]),
            X,
            "X has 24 features, but the fitted ProductQuantizer expects 5",
        ),
        (Bits(8), np.zeros((3, 1), np.uint8), "n_samples=3 should be >= n_lists=11"),
        (PCAHashing(8), X * np.float32(1e19), "scale it"),
        (SupervisedDiscreteHashing(8), X, "learns from labels"),
        (PQ, X[:10], "n_samples=10 should be >= n_lists=11"),
        (MinHash(16), [["a"], ["b"]], "must encode vectors, or be .*Bits, .*; got MinHash"),
    ],
    ids=["codewords", "features", "codes", "huge", "labels", "rows", "sets"],
)
def test_what_lists_cannot_hold_is_refused(codec: Any, data: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        IVFIndex(codec, N_LISTS, random_state=0).fit(data)


def test_reranking_reads_what_the_bounds_allow() -> None:
    index = filled(RaBitQuantizer(2, random_state=0))
    exact = squared(QUERIES, X)
    n_read = np.zeros(len(QUERIES), np.int64)
    found = index.search(QUERIES, 10, n_probes=N_LISTS, rerank=X, oversample=16, n_read=n_read)
    nearest = np.argsort(exact, axis=1)[:, :10]
    recall = np.mean([np.isin(a, b).mean() for a, b in zip(nearest, found[1], strict=True)])
    assert recall > 0.98
    assert n_read.min() >= 10
    assert n_read.mean() < 130


def test_the_bounds_of_a_query_are_its_own() -> None:
    base = RNG.standard_normal((4, 32)).astype(np.float32)
    x = np.concatenate([np.repeat(base, 1000, axis=0), RNG.standard_normal((1000, 32)).astype(np.float32)])
    ids = RNG.permutation(len(x))
    vectors = np.empty_like(x)
    vectors[ids] = x
    index = IVFIndex(RaBitQuantizer(random_state=0), 4, random_state=0).fit(x)
    index.add(x, ids=ids)
    queries = np.concatenate([base[:3], RNG.standard_normal((4, 32)).astype(np.float32)])
    n_read, alone = np.zeros(7, np.int64), np.zeros(1, np.int64)
    found = index.search(queries, 3, n_probes=4, rerank=vectors, n_read=n_read)
    for query in range(7):
        one = index.search(queries[query], 3, n_probes=4, rerank=vectors, n_read=alone)
        assert same(one, tuple(part[query : query + 1] for part in found))
        assert alone[0] == n_read[query]


def test_few_lists_do_not_mean_few_samples_for_the_codec() -> None:
    index = IVFIndex(ProductQuantizer(4, 256, max_iter=2, random_state=0), 1, random_state=0).fit(X)
    assert index.codec.quantization_error(X - index.centers_[0]) < 0.9 * filled(  # type: ignore[attr-defined]
        ProductQuantizer(4, 64, max_iter=2, random_state=0), 1
    ).codec.quantization_error(X - X.mean(axis=0))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda index: index.search(X[:1] * np.float32(1e20), 1), "queries has values so large"),
        (lambda index: index.add(X[:1] * np.float32(1e20)), "X has values so large"),
        (lambda index: index.add(X[:, :5]), "X has 5 features, but ProductQuantizer is expecting 24"),
        (lambda index: index.add_codes((index.codes, X)), "as the codes of an IVFIndex are; got a tuple"),
        (lambda index: index.add_codes(X), "as the codes of an IVFIndex are"),
        (lambda index: index.merge(filled(PQ, 5)), "n_lists=5.*with the same lists"),
    ],
)
def test_errors_name_what_the_user_gave(call: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call(filled(PQ))


# --- files --------------------------------------------------------------------------------------------------


def altered(path: Path, change: Any) -> Path:
    """Write the file of an index again, with other contents."""
    params, arrays = _files.read(path, "IVFIndex", mmap=False, verify=True)
    params = json.loads(json.dumps(params))
    change(params, arrays)
    changed = path.with_name("changed")
    _files.write(changed, "IVFIndex", params, arrays)
    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, a: a.update({"lists.starts": a["lists.starts"][::-1].copy()}), "starts of its lists"),
        (lambda p, a: a.update({"lists.ids": a["lists.ids"] + np.uint32(1)}), "its lists have the row 4000"),
        (lambda p, a: a.update({"lists.ids": a["lists.ids"][1:]}), "lists.ids"),
        (lambda p, a: a.update({"codec.centers": a["codec.centers"][1:]}), "centers"),
        (lambda p, a: a.update({"codec.terms": np.array([0.0, -1.0, 2.0])}), "its terms have"),
        (lambda p, a: p["settings"].update(n_lists=3), "not those of its codec"),
        (lambda p, a: p["codec"]["params"].update(n_lists=0), "n_lists"),
        (lambda p, a: p["codec"]["params"].update(metric="hamming"), "metric"),
        (lambda p, a: p["codec"].update({"class": "ProductQuantizer"}), "codec"),
    ],
)
def test_altered_files_are_refused(change: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "index"
    filled(PQ).save(path)
    with pytest.raises(ValueError, match=message):
        IVFIndex.load(altered(path, change), mmap=False)


def test_ids_that_are_no_permutation_are_refused_when_rows_are_looked_up(tmp_path: Path) -> None:
    path = tmp_path / "index"
    filled(PQ).save(path)
    changed = altered(path, lambda p, a: a["lists.ids"].fill(5))
    index = IVFIndex.load(changed)
    assert (index.search(QUERIES, 3)[1] == 5).all()
    with pytest.raises(ValueError, match="was the file altered"):
        index.reconstruct([7])


def test_codes_have_the_number_of_their_list_in_front() -> None:
    index = filled(PQ)
    codes = index.codes
    n_digits = index._coder._terms._n_digits  # type: ignore[attr-defined]
    assert codes.shape == (4000, LIST_BYTES + 6 + n_digits)
    codes[3, 0] = N_LISTS
    with pytest.raises(ValueError, match="the list 11 in row 3; expected lists from 0 to 10"):
        index.add_codes(codes)
    with pytest.raises(ValueError, match=r"shape \(n, \d+\)"):
        index.add_codes(codes[:, 1:])


# --- memory -------------------------------------------------------------------------------------------------

BUILD = """
import os
import numpy as np
from fastcodes.index import IVFIndex
from fastcodes.quantization import RaBitQuantizer

n, d = 400_000, 128
X = np.lib.format.open_memmap(os.environ["VECTORS"], "w+", np.float32, (n, d))
rng = np.random.default_rng(0)
for start in range(0, n, 10_000):
    X[start : start + 10_000] = rng.standard_normal((10_000, d))
X = np.load(os.environ["VECTORS"], mmap_mode="r")
index = IVFIndex(RaBitQuantizer(random_state=0), 16, random_state=0).fit(X[:20_000])
index.add(X[:1000])


def in_memory():
    # Pages of the map are of the file, and are given back when memory is short.
    text = open("/proc/self/status").read()
    return int(text.split("RssAnon:")[1].split()[0]) * 1024


import threading

before, most, is_done = in_memory(), [0], threading.Event()
def watch():
    while not is_done.wait(0.002):
        most[0] = max(most[0], in_memory())
watcher = threading.Thread(target=watch)
watcher.start()
index.add(X)
is_done.set()
watcher.join()
print(most[0] - before, index.nbytes, X.nbytes)
"""


def test_building_from_a_memory_map_takes_little_more_than_the_index(tmp_path: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("needs the memory of a process as Linux says it")
    peak, n_bytes, n_vectors = map(
        int, run_python(BUILD, {"VECTORS": str(tmp_path / "x.npy")}, timeout=240).split()
    )
    assert n_vectors > 10 * n_bytes
    assert peak < 3 * n_bytes + (48 << 20)
