"""Quantizers, codes and indexes from and to faiss and nanopq: the same codes, distances and neighbours."""

from __future__ import annotations

import pickle
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from fastcodes import adc, bits
from fastcodes.hashing import Bits
from fastcodes.index import FlatIndex, IVFIndex
from fastcodes.interop import faiss as interop
from fastcodes.interop import nanopq as interop_nanopq
from fastcodes.quantization import OptimizedProductQuantizer, ProductQuantizer
from helpers import Array, random_codes, same

D = 24
RNG = np.random.default_rng(11)
# Features of unequal spread that depend on each other, so that a rotation has something to do.
MIX = RNG.standard_normal((D, D)) * np.geomspace(3, 0.3, D)
X = (RNG.standard_normal((1500, D)) @ MIX).astype(np.float32)
QUERIES = (RNG.standard_normal((10, D)) @ MIX).astype(np.float32)
TURN = np.linalg.qr(RNG.standard_normal((D, D)))[0].astype(np.float32)


@pytest.fixture(scope="module")
def faiss() -> ModuleType:
    module = pytest.importorskip("faiss", reason="compares with faiss, which is not installed")
    module.omp_set_num_threads(1)
    return module


@pytest.fixture(scope="module")
def nanopq() -> ModuleType:
    return pytest.importorskip("nanopq", reason="compares with nanopq, which is not installed")


def codebooks(n_subspaces: int, n_codewords: int) -> Array:
    """Codebooks of parts of vectors, without equal codewords."""
    rng = np.random.default_rng([n_subspaces, n_codewords])
    parts = X.reshape(len(X), n_subspaces, -1).transpose(1, 0, 2)
    return parts[:, rng.choice(len(X), n_codewords, replace=False)]


def theirs_pq(faiss: ModuleType, quantizer: Any, books: Array) -> None:
    """Give codebooks to a product quantizer of faiss, in place of training."""
    faiss.copy_array_to_vector(np.ascontiguousarray(books).ravel(), quantizer.centroids)


def index_pq(faiss: ModuleType, n_subspaces: int, n_bits: int, metric: str, x: Array = X) -> Any:
    index = faiss.IndexPQ(x.shape[1], n_subspaces, n_bits, metric_of(faiss, metric))
    theirs_pq(faiss, index.pq, codebooks(n_subspaces, 2**n_bits))
    index.is_trained = True
    index.add(x)
    return index


def metric_of(faiss: ModuleType, metric: str) -> int:
    return faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT


def transform_of(faiss: ModuleType, matrix: Array, bias: Array | None = None) -> Any:
    d_out, d_in = matrix.shape
    transform = faiss.LinearTransform(d_in, d_out, bias is not None)
    faiss.copy_array_to_vector(np.ascontiguousarray(matrix).ravel(), transform.A)
    if bias is not None:
        faiss.copy_array_to_vector(bias, transform.b)
    transform.is_trained = True
    transform.set_is_orthonormal()
    return transform


def assert_same_search(ours: FlatIndex, theirs: Any, k: int = 20) -> None:
    """Distances agree up to rounding, and their neighbours are as near by our distances."""
    sign = 1 if ours.metric == "l2" else -1
    distances, _ = ours.search(QUERIES, k)
    expected, neighbours = theirs.search(QUERIES, k)
    tolerance = {"rtol": 2e-5, "atol": 2e-6 * np.abs(expected).max()}
    np.testing.assert_allclose(distances, sign * expected, **tolerance)
    every = adc.scan(ours.codec.tables(QUERIES), ours.codes)
    np.testing.assert_allclose(np.take_along_axis(every, neighbours, axis=1), sign * expected, **tolerance)


def assert_same_codes(codes: Array, expected: Array, x: Array, quantizer: Any) -> None:
    """Codes are equal, but where two codewords are equally near up to rounding."""
    assert (codes.dtype, codes.shape) == (np.uint8, expected.shape)
    rows, parts = np.nonzero(codes != expected)
    if not len(rows):
        return
    assert len(rows) < 0.01 * codes.size
    books, turned = quantizer.codebooks_, x
    if isinstance(quantizer, OptimizedProductQuantizer):
        turned = x @ quantizer.rotation_.T
    part = turned.reshape(len(x), len(books), -1)[rows, parts].astype(np.float64)
    to_ours, to_theirs = (((part - books[parts, c[rows, parts]]) ** 2).sum(1) for c in (codes, expected))
    np.testing.assert_allclose(to_ours, to_theirs, rtol=1e-4)


both_metrics = pytest.mark.parametrize("metric", ["l2", "ip"])


# --- faiss --------------------------------------------------------------------------------------------------


