"""MinHashIndex: the S-curve, pairs and groups against brute force, ids, verified sets, files."""

from __future__ import annotations

import gzip
import itertools
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import minhash
from fastcodes.hashing import MinHash
from fastcodes.index import FlatIndex, MinHashIndex
from helpers import Array, data_file, same

TEXTS = ["the cat sat on the mat", "The cat, sat on the mat!", "something else entirely, no cats", ""]
Z = 4.5  # standard errors: once in 150000 by chance, and the seeds are fixed


def pairs_of_sets(union: int, common: int, n_pairs: int) -> tuple[Array, Array]:
    """Make sets 2 p and 2 p + 1 with that many tokens together, of which so many are common."""
    tokens = np.arange(n_pairs * union, dtype=np.uint64).reshape(n_pairs, union)
    first = common + (union - common) // 2
    rows = np.concatenate([tokens[:, :first], tokens[:, :common], tokens[:, first:]], axis=1)
    lengths = np.tile([first, union - first + common], n_pairs)
    return rows.reshape(-1), np.append(0, np.cumsum(lengths))


@pytest.mark.parametrize(("n_bands", "n_rows"), [(14, 9), (20, 5), (64, 2), (128, 1), (1, 128)])
@pytest.mark.parametrize(("union", "common"), [(12, 6), (60, 42), (100, 80), (100, 95)])
def test_candidates_follow_the_s_curve(union: int, common: int, n_bands: int, n_rows: int) -> None:
    n_pairs = 2000
    index = MinHashIndex(MinHash(128), n_bands=n_bands, n_rows=n_rows)
    index.add(pairs_of_sets(union, common, n_pairs))
    i, j, _ = index.pairs(threshold=0)
    found = np.count_nonzero((i % 2 == 0) & (j == i + 1))
    expected = float(minhash.candidate_probability(common / union, n_bands, n_rows))
    assert abs(found / n_pairs - expected) <= Z * math.sqrt(expected * (1 - expected) / n_pairs) + 1e-9


# --- pairs, groups, queries ---------------------------------------------------------------------------------


def family_of_sets(n: int, seed: int = 0) -> list[list[int]]:
    """Make sets in families: each is another one with some elements changed."""
    rng = np.random.default_rng(seed)
    sets = [rng.integers(0, 10**9, 60).tolist()]
    while len(sets) < n:
        if rng.random() < 0.4:
            sets.append(rng.integers(0, 10**9, 60).tolist())
        else:
            changed = list(sets[rng.integers(len(sets))])
            for place in rng.integers(0, 60, rng.integers(0, 12)):
                changed[place] = int(rng.integers(0, 10**9))
            sets.append(changed)
    return sets


def true_pairs(sets: list[list[int]], threshold: float) -> set[tuple[int, int]]:
    as_sets = [set(part) for part in sets]
    return {
        (i, j)
        for i, j in itertools.combinations(range(len(sets)), 2)
        if len(as_sets[i] & as_sets[j]) / len(as_sets[i] | as_sets[j]) >= threshold
    }


