"""merge_topk and components: against one search of the whole, brute force and scipy."""

from __future__ import annotations

import functools
import time
from typing import Any

import fastcodes
import numpy as np
import pytest
from fastcodes import hamming, jaccard
from helpers import Array, random_codes, same
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

RNG = np.random.default_rng(30)

# --- merge_topk ---------------------------------------------------------------------------------------------


def parts_of(family: Any, queries: Array, codes: Array, cuts: list[int], k: int) -> list[tuple[Array, Array]]:
    """Search parts of a database, with indices into the whole."""
    found = []
    for start, stop in zip([0, *cuts], [*cuts, len(codes)], strict=True):
        distances, indices = family.knn(queries, codes[start:stop], k)
        found.append((distances, np.where(indices < 0, -1, indices + start)))
    return found


@pytest.mark.parametrize("family", [hamming, jaccard])
@pytest.mark.parametrize("k", [0, 1, 5, 40, 130])
def test_merged_parts_are_the_search_of_the_whole(family: Any, k: int) -> None:
    codes = random_codes(120, 2)  # few bits, many ties
    expected = family.knn(codes[:7], codes, k)
    for cuts in ([], [50], [0, 3, 3, 100], [120]):
        parts = parts_of(family, codes[:7], codes, cuts, k)
        blocks = tuple(zip(*parts, strict=True))
        assert same(fastcodes.merge_topk(*blocks, k), expected, (expected[0].dtype, np.dtype(np.int64)))
        assert same(fastcodes.merge_topk(np.stack(blocks[0]), np.stack(blocks[1]), k), expected)
        # The parts in any order, merged two by two.
        mixed = [parts[at] for at in RNG.permutation(len(parts))]
        by_two = functools.reduce(lambda a, b: fastcodes.merge_topk((a[0], b[0]), (a[1], b[1]), k), mixed)
        assert same(by_two, expected)


def test_padding_stays_last() -> None:
    greatest = np.iinfo(np.int32).max
    distances = [np.array([[1, greatest]], np.int32), np.array([[0, greatest, greatest]], np.int32)]
    indices = [np.array([[4, -1]]), np.array([[9, 3, -1]])]
    found = fastcodes.merge_topk(distances, indices, 6)
    assert found[0].tolist() == [[0, 1, *[greatest] * 4]]
    assert found[1].tolist() == [[9, 4, 3, -1, -1, -1]]
    floats = [np.array([[np.inf, np.inf]], np.float32), np.array([[-np.inf]], np.float32)]
    found = fastcodes.merge_topk(floats, [np.array([[7, -1]]), np.array([[2]])], 2)
    assert found[0].tolist() == [[-np.inf, np.inf]]
    assert found[1].tolist() == [[2, 7]]


def test_widths_may_differ_and_be_empty() -> None:
    d, i = np.array([[3, 5]], np.int32), np.array([[1, 0]])
    assert same(fastcodes.merge_topk([d, d[:, :0]], [i, i[:, :0]], 1), (d[:, :1], i[:, :1]))
    assert fastcodes.merge_topk([d[:0]], [i[:0]], 3)[1].shape == (0, 3)