@both_metrics
@pytest.mark.parametrize(
    ("n_subspaces", "n_bits"), [(6, 8), (1, 8), (24, 8), (4, 4), (3, 4), (6, 6), (8, 5), (3, 7), (4, 1)]
)
def test_an_index_of_faiss_is_taken_over(
    faiss: ModuleType, n_subspaces: int, n_bits: int, metric: str
) -> None:
    theirs = index_pq(faiss, n_subspaces, n_bits, metric)
    ours = interop.from_faiss(theirs)
    assert isinstance(ours, FlatIndex)
    assert (len(ours), ours.metric, ours.codec.n_features_in_) == (1500, metric, D)
    assert ours.codec.codebooks_.shape == (n_subspaces, 2**n_bits, D // n_subspaces)
    assert_same_codes(ours.codec.encode(X), ours.codes, X, ours.codec)
    packed = theirs.sa_encode(X)
    assert np.array_equal(interop.unpack_codes(packed, n_subspaces, n_bits), ours.codes)
    assert np.array_equal(interop.pack_codes(ours.codes, n_bits), packed)
    assert np.array_equal(ours.reconstruct(np.arange(1500)), theirs.reconstruct_n(0, 1500))
    assert_same_search(ours, theirs)


@both_metrics
@pytest.mark.parametrize("name", ["OPQMatrix", "RandomRotationMatrix", "LinearTransform"])
def test_an_index_behind_a_rotation_is_taken_over(faiss: ModuleType, name: str, metric: str) -> None:
    if name == "OPQMatrix":
        transform = faiss.OPQMatrix(D, 6)
        transform.niter, transform.niter_pq, transform.niter_pq_0 = 2, 2, 2
        transform.pq = pq = faiss.ProductQuantizer(D, 6, 4)
        transform.train(X)
        assert pq.nbits == 4
    elif name == "RandomRotationMatrix":
        transform = faiss.RandomRotationMatrix(D, D)
        transform.init(5)
    else:
        transform = transform_of(faiss, TURN)
    turned = transform.apply(X)
    inner = faiss.IndexPQ(D, 6, 6, metric_of(faiss, metric))
    theirs_pq(faiss, inner.pq, turned.reshape(-1, 6, D // 6)[:64].transpose(1, 0, 2))
    inner.is_trained = True
    theirs = faiss.IndexPreTransform(transform, inner)
    theirs.add(X)
    ours = interop.from_faiss(theirs)
    assert isinstance(ours.codec, OptimizedProductQuantizer)
    np.testing.assert_allclose(X @ ours.codec.rotation_.T, turned, atol=1e-4)
    assert np.array_equal(ours.codes, interop.codes_of(theirs))
    assert_same_codes(ours.codec.encode(X), ours.codes, X, ours.codec)
    np.testing.assert_allclose(ours.reconstruct(np.arange(1500)), theirs.reconstruct_n(0, 1500), atol=1e-4)
    assert_same_search(ours, theirs)


def test_an_index_that_faiss_trained_itself_is_taken_over(faiss: ModuleType) -> None:
    theirs = faiss.index_factory(D, "OPQ4,PQ4x4")
    opq = faiss.downcast_VectorTransform(theirs.chain.at(0))
    opq.niter, opq.niter_pq, opq.niter_pq_0 = 3, 2, 2
    theirs.train(X)
    theirs.add(X)
    ours = interop.from_faiss(theirs)
    assert_same_search(ours, theirs)
    assert_same_codes(ours.codec.encode(X), ours.codes, X, ours.codec)
    same = interop.from_faiss(faiss.deserialize_index(faiss.serialize_index(theirs)))
    assert np.array_equal(same.codes, ours.codes)


def test_a_bias_goes_into_the_codebooks(faiss: ModuleType) -> None:
    bias = np.linspace(-3, 5, D, dtype=np.float32)
    for metric in ("l2", "ip"):
        inner = faiss.IndexPQ(D, 4, 5, metric_of(faiss, metric))
        theirs_pq(faiss, inner.pq, (X @ TURN.T + bias)[:32].reshape(32, 4, -1).transpose(1, 0, 2))
        inner.is_trained = True
        theirs = faiss.IndexPreTransform(transform_of(faiss, TURN, bias), inner)
        theirs.add(X)
        if metric == "ip":
            with pytest.raises(
                ValueError, match=r"LinearTransform with a bias, which changes inner products.*index.index"
            ):
                interop.from_faiss(theirs)
            continue
        ours = interop.from_faiss(theirs)
        assert_same_search(ours, theirs)
        assert_same_codes(ours.codec.encode(X), ours.codes, X, ours.codec)
        np.testing.assert_allclose(ours.reconstruct([3, 9])[1], theirs.reconstruct(9), atol=1e-4)
    theirs = faiss.index_factory(D, f"PCA{D},PQ4x4")
    theirs.train(X)
    theirs.add(X)
    assert_same_search(interop.from_faiss(theirs), theirs)


@both_metrics
@pytest.mark.parametrize(
    "factory", ["OPQ4_12,PQ4x4", "RR12,PQ4x4", "RR20,RR12,PQ4x4", "PCA12,PQ3x6", "PCAR12,PQ4x4"]
)
def test_transforms_may_reduce_dimensions(faiss: ModuleType, factory: str, metric: str) -> None:
    theirs = faiss.index_factory(D, factory, metric_of(faiss, metric))
    if factory.startswith("OPQ"):
        opq = faiss.downcast_VectorTransform(theirs.chain.at(0))
        opq.niter, opq.niter_pq, opq.niter_pq_0 = 2, 2, 2
    theirs.train(X)
    theirs.add(X)
    if metric == "ip" and factory.startswith("PCA"):
        with pytest.raises(ValueError, match="PCAMatrix with a bias, which changes inner products"):
            interop.from_faiss(theirs)
        return
    ours = interop.from_faiss(theirs)
    assert (ours.codec.n_features_in_, len(ours)) == (D, 1500)
    assert np.array_equal(ours.codes, interop.codes_of(theirs))
    assert_same_codes(ours.codec.encode(X), ours.codes, X, ours.codec)
    assert_same_search(ours, theirs)
    assert ours.reconstruct([3]).shape == (1, D)
    if "RR" in factory or "OPQ" in factory:
        np.testing.assert_allclose(ours.reconstruct(np.arange(9)), theirs.reconstruct_n(0, 9), atol=1e-3)
    back = interop.to_faiss(ours)
    assert_same_search(ours, back)
    assert np.array_equal(interop.from_faiss(back).codec.rotation_, ours.codec.rotation_)
    assert same(pickle.loads(pickle.dumps(ours)).search(QUERIES, 3), ours.search(QUERIES, 3))


@pytest.mark.parametrize("factory", ["PQ4x4,RFlat", "OPQ4,PQ4x4,RFlat", "IDMap,PQ4x4,RFlat"])
def test_vectors_that_refine_results_are_given_to_searches(faiss: ModuleType, factory: str) -> None:
    theirs = faiss.index_factory(D, factory)
    theirs.train(X)
    ids = np.arange(1500)
    if factory.startswith("IDMap"):
        theirs.add_with_ids(X, ids)
    else:
        theirs.add(X)
    ours, vectors = interop.from_faiss(theirs), interop.vectors_of(theirs)
    assert np.array_equal(vectors, X)
    (faiss.downcast_index(theirs.index) if factory.startswith("IDMap") else theirs).k_factor = 8
    distances, indices = ours.search(QUERIES, 5, rerank=vectors, oversample=8)
    expected = theirs.search(QUERIES, 5)
    np.testing.assert_allclose(distances, expected[0], rtol=1e-4)
    assert np.array_equal(indices, expected[1])
    flat = faiss.IndexFlatIP(D)
    flat.add(X[:7])
    assert np.array_equal(interop.vectors_of(flat), X[:7])
    with pytest.raises(TypeError, match=r"must be an IndexFlat, .*got a faiss.IndexPQ"):
        interop.vectors_of(faiss.IndexPQ(D, 4, 4))


@pytest.mark.parametrize("n_rows", [32, 64, 96, 160])
@pytest.mark.parametrize("n_subspaces", [3, 8])
def test_the_blocks_of_a_fast_scan_may_have_any_number_of_rows(
    faiss: ModuleType, n_subspaces: int, n_rows: int
) -> None:
    plain = interop.from_faiss(index_pq(faiss, n_subspaces, 4, "l2"))
    theirs = faiss.IndexPQFastScan(D, n_subspaces, 4, faiss.METRIC_L2, n_rows)
    theirs_pq(faiss, theirs.pq, codebooks(n_subspaces, 16))
    theirs.is_trained = True
    for part in (X[:1], X[1:700], X[700:]):
        theirs.add(part)
    ours = interop.from_faiss(theirs)
    assert np.array_equal(ours.codes, plain.codes)
    # faiss itself reconstructs other rows from blocks of more than 32.
    if n_rows == 32:
        assert np.array_equal(ours.reconstruct(np.arange(1500)), theirs.reconstruct_n(0, 1500))
    near, expected = ours.search(QUERIES, 20)[1], theirs.search(QUERIES, 20)[1]
    assert np.mean([len({*a} & {*b}) for a, b in zip(near, expected, strict=True)]) > 15


@both_metrics
@pytest.mark.parametrize("n_subspaces", [1, 2, 3, 8])
def test_the_codes_of_a_fast_scan_are_unpacked(faiss: ModuleType, n_subspaces: int, metric: str) -> None:
    plain = index_pq(faiss, n_subspaces, 4, metric)
    for n in (0, 1, 31, 32, 33, 1500):
        theirs = faiss.IndexPQFastScan(D, n_subspaces, 4, metric_of(faiss, metric))
        theirs_pq(faiss, theirs.pq, codebooks(n_subspaces, 16))
        theirs.is_trained = True
        if n:
            theirs.add(X[:n])
        ours = interop.from_faiss(theirs)
        assert np.array_equal(ours.codes, interop.codes_of(plain)[:n])
    # Its search rounds tables to 8 bits, so that only what it reconstructs can be compared.
    assert np.array_equal(ours.reconstruct(np.arange(1500)), theirs.reconstruct_n(0, 1500))
    assert_same_search(ours, plain)
    behind = faiss.IndexPreTransform(transform_of(faiss, TURN), theirs)
    assert np.array_equal(interop.from_faiss(behind).codes, ours.codes)


@both_metrics
def test_a_product_quantizer_is_taken_over(faiss: ModuleType, metric: str) -> None:
    theirs = faiss.ProductQuantizer(D, 6, 8)
    theirs_pq(faiss, theirs, codebooks(6, 256))
    ours = interop.from_faiss(theirs, metric=metric)
    assert isinstance(ours, ProductQuantizer)
    assert ours.metric == metric
    assert np.array_equal(ours.codebooks_, codebooks(6, 256))
    assert_same_codes(ours.encode(X), theirs.compute_codes(X), X, ours)
    assert np.array_equal(ours.decode(ours.encode(X)), theirs.decode(ours.encode(X)))
    assert interop.from_faiss(theirs).metric == "l2"
    theirs_pq(faiss, theirs, np.zeros((6, 256, 4), np.float32))
    assert np.array_equal(ours.codebooks_, codebooks(6, 256)), "memory is shared"


@both_metrics
@pytest.mark.parametrize(
    ("n_subspaces", "n_codewords"), [(6, 256), (4, 16), (3, 100), (8, 5), (2, 2), (1, 1)]
)
@pytest.mark.parametrize("is_rotated", [False, True], ids=["pq", "opq"])
def test_an_index_is_handed_over(
    faiss: ModuleType, n_subspaces: int, n_codewords: int, is_rotated: bool, metric: str
) -> None:
    books = codebooks(n_subspaces, n_codewords)
    quantizer = (
        OptimizedProductQuantizer.from_codebooks(books, TURN, metric=metric)
        if is_rotated
        else ProductQuantizer.from_codebooks(books, metric=metric)
    )
    ours = FlatIndex(quantizer)
    ours.add(X)
    theirs = interop.to_faiss(ours)
    assert type(theirs).__name__ == ("IndexPreTransform" if is_rotated else "IndexPQ")
    assert (theirs.d, theirs.ntotal, theirs.is_trained) == (D, 1500, True)
    assert np.array_equal(interop.codes_of(theirs), ours.codes)
    atol = 1e-4 if is_rotated else 0
    np.testing.assert_allclose(theirs.reconstruct_n(0, 1500), ours.reconstruct(np.arange(1500)), atol=atol)
    assert_same_search(ours, theirs)
    empty = interop.to_faiss(quantizer)
    assert (empty.ntotal, empty.metric_type) == (0, metric_of(faiss, metric))
    empty.add(X)
    # faiss may choose a copy of the first codeword, with which codebooks are filled up.
    codes = interop.codes_of(empty)
    assert_same_codes(np.where(codes < n_codewords, codes, np.uint8(0)), ours.codes, X, quantizer)
    kept = faiss.deserialize_index(faiss.serialize_index(theirs))
    back = interop.from_faiss(kept)
    assert type(back.codec) is type(quantizer)
    assert np.array_equal(back.codes, ours.codes)
    assert np.array_equal(back.codec.codebooks_[:, :n_codewords], books)
    if is_rotated:
        assert np.array_equal(back.codec.rotation_, TURN)
        assert np.array_equal(interop.rotation_of(kept.chain.at(0)), TURN)


@pytest.mark.parametrize("n_bits", [8, 64, 100])
def test_binary_codes_go_to_faiss_and_back(faiss: ModuleType, n_bits: int) -> None:
    codes = bits.pack(np.random.default_rng(n_bits).random((300, n_bits)) < 0.5)
    ours = FlatIndex(Bits(n_bits))
    ours.add(codes)
    theirs = interop.to_faiss(ours)
    assert (type(theirs).__name__, theirs.d, theirs.ntotal) == ("IndexBinaryFlat", 8 * codes.shape[1], 300)
    assert np.array_equal(theirs.search(codes[:9], 5)[0], ours.search(codes[:9], 5)[0])
    back = interop.from_faiss(faiss.deserialize_index_binary(faiss.serialize_index_binary(theirs)))
    assert np.array_equal(back.codes, codes)
    assert same(back.search(codes[:9], 5), ours.search(codes[:9], 5))
    with pytest.raises(ValueError, match='index has the metric "jaccard"'):
        interop.to_faiss(FlatIndex(Bits(n_bits), metric="jaccard"))


@pytest.mark.parametrize("kind", ["pq", "opq", "bits"])
def test_ids_go_to_faiss_and_back(faiss: ModuleType, kind: str) -> None:
    codec, samples = {
        "pq": (ProductQuantizer.from_codebooks(codebooks(4, 16)), X),
        "opq": (OptimizedProductQuantizer.from_codebooks(codebooks(4, 16), TURN), X),
        "bits": (Bits(64), random_codes(1500, 8)),
    }[kind]
    ids = np.random.default_rng(6).permutation(10_000)[:1500]
    ours = FlatIndex(codec)
    ours.add(samples, ids=ids)
    theirs = interop.to_faiss(ours)
    assert (type(theirs).__name__.endswith("IDMap"), theirs.ntotal) == (True, 1500)
    assert np.array_equal(theirs.search(samples[:50], 1)[0].ravel() >= 0, np.ones(50, bool))
    found = theirs.search(samples[:50], 30)[1]
    assert np.isin(found, ids).all()
    back = interop.from_faiss(theirs)
    assert np.array_equal(back.ids, ids)
    assert same(back.search(samples[:50], 5), ours.search(samples[:50], 5))
    ours.remove(ids[:3])
    assert interop.to_faiss(ours).ntotal == 1497


@pytest.mark.parametrize("n_bits", range(1, 9))
def test_codes_are_packed_from_the_lowest_bit(n_bits: int) -> None:
    for n, n_subspaces in ((0, 3), (1, 1), (70_000, 3), (5, 8), (3, 13)):
        codes = np.random.default_rng(n_bits).integers(0, 2**n_bits, (n, n_subspaces)).astype(np.uint8)
        packed = interop.pack_codes(codes, n_bits)
        is_one = codes[:, :, None] >> np.arange(n_bits) & 1
        assert np.array_equal(
            packed, np.packbits(is_one.reshape(n, n_subspaces * n_bits), axis=1, bitorder="little")
        )
        unpacked = interop.unpack_codes(packed, n_subspaces, n_bits)
        assert np.array_equal(unpacked, codes)
        assert not np.shares_memory(unpacked, packed)
    assert interop.pack_codes(np.array([[1, 2, 3, 4]], np.uint8), 4).tolist() == [[0x21, 0x43]]


def lists_of_pq(faiss: ModuleType, n_bits: int, metric: str, by_residual: bool, is_rotated: bool) -> Any:
    """Return an index without rows, with centers and codebooks in place of training, and its inner index."""
    coarse = faiss.IndexFlat(D, metric_of(faiss, metric))
    coarse.add(X[:8])
    inner = faiss.IndexIVFPQ(coarse, D, 8, 6, n_bits, metric_of(faiss, metric))
    theirs_pq(faiss, inner.pq, codebooks(6, 2**n_bits) / 2)
    inner.by_residual, inner.is_trained = by_residual, True
    if by_residual and metric == "l2":
        inner.precompute_table()
    return (faiss.IndexPreTransform(transform_of(faiss, TURN), inner) if is_rotated else inner), inner


@pytest.mark.parametrize("metric", ["l2", "ip"])
@pytest.mark.parametrize(
    ("n_bits", "by_residual", "is_rotated"),
    [(8, True, False), (8, False, False), (4, True, False), (6, True, True)],
)
def test_inverted_lists_of_codes(
    faiss: ModuleType, n_bits: int, by_residual: bool, is_rotated: bool, metric: str
) -> None:
    theirs, inner = lists_of_pq(faiss, n_bits, metric, by_residual, is_rotated)
    empty = interop.from_faiss(theirs)
    assert len(empty) == 0
    empty.add(X[:50])
    assert len(empty.search(QUERIES, 5, n_probes=8)[0]) == len(QUERIES)
    theirs.add(X)
    ours = interop.from_faiss(theirs)
    assert isinstance(ours, IVFIndex)
    assert len(ours) == len(X)
    for n_probes in (1, 3, 8):
        inner.nprobe = n_probes
        distances, ids = ours.search(QUERIES, 20, n_probes=n_probes)
        expected, neighbours = theirs.search(QUERIES, 20)
        scale = np.abs(expected[np.isfinite(expected) & (neighbours >= 0)]).max()
        sign = 1 if metric == "l2" else -1
        is_found = neighbours >= 0
        np.testing.assert_array_equal(ids >= 0, is_found)
        np.testing.assert_allclose(sign * distances[is_found], expected[is_found], atol=2e-5 * scale)
        assert (ids == neighbours).mean() > 0.9  # distances that round alike
    np.testing.assert_allclose(
        ours.reconstruct(np.arange(9)), theirs_reconstructed(theirs, inner, 9), atol=1e-4
    )


def theirs_reconstructed(index: Any, inner: Any, n: int) -> Array:
    inner.make_direct_map()
    return np.array([index.reconstruct(i) for i in range(n)])


def test_inverted_lists_of_bits(faiss: ModuleType) -> None:
    codes, queries = random_codes(2000, 8, seed=1), random_codes(10, 8, seed=2)
    theirs = faiss.index_binary_factory(64, "BIVF8")
    with pytest.raises(ValueError, match="index is not trained"):
        interop.from_faiss(theirs)
    theirs.train(codes)
    ids = np.arange(2000)[::-1] * 3
    theirs.add_with_ids(codes, np.ascontiguousarray(ids))
    ours = interop.from_faiss(theirs)
    assert isinstance(ours, IVFIndex)
    for n_probes in (1, 8):
        theirs.nprobe = n_probes
        distances, found = ours.search(queries, 5, n_probes=n_probes)
        assert np.array_equal(distances, theirs.search(queries, 5)[0]) or n_probes == 1  # ties of lists
        assert np.array_equal(
            distances, np.unpackbits(queries[:, None] ^ codes[::-1][found // 3], axis=2).sum(axis=2)
        )
    graph = faiss.IndexBinaryHNSW(64, 4)
    graph.add(codes[:8])
    hashed = faiss.IndexBinaryIVF(graph, 64, 8)
    hashed.is_trained = True
    with pytest.raises(TypeError, match=r"IndexBinaryIVF with a faiss.IndexBinaryHNSW .* a flat one"):
        interop.from_faiss(hashed)


def test_what_cannot_be_taken_over_is_refused(faiss: ModuleType) -> None:
    what = "expected an IndexPQ, an IndexPQFastScan, one of them behind"
    apply = r"apply the transforms to vectors and queries yourself.*convert the index behind them"
    inner = index_pq(faiss, 4, 4, "l2")
    ip = index_pq(faiss, 4, 4, "ip")
    refused: list[tuple[Any, type[Exception], str]] = [
        (None, TypeError, f"index is None.*{what}"),
        (X, TypeError, f"index is an array of float32.*{what}"),
        (ProductQuantizer(), TypeError, f"index is ProductQuantizer.*{what}"),
        (faiss.IndexFlatL2(D), TypeError, f"index is a faiss.IndexFlatL2;.*{what}.*vectors_of"),
        (faiss.IndexRefineFlat(faiss.IndexPQ(D, 4, 4)), ValueError, "index is not trained"),
        (faiss.index_factory(D, "Flat,RFlat"), TypeError, f"index is a faiss.IndexFlat;.*{what}"),
        (
            faiss.index_factory(D, "IVF4,Flat"),
            TypeError,
            f"index is a faiss.IndexIVFFlat;.*{what}.*vectors_of.*IVFIndex over a quantizer",
        ),
        (faiss.index_factory(D, "IVF4,PQ4x4"), ValueError, "index is not trained"),
        (faiss.index_factory(D, "HNSW4"), TypeError, f"index is a faiss.IndexHNSWFlat;.*{what}.*FlatIndex"),
        (faiss.index_binary_factory(D, "BHNSW4"), TypeError, rf"faiss.IndexBinaryHNSW;.*{what}.*\(Bits\("),
        (faiss.index_factory(D, "L2norm,PQ4x4"), TypeError, f"has a NormalizationTransform.*{apply}"),
        (faiss.index_factory(D, "OPQ4,Flat"), TypeError, f"IndexFlat.*behind its transforms.*{what}"),
        (faiss.IndexPQ(D, 4, 4), ValueError, "index is not trained"),
        (faiss.IndexPreTransform(faiss.OPQMatrix(D, 4), inner), ValueError, "not trained"),
        (faiss.ProductQuantizer(D, 4, 9), ValueError, "9 bits per code; expected 1 to 8"),
        (faiss.index_factory(D, "PCA12,PQ4x4"), ValueError, "not trained"),
    ]
    wide = faiss.IndexPQ(D, 4, 9)
    wide.is_trained = True
    lossy = faiss.IndexPQ(D, 4, 4, faiss.METRIC_L1)
    lossy.is_trained = True
    wider = faiss.IndexPQ(48, 4, 4)
    wider.is_trained = True
    wider = faiss.IndexPreTransform(transform_of(faiss, np.vstack([TURN, TURN])), wider)
    whitened = faiss.index_factory(D, "PCAW12,PQ4x4")
    whitened.train(X)
    scaled = faiss.IndexPreTransform(transform_of(faiss, 2 * TURN), ip)
    refused += [
        (wide, ValueError, "9 bits per code; expected 1 to 8"),
        (lossy, ValueError, "metric 2 of faiss; expected METRIC_L2 or METRIC_INNER_PRODUCT"),
        (scaled, ValueError, f"rows are not orthonormal.*differ by 3; {apply}"),
        (wider, ValueError, f"rows are not orthonormal.*{apply}"),
        (whitened, ValueError, f"has a PCAMatrix whose rows are not orthonormal.*{apply}"),
    ]
    for index, error, match in refused:
        with pytest.raises((TypeError, ValueError), match=match) as caught:
            interop.from_faiss(index)
        assert type(caught.value) is error
        assert "0x" not in str(caught.value)
    with pytest.raises(ValueError, match=r"metric is for a faiss\.ProductQuantizer"):
        interop.from_faiss(inner, metric="l2")
    with pytest.raises(ValueError, match='metric must be "l2" or "ip"'):
        interop.from_faiss(inner.pq, metric="cosine")
    for wrong in (None, inner, X):
        with pytest.raises(
            TypeError, match=r"index must be a FlatIndex over a ProductQuantizer, an Optim.*; got"
        ):
            interop.to_faiss(wrong)
    with pytest.raises(ValueError, match="not fitted"):
        interop.to_faiss(ProductQuantizer())
    with pytest.raises(TypeError, match=r"quantizer must be a faiss.ProductQuantizer; got"):
        interop.codebooks_of(inner)
    with pytest.raises(TypeError, match=r"transform must be a faiss.LinearTransform; got"):
        interop.rotation_of(inner)
    with pytest.raises(TypeError, match=r"transform must be a faiss.LinearTransform; got"):
        interop.rotation_of(faiss.NormalizationTransform(D))


def test_ids_that_rows_cannot_have_are_those_of_the_index(faiss: ModuleType) -> None:
    inner = index_pq(faiss, 4, 4, "l2")
    lists, _ = lists_of_pq(faiss, 4, "l2", True, False)
    for ids, message in (
        ([3, -1, 5], "index has the id -1; expected ids from 0 up"),
        ([3, 7, 3], "index has the id 3 2 times; expected an id for each row"),
    ):
        inner.reset()
        lists.reset()
        for made in (faiss.IndexIDMap(inner), lists):
            made.add_with_ids(X[:3], np.array(ids))
            with pytest.raises(ValueError, match=message):
                interop.from_faiss(made)


def test_vectors_of_inverted_lists_are_copied_in_the_order_of_their_ids(faiss: ModuleType) -> None:
    index = faiss.index_factory(D, "IVF4,Flat")
    index.train(X)
    index.add(X[:700])
    assert np.array_equal(interop.vectors_of(index), X[:700])
    index.reset()
    ids = np.random.default_rng(0).permutation(700)
    index.add_with_ids(X[:700], ids)
    assert np.array_equal(interop.vectors_of(index)[ids], X[:700])


PACKED = np.zeros((2, 3), np.uint8)
WRONG: list[tuple[Any, tuple[Any, ...], type[Exception], str]] = [
    (interop.pack_codes, ([[1]], 4), TypeError, r"codes must be a numpy uint8 array \(n, M\).*list"),
    (interop.pack_codes, (PACKED.astype(int), 4), TypeError, "codes must be a numpy uint8 array.*int64"),
    (interop.pack_codes, (PACKED[0], 4), ValueError, r"codes must have shape \(n, M\); got \(3,\)"),
    (interop.pack_codes, (PACKED[:, :0], 4), ValueError, r"codes must have shape \(n, M\); got \(2, 0\)"),
    (
        interop.pack_codes,
        (PACKED + np.uint8(16), 4),
        ValueError,
        "codes have 16; expected 0 to 15 for 4 bits",
    ),
    (interop.pack_codes, (PACKED, 0), ValueError, "n_bits must be an integer from 1 to 8; got 0"),
    (interop.pack_codes, (PACKED, 9), ValueError, "n_bits must be an integer from 1 to 8; got 9"),
    (interop.pack_codes, (PACKED, 4.0), TypeError, "n_bits must be an integer from 1 to 8; got 4.0"),
    (
        interop.unpack_codes,
        (None, 6, 4),
        TypeError,
        r"packed must be a numpy uint8 array \(n, n_bytes\).*None",
    ),
    (interop.unpack_codes, (PACKED[0], 6, 4), ValueError, r"packed must have shape \(n, n_bytes\)"),
    (
        interop.unpack_codes,
        (PACKED, 7, 4),
        ValueError,
        "packed has 3 bytes per row, but 7 codes of 4 bits take 4",
    ),
    (interop.unpack_codes, (PACKED, 0, 4), ValueError, "n_subspaces must be an integer from 1 up; got 0"),
    (interop.unpack_codes, (PACKED, "6", 4), TypeError, "n_subspaces must be an integer from 1 up; got '6'"),
    (interop.unpack_codes, (PACKED, 6, 16), ValueError, "n_bits must be an integer from 1 to 8; got 16"),
]


@pytest.mark.parametrize(("function", "arguments", "error", "match"), WRONG)
def test_a_wrong_argument_is_an_error_that_says_what_to_do(
    function: Any, arguments: tuple[Any, ...], error: type[Exception], match: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=match) as caught:
        function(*arguments)
    assert type(caught.value) is error


# --- nanopq -------------------------------------------------------------------------------------------------


@both_metrics
@pytest.mark.parametrize("is_rotated", [False, True], ids=["pq", "opq"])
def test_a_quantizer_of_nanopq_is_taken_over(nanopq: ModuleType, is_rotated: bool, metric: str) -> None:
    dot = "dot" if metric == "ip" else "l2"
    theirs: Any = nanopq.PQ(M=6, Ks=32, metric=dot, verbose=False).fit(X, iter=3)
    if is_rotated:
        turned = nanopq.OPQ(M=6, Ks=32, verbose=False)
        turned.pq, turned.R = theirs, TURN
        theirs = turned
    ours = interop_nanopq.from_nanopq(theirs)
    assert type(ours) is (OptimizedProductQuantizer if is_rotated else ProductQuantizer)
    assert ours.metric == metric
    codes = theirs.encode(X)
    assert_same_codes(ours.encode(X), codes, X, ours)
    np.testing.assert_allclose(ours.decode(codes), theirs.decode(codes), atol=1e-4)
    expected = np.stack([theirs.dtable(query).adist(codes) for query in QUERIES])
    sign = -1 if metric == "ip" else 1
    atol = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(adc.scan(ours.tables(QUERIES), codes), sign * expected, rtol=1e-5, atol=atol)
    index = FlatIndex(ours)
    index.add_codes(codes)
    nearest = np.sort(sign * expected, axis=1)[:, :9]
    np.testing.assert_allclose(index.search(QUERIES, 9)[0], nearest, rtol=1e-5, atol=atol)


def test_a_rotation_that_nanopq_trained_is_taken_over(nanopq: ModuleType) -> None:
    theirs = nanopq.OPQ(M=4, Ks=16, verbose=False).fit(X, pq_iter=2, rotation_iter=3)
    ours = interop_nanopq.from_nanopq(theirs)
    np.testing.assert_allclose(X @ ours.rotation_.T, theirs.rotate(X), atol=1e-4)
    codes = theirs.encode(X)
    assert_same_codes(ours.encode(X), codes, X, ours)
    expected = theirs.dtable(QUERIES[0]).adist(codes)
    np.testing.assert_allclose(adc.scan(ours.tables(QUERIES[0]), codes)[0], expected, rtol=1e-4)


@both_metrics
@pytest.mark.parametrize("is_rotated", [False, True], ids=["pq", "opq"])
def test_a_quantizer_is_handed_over_to_nanopq(nanopq: ModuleType, is_rotated: bool, metric: str) -> None:
    books = codebooks(6, 100)
    ours = (
        OptimizedProductQuantizer.from_codebooks(books, TURN, metric=metric)
        if is_rotated
        else ProductQuantizer.from_codebooks(books, metric=metric)
    )
    theirs = interop_nanopq.to_nanopq(ours)
    assert type(theirs) is (nanopq.OPQ if is_rotated else nanopq.PQ)
    codes = theirs.encode(X)
    assert_same_codes(ours.encode(X), codes, X, ours)
    np.testing.assert_allclose(theirs.decode(codes), ours.decode(codes), atol=1e-4)
    found = theirs.dtable(QUERIES[0]).adist(codes)
    expected = adc.scan(ours.tables(QUERIES[0]), codes)[0]
    sign = -1 if metric == "ip" else 1
    np.testing.assert_allclose(sign * found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    back = interop_nanopq.from_nanopq(theirs)
    assert np.array_equal(back.codebooks_, books)
    assert back.metric == metric
    assert not np.shares_memory(theirs.codewords, ours.codebooks_)
    assert not np.shares_memory(back.codebooks_, theirs.codewords)
    if is_rotated:
        assert np.array_equal(back.rotation_, TURN)


def test_what_cannot_be_taken_over_from_nanopq_is_refused(nanopq: ModuleType) -> None:
    for wrong in (None, X, ProductQuantizer()):
        with pytest.raises(TypeError, match=r"quantizer must be a nanopq.PQ or a nanopq.OPQ; got"):
            interop_nanopq.from_nanopq(wrong)
    for unfitted in (nanopq.PQ(4, verbose=False), nanopq.OPQ(4, verbose=False)):
        with pytest.raises(ValueError, match="quantizer is not fitted"):
            interop_nanopq.from_nanopq(unfitted)
    wide = nanopq.PQ(4, 300, verbose=False).fit(X, iter=1)
    with pytest.raises(ValueError, match="quantizer has 300 codewords; expected up to 256"):
        interop_nanopq.from_nanopq(wide)
    for wrong in (None, FlatIndex(ProductQuantizer.from_codebooks(codebooks(4, 4))), wide):
        with pytest.raises(TypeError, match=r"quantizer must be a ProductQuantizer or an Optimized.*; got"):
            interop_nanopq.to_nanopq(wrong)
    with pytest.raises(ValueError, match="not fitted"):
        interop_nanopq.to_nanopq(ProductQuantizer())


# --- without the packages -----------------------------------------------------------------------------------


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("faiss", "nanopq"):
        monkeypatch.setitem(sys.modules, name, None)
    index = FlatIndex(ProductQuantizer.from_codebooks(codebooks(4, 4)))
    for function in (
        interop.from_faiss,
        interop.to_faiss,
        interop.codebooks_of,
        interop.codes_of,
        interop.rotation_of,
    ):
        with pytest.raises(ImportError, match=r'needs faiss: pip install "fastcodes\[peers\]"'):
            function(index)
    for function in (interop_nanopq.from_nanopq, interop_nanopq.to_nanopq):
        with pytest.raises(ImportError, match="needs nanopq: pip install nanopq"):
            function(index)


def test_lists_that_are_ranked_by_another_metric_are_refused(faiss: ModuleType) -> None:
    coarse = faiss.IndexFlatL2(D)
    coarse.add(X[:8])
    inner = faiss.IndexIVFPQ(coarse, D, 8, 6, 8, faiss.METRIC_INNER_PRODUCT)
    inner.is_trained = True
    with pytest.raises(ValueError, match="another metric than its rows"):
        interop.from_faiss(inner)
