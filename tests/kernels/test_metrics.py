"""Recall, precision and mean average precision against slow definitions, scikit-learn and theory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from fastcodes import hamming, metrics
from helpers import random_codes

RNG = np.random.default_rng(8)


def slow_average_precision(hits: Any, n_relevant: int | None = None) -> float:
    total, found = 0.0, 0
    for rank, hit in enumerate(hits, start=1):
        if hit:
            found += 1
            total += found / rank
    n_relevant = found if n_relevant is None else n_relevant
    return total / n_relevant if n_relevant else 0.0


def rankings(n_queries: int, n: int, r: int) -> Any:
    return np.array([RNG.permutation(n)[:r] for _ in range(n_queries)])


# --- recall -------------------------------------------------------------------------------------------------


def test_recall_of_the_nearest_neighbour() -> None:
    true, found = rankings(50, 30, 12), rankings(50, 30, 12)
    for k in (1, 2, 5, 12, 20):
        expected = np.mean([t[0] in f[:k] for t, f in zip(true, found, strict=True)])
        assert metrics.recall_at_k(true, found, k) == expected
        assert metrics.recall_at_k(true[:, 0], found, k) == expected
        assert metrics.recall_at_k(true.astype(np.uint32)[:, :1], found.astype(np.int32), k) == expected


def test_recall_equals_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    scores = RNG.normal(size=(200, 10))
    labels = RNG.integers(10, size=200)
    found = np.argsort(-scores, axis=1)
    for k in (1, 3, 9):
        expected = sklearn.top_k_accuracy_score(labels, scores, k=k, labels=np.arange(10))
        assert metrics.recall_at_k(labels, found, k) == pytest.approx(expected)


def test_recall_of_k_neighbours() -> None:
    true, found = rankings(50, 40, 15), rankings(50, 40, 15)
    found[7, 3:] = -1
    for k in (1, 4, 15):
        expected = np.mean([len(set(t[:k]) & set(f[:k])) / k for t, f in zip(true, found, strict=True)])
        assert metrics.k_recall_at_k(true, found, k) == pytest.approx(expected)
    assert metrics.k_recall_at_k(true, true[:, ::-1], 15) == 1
    assert metrics.k_recall_at_k(true, found[:, :2], 4) < metrics.k_recall_at_k(true, found, 4)
    few = true.copy()
    few[:, 2:] = -1  # only two true neighbours
    assert metrics.k_recall_at_k(few, true, 15) == 1
    assert metrics.k_recall_at_k(few, np.full_like(true, -1), 15) == 0


def test_padded_indices_of_a_search() -> None:
    codes = random_codes(60, 4)
    _, found = hamming.knn(codes[:20], codes, 80)
    assert (found[:, 60:] == -1).all()
    assert metrics.recall_at_k(np.arange(20), found, 1) == 1
    assert metrics.k_recall_at_k(found[:, :10], found, 10) == 1
    labels = RNG.integers(3, size=60)
    padded = metrics.label_relevance(labels[:20], labels, found)
    assert not padded[:, 60:].any()
    assert metrics.mean_average_precision(padded) == metrics.mean_average_precision(padded[:, :60])


# --- relevance ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [int, str])
def test_labels_of_queries_and_rows(kind: Any) -> None:
    labels, asked = RNG.integers(4, size=30).astype(kind), RNG.integers(4, size=9).astype(kind)
    found = rankings(9, 30, 12)
    found[2, 5:] = -1
    asked[2] = labels[-1]
    expected = [[j >= 0 and labels[j] == asked[i] for j in row] for i, row in enumerate(found)]
    relevance = metrics.label_relevance(asked, labels, found)
    assert relevance.dtype == np.bool_
    assert np.array_equal(relevance, expected)


def test_several_labels_each() -> None:
    labels, asked = RNG.random((30, 5)) < 0.3, (RNG.random((9, 5)) < 0.3).astype(int)
    found = rankings(9, 30, 12)
    found[2, 5:] = -1
    expected = [
        [j >= 0 and bool((labels[j] & (asked[i] > 0)).any()) for j in row] for i, row in enumerate(found)
    ]
    assert np.array_equal(metrics.label_relevance(asked, labels, found), expected)


def test_neighbours_of_queries() -> None:
    true, found = rankings(9, 30, 6), rankings(9, 30, 12)
    found[2, 5:] = -1
    true[3, 4:] = -1
    found[3, 0] = -1
    expected = [np.isin(f, t) & (f >= 0) for t, f in zip(true, found, strict=True)]
    assert np.array_equal(metrics.neighbor_relevance(true, found), expected)
    assert metrics.neighbor_relevance(true[:0], found[:0]).shape == (0, 12)


# --- precision ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 1])
def test_average_precision_equals_its_definition(share: float) -> None:
    relevance = RNG.random((40, 25)) < share
    assert np.allclose(
        metrics.average_precision(relevance), [slow_average_precision(row) for row in relevance], atol=1e-12
    )
    n_relevant = relevance.sum(axis=1) + RNG.integers(4, size=40)
    assert np.allclose(
        metrics.average_precision(relevance, n_relevant=n_relevant),
        [slow_average_precision(row, n) for row, n in zip(relevance, n_relevant, strict=True)],
        atol=1e-12,
    )
    assert metrics.mean_average_precision(relevance) == pytest.approx(
        metrics.average_precision(relevance).mean()
    )
    for k in (1, 10, 25, 40):
        assert metrics.precision_at_k(relevance, k) == pytest.approx(relevance[:, :k].sum() / 40 / k)


def test_average_precision_equals_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    relevance = RNG.random((30, 50)) < 0.2
    relevance[:, 7] = True
    scores = -np.arange(50)
    expected = [sklearn.average_precision_score(row, scores) for row in relevance]
    assert np.allclose(metrics.average_precision(relevance), expected)
    assert metrics.mean_average_precision(relevance) == pytest.approx(
        sklearn.label_ranking_average_precision_score(relevance, np.tile(scores, (30, 1)))
    )


def test_average_precision_at_r_by_hand() -> None:
    labels = np.array([0, 1, 0, 1, 0])
    relevance = metrics.label_relevance([0], labels, [[0, 1, 2, 3, 4]])
    assert metrics.mean_average_precision(relevance) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert metrics.mean_average_precision(relevance[:, :3]) == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.mean_average_precision(relevance[:, :3], n_relevant=3) == pytest.approx((1 + 2 / 3) / 3)


@pytest.mark.parametrize(("m", "n"), [(0, 10), (1, 10), (4, 10), (10, 10), (1, 1), (50, 500)])
def test_the_chance_level_is_the_mean_of_random_orders(m: int, n: int) -> None:
    orders = np.array([RNG.permutation(n) for _ in range(4000)])
    found = metrics.average_precision(orders < m)
    tolerance = 4 * found.std() / np.sqrt(len(found)) + 1e-12
    assert metrics.chance_level(m, n) == pytest.approx(found.mean(), abs=tolerance)
    assert metrics.chance_level([m, m], n) == pytest.approx(metrics.chance_level(m, n))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint32, np.uint64])
def test_the_chance_level_does_not_depend_on_the_dtype(dtype: Any) -> None:
    for n in (100, 59_000, 2**31 - 1, 2**62):
        found = metrics.chance_level(np.array([0, 20, 100], dtype), n)
        assert found == metrics.chance_level([0, 20, 100], n)


@pytest.mark.parametrize("far", [2**40, 2**62, 2**63 - 1])
def test_large_indices_are_compared_exactly(far: int) -> None:
    true = [[far, 1], [far - 1, 0], [2, -1]]
    found = [[1, 2, far], [far, 0, far - 2], [far, -1, 2]]
    expected = [[True, False, True], [False, True, False], [False, False, True]]
    assert metrics.neighbor_relevance(true, found).tolist() == expected
    unsigned = np.array(true[:2], np.uint64)
    assert metrics.neighbor_relevance(unsigned, found[:2]).tolist() == expected[:2]


def test_indices_beyond_int64_are_refused() -> None:
    with pytest.raises(ValueError, match=r"indices has 9223372036854775808; expected rows"):
        metrics.neighbor_relevance([[1]], np.array([[2**63]], np.uint64))


@pytest.mark.parametrize("n", [2**16, 2**16 + 1, 10**6])
def test_the_chance_level_of_many_rows_takes_the_whole_harmonic_number(n: int) -> None:
    harmonic = math.fsum(1 / rank for rank in range(1, n + 1))
    assert metrics.chance_level(1, n) == pytest.approx(harmonic / n, rel=1e-14)
    assert 0 < metrics.chance_level(1, 2**63 - 1) < 1e-17


def test_equal_distances_are_ranked_by_index() -> None:
    codes, labels = np.zeros((6, 2), np.uint8), np.array([1, 0, 1, 0, 0, 0])
    _, found = hamming.knn(codes[:1], codes, 6)
    assert metrics.mean_average_precision(metrics.label_relevance([1], labels, found)) == pytest.approx(
        (1 + 2 / 3) / 2
    )


def test_ns_score() -> None:
    groups = np.repeat(np.arange(10), 4)
    perfect = np.arange(40).reshape(10, 4).repeat(4, axis=0)
    assert metrics.ns_score(groups, perfect) == 4
    assert metrics.ns_score(groups, np.hstack([np.arange(40)[:, None], np.full((40, 3), -1)])) == 1
    found = rankings(40, 40, 7)
    expected = 4 * np.mean([(groups[row[:4]] == groups[i]).mean() for i, row in enumerate(found)])
    assert metrics.ns_score(groups, found) == pytest.approx(expected)


# --- wrong arguments ----------------------------------------------------------------------------------------

FOUND = np.zeros((2, 3), np.int64)
HITS = np.zeros((2, 3), np.bool_)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: metrics.recall_at_k([0, 1], FOUND / 2, 1), TypeError, "indices must be integers.* float64"),
        (lambda: metrics.recall_at_k([0.0, 1], FOUND, 1), TypeError, "true_indices must be integers"),
        (lambda: metrics.recall_at_k([0], FOUND, 1), ValueError, "true_indices has 1 rows and indices has 2"),
        (lambda: metrics.recall_at_k([0, 1], FOUND[0], 1), ValueError, r"\(nq, r\); got \(3,\)"),
        (
            lambda: metrics.recall_at_k(FOUND[None], FOUND, 1),
            ValueError,
            r"\(nq,\) or \(nq, m\); got \(1, 2, 3\)",
        ),
        (lambda: metrics.recall_at_k([0, -1], FOUND, 1), ValueError, r"no neighbour \(-1\) for a query"),
        (lambda: metrics.recall_at_k([0, 1], FOUND, 0), ValueError, "k must be an integer from 1 up; got 0"),
        (lambda: metrics.recall_at_k([0, 1], FOUND, 1.0), TypeError, "k must be an integer"),
        (lambda: metrics.recall_at_k(FOUND[:0], FOUND[:0], 1), ValueError, "true_indices has no rows"),
        (lambda: metrics.k_recall_at_k(FOUND, FOUND, 4), ValueError, "has 3 columns; expected at least k=4"),
        (lambda: metrics.k_recall_at_k(FOUND - 1, FOUND, 2), ValueError, r"no neighbour \(-1\) for a query"),
        (
            lambda: metrics.label_relevance([0, 1], [0], FOUND + 1),
            ValueError,
            "indices has 1; labels has only 1 rows",
        ),
        (lambda: metrics.label_relevance([0, 1], [[0]], FOUND), ValueError, r"shapes \(2,\) and \(1, 1\)"),
        (
            lambda: metrics.label_relevance([[0], [1]], [[0, 1]], FOUND),
            ValueError,
            "query_labels has 1 columns and labels has 2",
        ),
        (
            lambda: metrics.label_relevance([0], [0], FOUND),
            ValueError,
            "query_labels has 1 rows and indices has 2",
        ),
        (lambda: metrics.precision_at_k(FOUND, 1), TypeError, "relevance must be booleans; .* int64"),
        (lambda: metrics.precision_at_k(HITS[0], 1), ValueError, r"\(nq, r\) .*; got \(3,\)"),
        (lambda: metrics.precision_at_k(HITS[:0], 1), ValueError, "at least one query"),
        (
            lambda: metrics.average_precision(~HITS, n_relevant=2),
            ValueError,
            "n_relevant is 2 for query 0, which has 3",
        ),
        (lambda: metrics.average_precision(HITS, n_relevant=[1, 2, 3]), ValueError, r"of shape \(2,\);"),
        (lambda: metrics.average_precision(HITS, n_relevant=1.5), ValueError, "dtype float64"),
        (lambda: metrics.chance_level(11, 10), ValueError, "integers from 0 to n=10; got 11"),
        (lambda: metrics.chance_level([1], 2**63), ValueError, "n must be an integer from 1 to"),
        (
            lambda: metrics.chance_level(1, 0),
            ValueError,
            f"n must be an integer from 1 to {2**63 - 1}; got 0",
        ),
        (lambda: metrics.ns_score([0, 0], FOUND), ValueError, "indices has 3 columns; expected at least 4"),
    ],
)
def test_wrong_arguments(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
