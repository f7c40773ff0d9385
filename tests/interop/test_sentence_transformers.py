"""Semantic search: the results of sentence-transformers, and of plain numpy where they are wrong."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sentence_transformers_peer
from fastcodes import bits
from fastcodes.interop.sentence_transformers import semantic_search
from helpers import Array

PRECISIONS = ("float32", "int8", "uint8", "binary", "ubinary")
D = 60  # no multiple of 8
RNG = np.random.default_rng(5)
CENTERS = RNG.standard_normal((40, D)) * np.geomspace(3, 0.1, D)  # ranges differ by dimension


def vectors(n: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    x = CENTERS[rng.integers(len(CENTERS), size=n)] + rng.standard_normal((n, D)) * 0.3
    return x.astype(np.float32)


X, QUERIES = vectors(3000, 1), vectors(30, 2)
RANGES = np.stack([X.min(axis=0), X.max(axis=0)])


def quantized(x: Array, precision: str) -> Array:
    """Return what quantize_embeddings returns."""
    if precision == "float32":
        return x
    if precision in ("binary", "ubinary"):
        packed = np.packbits(x > 0, axis=1)
        return packed if precision == "ubinary" else (packed.astype(int) - 128).astype(np.int8)
    numbers = np.clip(np.floor((x - RANGES[0]) / ((RANGES[1] - RANGES[0]) / 255)), 0, 255)
    return numbers.astype(np.uint8) if precision == "uint8" else (numbers - 128).astype(np.int8)


def decoded(precision: str) -> Array:
    """Return what the codes of the corpus stand for, in float64."""
    if precision == "float32":
        return X.astype(float)
    if precision in ("binary", "ubinary"):
        return (X > 0).astype(float)
    return quantized(X, "uint8") * ((RANGES[1] - RANGES[0]) / 255).astype(float) + RANGES[0]


def arrays(found: Any) -> tuple[Array, Array]:
    """Return the rows and the scores of results of one length."""
    ids = [[hit["corpus_id"] for hit in hits] for hits in found[0]]
    return np.array(ids), np.array([[hit["score"] for hit in hits] for hits in found[0]])


@pytest.fixture(scope="module")
def theirs() -> ModuleType:
    module = sentence_transformers_peer.quantization()
    if module is None:
        pytest.skip("compares with sentence-transformers, which is not installed")
    return module


@pytest.mark.parametrize("precision", PRECISIONS)
def test_quantized_embeddings_are_those_of_sentence_transformers(theirs: ModuleType, precision: str) -> None:
    assert np.array_equal(
        theirs.quantize_embeddings(X, precision, ranges=RANGES), quantized(X, precision), equal_nan=True
    )


@pytest.mark.parametrize(
    ("library", "precision"),
    [
        ("faiss", "float32"),
        ("faiss", "uint8"),
        ("faiss", "ubinary"),
        ("usearch", "int8"),
        ("usearch", "binary"),
        ("usearch", "ubinary"),
    ],
)
@pytest.mark.parametrize("multiplier", [4, 375])  # the second makes all rows candidates
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_scores_are_those_of_sentence_transformers(
    theirs: ModuleType, library: str, precision: str, multiplier: int
) -> None:
    pytest.importorskip(library, reason=f"searches with {library}, which is not installed")
    options: dict[str, Any] = {
        "corpus_precision": precision,
        "ranges": RANGES,
        "rescore_multiplier": multiplier,
        "top_k": 8,
    }
    corpus = quantized(X, precision)
    ids, scores = arrays(semantic_search(QUERIES, corpus, **options))
    their_ids, their_scores = arrays(
        getattr(theirs, f"semantic_search_{library}")(QUERIES, corpus, **options)
    )
    expected = np.take_along_axis(QUERIES.astype(float) @ decoded(precision).T, their_ids, axis=1)
    np.testing.assert_allclose(their_scores, expected, rtol=1e-5, atol=1e-4)
    # Of few candidates theirs misses rows, since it compares codes of integers as if all dimensions had the
    # same range. Many Hamming distances are equal, so that either side may have the luckier candidates.
    has_ties = "binary" in precision and multiplier == 4
    assert (scores >= their_scores - 1e-4).mean() > (0.6 if has_ties else 0.999)
    if multiplier == 375:
        np.testing.assert_allclose(scores, their_scores, rtol=1e-5, atol=1e-4)
    if precision == "float32":
        np.testing.assert_array_equal(ids, their_ids)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rows_and_scores_are_those_of_numpy(precision: str) -> None:
    corpus, products = quantized(X, precision), QUERIES.astype(float) @ decoded(precision).T
    if "binary" in precision:  # candidates by Hamming distance
        near = (np.packbits(QUERIES > 0, axis=1)[:, None] ^ quantized(X, "ubinary")).astype(np.uint8)
        distances = np.unpackbits(near, axis=-1).sum(axis=-1)
        candidates = np.argsort(distances, axis=1, kind="stable")[:, :20]
        others = np.ones(products.shape, bool)
        np.put_along_axis(others, candidates, False, axis=1)
        products[others] = -np.inf
    expected = np.argsort(-products, axis=1, kind="stable")[:, :10]
    ids, scores = arrays(semantic_search(QUERIES, corpus, corpus_precision=precision, ranges=RANGES))
    np.testing.assert_allclose(scores, np.take_along_axis(products, expected, 1), rtol=1e-5, atol=1e-4)
    assert (ids == expected).mean() > 0.98  # products of float32 may swap


@pytest.mark.parametrize("precision", ["int8", "uint8"])
def test_calibration_gives_the_ranges(precision: str) -> None:
    corpus = quantized(X, precision)
    by_ranges = semantic_search(QUERIES, corpus, corpus_precision=precision, ranges=RANGES)
    by_samples = semantic_search(QUERIES, corpus, corpus_precision=precision, calibration_embeddings=X)
    assert by_samples[0] == by_ranges[0]
    with pytest.raises(ValueError, match="ranges or calibration_embeddings must be given"):
        semantic_search(QUERIES, corpus, corpus_precision=precision)


@pytest.mark.parametrize("precision", PRECISIONS[1:])
def test_queries_may_be_quantized(precision: str) -> None:
    options: dict[str, Any] = {"corpus_precision": precision, "ranges": RANGES}
    ids, scores = arrays(
        semantic_search(quantized(QUERIES, precision), quantized(X, precision), **options, rescore=True)
    )
    if "binary" in precision:
        same = quantized(QUERIES, "ubinary")[:, None] ^ quantized(X, "ubinary")[ids]
        np.testing.assert_array_equal(scores, bits.popcount(same.reshape(-1, 8)).reshape(scores.shape))
        assert (np.diff(scores, axis=1) >= 0).all()
    else:
        assert (np.diff(scores, axis=1) <= 0).all()
        hits = arrays(semantic_search(QUERIES, quantized(X, precision), **options))[0]
        assert np.mean([len(set(a) & set(b)) for a, b in zip(ids, hits, strict=True)]) > 8


def test_without_rescoring_the_score_of_bits_is_their_hamming_distance(theirs: ModuleType) -> None:
    pytest.importorskip("faiss", reason="searches with faiss, which is not installed")
    options: dict[str, Any] = {"corpus_precision": "ubinary", "rescore": False}
    corpus = quantized(X, "ubinary")
    scores = arrays(semantic_search(QUERIES, corpus, **options))[1]
    np.testing.assert_array_equal(scores, arrays(theirs.semantic_search_faiss(QUERIES, corpus, **options))[1])


def test_rescoring_by_the_vectors_finds_more() -> None:
    corpus = quantized(X, "ubinary")
    true = np.argsort(-(QUERIES.astype(float) @ X.T), axis=1)[:, :10]

    def recall(**options: Any) -> float:
        ids, _ = arrays(
            semantic_search(QUERIES, corpus, corpus_precision="ubinary", rescore_multiplier=20, **options)
        )
        return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(ids, true, strict=True)]))

    assert recall(rerank=X) > recall() + 0.1
    assert recall(rerank=X.astype(np.float16)) > recall() + 0.1


def test_a_corpus_is_prepared_once() -> None:
    for precision in PRECISIONS:
        options: dict[str, Any] = {"corpus_precision": precision, "ranges": RANGES}
        first, seconds, corpus = semantic_search(
            QUERIES, quantized(X, precision), output_index=True, **options
        )
        assert seconds >= 0
        assert semantic_search(QUERIES, corpus_index=corpus, **options)[0] == first
        for threads in (1, 2):
            assert semantic_search(QUERIES, corpus_index=corpus, threads=threads, **options)[0] == first


@pytest.mark.parametrize("precision", PRECISIONS)
def test_few_rows_few_queries_and_ties(precision: str) -> None:
    options: dict[str, Any] = {"corpus_precision": precision, "ranges": RANGES}
    corpus = quantized(X, precision)
    one = semantic_search(QUERIES[0], corpus, **options)[0]
    assert one == semantic_search(QUERIES[:1], corpus, **options)[0]
    assert [len(hits) for hits in semantic_search(QUERIES, corpus[:3], **options)[0]] == [3] * len(QUERIES)
    assert semantic_search(QUERIES[:2], corpus[:0], **options)[0] == [[], []]
    assert semantic_search(QUERIES[:0], corpus, **options)[0] == []
    assert semantic_search(QUERIES[:2], corpus, top_k=0, **options)[0] == [[], []]
    equal = np.repeat(corpus[:1], 700, axis=0)
    assert arrays(semantic_search(QUERIES[:2], equal, **options))[0].tolist() == [list(range(10))] * 2


@pytest.mark.parametrize("precision", ["float32", "ubinary", "uint8"])
def test_products_that_overflow_are_refused(precision: str) -> None:
    huge = np.full((2, D), 3e38, np.float32)
    ranges = np.stack([np.full(D, -1e30), np.full(D, 1e30)])
    corpus = X * np.float32(1e30) if precision == "float32" else np.full_like(quantized(X, precision), 255)
    with pytest.raises(ValueError, match=r"overflow|too large|finite"):
        semantic_search(huge, corpus, corpus_precision=precision, ranges=ranges)


def test_it_imports_neither_torch_nor_sentence_transformers() -> None:
    program = (
        "import sys, fastcodes.interop.sentence_transformers\n"
        "assert not {'torch', 'sentence_transformers', 'faiss', 'usearch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_quantized_embeddings_need_their_precision() -> None:
    x = vectors(40, 0)
    with pytest.raises(TypeError, match=r'corpus_embeddings is an array of int8.*corpus_precision="int8" or'):
        semantic_search(x[:2], corpus_embeddings=quantized(x, "int8"))
    with pytest.raises(TypeError, match="query_embeddings is an array of uint8"):
        semantic_search(quantized(x, "uint8")[:2], corpus_embeddings=x)
    with pytest.raises(ValueError, match="ranges has a least value above the largest"):
        semantic_search(
            x[:2],
            corpus_embeddings=quantized(x, "int8"),
            corpus_precision="int8",
            ranges=np.stack([x.max(axis=0), x.min(axis=0)]),
        )


def test_the_nearest_do_not_depend_on_how_many_are_wanted() -> None:
    rng = np.random.default_rng(0)
    large = rng.standard_normal((1, 64)).astype(np.float32) * 1e4
    x = np.tile(np.concatenate([large, -large], axis=1), (1000, 1))
    x += rng.standard_normal(x.shape).astype(np.float32)
    query = np.concatenate([large, large], axis=1)  # products near zero, by cancellation
    few, many = (arrays(semantic_search(query, corpus_embeddings=x, top_k=k)) for k in (10, 1000))
    assert np.array_equal(few[1], many[1][:, :10])