DISTANCES, INDICES = np.zeros((2, 3), np.int32), np.zeros((2, 3), np.int64)
WRONG: list[tuple[Any, type[Exception], str]] = [
    ((5, [INDICES], 1), TypeError, "distances must be a sequence of arrays.*5"),
    (("ab", [INDICES], 1), TypeError, "distances must be a sequence of arrays.*'ab'"),
    ((DISTANCES, [INDICES], 1), TypeError, "distances must be a sequence of arrays"),
    (([DISTANCES], INDICES, 1), TypeError, "indices must be a sequence of arrays"),
    (([], [], 1), ValueError, "distances has no blocks"),
    (
        ([DISTANCES.astype(float)], [INDICES], 1),
        TypeError,
        "distances must be arrays of int32 or float32.*float64",
    ),
    (([DISTANCES], [INDICES.astype(np.int32)], 1), TypeError, "indices must be arrays of int64.*int32"),
    (([DISTANCES[0]], [INDICES[0]], 1), ValueError, r"distances must be arrays of shape \(nq, k_i\).*\(3,\)"),
    (
        ([DISTANCES, DISTANCES.astype(np.float32)], [INDICES, INDICES], 1),
        TypeError,
        "distances must have one dtype",
    ),
    (([DISTANCES], [INDICES[:, :2]], 1), ValueError, "must be blocks .* of the same shapes"),
    (([DISTANCES], [INDICES, INDICES], 1), ValueError, "must be blocks .* of the same shapes"),
    (
        ([DISTANCES, DISTANCES[:1]], [INDICES, INDICES[:1]], 1),
        ValueError,
        "must be blocks .* with the same queries",
    ),
    (([DISTANCES], [INDICES], -1), ValueError, "k must be an integer from 0 up; got -1"),
    (([DISTANCES], [INDICES], 1.0), TypeError, "k must be an integer"),
    (([DISTANCES], [INDICES], 2**62), ValueError, "k is 4611686018427387904, which is too large"),
]


@pytest.mark.parametrize(("arguments", "error", "match"), WRONG)
def test_wrong_blocks_are_errors(arguments: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        fastcodes.merge_topk(*arguments)


# --- components ---------------------------------------------------------------------------------------------


def by_scipy(i: Array, j: Array, n: int) -> Array:
    labels = connected_components(coo_array((np.ones(len(i)), (i, j)), shape=(n, n)), directed=False)[1]
    lowest = np.full(n, n)
    np.minimum.at(lowest, labels, np.arange(n))
    return lowest[labels]


@given(
    st.integers(1, 40).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))
    )
)
def test_components_are_those_of_scipy(graph: tuple[int, list[tuple[int, int]]]) -> None:
    n, edges = graph
    i, j = np.array(edges, np.int64).reshape(-1, 2).T
    found = fastcodes.components(i, j, n)
    assert found.dtype == np.int64
    assert np.array_equal(found, by_scipy(i, j, n))
    order = np.random.default_rng(len(edges)).permutation(len(edges))
    assert np.array_equal(fastcodes.components(j[order], i[order], n), found)


@pytest.mark.parametrize("shape", ["path", "shuffled path", "star", "pairs", "random"])
def test_large_graphs(shape: str) -> None:
    n = 100_000
    i, j = np.arange(n - 1), np.arange(1, n)
    if shape == "shuffled path":
        names = RNG.permutation(n)
        i, j = names[i], names[j]
    elif shape == "star":
        i = np.full(n - 1, n - 1)
        j = np.arange(n - 1)
    elif shape == "pairs":
        i, j = i[::2], j[::2]
    elif shape == "random":
        i, j = RNG.integers(0, n, (2, n // 2))
    start = time.perf_counter()
    found = fastcodes.components(i, j, n)
    assert time.perf_counter() - start < 5  # rounds grow with log n, not with n
    assert np.array_equal(found, by_scipy(i, j, n))


def test_no_edges_and_no_rows() -> None:
    assert fastcodes.components([], [], 3).tolist() == [0, 1, 2]
    assert fastcodes.components([], [], 0).tolist() == []
    assert fastcodes.components([2], [2], 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (([0.5], [1], 3), TypeError, "i must be integers, the numbers of rows"),
        (([0], [True], 3), TypeError, "j must be integers"),
        (([[0]], [1], 3), ValueError, r"i must have one dimension; got shape \(1, 1\)"),
        (([0], [3], 3), ValueError, "j has the row 3; expected rows from 0 to n - 1 = 2"),
        (([-1], [1], 3), ValueError, "i has the row -1"),
        (([0, 1], [1], 3), ValueError, "i has 2 rows but j has 1"),
        (([0], [1], -3), ValueError, "n must be an integer from 0 up; got -3"),
        (([0], [1], None), TypeError, "n must be an integer"),
    ],
)
def test_wrong_edges_are_errors(arguments: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        fastcodes.components(*arguments)