def test_pairs_and_groups_are_those_of_the_similarities() -> None:
    sets = family_of_sets(400)
    index = MinHashIndex(MinHash(256), threshold=0.7)
    index.add(sets)
    found = index.codec.encode(sets)
    agree = 256 - minhash.cdist(found, found)
    wanted = {(i, j) for i, j in zip(*np.nonzero(np.triu(agree >= math.ceil(0.7 * 256), 1)), strict=True)}
    i, j, distances = index.pairs()
    pairs = list(zip(i.tolist(), j.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    assert set(pairs) <= wanted
    assert len(pairs) > 0.97 * len(wanted)  # bands miss some at the threshold
    assert np.array_equal(distances, (1 - agree[i, j] / 256).astype(np.float32))
    # Exactly, where the sets are given: none invented, and few missed.
    i, j, distances = index.pairs(verify=sets)
    exact = set(zip(i.tolist(), j.tolist(), strict=True))
    truth = true_pairs(sets, 0.7)
    assert exact <= truth
    assert len(exact) > 0.97 * len(truth)
    assert np.array_equal(distances, 1 - minhash.jaccard(sets, sets, i, j))
    # Groups are the connected components.
    assert np.array_equal(index.groups(), components(400, pairs))
    assert np.array_equal(index.groups(verify=sets), components(400, exact))
    assert len(exact ^ set(pairs)) > 10  # estimates err near the threshold
    i, j, _ = index.pairs(threshold=0.9, verify=sets)
    assert np.array_equal(index.groups(threshold=0.9, verify=sets), components(400, zip(i, j, strict=True)))


def components(n: int, pairs: Iterable[tuple[int, int]]) -> Array:
    """Give the lowest number of the group of each."""
    group, pairs = np.arange(n), list(pairs)
    for _ in range(n):
        before = group.copy()
        for x, y in pairs:
            group[x] = group[y] = min(group[x], group[y])
        if np.array_equal(before, group):
            break
    return group


def test_queries_find_what_pairs_find() -> None:
    sets = family_of_sets(300, seed=1)
    index = MinHashIndex(threshold=0.6)
    index.add(sets)
    i, j, distances = index.pairs()
    of_pairs = {(x, y): d for x, y, d in zip(i.tolist(), j.tolist(), distances, strict=True)}
    offsets, distances, ids = index.query(sets)
    assert offsets.dtype == ids.dtype == np.int64
    assert distances.dtype == np.float32
    found = {}
    for query, (start, end) in enumerate(itertools.pairwise(offsets)):
        part = list(zip(distances[start:end].tolist(), ids[start:end].tolist(), strict=True))
        assert part == sorted(part)
        assert (0.0, query) in part
        found |= {(query, other): distance for distance, other in part if query < other}
    assert found == of_pairs
    # The same with exact similarities.
    offsets, distances, ids = index.query(sets, verify=sets)
    queries = np.repeat(np.arange(300), np.diff(offsets))
    assert np.array_equal(distances, 1 - minhash.jaccard(sets, sets, queries, ids))
    assert np.array_equal(np.lexsort((ids, distances, queries)), np.arange(len(ids)))
    assert distances.max() <= np.float32(0.4)
    everything = index.query(sets, threshold=0)[2]
    assert len(everything) >= len(ids)
    assert [part.tolist() for part in index.query([])] == [[0], [], []]
    assert index.query([["never seen"]])[2].tolist() == []


def test_signatures_are_searched_as_their_sets_are() -> None:
    sets = family_of_sets(300, seed=3)
    index = MinHashIndex(threshold=0.6)
    index.add(sets[:200], ids=np.arange(1000, 1200))
    signatures = index.codec.encode(sets)
    assert same(index.query_codes(signatures), index.query(sets))
    assert same(index.query_codes(signatures, threshold=0), index.query(sets, threshold=0))
    assert same(index.search_codes(signatures, 4), index.search(sets, 4))
    mask = np.arange(1000, 1100)
    assert same(index.search_codes(signatures, 4, mask=mask), index.search(sets, 4, mask=mask))
    assert same(index.search_codes(signatures[0], 4), index.search(sets[:1], 4))


def test_signatures_are_not_taken_for_sets() -> None:
    index = MinHashIndex()
    index.add([["a", "b"], ["c"]])
    signatures = index.codes
    for given in (signatures, list(signatures)):
        for call in (
            index.add,
            index.query,
            lambda sets: index.search(sets, 1),
            lambda sets: index.radius_search(sets, 0.5),
            lambda sets: index.query([["a"]], verify=sets),
            index.codec.encode,
        ):
            with pytest.raises(TypeError, match="as signatures are, but sets or texts are expected"):
                call(given)
    flat = FlatIndex(MinHash(b_bits=1).fit())
    flat.add([["a", "b"]])
    with pytest.raises(TypeError, match="as signatures are"):
        flat.search(flat.codes, 1)
    # Other arrays of integers are sets.
    index.add(np.arange(128, dtype=np.uint64)[None])
    index.add(np.arange(10, dtype=np.uint32)[None])


def test_streaming_insertion_equals_one_addition() -> None:
    sets = family_of_sets(500, seed=2)
    whole, parts = MinHashIndex(), MinHashIndex()
    whole.add(sets)
    for start in range(0, 500, 7):
        parts.add(sets[start : start + 7])
    assert same(parts.pairs(), whole.pairs())
    assert np.array_equal(parts.codes, whole.codes)
    assert len(parts) == 500
    assert parts.nbytes > 500 * 4 * 128
    # As users remove duplicates: ask, then add what is new.
    kept = MinHashIndex()
    for part in sets:
        if not len(kept.query([part])[2]):
            kept.add([part])
    assert not len(kept.pairs()[0])
    n_groups = len(np.unique(whole.groups()))
    assert n_groups <= len(kept) < 500


def test_ids_are_given_or_follow() -> None:
    index = MinHashIndex()
    index.add([["a"], ["b"]])
    index.add([["a"]], ids=[100])
    index.add([["a"], ["c"]])
    index.add([["b"]], ids=np.array([50], np.int8))
    assert index.ids.tolist() == [0, 1, 100, 101, 102, 50]
    assert index.query([["a"], ["b"]])[2].tolist() == [0, 100, 101, 1, 50]
    assert [part.tolist() for part in index.pairs()[:2]] == [[0, 0, 1, 100], [100, 101, 50, 101]]
    assert index.groups().tolist() == [0, 1, 0, 0, 102, 1]
    index.remove([0, 101])
    assert index.groups().tolist() == [1, 100, 102, 1]
    index.add([["a"]], ids=[0])
    assert index.query([["a"]])[2].tolist() == [0, 100]  # by id, whatever came first
    assert index.groups().tolist() == [1, 100, 102, 1, 100]


def test_sets_are_verified_by_their_ids() -> None:
    sets = family_of_sets(300, seed=4)
    ids = np.random.default_rng(5).permutation(300)
    whole, mixed = MinHashIndex(threshold=0.6), MinHashIndex(threshold=0.6)
    whole.add(sets)
    mixed.add([sets[number] for number in ids], ids=ids)
    removed = np.arange(0, 300, 7)
    for index in (whole, mixed):
        index.remove(removed)
    for verify in (sets, dict(enumerate(sets)), minhash.tokens(sets)):
        assert same(mixed.query(sets, verify=verify), whole.query(sets, verify=verify))
        i, j, distances = mixed.pairs(verify=verify)
        assert np.array_equal(distances, 1 - minhash.jaccard(sets, sets, i, j))
        pairs = {(min(pair), max(pair)) for pair in zip(i.tolist(), j.tolist(), strict=True)}
        i, j, _ = whole.pairs(verify=verify)
        assert pairs == set(zip(i.tolist(), j.tolist(), strict=True))
        groups = [
            {frozenset(index.ids[index.groups(verify=verify) == first]) for first in index.ids}
            for index in (whole, mixed)
        ]
        assert groups[0] == groups[1]
    codes = whole.codec.encode(sets)
    assert np.array_equal(mixed.distances(i, j), (codes[i] != codes[j]).mean(axis=1).astype(np.float32))
    with pytest.raises(ValueError, match="verify has no set with the id 1, which the index has"):
        whole.groups(verify={})


def test_rows_with_a_key_in_common_are_the_candidates_of_the_index() -> None:
    sets = family_of_sets(300, seed=4)
    index = MinHashIndex(MinHash(random_state=3), n_bands=20, n_rows=5)
    index.add(sets)
    keys = MinHash(b_bits=1, random_state=3).band_keys(sets, 20, 5)
    assert same(keys, minhash.band_keys(MinHash(random_state=3).encode(sets), 20, 5))
    i, j, _ = index.pairs(threshold=0)
    share = np.triu((keys[:, None] == keys).any(axis=2), 1)
    assert np.array_equal(np.stack([i, j]), np.nonzero(share))


@pytest.mark.parametrize("weights", [(0.1, 0.9), (0, 1)])
def test_a_threshold_of_one_finds_exact_duplicates_only(weights: tuple[float, float]) -> None:
    large = [f"word{number}" for number in range(5_000)]
    sets = [large, large[:-1], large[::-1], ["a"], ["b"], ["a", "a"]]
    index = MinHashIndex(threshold=1, weights=weights)
    index.add(sets)
    i, j, distances = index.pairs(verify=sets)
    assert (i.tolist(), j.tolist(), distances.tolist()) == ([0, 3], [2, 5], [0.0, 0.0])
    assert index.groups(verify=sets).tolist() == [0, 1, 0, 3, 4, 3]
    assert (index.n_bands, index.n_rows) == minhash.band_shape(128, 1.0) == (1, 128)


def test_many_copies_of_one_set_take_no_time_for_each_pair() -> None:
    index = MinHashIndex()
    rows = np.tile(index.codec.encode([["a", "b"]]), (200_000, 1))
    index.add_codes(rows)
    assert not index.groups().any()


def test_sets_without_tokens_are_equal_to_each_other() -> None:
    index = MinHashIndex()
    index.add(["", "a b c", "!"])
    assert [part.tolist() for part in index.pairs()] == [[0], [2], [0.0]]
    assert [part.tolist() for part in index.pairs(verify=["", "a b c", "!"])] == [[0], [2], [0.0]]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"codec": 5}, TypeError, "codec must be a MinHash; got 5"),
        ({"codec": MinHash(b_bits=4)}, ValueError, "codec has b_bits=4"),
        ({"threshold": 0}, ValueError, "threshold must be a real number above 0 and at most 1"),
        ({"threshold": 1.1}, ValueError, "threshold must be a real number above 0 and at most 1"),
        ({"threshold": float("nan")}, ValueError, "threshold must be a real number above 0 and at most 1"),
        ({"threshold": "high"}, TypeError, "threshold must be a real number.*; got 'high'"),
        ({"weights": (1,)}, ValueError, "weights must be two numbers"),
        ({"weights": (-1, 1)}, ValueError, "weights must be two numbers of 0 or more"),
        ({"n_bands": 3}, ValueError, "n_bands and n_rows go together"),
        ({"n_bands": 0, "n_rows": 3}, ValueError, "n_bands must be an integer from 1 to 128"),
        ({"n_bands": 20, "n_rows": 10}, ValueError, "20 bands of 10 rows do not fit signatures of 128"),
    ],
)
def test_wrong_settings_of_an_index_are_errors(arguments: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        MinHashIndex(**arguments)


def test_wrong_arguments_of_an_index_are_errors() -> None:
    index = MinHashIndex()
    index.add(TEXTS)
    for signatures in (
        np.zeros((2, 64), np.uint32),
        np.zeros((2, 128), np.int32),
        np.zeros(128, np.uint32),
        5,
    ):
        with pytest.raises((TypeError, ValueError), match=r"^codes must "):
            index.add_codes(signatures)
    for threshold in (-0.1, 1.1, float("nan"), "x", None, True):
        for method in (
            lambda t: index.query(TEXTS, threshold=t),
            lambda t: index.pairs(threshold=t),
            lambda t: index.groups(threshold=t),
        ):
            if threshold is None:
                method(None)
                continue
            with pytest.raises((TypeError, ValueError), match=r"^threshold must be"):
                method(threshold)
    for call in (
        lambda: index.query(TEXTS, verify=TEXTS[:2]),
        lambda: index.pairs(verify=TEXTS[:0]),
        lambda: index.groups(verify=TEXTS[:3]),
    ):
        with pytest.raises(ValueError, match=r"^verify has \d sets but the index has the id 3"):
            call()
    with pytest.raises(TypeError, match=r"^verify must be a list or other sequence"):
        index.groups(verify=TEXTS[0])
    assert len(index) == 4


def test_an_index_is_saved_and_loaded(tmp_path: Path) -> None:
    path = tmp_path / "index.safetensors"
    sets = family_of_sets(200, seed=3)
    index = MinHashIndex(MinHash(96, random_state=9), threshold=0.65, n_bands=12, n_rows=6)
    index.add(sets, ids=np.arange(200)[::-1] * 3)
    index.save(path)
    loaded = MinHashIndex.load(path)
    assert repr(loaded) == repr(index)
    assert loaded.codec.random_state == 9
    assert same(loaded.query(sets), index.query(sets))
    assert same(loaded.pairs(), index.pairs())


# --- files -------------------------------------------------------------------------------------------------


def test_files_that_are_cut_short_or_altered_are_refused(tmp_path: Path) -> None:
    path, bad = tmp_path / "index", tmp_path / "bad"
    index = MinHashIndex(MinHash(16))
    index.add(TEXTS)
    index.save(path)
    content = path.read_bytes()
    for length in (0, 5, len(content) // 2, len(content) - 1):
        bad.write_bytes(content[:length])
        with pytest.raises(ValueError, match="not a valid"):
            MinHashIndex.load(bad)
    for place in range(8, len(content), max(1, len(content) // 60)):
        bad.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(ValueError, match="not a valid"):
            MinHashIndex.load(bad, mmap=False)
    index.codec.save(path)
    with pytest.raises(ValueError, match="it holds a MinHash"):
        MinHashIndex.load(path)


# --- real data ----------------------------------------------------------------------------------------------


def test_all_known_near_duplicates_among_articles_are_found_and_no_others() -> None:
    articles = data_file("minhash_articles_2500.tsv.gz")
    with gzip.open(articles, "rt", encoding="utf-8") as file:
        names, texts = zip(*(line.rstrip("\n").split(" ", 1) for line in file), strict=True)
    truth = {
        frozenset(line.split()) for line in data_file("minhash_articles_2500.truth").read_text().splitlines()
    }
    assert len(truth) == 20
    index = MinHashIndex()
    index.add(texts)
    for verify in (None, texts):
        i, j, _ = index.pairs(verify=verify)
        assert {frozenset((names[a], names[b])) for a, b in zip(i, j, strict=True)} == truth


def test_almost_equal_sets_are_grouped_in_linear_time() -> None:
    # All pairs are candidates and similar: there are five thousand million of them.
    tokens = np.tile(np.arange(40, dtype=np.uint64), (100_000, 1))
    tokens[:, -1] += np.arange(100_000, dtype=np.uint64)
    found = MinHashIndex()
    found.add_codes(found.codec.encode((tokens.ravel(), np.arange(0, tokens.size + 1, 40))))
    found.add([["another"]])
    begun = time.process_time()
    groups = found.groups()
    assert time.process_time() - begun < 10
    assert (groups[:-1] == 0).all()
    assert groups[-1] == 100_000


def test_sets_that_share_a_band_alone_are_grouped_by_their_similarity() -> None:
    rng = np.random.default_rng(0)
    # More than are compared row by row.
    signatures = rng.integers(0, 2**32, (12_000, 128), dtype=np.uint32)
    signatures[6000:] = signatures[:6000]
    signatures[6000:, 100:110] += 1
    signatures[:, :9] = 7
    found = MinHashIndex()
    found.add_codes(rng.permutation(signatures))
    i, j, _ = found.pairs()
    assert np.array_equal(found.groups(), components(12_000, zip(i.tolist(), j.tolist(), strict=True)))
    assert len(np.unique(found.groups())) == 6000
